"""What the real bot posts and asks, as the page shows it: axe finds nothing, and nothing scrolls sideways."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page.axe import violations
from tests.e2e.test_happy_path import (
    DESKTOP,
    PHONE,
    button,
    imagine,
    message_with,
    open_page,
    the_browser,
    the_sandbox,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROMPT = "a red lighthouse in a storm"
Step = Callable[[Page], Awaitable[None]]


@asynccontextmanager
async def one_more_private_answer(page: Page) -> AsyncIterator[None]:
    """Wait at its end until there is one private answer more than at its start."""
    shown = page.locator("[data-testid=message][data-ephemeral=true]:not([data-loading])")
    before = await shown.count()
    yield
    await expect(shown).to_have_count(before + 1)


def command(name: str) -> Step:
    """Run a command without options and wait for its private answer."""

    async def run(page: Page) -> None:
        async with one_more_private_answer(page):
            await page.get_by_test_id("composer").fill(f"/{name}")
            await page.get_by_test_id("send").click()

    return run


async def a_picture(page: Page) -> None:
    await imagine(page, PROMPT)
    await expect(message_with(page, PROMPT).get_by_test_id("picture")).to_be_visible()


async def its_details(page: Page) -> None:
    async with one_more_private_answer(page):
        await button(message_with(page, PROMPT).first, "Details").click()
    await expect(page.get_by_test_id("answered")).to_be_visible()


async def its_form(page: Page) -> None:
    await button(message_with(page, PROMPT).first, "Edit prompt").click()
    await expect(page.get_by_test_id("modal")).to_be_visible()


async def closed(page: Page) -> None:
    await page.get_by_test_id("modal-cancel").click()
    await expect(page.get_by_test_id("modal")).to_have_count(0)


async def an_empty_form(page: Page) -> None:
    await page.get_by_test_id("composer").fill("/compose")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("modal")).to_be_visible()


async def a_refused_option(page: Page) -> None:
    async with one_more_private_answer(page):
        await page.get_by_test_id("composer").fill("/imagine prompt:an owl size:enormous")
        await page.get_by_test_id("send").click()
    await expect(page.locator("[data-testid=message][data-ephemeral=true]").last).to_contain_text("size")


async def a_model(page: Page) -> None:
    await page.get_by_test_id("select").last.click()
    await page.get_by_test_id("menu-item").nth(1).click()
    await expect(page.get_by_test_id("menu")).to_have_count(0)
    await expect(page.get_by_test_id("container").last).to_contain_text(re.compile("Paint with this|default", re.I))


STEPS: list[Step] = [
    a_picture,
    its_details,
    its_form,
    closed,
    an_empty_form,
    closed,
    a_refused_option,
    command("help"),
    command("usage"),
    command("settings show"),
    command("privacy"),
    command("models"),
    a_model,
]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_axe_finds_nothing_in_what_the_bot_says(chromium_path: str, tmp_path: Path, size: dict[str, int]) -> None:
    found: dict[str, list[str]] = {}
    async with the_sandbox(tmp_path) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, f"{url}#mo/general", size)
        for number, step in enumerate(STEPS):
            await step(page)
            name = f"{number} {getattr(step, '__name__', '')}"
            if wrong := await violations(page):
                found[name] = wrong
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
    assert found == {}
    assert errors == []
