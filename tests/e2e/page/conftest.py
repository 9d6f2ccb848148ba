"""A browser for each file of tests, and the page over a fake API."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright

from tests.e2e.page.fake_server import PageFake
from tests.e2e.page.steps import Open

_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_ARGS += ["--disable-component-update", "--disable-sync"]
_DESKTOP: ViewportSize = {"width": 1440, "height": 900}
_PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest_asyncio.fixture(loop_scope="module")
async def fake() -> AsyncIterator[PageFake]:
    fake = PageFake()
    yield fake
    await fake.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=_ARGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def desktop(browser: Browser) -> BrowserContext:
    return await browser.new_context(viewport=_DESKTOP)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def phone_(browser: Browser) -> BrowserContext:
    return await browser.new_context(viewport=_PHONE, has_touch=True, is_mobile=True)


@pytest_asyncio.fixture(loop_scope="module")
async def visit(fake: PageFake, desktop: BrowserContext, phone_: BrowserContext) -> AsyncIterator[Open]:
    """Opens the page; at the end nothing may have been written to the console."""
    complaints: list[str] = []
    url = await fake.start()

    async def go(*, phone: bool = False, at: str = "") -> Page:
        page = await (phone_ if phone else desktop).new_page()
        page.set_default_timeout(8000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
        await page.goto(url + at)
        await page.wait_for_selector("body[data-ready=true]")
        return page

    yield go
    for page in [*desktop.pages, *phone_.pages]:
        await page.close()
    assert complaints == []
