"""Submitting one request with exactly one POST, and telling what became of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from types import SimpleNamespace

import aiohttp
from yarl import URL

from bot import metrics
from bot.domain.job import FalRequest
from bot.domain.request import Json
from bot.errors import GenerationFailed, ProviderError, ProviderUnreachable, SubmitUnconfirmed
from bot.fal.failures import ModelLabel, failure_of
from bot.fal.http import NETWORK_ERRORS, STATUS_BYTES, HttpResponse, read_response
from bot.fal.origins import REQUEST_ID, Origins
from bot.fal.timings import Timings

log = logging.getLogger(__name__)


class SubmitClient:
    """POSTs requests to fal's queue; `Fal.submit` says what is raised when.

    Args:
        session: made with `headers_sent_trace()`; carries the key.
    """

    def __init__(self, session: aiohttp.ClientSession, origins: Origins, timings: Timings) -> None:
        self._session = session
        self._origins = origins
        self._timings = timings

    async def submit(
        self,
        endpoint: str,
        arguments: Mapping[str, Json],
        *,
        start_timeout_s: float,
        store_payload: bool,
        label: ModelLabel,
        webhook_url: str | None,
    ) -> FalRequest:
        """One POST, counted in the metrics by its outcome."""
        headers = {"Content-Type": "application/json", "X-Fal-Request-Timeout": str(float(start_timeout_s))}
        if not store_payload:
            headers["X-Fal-Store-IO"] = "0"
        body = json.dumps(dict(arguments), separators=(",", ":"), allow_nan=False).encode()
        url = self._origins.submit_url(endpoint, webhook_url=webhook_url)
        outcome: metrics.SubmitOutcome = "unconfirmed"
        try:
            request = self._accepted(await self._post(url, body, headers), endpoint, label)
            outcome = "accepted"
        except ProviderUnreachable:
            outcome = "unreachable"
            raise
        except GenerationFailed:
            outcome = "refused"
            raise
        finally:
            metrics.SUBMITS[outcome].inc()
        return request

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> HttpResponse:
        progress = _PostProgress()
        metrics.FAL_CALLS["submit"].inc()
        try:
            async with self._session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=self._timings.submit_s, sock_connect=self._timings.connect_s),
                trace_request_ctx=progress,
            ) as response:
                return await read_response(response, STATUS_BYTES)
        except NETWORK_ERRORS as error:
            if not progress.headers_sent:
                raise ProviderUnreachable("fal.ai could not be reached.") from error
            raise SubmitUnconfirmed("The connection to fal.ai broke before it answered.") from error

    def _accepted(self, answer: HttpResponse, endpoint: str, label: ModelLabel) -> FalRequest:
        """The request that fal accepted; raises whatever else the answer means."""
        if answer.ok:
            return self._request(answer, endpoint)
        log.info("fal refused a submit", extra={"endpoint": endpoint, "status": answer.status})
        if answer.status in (408, 409, 429) or _came_from_ingress(answer):
            raise ProviderUnreachable(
                "fal.ai turned the request away.", answer.retry_after_s(self._timings.retry_after_max_s)
            )
        if answer.status >= 500:
            named = answer.headers.get("x-fal-request-id", "")
            request_id = named if REQUEST_ID.fullmatch(named) else None
            raise SubmitUnconfirmed(
                f"fal.ai answered {answer.status} to a submit.", refused=True, request_id=request_id
            )
        if answer.status == 404:  # no such endpoint, whatever the body says
            answer = HttpResponse(410, {}, answer.body)
        raise failure_of(answer, label) or ProviderError()

    def _request(self, answer: HttpResponse, endpoint: str) -> FalRequest:
        """Addresses as fal gave them, where our key may be sent there, else as fal documents them."""
        body = answer.object() or {}
        request_id = body.get("request_id")
        if not isinstance(request_id, str) or not REQUEST_ID.fullmatch(request_id):
            raise SubmitUnconfirmed("fal.ai's answer to a submit could not be read.")
        documented = self._origins.request(endpoint, request_id)

        def address(name: str, fallback: str) -> str:
            given = body.get(name)
            if given == fallback:  # as it mostly is
                return fallback
            return given if isinstance(given, str) and self._origins.may_see_key(given) else fallback

        return FalRequest(
            request_id=request_id,
            status_url=address("status_url", documented.status_url),
            response_url=address("response_url", documented.response_url),
            cancel_url=address("cancel_url", documented.cancel_url),
        )


class _PostProgress:
    """How far one POST has come; set by the trace below."""

    headers_sent = False


def headers_sent_trace() -> aiohttp.TraceConfig:
    """Records in `trace_request_ctx` that a request's headers were handed to the connection."""

    async def record(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        context.trace_request_ctx.headers_sent = True

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(record)
    return config


def _came_from_ingress(answer: HttpResponse) -> bool:
    """Whether a 503 certainly came from in front of fal's queue, so that fal can't have the request."""
    if answer.status != 503 or "x-fal-request-id" in answer.headers:
        return False
    return b"nginx" in answer.body or "Retry-After" in answer.headers
