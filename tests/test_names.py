"""Names that said nothing to a stranger, and that the field's words have replaced, do not come back."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BANNED = frozenset((ROOT / "tests" / "banned_names.txt").read_text("utf-8").split())


def identifiers(source: str) -> Iterator[str]:
    """Every name in Python source, also those inside f-strings and annotations that are text."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME:
            yield token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def sources(*suffixes: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.suffix in suffixes and path.exists()]


def test_no_banned_name_is_used_in_python() -> None:
    found = {path.relative_to(ROOT).as_posix(): set(identifiers(path.read_text("utf-8"))) for path in sources(".py")}
    assert {path: names & BANNED for path, names in found.items() if names & BANNED} == {}


def test_no_banned_name_is_used_in_the_page() -> None:
    words = {path.name: set(re.findall(r"[A-Za-z_]\w*", path.read_text("utf-8"))) for path in sources(".js", ".html")}
    distinct = {name for name in BANNED if "_" in name or (name != name.lower() and len(name) > 10)}
    assert {path: names & distinct for path, names in words.items() if names & distinct} == {}


@pytest.mark.parametrize(
    "source", ["class Desk: ...", "self.desk.surely(work)", 'text = f"{patiently(1)}"', "def may_scout() -> None: ..."]
)
def test_a_banned_name_is_found_wherever_it_stands(source: str) -> None:
    assert set(identifiers(source)) & BANNED
