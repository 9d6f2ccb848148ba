"""Houses, castles, lighthouses. Each stands on `foot` and is `size` pixels high."""

from __future__ import annotations

from sandbox.fal.art.canvas import Canvas, Point, smooth
from sandbox.fal.art.palette import mix, shade
from sandbox.fal.art.shadow import shadow


def draw_house(canvas: Canvas, foot: Point, size: float) -> None:
    """A house."""
    (x, y), palette = foot, canvas.palette
    wall, roof = mix((246, 232, 210), palette.sky[2], 0.25), mix((176, 66, 54), palette.accent, 0.3)
    shadow(canvas, foot, size * 0.5)
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


def draw_castle(canvas: Canvas, foot: Point, size: float) -> None:
    """A castle."""
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


def draw_lighthouse(canvas: Canvas, foot: Point, size: float) -> None:
    """A lighthouse."""
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
