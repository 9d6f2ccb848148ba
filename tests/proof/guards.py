"""Guards of the bot that a negative control takes away, in its own child only."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import discord

from bot.jobs.job import Job, JobState
from bot.jobs.reconcile import Reconciler
from bot.jobs.runner import Runner
from bot.store import Store, books
from cogs import asking, reading


def interaction_key() -> None:
    """Every event is a new one, whether its interaction was seen or not."""
    reply_of = reading.reply_of

    def forgetful(interaction: Any) -> Any:
        return dataclasses.replace(reply_of(interaction), interaction_id=secrets.randbits(60))

    vars(reading)["reply_of"] = forgetful


def named_answer() -> None:
    """Whoever finds an interaction answered takes the answer for their own."""

    async def believing(*_: Any) -> None:
        return None

    vars(asking)["_answered_before"] = believing


def delivery_record() -> None:
    """What was posted is not written down."""
    advance = Store.advance

    async def careless(self: Store, job: Job, to: JobState, **changes: Any) -> Job | None:
        if to is JobState.DELIVERED:
            return dataclasses.replace(job, state=to)
        return await advance(self, job, to, **changes)

    setattr(Store, "advance", careless)  # noqa: B010 - past its type


def nonce() -> None:
    """Every post is a new one to Discord."""
    handle = discord.http.handle_message_parameters

    def unmarked(*given: Any, **options: Any) -> Any:
        if options.get("nonce"):
            options["nonce"] = secrets.token_hex(10)
        return handle(*given, **options)

    vars(discord.abc)["handle_message_parameters"] = unmarked


def single_release() -> None:
    """A reservation is given back twice."""
    return_counts = books._return_counts

    def twice(connection: Any, returned: Any) -> None:
        return_counts(connection, returned)
        return_counts(connection, returned)

    vars(books)["_return_counts"] = twice


def reconciliation() -> None:
    """A submit whose answer is missing is sent again at once."""

    async def blind(*_: Any, **__: Any) -> None:
        return None

    setattr(Reconciler, "find", blind)  # noqa: B010 - past its type


def first_answer() -> None:
    """Whatever was accepted is painted, whether the person ever saw an answer or not."""

    attach = Runner.attach

    async def always(*_: Any, **__: Any) -> bool:
        return True

    def attach_believing(self: Runner, delivery: Any) -> None:
        delivery.was_answered = always
        attach(self, delivery)

    setattr(Runner, "attach", attach_believing)  # noqa: B010 - past its type


def answers_elsewhere() -> None:
    """What another process accepted is painted at once, whether that one still answers or has died before."""

    async def believed(*_: Any, **__: Any) -> bool:
        return True

    setattr(Runner, "_answered_elsewhere", believed)  # noqa: B010 - past its type


def wishes() -> None:
    """Nobody looks whether a job was cancelled at another process."""

    async def deaf(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    setattr(Runner, "_heed_wishes_forever", deaf)  # noqa: B010 - past its type


#: By the name a proof's order uses.
WITHOUT: Mapping[str, Callable[[], None]] = {
    "interaction key": interaction_key,
    "first answer names the job": named_answer,
    "delivery record": delivery_record,
    "nonce": nonce,
    "single release": single_release,
    "reconciliation": reconciliation,
    "first answer": first_answer,
    "answers elsewhere": answers_elsewhere,
    "wishes": wishes,
}
