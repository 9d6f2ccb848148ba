"""Progress edits: only what is valid and new, never while initial responses are in a hurry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from math import inf
from typing import Any

import pytest

from bot.domain.events import Delivering, ProgressEvent, Queued
from bot.services import DiscordTimings
from cogs.progress_editor import ProgressEditor
from tests.cogs.values import a_job


class Edits:
    """What an editor did, and what it was told meanwhile."""

    def __init__(self) -> None:
        self.shown: list[ProgressEvent] = []
        self.late: list[str] = []
        self.backpressure = False
        self.hangs = False
        self.fails: list[Exception] = []
        self.editor = ProgressEditor(
            self._edit,
            lambda _: True,
            interval_s=0.01,
            pause_s=0.001,
            backpressure=lambda: self.backpressure,
            on_late_edit=self.late.append,
            timings=DiscordTimings(),
        )

    async def _edit(self, event: ProgressEvent) -> None:
        if self.hangs:
            time.sleep(max(event.valid_until_s - time.monotonic(), 0) + 0.2)  # noqa: ASYNC251 - as SIGSTOP does
        if self.fails:
            raise self.fails.pop(0)
        self.shown.append(event)

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.002)


@pytest.fixture
async def edits() -> AsyncIterator[Edits]:
    made = Edits()
    running = asyncio.create_task(made.editor.run())
    yield made
    assert not running.done()
    running.cancel()


def queued(ahead: int, *, valid_for_s: float = inf, job_id: str = "job0000001") -> ProgressEvent:
    return ProgressEvent(a_job(id=job_id), Queued(ahead), valid_until_s=time.monotonic() + valid_for_s)


async def test_progress_edits_wait_while_initial_responses_are_in_a_hurry(edits: Edits) -> None:
    edits.backpressure = True
    edits.editor.update(queued(3))
    await edits.until(lambda: edits.editor._due[0][0] < time.monotonic() - 0.1)
    assert edits.shown == []

    edits.backpressure = False
    await edits.until(lambda: edits.shown)


@pytest.mark.parametrize(("hangs", "repaired"), [(False, []), (True, ["job0000001"])])
async def test_an_edit_of_a_process_that_hung_meanwhile_is_made_good(
    edits: Edits, hangs: bool, repaired: list[str]
) -> None:
    edits.hangs = hangs
    edits.editor.update(queued(3, valid_for_s=2.0))
    await edits.until(lambda: edits.shown)
    await edits.editor.settle("job0000001")
    assert edits.late == repaired


async def test_what_is_no_longer_valid_is_not_shown_but_the_next_state_is_at_once(edits: Edits) -> None:
    """Another process may have the job by now."""
    edits.editor.update(queued(3, valid_for_s=-1))
    await edits.until(lambda: not edits.editor._due)
    assert edits.shown == []

    edits.editor.update(queued(2))
    await edits.until(lambda: edits.shown)
    assert [event.progress for event in edits.shown] == [Queued(2)]


async def test_the_same_is_not_shown_twice_and_nothing_before_the_pictures(edits: Edits) -> None:
    edits.editor.update(queued(3))
    await edits.until(lambda: edits.shown)
    edits.editor.update(queued(3))
    edits.editor.update(ProgressEvent(a_job(id="job0000002"), Delivering()))
    edits.editor.update(queued(1, job_id="job0000003"))
    await edits.until(lambda: len(edits.shown) == 2)
    assert [event.job.id for event in edits.shown] == ["job0000001", "job0000003"]


async def test_an_edit_that_breaks_unexpectedly_ends_neither_the_others_nor_itself(
    edits: Edits, caplog: pytest.LogCaptureFixture
) -> None:
    edits.fails = [RuntimeError("a bug")]
    edits.editor.update(queued(3))
    await edits.until(lambda: not edits.fails)
    edits.editor.update(queued(2))
    await edits.until(lambda: edits.shown)
    assert "progress edit broke" in caplog.text


async def test_what_is_forgotten_is_kept_nowhere(edits: Edits) -> None:
    for number in range(20):
        edits.editor.update(queued(number, job_id=f"job{number:07}"))
    for number in range(20):
        edits.editor.forget(f"job{number:07}")
    assert len(edits.editor) == 0
    await edits.until(lambda: not edits.editor._due)
