"""Composition root: settings in, a running bot out, everything owned by one exit stack."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from bot.access import admits
from bot.catalogue import Catalogue, load
from bot.discord.client import EaselBot, point_discord_at
from bot.discord.session import DiscordSession
from bot.domain.job import Actor
from bot.errors import ModelUnavailable, SettingsInvalid, StoreUnusable, TokenMissing, UnknownModel
from bot.fal import Fal
from bot.gc_tuning import freeze_imports, freeze_jobs_forever
from bot.jobs.context import Clocks
from bot.jobs.runner import Runner
from bot.limits import Policy, policy_for
from bot.media.inputs import Attachments
from bot.media.workers import ImageWorkers
from bot.proxies import Proxies
from bot.redaction import quoted
from bot.services import Services
from bot.settings import FalSettings, Settings, WebSettings
from bot.store import Store
from bot.store.kv import KeyValueStore
from bot.supervisor import Supervisor

if TYPE_CHECKING:
    from bot.web import FalCallback

log = logging.getLogger(__name__)

#: Why a model is not offered, for the operator.
_UNAVAILABLE = {
    "unavailable_off": "it is switched off on this bot",
    "unavailable_keyless": "it needs an OpenAI key, which this bot does not have",
    "unavailable_task": "it is not made for this command",
}
#: The store's key for the secret in callback addresses.
CALLBACK_KEY = "callback_key"
#: Old jobs are deleted this often, …
PURGE_EVERY_S = 6 * 3600
#: … and this soon after the database refused.
PURGE_RETRY_S = 300


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
    catalogue = _offered_models(settings)
    proxies = Proxies.of(settings.proxy)
    proxies.export(os.environ)
    point_discord_at(settings.discord)
    async with AsyncExitStack() as stack:
        store = await Store.open(settings.database_url)
        stack.push_async_callback(store.close)
        fal = await stack.enter_async_context(_fal(settings.fal, key.get_secret_value(), proxies))
        images = await stack.enter_async_context(ImageWorkers())
        origins = _sandbox_origins(settings)
        inputs = await stack.enter_async_context(Attachments(images, extra_origins=origins, proxies=proxies))
        callbacks = await _callback_addresses(settings.web, store)
        supervisor = Supervisor()
        stack.push_async_callback(supervisor.close)
        supervisor.start(store.until_broken(), name="store-writer")
        supervisor.start(fal.until_broken(), name="fal-poller")
        runner = Runner(
            store=store,
            fal=fal,
            catalogue=catalogue,
            settings=settings.fal,
            max_waiting=settings.limits.max_waiting_jobs,
            tick_s=settings.discord.progress_interval_s,
            clocks=Clocks(utcnow),
            inputs=inputs,
            images=images,
            supervisor=supervisor,
            policy_of=partial(_policy_of, settings, store),
            forgiven_per_day=settings.limits.forgiven_per_day,
            callback_url=callbacks.url if callbacks is not None else None,
            admits=partial(admits, settings.access, settings.operator.people),
        )
        bot = EaselBot(Services(settings, store, catalogue, runner, images, utcnow, supervisor))
        stack.push_async_callback(bot.close)
        if settings.web.port is not None:
            await _start_web(stack, bot, callbacks)
        stack.push_async_callback(runner.stop)
        session = DiscordSession(bot, store.kv, utcnow)
        await serve(session, bot.services, token.get_secret_value())
    log.info("stopped")
    return 0


# ---------------------------------------------------------------------- the parts


async def _policy_of(settings: Settings, store: Store, actor: Actor) -> Policy:
    """The limits and budgets that hold for somebody now."""
    preferences = await store.preferences.get(actor.user_id, actor.guild_id)
    return policy_for(settings, preferences.guild_limits, actor)


def _offered_models(settings: Settings) -> Catalogue:
    """The models as the operator configured them.

    Raises:
        SettingsInvalid: a model file is wrong, or the default model is not among them.
    """
    models = settings.models
    catalogue = load(
        folder=models.folder,
        disabled=models.disabled,
        prices_usd=models.prices_usd,
        has_openai_key=settings.fal.openai_api_key is not None,
    )
    try:
        catalogue.get(models.default)
    except UnknownModel as error:
        hint = f"Did you mean `{error.close[0]}`?" if error.close else "`python -m bot models` lists them."
        raise SettingsInvalid(f"models.default: there is no model {quoted(models.default)}. {hint}") from error
    except ModelUnavailable as error:
        raise SettingsInvalid(
            f"models.default: {error.title} can't be the default: {_UNAVAILABLE[error.why.code]}. "
            "`python -m bot models` lists the others."
        ) from error
    return catalogue


def _fal(settings: FalSettings, key: str, proxies: Proxies) -> Fal:
    return Fal(
        key=key,
        queue_url=settings.queue_url,
        rest_url=settings.rest_url,
        cdn_url=settings.cdn_url,
        api_url=settings.api_url,
        max_streams=settings.max_streams,
        store_payloads=settings.store_payloads,
        proxies=proxies,
    )


def _sandbox_origins(settings: Settings) -> tuple[str, ...]:
    """Attachments come from Discord's CDN only, except when the API itself is on this machine."""
    url = settings.discord.api_url
    return (url.split("/api/", 1)[0],) if url.startswith(("http://127.0.0.1:", "http://localhost:")) else ()


# ---------------------------------------------------------------------- the web server


@dataclass(frozen=True, slots=True)
class _CallbackAddresses:
    """Where fal calls back. `key` is the secret in the addresses."""

    public_url: str
    key: bytes

    def url(self, job_id: str, attempt: int) -> str:
        from bot.web import callback_url

        return callback_url(self.public_url, job_id, attempt, self.key)


async def _callback_addresses(settings: WebSettings, store: Store) -> _CallbackAddresses | None:
    """None where fal can't call back. The key is made once, so that addresses outlive a restart."""
    if settings.public_url is None:
        return None
    if settings.port is None:
        log.warning("web.public_url has no effect without web.port: fal is asked instead")
        return None
    key = await store.kv.get(CALLBACK_KEY) or await store.kv.set_default(CALLBACK_KEY, token_hex(32))
    return _CallbackAddresses(settings.public_url, bytes.fromhex(key))


async def _start_web(stack: AsyncExitStack, bot: EaselBot, callbacks: _CallbackAddresses | None) -> None:
    """Serve until the stack is unwound; the supervisor hears when the server ends before that."""
    # Here: cryptography takes 8 MB, and most bots serve no web pages.
    from bot.web import CallbackReceiver, start, until_broken

    services = bot.services
    settings = services.settings

    async def health() -> Mapping[str, bool]:
        return {"discord": bot.is_ready(), "store": await store_answers(services.store.kv)}

    def detail() -> Mapping[str, str]:
        problem = bot.command_sync.problem if bot.command_sync is not None else None
        return {"commands": f"{problem}; people use those it holds until it takes ours"} if problem else {}

    async def on_callback(callback: FalCallback) -> None:
        await services.runner.on_webhook(callback.job_id, callback.attempt, callback.request_id)

    receiver = None
    if callbacks is not None:
        receiver = CallbackReceiver(
            key=callbacks.key,
            handler=on_callback,
            rest_url=settings.fal.rest_url,
            clock=utcnow,
            proxies=Proxies.of(settings.proxy),
        )
    server = await start(settings.web, health, detail=detail, callbacks=receiver)
    stack.push_async_callback(server.cleanup)
    services.supervisor.start(until_broken(server), name="web-server")


async def store_answers(kv: KeyValueStore) -> bool:
    """Whether the database answers a query."""
    try:
        await kv.get(CALLBACK_KEY)
    except StoreUnusable as error:
        log.warning("health check: the database does not answer", extra={"reason": error.sentence})
        return False
    return True


# ---------------------------------------------------------------------- the life of the process


async def serve(session: DiscordSession, services: Services, token: str) -> None:
    """Log in, then keep the parts running until a signal comes or one of them ends.

    Raises:
        Exception: what ended a part; RuntimeError where one returned or was cancelled, which none ever should.
    """
    stop, supervisor, runner = asyncio.Event(), services.supervisor, services.runner
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    signalled = asyncio.create_task(stop.wait(), name="stop-signal")
    login = asyncio.create_task(session.login(token), name="login")
    try:
        ended = await _first_to_end(supervisor, signalled, login)
        if ended is signalled:
            return
        if ended is login:
            await login
            freeze_imports()
            supervisor.start(session.run(), name="gateway")
            supervisor.start(runner.run(), name="runner")
            supervisor.start(freeze_jobs_forever(runner), name="gc-freeze")
            supervisor.start(_purge_forever(services.store, services.settings.privacy.keep_days), name="retention")
            ended = await _first_to_end(supervisor, signalled)
        log.info("stopping", extra={"because": ended.get_name()})
        error = _error_of(ended) if ended is not signalled else None
        await runner.stop()
        await session.record_end(crashed=error is not None)
        if error is not None:
            raise error
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        for task in (login, signalled):
            task.cancel()
        await asyncio.gather(login, signalled, return_exceptions=True)
        await supervisor.close()


async def _first_to_end(supervisor: Supervisor, *others: asyncio.Task[Any]) -> asyncio.Task[Any]:
    """The first of the others that is done (the signal to stop, say), else the part that ended by itself."""
    watch = asyncio.create_task(supervisor.wait(), name="supervisor")
    try:
        await asyncio.wait({*others, watch}, return_when=asyncio.FIRST_COMPLETED)
        return next((task for task in others if task.done()), None) or watch.result()
    finally:
        watch.cancel()


def _error_of(ended: asyncio.Task[Any]) -> BaseException:
    if ended.cancelled():
        return RuntimeError(f"{ended.get_name()} was cancelled")
    return ended.exception() or RuntimeError(f"{ended.get_name()} returned")


async def _purge_forever(store: Store, keep_days: int) -> None:
    """Delete jobs that are older than the retention time, every `PURGE_EVERY_S`."""
    while True:
        pause_s = PURGE_EVERY_S
        try:
            if deleted := await store.retention.purge(utcnow() - timedelta(days=keep_days)):
                log.info("purged old jobs", extra={"jobs": deleted})
        except StoreUnusable as error:
            log.warning("old jobs are not purged yet", extra={"reason": error.sentence})
            pause_s = PURGE_RETRY_S
        await asyncio.sleep(pause_s)
