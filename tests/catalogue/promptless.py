"""A made-up model that works from a picture alone."""

from __future__ import annotations

from pathlib import Path

from bot.catalogue import Catalogue, load

PICTURE = "https://cdn.discordapp.com/attachments/1/2/cat.png?ex=7fffffff&is=1&hm=2"

ENLARGER = """
endpoint = "fal-ai/enlarger"
key = "enlarger"
title = "Enlarger"
summary = "Makes a picture larger."
typical_s = 3
task = "upscale"

[output]
pictures = "image"

[price]
usd = 0.02
unit = "image"
confidence = "medium"

[[options]]
name = "image_url"
kind = "picture"
alias = "image"
description = "The picture to enlarge."
required = true

[[options]]
name = "factor"
kind = "integer"
description = "How many times as large."
default = 2
minimum = 2
maximum = 8
"""


def catalogue_with(folder: Path, text: str) -> Catalogue:
    """Our models and the one that `text` describes."""
    (folder / "made_up.toml").write_text(text, encoding="utf-8")
    return load(folder=folder)
