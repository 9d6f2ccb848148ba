"""docs/sentences.md: every sentence that people read, with examples filled in, on one page to be read through."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from bot.phrase import Param, Phrase
from cogs.ui.messages import ENGLISH, Languages, bundled
from cogs.ui.messages.languages import FOLDER

_HEAD = """\
# Every sentence of the bot

Made by `make docs` from `cogs/ui/messages/en`, with examples where something is filled in. Several lines for one code
show how it changes with a number. Times are shown by Discord, in the reader's own time zone. Read it as somebody who
did not write it: would a thirteen-year-old, or somebody who learns English, understand each line at once?
"""

_AT = datetime(2026, 5, 4, 14, 5, tzinfo=UTC)
#: Examples, by the name of a parameter.
_EXAMPLES: Mapping[str, Param] = {
    "action": "Again",
    "after": "1024×768",
    "bar": "▰▰▰▱▱▱",
    "before": "4096×3072",
    "cap": "4",
    "channel": "#art",
    "choices": ("square", "portrait", "landscape"),
    "close": ("z-image", "z-image-turbo"),
    "default": "FLUX.1 schnell",
    "details": ("`steps` must be at most 50", "`size`: the model does not know it"),
    "duration": "20 s",
    "factors": ("width", "height"),
    "fault": "it is too long",
    "format": "HEIC",
    "given": "blue",
    "incident": "7F3A-91",
    "job": "a lighthouse in a storm",
    "key": "style",
    "kind": "a web page",
    "left": "about 20 s left",
    "limits": ("at least 1", "at most 50"),
    "link": "https://discord.com/channels/1/2/3",
    "made": "partly repainted",
    "mask": "512×512",
    "message": "some_code",
    "missing": ("Attach Files",),
    "model": "FLUX.1 schnell",
    "names": ("pictures an hour", "pictures a day"),
    "needs": ("image", "mask"),
    "note": "fal.ai may stop it soon",
    "option": "steps",
    "options": ("prompt", "size", "seed"),
    "pattern": "each up to 40 characters",
    "person": "Ada",
    "picture": "1024×768",
    "price": "about $0.003",
    "prompt": "a lighthouse in a storm",
    "range": "from 1 to 50",
    "seed": "1234567",
    "sentence": "Something broke on my side.",
    "service": "OpenAI",
    "size": "9000×6000",
    "some": ("Anime", "Watercolour", "Photo"),
    "successor": "Imagen 4",
    "takes": "a whole number from 1 to 50",
    "text": "Something that an earlier version said.",
    "title": "Imagen 4",
    "value": "50",
    "values": ("square", "portrait"),
    "ways": ("a whole number", "`random`"),
    "what": "it has no credit left",
    "when": "in a minute",
    "why": "it is not a picture",
    "wrong": ("`start` above `end`",),
}
#: … and where the usual example of a parameter would make no sense, by code.
_FOR: Mapping[str, Mapping[str, Param]] = {
    "bad_picture": {"option": "image"},
    "content_refused_picture_named": {"option": "image"},
    "content_refused_picture_numbered": {"option": "image_urls"},
    "option_start_above_end": {"option": "ip_adapter"},
    "option_twice_as": {"option": "size", "names": ("size", "image_size")},
    "options_missing": {"missing": ("mask",)},
    "options_order": {"one": "start", "other": "end"},
    "result_converted": {"before": "TIFF", "after": "PNG"},
    "result_recompressed": {"before": "PNG", "after": "JPEG"},
    **{f"fault_{fault}": {"what": "the LoRA"} for fault in ("not_fetched", "unreadable", "format")},
    **{f"fault_{fault}": {"what": "the picture"} for fault in ("too_small", "too_large", "too_many_pixels")},
    "takes_loras": {"range": "from 0 to 2"},
}
_NUMBERS = (0, 1, 2, 3, 10_000)


def page() -> str:
    """The text of docs/sentences.md."""
    language = bundled().language(ENGLISH)
    blocks = [_HEAD]
    for file in sorted((FOLDER / ENGLISH).glob("*.ftl")):
        blocks.append(f"\n## {file.name}\n")
        blocks.extend(_entries(file, language.sources))
    return "".join(blocks)


def write(root: Path) -> None:
    """Write the page anew."""
    (root / "docs" / "sentences.md").write_text(page(), "utf-8")


def _entries(file: Path, sources: Mapping[str, str]) -> Iterator[str]:
    """Its headings and messages, in the order of the file."""
    for line in file.read_text("utf-8").splitlines():
        if line.startswith("## "):
            yield f"\n### {line[3:]}\n\n"
        elif (name := re.match(r"([a-z]\w*) =", line)) is not None:
            source = sources[name[1]]
            for attribute in ("", *(f".{one}" for one in re.findall(r"^\s+\.(\w+) =", source, re.MULTILINE))):
                yield _entry(name[1] + attribute, source, sources)


def _entry(code: str, source: str, sources: Mapping[str, str]) -> str:
    ways = (" ".join(text.split()) for text in _ways(code, _whole(source, sources)))
    said = list(
        dict.fromkeys(re.sub(r"<t:\d+:R>", "2 minutes ago", re.sub(r"<t:\d+:[ft]>", "14:05", one)) for one in ways)
    )
    first, *others = said
    return "".join([f"- `{code}`: {first}\n", *(f"  - {one}\n" for one in others)])


def _whole(source: str, sources: Mapping[str, str]) -> str:
    """With the messages that it refers to."""
    named = [name for name in re.findall(r"\{\s*([a-z][\w-]*)\s*\}", source) if name in sources]
    return "\n".join([source, *(_whole(sources[name], sources) for name in named)])


def _ways(code: str, source: str) -> Iterator[str]:
    """The message with its examples, once for each number that it says differently."""
    names = sorted(set(re.findall(r"\$([a-z_]+)", source)))
    chosen = [name for name in names if re.search(rf"\${name} ->", source)]
    keys = {int(key) for key in re.findall(r"^\s*\*?\[(\d+)\]", source, re.MULTILINE)}
    numbers = [number for number in _NUMBERS if number in keys | {1, 3}] if chosen else [3]
    for number in numbers:
        counted = dict.fromkeys(chosen, number)
        params = {name: _FOR.get(code, {}).get(name) or _example(name, source, counted) for name in names}
        yield Languages.say(bundled(), ENGLISH, Phrase(code, params))


def _example(name: str, source: str, counted: Mapping[str, int]) -> Param:
    if name in counted:
        return counted[name]
    if re.search(rf"(CLOCK|AGO)\(\${name}\)", source):
        return _AT
    if f"MONEY(${name})" in source:
        return Decimal("0.003")
    example = _EXAMPLES.get(name, 3)
    is_list = re.search(rf"(CODES|AND|OR|JOIN)\((CODES\()?\${name}\b", source) is not None
    if is_list and not isinstance(example, tuple):
        return (str(example),)
    if isinstance(example, tuple) and not is_list:
        return ", ".join(map(str, example))
    return example
