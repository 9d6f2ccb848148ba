"""A job that ends the process while it is prepared is given up in the end, and no other job for it."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from bot.domain.job import Job, JobState
from bot.jobs.preparation import MOST_CRASHES, PreparationGate
from bot.store import Store
from tests.jobs.killed_child import KILLER

ROOT = Path(__file__).resolve().parents[2]


async def start(database: Path, how: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.jobs.killed_child", str(database), how), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )


async def run(database: Path, how: str) -> tuple[int | None, list[str]]:
    """One process to its end: its exit code, and the attachments that it fetched."""
    process = await start(database, how)
    async with asyncio.timeout(120):
        out, _ = await process.communicate()
    return process.returncode, [line.split()[1] for line in out.decode().splitlines()]


async def the_jobs(database: Path) -> tuple[Job, Job, int]:
    """Both, and the images that count for the first one's owner today."""
    store = await Store.open(f"sqlite:///{database}")
    try:
        killer, innocent = [await store.jobs.get(f"job{number:07}") for number in (1, 2)]
        assert killer is not None
        assert innocent is not None
        return killer, innocent, (await store.usage.of(killer.actor)).images_today
    finally:
        await store.close()


async def test_a_job_that_kills_the_process_is_given_up_and_its_quota_returned(tmp_path: Path) -> None:
    database = tmp_path / "easel.db"
    killed = 0
    while True:
        code, fetched = await run(database, "kill")
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        assert killed <= MOST_CRASHES
        if killed > 1:  # from the second on it is prepared alone
            assert fetched[-1] == KILLER

    killer, innocent, counted = await the_jobs(database)
    assert killed == MOST_CRASHES
    assert killer.state is JobState.FAILED
    assert killer.failure is not None
    assert killer.failure.code == "preparation_crashed"
    assert killer.submitted_at is None
    assert counted == 0
    assert innocent.state is JobState.DELIVERED
    assert innocent.prepare_crashes <= 1


async def test_an_orderly_stop_in_the_middle_never_counts(tmp_path: Path) -> None:
    database = tmp_path / "easel.db"
    for _ in range(2):
        process = await start(database, "hang")
        assert process.stdout is not None
        async with asyncio.timeout(120):
            while KILLER not in (await process.stdout.readline()).decode():
                pass
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(120):
            await process.communicate()
        assert process.returncode == 0

    code, _ = await run(database, "well")

    killer, innocent, counted = await the_jobs(database)
    assert code == 0
    assert killer.state is innocent.state is JobState.DELIVERED
    assert killer.prepare_crashes == innocent.prepare_crashes == 0
    assert counted == 1


async def test_a_suspect_is_prepared_while_no_other_job_is() -> None:
    gate, seen, leave = PreparationGate(), list[str](), asyncio.Event()

    async def prepare(name: str, *, alone: bool) -> None:
        async with gate.enter(alone=alone):
            seen.append(f"{name} in")
            await leave.wait()
            seen.append(f"{name} out")

    first = [asyncio.create_task(prepare(name, alone=False)) for name in ("a", "b")]
    await asyncio.sleep(0.01)
    suspects = [asyncio.create_task(prepare(name, alone=True)) for name in ("x", "y")]
    await asyncio.sleep(0.01)
    late = asyncio.create_task(prepare("c", alone=False))
    await asyncio.sleep(0.01)
    assert seen == ["a in", "b in"]
    leave.set()
    await asyncio.gather(*first, *suspects, late)

    assert seen[2:] == ["a out", "b out", "x in", "x out", "y in", "y out", "c in", "c out"]
