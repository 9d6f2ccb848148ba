"""Backgrounds: sky and land of the places a prompt can name, and the abstract ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from sandbox.fal.art.canvas import Canvas, Point, around
from sandbox.fal.art.palette import Colour, Scene, mix, shade


def paint_background(canvas: Canvas, scene: Scene) -> float:
    """Paint the whole background; returns the height at which a subject stands (its feet)."""
    return _BACKGROUNDS[scene.ground](canvas, scene)


def sky(canvas: Canvas, scene: Scene, horizon: float) -> Point:
    """Gradient, stars or clouds, and a sun or moon; returns where that light is."""
    palette, chance = canvas.palette, canvas.chance
    light = (canvas.width * chance.uniform(0.2, 0.8), horizon * chance.uniform(0.28, 0.72))
    radius = canvas.unit * chance.uniform(8, 13)
    _air(canvas, scene, horizon, light, radius)
    if palette.dark or "stars" in scene.weather:
        stars(canvas, 130 if palette.dark else 50, horizon)
    canvas.disc(light, radius, mix(palette.light, palette.accent, 0.0 if palette.dark else 0.25))
    if scene.mood == "night":
        _craters(canvas, light, radius)
    return light


def _air(canvas: Canvas, scene: Scene, horizon: float, light: Point, radius: float) -> None:
    palette, soft = canvas.palette, canvas.small()
    scale = soft.width / canvas.width
    low, centre = horizon * scale, (light[0] * scale, light[1] * scale)
    soft.gradient([*palette.sky, palette.sky[2]], 0, low * 1.08)
    soft.pen.rectangle((0, round(low * 1.08), soft.width, soft.height), fill=palette.sky[2])
    if scene.mood == "aurora":
        _aurora(soft, low)
    elif not palette.dark or "clouds" in scene.weather:
        soft.cloudy(palette.light, 0.5, detail=3, stretch=3.0, box=(0, 0, soft.width, low))
    if scene.ground == "city":
        soft.glow((soft.width * 0.5, low), soft.width * 0.6, mix(palette.sky[2], palette.light, 0.3), 0.5)
    soft.glow(centre, radius * scale * 4.5, mix(palette.sky[2], palette.accent, 0.5), 0.75)
    soft.glow(centre, radius * scale * 2.2, palette.light, 0.7)
    canvas.lay(soft, horizon * 1.12)
    canvas.pen.rectangle((0, round(horizon * 1.12), canvas.width, canvas.height), fill=palette.sky[2])


def stars(canvas: Canvas, count: int, bottom: float) -> None:
    """Points of light, a few of them with rays."""
    palette, chance, unit = canvas.palette, canvas.chance, canvas.unit
    for x, y in canvas.scattered(count, 0, bottom):
        size = unit * chance.choice((0.12, 0.16, 0.2, 0.3))
        tint = mix(palette.light, chance.choice((palette.accent, palette.sky[2], palette.light)), 0.4)
        canvas.disc((x, y), size, mix(palette.sky[0], tint, chance.uniform(0.5, 1)))
    for x, y in canvas.scattered(count // 22, 0, bottom * 0.8):
        reach, thin = unit * chance.uniform(1.2, 2.2), unit * 0.18
        canvas.glow((x, y), reach * 1.4, palette.light, 0.45)
        canvas.shape([(x - reach, y), (x, y - thin), (x + reach, y), (x, y + thin)], palette.light)
        canvas.shape([(x, y - reach), (x - thin, y), (x, y + reach), (x + thin, y)], palette.light)


def _craters(canvas: Canvas, centre: Point, radius: float) -> None:
    for dx, dy, size in ((-0.35, -0.2, 0.22), (0.3, 0.25, 0.16), (0.1, -0.5, 0.1), (-0.15, 0.45, 0.13)):
        canvas.disc((centre[0] + dx * radius, centre[1] + dy * radius), radius * size, shade(canvas.palette.light, 0.9))


def _aurora(canvas: Canvas, horizon: float) -> None:
    palette, chance = canvas.palette, canvas.chance
    tints = (palette.accent, mix(palette.accent, (120, 160, 255), 0.6), mix(palette.accent, (220, 90, 255), 0.5))
    for ribbon, tint in enumerate(tints):
        phase, rate = chance.uniform(0, math.tau), chance.uniform(0.7, 1.3)
        base = horizon * (0.3 + 0.18 * ribbon)
        for step in range(46):
            share = step / 45
            y = base + math.sin(share * math.tau * rate + phase) * horizon * 0.14
            canvas.glow((share * canvas.width, y), horizon * chance.uniform(0.16, 0.24), tint, 0.13)


def _hills(canvas: Canvas, scene: Scene) -> float:
    palette, height, unit = canvas.palette, canvas.height, canvas.unit
    horizon = height * 0.56
    sky(canvas, scene, horizon)
    layers = 5
    for layer in range(layers):
        share = layer / (layers - 1)
        colour = mix(palette.sky[2], palette.land(share), 0.35 + 0.65 * share)
        line = canvas.ridge(horizon + (height * 0.9 - horizon) * share**1.25, unit * (9 - 4 * share), colour, waves=1.1)
        if layer in (2, 3):
            _copse(canvas, line, shade(palette.land(share), 0.72), unit * (1.6 + 1.8 * share))
        if "fog" in scene.weather and layer < 4:
            canvas.cloudy(palette.light, 0.55, box=(0, horizon, canvas.width, height * (0.6 + 0.1 * layer)))
    return height * 0.84


def _copse(canvas: Canvas, line: list[Point], colour: Colour, size: float) -> None:
    chance = canvas.chance
    for _ in range(chance.randint(2, 4)):
        start = chance.randrange(4, len(line) - 10)
        for x, y in line[start : start + chance.randint(3, 6)]:
            round_tree(
                canvas,
                (x + chance.uniform(-size, size) * 0.6, y + size * 0.2),
                size * chance.uniform(0.7, 1.25),
                colour,
            )


def round_tree(canvas: Canvas, foot: Point, size: float, colour: Colour) -> None:
    """A leaf tree, `size` is the radius of its crown."""
    x, y = foot
    canvas.pen.rectangle((x - size * 0.12, y - size * 1.6, x + size * 0.12, y + size * 0.2), fill=shade(colour, 0.6))
    for dx, dy, grow in ((0, -2.1, 1.0), (-0.55, -1.6, 0.75), (0.55, -1.65, 0.78)):
        canvas.disc((x + dx * size, y + dy * size), size * grow, colour)
    canvas.disc((x - size * 0.3, y - size * 2.35), size * 0.55, shade(colour, 1.12))


def pine(canvas: Canvas, foot: Point, size: float, colour: Colour, *, snowy: bool = False) -> None:
    """A conifer `size` high."""
    x, y = foot
    canvas.pen.rectangle((x - size * 0.035, y - size * 0.2, x + size * 0.035, y + size * 0.04), fill=shade(colour, 0.6))
    for tier in range(4):
        low, high = y - size * (0.1 + 0.2 * tier), y - size * (0.46 + 0.18 * tier)
        half = size * (0.27 - 0.05 * tier)
        canvas.shape([(x - half, low), (x, high), (x + half, low)], colour)
        canvas.shape([(x, high), (x + half, low), (x, low)], shade(colour, 0.86))
        if snowy:
            canvas.shape(
                [
                    (x - half * 0.55, high + (low - high) * 0.55),
                    (x, high),
                    (x + half * 0.55, high + (low - high) * 0.55),
                ],
                (246, 250, 255),
            )


def _mountains(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance, unit = canvas.palette, canvas.height, canvas.width, canvas.chance, canvas.unit
    horizon = height * 0.6
    sky(canvas, scene, horizon)
    for layer, share in enumerate((0.15, 0.5)):
        colour = mix(palette.sky[2], palette.land(share), 0.45 + 0.4 * share)
        count = 4 if width > height else 3
        for peak in range(count + 1):
            x = width * (peak + chance.uniform(-0.25, 0.25)) / count
            _peak(canvas, (x, horizon + unit * 14 * layer), unit * chance.uniform(26, 44) * (1 - 0.25 * layer), colour)
        canvas.cloudy(palette.sky[2], 0.6, box=(0, horizon - unit * 12, width, horizon + unit * 20))
    for share in (0.55, 0.8, 1.0):
        line = canvas.ridge(height * (0.62 + 0.22 * share), unit * 4, palette.land(share), rough=0.08)
        if share < 1 and scene.ground == "mountains" and scene.mood != "desert":
            for x, y in line[:: chance.choice((2, 3))]:
                tree = unit * chance.uniform(4, 8) * share
                pine(canvas, (x, y + unit), tree, shade(palette.land(share), 0.78), snowy=scene.mood == "winter")
    return height * 0.87


def _peak(canvas: Canvas, foot: Point, rise: float, colour: Colour) -> None:
    chance, (x, y) = canvas.chance, foot
    half = rise * chance.uniform(0.8, 1.05)
    top = (x, y - rise)
    lit, dim = shade(colour, 1.1), shade(colour, 0.8)
    canvas.shape([(x - half, y), top, (x + half, y), (x + half, canvas.height), (x - half, canvas.height)], dim)
    spine = [(x + rise * 0.1 * chance.uniform(-1, 1), y - rise * share) for share in (0.7, 0.45, 0.2, 0.0)]
    canvas.shape([(x - half, y), top, *spine], lit)
    snow = mix((248, 250, 255), colour, 0.12)
    notch = [
        (x + half * side, y - rise * (1 - cut))
        for side, cut in ((-0.3, 0.3), (-0.14, 0.24), (-0.02, 0.36), (0.12, 0.25), (0.29, 0.3))
    ]
    canvas.shape([top, *notch], snow)
    canvas.shape([top, *notch[2:]], shade(snow, 0.88))


def _sea(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance, unit = canvas.palette, canvas.height, canvas.width, canvas.chance, canvas.unit
    horizon = height * chance.uniform(0.44, 0.52)
    light = sky(canvas, scene, horizon)
    canvas.gradient([mix(palette.sky[2], palette.far, 0.6), palette.far, palette.near], horizon)
    if chance.random() < 0.6:
        _islands(canvas, horizon)
    for row in range(26):
        y = horizon + (height - horizon) * (row / 26) ** 1.4 + unit
        spread = unit * (5 + row * 0.9) * chance.uniform(0.4, 1.2)
        x = light[0] + chance.uniform(-0.4, 0.4) * spread
        canvas.glaze.ellipse((x - spread, y, x + spread, y + unit * (0.35 + row * 0.035)), fill=(*palette.light, 120))
    for layer in range(5):
        share = layer / 4
        y = horizon + (height - horizon) * (0.2 + 0.75 * share**1.2)
        colour = mix(palette.far, palette.near, 0.25 + 0.75 * share)
        crest(
            canvas,
            y,
            unit * (1.2 + 3 * share),
            colour=colour,
            foam=mix(colour, palette.light, 0.55 - 0.2 * share),
            length=width / (9 - 4 * share),
        )
    return horizon + (height - horizon) * 0.42


def crest(canvas: Canvas, y: float, swing: float, *, colour: Colour, foam: Colour, length: float) -> None:
    """One band of waves down to the lower edge."""
    phase, points = canvas.chance.uniform(0, math.tau), []
    steps = 110
    for step in range(steps + 1):
        x = step / steps * canvas.width
        angle = x / length * math.tau / 2 + phase
        points.append((x, y - swing * (abs(math.sin(angle)) ** 1.6 * 1.6 - 0.8) - swing * 0.3 * math.sin(angle * 0.37)))
    canvas.shape([(0, canvas.height), *points, (canvas.width, canvas.height)], colour)
    canvas.pen.line(points, fill=foam, width=max(1, round(swing * 0.16)), joint="curve")


def _islands(canvas: Canvas, horizon: float) -> None:
    chance, unit = canvas.chance, canvas.unit
    for _ in range(chance.randint(1, 3)):
        x, half = chance.uniform(0, canvas.width), unit * chance.uniform(8, 22)
        rise = half * chance.uniform(0.25, 0.5)
        colour = mix(canvas.palette.sky[2], canvas.palette.near, chance.uniform(0.3, 0.55))
        canvas.shape(
            [
                (x - half, horizon + 1),
                (x - half * 0.4, horizon - rise * 0.7),
                (x + half * 0.1, horizon - rise),
                (x + half, horizon + 1),
            ],
            colour,
        )


def _forest(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance, unit = canvas.palette, canvas.height, canvas.width, canvas.chance, canvas.unit
    horizon = height * 0.6
    sky(canvas, scene, horizon)
    snowy = scene.mood == "winter" or "snow" in scene.weather
    green = palette.near if not snowy else mix(palette.near, (32, 74, 84), 0.85)
    leafy = scene.mood in ("autumn", "spring", "candy")
    for layer in range(4):
        share = layer / 3
        base = height * (0.6 + 0.28 * share)
        colour = mix(palette.sky[2], mix(palette.far, green, 0.4 + 0.6 * share), 0.4 + 0.6 * share)
        ground = palette.land(share) if not snowy else mix(palette.sky[2], (240, 246, 252), 0.5 + 0.5 * share)
        line = canvas.ridge(base, unit * 3, mix(palette.sky[2], ground, 0.5 + 0.5 * share))
        middle = width * 0.5
        for x, y in line[:: max(2, 3 + layer)]:
            if layer == 3 and abs(x - middle) < width * 0.26:
                continue
            size = unit * chance.uniform(16, 27) * (0.55 + 0.75 * share)
            foot = (x + chance.uniform(-2, 2) * unit, y + unit * 2)
            if leafy:
                tint = mix(colour, palette.accent, chance.uniform(0.0, 0.55))
                round_tree(canvas, foot, size * 0.26, tint)
            else:
                pine(canvas, foot, size, shade(colour, chance.uniform(0.86, 1.06)), snowy=snowy and layer > 0)
        if layer < 3:
            canvas.glaze.rectangle((0, base - unit * 12, width, base + unit * 12), fill=(*palette.sky[2], 34))
    return height * 0.88


def _city(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance, unit = canvas.palette, canvas.height, canvas.width, canvas.chance, canvas.unit
    horizon = height * 0.74
    sky(canvas, scene, horizon)
    lit = mix(palette.accent, (255, 236, 170), 0.55)
    for layer in range(3):
        share = layer / 2
        colour = mix(
            palette.sky[2], palette.near if palette.dark else mix(palette.near, (40, 42, 70), 0.6), 0.45 + 0.5 * share
        )
        x = -chance.uniform(0, 6) * unit
        while x < width:
            wide = unit * chance.uniform(7, 13)
            rise = unit * chance.uniform(16, 46) * (1.1 - 0.28 * share)
            _tower(canvas, (x, horizon - rise + unit * 8 * share, x + wide, height), colour, lit, share)
            x += wide + unit * chance.choice((0.0, 0.4, 2.0))
    street = height * 0.84
    canvas.gradient([shade(palette.near, 0.85), shade(palette.near, 0.55)], street)
    for _ in range(40):
        x, y = chance.uniform(0, width), chance.uniform(street, height)
        tint = chance.choice((lit, palette.accent, palette.sky[2]))
        canvas.glaze.rectangle(
            (x, y, x + unit * chance.uniform(0.4, 1), y + unit * chance.uniform(2, 8)), fill=(*tint, 46)
        )
    return height * 0.86


def _tower(canvas: Canvas, box: tuple[float, float, float, float], colour: Colour, lit: Colour, share: float) -> None:
    chance, unit, (left, top, right, bottom) = canvas.chance, canvas.unit, box
    canvas.pen.rectangle(box, fill=colour)
    canvas.pen.rectangle((right - (right - left) * 0.22, top, right, bottom), fill=shade(colour, 0.84))
    if chance.random() < 0.3:
        middle = (left + right) / 2
        canvas.pen.rectangle(
            (middle - unit * 0.2, top - unit * chance.uniform(3, 7), middle + unit * 0.2, top), fill=colour
        )
    if share < 0.4:
        return
    pitch, size = unit * 2.1, unit * 1.0
    dim = shade(colour, 1.1)
    glass = [chance.random() for _ in range(96)]
    number, y = chance.randrange(96), top + pitch * 0.7
    while y < canvas.height * 0.84:
        x = left + pitch * 0.5
        while x + size < right - unit * 0.6:
            number = (number + 1) % 96
            canvas.pen.rectangle((x, y, x + size, y + size * 1.15), fill=lit if glass[number] < 0.42 else dim)
            x += pitch
        y += pitch * 1.2


def _desert(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance, unit = canvas.palette, canvas.height, canvas.width, canvas.chance, canvas.unit
    horizon = height * 0.55
    sky(canvas, scene, horizon)
    for x in (0.15, 0.34, 0.8):
        if chance.random() < 0.7:
            half, rise = unit * chance.uniform(9, 18), unit * chance.uniform(8, 20)
            centre, colour = width * x, mix(palette.sky[2], palette.near, 0.4)
            canvas.shape(
                [
                    (centre - half, horizon + unit * 4),
                    (centre - half * 0.75, horizon - rise),
                    (centre + half * 0.7, horizon - rise),
                    (centre + half, horizon + unit * 4),
                ],
                colour,
            )
    for layer in range(5):
        share = layer / 4
        colour = palette.land(share * 0.8)
        base = horizon + (height * 0.9 - horizon) * share
        line = canvas.ridge(base, unit * (4 + 5 * share), shade(colour, 1.06), waves=0.8)
        crest_at = min(range(len(line)), key=lambda index: line[index][1])
        shadow = line[crest_at:]
        if len(shadow) > 6:
            canvas.shape([*shadow, (width, height), (line[crest_at][0] - unit * 18, height)], shade(colour, 0.88))
    return height * 0.85


def _meadow(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance, unit = canvas.palette, canvas.height, canvas.width, canvas.chance, canvas.unit
    horizon = height * 0.5
    sky(canvas, scene, horizon)
    for share in (0.0, 0.35, 0.65):
        canvas.ridge(
            height * (0.52 + 0.18 * share), unit * 5, mix(palette.sky[2], palette.land(share), 0.55 + 0.45 * share)
        )
    canvas.gradient([palette.land(0.65), palette.near], height * 0.68)
    petals = [
        palette.accent,
        mix(palette.accent, palette.light, 0.6),
        (255, 214, 90),
        mix(palette.accent, (150, 90, 240), 0.6),
    ]
    rows = 9
    for row in range(rows):
        share = row / (rows - 1)
        y = height * (0.62 + 0.36 * share**1.3)
        size = unit * (0.7 + 3.0 * share**1.5)
        for _ in range(int(26 - 15 * share)):
            foot = (chance.uniform(0, width), y + chance.uniform(-1, 1) * unit * 2)
            blossom(canvas, foot, size * chance.uniform(0.7, 1.2), chance.choice(petals), shade(palette.near, 0.8))
    return height * 0.86


def blossom(canvas: Canvas, foot: Point, size: float, colour: Colour, stem: Colour) -> None:
    """A small flower on its stem; `size` is the radius of the bloom."""
    x, y = foot
    head = (x + size * 0.3, y - size * 2.2)
    canvas.pen.line([foot, head], fill=stem, width=max(1, round(size * 0.22)))
    if size < canvas.unit:
        canvas.disc(head, size * 0.8, colour)
        return
    for petal in range(6):
        angle = petal * math.tau / 6
        canvas.disc(
            (head[0] + math.cos(angle) * size * 0.62, head[1] + math.sin(angle) * size * 0.62), size * 0.46, colour
        )
    canvas.disc(head, size * 0.36, (255, 226, 120))


def _space(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance, unit = canvas.palette, canvas.height, canvas.width, canvas.chance, canvas.unit
    soft = canvas.small()
    soft.gradient([*palette.sky, palette.sky[1]])
    for tint in (palette.sky[2], mix(palette.accent, palette.far, 0.4), mix(palette.sky[2], (60, 130, 255), 0.6)):
        soft.cloudy(tint, 0.75, detail=chance.choice((2, 3, 4)), stretch=1.2)
    canvas.lay(soft)
    stars(canvas, 260, height)
    planet(
        canvas,
        (width * chance.uniform(0.25, 0.75), height * chance.uniform(0.26, 0.5)),
        unit * chance.uniform(15, 24),
        ringed=chance.random() < 0.75,
    )
    for _ in range(chance.randint(1, 3)):
        planet(
            canvas,
            (width * chance.uniform(0.05, 0.95), height * chance.uniform(0.08, 0.7)),
            unit * chance.uniform(2, 5),
            ringed=False,
        )
    return height * 0.8


def planet(canvas: Canvas, centre: Point, radius: float, *, ringed: bool) -> None:
    """A banded globe in the dark, lit from the upper left."""
    palette, chance, (x, y) = canvas.palette, canvas.chance, centre
    base = mix(chance.choice((palette.accent, palette.far, (90, 190, 220), (230, 120, 110))), palette.light, 0.15)
    canvas.glow(centre, radius * 2, base, 0.4)
    ring = mix(palette.light, palette.accent, 0.5)
    ring_boxes = [around(centre, radius * (2.0 - 0.16 * step), 0.26) for step in range(3)]
    if ringed:
        for box in ring_boxes:
            canvas.pen.arc(box, 180, 360, fill=shade(ring, 0.75), width=max(1, round(radius * 0.09)))
    canvas.disc(centre, radius, base)
    for band in range(-3, 4):
        level = band / 3.6
        half = radius * math.sqrt(max(0.0, 1 - level * level))
        tint = shade(base, chance.uniform(0.82, 1.15))
        thick = radius * chance.uniform(0.05, 0.13)
        canvas.pen.ellipse(
            (x - half * 0.98, y + level * radius - thick, x + half * 0.98, y + level * radius + thick), fill=tint
        )
    for step in range(6):
        canvas.glaze.pieslice(around(centre, radius), -20 - step * 8, 110 + step * 8, fill=(*palette.sky[0], 26))
    canvas.glow((x - radius * 0.4, y - radius * 0.45), radius * 0.7, (255, 255, 255), 0.35)
    if ringed:
        for box in ring_boxes:
            canvas.pen.arc(box, 0, 180, fill=ring, width=max(1, round(radius * 0.09)))


# ---------------------------------------------------------------------- abstract


def _waves(canvas: Canvas, scene: Scene) -> float:
    palette, height, unit = canvas.palette, canvas.height, canvas.unit
    canvas.gradient([palette.sky[0], palette.sky[1], palette.sky[2]])
    ramp = [palette.sky[2], palette.accent, palette.far, palette.sky[1], palette.near, palette.sky[0]]
    layers = 13
    for layer in range(layers):
        share = layer / (layers - 1)
        place = share * (len(ramp) - 1)
        index = min(int(place), len(ramp) - 2)
        colour = mix(ramp[index], ramp[index + 1], place - index)
        line = canvas.ridge(height * (0.14 + 0.82 * share), unit * 9, colour, waves=0.9)
        canvas.pen.line(line, fill=shade(colour, 1.22), width=max(1, round(unit * 0.35)))
    return height * 0.86


def _mosaic(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance = canvas.palette, canvas.height, canvas.width, canvas.chance
    columns = 15 if width >= height else 10
    rows = max(3, round(columns * height / width))
    focus = (chance.uniform(0.2, 0.8), chance.uniform(0.2, 0.7))
    ramp = [palette.light, palette.accent, palette.sky[2], palette.far, palette.sky[1], palette.near, palette.sky[0]]
    knots = [
        [
            (
                (column + chance.uniform(-0.38, 0.38)) / columns * width,
                (row + chance.uniform(-0.38, 0.38)) / rows * height,
            )
            for column in range(-1, columns + 2)
        ]
        for row in range(-1, rows + 2)
    ]
    for row in range(rows + 2):
        for column in range(columns + 2):
            corners = (knots[row][column], knots[row][column + 1], knots[row + 1][column + 1], knots[row + 1][column])
            for triangle in ((0, 1, 2), (0, 2, 3)):
                points = [corners[corner] for corner in triangle]
                x, y = (sum(point[axis] for point in points) / 3 for axis in (0, 1))
                away = math.hypot(x / width - focus[0], y / height - focus[1]) * 1.25 + chance.uniform(-0.07, 0.07)
                place = min(0.999, max(0.0, away)) * (len(ramp) - 1)
                index = int(place)
                canvas.shape(points, shade(mix(ramp[index], ramp[index + 1], place - index), chance.uniform(0.9, 1.1)))
    return height * 0.86


def _tiles(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance = canvas.palette, canvas.height, canvas.width, canvas.chance
    columns = 6 if width >= height else 4
    side = width / columns
    colours = [palette.sky[0], palette.accent, palette.light, palette.far, palette.near, palette.sky[2]]
    for row in range(int(height / side) + 1):
        for column in range(columns):
            x, y = column * side, row * side
            back, front, dot = chance.sample(colours, 3)
            canvas.pen.rectangle((x, y, x + side + 1, y + side + 1), fill=back)
            kind = chance.randrange(6)
            if kind < 3:
                corner = chance.randrange(4)
                cx, cy = x + side * (corner % 2), y + side * (corner // 2)
                for ring, tint in ((1.0, front), (0.62, dot), (0.3, back)):
                    box = around((cx, cy), side * ring)
                    start = (0, 90, 270, 180)[corner]
                    canvas.pen.pieslice(box, start, start + 90, fill=tint)
            elif kind == 3:
                canvas.disc((x + side / 2, y + side / 2), side * 0.36, front)
                canvas.disc((x + side / 2, y + side / 2), side * 0.16, dot)
            elif kind == 4:
                canvas.shape([(x, y + side), (x + side, y + side), (x + side, y)], front)
            else:
                for stripe in range(3):
                    canvas.pen.rectangle(
                        (x, y + side * (stripe * 2 + 0.5) / 6, x + side, y + side * (stripe * 2 + 1.5) / 6), fill=front
                    )
    return height * 0.86


def _flow(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance, unit = canvas.palette, canvas.height, canvas.width, canvas.chance, canvas.unit
    canvas.gradient([palette.sky[0], palette.sky[1], palette.near])
    colours = [palette.sky[2], palette.accent, palette.light, palette.far, palette.sky[1], palette.sky[0]]
    centres = [
        (chance.uniform(0.1, 0.9) * width, chance.uniform(0.1, 0.8) * height, chance.choice((-1, 1))) for _ in range(3)
    ]
    for stroke in range(230):
        x, y = chance.uniform(-0.1, 1.0) * width, chance.uniform(-0.05, 1.05) * height
        points = [(x, y)]
        for _ in range(16):
            dx, dy = unit * 1.2, 0.0
            for cx, cy, spin in centres:
                pull = unit * 46 / (unit * 10 + math.hypot(x - cx, y - cy))
                dx += -(y - cy) / height * spin * pull * unit * 1.8
                dy += (x - cx) / width * spin * pull * unit * 1.8
            length = math.hypot(dx, dy) or 1
            x, y = x + dx / length * unit * 2.2, y + dy / length * unit * 2.2
            points.append((x, y))
        colour = mix(chance.choice(colours), chance.choice(colours), chance.random() * 0.5)
        canvas.pen.line(points, fill=colour, width=max(1, round(unit * chance.uniform(0.7, 2.3))), joint="curve")
        if stroke == 150:
            for cx, cy, _ in centres:
                canvas.glow((cx, cy), unit * 17, palette.light, 0.8)
                canvas.disc((cx, cy), unit * 4.5, mix(palette.light, palette.accent, 0.4))
    return height * 0.86


def _blobs(canvas: Canvas, scene: Scene) -> float:
    palette, height, width, chance, unit = canvas.palette, canvas.height, canvas.width, canvas.chance, canvas.unit
    soft = canvas.small()
    soft.gradient([palette.sky[1], palette.sky[2], palette.far])
    for _ in range(7):
        tint = chance.choice((palette.accent, palette.sky[0], palette.near, palette.light, palette.far))
        centre = (chance.uniform(0, soft.width), chance.uniform(0, soft.height))
        soft.glow(centre, soft.unit * chance.uniform(40, 80), tint, 0.9)
    canvas.lay(soft)
    for _ in range(5):
        centre, radius = (
            (chance.uniform(0.1, 0.9) * width, chance.uniform(0.1, 0.8) * height),
            unit * chance.uniform(6, 20),
        )
        tint = mix(chance.choice((palette.accent, palette.sky[0], palette.far)), palette.light, 0.25)
        canvas.glow((centre[0] + radius * 0.25, centre[1] + radius * 0.4), radius * 1.5, palette.near, 0.45)
        canvas.disc(centre, radius, tint)
        canvas.glow((centre[0] - radius * 0.35, centre[1] - radius * 0.4), radius * 0.8, (255, 255, 255), 0.6)
    return height * 0.86


_BACKGROUNDS: Mapping[str, Callable[[Canvas, Scene], float]] = {
    "hills": _hills,
    "mountains": _mountains,
    "sea": _sea,
    "forest": _forest,
    "city": _city,
    "desert": _desert,
    "meadow": _meadow,
    "space": _space,
    "waves": _waves,
    "mosaic": _mosaic,
    "tiles": _tiles,
    "flow": _flow,
    "blobs": _blobs,
}
