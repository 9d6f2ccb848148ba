"""Faults that the bot has today, for a reason that is known. Empty is what it has to become."""

from __future__ import annotations

from collections.abc import Mapping

from tests.resilience.world import Verdict

#: Words of a fault, by kind, and why it is there.
KNOWN: Mapping[str, Mapping[str, str]] = {}


def unexpected(verdict: Verdict) -> dict[str, list[str]]:
    """Faults for which there is no known reason."""
    left = {
        kind: [one for one in found if not any(words in one for words in KNOWN.get(kind, {}))]
        for kind, found in verdict.faults.items()
    }
    return {kind: found for kind, found in left.items() if found}


def shows(verdict: Verdict, fault: str) -> bool:
    """Whether a control found what it looks for: a fault, or doubles that the bot flagged where none was needed."""
    return verdict.flagged_doubles > 0 if fault == "flagged_doubles" else fault in unexpected(verdict)
