"""Build modals, and parse their submits.

A modal's custom_id, `easel-modal:<purpose>:<subject>`, says what it was opened for; cogs register a handler for each
purpose (`on_submit`). So any process can handle a submit, also after a restart while the person was typing. Discord's
limits: five fields, labels of 45 characters, 4,000 characters per field.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import discord

from bot.catalogue.model import Model, OptionKind
from bot.domain.job import Job
from cogs.ui import text
from cogs.ui.actions import check_unclaimed
from cogs.ui.messages import say

#: Discord's limit for the text of one field.
FIELD_LIMIT = 4000

_TEMPLATE = re.compile(r"easel-modal:(?P<purpose>[a-z]+):(?P<subject>[0-9A-Za-z_.-]{1,64})")


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submitted modal."""

    #: What it was opened for.
    purpose: str
    #: A job's id, a model's key or the like, depending on the purpose.
    subject: str
    #: The typed text by field name; empty fields are left out.
    fields: Mapping[str, str]


#: Handles a submit and responds to the interaction; errors are shown by `cogs.errors`.
SubmitHandler = Callable[[discord.Interaction[Any], Submitted], Awaitable[None]]

_SUBMIT_HANDLERS: dict[str, SubmitHandler] = {}


def on_submit(purpose: str) -> Callable[[SubmitHandler], SubmitHandler]:
    """Register the decorated function as handler of a purpose. Never change the meaning of a purpose."""

    def register(handler: SubmitHandler) -> SubmitHandler:
        check_unclaimed(purpose, _SUBMIT_HANDLERS.get(purpose), handler)
        _SUBMIT_HANDLERS[purpose] = handler
        return handler

    return register


def submit_handler(purpose: str) -> SubmitHandler | None:
    """The handler of a purpose; None for one that this release does not have."""
    return _SUBMIT_HANDLERS.get(purpose)


class Form(discord.ui.Modal):
    """A modal that discord.py sends without keeping it (`send_modal` stores only modals that are not finished)."""

    def __init__(self, title: str, purpose: str, subject: str, *fields: discord.ui.Label[Any]) -> None:
        super().__init__(title=text.plain(title, 45), timeout=None, custom_id=f"easel-modal:{purpose}:{subject}")
        for field in fields:
            self.add_item(field)
        self.stop()

    def is_finished(self) -> bool:
        """Always True: the submit is parsed by `submitted`."""
        return True


def _example(model: Model) -> str:
    """An example for the field `options`: up to two `name=value` pairs that this model takes."""
    pairs = ["seed=7"] if model.option("seed") is not None else []
    pairs += [f"{option.label}={option.choices[-1]}" for option in model.offered if option.kind is OptionKind.CHOICE]
    return " ".join(pairs[:2])


def compose(model: Model, *, locale: str) -> Form:
    """An empty modal for `model`: a long prompt, and the options that people change most."""
    fields = [_prompt("", locale)]
    if model.option("negative_prompt") is not None:
        fields.append(_negative("", locale))
    if model.size_option is not None:
        example, hint = say(locale, "form_size_example"), say(locale, "form_size_hint")
        fields.append(_line("size", say(locale, "form_size"), example, hint))
    hint = say(locale, "form_options_hint", model=model.key)
    fields.append(_line("options", say(locale, "form_options"), _example(model), hint))
    return Form(say(locale, "form_compose", model=model.title), "compose", model.key, *fields)


def edit(job: Job, model: Model, *, locale: str) -> Form:
    """A modal to edit the job's prompt and repeat the request with it."""
    fields = [_prompt(job.request.prompt, locale)]
    if model.option("negative_prompt") is not None:
        negative = job.request.options.get("negative_prompt")
        fields.append(_negative(negative if isinstance(negative, str) else "", locale))
    return Form(say(locale, "form_edit"), "edit", job.id, *fields)


def submitted(interaction_data: Mapping[str, Any]) -> Submitted | None:
    """Parse the data of a modal submit; None for a custom_id of another format."""
    match = _TEMPLATE.fullmatch(str(interaction_data.get("custom_id", "")))
    if match is None:
        return None
    values = _values(interaction_data.get("components", ()))
    return Submitted(match["purpose"], match["subject"], {name: value for name, value in values if value})


def _values(components: Any) -> Iterator[tuple[str, str]]:
    """(custom_id, value) of the text fields, which are inside labels (type 18) or rows (type 1)."""
    for component in components:
        if "component" in component:
            yield from _values([component["component"]])
        elif "components" in component:
            yield from _values(component["components"])
        elif "custom_id" in component and "value" in component:
            yield component["custom_id"], str(component["value"]).strip()


def _prompt(default: str, locale: str) -> discord.ui.Label[Any]:
    return discord.ui.Label(
        text=say(locale, "form_prompt"),
        component=discord.ui.TextInput(
            custom_id="prompt",
            style=discord.TextStyle.paragraph,
            placeholder=say(locale, "form_prompt_hint"),
            default=text.head(default, FIELD_LIMIT) or None,
            min_length=1,
            max_length=FIELD_LIMIT,
        ),
    )


def _negative(default: str, locale: str) -> discord.ui.Label[Any]:
    return discord.ui.Label(
        text=say(locale, "form_negative"),
        description=say(locale, "form_negative_hint"),
        component=discord.ui.TextInput(
            custom_id="negative_prompt",
            style=discord.TextStyle.paragraph,
            default=text.head(default, FIELD_LIMIT) or None,
            required=False,
            max_length=FIELD_LIMIT,
        ),
    )


def _line(name: str, label: str, placeholder: str, description: str) -> discord.ui.Label[Any]:
    return discord.ui.Label(
        text=text.plain(label, 45),
        description=text.plain(description, 100),
        component=discord.ui.TextInput(custom_id=name, placeholder=placeholder, required=False, max_length=1000),
    )
