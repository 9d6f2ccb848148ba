"""Options in words: what a value may be, for refusals, help and autocomplete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bot.catalogue import sizes
from bot.catalogue.model import Option, OptionKind
from bot.catalogue.rejections import listed
from bot.domain.request import Json

_MOST_LISTED = 16


def number_text(value: float) -> str:
    """1 rather than 1.0; thousands with commas."""
    return f"{int(value):,}" if float(value).is_integer() else f"{value:g}"


def _range(option: Option) -> str:
    low, high = option.minimum, option.maximum
    if low is not None and high is not None:
        return f" from {number_text(low)} to {number_text(high)}"
    if low is not None:
        return f" of {number_text(low)} or more"
    return f" of at most {number_text(high)}" if high is not None else ""


def _choices(option: Option) -> str:
    if len(option.choices) <= _MOST_LISTED:
        return f"one of {listed(option.choices, 'or')}"
    return f"one of {len(option.choices)} values such as {listed(option.choices[:6])}"


def _up_to(option: Option, what: str) -> str:
    return f"up to {option.max_items} {what}" if option.max_items else what


def _text(option: Option) -> str:
    return f"text of up to {option.max_length:,} characters" if option.max_length else "text"


def _texts(option: Option) -> str:
    said = f", {option.pattern_says}" if option.pattern_says else ""
    return f"{_up_to(option, 'values')}, separated by commas{said}"


_LORAS = "LoRAs (https link or Hugging Face `owner/name`), separated by commas, each with its scale after `@`"
_CONTROLNET = (
    "a ControlNet such as `controlnet.path=owner/name controlnet.control_image_url=https://…`, or the same as JSON"
)
_IP_ADAPTER = (
    "an IP-Adapter such as `ip_adapter.path=owner/name ip_adapter.image_encoder_path=owner/name "
    "ip_adapter.image_url=https://… ip_adapter.scale=0.6`, or the same as JSON"
)

_WORDS: Final[Mapping[OptionKind, Callable[[Option], str]]] = {
    OptionKind.TEXT: _text,
    OptionKind.INTEGER: lambda option: f"a whole number{_range(option)}",
    OptionKind.NUMBER: lambda option: f"a number{_range(option)}",
    OptionKind.BOOLEAN: lambda option: "`true` or `false`",
    OptionKind.CHOICE: _choices,
    OptionKind.SIZE: sizes.allowed,
    OptionKind.TEXTS: _texts,
    OptionKind.PICTURE: lambda option: "a picture: an attachment or an https link",
    OptionKind.PICTURES: lambda option: f"{_up_to(option, 'pictures')}, as https links separated by commas",
    OptionKind.COLOURS: lambda option: f"{_up_to(option, 'colours')} such as `#ff0000,#00ff00`",
    OptionKind.PALETTE: lambda option: (
        f"{_choices(option)}, or {_up_to(option, 'colours')} such as `#aabbcc:0.5,#112233`"
    ),
    OptionKind.LORAS: lambda option: f"{_up_to(option, _LORAS)}{_range(option)}",
    OptionKind.CONTROLNET: lambda option: _CONTROLNET,
    OptionKind.IP_ADAPTER: lambda option: _IP_ADAPTER,
}


def allowed(option: Option) -> str:
    """What the option takes, as a phrase that completes "It takes …"."""
    return _WORDS[option.kind](option)


def value_text(value: Json) -> str:
    """A value as a person would type it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case {"width": width, "height": height}:
            return f"{width}x{height}"
        case [str(), *_]:
            return ",".join(str(item) for item in value)
    return ""


def describe_option(option: Option) -> str:
    """What the option takes and what it is when not given, e.g. `whole number from 1 to 50, default 28`."""
    words = allowed(option).removeprefix("a ").removeprefix("an ").replace("`", "")
    default = value_text(option.default)
    if not default.strip():
        return f"{words}, needed" if option.required else words
    if len(default) > 40:
        default = default[:39] + "…"
    return f"{words}, default {default}"
