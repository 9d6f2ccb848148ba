"""The pictures of the docs, taken anew from the sandbox: `make screenshots` writes them into docs/.

sandbox.png and phone.png are the README's; price.png and costs.png show the question about a price, and /costs.
"""

from __future__ import annotations

import asyncio
import io
import itertools
import random
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, expect

from sandbox.discord.world import World
from tests.e2e.test_happy_path import DESKTOP, PHONE, ROOT, message_with, open_page, the_browser, the_sandbox
from tools.browser import SENTENCE, find_chromium

DOCS = ROOT / "docs"
#: The largest PNG that the README should hold, in bytes.
LARGEST_BYTES = 400_000
PATIENCE_MS = 30_000

SERIES = "paper boats on a canal at dusk, lanterns on the bridges"
NEXT = "a fox reading a map under the stars"
DEAR = "a poster for a night market under paper lanterns"
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
            await take_price(browser, url, DOCS / "price.png")
            await take_costs(browser, url, Path(folder), DOCS / "costs.png")
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


async def take_price(browser: Browser, url: str, file: Path) -> None:
    """An order that is asked about first, as it looks on a phone."""
    page, _ = await open_page(browser, f"{url}#nia/general", PHONE)
    options = "model:ideogram-v3 count:4 options:rendering_speed=QUALITY"
    await private_answer(page, f"/imagine prompt:{DEAR} {options}", file)


async def take_costs(browser: Browser, url: str, folder: Path, file: Path) -> None:
    """A month of a server, for somebody with Manage Server, on a phone that is long enough for all of it."""
    await asyncio.to_thread(spend_a_month, folder)
    page, _ = await open_page(browser, f"{url}#mo/general", {**PHONE, "height": 1500})
    await private_answer(page, "/costs", file)


async def private_answer(page: Page, line: str, file: Path) -> None:
    """Type a command and save its private answer alone."""
    private = page.locator("[data-testid=message][data-ephemeral=true]:not([data-loading])")
    before = await private.count()
    await page.get_by_test_id("composer").fill(line)
    await page.get_by_test_id("send").click()
    await expect(private).to_have_count(before + 1, timeout=PATIENCE_MS)
    await page.wait_for_load_state("networkidle")
    await page.wait_for_timeout(1000)
    size_bytes = await asyncio.to_thread(_write, await private.last.screenshot(animations="disabled"), file)
    print(f"{file.relative_to(ROOT)}: {size_bytes // 1000} kB")


def spend_a_month(folder: Path) -> None:
    """What a small server might have painted so far this month, straight into the sandbox's ledger."""
    chance, today = random.Random(7), datetime.now(UTC).date()
    people = [int(one.id) for one in World().people.values() if not one.bot]
    numbers = itertools.count()
    with closing(sqlite3.connect(next(folder.rglob("easel-*.db")), timeout=30)) as connection, connection:
        (guild,) = connection.execute("SELECT guild_id FROM ledger WHERE guild_id IS NOT NULL LIMIT 1").fetchone()
        for day in range(1, today.day + 1):
            since_1970 = (today.replace(day=day) - date(1970, 1, 1)).days
            for _ in range(chance.randrange(7)):
                endpoint, usd_micros = chance.choice(SPENT)
                who = (f"month{next(numbers)}", chance.choice(people), guild)
                connection.execute(_LEDGER_ROW, (*who, since_1970, usd_micros, usd_micros, endpoint))


#: Endpoints and what an order there may have cost, in millionths of a US dollar.
SPENT = (
    ("fal-ai/flux-1/schnell", 12_000),
    ("fal-ai/ideogram/v3", 360_000),
    ("fal-ai/bytedance/seedream/v4/text-to-image", 120_000),
    ("fal-ai/qwen-image", 84_000),
)
_LEDGER_ROW = """
    INSERT INTO ledger (job_id, user_id, guild_id, day, images, counted, pace_us, state, reserved_us, usd_micros,
        counted_usd_micros, endpoint)
    VALUES (?, ?, ?, ?, 4, 4, 0, 'settled', 0, ?, ?, ?)"""


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
