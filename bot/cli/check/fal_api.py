"""What `check` examines at fal.ai: key, balance, uploads and prices. Nothing here is billed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp

from bot.catalogue import Catalogue, Model
from bot.cli.check.findings import ExaminationEnded, Finding, fault, ok, unreachable, warning
from bot.errors import BalanceExhausted
from bot.fal.failures import account_failure
from bot.fal.http import HttpResponse, read_response
from bot.settings import Settings

_MAX_BODY_BYTES = 64 * 1024


class FalExamination:
    """Examines the account behind the fal key."""

    def __init__(self, session: aiohttp.ClientSession, settings: Settings, catalogue: Catalogue) -> None:
        assert settings.fal.key is not None
        self._session = session
        self._catalogue = catalogue
        self._queue = (settings.fal.queue_url or "https://queue.fal.run").rstrip("/")
        self._rest = (settings.fal.rest_url or "https://rest.fal.ai").rstrip("/")
        # Prices come from fal's own API; where the queue is a stand-in, its made-up key is not sent there.
        self._prices = "https://api.fal.ai/v1" if settings.fal.queue_url is None else None
        self._headers = {"Authorization": f"Key {settings.fal.key.get_secret_value()}"}

    async def examine(self) -> AsyncIterator[Finding]:
        """Every finding; ends early where fal can't be asked further."""
        try:
            yield await self._key()
            yield await self._balance()
            if self._prices is not None:
                for finding in await self._live_prices(self._prices):
                    yield finding
        except ExaminationEnded as unusable:
            yield unusable.finding

    async def _key(self) -> Finding:
        """Ask for the status of a request that never was: 404 with a good key, 401 with a bad one; free."""
        url = f"{self._queue}/fal-ai/flux-1/requests/{uuid4()}/status"
        answer = await self._request("GET", url)
        if isinstance(account_failure(answer), BalanceExhausted):
            raise ExaminationEnded(_no_credit())
        if answer.status in (401, 403):
            raise ExaminationEnded(
                fault(
                    "fal.ai: the key is not accepted",
                    "Make a new one on fal.ai's dashboard (API keys) and set it as FAL_KEY.",
                )
            )
        if answer.status >= 500 or answer.status == 429:
            raise ExaminationEnded(
                warning(f"fal.ai: answered {answer.status}, so the key could not be tried", "Try again in a minute.")
            )
        return ok("fal.ai: the key is accepted")

    async def _balance(self) -> Finding:
        """An account without credit is refused even the upload token that each input picture needs; free."""
        url = f"{self._rest}/storage/auth/token?storage_type=fal-cdn-v3"
        answer = await self._request("POST", url)
        if isinstance(account_failure(answer), BalanceExhausted):
            return _no_credit()
        if answer.status in (401, 403):
            return warning(
                f"fal.ai: uploads are refused ({answer.status})",
                "Give the key the scope API: pictures sent to a model need it.",
            )
        if answer.status >= 400:
            return warning(
                f"fal.ai: its upload service answered {answer.status}", "Only models that take a picture need it."
            )
        return ok("fal.ai: the account has credit, and uploads work")

    async def _live_prices(self, base: str) -> list[Finding]:
        query = urlencode({"endpoint_id": ",".join([model.endpoint for model in self._catalogue.models][:50])})
        try:
            answer = await self._request("GET", f"{base}/models/pricing?{query}")
            body = json.loads(answer.body)
            return other_prices(self._catalogue.models, body.get("prices", ())) if answer.status == 200 else []
        except (ExaminationEnded, ValueError, AttributeError, TypeError):
            return []  # prices are optional

    async def _request(self, method: str, url: str) -> HttpResponse:
        try:
            async with self._session.request(
                method, url, headers=self._headers, json={} if method == "POST" else None, allow_redirects=False
            ) as response:
                return await read_response(response, _MAX_BODY_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExaminationEnded(unreachable("fal.ai", url.split("/", 3)[2], error)) from error


def other_prices(models: Iterable[Model], live: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """A warning for each model whose price fal states differently."""
    by_endpoint = {model.endpoint: model for model in models if model.price.table is None}
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


def _no_credit() -> Finding:
    return fault("fal.ai: the account has no credit left", "Top it up on fal.ai's dashboard, under Billing.")
