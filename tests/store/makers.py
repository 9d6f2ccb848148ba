"""Values for the store's tests."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from bot.domain.job import Actor, Failure, FalRequest, Job, JobState, NewJob, RemotePicture, Reply, Result
from bot.domain.request import GenerationRequest
from bot.ids import new_job_id
from bot.limits import Policy
from bot.phrase import phrase
from bot.store import Accepted, Store

NOON = datetime(2026, 5, 4, 12, 0, 0, 123_457, tzinfo=UTC)
TOKEN_LIFE = timedelta(minutes=15)
REQUEST = FalRequest("req-1", "https://fal/status", "https://fal/response", "https://fal/cancel")
FAILURE = Failure(
    "result_unusable",
    phrase("result_unusable", why=phrase("picture_too_large", format="PNG", mebibytes=12.5)),
    incident="7F3A",
)

#: Nobody meets a limit under this one.
WIDE = Policy(
    interval=timedelta(seconds=1),
    burst_images=100_000,
    images_per_day=1_000_000,
    concurrent_jobs=100_000,
    guild_images_per_day=1_000_000,
)

_numbers = itertools.count(1)


class Clock:
    """Time that moves when told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)


def policy(**changes: Any) -> Policy:
    """`WIDE`, with changes."""
    return replace(WIDE, **changes)


def new_job(
    *,
    user: int = 1,
    guild: int | None = 50,
    images: int = 1,
    prompt: str = "a quiet harbour",
    interaction: int | None = None,
    job_id: str | None = None,
    **fields: Any,
) -> NewJob:
    """A request as `/imagine` would hand it in."""
    number = next(_numbers)
    return NewJob(
        id=job_id or new_job_id(1_750_000_000_000 + number, Random(number)),
        actor=Actor(user, 70, guild, (900, 901)),
        reply=Reply(
            application_id=3,
            interaction_id=interaction or 1_000_000 + number,
            token=f"interaction-token-{number}",
            token_expires_at=NOON + TOKEN_LIFE,
            upload_limit_bytes=123_456,
            age_restricted=True,
            bot_can_post=False,
            ephemeral=True,
            locale="de",
        ),
        request=GenerationRequest(
            **{
                "endpoint": "fal-ai/z-image/turbo",
                "prompt": prompt,
                "options": {"seed": 7, "image_size": {"width": 640, "height": 480}},
                "given": ("seed",),
                "images": images,
                "size": (640, 480),
                "cost_usd": None,
                **fields,
            }
        ),
        parent_id="parent0001",
    )


def result(pictures: int = 1, cost_usd: Decimal | None = None) -> Result:
    """What fal answered."""
    return Result(
        pictures=tuple(RemotePicture(f"https://fal/{n}.png", "image/png", 640, 480, 100 + n) for n in range(pictures)),
        seed=7,
        nsfw=(False,) * pictures,
        inference_s=1.5,
        usage={"total_tokens": 5},
        cost_usd=cost_usd,
    )


async def accepted(store: Store, new: NewJob | None = None, limits: Policy = WIDE) -> Job:
    """A job that was let in."""
    answer = await store.jobs.accept(new or new_job(), limits, max_waiting=100_000)
    assert isinstance(answer, Accepted), answer
    return answer.job


async def moved(store: Store, job: Job, to: JobState, **facts: Any) -> Job:
    """The job after a move that must take."""
    after = await store.jobs.transition(job, to, **facts)
    assert after is not None
    return after


async def running(store: Store, new: NewJob | None = None, limits: Policy = WIDE) -> Job:
    """A job that fal has; the queue was empty before."""
    job = await accepted(store, new, limits)
    (claimed,) = await store.jobs.claim(1)
    assert claimed.id == job.id
    return await moved(store, claimed, JobState.RUNNING, fal_request=REQUEST)


async def delivered(store: Store, new: NewJob | None = None, limits: Policy = WIDE, pictures: int | None = None) -> Job:
    """A job that went all the way."""
    job = await running(store, new, limits)
    job = await moved(store, job, JobState.FINISHED, result=result(pictures or job.request.images))
    return await moved(store, job, JobState.DELIVERED, message_id=4242)


@contextmanager
def somebody_else() -> Iterator[Path]:
    """A folder, and for as long as it lasts no rights beyond those of an ordinary user."""
    folder = Path(tempfile.mkdtemp(prefix="easel-"))
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)
