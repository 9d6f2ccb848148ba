"""The shadow under what stands on the ground."""

from __future__ import annotations

from sandbox.fal.art.canvas import Canvas, Point


def shadow(canvas: Canvas, foot: Point, half: float) -> None:
    """An ellipse around `foot`, `half` as wide to either side."""
    canvas.glaze.ellipse(
        (foot[0] - half, foot[1] - half * 0.14, foot[0] + half, foot[1] + half * 0.14), fill=(0, 0, 0, 70)
    )
