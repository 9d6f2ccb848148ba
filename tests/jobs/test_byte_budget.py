from __future__ import annotations

import asyncio

import pytest

from bot.jobs.byte_budget import LEAST_GUESS_BYTES, ByteBudget, OutOfRoom, SizeGuess


async def test_deliveries_share_the_budget_first_come_first_served() -> None:
    budget = ByteBudget(100)
    first, second, third = (budget.request(size) for size in (60, 50, 10))
    assert first.done()
    assert not second.done()
    assert not third.done()  # it would fit, and so would many others after it: the second would wait for ever

    first.result().release()

    assert second.done()
    assert third.done()
    assert budget.used_bytes == 60


async def test_what_is_larger_than_the_whole_budget_passes_alone() -> None:
    budget = ByteBudget(100)
    small = budget.request(1)
    large, next_ = budget.request(500), budget.request(1)
    assert not large.done()
    small.result().release()
    assert large.done()
    assert not next_.done()
    large.result().release()
    assert next_.done()


async def test_a_grant_grows_as_far_as_there_is_room() -> None:
    budget = ByteBudget(100)
    one, other = budget.request(40).result(), budget.request(40).result()
    one.resize(60)
    with pytest.raises(OutOfRoom):
        one.resize(61)
    assert (one.size_bytes, budget.used_bytes) == (60, 100)
    other.release()
    one.resize(500)  # alone in hand
    assert budget.used_bytes == 500


async def test_a_grant_that_shrinks_lets_the_next_one_in() -> None:
    budget = ByteBudget(100)
    one, waiting = budget.request(90).result(), budget.request(50)
    one.resize(50)
    assert waiting.done()


async def test_bytes_are_given_back_once() -> None:
    budget = ByteBudget(100)
    grant = budget.request(30).result()
    grant.release()
    grant.release()
    assert budget.used_bytes == 0


@pytest.mark.parametrize("granted_meanwhile", [False, True])
async def test_whoever_stops_waiting_leaves_nothing_behind(granted_meanwhile: bool) -> None:
    budget = ByteBudget(100)
    holder = budget.request(100).result()
    waiting, next_ = budget.request(100), budget.request(100)
    if granted_meanwhile:
        holder.release()
    budget.withdraw(waiting)
    if not granted_meanwhile:
        assert not next_.done()
        holder.release()
    assert next_.done()
    assert budget.used_bytes == 100


async def test_a_cancelled_task_leaves_nothing_behind() -> None:
    budget = ByteBudget(100)
    holder = budget.request(100).result()

    async def wait() -> None:
        turn = budget.request(100)
        try:
            await asyncio.shield(turn)
        except asyncio.CancelledError:
            budget.withdraw(turn)
            raise

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    holder.release()
    assert budget.used_bytes == 0


def test_the_guess_follows_the_largest_of_the_latest_pictures() -> None:
    guess = SizeGuess(most_bytes=12_000_000)
    guess.learn(60_000_000)
    assert guess.picture_bytes == 12_000_000
    for _ in range(100):
        guess.learn(8_000_000)
    assert guess.picture_bytes >= 8_000_000
    guess.learn(1_000)
    assert guess.picture_bytes > 4_000_000
    for _ in range(200):
        guess.learn(1_000)
    assert guess.picture_bytes == LEAST_GUESS_BYTES
