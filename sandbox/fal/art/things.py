"""People and things: boats, rockets, robots, balloons, cups. Each stands on `foot` and is `size` pixels high."""

from __future__ import annotations

import math

from sandbox.fal.art.backgrounds import planet
from sandbox.fal.art.canvas import Canvas, Point, smooth
from sandbox.fal.art.palette import mix, shade
from sandbox.fal.art.shadow import shadow


def draw_boat(canvas: Canvas, foot: Point, size: float) -> None:
    """A boat."""
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


def draw_robot(canvas: Canvas, foot: Point, size: float) -> None:
    """A robot."""
    (x, y), palette = foot, canvas.palette
    steel = mix((186, 198, 212), palette.sky[1], 0.2)
    dim = shade(steel, 0.72)
    shadow(canvas, foot, size * 0.3)
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


def draw_person(canvas: Canvas, foot: Point, size: float) -> None:
    """A person."""
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


def draw_rocket(canvas: Canvas, foot: Point, size: float) -> None:
    """A rocket."""
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


def draw_balloons(canvas: Canvas, foot: Point, size: float) -> None:
    """Balloons."""
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


def draw_cup(canvas: Canvas, foot: Point, size: float) -> None:
    """A cup."""
    (x, y), palette = foot, canvas.palette
    mug = mix((250, 246, 238), palette.accent, 0.25)
    shadow(canvas, foot, size * 0.45)
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


def draw_planet(canvas: Canvas, foot: Point, size: float) -> None:
    """A planet."""
    planet(canvas, (foot[0], canvas.height * 0.32), size * 0.36, ringed=True)


def draw_heart(canvas: Canvas, foot: Point, size: float) -> None:
    """A heart."""
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
