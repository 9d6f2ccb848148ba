"""Composition root: settings in, a running bot out, everything owned by one exit stack."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_hex
from typing import Any

import aiohttp
import discord

from bot.catalogue import Catalogue, load
from bot.discord.client import EaselBot, point_discord_at
from bot.discord.http import is_rate_limit, retry_after_s
from bot.discord.identify_budget import IdentifyHistory, SessionStartLimit, pause_before_identify
from bot.errors import (
    DiscordRefused,
    ModelUnavailable,
    SettingsInvalid,
    StoreUnusable,
    TokenMissing,
    UnknownModel,
)
from bot.fal import Fal
from bot.gc_tuning import trim_forever
from bot.jobs.context import Clocks
from bot.jobs.runner import Runner
from bot.media import Attachments
from bot.services import Services
from bot.settings import Settings
from bot.store import Store
from bot.supervisor import Supervisor

log = logging.getLogger(__name__)

#: Pauses between attempts to reach Discord at start; the last one repeats.
LOGIN_PAUSES_S = (1, 2, 5, 10, 15)
#: The gateway's close code for a token that is not (or no longer) valid.
_AUTHENTICATION_FAILED = 4004
_NOT_ACCEPTED = (
    "Discord does not accept the bot token. Copy it again from the Bot page of your application in Discord's developer "
    "portal (Reset Token shows a new one) and set it as DISCORD_TOKEN."
)
#: Where the store keeps the secret in callback addresses.
CALLBACK_KEY = "callback_key"
#: Where the store keeps the record of starts.
IDENTIFY_HISTORY = "starts"
#: Old jobs are deleted this often.
PURGE_EVERY_S = 6 * 3600
#: While the database is away: so much sooner.
PURGE_AGAIN_S = 300


def utcnow() -> datetime:
    """Aware UTC now."""
    return datetime.now(UTC)


async def run(settings: Settings) -> int:
    """Run the live bot until SIGINT or SIGTERM; returns the exit code.

    Raises:
        SetupError: something only the operator can mend (token, database, models).
    """
    token, key = settings.discord.token, settings.fal.key
    if token is None or key is None:
        raise TokenMissing("The live bot needs both DISCORD_TOKEN and FAL_KEY.")
    catalogue = _offered(settings)
    point_discord_at(settings.discord)
    async with AsyncExitStack() as stack:
        store = await Store.open(settings.database_url)
        stack.push_async_callback(store.close)
        fal = await stack.enter_async_context(
            Fal(
                key=key.get_secret_value(),
                queue_url=settings.fal.queue_url,
                rest_url=settings.fal.rest_url,
                cdn_url=settings.fal.cdn_url,
                max_streams=settings.fal.max_streams,
                store_payloads=settings.fal.store_payloads,
                api_url=settings.fal.api_url,
            )
        )
        inputs = await stack.enter_async_context(Attachments(extra_origins=_sandbox_origins(settings)))
        public_url = settings.web.public_url if settings.web.port is not None else None
        if settings.web.public_url is not None and public_url is None:
            log.warning("web.public_url has no effect without web.port: fal is asked instead")
        callback_key = await _callback_key(store) if public_url is not None else b""
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)
        runner = Runner(
            store=store,
            fal=fal,
            catalogue=catalogue,
            settings=settings.fal,
            max_waiting=settings.limits.max_waiting_jobs,
            tick_s=settings.discord.progress_interval_s,
            clocks=Clocks(utcnow),
            inputs=inputs,
            supervisor=supervisor,
            callback_url=partial(_callback_url, public_url, callback_key) if public_url is not None else None,
        )
        bot = EaselBot(Services(settings, store, catalogue, runner, utcnow, supervisor))
        stack.push_async_callback(bot.close)
        if settings.web.port is not None:
            from bot.web import Callback, CallbackReceiver  # with cryptography, 8 MB that most bots do not need
            from bot.web import start as start_web

            async def health() -> Mapping[str, bool]:
                return {"discord": bot.is_ready(), "store": (await store.kv.get("alive")) is None}

            async def heard(callback: Callback) -> None:
                await runner.on_webhook(callback.job_id, callback.attempt, callback.request_id)

            callbacks = None
            if public_url is not None:
                callbacks = CallbackReceiver(
                    key=callback_key, heard=heard, rest_url=settings.fal.rest_url, clock=utcnow
                )
            web = await start_web(settings.web, health, callbacks=callbacks)
            stack.push_async_callback(web.cleanup)
        stack.push_async_callback(runner.stop)
        await _until_stopped(bot, runner, store, settings, token.get_secret_value())
    log.info("stopped")
    return 0


async def _callback_key(store: Store) -> bytes:
    """The secret in the addresses fal calls back, made once; addresses given away before a restart stay good."""
    known = await store.kv.get(CALLBACK_KEY)
    if known is None:
        known = await store.kv.set_default(CALLBACK_KEY, token_hex(32))
    return bytes.fromhex(known)


def _callback_url(public_url: str, key: bytes, job_id: str, attempt: int) -> str:
    from bot.web import callback_url

    return callback_url(public_url, job_id, attempt, key)


def _offered(settings: Settings) -> Catalogue:
    """The models as the operator wants them.

    Raises:
        SettingsInvalid: a model file is wrong, or the default model is not among them.
    """
    wanted = settings.models
    catalogue = load(
        folder=wanted.folder,
        disabled=wanted.disabled,
        prices_usd=wanted.prices_usd,
        has_openai_key=settings.fal.openai_api_key is not None,
    )
    try:
        catalogue.get(wanted.default)
    except UnknownModel as error:
        hint = f"Did you mean `{error.close[0]}`?" if error.close else "`python -m bot models` lists them."
        raise SettingsInvalid(f"models.default: there is no model {wanted.default[:60]!r}. {hint}") from error
    except ModelUnavailable as error:
        raise SettingsInvalid(
            f"models.default: {error.title} can't be the default: {error.why}. `python -m bot models` lists the others."
        ) from error
    return catalogue


def _tune_collector() -> None:
    """Keep the cyclic collector from stopping the event loop.

    With a thousand jobs under way one full collection takes over 100 ms on 2 cores (`make bench`, thousand): what
    was imported is left out of it, and it runs rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _until_stopped(bot: EaselBot, runner: Runner, store: Store, settings: Settings, token: str) -> None:
    """Log in, then keep the parts running until a signal comes or one of them ends."""
    stop, supervisor = asyncio.Event(), bot.services.supervisor
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    signalled = asyncio.create_task(stop.wait(), name="stop-signal")
    login = asyncio.create_task(_login(bot, token), name="login")
    try:
        await asyncio.wait({login, signalled}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            return
        await login
        _tune_collector()
        supervisor.start(_connect(bot, store), name="gateway")
        supervisor.start(runner.run(), name="runner")
        supervisor.start(trim_forever(runner), name="memory")
        supervisor.start(_purge_forever(store, settings.privacy.keep_days), name="purge")
        ended = await _first_to_end(supervisor, signalled)
        log.info("stopping", extra={"because": ended.get_name()})
        await runner.stop()
        await _note_end(store, crashed=not ended.cancelled() and ended.exception() is not None)
        if not ended.cancelled():
            ended.result()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        for task in (login, signalled):
            task.cancel()
        await asyncio.gather(login, signalled, return_exceptions=True)
        await supervisor.close()


async def _first_to_end(supervisor: Supervisor, signalled: asyncio.Task[Any]) -> asyncio.Task[Any]:
    """The part that ended by itself, or the signal to stop."""
    watch = asyncio.create_task(supervisor.wait(), name="supervisor")
    try:
        await asyncio.wait({signalled, watch}, return_when=asyncio.FIRST_COMPLETED)
        return signalled if signalled.done() else watch.result()
    finally:
        watch.cancel()


async def _login(bot: EaselBot, token: str) -> None:
    """Log in and register the commands; waits for Discord as long as it is merely out of reach."""
    attempt = 0
    while True:
        try:
            await bot.login(token)
        except discord.LoginFailure as error:
            raise DiscordRefused(_NOT_ACCEPTED) from error
        except (aiohttp.ClientError, discord.HTTPException, discord.RateLimited, OSError, TimeoutError) as error:
            if isinstance(error, discord.HTTPException) and error.status < 500 and not is_rate_limit(error):
                raise
            await bot.forget_connections()
            await _pause(attempt, error)
            attempt += 1
        else:
            return


async def _pause(attempt: int, error: Exception) -> None:
    pause_s = max(LOGIN_PAUSES_S[min(attempt, len(LOGIN_PAUSES_S) - 1)], retry_after_s(error))
    log.warning("Discord is out of reach; trying again", extra={"pause_s": pause_s, "error": type(error).__name__})
    await asyncio.sleep(pause_s)


async def _until_safe(bot: EaselBot, store: Store) -> None:
    """Wait until one more identify can't bring the bot near the most that Discord allows."""
    history = IdentifyHistory.from_text(await store.kv.get(IDENTIFY_HISTORY))
    while (pause := pause_before_identify(history, await _session_start_limit(bot), utcnow())) is not None:
        log.warning(
            "no session with Discord yet: commands have to wait, pictures under way go on",
            extra={"pause_s": round(pause.seconds, 1), "reason": pause.reason},
        )
        await asyncio.sleep(pause.seconds)


async def _before_identify(bot: EaselBot, store: Store, *, initial: bool) -> None:
    """Before each identify, also where Discord has ended a session and discord.py begins another by itself."""
    try:
        if not initial:  # before the first one `_connect` has waited
            await _until_safe(bot, store)
        history = IdentifyHistory.from_text(await store.kv.get(IDENTIFY_HISTORY))
        await store.kv.set(IDENTIFY_HISTORY, history.with_start(utcnow()).to_text())
    except StoreUnusable:
        log.warning("this identify is not on record")


async def _connect(bot: EaselBot, store: Store) -> None:
    """Identify when that is safe, then stay connected."""
    await _until_safe(bot, store)
    bot.before_identify = partial(_before_identify, bot, store)
    attempt = 0
    while True:
        try:
            await bot.connect(reconnect=True)
        except discord.PrivilegedIntentsRequired as error:
            raise DiscordRefused(
                "Discord refused the gateway intents, though Easel asks for no privileged one."
            ) from error
        except discord.ConnectionClosed as error:
            if error.code == _AUTHENTICATION_FAILED:
                raise DiscordRefused(_NOT_ACCEPTED) from error
            raise
        except AttributeError as error:
            # discord.py 2.7.1 reconnects with what it knows of the connection before, which the first one lacks.
            if getattr(bot, "ws", None) is not None:
                raise
            await _pause(attempt, error.__context__ if isinstance(error.__context__, Exception) else error)
            attempt += 1
        else:
            return


async def _session_start_limit(bot: EaselBot) -> SessionStartLimit | None:
    """None when Discord can't say; while it merely asks to be asked later, nobody identifies on a guess."""
    attempt = 0
    while True:
        try:
            _, _, limit = await bot.http.get_bot_gateway()
        except (discord.DiscordException, aiohttp.ClientError, OSError, KeyError) as error:
            if not is_rate_limit(error):
                return None
            await _pause(attempt, error)
            attempt += 1
        else:
            return SessionStartLimit.read({"session_start_limit": limit})


async def _note_end(store: Store, *, crashed: bool) -> None:
    """Keep how this run ended; a database that is gone must not hide the error that ended it."""
    try:
        history = IdentifyHistory.from_text(await store.kv.get(IDENTIFY_HISTORY))
        await store.kv.set(IDENTIFY_HISTORY, (history.crashed() if crashed else history.went_well()).to_text())
    except StoreUnusable:
        log.warning("the end of this run is not on record")


async def _purge_forever(store: Store, keep_days: int) -> None:
    """Delete what is older than the retention time."""
    while True:
        try:
            deleted = await store.retention.purge(utcnow() - timedelta(days=keep_days))
        except StoreUnusable as error:
            log.warning("old jobs are not purged yet", extra={"reason": error.sentence})
            await asyncio.sleep(PURGE_AGAIN_S)
            continue
        if deleted:
            log.info("purged old jobs", extra={"jobs": deleted})
        await asyncio.sleep(PURGE_EVERY_S)


def _sandbox_origins(settings: Settings) -> tuple[str, ...]:
    """Attachments come from Discord's CDN only, except when the API itself is on this machine."""
    url = settings.discord.api_url
    return (url.split("/api/", 1)[0],) if url.startswith(("http://127.0.0.1:", "http://localhost:")) else ()
