"""What people are told, in English, for tests that assert on sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from bot.domain.job import Failure
from bot.domain.ports import CancelOutcome
from bot.errors import ToldError
from bot.phrase import Phrase
from cogs.ui.failure_words import cancel_text, with_charge
from cogs.ui.messages import say

#: In which people read everything here.
LOCALE = "en-US"

Told = TypeVar("Told", bound=ToldError)


def english(what: ToldError | Failure | CancelOutcome | Phrase) -> str:
    """The sentence."""
    if isinstance(what, Failure):
        return with_charge(say(LOCALE, what.phrase), what, locale=LOCALE)
    if isinstance(what, CancelOutcome):
        return cancel_text(what, locale=LOCALE)
    return say(LOCALE, what if isinstance(what, Phrase) else what.phrase)


@contextmanager
def raises_saying(kind: type[Told], match: str) -> Iterator[pytest.ExceptionInfo[Told]]:
    """Like `pytest.raises(kind, match=…)`, but for what the person is told."""
    with pytest.raises(kind) as caught:
        yield caught
    sentence = english(caught.value)
    assert re.search(match, sentence), sentence
