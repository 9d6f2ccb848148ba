"""What a prompt puts into the picture: animals, people, things. Each stands on `foot` and is `size` high."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sandbox.fal.art.canvas import Canvas, Point, around, smooth
from sandbox.fal.art.palette import Colour, Scene, mix, shade
from sandbox.fal.art.places import planet, round_tree


def paint_figures(canvas: Canvas, scene: Scene, ground: float) -> None:
    """Paint the scene's subjects side by side."""
    count = len(scene.subjects)
    for number, name in enumerate(scene.subjects):
        x = canvas.width * (0.5 if count == 1 else (0.33, 0.69)[number]) + canvas.chance.uniform(-3, 3) * canvas.unit
        size = canvas.unit * (46 if count == 1 else 36)
        if name == "boat" and scene.ground == "sea":
            _boat(canvas, (x, ground), size)
            continue
        _FIGURES[name](canvas, (x, ground), size)


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


def _shadow(canvas: Canvas, foot: Point, half: float) -> None:
    canvas.glaze.ellipse(
        (foot[0] - half, foot[1] - half * 0.14, foot[0] + half, foot[1] + half * 0.14), fill=(0, 0, 0, 70)
    )


def _eyes(canvas: Canvas, centre: Point, gap: float, size: float, iris: Colour) -> None:
    for side in (-1, 1):
        x, y = centre[0] + side * gap, centre[1]
        canvas.pen.ellipse((x - size, y - size * 1.1, x + size, y + size * 1.1), fill=iris)
        canvas.pen.ellipse((x - size * 0.45, y - size * 0.9, x + size * 0.45, y + size * 0.9), fill=(18, 16, 26))
        canvas.disc((x - size * 0.25, y - size * 0.4), size * 0.28, (255, 255, 255))


def _cat(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), coat = foot, _fur(canvas)
    dim, pale = shade(coat, 0.78), mix(coat, (255, 255, 255), 0.5)
    _shadow(canvas, foot, size * 0.34)
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


def _fox(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), coat = foot, canvas.coat or _FOX
    brush = [(0.12, -0.04), (0.34, -0.06), (0.5, -0.26), (0.46, -0.5), (0.36, -0.34), (0.2, -0.2)]
    canvas.shape(smooth([(x + dx * size, y + dy * size) for dx, dy in brush]), shade(coat, 0.9))
    tip = [(0.5, -0.27), (0.46, -0.52), (0.385, -0.36)]
    canvas.shape(smooth([(x + dx * size, y + dy * size) for dx, dy in tip]), (250, 244, 236))
    body = [(-0.2, 0), (-0.19, -0.28), (0, -0.54), (0.19, -0.28), (0.21, 0)]
    _shadow(canvas, foot, size * 0.32)
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


def _dog(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), coat = foot, _fur(canvas)
    dim, pale = shade(coat, 0.72), mix(coat, (255, 255, 255), 0.6)
    _shadow(canvas, foot, size * 0.34)
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


def _bunny(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), coat = foot, (244, 238, 232)
    dim = shade(coat, 0.86)
    _shadow(canvas, foot, size * 0.3)
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


def _owl(canvas: Canvas, foot: Point, size: float) -> None:
    x, y = foot
    coat = mix((120, 86, 62), canvas.palette.near, 0.2)
    _shadow(canvas, foot, size * 0.28)
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


def _birds(canvas: Canvas, foot: Point, size: float) -> None:
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


def _fish(canvas: Canvas, foot: Point, size: float) -> None:
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


def _flower(canvas: Canvas, foot: Point, size: float) -> None:
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


def _house(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), palette = foot, canvas.palette
    wall, roof = mix((246, 232, 210), palette.sky[2], 0.25), mix((176, 66, 54), palette.accent, 0.3)
    _shadow(canvas, foot, size * 0.5)
    canvas.pen.rectangle((x + size * 0.2, y - size * 0.82, x + size * 0.29, y - size * 0.5), fill=shade(roof, 0.7))
    canvas.pen.rectangle((x - size * 0.36, y - size * 0.42, x + size * 0.36, y), fill=wall)
    canvas.pen.rectangle((x + size * 0.12, y - size * 0.42, x + size * 0.36, y), fill=shade(wall, 0.88))
    canvas.shape(
        [(x - size * 0.46, y - size * 0.4), (x - size * 0.02, y - size * 0.8), (x + size * 0.46, y - size * 0.4)], roof
    )
    canvas.shape(
        [(x - size * 0.02, y - size * 0.8), (x + size * 0.46, y - size * 0.4), (x + size * 0.14, y - size * 0.4)],
        shade(roof, 0.82),
    )
    canvas.pen.rectangle((x - size * 0.07, y - size * 0.24, x + size * 0.07, y), fill=shade(roof, 0.6))
    for left in (-0.28, 0.16):
        box = (x + size * left, y - size * 0.3, x + size * (left + 0.13), y - size * 0.15)
        canvas.glow(
            ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), size * 0.2, (255, 214, 120), 0.7 if palette.dark else 0.25
        )
        canvas.pen.rectangle(box, fill=(255, 224, 140))
    for puff in range(4):
        canvas.disc(
            (x + size * (0.25 + 0.05 * puff), y - size * (0.88 + 0.1 * puff)),
            size * (0.035 + 0.018 * puff),
            palette.light,
            150 - 25 * puff,
        )


def _castle(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), palette = foot, canvas.palette
    wall, roof = mix((206, 196, 214), palette.sky[2], 0.3), mix(palette.accent, (120, 70, 160), 0.5)
    size *= 1.25
    for left, wide, rise in ((-0.42, 0.18, 0.5), (0.24, 0.18, 0.56), (-0.2, 0.4, 0.42), (-0.07, 0.15, 0.78)):
        box = (x + size * left, y - size * rise, x + size * (left + wide), y)
        canvas.pen.rectangle(box, fill=wall)
        canvas.pen.rectangle((box[2] - (box[2] - box[0]) * 0.3, box[1], box[2], y), fill=shade(wall, 0.86))
        if wide < 0.3:
            peak = (box[0] + box[2]) / 2
            canvas.shape(
                [(box[0] - size * 0.025, box[1]), (peak, box[1] - size * 0.24), (box[2] + size * 0.025, box[1])], roof
            )
            canvas.pen.line(
                [(peak, box[1] - size * 0.24), (peak, box[1] - size * 0.32)],
                fill=shade(roof, 0.6),
                width=max(1, round(size * 0.008)),
            )
            canvas.shape(
                [
                    (peak, box[1] - size * 0.32),
                    (peak + size * 0.08, box[1] - size * 0.295),
                    (peak, box[1] - size * 0.27),
                ],
                palette.accent,
            )
            canvas.pen.rounded_rectangle(
                (peak - size * 0.02, box[1] + size * 0.06, peak + size * 0.02, box[1] + size * 0.14),
                size * 0.02,
                fill=(255, 222, 140),
            )
        else:
            for tooth in range(5):
                canvas.pen.rectangle(
                    (
                        box[0] + tooth * size * 0.09,
                        box[1] - size * 0.04,
                        box[0] + tooth * size * 0.09 + size * 0.05,
                        box[1],
                    ),
                    fill=wall,
                )
    canvas.pen.pieslice(
        (x - size * 0.08, y - size * 0.24, x + size * 0.08, y + size * 0.1), 180, 360, fill=(64, 42, 40)
    )


def _boat(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), palette = foot, canvas.palette
    canvas.shape(
        [
            (x - size * 0.4, y - size * 0.16),
            (x + size * 0.42, y - size * 0.16),
            (x + size * 0.3, y + size * 0.02),
            (x - size * 0.3, y + size * 0.02),
        ],
        (128, 62, 48),
    )
    canvas.shape(
        [
            (x - size * 0.4, y - size * 0.16),
            (x + size * 0.42, y - size * 0.16),
            (x + size * 0.4, y - size * 0.12),
            (x - size * 0.38, y - size * 0.12),
        ],
        (240, 226, 200),
    )
    canvas.pen.rectangle((x - size * 0.012, y - size * 0.9, x + size * 0.012, y - size * 0.16), fill=(92, 60, 44))
    canvas.shape(
        [(x + size * 0.03, y - size * 0.88), (x + size * 0.36, y - size * 0.22), (x + size * 0.03, y - size * 0.22)],
        mix((255, 255, 255), palette.accent, 0.12),
    )
    canvas.shape(
        [(x - size * 0.03, y - size * 0.8), (x - size * 0.3, y - size * 0.22), (x - size * 0.03, y - size * 0.22)],
        mix(palette.accent, (255, 255, 255), 0.2),
    )
    for row in range(6):
        half = size * (0.34 - 0.04 * row)
        canvas.glaze.ellipse(
            (x - half, y + size * (0.02 + 0.035 * row), x + half, y + size * (0.035 + 0.035 * row)),
            fill=(*palette.light, 90),
        )


def _lighthouse(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), palette = foot, canvas.palette
    size *= 1.3
    y += size * 0.06
    canvas.shape(
        smooth(
            [
                (x - size * 0.4, y + size * 0.1),
                (x - size * 0.26, y - size * 0.08),
                (x, y - size * 0.13),
                (x + size * 0.28, y - size * 0.06),
                (x + size * 0.42, y + size * 0.1),
            ]
        ),
        mix((74, 66, 76), palette.near, 0.4),
    )
    lamp = (x, y - size * 0.86)
    for side in (-1, 1):
        canvas.shape(
            [lamp, (x + side * canvas.width, lamp[1] - size * 0.2), (x + side * canvas.width, lamp[1] + size * 0.12)],
            (255, 240, 170),
            54,
        )
    for band in range(6):
        low, high = 0.06 + band * 0.12, 0.06 + (band + 1) * 0.12
        half = [0.125 - 0.075 * level for level in (low, high)]
        tint = (214, 60, 56) if band % 2 else (250, 246, 240)
        canvas.shape(
            [
                (x - size * half[0], y - size * low),
                (x - size * half[1], y - size * high),
                (x + size * half[1], y - size * high),
                (x + size * half[0], y - size * low),
            ],
            tint,
        )
        canvas.shape(
            [
                (x + size * half[0] * 0.35, y - size * low),
                (x + size * half[1] * 0.35, y - size * high),
                (x + size * half[1], y - size * high),
                (x + size * half[0], y - size * low),
            ],
            shade(tint, 0.84),
        )
    canvas.pen.rectangle((x - size * 0.1, y - size * 0.8, x + size * 0.1, y - size * 0.775), fill=(54, 50, 62))
    canvas.pen.rectangle((x - size * 0.055, y - size * 0.92, x + size * 0.055, y - size * 0.8), fill=(255, 232, 140))
    canvas.shape(
        [(x - size * 0.08, y - size * 0.92), (x, y - size * 1.02), (x + size * 0.08, y - size * 0.92)], (180, 50, 48)
    )
    canvas.glow(lamp, size * 0.3, (255, 244, 190), 0.9)


def _robot(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), palette = foot, canvas.palette
    steel = mix((186, 198, 212), palette.sky[1], 0.2)
    dim = shade(steel, 0.72)
    _shadow(canvas, foot, size * 0.3)
    for side in (-1, 1):
        canvas.pen.rectangle(
            (x + side * size * 0.12 - size * 0.05, y - size * 0.18, x + side * size * 0.12 + size * 0.05, y), fill=dim
        )
        canvas.pen.line(
            [
                (x + side * size * 0.22, y - size * 0.46),
                (x + side * size * 0.36, y - size * 0.3),
                (x + side * size * 0.34, y - size * 0.16),
            ],
            fill=dim,
            width=round(size * 0.06),
            joint="curve",
        )
        canvas.disc((x + side * size * 0.34, y - size * 0.14), size * 0.05, steel)
    canvas.pen.rounded_rectangle(
        (x - size * 0.23, y - size * 0.55, x + size * 0.23, y - size * 0.14), size * 0.07, fill=steel
    )
    canvas.pen.rounded_rectangle(
        (x - size * 0.13, y - size * 0.45, x + size * 0.13, y - size * 0.28), size * 0.03, fill=(36, 44, 62)
    )
    for number in range(3):
        canvas.disc(
            (x + (number - 1) * size * 0.075, y - size * 0.36),
            size * 0.024,
            ((255, 96, 96), (255, 214, 92), (110, 230, 150))[number],
        )
    canvas.pen.line([(x, y - size * 0.86), (x, y - size * 0.97)], fill=dim, width=max(1, round(size * 0.02)))
    canvas.glow((x, y - size * 0.99), size * 0.12, palette.accent, 0.9)
    canvas.disc((x, y - size * 0.99), size * 0.035, palette.accent)
    canvas.pen.rounded_rectangle(
        (x - size * 0.2, y - size * 0.87, x + size * 0.2, y - size * 0.58), size * 0.08, fill=steel
    )
    canvas.pen.rounded_rectangle(
        (x - size * 0.16, y - size * 0.82, x + size * 0.16, y - size * 0.64), size * 0.05, fill=(24, 30, 46)
    )
    for side in (-1, 1):
        canvas.glow((x + side * size * 0.075, y - size * 0.73), size * 0.08, (120, 236, 255), 0.8)
        canvas.disc((x + side * size * 0.075, y - size * 0.73), size * 0.035, (170, 246, 255))


def _person(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), palette, chance = foot, canvas.palette, canvas.chance
    size *= 1.15
    coat = mix(palette.accent, (70, 60, 120), 0.45)
    skin = chance.choice(((242, 206, 178), (198, 146, 108), (130, 88, 62)))
    hair = chance.choice(((46, 34, 36), (120, 68, 36), (226, 178, 96), (188, 188, 198)))
    canvas.glow((x, y - size * 0.66), size * 0.55, palette.light, 0.55)
    canvas.pen.ellipse((x - size * 0.19, y - size * 0.9, x + size * 0.19, y - size * 0.44), fill=hair)
    canvas.shape(
        smooth(
            [
                (x - size * 0.38, y + size * 0.12),
                (x - size * 0.32, y - size * 0.24),
                (x, y - size * 0.4),
                (x + size * 0.32, y - size * 0.24),
                (x + size * 0.38, y + size * 0.12),
            ]
        ),
        coat,
    )
    canvas.shape(
        [(x - size * 0.1, y - size * 0.38), (x + size * 0.1, y - size * 0.38), (x, y - size * 0.18)],
        mix(coat, (255, 255, 255), 0.6),
    )
    canvas.pen.rectangle((x - size * 0.055, y - size * 0.5, x + size * 0.055, y - size * 0.34), fill=shade(skin, 0.85))
    canvas.pen.ellipse((x - size * 0.14, y - size * 0.82, x + size * 0.14, y - size * 0.44), fill=skin)
    canvas.pen.pieslice((x - size * 0.17, y - size * 0.92, x + size * 0.17, y - size * 0.54), 178, 362, fill=hair)
    for side in (-1, 1):
        canvas.disc((x + side * size * 0.055, y - size * 0.64), size * 0.018, (36, 30, 40))
        canvas.disc((x + side * size * 0.085, y - size * 0.57), size * 0.028, mix(skin, (240, 110, 110), 0.4))
    canvas.pen.arc(
        (x - size * 0.05, y - size * 0.59, x + size * 0.05, y - size * 0.52),
        20,
        160,
        fill=shade(skin, 0.5),
        width=max(1, round(size * 0.014)),
    )


def _rocket(canvas: Canvas, foot: Point, size: float) -> None:
    x, y = foot[0], foot[1] - size * 0.45
    size *= 1.1
    for reach, tint in ((0.44, (255, 120, 40)), (0.32, (255, 190, 60)), (0.18, (255, 244, 200))):
        canvas.shape(
            smooth(
                [(x - size * 0.1, y + size * 0.1), (x, y + size * (0.12 + reach)), (x + size * 0.1, y + size * 0.1)]
            ),
            tint,
        )
    for side in (-1, 1):
        canvas.shape(
            [
                (x + side * size * 0.14, y - size * 0.2),
                (x + side * size * 0.3, y + size * 0.16),
                (x + side * size * 0.1, y + size * 0.1),
            ],
            (214, 66, 70),
        )
    canvas.shape(
        smooth(
            [
                (x, y - size * 0.72),
                (x + size * 0.17, y - size * 0.3),
                (x + size * 0.13, y + size * 0.12),
                (x - size * 0.13, y + size * 0.12),
                (x - size * 0.17, y - size * 0.3),
            ]
        ),
        (242, 244, 250),
    )
    canvas.shape(
        [(x - size * 0.115, y - size * 0.5), (x, y - size * 0.76), (x + size * 0.115, y - size * 0.5)], (214, 66, 70)
    )
    canvas.disc((x, y - size * 0.27), size * 0.085, (54, 66, 96))
    canvas.disc((x, y - size * 0.27), size * 0.06, (130, 214, 246))


def _balloons(canvas: Canvas, foot: Point, size: float) -> None:
    palette, chance = canvas.palette, canvas.chance
    for x, y, grow in ((0.5, 0.32, 1.0), (0.2, 0.22, 0.5), (0.8, 0.4, 0.62), (0.68, 0.14, 0.34)):
        centre, radius = (canvas.width * x, canvas.height * y), size * 0.38 * grow
        tints = chance.sample(
            [palette.accent, (232, 82, 84), (255, 196, 70), (72, 146, 220), (250, 246, 238), (120, 190, 120)], 2
        )
        for side in (-1, 1):
            canvas.pen.line(
                [
                    (centre[0] + side * radius * 0.4, centre[1] + radius * 0.8),
                    (centre[0] + side * radius * 0.16, centre[1] + radius * 1.5),
                ],
                fill=(90, 66, 52),
                width=max(1, round(radius * 0.03)),
            )
        canvas.shape(
            [
                (centre[0] - radius * 0.86, centre[1] + radius * 0.45),
                (centre[0] + radius * 0.86, centre[1] + radius * 0.45),
                (centre[0] + radius * 0.2, centre[1] + radius * 1.25),
                (centre[0] - radius * 0.2, centre[1] + radius * 1.25),
            ],
            tints[0],
        )
        for stripe, share in enumerate((1.0, 0.74, 0.44, 0.14)):
            box = (centre[0] - radius * share, centre[1] - radius, centre[0] + radius * share, centre[1] + radius)
            canvas.pen.ellipse(box, fill=tints[stripe % 2])
        canvas.glow((centre[0] - radius * 0.35, centre[1] - radius * 0.4), radius * 0.8, (255, 255, 255), 0.4)
        canvas.pen.rounded_rectangle(
            (
                centre[0] - radius * 0.19,
                centre[1] + radius * 1.45,
                centre[0] + radius * 0.19,
                centre[1] + radius * 1.75,
            ),
            radius * 0.05,
            fill=(150, 98, 60),
        )


def _mushroom(canvas: Canvas, foot: Point, size: float) -> None:
    for dx, grow in ((0.0, 0.9), (-0.36, 0.5), (0.36, 0.4)):
        x, y, tall = foot[0] + dx * size, foot[1], size * grow
        _shadow(canvas, (x, y), tall * 0.25)
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


def _cup(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), palette = foot, canvas.palette
    mug = mix((250, 246, 238), palette.accent, 0.25)
    _shadow(canvas, foot, size * 0.45)
    canvas.pen.ellipse((x - size * 0.46, y - size * 0.1, x + size * 0.46, y + size * 0.04), fill=shade(mug, 0.9))
    canvas.pen.arc(
        (x + size * 0.18, y - size * 0.42, x + size * 0.46, y - size * 0.12),
        -90,
        120,
        fill=shade(mug, 0.85),
        width=round(size * 0.06),
    )
    canvas.shape(
        [
            (x - size * 0.31, y - size * 0.5),
            (x + size * 0.31, y - size * 0.5),
            (x + size * 0.22, y - size * 0.04),
            (x - size * 0.22, y - size * 0.04),
        ],
        mug,
    )
    canvas.shape(
        [
            (x + size * 0.1, y - size * 0.5),
            (x + size * 0.31, y - size * 0.5),
            (x + size * 0.22, y - size * 0.04),
            (x + size * 0.08, y - size * 0.04),
        ],
        shade(mug, 0.92),
    )
    canvas.pen.ellipse((x - size * 0.31, y - size * 0.57, x + size * 0.31, y - size * 0.43), fill=shade(mug, 0.95))
    canvas.pen.ellipse((x - size * 0.27, y - size * 0.55, x + size * 0.27, y - size * 0.45), fill=(104, 62, 40))
    for stream in (-0.12, 0.02, 0.15):
        curl = [
            (x + size * (stream + 0.04 * math.sin(step * 0.7 + stream * 20)), y - size * (0.6 + 0.035 * step))
            for step in range(12)
        ]
        canvas.glaze.line(curl, fill=(255, 255, 255, 130), width=max(1, round(size * 0.03)), joint="curve")


def _planet(canvas: Canvas, foot: Point, size: float) -> None:
    planet(canvas, (foot[0], canvas.height * 0.32), size * 0.36, ringed=True)


def _cactus(canvas: Canvas, foot: Point, size: float) -> None:
    (x, y), green = foot, mix((62, 132, 82), canvas.palette.near, 0.15)
    _shadow(canvas, foot, size * 0.25)
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


def _heart(canvas: Canvas, foot: Point, size: float) -> None:
    centre = (foot[0], foot[1] - size * 0.5)
    tint = mix((226, 46, 84), canvas.palette.accent, 0.15)
    canvas.glow(centre, size * 0.8, tint, 0.6)
    outline = []
    for step in range(64):
        angle = step / 64 * math.tau
        outline.append(
            (
                centre[0] + size * 0.025 * 16 * math.sin(angle) ** 3,
                centre[1]
                - size
                * 0.025
                * (13 * math.cos(angle) - 5 * math.cos(2 * angle) - 2 * math.cos(3 * angle) - math.cos(4 * angle)),
            )
        )
    canvas.shape(outline, tint)
    canvas.glow((centre[0] - size * 0.18, centre[1] - size * 0.16), size * 0.2, (255, 255, 255), 0.7)


def _butterfly(canvas: Canvas, foot: Point, size: float) -> None:
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


def _tree(canvas: Canvas, foot: Point, size: float) -> None:
    _shadow(canvas, foot, size * 0.4)
    round_tree(canvas, foot, size * 0.34, mix(canvas.palette.near, canvas.palette.accent, 0.45))


def _pumpkin(canvas: Canvas, foot: Point, size: float) -> None:
    x, y = foot
    size *= 0.85
    skin = (236, 122, 36)
    _shadow(canvas, foot, size * 0.45)
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


_FIGURES: Mapping[str, Callable[[Canvas, Point, float], None]] = {
    "cat": _cat,
    "fox": _fox,
    "dog": _dog,
    "bunny": _bunny,
    "owl": _owl,
    "bird": _birds,
    "fish": _fish,
    "flower": _flower,
    "house": _house,
    "castle": _castle,
    "boat": _boat,
    "lighthouse": _lighthouse,
    "robot": _robot,
    "person": _person,
    "rocket": _rocket,
    "balloon": _balloons,
    "mushroom": _mushroom,
    "cup": _cup,
    "planet": _planet,
    "cactus": _cactus,
    "heart": _heart,
    "butterfly": _butterfly,
    "tree": _tree,
    "pumpkin": _pumpkin,
}
