"""What `check` examines at Discord: token, application, identifies left, permissions, and this machine's clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import aiohttp
import discord

from bot.cli.check import alerts_channel
from bot.cli.check.findings import DiscordAnswered, ExaminationEnded, Finding, counted, fault, ok, unreachable, warning
from bot.settings import Settings

#: What the bot needs in a channel to show a picture there.
NEEDED_PERMISSIONS = discord.Permissions(
    view_channel=True,
    send_messages=True,
    send_messages_in_threads=True,
    embed_links=True,
    attach_files=True,
    read_message_history=True,
)
#: MiB that Discord takes per file, by the server's boost level.
_UPLOAD_MIB = {0: 10, 1: 10, 2: 50, 3: 100}
#: Most servers that are examined.
_MAX_GUILDS = 200
#: A larger difference to Discord's clock is worth a warning.
_SKEW_S = 30


class DiscordExamination:
    """Examines the account behind the bot token."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings) -> None:
        assert settings.discord.token is not None
        self._session = session
        self._base = settings.discord.api_url.rstrip("/")
        self._alerts_channel = settings.operator.alerts_channel
        self._listed = settings.access.servers != "any"
        self._headers = {
            "Authorization": f"Bot {settings.discord.token.get_secret_value()}",
            "User-Agent": "DiscordBot (easel, check)",
        }
        self._skew: Finding | None = None

    async def examine(self) -> AsyncIterator[Finding]:
        """Every finding; ends early where Discord can't be asked further."""
        try:
            me = await self._get("/users/@me")
            yield ok(f"Discord: the token is that of {me.get('username', 'a bot')}")
            application = await self._get("/applications/@me")
            for finding in _application(application):
                yield finding
            for finding in public_application(application, listed=self._listed):
                yield finding
            yield await self._commands(str(application.get("id", "")))
            yield _identifies_left(await self._get("/gateway/bot"))
            async for finding in self._guilds(str(application.get("id", ""))):
                yield finding
            if self._alerts_channel is not None:
                yield await alerts_channel.examine(self._get, self._alerts_channel, str(me.get("id", "")))
        except ExaminationEnded as unusable:
            yield unusable.finding
        if self._skew is not None:
            yield self._skew

    async def _commands(self, application_id: str) -> Finding:
        """What Discord shows people; no answer to this ends nothing, for the bot can do without it as well."""
        try:
            held = await self._get(f"/applications/{application_id}/commands")
        except ExaminationEnded as unusable:
            return warning(f"{unusable.finding.what}: the commands could not be seen", unusable.finding.advice or "")
        return ok(f"Discord: holds {counted(len(held), 'command')}; the next start registers what changed")

    async def _guilds(self, application_id: str) -> AsyncIterator[Finding]:
        guilds = await self._get(f"/users/@me/guilds?limit={_MAX_GUILDS}")
        if not guilds:
            yield warning("Discord: the bot is in no server yet", f"Install it with {install_link(application_id)}")
        fine = 0
        for guild in guilds:
            missing = missing_permissions(int(guild.get("permissions", 0)))
            if missing:
                yield fault(
                    f"Server {guild.get('name')!r}: the bot lacks {', '.join(missing)}",
                    f"Server Settings, Roles, the bot's role; or install it again with {install_link(application_id)}",
                )
            else:
                fine += 1
        if fine:
            yield ok(f"Discord: may post pictures in {counted(fine, 'server')} (channels may still take that away)")
        for guild in guilds[:5]:
            tier = int((await self._get(f"/guilds/{guild['id']}")).get("premium_tier") or 0)
            yield ok(f"Server {guild.get('name')!r}: takes files up to {_UPLOAD_MIB.get(tier, 10)} MiB")

    async def _get(self, path: str) -> Any:
        try:
            async with self._session.get(self._base + path, headers=self._headers) as response:
                self._check_clock(response.headers.get("Date"))
                if response.status == 401:
                    raise ExaminationEnded(
                        fault(
                            "Discord: the token is not accepted",
                            "Developer portal, your application, Bot, Reset Token; set the new one as DISCORD_TOKEN.",
                        )
                    )
                if response.status != 200:
                    raise DiscordAnswered(
                        fault(
                            f"Discord: answered {response.status} to GET {path.partition('?')[0]}",
                            "Try again in a minute; discordstatus.com shows outages.",
                        ),
                        response.status,
                    )
                return await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise ExaminationEnded(unreachable("Discord", self._base, error)) from error

    def _check_clock(self, date: str | None) -> None:
        if self._skew is None and date is not None:
            self._skew = clock_skew(date, datetime.now(UTC))


def install_link(application_id: str) -> str:
    """Discord's page that installs the bot with just what it needs."""
    query = urlencode(
        {
            "client_id": application_id,
            "scope": "bot applications.commands",
            "permissions": str(NEEDED_PERMISSIONS.value),
        }
    )
    return f"https://discord.com/oauth2/authorize?{query}"


def missing_permissions(granted: int) -> list[str]:
    """What the bot still needs, in the words of Discord's settings."""
    permissions = discord.Permissions(granted)
    if permissions.administrator:
        return []
    return [_label(name) for name, needed in NEEDED_PERMISSIONS if needed and not getattr(permissions, name)]


def _label(permission: str) -> str:
    return {"read_messages": "View Channels"}.get(
        permission, permission.replace("_", " ").title().replace(" In ", " in ")
    )


def _application(application: Mapping[str, Any]) -> list[Finding]:
    findings = []
    config = application.get("integration_types_config") or {}
    if config and "0" not in config:
        findings.append(
            fault(
                "Discord: the application can't be installed in servers",
                "Developer portal, Installation: tick Guild Install.",
            )
        )
    if config and "1" not in config:
        findings.append(
            warning(
                "Discord: people can't install the application for themselves",
                "To let them use it everywhere: developer portal, Installation, tick User Install.",
            )
        )
    params = (config.get("0") or {}).get("oauth2_install_params")
    if params:
        absent = {"bot", "applications.commands"} - set(params.get("scopes") or ())
        if absent:
            findings.append(
                fault(
                    f"Discord: the default install link lacks the scope {', '.join(sorted(absent))}",
                    "Developer portal, Installation, Guild Install: add it.",
                )
            )
    findings.append(ok("Discord: needs no privileged intents, and asks for none"))
    return findings


def public_application(application: Mapping[str, Any], *, listed: bool) -> list[Finding]:
    """Whether strangers may add the bot to servers of theirs; nothing where Discord does not say.

    Args:
        listed: whether only the servers that the settings list may use it.
    """
    public = application.get("bot_public")
    if not isinstance(public, bool):
        return []
    if not public:
        return [ok("Discord: the application is private; only its owner can add it to servers")]
    if listed:
        return [ok("Discord: the application is public, but only the servers under access.servers may use it")]
    return [
        warning(
            "Discord: the application is public: anyone can add it to a server of theirs, and spend from your budgets",
            "Developer portal: under Installation set Install Link to None, then under Bot turn Public Bot off. "
            "Or list your servers in EASEL_ACCESS__SERVERS.",
        )
    ]


def _identifies_left(gateway: Mapping[str, Any]) -> Finding:
    limit = gateway.get("session_start_limit") or {}
    remaining, total = int(limit.get("remaining", 1000)), int(limit.get("total", 1000))
    what = f"Discord: {remaining} of {total} starts left today"
    if remaining < 50:
        return warning(what, "Find out what restarts the bot again and again: at 0 Discord resets its token.")
    return ok(what)


def clock_skew(date: str, now: datetime) -> Finding | None:
    """A warning when this machine's clock is off by more than a little, judged by a Date header."""
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return None
    skew_s = (now - theirs).total_seconds()
    if abs(skew_s) <= _SKEW_S:
        return None
    direction = "ahead" if skew_s > 0 else "behind"
    return warning(
        f"Clock: this machine is {abs(skew_s):.0f} s {direction}",
        "Turn on time synchronisation (timedatectl set-ntp true): waiting times would be shown wrong.",
    )
