"""fal's price list.

`GET {api_url}/v1/models/pricing` (docs: platform-apis/v1/models/pricing)::

    ?endpoint_id=…            one to 50 ids
    &cursor=…

    {"prices": [{"endpoint_id", "unit_price": 0.025, "unit": "megapixels", "currency": "USD"}],
     "next_cursor": "…" | null, "has_more": true}

An endpoint that fal no longer has can fail the whole question, so that one is asked again by halves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from urllib.parse import urlencode

import aiohttp

from bot.domain.request import Json
from bot.fal.http import NETWORK_ERRORS, HttpResponse, read_response

_ENDPOINTS_AT_ONCE = 50
_MOST_PAGES = 20
_MOST_BYTES = 256 * 1024
_MOST_USD = Decimal(1_000_000)
#: Answers that are about one of the endpoints, and not about the key or fal's health.
_ABOUT_AN_ENDPOINT = frozenset({400, 404, 410, 422})


@dataclass(frozen=True, slots=True)
class FalPrice:
    """What fal takes for a unit of an endpoint."""

    endpoint: str
    usd: Decimal
    #: As fal writes it: `images`, `megapixels`, `compute seconds`, …
    unit: str


class PricesUnreadable(Exception):
    """fal did not tell: the status of its answer, or None where it could not be asked."""

    def __init__(self, status: int | None) -> None:
        self.status = status
        super().__init__(f"status {status}")

    @property
    def is_refused(self) -> bool:
        """Whether it is the key that may not."""
        return self.status in {401, 403}


class PriceList:
    """Asks for prices, over a session of the caller's.

    Args:
        api_url: base URL of the platform API, without a slash at its end.
        key: the API key; the caller sees to it that it may be sent there.
    """

    def __init__(self, session: aiohttp.ClientSession, api_url: str, key: str) -> None:
        self._session = session
        self._url = f"{api_url}/v1/models/pricing"
        self._headers = {"Authorization": f"Key {key}"}

    async def read(self, endpoints: Sequence[str]) -> list[FalPrice]:
        """The prices in US dollars of those endpoints that fal has one for.

        Raises:
            PricesUnreadable: fal does not tell this key, or does not answer.
        """
        found: list[FalPrice] = []
        for start in range(0, len(endpoints), _ENDPOINTS_AT_ONCE):
            found += await self._some(endpoints[start : start + _ENDPOINTS_AT_ONCE])
        return found

    async def _some(self, endpoints: Sequence[str]) -> list[FalPrice]:
        try:
            return await self._pages(endpoints)
        except PricesUnreadable as error:
            if error.status not in _ABOUT_AN_ENDPOINT:
                raise
            if len(endpoints) < 2:
                return []
        half = len(endpoints) // 2
        return [*await self._some(endpoints[:half]), *await self._some(endpoints[half:])]

    async def _pages(self, endpoints: Sequence[str]) -> list[FalPrice]:
        found: list[FalPrice] = []
        query = {"endpoint_id": ",".join(endpoints)}
        for _ in range(_MOST_PAGES):
            body = (await self._ask(query)).object()
            if body is None or not isinstance(listed := body.get("prices"), list):
                raise PricesUnreadable(200)
            found += [price for entry in listed if (price := _price(entry)) is not None]
            cursor = body.get("next_cursor")
            if not isinstance(cursor, str) or not cursor or body.get("has_more") is False:
                break
            query["cursor"] = cursor
        return found

    async def _ask(self, query: Mapping[str, str]) -> HttpResponse:
        try:
            async with self._session.get(
                f"{self._url}?{urlencode(query)}", headers=self._headers, allow_redirects=False
            ) as response:
                answer = await read_response(response, _MOST_BYTES)
        except NETWORK_ERRORS as error:
            raise PricesUnreadable(None) from error
        if not answer.ok:
            raise PricesUnreadable(answer.status)
        return answer


def _price(entry: Json) -> FalPrice | None:
    """One entry; None where it is no price in US dollars."""
    if not isinstance(entry, dict):
        return None
    endpoint, usd, unit = entry.get("endpoint_id"), _usd(entry.get("unit_price")), entry.get("unit")
    if not isinstance(endpoint, str) or usd is None or entry.get("currency", "USD") != "USD":
        return None
    return FalPrice(endpoint, usd, unit[:40] if isinstance(unit, str) and unit else "unit")


def _usd(given: Json) -> Decimal | None:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        usd = Decimal(str(given)[:40])
    except InvalidOperation:
        return None
    return usd if usd.is_finite() and 0 <= usd <= _MOST_USD else None
