"""The real bot, closed to a place by its settings: refused there, and what waited ends with the next start."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from sandbox.discord.world import GUILD_ID, OTHER_GUILD_ID
from tests.e2e.sandbox_driver import PROMPT, PausedPainting, SandboxDriver, child_bot, in_process_bot


def asks_the_owner(sandbox: SandboxDriver, text: str) -> bool:
    """The fake Discord's application belongs to Mo."""
    return f"please ask <@{sandbox.discord.world.mo.id}> if you want that to change" in text


async def test_elsewhere_one_private_sentence_names_whom_to_ask(tmp_path: Path) -> None:
    async with in_process_bot(tmp_path, access={"servers": (int(GUILD_ID),)}) as sandbox:
        await sandbox.paint(channel="general")
        refused = await sandbox.imagine(channel="elsewhere", own_app=True)
        assert "I am not open to this server" in refused.message.text()
        assert asks_the_owner(sandbox, refused.message.text())
        private = await sandbox.imagine(channel=sandbox.discord.world.dm(sandbox.discord.world.ada.id))
        assert "I am not open to you in direct messages" in private.message.text()
        assert len(sandbox.fal.queue.jobs) == 1


@pytest.mark.parametrize("ended_by", [signal.SIGTERM, signal.SIGKILL])
async def test_what_waits_for_a_server_taken_off_the_list_ends_and_what_fal_has_is_posted(
    tmp_path: Path, ended_by: signal.Signals
) -> None:
    async with child_bot(tmp_path, EASEL_FAL__MAX_IN_FLIGHT="1") as (sandbox, child):
        await child.start()
        painting = PausedPainting(sandbox.fal)
        begun = await sandbox.imagine(prompt="the first")
        await sandbox.painting("the first")
        waiting = await sandbox.imagine(prompt="the second")
        await child.end(ended_by)

        child.variables["EASEL_ACCESS__SERVERS"] = OTHER_GUILD_ID
        painting.free()
        await child.start()

        await sandbox.picture(begun)
        ended = await sandbox.ended(waiting)
        assert "has since closed it to you or to this place" in ended.text()
        assert "quota was not used" in ended.text()
        refused = await sandbox.imagine(prompt=PROMPT)
        assert asks_the_owner(sandbox, refused.message.text())
        assert len(sandbox.fal.queue.jobs) == 1
        assert await sandbox.counted() == (1, 1)
