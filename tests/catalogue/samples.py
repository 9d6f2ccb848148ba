"""What people may give for each kind of option: the one table in the tests to which a new kind is added."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from bot.catalogue import Option, OptionKind

_LINK = "https://x.example/a.png"
_LINKS = st.sampled_from([_LINK, "https://y.example/b.webp"])
_COLOURS = st.integers(0, 0xFFFFFF).map(lambda value: f"#{value:06x}")
_LORAS = st.sampled_from(["a/b", "a/b@0.5", "https://x.example/l@2"])


def _lists(items: st.SearchStrategy[str], option: Option) -> st.SearchStrategy[Any]:
    return st.lists(items, min_size=1, max_size=option.max_items)


@dataclass(frozen=True, slots=True)
class Sample:
    """Values that an option of one kind must take."""

    #: One value as people type it, also after `name=` in the field `options`.
    typed: Callable[[Option], str]
    #: Many more values, typed or as JSON; None where the typed one will do.
    drawn: Callable[[Option], st.SearchStrategy[Any]] | None = None


SAMPLES: Mapping[OptionKind, Sample] = {
    OptionKind.TEXT: Sample(
        lambda option: "blurry, ugly hands", lambda option: st.sampled_from(["dull", "blurry, ugly hands"])
    ),
    OptionKind.INTEGER: Sample(
        lambda option: f"{option.minimum or 0:g}",
        lambda option: st.integers(int(option.minimum or 0), int(option.maximum or 0)).flatmap(
            lambda value: st.sampled_from([value, str(value)])
        ),
    ),
    OptionKind.NUMBER: Sample(
        lambda option: f"{option.minimum or 0:g}",
        lambda option: st.integers(int((option.minimum or 0) * 100), int((option.maximum or 0) * 100)).map(
            lambda value: f"{value / 100:.2f}"
        ),
    ),
    OptionKind.BOOLEAN: Sample(
        lambda option: "false" if option.default else "true",
        lambda option: st.booleans(),
    ),
    OptionKind.CHOICE: Sample(
        lambda option: option.choices[-1],
        lambda option: st.sampled_from(option.choices),
    ),
    OptionKind.SIZE: Sample(
        lambda option: "1024x1536" if option.custom_size else option.choices[0],
        lambda option: st.sampled_from(option.choices),
    ),
    OptionKind.TEXTS: Sample(
        lambda option: "A1B2C3D4,00000000",
        lambda option: _lists(st.from_regex(option.pattern or "", fullmatch=True), option),
    ),
    OptionKind.PICTURE: Sample(lambda option: _LINK, lambda option: _LINKS),
    OptionKind.PICTURES: Sample(lambda option: _LINK, lambda option: _lists(_LINKS, option)),
    OptionKind.COLOURS: Sample(lambda option: "#ff0000,#00ff7f", lambda option: _lists(_COLOURS, option)),
    OptionKind.PALETTE: Sample(lambda option: "#ff0000:0.5,#00ff7f", lambda option: _lists(_COLOURS, option)),
    OptionKind.LORAS: Sample(
        lambda option: "https://x.example/a.safetensors@0.5", lambda option: _lists(_LORAS, option)
    ),
    OptionKind.CONTROLNET: Sample(
        lambda option: f'{{"path":"a/b","control_image_url":"{_LINK}"}}',
        lambda option: st.just({"path": "a/b", "control_image_url": _LINK}),
    ),
    OptionKind.IP_ADAPTER: Sample(
        lambda option: f'{{"path":"a/b","image_encoder_path":"c/d","image_url":"{_LINK}","scale":1}}',
        lambda option: st.just({"path": "a/b", "image_encoder_path": "c/d", "image_url": _LINK, "scale": "0.5"}),
    ),
}


def typed(option: Option) -> str:
    """A value that the option must take, as people type it."""
    return SAMPLES[option.kind].typed(option)


def drawn(option: Option) -> st.SearchStrategy[Any]:
    """Values that the option must take, for Hypothesis."""
    sample = SAMPLES[option.kind]
    return sample.drawn(option) if sample.drawn is not None else st.just(sample.typed(option))
