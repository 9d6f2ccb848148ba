from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from bot.errors import DecoderBusy
from bot.media import headers
from bot.media import workers as module
from bot.media.workers import Done, ImageWorkers, Pauses, WorkersUnavailable
from tests.media.hostile import HOSTILE, mutated
from tests.media.paint import noise, opened, saved
from tests.media.worker_samples import MIB, NOTED, PLAIN, PREPARE, SLOW, SLOWER, given_to, peak_mib, prepare, until

# ---------------------------------------------------------------------- what is asked is done


async def test_a_clean_picture_comes_back_as_it_is(workers: ImageWorkers) -> None:
    done = await prepare(workers, PLAIN)

    assert isinstance(done, Done)
    assert done.body is None
    assert (done.width, done.height) == (64, 48)


async def test_what_is_set_right_comes_back_whole(workers: ImageWorkers) -> None:
    done = await prepare(workers, NOTED)

    assert isinstance(done, Done)
    assert done.body is not None
    assert b"hello" not in done.body
    assert opened(done.body).size == (64, 48)


async def test_no_process_runs_before_one_is_needed(workers: ImageWorkers) -> None:
    assert workers.process_ids == []
    assert await prepare(workers, b"<html>") == "picture_none"
    assert workers.process_ids == []


async def test_one_process_does_one_picture_after_another(workers: ImageWorkers) -> None:
    await prepare(workers, NOTED)
    first = workers.process_ids
    for _ in range(5):
        await prepare(workers, NOTED)
    assert workers.process_ids == first
    assert len(first) == 1


async def test_a_decoding_process_gives_way_to_the_bot(workers: ImageWorkers) -> None:
    """Linux compares how nice two processes are only within one session (autogroup)."""
    await prepare(workers, NOTED)
    (process_id,) = workers.process_ids
    assert psutil.Process(process_id).nice() >= min(psutil.Process().nice() + 5, 19)
    assert os.getsid(process_id) == os.getsid(0)
    assert os.getpgid(process_id) == process_id  # Ctrl-C in a terminal is not for it


async def test_an_idle_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ImageWorkers(idle_s=0.1) as workers:
        await prepare(workers, NOTED)
        (process_id,) = workers.process_ids
        assert await until(lambda: not psutil.pid_exists(process_id))
        assert workers.process_ids == []
        assert isinstance(await prepare(workers, NOTED), Done)


def test_asking_for_a_picture_does_not_load_the_decoder_into_the_bot() -> None:
    program = (
        "import asyncio, sys\n"
        "from bot.media.workers import ImageWorkers, Task\n"
        f"body = bytes.fromhex('{PLAIN[:2000].hex()}')\n"
        "async def main():\n"
        "    async with ImageWorkers() as workers:\n"
        "        try:\n"
        "            await workers.run(Task('find_flat'), body, owner=1)\n"
        "        except Exception as error: print(type(error).__name__)\n"
        "asyncio.run(main())\n"
        "sys.exit(any(name in sys.modules for name in ('PIL', 'pillow_heif', 'multiprocessing')))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "Unsound")


# ---------------------------------------------------------------------- hostile pictures


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_picture_ends_soon_within_its_memory_and_hurts_nobody(workers: ImageWorkers, case: str) -> None:
    body = HOSTILE[case]()
    assert isinstance(await prepare(workers, NOTED, "another"), Done)
    began_s = time.monotonic()

    await prepare(workers, body, "attacker")

    assert time.monotonic() - began_s < 3 * module.CPU_MOST_S + 2
    assert all(peak_mib(process_id) <= 400 for process_id in workers.process_ids)
    assert isinstance(await prepare(workers, NOTED, "another"), Done)


REFUSED = {
    "thousands of scans": "picture_hostile",
    "two headers": "picture_hostile",
    "200,000 chunks": "picture_hostile",
    "a GIF's frame beyond its screen": "picture_hostile",
    "203 megapixels in 600 KB": "picture_huge",
    "a TIFF of 4 gigapixels": "picture_huge",
    "a colour profile that inflates": "picture_damaged",
    "a WebP that says 16 and has 8,000": "picture_damaged",
    "cut in the middle": "picture_cut_off",
    "pixels that do not inflate": "picture_damaged",
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_made_to_hurt_is_refused_at_once_and_by_its_name(workers: ImageWorkers, case: str) -> None:
    body = HOSTILE[case]()
    await prepare(workers, NOTED)  # the process is there
    began_s = time.monotonic()

    assert await prepare(workers, body) == REFUSED[case]

    assert time.monotonic() - began_s < 1
    assert all(peak_mib(process_id) <= 100 for process_id in workers.process_ids)


async def test_changed_bytes_lead_to_a_picture_or_a_reason(workers: ImageWorkers) -> None:
    for number, body in enumerate(mutated(200)):
        done = await prepare(workers, body, number)
        if isinstance(done, Done) and done.body is not None:
            assert opened(done.body).size == (done.width, done.height)


# ---------------------------------------------------------------------- limits that the kernel holds


async def test_a_picture_that_takes_too_long_is_killed(workers: ImageWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_cpu_s", lambda header: 0.1)
    await prepare(workers, NOTED, "another")
    (before,) = workers.process_ids

    assert await prepare(workers, SLOW, "attacker") == "picture_takes_too_long"

    assert not psutil.pid_exists(before)
    assert isinstance(await prepare(workers, NOTED, "another"), Done)


async def test_a_decoder_that_stands_still_is_killed_as_well(
    workers: ImageWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_cpu_s", lambda header: 0.3)
    await prepare(workers, NOTED)
    (process_id,) = workers.process_ids
    asking = asyncio.create_task(prepare(workers, SLOW))
    await asyncio.sleep(0.1)
    os.kill(process_id, signal.SIGSTOP)

    assert await asking == "picture_takes_too_long"
    assert await until(lambda: not psutil.pid_exists(process_id))


async def test_memory_beyond_the_limit_is_refused_by_the_kernel(
    workers: ImageWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_memory_bytes", lambda header, task, length: 0)  # a header that fooled us
    monkeypatch.setattr(module, "LIGHT_WORKER_BYTES", 64 * MIB)
    monkeypatch.setattr(module, "MAX_WORKER_BYTES", 128 * MIB)

    assert await prepare(workers, saved(noise(8, 8).resize((7000, 7000)), "PNG")) == "picture_takes_too_much_memory"

    assert all(peak_mib(process_id) <= 128 for process_id in workers.process_ids)


async def test_what_needs_more_memory_than_the_first_process_has_goes_to_the_second(
    workers: ImageWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_memory_bytes", lambda header, task, length: 0)
    monkeypatch.setattr(module, "LIGHT_WORKER_BYTES", 64 * MIB)
    monkeypatch.setattr(module, "LIGHT_S", 99)

    done = await prepare(workers, saved(noise(8, 8).resize((4000, 4000)), "PNG"))

    assert isinstance(done, Done)
    assert len(workers.process_ids) == 2


async def test_what_takes_longer_than_it_said_leaves_the_first_process_to_others(
    workers: ImageWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIGHT_S", 99)
    monkeypatch.setattr(module, "LIGHT_CPU_S", 0.5)
    slow = asyncio.create_task(prepare(workers, SLOWER, "attacker"))
    await asyncio.sleep(0.05)

    assert isinstance(await prepare(workers, NOTED, "another"), Done)
    assert not slow.done()
    assert isinstance(await slow, Done)
    assert not workers._strikes


async def test_who_does_not_want_to_wait_for_other_slow_pictures_is_told(workers: ImageWorkers) -> None:
    run = partial(workers.run, PREPARE, may_take_long=False)
    assert isinstance(await run(SLOWER, owner="first"), Done)  # nobody else is there
    first = asyncio.create_task(prepare(workers, SLOWER, "first"))
    await asyncio.sleep(0.05)

    with pytest.raises(DecoderBusy):
        await run(SLOWER, owner="second")

    assert isinstance(await run(NOTED, owner="second"), Done)
    assert isinstance(await first, Done)


@pytest.mark.parametrize(
    ("limits", "ended_by"),
    [({"cpu_s": 0.1, "wall_s": 60}, signal.SIGPROF), ({"cpu_s": 60, "wall_s": 0.2}, signal.SIGALRM)],
    ids=["processor time", "wall-clock time"],
)
def test_the_kernel_ends_a_worker_that_overruns_whatever_its_bot_does(
    limits: dict[str, float], ended_by: signal.Signals
) -> None:
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(SLOWER)
        source.flush()
        with theirs:
            worker = subprocess.Popen(
                [sys.executable, "-I", str(Path(module.__file__).with_name("worker.py")), str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=(theirs.fileno(),),
            )
        with worker:
            request = {
                "task": "prepare",
                "args": PREPARE.args,
                "memory_bytes": 400 * MIB,
                "output_bytes": MIB,
                **limits,
            }
            socket.send_fds(ours, [json.dumps(request).encode()], [source.fileno(), target.fileno()])
            assert worker.wait(60) == -ended_by


def test_pillows_own_limit_is_ours() -> None:
    program = "from bot.media import decoding; print(decoding.Image.MAX_IMAGE_PIXELS)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert int(done.stdout) == headers.MAX_JPEG_PIXELS


async def test_no_more_is_written_than_allowed(workers: ImageWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OUTPUT_BYTES", 100)

    assert await prepare(workers, NOTED) == "picture_damaged"


async def test_a_process_killed_from_outside_is_no_fault_of_the_picture(workers: ImageWorkers) -> None:
    await prepare(workers, NOTED)
    (process_id,) = workers.process_ids
    asking = asyncio.create_task(prepare(workers, SLOW))
    await asyncio.sleep(0.03)  # it takes more than 0.1 s
    os.kill(process_id, signal.SIGKILL)

    assert isinstance(await asking, Done)
    assert process_id not in workers.process_ids


def started_with(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Processes that run this in place of a decoder; `control` is the line to the bot."""
    head = "import os, signal, socket, sys; control = socket.socket(fileno=int(sys.argv[1]));"

    def launched(descriptor: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", f"{head} {program}", str(descriptor)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(descriptor,))

    monkeypatch.setattr(module, "_launched", launched)


async def test_a_process_that_cannot_be_started_is_started_later(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, refused = module._launched, 2

    def launched(descriptor: int) -> subprocess.Popen[bytes]:
        nonlocal refused
        refused -= 1
        if refused >= 0:
            raise OSError(11, "Resource temporarily unavailable")
        return usual(descriptor)

    monkeypatch.setattr(module, "_launched", launched)
    async with ImageWorkers(pauses_s=Pauses(starts=(0.01, 0.01))) as workers:
        assert isinstance(await prepare(workers, NOTED), Done)


async def test_where_no_process_can_be_started_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def launched(descriptor: int) -> subprocess.Popen[bytes]:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(module, "_launched", launched)
    async with ImageWorkers(pauses_s=Pauses(starts=(0.01, 0.01))) as workers:
        asked = [workers.run(PREPARE, NOTED, owner=number) for number in range(5)]
        async with asyncio.timeout(5):
            errors = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(error) for error in errors] == [WorkersUnavailable] * 5


@pytest.mark.parametrize(
    "program", ["sys.exit(1)", "control.recv(9); os.kill(os.getpid(), signal.SIGKILL)", "control.recv(9); sys.exit(0)"]
)
async def test_processes_that_end_by_something_else_are_no_fault_of_the_picture(
    monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    usual = module._launched
    started_with(monkeypatch, program)
    async with ImageWorkers(pauses_s=Pauses(deaths=(0.01, 0.01))) as workers:
        for _ in range(module.MOST_STRIKES + 1):
            with pytest.raises(WorkersUnavailable):
                await workers.run(PREPARE, NOTED, owner="somebody")
        monkeypatch.setattr(module, "_launched", usual)
        assert isinstance(await prepare(workers, NOTED), Done)


async def test_a_decoder_that_breaks_on_a_picture_twice_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = module._launched
    started_with(monkeypatch, "control.recv(9); os.kill(os.getpid(), signal.SIGSEGV)")
    async with ImageWorkers(pauses_s=Pauses(deaths=(0.01, 0.01))) as workers:
        for _ in range(module.MOST_STRIKES):
            assert await prepare(workers, NOTED) == "picture_damaged"
        monkeypatch.setattr(module, "_launched", usual)
        assert await prepare(workers, NOTED) == "picture_sender_paused"


async def test_a_process_that_died_while_idle_is_replaced(workers: ImageWorkers) -> None:
    await prepare(workers, NOTED)
    (process_id,) = workers.process_ids
    os.kill(process_id, signal.SIGKILL)

    assert isinstance(await prepare(workers, NOTED), Done)


# ---------------------------------------------------------------------- ending


async def test_closing_ends_a_process_in_the_middle_of_a_picture() -> None:
    workers = ImageWorkers()
    asking = asyncio.create_task(workers.run(PREPARE, SLOWER, owner=1))
    waiting = asyncio.create_task(workers.run(PREPARE, SLOWER, owner=1))
    assert await until(lambda: workers.process_ids)
    await asyncio.sleep(0.1)
    process_ids = workers.process_ids
    began_s = time.monotonic()

    await workers.close()

    assert time.monotonic() - began_s < 1
    assert not any(psutil.pid_exists(process_id) for process_id in process_ids)
    for task in (asking, waiting):  # as where the bot stops: the next start goes on with it
        with pytest.raises(asyncio.CancelledError):
            await task
    with pytest.raises(asyncio.CancelledError):
        await workers.run(PREPARE, NOTED, owner=1)


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_no_process_outlives_a_bot_that_is_killed(tmp_path: Path, busy: bool) -> None:
    (tmp_path / "slow.jpg").write_bytes(SLOW)
    (tmp_path / "plain.jpg").write_bytes(NOTED)
    program = f"""
        import asyncio
        from pathlib import Path
        from bot.media.workers import ImageWorkers, Task
        args = {PREPARE.args!r}
        async def main():
            workers = ImageWorkers()
            await workers.run(Task("prepare", args, 100), Path("plain.jpg").read_bytes(), owner=1)
            if {busy}:
                asyncio.create_task(workers.run(Task("prepare", args, 100), Path("slow.jpg").read_bytes(), owner=1))
            await asyncio.sleep(0.2)
            print(*workers.process_ids, flush=True)
            await asyncio.sleep(60)
        asyncio.run(main())
    """
    root = Path(__file__).parents[2]
    bot = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    with bot:
        assert bot.stdout is not None
        process_id = int(bot.stdout.readline())
        assert psutil.pid_exists(process_id)
        bot.kill()
        bot.wait()
    until_s = time.monotonic() + 1
    while psutil.pid_exists(process_id) and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until_s, "the decoding process has outlived its bot"
        time.sleep(0.02)


async def test_a_process_is_given_no_secret_and_no_file_of_the_bot(
    workers: ImageWorkers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a-secret")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with (tmp_path / "open.txt").open("w"):
        await prepare(workers, NOTED)
        (process_id,) = workers.process_ids

        environment, files = given_to(process_id)

    assert b"a-secret" not in environment
    assert {entry.split(b"=")[0] for entry in environment.split(b"\0") if entry} <= {
        b"MALLOC_ARENA_MAX",
        b"MALLOC_MMAP_THRESHOLD_",
        b"LC_ALL",
    }
    assert {name.split(":")[0] for name in files} <= {"/dev/null", "pipe", "socket"}


# ---------------------------------------------------------------------- the event loop


async def test_the_event_loop_is_never_held_up(workers: ImageWorkers) -> None:
    large = saved(noise(2500, 2500), "PNG", compress_level=0) + b"\0" * (8 * MIB)
    await prepare(workers, NOTED)
    longest_s = 0.0
    stop = asyncio.Event()

    async def watch() -> None:
        """In processor time: what else runs on the machine does not count."""
        nonlocal longest_s
        while not stop.is_set():
            before_s = time.thread_time()
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.thread_time() - before_s)

    watching = asyncio.create_task(watch())
    for owner in range(4):
        assert isinstance(await prepare(workers, large, owner), Done)
    stop.set()
    await watching

    assert longest_s < 0.025


async def test_three_hundred_at_once_are_all_answered(workers: ImageWorkers) -> None:
    done = await asyncio.gather(*(prepare(workers, NOTED, number % 50) for number in range(300)))
    assert all(isinstance(one, Done) for one in done)
