"""Paints the fake fal's pictures: deterministic per model, prompt, seed, index and size."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw, ImageOps

from sandbox.fal.art import caption, vector
from sandbox.fal.art.backgrounds import paint_background
from sandbox.fal.art.canvas import Canvas
from sandbox.fal.art.figures import paint_figures
from sandbox.fal.art.palette import Scene, read
from sandbox.fal.art.weather import finished, paint_weather
from sandbox.fal.plan import Format

#: Shapes are painted on a sheet twice as large, up to this longer side, so that their edges are smooth.
_LONGEST_SHEET_PX = 2048
_REFERENCE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class PictureSpec:
    """One picture to paint."""

    endpoint: str
    title: str
    prompt: str
    seed: int
    index: int
    width: int
    height: int
    format: Format
    transparent: bool = False
    #: The picture to be edited and its mask (white: paint here), encoded.
    picture: bytes | None = None
    mask: bytes | None = None
    #: Pictures that only influence the result.
    references: tuple[bytes, ...] = ()


def paint(spec: PictureSpec) -> bytes:
    """The encoded picture. Slow (tens of milliseconds): call it from a worker thread."""
    chance = random.Random(_number(spec))
    scene = read(spec.prompt, chance)
    words = caption.Caption(spec.title, spec.prompt, spec.seed)
    if spec.format == "svg":
        return vector.draw(spec.width, spec.height, scene, words, chance).encode()
    size = (spec.width, spec.height)
    if spec.picture is not None and spec.mask is not None:
        image = _inpainted(spec.picture, spec.mask, size, scene=scene, words=words, chance=chance)
    else:
        image = _composed(size, scene, chance)
        for reference in spec.references:
            image = _blended(image, reference)
        if spec.transparent:
            image = _cut_out(image, caption.strip_px(words, *size))
        caption.draw(image, words, _accent(scene))
    return encode(image, spec.format)


@lru_cache(maxsize=256)
def flat(width: int, height: int, format_: Format, shade: int) -> bytes:
    """A single-coloured picture that costs nothing the second time; a negative shade is black."""
    colour = (30 + 25 * shade, 90 + 10 * shade, 220 - 22 * shade) if shade >= 0 else (0, 0, 0)
    if format_ == "svg":
        return vector.plain(width, height, colour).encode()
    return encode(Image.new("RGB", (width, height), colour), format_)


def black(width: int, height: int, format_: Format) -> bytes:
    """What fal's safety checker puts in place of a picture."""
    return flat(width, height, format_, -1)


def encode(picture: Image.Image, format_: Format) -> bytes:
    """Encode quickly rather than tightly."""
    out = io.BytesIO()
    if format_ == "png":
        picture.save(out, "PNG", compress_level=1)
    elif format_ == "webp":
        picture.save(out, "WEBP", quality=86, method=0)
    else:
        picture.convert("RGB").save(out, "JPEG", quality=90)
    return out.getvalue()


def _number(spec: PictureSpec) -> int:
    parts = (spec.endpoint, spec.prompt, spec.seed, spec.index)
    text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big")


def _accent(scene: Scene) -> tuple[int, int, int]:
    """The accent, light enough to be read on the dark strip."""
    red, green, blue = scene.palette.accent
    lift = max(0, 170 - max(red, green, blue))
    return min(255, red + lift), min(255, green + lift), min(255, blue + lift)


def _composed(size: tuple[int, int], scene: Scene, chance: random.Random) -> Image.Image:
    scale = min(2.0, _LONGEST_SHEET_PX / max(size))
    sheet = (max(8, round(size[0] * scale)), max(8, round(size[1] * scale)))
    canvas = Canvas(sheet[0], sheet[1], scene.palette, chance, scene.coat)
    ground = paint_background(canvas, scene)
    # The caption covers the lower edge, so what stands on the ground stands a little higher.
    paint_figures(canvas, scene, ground - canvas.height * 0.06)
    paint_weather(canvas, scene)
    image = canvas.image.reduce(2) if scale == 2.0 else canvas.image
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return finished(image, scene)


def _inpainted(
    picture: bytes,
    mask: bytes,
    size: tuple[int, int],
    *,
    scene: Scene,
    words: caption.Caption,
    chance: random.Random,
) -> Image.Image:
    """The given picture, painted anew where the mask is white; the caption stays inside as well."""
    image = _loaded(picture, size)
    with Image.open(io.BytesIO(mask)) as given:
        where = _opaque(given).convert("L").resize(size, Image.Resampling.BILINEAR)
    box = where.point([0 if value < 128 else 255 for value in range(256)]).getbbox()
    if box is None:
        return image
    patch = _composed((box[2] - box[0], box[3] - box[1]), scene, chance)
    caption.draw(patch, words, _accent(scene))
    image.paste(patch, box, where.crop(box))
    return image


def _blended(image: Image.Image, reference: bytes) -> Image.Image:
    """An edit: the reference shows through, in the light of what was painted."""
    given = _loaded(reference, image.size)
    return Image.blend(Image.blend(given, image, _REFERENCE_SHARE), ImageChops.soft_light(given, image), 0.35)


def _loaded(body: bytes, size: tuple[int, int]) -> Image.Image:
    with Image.open(io.BytesIO(body)) as given:
        image = _opaque(given)
        return image if image.size == size else ImageOps.fit(image, size, Image.Resampling.BICUBIC)


def _opaque(given: Image.Image) -> Image.Image:
    """Upright RGB on white."""
    upright = ImageOps.exif_transpose(given)
    if "A" not in upright.getbands() and "transparency" not in upright.info:
        return upright.convert("RGB")
    clear = upright.convert("RGBA")
    ground = Image.new("RGB", clear.size, (255, 255, 255))
    ground.paste(clear, mask=clear.getchannel("A"))
    return ground


def _cut_out(image: Image.Image, strip_px: int) -> Image.Image:
    """An oval vignette on transparent ground, with the caption's strip left opaque."""
    width, height = image.size
    shown = (width, max(1, height - strip_px))
    large = Image.new("L", (shown[0] * 2, shown[1] * 2), 0)
    edge = min(shown) // 12
    ImageDraw.Draw(large).ellipse((edge, edge, large.width - edge, large.height - edge), fill=255)
    mask = large.reduce(2)
    alpha = Image.new("L", image.size, 0)
    alpha.paste(mask, (0, 0))
    image.putalpha(alpha)
    return image
