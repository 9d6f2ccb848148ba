"""What `check` says of alerts that would reach nobody, and of spending that nothing bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_check import report

SEND, VIEW, IN_THREADS = 1 << 11, 1 << 10, 1 << 38
HOME = {
    "id": "1",
    "owner_id": "5",
    "premium_tier": 0,
    "roles": [
        {"id": "1", "permissions": str(SEND | VIEW | IN_THREADS)},
        {"id": "2", "permissions": "0"},
        {"id": "3", "permissions": str(1 << 3)},
    ],
}


def overwrite(subject: str, *, allow: int = 0, deny: int = 0) -> dict[str, str]:
    return {"id": subject, "allow": str(allow), "deny": str(deny)}


@pytest.mark.parametrize(
    ("channel", "member", "said"),
    [
        ({}, {}, "✓ Alerts: go to #alerts"),
        ({"guild_id": None, "name": None}, {}, "✓ Alerts: go to #77"),
        ({"permission_overwrites": [overwrite("1", deny=SEND)]}, {}, "lacks Send Messages"),
        ({"permission_overwrites": [overwrite("1", deny=VIEW | SEND)]}, {}, "lacks View Channel, Send Messages"),
        ({"permission_overwrites": [overwrite("9", deny=SEND)]}, {}, "lacks Send Messages"),
        ({"permission_overwrites": [overwrite("2", deny=SEND)]}, {}, "✓ Alerts"),  # a role that it has not
        ({"permission_overwrites": [overwrite("2", deny=SEND)]}, {"roles": ["2"]}, "lacks Send Messages"),
        ({"permission_overwrites": [overwrite("1", deny=SEND)]}, {"roles": ["3"]}, "✓ Alerts"),  # an administrator
        (
            {"permission_overwrites": [overwrite("1", deny=SEND), overwrite("2", allow=SEND)]},
            {"roles": ["2"]},
            "✓ Alerts",
        ),
        (
            {"permission_overwrites": [overwrite("9", allow=SEND), overwrite("2", deny=SEND)]},
            {"roles": ["2"]},
            "✓ Alerts",
        ),
        ({"type": 4}, {}, "#alerts of operator.alerts_channel takes no messages"),
        ({"type": 15}, {}, "takes no messages"),
        ({"type": 11, "parent_id": "78"}, {}, "lacks Send Messages in Threads"),
    ],
)
async def test_where_alerts_go_the_bot_must_be_able_to_post(
    tmp_path: Path, channel: dict[str, object], member: dict[str, object], said: str
) -> None:
    parent = {"id": "78", "guild_id": "1", "type": 0, "permission_overwrites": [overwrite("1", deny=IN_THREADS)]}
    changes: dict[str, tuple[int, object]] = {
        "/guilds/1": (200, HOME),
        "/guilds/1/members/9": (200, {"roles": [], **member}),
        "/channels/77": (200, {"id": "77", "guild_id": "1", "type": 0, "name": "alerts", **channel}),
        "/channels/78": (200, parent),
    }
    code, text = await report(tmp_path, changes, operator={"alerts_channel": 77})
    assert said in text
    assert code == (0 if said.startswith("✓") else 1)


@pytest.mark.parametrize("status", [403, 404])
async def test_an_alerts_channel_that_the_bot_does_not_see_is_a_fault(tmp_path: Path, status: int) -> None:
    code, text = await report(tmp_path, {"/channels/77": (status, {})}, operator={"alerts_channel": 77})
    assert code == 1
    assert (
        "✗ Alerts: the bot can't see the channel 77 of operator.alerts_channel\n    → Set EASEL_OPERATOR__ALERTS"
        in text
    )


SERVERS_LIFTED = {"server_usd_per_day": 0, "server_usd_per_month": 0}
LIFTED = {"all_usd_per_day": 0, "all_usd_per_month": 0}


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"budget": LIFTED}, "because budget.all_usd_per_day and budget.all_usd_per_month are 0, which lifts them"),
        ({"limits": {"enabled": False}}, "because limits.enabled is false, which lifts every limit and every budget"),
        ({"budget": LIFTED, "access": {"servers": [5]}, "limits": {"servers": {"5": {"usd_per_day": 0}}}}, None),
        (
            {"budget": {**LIFTED, "server_usd_per_day": 0, "server_usd_per_month": 0}, "access": {"servers": [5]}},
            "are 0",
        ),
        ({"budget": {"all_usd_per_day": 0}}, None),
        ({"budget": {"all_usd_per_month": 0}}, None),
        ({"budget": LIFTED, "access": {"servers": [5]}}, None),
        ({"budget": LIFTED, "access": {"people": [5]}}, None),
    ],
)
async def test_spending_that_nothing_bounds_is_a_warning(
    tmp_path: Path, sections: dict[str, Any], said: str | None
) -> None:
    code, text = await report(tmp_path, token=None, key=None, **sections)

    assert code == 0
    assert text.count("nothing bounds what all people together may spend") == (said is not None)
    assert said is None or said in text
