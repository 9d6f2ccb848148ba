"""Finding a Chromium for the browser tests; `python -m tools.browser` fetches one if this machine has none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC_APPS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
#: Says that playwright's own download was tried for this .venv, so that an offline machine is asked once.
_TRIED = Path(sys.prefix) / ".chromium-tried"

SENTENCE = (
    "No Chromium found: install one (Debian: apt install chromium), name it with EASEL_CHROMIUM=/path, "
    "or run `.venv/bin/python -m playwright install chromium`."
)


def find_chromium(environ: Mapping[str, str] = os.environ) -> str | None:
    """The browser to test with, or None."""
    return next(_candidates(environ), None)


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    named = environ.get("EASEL_CHROMIUM")
    if named:
        yield named  # even if it is wrong: a mistyped path should fail loudly, not test something else
    for command in _COMMANDS:
        if found := shutil.which(command, path=environ.get("PATH")):
            yield found
    for app in _MAC_APPS:
        if Path(app).exists():
            yield app
    if own := _playwrights_own():
        yield own


@cache
def _playwrights_own() -> str | None:
    # In a process of its own: playwright's synchronous interface refuses to work inside a running event loop.
    asked = subprocess.run([sys.executable, "-c", _ASK_PLAYWRIGHT], capture_output=True, text=True, check=False)
    path = asked.stdout.strip()
    return path if path and Path(path).exists() else None


_ASK_PLAYWRIGHT = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


def main() -> int:
    """Make sure there is a browser, if this machine lets us; says so when not."""
    if find_chromium() is not None:
        return 0
    if not _TRIED.exists():
        print("No Chromium on this machine; fetching playwright's own …", file=sys.stderr)
        _TRIED.touch()
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False, timeout=600)
        _playwrights_own.cache_clear()
    if find_chromium() is None:
        print(f"{SENTENCE} Browser tests will be skipped.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
