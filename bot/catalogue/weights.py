"""LoRAs and other weights: the ways people write them; links to pages are set right, or refused with what to copy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

from bot.catalogue.links import usable_link
from bot.catalogue.rejections import refuse_because, shown
from bot.domain.request import Json
from bot.phrase import Phrase, phrase

#: A Hugging Face repository, optionally with a file inside.
_HUB_PATH = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[\w.-]{1,200}){1,6}", re.ASCII)
_NUMBER = r"[+-]?(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})"
_SCALE_ALONE = re.compile(rf"[@:*=]?({_NUMBER})")
#: `owner/name:0.8`, also behind a link: a port is no scale, because a slash comes before this colon; nor is a query.
_SCALE_AFTER = re.compile(rf"(.*/.*?)[:*]({_NUMBER})|([^?]*/[^?]*?)=({_NUMBER})")
#: A tag as other programs have it in the prompt.
_TAG = re.compile(r"<?\s*(?:lora|lyco|lycoris)\s*:\s*([^:>]+)(?::([^:>]*))?[^>]*>?", re.IGNORECASE)
#: Other names for the members of an entry, in JSON.
_MEMBERS: Final[Mapping[str, str]] = {
    "url": "path",
    "model": "path",
    "lora": "path",
    "name": "path",
    "weight": "scale",
    "strength": "scale",
    "multiplier": "scale",
    "lora_scale": "scale",
}

_HUB = frozenset({"huggingface.co", "hf.co"})
_CIVITAI = frozenset({"civitai.com", "civitai.green", "civitai.red"})
#: Hosts whose pages show files and hold none.
_PAGES = frozenset({"drive.google.com", "docs.google.com", "tensor.art", "seaart.ai", "modelscope.cn", "replicate.com"})
_BARE_HOST = re.compile(r"(?:www\.)?(?:huggingface\.co|hf\.co|civitai\.(?:com|green|red)|github\.com)/", re.IGNORECASE)
_AIR = re.compile(r"urn:air:[\w-]+:lora:civitai:[0-9]+@([0-9]{1,12})", re.IGNORECASE)
_NO_WEIGHTS = (".html", ".htm", ".md", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".mp4", ".txt")


# ---------------------------------------------------------------------- entries


def entries(given: object, fields: Sequence[str]) -> list[object]:
    """The entries of a list of weights, each a mapping with `path` and perhaps `scale`; whatever else stays as it is.

    Understood: `owner/name@0.8`, `owner/name:0.8`, `owner/name 0.8`, `<lora:owner/name:0.8>`, JSON lists and objects,
    and objects from path to scale.
    """
    match given:
        case str():
            return list(_typed_entries(given))
        case Mapping():
            if given and not set(given) & {*fields, *_MEMBERS}:
                return [{"path": path, "scale": scale} for path, scale in given.items()]
            return [_renamed(given, fields)]
        case [*items]:
            return [entry for item in items for entry in (entries(item, fields) if item else [item])]
    return [given]


def _renamed(given: Mapping[object, object], fields: Sequence[str]) -> dict[object, object]:
    return {key if key in fields else _MEMBERS.get(str(key), key): value for key, value in given.items()}


def _typed_entries(text: str) -> Iterator[dict[object, object]]:
    entry: dict[object, object] | None = None
    for token in re.split(r"[,;\s]+", text.strip()):
        alone = _SCALE_ALONE.fullmatch(token)
        if alone and entry is not None and "scale" not in entry:
            entry["scale"] = alone[1]
        elif token:
            if entry is not None:
                yield entry
            entry = _entry(token)
    if entry is not None:
        yield entry


def _entry(token: str) -> dict[object, object]:
    tag = _TAG.fullmatch(token)
    if tag:
        return {"path": tag[1], **({"scale": tag[2]} if tag[2] else {})}
    before, at, scale = token.rpartition("@")
    if at and not _AIR.fullmatch(token):
        return {"path": before, "scale": scale}
    after = _SCALE_AFTER.fullmatch(token)
    return {"path": after[1] or after[3], "scale": after[2] or after[4]} if after else {"path": token}


def typed(entry: Mapping[object, object]) -> object:
    """An entry as somebody would type it, to be quoted in a refusal."""
    path, scale = entry.get("path"), entry.get("scale")
    if not isinstance(path, str) or not isinstance(scale, str | int | float | None) or isinstance(scale, bool):
        return entry
    return path if scale is None else f"{path}@{scale}"


# ---------------------------------------------------------------------- paths


def read_path(name: str, given: object) -> str | None:
    """A path that fal can load: a link to a file, or the name of a Hugging Face repository; None for anything else.

    Raises:
        InvalidOption: it is a page about weights, with what to copy instead.
    """
    if not isinstance(given, str):
        return None
    text = given.strip().strip("<>")
    version = _AIR.fullmatch(text)
    if version:
        raise refuse_because(name, given, _civitai_page(name, version[1]))
    if _BARE_HOST.match(text):
        text = f"https://{text}"
    elif re.match(r"http://(?:www\.)?(?:huggingface\.co|hf\.co|civitai\.com|github\.com)/", text, re.IGNORECASE):
        text = f"https{text[4:]}"
    if _HUB_PATH.fullmatch(text) and ".." not in text:
        return text
    link = usable_link(text)
    if link is None:
        return None
    page = _page(name, link)
    if page is not None:
        raise refuse_because(name, given, page)
    return _direct(link)


def flaw(name: str, entry: Mapping[object, object], takes: Phrase) -> Phrase:
    """Why an entry has no path that fal can load."""
    path = entry.get("path")
    if isinstance(path, str) and path.strip().strip("<>").lower().startswith("http://"):
        return phrase("lora_http", option=shown(name), given=shown(path))
    return phrase("lora_path", option=shown(name), given=shown(typed(entry)) or " ", takes=takes)


def _host_and_parts(link: str) -> tuple[str, list[str]]:
    split = urlsplit(link)
    return (split.hostname or "").removeprefix("www."), [part for part in split.path.split("/") if part]


def _direct(link: str) -> str:
    """The link to the file itself, where the one given shows it on a page."""
    host, parts = _host_and_parts(link)
    if host in _HUB and len(parts) > 4 and parts[2] in ("blob", "raw"):
        return f"https://huggingface.co/{parts[0]}/{parts[1]}/resolve/{'/'.join(parts[3:])}"
    if host == "github.com" and len(parts) > 4 and parts[2] == "blob":
        return f"https://github.com/{parts[0]}/{parts[1]}/raw/{'/'.join(parts[3:])}"
    if host == "dropbox.com":
        return re.sub(r"([?&])dl=0\b", r"\1dl=1", link)
    return link


def _page(name: str, link: str) -> Phrase | None:
    """What to copy instead of a link to a page; None for a link to a file."""
    host, parts = _host_and_parts(link)
    option = shown(name)
    if host in _HUB and not (len(parts) > 4 and parts[2] in ("blob", "raw", "resolve")):
        if len(parts) < 2 or parts[0] in ("spaces", "datasets", "collections", "models", "blog", "docs", "papers"):
            return phrase("weights_page", option=option)
        repository = f"{parts[0]}/{parts[1]}"
        file = f"https://huggingface.co/{repository}/resolve/main/….safetensors"
        return phrase("weights_page_hub", option=option, repository=repository, file=file)
    if host in _CIVITAI and parts[:3] != ["api", "download", "models"]:
        version = parse_qs(urlsplit(link).query).get("modelVersionId", [""])[0]
        return _civitai_page(name, version if re.fullmatch(r"[0-9]{1,12}", version) else "")
    github_page = host == "github.com" and not (len(parts) > 4 and parts[2] in ("blob", "raw", "releases"))
    if github_page or host in _PAGES or urlsplit(link).path.lower().endswith(_NO_WEIGHTS):
        return phrase("weights_page", option=option)
    return None


def _civitai_page(name: str, version: str) -> Phrase:
    file = f"https://civitai.com/api/download/models/{version or '…'}"
    if version:
        return phrase("weights_page_civitai", option=shown(name), file=file)
    return phrase("weights_page_civitai_any", option=shown(name), file=file)


def links_set_right(given: object, parsed: Json) -> list[Phrase]:
    """A notice for each link that is not the one that was given."""
    before = shown_whole(given)
    changed = [path for path in _paths(parsed) if path.startswith("https://") and path not in before]
    return [phrase("notice_link", link=path) for path in changed if path.removeprefix("https://") not in before]


def shown_whole(given: object) -> str:
    """Everything that was given, as one text to look links up in."""
    match given:
        case str():
            return given
        case Mapping():
            return " ".join(map(shown_whole, given.values()))
        case [*items]:
            return " ".join(map(shown_whole, items))
    return ""


def _paths(value: Json) -> Iterator[str]:
    match value:
        case [*items]:
            for item in items:
                yield from _paths(item)
        case dict():
            yield from (str(part) for key, part in value.items() if key.endswith("path") and isinstance(part, str))
