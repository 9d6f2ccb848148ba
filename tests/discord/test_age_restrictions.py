"""A thread's parent is asked for by REST, seldom, and never for so long that a command goes unanswered."""

from __future__ import annotations

import asyncio
from unittest.mock import AsyncMock, Mock

import aiohttp
import discord
import pytest

from bot.discord import age_restrictions
from bot.discord.age_restrictions import RETRY_S, TRUSTED_S, AgeRestrictions

CHANNEL = 77


def refused(kind: type[discord.HTTPException], status: int) -> discord.HTTPException:
    return kind(Mock(status=status, reason=""), {"code": 0, "message": "no"})


class Fixture:
    """Discord's answer, and a clock that tests move."""

    def __init__(self, **answer: object) -> None:
        self.now_s = 1000.0
        self.http = Mock(get_channel=AsyncMock(**answer))
        self.restrictions = AgeRestrictions(self.http, monotonic=lambda: self.now_s)

    @property
    def asked(self) -> int:
        return int(self.http.get_channel.await_count)


@pytest.mark.parametrize(
    ("channel", "restricted"), [({"nsfw": True}, True), ({"nsfw": False}, False), ({}, False), ({"nsfw": None}, False)]
)
async def test_a_channel_is_what_discord_says(channel: dict[str, object], restricted: bool) -> None:
    fixture = Fixture(return_value={"id": str(CHANNEL), **channel})

    assert await fixture.restrictions.of(CHANNEL) is restricted
    fixture.http.get_channel.assert_awaited_once_with(CHANNEL)


async def test_discord_is_asked_once_in_five_minutes() -> None:
    fixture = Fixture(return_value={"nsfw": True})

    assert all(await asyncio.gather(*(fixture.restrictions.of(CHANNEL) for _ in range(50))))
    fixture.now_s += TRUSTED_S - 1
    assert await fixture.restrictions.of(CHANNEL)
    assert fixture.asked == 1

    fixture.http.get_channel.return_value = {"nsfw": False}
    fixture.now_s += 2
    assert not await fixture.restrictions.of(CHANNEL)
    assert fixture.asked == 2


@pytest.mark.parametrize(
    "error", [refused(discord.Forbidden, 403), refused(discord.NotFound, 404)], ids=["forbidden", "not found"]
)
async def test_a_channel_that_the_bot_may_not_see_is_not_age_restricted(error: Exception) -> None:
    fixture = Fixture(side_effect=error)

    assert not await fixture.restrictions.of(CHANNEL)
    fixture.now_s += TRUSTED_S - 1
    assert not await fixture.restrictions.of(CHANNEL)
    assert fixture.asked == 1


@pytest.mark.parametrize(
    "error",
    [
        refused(discord.DiscordServerError, 503),
        discord.RateLimited(5.0),
        aiohttp.ClientConnectionError(),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_discord_that_does_not_answer_is_asked_again_soon(error: Exception) -> None:
    fixture = Fixture(side_effect=error)
    assert not await fixture.restrictions.of(CHANNEL)

    fixture.http.get_channel.side_effect = None
    fixture.http.get_channel.return_value = {"nsfw": True}
    assert not await fixture.restrictions.of(CHANNEL)
    fixture.now_s += RETRY_S + 1
    assert await fixture.restrictions.of(CHANNEL)


async def test_a_late_answer_is_not_waited_for_and_serves_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age_restrictions, "PATIENCE_S", 0.01)
    answered = asyncio.Event()

    async def slowly(_channel: int) -> dict[str, bool]:
        await answered.wait()
        return {"nsfw": True}

    fixture = Fixture(side_effect=slowly)
    assert not await fixture.restrictions.of(CHANNEL)
    answered.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert await fixture.restrictions.of(CHANNEL)
    assert fixture.asked == 1


async def test_a_stop_ends_what_is_being_asked() -> None:
    async def never(_channel: int) -> None:
        await asyncio.Event().wait()

    fixture = Fixture(side_effect=never)
    asking = asyncio.create_task(fixture.restrictions.of(CHANNEL))
    await asyncio.sleep(0.01)

    await fixture.restrictions.close()

    assert await asking is False


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age_restrictions, "_MOST", 3)
    fixture = Fixture(return_value={"nsfw": True})
    for channel in (1, 2, 3, 4):
        assert await fixture.restrictions.of(channel)

    assert list(fixture.restrictions._known) == [2, 3, 4]
