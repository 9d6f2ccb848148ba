"""The README's pictures, taken anew from the sandbox: `make screenshots` writes docs/sandbox.png and docs/phone.png."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.e2e.test_happy_path import DESKTOP, PHONE, ROOT, message_with, open_page, the_browser, the_sandbox
from tools.browser import SENTENCE, find_chromium

DOCS = ROOT / "docs"
#: The largest PNG that the README should hold, in bytes.
LARGEST_BYTES = 400_000
PATIENCE_MS = 30_000

SERIES = "paper boats on a canal at dusk, lanterns on the bridges"
NEXT = "a fox reading a map under the stars"
PICTURE = "a lighthouse in a storm, seen from the sea"


async def main() -> int:
    """Paint, take both screenshots, save them; returns the exit code."""
    chromium_path = find_chromium()
    if chromium_path is None:
        print(SENTENCE, file=sys.stderr)
        return 1
    DOCS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with the_sandbox(Path(folder)) as url, the_browser(chromium_path) as browser:
            await take_desktop(browser, url, DOCS / "sandbox.png")
            await take_phone(browser, url, DOCS / "phone.png")
    return 0


async def take_desktop(browser: Browser, url: str, file: Path) -> None:
    """A series of four, one large picture under it, and the next command on its way."""
    page, _ = await open_page(browser, url, DESKTOP)
    await ask(page, SERIES, {"model": "FLUX.1 schnell"}, {"count": "4", "seed": "42"})
    await painted(page, SERIES, 4)
    await ask(page, PICTURE, {"model": "Ideogram V3", "size": "16:9"}, {"seed": "1419940334"})
    await painted(page, PICTURE, 1)
    await begin(page, NEXT)
    await save(page, file)


async def take_phone(browser: Browser, url: str, file: Path) -> None:
    """The same channel on a phone."""
    page, _ = await open_page(browser, url, PHONE)
    await painted(page, PICTURE, 1)
    await save(page, file)


async def ask(page: Page, prompt: str, chosen: Mapping[str, str], typed: Mapping[str, str]) -> None:
    """`/imagine` with options taken from their suggestions and options just written down."""
    await begin(page, prompt)
    for name, text in {**chosen, **typed}.items():
        await page.get_by_test_id(f"add-option-{name}").click()
        await page.get_by_test_id(f"command-option-{name}").fill(text)
        if name in chosen:
            await page.get_by_test_id("option-suggestion").filter(has_text=chosen[name]).first.click()
    await page.get_by_test_id("send").click()


async def begin(page: Page, prompt: str) -> None:
    """The command and its prompt, not sent."""
    await page.get_by_test_id("composer").fill("/imagine")
    await page.locator("[data-testid=command-suggestion][data-value=imagine]").click()
    await page.get_by_test_id("command-option-prompt").fill(prompt)


async def painted(page: Page, prompt: str, pictures: int) -> None:
    """Wait until all of them are there and the last one is in view."""
    shown = message_with(page, prompt).get_by_test_id("picture")
    await expect(shown).to_have_count(pictures, timeout=PATIENCE_MS)
    for index in range(pictures):
        await expect(shown.nth(index)).to_be_visible()
    await message_with(page, prompt).last.scroll_into_view_if_needed()


async def save(page: Page, file: Path) -> None:
    """Save as a PNG small enough for the README."""
    await page.wait_for_load_state("networkidle")
    await page.wait_for_timeout(500)  # pictures fade in
    shot = await page.screenshot(animations="disabled")
    size_bytes = await asyncio.to_thread(_write, shot, file)
    print(f"{file.relative_to(ROOT)}: {size_bytes // 1000} kB")


def _write(shot: bytes, file: Path) -> int:
    with Image.open(io.BytesIO(shot)) as picture:
        picture.convert("RGB").save(file, optimize=True)
    size_bytes = file.stat().st_size
    if size_bytes > LARGEST_BYTES:
        raise SystemExit(f"{file} has {size_bytes} bytes; {LARGEST_BYTES} is the most")
    return size_bytes


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
