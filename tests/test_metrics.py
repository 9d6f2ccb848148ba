from __future__ import annotations

import re
import sys
import time

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot import metrics
from bot.settings import WebSettings
from bot.web import start


async def _health() -> dict[str, bool]:
    return {"all": True}


async def ask(settings: WebSettings) -> tuple[int, str, str]:
    runner = await start(settings, _health)
    try:
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}/metrics") as response:
            return response.status, response.headers["Content-Type"], await response.text()
    finally:
        await runner.cleanup()


async def test_prometheus_can_read_the_figures() -> None:
    status, content_type, text = await ask(WebSettings())
    assert (status, content_type) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["easel_jobs_accepted"].type == "counter"
    calls = {sample.labels["call"] for sample in families["easel_fal_calls"].samples}
    assert calls == {"submit", "stream", "poll", "result", "media", "cancel", "list", "upload"}
    assert (sys.platform != "linux") or families["process_resident_memory_bytes"].samples[0].value > 1e6


async def test_the_figures_can_be_switched_off() -> None:
    assert (await ask(WebSettings(metrics=False)))[0] == 404


def test_names_carry_our_prefix_and_their_units_and_labels_name_nobody() -> None:
    for family in metrics.REGISTRY.collect():
        assert re.fullmatch(r"(easel|process)_[a-z_]+", family.name), family.name
        assert family.documentation.endswith(".")
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_ratio"))
        labels = {name for sample in family.samples for name in sample.labels}
        assert labels <= {"code", "outcome", "call", "period", "budget", "percent", "le"}
        assert not any(sample.name.endswith("_created") for sample in family.samples)


def test_counting_costs_microseconds() -> None:
    began_s = time.process_time()
    for _ in range(100_000):
        metrics.FAL_CALLS["poll"].inc()
    assert (time.process_time() - began_s) / 100_000 < 20e-6


@pytest.mark.parametrize("outcome", metrics.CALLBACKS)
def test_every_series_is_there_before_anything_happens(outcome: str) -> None:
    assert metrics.REGISTRY.get_sample_value("easel_callbacks_total", {"outcome": outcome}) is not None
