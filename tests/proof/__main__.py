"""`python -m tests.proof`: the proofs, as long as you like."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tests.proof.crash import START, STORIES, How, crash_points, start_points
from tests.proof.kills import rounds
from tests.proof.world import Forks, Verdict, fork_server


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when nothing was lost, doubled or charged wrongly."""
    options = _parser().parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="easel-proof-"))
    try:
        faultless = asyncio.run(_prove(options, folder))
    except KeyboardInterrupt:
        print("\nstopped")
        return 130
    if not faultless:
        print(f"Databases and logs of the bot are left in {folder}.")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


async def _prove(options: argparse.Namespace, folder: Path) -> bool:
    async with fork_server() as forks:
        if options.proof == "points":
            return await _points(forks, folder, options.story or [START, *STORIES])
        faultless = True
        if options.proof == "soak":
            faultless = await _points(forks, folder, [START, *STORIES])
        return await _kills(forks, folder, options) and faultless


async def _points(forks: Forks, folder: Path, stories: Sequence[str]) -> bool:
    """Every boundary of every story, once."""
    total, count, unmet, began_s = Verdict(), 0, 0, time.monotonic()
    for story in stories:
        for how in get_args(How):
            if story == START and how == "lose":
                continue
            place = folder / f"{story} {how}".replace(" ", "-")
            made = start_points(forks, place) if story == START else crash_points(forks, place, story, how)
            points = await made
            print(points, flush=True)
            total, count, unmet = total + points.verdict, count + len(points.met), unmet + len(points.unmet)
            _tidy(place, points.verdict)
    print(f"crash points: {count} of {count + unmet} in {time.monotonic() - began_s:.0f} s; {total}\n", flush=True)
    return not total.faults


async def _kills(forks: Forks, folder: Path, options: argparse.Namespace) -> bool:
    """Random kills, until so many are done or time is up."""
    total, kills, number, began_s = Verdict(), 0, options.first, time.monotonic()
    print(
        f"random kills: seed {options.seed}, rounds from {options.first}, at most {options.kills} kills and "
        f"{options.minutes:g} minutes",
        flush=True,
    )
    async for one in rounds(
        forks,
        folder,
        seed=options.seed,
        kills=options.kills,
        minutes=options.minutes,
        first=options.first,
        worlds=options.worlds,
    ):
        print(one, flush=True)
        total, kills, number = total + one.verdict, kills + one.kills, number + 1
        _tidy(folder / f"round-{one.seed.rpartition('/')[2]}", one.verdict)
    print(
        f"random kills: seed {options.seed}, {kills} kills in {(time.monotonic() - began_s) / 60:.1f} minutes "
        f"(go on with --seed {options.seed} --first {number}); {total}",
        flush=True,
    )
    return not total.faults


def _tidy(place: Path, verdict: Verdict) -> None:
    if not verdict.faults:
        shutil.rmtree(place, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof",
        description="Kill the real bot, between stand-ins of Discord and fal, and count what was lost, posted twice, "
        "submitted twice or charged wrongly. Everything happens on this machine. Exit code 1 when anything was.",
        epilog="A seed repeats the plan of a run (who asks what, when to kill), not how the machine interleaves it.",
    )
    proofs = parser.add_subparsers(dest="proof", metavar="proof", required=True)
    points = proofs.add_parser("points", help="kill at every COMMIT and every HTTP request, one by one")
    points.add_argument("story", nargs="*", choices=[[], START, *STORIES], help="only these; all by default")
    for name, about, kills, minutes in (
        ("kills", "kill at random moments", 300, 10.0),
        ("soak", "both, the random kills for long", 20_000, 180.0),
    ):
        one = proofs.add_parser(name, help=about)
        one.add_argument("--kills", type=int, default=kills, help="stop after so many (default %(default)s)")
        one.add_argument("--minutes", type=float, default=minutes, help="or after this time (default %(default)g)")
        one.add_argument("--seed", default=secrets.token_hex(4), help="of an earlier run; a new one by default")
        one.add_argument("--first", type=int, default=0, metavar="ROUND", help="go on with this round of the seed")
        one.add_argument("--worlds", type=int, default=4, help="bots killed side by side (default %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
