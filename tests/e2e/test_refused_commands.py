"""Discord does not take the commands at a start: the bot is online all the same, says so, and offers them again."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.discord import FakeDiscord
from tests.e2e.sandbox_driver import COMMANDS, child_bot


def names(fake: FakeDiscord) -> set[str]:
    return {one["name"] for one in fake.commands.all()}


def a_free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def health(port: int) -> tuple[int, dict[str, Any]]:
    url = f"http://127.0.0.1:{port}/health"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.json()


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [
        ("PUT", 400, 30034),
        ("PUT", 400, 30032),
        ("PUT", 403, 20012),
        ("GET", 403, 50001),
        ("GET", 404, 10002),
        ("PUT", 400, 50240),
        ("PUT", 503, 0),
        ("GET", 503, 0),
    ],
)
async def test_the_bot_paints_with_the_commands_that_discord_holds(
    tmp_path: Path, method: str, status: int, code: int
) -> None:
    port = a_free_port()
    async with child_bot(tmp_path, EASEL_WEB__PORT=str(port)) as (sandbox, child):
        sandbox.expected.add(code)
        await child.start()
        fake = sandbox.discord
        await child.end(signal.SIGTERM)
        fake.commands.delete(None, fake.commands.find("privacy")["id"])
        fake.refuse_commands(code, status=status, method=method)

        await child.start()
        await sandbox.paint()

        assert "privacy" not in names(fake)
        words = f"answered {status}" + (f" (code {code}" if code else "")
        assert words in child.log
        answered, body = await health(port)
        assert answered == 200
        assert words in body["detail"]["commands"]
        fake.clear_faults()
        await sandbox.until(lambda: "privacy" in names(fake))
        await sandbox.until(lambda: "takes the commands again" in child.log)
        assert "detail" not in (await health(port))[1]


async def test_the_day_s_limit_of_new_commands_keeps_the_bot_from_nothing_else(tmp_path: Path) -> None:
    async with child_bot(tmp_path) as (sandbox, child):
        sandbox.expected.add(30034)
        sandbox.discord.commands.creates_left = COMMANDS - 1

        await child.start()

        assert names(sandbox.discord) == set()
        sandbox.discord.commands.creates_left = 200
        await sandbox.until(lambda: len(names(sandbox.discord)) == COMMANDS)
        await sandbox.paint()


async def test_an_entry_point_command_that_is_not_ours_stays(tmp_path: Path) -> None:
    async with child_bot(tmp_path) as (sandbox, child):
        launch = sandbox.discord.commands.add_entry_point()

        await child.start()

        assert len(names(sandbox.discord)) == COMMANDS + 1
        assert sandbox.discord.commands.by_id(launch["id"])["handler"] == launch["handler"]
        await sandbox.paint()
