"""Five hundred forced drops, each with a replay that overlaps: nothing lost, nothing run twice."""

from __future__ import annotations

import asyncio
import secrets
import time
from pathlib import Path

import pytest

from bot.discord.identify_budget import IdentifyHistory
from bot.discord.session import IDENTIFY_HISTORY_KEY
from bot.store import Store
from tests.resilience.gateway import drops
from tests.resilience.world import Forks, a_world

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DROPS = 500
#: Either of these is enough for a replay that comes later than the first answer.
GUARDS = ("interaction key", "first answer names the job")
#: At most so many rounds of a control.
ROUNDS = 5


async def test_five_hundred_drops_lose_nothing_and_run_nothing_twice(forks: Forks, tmp_path: Path) -> None:
    done = await drops(forks, tmp_path, seed=secrets.token_hex(4), count=DROPS)
    print(done)
    assert done.drops == DROPS
    assert done.resumes > 0.9 * DROPS
    assert done.overlapping > DROPS
    # Only a session that Discord has ended is begun anew (once more when that breaks before its READY).
    assert done.identifies <= 1 + 2 * done.kinds["invalid"]
    assert done.verdict.answered > 50
    assert done.verdict.faults == {}


async def test_every_identify_is_on_record_and_none_is_made_where_few_are_left(forks: Forks, tmp_path: Path) -> None:
    async with a_world(forks, tmp_path) as world:
        gateway = world.discord.gateway
        await world.start()
        await world.discord.drop_gateway("invalid")
        await world.until(lambda: gateway.online and len(gateway.identifies) == 2)
        gateway.identify_limit = 20
        await world.discord.drop_gateway("invalid")
        text = await asyncio.to_thread(_until_it_says, world.log, "no session with Discord yet")
        assert text, "it never said why nothing is heard of it"
        assert len(gateway.identifies) == 2
        await world.kill()
        store = await Store.open(world.database.url, exclusive=False)
        assert len(IdentifyHistory.from_text(await store.kv.get(IDENTIFY_HISTORY_KEY)).at) == 2
        await store.close()


def _until_it_says(log: Path, words: str) -> bool:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        if words in log.read_text("utf-8"):
            return True
        time.sleep(0.1)
    return False


async def test_without_the_interaction_key_replays_run_twice(forks: Forks, tmp_path: Path) -> None:
    for number in range(ROUNDS):
        folder, seed = tmp_path / str(number), f"without the key/{number}"
        done = await drops(
            forks, folder, seed=seed, count=25, without=["interaction key", "first answer names the job"], drain_s=1.0
        )
        print(done)
        if done.verdict.shows("doubled_submits"):
            return
    pytest.fail("replays without the interaction key were harmless")
