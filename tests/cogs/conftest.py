"""The real commands on a bot that is connected to nothing: real store, real catalogue, a runner that only accepts."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import discord
import pytest

from bot.catalogue import load
from bot.discord.client import COGS, EaselBot
from bot.domain.job import Job, JobState, NewJob
from bot.domain.ports import CancelOutcome
from bot.jobs.credit_pause import CreditPause
from bot.jobs.runner import Runner
from bot.limits import Policy, Refused
from bot.media.workers import ImageWorkers
from bot.phrase import phrase
from bot.services import DiscordTimings, Services
from bot.settings import Settings
from bot.store import Accepted, Duplicate, Store
from bot.supervisor import Supervisor
from tests.cogs.interactions import APPLICATION, an_interaction

#: Immutable, so one is enough.
CATALOGUE = load()

#: Delivery is left out: it needs a runner that delivers.
EXTENSIONS = tuple(name for name in COGS if name != "cogs.delivery")

# Cards show the buttons of the cogs that were imported; tests of single cards load no bot.
for extension in EXTENSIONS:
    importlib.import_module(extension)


class AcceptingRunner:
    """Accepts into the real store and remembers what it was told."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.answers: list[tuple[str, int | None]] = []
        self.lost: list[str] = []
        self.stopping = False
        self.budget_refusals: set[tuple[str, int]] = set()
        self.credit = CreditPause((1,), lambda: 0.0)

    async def accept(self, new: NewJob, policy: Policy) -> Accepted | Refused | Duplicate:
        return await self._store.jobs.accept(new, policy, max_waiting=100)

    async def answered(self, job_id: str, message_id: int | None) -> None:
        self.answers.append((job_id, message_id))

    async def unanswered(self, job_id: str) -> None:
        self.lost.append(job_id)

    async def cancel(self, job_id: str, *, patience_s: float = 0) -> CancelOutcome:
        job = await self._store.jobs.get(job_id)
        assert job is not None
        moved = await self._store.jobs.transition(job, JobState.CANCELLED)
        return CancelOutcome(moved is not None, phrase("cancelled_early"))


class CogFixture:
    """One bot, and what people do to it."""

    def __init__(self, bot: EaselBot, runner: AcceptingRunner) -> None:
        self.bot = bot
        self.runner = runner
        self.store = bot.services.store
        self._interactions = 0

    def interaction(self, **kwargs: Any) -> discord.Interaction[Any]:
        self._interactions += 1
        interaction = an_interaction(self.bot, **kwargs)
        interaction.id += self._interactions
        cast("Any", interaction.response.send_message).return_value = Mock(message_id=777)
        return interaction

    async def command(self, name: str, *path: str, options: dict[str, Any] | None = None, **where: Any) -> Any:
        """Somebody enters a slash command; returns the interaction."""
        leaf = [_option(key, value) for key, value in (options or {}).items()]
        for word in reversed(path):
            leaf = [{"type": 1, "name": word, "options": leaf}]
        interaction = self.interaction(
            data={"id": "1", "name": name, "type": 1, "options": leaf, **where.pop("data", {})}, **where
        )
        await self.bot.tree._call(interaction)
        return interaction

    async def complete(self, name: str, focus: str, options: dict[str, Any], *path: str) -> list[tuple[str, str]]:
        """What autocomplete offers for the option `focus`."""
        leaf = [{**_option(key, value), "focused": key == focus} for key, value in options.items()]
        for word in reversed(path):
            leaf = [{"type": 1, "name": word, "options": leaf}]
        interaction = self.interaction(kind=4, data={"id": "1", "name": name, "type": 1, "options": leaf})
        await self.bot.tree._call(interaction)
        offered = cast("Any", interaction.response.autocomplete).call_args.args[0]
        return [(choice.name, choice.value) for choice in offered]

    async def click(
        self,
        view: Any,
        custom_id: str,
        values: tuple[str, ...] = (),
        message: dict[str, Any] | None = None,
        **where: Any,
    ) -> Any:
        """Somebody uses a button (or a menu) of a card; returns the interaction. `message`: its extra fields."""
        kind = 3 if values else 2
        interaction = self.interaction(
            kind=3,
            data={"component_type": kind, "custom_id": custom_id, "values": list(values)},
            message={**a_message(view.to_components()), **(message or {})},
            **where,
        )
        views = self.bot._connection._view_store
        views.dispatch_view(kind, custom_id, interaction)
        await asyncio.gather(*views._ViewStore__tasks)  # type: ignore[attr-defined]
        return interaction

    async def submit(
        self,
        custom_id: str,
        fields: Mapping[str, str | tuple[str, ...]],
        files: dict[str, list[dict[str, Any]]] | None = None,
        **where: Any,
    ) -> Any:
        """Somebody sends a modal; a tuple is what was chosen from a menu, and files are as Discord describes them."""
        components = [{"type": 18, "component": _filled(name, value)} for name, value in fields.items()]
        data: dict[str, Any] = {"custom_id": custom_id, "components": components}
        if files:
            given = [one for several in files.values() for one in several]
            data["resolved"] = {"attachments": {one["id"]: one for one in given}}
            components += [
                {"type": 18, "component": {"type": 19, "custom_id": name, "values": [one["id"] for one in several]}}
                for name, several in files.items()
            ]
        interaction = self.interaction(kind=5, data=data, **where)
        await cast("Any", self.bot.get_cog("components")).on_interaction(interaction)
        return interaction

    async def jobs(self, person: int = 11) -> list[Job]:
        return await self.store.jobs.of_user(person, live_only=False)

    async def a_delivered_job(self, prompt: str = "a fox", **options: Any) -> Job:
        await self.command("imagine", options={"prompt": prompt, **options})
        (job,) = await self.store.jobs.claim(1)
        for state in (JobState.RUNNING, JobState.FINISHED, JobState.DELIVERED):
            moved = await self.store.jobs.transition(job, state)
            assert moved is not None
            job = moved
        return job


def _filled(name: str, value: str | tuple[str, ...]) -> dict[str, Any]:
    if isinstance(value, tuple):
        return {"type": 3, "custom_id": name, "values": list(value)}
    return {"type": 4, "custom_id": name, "value": value}


def _option(name: str, value: Any) -> dict[str, Any]:
    kind = {bool: 5, int: 4, float: 10}.get(type(value), 3)
    return {"name": name, "type": 11 if name in ("image", "mask") else kind, "value": value}


def a_message(components: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": "888",
        "channel_id": "22",
        "type": 20,
        "content": "",
        "author": {"id": str(APPLICATION), "username": "easel", "discriminator": "0", "avatar": None, "bot": True},
        "components": components,
        "flags": 1 << 15,
        "attachments": [],
        "embeds": [],
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "pinned": False,
        "tts": False,
        "timestamp": "2026-11-21T12:00:00+00:00",
        "edited_timestamp": None,
    }


@pytest.fixture
async def fixture(tmp_path: Path) -> AsyncIterator[CogFixture]:
    store = await Store.open(f"sqlite:///{tmp_path / 'easel.db'}")
    runner = AcceptingRunner(store)
    services = Services(
        Settings(),
        store,
        CATALOGUE,
        cast("Runner", runner),
        images := ImageWorkers(),
        lambda: datetime.now(UTC),
        Supervisor(),
        DiscordTimings(own_answer_pauses_s=(0.0, 0.0)),
    )
    bot = EaselBot(services)
    user = {"id": str(APPLICATION), "username": "easel", "discriminator": "0", "avatar": None, "bot": True}
    bot._connection.user = discord.ClientUser(state=bot._connection, data=cast("Any", user))
    await bot._async_setup_hook()
    try:
        for extension in EXTENSIONS:
            await bot.load_extension(extension)
        yield CogFixture(bot, runner)
    finally:
        await bot.close()
        await images.close()
        await store.close()


def with_limits(fixture: CogFixture, **changes: Any) -> None:
    """Other limits for everybody."""
    services = fixture.bot.services
    limits = services.settings.limits.model_copy(update=changes)
    settings = services.settings.model_copy(update={"limits": limits})
    with_services(fixture, replace(services, settings=settings))


def with_services(fixture: CogFixture, changed: Services) -> None:
    """Other parts behind the commands, from now on."""
    fixture.bot.services = changed
    for cog in fixture.bot.cogs.values():
        if hasattr(cog, "_services"):
            cog._services = changed
