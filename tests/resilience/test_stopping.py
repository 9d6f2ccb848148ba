"""SIGTERM with a thousand jobs in flight, and what was finished meanwhile."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from tests.resilience.world import Forks, a_world

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

STOP_S = 5.0
#: Printed beside what was needed; a busy machine may need longer, so nothing fails for it.
CATCH_UP_S = 10.0


@pytest.mark.parametrize("jobs", [100, 1000])
async def test_a_stop_is_quick_and_what_was_finished_meanwhile_is_delivered(
    jobs: int, forks: Forks, tmp_path: Path
) -> None:
    async with a_world(forks, tmp_path) as world:
        world.fal.faults.stuck_queue = True
        await world.start()
        for number in range(jobs):
            await world.ask()
            if number % 10 == 9:  # as fast as they are answered: who waits too long has no job
                await world.until(lambda: sum(ask.record.state == "waiting" for ask in world.asks[-100:]) < 30)
        at_fal = "SELECT count(*) FROM jobs WHERE state = 'running'"
        await world.until(lambda: len(world.fal.accepted) == jobs and world.rows(at_fal)[0][0] == jobs)

        assert world.child is not None
        began_s = time.monotonic()
        world.child.signal(signal.SIGTERM)
        assert await world.gone(within_s=STOP_S) == 0
        stopped_s = time.monotonic() - began_s

        world.fal.faults.stuck_queue = False
        world.fal.queue.resume()
        await world.until(lambda: world.fal.counters.finished == jobs)
        began_s = time.monotonic()
        await world.start()
        assert await world.drained()
        caught_up_s = time.monotonic() - began_s
        await world.kill()
        verdict = await world.verdict()
        print(
            f"{jobs} jobs in flight: stopped in {stopped_s:.2f} s (bound {STOP_S:.0f}), all delivered "
            f"{caught_up_s:.1f} s after the start (bound {CATCH_UP_S:.0f}); {verdict}"
        )
        assert verdict.faults == {}
        assert verdict.pictures == jobs


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1])
async def test_people_who_are_being_answered_at_a_stop_get_their_pictures(
    after_s: float, forks: Forks, tmp_path: Path
) -> None:
    async with a_world(forks, tmp_path) as world:
        world.settings["fal"] = {"reconcile_s": 3600.0}  # an orderly end leaves nothing to look for
        await world.start()
        for _ in range(60):
            await world.ask()
        await asyncio.sleep(after_s)
        assert world.child is not None
        world.child.signal(signal.SIGTERM)
        assert await world.gone(within_s=STOP_S) == 0
        await world.start()
        assert await world.drained()
        await world.kill()
        verdict = await world.verdict()
        print(f"stopped {after_s} s after 60 questions at once; {verdict}")
        assert verdict.faults == {}


async def test_a_stop_while_fal_is_away_gives_nothing_up(forks: Forks, tmp_path: Path) -> None:
    async with a_world(forks, tmp_path) as world:
        world.settings["fal"] = {"reconcile_s": 3600.0}
        world.job_timings["provider_pauses_s"] = [60.0] * 15
        world.job_timings["unreachable_pauses_s"] = [30.0] * 5
        await world.start()
        world.fal.faults.rate_limited = -1  # turned away before the queue: certain that fal has nothing
        asks = [await world.ask(kind) for kind in ("plain", "two", "input", "seedless") * 5]
        await world.until(lambda: all(ask.seen for ask in asks))
        assert world.child is not None
        world.child.signal(signal.SIGTERM)
        assert await world.gone(within_s=STOP_S) == 0
        world.fal.faults.clear()
        await world.start()
        assert await world.drained()
        await world.kill()
        verdict = await world.verdict()
        print(f"stopped while fal was away; {verdict}")
        assert verdict.faults == {}
        assert verdict.flagged == 0
