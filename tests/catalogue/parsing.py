"""Short ways to ask for a picture in tests."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from bot.catalogue import Catalogue, parse
from bot.domain.request import GenerationRequest
from bot.errors import InvalidOption

#: What each model needs besides a prompt.
NEEDS: dict[str, dict[str, object]] = {
    "z-image-inpaint": {"image": "https://pictures.example/a.png", "mask": "https://pictures.example/m.png"}
}


def request(catalogue: Catalogue, key: str, **raw: object) -> GenerationRequest:
    """The order of a model with a prompt and whatever the model needs."""
    return parse(catalogue.get(key), {"prompt": "a red panda", **NEEDS.get(key, {}), **raw})


def given(catalogue: Catalogue, key: str, **raw: object) -> dict[str, object]:
    """Only the options that were given, as fal will get them."""
    placed = request(catalogue, key, **raw)
    return {name: placed.options[name] for name in placed.given if name not in {"image_url", "mask_image_url"}}


def refused(catalogue: Catalogue, key: str, **raw: object) -> InvalidOption:
    """The refusal such an order meets."""
    with pytest.raises(InvalidOption) as caught:
        request(catalogue, key, **raw)
    return caught.value


def each(names: str | tuple[str, ...], values: Iterable[object]) -> pytest.MarkDecorator:
    """Parametrized by number: the values here are often unprintable, huge or equal as text."""
    every = list(values)
    return pytest.mark.parametrize(
        names, every, ids=[f"{names if isinstance(names, str) else names[0]}{at}" for at in range(len(every))]
    )
