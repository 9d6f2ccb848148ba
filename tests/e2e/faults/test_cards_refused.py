"""A card that Discord does not take as it is: the words are filtered, the edit is refused, or the card is gone."""

from __future__ import annotations

import pytest

from bot.domain.job import JobState
from sandbox.fal.jobs import Job, Status, StoredResponse
from tests.buttons import LASTING_FAILURE_BUTTONS, RESULT_BUTTONS
from tests.e2e.faults.outcomes import INVALID_TOKEN, UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, single
from tests.e2e.sandbox_driver import PausedPainting, SandboxDriver

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOCKED, INVALID_FORM = 200000, 50035


def _refused(_job: Job) -> StoredResponse:
    return StoredResponse.of(422, {"detail": [{"loc": ["body", "prompt"], "type": "content_policy_violation"}]})


# ---------------------------------------------------------------------- words that a filter refuses


@pytest.mark.parametrize("token_lives", [True, False])
async def test_a_picture_whose_words_are_filtered_comes_without_them(
    sandbox: SandboxDriver, paused: PausedPainting, token_lives: bool
) -> None:
    sandbox.expected |= {BLOCKED, INVALID_TOKEN}
    sandbox.discord.faults.blocked_words.add("Kraken")
    prompt = f"a kraken at sea, {token_lives}"
    record = await sandbox.imagine(prompt=prompt)
    first = record.message.text()
    assert "kraken" not in first
    assert "word filter does not let me show the prompt" in first
    await sandbox.painting(prompt)
    if not token_lives:
        sandbox.discord.kill_token(record)
    paused.finish(prompt)
    message = await single(sandbox, record, prompt=prompt)
    assert "kraken" not in str(message.data)
    assert "FLUX.1 schnell" in message.text()
    assert list(message.buttons()) == RESULT_BUTTONS


async def test_a_filter_that_is_made_while_it_paints_keeps_the_words_from_the_next_cards(
    sandbox: SandboxDriver, paused: PausedPainting
) -> None:
    sandbox.expected.add(BLOCKED)
    record = await sandbox.imagine(prompt="a griffin")
    assert "a griffin" in record.message.text()
    await sandbox.painting("a griffin")
    sandbox.discord.faults.blocked_words.add("griffin")
    paused.finish("a griffin")
    message = await single(sandbox, record, prompt="a griffin")
    assert "griffin" not in str(message.data)


async def test_where_every_word_is_filtered_the_picture_comes_alone(sandbox: SandboxDriver) -> None:
    sandbox.expected.add(BLOCKED)
    sandbox.discord.faults.blocked_words |= {"flux", "filter"}
    record = await sandbox.imagine(prompt="without any words")
    message = await single(sandbox, record, prompt="without any words")
    assert message.text() == ""
    assert list(message.buttons()) == RESULT_BUTTONS


async def test_a_failure_whose_words_are_filtered_is_told_without_them(sandbox: SandboxDriver) -> None:
    sandbox.expected.add(BLOCKED)
    sandbox.discord.faults.blocked_words.add("kraken")
    sandbox.fal.faults.set("content_policy", True)
    message = await sandbox.ended(await sandbox.imagine(prompt="a kraken"))
    assert "kraken" not in message.text()
    assert "content policy refused this prompt" in message.text()
    assert list(message.buttons()) == LASTING_FAILURE_BUTTONS


async def test_private_answers_say_that_a_filter_keeps_them(sandbox: SandboxDriver) -> None:
    sandbox.expected.add(BLOCKED)
    record = await sandbox.imagine(prompt="a basilisk")
    message = await sandbox.picture(record)
    sandbox.discord.faults.blocked_words.add("basilisk")
    details = await sandbox.press("ada", message, "Details")
    assert "word filter does not let me show my answer" in details.message.text()
    refused = await sandbox.imagine(prompt="x", model="basilisk")
    assert "word filter does not let me show my answer" in refused.message.text()


async def test_where_nobody_filters_nothing_is_held_back(sandbox: SandboxDriver) -> None:
    sandbox.discord.faults.blocked_words.add("kraken")
    record = await sandbox.imagine(prompt="a kraken", channel="dm")
    assert "a kraken" in (await single(sandbox, record, prompt="a kraken")).text()


# ---------------------------------------------------------------------- an edit that is refused


@pytest.mark.parametrize("token_lives", [True, False])
async def test_a_picture_posted_anew_leaves_no_dead_card(
    sandbox: SandboxDriver, paused: PausedPainting, token_lives: bool
) -> None:
    sandbox.expected |= {INVALID_FORM, INVALID_TOKEN}
    prompt = f"posted anew, {token_lives}"
    record = await sandbox.imagine(prompt=prompt)
    await sandbox.painting(prompt)
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    if token_lives:
        sandbox.discord.fail_next("PATCH", r"/webhooks/", status=400, code=INVALID_FORM)
    else:
        sandbox.discord.kill_token(record)
    sandbox.discord.fail_next("PATCH", r"/channels/", status=400, code=INVALID_FORM)
    paused.finish(prompt)
    await sandbox.state(record, JobState.DELIVERED)
    (message,) = sandbox.pictures(prompt)
    assert message is not record.message
    assert not record.message.buttons()
    assert f"/{message.channel.id}/{message.id}" in record.message.text()


async def test_an_old_card_that_takes_no_edit_is_deleted(sandbox: SandboxDriver, paused: PausedPainting) -> None:
    sandbox.expected.add(INVALID_FORM)
    record = await sandbox.imagine(prompt="no edit at all")
    await sandbox.painting("no edit at all")
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    sandbox.discord.fail_next("PATCH", r"/messages/", status=400, code=INVALID_FORM, times=20)
    card = record.message
    paused.finish("no edit at all")
    await sandbox.state(record, JobState.DELIVERED)
    (message,) = sandbox.pictures("no edit at all")
    assert [one for one in sandbox.discord.messages(card.channel) if one.id == card.id] == []
    assert list(message.buttons()) == RESULT_BUTTONS


async def test_a_failure_told_anew_leaves_no_dead_card_either(sandbox: SandboxDriver, paused: PausedPainting) -> None:
    sandbox.expected.add(INVALID_FORM)
    record = await sandbox.imagine(prompt="told anew")
    await sandbox.painting("told anew")
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    vars(sandbox.fal.queue)["_success"] = _refused
    sandbox.discord.fail_next("PATCH", r"/webhooks/", status=400, code=INVALID_FORM)
    sandbox.discord.fail_next("PATCH", r"/channels/", status=400, code=INVALID_FORM)
    paused.finish("told anew")
    await sandbox.state(record, JobState.FAILED, notified=True)
    assert not record.message.buttons()
    assert "The result is here" in record.message.text()


# ---------------------------------------------------------------------- a card that somebody deleted


@pytest.mark.parametrize("channel", ["general", "dm", "elsewhere", "Ada & Pat"])
async def test_a_card_deleted_while_it_paints_cancels_its_request(
    sandbox: SandboxDriver, paused: PausedPainting, channel: str
) -> None:
    sandbox.expected.add(UNKNOWN_MESSAGE)
    prompt = f"deleted in {channel}"
    used = await sandbox.counted()
    record = await sandbox.imagine(channel=channel, prompt=prompt)
    job = await sandbox.painting(prompt)
    sandbox.discord.delete_message(record.message)
    ended = await sandbox.state(record, JobState.CANCELLED)  # noticed at the next edit: nothing was finished
    assert ended.notified
    await sandbox.until(lambda: job.status is Status.COMPLETED)  # cancelled at fal, too
    paused.finish(prompt)
    assert not sandbox.pictures(prompt, channel=channel)
    assert await sandbox.counted() == used


@pytest.mark.parametrize("token_lives", [True, False])
async def test_a_card_deleted_once_it_is_painted_brings_nothing_back(
    sandbox: SandboxDriver, paused: PausedPainting, token_lives: bool
) -> None:
    sandbox.expected |= {UNKNOWN_MESSAGE, INVALID_TOKEN}
    prompt = f"deleted late, {token_lives}"
    used = await sandbox.counted()
    before = len(sandbox.discord.messages(sandbox.discord.channel("general")))
    record = await sandbox.imagine(prompt=prompt)
    await sandbox.painting(prompt)
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    sandbox.discord.slow_rest(0.3, r"/messages/")  # the next edit is the picture's
    if not token_lives:
        sandbox.discord.kill_token(record)
    sandbox.discord.delete_message(record.message)
    paused.finish(prompt)
    ended = await sandbox.state(record, JobState.CANCELLED)
    assert ended.notified
    assert len(sandbox.discord.messages(sandbox.discord.channel("general"))) == before
    assert await sandbox.counted() == used


async def test_a_failure_of_a_deleted_card_is_told_nobody(sandbox: SandboxDriver, paused: PausedPainting) -> None:
    sandbox.expected |= {UNKNOWN_MESSAGE, INVALID_TOKEN}
    before = len(sandbox.discord.messages(sandbox.discord.channel("general")))
    record = await sandbox.imagine(prompt="fails unseen")
    await sandbox.painting("fails unseen")
    vars(sandbox.fal.queue)["_success"] = _refused
    sandbox.discord.kill_token(record)  # no more progress: it is first noticed at the end
    sandbox.discord.delete_message(record.message)
    paused.finish("fails unseen")
    await sandbox.state(record, JobState.FAILED, notified=True)
    assert len(sandbox.discord.messages(sandbox.discord.channel("general"))) == before


async def test_a_channel_that_is_gone_sends_the_picture_home(sandbox: SandboxDriver, paused: PausedPainting) -> None:
    sandbox.expected.add(UNKNOWN_CHANNEL)
    record = await sandbox.imagine(prompt="the channel is gone")
    await sandbox.painting("the channel is gone")
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    gone = rf"/(webhooks|channels/{record.channel.id})/"
    sandbox.discord.fail_next("*", gone, status=404, code=UNKNOWN_CHANNEL, times=1000)
    paused.finish("the channel is gone")
    await sandbox.state(record, JobState.DELIVERED)
    (message,) = sandbox.pictures("the channel is gone", channel="dm")
    assert "The channel that you asked in is gone, so I post it here." in message.text()
