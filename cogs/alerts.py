"""Alerts: who runs the bot, and who manages a server, are told at 50, 80 and 100 % of a budget; also of fal's credit.

One task in every process compares what is spent with the budgets. The store lets each alert be raised once; the process
that raised it sends it, and where that one ended meanwhile, another one does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

import aiohttp
import discord
from discord.ext import commands

from bot import metrics
from bot.domain.alerts import SCOPES, Alert, Scope, percents_reached
from bot.domain.job import Actor
from bot.domain.money import to_show_as_spent, usd_of
from bot.errors import EaselError
from bot.jobs.credit import OUT_SINCE
from bot.limits import Budgets, midnight, month_end, policy_for
from bot.phrase import Param, Phrase, phrase
from cogs.ui.messages import ENGLISH, say
from cogs.ui.text import safe

if TYPE_CHECKING:
    from bot.discord.client import EaselBot
    from bot.store.alerts import WatchedBalance

log = logging.getLogger(__name__)

#: Most alerts about single servers that `operator.alerts_channel` gets in a day from one process: strangers may have
#: many servers, with budgets of a cent.
_MOST_OF_SERVERS = 30
#: The budget of each scope, as it is called in the log and at /metrics.
_NAMES: Mapping[Scope, str] = {scope: rule.replace("_usd", "") for rule, scope in SCOPES.items()}


class Alerts:
    """Raises and sends alerts."""

    def __init__(self, bot: EaselBot, *, most_of_servers: int = _MOST_OF_SERVERS) -> None:
        self._bot = bot
        self._most_of_servers = most_of_servers
        #: Raised before, as far as this process knows.
        self._known: set[Alert] = set()
        #: Those about single servers that went to who runs the bot today, and which UTC day that is.
        self._of_servers: set[Alert] = set()
        self._of_servers_day = 0

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(self._bot.services.discord_timings.alerts_every_s)
            try:
                await self.look()
            except EaselError as error:
                log.warning("alerts are late", extra={"reason": error.code})

    async def look(self) -> None:
        """Raise what is due, and send what was not sent. Raises StoreUnusable."""
        store = self._bot.services.store
        watched = {(one.scope, one.subject_id, one.day): one for one in await store.alerts.balances()}
        self._show_budgets(watched.values())
        due = [alert for balance in watched.values() for alert in self._of(balance)]
        self._bot.services.runner.budget_refusals.clear()
        due += await self._of_credit()
        new = [alert for alert in due if alert not in self._known]
        raised = await store.alerts.raise_new(new) if new else []
        self._known = set(due)
        for alert in raised:
            self._record(alert, watched.get((alert.scope, alert.subject_id, alert.day)))
        # About everybody first: however many servers there are, they hold up nothing.
        for alert in sorted([*raised, *await store.alerts.take_unsent()], key=_is_about_a_server):
            if await self._send(alert, watched.get((alert.scope, alert.subject_id, alert.day))):
                await store.alerts.mark_sent(alert)

    def _show_budgets(self, watched: Iterable[WatchedBalance]) -> None:
        """Everybody's budgets at /metrics; nothing was spent where there is no balance."""
        spent = {one.scope: one.usd_micros for one in watched}
        settings = self._bot.services.settings
        budgets = policy_for(settings, None, Actor(0, 0)).budgets if settings.limits.enabled else Budgets()
        metrics.show_budget("day", budgets.all_day, spent.get("a", 0))
        metrics.show_budget("month", budgets.all_month, spent.get("n", 0))

    # ------------------------------------------------------------------ what is due

    def _of(self, balance: WatchedBalance) -> Iterator[Alert]:
        refused = (balance.scope, balance.subject_id) in self._bot.services.runner.budget_refusals
        for percent in percents_reached(balance.usd_micros, self._budget(balance), refused=refused):
            yield Alert(balance.scope, balance.subject_id, balance.day, percent)

    def _budget(self, balance: WatchedBalance) -> int | None:
        """What the budget holds now, in millionths of a US dollar."""
        guild_id = balance.subject_id or None
        budgets = policy_for(self._bot.services.settings, balance.limits, Actor(0, 0, guild_id)).budgets
        return _of_scope(budgets, balance.scope) if self._bot.services.settings.limits.enabled else None

    async def _of_credit(self) -> list[Alert]:
        noted = await self._bot.services.store.kv.get(OUT_SINCE)
        if noted is None:
            return []
        since_s = int(datetime.fromisoformat(noted).timestamp())
        return [Alert("c", since_s, since_s // 86_400)]

    def _record(self, alert: Alert, balance: WatchedBalance | None) -> None:
        """In the log and at /metrics; fal's credit is there already."""
        if balance is None or alert.scope == "c":
            return
        name = _NAMES[alert.scope]
        metrics.BUDGET_ALERTS.labels(name, str(alert.percent)).inc()
        log.warning(
            "a budget runs low",
            extra={
                "budget": name,
                "server": alert.subject_id or None,
                "percent": alert.percent,
                "usd": str(usd_of(balance.usd_micros)),
                "of_usd": str(usd_of(self._budget(balance) or 0)),
            },
        )

    # ------------------------------------------------------------------ telling

    async def _send(self, alert: Alert, balance: WatchedBalance | None) -> bool:
        """Tell whoever is to be told; False where Discord is away, so that it has to be tried again."""
        texts: dict[int, Phrase] = {}
        if alert.scope != "c" and balance is None:
            return True  # its day or month is over
        if balance is not None and balance.channel_id is not None:
            texts[balance.channel_id] = self._words(alert, balance, phrase("alert_this_server"))
        operators = self._bot.services.settings.operator.alerts_channel
        if operators is not None and operators not in texts and (words := await self._to_operators(alert, balance)):
            texts[operators] = words
        sent = [await self._post(channel_id, words, alert) for channel_id, words in texts.items()]
        return all(sent)

    async def _to_operators(self, alert: Alert, balance: WatchedBalance | None) -> Phrase | None:
        """What who runs the bot is told; None where too many servers are in the same case today."""
        if balance is None:
            return phrase("alert_credit", at=datetime.fromtimestamp(alert.subject_id, UTC))
        if _is_about_a_server(alert):
            self._remember(alert)
            if len(self._of_servers) > self._most_of_servers:
                is_first = len(self._of_servers) == self._most_of_servers + 1
                return phrase("alert_many_servers", count=self._most_of_servers) if is_first else None
        return self._words(alert, balance, await self._subject(alert))

    def _remember(self, alert: Alert) -> None:
        today = (self._bot.services.clock() - datetime.fromtimestamp(0, UTC)).days
        if today != self._of_servers_day:
            self._of_servers, self._of_servers_day = set(), today
        self._of_servers.add(alert)

    def _words(self, alert: Alert, balance: WatchedBalance, who: Phrase) -> Phrase:
        now, budget = self._bot.services.clock(), self._budget(balance) or 0
        by_day = alert.scope in {"g", "a"}
        params: dict[str, Param] = {
            "who": who,
            "spent": to_show_as_spent(usd_of(balance.usd_micros)),
            "budget": usd_of(budget),
            "at": midnight(now) if by_day else month_end(now),
        }
        span = "day" if by_day else "month"
        if alert.percent == 100:
            is_over = balance.usd_micros >= budget
            return Phrase(f"alert_{span}_over", params) if is_over else Phrase(f"alert_{span}_refused", params)
        return Phrase(f"alert_{span}", {**params, "percent": alert.percent})

    async def _subject(self, alert: Alert) -> Phrase:
        """The server by its name, for people who run the bot in many; else by its id."""
        if not alert.subject_id:
            return phrase("alert_everybody")
        try:
            name = str((await self._bot.http.get_guild(alert.subject_id)).get("name") or "")
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError):
            name = ""
        return phrase("alert_server", name=safe(name, 100, 1) or "?", id=str(alert.subject_id))

    async def _post(self, channel_id: int, words: Phrase, alert: Alert) -> bool:
        """One message, which Discord shows once however often it is sent; False where that should be tried again."""
        channel = self._bot.get_partial_messageable(channel_id)
        try:
            await channel.send(say(ENGLISH, words), nonce=_nonce(alert, channel_id))
        except (discord.Forbidden, discord.NotFound) as error:
            log.warning("an alert can't be posted", extra={"channel": channel_id, "code": error.code})
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            log.info("an alert is posted later", extra={"channel": channel_id, "error": type(error).__name__})
            return False
        return True


def _is_about_a_server(alert: Alert) -> bool:
    return alert.scope in {"g", "m"}


def _of_scope(budgets: Budgets, scope: Scope) -> int | None:
    match scope:
        case "g":
            return budgets.server_day
        case "m":
            return budgets.server_month
        case "a":
            return budgets.all_day
        case "n":
            return budgets.all_month
        case "c":
            return None


def _nonce(alert: Alert, channel_id: int) -> str:
    """The same for every attempt to post this alert there; Discord takes 25 characters."""
    named = f"{alert.scope}/{alert.subject_id}/{alert.day}/{alert.percent}/{channel_id}"
    return blake2b(named.encode(), digest_size=12).hexdigest()


class AlertsCog(commands.Cog, name="alerts"):
    """Owns the task that looks."""

    def __init__(self, bot: EaselBot) -> None:
        self.alerts = Alerts(bot)
        self._supervisor = bot.services.supervisor
        self._task: asyncio.Task[None] | None = None

    async def cog_load(self) -> None:
        """Start looking."""
        self._task = self._supervisor.start(self.alerts.run(), name="alerts")

    async def cog_unload(self) -> None:
        """Stop looking."""
        if self._task is not None:
            await self._supervisor.stop(self._task)


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(AlertsCog(bot))
