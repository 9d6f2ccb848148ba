"""What the line in Details writes is read back exactly."""

from __future__ import annotations

import re

from hypothesis import example
from hypothesis import given as examples
from hypothesis import strategies as st

from bot.catalogue.pasted_line import LINE_FIELDS, escape, unescape
from tests.catalogue.facts import QUICK
from tests.catalogue.parsing import each

PARTS = st.sampled_from([*(f"{name}:" for name in LINE_FIELDS), "Size:", "\\", "⏎", "\n", " ", "a poster", ":", "\\⏎"])


@QUICK
@examples(st.lists(PARTS, max_size=9).map("".join) | st.text(max_size=80))
@example("size\\: \\\\⏎ \\\ncount:")
def test_what_is_escaped_comes_back_and_names_no_option(text: str) -> None:
    written = escape(text)
    assert unescape(written) == text
    assert "\n" not in written
    assert not re.search(rf"\b({'|'.join(LINE_FIELDS)}):", written, re.IGNORECASE)


@each("typed", ["a 16:9 film still", "C:\\new folder", "size: huge", "model\\\\: x", "a ⏎ key", "the ratio:size thing"])
def test_what_nobody_escaped_is_left_as_it_is(typed: str) -> None:
    assert unescape(typed) == typed
