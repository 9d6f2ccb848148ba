"""Mentions in what people type: Discord sends ids, and a model paints words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

#: A person, role or channel, and a link to a channel or message, which Discord shows like a mention.
_NAMED = re.compile(
    r"<(?P<sign>@!?|@&|#)(?P<id>\d{1,20})>"
    r"|https://(?:ptb\.|canary\.)?discord(?:app)?\.com/channels/(?:\d{1,20}|@me)/(?P<channel>\d{1,20})(?P<message>/\d{1,20})?"
)
_EMOJI = re.compile(r"<a?:(\w{1,32}):\d{1,20}>")
_TIME = re.compile(r"<t:(-?\d{1,13})(?::([tTdDfFsSR]))?>")
_COMMAND = re.compile(r"</([^<>:]{1,100}):\d{1,20}>")
_PLACE = re.compile(r"<id:([a-z-]{1,20})(?::\d{1,20})?>")
_PLACES: Final[Mapping[str, str]] = {
    "customize": "Channels & Roles",
    "browse": "Browse Channels",
    "guide": "Server Guide",
    "home": "Server Guide",
    "linked-roles": "Linked Roles",
}
_UNNAMED: Final[Mapping[str, str]] = {"@": "someone", "@&": "a group", "#": "a channel"}
_MOST_CHARACTERS: Final = 80


def key_of(sign: str, snowflake: object) -> str:
    """The key in `names` of a person (`@`), a role (`@&`) or a channel (`#`)."""
    return f"{sign}{snowflake}"


def with_names(text: str, names: Mapping[str, str]) -> str:
    """Write the names of those who are known in place of their mentions; the others stay.

    Args:
        names: by `key_of`. Whatever could be read as syntax is taken out of a name.
    """

    def named(found: re.Match[str]) -> str:
        known = _clean(names.get(_key(found), ""))
        return known or found[0]

    return _NAMED.sub(named, text) if names else text


def as_words(text: str) -> str:
    """Write plain words in place of all mentions, custom emoji, times and the like, so that no id is left."""
    if "<" not in text and "://" not in text:
        return text
    text = _NAMED.sub(lambda found: "a message" if found["message"] else _UNNAMED[_sign(found)], text)
    text = _EMOJI.sub(r"\1", text)
    text = _TIME.sub(lambda found: _moment(int(found[1]), found[2] or "f"), text)
    text = _COMMAND.sub(r"/\1", text)
    return _PLACE.sub(lambda found: _PLACES.get(found[1], found[1].replace("-", " ")), text)


def _sign(found: re.Match[str]) -> str:
    return (found["sign"] or "#").removesuffix("!")


def _key(found: re.Match[str]) -> str:
    return key_of(_sign(found), found["id"] or found["channel"])


def _clean(name: str) -> str:
    """A name without what means something in a prompt, in the field `options` or to Discord."""
    return " ".join(re.sub(r"[<>@#`\"“”„={}\[\],;:|\\\x00-\x1f]|--", " ", name)[:_MOST_CHARACTERS].split())


def _moment(seconds: int, style: str) -> str:
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return "some time"
    day, clock = f"{moment.day} {moment:%B} {moment.year}", f"{moment:%H:%M}"
    if style in "tT":
        return clock
    return day if style in "dDR" else f"{day}, {clock}"
