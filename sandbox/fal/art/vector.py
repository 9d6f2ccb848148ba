"""The same scenes as SVG, for models that draw vectors."""

from __future__ import annotations

import math
import random
from html import escape

from sandbox.fal.art import caption
from sandbox.fal.art.palette import Colour, Scene, mix, shade

#: Drawings use these units across; the view box keeps the shape.
_ACROSS = 1000


def plain(width: int, height: int, colour: Colour) -> str:
    """A single-coloured SVG."""
    return _svg(width, height, f'<rect width="100%" height="100%" fill="{_hex(colour)}"/>', width, height)


def draw(width: int, height: int, scene: Scene, words: caption.Caption, chance: random.Random) -> str:
    """Sky, sun and layered hills (or waves) with the caption below."""
    across, down = _ACROSS, max(1, round(_ACROSS * height / max(1, width)))
    palette = scene.palette
    parts = [
        '<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">',
        *(
            f'<stop offset="{offset}" stop-color="{_hex(colour)}"/>'
            for offset, colour in zip((0, 0.5, 1), palette.sky, strict=True)
        ),
        "</linearGradient></defs>",
        '<rect width="100%" height="100%" fill="url(#sky)"/>',
    ]
    unit = min(across, down) / 100
    if palette.dark:
        parts += [
            _circle(
                chance.uniform(0, across),
                chance.uniform(0, down * 0.6),
                unit * chance.choice((0.2, 0.35)),
                palette.light,
            )
            for _ in range(60)
        ]
    x, y, radius = across * chance.uniform(0.25, 0.75), down * chance.uniform(0.2, 0.4), unit * chance.uniform(10, 15)
    parts += [
        _circle(x, y, radius * grow, mix(palette.sky[1], palette.accent, share))
        for grow, share in ((1.9, 0.25), (1.4, 0.5), (1.0, 1.0))
    ]
    layers = 6
    for layer in range(layers):
        share = layer / (layers - 1)
        parts.append(
            _ridge(
                across,
                down,
                down * (0.48 + 0.4 * share),
                unit * (10 - 4 * share),
                colour=palette.land(share),
                chance=chance,
            )
        )
    parts += [
        _sprig(
            chance.uniform(0, across),
            down * chance.uniform(0.68, 0.82),
            unit * chance.uniform(4, 9),
            shade(palette.near, 0.7),
        )
        for _ in range(9)
    ]
    parts += _caption(across, down, words, palette.accent)
    return _svg(width, height, "".join(parts), across, down)


def _svg(width: int, height: int, inside: str, across: int, down: int) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {across} {down}">'
    return f"{head}{inside}</svg>"


def _ridge(across: int, down: int, base: float, swing: float, *, colour: Colour, chance: random.Random) -> str:
    phase, rate = chance.uniform(0, math.tau), chance.uniform(0.8, 1.7)
    steps = 24
    points = [
        (across * step / steps, base - swing * math.sin(step / steps * math.tau * rate + phase))
        for step in range(steps + 1)
    ]
    path = " ".join(f"L{x:.0f} {y:.1f}" for x, y in points)
    return f'<path d="M0 {down} {path} L{across} {down}Z" fill="{_hex(colour)}"/>'


def _sprig(x: float, y: float, size: float, colour: Colour) -> str:
    half = size * 0.35
    path = f"M{x - half:.0f} {y:.0f} L{x:.0f} {y - size * 1.6:.0f} L{x + half:.0f} {y:.0f}Z"
    return f'<path d="{path}" fill="{_hex(colour)}"/>'


def _circle(x: float, y: float, radius: float, colour: Colour) -> str:
    return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}" fill="{_hex(colour)}"/>'


def _caption(across: int, down: int, words: caption.Caption, accent: Colour) -> list[str]:
    size, height = 34, 112
    style = f'font-family="sans-serif" font-size="{size}"'
    prompt = caption.legible(words.prompt[:300])
    shown = prompt if len(prompt) <= 54 else prompt[:53].rstrip() + "…"
    top = down - height
    return [
        f'<rect y="{top}" width="{across}" height="{height}" fill="#0a0c14" fill-opacity="0.78"/>',
        f'<rect y="{top}" width="{across}" height="4" fill="{_hex(accent)}"/>',
        f'<text x="20" y="{top + 46}" {style} font-weight="bold" fill="{_hex(accent)}">{escape(words.title)}</text>',
        f'<text x="{across - 20}" y="{top + 46}" {style} text-anchor="end" fill="#b0b6c6">seed {words.seed}</text>',
        f'<text x="20" y="{top + 92}" {style} fill="#fafafc">{escape(shown)}</text>',
    ]


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
