"""What every test shares. Fixtures of one part live beside its tests."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

from bot.settings.schema import ALIASES
from tools.browser import SENTENCE, find_chromium

#: Where a skip would hide a missing part of the machine instead of saying so.
_MUST_RUN = ("browser", "postgres")


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser to drive; skips where there is none (and fails in CI)."""
    found = find_chromium()
    if found is None:
        pytest.skip(SENTENCE)
    return found


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own token, key, proxies or settings."""
    for name in list(os.environ):
        if name.upper() in ALIASES or (name.upper().startswith("EASEL_") and name.upper() != "EASEL_CHROMIUM"):
            monkeypatch.delenv(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Who asks for the browser is a browser test."""
    for item in items:
        if "chromium_path" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped browser or database test is a failure."""
    report = yield
    if report.skipped and os.environ.get("CI") and any(item.get_closest_marker(name) for name in _MUST_RUN):
        report.outcome = "failed"
        report.longrepr = f"In CI this must run: {call.excinfo.value if call.excinfo else 'skipped'}"
    return report
