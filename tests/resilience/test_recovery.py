"""The recovery table, row by row: killed exactly there, then what was true, then what the next start made of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.test_callbacks import a_free_port
from tests.resilience.world import Ask, Child, Forks, World, a_world

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SUBMIT = "POST /fal-ai/flux-1/schnell"
ANSWER = "POST /interactions/…/…/callback"
EDIT = "PATCH /webhooks/…/…/messages/%40original"
POST = "POST /channels/…/messages"


@pytest_asyncio.fixture(loop_scope="module")
async def world(forks: Forks, tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(forks, tmp_path / "world") as made:
        made.settings["fal"] = {"reconcile_s": 0.6}
        await made.start()
        yield made


async def _killed_at(world: World, boundary: str, occurrence: int = 1, *, posted_anew: bool = False) -> Ask:
    """Somebody asks, and the bot is dead at that boundary."""
    child = world.child
    assert child is not None
    if posted_anew:
        world.hold()
    await child.arm(wanted=[(boundary, occurrence)], how="kill")
    ask = await world.ask("plain")
    if posted_anew:
        await world.until(lambda: ask.seen and world.fal.accepted)
        assert world.orphan(ask)
        world.let_go()
    await asyncio.wait({child.ended}, timeout=30.0)
    await world.gone()
    assert child.reached, f"{boundary} never came; passed {child.passed}"
    return ask


def _over(world: World, child: Child, ask: Ask) -> Callable[[], bool]:
    return lambda: child.ended.done() or world.settled(ask)


async def _recovered(world: World) -> None:
    await world.start()
    assert await world.drained(), world.rows("SELECT state, told FROM jobs")
    # Whatever a careless bot would do again, it does at once.
    await asyncio.sleep(0.1)
    verdict = await world.verdict()
    assert verdict.faults == {}, str(verdict)


def _state(world: World) -> str | None:
    found = world.rows("SELECT state FROM jobs")
    assert len(found) <= 1
    return str(found[0]["state"]) if found else None


def _ledger(world: World) -> list[tuple[str, int]]:
    return [(str(row["state"]), int(row["counted"])) for row in world.rows("SELECT state, counted FROM ledger")]


def _doubts(world: World) -> int:
    return int(world.rows("SELECT possible_doubles FROM jobs")[0][0])


def _pictures(ask: Ask) -> int:
    return sum(len(message.files) for message in ask.record.channel.messages.values())


async def test_before_the_acceptance_is_on_record_nothing_happened(world: World) -> None:
    ask = await _killed_at(world, "before COMMIT")
    assert (_state(world), _ledger(world)) == (None, [])
    await _recovered(world)
    assert (ask.record.state, _state(world), _ledger(world), len(world.fal.accepted)) == ("failed", None, [], 0)


async def test_accepted_but_never_answered_is_cancelled_and_given_back(world: World) -> None:
    ask = await _killed_at(world, f"before {ANSWER}")
    assert (ask.record.state, _state(world)) == ("failed", "queued")
    await _recovered(world)
    assert (_state(world), len(world.fal.accepted), _pictures(ask)) == ("cancelled", 0, 0)
    assert [state for state, _ in _ledger(world)] == ["released"]


async def test_answered_without_a_record_of_it_goes_on(world: World) -> None:
    ask = await _killed_at(world, f"after {ANSWER}")
    # On record is only that it was accepted; that the person sees a card only Discord knows.
    assert world.rows("SELECT message_id FROM jobs")[0][0] is None
    assert ask.record.state == "answered"
    await _recovered(world)
    assert (_state(world), len(world.fal.accepted), _pictures(ask)) == ("delivered", 1, 1)


async def test_a_card_whose_id_was_never_stored_is_closed_when_the_picture_is_posted_anew(world: World) -> None:
    ask = await _killed_at(world, f"after {ANSWER}")
    assert world.rows("SELECT message_id FROM jobs")[0][0] is None
    assert world.orphan(ask)
    await _recovered(world)  # no card that can still be cancelled is left
    assert (_state(world), len(world.fal.accepted), _pictures(ask)) == ("delivered", 1, 1)


async def test_a_submit_that_never_left_is_made_once_and_only_once(world: World) -> None:
    ask = await _killed_at(world, f"before {SUBMIT}")
    assert (_state(world), len(world.fal.accepted)) == ("submitting", 0)
    await _recovered(world)
    # Nobody can tell that nothing left: it is owned up to as a possible double, and was none.
    assert (_state(world), len(world.fal.accepted), _pictures(ask), _doubts(world)) == ("delivered", 1, 1, 1)


async def test_a_submit_that_fal_took_is_found_there_and_not_repeated(world: World) -> None:
    ask = await _killed_at(world, f"after {SUBMIT}")
    assert (_state(world), len(world.fal.accepted)) == ("submitting", 1)
    assert world.rows("SELECT request_id FROM jobs")[0][0] is None
    await _recovered(world)
    assert (_state(world), len(world.fal.accepted), _pictures(ask), _doubts(world)) == ("delivered", 1, 1, 0)


async def test_a_submit_that_fal_took_is_named_by_its_callback(forks: Forks, tmp_path: Path) -> None:
    async with a_world(forks, tmp_path / "world") as world:
        port = a_free_port()
        world.settings["web"] = {"port": port, "public_url": f"http://127.0.0.1:{port}"}
        # fal keeps no payloads, so its list can't tell; and nobody would look there for an hour.
        world.settings["fal"] = {"reconcile_s": 3600.0, "store_payloads": False}
        await world.start()
        world.hold()
        ask = await _killed_at(world, f"after {SUBMIT}")
        await world.start()
        world.let_go()
        assert await world.drained()
        assert (await world.verdict()).faults == {}
        assert (_state(world), len(world.fal.accepted), _pictures(ask), _doubts(world)) == ("delivered", 1, 1, 0)
        # The callback was the news already, so no other one is waited for.
        calls = world.fal.requests_of(world.fal.accepted[0].request_id)
        assert (calls["submit"], calls["status"] + calls["stream"], calls["result"]) == (1, 1, 1)


async def test_a_submitted_job_is_watched_again(world: World) -> None:
    world.hold()
    child = world.child
    assert child is not None
    ask = await world.ask("plain")
    await world.until(lambda: _state(world) == "running")
    await world.kill()
    world.let_go()
    await _recovered(world)
    assert (_state(world), len(world.fal.accepted), _pictures(ask)) == ("delivered", 1, 1)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_painted_picture_is_fetched_again(world: World, moment: str) -> None:
    ask = await _killed_at(world, f"{moment} GET /files/b/…")
    assert _state(world) in ("running", "finished")
    await _recovered(world)
    assert (_state(world), len(world.fal.accepted), _pictures(ask)) == ("delivered", 1, 1)


@pytest.mark.parametrize("forgotten", [False, True], ids=["the nonce is known", "the nonce is forgotten"])
async def test_a_post_whose_answer_was_lost_is_not_posted_again(world: World, forgotten: bool) -> None:
    ask = await _killed_at(world, f"after {POST}", posted_anew=True)
    assert (_state(world), _pictures(ask)) == ("finished", 1)
    if forgotten:  # the next start comes after the few minutes for which Discord knows a nonce
        world.discord.message_store._nonces.clear()
        world.discord_timings["nonce_life_s"] = 0.0
    await _recovered(world)
    assert (_state(world), len(world.fal.accepted), _pictures(ask)) == ("delivered", 1, 1)
    assert world.rows("SELECT message_id FROM jobs")[0][0] == int(
        next(message.id for message in ask.record.channel.messages.values() if message.files)
    )


async def test_an_edit_whose_answer_was_lost_is_repeated(world: World) -> None:
    ask = await _killed_at(world, f"after {EDIT}")
    assert (_state(world), _pictures(ask)) == ("finished", 1)
    await _recovered(world)
    assert (_state(world), len(world.fal.accepted), _pictures(ask)) == ("delivered", 1, 1)


async def test_delivery_and_charge_go_on_record_together(world: World) -> None:
    """Killed at each COMMIT: whatever state stands there, the ledger entry agrees with it."""
    agree = {"delivered": "settled", "cancelled": "released", "failed": "released"}
    for occurrence in range(1, 40):
        child = world.child or await world.start()
        await child.arm(wanted=[("before COMMIT", occurrence)], how="kill")
        ask = await world.ask("plain")
        await world.until(_over(world, child, ask))
        if not child.ended.done():
            assert occurrence > 3
            break
        await world.gone()
        found = world.rows("SELECT jobs.state AS job, ledger.state AS entry FROM jobs JOIN ledger ON job_id = jobs.id")
        assert [(row["job"], row["entry"]) for row in found if row["entry"] != agree.get(row["job"], "reserved")] == []
        await _recovered(world)
