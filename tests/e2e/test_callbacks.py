"""fal calls back over real sockets: nothing is watched, and a missing callback is no loss."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.sandbox_driver import Child, SandboxDriver, child_bot


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[SandboxDriver, str]]:
    url = f"http://127.0.0.1:{a_free_port()}"
    async with child_bot(tmp_path, EASEL_WEB__PORT=url.rsplit(":", 1)[1], EASEL_WEB__PUBLIC_URL=url) as (
        sandbox,
        child,
    ):
        await started(child)
        yield sandbox, url


async def started(child: Child) -> None:
    await child.start()


async def test_a_picture_costs_three_calls_where_fal_calls_back(running: tuple[SandboxDriver, str]) -> None:
    sandbox, url = running
    record = await sandbox.imagine(prompt="a lighthouse that is called about")
    await sandbox.picture(record)
    (job,) = sandbox.at_fal("a lighthouse that is called about")
    assert sandbox.fal.requests_of(job) == {"submit": 1, "result": 1, "media": 1}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        figures = await answer.text()
    assert 'easel_callbacks_total{outcome="accepted"} 1.0' in figures
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health") as answer:
        assert (await answer.json())["parts"]["store"] is True


async def test_a_stranger_is_refused_without_a_word(running: tuple[SandboxDriver, str]) -> None:
    _, url = running
    async with aiohttp.ClientSession() as session:
        answers = []
        for path in ("/fal/somejob00001/1/00", "/fal/", "/fal/x"):
            async with session.post(f"{url}{path}", json={"request_id": "r"}) as answer:
                answers.append((answer.status, await answer.read()))
    assert answers == [(401, answers[0][1])] * 3
