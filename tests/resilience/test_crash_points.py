"""Killed before and after every COMMIT and every HTTP request, and with each answer lost: everything comes right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
import pytest_asyncio

from tests.resilience.crash import SCENARIOS, START, How, Points, crash_points, start_points
from tests.resilience.world import Forks, Verdict

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

#: Scenarios told side by side; each waits most of the time.
AT_ONCE = 4
#: The longest one is shared by this many worlds.
IDENTIFY_HISTORY = 3
#: What can be done to a process that is alone.
ONE_PROCESS: Sequence[How] = ("kill", "lose")
# The long ones first: what runs side by side then ends together.
RUNS: list[tuple[str, How]] = [
    *((f"{START} {share}", "kill") for share in range(IDENTIFY_HISTORY)),
    *((scenario, how) for how in ONE_PROCESS for scenario in SCENARIOS),
]
#: What the scenarios have to touch, each before and after.
KINDS = {
    "COMMIT",
    "POST /interactions/…/…/callback",
    "POST /files/upload",
    "POST /fal-ai/flux-1/schnell",
    "GET /v1/models/requests/by-endpoint",
    "GET /fal-ai/flux-1/requests/…/status/stream",
    "GET /fal-ai/flux-1/requests/…",
    "PUT /fal-ai/flux-1/requests/…/cancel",
    "GET /files/b/…",
    "GET /webhooks/…/…/messages/%40original",
    "PATCH /webhooks/…/…/messages/%40original",
    "POST /channels/…/messages",
}
#: Boundaries that a killed question meets on its way, whatever else a scenario has.
ALWAYS = {
    *("before COMMIT", "after COMMIT"),
    *("before POST /interactions/…/…/callback", "after POST /interactions/…/…/callback"),
    *("before POST /fal-ai/flux-1/schnell", "after POST /fal-ai/flux-1/schnell"),
    *("before PATCH /webhooks/…/…/messages/%40original", "after PATCH /webhooks/…/…/messages/%40original"),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def all_points(
    forks: Forks, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[tuple[str, How], asyncio.Task[Points]]]:
    """Every run, started at once, a few at a time."""
    folder = tmp_path_factory.mktemp("points")
    turn = asyncio.Semaphore(AT_ONCE)

    async def run(scenario: str, how: How) -> Points:
        async with turn:
            if scenario.startswith(START):
                share = int(scenario.rpartition(" ")[2])
                return await start_points(forks, folder / f"start-{share}", share=(share, IDENTIFY_HISTORY))
            return await crash_points(forks, folder / f"{scenario} {how}".replace(" ", "-"), scenario, how)

    runs = {(scenario, how): asyncio.create_task(run(scenario, how)) for scenario, how in RUNS}
    yield runs
    for task in runs.values():
        task.cancel()
    await asyncio.gather(*runs.values(), return_exceptions=True)


@pytest.mark.parametrize(("scenario", "how"), RUNS)
async def test_every_boundary_is_survived(
    scenario: str, how: How, all_points: Mapping[tuple[str, How], asyncio.Task[Points]]
) -> None:
    points = await all_points[scenario, how]
    print(points)
    assert len(points.met) >= (16 if how == "kill" else 4), "boundaries are missing"
    if (scenario, how) == ("plain", "kill"):
        assert {name for name, _ in points.met} >= ALWAYS
    assert points.verdict.flagged_doubles == 0
    assert points.verdict.faults == {}


async def test_every_kind_of_boundary_was_met(all_points: Mapping[tuple[str, How], asyncio.Task[Points]]) -> None:
    runs = [await task for task in all_points.values()]
    met = {name for one in runs for name, _ in one.met}
    count = sum(len(one.met) for one in runs)
    total = sum((one.verdict for one in runs), Verdict())
    print(f"{count} points, {len(met)} kinds; {total}")
    assert {f"{when} {what}" for when in ("before", "after") for what in KINDS} <= met
