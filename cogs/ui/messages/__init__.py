"""The sentences that people read: one folder of Fluent files (`en/*.ftl`) or one file (`de.ftl`) for each language.

`say(locale, code, **params)` puts a message or a `Phrase` into words. What a language lacks is said in English. Which
forms numbers, lists and money take is decided by Babel; moments are shown by Discord in the reader's own time zone.
Parameters that people typed have to be fit to be shown before they come here (`cogs.ui.text`).
"""

from __future__ import annotations

from cogs.ui.messages.languages import ENGLISH, Languages, bundled
from cogs.ui.messages.languages import say as say

__all__ = ["ENGLISH", "Languages", "bundled", "say"]
