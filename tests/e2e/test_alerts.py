"""A budget runs low, or fal has no credit: those who run the bot and the server's managers are told, once each."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from bot.jobs.runner import Runner
from bot.jobs.timings import JobTimings
from bot.services import DiscordTimings, Services
from sandbox.discord.world import Channel, World
from tests.e2e.sandbox_driver import SandboxDriver, in_process_bot

#: Looks so often that a test need not wait.
BRISK = DiscordTimings(alerts_every_s=0.05)
#: The fake Discord's ids are the same at every start.
OPERATORS = {"alerts_channel": int(World().phone.id)}


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.app.Services", partial(Services, discord_timings=BRISK))
    monkeypatch.setattr("bot.app.Runner", partial(Runner, timings=JobTimings(credit_pauses_s=(0.05,))))


def told(sandbox: SandboxDriver, channel: Channel) -> list[str]:
    """The bot's messages there that answer nobody."""
    return [one.text() for one in sandbox.discord.messages(channel) if one.interaction_id is None]


async def test_a_server_is_told_in_its_own_channel_and_those_who_run_the_bot_in_theirs(tmp_path: Path) -> None:
    async with in_process_bot(
        tmp_path,
        operator=OPERATORS,
        budget={"server_usd_per_day": Decimal("0.10"), "confirm_above_usd": Decimal(0)},
    ) as sandbox:
        world = sandbox.discord.world
        chosen = await sandbox.run("mo", "general", "settings alerts", {"channel": world.after_dark.id})
        await sandbox.until(lambda: f"now come to <#{world.after_dark.id}>" in chosen.message.text())
        await sandbox.paint(model="imagen4-fast", count=3)
        await sandbox.until(lambda: len(told(sandbox, world.after_dark)) == 2 and told(sandbox, world.phone))
        await sandbox.paint(model="imagen4-fast")
        await sandbox.until(lambda: len(told(sandbox, world.after_dark)) == 3)
        refused = await sandbox.imagine(model="imagen4-fast", count=2)
        assert "this server's budget for today" in refused.message.text()
        await sandbox.until(lambda: len(told(sandbox, world.after_dark)) == 4)
        introduced, half, most, whole = told(sandbox, world.after_dark)
        assert "come to this channel from now on" in introduced
        assert half.startswith("This server has used 50 % of its budget for today: $0.06 of $0.10.")
        assert most.startswith("This server has used 80 % of its budget for today: $0.08 of $0.10.")
        assert whole.startswith("This server has nearly used up its budget for today: $0.08 of $0.10. Someone just")
        await sandbox.until(lambda: len(told(sandbox, world.phone)) == 3)
        assert all(f"({world.guild_id}) has " in text for text in told(sandbox, world.phone))


async def test_fal_without_credit_is_told_to_those_who_run_the_bot_once(tmp_path: Path) -> None:
    async with in_process_bot(tmp_path, operator=OPERATORS) as sandbox:
        world = sandbox.discord.world
        sandbox.fal.faults.set("balance_exhausted", True)
        waiting = await sandbox.imagine()
        await sandbox.until(lambda: told(sandbox, world.phone))
        await sandbox.until(lambda: "credit at fal.ai is used up" in waiting.message.text())
        sandbox.fal.faults.set("balance_exhausted", False)
        await sandbox.picture(waiting)
        (text,) = told(sandbox, world.phone)
        assert "the account has been out of credit since <t:" in text
