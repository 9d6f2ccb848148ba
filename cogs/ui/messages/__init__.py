"""The sentences that people read: one folder of Fluent files (`en/*.ftl`) or one file (`de.ftl`) for each language.

`say(locale, code, **params)` formats a message or a `Phrase`. Messages that a language lacks are shown in English.
Numbers, lists and money are formatted by Babel; times are shown by Discord in the reader's own time zone. Parameters
that people typed must be sanitized by the caller (`cogs.ui.text`).
"""

from __future__ import annotations

from cogs.ui.messages.languages import ENGLISH, Languages, bundled
from cogs.ui.messages.languages import say as say

__all__ = ["ENGLISH", "Languages", "bundled", "say"]
