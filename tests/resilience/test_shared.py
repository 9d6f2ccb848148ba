"""The same proofs on PostgreSQL: one process, and four that share the jobs and are killed one by one."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from pathlib import Path

import pytest

from tests.resilience.crash import Points, crash_points
from tests.resilience.kills import SHAPES, Round, one_round, rounds
from tests.resilience.world import Forks, Verdict, World, a_world
from tests.store.conftest import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.asyncio(loop_scope="module")]

KILLS = 120
MINUTES = 4.0
#: A kill strikes where it wants: at most so many rounds are tried by a control.
ROUNDS = 8
#: Of the card, be it progress or the picture, in the last moment: nothing can keep it from leaving any more.
EDIT = "sending PATCH /webhooks/…/…/messages/@original"


async def test_kills_of_one_and_of_four_processes_lose_and_double_nothing(
    forks: Forks, postgres: Postgres, tmp_path: Path
) -> None:
    done: list[Round] = []
    on_server = [shape for shape in SHAPES if shape[0] == "postgresql"]
    seed = secrets.token_hex(4)
    async for one in rounds(
        forks, tmp_path, seed=seed, kills=KILLS, minutes=MINUTES, worlds=2, server=postgres, shapes=on_server
    ):
        print(one)
        done.append(one)
    total = sum((one.verdict for one in done), Verdict())
    print(f"{sum(one.kills for one in done)} kills in all; {total}")
    assert sum(one.kills for one in done) == KILLS
    assert {one.processes for one in done} == {1, 4}
    assert total.answered > 30
    assert total.faults == {}


async def test_boundaries_are_survived_whoever_takes_over(forks: Forks, postgres: Postgres, tmp_path: Path) -> None:
    """A part of them; the long proof has all, also those of a start."""
    runs = [
        crash_points(forks, tmp_path / "one", "plain", server=postgres, share=(0, 5)),
        crash_points(forks, tmp_path / "four", "plain", server=postgres, processes=4, share=(1, 7)),
        crash_points(forks, tmp_path / "cancelled", "cancelled", server=postgres, processes=4, share=(2, 12)),
    ]
    found: list[Points] = list(await asyncio.gather(*runs))
    for points in found:
        print(points)
        assert points.met
        assert points.verdict.faults == {}
        assert points.verdict.flagged_doubles == 0


async def test_whoever_hangs_until_others_have_its_jobs_does_no_harm_afterwards(
    forks: Forks, postgres: Postgres, tmp_path: Path
) -> None:
    share = (secrets.randbelow(8), 8)
    found = await asyncio.gather(
        crash_points(forks, tmp_path / "some", "long", "hang", server=postgres, processes=2, share=share, quiet=1),
        crash_points(forks, tmp_path / "edits", "long", "hang", server=postgres, processes=2, only=EDIT, quiet=1),
    )
    for points in found:
        print(share, points)
        assert points.met
        assert points.verdict.faults == {}


async def cancelled_elsewhere(world: World, *, patience_s: float) -> int:
    """Four pictures asked for at one process and cancelled at the other; how many of them are stopped."""
    await world.start_all()
    world.hearing = 0
    world.hold()
    asks = [await world.ask() for _ in range(4)]
    await world.until(lambda: all(ask.seen for ask in asks) and len(world.fal.accepted) == len(asks))
    world.hearing = 1
    for ask in asks:
        assert await world.cancel(ask)
    with suppress(TimeoutError):
        await world.until(lambda: all(world.settled(ask) for ask in asks), timeout_s=patience_s)
    return sum(world.settled(ask) for ask in asks)


async def test_a_cancel_stops_what_another_process_paints(forks: Forks, postgres: Postgres, tmp_path: Path) -> None:
    async with a_world(forks, tmp_path, server=postgres, processes=2) as world:
        assert await cancelled_elsewhere(world, patience_s=20) == 4
        verdict = await world.verdict()
        print(verdict)
        assert verdict.cancelled == 4
        assert verdict.faults == {}


# ---------------------------------------------------------------------- controls


async def test_without_polling_for_cancel_requests_a_cancel_elsewhere_has_no_effect(
    forks: Forks, postgres: Postgres, tmp_path: Path
) -> None:
    async with a_world(forks, tmp_path, server=postgres, processes=2, without=["cancel requests"]) as world:
        assert await cancelled_elsewhere(world, patience_s=2) < 4


async def test_without_repair_an_edit_of_a_process_that_hung_hides_the_picture(
    forks: Forks, postgres: Postgres, tmp_path: Path
) -> None:
    points = await crash_points(
        forks,
        tmp_path,
        "long",
        "hang",
        server=postgres,
        processes=2,
        only=EDIT,
        without=["message repair"],
        until="untold",
        attempt_s=6.0,
    )
    print(points)
    assert points.verdict.shows("untold")


async def test_without_asking_about_answers_elsewhere_uninvited_pictures_come(
    forks: Forks, postgres: Postgres, tmp_path: Path
) -> None:
    points = await crash_points(
        forks,
        tmp_path,
        "plain",
        server=postgres,
        processes=2,
        without=["answers elsewhere"],
        until="uninvited",
        attempt_s=5.0,
    )
    print(points)
    assert points.verdict.shows("uninvited")


async def test_without_the_interaction_key_four_processes_paint_what_reached_them_all(
    forks: Forks, postgres: Postgres, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        done = await one_round(
            forks,
            tmp_path / str(number),
            f"without the key/{number}",
            8,
            server=postgres,
            processes=4,
            without=["interaction key", "first answer names the job"],
            drain_s=2.0,
            replays=0.5,
        )
        print(done)
        if done.verdict.shows("doubled_submits"):
            return
    pytest.fail(f"{ROUNDS} rounds showed nothing")
