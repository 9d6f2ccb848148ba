"""Habits from elsewhere: flags and settings that other programs have people write into the prompt.

Read are flags such as `--ar 16:9 --no dogs --seed 5 --n 2` (also with the dash that a phone makes of `--`), the block
of settings that AUTOMATIC1111 and its kin write under a prompt, and tags such as `<lora:name:0.8>`. What stands in
quotes is never read, and a dash that belongs to the sentence is left alone. Weights such as `(word:1.2)` stay.
What is written with less than two hyphens is read at the end only (`endings`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bot.catalogue.endings import TAIL, last_setting, without_brackets
from bot.catalogue.sizes import WORDS

#: What phones and keyboards make of two hyphens.
_DASHES: Final = "‐‑‒–—―−－"
#: Who nests tags deeper than this wants to keep us busy.
_MOST_PASSES: Final = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """Something that the prompt asks for besides what to paint."""

    #: As it was written, e.g. `--ar 16:9`.
    written: str
    #: The option it means (`size`, `negative_prompt`, …), `lora` for a tag; None where it means nothing here.
    key: str | None = None
    value: str = ""
    #: Pasted from another program's settings: what this model can't take is left out, not refused.
    pasted: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """A prompt, taken apart."""

    #: What is to be painted.
    prompt: str
    wishes: tuple[Wish, ...] = ()
    #: What has the form of a wish, but may be part of the picture: it is still in the prompt.
    unsure: tuple[Wish, ...] = ()


def read(prompt: str) -> Reading:
    """Take a prompt apart; one without any of these habits comes back as it is, and so does what is left of one."""
    if not _SIGNS.search(prompt):  # as in most prompts
        return Reading(prompt)
    text, wishes = prompt, list[Wish]()
    # What is taken out may bring two halves of something together: what is left must say nothing more.
    for _ in range(_MOST_PASSES):
        text, taken = _taken_out(text)
        if not taken:
            break
        wishes += taken
    unsure = _unsure(text)
    return Reading(text.strip(), tuple(wishes), unsure) if wishes else Reading(prompt, unsure=unsure)


#: No habit does without one of these: a dash, a bracket, `key: value`, or a number or a shape at the end.
_SIGNS = re.compile(
    rf"[-{_DASHES}<\[:=]|(?:\d|random|square|portrait|landscape)[{re.escape(TAIL + ')]}')}]*\Z", re.IGNORECASE
)


def _taken_out(prompt: str) -> tuple[str, list[Wish]]:
    text, pasted = _without_settings(without_brackets(prompt))
    text, tags = _without_tags(text)
    text, flags = _without_flags(text)
    text, last = _without_endings(text)
    return text, [*flags, *last, *tags, *pasted]


def _cut(text: str, start: int, end: int) -> str:
    """The text without a part of it, and without a space or comma that would be left over."""
    before, after = text[:start].rstrip(), text[end:].lstrip(" \t")
    if after.startswith(","):
        after = after[1:].lstrip()
        before = before.rstrip(",") + ("," if before else "")
    return f"{before} {after}" if before and after else before.rstrip(",") or after


def _quoted(text: str) -> list[tuple[int, int]]:
    """Where something stands in quotes. No regex: thousands of quotes that nothing closes would take it long."""
    spans: list[tuple[int, int]] = []
    for opening in _OPENING.finditer(text):
        start = opening.start()
        ends = [text.find(closing, start + 1) for closing in _CLOSING[opening[0]]]
        end = min((end for end in ends if end >= 0), default=-1)
        if end >= 0 and (not spans or start >= spans[-1][1]):
            spans.append((start, end + 1))
    return spans


#: The signs that close what such a sign opens.
_CLOSING: Final[Mapping[str, str]] = {'"': '"', "“": "”", "„": "“”", "«": "»", "`": "`"}
_OPENING = re.compile(f"[{''.join(_CLOSING)}]")


# ---------------------------------------------------------------------- flags

#: What a flag means here.
_MEANT: Final[Mapping[str, str]] = {
    name: key
    for key, names in {
        "size": "ar aspect aspect-ratio aspectratio aspect_ratio ratio size res resolution",
        "negative_prompt": "no neg negative negative-prompt negative_prompt negprompt np without exclude",
        "seed": "seed",
        "count": "n count num images number batch batch-size amount num-images num_images",
        "steps": "steps step num-steps",
        "guidance": "cfg cfg-scale cfgscale cfg_scale scale guidance guidance-scale guidance_scale",
        "style": "style",
        "model": "model m",
    }.items()
    for name in names.split()
}
#: Flags of other programs that mean nothing here: those with a value, and those without.
_WITH_VALUE = """
    v version q quality s stylize c chaos w weird iw sref cref cw sw oref ow niji stop repeat r profile p sv motion end
    bs exp sampler width height h strength denoise clip-skip lora upscale personalize
"""
_WITHOUT_VALUE = """
    raw tile fast relax turbo hd test testp upbeta uplight upanime draft loop beta creative public stealth video hires
"""
_FOREIGN, _FOREIGN_ALONE = frozenset(_WITH_VALUE.split()), frozenset(_WITHOUT_VALUE.split())

#: A flag behind a space or at the beginning, or glued to what stands before it (`16:9--no dogs`); a hyphen or space
#: after the dashes makes it none.
_FLAG = re.compile(
    rf"(?:(?<!\S)|(?<=[^\s{_DASHES}-])(?=-{{2}}|[{_DASHES}]))"
    rf"(-{{2,3}}|-?[{_DASHES}]{{1,2}})([A-Za-z](?:[A-Za-z_-]{{0,29}}[A-Za-z])?)(?=[\s=:,]|\d|$)[=:]?"
)
#: What ends a value; a full stop or semicolon goes with it.
_AFTER: Final = r"(?:[.;]+(?=\s|$))?(?=[\s,]|$)"
_SIZE_VALUE = re.compile(
    rf"\s*(\d{{1,5}}(?:\.\d+)?\s*[:/x×*]\s*\d{{1,5}}(?:\.\d+)?|(?:{'|'.join(WORDS)})){_AFTER}", re.IGNORECASE
)
_NUMBER_VALUE = re.compile(rf"\s*([+-]?\d{{1,12}}(?:\.\d{{1,6}})?){_AFTER}")
_SEED_VALUE = re.compile(rf"\s*([+-]?\d{{1,12}}|random|rand){_AFTER}", re.IGNORECASE)
_VALUES: Final[Mapping[str, re.Pattern[str]]] = {
    "size": _SIZE_VALUE,
    "seed": _SEED_VALUE,
    "count": _NUMBER_VALUE,
    "steps": _NUMBER_VALUE,
    "guidance": _NUMBER_VALUE,
    "style": re.compile(r'\s*(?:"([^"\n]{1,80})"|([^\s,]+))'),
    "model": re.compile(rf"\s*([^\s,\"{_DASHES}-][^\s,]*)"),
}
#: A word behind a flag of ours that is no value of it.
_WRONG_VALUE = re.compile(rf"\s*(-?[^\s,\"{_DASHES}-][^\s,]*)")
#: What may stand behind a flag of another program: numbers, codes with digits, links.
_FOREIGN_VALUE = re.compile(r"(?:\s*(?:https?://\S+|[\w.:/-]{0,60}\d[\w.:/-]{0,60})(?=[\s,]|$))+")
_ONE_WORD = re.compile(rf"\s*[^\s{_DASHES}-]\S*")
#: Most words behind a phone's dash and "no" that are read as what should not be seen, without and with commas.
_MOST_WORDS, _MOST_LISTED = 3, 8


@dataclass(frozen=True, slots=True)
class _Flag:
    start: int
    #: Where its name ends.
    named: int
    #: Written with two hyphens: a single dash may belong to the sentence.
    sure: bool
    name: str

    @property
    def key(self) -> str | None:
        return _MEANT.get(self.name)


def without_model(prompt: str) -> tuple[str, Wish | None]:
    """The prompt without its flags `--model name`, and the last of these; None where it has none."""
    if "--" not in prompt and not any(dash in prompt for dash in _DASHES):
        return prompt, None
    named = [part for part in _flags(prompt) if part[2].key == "model" and part[2].value]
    for start, end, _ in reversed(named):
        prompt = _cut(prompt, start, end)
    return prompt, named[-1][2] if named else None


def _without_flags(text: str) -> tuple[str, list[Wish]]:
    taken = _flags(text)
    for start, end, _ in reversed(taken):
        text = _cut(text, start, end)
    return text, _sizes_joined([wish for _, _, wish in taken])


def _flags(text: str) -> list[tuple[int, int, Wish]]:
    """Where flags begin and end, and what each of them asks for."""
    if _FLAG.search(text) is None:
        return []
    protected = _quoted(text)
    found = [
        _Flag(match.start(), match.end(), match[1].startswith("--"), match[2].lower())
        for match in _FLAG.finditer(text)
        if not any(start <= match.start() < end for start, end in protected)
    ]
    found = [flag for at, flag in enumerate(found) if not _is_glued(text, flag) or _goes_on(text, found[:at], flag)]
    taken: list[tuple[int, int, Wish]] = []
    for at, flag in enumerate(found):
        limit = next((other.start for other in found[at + 1 :] if _may_begin(other)), len(text))
        end_of, wish = _read_flag(text, flag, limit)
        if wish is not None:
            taken.append((flag.start, end_of, wish))
    return taken


def is_foreign(name: str) -> bool:
    """Whether another program has a flag of that name."""
    return name.lower() in _FOREIGN or name.lower() in _FOREIGN_ALONE


def _is_glued(text: str, flag: _Flag) -> bool:
    return flag.start > 0 and not text[flag.start - 1].isspace()


def _goes_on(text: str, before: list[_Flag], flag: _Flag) -> bool:
    """Whether a flag without a space before it is one: behind another flag, or with a value that only a flag has.

    Else it is a dash of the sentence: "a bridge--no cars".
    """
    if flag.key is None:
        return False
    if any(_may_begin(other) and other.sure and not _is_glued(text, other) for other in before):
        return True
    values = {"size": _SIZE_VALUE, "seed": _SEED_VALUE, "steps": _NUMBER_VALUE, "guidance": _NUMBER_VALUE}
    pattern = values.get(flag.key)
    return flag.sure and pattern is not None and pattern.match(text, flag.named) is not None


def _may_begin(flag: _Flag) -> bool:
    return flag.sure or flag.name in _MEANT or flag.name in _FOREIGN or flag.name in _FOREIGN_ALONE


def _read_flag(text: str, flag: _Flag, limit: int) -> tuple[int, Wish | None]:
    """Where the flag ends, and what it asks for; None where it is an ordinary word behind a dash."""
    if flag.key == "negative_prompt":
        return _read_negative(text, flag, limit)
    pattern = _VALUES.get(flag.key or "")
    found = pattern.match(text, flag.named, limit) if pattern is not None else None
    if found is not None and (flag.sure or flag.key != "model" or re.search(r"[\d-]", found[0])):
        value = found[found.lastindex or 0]
        return found.end(), Wish(text[flag.start : found.end()].strip(" ,.;"), flag.key, value)
    return _read_wrong(text, flag, limit) if flag.key is not None else _read_foreign(text, flag, limit)


def _read_wrong(text: str, flag: _Flag, limit: int) -> tuple[int, Wish | None]:
    """A flag of ours without a value that it can have: told like a wrong field, unless it stands in a sentence."""
    value = _WRONG_VALUE.match(text, flag.named, limit)
    end = value.end() if value is not None else flag.named
    rest = text[end:limit].lstrip(" \t\r\n")
    figure = value is not None and any(map(str.isdigit, value[1]))
    if not flag.sure or (rest and not figure and not rest.startswith(",")):
        return flag.named, None
    return end, Wish(text[flag.start : end].strip(), flag.key, value[1] if value is not None else "")


def _read_negative(text: str, flag: _Flag, limit: int) -> tuple[int, Wish | None]:
    value = text[flag.named : limit].strip(" \t\r\n,")
    if not value:
        return (limit, Wish(text[flag.start : flag.named], flag.key)) if flag.sure else (flag.named, None)
    # With a phone's dash it may as well be a sentence: "a man – no coat, – and no hat. Rain."
    most = _MOST_LISTED if "," in value else _MOST_WORDS
    sentence = re.search(rf"[.!?;:{_DASHES}]", value) or len(value.split()) > most
    if not flag.sure and (sentence or text[flag.start : flag.named].lstrip(f"{_DASHES}-")[:1].isupper()):
        return flag.named, None
    return limit, Wish(text[flag.start : limit].strip(), "negative_prompt", value)


def _read_foreign(text: str, flag: _Flag, limit: int) -> tuple[int, Wish | None]:
    """A flag that means nothing here: taken out with a number or link behind it, or where only flags follow."""
    value = _FOREIGN_VALUE.match(text, flag.named, limit)
    if value is not None and value.end() > flag.named:
        known = flag.name in _FOREIGN or flag.name in _FOREIGN_ALONE
        if known or (flag.sure and not text[value.end() : limit].strip()):
            return value.end(), Wish(text[flag.start : value.end()].strip())
        return flag.named, None
    ends = [flag.named]
    word = _ONE_WORD.match(text, flag.named, limit)
    if word is not None and flag.name not in _FOREIGN_ALONE:
        ends.append(word.end())
    if not flag.sure and flag.name not in _FOREIGN_ALONE:
        return flag.named, None
    for end in ends:
        if not text[end:limit].strip(" \t\r\n,"):
            return limit, Wish(text[flag.start : end].strip())
    return flag.named, None


def _sizes_joined(wishes: list[Wish]) -> list[Wish]:
    """`--w 1024 --h 768` as one size."""
    sides = {name: wish for wish in wishes for name in ("w", "h") if re.match(rf"\S{{1,3}}{name}", wish.written)}
    figures = {name: re.search(r"\s(\d{2,5})$", wish.written) for name, wish in sides.items() if wish.key is None}
    width, height = figures.get("w"), figures.get("h")
    if width is None or height is None:
        return wishes
    written = f"{sides['w'].written} {sides['h'].written}"
    joined = Wish(written, "size", f"{width[1]}x{height[1]}")
    return [joined, *(wish for wish in wishes if wish not in sides.values())]


# ---------------------------------------------------------------------- endings

#: Who ends with more settings than there are options wants to keep us busy: then none is read.
_MOST_ENDINGS: Final = 12


def _without_endings(text: str) -> tuple[str, list[Wish]]:
    taken: list[Wish] = []
    rest = text
    while (ending := last_setting(rest)) is not None and ending.sure and not _is_quoted(rest, ending.start):
        if len(taken) == _MOST_ENDINGS:
            return text, []
        taken.insert(0, Wish(ending.written, ending.key, ending.value, pasted=True))
        rest = rest[: ending.start].rstrip(TAIL.replace(".", "") + "|/")
    return rest, taken


def _unsure(text: str) -> tuple[Wish, ...]:
    ending = last_setting(text)
    if ending is None or ending.sure or _is_quoted(text, ending.start):
        return ()
    return (Wish(ending.written, ending.key, ending.value),)


def _is_quoted(text: str, place: int) -> bool:
    return any(start <= place < end for start, end in _quoted(text))


# ---------------------------------------------------------------------- tags

_TAG = re.compile(r"<\s*(?:lora|lyco|lycoris|locon|hypernet)\s*:[^<>]{1,160}>", re.IGNORECASE)


def _without_tags(text: str) -> tuple[str, list[Wish]]:
    if "<" not in text:
        return text, []
    protected = _quoted(text)
    found = [tag for tag in _TAG.finditer(text) if not any(start <= tag.start() < end for start, end in protected)]
    for tag in reversed(found):
        text = _cut(text, *tag.span())
    return text, [Wish(tag[0], "lora", tag[0]) for tag in found]


# ---------------------------------------------------------------------- settings of AUTOMATIC1111

_SETTINGS: Final[Mapping[str, str | None]] = {
    "steps": "steps",
    "cfg scale": "guidance",
    "seed": "seed",
    "size": "size",
    "sampler": None,
    "schedule type": None,
    "model": None,
    "model hash": None,
    "vae": None,
    "denoising strength": None,
    "clip skip": None,
}
_FIGURES = re.compile(r"[+-]?\d+(?:\.\d+)?(?:\s*x\s*\d+)?")
#: A value is read in one way only (`?>`): with two ways for each, a block that is none takes hours.
_ENTRY = r"[A-Za-z][\w ]{1,30}:(?>\s*(?:\"[^\"]*\"(?=[\s.]*(?:,|$))|[^,\n]*))"
_BLOCK = re.compile(
    rf"(?:^|(?<=[\s.,]))((?:steps|sampler|cfg scale|seed|size)\s*:(?>\s*[^,\n]+)(?:,\s*{_ENTRY})+)[\s,.]*$",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(r"(?:^|(?<=[\s.,]))negative prompt\s*:\s*(.*)$", re.IGNORECASE | re.DOTALL)


def _without_settings(text: str) -> tuple[str, list[Wish]]:
    wishes: list[Wish] = []
    if ":" not in text:
        return text, wishes
    block = _BLOCK.search(text)
    if block is not None:
        entries = list(_entries(block[1]))
        figures = [key for key, value in entries if _SETTINGS.get(key) and _FIGURES.fullmatch(value)]
        if len(figures) > 1:
            wishes += _settings_read(entries)
            text = text[: block.start()].rstrip()
    negative = _NEGATIVE.search(text)
    if negative is not None:
        value = negative[1].strip(" \t\r\n,")
        text = text[: negative.start()].rstrip(" \t\r\n,")
        wishes += [Wish(f"Negative prompt: {value}", "negative_prompt", value, pasted=True)] if value else []
    return text, wishes


def _entries(block: str) -> Iterator[tuple[str, str]]:
    for entry in re.findall(_ENTRY, block):
        key, _, value = entry.partition(":")
        yield key.strip().lower(), value.strip()


def _settings_read(entries: list[tuple[str, str]]) -> Iterator[Wish]:
    for key, value in entries:
        meant = _SETTINGS.get(key)
        written = f"{key.capitalize().replace('Cfg', 'CFG')}: {value}"
        usable = meant is not None and _FIGURES.fullmatch(value) is not None
        yield Wish(written, meant if usable else None, value, pasted=True)
