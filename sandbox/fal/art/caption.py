"""The strip under a picture that says which model painted what, legible in a thumbnail."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont
#: Text height as a share of the picture's width: 12 px in a thumbnail 400 px wide.
_TEXT_SHARE = 0.034
_SMALLEST_TEXT_PX = 9
_MOST_STRIP_SHARE = 0.36
_SMALLEST_PICTURE_PX = 48
_PROMPT_LINES = 2
_NO_LETTERS = "(in letters this font does not have)"


@dataclass(frozen=True, slots=True)
class Caption:
    """What the strip says."""

    title: str
    prompt: str
    seed: int


@dataclass(frozen=True, slots=True)
class _Layout:
    text_px: int
    lines: tuple[str, ...]
    padding_px: int
    line_px: int

    @property
    def height_px(self) -> int:
        return self.padding_px * 2 + self.line_px * (len(self.lines) + 1)


def draw(picture: Image.Image, caption: Caption, accent: tuple[int, int, int]) -> None:
    """Write the strip onto the lower edge of an RGB or RGBA picture, in place."""
    width, height = picture.size
    if min(width, height) < _SMALLEST_PICTURE_PX:
        return
    layout = _lay_out(caption, width, height)
    box = (0, height - layout.height_px, width, height)
    ground = Image.new(picture.mode, (width, layout.height_px), (10, 12, 20))
    if picture.mode == "RGBA":
        picture.paste(ground, box)
    else:
        picture.paste(Image.blend(picture.crop(box), ground, 0.92), box)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((0, box[1], width, box[1] + max(1, layout.text_px // 10)), fill=accent)
    _write(pen, caption, layout, top=box[1], width=width, accent=accent)


def strip_px(caption: Caption, width: int, height: int) -> int:
    """Height of the strip on a picture of that size."""
    return 0 if min(width, height) < _SMALLEST_PICTURE_PX else _lay_out(caption, width, height).height_px


def legible(text: str) -> str:
    """`text` on one line, without what the font cannot show."""
    shown = " ".join("".join(_shown_as(mark) for mark in unicodedata.normalize("NFC", text)).split())
    return shown if not text.strip() or any(map(str.isalnum, shown)) else _NO_LETTERS


@lru_cache(maxsize=4096)
def _shown_as(mark: str) -> str:
    if mark.isspace():
        return " "
    if unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Mn", "Me"):
        return ""
    if unicodedata.category(mark) == "Pd":
        return "-"
    if _has_glyph(mark):
        return mark
    plain = "".join(part for part in unicodedata.normalize("NFKD", mark) if unicodedata.category(part) != "Mn")
    return plain if plain and all(map(_has_glyph, plain)) else ""


def wrapped(text: str, font: Font, width_px: float, most_lines: int) -> tuple[str, ...]:
    """`text` in at most that many lines; what does not fit is cut with an ellipsis."""
    words = text.split(" ")
    lines: list[str] = []
    line = ""
    for index, word in enumerate(words):
        longer = f"{line} {word}" if line else word
        if font.getlength(longer) <= width_px:
            line = longer
            continue
        if len(lines) + 1 == most_lines or not line:
            rest = " ".join(([line] if line else []) + words[index : index + 40])
            return (*lines, _cut(rest, font, width_px))
        lines.append(line)
        line = word
        if font.getlength(word) > width_px:
            return (*lines, _cut(" ".join(words[index : index + 40]), font, width_px))
    return (*lines, line) if line else tuple(lines)


def _write(
    pen: ImageDraw.ImageDraw,
    caption: Caption,
    layout: _Layout,
    *,
    top: int,
    width: int,
    accent: tuple[int, int, int],
) -> None:
    font, left = _font(layout.text_px), layout.padding_px
    y = top + layout.padding_px
    bold = max(1, layout.text_px // 30)
    seed = f"seed {caption.seed}"
    room_px = width - 2 * left - font.getlength(seed) - layout.text_px
    has_room = room_px > layout.text_px * 4
    title = _cut(caption.title, font, room_px if has_room else width - 2 * left)
    for shift in (0, bold):
        pen.text((left + shift, y), title, fill=accent, font=font)
    if has_room:
        pen.text((width - left, y), seed, fill=(176, 182, 198), font=font, anchor="ra")
    for number, line in enumerate(layout.lines, start=1):
        pen.text((left, y + number * layout.line_px), line, fill=(250, 250, 252), font=font)


def _lay_out(caption: Caption, width: int, height: int) -> _Layout:
    # Viewers fit a tall picture by its height, so its text has to be larger.
    text_px = max(_SMALLEST_TEXT_PX, round(max(width, min(height * 0.85, width * 1.5)) * _TEXT_SHARE))
    prompt = legible(caption.prompt[:600])
    layout = _fit(prompt, text_px, width, _PROMPT_LINES + (height > width * 1.2))
    if layout.height_px > height * _MOST_STRIP_SHARE:
        layout = _fit(prompt, text_px, width, 1)
    if layout.height_px <= height * _MOST_STRIP_SHARE:
        return layout
    smaller = max(_SMALLEST_TEXT_PX, int(text_px * height * _MOST_STRIP_SHARE / layout.height_px))
    return _fit(prompt, smaller, width, 1)


def _fit(prompt: str, text_px: int, width: int, lines: int) -> _Layout:
    padding_px = max(3, round(text_px * 0.55))
    shown = wrapped(prompt, _font(text_px), width - 2 * padding_px, lines) if prompt else ()
    return _Layout(text_px, shown, padding_px, round(text_px * 1.3))


def _cut(text: str, font: Font, width_px: float) -> str:
    if font.getlength(text) <= width_px:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle].rstrip() + "…") <= width_px:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


@lru_cache(maxsize=64)
def _font(size_px: int) -> Font:
    font = ImageFont.load_default(size=size_px)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType")
    return font


def _has_glyph(mark: str) -> bool:
    font = _font(24)
    missing = font.getmask("\uffff")
    glyph = font.getmask(mark)
    return glyph.size != missing.size or bytes(glyph) != bytes(missing)
