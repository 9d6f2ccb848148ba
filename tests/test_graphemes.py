"""What is cut fits by either count, and no character that people see is cut in half."""

from __future__ import annotations

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from bot.graphemes import head, length, shorten

#: What people see as one character each.
CHARACTERS = [
    "a",
    "é",
    "e\u0301",
    "字",
    "🦊",
    "👍🏽",
    "🏳️‍🌈",
    "👩‍👩‍👧‍👦",
    "🇩🇪",
    "🇯🇵",
    "1️⃣",
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "שָׁ",
    "ที่",
    "\u1112\u1161\u11ab",
    "\r\n",
]
WRITING = st.lists(st.sampled_from(CHARACTERS), max_size=60)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@examples(st.text())
def test_the_length_is_that_in_utf_16(text: str) -> None:
    assert length(text) == units(text.encode("utf-8", "replace").decode())


@examples(WRITING, st.integers(min_value=0, max_value=200))
def test_a_beginning_holds_whole_characters_and_as_many_as_fit(characters: list[str], limit: int) -> None:
    kept = head("".join(characters), limit)
    ends = ["".join(characters[:count]) for count in range(len(characters) + 1)]
    assert kept == max((end for end in ends if units(end) <= limit), key=len)


@examples(st.text(), st.integers(min_value=1, max_value=50))
def test_whatever_is_shortened_fits(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert length(short) <= limit
    assert short == text or short.endswith("…")


def test_the_cut_is_at_a_word_if_one_ends_nearby() -> None:
    assert shorten("the quick brown fox", 12) == "the quick…"
    assert shorten("short", 5) == "short"
    assert shorten("👩‍👩‍👧‍👦" * 3, 12) == "👩‍👩‍👧‍👦…"


@pytest.mark.parametrize("text", ["a" + "\u0301" * 500, "👩\u200d" * 500, "\U000e0067" * 500])
def test_what_is_nobodys_writing_is_cut_all_the_same(text: str) -> None:
    assert 90 <= len(head(text, 200)) <= length(head(text, 200)) <= 200
