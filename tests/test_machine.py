"""What the tests themselves rely on: a browser that is found, and skips that do not hide in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.browser import find_chromium

ROOT = Path(__file__).parent.parent


def test_a_named_browser_wins() -> None:
    assert find_chromium({"EASEL_CHROMIUM": "/somewhere/chrome", "PATH": ""}) == "/somewhere/chrome"


def test_a_browser_on_the_path_is_found(tmp_path: Path) -> None:
    chromium = tmp_path / "chromium-browser"
    chromium.write_text("#!/bin/sh\n")
    chromium.chmod(0o755)

    assert find_chromium({"PATH": str(tmp_path)}) == str(chromium)


@pytest.mark.parametrize(("ci", "mark", "outcome"), [("", "browser", 0), ("true", "browser", 1), ("true", "slow", 0)])
def test_in_ci_a_skipped_browser_test_fails(tmp_path: Path, ci: str, mark: str, outcome: int) -> None:
    (tmp_path / "test_it.py").write_text(
        f"import pytest\n@pytest.mark.{mark}\ndef test_it():\n    pytest.skip('no such thing here')\n"
    )

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-c",
            "pyproject.toml",
            "--rootdir=.",
            "-ptests.conftest",
            str(tmp_path),
        ],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == outcome, done.stdout
    assert ("In CI this must run" in done.stdout) == bool(outcome)
