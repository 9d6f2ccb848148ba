"""`python -m bot check`: look at everything a live bot depends on, and say what to do about each fault.

Nothing here costs money or changes anything on Discord's or fal's side. Every line passes through
the log's redaction before it is printed.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
import discord

from bot.catalogue import Catalogue, Model, load
from bot.cli.db import may_write, sqlite_file
from bot.errors import EaselError, OperatorError, SettingsInvalid
from bot.logs import Redaction
from bot.settings import Settings
from bot.store import Store

Print = Callable[[str], None]

_MARKS = {"ok": "✓", "warning": "!", "fault": "✗"}

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
#: Servers looked at one by one; the rest is only counted.
_MOST_GUILDS = 200
#: The corruption fix of SQLite's write-ahead log.
_SOUND_SQLITE = (3, 51, 3)
_TIMEOUT = aiohttp.ClientTimeout(total=10)
#: Signatures and Discord's own checks bear about this much.
_SKEW_S = 30
_LITTLE_SPACE_BYTES = 500 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Literal["ok", "warning", "fault"]
    what: str
    #: What to do; empty when all is well.
    advice: str = ""


def ok(what: str) -> Finding:
    """All is well."""
    return Finding("ok", what)


def warning(what: str, advice: str) -> Finding:
    """Works, but the operator should know."""
    return Finding("warning", what, advice)


def fault(what: str, advice: str) -> Finding:
    """Will not work."""
    return Finding("fault", what, advice)


async def run(settings: Settings, write: Print) -> int:
    """Print the report; returns the exit code: 1 when there is a fault."""
    redact = Redaction(_secrets(settings))
    faults = warnings = 0
    async for finding in examine(settings):
        faults += finding.level == "fault"
        warnings += finding.level == "warning"
        write(redact(f"{_MARKS[finding.level]} {finding.what}"))
        if finding.advice:
            write(redact(f"    → {finding.advice}"))
    write("")
    if faults:
        write(f"{_count(faults, 'fault')} to mend, {_count(warnings, 'warning')}.")
    else:
        write(f"Ready, with {_count(warnings, 'warning')}." if warnings else "All is well.")
    return 1 if faults else 0


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Every finding, in the order a person would mend them."""
    yield _configuration(settings)
    if (finding := lost_answers(settings.fal.reconcile_s, settings.fal.start_timeout_s)) is not None:
        yield finding
    for finding in _without_effect(settings):
        yield finding
    async for finding in _database(settings.database_url):
        yield finding
    catalogue = _catalogue(settings)
    for finding in _models(settings, catalogue):
        yield finding
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        if settings.discord.token is not None:
            async for finding in _Discord(session, settings).examine():
                yield finding
        if settings.fal.key is not None and isinstance(catalogue, Catalogue):
            async for finding in _Fal(session, settings, catalogue).examine():
                yield finding


# ---------------------------------------------------------------------- this machine


def _configuration(settings: Settings) -> Finding:
    token, key = settings.discord.token is not None, settings.fal.key is not None
    if token and key:
        return ok("Configuration: DISCORD_TOKEN and FAL_KEY are set; `run` starts the live bot")
    if not token and not key:
        return warning(
            "Configuration: neither DISCORD_TOKEN nor FAL_KEY is set; `run` starts the sandbox",
            "For a live bot set both, in the environment, .env or config.toml.",
        )
    missing = "FAL_KEY" if token else "DISCORD_TOKEN"
    return fault(f"Configuration: {missing} is missing", "A live bot needs both DISCORD_TOKEN and FAL_KEY.")


def lost_answers(reconcile_s: float, start_timeout_s: float) -> Finding | None:
    """A warning when a lost request is sent again although fal may still begin with it (it lists what has begun)."""
    if reconcile_s > start_timeout_s:
        return None
    return warning(
        f"Configuration: fal.reconcile_s, {reconcile_s:g}, is not longer than fal.start_timeout_s, {start_timeout_s:g}",
        "Make it longer: where fal's answer gets lost, a picture may be painted, and charged, twice otherwise.",
    )


def _without_effect(settings: Settings) -> list[Finding]:
    """A warning for each setting that another one keeps from doing anything."""
    found = []
    if settings.web.public_url is not None and settings.web.port is None:
        found.append(
            warning(
                "Configuration: web.public_url has no effect without web.port, so fal.ai can't call back",
                "Set EASEL_WEB__PORT, e.g. to 8080, or take web.public_url away; without it the bot asks fal.ai.",
            )
        )
    most = settings.fal.max_in_flight
    caps = {
        "guild_jobs_in_flight": settings.fal.guild_jobs_in_flight,
        "user_jobs_in_flight": settings.fal.user_jobs_in_flight,
    }
    found += [
        warning(
            f"Configuration: fal.{name}, {cap}, has no effect: fal.max_in_flight, {most}, is not above it",
            f"Set fal.{name} below fal.max_in_flight, or to 0 if one server or person may take all places.",
        )
        for name, cap in caps.items()
        if cap and most and cap >= most
    ]
    return found


async def _database(url: str) -> AsyncIterator[Finding]:
    try:
        file = sqlite_file(url)
    except OperatorError as error:
        yield fault("Database: the URL is wrong", error.sentence)
        return
    if file is not None and not file.exists():
        yield _place_for(file)
    elif file is not None and (shut := [path for path in _written(file) if not may_write(path)]):
        yield fault(f"Database: {file} is not writable, because {shut[0]} is not", _LET_WRITE)
    else:
        async for finding in _content(url):
            yield finding
    if file is not None:
        for maybe in (sqlite_version(sqlite3.sqlite_version_info), _space(file)):
            if maybe is not None:
                yield maybe


async def _content(url: str) -> AsyncIterator[Finding]:
    try:
        store = await Store.open(url, exclusive=False)
    except OperatorError as error:
        if "empty or older" in error.sentence:
            yield ok("Database: reachable; the next start brings it to this version")
        else:
            yield fault("Database: can't be used", error.sentence)
        return
    try:
        problems = await store.check()
    finally:
        await store.close()
    for problem in problems:
        yield fault("Database: not sound", problem)
    if not problems:
        yield ok("Database: reachable, up to date and sound")


def _place_for(file: Path) -> Finding:
    folder = _nearest_folder(file)
    if may_write(folder):
        return ok(f"Database: {file} will be made at the first start")
    return fault(f"Database: {file} can't be made, {folder} is not writable", _LET_WRITE)


_LET_WRITE = "Let the user that runs Easel write there, or point EASEL_DATABASE_URL somewhere else."


def _written(file: Path) -> list[Path]:
    """What the bot writes for an SQLite database, as far as it is there."""
    beside = (file.with_name(file.name + ending) for ending in ("-wal", "-shm", ".lock"))
    return [file.parent, file, *(path for path in beside if path.exists())]


def _nearest_folder(file: Path) -> Path:
    return next(folder for folder in file.parents if folder.is_dir())


def sqlite_version(version: tuple[int, ...]) -> Finding | None:
    """A warning for versions with the corruption fault of the write-ahead log."""
    if version >= _SOUND_SQLITE:
        return None
    return warning(
        f"SQLite {'.'.join(map(str, version))}: before 3.51.3, two programs writing at once can damage a database",
        "Easel writes with one connection and locks the file, so keep other programs from writing it. "
        "A newer Python usually brings a newer SQLite; PostgreSQL is the other way out.",
    )


def _space(file: Path) -> Finding | None:
    folder = _nearest_folder(file)
    free = shutil.disk_usage(folder).free
    if free >= _LITTLE_SPACE_BYTES:
        return None
    return warning(f"Disk: {free // 2**20} MiB left at {folder}", "Make room: a full disk stops new pictures.")


def _catalogue(settings: Settings) -> Catalogue | SettingsInvalid:
    try:
        return load(
            folder=settings.models.folder,
            disabled=settings.models.disabled,
            prices_usd=settings.models.prices_usd,
            has_openai_key=settings.fal.openai_api_key is not None,
        )
    except SettingsInvalid as error:
        return error


def _models(settings: Settings, catalogue: Catalogue | SettingsInvalid) -> list[Finding]:
    if isinstance(catalogue, SettingsInvalid):
        return [fault("Models: a model file or a model setting is wrong", catalogue.sentence)]
    findings = [ok(f"Models: {len(catalogue.models)} offered")]
    try:
        catalogue.get(settings.models.default)
    except EaselError:
        findings.append(
            fault(
                f"Models: the default model {settings.models.default!r} is not offered",
                "Set EASEL_MODELS__DEFAULT to one of the names that `python -m bot models` lists.",
            )
        )
    unpriced = [model.key for model in catalogue.models if model.price.usd is None and model.price.by_option is None]
    if unpriced:
        findings.append(
            warning(
                f"Models: no price known for {', '.join(unpriced)}",
                "fal's model pages show the price; set it under [models.prices_usd] to have it shown.",
            )
        )
    return findings


# ---------------------------------------------------------------------- Discord


class _Unusable(Exception):
    """The other side cannot be examined further; carries the finding."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.what)


class _Discord:
    def __init__(self, session: aiohttp.ClientSession, settings: Settings) -> None:
        assert settings.discord.token is not None
        self._session = session
        self._base = settings.discord.api_url.rstrip("/")
        self._headers = {
            "Authorization": f"Bot {settings.discord.token.get_secret_value()}",
            "User-Agent": "DiscordBot (easel, check)",
        }
        self._skew: Finding | None = None

    async def examine(self) -> AsyncIterator[Finding]:
        try:
            me = await self._get("/users/@me")
            yield ok(f"Discord: the token is that of {me.get('username', 'a bot')}")
            application = await self._get("/applications/@me")
            for finding in _application(application):
                yield finding
            yield _starts_left(await self._get("/gateway/bot"))
            async for finding in self._guilds(str(application.get("id", ""))):
                yield finding
        except _Unusable as unusable:
            yield unusable.finding
        if self._skew is not None:
            yield self._skew

    async def _guilds(self, application_id: str) -> AsyncIterator[Finding]:
        guilds = await self._get(f"/users/@me/guilds?limit={_MOST_GUILDS}")
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
            yield ok(f"Discord: may post pictures in {_count(fine, 'server')} (channels may still take that away)")
        for guild in guilds[:5]:
            tier = int((await self._get(f"/guilds/{guild['id']}")).get("premium_tier") or 0)
            yield ok(f"Server {guild.get('name')!r}: takes files up to {_UPLOAD_MIB.get(tier, 10)} MiB")

    async def _get(self, path: str) -> Any:
        try:
            async with self._session.get(self._base + path, headers=self._headers) as response:
                self._look_at_clock(response.headers.get("Date"))
                if response.status == 401:
                    raise _Unusable(
                        fault(
                            "Discord: the token is not accepted",
                            "Developer portal, your application, Bot, Reset Token; set the new one as DISCORD_TOKEN.",
                        )
                    )
                if response.status != 200:
                    raise _Unusable(
                        fault(
                            f"Discord: answered {response.status} to GET {path.partition('?')[0]}",
                            "Try again in a minute; discordstatus.com shows outages.",
                        )
                    )
                return await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _Unusable(_unreachable("Discord", self._base, error)) from error

    def _look_at_clock(self, date: str | None) -> None:
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


def missing_permissions(held: int) -> list[str]:
    """What the bot still needs, in the words of Discord's settings."""
    permissions = discord.Permissions(held)
    if permissions.administrator:
        return []
    return [_spoken(name) for name, needed in NEEDED_PERMISSIONS if needed and not getattr(permissions, name)]


def _spoken(permission: str) -> str:
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


def _starts_left(gateway: Mapping[str, Any]) -> Finding:
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


# ---------------------------------------------------------------------- fal.ai


class _Fal:
    def __init__(self, session: aiohttp.ClientSession, settings: Settings, catalogue: Catalogue) -> None:
        assert settings.fal.key is not None
        self._session = session
        self._catalogue = catalogue
        self._queue = (settings.fal.queue_url or "https://queue.fal.run").rstrip("/")
        self._rest = (settings.fal.rest_url or "https://rest.fal.ai").rstrip("/")
        # Prices come from a host that stand-ins do not have; asking it then would send a made-up key out.
        self._prices = "https://api.fal.ai/v1" if settings.fal.queue_url is None else None
        self._headers = {"Authorization": f"Key {settings.fal.key.get_secret_value()}"}

    async def examine(self) -> AsyncIterator[Finding]:
        try:
            yield await self._key()
            yield await self._balance()
            if self._prices is not None:
                for finding in await self._live_prices(self._prices):
                    yield finding
        except _Unusable as unusable:
            yield unusable.finding

    async def _key(self) -> Finding:
        """Ask for the status of a request that never was: 404 with a good key, 401 with a bad one; free."""
        url = f"{self._queue}/fal-ai/flux-1/requests/{uuid4()}/status"
        status, body = await self._ask("GET", url)
        if status == 401 or (status == 403 and not _speaks_of_balance(body)):
            raise _Unusable(
                fault(
                    "fal.ai: the key is not accepted",
                    "Make a new one on fal.ai's dashboard (API keys) and set it as FAL_KEY.",
                )
            )
        if status == 403:
            raise _Unusable(_no_credit())
        if status >= 500 or status == 429:
            raise _Unusable(
                warning(f"fal.ai: answered {status}, so the key could not be tried", "Try again in a minute.")
            )
        return ok("fal.ai: the key is accepted")

    async def _balance(self) -> Finding:
        """An account without credit is refused even the upload token that each input picture needs; free."""
        url = f"{self._rest}/storage/auth/token?storage_type=fal-cdn-v3"
        status, body = await self._ask("POST", url)
        if status == 403 and _speaks_of_balance(body):
            return _no_credit()
        if status in (401, 403):
            return warning(
                f"fal.ai: uploads are refused ({status})",
                "Give the key the scope API: pictures sent to a model need it.",
            )
        if status >= 400:
            return warning(f"fal.ai: its upload service answered {status}", "Only models that take a picture need it.")
        return ok("fal.ai: the account has credit, and uploads work")

    async def _live_prices(self, base: str) -> list[Finding]:
        query = urlencode({"endpoint_id": ",".join([model.endpoint for model in self._catalogue.models][:50])})
        try:
            status, body = await self._ask("GET", f"{base}/models/pricing?{query}")
            return other_prices(self._catalogue.models, json.loads(body).get("prices", ())) if status == 200 else []
        except (_Unusable, ValueError, AttributeError, TypeError):
            return []  # a bonus; its absence says nothing

    async def _ask(self, method: str, url: str) -> tuple[int, str]:
        try:
            async with self._session.request(
                method, url, headers=self._headers, json={} if method == "POST" else None, allow_redirects=False
            ) as response:
                return response.status, (await response.content.read(64 * 1024)).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _Unusable(_unreachable("fal.ai", url.split("/", 3)[2], error)) from error


def other_prices(models: Iterable[Model], live: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """A warning for each model whose price fal states differently."""
    by_endpoint = {model.endpoint: model for model in models if model.price.by_option is None}
    findings = []
    for price in live:
        model, usd = by_endpoint.get(str(price.get("endpoint_id"))), price.get("unit_price")
        if (
            model is None
            or model.price.usd is None
            or usd is None
            or abs(float(model.price.usd) - float(usd)) <= 0.0005
        ):
            continue
        findings.append(
            warning(
                f"Price of {model.key}: fal says ${float(usd):g} per {price.get('unit', 'unit')}, "
                f"Easel shows ${model.price.usd} per {model.price.unit}",
                f'Set "{model.key}" under [models.prices_usd] if people should see the former.',
            )
        )
    return findings


def _speaks_of_balance(body: str) -> bool:
    return "balance" in body.lower() or "locked" in body.lower()


def _no_credit() -> Finding:
    return fault("fal.ai: the account has no credit left", "Top it up on fal.ai's dashboard, under Billing.")


def _unreachable(who: str, where: str, error: Exception) -> Finding:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return fault(
            f"{who}: the certificate of {where} is not trusted",
            "Install the system's CA certificates (ca-certificates), or point SSL_CERT_FILE at your own bundle.",
        )
    return fault(
        f"{who}: can't be reached at {where} ({type(error).__name__})",
        "Check this machine's network, DNS and firewall: HTTPS must be able to leave.",
    )


# ---------------------------------------------------------------------- words


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number or 'no'} {thing}s"


def _secrets(settings: Settings) -> list[str]:
    secrets = (settings.discord.token, settings.fal.key, settings.fal.openai_api_key)
    return [secret.get_secret_value() for secret in secrets if secret is not None]
