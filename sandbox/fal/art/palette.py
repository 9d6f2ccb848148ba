"""From the words of a prompt to what is in the picture and in which colours."""

from __future__ import annotations

import colorsys
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

Colour = tuple[int, int, int]
#: (colour, whether it belongs to the land) → colour.
_Change = Callable[[Colour, bool], Colour]


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one mood."""

    #: Sky from the top to the horizon.
    sky: tuple[Colour, Colour, Colour]
    #: Land (or water) from the far distance to the foreground.
    far: Colour
    near: Colour
    accent: Colour
    light: Colour
    dark: bool = False

    def land(self, share: float) -> Colour:
        """Between far (0) and near (1)."""
        return mix(self.far, self.near, share)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a prompt asks for, as far as the painter understands."""

    ground: str
    mood: str
    subjects: tuple[str, ...]
    weather: tuple[str, ...]
    finish: str
    palette: Palette
    #: Colour of an animal's coat, where the prompt names one.
    coat: Colour | None = None


def rgb(code: str) -> Colour:
    """`#rrggbb` (or without #) as numbers."""
    code = code.lstrip("#")
    return int(code[0:2], 16), int(code[2:4], 16), int(code[4:6], 16)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`first` at 0, `second` at 1."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def shade(colour: Colour, factor: float) -> Colour:
    """Darker below 1, lighter above."""
    return mix(colour, (0, 0, 0), 1 - factor) if factor <= 1 else mix(colour, (255, 255, 255), min(1.0, factor - 1))


def _palette(sky: str, land: str, accent: str, light: str, *, dark: bool = False) -> Palette:
    top, middle, low = map(rgb, sky.split())
    far, near = map(rgb, land.split())
    return Palette((top, middle, low), far, near, rgb(accent), rgb(light), dark)


MOODS: Mapping[str, Palette] = {
    "day": _palette("3f97d9 9ed4ee fdf1d3", "a3cfa6 2b6a4d", "ffc94d", "fffbe6"),
    "sunset": _palette("2a2a6a bf4a7d ffb257", "8b4a7a 1f1238", "ffdf85", "fff0c2"),
    "dawn": _palette("6c86d8 e3b5d1 ffe6c4", "a39bd0 39407a", "ff9e8a", "fff4dc"),
    "night": _palette("060a22 15204f 3d4d92", "2c3d77 070d24", "f6e7a8", "fdf8dc", dark=True),
    "aurora": _palette("030f1f 0a3142 1b6a63", "17505a 03131c", "7dffb2", "eafff4", dark=True),
    "winter": _palette("6d9cc9 bcd8ec f6f8fc", "d3e2f0 f2f7fc", "e8647a", "ffffff"),
    "desert": _palette("3b86c4 f0c58a ffe4b5", "e7b16b 93512b", "d7553b", "fff3cf"),
    "fire": _palette("170404 6e1608 ff7a1c", "7a1f0c 190405", "ffd23f", "fff1b8", dark=True),
    "forest": _palette("7fbf9f cfe9c6 fbf6d2", "8fc29a 123b2b", "f2b84b", "fdfbe4"),
    "neon": _palette("0b0220 3a0d5c ff2f8b", "43126b 0a0320", "2de2e6", "ffe3fb", dark=True),
    "space": _palette("03020d 150a33 3a1768", "4a2a86 0c0722", "ffb86b", "f4ecff", dark=True),
    "sea": _palette("2287bf 93d6ea fff2d2", "3aa9b8 0a3a5e", "ff8a5b", "fffdf0"),
    "spring": _palette("8fc7f0 d8ecf6 fff3ea", "b7dca0 4d9152", "ff7fa8", "fffef2"),
    "autumn": _palette("7a90b8 e9c7a0 ffe9c4", "d99a4e 6b2f1c", "e2582f", "fff4d6"),
    "rain": _palette("49566b 8496a8 c5ced4", "77889a 26323f", "f2b84b", "eef3f6"),
    "candy": _palette("a78bfa f5a8d8 ffe3d3", "c7a6f2 6d4bc4", "ffd166", "fffaf0"),
}

_MOOD_WORDS: Mapping[str, str] = {
    "night": "night midnight moon moonlight moonlit evening dark stars star starry nocturnal owl halloween",
    "sunset": "sunset dusk twilight golden romantic warm orange epic dramatic",
    "dawn": "dawn sunrise morning mist misty fog foggy dream dreamy calm serene peaceful",
    "aurora": "aurora borealis arctic polar northern",
    "winter": "snow snowy winter ice icy frozen frost christmas glacier penguin",
    "desert": "desert dune dunes sand camel sahara egypt pyramid mars western cactus canyon",
    "fire": "fire flame flames lava volcano burning inferno dragon hell phoenix ember",
    "forest": "forest wood woods jungle tree trees fox deer moss fern elf fairy bear mushroom",
    "neon": "neon cyberpunk cyber synthwave vaporwave futuristic robot android club hacker",
    "space": "space galaxy planet planets nebula cosmos cosmic astronaut rocket alien universe saturn starship",
    "sea": "sea ocean beach wave waves island fish boat ship sailing coast harbour harbor lighthouse whale coral",
    "spring": "spring flower flowers garden meadow rose tulip blossom butterfly bee cherry easter bunny",
    "autumn": "autumn fall pumpkin leaves harvest maple october cosy cozy coffee tea",
    "rain": "rain rainy storm stormy umbrella grey gray thunder lightning gloomy",
    "candy": "candy sweet cute kawaii pastel unicorn cake ice-cream fantasy magic magical castle balloon balloons",
    "day": "day sunny summer sun field farm hill hills valley mountain mountains lake river landscape sky cloud clouds",
}
#: Words that speak of the light or the season itself, and so weigh more than what merely suggests it.
_LIGHT_WORDS: Mapping[str, str] = {
    "sunset": "sunset dusk twilight",
    "dawn": "dawn sunrise morning",
    "aurora": "aurora",
    "neon": "neon cyberpunk synthwave vaporwave",
    "night": "night midnight moonlight moonlit nocturnal",
    "winter": "winter snow snowy frozen",
    "autumn": "autumn october",
    "spring": "spring",
    "rain": "rain rainy storm stormy",
}
_GROUND_WORDS: Mapping[str, str] = {
    "sea": "sea ocean beach wave waves island coast harbour harbor lake river boat ship sailing lighthouse whale water "
    "fish pirate coral underwater",
    "forest": "forest wood woods jungle tree trees deer elf bear mushroom fox",
    "mountains": "mountain mountains alps peak summit volcano glacier valley canyon himalaya dragon",
    "city": "city town street skyline skyscraper tokyo york london paris urban building buildings cyberpunk neon "
    "metropolis night-club architecture",
    "desert": "desert dune dunes sand camel sahara pyramid mars cactus",
    "meadow": "flower flowers garden meadow rose tulip blossom field butterfly bee spring poppy sunflower",
    "space": "space galaxy planet planets nebula cosmos cosmic astronaut universe saturn starship alien",
    "hills": "hill hills landscape countryside farm village house cottage castle cat dog bunny horse sunset",
    "waves": "abstract fluid liquid silk marble smoke",
    "mosaic": "mosaic geometric polygon low-poly lowpoly low poly stained cubism cubist crystal glass diamond gem",
    "tiles": "pattern tile tiles bauhaus retro logo poster icon seamless wallpaper",
    "flow": "painting gogh impressionist expressionist swirl swirls wind energy music",
    "blobs": "gradient blur soft minimal minimalist bokeh dream",
}
_SUBJECT_WORDS: Mapping[str, str] = {
    "cat": "cat cats kitten kitty tabby feline lion tiger",
    "fox": "fox foxes wolf",
    "dog": "dog dogs puppy corgi hound",
    "bird": "bird birds seagull eagle crow raven dove swallow parrot",
    "fish": "fish shark whale dolphin goldfish koi",
    "flower": "flower rose tulip sunflower lotus daisy poppy",
    "house": "house cottage cabin home village hut barn",
    "castle": "castle palace tower fortress kingdom",
    "boat": "boat ship sailing sailboat pirate yacht",
    "lighthouse": "lighthouse",
    "robot": "robot android cyborg mech droid",
    "person": "person woman man girl boy portrait knight wizard astronaut samurai king queen child people warrior",
    "rocket": "rocket spaceship starship",
    "balloon": "balloon balloons airship",
    "mushroom": "mushroom mushrooms toadstool",
    "cup": "coffee tea cup mug cocoa",
    "planet": "planet planets saturn jupiter moon",
    "owl": "owl",
    "cactus": "cactus",
    "heart": "heart love valentine",
    "butterfly": "butterfly",
    "tree": "tree oak willow",
    "pumpkin": "pumpkin halloween",
    "bunny": "bunny rabbit hare",
}
_WEATHER_WORDS: Mapping[str, str] = {
    "snow": "snow snowy winter christmas blizzard",
    "rain": "rain rainy storm stormy umbrella",
    "petals": "blossom petals cherry spring romantic autumn leaves",
    "sparks": "fire flame magic magical firefly fireflies fairy ember sparkle glitter dragon",
    "stars": "star stars starry space galaxy cosmos night universe midnight",
    "clouds": "cloud clouds cloudy sky sunny summer",
    "fog": "fog foggy mist misty smoke haze",
}
_FINISH_WORDS: Mapping[str, str] = {
    "pixels": "pixel pixels pixelart 8-bit 8bit 16-bit minecraft",
    "mono": "monochrome grayscale greyscale noir sketch pencil charcoal ink black-and-white b&w engraving",
    "sepia": "vintage sepia antique victorian daguerreotype",
    "glow": "photo photograph realistic photorealistic cinematic bokeh glow glowing dreamy soft watercolor watercolour",
    "poster": "poster vector flat illustration comic cartoon logo icon sticker anime",
}
_HUES: Mapping[str, float] = {
    "red": 0.99,
    "crimson": 0.97,
    "orange": 0.07,
    "yellow": 0.14,
    "gold": 0.12,
    "golden": 0.12,
    "green": 0.36,
    "emerald": 0.42,
    "teal": 0.49,
    "turquoise": 0.48,
    "sunflower": 0.13,
    "rose": 0.96,
    "poppy": 0.01,
    "jade": 0.4,
    "cyan": 0.51,
    "blue": 0.6,
    "indigo": 0.68,
    "purple": 0.76,
    "violet": 0.75,
    "lavender": 0.73,
    "magenta": 0.86,
    "pink": 0.92,
}
_COATS: Mapping[str, Colour] = {
    "ginger": (240, 150, 66),
    "orange": (240, 150, 66),
    "tabby": (176, 132, 92),
    "black": (52, 48, 60),
    "white": (246, 242, 236),
    "grey": (156, 160, 172),
    "gray": (156, 160, 172),
    "brown": (140, 94, 62),
    "golden": (232, 186, 104),
    "blue": (120, 156, 210),
    "pink": (244, 170, 196),
    "arctic": (240, 244, 250),
}
#: Single characters: CJK ideographs and emoji.
_TRANSLATED: Mapping[str, str] = {
    **dict.fromkeys("猫🐱🐈", "cat"),
    **dict.fromkeys("犬狗🐶🐕", "dog"),
    **dict.fromkeys("狐🦊", "fox"),
    **dict.fromkeys("鳥鸟🐦", "bird"),
    **dict.fromkeys("魚鱼🐟🐠", "fish"),
    **dict.fromkeys("桜樱🌸", "cherry blossom"),
    **dict.fromkeys("花🌷🌹🌻🌼", "flower"),
    **dict.fromkeys("海🌊", "sea"),
    **dict.fromkeys("山⛰🏔", "mountain"),
    **dict.fromkeys("森林🌲🌳", "forest"),
    **dict.fromkeys("城🏰", "castle"),
    **dict.fromkeys("街市🌆🏙", "city"),
    **dict.fromkeys("夜月🌙🌃", "night"),
    **dict.fromkeys("星⭐🌟", "stars"),
    **dict.fromkeys("雪❄⛄", "snow"),
    **dict.fromkeys("雨🌧", "rain"),
    **dict.fromkeys("火🔥🌋", "fire"),
    **dict.fromkeys("龍龙🐉", "dragon"),
    **dict.fromkeys("🚀", "rocket space"),
    **dict.fromkeys("🤖", "robot"),
    **dict.fromkeys("❤💜💙", "heart"),
    **dict.fromkeys("🦋", "butterfly"),
    **dict.fromkeys("🎃", "pumpkin night"),
    **dict.fromkeys("🍄", "mushroom"),
    **dict.fromkeys("☕", "coffee"),
}
_ABSTRACT = ("waves", "mosaic", "tiles", "flow", "blobs")
_LANDSCAPES = ("hills", "mountains", "sea", "forest", "meadow", "desert", "city")
_MOODS_OF_GROUND: Mapping[str, tuple[str, ...]] = {
    "sea": ("sea", "sunset", "dawn", "night"),
    "forest": ("forest", "autumn", "dawn", "day"),
    "mountains": ("day", "dawn", "sunset", "aurora"),
    "city": ("sunset", "night", "neon", "dawn"),
    "desert": ("desert", "sunset"),
    "meadow": ("spring", "day", "candy"),
    "space": ("space",),
    "hills": ("day", "spring", "sunset", "autumn", "dawn"),
}
_WORD = re.compile(r"[a-z0-9&]+(?:-[a-z0-9&]+)*")


def read(prompt: str, chance: random.Random) -> Scene:
    """What to paint; what the words leave open is left to `chance`."""
    words = _WORD.findall(_in_english(prompt.lower()))
    known = set(words) | {part for word in words for part in word.split("-")}
    known |= {word[:-1] for word in known if word.endswith("s") and len(word) > 3}
    ground = _first(words, known, _GROUND_WORDS)
    mood = _first(words, known, _LIGHT_WORDS) or _first(words, known, _MOOD_WORDS)
    subjects = tuple(name for name, listed in _SUBJECT_WORDS.items() if known & set(listed.split()))[:2]
    if ground is None:
        ground = chance.choice(_LANDSCAPES if subjects or mood else (*_LANDSCAPES, *_ABSTRACT))
        if mood == "space":
            ground = "space"
    if mood is None:
        mood = chance.choice(_MOODS_OF_GROUND.get(ground, tuple(MOODS)))
    weather = tuple(name for name, listed in _WEATHER_WORDS.items() if known & set(listed.split()))
    finish = _first(words, known, _FINISH_WORDS) or "clean"
    palette = _tinted(MOODS[mood], [_HUES[word] for word in words if word in _HUES], chance)
    coat = next((_COATS[word] for word in words if word in _COATS), None)
    return Scene(ground, mood, subjects, weather, finish, palette, coat)


def _in_english(prompt: str) -> str:
    """Emoji and a few words of other languages, in the words of the vocabulary."""
    return "".join(f" {_TRANSLATED[mark]} " if mark in _TRANSLATED else mark for mark in prompt)


def _first(words: list[str], known: set[str], vocabulary: Mapping[str, str]) -> str | None:
    """The entry with the most matching words; on a tie, the one named first in the prompt."""
    best: tuple[int, int] | None = None
    name: str | None = None
    for entry, listed in vocabulary.items():
        hits = known & set(listed.split())
        if hits:
            place = min((words.index(hit) for hit in hits if hit in words), default=len(words))
            if best is None or (len(hits), -place) > best:
                best, name = (len(hits), -place), entry
    return name


def _tinted(palette: Palette, hues: list[float], chance: random.Random) -> Palette:
    """Pulled towards the colours the prompt names; otherwise nudged a little, so that no two are alike."""
    if not hues:
        turn = chance.uniform(-0.035, 0.035)
        return _each(palette, lambda colour, _: _turned(colour, turn))
    main, second = hues[0], hues[min(1, len(hues) - 1)]
    pulled = _each(palette, lambda colour, land: _pulled(colour, second if land else main))
    return replace(pulled, accent=_pulled(palette.accent, hues[-1], 0.9))


def _each(palette: Palette, change: _Change) -> Palette:
    top, middle, low = palette.sky
    return replace(
        palette,
        sky=(change(top, False), change(middle, False), change(low, False)),
        far=change(palette.far, True),
        near=change(palette.near, True),
        accent=change(palette.accent, True),
    )


def _turned(colour: Colour, turn: float) -> Colour:
    hue, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in colour))
    return _from_hsv((hue + turn) % 1.0, saturation, value)


def _pulled(colour: Colour, hue: float, strength: float = 0.82) -> Colour:
    own, saturation, value = colorsys.rgb_to_hsv(*(part / 255 for part in colour))
    away = (own - hue + 0.5) % 1.0 - 0.5
    return _from_hsv((hue + away * (1 - strength)) % 1.0, min(1.0, saturation * 0.75 + 0.25), value)


def _from_hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(part * 255) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue
