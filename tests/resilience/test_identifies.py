"""Discord's limit on identifies: a loop of kills slows down, and nobody identifies while hardly any are left."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.resilience.world import Forks, World, a_world

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

FREE = 3
PAUSE_S = 1.5
KILLS = 6
SENTENCE = "no session with Discord yet: commands have to wait, pictures under way go on"


async def a_loop(world: World, free: int) -> list[float]:
    """Killed right after each identify; seconds between them."""
    world.changed |= {
        "bot.discord.identify_budget:FREE_IDENTIFIES_A_DAY": free,
        "bot.discord.identify_budget:CROWDED_PAUSE_S": PAUSE_S,
    }
    for _ in range(KILLS):
        await world.start()
        await world.kill()
    return [after - before for before, after in pairwise(world.discord.gateway.identifies)]


async def test_a_process_killed_after_every_start_slows_down_and_loses_nothing(forks: Forks, tmp_path: Path) -> None:
    async with a_world(forks, tmp_path) as world:
        await world.start()
        await world.ask()
        await world.kill()
        between_s = await a_loop(world, FREE)
        free, slow = between_s[: FREE - 1], between_s[FREE - 1 :]
        print(f"{KILLS + 1} identifies, {FREE} free: then one in {min(slow):.2f} s (bound {PAUSE_S} s)")
        assert len(slow) == KILLS + 1 - FREE
        assert min(slow) >= PAUSE_S * 0.7  # on record a little before it reaches Discord
        assert min(free) < PAUSE_S
        assert SENTENCE in world.log.read_text()
        # Pictures do not wait for the gateway.
        await world.start(ready=False)
        assert await world.drained()
        await world.kill()
        assert (await world.verdict()).faults == {}


async def test_without_the_pause_the_same_loop_identifies_as_fast_as_it_is_killed(forks: Forks, tmp_path: Path) -> None:
    async with a_world(forks, tmp_path) as world:
        between_s = await a_loop(world, 1000)
        assert min(between_s) < PAUSE_S


async def test_nobody_identifies_while_discord_leaves_hardly_any_and_then_it_goes_on(
    forks: Forks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_world(forks, tmp_path) as world:
        gateway = world.discord.gateway
        left = {"total": 1000, "remaining": 20, "reset_after": 600, "max_concurrency": 1}

        def limit() -> dict[str, Any]:
            return dict(left)

        monkeypatch.setattr(gateway, "session_start_limit", limit)
        await world.start(ready=False)
        await world.until(lambda: world.log.exists() and SENTENCE in world.log.read_text())
        await asyncio.sleep(2.5)  # the time Discord named is over, and the count is as low as before
        assert gateway.identifies == []
        assert world.log.read_text().count(SENTENCE) >= 2
        left["remaining"] = 1000
        assert await world.ready()
        assert len(gateway.identifies) == 1
        await world.kill()
