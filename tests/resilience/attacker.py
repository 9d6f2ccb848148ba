"""An attacker with many accounts and servers of their own spends as much of somebody else's money as they can.

Real rules, store and jobs, in the default configuration, over HTTP on the fake fal with its own bill; a virtual day,
from midnight to midnight by UTC. `python -m tests.resilience attacker` runs it at length.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, select

from bot.catalogue import Catalogue, load, parse
from bot.domain.job import Actor, Job, NewJob, Reply
from bot.domain.money import usd_of
from bot.domain.ports import DeliverableImages
from bot.domain.request import GenerationRequest
from bot.errors import Refusal, ResultUnusable
from bot.fal import Fal
from bot.jobs.context import Clocks
from bot.jobs.runner import Runner
from bot.limits import GuildLimits, Policy, policy_for
from bot.media.workers import ImageWorkers
from bot.phrase import phrase
from bot.settings import BudgetSettings, FalSettings, Settings
from bot.store import Accepted, Store
from bot.store.tables import jobs, ledger
from bot.supervisor import Supervisor
from sandbox.fal import FakeFal
from sandbox.fal.bill import Bill
from tests.jobs.scripted import PATIENT, NoAttachments, ScriptedDelivery
from tests.store.makers import Clock

MIDNIGHT = datetime(2026, 12, 5, tzinfo=UTC)
#: The operator's budget of a day in the default configuration.
BOUND_USD = Decimal(25)
#: What the attacker sets in their own servers, with `/settings`.
OWN_LIMITS = GuildLimits(
    images_per_hour=1e6,
    burst_images=10**6,
    images_per_day=10**6,
    concurrent_jobs=10**6,
    guild_images_per_day=10**6,
    guild_concurrent_jobs=0,
    person_usd_day=Decimal(10**6),
    server_usd_day=Decimal(10**6),
    server_usd_month=Decimal(10**6),
)
#: Dear orders, and what fal paints only by its own lights: how many pictures, and how large.
DEAR: Sequence[tuple[str, dict[str, object]]] = (
    ("ideogram-v3", {"count": 4, "options": {"rendering_speed": "QUALITY"}}),
    ("seedream-v4", {"count": 4}),
    ("imagen4", {"count": 4}),
    ("sd35-large", {"count": 4}),
    ("omnigen-v2", {"count": 2}),
    ("recraft-v2", {"options": {"style": "vector_illustration"}}),
    ("qwen-image", {"count": 4}),
    ("ideogram-v2", {}),
)


@dataclass(slots=True)
class Attack:
    """What was tried, and what it cost."""

    seed: str
    accounts: int
    orders: int = 0
    accepted: int = 0
    #: How orders ended that the attacker cancelled, whose pictures the checker flagged or Discord did not take.
    ends: Counter[str] = field(default_factory=Counter)
    billed_usd: Decimal = Decimal(0)
    counted_usd: Decimal = Decimal(0)
    bills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = ", ".join(f"{number} {end}" for end, number in sorted(self.ends.items()))
        bills = ", ".join(f"{number} {reason}" for reason, number in sorted(self.bills.items()))
        return (
            f"seed {self.seed}: {self.accounts} accounts with servers of their own, {self.orders} orders tried in a "
            f"virtual day, {self.accepted} accepted ({ends}), billed ${self.billed_usd:.4f} ({bills}), "
            f"counted ${self.counted_usd:.4f}, in {self.seconds:.0f} s"
        )


class _Discord(ScriptedDelivery):
    """Takes no picture of those that are to be undeliverable."""

    def __init__(self, undeliverable: set[str]) -> None:
        super().__init__()
        self._undeliverable = undeliverable

    async def deliver(self, job: Job, ready: DeliverableImages) -> int | None:
        if job.id in self._undeliverable:
            raise ResultUnusable(phrase("no_picture_made"))
        return await super().deliver(job, ready)


class Attacker:
    """The accounts, and how they ask."""

    def __init__(self, runner: Runner, store: Store, settings: Settings, clock: Clock, attack: Attack) -> None:
        self._runner = runner
        self._store = store
        self._settings = settings
        self._clock = clock
        self._attack = attack
        self._dice = random.Random(attack.seed)
        self._catalogue: Catalogue = load()
        self.undeliverable: set[str] = set()

    async def hours(self, orders: int, is_over: Callable[[], bool]) -> None:
        """Ask all day long, most eagerly at its beginning and at its end."""
        rounds = 48
        for number in range(rounds):
            self._clock.now = MIDNIGHT + timedelta(seconds=1) + number * (timedelta(days=1) / rounds)
            share = 6 if number in {0, rounds - 1} else 1
            await asyncio.gather(*(self.order() for _ in range(orders * share // (rounds + 10))))
            await self._quiet()
            if is_over():
                return
        self._clock.now = MIDNIGHT + timedelta(days=1) - timedelta(seconds=1)
        await asyncio.gather(*(self.order() for _ in range(self._attack.accounts)))
        await self._quiet()

    async def order(self) -> None:
        """One of the accounts asks, in one of the servers or in a direct message."""
        dice, attack = self._dice, self._attack
        attack.orders += 1
        account = dice.randrange(attack.accounts)
        guild = dice.choice((10_000 + account, 10_000 + dice.randrange(attack.accounts), None))
        actor = Actor(1 + account, 2, guild)
        flagged = dice.random() < 0.3
        new = NewJob(secrets.token_hex(8), actor, self._reply(), self._request(flagged=flagged))
        way = "flagged" if flagged else dice.choice(("delivered", "cancelled", "cancelled late", "undeliverable"))
        if way == "undeliverable":
            self.undeliverable.add(new.id)
        try:
            outcome = await self._runner.accept(new, await _policy_of(self._settings, actor))
        except Refusal:
            return
        if not isinstance(outcome, Accepted):
            return
        attack.accepted += 1
        attack.ends[way] += 1
        await self._runner.answered(new.id, 99)
        if way.startswith("cancelled"):
            await asyncio.sleep(0.3 if way == "cancelled" else dice.uniform(0.3, 1.5))
            await self._runner.cancel(new.id)

    def _request(self, *, flagged: bool) -> GenerationRequest:
        key, raw = self._dice.choice(DEAR)
        prompt = "an nsfw scene" if flagged else "a quiet harbour"
        return parse(self._catalogue.get(key), {"prompt": f"{prompt}, {self._dice.random()}", **raw})

    def _reply(self) -> Reply:
        return Reply(
            application_id=5,
            interaction_id=secrets.randbits(62),
            token="t",
            token_expires_at=self._clock.now + timedelta(minutes=15),
        )

    async def _quiet(self) -> None:
        """Nothing is under way any more."""
        async with asyncio.timeout(120):
            while await self._store.jobs.live():
                await asyncio.sleep(0.05)


def _uncounted(connection: Connection, bill: Bill) -> list[str]:
    """Orders that count for less than fal billed for them."""
    billed: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line in bill.charges:
        billed[line.request_id] += line.usd
    orders = select(jobs, ledger.c.counted_usd_micros).join(ledger, ledger.c.job_id == jobs.c.id)
    return [
        f"{row.state} order of {billed[row.request_id]} counts {usd_of(row.counted_usd_micros)}: {row.failure_json}"
        for row in connection.execute(orders)
        if row.request_id is not None and usd_of(row.counted_usd_micros) < billed[row.request_id]
    ]


async def _policy_of(settings: Settings, actor: Actor) -> Policy:
    """As the bot finds it, with what the attacker set in their own server."""
    return policy_for(settings, OWN_LIMITS, actor)


async def attack(
    folder: Path, *, seed: str, orders: int, accounts: int = 200, budget: BudgetSettings | None = None
) -> Attack:
    """A whole day, or as long as it takes to spend more than may be.

    Args:
        budget: another one than the default.
    """
    began, found = time.monotonic(), Attack(seed, accounts)
    settings = Settings(budget=budget or BudgetSettings())
    clock = Clock(MIDNIGHT)
    store = await Store.open(f"sqlite:///{folder / 'easel.db'}", clock=clock)
    supervisor = Supervisor()
    async with FakeFal(speed=0.02, paint="flat") as fake:
        url = fake.url
        fal = Fal(key="a:b", queue_url=url, rest_url=url, cdn_url=url, api_url=url)
        async with fal, ImageWorkers() as images:
            runner = Runner(
                store=store,
                fal=fal,
                catalogue=load(),
                settings=FalSettings(),
                max_waiting=settings.limits.max_waiting_jobs,
                tick_s=1,
                clocks=Clocks(clock),
                inputs=NoAttachments(),
                images=images,
                supervisor=supervisor,
                policy_of=partial(_policy_of, settings),
                forgiven_per_day=settings.limits.forgiven_per_day,
                timings=PATIENT,
            )
            attacker = Attacker(runner, store, settings, clock, found)
            runner.attach(_Discord(attacker.undeliverable))
            running = asyncio.create_task(runner.run())
            await attacker.hours(orders, lambda: fake.bill.usd > BOUND_USD)
            await runner.stop()
            await running
            await supervisor.close()
        found.billed_usd = fake.bill.usd
        found.bills = Counter(charge.reason.value for charge in fake.bill.charges)
        found.problems += await store._database.read(lambda connection: _uncounted(connection, fake.bill))
    used = await store.usage.of(Actor(0, 0))
    found.counted_usd = usd_of(used.spent.all_day)
    found.problems += await store.check()
    await store.close()
    found.seconds = time.monotonic() - began
    return found
