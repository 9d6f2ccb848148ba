"""What tests of the page do again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from playwright.async_api import Page

from tests.e2e.page.fake_server import PageFake
from tests.e2e.page.recorded import Obj

#: Opens the page, on a phone or a desktop, at an address such as #ada/general.
Open = Callable[..., Awaitable[Page]]


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(8):
        while not holds():
            await asyncio.sleep(0.01)


def sent(fake: PageFake, kind: str) -> list[Obj]:
    return [body for what, body in fake.posted if what == "interact" and body["kind"] == kind]


async def begin(page: Page, command: str) -> None:
    await page.get_by_test_id("composer").fill(f"/{command}")
    await page.locator(f"[data-testid=command-suggestion][data-value='{command}']").click()


async def until(page: Page, expression: str) -> None:
    """Like `wait_for_function`, which evaluates within the page: its security policy does not let it try again."""
    async with asyncio.timeout(30):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)
