"""What Discord's client would refuse or not show, the page refuses or does not show."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import FilePayload, Page, expect

from tests.e2e.page.fake_server import PageFake
from tests.e2e.page.recorded import AFTER_DARK, COMPONENTS_V2, EPHEMERAL, GENERAL, MO, Obj
from tests.e2e.page.steps import Open, begin, eventually, sent

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


def options(fake: PageFake) -> dict[str, Any]:
    """What the last command was sent with."""
    return {one["name"]: one["value"] for one in sent(fake, "command")[-1]["options"]}


# ---------------------------------------------------------------------- commands


@pytest.mark.parametrize(
    ("typed", "value"),
    [("True", True), ("true", True), ("TRUE ", True), ("False", False), ("false", False), ("FALSE", False)],
)
async def test_a_pasted_truth_value_is_what_it_says(fake: PageFake, visit: Open, typed: str, value: bool) -> None:
    page = await visit()
    await page.get_by_test_id("composer").fill(f"/imagine prompt:an owl spoiler:{typed}")
    await page.get_by_test_id("send").click()
    await eventually(lambda: bool(sent(fake, "command")))
    assert options(fake) == {"prompt": "an owl", "spoiler": value}


@pytest.mark.parametrize(
    ("name", "typed", "said"),
    [
        ("spoiler", "yes", "“yes” is neither True nor False."),
        ("spoiler", "1", "“1” is neither True nor False."),
        ("image", "photo.png", "“photo.png” is only a name: choose the file itself."),
        ("count", "2.0", "Must be a whole number."),
        ("count", "1e0", "Must be a whole number."),
        ("count", "0x2", "Must be a whole number."),
        ("count", "٣", "Must be a whole number."),
        ("count", "0", "Must be 1 or more."),
        ("seed", "99999999999999999999", "The number is too large."),
        ("guidance", "7,5", "Must be a number, with a point before decimals."),
        ("guidance", "Infinity", "Must be a number, with a point before decimals."),
        ("guidance", "20.5", "Must be 20 or less."),
        ("style", "watercolour", "Choose one from the list."),
        ("prompt", "🦊" * 2001, "At most 4000 characters (now 4002)."),
    ],
)
async def test_a_value_that_discord_would_not_send_is_not_sent(
    fake: PageFake, visit: Open, name: str, typed: str, said: str
) -> None:
    page = await visit()
    prompt = "" if name == "prompt" else "prompt:an owl "
    await page.get_by_test_id("composer").fill(f"/imagine {prompt}{name}:{typed}")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id(f"error-{name}")).to_have_text(said)
    assert fake.posted == []


@pytest.mark.parametrize(
    "pasted",
    [
        "/imagine\nprompt: a fox\nin snow\ncount: 2",
        "/imagine a fox\nin snow\r\n  count:2\n",
        "/IMAGINE prompt:a fox\n\nin snow count:2",
    ],
)
async def test_a_pasted_command_of_several_lines_is_a_command(fake: PageFake, visit: Open, pasted: str) -> None:
    page = await visit()
    await page.get_by_test_id("composer").fill(pasted)
    await expect(page.get_by_test_id("command-option-prompt")).to_have_value("a fox in snow")
    await page.get_by_test_id("send").click()
    await eventually(lambda: bool(sent(fake, "command")))
    assert options(fake) == {"prompt": "a fox in snow", "count": 2}
    assert [what for what, _ in fake.posted] == ["interact"]


async def test_a_command_without_options_may_end_in_a_new_line(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("composer").fill("/usage\n")
    await page.keyboard.press("Enter")
    await eventually(lambda: bool(sent(fake, "command")))
    assert [what for what, _ in fake.posted] == ["interact"]


async def test_tab_goes_through_the_options_before_it_reaches_send(visit: Open) -> None:
    page = await visit()
    await begin(page, "imagine")
    await page.keyboard.type("an owl")
    reached: list[str] = []
    while "send" not in reached:
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.dataset.testid ?? document.activeElement.tagName"))
    names = ("model", "size", "count", "seed", "negative_prompt", "style", "guidance", "spoiler", "image", "options")
    assert reached == [*(f"add-option-{name}" for name in names), "send"]


async def test_a_message_is_bound_to_two_thousand_units_and_ten_files(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("composer").fill("🦊" * 1001)
    await page.keyboard.press("Enter")
    await expect(page.locator("#composer-hint")).to_have_text("2 characters too many for one message.")
    await page.get_by_test_id("composer").fill("")
    files: list[FilePayload] = [
        {"name": f"{number}.png", "mimeType": "image/png", "buffer": b"x"} for number in range(11)
    ]
    await page.get_by_test_id("attach-input").set_input_files(files)
    await expect(page.get_by_test_id("toast")).to_have_text("Discord takes at most 10 files in a message.")
    await eventually(lambda: len(fake.uploads) == 10)
    assert fake.posted == []


async def test_a_file_above_the_limit_of_the_channel_is_not_uploaded(fake: PageFake, visit: Open) -> None:
    page = await visit()
    large: FilePayload = {"name": "owl.png", "mimeType": "image/png", "buffer": b"x" * 1001}
    await page.get_by_test_id("attach-input").set_input_files(large)
    await expect(page.get_by_test_id("toast")).to_have_text("owl.png has 1001 bytes; Discord takes at most 1000 bytes.")
    await begin(page, "imagine")
    await page.get_by_test_id("add-option-image").click()
    await page.get_by_test_id("command-option-image").set_input_files(large)
    said = "1001 bytes is more than the 1000 bytes Discord takes."
    await expect(page.get_by_test_id("error-image")).to_have_text(said)
    assert fake.uploads == {}


async def test_who_may_not_write_gets_no_commands_either(fake: PageFake, visit: Open) -> None:
    fake.silent.add(GENERAL)
    page = await visit()
    for control in ("composer", "send", "attach", "open-palette"):
        await expect(page.get_by_test_id(control)).to_be_disabled()
    await expect(page.get_by_test_id("composer")).to_have_attribute("placeholder", "You may not write in this channel")


@pytest.mark.parametrize(("kind", "offered"), [(6, ["@Patron", "@Moderator"]), (8, ["#general", "#after-dark"])])
async def test_a_select_offers_what_it_is_for(fake: PageFake, visit: Open, kind: int, offered: list[str]) -> None:
    select = {"type": kind, "id": 2, "custom_id": "pick", "placeholder": "Pick"}
    row = {"type": 1, "id": 1, "components": [select]}
    fake.messages[GENERAL].append(fake.message(flags=COMPONENTS_V2, components=[row]))
    page = await visit()
    await page.get_by_test_id("select").click()
    listed = await page.get_by_test_id("menu-item").all_inner_texts()
    assert listed[: len(offered)] == offered
    assert "@Ada" not in listed


# ---------------------------------------------------------------------- what only one person sees


async def test_a_private_answer_is_gone_with_a_reload_and_stays_over_a_lost_connection(
    fake: PageFake, visit: Open
) -> None:
    page = await visit()
    private = fake.message(used="usage", flags=EPHEMERAL, content="only for Ada")
    await fake.post_message(private)
    await fake.post_message(fake.message(MO, content="for everybody"))
    await expect(page.get_by_test_id("message-content")).to_have_text(["only for Ada", "for everybody"])
    fake.messages[GENERAL].append(fake.message(used="usage", flags=EPHEMERAL, content="missed meanwhile"))
    await fake.drop_connections()
    everything = ["only for Ada", "for everybody", "missed meanwhile"]
    await expect(page.get_by_test_id("message-content")).to_have_text(everything)
    await page.reload()
    await expect(page.get_by_test_id("message-content")).to_have_text(["for everybody"])
    await fake.post_message(private | {"content": "edited"})
    await fake.post_message(fake.message(MO, content="later"))
    await expect(page.get_by_test_id("message-content")).to_have_text(["for everybody", "later"])


async def test_no_command_is_offered_on_a_private_message(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await fake.post_message(fake.message(used="usage", flags=EPHEMERAL, content="only for Ada"))
    await page.get_by_test_id("message").click(button="right")
    await expect(page.get_by_test_id("menu")).to_be_visible()
    await expect(page.get_by_test_id("app-command")).to_have_count(0)


# ---------------------------------------------------------------------- the age gate


async def test_an_age_restricted_channel_asks_first(fake: PageFake, visit: Open) -> None:
    fake.messages[AFTER_DARK].append(fake.message(MO, content="after dark"))
    page = await visit()
    await page.get_by_test_id("channel-after-dark").click()
    await expect(page.get_by_test_id("gate-back")).to_be_focused()
    await expect(page.get_by_test_id("message")).to_have_count(0)
    await expect(page.get_by_test_id("composer")).to_be_hidden()
    await fake.post_message(fake.message(MO, content="a secret"), AFTER_DARK)
    await page.get_by_test_id("gate-back").click()
    await expect(page.get_by_test_id("channel-title")).to_have_text("general")
    assert "secret" not in (await page.locator("#announce").text_content() or "")
    await page.get_by_test_id("channel-after-dark").click()
    await page.get_by_test_id("gate-continue").click()
    await expect(page.get_by_test_id("message-content")).to_have_text(["after dark", "a secret"])
    await expect(page.get_by_test_id("composer")).to_be_focused()
    await page.get_by_test_id("channel-general").click()
    await page.get_by_test_id("channel-after-dark").click()
    await expect(page.get_by_test_id("message")).to_have_count(2)


async def test_everybody_is_asked_for_themselves_and_again_after_a_reload(fake: PageFake, visit: Open) -> None:
    page = await visit(at="#ada/after-dark")
    await page.get_by_test_id("gate-continue").click()
    await expect(page.get_by_test_id("gate")).to_have_count(0)
    await page.get_by_test_id("person-switch").click()
    await page.get_by_test_id("person-nia").click()
    await expect(page.get_by_test_id("gate")).to_be_visible()
    await page.get_by_test_id("person-switch").click()
    await page.get_by_test_id("person-ada").click()
    await expect(page.get_by_test_id("gate")).to_have_count(0)
    await page.reload()
    await expect(page.get_by_test_id("gate")).to_be_visible()


# ---------------------------------------------------------------------- messages


async def test_an_answer_to_a_button_names_the_message_it_answers(fake: PageFake, visit: Open) -> None:
    page = await visit()
    card, words = fake.result("an owl"), fake.message(MO, content="**hello** ||there||")
    for one in (card, words):
        await fake.post_message(one)
        await fake.post_message(fake.answer_to(one, content="the answer"))
    lines = page.get_by_test_id("answered")
    await expect(lines).to_have_text(["EaselAppSee the message", "Mohello (spoiler)"])
    await lines.first.click()
    await expect(page.locator(f"[data-message-id='{card['id']}']")).to_have_class("message pointed-at")
    await fake.push("message_delete", channel_id=GENERAL, message_id=card["id"])
    await expect(lines.first).to_have_text("Original message was deleted")


async def test_an_answer_whose_message_was_deleted_before_says_so(fake: PageFake, visit: Open) -> None:
    fake.messages[GENERAL].append(
        fake.answer_to(fake.result("an owl"), content="the answer") | {"referenced_message": None}
    )
    page = await visit()
    await expect(page.get_by_test_id("answered")).to_have_text("Original message was deleted")


@pytest.mark.parametrize("kind", ["svg+xml", "heic", "bmp", "tiff", "jxl", "x-icon"])
async def test_a_gallery_shows_no_format_that_discord_cannot_show(fake: PageFake, visit: Open, kind: str) -> None:
    page = await visit()
    await fake.post_message(with_type(fake.result("an owl"), f"image/{kind}"))
    await expect(page.get_by_test_id("broken")).to_be_visible()
    await expect(page.get_by_test_id("picture")).to_have_count(0)
    plain = fake.message(content="", attachments=[fake.attachment("owl.bin") | {"content_type": f"image/{kind}"}])
    await fake.post_message(plain)
    await expect(page.get_by_test_id("file")).to_contain_text("owl.bin")
    assert fake.picture_requests == []


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "avif"])
async def test_a_gallery_shows_what_discord_shows(fake: PageFake, visit: Open, kind: str) -> None:
    page = await visit()
    await fake.post_message(with_type(fake.result("an owl"), f"image/{kind}"))
    await expect(page.get_by_test_id("picture")).to_be_visible()


def with_type(message: Obj, content_type: str) -> Obj:
    for one in message["attachments"]:
        one["content_type"] = content_type
    return message


@pytest.mark.parametrize(
    ("content", "flags", "previewed"),
    [
        ("see https://example.org/a and https://example.org/a", 0, ["example.org"]),
        ("[a page](https://fal.ai/x) 1https://a.example", 0, ["fal.ai", "a.example"]),
        ("<https://example.org/a> [a page](<https://fal.ai/x>)", 0, []),
        ("||https://example.org|| `https://example.org`", 0, []),
        ("https://example.org/a", 4, []),
        (" ".join(f"https://{number}.example" for number in range(7)), 0, [f"{number}.example" for number in range(5)]),
    ],
)
async def test_links_are_previewed_unless_they_are_suppressed(
    fake: PageFake, visit: Open, content: str, flags: int, previewed: list[str]
) -> None:
    page = await visit()
    await fake.post_message(fake.message(content=content, flags=flags))
    await expect(page.get_by_test_id("message")).to_be_visible()
    said = await page.get_by_test_id("link-preview").all_inner_texts()
    assert said == [f"Discord shows a preview of {host} here" for host in previewed]


@pytest.mark.parametrize("phone", [False, True])
async def test_the_copy_button_hides_no_text(fake: PageFake, visit: Open, phone: bool) -> None:
    page = await visit(phone=phone)
    for text in ("one line that is just long enough to reach the far end of it " * 3, "x" * 300, "a\nb\nc"):
        await fake.post_message(fake.message(MO, content=f"```\n{text}\n```"))
    await expect(page.get_by_label("Copy this text")).to_have_count(3)
    assert await hidden_lines(page) == []


async def hidden_lines(page: Page) -> list[str]:
    """Lines of code that a copy button lies over."""
    found: list[str] = await page.evaluate(
        """[...document.querySelectorAll(".code")].flatMap((code) => {
            const button = code.querySelector("button").getBoundingClientRect();
            const range = document.createRange();
            range.selectNodeContents(code.querySelector("code"));
            return [...range.getClientRects()]
                .filter((line) => line.right > button.left && line.bottom > button.top && line.top < button.bottom)
                .map((line) => code.textContent.slice(0, 40));
        })"""
    )
    return found
