"""Details of a job: every parameter as it can be typed again, and a line to paste. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import discord

from bot.catalogue import option_name, value_text
from bot.catalogue.model import COMMON_ALIASES, Model, Option, OptionKind
from bot.catalogue.pasted_line import escape
from bot.domain.job import Job
from bot.domain.request import Json
from bot.phrase import Phrase, phrase
from cogs.ui import text
from cogs.ui.cards import BLUE, TEXT_LIMIT, Card, cost_text, painting_s, readable_name, seed_of
from cogs.ui.messages import say

#: Prefixes of attachment URLs at Discord and in the sandbox.
ATTACHED_AT = ("https://cdn.discordapp.com/", "https://media.discordapp.net/", "http://127.0.0.1:", "http://localhost:")
DETAILS_FILE = "details.txt"
#: Pictures of one set that are listed.
MOST_PICTURES = 10
#: The options that have a field in /imagine.
_FIELDS = frozenset(COMMON_ALIASES)


@dataclass(frozen=True, slots=True)
class CardWithFile:
    """A card and, where its content does not fit on it, the text of the file to attach."""

    card: Card
    attachment: str | None = None


def details(job: Job, model: Model | None, *, locale: str) -> CardWithFile:
    """All parameters in a code block, which phones copy with one long press, and a command line to paste."""
    listing = parameter_listing(job, model, locale=locale)
    # /imagine requires a prompt.
    line = command_line(job, model) if job.request.prompt else ""
    head = _head(job, model, locale)
    fits = text.length(head) + text.length(listing) + text.length(line) <= TEXT_LIMIT - 200
    parts: list[discord.ui.Item[Any]] = [_words(head)]
    if fits:
        parts.append(_words(text.code_block(listing)))
        parts += [_words(say(locale, "details_paste") + "\n" + text.code_block(line))] if line else []
        return CardWithFile(Card(*parts, colour=BLUE))
    short = text.shorten(line or listing, 1500)
    parts += [
        _words(say(locale, "details_long")),
        discord.ui.File(f"attachment://{DETAILS_FILE}"),
        _words(say(locale, "details_beginning") + "\n" + text.code_block(short)),
    ]
    return CardWithFile(Card(*parts, colour=BLUE), f"{listing}\n\n{line}\n")


def _words(content: str) -> discord.ui.TextDisplay[Any]:
    return discord.ui.TextDisplay(content)


def _head(job: Job, model: Model | None, locale: str) -> str:
    title = text.escape(model.title if model is not None else readable_name(job.request.endpoint))
    link = f"[{title}](<https://fal.ai/models/{job.request.endpoint}>)"
    cost = cost_text(job, model)
    took_s = painting_s(job)
    unpriced = phrase("details_price_unknown")
    person = f"<@{job.actor.user_id}>"
    lines = [
        phrase("details_price", price=cost) if cost is not None else unpriced,
        phrase("details_time", duration=text.duration(took_s)) if took_s is not None else None,
        phrase("details_attach_again") if _has_pictures(job, model) else None,
        _tokens(job),
        *_pictures(job),
        phrase("details_asked", person=person, at=job.created_at),
    ]
    said = [say(locale, line) for line in lines if line is not None]
    return "\n".join([f"**{link}**", *said, f"-# {say(locale, 'details_job', id=job.id)}"])


def _pictures(job: Job) -> Iterator[Phrase]:
    """Each picture of a set by its number, with its size and its own seed where fal gives them."""
    pictures = job.result.pictures if job.result is not None else ()
    if len(pictures) < 2:
        return
    for number, picture in enumerate(pictures[:MOST_PICTURES], 1):
        size = f"{picture.width}×{picture.height}" if picture.width and picture.height else ""
        if picture.seed is not None and size:
            yield phrase("details_picture_seed_size", number=number, size=size, seed=str(picture.seed))
        elif picture.seed is not None:
            yield phrase("details_picture_seed", number=number, seed=str(picture.seed))
        elif size:
            yield phrase("details_picture_size", number=number, size=size)


def _tokens(job: Job) -> Phrase | None:
    """OpenAI's token count, for models that OpenAI bills."""
    tokens = (job.result.usage or {}).get("total_tokens") if job.result is not None else None
    return phrase("details_tokens", tokens=tokens) if isinstance(tokens, int) else None


def _has_pictures(job: Job, model: Model | None) -> bool:
    return model is not None and any(_is_attached(model.option(name)) for name in job.request.given)


# ---------------------------------------------------------------------- the listing


def parameter_listing(job: Job, model: Model | None, *, locale: str) -> str:
    """`name: value` lines, with the names and values that the commands take; below them what nobody chose."""
    lines = [f"prompt: {job.request.prompt}"] if job.request.prompt else []
    lines.append(f"model: {_model_name(job, model)}")
    shown = list(_parameters(job, say(locale, "details_attached")))
    chosen = [f"{_label(model, name)}: {value}" for name, value in shown if _is_chosen(job, name)]
    rest = [f"{_label(model, name)}: {value}" for name, value in shown if not _is_chosen(job, name)]
    unchosen = [f"\n{say(locale, 'details_defaults')}", *rest] if rest else []
    return "\n".join([*lines, *chosen, *unchosen])


def _is_chosen(job: Job, name: str) -> bool:
    return name in job.request.given or name == "seed"


def _model_name(job: Job, model: Model | None) -> str:
    return model.key if model is not None else job.request.endpoint


def _label(model: Model | None, name: str) -> str:
    option = model.option(name) if model is not None else None
    return option_name(model, option) if model is not None and option is not None else name


def _parameters(job: Job, attached: str) -> Iterator[tuple[str, str]]:
    """(fal's name, text) of all options but the prompt, the seed at last."""
    for name, value in job.request.options.items():
        if name in ("prompt", "seed") or value in (None, "", []):
            continue
        yield name, plain_value(_without_links(value, attached))
    seed = seed_of(job)
    if seed is not None:
        yield "seed", str(seed)


def _without_links(value: Json, attached: str) -> Json:
    """Replace URLs of attachments by `attached`: anybody may read the details, but a person's files are private."""
    match value:
        case str() if value.startswith(ATTACHED_AT):
            return attached
        case list():
            return [_without_links(item, attached) for item in value]
        case dict():
            return {name: _without_links(item, attached) for name, item in value.items()}
        case _:
            return value


def plain_value(value: Json) -> str:
    """A value as a person would type it, on one line; what can be typed as JSON only is JSON."""
    words = value_text(value)
    if not words and value not in ("", None):
        return json.dumps(value, ensure_ascii=False)
    return " ".join(words.splitlines())


# ---------------------------------------------------------------------- the line to paste


def command_line(job: Job, model: Model | None) -> str:
    """`/imagine prompt:… model:… …`, which Discord's client turns into the command when it is pasted."""
    words = {"prompt": job.request.prompt, "model": _model_name(job, model)}
    pairs = []
    for name in job.request.given:
        value = job.request.options.get(name)
        option = model.option(name) if model is not None else None
        if name in ("prompt", "seed") or value is None or _is_attached(option):
            continue
        label = option.label if option is not None else name
        if label in _FIELDS and label not in words:
            words[label] = (value or '""') if isinstance(value, str) else plain_value(value)
        else:
            pairs.append(f"{name}={pair_value(value)}")
    seed = seed_of(job)
    if seed is not None and "seed" in job.request.options:
        words["seed"] = str(seed)
    if pairs:
        words["options"] = " ".join(pairs)
    return "/imagine " + " ".join(f"{name}:{escape(value)}" for name, value in words.items())


def _is_attached(option: Option | None) -> bool:
    """Whether the option takes pictures, which must be attached again because attachment URLs expire."""
    return option is not None and option.kind in (OptionKind.PICTURE, OptionKind.PICTURES)


def pair_value(value: Json) -> str:
    """A value in the syntax of the field `options`: JSON, a plain word, or quoted text."""
    if isinstance(value, list) or (isinstance(value, dict) and not value_text(value)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    word = value_text(value)
    if _PLAIN_WORD.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


_PLAIN_WORD = re.compile(r"[\w.:/#+-]+")
