"""Mutations for negative controls: each takes one safeguard of the bot away, in one child only."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import discord

from bot.discord import http
from bot.discord.rate_limits import RateLimits
from bot.domain.job import Job, JobState
from bot.jobs.canceller import Canceller
from bot.jobs.context import RunnerContext
from bot.jobs.delivery_pipeline import ResultDeliverer
from bot.jobs.initial_response import InitialResponses
from bot.jobs.reconcile import Reconciler
from bot.jobs.runner import Runner
from bot.jobs.timings import JobTimings
from bot.store import usage
from bot.store.jobs import JobStore
from bot.store.writer import Writer
from cogs import intake, interaction_data

#: Fields of the bot's `JobTimings` that a guard taken away changes.
JOB_TIMINGS: dict[str, Any] = {}


def interaction_key() -> None:
    """Every event is a new one, whether its interaction was seen or not."""
    reply_of = interaction_data.reply_of

    def forgetful(interaction: Any) -> Any:
        return dataclasses.replace(reply_of(interaction), interaction_id=secrets.randbits(60))

    vars(interaction_data)["reply_of"] = forgetful


def named_answer() -> None:
    """Whoever finds an interaction answered takes the answer for their own."""

    async def believing(*_: Any) -> None:
        return None

    vars(intake)["_answered_before"] = believing


def delivery_record() -> None:
    """What was posted is not written down."""
    transition = JobStore.transition

    async def careless(self: JobStore, job: Job, to: JobState, **changes: Any) -> Job | None:
        if to is JobState.DELIVERED:
            return dataclasses.replace(job, state=to)
        return await transition(self, job, to, **changes)

    setattr(JobStore, "transition", careless)  # noqa: B010 - past its type


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
    return_counts = usage._return_counts

    def twice(connection: Any, returned: Any) -> None:
        return_counts(connection, returned)
        return_counts(connection, returned)

    vars(usage)["_return_counts"] = twice


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

    setattr(InitialResponses, "_was_sent_elsewhere", believed)  # noqa: B010 - past its type


def wishes() -> None:
    """Nobody looks whether a job was cancelled at another process."""

    async def deaf(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    setattr(Canceller, "poll_cancel_requests", deaf)  # noqa: B010 - past its type


def store_patience() -> None:
    """What the database does not take at once is given up."""

    async def once(_: RunnerContext, work: Callable[[], Any]) -> Any:
        return await work()

    setattr(RunnerContext, "retry_store", once)  # noqa: B010 - past its type


def outage_retries() -> None:
    """What fal does not answer at once is given up."""
    JOB_TIMINGS.update(unreachable_pauses_s=(), provider_pauses_s=())


def outage_known() -> None:
    """Jobs that fal answers with errors are failed one after another, however many there are."""
    JOB_TIMINGS.update(outage_jobs=1_000_000, blind_s=float("inf"))


def steady_time() -> None:
    """How long fal has had a job is read off a clock that may be set."""

    def age_s(self: RunnerContext, job: Job) -> float:
        return max((self.clock() - (job.submitted_at or job.created_at)).total_seconds(), 0)

    setattr(RunnerContext, "age_s", age_s)  # noqa: B010 - past its type
    JOB_TIMINGS["least_watch_s"] = 0.0


def mending() -> None:
    """What an edit of a process that hung has hidden stays hidden."""

    async def careless(*_: Any) -> None:
        return None

    setattr(ResultDeliverer, "repair", careless)  # noqa: B010 - past its type


def wide_look() -> None:
    """Lost requests are looked for at the time at which our clock says that they were sent."""
    JOB_TIMINGS["wrong_clock"] = JobTimings().clock_difference


def answer_in_time() -> None:
    """A person who asks waits for the database as long as it takes."""
    run = Writer.run

    async def patient(self: Writer, batch: Any, request: Any, *, within_s: float | None = None) -> Any:
        return await run(self, batch, request)

    setattr(Writer, "run", patient)  # noqa: B010 - past its type


def pacing() -> None:
    """One request's 429 holds back nothing but what discord.py holds back."""

    def now(*_: Any) -> float:
        return 0.0

    setattr(RateLimits, "wait_s", now)  # noqa: B010 - past its type
    setattr(RateLimits, "hold_s", now)  # noqa: B010 - past its type


def patience() -> None:
    """Discord's 429 is taken for a no, as discord.py does."""

    async def once(attempt: Callable[[], Any], *_: Any) -> Any:
        return await attempt()

    attach = Runner.attach

    def attach_hasty(self: Runner, delivery: Any) -> None:
        attempt = delivery._attempt

        async def rashly(job: Job, way: Callable[[], Any], **_: Any) -> Any:
            async def refused() -> Any:
                try:
                    return await way()
                except discord.HTTPException as error:
                    error.status = min(error.status, 428)
                    raise
                except discord.RateLimited:
                    return None

            return await attempt(job, refused, patient=False)

        delivery._attempt = rashly
        attach(self, delivery)

    vars(http)["retry_429"] = once
    setattr(Runner, "attach", attach_hasty)  # noqa: B010 - past its type


def refusals_counted() -> None:
    """Nobody counts how often Discord has refused."""
    setattr(RateLimits, "_count", lambda _: None)  # noqa: B010 - past its type


#: By the name of the safeguard that is missing then.
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
    "store patience": store_patience,
    "outage retries": outage_retries,
    "outage known": outage_known,
    "answer in time": answer_in_time,
    "steady time": steady_time,
    "mending": mending,
    "wide look": wide_look,
    "pacing": pacing,
    "patience": patience,
    "refusals counted": refusals_counted,
}
