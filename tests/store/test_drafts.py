"""Requests that are not accepted yet: kept for a day, and at most one job each."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select

from bot.domain.draft import DRAFT_LIFE, Draft
from bot.domain.job import JobState, NewJob
from bot.domain.request import Json
from bot.errors import DraftExpired
from bot.limits import Refused
from bot.store import Accepted, Duplicate, Store
from bot.store.drafts import MOST_OF_USER
from bot.store.tables import drafts, jobs, ledger
from tests.store.conftest import OpenStore
from tests.store.makers import WIDE, Clock, moved, new_job, policy, running
from tests.store.test_erasing import bytes_on_disk


async def a_draft(store: Store, user: int = 1, life: timedelta = DRAFT_LIFE) -> Draft:
    payload: dict[str, Json] = {"prompt": "PROMPT-IN-A-DRAFT", "options": {"seed": 7}}
    return await store.drafts.create("confirm", payload, user_id=user, channel_id=70, guild_id=50, life=life)


def click(draft: Draft, user: int = 1) -> NewJob:
    """What a click on the draft's button hands in; each click is an interaction of its own."""
    return replace(new_job(user=user), draft_id=draft.id)


async def accept(store: Store, new: NewJob) -> object:
    return await store.jobs.accept(new, WIDE, max_waiting=999)


async def counted(store: Store) -> tuple[int, int]:
    """Rows of jobs, and of the ledger."""

    def work(connection: Connection) -> tuple[int, int]:
        found = [connection.execute(select(func.count()).select_from(table)).scalar_one() for table in (jobs, ledger)]
        return found[0], found[1]

    return await store._database.read(work)


async def test_a_draft_is_kept_as_it_was(store: Store, clock: Clock) -> None:
    draft = await a_draft(store)

    assert draft == Draft(
        draft.id,
        1,
        70,
        50,
        "confirm",
        {"prompt": "PROMPT-IN-A-DRAFT", "options": {"seed": 7}},
        clock(),
        clock() + timedelta(hours=24),
    )
    assert await store.drafts.get(draft.id) == draft
    assert await store.drafts.get("nosuchdraft0001") is None


async def test_a_draft_says_nothing_private_of_itself_and_fits_a_button(store: Store) -> None:
    draft = await a_draft(store)

    assert "PROMPT" not in repr(draft)
    assert draft.id.isalnum()
    assert len(f"easel:confirm:{draft.id}") < 100


async def test_only_the_newest_drafts_of_a_person_are_kept(store: Store, clock: Clock) -> None:
    theirs = await a_draft(store, user=2)
    taken = await a_draft(store)
    await accept(store, click(taken))
    made = []
    for _ in range(MOST_OF_USER + 3):
        clock.tick(seconds=1)
        made.append(await a_draft(store))

    kept = [await store.drafts.get(one.id) is not None for one in made]
    assert kept == [False] * 3 + [True] * MOST_OF_USER
    assert await store.drafts.get(theirs.id) is not None
    assert (await store.drafts.get(taken.id)) is not None


async def test_a_draft_can_be_changed_until_it_is_a_job(store: Store) -> None:
    draft = await a_draft(store)

    changed = await store.drafts.update(draft.id, {"prompt": "another"}, kind="fix")
    assert changed == replace(draft, kind="fix", payload={"prompt": "another"})
    assert await store.drafts.get(draft.id) == changed

    answer = await accept(store, click(draft))
    assert isinstance(answer, Accepted)
    assert await store.drafts.update(draft.id, {"prompt": "too late"}, kind="fix") is None
    assert await store.drafts.get(draft.id) == replace(changed, payload={}, job_id=answer.job.id)
    assert await store.drafts.update("nosuchdraft0001", {}, kind="fix") is None


async def test_a_second_click_gets_the_job_that_there_is(store: Store) -> None:
    draft = await a_draft(store)
    first = await accept(store, click(draft))
    assert isinstance(first, Accepted)

    assert await accept(store, click(draft, user=2)) == Duplicate(first.job)
    assert await counted(store) == (1, 1)
    assert (await store.usage.of(first.job.actor)).images_today == 1
    assert await store.check() == []


async def test_clicks_in_one_transaction_make_one_job(store: Store) -> None:
    draft = await a_draft(store)

    answers = await asyncio.gather(*(accept(store, click(draft)) for _ in range(20)))

    assert sorted(type(answer).__name__ for answer in answers) == ["Accepted"] + ["Duplicate"] * 19
    assert await counted(store) == (1, 1)


@pytest.mark.postgres
async def test_clicks_at_several_processes_make_one_job(postgres_url: str) -> None:
    stores = [await Store.open(postgres_url) for _ in range(2)]
    for _ in range(10):
        draft = await a_draft(stores[0])
        answers = await asyncio.gather(*(accept(stores[n % 2], click(draft)) for n in range(8)))
        kinds = sorted(type(answer).__name__ for answer in answers)
        assert kinds == ["Accepted"] + ["Duplicate"] * 7
        assert len({answer.job.id for answer in answers if isinstance(answer, Accepted | Duplicate)}) == 1

    assert await counted(stores[0]) == (10, 10)
    assert await stores[1].check() == []
    for store in stores:
        await store.close()


@pytest.mark.postgres
async def test_of_a_click_and_a_discard_at_once_one_takes(postgres_url: str) -> None:
    stores = [await Store.open(postgres_url) for _ in range(2)]
    made = 0
    for _ in range(15):
        draft = await a_draft(stores[0])
        answer, discarded = await asyncio.gather(
            accept(stores[0], click(draft)), stores[1].drafts.discard(draft.id), return_exceptions=True
        )
        assert isinstance(answer, DraftExpired if discarded else Accepted)
        made += not discarded

    assert await counted(stores[0]) == (made, made)
    for store in stores:
        await store.close()


async def test_a_draft_and_its_job_outlive_a_restart(open_store: OpenStore) -> None:
    store = await open_store()
    waiting, taken = await a_draft(store), await a_draft(store)
    first = await accept(store, click(taken))
    assert isinstance(first, Accepted)
    await store.close()

    again = await open_store()

    assert isinstance(await accept(again, click(waiting)), Accepted)
    second = await accept(again, click(taken))
    assert isinstance(second, Duplicate)
    assert second.job.id == first.job.id
    assert await counted(again) == (2, 2)


async def test_a_click_after_a_day_starts_nothing(store: Store, clock: Clock) -> None:
    draft = await a_draft(store)
    clock.tick(hours=24)

    with pytest.raises(DraftExpired):
        await accept(store, click(draft))

    assert await store.drafts.get(draft.id) is None
    assert await store.drafts.update(draft.id, {}, kind="fix") is None
    assert await counted(store) == (0, 0)


async def test_a_late_second_click_still_gets_the_job(store: Store, clock: Clock) -> None:
    draft = await a_draft(store)
    first = await accept(store, click(draft))
    assert isinstance(first, Accepted)
    clock.tick(hours=30)

    assert isinstance(await accept(store, click(draft)), Duplicate)


async def test_a_draft_that_is_refused_stays_for_another_try(store: Store) -> None:
    draft = await a_draft(store)
    closed = policy(images_per_day=0)

    assert isinstance(await store.jobs.accept(click(draft), closed, max_waiting=9), Refused)

    assert await store.drafts.get(draft.id) == draft
    assert isinstance(await accept(store, click(draft)), Accepted)


async def test_a_discarded_draft_starts_nothing(store: Store) -> None:
    draft = await a_draft(store)

    assert await store.drafts.discard(draft.id)
    assert not await store.drafts.discard(draft.id)

    with pytest.raises(DraftExpired):
        await accept(store, click(draft))


async def test_a_draft_that_is_a_job_is_not_discarded(store: Store) -> None:
    draft = await a_draft(store)
    await accept(store, click(draft))

    assert not await store.drafts.discard(draft.id)
    assert isinstance(await accept(store, click(draft)), Duplicate)


async def test_retention_deletes_drafts_that_are_over(store: Store, clock: Clock) -> None:
    await a_draft(store, life=timedelta(hours=1))
    kept = await a_draft(store)
    clock.tick(hours=2)

    await store.retention.purge(clock() - timedelta(days=90))

    def ids(connection: Connection) -> list[str]:
        return list(connection.execute(select(drafts.c.id)).scalars())

    assert await store._database.read(ids) == [kept.id]


async def test_erasing_somebody_takes_their_drafts_too(store: Store, url: str, tmp_path: Path) -> None:
    own, others = await a_draft(store, user=1), await a_draft(store, user=2)

    erased = await store.retention.erase_user(1)

    assert erased.other == 1
    assert await store.drafts.get(own.id) is None
    assert await store.drafts.get(others.id) == others
    with pytest.raises(DraftExpired):
        await accept(store, click(own))
    if url.startswith("sqlite"):
        await store.retention.erase_user(2)
        assert b"PROMPT-IN-A-DRAFT" not in bytes_on_disk(tmp_path)


async def test_a_click_after_the_job_was_erased_starts_nothing_anew(store: Store) -> None:
    draft = await a_draft(store, user=2)
    job = await running(store, click(draft))
    await moved(store, job, JobState.FAILED)
    await store.retention.erase_user(1)

    with pytest.raises(DraftExpired):
        await accept(store, click(draft))


async def test_a_kind_must_fit_its_column(store: Store) -> None:
    for kind in ("", "x" * 21):
        with pytest.raises(ValueError, match="1 to 20 characters"):
            await store.drafts.create(kind, {}, user_id=1, channel_id=70, guild_id=None)
