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
from bot.errors import SubmitUnconfirmed
from bot.jobs.canceller import Canceller
from bot.jobs.context import RunnerContext
from bot.jobs.delivery_pipeline import ResultDeliverer
from bot.jobs.initial_response import InitialResponses
from bot.jobs.reconcile import Reconciler
from bot.jobs.runner import Runner
from bot.jobs.submitter import Submitter
from bot.jobs.timings import JobTimings
from bot.store import settling, usage
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
    """A process that finds an interaction answered takes the answer for its own."""

    async def believing(*_: Any) -> None:
        return None

    vars(intake)["_answered_before"] = believing


def delivery_record() -> None:
    """A delivery is not recorded."""
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
    take_off = usage.take_off

    def twice(connection: Any, less: Any) -> None:
        take_off(connection, less)
        take_off(connection, less)

    vars(settling)["take_off"] = twice


def reconciliation() -> None:
    """A submit whose answer is missing is sent again at once."""

    async def blind(*_: Any, **__: Any) -> None:
        return None

    setattr(Reconciler, "find", blind)  # noqa: B010 - past its type


def doubts_of_5xx() -> None:
    """What fal answers with a 5xx counts as nothing, whether it took it or not."""
    note_loss = Submitter._note_loss

    async def trusting(self: Submitter, submission: Any, error: SubmitUnconfirmed) -> None:
        error.request_id = None
        await note_loss(self, submission, error)
        if error.refused:
            self._active.open(submission.job.id).unsure_attempt = None

    setattr(Submitter, "_note_loss", trusting)  # noqa: B010 - past its type


def search_after_cancel() -> None:
    """The search for a lost request ends when its job is cancelled."""

    def always(self: Reconciler, job_id: str, attempt: int) -> bool:
        active = self._active.get(job_id)
        lost = active.lost_attempts.get(attempt) if active is not None else None
        if lost is not None:
            lost.heard.set()
        return lost is not None

    setattr(Reconciler, "give_up", always)  # noqa: B010 - past its type


def first_answer() -> None:
    """Every accepted job is painted, even if the person never saw an answer."""

    attach = Runner.attach

    async def always(*_: Any, **__: Any) -> bool:
        return True

    def attach_believing(self: Runner, delivery: Any) -> None:
        delivery.was_answered = always
        attach(self, delivery)

    setattr(Runner, "attach", attach_believing)  # noqa: B010 - past its type


def answers_elsewhere() -> None:
    """A job that another process accepted is painted at once, without waiting for that one's answer."""

    async def believed(*_: Any, **__: Any) -> bool:
        return True

    setattr(InitialResponses, "_was_sent_elsewhere", believed)  # noqa: B010 - past its type


def cancel_requests() -> None:
    """No process polls for cancel requests made at another one."""

    async def deaf(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    setattr(Canceller, "poll_cancel_requests", deaf)  # noqa: B010 - past its type


def store_retries() -> None:
    """A call that the database refuses is not retried."""

    async def once(_: RunnerContext, work: Callable[[], Any]) -> Any:
        return await work()

    setattr(RunnerContext, "retry_store", once)  # noqa: B010 - past its type


def outage_retries() -> None:
    """A call that fal does not answer is not retried."""
    JOB_TIMINGS.update(unreachable_pauses_s=(), provider_pauses_s=())


def outage_detection() -> None:
    """Jobs that fal answers with errors are failed one after another, however many there are."""
    JOB_TIMINGS.update(outage_jobs=1_000_000, blind_s=float("inf"))


def monotonic_age() -> None:
    """How long fal has had a job is measured with a clock that may be set."""

    def age_s(self: RunnerContext, job: Job) -> float:
        return max((self.clock() - (job.submitted_at or job.created_at)).total_seconds(), 0)

    setattr(RunnerContext, "age_s", age_s)  # noqa: B010 - past its type
    JOB_TIMINGS["least_watch_s"] = 0.0


def message_repair() -> None:
    """A result hidden by a late edit of a process that hung is not repaired."""

    async def careless(*_: Any) -> None:
        return None

    setattr(ResultDeliverer, "repair", careless)  # noqa: B010 - past its type


def wide_time_window() -> None:
    """Lost requests are searched for only around the time that our clock says they were sent at."""
    JOB_TIMINGS["wrong_clock"] = JobTimings().clock_difference


def answer_in_time() -> None:
    """A request waits for the database without a deadline."""
    run = Writer.run

    async def patient(self: Writer, batch: Any, request: Any, *, within_s: float | None = None) -> Any:
        return await run(self, batch, request)

    setattr(Writer, "run", patient)  # noqa: B010 - past its type


def rate_limit_waits() -> None:
    """One request's 429 holds back nothing but what discord.py holds back."""

    def now(*_: Any) -> float:
        return 0.0

    setattr(RateLimits, "wait_s", now)  # noqa: B010 - past its type
    setattr(RateLimits, "hold_s", now)  # noqa: B010 - past its type


def retries_of_429() -> None:
    """A 429 of Discord is taken for a refusal, as discord.py does."""

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
    "doubts of 5xx": doubts_of_5xx,
    "search after cancel": search_after_cancel,
    "first answer": first_answer,
    "answers elsewhere": answers_elsewhere,
    "cancel requests": cancel_requests,
    "store retries": store_retries,
    "outage retries": outage_retries,
    "outage detection": outage_detection,
    "answer in time": answer_in_time,
    "monotonic age": monotonic_age,
    "message repair": message_repair,
    "wide time window": wide_time_window,
    "rate limit waits": rate_limit_waits,
    "429 retries": retries_of_429,
    "refusals counted": refusals_counted,
}
