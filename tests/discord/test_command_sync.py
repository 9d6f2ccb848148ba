"""Offering the commands to Discord: whatever it answers, the bot goes on, and they are offered again."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import AsyncMock, Mock

import discord
import pytest

from bot.discord import command_sync
from bot.discord.command_sync import REFUSAL_KEY, RETRY_PAUSES_S, CommandSync
from bot.errors import StoreUnusable

OURS = {"name": "imagine", "type": 1, "description": "Paint"}
LAUNCH = {
    "id": "77",
    "application_id": "44",
    "version": "9",
    "type": 4,
    "name": "launch",
    "name_localizations": {"de": "starten"},
    "description": "",
    "handler": 2,
    "contexts": [0, 1, 2],
    "integration_types": [0, 1],
    "nsfw": False,
}


class Fixture:
    """A tree of one command, and a Discord that answers what the test says; nobody sleeps."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.pauses_s: list[float] = []
        self.http = Mock(request=AsyncMock(return_value=[]), bulk_upsert_global_commands=AsyncMock())
        self.http.bulk_upsert_global_commands.side_effect = self._take
        self.kv = Mock(get=AsyncMock(side_effect=self.values.get), set=AsyncMock(side_effect=self._keep))
        command = Mock(to_dict=lambda _tree: dict(OURS))
        tree = Mock(translator=None, get_commands=lambda: [command], client=Mock(application_id=44))
        self.sync = CommandSync(tree, self.http, self.kv, sleep=self._sleep)

    async def _take(self, _application: int, payload: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"id": str(number), **one} for number, one in enumerate(payload)]

    async def _keep(self, key: str, value: str) -> None:
        self.values[key] = value

    async def _sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        await asyncio.sleep(0)

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The last list of commands that Discord was given."""
        found: list[dict[str, Any]] = self.http.bulk_upsert_global_commands.call_args.kwargs["payload"]
        return found

    async def until_taken(self) -> None:
        """Run until Discord has taken the commands; then nothing ends."""
        running = asyncio.create_task(self.sync.run())
        for _ in range(200):
            await asyncio.sleep(0)
        assert not running.done(), "a long-lived part that returns ends the process"
        running.cancel()


@pytest.fixture
def fixture() -> Fixture:
    return Fixture()


def refused(status: int, code: int = 0, **headers: str) -> discord.HTTPException:
    return discord.HTTPException(Mock(status=status, reason="", headers=headers), {"code": code, "message": "no"})


REFUSALS: dict[str, Exception] = {
    "daily limit": refused(400, 30034),
    "entry point": refused(400, 50240),
    "too many": refused(400, 30032),
    "missing access": refused(403, 50001),
    "gone": refused(404, 10002),
    "teapot": refused(418),
    "unauthorised": refused(401),
    "broken": refused(503),
    "limited": discord.RateLimited(61.0),
    "timeout": TimeoutError(),
    "reset": ConnectionResetError(),
    "database": StoreUnusable("away"),
    "not json": ValueError("Expecting value"),
}
#: What stands where a list of commands should be.
ODD: dict[str, Any] = {
    "a page": "<html>502 Bad Gateway</html>",
    "nothing": None,
    "an object": {"message": "maintenance"},
    "words": ["maintenance"],
    "no ids": [{"type": 1, "name": "imagine"}],
}


@pytest.mark.parametrize("call", ["list", "put"])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_an_answer_that_is_no_list_of_commands_is_no_reason_to_end(fixture: Fixture, odd: Any, call: str) -> None:
    taken = [{"id": "1", **OURS}]
    if call == "list":
        fixture.values["commands:44"] = "of an earlier start"
        fixture.http.request.side_effect = [odd, odd, []]
    else:
        fixture.http.bulk_upsert_global_commands.side_effect = [odd, odd, taken]

    await fixture.until_taken()

    assert fixture.sync.problem is None
    assert fixture.values[REFUSAL_KEY] == ""


@pytest.mark.parametrize("call", ["list", "put"])
@pytest.mark.parametrize("error", REFUSALS.values(), ids=REFUSALS.keys())
async def test_whatever_refuses_the_commands_they_are_offered_again(
    fixture: Fixture, error: Exception, call: str
) -> None:
    taken = [{"id": "1", **OURS}]
    where = fixture.http.request if call == "list" else fixture.http.bulk_upsert_global_commands
    where.side_effect = [error, error, [] if call == "list" else taken]

    await fixture.until_taken()

    assert fixture.sync.problem is None
    assert fixture.values[REFUSAL_KEY] == ""
    assert len(fixture.pauses_s) == 2
    assert "commands:44" in fixture.values


async def test_what_is_refused_is_told_in_words_and_kept_for_check(fixture: Fixture) -> None:
    fixture.http.bulk_upsert_global_commands.side_effect = refused(400, 30034)

    await fixture.until_taken()

    sentence = "Discord answered 400 (code 30034: today's limit of new commands is reached)"
    assert fixture.sync.problem == fixture.values[REFUSAL_KEY] == sentence
    assert max(fixture.pauses_s) <= RETRY_PAUSES_S[-1] * 1.25
    assert max(fixture.pauses_s) >= RETRY_PAUSES_S[-1] * 0.75


async def test_a_pause_is_as_long_as_discord_asks(fixture: Fixture) -> None:
    fixture.http.request.side_effect = [refused(429, 0, **{"Retry-After": "90"}), []]

    await fixture.until_taken()

    assert fixture.pauses_s[0] >= 90


async def test_a_foreign_entry_point_command_is_carried_along(fixture: Fixture) -> None:
    fixture.http.request.return_value = [LAUNCH, {"id": "5", "type": 1, "name": "old", "description": "x"}]

    await fixture.until_taken()

    launch = {key: LAUNCH[key] for key in LAUNCH if key not in ("application_id", "version", "description")}
    assert fixture.sent == [OURS, launch]


async def test_what_discord_still_holds_is_not_sent_again(fixture: Fixture) -> None:
    await fixture.until_taken()
    fixture.http.request.return_value = [{"id": "0", **OURS}]
    again = Fixture()
    again.values.update(fixture.values)
    again.http.request.return_value = [{"id": "0", **OURS}]

    await again.until_taken()

    assert fixture.http.bulk_upsert_global_commands.await_count == 1
    assert again.http.bulk_upsert_global_commands.await_count == 0


async def test_a_start_waits_for_the_first_attempt_and_no_longer(
    fixture: Fixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_sync, "START_PATIENCE_S", 0.01)

    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    fixture.http.request.side_effect = hang
    running = asyncio.create_task(fixture.sync.run())

    await asyncio.wait_for(fixture.sync.first_attempt(), 5)

    assert not running.done()
    running.cancel()


async def test_a_token_that_is_not_accepted_ends_the_login(fixture: Fixture) -> None:
    fixture.http.request.side_effect = refused(401)
    running = asyncio.create_task(fixture.sync.run())

    with pytest.raises(discord.LoginFailure):
        await fixture.sync.first_attempt()

    running.cancel()
