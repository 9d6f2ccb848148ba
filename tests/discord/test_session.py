"""Logging in, identifying and connecting, while Discord or the database is away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import AsyncMock, Mock, create_autospec

import discord
import pytest

from bot.discord.client import EaselBot
from bot.discord.identify_budget import LOW_REMAINING, IdentifyHistory
from bot.discord.session import IDENTIFY_HISTORY_KEY, LOGIN_PAUSES_S, DiscordSession
from bot.errors import DiscordRefused, StoreUnusable
from bot.store.kv import KeyValueStore

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Fixture:
    """A session over a client and a store that answer what the test says; nobody sleeps."""

    def __init__(self) -> None:
        self.pauses_s: list[float] = []
        self.values: dict[str, str] = {}
        self.bot: Any = create_autospec(EaselBot, instance=True)
        self.bot.http = Mock(get_bot_gateway=AsyncMock(return_value=(1, "", {"remaining": 999, "reset_after": 1000})))
        self.bot.ws = None
        self.kv: Any = create_autospec(KeyValueStore, instance=True)
        self.kv.get.side_effect = self.values.get
        self.kv.set.side_effect = lambda key, value: self.values.update({key: value})
        self.session = DiscordSession(self.bot, self.kv, lambda: NOW, sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)

    @property
    def history(self) -> IdentifyHistory:
        return IdentifyHistory.from_text(self.values.get(IDENTIFY_HISTORY_KEY))


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def http_error(status: int, **headers: str) -> discord.HTTPException:
    return discord.HTTPException(Mock(status=status, reason="", headers=headers), "no")


async def test_a_login_is_repeated_while_discord_is_out_of_reach_and_connections_are_made_anew(
    fixture: Fixture,
) -> None:
    fixture.bot.login.side_effect = [OSError(), http_error(503), TimeoutError(), None]
    await fixture.session.login("token")
    assert fixture.bot.forget_connections.await_count == 3
    assert len(fixture.pauses_s) == 3
    for pause_s, expected_s in zip(fixture.pauses_s, LOGIN_PAUSES_S, strict=False):
        assert pause_s == pytest.approx(expected_s, rel=0.25)


async def test_a_rate_limited_login_waits_for_as_long_as_discord_asks(fixture: Fixture) -> None:
    fixture.bot.login.side_effect = [http_error(429, **{"Retry-After": "90"}), None]
    await fixture.session.login("token")
    assert fixture.pauses_s[0] >= 90


@pytest.mark.parametrize(
    ("error", "raised"),
    [(discord.LoginFailure(), DiscordRefused), (http_error(400), discord.HTTPException)],
    ids=["token", "other"],
)
async def test_a_refused_login_is_not_repeated(fixture: Fixture, error: Exception, raised: type[Exception]) -> None:
    fixture.bot.login.side_effect = error
    with pytest.raises(raised):
        await fixture.session.login("token")
    assert fixture.pauses_s == []


async def test_nothing_connects_before_an_identify_is_safe(fixture: Fixture) -> None:
    low = {"remaining": LOW_REMAINING, "reset_after": 5000}
    plenty = {"remaining": 999, "reset_after": 1000}
    fixture.bot.http.get_bot_gateway.side_effect = [(1, "", low), (1, "", plenty)]
    await fixture.session.run()
    assert fixture.pauses_s == [5.0]
    fixture.bot.connect.assert_awaited_once()


async def test_discords_count_of_identifies_is_asked_for_again_after_a_rate_limit(fixture: Fixture) -> None:
    plenty = {"remaining": 999, "reset_after": 1000}
    fixture.bot.http.get_bot_gateway.side_effect = [http_error(429, **{"Retry-After": "7"}), (1, "", plenty)]
    await fixture.session.run()
    assert len(fixture.pauses_s) == 1
    assert fixture.pauses_s[0] >= 7


async def test_a_first_connection_that_breaks_is_made_again(fixture: Fixture) -> None:
    fixture.bot.connect.side_effect = [AttributeError("ws"), None]
    await fixture.session.run()
    assert fixture.bot.connect.await_count == 2


@pytest.mark.parametrize(
    "error", [discord.PrivilegedIntentsRequired(None), discord.ConnectionClosed(Mock(close_code=4004), shard_id=None)]
)
async def test_a_refused_session_is_not_repeated(fixture: Fixture, error: Exception) -> None:
    fixture.bot.connect.side_effect = error
    with pytest.raises(DiscordRefused):
        await fixture.session.run()
    assert fixture.pauses_s == []


async def test_every_identify_is_stored_before_it_is_sent(fixture: Fixture) -> None:
    async def connect(**_: object) -> None:
        await fixture.bot.before_identify(initial=True)
        await fixture.bot.before_identify(initial=False)

    fixture.bot.connect.side_effect = connect
    await fixture.session.run()
    assert fixture.history.at == (NOW, NOW)


async def test_an_identify_waits_for_no_database_that_is_away(
    fixture: Fixture, caplog: pytest.LogCaptureFixture
) -> None:
    async def connect(**_: object) -> None:
        fixture.kv.get.side_effect = StoreUnusable("gone")
        await fixture.bot.before_identify(initial=False)

    fixture.bot.connect.side_effect = connect
    await fixture.session.run()
    assert "this identify is not on record" in caplog.text


async def test_the_end_of_a_run_is_stored_as_a_crash_or_as_none(fixture: Fixture) -> None:
    await fixture.session.record_end(crashed=True)
    await fixture.session.record_end(crashed=True)
    assert fixture.history.crashes_in_a_row == 2
    await fixture.session.record_end(crashed=False)
    assert fixture.history.crashes_in_a_row == 0


async def test_a_database_that_is_away_hides_no_end_of_a_run(
    fixture: Fixture, caplog: pytest.LogCaptureFixture
) -> None:
    fixture.kv.get.side_effect = StoreUnusable("gone")
    await fixture.session.record_end(crashed=True)
    assert "the end of this run is not on record" in caplog.text
