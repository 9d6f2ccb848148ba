"""Cards that do not show one job: models, usage, settings, help, privacy. Pure functions from values to a view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import discord

from bot.catalogue import describe_option, is_well_known, known_prices, option_name, value_prices, value_text
from bot.catalogue.folding import SEPARATOR
from bot.catalogue.model import PROMPT_TASKS, Model, Option, OptionKind
from bot.domain.job import LIVE, Job, JobState
from bot.domain.money import to_show_as_left, usd_of
from bot.domain.request import Json
from bot.limits import GuildLimits, Policy, Standing
from bot.phrase import Phrase, phrase
from cogs.ui import text
from cogs.ui.actions import CardKind
from cogs.ui.buttons import action_rows, button, menu, row
from cogs.ui.cards import BLUE, GREY, RED, Card
from cogs.ui.messages import say

#: Discord's limit for one menu.
MENU_LIMIT = 25
#: Most menus on the models page: 100 models can be browsed, further ones only be found by autocomplete.
MOST_MENUS = 4
#: Most characters of option descriptions on a model's page, so that the whole card stays well under 4,000.
OPTIONS_BUDGET = 2600
#: Most values of an option whose prices are listed; of more only the lowest and the highest.
MOST_PRICED = 4


def _words(content: str) -> discord.ui.TextDisplay[Any]:
    return discord.ui.TextDisplay(content)


# ---------------------------------------------------------------------- models


def models_page(models: Sequence[Model], default: Model, *, locale: str) -> Card:
    """The models page: menus from which a model's page is opened."""
    lines = [say(locale, "models_count", count=len(models), default=_title(default))]
    if len(models) > MENU_LIMIT * MOST_MENUS:
        lines.append(say(locale, "models_rest"))
    return Card(_words("\n".join(lines)), *_model_menus(models, None, locale), colour=BLUE)


def model_page(models: Sequence[Model], model: Model, default: Model, assumed_usd: Decimal, *, locale: str) -> Card:
    """The page of one model: what it is good at, its duration, price and options.

    Args:
        assumed_usd: what a picture counts as where the price is not known.
    """
    cost = price(model) if known_prices(model.price) else phrase("price_assumed", usd=assumed_usd)
    head = [
        f"### {_title(model)}",
        text.escape(model.summary),
        say(locale, "model_facts", duration=_typical(model.typical_s), price=cost),
    ]
    if model.retired is not None:
        head.append(say(locale, "model_note", note=text.escape(text.plain(model.retired.note, 300))))
    head.append(f"-# `{model.key}` · [{model.endpoint}](<https://fal.ai/models/{model.endpoint}>)")
    is_default = model.endpoint == default.endpoint
    label = say(locale, "action_mydefault.chosen") if is_default else None
    use = [button("paint", model.key, locale=locale)]
    if model.paints_from_words:
        use.append(button("mydefault", model.key, locale=locale, label=label, disabled=is_default))
    elif model.needs:
        head.append(say(locale, "model_needs", needs=tuple(option.label for option in model.needs)))
    return Card(
        _words("\n".join(head)),
        _words(option_list(model, locale=locale)),
        *([row(*use)] if model.task in PROMPT_TASKS else []),
        *_model_menus(models, model, locale),
        colour=BLUE,
    )


def _typical(seconds: float) -> Phrase:
    return text.whole_duration(seconds) if float(seconds).is_integer() else text.duration(seconds)


def price(model: Model) -> Phrase:
    """The price of a picture or megapixel, as far as known."""
    known = known_prices(model.price)
    if not known:
        return phrase("price_unknown")
    about = "" if is_well_known(model.price) else "_about"
    if len(known) == 1:
        return Phrase(f"price_per_{model.price.unit}{about}", {"usd": known[0]})
    return Phrase(f"price_per_{model.price.unit}_range{about}", {"least": known[0], "most": known[-1]})


def option_list(model: Model, budget: int = OPTIONS_BUDGET, *, locale: str) -> str:
    """The offered options with their ranges, as many as fit into `budget` characters; the rest by name."""
    lines = [say(locale, "model_options")]
    options = [option for option in model.offered if option.name != "prompt"]
    for index, option in enumerate(options):
        described = text.shorten(say(locale, describe_option(option)).replace("`", ""), 260)
        line = f"`{option_name(model, option)}`: {_with_costs(described, model, option, locale)}"
        rest = len(options) - index
        if sum(map(text.length, lines)) + text.length(line) > budget:
            names = text.shorten(", ".join(f"`{option_name(model, left)}`" for left in options[index:]), 500)
            lines.append(say(locale, "model_options_more", count=rest, options=names))
            break
        lines.append(line)
    return "\n".join(lines) if options else say(locale, "model_no_options")


def _with_costs(described: str, model: Model, option: Option, locale: str) -> str:
    """An option's description, with what a picture costs with each of its values, where that differs."""
    values: Sequence[Json] = (True, False) if option.kind is OptionKind.BOOLEAN else option.choices
    prices = value_prices(model, option, values)
    if not prices:
        return described
    if len(values) > MOST_PRICED:
        return say(locale, "option_costs_range", option=described, least=min(prices), most=max(prices))
    each = (
        phrase("option_costs_value", value=value_text(value), usd=usd)
        for value, usd in zip(values, prices, strict=True)
    )
    return say(locale, "option_costs", option=described, prices=tuple(each))


def _model_menus(models: Sequence[Model], shown: Model | None, locale: str) -> list[discord.ui.ActionRow[Any]]:
    pages = [models[start : start + MENU_LIMIT] for start in range(0, len(models), MENU_LIMIT)][:MOST_MENUS]
    return [
        menu(
            "model",
            str(number),
            [_model_entry(model, shown, locale) for model in page],
            say(locale, "models_choose") if len(pages) == 1 else _menu_range(page, locale),
        )
        for number, page in enumerate(pages)
    ]


def _menu_range(page: Sequence[Model], locale: str) -> str:
    first, last = text.plain(page[0].title, 40), text.plain(page[-1].title, 40)
    return say(locale, "models_choose_range", first=first, last=last)


def _model_entry(model: Model, shown: Model | None, locale: str) -> discord.SelectOption:
    return discord.SelectOption(
        label=text.plain(model.title, 100),
        value=model.key,
        description=text.plain(f"{say(locale, price(model))}{SEPARATOR}{model.summary}", 100),
        default=shown is not None and shown.endpoint == model.endpoint,
    )


def _title(model: Model) -> str:
    return text.escape(text.plain(model.title, 80))


# ---------------------------------------------------------------------- usage


def usage_page(
    standing: Standing | None,
    jobs: Sequence[Job],
    ahead: Mapping[str, int],
    titles: Mapping[str, str],
    *,
    locale: str,
) -> Card:
    """What a person has left of the limits, when it resets, and their unfinished jobs.

    Args:
        ahead: number of jobs ahead of each QUEUED job, by id.
        titles: titles of models by endpoint.
    """
    left = standing_text(standing, locale=locale)
    parts: list[discord.ui.Item[Any]] = [_words(f"### {say(locale, 'usage_title')}\n{left}")]
    if not jobs:
        parts.append(_words(say(locale, "usage_nothing")))
        return Card(*parts, row(button("compose", locale=locale), button("models", locale=locale)), colour=BLUE)
    lines = [_job_line(job, ahead, titles, locale) for job in jobs[:10]]
    parts.append(_words("\n".join([say(locale, "usage_under_way"), *lines])))
    parts.append(_cancel_menu(jobs, titles, locale))
    return Card(*parts, colour=BLUE)


def standing_text(standing: Standing | None, *, locale: str) -> str:
    """What is left of the limits, one sentence per line."""
    return "\n".join(say(locale, line) for line in _standing(standing))


def _standing(standing: Standing | None) -> Iterator[Phrase]:
    if standing is None:
        yield phrase("usage_unlimited")
        return
    yield phrase("usage_now", pictures=standing.images_now)
    if standing.burst_full_at is not None:
        yield phrase(
            "usage_burst",
            pictures=standing.burst_left,
            burst=standing.burst,
            per_hour=standing.images_per_hour,
            full_at=standing.burst_full_at,
        )
    yield phrase("usage_today", pictures=standing.left_today, at=standing.day_ends_at)
    if standing.guild_left_today is not None:
        yield phrase("usage_guild_today", pictures=standing.guild_left_today)
    yield from _money_left(standing)
    if standing.free_jobs == 0:
        yield phrase("usage_no_free_jobs")
    elif standing.guild_free_jobs == 0:
        yield phrase("usage_no_free_jobs_guild")


def _money_left(standing: Standing) -> Iterator[Phrase]:
    """The person's own money, and which budgets have none left."""
    if standing.usd_left_today is not None and standing.usd_per_day is not None:
        left, bound = to_show_as_left(standing.usd_left_today), standing.usd_per_day
        yield phrase("usage_money", left=left, bound=bound, at=standing.day_ends_at)
    for rule, at in standing.used_up:
        if rule != "person_usd_day":
            yield Phrase(f"usage_{rule}_never") if at is None else Phrase(f"usage_{rule}", {"at": at})


def cancel_page(jobs: Sequence[Job], titles: Mapping[str, str], *, locale: str) -> Card:
    """A menu to choose which of several jobs to cancel."""
    return Card(_words(say(locale, "cancel_which", count=len(jobs))), _cancel_menu(jobs, titles, locale))


def _cancel_menu(jobs: Sequence[Job], titles: Mapping[str, str], locale: str) -> discord.ui.ActionRow[Any]:
    entries = []
    for job in jobs[:MENU_LIMIT]:
        title = titles.get(job.request.endpoint, job.request.endpoint)
        description = text.plain(f"{title}, {say(locale, _stage(job.state))}", 100)
        label = text.plain(job.request.prompt, 100) or job.id
        entries.append(discord.SelectOption(label=label, value=job.id, description=description))
    return menu("canceljob", "-", entries, say(locale, "cancel_one"))


def existing_job_page(job: Job, locale: str) -> Card:
    """The response to a second click on a draft: a link to the job it became, with its buttons while unfinished."""
    where = f"{job.actor.guild_id or '@me'}/{job.actor.channel_id}/{job.reply.message_id}"
    if job.reply.message_id is None:
        sentence = say(locale, "draft_taken")
    else:
        sentence = say(locale, "draft_taken_at", link=f"https://discord.com/channels/{where}")
    return Card(_words(sentence), *(action_rows(CardKind.WAITING, job) if job.state in LIVE else []), colour=BLUE)


def _job_line(job: Job, ahead: Mapping[str, int], titles: Mapping[str, str], locale: str) -> str:
    before = ahead.get(job.id)
    queued = job.state is JobState.QUEUED and before is not None
    stage = say(locale, phrase("usage_ahead", ahead=before) if queued else _stage(job.state))
    title = text.escape(titles.get(job.request.endpoint, job.request.endpoint))
    prompt = text.safe(job.request.prompt, limit=70, max_lines=1) or say(locale, "nothing_visible")
    asked = say(locale, "at_moment", at=job.created_at)
    return f"{prompt if job.request.prompt else text.code(job.id)}\n-# {title} · {stage} · {asked}"


def _stage(state: JobState) -> Phrase:
    match state:
        case JobState.HELD | JobState.QUEUED:
            return phrase("stage_waiting")
        case JobState.SUBMITTING | JobState.RUNNING:
            return phrase("stage_at_fal")
        case JobState.FINISHED:
            return phrase("stage_painted")
        case _:
            return phrase("stage_ended")


# ---------------------------------------------------------------------- settings


@dataclass(frozen=True, slots=True)
class SettingsView:
    """The values that `/settings show` shows."""

    model: Model
    #: Who chose the model; `usual` is the operator's default.
    origin: Literal["your", "server", "usual"]
    guild_model: Model | None
    policy: Policy
    overrides: GuildLimits | None
    in_guild: bool
    #: Why a stored default is not used.
    notices: tuple[Phrase, ...] = ()
    #: The limits have just been changed.
    saved: bool = False


def settings_page(shown: SettingsView, *, locale: str) -> Card:
    """The settings that apply to a person here, and how to change them."""
    model = say(locale, Phrase(f"settings_model_{shown.origin}", {"model": _title(shown.model)}))
    parts = [say(locale, "settings_saved")] if shown.saved else []
    parts.append(f"### {say(locale, 'settings_title')}\n{model}\n-# {say(locale, 'settings_change_model')}")
    parts += [f"-# {say(locale, notice)}" for notice in shown.notices]
    if shown.in_guild and shown.guild_model is not None:
        parts.append(say(locale, "settings_guild_model", model=_title(shown.guild_model)))
    parts.append(f"{say(locale, 'settings_limits')}\n{policy_text(shown.policy, locale=locale)}")
    if shown.overrides is not None and shown.overrides.to_json():
        names = tuple(Phrase(f"limit_name_{name}") for name in shown.overrides.to_json())
        parts.append(say(locale, "settings_overrides", names=names))
    if shown.in_guild:
        parts.append(f"-# {say(locale, 'settings_change_limits')}")
    return Card(*(_words(part) for part in parts), colour=BLUE)


def policy_text(policy: Policy, *, locale: str) -> str:
    """The limits, one per line."""
    return "\n".join(say(locale, line) for line in _limits(policy))


def _limits(policy: Policy) -> Iterator[Phrase]:
    if not policy.enabled:
        yield phrase("settings_no_limits")
        return
    yield phrase("settings_rate", per_hour=policy.images_per_hour, burst=policy.burst_images)
    yield phrase("settings_images_per_day", pictures=policy.images_per_day)
    yield phrase("settings_concurrent_jobs", requests=policy.concurrent_jobs)
    yield phrase("settings_guild_images_per_day", pictures=policy.guild_images_per_day)
    if policy.guild_concurrent_jobs:
        yield phrase("settings_guild_concurrent_jobs", requests=policy.guild_concurrent_jobs)
    budgets = policy.budgets
    if budgets.person_day is not None:
        yield phrase("settings_person_usd_day", usd=usd_of(budgets.person_day))
    if budgets.server_day is not None:
        yield phrase("settings_server_usd_day", usd=usd_of(budgets.server_day))
    if budgets.server_month is not None:
        yield phrase("settings_server_usd_month", usd=usd_of(budgets.server_month))


# ---------------------------------------------------------------------- help and privacy


def help_page(default: Model, *, locale: str) -> Card:
    """The page of /help: what to type, three examples, and further commands."""
    examples = (say(locale, "help_example_one"), say(locale, "help_example_two"), say(locale, "help_example_three"))
    blocks = [text.code_block(f"/imagine prompt:{example}") for example in examples]
    return Card(
        _words(f"### {say(locale, 'help_title')}\n{say(locale, 'help_start', model=_title(default))}"),
        _words("\n".join([say(locale, "help_try"), *blocks])),
        _words(f"{say(locale, 'help_buttons')}\n{say(locale, 'help_fix')}\n{say(locale, 'help_commands')}"),
        row(button("compose", locale=locale), button("models", locale=locale), button("usage", locale=locale)),
        colour=BLUE,
    )


def privacy_page(keep_days: int, store_payloads: bool, *, locale: str) -> Card:
    """What is stored, where it is sent, for how long it is kept, and a button to delete it."""
    lines = (
        f"### {say(locale, 'privacy_title')}",
        say(locale, "privacy_kept"),
        say(locale, "privacy_sent_kept") if store_payloads else say(locale, "privacy_sent"),
        say(locale, "privacy_how_long", days=keep_days),
        say(locale, "privacy_deleting"),
    )
    return Card(_words("\n".join(lines)), row(button("eraseask", locale=locale)), colour=BLUE)


def erase_question(*, locale: str) -> Card:
    """Ask for confirmation before everything is erased."""
    return Card(
        _words(say(locale, "erase_question")),
        row(button("erase", locale=locale), button("erasenot", locale=locale)),
        colour=RED,
    )


def plain_page(sentence: str) -> Card:
    """One sentence without buttons, to replace a card that was used."""
    return Card(_words(sentence), colour=GREY)
