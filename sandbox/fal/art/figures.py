"""What a prompt puts into the picture: animals, plants, buildings, people and things."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sandbox.fal.art import animals, buildings, plants, things
from sandbox.fal.art.canvas import Canvas, Point
from sandbox.fal.art.palette import Scene


def paint_figures(canvas: Canvas, scene: Scene, ground: float) -> None:
    """Paint the scene's subjects side by side."""
    count = len(scene.subjects)
    for number, name in enumerate(scene.subjects):
        x = canvas.width * (0.5 if count == 1 else (0.33, 0.69)[number]) + canvas.chance.uniform(-3, 3) * canvas.unit
        size = canvas.unit * (46 if count == 1 else 36)
        if name == "boat" and scene.ground == "sea":
            things.draw_boat(canvas, (x, ground), size)
            continue
        _FIGURES[name](canvas, (x, ground), size)


_FIGURES: Mapping[str, Callable[[Canvas, Point, float], None]] = {
    "cat": animals.draw_cat,
    "fox": animals.draw_fox,
    "dog": animals.draw_dog,
    "bunny": animals.draw_bunny,
    "owl": animals.draw_owl,
    "bird": animals.draw_birds,
    "fish": animals.draw_fish,
    "flower": plants.draw_flower,
    "house": buildings.draw_house,
    "castle": buildings.draw_castle,
    "boat": things.draw_boat,
    "lighthouse": buildings.draw_lighthouse,
    "robot": things.draw_robot,
    "person": things.draw_person,
    "rocket": things.draw_rocket,
    "balloon": things.draw_balloons,
    "mushroom": plants.draw_mushroom,
    "cup": things.draw_cup,
    "planet": things.draw_planet,
    "cactus": plants.draw_cactus,
    "heart": things.draw_heart,
    "butterfly": animals.draw_butterfly,
    "tree": plants.draw_tree,
    "pumpkin": plants.draw_pumpkin,
}
