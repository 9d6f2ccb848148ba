from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping

import pytest

from bot.cli import probe
from bot.errors import SettingsInvalid
from bot.settings import WebSettings
from bot.web import start


async def test_health_asks_the_running_bot() -> None:
    parts = {"discord": True}

    async def how_it_is() -> Mapping[str, bool]:
        return parts

    lines: list[str] = []
    runner = await start(WebSettings(), how_it_is)
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/health"
        assert await asyncio.to_thread(probe.ask, url, lines.append) == 0
        parts["discord"] = False
        assert await asyncio.to_thread(probe.ask, url, lines.append) == 1
    finally:
        await runner.cleanup()

    assert '"not ready"' in lines[1]
    assert await asyncio.to_thread(probe.ask, url, lines.append) == 1
    assert lines[2].startswith(f"no answer from {url}")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080/health"),
        ("0.0.0.0", "http://127.0.0.1:8080/health"),
        ("::", "http://[::1]:8080/health"),
    ],
)
def test_the_address_follows_the_settings(host: str, url: str) -> None:
    assert probe.url_of(WebSettings(host=host, port=8080)) == url


def test_without_a_port_there_is_nobody_to_ask() -> None:
    with pytest.raises(SettingsInvalid, match="EASEL_WEB__PORT"):
        probe.url_of(WebSettings())


@pytest.mark.parametrize("url", ["8080", "file:///etc/passwd", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="is no URL"):
        probe.ask(url, print)


def test_asking_loads_neither_discord_nor_the_settings() -> None:
    code = (
        "import sys, bot.__main__, bot.cli.probe; print(sorted({'discord', 'aiohttp', 'pydantic'} & set(sys.modules)))"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert said == "[]\n"
