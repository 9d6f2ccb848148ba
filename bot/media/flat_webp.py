"""The one colour of a lossless WebP that says nothing else, read without a decoder.

Decoders of WebP take sixteen bytes a pixel, more than a worker has for large pictures. But where every prefix code of
a picture has a single symbol, its pixels take no bits at all, and are all alike whatever their number; and where its
palette has one colour, it has no other. That is how encoders write one colour. Format: RFC 9649.
"""

from __future__ import annotations

from bot.domain.picture import Picture

#: Header and codes of single symbols take some dozens of bytes; more is not looked at.
_MOST_BYTES = 512
_LITERALS = 256
_PREDICTOR, _COLOUR, _GREEN, _PALETTE = range(4)

#: Red, green, blue, alpha.
_Pixel = tuple[int, int, int, int]
_NOTHING: _Pixel = (0, 0, 0, 0)
#: What the predictors begin with, and repeat as long as nothing is added.
_FIRST_PREDICTED: _Pixel = (0, 0, 0, 255)


class _NotFlat(Exception):
    """It may hold more than one colour; a decoder has to say."""


def flat_colour(picture: Picture) -> tuple[int, int, int] | None:
    """Red, green and blue of a lossless WebP that is certainly one colour; None for any other file."""
    body = picture.body
    if picture.extension != "webp" or body[12:16] != b"VP8L":
        return None
    try:
        return _read(_Bits(body[20 : 20 + _MOST_BYTES]))[:3]
    except _NotFlat:
        return None


class _Bits:
    """Read from the lowest one on."""

    def __init__(self, body: bytes) -> None:
        self._left, self._count = int.from_bytes(body, "little"), 8 * len(body)

    def take(self, count: int) -> int:
        """So many bits as a number."""
        if count > self._count:
            raise _NotFlat
        value, self._left = self._left & ((1 << count) - 1), self._left >> count
        self._count -= count
        return value


def _read(bits: _Bits) -> _Pixel:
    if bits.take(8) != 0x2F:
        raise _NotFlat
    bits.take(14 + 14 + 1 + 3)  # width, height, whether alpha is used, version
    transforms: list[tuple[int, _Pixel]] = []
    while bits.take(1):
        kind = bits.take(2)
        value = _transform(bits, kind)
        if kind == _PALETTE and not transforms:
            return value  # undone last, so nothing but this colour can come out (or black without any opacity)
        transforms.append((kind, value))
    return _undone(_flat_image(bits, is_main=True), transforms)


def _transform(bits: _Bits, kind: int) -> _Pixel:
    """Read its data, one colour as well."""
    if kind == _GREEN:
        return _NOTHING
    if kind == _PALETTE:
        if bits.take(8):
            raise _NotFlat  # more than one colour
    else:
        bits.take(3)
    return _flat_image(bits, is_main=False)


def _flat_image(bits: _Bits, *, is_main: bool) -> _Pixel:
    """The only pixel that can follow."""
    if bits.take(1) or (is_main and bits.take(1)):
        raise _NotFlat  # a cache of colours, or several sets of codes
    green, red, blue, alpha, _ = (_symbol(bits) for _ in range(5))
    if green >= _LITERALS:
        raise _NotFlat  # a copy of nothing
    return red, green, blue, alpha


def _symbol(bits: _Bits) -> int:
    """The only one of a prefix code."""
    if not bits.take(1) or bits.take(1):
        raise _NotFlat
    return bits.take(8 if bits.take(1) else 1)


def _undone(pixel: _Pixel, transforms: list[tuple[int, _Pixel]]) -> _Pixel:
    """The colour before the encoder transformed it."""
    for kind, value in reversed(transforms):
        red, green, blue, alpha = pixel
        if kind == _GREEN:
            pixel = (red + green) & 255, green, (blue + green) & 255, alpha
        elif kind == _PALETTE:
            pixel = value if green == 0 else _NOTHING
        elif pixel != _NOTHING and (kind == _PREDICTOR or red or green):
            raise _NotFlat  # each pixel adds to those before it, or its parts to one another
        elif kind == _PREDICTOR:
            pixel = _FIRST_PREDICTED
    return pixel
