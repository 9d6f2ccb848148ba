"""What fal's parameters are to a person, by their names: a prompt, a picture, a LoRA."""

from __future__ import annotations

import re
from enum import StrEnum


class Thing(StrEnum):
    """What a parameter holds. The values are ends of messages (`thing_lora`)."""

    PROMPT = "prompt"
    PICTURE = "picture"
    MASK = "mask"
    LORA = "lora"
    CONTROLNET = "controlnet"
    KEY = "key"
    #: Any other address of a file.
    FILE = "file"
    #: A number, a choice or the like.
    VALUE = "value"


_BY_NAME = (
    (Thing.KEY, re.compile(r"(?:^|_)(?:api_)?key$|byok|(?:^|_)token$")),
    (Thing.MASK, re.compile(r"mask")),
    (Thing.LORA, re.compile(r"lora|adapter_(?:path|url)|safetensors|(?:^|_)weights?(?:_url|_path|_name)?$")),
    (Thing.CONTROLNET, re.compile(r"controlnet|control_net|ip_adapter|ipadapter")),
    (Thing.VALUE, re.compile(r"^(?:num|max|min)_|_(?:size|count|format|strength|scale|weight)$")),
    (Thing.PICTURE, re.compile(r"(?:image|picture|photo|img|reference|face|portrait|logo)s?(?:_urls?|_paths?)?$")),
    (Thing.PROMPT, re.compile(r"prompt|^text$|^caption$")),
    (Thing.FILE, re.compile(r"(?:url|path|file)s?$")),
)


def thing_of(name: str, inner: str = "") -> Thing:
    """What a parameter holds; `inner` names what is meant inside it (`control_image_url` of a ControlNet)."""
    thing = next((thing for thing, names in _BY_NAME if names.search(name.lower())), Thing.VALUE)
    if inner and thing in (Thing.CONTROLNET, Thing.VALUE):
        within = thing_of(inner)
        return thing if within in (Thing.VALUE, Thing.FILE) and thing is Thing.CONTROLNET else within
    return thing


#: Things in a sentence that names no parameter, the first that fits.
_BY_WORD = (
    (Thing.LORA, re.compile(r"\blora|safetensors|\badapter weights|\bweights\b")),
    (Thing.CONTROLNET, re.compile(r"control ?net|ip.?adapter")),
    (Thing.MASK, re.compile(r"\bmask")),
    (Thing.PICTURE, re.compile(r"\b(?:images?|pictures?|photos?|img|pil)\b|image_url")),
    (Thing.PROMPT, re.compile(r"\bprompt\b")),
)


def thing_in(text: str) -> Thing | None:
    """What a sentence in lower case is about; None where it does not say."""
    return next((thing for thing, words in _BY_WORD if words.search(text)), None)
