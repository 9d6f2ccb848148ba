"""Load model files into frozen `Model`s.

One TOML file describes one model; unknown keys are refused. Limits have three sources, kept separate:
keys of the option itself come from fal's document about the endpoint, `docs` from fal's other pages, and
`ours` are protective caps of this project. The narrowest one applies.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from bot.catalogue.kinds import parse_value
from bot.catalogue.model import (
    OPERATOR_ONLY,
    PROMPT_TASKS,
    Model,
    Option,
    OptionKind,
    Output,
    Retired,
    Rule,
    Task,
)
from bot.catalogue.price_file import MOST_USD, PriceFile, check_price, with_usd
from bot.catalogue.registry import Catalogue
from bot.catalogue.rejections import close_matches, listed
from bot.domain.request import Json
from bot.errors import InvalidOption, SettingsInvalid
from bot.phrase import phrase
from bot.redaction import strictly

OWN_FOLDER: Final = Path(__file__).parent / "models"

_MOST_FILE_BYTES = 256 * 1024
_Alias = Literal["size", "count", "seed", "negative_prompt", "style", "steps", "guidance", "image", "mask"]
_OneLine = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\r\n]+$")]
_Endpoint = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*){1,7}$", max_length=100)]
_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
_Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{2,20}$")]
_Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Limits(_File):
    minimum: float | None = None
    maximum: float | None = None
    max_items: int | None = Field(None, ge=1)
    max_length: int | None = Field(None, ge=1)
    min_side_px: int | None = Field(None, ge=1)
    max_side_px: int | None = Field(None, ge=1, le=16384)
    min_pixels: int | None = Field(None, ge=1)
    max_pixels: int | None = Field(None, ge=1)


class _OptionFile(_Limits):
    name: _Name
    kind: OptionKind
    description: _OneLine
    alias: _Alias | None = None
    required: bool = False
    operator_only: bool = False
    send_only_if_given: bool = False
    default: Any = None
    default_unless: _Name | None = None
    choices: tuple[_OneLine, ...] = ()
    custom_size: bool = True
    pattern: str | None = None
    pattern_says: str = ""
    fields: tuple[str, ...] = ()
    docs: _Limits = _Limits()
    ours: _Limits = _Limits()


class _OutputFile(_File):
    pictures: Literal["image", "file"]
    seed: bool = False
    timings: bool = False
    has_nsfw_concepts: bool = False
    usage: bool = False


class _RetiredFile(_File):
    note: str
    successor: _Endpoint | None = None


class _RuleFile(_File):
    kind: Literal["exclusive", "ordered", "product"]
    options: tuple[_Name, ...] = Field(min_length=2)
    maximum: int | None = Field(None, ge=1)


class _ModelFile(_File):
    endpoint: _Endpoint
    key: _Key
    title: Annotated[str, StringConstraints(min_length=1, max_length=60, pattern=r"^[^\r\n`]+$")]
    summary: _OneLine
    typical_s: float = Field(gt=0, le=3600)
    task: Task = Task.TEXT_TO_IMAGE
    tags: tuple[_Tag, ...] = Field((), max_length=20)
    order: int = 1000
    size_option: _Name | None = None
    store_payload: bool = True
    output: _OutputFile
    price: PriceFile
    retired: _RetiredFile | None = None
    options: tuple[_OptionFile, ...] = Field(min_length=1)
    rules: tuple[_RuleFile, ...] = ()


# ---------------------------------------------------------------------- one file


def read_model(path: Path) -> tuple[int, Model]:
    """Load one file as (display order, model). Raises SettingsInvalid naming the file, the key and what is wrong."""
    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            raise SettingsInvalid(f"Model file {path.name} is larger than {_MOST_FILE_BYTES // 1024} KiB.")
        text = path.read_text(encoding="utf-8")
        read = _ModelFile.model_validate(_with_new_keys(tomllib.loads(text)))
    except OSError as error:
        raise SettingsInvalid(f"Model file {path} can't be read: {error.strerror or error}.") from error
    except ValidationError as error:
        raise SettingsInvalid(f"Model file {path.name}: {_said(error)}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"Model file {path.name} is not valid TOML: {error}.") from error
    try:
        model = _model(read)
        _check(model)
    except ValueError as error:
        raise SettingsInvalid(f"Model file {path.name}: {error}") from error
    return read.order, model


#: Keys that had another name in earlier releases; still read, so that operators' own files keep working.
_FORMER_KEYS = {"good_at": "summary", "held": "operator_only", "beyond_seed": "send_only_if_given"}


def _with_new_keys(table: dict[str, Any]) -> dict[str, Any]:
    options = table.get("options")
    renamed = {_FORMER_KEYS.get(key, key): value for key, value in table.items()}
    if isinstance(options, list):
        renamed["options"] = [
            {_FORMER_KEYS.get(key, key): value for key, value in option.items()} if isinstance(option, dict) else option
            for option in options
        ]
    return renamed


def _said(error: ValidationError) -> str:
    """The first five faults, each with its location (`options.3.maximum`)."""
    faults = error.errors(include_url=False, include_context=False)
    lines = [f"`{'.'.join(map(str, fault['loc']))}`: {_words(fault['type'], fault['msg'])}" for fault in faults[:5]]
    more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""
    return "; ".join(lines) + more + "."


def _words(sort: str, message: str) -> str:
    return "there is no such key" if sort == "extra_forbidden" else message[:1].lower() + message[1:]


def _narrowest(pick: Any, limits: Iterable[float | None]) -> Any:
    return pick((limit for limit in limits if limit is not None), default=None)


_UPPER_BOUNDS: Final = ("maximum", "max_items", "max_length", "max_side_px", "max_pixels")
_LOWER_BOUNDS: Final = ("minimum", "min_side_px", "min_pixels")


def _option(read: _OptionFile) -> Option:
    sources: tuple[_Limits, ...] = (read, read.docs, read.ours)
    limits = {name: _narrowest(min, (getattr(source, name) for source in sources)) for name in _UPPER_BOUNDS}
    limits |= {name: _narrowest(max, (getattr(source, name) for source in sources)) for name in _LOWER_BOUNDS}
    taken = {"docs", "ours", *limits}
    plain = {name: getattr(read, name) for name in type(read).model_fields if name not in taken}
    return Option(**plain, **limits)


def _model(read: _ModelFile) -> Model:
    return Model(
        endpoint=read.endpoint,
        key=read.key,
        title=read.title,
        summary=read.summary,
        typical_s=read.typical_s,
        task=read.task,
        tags=read.tags,
        options=tuple(map(_option, read.options)),
        output=Output(**read.output.model_dump()),
        price=read.price.price(),
        size_option=read.size_option,
        retired=Retired(**read.retired.model_dump()) if read.retired else None,
        store_payload=read.store_payload,
        rules=tuple(Rule(**rule.model_dump()) for rule in read.rules),
    )


# ---------------------------------------------------------------------- consistency of a file


def _check(model: Model) -> None:
    """Check that the parts of a model fit each other. Raises ValueError with a sentence for the operator."""
    names = [option.name for option in model.options]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"option `{twice[0]}` is described twice.")
    _check_input(model)
    for option in model.options:
        _check_option(model, option)
    _check_references(model)
    check_price(model)
    if "openai_api_key" in names and model.store_payload:
        raise ValueError("a model that takes `openai_api_key` needs `store_payload = false`, or fal keeps the key.")


def _check_input(model: Model) -> None:
    """Check that the model takes a prompt or requires a picture; one of `PROMPT_TASKS` must take a prompt."""
    prompt = model.option("prompt")
    if prompt is None and model.task not in PROMPT_TASKS:
        pictures = {OptionKind.PICTURE, OptionKind.PICTURES}
        if not any(option.kind in pictures and option.required for option in model.offered):
            raise ValueError("without an option `prompt` it needs a `required` one of kind `picture` or `pictures`.")
    elif prompt is None or prompt.kind is not OptionKind.TEXT or prompt.operator_only:
        raise ValueError("it needs an option `prompt` of kind `text`.")


def _check_option(model: Model, option: Option) -> None:
    at = f"option `{option.name}`"
    if option.operator_only != (option.name in OPERATOR_ONLY):
        raise ValueError(f"{at}: `operator_only` is for {listed(sorted(OPERATOR_ONLY))}, and needed there.")
    if option.kind in {OptionKind.CHOICE, OptionKind.PALETTE} and not option.choices:
        raise ValueError(f"{at} needs `choices`.")
    if len(set(option.choices)) < len(option.choices):
        raise ValueError(f"{at} lists a choice twice.")
    for low, high in (("minimum", "maximum"), ("min_side_px", "max_side_px"), ("min_pixels", "max_pixels")):
        least, most = getattr(option, low), getattr(option, high)
        if least is not None and most is not None and least > most:
            raise ValueError(f"{at}: `{low}` is above `{high}`.")
    if option.kind is OptionKind.SIZE and option.name != model.size_option:
        raise ValueError(f"{at} is of kind `size`, so `size_option` must name it.")
    _check_pattern(option, at)
    _check_default(option, at)


def _check_pattern(option: Option, at: str) -> None:
    try:
        re.compile(option.pattern or "")
    except re.error as error:
        raise ValueError(f"{at}: `pattern` is no regular expression ({error}).") from error


def _check_default(option: Option, at: str) -> None:
    if option.default is None or option.operator_only or option.default in ([], "", " "):
        return
    if option.send_only_if_given:
        raise ValueError(f"{at} is `send_only_if_given` and so can't have a default: it is sent only when given.")
    try:
        parsed = parse_value(option, option.name, option.default)
    except InvalidOption as error:
        raise ValueError(f"{at}: its `default` {_toml(option.default)} is not what it takes.") from error
    if parsed != option.default:
        raise ValueError(f"{at}: its `default` {_toml(option.default)} must be written {_toml(parsed)}.")


def _toml(value: Json) -> str:
    """The value as it is written in a model file."""
    match value:
        case dict():
            members = ", ".join(f"{name} = {_toml(member)}" for name, member in value.items())
            return f"{{ {members} }}" if members else "{}"
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _check_references(model: Model) -> None:
    mentioned = [(f"rule `{rule.kind}`", name) for rule in model.rules for name in rule.options]
    mentioned += [("`default_unless`", option.default_unless) for option in model.options if option.default_unless]
    mentioned += [("`size_option`", model.size_option)] if model.size_option else []
    for where, name in mentioned:
        if model.option(name) is None:
            raise ValueError(f"{where} names `{name}`, which is no option of this model.")


# ---------------------------------------------------------------------- the catalogue


def load(
    *,
    folder: Path | None = None,
    disabled: Sequence[str] = (),
    prices_usd: Mapping[str, Decimal] = MappingProxyType({}),
    has_openai_key: bool = False,
) -> Catalogue:
    """Load the bundled models and the operator's.

    Args:
        folder: the operator's model files; one with the endpoint of a bundled model replaces that.
        disabled: keys or endpoints of models that are not offered.
        prices_usd: the operator's prices per unit, by key or endpoint.
        has_openai_key: without it, models that need `openai_api_key` are not offered.

    Raises:
        SettingsInvalid: with a sentence that names the file, the key and what is wrong.
    """
    models = {model.endpoint: (order, model) for order, model in map(read_model, sorted(OWN_FOLDER.glob("*.toml")))}
    if folder is not None:
        models |= _operators(folder)
    known = [model for _, model in sorted(models.values(), key=lambda pair: (pair[0], pair[1].key))]
    _check_unique(known)
    known = _repriced(known, prices_usd)
    off = {_named(known, name, "models.disabled").endpoint: phrase("unavailable_off") for name in disabled}
    if not has_openai_key:
        keyless = phrase("unavailable_keyless")
        off |= {
            model.endpoint: keyless for model in known if model.option("openai_api_key") and model.endpoint not in off
        }
    return Catalogue(known, off)


def _operators(folder: Path) -> dict[str, tuple[int, Model]]:
    if not folder.is_dir():
        raise SettingsInvalid(f"`models.folder` is {strictly(str(folder))}, and there is no such folder.")
    models: dict[str, tuple[int, Model]] = {}
    for path in sorted(folder.glob("*.toml")):
        order, model = read_model(path)
        if model.endpoint in models:
            raise SettingsInvalid(
                f"Model file {path.name}: another file in {folder} describes {model.endpoint} already."
            )
        models[model.endpoint] = (order, model)
    return models


def _check_unique(models: Sequence[Model]) -> None:
    for what in ("key", "title"):
        seen: dict[str, Model] = {}
        for model in models:
            other = seen.setdefault(getattr(model, what).lower(), model)
            if other is not model:
                raise SettingsInvalid(
                    f"Models {other.endpoint} and {model.endpoint} both have the {what} `{getattr(model, what)}`; "
                    "give the second another one."
                )


def _named(models: Sequence[Model], name: str, setting: str) -> Model:
    wanted = name.strip().lower()
    found = next((model for model in models if wanted in {model.key, model.endpoint.lower()}), None)
    if found is None:
        near = close_matches(name, [word for model in models for word in (model.key, model.endpoint)])
        hint = f" Did you mean {listed(near, 'or')}?" if near else ""
        raise SettingsInvalid(f"`{setting}` names `{strictly(name)}`, and there is no such model.{hint}")
    return found


def _repriced(models: Sequence[Model], prices_usd: Mapping[str, Decimal]) -> list[Model]:
    by_endpoint = {model.endpoint: model for model in models}
    for name, usd in prices_usd.items():
        model = _named(models, name, "models.prices_usd")
        if not usd.is_finite() or not 0 <= usd <= MOST_USD:
            raise SettingsInvalid(
                f"`models.prices_usd` gives `{name}` the price {usd}; it must be from 0 to {MOST_USD} US dollars."
            )
        by_endpoint[model.endpoint] = dataclasses.replace(model, price=with_usd(model.price, usd))
    return list(by_endpoint.values())
