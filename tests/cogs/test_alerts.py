"""At 50, 80 and 100 % of a budget one alert each goes to those who run the bot and to the server's own channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock, Mock

import discord
import pytest

from bot import metrics
from bot.jobs.credit import OUT_SINCE
from bot.settings import Settings
from bot.store.tables import balances
from cogs.alerts import Alerts
from tests.cogs.conftest import CogFixture, a_message, with_services
from tests.cogs.interactions import GUILD, said
from tests.cogs.values import PostedMessage

OPERATORS, SERVERS = 901, 902
MEMBER = discord.Permissions(send_messages=True, view_channel=True, attach_files=True).value
#: Five pictures of two cents each fit.
TEN_CENTS = {"server_usd_per_day": "0.1"}


def refusal(kind: type[discord.HTTPException], status: int) -> discord.HTTPException:
    return kind(Mock(status=status, reason=""), {"code": 50001, "message": ""})


@dataclass
class Posted:
    """What went to Discord: channel, text and nonce of each message, and what it answers."""

    messages: list[tuple[int, str, str]] = field(default_factory=list)
    #: By channel; raised in place of an answer.
    errors: dict[int, Exception] = field(default_factory=dict)

    async def send(self, channel_id: int, *, params: Any) -> dict[str, Any]:
        if channel_id in self.errors:
            raise self.errors[channel_id]
        self.messages.append((channel_id, params.payload["content"], params.payload.get("nonce", "")))
        return a_message(PostedMessage("easel:usage:-").to_components())

    def to(self, channel_id: int) -> list[str]:
        return [text for channel, text, _ in self.messages if channel == channel_id]


@pytest.fixture
def posted(fixture: CogFixture, monkeypatch: pytest.MonkeyPatch) -> Posted:
    made = Posted()
    monkeypatch.setattr(fixture.bot.http, "send_message", made.send)
    monkeypatch.setattr(fixture.bot.http, "get_guild", AsyncMock(return_value={"name": "The *Atelier*"}))
    return made


def configured(fixture: CogFixture, **sections: Any) -> Alerts:
    limits = {"default": {"concurrent_jobs": 10}}
    values = {"budget": TEN_CENTS, "operator": {"alerts_channel": OPERATORS}, "limits": limits, **sections}
    with_services(fixture, replace(fixture.bot.services, settings=Settings.model_validate(values)))
    return Alerts(fixture.bot)


async def paint(fixture: CogFixture, pictures: int = 1) -> Any:
    """Reserve two cents for each picture."""
    options = {"prompt": "a fox", "model": "imagen4-fast", "count": pictures}
    return await fixture.command("imagine", options=options)


async def test_each_share_is_told_once_and_names_budget_and_moment(fixture: CogFixture, posted: Posted) -> None:
    alerts = configured(fixture)
    told = []
    for pictures in (2, 1, 1, 1):
        await paint(fixture, pictures)
        await alerts.look()
        await alerts.look()
        told.append(len(posted.messages))
    assert told == [0, 1, 2, 3]
    half, most, whole = posted.to(OPERATORS)
    assert half.startswith(r"The server The \*Atelier\* (33) has used 50 % of its budget for today: $0.06 of $0.10.")
    assert "A new day begins at <t:" in half
    assert "has used 80 % of its budget for today: $0.08 of $0.10." in most
    assert "has used up its budget for today: $0.10 of $0.10. No more pictures until <t:" in whole


async def test_several_shares_at_once_are_an_alert_each(fixture: CogFixture, posted: Posted) -> None:
    alerts = configured(fixture)
    await paint(fixture, 4)
    await alerts.look()
    assert [text.partition(" % ")[0][-2:] for text in posted.to(OPERATORS)] == ["50", "80"]


async def test_another_process_tells_nothing_again(fixture: CogFixture, posted: Posted) -> None:
    configured(fixture)
    await paint(fixture, 4)
    for _ in range(3):
        await Alerts(fixture.bot).look()
    assert len(posted.messages) == 2


async def test_the_servers_own_channel_is_told_of_its_own_server_alone(fixture: CogFixture, posted: Posted) -> None:
    alerts = configured(fixture, budget={**TEN_CENTS, "all_usd_per_day": "0.1"})
    await fixture.store.alerts.set_channel(GUILD, SERVERS)
    await paint(fixture, 3)
    await alerts.look()
    (own,) = posted.to(SERVERS)
    assert own.startswith("This server has used 50 % of its budget for today: $0.06 of $0.10.")
    assert sorted(text.split(" has ")[0] for text in posted.to(OPERATORS)) == [
        r"The server The \*Atelier\* (33)",
        "The whole bot",
    ]


async def test_many_servers_drown_neither_the_channel_nor_what_is_about_everybody(
    fixture: CogFixture, posted: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(fixture, budget={**TEN_CENTS, "all_usd_per_day": "1"})
    alerts = Alerts(fixture.bot, most_of_servers=4)
    await fixture.store.alerts.set_channel(1009, SERVERS)
    today = (fixture.bot.services.clock() - datetime.fromtimestamp(0, UTC)).days

    async def spend(servers: Sequence[int], day: int) -> None:
        rows = [{"scope": "g", "subject_id": one, "day": day, "images": 3, "usd_micros": 60_000} for one in servers]
        rows.append({"scope": "a", "subject_id": 0, "day": day, "images": 30, "usd_micros": 600_000})
        await fixture.store._writer.apply(lambda connection: connection.execute(balances.insert(), rows).rowcount)

    await spend(range(1000, 1010), today)
    await alerts.look()
    await alerts.look()
    told = posted.to(OPERATORS)
    assert told[0].startswith("The whole bot has used 50 % of its budget for today")
    assert [text.startswith("The server ") for text in told[1:]] == [True] * 4 + [False]
    assert told[-1].startswith("There were 4 alerts about single servers today, so further ones are only in the log.")
    assert len(posted.to(SERVERS)) == 1  # its own managers hear of it all the same

    posted.messages.clear()
    monkeypatch.setattr(alerts, "_of_servers_day", today - 1)  # as if all of that had been yesterday
    await paint(fixture, 3)
    await alerts.look()
    assert any(text.startswith("The server ") for text in posted.to(OPERATORS))


async def test_one_channel_for_both_is_told_once(fixture: CogFixture, posted: Posted) -> None:
    alerts = configured(fixture)
    await fixture.store.alerts.set_channel(GUILD, OPERATORS)
    await paint(fixture, 3)
    await alerts.look()
    assert len(posted.messages) == 1


async def test_months_are_watched_too_and_by_what_the_server_set_for_itself(
    fixture: CogFixture, posted: Posted
) -> None:
    alerts = configured(fixture, budget={})
    await fixture.command("settings", "budget", options={"server_month": 0.03})
    await paint(fixture)
    await alerts.look()
    (text,) = posted.to(OPERATORS)
    assert "has used 50 % of its budget for this month: $0.02 of $0.03. A new month begins on <t:" in text


async def test_a_budget_that_is_nearly_spent_and_refuses_is_used_up(fixture: CogFixture, posted: Posted) -> None:
    alerts = configured(fixture, budget={"server_usd_per_day": "0.045"})
    await paint(fixture, 2)
    await alerts.look()
    fixture.runner.budget_refusals.update({("g", GUILD), ("g", 99)})
    await alerts.look()
    await alerts.look()
    assert (
        "nearly used up its budget for today: $0.04 of $0.045. Someone just asked for more" in posted.to(OPERATORS)[2]
    )
    assert len(posted.messages) == 3
    assert fixture.runner.budget_refusals == set()


async def test_without_limits_there_is_no_alert(fixture: CogFixture, posted: Posted) -> None:
    alerts = configured(fixture, limits={"enabled": False})
    await paint(fixture, 4)
    await alerts.look()
    assert posted.messages == []


async def test_it_is_in_the_log_and_counted_also_where_nobody_is_told(
    fixture: CogFixture, posted: Posted, caplog: pytest.LogCaptureFixture
) -> None:
    counted = metrics.BUDGET_ALERTS.labels("server_day", "50")
    alerts, before = configured(fixture, operator={}), counted._value.get()
    await paint(fixture, 3)
    await alerts.look()
    await alerts.look()
    assert counted._value.get() == before + 1
    (record,) = [vars(record) for record in caplog.records if record.message == "a budget runs low"]
    assert [record[name] for name in ("budget", "server", "percent", "usd", "of_usd")] == [
        *("server_day", GUILD, 50),
        *("0.06", "0.1"),
    ]
    assert posted.messages == []


async def test_while_discord_is_away_it_is_told_later_and_by_the_same_nonce(
    fixture: CogFixture, posted: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = configured(fixture)
    await fixture.store.alerts.set_channel(GUILD, SERVERS)
    posted.errors[SERVERS] = refusal(discord.DiscordServerError, 503)
    await paint(fixture, 3)
    await alerts.look()
    await alerts.look()
    assert posted.to(SERVERS) == []
    posted.errors.clear()
    monkeypatch.setattr("bot.store.alerts.TAKEN_OVER", timedelta(0))
    await Alerts(fixture.bot).look()
    await Alerts(fixture.bot).look()
    assert len(posted.to(SERVERS)) == 1
    nonces = [nonce for channel, _, nonce in posted.messages if channel == OPERATORS]
    assert len(nonces) == 2
    assert len(set(nonces)) == 1
    assert len({nonce for _, _, nonce in posted.messages}) == 2
    assert all(len(nonce) <= 25 for nonce in nonces)


@pytest.mark.parametrize("kind", [discord.Forbidden, discord.NotFound])
async def test_a_channel_that_is_shut_is_not_tried_again(
    fixture: CogFixture, posted: Posted, kind: type[discord.HTTPException], monkeypatch: pytest.MonkeyPatch
) -> None:
    alerts = configured(fixture)
    posted.errors[OPERATORS] = refusal(kind, 403)
    await paint(fixture, 3)
    await alerts.look()
    posted.errors.clear()
    monkeypatch.setattr("bot.store.alerts.TAKEN_OVER", timedelta(0))
    await Alerts(fixture.bot).look()
    assert posted.messages == []


async def test_a_server_whose_name_is_not_known_is_named_by_its_id(
    fixture: CogFixture, posted: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixture.bot.http, "get_guild", AsyncMock(side_effect=refusal(discord.Forbidden, 403)))
    alerts = configured(fixture)
    await paint(fixture, 3)
    await alerts.look()
    assert posted.to(OPERATORS)[0].startswith("The server ? (33) has")


async def test_fal_without_credit_is_told_once_an_outage(fixture: CogFixture, posted: Posted) -> None:
    alerts = configured(fixture)
    await fixture.store.kv.set(OUT_SINCE, "2026-05-04T12:00:00+00:00")
    await alerts.look()
    await Alerts(fixture.bot).look()
    (text,) = posted.to(OPERATORS)
    assert text.startswith("fal.ai refuses to paint: the account has been out of credit since <t:1777896000:")
    await fixture.store.kv.remove(OUT_SINCE)
    await alerts.look()
    await fixture.store.kv.set(OUT_SINCE, "2026-05-04T13:00:00+00:00")
    await alerts.look()
    assert len(posted.to(OPERATORS)) == 2


# ---------------------------------------------------------------------- /settings alerts


async def choose(fixture: CogFixture, channel_id: int = SERVERS, **where: Any) -> Any:
    described = {"id": str(channel_id), "type": 0, "name": "alerts", "guild_id": str(GUILD), "permissions": "0"}
    leaf = [{"type": 7, "name": "channel", "value": str(channel_id)}]
    data = {
        "id": "1",
        "type": 1,
        "name": "settings",
        "resolved": {"channels": {str(channel_id): described}},
        "options": [{"type": 1, "name": "alerts", "options": leaf}],
    }
    interaction: Any = fixture.interaction(data=data, **where)
    await fixture.bot.tree._call(interaction)
    return interaction


async def test_a_channel_is_chosen_told_of_it_and_forgotten(
    fixture: CogFixture, posted: Posted, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = AsyncMock()
    monkeypatch.setattr(discord.Interaction, "edit_original_response", edited)
    await choose(fixture)
    assert await fixture.store.alerts.channel_of(GUILD) == SERVERS
    assert "now come to <#902>" in edited.call_args.kwargs["content"]
    assert posted.to(SERVERS) == ["Alerts about this server's budgets come to this channel from now on."]
    assert "come to <#902>" in said(await fixture.command("settings", "alerts"))[0]
    assert "no alerts any more" in said(await fixture.command("settings", "alerts", options={"off": True}))[0]
    assert await fixture.store.alerts.channel_of(GUILD) is None
    assert "gets no alerts" in said(await fixture.command("settings", "alerts"))[0]


async def test_a_channel_where_the_bot_may_not_post_is_refused(fixture: CogFixture, posted: Posted) -> None:
    posted.errors[SERVERS] = refusal(discord.Forbidden, 403)
    assert "I can't post in <#902>" in said(await choose(fixture))[0]
    assert await fixture.store.alerts.channel_of(GUILD) is None


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ({"permissions": MEMBER}, "Manage Server"),
        ({"guild": False}, "for a server"),
        ({"bot_is_member": False}, "not a member"),
    ],
)
async def test_only_managers_choose_it(fixture: CogFixture, posted: Posted, where: dict[str, Any], words: str) -> None:
    assert words in said(await choose(fixture, **where))[0]
    assert posted.messages == []
    assert await fixture.store.alerts.channel_of(GUILD) is None


def at_metrics(name: str) -> dict[str, float]:
    samples = [one for family in metrics.REGISTRY.collect() for one in family.samples if one.name == name]
    return {one.labels["period"]: one.value for one in samples}


async def test_everybodys_budgets_are_at_metrics_with_what_is_spent(fixture: CogFixture, posted: Posted) -> None:
    alerts = configured(fixture, budget={"all_usd_per_day": "25", "all_usd_per_month": "250"})
    await alerts.look()
    assert at_metrics("easel_budget_spent_usd") == {"day": 0, "month": 0}
    await paint(fixture, 2)
    await alerts.look()
    assert at_metrics("easel_budget_usd") == {"day": 25, "month": 250}
    assert at_metrics("easel_budget_spent_usd") == {"day": 0.04, "month": 0.04}
