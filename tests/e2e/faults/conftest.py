"""A bot for each file of tests, with pauses of a hundredth of a second."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial

import pytest
import pytest_asyncio

from bot.jobs.runner import Runner
from bot.jobs.timings import JobTimings
from bot.services import DiscordTimings, Services
from tests.e2e.sandbox_driver import PausedPainting, SandboxDriver, in_process_bot

#: For a file that has no JOB_TIMINGS of its own.
BRISK = JobTimings(unreachable_pauses_s=(0.01,) * 200, provider_pauses_s=(0.01,) * 200, credit_pauses_s=(0.05,))
BRISK_DISCORD = DiscordTimings(delivery_pauses_s=(0.01,) * 20)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[SandboxDriver]:
    with pytest.MonkeyPatch.context() as patch:
        timings = getattr(request.module, "JOB_TIMINGS", BRISK)
        patch.setattr("bot.app.Runner", partial(Runner, timings=timings))
        patch.setattr("bot.app.Services", partial(Services, discord_timings=BRISK_DISCORD))
        async with in_process_bot(tmp_path_factory.mktemp("bot")) as made:
            yield made


@pytest.fixture(autouse=True)
def fresh(sandbox: SandboxDriver) -> Iterator[None]:
    """Each test begins without injected faults and without what the test before left."""
    sandbox.fal.queue.jobs.clear()
    sandbox.fal.counters.jobs_by_fingerprint.clear()
    yield
    sandbox.discord.clear_faults()
    sandbox.fal.faults.clear()
    sandbox.fal.faults.gone_at_result = False
    for name in ("_refusal", "_success", "_log_progress"):
        vars(sandbox.fal.queue).pop(name, None)
    vars(sandbox.fal).pop("_outage", None)
    vars(sandbox.fal).pop("_result", None)
    sandbox.check_refusals()
    sandbox.expected.clear()
    sandbox.discord.refusals.clear()


@pytest.fixture
def paused(sandbox: SandboxDriver) -> Iterator[PausedPainting]:
    """fal paints half of each picture and waits."""
    made = PausedPainting(sandbox.fal)
    yield made
    made.free()
