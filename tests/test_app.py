"""The bot as `python -m bot run` starts it, where Discord is not there yet or does not want it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import AsyncMock, Mock, create_autospec

import pytest

from bot.app import serve, store_answers
from bot.discord.session import DiscordSession
from bot.errors import StoreUnusable
from bot.jobs.runner import Runner
from bot.store import Store
from bot.store.kv import KeyValueStore
from bot.supervisor import Supervisor
from sandbox.discord import FakeDiscord
from sandbox.discord.wire import sandbox_token

ROOT = Path(__file__).parent.parent
SOMEBODY_ELSES = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB"


@pytest.fixture
def port() -> int:
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        number: int = one.getsockname()[1]
        return number


@asynccontextmanager
async def bot(folder: Path, api_url: str, gateway_url: str, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "run"),
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "DISCORD_TOKEN": sandbox_token(),
            "FAL_KEY": "key-id:key-secret",
            "EASEL_DISCORD__API_URL": api_url,
            "EASEL_DISCORD__GATEWAY_URL": gateway_url,
            "EASEL_FAL__QUEUE_URL": "http://127.0.0.1:9",
        }
        | more,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await process.communicate()


async def line_with(words: str, process: asyncio.subprocess.Process) -> list[str]:
    """The log up to the first line with these words."""
    assert process.stdout is not None
    read: list[str] = []
    async with asyncio.timeout(30):
        async for line in process.stdout:
            read.append(line.decode())
            if words in read[-1]:
                return read
    raise AssertionError(f"never said {words!r}: {read}")


async def test_a_bot_that_finds_discord_out_of_reach_waits_and_then_logs_in(tmp_path: Path, port: int) -> None:
    async with bot(tmp_path, f"http://127.0.0.1:{port}/api/v10", f"ws://127.0.0.1:{port}/gateway") as process:
        log = await line_with("out of reach", process)
        discord = FakeDiscord()
        try:
            await discord.start("127.0.0.1", port)
            log += await line_with("INFO bot.discord.client: ready", process)
        finally:
            process.send_signal(signal.SIGTERM)
            await process.communicate()
            await discord.stop()

    assert process.returncode == 0
    assert not any("Traceback" in line for line in log)


async def test_a_bot_that_finds_only_the_gateway_out_of_reach_waits_too(tmp_path: Path, port: int) -> None:
    api, gateway = FakeDiscord(), FakeDiscord()
    await api.start()
    try:
        async with bot(tmp_path, api.api_url, f"ws://127.0.0.1:{port}/gateway") as process:
            log = await line_with("Attempting a reconnect", process)
            await gateway.start("127.0.0.1", port)
            log += await line_with("INFO bot.discord.client: ready", process)
    finally:
        await gateway.stop()
        await api.stop()

    assert not any("Traceback" in line for line in log)


async def test_a_bot_that_discord_leaves_hardly_any_starts_says_so_and_spends_none(tmp_path: Path) -> None:
    discord = FakeDiscord()
    await discord.start()
    discord.gateway.identify_limit = 20
    try:
        async with bot(tmp_path, discord.api_url, discord.gateway_url) as process:
            log = await line_with("no session with Discord yet", process)
            assert "Discord lets this token start only 20 more sessions and resets it when they are used up" in log[-1]
            assert discord.gateway.identifies == []
            discord.gateway.identify_limit = 1000
            await line_with("INFO bot.discord.client: ready", process)
    finally:
        await discord.stop()


async def test_a_token_that_discord_does_not_accept_ends_with_one_sentence_and_is_not_repeated(tmp_path: Path) -> None:
    discord = FakeDiscord()
    await discord.start()
    try:
        async with bot(tmp_path, discord.api_url, discord.gateway_url, DISCORD_TOKEN=SOMEBODY_ELSES) as process:
            said = (await process.communicate())[0].decode()
    finally:
        await discord.stop()

    assert process.returncode == 2
    assert said.splitlines()[-1].startswith("easel: Discord does not accept the bot token.")
    assert "Traceback" not in said
    assert SOMEBODY_ELSES not in said


async def test_health_says_that_the_store_answers_and_that_it_does_not(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/easel.db")
    try:
        assert await store_answers(store.kv)
    finally:
        await store.close()

    failing_kv = create_autospec(KeyValueStore, instance=True)
    failing_kv.get.side_effect = StoreUnusable("The database is gone.")
    assert not await store_answers(failing_kv)


@pytest.mark.parametrize("how", ["breaks", "returns", "is cancelled"])
async def test_a_part_that_ends_unasked_ends_the_bot_as_a_crash(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.app.freeze_imports", lambda: None)

    async def connection() -> None:
        if how == "breaks":
            raise ZeroDivisionError
        if how == "is cancelled":
            raise asyncio.CancelledError

    session = create_autospec(DiscordSession, instance=True)
    session.run.side_effect = connection
    services = Mock(supervisor=Supervisor())
    services.runner = create_autospec(Runner, instance=True, jobs_alive=0)
    services.runner.run.side_effect = asyncio.Event().wait
    services.store.retention.purge = AsyncMock(return_value=0)
    services.settings.privacy.keep_days = 90
    with pytest.raises(ZeroDivisionError if how == "breaks" else RuntimeError):
        await asyncio.wait_for(serve(session, services, "token"), 5)
    session.record_end.assert_awaited_once_with(crashed=True)
    services.runner.stop.assert_awaited_once()


async def test_a_part_that_breaks_while_discord_is_away_ends_the_bot_too() -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    session = create_autospec(DiscordSession, instance=True)
    session.login.side_effect = lambda _token: asyncio.Event().wait()
    services = Mock(supervisor=Supervisor(), runner=create_autospec(Runner, instance=True))
    services.supervisor.start(broken(), name="store-writer")

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(serve(session, services, "token"), 5)

    session.record_end.assert_awaited_once_with(crashed=True)
