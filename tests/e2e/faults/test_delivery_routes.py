"""The message, the token or the channel is gone: the picture comes by another route."""

from __future__ import annotations

import pytest

from bot.domain.job import JobState
from sandbox.fal.files import StoredFile
from sandbox.fal.jobs import StoredResponse
from tests.e2e.faults.outcomes import INVALID_TOKEN, MISSING_ACCESS, single
from tests.e2e.sandbox_driver import PausedPainting, SandboxDriver, a_picture

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("channel", ["general", "dm"])
async def test_a_dead_token_does_not_keep_the_picture_from_its_message(
    sandbox: SandboxDriver, paused: PausedPainting, channel: str
) -> None:
    sandbox.expected.add(INVALID_TOKEN)
    record = await sandbox.imagine(channel=channel)
    await sandbox.painting()
    sandbox.discord.kill_token(record)
    paused.finish()
    await single(sandbox, record)


@pytest.mark.parametrize("channel", ["elsewhere", "Ada & Pat"])
async def test_where_the_bot_is_no_member_the_picture_comes_and_again_works(
    sandbox: SandboxDriver, paused: PausedPainting, channel: str
) -> None:
    paused.free()
    record = await sandbox.imagine(channel=channel)
    message = await single(sandbox, record)
    again = await sandbox.press("ada", message, "Again")
    assert (await sandbox.picture(again)).channel is message.channel


async def test_a_private_answer_outside_stays_private_and_gets_its_picture(
    sandbox: SandboxDriver, paused: PausedPainting
) -> None:
    paused.free()
    where = sandbox.discord.channel("elsewhere")
    where.overwrites[sandbox.discord.person("ada").id] = (1, 0, 1 << 50)
    try:
        message = await single(sandbox, await sandbox.imagine(channel=where))
    finally:
        where.overwrites.clear()
    assert message.ephemeral


async def test_a_bot_shut_out_of_the_channel_still_brings_the_picture_by_the_token(
    sandbox: SandboxDriver, paused: PausedPainting
) -> None:
    record = await sandbox.imagine()
    await sandbox.painting()
    sandbox.discord.remove_bot_from_channel("general")
    try:
        paused.finish()
        await single(sandbox, record)
    finally:
        sandbox.discord.let_bot_into_channel("general")


async def test_a_bot_shut_out_of_the_channel_for_good_brings_it_to_the_person(
    sandbox: SandboxDriver, paused: PausedPainting
) -> None:
    sandbox.expected |= {INVALID_TOKEN, MISSING_ACCESS}
    record = await sandbox.imagine(prompt="brought home")
    await sandbox.painting("brought home")
    sandbox.discord.kill_token(record)
    sandbox.discord.remove_bot_from_channel("general")
    try:
        paused.finish("brought home")
        await sandbox.state(record, JobState.DELIVERED)
    finally:
        sandbox.discord.let_bot_into_channel("general")
    (message,) = sandbox.pictures("brought home", channel="dm")
    assert f"I can no longer post in <#{record.channel.id}>" in message.text()
    assert len(sandbox.at_fal("brought home")) == 1


async def test_a_flagged_picture_is_never_brought_to_the_person(sandbox: SandboxDriver, paused: PausedPainting) -> None:
    sandbox.expected |= {INVALID_TOKEN, MISSING_ACCESS}
    url = sandbox.fal.files.keep(StoredFile(a_picture(), "image/png"), "0.png")
    flagged = {"images": [{"url": url}], "has_nsfw_concepts": [True]}
    used = await sandbox.counted()
    record = await sandbox.imagine(channel="after-dark", prompt="not for home")
    await sandbox.painting("not for home")
    vars(sandbox.fal.queue)["_success"] = lambda *_: StoredResponse.of(200, flagged)  # type: ignore[arg-type]
    sandbox.discord.kill_token(record)
    sandbox.discord.remove_bot_from_channel("after-dark")
    try:
        paused.finish("not for home")
        await sandbox.state(record, JobState.FAILED, notified=True)
    finally:
        sandbox.discord.let_bot_into_channel("after-dark")
    assert not sandbox.pictures("not for home", channel="dm")
    told = sandbox.discord.messages(sandbox.discord.channel("dm", sandbox.discord.person("ada")))[-1]
    assert "I can no longer post in that channel." in told.text()
    assert "fal.ai had painted it by then" in told.text()
    assert "None of your pictures were used." in told.text()
    assert await sandbox.counted() == used
