"""fal stumbles or is away for a while: it is waited for, said, and nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from tests.e2e.faults.outcomes import single
from tests.e2e.sandbox_driver import PausedPainting, SandboxDriver, a_picture

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    ("fault", "value"),
    [
        ("media_error", 3),
        ("media_missing", 2),
        ("truncated_picture", 2),
        ("result_error", 2),
        ("rate_limited", 3),
        ("no_stream", True),
        ("dropped_streams", 1),
        ("fal_slow", True),
    ],
)
async def test_what_passes_is_waited_for(sandbox: SandboxDriver, fault: str, value: Any) -> None:
    sandbox.fal.faults.set(fault, value)
    await single(sandbox, await sandbox.imagine())


def down(_request: web.Request) -> web.Response:
    return web.Response(status=503, text="<html><center>nginx</center></html>", content_type="text/html")


async def test_fal_away_while_it_paints_is_said_and_nothing_is_lost(
    sandbox: SandboxDriver, paused: PausedPainting
) -> None:
    record = await sandbox.imagine()
    job = await sandbox.painting()
    vars(sandbox.fal)["_outage"] = down
    sandbox.fal.faults.set("dropped_streams", 1)
    job.touch()
    await sandbox.until(lambda: "fal.ai is not answering right now" in record.message.text())
    assert "Cancel" in record.message.buttons()
    del vars(sandbox.fal)["_outage"]
    await sandbox.until(lambda: "Painting" in record.message.text())
    paused.finish()
    await single(sandbox, record)


async def test_fal_away_at_the_submit_is_said_and_nothing_is_lost(sandbox: SandboxDriver) -> None:
    vars(sandbox.fal)["_outage"] = down
    record = await sandbox.imagine()
    await sandbox.until(lambda: "fal.ai is not answering right now" in record.message.text())
    del vars(sandbox.fal)["_outage"]
    await single(sandbox, record)


async def test_fal_away_at_the_result_is_said_and_nothing_is_lost(sandbox: SandboxDriver) -> None:
    vars(sandbox.fal)["_result"] = lambda job: down(None)  # type: ignore[arg-type]
    record = await sandbox.imagine()
    await sandbox.until(lambda: "fal.ai is not answering right now" in record.message.text())
    del vars(sandbox.fal)["_result"]
    await single(sandbox, record)


@pytest.mark.parametrize("with_file", [False, True])
async def test_fal_out_of_credit_is_said_to_all_and_nothing_is_lost(sandbox: SandboxDriver, with_file: bool) -> None:
    sandbox.fal.faults.set("balance_exhausted", True)
    file = {"model": "omnigen-v2", "image": sandbox.discord.upload("ada", "cat.png", a_picture())["id"]}
    first = await sandbox.imagine(**(file if with_file else {}))
    await sandbox.until(lambda: "credit at fal.ai is used up" in first.message.text())
    second = await sandbox.imagine("pat", prompt="another")
    assert "credit at fal.ai is used up" in second.message.text()
    assert "Cancel" in second.message.buttons()
    why = await sandbox.press("pat", second.message, "Why am I waiting?")
    assert "credit at fal.ai is used up" in why.message.text()
    assert sandbox.fal.queue.jobs == {}
    sandbox.fal.faults.set("balance_exhausted", False)
    await single(sandbox, first)
    await single(sandbox, second, prompt="another")
