from __future__ import annotations

from typing import Any

import pytest

from bot.access import Barrier, Visit, barrier
from bot.settings import AccessSettings

ADA, BEN, MO = 11, 12, 13
HERE, THERE = 33, 34

AT_HOME = Visit(ADA, HERE)
ELSEWHERE = Visit(ADA, THERE)
CARRIED = Visit(ADA, THERE, by_user_install=True)
IN_PRIVATE = Visit(ADA, None)
IN_A_GROUP = Visit(ADA, None, by_user_install=True)


@pytest.mark.parametrize("visit", [AT_HOME, ELSEWHERE, CARRIED, IN_PRIVATE, IN_A_GROUP])
def test_by_default_everybody_is_let_in_everywhere(visit: Visit) -> None:
    assert barrier(AccessSettings(), (), visit) is None


@pytest.mark.parametrize(
    ("settings", "visit", "expected"),
    [
        ({"servers": [HERE]}, AT_HOME, None),
        ({"servers": [HERE]}, ELSEWHERE, "server"),
        ({"servers": [HERE]}, CARRIED, "server"),
        ({"servers": [HERE, THERE]}, CARRIED, None),
        ({"servers": []}, AT_HOME, "server"),
        # A direct message is in no server: there a person has to be listed by name.
        ({"servers": [HERE]}, IN_PRIVATE, "direct_message"),
        ({"servers": [HERE]}, IN_A_GROUP, "direct_message"),
        ({"servers": [HERE], "people": [ADA]}, IN_PRIVATE, None),
        ({"servers": [HERE], "people": [BEN]}, IN_PRIVATE, "person"),
        # A place must pass the one, and a person the other.
        ({"people": [ADA]}, AT_HOME, None),
        ({"people": [BEN]}, AT_HOME, "person"),
        ({"people": []}, AT_HOME, "person"),
        ({"servers": [HERE], "people": [ADA]}, AT_HOME, None),
        ({"servers": [HERE], "people": [ADA]}, ELSEWHERE, "server"),
        ({"servers": [HERE], "people": [BEN]}, AT_HOME, "person"),
        # Blocked is blocked, whatever else is listed.
        ({"blocked_servers": [HERE]}, AT_HOME, "server"),
        ({"blocked_servers": [HERE]}, ELSEWHERE, None),
        ({"blocked_servers": [HERE]}, IN_PRIVATE, None),
        ({"servers": [HERE], "blocked_servers": [HERE]}, AT_HOME, "server"),
        ({"blocked_people": [ADA]}, AT_HOME, "person"),
        ({"blocked_people": [ADA]}, IN_PRIVATE, "person"),
        ({"people": [ADA], "blocked_people": [ADA]}, AT_HOME, "person"),
        ({"blocked_people": [BEN]}, AT_HOME, None),
        ({"user_installs": False}, AT_HOME, None),
        ({"user_installs": False}, CARRIED, "user_install"),
        ({"user_installs": False}, IN_A_GROUP, "user_install"),
        ({"user_installs": False}, IN_PRIVATE, None),
        ({"direct_messages": False}, AT_HOME, None),
        ({"direct_messages": False}, CARRIED, None),
        ({"direct_messages": False}, IN_PRIVATE, "direct_message"),
        ({"direct_messages": False}, IN_A_GROUP, "direct_message"),
        ({"direct_messages": False, "servers": [HERE], "people": [ADA]}, IN_PRIVATE, "direct_message"),
    ],
)
def test_a_place_must_pass_the_one_and_a_person_the_other(
    settings: dict[str, Any], visit: Visit, expected: Barrier | None
) -> None:
    assert barrier(AccessSettings(**settings), (), visit) == expected


@pytest.mark.parametrize(
    ("settings", "visit", "expected"),
    [
        ({"people": [BEN]}, AT_HOME, None),
        ({"servers": [HERE]}, IN_PRIVATE, None),
        ({"servers": [HERE]}, ELSEWHERE, "server"),
        ({"people": [BEN], "blocked_people": [ADA]}, AT_HOME, "person"),
        ({"direct_messages": False}, IN_PRIVATE, "direct_message"),
    ],
)
def test_who_runs_the_bot_counts_as_listed_and_is_bound_by_the_rest(
    settings: dict[str, Any], visit: Visit, expected: Barrier | None
) -> None:
    assert barrier(AccessSettings(**settings), (MO, ADA), visit) == expected
