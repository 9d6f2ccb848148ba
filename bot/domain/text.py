"""How long a text is by either way of counting, and cutting it to that: `bot.graphemes` under longer names."""

from __future__ import annotations

from bot import graphemes

utf16_length, cut_utf16 = graphemes.length, graphemes.head
