"""What `check` examines at fal.ai: key, balance, uploads and prices. Nothing here is billed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import aiohttp

from bot.catalogue import Catalogue
from bot.cli.check.findings import ExaminationEnded, Finding, fault, ok, unreachable, warning
from bot.cli.prices import differences, read_kept, read_live
from bot.errors import BalanceExhausted, SettingsInvalid
from bot.fal.failures import account_failure
from bot.fal.http import HttpResponse, read_response
from bot.fal.pricing import FalPrice, PricesUnreadable
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
        self._settings = settings
        self._headers = {"Authorization": f"Key {settings.fal.key.get_secret_value()}"}

    async def examine(self) -> AsyncIterator[Finding]:
        """Every finding; ends early where fal can't be asked further."""
        try:
            yield await self._key()
            yield await self._balance()
            for finding in await self._prices():
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

    async def _prices(self) -> list[Finding]:
        """A warning for each price that differs: by what fal says now, else by what was kept."""
        models, kept_of = self._catalogue.models, ""
        try:
            prices: Sequence[FalPrice] = await read_live(self._settings, models)
        except (PricesUnreadable, SettingsInvalid):
            kept = await read_kept(self._settings.database_url)
            if kept is None:
                return []  # prices are optional
            prices, kept_of = kept.prices, f" (read on {kept.date})"
        apart = [warning(f"Price of {one.sentence}{kept_of}", one.advice) for one in differences(models, prices)]
        return apart or [ok(f"fal.ai: its prices are those that Easel reckons with{kept_of}")]

    async def _request(self, method: str, url: str) -> HttpResponse:
        try:
            async with self._session.request(
                method, url, headers=self._headers, json={} if method == "POST" else None, allow_redirects=False
            ) as response:
                return await read_response(response, _MAX_BODY_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ExaminationEnded(unreachable("fal.ai", url.split("/", 3)[2], error)) from error


def _no_credit() -> Finding:
    return fault("fal.ai: the account has no credit left", "Top it up on fal.ai's dashboard, under Billing.")
