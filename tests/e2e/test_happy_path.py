"""From a command to a picture in a real browser: `python -m bot sandbox`, type, complete, send, look, again, delete."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

pytestmark = pytest.mark.browser

#: In the bot's log on the page, once it runs again.
RESTARTED = re.compile(r"The bot is restarting\.[\s\S]*\bready\b")
ROOT = Path(__file__).resolve().parents[2]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
#: Long enough for a machine that is busy with other things; nothing waits for its end.
READY_S = 120
PATIENCE_MS = 60_000
LAUNCH_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def the_sandbox(folder: Path, **settings: str) -> AsyncIterator[str]:
    """`python -m bot sandbox` in an empty folder; yields the URL it prints."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EASEL_")}
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "sandbox", "--port", "0"),
        cwd=folder,
        env={**environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 20,
    )
    drain: asyncio.Task[bytes] | None = None
    try:
        assert child.stdout is not None
        said: list[str] = []
        url = ""
        async with asyncio.timeout(READY_S):
            while not (url and "ready" in said[-1]):
                line = (await child.stdout.readline()).decode()
                assert line, "".join(said)
                said.append(line)
                if found := re.search(r"http://127\.0\.0\.1:\d+/\S+", line):
                    url = found.group()
        drain = asyncio.create_task(child.stdout.read())
        yield url
    finally:
        if child.returncode is None:
            child.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(child.wait(), 10)
        if drain is not None:
            drain.cancel()


@asynccontextmanager
async def the_browser(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=LAUNCH_ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


async def open_page(browser: Browser, url: str, size: dict[str, int]) -> tuple[Page, list[str]]:
    """The page with everything that went wrong on it so far."""
    page = await browser.new_page(viewport={"width": size["width"], "height": size["height"]}, has_touch=size is PHONE)
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    await page.goto(url)
    await expect(page.locator("body")).to_have_attribute("data-ready", "true")
    return page, errors


async def imagine(page: Page, prompt: str, **options: str) -> None:
    """Write /imagine with the keyboard, choosing each option's value from its suggestions."""
    composer = page.get_by_test_id("composer")
    await composer.fill("/imagine")
    await page.locator("[data-testid=command-suggestion][data-value=imagine]").click()
    await page.get_by_test_id("command-option-prompt").fill(prompt)
    for name, typed in options.items():
        await page.get_by_test_id(f"add-option-{name}").click()
        await page.get_by_test_id(f"command-option-{name}").fill(typed)
        # What is offered first answers the empty field; wait for the answer to what was typed.
        offered = page.get_by_test_id("option-suggestion").filter(has_text=re.compile(re.escape(typed), re.IGNORECASE))
        await offered.first.click()
    await page.get_by_test_id("send").click()


def message_with(page: Page, text: str) -> Locator:
    return page.get_by_test_id("message").filter(has_text=text)


def button(within: Locator | Page, label: str) -> Locator:
    return within.locator(f"[data-testid=button][data-label='{label}']")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_from_the_first_key_to_the_last_button(chromium_path: str, tmp_path: Path, size: dict[str, int]) -> None:
    async with the_sandbox(tmp_path) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, url, size)

        await imagine(page, "a red lighthouse in a storm", model="schnell", size="16:9")
        first = message_with(page, "a red lighthouse in a storm").first
        await expect(button(first, "Cancel").or_(button(first, "Again"))).to_be_visible()
        picture = first.get_by_test_id("picture")
        await expect(picture).to_be_visible()
        alt = await picture.locator("img").get_attribute("alt") if await picture.locator("img").count() else None
        assert "a red lighthouse in a storm" in (alt or await picture.get_attribute("alt") or "")
        await expect(first).to_contain_text("FLUX.1 schnell")
        await expect(first).to_contain_text("1024×576")

        await button(first, "Again").click()
        both = message_with(page, "a red lighthouse in a storm")
        await expect(both).to_have_count(2)
        second = both.nth(1)
        await expect(second.get_by_test_id("picture")).to_be_visible()
        seeds = [re.search(r"seed\s*(\d+)", await one.inner_text()) for one in (first, second)]
        assert seeds[0] is not None
        assert seeds[1] is not None
        assert seeds[0].group(1) != seeds[1].group(1)

        await button(first, "Delete").click()
        await expect(page.get_by_test_id("modal")).to_contain_text("can't be undone")
        await page.get_by_test_id("modal-cancel").click()
        await expect(both).to_have_count(2)
        await button(first, "Delete").click()
        await page.get_by_test_id("modal-submit").click()
        await expect(both).to_have_count(1)

        await button(both.first, "Edit prompt").click()
        field = page.locator("[data-testid^=modal-input-prompt]")
        await expect(field).to_have_value("a red lighthouse in a storm")
        await field.fill("a blue whale under the stars")
        await page.get_by_test_id("modal-submit").click()
        await expect(message_with(page, "a blue whale under the stars").get_by_test_id("picture")).to_be_visible()

        overflow_px = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow_px <= 0
        assert await page.get_by_test_id("refused-panel").count() == 0
        assert errors == []


async def test_three_models_then_the_limit_says_why_and_when(chromium_path: str, tmp_path: Path) -> None:
    limits = {"EASEL_LIMITS__DEFAULT__BURST_IMAGES": "3", "EASEL_LIMITS__DEFAULT__IMAGES_PER_HOUR": "30"}
    async with the_sandbox(tmp_path, **limits) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, url, DESKTOP)
        for number, model in enumerate(("schnell", "turbo", "ideogram v2")):
            await imagine(page, f"a teapot number {number}", model=model)
            picture = message_with(page, f"a teapot number {number}").get_by_test_id("picture")
            await expect(picture).to_be_visible()
        await imagine(page, "one teapot too many")
        refusal = page.locator("[data-testid=message][data-ephemeral=true]").last
        await expect(refusal).to_be_visible()
        said = await refusal.inner_text()
        assert "quota" in said.lower() or "spent" in said.lower(), said
        assert re.search(r"From \d+:\d\d", said), said
        assert errors == []


async def test_a_restart_while_it_paints_loses_nothing(chromium_path: str, tmp_path: Path) -> None:
    async with the_sandbox(tmp_path) as url, the_browser(chromium_path) as browser:
        page, errors = await open_page(browser, url, DESKTOP)
        await imagine(page, "a castle that outlives a restart", model="HiDream-I1 full")
        message = message_with(page, "a castle that outlives a restart")
        await expect(button(message, "Cancel")).to_be_visible()
        await page.get_by_test_id("devtools-toggle").click()
        await page.get_by_test_id("fault-bot_restart").click()
        await expect(page.get_by_test_id("log")).to_contain_text(RESTARTED)
        await expect(message.get_by_test_id("picture")).to_be_visible()
        assert await message_with(page, "a castle that outlives a restart").count() == 1
        assert errors == []
