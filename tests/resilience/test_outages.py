"""Whatever is away for a while: nothing lost, nothing doubled, people told, and all delivered soon after."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from tests.resilience.outages import DISTURB, DISTURB_SERVER, outage, outages
from tests.resilience.world import Forks
from tests.store.conftest import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

LASTING_S = 5.0
AT_ONCE = 14
#: How often a control may look for its fault.
TRIES = 4


async def test_outages_lose_and_double_nothing(forks: Forks, tmp_path: Path) -> None:
    seed = secrets.token_hex(4)
    faults = {}
    async for one in outages(forks, tmp_path, list(DISTURB), seed, lasting_s=LASTING_S, at_once=AT_ONCE):
        print(one)
        if one.faults:
            faults[one.kind] = one.faults
    assert faults == {}


@pytest.mark.postgres
async def test_a_database_server_that_goes_away_loses_and_doubles_nothing(
    forks: Forks, postgres: Postgres, tmp_path: Path
) -> None:
    seed = secrets.token_hex(4)
    faults = {}
    kinds = list(DISTURB_SERVER)
    async for one in outages(forks, tmp_path, kinds, seed, lasting_s=3.0, at_once=2, server=postgres):
        print(one)
        if one.faults:
            faults[one.kind] = one.faults
    assert faults == {}


CONTROLS = (
    ("store retries", "disk full", "lost"),
    ("outage retries", "fal refused", "lost"),
    ("outage detection", "fal broken", "lost"),
    ("monotonic age", "clock an hour ahead", "lost"),
    ("wide time window", "clock an hour ahead", "painted again"),
    ("answer in time", "database locked", "speechless"),
)


async def test_outages_find_the_mutation(forks: Forks, tmp_path: Path) -> None:
    async def look(mutation: str, kind: str, fault: str) -> str | None:
        for number in range(TRIES):
            folder = tmp_path / f"{mutation}-{number}".replace(" ", "-")
            done = await outage(
                forks, folder, kind, f"without {mutation}/{number}", lasting_s=4.0, without=[mutation], recovery_s=12.0
            )
            print(done)
            if fault in done.faults:
                return None
        return f"{TRIES} times {kind} without {mutation} showed nothing {fault}"

    missing = await asyncio.gather(*(look(*control) for control in CONTROLS))
    assert [one for one in missing if one is not None] == []
