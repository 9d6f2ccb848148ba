"""Objects of Discord's API as the real bot's were recorded: commands, a form, switches; and pictures to show."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image, ImageDraw

Obj = dict[str, Any]

GUILD = "1204105100330106880"
BOT: Obj = {"id": "1204104999880728576", "username": "Easel", "global_name": None, "bot": True}
ADA: Obj = {"id": "1204106000004194304", "username": "ada", "global_name": "Ada"}
MO: Obj = {"id": "1204106000008388608", "username": "mo", "global_name": "Mo"}
NIA: Obj = {"id": "1204106000012582912", "username": "nia", "global_name": "Nia"}
ROLES: list[Obj] = [{"id": "2001", "name": "Patron"}, {"id": "2002", "name": "Moderator"}]
GENERAL, AFTER_DARK, READ_ONLY, PHONE, DIRECT = ("3001", "3002", "3003", "3004", "3005")
EPHEMERAL, LOADING, COMPONENTS_V2 = 64, 128, 32768

MODELS = (
    ("flux-schnell", "FLUX.1 [schnell] · fast · $0.003 per megapixel"),
    ("z-image-turbo", "Z-Image Turbo · fast · $0.005 per megapixel"),
    ("seedream-v4", "Seedream 4 · rich detail · $0.03 per image"),
    ("imagen4", "Imagen 4 · photographs and lettering · $0.05 per image"),
    ("qwen-image", "Qwen Image · lettering · $0.02 per megapixel"),
)


def _option(kind: int, name: str, description: str, **more: Any) -> Obj:
    return {"type": kind, "name": name, "description": description, **more}


COMMANDS: list[Obj] = [
    {
        "id": "5001",
        "type": 1,
        "name": "imagine",
        "description": "Paint a picture from words.",
        "options": [
            _option(3, "prompt", "What should be in the picture?", required=True, max_length=4000),
            _option(3, "model", "Who paints it.", autocomplete=True),
            _option(3, "size", "A preset, 1024x768, or a ratio such as 16:9.", autocomplete=True),
            _option(4, "count", "How many pictures.", min_value=1, max_value=4),
            _option(4, "seed", "The same seed and words give the same picture.", min_value=0, max_value=4294967295),
            _option(3, "negative_prompt", "What should not be in it."),
            _option(
                3,
                "style",
                "A style the model knows.",
                choices=[{"name": n, "value": n} for n in ("auto", "photo", "ink")],
            ),
            _option(10, "guidance", "How literally to take the prompt.", min_value=0, max_value=20),
            _option(5, "spoiler", "Hide the picture until it is pressed."),
            _option(11, "image", "A picture to start from."),
            _option(3, "options", "Further options as key=value.", autocomplete=True),
        ],
    },
    {"id": "5002", "type": 1, "name": "compose", "description": "Write a long prompt in a form.", "options": []},
    {
        "id": "5003",
        "type": 1,
        "name": "usage",
        "description": "What you have left, and when it returns.",
        "options": [],
    },
    {
        "id": "5004",
        "type": 1,
        "name": "settings",
        "description": "Server settings.",
        "options": [
            _option(1, "show", "What is set here.", options=[]),
            _option(
                1,
                "limits",
                "Who may paint how much.",
                options=[_option(4, "images_per_day", "Images per person and day.", required=True)],
            ),
        ],
    },
    {"id": "5005", "type": 1, "name": "silent", "description": "Never answers, to see what happens.", "options": []},
    {"id": "5006", "type": 3, "name": "Paint this again", "options": []},
]

MODAL: Obj = {
    "custom_id": "compose:1",
    "title": "Compose a picture",
    "components": [
        {"type": 10, "content": "Take your time: a form keeps **long** and multi-line prompts."},
        {
            "type": 18,
            "label": "Prompt",
            "description": "Up to 4,000 characters.",
            "component": {
                "type": 4,
                "custom_id": "prompt",
                "style": 2,
                "required": True,
                "min_length": 3,
                "max_length": 4000,
                "value": "a fox",
                "placeholder": "What should be in the picture?",
            },
        },
        {
            "type": 18,
            "label": "Model",
            "component": {
                "type": 3,
                "custom_id": "model",
                "options": [{"label": title, "value": key, "default": key == "flux-schnell"} for key, title in MODELS],
            },
        },
        {
            "type": 18,
            "label": "Start from a picture",
            "component": {"type": 19, "custom_id": "image", "required": False},
        },
    ],
}

FAULTS: list[Obj] = [
    {
        "name": "nsfw",
        "label": "Flag the next pictures",
        "about": "fal's safety checker marks them; outside age-restricted channels they are withheld.",
        "kind": "switch",
        "value": False,
    },
    {
        "name": "content_policy",
        "label": "Refuse the next prompt",
        "about": "fal answers with a content policy violation.",
        "kind": "switch",
        "value": False,
    },
    {
        "name": "fal_slow",
        "label": "fal is slow",
        "about": "Every picture takes ten times as long.",
        "kind": "switch",
        "value": False,
    },
    {
        "name": "fal_down",
        "label": "fal is down",
        "about": "fal answers 503 to everything.",
        "kind": "switch",
        "value": False,
    },
    {
        "name": "balance_exhausted",
        "label": "Balance exhausted",
        "about": "The fal account has no money left.",
        "kind": "switch",
        "value": False,
    },
    {
        "name": "rate_limit",
        "label": "Discord rate limit",
        "about": "Seconds during which Discord answers 429.",
        "kind": "number",
        "value": 0,
    },
    {
        "name": "gateway_drop",
        "label": "Drop the gateway",
        "about": "The bot's connection breaks and resumes.",
        "kind": "action",
        "value": None,
    },
    {
        "name": "bot_restart",
        "label": "Restart the bot",
        "about": "The process is ended and started again; jobs go on.",
        "kind": "action",
        "value": None,
    },
]


def picture(words: str, width: int, height: int) -> bytes:
    """A PNG that looks different for different words."""
    seed = sum(ord(letter) * (index + 3) for index, letter in enumerate(words))
    top = (40 + seed * 7 % 160, 50 + seed * 13 % 120, 90 + seed * 5 % 140)
    bottom = (200 + seed % 50, 120 + seed * 3 % 110, 70 + seed * 11 % 90)
    image = Image.new("RGB", (1, 2))
    image.putdata([top, bottom])
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    radius = min(width, height) * (18 + seed % 14) // 100
    centre = (width * (30 + seed % 40) // 100, height * (28 + seed % 30) // 100)
    draw.ellipse((centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), fill=(250, 226, 180))
    for ridge in range(3):
        base = height * (58 + ridge * 13) // 100
        points = [(0, height)]
        points += [
            (x, base - (x * (seed % 5 + 2 + ridge) * 37 // width) % 60 * height // 500)
            for x in range(0, width + 40, 40)
        ]
        draw.polygon([*points, (width, height)], fill=tuple(max(0, shade // (ridge + 2)) for shade in top))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
