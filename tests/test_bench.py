"""The bench itself: a crowd is over when everybody has what they will get, also where some are refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from sandbox.discord.interactions import InteractionRecord
from sandbox.discord.world import Message
from tests.bench import __main__ as bench
from tests.bench.crowd import Crowd, is_refused


def asked(**state: Any) -> InteractionRecord:
    """An interaction that has come so far."""
    nobody = cast("Any", None)
    return InteractionRecord("1", "t", 2, nobody, nobody, {}, datetime.now(UTC), 0.0, 0.0, **state)


def told(text: str) -> Message:
    """A message with these words."""
    return Message({"content": text, "embeds": [], "components": []}, cast("Any", None), 0.0)


PAINTED = {"state": "answered", "picture_s": 3.0}
REFUSED = {"state": "answered", "ephemeral": True}
LOST = {"state": "failed"}
WAITING = {"state": "answered"}


async def test_nobody_waits_for_those_who_are_refused() -> None:
    crowd = Crowd()
    async with asyncio.timeout(5):
        await crowd._until_settled([asked(**PAINTED), asked(**REFUSED), asked(**LOST)], 600, quiet_s=600)


@pytest.mark.parametrize(("wait_s", "quiet_s"), [(0.3, 600), (600, 0.3)])
async def test_a_picture_that_never_comes_is_not_waited_for_for_ever(wait_s: float, quiet_s: float) -> None:
    crowd = Crowd()
    async with asyncio.timeout(5):
        await crowd._until_settled([asked(**PAINTED), asked(**WAITING)], wait_s, quiet_s=quiet_s)


async def test_a_picture_that_comes_late_is_waited_for() -> None:
    crowd, late = Crowd(), asked(**WAITING)
    waiting = asyncio.create_task(crowd._until_settled([late], 600, quiet_s=600))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    late.picture_s = 0.3
    async with asyncio.timeout(5):
        await waiting


def test_refusals_are_counted_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    refused = asked(**REFUSED, original=told("The database does not answer in time.\nTry again."))
    assert is_refused(refused)
    assert not is_refused(asked(**PAINTED, ephemeral=True))
    figures = Crowd()._figures([("a fox", refused), ("a hen", asked(**REFUSED)), ("a cow", asked(**WAITING))], 0)
    assert (figures["people"], figures["refused"], figures["missing"]) == (3, 2, 3)

    bench.show("steady", figures, None)

    shown = capsys.readouterr().out
    assert "easel refused 1: The database does not answer in time." in shown
    assert "easel refused 1: without a word" in shown
