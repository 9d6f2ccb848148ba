"""Convert a `GenerationRequest` to the JSON that is sent to fal."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping

from bot.catalogue.kinds import PICTURE_MEMBERS
from bot.catalogue.links import is_attachment
from bot.catalogue.model import Model, Option, OptionKind
from bot.domain.request import GenerationRequest, Json
from bot.errors import ModelUnavailable
from bot.phrase import phrase


def arguments(
    model: Model, request: GenerationRequest, *, safety_checker: bool, openai_api_key: str | None
) -> dict[str, Json]:
    """The complete request body: prompt, the request's options, and the options that only the operator sets.

    Options without a value are left out, so that fal decides them.

    Raises:
        ModelUnavailable: the model needs an OpenAI key and there is none.
    """
    body: dict[str, Json] = {"prompt": request.prompt} if request.prompt else {}
    body |= {name: copy.deepcopy(value) for name, value in request.options.items() if value is not None}
    held: dict[str, Json] = {
        "sync_mode": False,
        "enable_safety_checker": safety_checker,
        "openai_api_key": openai_api_key,
    }
    for option in model.options:
        if option.operator_only:
            if held[option.name] is None:
                raise ModelUnavailable(model.title, phrase("unavailable_keyless"))
            body[option.name] = held[option.name]
    return body


def _pictures(option: Option, value: Json) -> Iterator[tuple[str, str]]:
    """(label, URL) of every picture inside one option's value."""
    match value:
        case str() if option.kind is OptionKind.PICTURE:
            yield option.label, value
        case list() if option.kind is OptionKind.PICTURES:
            yield from ((option.label, url) for url in value if isinstance(url, str))
        case dict():
            for member in PICTURE_MEMBERS.get(option.kind, ()):
                url = value.get(member)
                if isinstance(url, str):
                    yield f"{option.label}.{member}", url


def input_pictures(model: Model, request: GenerationRequest) -> dict[str, tuple[str, ...]]:
    """Every input picture of the request: label of the option → URLs."""
    found: dict[str, tuple[str, ...]] = {}
    for option in model.offered:
        for name, url in _pictures(option, request.options.get(option.name)):
            found[name] = (*found.get(name, ()), url)
    return found


def picture_options(model: Model, request: GenerationRequest) -> dict[str, tuple[str, ...]]:
    """The input pictures that must be uploaded to fal first: attachments, whose URLs expire or are not public.

    Other https URLs are sent to fal unchanged; the bot itself never fetches a URL that a person typed.
    """
    kept = {name: tuple(filter(is_attachment, urls)) for name, urls in input_pictures(model, request).items()}
    return {name: urls for name, urls in kept.items() if urls}


def with_pictures(request: GenerationRequest, urls: Mapping[str, str]) -> GenerationRequest:
    """Return the request with each URL in `urls` replaced by its uploaded copy, anywhere in the options."""
    return dataclasses.replace(
        request, options={name: _swapped(value, urls) for name, value in request.options.items()}
    )


def _swapped(value: Json, urls: Mapping[str, str]) -> Json:
    match value:
        case str():
            return urls.get(value, value)
        case list():
            return [_swapped(item, urls) for item in value]
        case dict():
            return {key: _swapped(item, urls) for key, item in value.items()}
    return value
