"""Plants: flowers, mushrooms, trees, pumpkins. Each stands on `foot` and is `size` pixels high."""

from __future__ import annotations

import math

from sandbox.fal.art.backgrounds import round_tree
from sandbox.fal.art.canvas import Canvas, Point, smooth
from sandbox.fal.art.palette import mix, shade
from sandbox.fal.art.shadow import shadow


def draw_flower(canvas: Canvas, foot: Point, size: float) -> None:
    """A flower."""
    (x, y), chance = foot, canvas.chance
    stem = mix(canvas.palette.near, (70, 150, 80), 0.6)
    head = (x, y - size * 0.66)
    canvas.pen.line(
        [(x + size * 0.03, y + size * 0.08), (x - size * 0.03, y - size * 0.3), head],
        fill=stem,
        width=round(size * 0.05),
        joint="curve",
    )
    for side in (-1, 1):
        canvas.shape(
            smooth(
                [
                    (x, y - size * 0.1),
                    (x + side * size * 0.16, y - size * 0.26),
                    (x + side * size * 0.3, y - size * 0.3),
                    (x + side * size * 0.14, y - size * 0.12),
                ]
            ),
            shade(stem, 1.1),
        )
    petals = chance.choice((6, 8, 12))
    for ring, (reach, tint) in enumerate(
        (
            (0.25, shade(canvas.palette.accent, 0.86)),
            (0.19, canvas.palette.accent),
            (0.12, mix(canvas.palette.accent, (255, 255, 255), 0.4)),
        )
    ):
        for petal in range(petals):
            angle = (petal + 0.5 * ring) * math.tau / petals
            centre = (head[0] + math.cos(angle) * size * reach, head[1] + math.sin(angle) * size * reach)
            canvas.disc(centre, size * (1.9 - 0.35 * ring) / petals * 0.62, tint)
    canvas.disc(head, size * 0.08, (255, 206, 84))


def draw_mushroom(canvas: Canvas, foot: Point, size: float) -> None:
    """A mushroom."""
    for dx, grow in ((0.0, 0.9), (-0.36, 0.5), (0.36, 0.4)):
        x, y, tall = foot[0] + dx * size, foot[1], size * grow
        shadow(canvas, (x, y), tall * 0.25)
        canvas.shape(
            smooth(
                [
                    (x - tall * 0.12, y),
                    (x - tall * 0.08, y - tall * 0.45),
                    (x + tall * 0.08, y - tall * 0.45),
                    (x + tall * 0.13, y),
                ]
            ),
            (248, 238, 220),
        )
        canvas.pen.pieslice(
            (x - tall * 0.42, y - tall * 0.86, x + tall * 0.42, y + tall * 0.02), 180, 360, fill=(216, 58, 52)
        )
        canvas.pen.ellipse((x - tall * 0.42, y - tall * 0.47, x + tall * 0.42, y - tall * 0.36), fill=(184, 42, 44))
        for px, py, spot in ((-0.22, -0.58, 0.06), (0.02, -0.72, 0.075), (0.22, -0.56, 0.055), (-0.04, -0.52, 0.04)):
            canvas.disc((x + px * tall, y + py * tall), spot * tall, (255, 248, 240))


def draw_cactus(canvas: Canvas, foot: Point, size: float) -> None:
    """A cactus."""
    (x, y), green = foot, mix((62, 132, 82), canvas.palette.near, 0.15)
    shadow(canvas, foot, size * 0.25)
    for left, low, high, wide in ((0, 0, 0.85, 0.11), (-0.27, 0.32, 0.62, 0.075), (0.27, 0.24, 0.7, 0.075)):
        canvas.pen.rounded_rectangle(
            (x + size * (left - wide), y - size * high, x + size * (left + wide), y - size * low),
            size * wide,
            fill=green,
        )
        if left:
            canvas.pen.rounded_rectangle(
                (min(x, x + size * left), y - size * (low + 0.14), max(x, x + size * left), y - size * low),
                size * 0.05,
                fill=green,
            )
    for stripe in (-0.05, 0.0, 0.05):
        canvas.pen.line(
            [(x + size * stripe, y - size * 0.78), (x + size * stripe, y)],
            fill=shade(green, 0.8),
            width=max(1, round(size * 0.012)),
        )
    canvas.disc((x, y - size * 0.87), size * 0.06, canvas.palette.accent)


def draw_tree(canvas: Canvas, foot: Point, size: float) -> None:
    """A tree."""
    shadow(canvas, foot, size * 0.4)
    round_tree(canvas, foot, size * 0.34, mix(canvas.palette.near, canvas.palette.accent, 0.45))


def draw_pumpkin(canvas: Canvas, foot: Point, size: float) -> None:
    """A pumpkin."""
    x, y = foot
    size *= 0.85
    skin = (236, 122, 36)
    shadow(canvas, foot, size * 0.45)
    canvas.pen.line(
        [(x, y - size * 0.55), (x + size * 0.05, y - size * 0.7)], fill=(86, 120, 52), width=round(size * 0.07)
    )
    for share, tint in ((1.0, 0.78), (0.74, 0.9), (0.4, 1.0)):
        canvas.pen.ellipse(
            (x - size * 0.46 * share, y - size * 0.6, x + size * 0.46 * share, y), fill=shade(skin, tint)
        )
    canvas.glow((x, y - size * 0.28), size * 0.4, (255, 214, 90), 0.45)
    light = (255, 236, 140)
    for side in (-1, 1):
        canvas.shape(
            [
                (x + side * size * 0.08, y - size * 0.3),
                (x + side * size * 0.24, y - size * 0.3),
                (x + side * size * 0.17, y - size * 0.44),
            ],
            light,
        )
    canvas.shape(
        [
            (x - size * 0.26, y - size * 0.22),
            (x - size * 0.1, y - size * 0.17),
            (x, y - size * 0.2),
            (x + size * 0.1, y - size * 0.17),
            (x + size * 0.26, y - size * 0.22),
            (x + size * 0.13, y - size * 0.09),
            (x, y - size * 0.12),
            (x - size * 0.13, y - size * 0.09),
        ],
        light,
    )
