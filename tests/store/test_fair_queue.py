from __future__ import annotations

import asyncio
import copy
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.util import await_only

from bot.domain.job import Job, JobState
from bot.domain.money import Charge
from bot.limits import Policy
from bot.store import QueueStatus, Store, claiming, positions, settling
from tests.store.conftest import OpenStore
from tests.store.makers import FAILURE, REQUEST, WIDE, Clock, accepted, moved, new_job, policy, result

# ---------------------------------------------------------------------- a plain model of the order


@dataclass
class ModelFlow:
    tag: float = 0.0
    since: int = 0


@dataclass
class Model:
    """The queue as the documentation tells it, with lists and loops."""

    time: float = 0.0
    times: dict[int, float] = field(default_factory=dict)
    flows: dict[int, ModelFlow] = field(default_factory=dict)
    users: dict[tuple[int, int], ModelFlow] = field(default_factory=dict)
    #: Flow, person, images, weight, in order of asking.
    waiting: dict[str, tuple[int, int, int, float]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    claimed: dict[str, tuple[int, int, int, float]] = field(default_factory=dict)

    def ask(self, job: Job, weight: float, now: int) -> None:
        actor = job.actor
        flow = -actor.user_id if actor.guild_id is None else actor.guild_id
        key = (flow, actor.user_id)
        lines = self.flows.setdefault(flow, ModelFlow()), self.users.setdefault(key, ModelFlow())
        if not self.has(flow):
            lines[0].tag, lines[0].since = max(lines[0].tag, self.time), now
        if not self.has(flow, actor.user_id):
            lines[1].tag, lines[1].since = max(lines[1].tag, self.times.get(flow, 0.0)), now
        self.waiting[job.id] = (*key, job.request.images, weight)
        self.asked.append(job.id)

    def has(self, flow: int, user: int | None = None) -> bool:
        return any(f == flow and user in (None, u) for f, u, _, _ in self.waiting.values())

    def claim(self) -> str | None:
        flows = [flow for flow in self.flows if self.has(flow)]
        if not flows:
            return None
        flow = min(flows, key=lambda name: (self.flows[name].tag, self.flows[name].since, name))
        people = [user for f, user in self.users if f == flow and self.has(flow, user)]
        user = min(people, key=lambda name: (self.users[flow, name].tag, self.users[flow, name].since, name))
        job = next(name for name in self.asked if self.waiting.get(name, (0, 0))[:2] == (flow, user))
        _, _, images, weight = self.claimed[job] = self.waiting.pop(job)
        self.time = max(self.time, self.flows[flow].tag)
        self.times[flow] = max(self.times.get(flow, 0.0), self.users[flow, user].tag)
        self.flows[flow].tag = self.time + images
        self.users[flow, user].tag = self.times[flow] + images / weight
        return job

    def put_back(self, job: str) -> None:
        flow, user, images, weight = self.waiting[job] = self.claimed.pop(job)
        self.flows[flow].tag = max(self.time, self.flows[flow].tag - images)
        self.users[flow, user].tag = max(self.times[flow], self.users[flow, user].tag - images / weight)

    def order(self) -> list[str]:
        rest = copy.deepcopy(self)
        return [job for _ in range(len(self.waiting)) if (job := rest.claim()) is not None]


WEIGHTS = (1.0, 1.0, 3.0, 0.3)


class Story:
    """Things that happen to a queue, done to the store and to the model alike."""

    def __init__(self, store: Store, clock: Clock, seed: int) -> None:
        self.store = store
        self.model = Model()
        self.random = Random(seed)
        self.clock = clock
        self.claimed: dict[str, Job] = {}
        self.jobs: dict[str, Job] = {}

    async def ask(self) -> None:
        user = self.random.randrange(9)
        guild = self.random.choice((None, 50, 50, 51, 52))
        new = new_job(user=user + 1, guild=guild, images=self.random.choice((1, 1, 1, 2, 5)))
        job = await accepted(self.store, new, policy(weight=WEIGHTS[user % 4]))
        self.jobs[job.id] = job
        self.model.ask(job, WEIGHTS[user % 4], int(self.clock().timestamp() * 1e6))

    async def claim(self) -> None:
        limit = self.random.choice((1, 2, 7))
        jobs = await self.store.jobs.claim(limit)
        expected = [job for _ in range(limit) if (job := self.model.claim()) is not None]
        assert [job.id for job in jobs] == expected
        self.claimed |= {job.id: job for job in jobs}

    async def cancel(self) -> None:
        if self.model.waiting:
            name = self.random.choice(sorted(self.model.waiting))
            self.model.waiting.pop(name)
            job = await self.store.jobs.get(name)
            assert job is not None
            await moved(self.store, job, JobState.CANCELLED)

    async def put_back(self) -> None:
        if self.claimed:
            name = self.random.choice(sorted(self.claimed))
            await moved(self.store, self.claimed.pop(name), JobState.QUEUED)
            self.model.put_back(name)

    async def look(self) -> None:
        order = self.model.order()
        assert await self.store.positions.of(list(self.jobs)) == {name: position for position, name in enumerate(order)}

    async def step(self) -> None:
        self.clock.tick(milliseconds=self.random.choice((0, 1, 1)))
        happens = self.random.choices(
            (self.ask, self.claim, self.cancel, self.put_back, self.look), weights=(60, 15, 8, 6, 4)
        )[0]
        await happens()


@pytest.mark.parametrize("seed", range(4))
async def test_every_database_gives_the_order_of_the_plain_model(
    open_store: OpenStore, clock: Clock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small pages: whatever is read ahead has to be read on.
    monkeypatch.setattr("bot.store.fair_queue._PARTS", 2)
    story = Story(await open_store(), clock, seed)
    for step in range(160):
        if step % 50 == 49:
            await story.store.close()
            story.store = await open_store()
        await story.step()

    await story.look()
    rest = story.model.order()
    assert [job.id for job in await story.store.jobs.claim(500)] == rest
    assert await story.store.check() == []


# ---------------------------------------------------------------------- who is served in turn


async def owners(store: Store, count: int, **caps: int) -> list[tuple[int | None, int]]:
    """Server and person of the next ones, one claim at a time."""
    found = []
    for _ in range(count):
        found += [(job.actor.guild_id, job.actor.user_id) for job in await store.jobs.claim(1, **caps)]
    return found


async def ask(store: Store, count: int, *, user: int, guild: int | None, limits: Policy = WIDE) -> list[Job]:
    return [await accepted(store, new_job(user=user, guild=guild), limits) for _ in range(count)]


async def test_servers_take_turns_however_many_people_ask_in_each(store: Store) -> None:
    for user in range(1, 9):
        await ask(store, 1, user=user, guild=50)
    await ask(store, 8, user=20, guild=60)

    assert Counter(guild for guild, _ in await owners(store, 8)) == {50: 4, 60: 4}


async def test_somebody_outside_of_servers_is_a_flow_of_their_own(store: Store) -> None:
    for user in (1, 2):
        await ask(store, 6, user=user, guild=None)
    await ask(store, 6, user=1, guild=50)

    assert Counter(await owners(store, 9)) == {(None, 1): 3, (None, 2): 3, (50, 1): 3}


async def test_weights_count_within_a_server_and_not_between_servers(store: Store) -> None:
    await ask(store, 30, user=1, guild=50, limits=policy(weight=4))
    await ask(store, 30, user=2, guild=50)
    await ask(store, 30, user=3, guild=60)

    served = Counter(await owners(store, 30))

    assert served[60, 3] == 15
    assert served[50, 1] == 12
    assert served[50, 2] == 3


@pytest.mark.parametrize("limit", [1, 3, 8])
async def test_shares_follow_the_weights_within_one_job_at_every_moment(store: Store, limit: int) -> None:
    weights = {1: 1.0, 2: 2.0, 3: 5.0}
    for user, weight in weights.items():
        await asyncio.gather(
            *(accepted(store, new_job(user=user), policy(weight=weight)) for _ in range(int(weight * 10)))
        )

    served: Counter[int] = Counter()
    while sum(served.values()) < 72:
        served.update(job.actor.user_id for job in await store.jobs.claim(limit))
        for one, weight in weights.items():
            for other, others in weights.items():
                # Start-time fair queueing's bound: no pair is ever apart by more than a job of each.
                assert abs(served[one] / weight - served[other] / others) <= 1 / weight + 1 / others


async def test_a_person_who_comes_and_goes_gains_nothing_over_one_who_stays(store: Store) -> None:
    await ask(store, 40, user=1, guild=50)
    claims = Counter[int]()
    for _ in range(20):
        await ask(store, 1, user=2, guild=50)
        claims.update(user for _, user in await owners(store, 2))

    assert claims == {1: 20, 2: 20}


# ---------------------------------------------------------------------- caps on what is under way


async def test_a_person_at_their_cap_is_passed_over_and_holds_up_nobody(store: Store) -> None:
    await ask(store, 5, user=1, guild=50)
    await ask(store, 5, user=1, guild=60)
    await ask(store, 2, user=2, guild=50)
    await ask(store, 1, user=3, guild=None)

    taken = await store.jobs.claim(20, user_in_flight=2)

    assert Counter(job.actor.user_id for job in taken) == {1: 2, 2: 2, 3: 1}
    assert await store.jobs.claim(20, user_in_flight=2) == []
    first = next(job for job in taken if job.actor.user_id == 1)
    await moved(store, first, JobState.FAILED, failure=FAILURE)
    assert [job.actor.user_id for job in await store.jobs.claim(20, user_in_flight=2)] == [1]
    assert len(await store.jobs.claim(20)) == 7


async def test_a_server_at_its_cap_is_passed_over_and_people_outside_of_servers_have_none(store: Store) -> None:
    for user in range(1, 5):
        await ask(store, 1, user=user, guild=50)
    await ask(store, 1, user=1, guild=60)
    await ask(store, 3, user=9, guild=None)

    taken = await store.jobs.claim(20, guild_in_flight=2)

    assert Counter(job.actor.guild_id for job in taken) == {50: 2, 60: 1, None: 3}
    assert await store.jobs.claim(20, guild_in_flight=2) == []


async def test_waiting_at_a_cap_is_not_made_up_for_at_the_others_cost(store: Store) -> None:
    await ask(store, 20, user=1, guild=50)
    await ask(store, 40, user=2, guild=50)
    (held,) = await store.jobs.claim(1)
    assert held.actor.user_id == 1
    assert await owners(store, 15, user_in_flight=1) == [(50, 2)]
    for job in await store.jobs.of_user(2, live_only=True, limit=60):
        if job.state is JobState.SUBMITTING:
            await moved(store, job, JobState.FAILED, failure=FAILURE)
    for _ in range(10):
        (job,) = await store.jobs.claim(1, user_in_flight=1)
        await moved(store, job, JobState.FAILED, failure=FAILURE)

    await moved(store, held, JobState.FAILED, failure=FAILURE)

    assert [user for _, user in await owners(store, 8)].count(1) <= 5


async def test_a_server_that_waited_at_its_cap_does_not_make_up_for_it_either(store: Store) -> None:
    await ask(store, 20, user=1, guild=50)
    await ask(store, 40, user=2, guild=60)
    (held,) = await store.jobs.claim(1)
    assert held.actor.guild_id == 50
    for _ in range(15):
        (job,) = await store.jobs.claim(1, guild_in_flight=1)
        assert job.actor.guild_id == 60
        await moved(store, job, JobState.FAILED, failure=FAILURE)

    await moved(store, held, JobState.FAILED, failure=FAILURE)

    assert [guild for guild, _ in await owners(store, 8)].count(50) <= 5


async def test_more_capped_people_than_a_page_hide_nobody(store: Store) -> None:
    for user in range(1, 30):
        await ask(store, 2, user=user, guild=50)
    assert len(await store.jobs.claim(29, user_in_flight=1)) == 29
    await ask(store, 1, user=99, guild=50)

    assert await owners(store, 1, user_in_flight=1) == [(50, 99)]


async def test_jobs_at_fal_have_a_cap_that_those_being_posted_do_not_fill(store: Store) -> None:
    await ask(store, 4, user=1, guild=50)
    first, second = await store.jobs.claim(9, in_flight=2)
    assert await store.jobs.claim(9, in_flight=2) == []

    first = await moved(store, first, JobState.RUNNING, fal_request=REQUEST)
    assert await store.jobs.claim(9, in_flight=2) == []
    await moved(store, first, JobState.FINISHED, result=result())

    assert len(await store.jobs.claim(9, in_flight=2)) == 1
    waiting = await store.positions.queue_status((await store.jobs.live())[-1].id, in_flight=2)
    assert waiting is not None
    assert (waiting.in_flight, waiting.own_in_flight, waiting.capped_by) == (2, 2, "global")
    assert await store.jobs.claim(9, user_in_flight=2) == await store.jobs.claim(9, guild_in_flight=2) == []
    await moved(store, second, JobState.FAILED, failure=FAILURE)
    assert len(await store.jobs.claim(9, in_flight=2)) == 1


CAPS: list[tuple[dict[str, int], int]] = [
    ({"in_flight": 7}, 7),
    ({"guild_in_flight": 3}, 6),
    ({"user_in_flight": 1}, 4),
    ({"in_flight": 5, "guild_in_flight": 3, "user_in_flight": 2}, 5),
]


@pytest.mark.postgres
@pytest.mark.parametrize(("caps", "most"), CAPS, ids=["all", "server", "person", "each"])
async def test_caps_are_exact_for_processes_that_claim_at_once(
    postgres_url: str, caps: dict[str, int], most: int
) -> None:
    stores = [await Store.open(postgres_url, clock=Clock()) for _ in range(2)]
    for user in range(1, 5):
        await ask(stores[0], 10, user=user, guild=50 + user % 2)

    under_way: list[tuple[Store, Job]] = []
    for _ in range(6):
        rounds = [(one, one.jobs.claim(size, **caps)) for size in (1, 2, 9) for one in stores]
        found = await asyncio.gather(*(claim for _, claim in rounds))
        for (one, _), jobs in zip(rounds, found, strict=True):
            under_way += [(one, job) for job in jobs]
        assert len(under_way) == len({job.id for _, job in under_way}) == most
        for attribute, cap in (("guild_id", "guild_in_flight"), ("user_id", "user_in_flight")):
            if cap in caps:
                counted = Counter(getattr(job.actor, attribute) for _, job in under_way)
                assert max(counted.values()) <= caps[cap]
        for one, job in under_way[:3]:
            await moved(one, job, JobState.FAILED, failure=FAILURE)
        under_way = under_way[3:]

    for one in stores:
        await one.close()


# ---------------------------------------------------------------------- positions


async def test_why_a_job_waits(store: Store) -> None:
    await ask(store, 2, user=1, guild=50)
    await ask(store, 1, user=1, guild=60)
    under_way = await store.jobs.claim(3)
    await ask(store, 2, user=3, guild=60)
    await ask(store, 1, user=2, guild=50)
    mine = await ask(store, 3, user=1, guild=50)

    order = [job.id for job in (await claimed_in_mind(store))]
    position = await store.positions.queue_status(mine[2].id)

    assert position == QueueStatus(
        ahead=order.index(mine[2].id),
        waiting=6,
        in_flight=3,
        own_in_flight=3,
        guild_in_flight=2,
        own_ahead=2,
        guild_ahead=3,
        capped_by=None,
    )
    for caps, expected in (
        ({"user_in_flight": 3, "guild_in_flight": 2, "in_flight": 3}, "user"),
        ({"user_in_flight": 4, "guild_in_flight": 2, "in_flight": 3}, "guild"),
        ({"user_in_flight": 4, "guild_in_flight": 3, "in_flight": 3}, "global"),
        ({"user_in_flight": 4, "guild_in_flight": 3, "in_flight": 4}, None),
    ):
        position = await store.positions.queue_status(mine[2].id, **caps)
        assert position is not None
        assert position.capped_by == expected
    assert await store.positions.queue_status(under_way[0].id) is None
    assert await store.positions.queue_status("nosuchjob") is None


async def claimed_in_mind(store: Store) -> list[Job]:
    """What a claim of everything would take, rolled back."""

    class RolledBackError(Exception):
        pass

    taken: list[Any] = []

    def work(connection: Any) -> None:
        batch = claiming.ClaimBatch("nobody", Clock())
        taken.extend(batch.batch(connection, [claiming.ClaimRequest(99, 30, 0, 0)])[0].jobs)
        raise RolledBackError

    with pytest.raises(RolledBackError):
        await store._database.write(work)
    return taken


async def test_beyond_the_exact_positions_there_are_estimates_that_come_near(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for _ in range(40):
        names += [job.id for job in await ask(store, 1, user=1, guild=50)]
    for user in range(2, 12):
        names += [job.id for job in await ask(store, 3, user=user, guild=50 + user % 3)]
    truth = await store.positions.of(names)
    monkeypatch.setattr(positions, "EXACT_POSITIONS", 5)

    for most_ids, few in ((500, 100), (500, 1), (1, 1)):
        monkeypatch.setattr(positions, "_MOST_IDS", most_ids)
        monkeypatch.setattr(positions, "_FEW", few)
        shown = await store.positions.of(names)

        assert shown.keys() == truth.keys()
        for name, position in truth.items():
            assert shown[name] == position if position < 5 else 5 <= shown[name] < 70
            assert abs(shown[name] - position) <= 15


async def test_counts_that_somebody_edited_are_named_and_mended_by_the_next_start(open_store: OpenStore) -> None:
    store = await open_store()
    jobs = await ask(store, 3, user=1, guild=50)
    await ask(store, 1, user=2, guild=60)
    edit = text(f"UPDATE jobs SET state = 'cancelled', ended_us = 1, told = 1 WHERE id = '{jobs[0].id}'")
    await store._database.write(lambda connection: connection.execute(edit))
    gone = text("DELETE FROM flows WHERE flow_id = 60")
    await store._database.write(lambda connection: connection.execute(gone))
    assert any("queue's counts differ" in problem for problem in await store.check())
    await store.close()

    store = await open_store()

    assert not any("queue" in problem for problem in await store.check())
    assert len(await store.jobs.claim(9)) == 3


async def test_flows_where_nothing_waits_any_more_are_deleted(store: Store, clock: Clock) -> None:
    await ask(store, 1, user=1, guild=50)
    await ask(store, 2, user=2, guild=60)
    await store.jobs.claim(3)
    clock.tick(days=1)
    await store.retention.purge(clock())
    rows = text("SELECT flow_id FROM flows UNION ALL SELECT flow_id FROM flow_users ORDER BY 1")

    left = await store._database.read(lambda connection: list(connection.execute(rows).scalars()))

    # The one whose tag lies ahead of the virtual time still has to wait for it.
    assert left == [60, 60]


@pytest.mark.postgres
async def test_processes_that_change_the_queue_at_once_keep_its_counts(postgres_url: str) -> None:
    stores = [await Store.open(postgres_url, clock=Clock()) for _ in range(4)]

    async def work(store: Store, dice: Random) -> None:
        for _ in range(12):
            jobs = [await accepted(store, new_job(user=dice.randrange(4), guild=dice.choice((50, 51, None))))]
            jobs += await store.jobs.claim(dice.randrange(3))
            for job in jobs:
                await store.jobs.transition(
                    job, dice.choice((JobState.CANCELLED, JobState.QUEUED)) if job.fence else JobState.FAILED
                )

    await asyncio.gather(*(work(store, Random(n)) for n, store in enumerate(stores * 3)))

    assert await stores[0].check() == []
    waiting = (await stores[0].jobs.counts()).waiting
    taken = await asyncio.gather(*(store.jobs.claim(99) for store in stores))
    assert sum(map(len, taken)) == waiting
    assert await stores[0].check() == []
    for store in stores:
        await store.close()


@pytest.mark.postgres
async def test_a_job_that_is_just_being_cancelled_is_passed_over_and_counts_against_nobody(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = [await Store.open(postgres_url, clock=Clock()) for _ in range(2)]
    first, second = await ask(stores[0], 2, user=1, guild=50)
    inside, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(*given: Any) -> dict[str, Charge]:
        charges = settling.resolve(*given)
        loop.call_soon(inside.set)
        await_only(go_on.wait())
        return charges

    monkeypatch.setattr("bot.store.transitions.resolve", slowly)
    cancelling = asyncio.create_task(moved(stores[1], first, JobState.CANCELLED))
    await inside.wait()
    claimed = await stores[0].jobs.claim(1)
    nothing = asyncio.create_task(stores[0].jobs.claim(1))
    await asyncio.sleep(0.03)
    go_on.set()
    await cancelling

    assert [job.id for job in claimed] == [second.id]
    assert await nothing == []
    assert await stores[0].check() == []
    for store in stores:
        await store.close()
