"""Every command, button and modal over real sockets: the whole bot between both fake servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from sandbox.discord import Message
from tests.buttons import RESULT_BUTTONS
from tests.e2e.sandbox_driver import SandboxDriver, a_picture, in_process_bot

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN_INTERACTION = 10062


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxDriver]:
    async with in_process_bot(tmp_path_factory.mktemp("bot")) as made:
        made.expected.add(UNKNOWN_INTERACTION)
        yield made


@pytest.fixture(autouse=True)
def _clear_faults(sandbox: SandboxDriver) -> Iterator[None]:
    yield
    sandbox.discord.clear_faults()
    sandbox.fal.faults.clear()


async def disappears(sandbox: SandboxDriver, message: Message) -> None:
    """Wait until the message is deleted."""
    await sandbox.until(lambda: message.id not in message.channel.messages)


# ---------------------------------------------------------------------- painting


async def test_a_prompt_becomes_a_picture_with_its_facts_and_buttons(sandbox: SandboxDriver) -> None:
    message = await sandbox.paint(seed=7)
    assert "a lighthouse in a storm" in message.text()
    assert "seed `7`" in message.text()
    assert "FLUX.1" in message.text()
    assert list(message.buttons()) == RESULT_BUTTONS
    assert sandbox.discord.read(message)[0][:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0")


@pytest.mark.parametrize(
    ("person", "channel", "private"),
    [("ada", "dm", False), ("ada", "Ada & Pat", False), ("ada", "elsewhere", False), ("nia", "phone", False)],
)
async def test_it_works_wherever_it_is_installed(
    sandbox: SandboxDriver, person: str, channel: str, private: bool
) -> None:
    message = await sandbox.paint(person, channel)
    assert message.ephemeral is private


async def test_several_pictures_come_in_one_card(sandbox: SandboxDriver) -> None:
    message = await sandbox.paint(count=3)
    assert len(message.files) == 3


async def test_where_the_bot_may_not_post_nothing_is_spent(sandbox: SandboxDriver) -> None:
    before = len(sandbox.fal.accepted)
    record = await sandbox.imagine("ada", "read-only")
    assert record.message.ephemeral
    assert "Attach Files" in record.message.text()
    assert len(sandbox.fal.accepted) == before


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": "flux-schnel"}, "Did you mean"),
        ({"steps": 99}, "whole number from 1 to 12"),
        ({"size": "huge"}, "`size` can't be `huge`"),
        ({"options": "openai_api_key=x"}, "openai_api_key"),
        ({"prompt": "x" * 6000}, "prompt"),
        ({"prompt": "@everyone <@1> <@&2>"}, "prompt"),
        ({"prompt": "**__~~||``"}, "prompt"),
        ({"prompt": "e" + "\u0301" * 500}, "prompt"),
    ],
)
async def test_bad_input_is_a_private_sentence_and_nothing_is_spent(
    sandbox: SandboxDriver, options: dict[str, Any], expected: str
) -> None:
    before = len(sandbox.fal.accepted)
    record = await sandbox.imagine(**options)
    assert record.message.ephemeral
    assert expected in record.message.text()
    assert "broke" not in record.message.text()
    assert len(sandbox.fal.accepted) == before


@pytest.mark.parametrize(
    "prompt", ["a fox 🦊 👩‍👩‍👧‍👦", "קוף מצייר \u202eevil", "# head\n> q @everyone https://x.y ||s||"]
)
async def test_unusual_prompts_are_painted_and_shown_harmlessly(sandbox: SandboxDriver, prompt: str) -> None:
    message = await sandbox.paint(prompt=prompt)
    assert "@everyone" not in message.text()
    assert "\u202e" not in message.text()
    assert not message.data["mentions"]
    assert not message.data["mention_everyone"]


async def test_a_file_that_is_no_picture_is_refused_before_anything_is_spent(sandbox: SandboxDriver) -> None:
    before = len(sandbox.fal.accepted)
    upload = sandbox.discord.upload("ada", "notes.txt", b"hello")
    record = await sandbox.imagine(model="omnigen-v2", image=upload)
    assert "it is a text file, not a picture" in record.message.text()
    assert len(sandbox.fal.accepted) == before


async def test_an_attached_picture_is_used(sandbox: SandboxDriver) -> None:
    upload = sandbox.discord.upload("ada", "cat.png", a_picture())
    message = await sandbox.paint(model="omnigen-v2", image=upload)
    assert message.files


async def test_a_replayed_event_paints_once(sandbox: SandboxDriver) -> None:
    before = len(sandbox.fal.accepted)
    record = await sandbox.imagine()
    sandbox.discord.deliver_twice(record)
    await sandbox.picture(record)
    await sandbox.paint()
    assert len(sandbox.fal.accepted) == before + 2


async def test_an_answer_that_never_arrives_spends_nothing(sandbox: SandboxDriver) -> None:
    before = len(sandbox.fal.accepted)
    sandbox.discord.fail_next("POST", r"/callback", 404, code=UNKNOWN_INTERACTION)
    await sandbox.discord.command("ada", "general", "imagine", {"prompt": "nobody waits for this"})
    await sandbox.until(
        lambda: sandbox.discord.counters.errors[UNKNOWN_INTERACTION] or sandbox.discord.counters.statuses[404]
    )
    await sandbox.paint()
    assert len(sandbox.fal.accepted) == before + 1


async def test_completions_come_from_the_chosen_model(sandbox: SandboxDriver) -> None:
    models = await sandbox.discord.autocomplete("ada", "general", "imagine", "model", {"model": "post"})
    assert models
    sizes = await sandbox.discord.autocomplete("ada", "general", "imagine", "size", {"model": "imagen4"})
    assert "16:9" in [choice["value"] for choice in sizes]
    options = await sandbox.discord.autocomplete("ada", "general", "imagine", "options", {"options": "accel"})
    assert options[0]["value"] == "acceleration="


# ---------------------------------------------------------------------- buttons of a picture


async def test_again_paints_the_same_words_with_another_seed_for_anybody(sandbox: SandboxDriver) -> None:
    first = await sandbox.paint(seed=7)
    again = await sandbox.picture(await sandbox.press("nia", first, "Again"))
    assert "a lighthouse in a storm" in again.text()
    assert "seed `7`" not in again.text()
    assert f"<@{sandbox.discord.person('nia').id}>" in again.text()
    assert first.files


async def test_edit_comes_filled_and_paints_the_new_words(sandbox: SandboxDriver) -> None:
    first = await sandbox.paint(model="qwen-image", negative_prompt="boats")
    opened = await sandbox.press("ada", first, "Edit prompt")
    assert "a lighthouse in a storm" in str(opened.modal)
    assert "boats" in str(opened.modal)
    record = await sandbox.discord.submit_modal(opened, {"Prompt": "a windmill\nat noon"})
    await record.answered()
    assert "a windmill\nat noon" in (await sandbox.picture(record)).text()


async def test_details_hold_the_line_to_paste(sandbox: SandboxDriver) -> None:
    first = await sandbox.paint(seed=7, steps=3)
    shown = (await sandbox.press("nia", first, "Details")).message
    assert shown.ephemeral
    assert "/imagine prompt:a lighthouse in a storm model:flux-schnell steps:3 seed:7" in shown.text()


async def test_details_of_a_long_prompt_bring_a_file(sandbox: SandboxDriver) -> None:
    first = await sandbox.paint(prompt="word " * 790)
    shown = (await sandbox.press("ada", first, "Details")).message
    assert sandbox.discord.read(shown)[0].count(b"word") >= 790


async def test_only_the_requester_or_a_moderator_deletes(sandbox: SandboxDriver) -> None:
    first, second = await sandbox.paint(), await sandbox.paint()
    refused = await sandbox.press("nia", first, "Delete")
    assert "Only the person who asked" in refused.message.text()
    for person, message in (("ada", first), ("mo", second)):
        await sandbox.delete(person, message)
        await disappears(sandbox, message)


async def test_a_picture_can_be_deleted_where_the_bot_is_no_member(sandbox: SandboxDriver) -> None:
    message = await sandbox.paint("ada", "Ada & Pat")
    await sandbox.delete("ada", message)
    await disappears(sandbox, message)


async def test_a_failure_says_why_and_can_be_tried_again(sandbox: SandboxDriver) -> None:
    sandbox.fal.faults.set("job_error", True)
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Again" in record.message.buttons())
    assert "No quota was used." in record.message.text()
    assert (await sandbox.picture(await sandbox.press("ada", record.message, "Again"))).files


# ---------------------------------------------------------------------- cancelling


async def test_a_waiting_picture_is_cancelled_by_its_owner_only(sandbox: SandboxDriver) -> None:
    sandbox.fal.faults.set("stuck_queue", True)
    record = await sandbox.imagine()
    assert list(record.message.buttons()) == ["Cancel", "Why am I waiting?"]
    refused = await sandbox.press("nia", record.message, "Cancel")
    assert "Only the person who asked" in refused.message.text()
    await sandbox.press("ada", record.message, "Cancel")
    await sandbox.until(lambda: "ancelled" in record.message.text())
    assert "No quota was used." in record.message.text()
    assert list(record.message.buttons()) == ["Again", "Edit prompt", "Details", "Delete"]


async def test_cancel_names_the_only_one_and_asks_among_several(sandbox: SandboxDriver) -> None:
    sandbox.fal.faults.set("stuck_queue", True)
    first, second = await sandbox.imagine("pat"), await sandbox.imagine("pat", prompt="a windmill")
    question = await sandbox.run("pat", "general", "cancel")
    menu = next(part for part in question.message.components() if part["type"] == 3)
    chosen = next(option for option in menu["options"] if "windmill" in option["label"])
    await sandbox.press("pat", question.message, menu["custom_id"], [chosen["value"]])
    await sandbox.until(lambda: "ancelled" in second.message.text())
    offered = await sandbox.discord.autocomplete("pat", "general", "cancel", "job")
    assert len(offered) == 1
    answer = await sandbox.run("pat", "general", "cancel")
    await sandbox.until(lambda: "ancelled" in first.message.text())
    await sandbox.until(lambda: "No quota was used." in answer.message.text())
    nothing = await sandbox.run("pat", "general", "cancel")
    assert nothing.message.text() == "You have no requests in progress."


# ---------------------------------------------------------------------- pages


async def test_models_are_browsed_made_the_default_and_painted_with(sandbox: SandboxDriver) -> None:
    page = (await sandbox.run("nia", "general", "models")).message
    assert page.ephemeral
    menu = next(part for part in page.components() if part["type"] == 3)
    await sandbox.press("nia", page, menu["custom_id"], ["qwen-image"])
    assert "Qwen" in page.text()
    assert "`negative_prompt`" in page.text()
    await sandbox.press("nia", page, "Use as my default")
    assert page.buttons()["Your default"]["disabled"]
    opened = await sandbox.press("nia", page, "Paint with this")
    record = await sandbox.discord.submit_modal(opened, {"Prompt": "a quince", "size": "square"})
    await record.answered()
    assert "Qwen" in (await sandbox.picture(record)).text()
    assert "Qwen" in (await sandbox.paint("nia")).text()


async def test_compose_takes_long_prompts_of_several_lines(sandbox: SandboxDriver) -> None:
    opened = await sandbox.run("ada", "general", "compose")
    prompt = "first line\nsecond line " + "and more " * 300
    record = await sandbox.discord.submit_modal(opened, {"Prompt": prompt, "options": "seed=3"})
    await record.answered()
    assert "seed `3`" in (await sandbox.picture(record)).text()


async def test_a_bad_option_in_a_form_is_a_sentence(sandbox: SandboxDriver) -> None:
    opened = await sandbox.run("ada", "general", "compose")
    record = await sandbox.discord.submit_modal(opened, {"Prompt": "a fox", "options": "steps=99"})
    await record.answered()
    assert "whole number from 1 to 12" in record.message.text()


async def test_help_leads_on(sandbox: SandboxDriver) -> None:
    page = (await sandbox.run("nia", "dm", "help")).message
    assert "/imagine" in page.text()
    assert (await sandbox.press("nia", page, "Write a prompt")).modal is not None
    assert "Choose one" in (await sandbox.press("nia", page, "Browse models")).message.text()
    assert "right now" in (await sandbox.press("nia", page, "What I have left")).message.text()


async def test_usage_shows_what_is_under_way(sandbox: SandboxDriver) -> None:
    sandbox.fal.faults.set("stuck_queue", True)
    record = await sandbox.imagine("nia", prompt="a very slow snail")
    shown = (await sandbox.run("nia", "general", "usage")).message.text()
    assert "a very slow snail" in shown
    await sandbox.press("nia", record.message, "Cancel")
    await sandbox.until(lambda: "ancelled" in record.message.text())


# ---------------------------------------------------------------------- settings and privacy


async def test_a_managers_limits_hold_at_once_and_say_when_it_goes_on(sandbox: SandboxDriver) -> None:
    refused = await sandbox.run("ada", "general", "settings limits", {"burst": 1})
    assert "Manage Server" in refused.message.text()
    await sandbox.run("mo", "general", "settings limits", {"burst": 1, "images_per_hour": 60.0})
    try:
        first = await sandbox.run("pat", "general", "imagine", {"prompt": "one"})
        second = await sandbox.run("pat", "general", "imagine", {"prompt": "two"})
        assert second.message.ephemeral
        assert "<t:" in second.message.text()
        await sandbox.picture(first)
        assert "pictures** right now" in (await sandbox.run("pat", "general", "usage")).message.text()
    finally:
        await sandbox.run("mo", "general", "settings limits", {"reset": True})
    assert "then 10,000 an hour" in (await sandbox.run("pat", "general", "settings show")).message.text()


async def test_a_servers_default_model_is_used(sandbox: SandboxDriver) -> None:
    await sandbox.run("mo", "general", "settings model", {"model": "hidream-fast", "whose": "this server"})
    try:
        assert "HiDream" in (await sandbox.paint("pat")).text()
    finally:
        await sandbox.run("mo", "general", "settings model", {"model": "reset", "whose": "this server"})


async def test_a_persons_data_is_deleted_with_what_is_under_way(sandbox: SandboxDriver) -> None:
    old = await sandbox.paint("pat")
    sandbox.fal.faults.set("stuck_queue", True)
    live = await sandbox.imagine("pat")
    page = (await sandbox.run("pat", "general", "privacy")).message
    question = (await sandbox.press("pat", page, "Delete my data")).message
    await sandbox.press("pat", question, "Yes, delete everything")
    await sandbox.until(lambda: "Deleted:" in question.text())
    assert "ancelled" in live.message.text()
    gone = await sandbox.press("ada", old, "Details")
    assert "no longer have any data" in gone.message.text()
    await sandbox.delete("pat", old)
    await disappears(sandbox, old)
