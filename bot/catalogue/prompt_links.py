"""Links in a prompt: a model paints words and opens no links, and people who hope for it are told."""

from __future__ import annotations

import re

from bot.catalogue.model import Model, OptionKind
from bot.phrase import Phrase, phrase

_LINK = re.compile(
    r"(?:https?://|www\.|(?<![\w./])(?:cdn\.discordapp\.com|media\.discordapp\.net)/)[^\s<>]+", re.IGNORECASE
)
#: A path that ends like a file with a picture, and Discord's addresses of attachments.
_PICTURE = re.compile(
    r"\.(?:png|jpe?g|jfif|webp|gif|avif|heic|heif|bmp|tiff?|svg)(?![\w/])|(?:cdn\.discordapp\.com|media\.discordapp\.net)/",
    re.IGNORECASE,
)


def about_links(model: Model, prompt: str) -> list[Phrase]:
    """A notice that links in the prompt are not looked at, with the option for a picture; none without links."""
    links = [found[0] for found in _LINK.finditer(prompt)] if "." in prompt or "://" in prompt else []
    if not links:
        return []
    takes = next((one for one in model.offered if one.kind in {OptionKind.PICTURE, OptionKind.PICTURES}), None)
    if takes is not None:
        return [phrase("notice_prompt_link_picture", option=takes.label)]
    if any(_PICTURE.search(link) for link in links):
        return [phrase("notice_prompt_link_elsewhere", model=model.title)]
    return [phrase("notice_prompt_link")]
