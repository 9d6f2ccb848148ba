"""Long-lived tasks: whatever ends unasked is heard of."""

from __future__ import annotations

import asyncio

import pytest

from bot.errors import SetupError
from bot.supervisor import Supervisor


async def for_ever() -> None:
    await asyncio.Event().wait()


async def broken() -> None:
    raise ValueError("a bug")


async def test_a_task_that_breaks_is_named_and_its_error_logged(caplog: pytest.LogCaptureFixture) -> None:
    supervisor = Supervisor()
    supervisor.start(for_ever(), name="well")
    supervisor.start(broken(), name="ill")
    ended = await asyncio.wait_for(supervisor.wait(), 5)
    assert ended.get_name() == "ill"
    with pytest.raises(ValueError, match="a bug"):
        ended.result()
    assert "a long-lived task broke" in caplog.text
    assert "ValueError: a bug" in caplog.text
    await supervisor.close()


async def test_what_only_the_operator_can_mend_is_not_logged_as_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> None:
        raise SetupError("The token is wrong.")

    supervisor = Supervisor()
    supervisor.start(refused(), name="gateway")
    await asyncio.wait_for(supervisor.wait(), 5)
    assert caplog.text == ""


async def test_a_task_that_returns_unasked_counts_too() -> None:
    supervisor = Supervisor()
    supervisor.start(asyncio.sleep(0), name="done")
    assert (await asyncio.wait_for(supervisor.wait(), 5)).get_name() == "done"


async def test_a_task_that_is_cancelled_by_others_counts_too() -> None:
    supervisor = Supervisor()
    task = supervisor.start(for_ever(), name="cancelled")
    await asyncio.sleep(0)
    task.cancel()
    assert (await asyncio.wait_for(supervisor.wait(), 5)).cancelled()


async def test_what_is_stopped_is_no_reason_to_end() -> None:
    supervisor = Supervisor()
    task = supervisor.start(for_ever(), name="helper")
    waiting = asyncio.create_task(supervisor.wait())
    await supervisor.stop(task)
    assert task.cancelled()
    assert not waiting.done()
    await supervisor.close()
    assert not waiting.done()
    waiting.cancel()
