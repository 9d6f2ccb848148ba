"""`python -m tests.resilience`: run the resilience proofs for any length of time."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import get_args

from bot.settings import BudgetSettings
from bot.store import Store
from sandbox.discord.chaos import RateLimitChaos
from tests.resilience import limits_exact, test_fairness
from tests.resilience.attacker import BOUND_USD, attack
from tests.resilience.crash import SCENARIOS, START, How, Points, crash_points, start_points
from tests.resilience.databases import Kind
from tests.resilience.gateway import drops
from tests.resilience.kills import SHAPES, rounds
from tests.resilience.lost_answers import losses
from tests.resilience.outages import DISTURB, DISTURB_SERVER, outages
from tests.resilience.ratelimits import DRAIN_S, limited
from tests.resilience.world import Forks, Verdict, fork_server
from tests.store.conftest import Postgres, a_server
from tests.store.makers import Clock


@dataclass(frozen=True)
class ProofOptions:
    """What every proof is given: fork server, folder, PostgreSQL server, options."""

    forks: Forks
    folder: Path
    server: Postgres
    options: argparse.Namespace


#: Scenarios run side by side; each waits most of the time.
POINTS_AT_ONCE = 4
#: A scenario is over when so many attempts in a row show no new boundary; several processes interleave more richly.
QUIET = 12
QUIET_SHARED = 20
#: Worlds that share the long scenario of a start: one database sees only so many starts.
START_SHARES = 6
#: Where the limits are hammered.
LIMITS_ON: Sequence[tuple[Kind, int]] = (("postgresql", 4), ("sqlite", 1))
#: Runs, prints, and says whether all was well.
Proof = Callable[[ProofOptions], Awaitable[bool]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when nothing was lost, doubled or charged wrongly."""
    options = _parser().parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="easel-proof-"))
    try:
        with a_server() as server:
            faultless = asyncio.run(_prove(options, folder, server))
    except KeyboardInterrupt:
        print("\nstopped")
        return 130
    if not faultless:
        print(f"Databases and logs of the bot are left in {folder}.")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _prove(options: argparse.Namespace, folder: Path, server: Postgres) -> bool:
    proofs = [PROOFS[options.proof]] if options.proof != "soak" else list(PROOFS.values())
    async with fork_server() as forks:
        environment = ProofOptions(forks, folder, server, options)
        return all([await proof(environment) for proof in proofs])


async def _points(environment: ProofOptions) -> bool:
    """Every boundary of every scenario, once, in every shape."""
    total, count, began_s = Verdict(), 0, time.monotonic()
    turn = asyncio.Semaphore(POINTS_AT_ONCE)

    async def run(shape: tuple[Kind, int], scenario: str, how: How, share: tuple[int, int]) -> tuple[Path, Points]:
        kind, processes = shape
        folder = environment.folder / f"{kind} {processes} {scenario} {how} {share[0]}".replace(" ", "-")
        server = environment.server if kind == "postgresql" else None
        async with turn:
            if scenario == START:
                return folder, await start_points(environment.forks, folder, server=server, share=share, quiet=QUIET)
            quiet = QUIET if processes == 1 else QUIET_SHARED
            return folder, await crash_points(
                environment.forks, folder, scenario, how, server=server, processes=processes, quiet=quiet
            )

    scenarios = getattr(environment.options, "scenario", None) or [START, *SCENARIOS]
    wanted = [
        run(shape, scenario, how, (share, shares))
        for shape, scenario, how in itertools.product(environment.options.on, scenarios, get_args(How))
        if (scenario != START or (how == "kill" and shape[1] == 1)) and (how != "hang" or shape[1] > 1)
        for shares in (START_SHARES if scenario == START else 1,)
        for share in range(shares)
    ]
    for done in asyncio.as_completed(wanted):
        folder, points = await done
        print(points, flush=True)
        total, count = total + points.verdict, count + len(points.met)
        _tidy(folder, points.verdict)
    print(f"crash points: {count}, all that showed, in {time.monotonic() - began_s:.0f} s; {total}\n", flush=True)
    return not total.faults


async def _kills(environment: ProofOptions) -> bool:
    """Random kills, until so many are done or time is up."""
    options = environment.options
    total, kills, number, began_s = Verdict(), 0, options.first, time.monotonic()
    print(
        f"random kills: seed {options.seed}, rounds from {options.first}, at most {options.kills} kills and "
        f"{options.minutes:g} minutes",
        flush=True,
    )
    done: Counter[tuple[Kind, int]] = Counter()
    async for one in rounds(
        environment.forks,
        environment.folder,
        seed=options.seed,
        kills=options.kills,
        minutes=options.minutes,
        first=options.first,
        worlds=options.worlds,
        server=environment.server,
        shapes=options.on,
    ):
        print(one, flush=True)
        total, kills, number = total + one.verdict, kills + one.kills, number + 1
        done[one.kind, one.processes] += one.kills
        _tidy(environment.folder / f"round-{one.seed.rpartition('/')[2]}", one.verdict)
    minutes = (time.monotonic() - began_s) / 60
    spread = ", ".join(f"{count} on {kind} with {processes} at once" for (kind, processes), count in done.items())
    print(
        f"random kills: seed {options.seed}, {kills} kills ({spread}) in {minutes:.1f} minutes, "
        f"{kills / minutes:.0f} a minute (go on with --seed {options.seed} --first {number}); {total}\n",
        flush=True,
    )
    return not total.faults


async def _limits(environment: ProofOptions) -> bool:
    """Four processes on PostgreSQL, one on SQLite, which admits no more: each half of the attempts and of the time."""
    options, found = environment.options, []
    shapes = [shape for shape in LIMITS_ON if shape in options.on]
    for kind, processes in shapes:
        url = await environment.server.copy() if kind == "postgresql" else f"sqlite:///{environment.folder}/limits.db"
        hammer = partial(
            limits_exact.run,
            url,
            processes=processes,
            attempts=-(-options.attempts // len(shapes)),
            # A soak has other things to do.
            seconds=options.minutes * 60 / len(shapes) / (5 if options.proof == "soak" else 1),
            without=getattr(options, "without", ""),
            every_s=2.0,
            step_s=1.0,
        )
        one = await asyncio.to_thread(hammer, seed=options.seed)
        found.append(await limits_exact.count(url, one))
        print(f"limits, {processes} processes on {kind}: {one} (bound: 0)\n", flush=True)
    sums = {name: sum(getattr(one, name) for one in found) for name in ("attempts", "admitted", "kills")}
    steps, over = sum(one.steps["all"] for one in found), sum(len(one.over) for one in found)
    print(
        f"limits: {sums['attempts']:,} attempts of {options.attempts:,}, {sums['admitted']:,} admissions, "
        f"{sums['kills']} kills, {steps} clock steps, {over} over-admissions (bound: 0)\n",
        flush=True,
    )
    return not over


async def _attacker(environment: ProofOptions) -> bool:
    """A virtual day of it, and as a control as long as it takes without the budget of all."""
    options, within = environment.options, list[bool]()
    lifted = BudgetSettings(all_usd_per_day=Decimal(0), all_usd_per_month=Decimal(0))
    for name, budget in (("attacker", None), ("attacker without the budget of all (control)", lifted)):
        folder = environment.folder / f"attack-{len(within)}"
        folder.mkdir()
        one = await attack(folder, seed=options.seed, orders=options.orders, budget=budget)
        print(f"{name}: {one} (bound: ${BOUND_USD}){_faults(one.problems)}\n", flush=True)
        within.append(one.billed_usd <= BOUND_USD and not one.problems)
    return within == [True, False]


def _faults(found: Sequence[str]) -> str:
    return f" FAULTS: {found[:3]}" if found else ""


async def _fairness(environment: ProofOptions) -> bool:
    """The whole flood, on both databases."""
    worse: list[list[str]] = []
    for url in (f"sqlite:///{environment.folder}/flood.db", await environment.server.copy()):
        store = await Store.open(url, clock=Clock())
        quiet = await Store.open(f"sqlite:///{environment.folder}/quiet-{len(worse)}.db", clock=Clock())
        with_flood, without = await test_fairness.both(store, quiet)
        await store.close()
        await quiet.close()
        worse.append(test_fairness.beyond(with_flood, without))
        most = max(with_flood[key] / (2 * alone + 1) for key, alone in without.items())
        print(
            f"fairness on {url.partition(':')[0]}: seed {test_fairness.SEED}, {test_fairness.FLOOD} jobs of one "
            f"person, {len(without)} of {test_fairness.OTHERS} others; {len(worse[-1])} waited beyond 2w + 1 "
            f"(bound: 0; the longest {most:.2f} of it)\n",
            flush=True,
        )
    return not any(worse)


async def _gateway(environment: ProofOptions) -> bool:
    """Five thousand drops, or a tenth of the minutes."""
    options = environment.options
    one = await drops(
        environment.forks, environment.folder / "drops", seed=options.seed, count=5000, minutes=options.minutes / 10
    )
    print(f"gateway: {one}\n", flush=True)
    return not one.verdict.faults


async def _outages(environment: ProofOptions) -> bool:
    """Every outage for 15 seconds, a minute and two."""
    faultless = True
    for lasting_s in (15.0, 60.0, 120.0):
        folder, kinds = environment.folder / f"outages-{lasting_s:.0f}", [*DISTURB, *DISTURB_SERVER]
        seed, server = environment.options.seed, environment.server
        async for one in outages(environment.forks, folder, kinds, seed, lasting_s=lasting_s, at_once=8, server=server):
            print(one, f"FAULTS: {', '.join(one.faults)}\n" if one.faults else "", flush=True)
            faultless = faultless and not one.faults
    return faultless


async def _lost(environment: ProofOptions) -> bool:
    """Ten thousand submits, or a tenth of the minutes; then some of which only callbacks tell."""
    options, found = environment.options, []
    for by, count in (("list", 10_000), ("callback", 1000)):
        one = await losses(
            environment.forks,
            environment.folder / f"lost-{by}",
            seed=options.seed,
            count=count,
            by=by,  # type: ignore[arg-type]
            minutes=options.minutes / 10,
        )
        print(f"lost answers: {one}\n", flush=True)
        found.append(one)
    return all(one.faultless for one in found)


async def _ratelimits(environment: ProofOptions) -> bool:
    """A thirtieth of the minutes with waits of up to two seconds, Cloudflare's whole ones; then with tight bounds."""
    options, found = environment.options, []
    for name, tight in (("ratelimits", False), ("ratelimits-tight", True)):
        chaos = RateLimitChaos(seed=options.seed, longest_s=0.5 if tight else 2.0, whole=not tight)
        seconds = options.minutes * (0.2 if tight else 2)
        folder = environment.folder / name
        one = await limited(
            environment.forks,
            folder,
            seed=options.seed,
            seconds=seconds,
            chaos=chaos,
            tight=tight,
            drain_s=max(DRAIN_S, seconds),  # the chaos goes on meanwhile
        )
        print(f"rate limits{', three seconds for ten minutes' if tight else ''}: {one}\n", flush=True)
        found.append(one)
    return not any(one.faults for one in found)


#: What `soak` runs, in this order. A new proof needs its line here, no more.
PROOFS: Mapping[str, Proof] = {
    "points": _points,
    "limits": _limits,
    "attacker": _attacker,
    "fairness": _fairness,
    "gateway": _gateway,
    "lost": _lost,
    "ratelimits": _ratelimits,
    "outages": _outages,
    "kills": _kills,
}


def _tidy(folder: Path, verdict: Verdict) -> None:
    if not verdict.faults:
        shutil.rmtree(folder, ignore_errors=True)


def _shape(text: str) -> tuple[Kind, int]:
    """Such as `postgresql:4`."""
    kind, _, processes = text.partition(":")
    found = next((shape for shape in SHAPES if shape == (kind, int(processes or 1))), None)
    if found is None:
        raise argparse.ArgumentTypeError(f"one of {', '.join(f'{kind}:{number}' for kind, number in SHAPES)}")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.resilience",
        description="Kill the real bot, between a fake Discord and a fake fal, and count what was lost, posted twice, "
        "submitted twice or charged wrongly. Everything happens on this machine. Exit code 1 when anything was.",
        epilog="A seed repeats the plan of a run (who asks what, when to kill), not how the machine interleaves it.",
    )
    proofs = parser.add_subparsers(dest="proof", metavar="proof", required=True)
    for name, about, kills, minutes in (
        ("points", "kill at every COMMIT and every HTTP request, one by one", 0, 0.0),
        ("kills", "kill at random moments", 300, 10.0),
        ("limits", "hammer limits and budgets with kills and clocks that are set", 0, 60.0),
        ("attacker", "two hundred accounts spend what they can in a virtual day", 0, 0.0),
        ("fairness", "one person floods the queue", 0, 0.0),
        ("gateway", "break the gateway's connection and replay too much", 0, 10.0),
        ("outages", "take away Discord, fal, the database, the disk and the right time for a while", 0, 0.0),
        ("ratelimits", "refuse half of all requests to Discord with 429s of every kind", 0, 150.0),
        ("lost", "lose the answers of a fifth of all submits", 0, 100.0),
        ("soak", "all of them, the random kills for long", 20_000, 180.0),
    ):
        one = proofs.add_parser(name, help=about)
        one.add_argument("--seed", default=secrets.token_hex(4), help="of an earlier run; a new one by default")
        one.add_argument(
            "--on",
            nargs="+",
            type=_shape,
            default=SHAPES,
            metavar="DATABASE:PROCESSES",
            help="sqlite:1, postgresql:1, postgresql:4; all of them by default",
        )
        if name == "points":
            one.add_argument("scenario", nargs="*", choices=[[], START, *SCENARIOS], help="only these; all by default")
        if minutes:
            one.add_argument("--minutes", type=float, default=minutes, help="or after this time (default %(default)g)")
        if name in {"limits", "soak"}:
            attempts = 1_000_000 if name == "soak" else 100_000
            one.add_argument("--attempts", type=int, default=attempts, help="at the limits (default %(default)s)")
        if name == "limits":
            known = [safeguard for safeguard in limits_exact.WITHOUT if safeguard]
            one.add_argument("--without", default="", choices=known, help="a control: take this safeguard away")
        if name in {"attacker", "soak"}:
            one.add_argument("--orders", type=int, default=10_000, help="of the attacker (default %(default)s)")
        if kills:
            one.add_argument("--kills", type=int, default=kills, help="stop after so many (default %(default)s)")
            one.add_argument("--first", type=int, default=0, metavar="ROUND", help="go on with this round of the seed")
            one.add_argument("--worlds", type=int, default=2, help="worlds side by side (default %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
