"""Cards that are about no single job: models, limits, settings, help, privacy. Values in, a view out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord

from bot.catalogue import describe_option, price_text
from bot.catalogue.model import PROMPT_TASKS, Model, Option
from bot.domain.job import LIVE, Job, JobState
from bot.limits import GuildLimits, Policy, Standing
from cogs.ui import text
from cogs.ui.actions import Slot
from cogs.ui.buttons import action_rows, button, menu, row
from cogs.ui.cards import BLUE, GREY, RED, Card
from cogs.ui.messages import say

#: Discord's limit for one menu.
MENU_LIMIT = 25
#: Menus on the models page; 100 models can be browsed, the others are found by typing.
MOST_MENUS = 4
#: Characters of option descriptions on a model's page; with everything else well under 4,000.
OPTIONS_BUDGET = 2600


def _words(content: str) -> discord.ui.TextDisplay[Any]:
    return discord.ui.TextDisplay(content)


# ---------------------------------------------------------------------- models


def models_page(models: Sequence[Model], default: Model) -> Card:
    """The list of models; choosing one shows its page."""
    lines = [
        f"**{text.count(len(models), 'model')}**. Yours here is **{_title(default)}**. Choose one to read about it."
    ]
    if len(models) > MENU_LIMIT * MOST_MENUS:
        lines.append("The rest is found by typing: `/models` and a few letters.")
    return Card(_words("\n".join(lines)), *_model_menus(models, None), colour=BLUE)


def model_page(models: Sequence[Model], model: Model, default: Model) -> Card:
    """One model: what it is good at, how fast, what it costs, and every option."""
    head = [
        f"### {_title(model)}",
        text.escape(model.summary),
        f"About {text.duration(model.typical_s).replace('.0 s', ' s')} a picture · {price_text(model)}",
    ]
    if model.retired is not None:
        head.append(f"Note: {text.escape(text.plain(model.retired.note, 300))}")
    head.append(f"-# `{model.key}` · [{model.endpoint}](<https://fal.ai/models/{model.endpoint}>)")
    is_default = model.endpoint == default.endpoint
    label = "Your default" if is_default else None
    use = row(button("paint", model.key), button("mydefault", model.key, label=label, disabled=is_default))
    return Card(
        _words("\n".join(head)),
        _words(option_list(model)),
        *([use] if model.task in PROMPT_TASKS else []),
        *_model_menus(models, model),
        colour=BLUE,
    )


def option_list(model: Model, budget: int = OPTIONS_BUDGET) -> str:
    """Every offered option with its range, as many as fit."""
    lines = ["**Options**"]
    options = [option for option in model.offered if option.name != "prompt"]
    for index, option in enumerate(options):
        described = say("en-US", describe_option(option)).replace("`", "")
        line = f"`{_option_name(model, option)}`: {text.shorten(described, 260)}"
        rest = len(options) - index
        if sum(map(len, lines)) + len(line) > budget:
            lines.append(
                f"… and {rest} more: " + text.shorten(", ".join(f"`{left.label}`" for left in options[index:]), 500)
            )
            break
        lines.append(line)
    return "\n".join(lines) if options else "It takes a prompt and nothing else."


def _option_name(model: Model, option: Option) -> str:
    """The friendly name, or fal's where two options share the friendly one."""
    shared = sum(other.label == option.label for other in model.offered) > 1
    return option.name if shared else option.label


def _model_menus(models: Sequence[Model], shown: Model | None) -> list[discord.ui.ActionRow[Any]]:
    pages = [models[start : start + MENU_LIMIT] for start in range(0, len(models), MENU_LIMIT)][:MOST_MENUS]
    return [
        menu(
            "model",
            str(number),
            [_model_entry(model, shown) for model in page],
            "Choose a model"
            if len(pages) == 1
            else f"{text.plain(page[0].title, 40)} to {text.plain(page[-1].title, 40)}",
        )
        for number, page in enumerate(pages)
    ]


def _model_entry(model: Model, shown: Model | None) -> discord.SelectOption:
    return discord.SelectOption(
        label=text.plain(model.title, 100),
        value=model.key,
        description=text.plain(model.summary, 100) or None,
        default=shown is not None and shown.endpoint == model.endpoint,
    )


def _title(model: Model) -> str:
    return text.escape(text.plain(model.title, 80))


# ---------------------------------------------------------------------- usage


def usage_page(
    standing: Standing | None, jobs: Sequence[Job], ahead: Mapping[str, int], titles: Mapping[str, str]
) -> Card:
    """What somebody has left, when it returns, and what they have under way.

    Args:
        ahead: jobs before each QUEUED one.
        titles: names of models by endpoint.
    """
    parts: list[discord.ui.Item[Any]] = [_words("### What you have left\n" + standing_text(standing))]
    if not jobs:
        parts.append(_words("Nothing of yours is being painted right now."))
        return Card(*parts, row(button("compose"), button("models")), colour=BLUE)
    lines = [_job_line(job, ahead, titles) for job in jobs[:10]]
    parts.append(_words("**Under way**\n" + "\n".join(lines)))
    parts.append(_cancel_menu(jobs, titles))
    return Card(*parts, colour=BLUE)


def standing_text(standing: Standing | None) -> str:
    """The limits as sentences."""
    if standing is None:
        return "There are no limits here."
    lines = [f"**{text.count(standing.images_now, 'picture')}** right now."]
    if standing.burst_full_at is not None:
        lines.append(
            f"Pace: {text.count(standing.burst_left, 'picture')} at once for now; "
            f"all of them back {text.when(standing.burst_full_at)}."
        )
    lines.append(
        f"Today: {text.count(standing.left_today, 'picture')}; "
        f"the count starts again {text.when(standing.day_ends_at)}."
    )
    if standing.guild_left_today is not None:
        lines.append(f"This whole server today: {text.count(standing.guild_left_today, 'picture')}.")
    if standing.free_jobs == 0:
        lines.append("You have as many requests under way as you may; the next can start when one is done.")
    elif standing.guild_free_jobs == 0:
        lines.append("This server has as many requests under way as it may; the next can start when any is done.")
    return "\n".join(lines)


def cancel_page(jobs: Sequence[Job], titles: Mapping[str, str]) -> Card:
    """Which of several jobs should be stopped?"""
    return Card(
        _words(f"You have {text.count(len(jobs), 'request')} under way. Which one should stop?"),
        _cancel_menu(jobs, titles),
    )


def _cancel_menu(jobs: Sequence[Job], titles: Mapping[str, str]) -> discord.ui.ActionRow[Any]:
    entries = [
        discord.SelectOption(
            label=text.plain(job.request.prompt, 100) or job.id,
            value=job.id,
            description=text.plain(
                f"{titles.get(job.request.endpoint, job.request.endpoint)}, {_stage(job.state)}", 100
            ),
        )
        for job in jobs[:MENU_LIMIT]
    ]
    return menu("canceljob", "-", entries, "Cancel one…")


def existing_job_page(job: Job, locale: str) -> Card:
    """What a second click on a draft gets: the way to the job that it became, and the buttons while it is under way."""
    where = f"{job.actor.guild_id or '@me'}/{job.actor.channel_id}/{job.reply.message_id}"
    if job.reply.message_id is None:
        sentence = say(locale, "draft_taken")
    else:
        sentence = say(locale, "draft_taken_at", link=f"https://discord.com/channels/{where}")
    return Card(_words(sentence), *(action_rows(Slot.WAITING, job) if job.state in LIVE else []), colour=BLUE)


def _job_line(job: Job, ahead: Mapping[str, int], titles: Mapping[str, str]) -> str:
    before = ahead.get(job.id)
    stage = _stage(job.state)
    if job.state is JobState.QUEUED and before is not None:
        stage = "next in line" if before == 0 else f"{text.count(before, 'request')} before it"
    title = text.escape(titles.get(job.request.endpoint, job.request.endpoint))
    prompt = text.safe(job.request.prompt, limit=70, max_lines=1) if job.request.prompt else text.code(job.id)
    return f"{prompt}\n-# {title} · {stage} · {text.when(job.created_at)}"


def _stage(state: JobState) -> str:
    match state:
        case JobState.HELD | JobState.QUEUED:
            return "waiting"
        case JobState.SUBMITTING | JobState.RUNNING:
            return "at fal.ai"
        case JobState.FINISHED:
            return "painted, on its way"
        case _:
            return "ended"


# ---------------------------------------------------------------------- settings


@dataclass(frozen=True, slots=True)
class SettingsView:
    """What `/settings show` shows."""

    model: Model
    #: Where the model comes from: `yours`, `the server's` or `the operator's`.
    origin: str
    guild_model: Model | None
    policy: Policy
    overrides: GuildLimits | None
    in_guild: bool


def settings_page(shown: SettingsView) -> Card:
    """The settings that hold for somebody here, and how to change them."""
    parts = [
        f"### Settings\nModel: **{_title(shown.model)}** ({shown.origin} default)\n-# Change it with `/settings model`."
    ]
    if shown.in_guild and shown.guild_model is not None:
        parts.append(f"This server's default: **{_title(shown.guild_model)}**")
    parts.append(f"**Limits for you here**\n{policy_text(shown.policy)}")
    if shown.overrides is not None and shown.overrides.to_json():
        names = text.join_words([LIMIT_NAMES[name] for name in shown.overrides.to_json()])
        parts.append(f"Set by this server: {names}.")
    if shown.in_guild:
        parts.append("-# Managers of the server change them with `/settings limits`.")
    return Card(*(_words(part) for part in parts), colour=BLUE)


LIMIT_NAMES = {
    "images_per_hour": "pictures an hour",
    "burst_images": "pictures at once",
    "images_per_day": "pictures a day",
    "concurrent_jobs": "requests at the same time",
    "guild_images_per_day": "pictures a day for the whole server",
    "guild_concurrent_jobs": "requests at the same time for the whole server",
}


def policy_text(policy: Policy) -> str:
    """The limits, one a line."""
    if not policy.enabled:
        return "None."
    per_hour = 3600 / policy.interval.total_seconds()
    together = policy.guild_concurrent_jobs
    return "\n".join([
        f"{per_hour:g} pictures an hour, {policy.burst_images} at once",
        f"{text.count(policy.images_per_day, 'picture')} a day",
        f"{text.count(policy.concurrent_jobs, 'request')} at the same time",
        f"{text.count(policy.guild_images_per_day, 'picture')} a day for the whole server",
        *([f"{text.count(together, 'request')} at the same time for the whole server"] if together else []),
    ])  # fmt: skip


# ---------------------------------------------------------------------- help and privacy


#: What follows `/imagine prompt:`.
EXAMPLES = (
    "a lighthouse in a storm, oil painting",
    "a fox asleep in a teacup size:16:9 count:2",
    "a paper city at dawn seed:7",
)


def help_page(default: Model) -> Card:
    """Short: what to type, three examples, where to go from here."""
    return Card(
        _words(
            "### Paint with words\n"
            f"Type `/imagine` and say what you want to see. **{_title(default)}** paints unless you name a model."
        ),
        _words("Three to try:\n" + "\n".join(text.code_block(f"/imagine prompt:{example}") for example in EXAMPLES)),
        _words(
            "Under every picture: **Again** paints it with a new seed, **Edit prompt** lets you change the words, "
            "**Details** shows every value to copy, **Delete** takes it away.\n"
            "`/usage` what you have left · `/cancel` stop one · `/settings` your default model · `/privacy` your data"
        ),
        row(button("compose"), button("models"), button("usage")),
        colour=BLUE,
    )


def privacy_page(keep_days: int, store_payloads: bool) -> Card:
    """What is stored, where it goes, how long, and how to have it deleted."""
    fal_keeps = "may keep it up to 30 days" if store_payloads else "is told not to keep it"
    return Card(
        _words(
            "### Your data\n"
            "**Kept here:** your Discord id, the channel, your prompts and options, the times, what you used up, "
            "links to the results, the price, and your default model. Not the pictures themselves.\n"
            "**Sent to fal.ai,** which runs the models: the prompt, the options and the pictures you attach; "
            f"never who you are. fal.ai {fal_keeps}, and finished pictures stay on its servers for a time.\n"
            f"**How long:** requests are deleted after {text.count(keep_days, 'day')}, "
            "your default model when you reset it.\n"
            "**Deleting:** the button removes your requests, prompts and settings for good and cancels what is "
            "under way. Only how much you used up today is kept, for as long as it counts. Pictures already posted "
            "stay in Discord until you press Delete under them."
        ),
        row(button("eraseask")),
        colour=BLUE,
    )


def erase_question() -> Card:
    """Are you sure?"""
    return Card(
        _words(
            "Delete everything stored about you here? What is being painted is cancelled. "
            "Under your old pictures only Delete will still work. This can't be undone."
        ),
        row(button("erase"), button("erasenot")),
        colour=RED,
    )


def plain_page(sentence: str) -> Card:
    """One sentence, for edits of a card that has served."""
    return Card(_words(sentence), colour=GREY)
