"""The supervisor: ports, the child process, and a picture by the real bot."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from bot.errors import SetupError
from sandbox import run
from sandbox.run import Child, open_sandbox

SLEEPER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("up", flush=True)
time.sleep(60)
"""


def a_child(code: str, lines: list[str], states: list[str]) -> Child:
    return Child(lambda: os.environ, on_line=lines.append, on_state=states.append, command=(sys.executable, "-c", code))


async def until(test: object, timeout_s: float = 10.0) -> None:
    assert callable(test)
    async with asyncio.timeout(timeout_s):
        while not test():
            await asyncio.sleep(0.01)


async def test_a_child_that_falls_over_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_FIRST_PAUSE_S", 0.01)
    lines: list[str] = []
    states: list[str] = []
    child = a_child("print('hello'); raise SystemExit(3)", lines, states)
    watching = asyncio.create_task(child.watch())

    await until(lambda: child.starts >= 3)
    watching.cancel()
    await child.stop()

    assert child.unexpected_ends >= 2
    assert states[0] == "The bot ended unexpectedly, with code 3. It is started again in 0.01 s."
    assert states[1].endswith("in 0.02 s.")
    assert lines[:2] == ["hello", "hello"]


async def test_a_child_the_operator_must_mend_waits_to_be_asked() -> None:
    lines: list[str] = []
    states: list[str] = []
    child = a_child("raise SystemExit(2)", lines, states)
    watching = asyncio.create_task(child.watch())

    await until(lambda: states)
    assert "Mend that" in states[0]
    assert child.starts == 1
    await child.restart()
    await until(lambda: child.starts == 2)
    watching.cancel()
    await child.stop()


async def test_a_restart_ends_the_process_and_starts_another() -> None:
    lines: list[str] = []
    states: list[str] = []
    child = a_child(SLEEPER, lines, states)
    watching = asyncio.create_task(child.watch())
    await until(lambda: lines)
    first = child.pid

    await child.restart()
    await until(lambda: len(lines) == 2)

    assert states == ["The bot is restarting."]
    assert child.unexpected_ends == 0
    assert child.pid not in {None, first}
    watching.cancel()
    await child.stop()
    assert child.pid is None


def test_a_port_in_use_gives_way_to_the_next() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with run._listen("127.0.0.1", port) as other:
            assert port < other.getsockname()[1] < port + 50


def test_only_loopback_is_listened_on() -> None:
    with pytest.raises(SetupError, match="loopback only"):
        run._listen("0.0.0.0", 0)


async def test_the_real_bot_paints_in_the_sandbox_and_survives_a_restart(tmp_path: Path) -> None:
    async with open_sandbox(port=0, data_dir=tmp_path, fal_options={"paint_s": 0.05}) as sandbox:
        await sandbox.ready()
        record = await sandbox.discord.command("ada", "general", "imagine", {"prompt": "a fox"})
        message = await record.pictures()
        await sandbox.discord.devtools.set("bot_restart", True)
        await sandbox.discord.wait_for(lambda: sandbox.child.starts == 2 and sandbox.discord.gateway.online, 30)
        again = await sandbox.discord.press("ada", message, "Again")
        await again.answered()
        pid = sandbox.child.pid
        assert [one.public() for one in sandbox.discord.refusals] == []

    assert record.state == again.state == "answered"
    assert sandbox.discord.read(message) or message.files
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_the_command_line_opens_the_sandbox_and_closes_it_cleanly(tmp_path: Path) -> None:
    root = Path(run.__file__).parents[1]
    code = "import asyncio, pathlib, sys; from sandbox.run import main; "
    code += "asyncio.run(main(port=0, data_dir=pathlib.Path(sys.argv[1])))"
    command = (sys.executable, "-c", code, str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        *command, cwd=root, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert process.stdout is not None
    shown: list[str] = []
    async with asyncio.timeout(30):
        while not shown or "ready:" not in shown[-1]:
            shown.append((await process.stdout.readline()).decode())
    url = next(line.split()[-1] for line in shown if "sandbox is open" in line)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        await session.get(url)
        async with session.get(URL(url).with_path("/sandbox/api/world")) as answer:
            world = await answer.json()
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        await process.communicate()

    assert "imagine" in {one["name"] for one in world["commands"]}
    assert any("Going live" in line for line in shown)
    assert process.returncode == 0


async def test_the_bot_ends_by_itself_when_its_supervisor_is_killed(tmp_path: Path) -> None:
    root = Path(run.__file__).parents[1]
    code = "import asyncio, pathlib, sys; from sandbox import run\n"
    code += "async def main():\n"
    code += "    async with run.open_sandbox(port=0, data_dir=pathlib.Path(sys.argv[1])) as sandbox:\n"
    code += "        await sandbox.ready(); print(sandbox.child.pid, flush=True); await asyncio.sleep(60)\n"
    code += "asyncio.run(main())"
    supervisor = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(tmp_path), cwd=root, stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    async with asyncio.timeout(30):
        pid = int(await supervisor.stdout.readline())

    supervisor.kill()
    await supervisor.wait()

    await until(lambda: not is_running(pid))


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # Nobody may be there to collect an orphan; it has ended all the same.
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def test_databases_of_sandboxes_that_are_over_are_removed_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "sandbox"
    folder.mkdir()
    with socket.socket() as taken, socket.socket() as other:
        for one in (taken, other):
            one.bind(("127.0.0.1", 0))
        taken.listen()
        busy, over, held = taken.getsockname()[1], other.getsockname()[1], _free_port()
        other.close()
        lock = folder / f"easel-{held}.db.lock"
        stay = [
            f"easel-{busy}.db",
            f"easel-{busy}.db-wal",
            f"easel-{held}.db",
            lock.name,
            "easel-1.db.bak",
            "notes.txt",
        ]
        go = [f"easel-{over}.db", f"easel-{over}.db-wal", f"easel-{over}.db-shm", f"easel-{over}.db.lock"]
        for name in (*stay, *go):
            (folder / name).write_bytes(b"x")
        outside = tmp_path / "mine.db"
        outside.write_bytes(b"x")
        link = folder / f"easel-{over}.db-journal"
        link.symlink_to(outside)
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            url = run._fresh_database(folder, 9)

    assert url.endswith("easel-9.db")
    assert sorted(one.name for one in folder.iterdir()) == sorted([*stay, link.name])
    assert outside.exists()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
