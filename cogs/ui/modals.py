"""Modals: what they are opened for, and what comes back (`cogs.ui.windows` builds ours).

A modal's custom_id, `easel-modal:<purpose>:<subject>`, says what it was opened for; cogs register a handler for each
purpose (`on_submit`). So any process can handle a submit, also after a restart while the person was typing. Discord's
limits: five fields, labels of 45 characters, 4,000 characters per field.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import discord

from cogs.ui import text
from cogs.ui.actions import check_unclaimed
from cogs.ui.fields import FIELD_LIMIT, MOST_FILES, joined
from cogs.ui.typed import FIELDS, takes_pictures

#: Discord's type of a field for files.
UPLOAD = 19
#: The fields that hold a text or a choice, and the most characters of one with all its parts.
_TEXTS = frozenset(name for name in (*FIELDS, "model") if not takes_pictures(name))
_MOST_CHARACTERS = 5 * FIELD_LIMIT

_TEMPLATE = re.compile(r"easel-modal:(?P<purpose>[a-z]+):(?P<subject>[0-9A-Za-z_.-]{1,64})")


@dataclass(frozen=True, slots=True)
class ModalSubmit:
    """A submitted modal."""

    #: What it was opened for.
    purpose: str
    #: A job's id, a model's key or the like, depending on the purpose.
    subject: str
    #: What was typed or chosen, by field name; empty fields are left out.
    fields: Mapping[str, str]
    #: The ids of the files given, by field name; empty fields are left out.
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: The names of the fields for texts and choices that the window had, also of those left empty.
    shown: frozenset[str] = frozenset()


#: Handles a submit and responds to the interaction; errors are shown by `cogs.errors`.
SubmitHandler = Callable[[discord.Interaction[Any], ModalSubmit], Awaitable[None]]

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

    def __init__(self, title: str, purpose: str, subject: str, *parts: discord.ui.Item[Any]) -> None:
        super().__init__(title=text.plain(title, 45), timeout=None, custom_id=f"easel-modal:{purpose}:{subject}")
        for part in parts:
            self.add_item(part)
        self.stop()

    def is_finished(self) -> bool:
        """Always True: the submit is parsed by `parse_submit`."""
        return True


def parse_submit(interaction_data: Mapping[str, Any]) -> ModalSubmit | None:
    """Parse the data of a modal submit; None for a custom_id of another format."""
    match = _TEMPLATE.fullmatch(str(interaction_data.get("custom_id", "")))
    if match is None:
        return None
    parts = list(_parts(interaction_data.get("components")))
    files = {
        part["custom_id"]: tuple(map(str, part.get("values") or ())) for part in parts if part.get("type") == UPLOAD
    }
    typed = joined({part["custom_id"]: _value(part) for part in parts if part.get("type") != UPLOAD})
    # A changed client may send what no window of ours has; a draft would keep it.
    typed = {name: value[:_MOST_CHARACTERS] for name, value in typed.items() if name in _TEXTS}
    return ModalSubmit(
        match["purpose"],
        match["subject"],
        {name: value for name, value in typed.items() if value},
        {name: ids[:MOST_FILES] for name, ids in files.items() if ids and takes_pictures(name)},
        frozenset(typed),
    )


def _parts(components: Any) -> Iterator[Mapping[str, Any]]:
    """The fields, which are inside labels (type 18) or rows (type 1)."""
    for component in components or ():
        if component.get("component"):
            yield from _parts([component["component"]])
        elif "components" in component:
            yield from _parts(component["components"])
        elif "custom_id" in component:
            yield component


def _value(part: Mapping[str, Any]) -> str:
    chosen = part.get("values") or ()
    return str(part.get("value") or (chosen[0] if chosen else ""))
