"""tests/README.md lists every file of tests, and every folder of code says in its docstring what lives there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
LINE = re.compile(r"^\| `([\w/]+\.py)` \| \S.* \|$", re.MULTILINE)


def test_every_file_of_tests_has_one_line() -> None:
    listed = Counter(LINE.findall((TESTS / "README.md").read_text("utf-8")))
    there = Counter(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py"))
    missing, stale = sorted((there - listed).elements()), sorted((listed - there).elements())
    assert (missing, stale) == ([], []), "each file of tests has one line in tests/README.md: what it proves"


def test_every_folder_of_code_says_what_lives_there() -> None:
    silent = [
        path.parent.relative_to(ROOT).as_posix()
        for room in ("bot", "cogs", "sandbox", "tests", "tools")
        for path in (ROOT / room).rglob("__init__.py")
        if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == [], "a sentence in the folder's __init__.py says what lives there"
