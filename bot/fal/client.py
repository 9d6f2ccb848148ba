"""`Fal`: everything Easel does at fal.ai."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Self

import aiohttp
from yarl import URL

from bot import metrics
from bot.domain.job import FalRequest, RemotePicture, Result
from bot.domain.ports import ServedModel
from bot.domain.provider import CancelAnswer, FoundRequest, Status
from bot.domain.request import Json
from bot.errors import (
    GenerationFailed,
    ProviderError,
    ProviderUnreachable,
    RequestNotFound,
    ResultUnusable,
)
from bot.fal.failures import ModelLabel, failure_of
from bot.fal.http import NETWORK_ERRORS, RESULT_BYTES, STATUS_BYTES, HttpResponse, read_response
from bot.fal.origins import FAL_MEDIA_DOMAINS, Origins, resolve
from bot.fal.poller import Poller
from bot.fal.request_lookup import RequestLookup
from bot.fal.results import billable_units, read_result
from bot.fal.status_watcher import StatusWatcher
from bot.fal.submission import SubmitClient, headers_sent_trace
from bot.fal.timings import Timings
from bot.media.fetch import BadAddress, BadStatus, DownloadTooLarge, decode_data_uri, get_capped
from bot.media.public_addresses import PublicConnector
from bot.phrase import phrase
from bot.proxies import DIRECT, ProxiedConnector, Proxies
from bot.retry import retry

if TYPE_CHECKING:
    from bot.fal.uploads import Uploader

log = logging.getLogger(__name__)

USER_AGENT = "Easel (self-hosted Discord bot; aiohttp)"
#: Statuses of a picture that is no longer stored.
_GONE_PICTURE = frozenset({403, 404, 410})


class Fal:
    """fal's queue for one process. Enter it inside the running loop.

    A submit is exactly one POST, never repeated here:

    ====================================================== =====================================================
    what happened                                          raised
    ====================================================== =====================================================
    no connection (refused, DNS, TLS, connect timeout),    ProviderUnreachable: fal can't have it, submit again
    or none became free                                    later
    408, 409, 429; 503 with Retry-After; 503 page of an    ProviderUnreachable (`retry_after_s` where sent): fal
    nginx without x-fal-request-id                         refused it in front of the queue
    401, 403, 402                                          KeyRefused, BalanceExhausted
    404, 410                                               ModelGone
    400, 413, 422                                          OptionsRefused, or ContentRefused where it says so
    any other 3xx or 4xx                                   ProviderError
    the connection broke or the time ran out after the     SubmitUnconfirmed: fal may or may not have it
    headers had left; 500, 502, 504 and any other 5xx;
    2xx without a readable request id (HTML, cut off)
    ====================================================== =====================================================

    A 503 is split because gateways also answer it after handing a request on ("upstream reset"); only where the
    answer shows that it came from in front of the queue is it safe to submit again.

    Args:
        key: the API key, sent only to the queue's host and fal's own (`Origins.may_see_key`).
        queue_url: base URL of the queue; None takes fal_client's, with FAL_RUN_HOST and FAL_QUEUE_RUN_HOST.
        rest_url, cdn_url: hosts of uploads; None takes fal_client's.
        api_url: base URL of the platform API; None takes fal's where the queue is fal's, and else asks nobody.
        max_streams: status streams open at once; beyond them jobs are polled. 0 polls always.
        store_payloads: False sends `X-Fal-Store-IO: 0` with every submit.
        timings: intervals, limits and timeouts.
        jitter: numbers in [0, 1) that spread retries.
    """

    def __init__(
        self,
        *,
        key: str,
        queue_url: str | None = None,
        rest_url: str | None = None,
        cdn_url: str | None = None,
        api_url: str | None = None,
        max_streams: int = 1000,
        store_payloads: bool = True,
        timings: Timings = Timings(),  # noqa: B008 - frozen
        proxies: Proxies = DIRECT,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._key = key
        self._origins: Origins = resolve(queue_url, api_url)
        self._rest_url, self._cdn_url = rest_url, cdn_url
        self._max_streams = max_streams
        self._store_payloads = store_payloads
        self._timings = timings
        self._proxies = proxies
        self._jitter = jitter
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _open(self, stack: AsyncExitStack) -> None:
        tls = ssl.create_default_context()  # honours SSL_CERT_FILE
        timings = self._timings
        # Idle connections are dropped early: a POST on one that fal has just closed would go unconfirmed.
        calls = ProxiedConnector(
            self._proxies, limit=timings.calls_at_once, ssl=tls, keepalive_timeout=15, ttl_dns_cache=60
        )
        stack.push_async_callback(calls.close)
        streams = ProxiedConnector(self._proxies, limit=0, ssl=tls, ttl_dns_cache=60)
        stack.push_async_callback(streams.close)
        at_home = self._origins.queue_is_loopback
        media = PublicConnector(
            allow_loopback=at_home,
            limit=2 * timings.downloads_at_once,
            tls=tls,
            proxies=self._proxies,
            proxied_by_name=FAL_MEDIA_DOMAINS,
        )
        stack.push_async_callback(media.close)
        secret = {"Authorization": f"Key {self._key}"}
        submits = await stack.enter_async_context(_session(calls, secret, [headers_sent_trace()]))
        self._submits = SubmitClient(submits, self._origins, timings)
        self._calls = await stack.enter_async_context(_session(calls, secret))
        self._streams = await stack.enter_async_context(_session(streams, secret))
        self._media = await stack.enter_async_context(_session(media, {"Accept-Encoding": "identity"}))
        self._downloads = asyncio.Semaphore(timings.downloads_at_once)
        self._uploader: Uploader | None = None
        self._poller = Poller(self._get_status, timings, jitter=self._jitter)
        stack.push_async_callback(self._poller.close)
        self._lists = RequestLookup(partial(self._once, "list"), self._origins.api, timings)
        stack.push_async_callback(self._lists.close)
        self._watcher = StatusWatcher(self._streams, self._poller, timings, max_streams=self._max_streams)

    async def until_broken(self) -> None:
        """Raise what ends the polling of statuses, should that ever happen."""
        await self._poller.until_broken()

    @property
    def unavailable(self) -> bool:
        """Whether the latest status poll was useless: no answer, 429, 5xx, a proxy's page."""
        return self._poller.circuit_breaker.active

    # ------------------------------------------------------------------ submit

    async def submit(
        self,
        endpoint: str,
        arguments: Mapping[str, Json],
        *,
        start_timeout_s: float,
        store_payload: bool = True,
        model: ServedModel | None = None,
        webhook_url: str | None = None,
    ) -> FalRequest:
        """Submit one request with one POST (see the class for what each outcome raises).

        Args:
            endpoint: `owner/alias` or `owner/alias/path`.
            start_timeout_s: fal drops the request if it has not started by then; more than 1.
            store_payload: False keeps this one's payload out of fal's records.
            model: names the model and its successor in a ModelGone.
            webhook_url: where fal calls back when the request has ended.

        Raises:
            ProviderUnreachable: it never left; safe to submit again.
            SubmitUnconfirmed: fal may have it.
            GenerationFailed: fal refused it.
        """
        return await self._submits.submit(
            endpoint,
            arguments,
            start_timeout_s=start_timeout_s,
            store_payload=store_payload and self._store_payloads,
            label=ModelLabel.of(model) if model is not None else ModelLabel(endpoint, endpoint),
            webhook_url=webhook_url,
        )

    # ------------------------------------------------------------------ finding a request again

    async def find_requests(self, endpoint: str, *, since: datetime, until: datetime) -> list[FoundRequest] | None:
        """What fal has on record for this endpoint and time, oldest first, with payloads where it kept them.

        A request that has not started may be missing. None where this key may not see the list (401, 403, 404),
        or where there is none; that answer is cached for a while.

        Raises:
            ProviderUnreachable: no usable answer; ask again later.
        """
        return await self._lists.find(endpoint, since=since, until=until)

    def request_for(self, endpoint: str, request_id: str) -> FalRequest:
        """The addresses of a request known by its id alone. Raises ValueError for what can't be an id."""
        return self._origins.request(endpoint, request_id)

    async def knows(self, request: FalRequest) -> bool | None:
        """Whether fal has a request with this id, asked once; None where it does not say.

        Raises:
            ProviderUnreachable: no usable answer; ask again later.
        """
        self._check_address(request.status_url)
        answer = await self._get_status(request.status_url)
        if answer.ok:
            return True
        return False if answer.status == 404 else None

    # ------------------------------------------------------------------ watch

    def wake(self, request_id: str) -> bool:
        """A callback said that this request has ended: its watcher polls at once, be it streaming or polling.

        An open stream gets a moment to report the end itself, which costs no call. False when nobody watches the
        request; a watch that begins later then begins with a poll.
        """
        return self._watcher.wake(request_id)

    def watch(
        self, request: FalRequest, *, expected_s: float, age_s: float | None = None
    ) -> AsyncGenerator[Status, None]:
        """Statuses up to `CompletedStatus`, each only where it differs from the one before.

        Over the status stream (one HTTP call a job) where fal offers it and fewer than `max_streams` are open, else by
        polling, first at about `expected_s`. Goes on through outages of any length. Close it (`contextlib.aclosing`)
        when leaving early.

        Args:
            expected_s: seconds the job should take from now.
            age_s: how long fal has had it, where an earlier process watched it; it is polled at once.

        Raises:
            RequestNotFound: fal does not know the request. KeyRefused: fal does not accept the key.
            ProviderError: fal refuses the status request.
        """
        self._check_address(request.status_url)
        return self._watcher.watch(request, expected_s=expected_s, age_s=age_s)

    async def _get_status(self, url: str) -> HttpResponse:
        """One status GET for the poller; useful are a 2xx with a JSON object, and definite refusals."""
        answer = await self._once("poll", url, STATUS_BYTES)
        if answer.truncated and len(answer.body) > STATUS_BYTES:  # ask again without the logs
            answer = await self._once("poll", str(URL(url, encoded=True).update_query(logs="0")), STATUS_BYTES)
        is_end = answer.status in (400, 401, 403, 404, 410, 422) and answer.json() is not None
        if is_end or (answer.ok and answer.object() is not None):
            return answer
        raise self._unreachable(answer)

    # ------------------------------------------------------------------ result

    async def result(self, request: FalRequest, *, model: ServedModel) -> Result:
        """The result of a completed request, with one GET unless it has to be retried.

        Raises:
            GenerationFailed: the job's failure (see `failures`), or ResultUnusable.
            ProviderUnreachable: no usable answer at the moment; the picture may still be there, ask again later.
        """
        self._check_address(request.response_url)
        label = ModelLabel.of(model)
        unreadable = 0
        last_answer: HttpResponse | None = None
        async for attempt in self._attempts():
            try:
                answer = await self._once("result", request.response_url, RESULT_BYTES)
            except ProviderUnreachable:
                if attempt.is_last:
                    raise
                continue
            last_answer = answer
            if not answer.ok:
                if (failure := failure_of(answer, label)) is not None:
                    _log_failure(request, answer, failure)
                    raise failure
                attempt.wait_at_least(answer.retry_after_s(self._timings.retry_max_s))
                continue
            body = answer.object()
            if body is not None:
                return _read(body, answer.headers)
            if not answer.truncated and (unreadable := unreadable + 1) > 1:
                break
        assert last_answer is not None
        raise await self._no_result(request, last_answer)

    async def outcome(self, request: FalRequest, *, model: ServedModel) -> Result | GenerationFailed | None:
        """How a request ended, with one GET; None while it is under way, or where fal does not say.

        Raises:
            ProviderUnreachable: no answer.
        """
        self._check_address(request.response_url)
        answer = await self._once("result", request.response_url, RESULT_BYTES)
        if not answer.ok:
            forgotten = answer.status == 404 and answer.object() is not None
            return failure_of(answer, ModelLabel.of(model)) or (RequestNotFound() if forgotten else None)
        body = answer.object()
        try:
            return None if body is None or answer.status == 202 else _read(body, answer.headers)
        except ResultUnusable as error:
            return error

    async def _no_result(self, request: FalRequest, answer: HttpResponse) -> GenerationFailed | ProviderUnreachable:
        """What the last answer means once all attempts have got nothing better."""
        log.warning("no usable result", extra={"request": request.request_id, "status": answer.status})
        if answer.ok:
            return ResultUnusable(phrase("answer_unreadable"))
        if answer.status == 404 and answer.object() is not None:  # an HTML page would be a gateway's
            return ResultUnusable(phrase("result_gone"))
        # A JSON 5xx is about this job, if fal works otherwise; an HTML page of a gateway says only that fal is down.
        if answer.status >= 500 and answer.object() is not None and not await self._is_broken(request):
            return ProviderError()
        return self._unreachable(answer)

    async def _is_broken(self, request: FalRequest) -> bool:
        """Whether fal answers 5xx even to a status it has given before. Raises ProviderUnreachable."""
        self._check_address(request.status_url)
        return (await self._once("poll", request.status_url, STATUS_BYTES)).status >= 500

    # ------------------------------------------------------------------ cancel

    async def cancel(self, request: FalRequest) -> CancelAnswer:
        """Cancel at fal: one PUT, repeated only while there is no usable answer.

        Raises:
            KeyRefused: fal does not accept the key.
            ProviderUnreachable: no usable answer.
        """
        self._check_address(request.cancel_url)
        async for attempt in self._attempts():
            try:
                answer = await self._once("cancel", request.cancel_url, STATUS_BYTES)
            except ProviderUnreachable:
                if attempt.is_last:
                    raise
                continue
            if (meaning := _cancel_meaning(answer)) is not None:
                return meaning
            failure = failure_of(answer, ModelLabel("", "")) if answer.status in (401, 403) else None
            if failure is not None:
                raise failure
            if attempt.is_last:
                raise self._unreachable(answer)
            attempt.wait_at_least(answer.retry_after_s(self._timings.retry_max_s))
        raise AssertionError("the last attempt returns or raises")

    # ------------------------------------------------------------------ pictures

    async def upload(self, body: bytes, content_type: str, file_name: str) -> str:
        """Put a picture into fal's storage; returns its https address (see `Uploader`)."""
        metrics.FAL_CALLS["upload"].inc()
        uploads = await asyncio.to_thread(import_module, "bot.fal.uploads")
        if self._uploader is None:
            origins = {"queue": self._origins.queue, "rest_url": self._rest_url, "cdn_url": self._cdn_url}
            self._stack.enter_context(uploads.fal_client_pointed(**origins))
            timings = self._timings
            self._uploader = uploads.Uploader(self._key, at_once=timings.uploads_at_once, timeout_s=timings.upload_s)
        return await self._uploader.upload(body, content_type, file_name)

    async def download(
        self, picture: RemotePicture, *, max_bytes: int, reserve: Callable[[int], None] | None = None
    ) -> bytes:
        """One picture of a result, at most `max_bytes`; our key is not sent.

        Args:
            reserve: see `bot.media.fetch.get_capped`.

        Raises:
            ResultUnusable: too large, empty, gone, or at an address that is not followed.
            ProviderUnreachable: the network or the server failed for all tries.
        """
        try:
            if picture.url[:5].lower() == "data:":
                body = decode_data_uri(picture.url, max_bytes=max_bytes)
                if reserve is not None:
                    reserve(len(body))
            else:
                async with self._downloads:
                    body = await self._fetch(picture.url, max_bytes, reserve)
        except DownloadTooLarge as error:
            raise ResultUnusable(phrase("download_too_large", mebibytes=round(max_bytes / 1_048_576))) from error
        except BadAddress as error:
            raise ResultUnusable(phrase("download_bad_address")) from error
        if not body:
            raise ResultUnusable(phrase("picture_empty"))
        return body

    async def _fetch(self, address: str, max_bytes: int, reserve: Callable[[int], None] | None) -> bytes:
        body = b""
        async for attempt in self._attempts():
            metrics.FAL_CALLS["media"].inc()
            try:
                body = await get_capped(
                    self._media,
                    address,
                    max_bytes=max_bytes,
                    timeout_s=self._timings.download_s,
                    may_follow=self._origins.may_download,
                    reserve=reserve,
                )
            except BadStatus as error:
                if attempt.is_last and error.status in _GONE_PICTURE:
                    raise ResultUnusable(phrase("download_gone")) from error
                if attempt.is_last:
                    raise ProviderUnreachable("The picture could not be fetched.") from error
            except NETWORK_ERRORS as error:
                if attempt.is_last:
                    raise ProviderUnreachable("The picture could not be fetched.") from error
            else:
                if body:
                    break
        return body

    # ------------------------------------------------------------------ shared

    async def _once(self, call: metrics.FalCall, url: str, max_bytes: int) -> HttpResponse:
        """One call with our key. Raises ProviderUnreachable when no answer comes."""
        method = "PUT" if call == "cancel" else "GET"
        metrics.FAL_CALLS[call].inc()
        timeout = aiohttp.ClientTimeout(total=self._timings.call_s, sock_connect=self._timings.connect_s)
        try:
            async with self._calls.request(
                method, URL(url, encoded=True), allow_redirects=False, timeout=timeout
            ) as response:
                return await read_response(response, max_bytes)
        except NETWORK_ERRORS as error:
            raise ProviderUnreachable("fal.ai did not answer.") from error

    def _attempts(self) -> retry:
        """The attempts of one idempotent call, with pauses that double."""
        timings = self._timings
        pauses_s = [min(timings.retry_s * 2**number, timings.retry_max_s) for number in range(timings.tries - 1)]
        return retry(pauses_s, jitter=0.25)

    def _unreachable(self, answer: HttpResponse) -> ProviderUnreachable:
        return ProviderUnreachable(
            f"fal.ai gave no usable answer ({answer.status}).", answer.retry_after_s(self._timings.retry_after_max_s)
        )

    def _check_address(self, address: str) -> None:
        """Never send our key to the host of a request that was stored under another configuration."""
        if not self._origins.may_see_key(address):
            log.warning("a request belongs to another host than the configured queue")
            raise ProviderError(told_by_fal=False)


def _read(body: Mapping[str, Json], headers: Mapping[str, str]) -> Result:
    """The result in a body. Raises ResultUnusable, with what fal billed for it."""
    try:
        return read_result(body, headers)
    except ResultUnusable as error:
        error.billable_units = billable_units(headers)
        raise


def _session(
    connector: aiohttp.TCPConnector, headers: Mapping[str, str], traces: list[aiohttp.TraceConfig] | None = None
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=False,
        headers={"User-Agent": USER_AGENT, **headers},
        skip_auto_headers=("Content-Type",),  # a cancel has no body
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=traces,
    )


def _log_failure(request: FalRequest, answer: HttpResponse, failure: GenerationFailed) -> None:
    log.info(
        "fal ended a request", extra={"request": request.request_id, "status": answer.status, "code": failure.code}
    )


def _cancel_meaning(answer: HttpResponse) -> CancelAnswer | None:
    body = answer.object() or {}
    said = str(body.get("status", "")).upper()
    if said == "ALREADY_COMPLETED" or (answer.ok and body.get("success") is False):
        return CancelAnswer.ALREADY_COMPLETED
    if answer.ok:
        return CancelAnswer.REMOVED_OR_REQUESTED
    if answer.status in (400, 404, 410, 422):
        return CancelAnswer.UNKNOWN
    return None
