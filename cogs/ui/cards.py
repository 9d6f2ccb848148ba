"""Cards of a job (progress, result, failure): pure functions from values to a `LayoutView`.

Discord's limits for a Components V2 message: 40 components, 4,000 characters of text in all, custom_ids of 100
characters; here all counted in UTF-16 units (`text.length`), as Discord may do. Cards are made for phones: short lines,
the prompt first, one line of facts, one row of buttons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any, assert_never

import discord

from bot.catalogue.model import Model, Output, Price
from bot.catalogue.prices import is_well_known, result_cost_usd
from bot.domain.events import (
    Cancelling,
    ConfirmingSubmit,
    Delivering,
    InProgress,
    OutOfCredit,
    Progress,
    ProviderQueued,
    ProviderUnavailable,
    Queued,
    Restarting,
)
from bot.domain.job import Failure, Job
from bot.domain.request import GenerationRequest
from bot.errors import BalanceExhausted, KeyRefused
from bot.phrase import Phrase, phrase
from cogs.ui import text
from cogs.ui.actions import CardKind, custom_id, job_named_by
from cogs.ui.buttons import action_rows
from cogs.ui.failure_words import failure_phrase, with_charge
from cogs.ui.messages import say

BLUE = 0x5865F2
GREEN = 0x3BA55D
RED = 0xD9534F
GREY = 0x80848E

#: What a card says where every word is refused.
UNDER_WAY_SIGN, FAILED_SIGN = "🎨 …", "🎨 ✖"
#: Discord's limit for the alt text of one picture.
ALT_LIMIT = 1024
#: Discord's limit for all text of one card.
TEXT_LIMIT = 4000
#: Most lines about what was set right in a request, and most characters of each.
MOST_NOTICES, NOTICE_LIMIT = 4, 240
#: How much of a prompt a card quotes: some three lines on a phone.
PROMPT_LIMIT, PROMPT_LINES = 150, 3
#: Most UTF-16 units of links to originals in one line.
LINKS_LIMIT = 400
#: Formats that Discord's clients show as a broken picture.
NOT_SHOWN = frozenset({"svg"})
#: Codes of failures after which no request helps, whatever a member changes.
_OPERATORS = frozenset({BalanceExhausted.code, KeyRefused.code})
#: Most pictures in one gallery.
GALLERY_LIMIT = 10


def _fit(texts: Sequence[discord.ui.TextDisplay[Any]]) -> None:
    """Shorten the longest texts until all of them together fit: a last line of defence, each is bounded by itself."""
    while (over := sum(text.length(one.content) for one in texts) - TEXT_LIMIT) > 0:
        longest = max(texts, key=lambda one: text.length(one.content))
        longest.content = text.shorten(longest.content, max(1, text.length(longest.content) - over))


class Wording(Enum):
    """How much a card says. Each is tried where a server's word filter refuses the one before."""

    #: Everything, with what the person typed.
    FULL = "full"
    #: Nothing that a person typed.
    OURS = "ours"
    #: Pictures, buttons and signs.
    NONE = "none"

    @property
    def less(self) -> Wording | None:
        """What to say where this is refused."""
        return {Wording.FULL: Wording.OURS, Wording.OURS: Wording.NONE}.get(self)


class Card(discord.ui.LayoutView):
    """A view that discord.py sends without keeping it, because it is finished from the start.

    `Interaction`, `Webhook` and `Message` skip `store_view` for a finished view, so nothing stays in
    memory; clicks are matched by custom_id instead (`cogs.components`).
    """

    def __init__(self, *parts: discord.ui.Item[Any], colour: int | None = None) -> None:
        super().__init__(timeout=None)
        _fit([part for part in parts if isinstance(part, discord.ui.TextDisplay)])
        self.add_item(discord.ui.Container(*parts, accent_colour=colour))
        self.stop()

    def is_finished(self) -> bool:
        """Always True, also when the card was built outside an event loop."""
        return True


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture of a result card, attached to the message as `filename`."""

    filename: str
    alt: str
    spoiler: bool = False
    #: (width, height) as posted.
    size_px: tuple[int, int] | None = None
    #: Which of the set it is, from 1.
    number: int = 1
    #: What differs from what the model made, and where that can be seen.
    notices: tuple[Phrase, ...] = ()
    original: str | None = None
    #: The attachment that holds it where Discord does not show its format; `filename` is a preview then, or empty.
    file: str | None = None


def file_name(job_id: str, index: int, extension: str, spoiler: bool = False) -> str:
    """The attachment's file name; its prefix makes it a spoiler at Discord."""
    return f"{'SPOILER_' if spoiler else ''}easel-{job_id}-{index + 1}.{extension}"


def shows_end_of(components: Iterable[object], job_id: str, *, with_pictures: bool) -> bool:
    """Whether a message's components are this job's result (`with_pictures`) or its failure card."""
    urls: list[str] = []
    offered: set[str] = set()
    for component in _walk(components):
        if isinstance(component, discord.MediaGalleryComponent):
            urls += [item.media.url for item in component.items]
        elif isinstance(component, discord.FileComponent):
            urls.append(component.media.url)
        elif isinstance(component, discord.Button) and component.custom_id:
            offered.add(component.custom_id)
    if with_pictures:
        return any(f"easel-{job_id}-" in url for url in urls)
    return not urls and custom_id("delete", job_id) in offered


def names_job(components: Iterable[object], job_id: str) -> bool:
    """Whether any button of a message is about this job."""
    buttons = (one for one in _walk(components) if isinstance(one, discord.Button))
    return any(job_named_by(one.custom_id or "") == job_id for one in buttons)


def _walk(components: Iterable[object]) -> Iterator[object]:
    for component in components:
        yield component
        yield from _walk(getattr(component, "children", ()))


def alt_text(
    request: GenerationRequest,
    index: int,
    model: Model | None = None,
    *,
    locale: str,
    count: int | None = None,
    wording: Wording = Wording.FULL,
) -> str:
    """The alt text of picture `index` (0-based) of `count`, by default of as many as were asked for."""
    if wording is Wording.NONE:
        return ""
    number, count = index + 1, count if count is not None else request.images
    if request.prompt and wording is Wording.FULL:
        prompt = text.plain(request.prompt, 900) or phrase("alt_unreadable")
        one = phrase("alt_painted", prompt=prompt)
        shown = phrase("alt_painted_of", number=number, count=count, prompt=prompt) if count > 1 else one
    else:
        made = Phrase(f"made_{model.task.replace('-', '_')}" if model is not None else "made")
        by = text.plain(model.title if model is not None else readable_name(request.endpoint), 100)
        one = phrase("alt_made", made=made, model=by)
        shown = phrase("alt_made_of", number=number, count=count, made=made, model=by) if count > 1 else one
    return text.shorten(say(locale, shown), ALT_LIMIT)


# ---------------------------------------------------------------------- cards by state


def progress_card(
    job: Job, model: Model | None, progress: Progress, *, resumed: bool = False, wording: Wording = Wording.FULL
) -> Card:
    """An unfinished job, with a Cancel button, and while it waits one that explains why.

    Args:
        resumed: whether to say that the job was resumed after a downtime.
    """
    cancelling = job.cancel_requested or isinstance(progress, Delivering | Cancelling)
    locale = job.reply.locale
    is_told = job.cancel_requested and not isinstance(progress, Cancelling)
    status = say(locale, "cancelling") if is_told else progress_text(progress, locale)
    notes = [*notices(job, locale), *([_small(say(locale, "resumed"))] if resumed else [])]
    waits = (
        isinstance(
            progress, Queued | ProviderQueued | ProviderUnavailable | OutOfCredit | ConfirmingSubmit | Restarting
        )
        and not cancelling
    )
    card_kind = CardKind.WAITING if waits else CardKind.PROGRESS
    if wording is Wording.NONE:
        return Card(_words(UNDER_WAY_SIGN), *action_rows(card_kind, job, disabled=cancelling), colour=BLUE)
    return Card(
        *_prompt(job, wording, ended=False),
        _words(status),
        _words("\n".join([_small(_name(job, model), *_seed(job), *_size(job)), *notes])),
        *action_rows(card_kind, job, disabled=cancelling),
        colour=BLUE,
    )


def progress_text(progress: Progress, locale: str) -> str:
    """The progress of the job in one or two short lines."""
    return _painting_text(progress, locale) if isinstance(progress, InProgress) else say(locale, _waits_for(progress))


def _waits_for(
    progress: Queued
    | ProviderQueued
    | Delivering
    | ProviderUnavailable
    | OutOfCredit
    | ConfirmingSubmit
    | Cancelling
    | Restarting,
) -> Phrase:
    match progress:
        case Queued(capped_by="user"):
            return phrase("progress_capped_user")
        case Queued(capped_by="guild"):
            return phrase("progress_capped_guild")
        case Queued():
            return phrase("progress_ahead", ahead=progress.ahead) if progress.ahead else phrase("progress_next")
        case ProviderQueued():
            return _ahead_at_fal(progress.ahead)
        case Delivering():
            return phrase("progress_delivering")
        case ProviderUnavailable() | OutOfCredit():
            return phrase("fal_away" if isinstance(progress, ProviderUnavailable) else "out_of_credit")
        case ConfirmingSubmit():
            return phrase("progress_confirming", until=progress.until)
        case Cancelling():
            if progress.until is None:
                return phrase("progress_cancelling_painted")
            return phrase("progress_cancelling_lost", until=progress.until)
        case Restarting():
            return phrase("progress_restarting")
        case _:
            assert_never(progress)


def _ahead_at_fal(ahead: int | None) -> Phrase:
    if ahead is None:
        return phrase("progress_handed")
    return phrase("progress_ahead_at_fal", ahead=ahead) if ahead else phrase("progress_next_at_fal")


def _painting_text(progress: InProgress, locale: str) -> str:
    knows = progress.left_s is not None and progress.fraction != 0
    left = f" · {say(locale, text.time_left(progress.left_s))}" if knows and progress.left_s is not None else ""
    if progress.overdue:
        left = f" · {say(locale, 'longer_than_usual')}"
    if progress.fraction is None:
        return say(locale, "progress_painting") + left
    percent = min(100, max(0, int(progress.fraction * 100)))
    line = say(locale, "progress_bar", bar=text.bar(progress.fraction), percent=percent)
    if progress.step is not None and progress.steps:
        return f"{line}\n{say(locale, 'progress_step', step=progress.step, steps=progress.steps)}{left}"
    return line + left


def result_card(
    job: Job,
    model: Model | None,
    pictures: Sequence[Shown],
    *,
    made: int | None = None,
    withheld: int = 0,
    assumed_usd: Decimal | None = None,
    wording: Wording = Wording.FULL,
) -> Card:
    """The pictures and the facts about them.

    Args:
        assumed_usd: what a picture counts as where the price is not known.
        made: how many the model made, by default those shown and withheld.
        withheld: how many are not shown, because the safety checker flagged them or painted them black.
    """
    locale = job.reply.locale
    if wording is Wording.NONE:
        return Card(*_shown(pictures), *action_rows(CardKind.RESULT, job, pictures=len(pictures)), colour=GREEN)
    notes = [_small(say(locale, "pictures_withheld", count=withheld))] if withheld else []
    if any(shown.spoiler for shown in pictures):
        notes.append(_small(say(locale, "flagged")))
    came = made if made is not None else len(pictures) + withheld
    if came < job.request.images:
        notes.append(_small(say(locale, "fewer_came", came=came, asked=job.request.images)))
    notes += picture_notes(pictures, locale)
    notes += notices(job, locale) if wording is Wording.FULL else []
    return Card(
        *_prompt(job, wording),
        *_shown(pictures),
        _words("\n".join([_small(*facts(job, model, pictures, assumed_usd=assumed_usd)), *notes])),
        *action_rows(CardKind.RESULT, job, pictures=len(pictures)),
        colour=GREEN,
    )


def _shown(pictures: Sequence[Shown]) -> Iterator[discord.ui.Item[Any]]:
    """A gallery of what Discord shows, and the files that it does not."""
    gallery: discord.ui.MediaGallery[Any] = discord.ui.MediaGallery()
    for shown in [one for one in pictures if one.filename][:GALLERY_LIMIT]:
        gallery.add_item(media=f"attachment://{shown.filename}", description=shown.alt or None, spoiler=shown.spoiler)
    if gallery.items:
        yield gallery
    for shown in pictures:
        if shown.file is not None:
            yield discord.ui.File(f"attachment://{shown.file}", spoiler=shown.spoiler)


def failure_card(
    job: Job,
    model: Model | None,
    failure: Failure,
    *,
    successor: Model | None = None,
    wording: Wording = Wording.FULL,
) -> Card:
    """Why the job failed, in one sentence, with the buttons that may help.

    Args:
        successor: the model to suggest if fal no longer serves this one.
    """
    locale = job.reply.locale
    sentence = say(locale, failure_phrase(failure, model, successor))
    if failure.incident is not None and failure.incident not in sentence:
        sentence = say(locale, "with_incident", sentence=sentence, incident=failure.incident)
    sentence = with_charge(text.shorten(sentence, 600), failure, locale=locale)
    card_kind = _kind_of(failure)
    if wording is Wording.NONE:
        return Card(_words(FAILED_SIGN), *action_rows(card_kind, job), colour=RED)
    return Card(
        *_prompt(job, wording),
        _words(text.without_links(text.shorten(sentence, 900))),
        _words(_small(_name(job, model), *_seed(job))),
        *action_rows(card_kind, job),
        colour=RED,
    )


def _kind_of(failure: Failure) -> CardKind:
    if failure.code in _OPERATORS:
        return CardKind.OPERATORS_FAILURE
    return CardKind.TRANSIENT_FAILURE if failure.worth_retrying else CardKind.LASTING_FAILURE


def cancelled_card(job: Job, model: Model | None, failure: Failure, *, wording: Wording = Wording.FULL) -> Card:
    """A cancelled job; `failure` says when it was cancelled, and what was charged."""
    sentence = with_charge(say(job.reply.locale, failure.phrase), failure, locale=job.reply.locale)
    if wording is Wording.NONE:
        return Card(_words(FAILED_SIGN), *action_rows(CardKind.CANCELLED, job), colour=GREY)
    return Card(
        *_prompt(job, wording),
        _words(text.without_links(text.shorten(sentence, 900))),
        _words(_small(_name(job, model))),
        *action_rows(CardKind.CANCELLED, job),
        colour=GREY,
    )


def picture_notes(pictures: Sequence[Shown], locale: str) -> list[str]:
    """What differs from what the model made, each said once, with links to the originals."""
    said: dict[str, list[Shown]] = {}
    for shown in pictures:
        for notice in shown.notices:
            said.setdefault(say(locale, notice), []).append(shown)
    lines = []
    for sentence, ones in list(said.items())[:MOST_NOTICES]:
        several = len(pictures) > 1
        which = say(locale, "pictures_numbered", numbers=tuple(one.number for one in ones)) + " " if several else ""
        links = [_original_link(one, several, locale) for one in ones if one.original is not None]
        while links and text.length(" · ".join(links)) > LINKS_LIMIT:
            links.pop()
        lines.append(_small(text.shorten(which + sentence, NOTICE_LIMIT), *links))
    return lines


def _original_link(shown: Shown, several: bool, locale: str) -> str:
    label = say(locale, "original_numbered", number=shown.number) if several else say(locale, "original")
    return f"[{label}](<{shown.original}>)"


def _posted_sizes(pictures: Sequence[Shown]) -> list[str]:
    sizes = dict.fromkeys(shown.size_px for shown in pictures if shown.size_px is not None)
    shown = [f"{width}×{height}" for width, height in sizes]
    return [", ".join(shown[:3]) + (" …" if len(shown) > 3 else "")] if shown else []


def unknown_model(endpoint: str) -> Model:
    """A placeholder for a model that is no longer in the catalogue, so that old jobs can still be shown."""
    return Model(
        endpoint=endpoint,
        key="unknown",
        title=readable_name(endpoint),
        summary="",
        typical_s=10,
        options=(),
        output=Output("image"),
        price=Price(None, "image", "none"),
        size_option=None,
    )


def readable_name(endpoint: str) -> str:
    """`fal-ai/flux-pro/v1.1` → `Flux Pro V1.1`: a name for people where the catalogue has none."""
    words = re.split(r"[/_-]+", endpoint.partition("/")[2] or endpoint)
    return " ".join(word[:1].upper() + word[1:] for word in words if word)


def facts(
    job: Job, model: Model | None, pictures: Sequence[Shown] = (), *, assumed_usd: Decimal | None = None
) -> list[str]:
    """The known ones of model, seed, size, duration and price, as words."""
    locale = job.reply.locale
    known = [_name(job, model), *_seed(job), *(_posted_sizes(pictures) or _size(job))]
    took_s = painting_s(job)
    if took_s is not None:
        known.append(say(locale, text.duration(took_s)))
    cost = cost_text(job, model, assumed_usd)
    if cost is not None:
        known.append(say(locale, cost))
    if job.parent_id is not None:
        known.append(say(locale, "for_person", person=f"<@{job.actor.user_id}>"))
    return known


def painting_s(job: Job) -> float | None:
    """Seconds that the job ran at fal: as fal measured, else as this bot saw it; None if unknown."""
    if job.result is not None and job.result.inference_s:
        return job.result.inference_s
    begun, ended = job.started_at or job.submitted_at, job.finished_at
    return max(0.0, (ended - begun).total_seconds()) if begun is not None and ended is not None else None


def cost_usd(job: Job, model: Model | None) -> Decimal | None:
    """The cost of what came; without a result, the most that it may cost."""
    if job.result is None or model is None:
        return job.request.cost_usd
    cost = job.result.cost_usd
    return cost if cost is not None else result_cost_usd(model, job.request, job.result)


def cost_text(job: Job, model: Model | None, assumed_usd: Decimal | None = None) -> Phrase | None:
    """The same in words: about, unless fal told what it billed and the price is well known.

    Args:
        assumed_usd: what a picture counts as where the price is not known; None: then nothing is said.
    """
    cost, came = cost_usd(job, model), len(job.result.pictures) if job.result is not None else 0
    if cost is None:
        cost = assumed_usd * came if assumed_usd is not None and came else None
        return None if cost is None else phrase("cost_about", cost=text.money(cost))
    told = job.result is not None and job.result.billable_units is not None
    certain = told and model is not None and is_well_known(model.price)
    return text.money(cost) if certain else phrase("cost_about", cost=text.money(cost))


def seed_of(job: Job) -> int | None:
    """The seed that fal reported, else the one that was sent."""
    if job.result is not None and job.result.seed is not None:
        return job.result.seed
    return job.request.seed


# ---------------------------------------------------------------------- small parts


def _words(content: str) -> discord.ui.TextDisplay[Any]:
    return discord.ui.TextDisplay(content)


def moved_card(link: str | None, *, locale: str) -> Card:
    """What stays of a card whose end is shown elsewhere: no buttons, and where that is. No `link`: in private."""
    sentence = say(locale, "card_moved", link=link) if link is not None else say(locale, "card_moved_private")
    return Card(_words(sentence), colour=GREY)


def _prompt(job: Job, wording: Wording, *, ended: bool = True) -> list[discord.ui.TextDisplay[Any]]:
    """The beginning of the prompt; once the job has ended, **Details** has all of it. Empty where there is none."""
    if job.request.prompt and wording is not Wording.FULL:
        return [_words(_small(say(job.reply.locale, "words_filtered")))]
    shown = text.safe(job.request.prompt, PROMPT_LIMIT, PROMPT_LINES) or say(job.reply.locale, "nothing_visible")
    if ended and text.length(text.clean(job.request.prompt)) > PROMPT_LIMIT:
        shown += "\n" + _small(say(job.reply.locale, "prompt_cut"))
    return [_words(shown)] if job.request.prompt else []


def _small(*parts: str) -> str:
    """One line of subtext; empty parts are left out."""
    shown = " · ".join(part for part in parts if part)
    return f"-# {shown}" if shown else ""


def _name(job: Job, model: Model | None) -> str:
    title = text.plain(model.title, 100) if model is not None else ""
    return text.escape(title or text.plain(readable_name(job.request.endpoint), 100))


def notices(job: Job, locale: str) -> list[str]:
    """What was set right or left out of what the person typed, a line each; they may quote it."""
    said = (text.without_links(text.clean(say(locale, notice)).replace("\n", " ")) for notice in job.request.notices)
    return [_small(text.shorten(line, NOTICE_LIMIT)) for line in list(said)[:MOST_NOTICES]]


def _seed(job: Job) -> list[str]:
    seed = seed_of(job)
    return [say(job.reply.locale, "seed", seed=str(seed))] if seed is not None else []


def _size(job: Job) -> list[str]:
    first = job.result.pictures[0] if job.result is not None and job.result.pictures else None
    if first is not None and first.width and first.height:
        return [f"{first.width}×{first.height}"]
    if job.request.size is not None:
        return [f"{job.request.size[0]}×{job.request.size[1]}"]
    return []
