"""Pictures that are made to hurt a decoder, or that no camera makes any more. Each is built by hand from its parts."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator

from PIL import Image

from tests.media.paint import bomb, chunk, exif, noise, png_of, saved


def scans_jpeg(scans: int, width: int = 6000, height: int = 4000) -> bytes:
    """A progressive JPEG that goes over all of its blocks so many times: a few bytes a scan."""
    body = saved(Image.new("RGB", (width, height), (90, 120, 30)), "JPEG", progressive=True, quality=75)
    last = body.rfind(b"\xff\xda")
    # The last scan with the tables before it, which it needs.
    tables = body.rfind(b"\xff\xc4", 0, last)
    start = tables if tables > body.rfind(b"\xff\xda", 0, last) else last
    return body[: -len(b"\xff\xd9")] + body[start:-2] * (scans - body.count(b"\xff\xda")) + b"\xff\xd9"


def two_headers_png() -> bytes:
    """16 × 16 for whoever reads the first header, 13300 × 13300 for the decoder."""
    small, large = (struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0) for side in (16, 13_300))
    pixels = zlib.compress(bytes((1 + 13_300 * 4) * 13_300), 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", small)
        + chunk(b"IHDR", large)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def with_chunk(name: bytes, content: bytes) -> bytes:
    """A small sound PNG with one more chunk after its header."""
    body = saved(noise(32, 24), "PNG")
    return body[:33] + chunk(name, content) + body[33:]


def inflating(mebibytes: int) -> bytes:
    """So many mebibytes of zeros, squeezed."""
    return zlib.compress(bytes(mebibytes << 20), 9)


def many_chunks_png(count: int = 200_000) -> bytes:
    """Empty IDATs."""
    body = saved(noise(32, 24), "PNG")
    return body[:33] + chunk(b"IDAT", b"") * count + body[33:]


def lying_webp(claimed: int = 16, real: int = 8_000) -> bytes:
    """A container that says one size around a frame of another."""
    frame = saved(Image.new("RGB", (real, real), "white"), "WEBP", lossless=True)[12:]
    side = (claimed - 1).to_bytes(3, "little")
    content = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + side + side + frame
    return b"RIFF" + struct.pack("<I", len(content)) + content


def gif_beyond_its_screen(screen: int = 16, frame: int = 60_000) -> bytes:
    """A frame far larger than the screen that it is drawn on."""
    descriptor = b"," + struct.pack("<HHHHB", 0, 0, frame, frame, 0)
    return (
        b"GIF89a" + struct.pack("<HH", screen, screen) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff" + descriptor
        + b"\x02\x02\x4c\x01\x00" + b";"
    )  # fmt: skip


def long_gif(frames: int = 20_000) -> bytes:
    """An animation of very many frames."""
    frame = b"," + struct.pack("<HHHHB", 0, 0, 16, 16, 0) + b"\x02\x02\x4c\x01\x00"
    return b"GIF89a" + struct.pack("<HH", 16, 16) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff" + frame * frames + b";"


def tiff_of(width: int, height: int) -> bytes:
    """A TIFF that claims these dimensions over a few bytes of data."""
    body = bytearray(saved(noise(16, 16), "TIFF", compression="tiff_adobe_deflate"))
    at = struct.unpack("<I", body[4:8])[0]
    for index in range(struct.unpack("<H", body[at : at + 2])[0]):
        entry = at + 2 + 12 * index
        tag = struct.unpack("<H", body[entry : entry + 2])[0]
        if tag in (256, 257, 278):
            body[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, width if tag == 256 else height)
    return bytes(body)


def with_size(body: bytes, width: int, height: int) -> bytes:
    """An AVIF or HEIC whose measures say something else."""
    at = body.find(b"ispe") + 8
    return body[:at] + struct.pack(">II", width, height) + body[at + 8 :]


def deep_exif(depth: int = 20_000) -> bytes:
    """EXIF of many entries that all point at large things."""
    entries = b"".join(struct.pack(">HHII", 0x9286, 7, 60_000, 8) for _ in range(min(depth, 5_000)))
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", min(depth, 5_000)) + entries + b"\0\0\0\0"


def many_frames_png(frames: int = 10_000) -> bytes:
    """An animated PNG."""
    body, pixels = saved(Image.new("RGB", (16, 16)), "PNG"), zlib.compress(bytes(49 * 16))
    control = [struct.pack(">IIIIIHHBB", 2 * number, 16, 16, 0, 0, 1, 10, 0, 0) for number in range(frames)]
    parts = [chunk(b"fcTL", one) + chunk(b"fdAT", struct.pack(">I", 1) + pixels) for one in control]
    return body[:33] + chunk(b"acTL", struct.pack(">II", frames, 0)) + body[33:-12] + b"".join(parts) + body[-12:]


def circular_tiff(directories: int = 3) -> bytes:
    """Directories of which the last one points at the first."""
    length = 2 + 8 * 12 + 4
    pixels = 8 + length * directories
    tags = ((256, 16), (257, 16), (258, 8), (259, 1), (262, 1), (273, pixels), (278, 16), (279, 256))
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    following = [8 + length * (number + 1) for number in range(directories - 1)] + [8]
    return (
        b"II*\0" + struct.pack("<I", 8)
        + b"".join(struct.pack("<H", 8) + entries + struct.pack("<I", at) for at in following) + bytes(256)
    )  # fmt: skip


def restarts_jpeg(restarts: int = 3_000_000) -> bytes:
    """A JPEG that begins anew after each of its blocks, and goes on doing so."""
    body = saved(Image.new("RGB", (4000, 4000), "red"), "JPEG")
    scan = body.rfind(b"\xff\xda")
    storm = b"".join(b"\0\xff" + bytes([0xD0 + number % 8]) for number in range(restarts))
    return body[:scan] + b"\xff\xdd\0\x04\0\x01" + body[scan : scan + 14] + storm + b"\xff\xd9"


def texts_png(texts: int = 2_000) -> bytes:
    """Texts that each stay below what is taken, and together inflate to gigabytes."""
    body, text = saved(noise(32, 24), "PNG"), chunk(b"zTXt", b"C\0\0" + zlib.compress(bytes(900_000), 9))
    return body[:-12] + text * texts + body[-12:]


def runs_bmp() -> bytes:
    """64 megapixels as runs of one colour."""
    header = struct.pack("<IiiHHIIiiII", 40, 8000, 8000, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + header + bytes(1024) + b"\xff\x01" * (1 << 20) + b"\0\x01"


HOSTILE: dict[str, Callable[[], bytes]] = {
    "thousands of scans": lambda: scans_jpeg(3_000),
    "as many scans as are taken, on 24 megapixels": lambda: scans_jpeg(40),
    "two headers": two_headers_png,
    "203 megapixels in 600 KB": bomb,
    "a text that inflates": lambda: with_chunk(b"zTXt", b"Comment\0\0" + inflating(300)),
    "an international text that inflates": lambda: with_chunk(b"iTXt", b"Comment\0\x01\0\0\0" + inflating(300)),
    "a colour profile that inflates": lambda: with_chunk(b"iCCP", b"p\0\0" + inflating(300)),
    "a text of 8 MiB": lambda: with_chunk(b"tEXt", b"Comment\0" + b"x" * (8 << 20)),
    "200,000 chunks": many_chunks_png,
    "a WebP that says 16 and has 8,000": lying_webp,
    "a GIF's frame beyond its screen": gif_beyond_its_screen,
    "a GIF of 20,000 frames": long_gif,
    "a PNG of 10,000 frames": many_frames_png,
    "a TIFF in a circle": circular_tiff,
    "three million restarts": restarts_jpeg,
    "2,000 texts that inflate": texts_png,
    "a BMP of endless runs": runs_bmp,
    "a TIFF of 60 megapixels over nothing": lambda: tiff_of(10_000, 6_000),
    "a TIFF of 4 gigapixels": lambda: tiff_of(65_000, 65_000),
    "64 megapixels of flat PNG": lambda: saved(Image.new("RGB", (8_000, 8_000)), "PNG"),
    "an AVIF that says 16": lambda: with_size(saved(noise(512, 512), "AVIF"), 16, 16),
    "an AVIF that says 60 megapixels": lambda: with_size(saved(noise(64, 64), "AVIF"), 10_000, 6_000),
    "EXIF that points everywhere": lambda: saved(noise(64, 64), "JPEG", exif=deep_exif()),
    "cut in the middle": lambda: saved(noise(640, 480), "PNG")[:-200_000],
    "pixels that do not inflate": lambda: png_of(2_000, 2_000, b"rubbish" * 1_000),
}


def mutated(count: int, seed: int = 1) -> Iterator[bytes]:
    """Sound pictures of every format with some bytes changed, always the same ones."""
    chance = random.Random(seed)
    sources = [
        saved(noise(200, 150), "JPEG", exif=exif()),
        saved(noise(200, 150), "JPEG", progressive=True),
        saved(noise(200, 150, "RGBA"), "PNG"),
        saved(noise(200, 150).quantize(64), "PNG"),
        saved(noise(200, 150), "WEBP"),
        saved(noise(200, 150), "WEBP", lossless=True),
        saved(noise(200, 150), "GIF", save_all=True, append_images=[noise(200, 150, seed=2)]),
        saved(noise(200, 150), "BMP"),
        saved(noise(200, 150), "TIFF", compression="tiff_lzw"),
        saved(noise(200, 150), "AVIF", speed=10),
    ]
    for number in range(count):
        body = bytearray(sources[number % len(sources)])
        for _ in range(chance.randint(1, 12)):
            at = int(len(body) * chance.random() ** 3)  # mostly near the header
            body[at] = chance.randrange(256)
        yield bytes(body)


def motion_photo(image: Image.Image, *, film_bytes: int = 2 << 20) -> bytes:
    """A phone's JPEG with EXIF, and a film behind it in the same file."""
    film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + random.Random(3).randbytes(film_bytes).replace(b"\xff\xd9", b"\0\0")
    return saved(image, "JPEG", exif=exif(), quality=90) + film


def heic(image: Image.Image, brand: bytes = b"heic", **options: object) -> bytes:
    """What an iPhone writes; `brand` in place of the major one."""
    import pillow_heif

    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, "HEIF", quality=80, **options)
    body = buffer.getvalue()
    return body[:8] + brand + body[12:]
