"""Animals. Each stands on `foot` and is `size` pixels high."""

from __future__ import annotations

import math

from sandbox.fal.art.canvas import Canvas, Point, around, smooth
from sandbox.fal.art.palette import Colour, mix, shade
from sandbox.fal.art.shadow import shadow

_FOX = (226, 108, 44)


def _fur(canvas: Canvas) -> Colour:
    """The coat the prompt names, or one that stands out from the land."""
    if canvas.coat is not None:
        return canvas.coat
    dark = sum(canvas.palette.near) < 300
    coats = (
        ((244, 168, 92), (236, 224, 208), (214, 120, 64), (200, 205, 218))
        if dark
        else ((62, 54, 74), (196, 98, 46), (92, 72, 66))
    )
    return canvas.chance.choice(coats)


def _eyes(canvas: Canvas, centre: Point, gap: float, size: float, iris: Colour) -> None:
    for side in (-1, 1):
        x, y = centre[0] + side * gap, centre[1]
        canvas.pen.ellipse((x - size, y - size * 1.1, x + size, y + size * 1.1), fill=iris)
        canvas.pen.ellipse((x - size * 0.45, y - size * 0.9, x + size * 0.45, y + size * 0.9), fill=(18, 16, 26))
        canvas.disc((x - size * 0.25, y - size * 0.4), size * 0.28, (255, 255, 255))


def draw_cat(canvas: Canvas, foot: Point, size: float) -> None:
    """A cat."""
    (x, y), coat = foot, _fur(canvas)
    dim, pale = shade(coat, 0.78), mix(coat, (255, 255, 255), 0.5)
    shadow(canvas, foot, size * 0.34)
    tail = [
        (x + size * (0.2 + 0.3 * math.sin(step / 14 * 2.6)), y - size * (0.05 + 0.5 * step / 14)) for step in range(15)
    ]
    canvas.pen.line(tail, fill=dim, width=round(size * 0.075), joint="curve")
    canvas.disc(tail[-1], size * 0.037, dim)
    body = smooth(
        [
            (x - size * 0.24, y),
            (x - size * 0.22, y - size * 0.3),
            (x, y - size * 0.58),
            (x + size * 0.22, y - size * 0.3),
            (x + size * 0.25, y),
        ]
    )
    canvas.shape(body, coat)
    canvas.shape(
        smooth(
            [
                (x - size * 0.11, y),
                (x - size * 0.1, y - size * 0.28),
                (x, y - size * 0.44),
                (x + size * 0.1, y - size * 0.28),
                (x + size * 0.11, y),
            ]
        ),
        pale,
    )
    for side in (-1, 1):
        canvas.pen.ellipse(
            (
                x + side * size * 0.11 - size * 0.07,
                y - size * 0.06,
                x + side * size * 0.11 + size * 0.07,
                y + size * 0.03,
            ),
            fill=pale,
        )
    head = (x, y - size * 0.66)
    for side in (-1, 1):
        canvas.shape(
            [
                (x + side * size * 0.21, head[1] - size * 0.02),
                (x + side * size * 0.19, head[1] - size * 0.33),
                (x + side * size * 0.03, head[1] - size * 0.17),
            ],
            coat,
        )
        canvas.shape(
            [
                (x + side * size * 0.18, head[1] - size * 0.1),
                (x + side * size * 0.17, head[1] - size * 0.26),
                (x + side * size * 0.08, head[1] - size * 0.17),
            ],
            (240, 150, 150),
        )
    canvas.pen.ellipse((x - size * 0.23, head[1] - size * 0.2, x + size * 0.23, head[1] + size * 0.18), fill=coat)
    for stripe in (-1, 0, 1):
        canvas.pen.line(
            [(x + stripe * size * 0.05, head[1] - size * 0.19), (x + stripe * size * 0.04, head[1] - size * 0.1)],
            fill=dim,
            width=max(1, round(size * 0.02)),
        )
    _eyes(canvas, (x, head[1] - size * 0.02), size * 0.095, size * 0.045, (150, 214, 110))
    canvas.shape(
        [
            (x - size * 0.025, head[1] + size * 0.05),
            (x + size * 0.025, head[1] + size * 0.05),
            (x, head[1] + size * 0.08),
        ],
        (226, 120, 130),
    )
    for side in (-1, 1):
        for lift in (-0.02, 0.02):
            canvas.pen.line(
                [
                    (x + side * size * 0.09, head[1] + size * 0.08),
                    (x + side * size * 0.28, head[1] + size * (0.07 + lift * 2)),
                ],
                fill=(250, 250, 250),
                width=max(1, round(size * 0.006)),
            )


def draw_fox(canvas: Canvas, foot: Point, size: float) -> None:
    """A fox."""
    (x, y), coat = foot, canvas.coat or _FOX
    brush = [(0.12, -0.04), (0.34, -0.06), (0.5, -0.26), (0.46, -0.5), (0.36, -0.34), (0.2, -0.2)]
    canvas.shape(smooth([(x + dx * size, y + dy * size) for dx, dy in brush]), shade(coat, 0.9))
    tip = [(0.5, -0.27), (0.46, -0.52), (0.385, -0.36)]
    canvas.shape(smooth([(x + dx * size, y + dy * size) for dx, dy in tip]), (250, 244, 236))
    body = [(-0.2, 0), (-0.19, -0.28), (0, -0.54), (0.19, -0.28), (0.21, 0)]
    shadow(canvas, foot, size * 0.32)
    canvas.shape(smooth([(x + dx * size, y + dy * size) for dx, dy in body]), coat)
    bib = [(-0.1, -0.08), (-0.11, -0.34), (0, -0.46), (0.11, -0.34), (0.1, -0.08), (0, -0.02)]
    canvas.shape(smooth([(x + dx * size, y + dy * size) for dx, dy in bib]), (250, 244, 236))
    head = y - size * 0.6
    for side in (-1, 1):
        canvas.pen.ellipse(around((x + side * size * 0.1, y - size * 0.01), size * 0.06, 0.6), fill=(58, 40, 42))
        ear = [(0.23, -0.04), (0.21, -0.34), (0.03, -0.16)]
        canvas.shape([(x + side * dx * size, head + dy * size) for dx, dy in ear], coat)
        inner = [(0.19, -0.12), (0.19, -0.27), (0.09, -0.16)]
        canvas.shape([(x + side * dx * size, head + dy * size) for dx, dy in inner], (58, 40, 42))
    face = [(-0.25, -0.03), (-0.12, -0.19), (0.12, -0.19), (0.25, -0.03), (0, 0.22)]
    canvas.shape(smooth([(x + dx * size, head + dy * size) for dx, dy in face]), coat)
    for side in (-1, 1):
        cheek = [(0.24, 0.0), (0.1, 0.02), (0.0, 0.2), (0.12, 0.14)]
        canvas.shape(smooth([(x + side * dx * size, head + dy * size) for dx, dy in cheek]), (250, 244, 236))
    _eyes(canvas, (x, head - size * 0.03), size * 0.1, size * 0.03, (86, 54, 30))
    canvas.disc((x, head + size * 0.185), size * 0.035, (40, 30, 34))


def draw_dog(canvas: Canvas, foot: Point, size: float) -> None:
    """A dog."""
    (x, y), coat = foot, _fur(canvas)
    dim, pale = shade(coat, 0.72), mix(coat, (255, 255, 255), 0.6)
    shadow(canvas, foot, size * 0.34)
    canvas.pen.line(
        [(x + size * 0.2, y - size * 0.15), (x + size * 0.36, y - size * 0.36)], fill=dim, width=round(size * 0.08)
    )
    canvas.disc((x + size * 0.36, y - size * 0.36), size * 0.04, dim)
    canvas.shape(
        smooth(
            [
                (x - size * 0.23, y),
                (x - size * 0.2, y - size * 0.32),
                (x, y - size * 0.56),
                (x + size * 0.2, y - size * 0.32),
                (x + size * 0.25, y),
            ]
        ),
        coat,
    )
    canvas.pen.ellipse((x - size * 0.11, y - size * 0.42, x + size * 0.11, y), fill=pale)
    for side in (-1, 1):
        canvas.pen.ellipse(
            (
                x + side * size * 0.13 - size * 0.08,
                y - size * 0.07,
                x + side * size * 0.13 + size * 0.08,
                y + size * 0.03,
            ),
            fill=pale,
        )
    head = y - size * 0.66
    canvas.pen.ellipse((x - size * 0.21, head - size * 0.21, x + size * 0.21, head + size * 0.17), fill=coat)
    for side in (-1, 1):
        ear = [
            (x + side * size * 0.12, head - size * 0.19),
            (x + side * size * 0.29, head - size * 0.12),
            (x + side * size * 0.27, head + size * 0.14),
            (x + side * size * 0.17, head + size * 0.08),
        ]
        canvas.shape(smooth(ear), dim)
    canvas.pen.ellipse((x - size * 0.11, head - size * 0.02, x + size * 0.11, head + size * 0.17), fill=pale)
    _eyes(canvas, (x, head - size * 0.06), size * 0.09, size * 0.035, (92, 58, 36))
    canvas.pen.ellipse((x - size * 0.045, head + size * 0.01, x + size * 0.045, head + size * 0.07), fill=(34, 26, 32))
    canvas.pen.ellipse((x - size * 0.03, head + size * 0.11, x + size * 0.03, head + size * 0.2), fill=(236, 110, 120))
    canvas.pen.rectangle(
        (x - size * 0.15, head + size * 0.16, x + size * 0.15, head + size * 0.2), fill=canvas.palette.accent
    )


def draw_bunny(canvas: Canvas, foot: Point, size: float) -> None:
    """A bunny."""
    (x, y), coat = foot, (244, 238, 232)
    dim = shade(coat, 0.86)
    shadow(canvas, foot, size * 0.3)
    canvas.disc((x + size * 0.22, y - size * 0.1), size * 0.09, (255, 255, 255))
    canvas.pen.ellipse((x - size * 0.23, y - size * 0.44, x + size * 0.23, y), fill=dim)
    head = y - size * 0.5
    for side in (-1, 1):
        ear = around((x + side * size * 0.09, head - size * 0.3), size * 0.065, 3.2)
        canvas.pen.ellipse(ear, fill=coat)
        canvas.pen.ellipse(
            around((x + side * size * 0.09, head - size * 0.29), size * 0.033, 4.2), fill=(244, 176, 186)
        )
    canvas.pen.ellipse(around((x, head), size * 0.2, 0.9), fill=coat)
    _eyes(canvas, (x, head - size * 0.02), size * 0.09, size * 0.032, (70, 50, 60))
    canvas.disc((x, head + size * 0.06), size * 0.022, (240, 130, 150))
    for side in (-1, 1):
        canvas.pen.ellipse(
            (
                x + side * size * 0.1 - size * 0.07,
                y - size * 0.06,
                x + side * size * 0.1 + size * 0.07,
                y + size * 0.02,
            ),
            fill=coat,
        )


def draw_owl(canvas: Canvas, foot: Point, size: float) -> None:
    """An owl."""
    x, y = foot
    coat = mix((120, 86, 62), canvas.palette.near, 0.2)
    shadow(canvas, foot, size * 0.28)
    canvas.pen.ellipse((x - size * 0.26, y - size * 0.8, x + size * 0.26, y), fill=coat)
    for side in (-1, 1):
        canvas.shape(
            [
                (x + side * size * 0.22, y - size * 0.66),
                (x + side * size * 0.21, y - size * 0.9),
                (x + side * size * 0.04, y - size * 0.76),
            ],
            coat,
        )
        canvas.pen.ellipse(
            (
                x + side * size * 0.21 - size * 0.09,
                y - size * 0.5,
                x + side * size * 0.21 + size * 0.09,
                y - size * 0.08,
            ),
            fill=shade(coat, 0.75),
        )
    for row in range(3):
        for step in range(4 - row % 2):
            cx = x + (step - (3 - row % 2) / 2) * size * 0.09
            canvas.pen.ellipse(
                around((cx, y - size * (0.36 - 0.1 * row)), size * 0.05),
                fill=mix(coat, (255, 240, 214), 0.55 - 0.1 * row),
            )
    for side in (-1, 1):
        canvas.disc((x + side * size * 0.11, y - size * 0.6), size * 0.125, (255, 244, 222))
    _eyes(canvas, (x, y - size * 0.6), size * 0.11, size * 0.075, (255, 190, 40))
    canvas.shape(
        [(x - size * 0.04, y - size * 0.52), (x + size * 0.04, y - size * 0.52), (x, y - size * 0.42)], (240, 160, 50)
    )


def draw_birds(canvas: Canvas, foot: Point, size: float) -> None:
    """A few birds."""
    chance = canvas.chance
    ink = mix(canvas.palette.near, canvas.palette.light, 0.85 if canvas.palette.dark else 0.0)
    for _ in range(9):
        x, y = canvas.width * chance.uniform(0.12, 0.88), canvas.height * chance.uniform(0.1, 0.46)
        wing = canvas.unit * chance.uniform(2, 5.5)
        lift = wing * chance.uniform(0.25, 0.5)
        shape = [
            (x - wing, y - lift),
            (x - wing * 0.45, y - lift * 0.9),
            (x, y),
            (x + wing * 0.45, y - lift * 0.9),
            (x + wing, y - lift),
            (x + wing * 0.4, y - lift * 0.35),
            (x, y + wing * 0.16),
            (x - wing * 0.4, y - lift * 0.35),
        ]
        canvas.shape(shape, ink)


def draw_fish(canvas: Canvas, foot: Point, size: float) -> None:
    """A fish."""
    x, y = foot[0], foot[1] - size * 0.28
    coat = mix(canvas.palette.accent, (255, 130, 60), 0.5)
    canvas.shape(
        [
            (x + size * 0.3, y),
            (x + size * 0.58, y - size * 0.2),
            (x + size * 0.5, y),
            (x + size * 0.58, y + size * 0.2),
        ],
        shade(coat, 0.82),
    )
    canvas.shape(
        smooth(
            [
                (x - size * 0.42, y),
                (x - size * 0.05, y - size * 0.23),
                (x + size * 0.36, y),
                (x - size * 0.05, y + size * 0.23),
            ]
        ),
        coat,
    )
    for stripe in (-0.12, 0.08):
        canvas.pen.line(
            [
                (x + size * stripe, y - size * 0.19),
                (x + size * (stripe + 0.03), y),
                (x + size * stripe, y + size * 0.19),
            ],
            fill=(255, 250, 240),
            width=round(size * 0.06),
            joint="curve",
        )
    canvas.shape(
        [(x - size * 0.05, y - size * 0.2), (x + size * 0.12, y - size * 0.34), (x + size * 0.18, y - size * 0.13)],
        shade(coat, 0.82),
    )
    canvas.disc((x - size * 0.27, y - size * 0.05), size * 0.05, (255, 255, 255))
    canvas.disc((x - size * 0.275, y - size * 0.05), size * 0.028, (20, 20, 30))
    for number in range(4):
        canvas.pen.ellipse(
            around(
                (x - size * (0.5 + 0.03 * number), y - size * (0.16 + 0.15 * number)), size * (0.02 + 0.012 * number)
            ),
            outline=canvas.palette.light,
            width=max(1, round(size * 0.01)),
        )


def draw_butterfly(canvas: Canvas, foot: Point, size: float) -> None:
    """A butterfly."""
    x, y = foot[0], foot[1] - size * 0.6
    tint = canvas.palette.accent
    for side in (-1, 1):
        upper = smooth(
            [
                (x, y),
                (x + side * size * 0.16, y - size * 0.32),
                (x + side * size * 0.44, y - size * 0.34),
                (x + side * size * 0.36, y - size * 0.02),
            ]
        )
        lower = smooth(
            [
                (x, y),
                (x + side * size * 0.3, y + size * 0.04),
                (x + side * size * 0.3, y + size * 0.3),
                (x + side * size * 0.1, y + size * 0.24),
            ]
        )
        canvas.shape(lower, shade(tint, 0.8))
        canvas.shape(upper, tint)
        canvas.disc((x + side * size * 0.29, y - size * 0.2), size * 0.07, mix(tint, (255, 255, 255), 0.65))
        canvas.disc((x + side * size * 0.22, y + size * 0.17), size * 0.05, mix(tint, (255, 255, 255), 0.5))
        canvas.pen.line(
            [(x, y - size * 0.16), (x + side * size * 0.1, y - size * 0.32)],
            fill=(40, 32, 44),
            width=max(1, round(size * 0.012)),
        )
    canvas.pen.ellipse((x - size * 0.03, y - size * 0.18, x + size * 0.03, y + size * 0.24), fill=(40, 32, 44))
