"""`python -m bot models prices`: fal's prices read, kept with their date, and shown beside ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.catalogue import Catalogue, load
from bot.cli.prices import KeptPrices, differences, fal_text, read_kept, refresh, show
from bot.errors import SettingsInvalid
from bot.fal.pricing import FalPrice, PriceList, PricesUnreadable
from bot.settings import Settings
from bot.store import Store
from sandbox.fal import FakeFal
from tests.store.makers import somebody_else

_KEY = "key-id:key-secret"
_NOW = datetime(2026, 11, 30, 14, 5, tzinfo=UTC)


def _settings(folder: Path, url: str, **fal: Any) -> Settings:
    return Settings.model_validate(
        {
            "database_url": f"sqlite:///{folder}/easel.db",
            "fal": {"key": _KEY, "queue_url": url, "api_url": url, **fal},
        }
    )


@pytest.fixture
async def fake_fal() -> AsyncIterator[FakeFal]:
    async with FakeFal(key=_KEY) as running:
        yield running


async def _refreshed(settings: Settings) -> tuple[int, str]:
    lines: list[str] = []
    code = await refresh(settings, lines.append, now=lambda: _NOW)
    return code, "\n".join(lines)


async def _shown(settings: Settings) -> str:
    lines: list[str] = []
    assert await show(settings, lines.append) == 0
    return "\n".join(lines)


async def test_prices_are_read_kept_and_shown_with_their_date(tmp_path: Path, fake_fal: FakeFal) -> None:
    settings = _settings(tmp_path, fake_fal.url)
    assert "were not read yet: python -m bot models prices --refresh" in await _shown(settings)

    code, text = await _refreshed(settings)

    assert code == 0
    assert text == await _shown(settings)
    assert "Read from fal.ai on 2026-11-30 14:05 UTC." in text
    rows = [line.split() for line in text.splitlines()]
    assert ["flux-schnell", "$0.003", "per", "megapixel", "$0.003", "per", "megapixel"] in rows
    assert ["z-image", "price", "unknown", "not", "told"] in rows
    assert "differs" not in text


async def test_prices_are_kept_while_the_bot_has_the_database(tmp_path: Path, fake_fal: FakeFal) -> None:
    settings = _settings(tmp_path, fake_fal.url)
    store = await Store.open(settings.database_url)
    try:
        code, _ = await _refreshed(settings)
    finally:
        await store.close()
    kept = await read_kept(settings.database_url)

    assert code == 0
    assert kept is not None
    assert kept.read_at == _NOW
    assert FalPrice("fal-ai/imagen4/preview", Decimal("0.0398"), "images") in kept.prices


async def test_prices_that_cannot_be_kept_are_shown_all_the_same(fake_fal: FakeFal) -> None:
    with somebody_else() as folder:
        folder.chmod(0o500)
        code, text = await _refreshed(_settings(folder, fake_fal.url))

    assert code == 1
    assert "flux-schnell     $0.003 per megapixel" in text
    assert "They could not be kept: " in text
    assert "Let the user that runs Easel write in its folder." in text


async def test_a_key_that_may_not_is_told_what_to_do_and_what_was_kept_stays(tmp_path: Path, fake_fal: FakeFal) -> None:
    settings = _settings(tmp_path, fake_fal.url)
    await _refreshed(settings)
    fake_fal.faults.pricing_refused = True

    code, text = await _refreshed(settings)

    assert code == 1
    assert "does not tell this key its prices (status 403)" in text
    assert await read_kept(settings.database_url) is not None


async def test_fal_out_of_reach_or_out_of_order_is_a_sentence(tmp_path: Path, fake_fal: FakeFal) -> None:
    fake_fal.faults.gateway_error = -1
    assert "(status 502)" in (await _refreshed(_settings(tmp_path, fake_fal.url)))[1]
    assert "could not be reached" in (await _refreshed(_settings(tmp_path, "http://127.0.0.1:9")))[1]


@pytest.mark.parametrize(
    ("fal", "told"),
    [({"key": None}, "Set FAL_KEY"), ({"api_url": None}, "EASEL_FAL__API_URL")],
)
async def test_without_a_key_or_anybody_to_ask_it_is_a_sentence(
    tmp_path: Path, fake_fal: FakeFal, fal: dict[str, Any], told: str
) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        await _refreshed(_settings(tmp_path, fake_fal.url, **fal))
    assert told in str(caught.value)


# ---------------------------------------------------------------------- what differs


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load(has_openai_key=True)


@pytest.mark.parametrize(
    ("endpoint", "usd", "unit", "differs"),
    [
        ("fal-ai/flux-1/schnell", "0.003", "megapixels", False),
        ("fal-ai/flux-1/schnell", "0.0033", "megapixel", False),
        ("fal-ai/flux-1/schnell", "0.00331", "Megapixels", True),
        ("fal-ai/flux-1/schnell", "0.0027", "output megapixels", False),
        ("fal-ai/flux-1/schnell", "0.0026", "megapixels", True),
        ("fal-ai/flux-1/schnell", "0.003", "images", True),
        ("fal-ai/flux-1/schnell", "0.003", "processed megapixels", True),
        # what Easel can't reckon by is not compared
        ("fal-ai/flux-1/schnell", "0.9", "compute seconds", False),
        ("fal-ai/gpt-image-1/text-to-image/byok", "1", "units", False),
        # one of several prices
        ("fal-ai/ideogram/v3", "0.09", "images", False),
        ("fal-ai/ideogram/v3", "0.045", "images", True),
        # nothing known here
        ("fal-ai/z-image/base", "0.01", "megapixels", True),
        ("fal-ai/f-lite/standard", "0.01", "compute seconds", True),
        ("fal-ai/never-heard-of", "1", "images", False),
    ],
)
def test_a_price_more_than_a_tenth_away_differs(
    catalogue: Catalogue, endpoint: str, usd: str, unit: str, differs: bool
) -> None:
    found = differences(catalogue.models, [FalPrice(endpoint, Decimal(usd), unit)])
    assert bool(found) is differs


def test_a_difference_comes_with_what_to_set(catalogue: Catalogue) -> None:
    prices = [
        FalPrice("fal-ai/flux-1/schnell", Decimal("0.0040"), "megapixels"),
        FalPrice("fal-ai/ideogram/v3", Decimal("0.5"), "images"),
    ]
    plain, table = differences(catalogue.models, prices)
    assert plain.advice == 'Set "flux-schnell" = "0.004" under [models.prices_usd] to reckon with it.'
    assert "A model file of your own" in table.advice


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"read_at": "soon", "prices": []}', '{"prices": 3}'])
def test_what_was_kept_by_nobody_we_know_is_nothing(text: str | None) -> None:
    assert KeptPrices.from_json(text) is None


def test_nothing_secret_is_shown_in_place_of_a_unit() -> None:
    assert _KEY not in fal_text(FalPrice("x", Decimal(1), "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"))


# ---------------------------------------------------------------------- fal's list


@asynccontextmanager
async def _answering(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[PriceList]:
    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_get("/v1/models/pricing", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            yield PriceList(session, f"http://127.0.0.1:{runner.addresses[0][1]}", _KEY)
    finally:
        await runner.cleanup()


def _entry(endpoint: str, usd: object = 0.5, **more: object) -> dict[str, object]:
    return {"endpoint_id": endpoint, "unit_price": usd, "unit": "images", "currency": "USD", **more}


async def test_many_endpoints_are_asked_for_fifty_at_a_time_and_page_by_page() -> None:
    asked: list[tuple[int, str | None]] = []

    def answer(request: web.Request) -> web.Response:
        endpoints = request.query["endpoint_id"].split(",")
        cursor = request.query.get("cursor")
        asked.append((len(endpoints), cursor))
        assert request.headers["Authorization"] == f"Key {_KEY}"
        half = endpoints[::2] if cursor is None else endpoints[1::2]
        more = None if cursor else "next"
        return web.json_response({"prices": [_entry(one) for one in half], "next_cursor": more, "has_more": bool(more)})

    endpoints = [f"fal-ai/{number}" for number in range(120)]
    async with _answering(answer) as prices:
        found = await prices.read(endpoints)
    assert {price.endpoint for price in found} == set(endpoints)
    assert asked == [(50, None), (50, "next"), (50, None), (50, "next"), (20, None), (20, "next")]


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_an_endpoint_that_fal_no_longer_has_hides_no_other(status: int) -> None:
    def answer(request: web.Request) -> web.Response:
        endpoints = request.query["endpoint_id"].split(",")
        if "fal-ai/7" in endpoints:
            return web.json_response({"error": {"message": "Endpoint fal-ai/7 not found"}}, status=status)
        return web.json_response({"prices": [_entry(one) for one in endpoints]})

    async with _answering(answer) as prices:
        found = await prices.read([f"fal-ai/{number}" for number in range(20)])
    assert {price.endpoint for price in found} == {f"fal-ai/{number}" for number in range(20) if number != 7}


async def test_entries_that_are_no_price_in_dollars_are_skipped() -> None:
    entries: list[object] = [
        _entry("a", "0.25"),
        _entry("b", 0),
        _entry("c", currency="EUR"),
        *(_entry("d", usd) for usd in (None, True, "free", "NaN", -1, 1e9, [1])),
        _entry("e", endpoint_id=7),
        "f",
        _entry("g", 0.1, unit=None),
    ]

    async with _answering(
        lambda _: web.json_response({"prices": entries, "next_cursor": "x", "has_more": False})
    ) as one:
        found = await one.read(["a"])
    assert found == [
        FalPrice("a", Decimal("0.25"), "images"),
        FalPrice("b", Decimal(0), "images"),
        FalPrice("g", Decimal("0.1"), "unit"),
    ]


@pytest.mark.parametrize(("status", "body"), [(401, "{}"), (429, "{}"), (500, "{}"), (200, "[]"), (200, "<html>")])
async def test_anything_else_is_unreadable(status: int, body: str) -> None:
    async with _answering(lambda _: web.Response(status=status, text=body)) as prices:
        with pytest.raises(PricesUnreadable) as caught:
            await prices.read(["a", "b"])
    assert (caught.value.status, caught.value.is_refused) == (status, status == 401)


async def test_a_list_without_an_end_is_given_up() -> None:
    asked = 0

    def answer(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({"prices": [], "next_cursor": "again", "has_more": True})

    async with _answering(answer) as prices:
        assert await prices.read(["a"]) == []
    assert asked == 20
