"""The sandbox page in a real browser, against recorded objects instead of the fake servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, FilePayload, Page, ViewportSize, async_playwright, expect

from tests.e2e.page_fake import ADA, EPHEMERAL, GENERAL, LOADING, MO, PAGE, Obj, PageFake

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

_ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
_ARGS += ["--disable-component-update", "--disable-sync"]
_DESK: ViewportSize = {"width": 1440, "height": 900}
_PHONE: ViewportSize = {"width": 390, "height": 844}

Open = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(loop_scope="module")
async def fake() -> AsyncIterator[PageFake]:
    fake = PageFake()
    yield fake
    await fake.stop()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path, args=_ARGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def desk(browser: Browser) -> BrowserContext:
    return await browser.new_context(viewport=_DESK)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def phone_(browser: Browser) -> BrowserContext:
    return await browser.new_context(viewport=_PHONE, has_touch=True, is_mobile=True)


@pytest_asyncio.fixture(loop_scope="module")
async def visit(fake: PageFake, desk: BrowserContext, phone_: BrowserContext) -> AsyncIterator[Open]:
    """Opens the page; at the end nothing may have been written to the console."""
    complaints: list[str] = []
    url = await fake.start()

    async def go(*, phone: bool = False, at: str = "") -> Page:
        page = await (phone_ if phone else desk).new_page()
        page.set_default_timeout(8000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type in {"error", "warning"} else None)
        await page.goto(url + at)
        await page.wait_for_selector("body[data-ready=true]")
        return page

    yield go
    for page in [*desk.pages, *phone_.pages]:
        await page.close()
    assert complaints == []


async def _eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(8):
        while not holds():
            await asyncio.sleep(0.01)


def _sent(fake: PageFake, kind: str) -> list[Obj]:
    return [body for what, body in fake.posted if what == "interact" and body["kind"] == kind]


async def _begin(page: Page, command: str) -> None:
    await page.get_by_test_id("composer").fill(f"/{command}")
    await page.locator(f"[data-testid=command-suggestion][data-value='{command}']").click()


# ---------------------------------------------------------------------- composing a command


async def test_a_command_is_composed_with_the_keyboard_alone(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.keyboard.type("/ima")
    await expect(page.get_by_test_id("command-suggestion")).to_have_count(1)
    await page.keyboard.press("Tab")
    await page.keyboard.type("a fox in the snow")
    await page.get_by_test_id("add-option-model").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.type("see")
    await expect(page.get_by_test_id("option-suggestion")).to_have_text(["Seedream 4 · rich detail · $0.03 per image"])
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("command-option-model")).to_have_value(
        "Seedream 4 · rich detail · $0.03 per image"
    )
    await page.keyboard.press("Enter")

    await expect(page.get_by_test_id("button").filter(has_text="Again")).to_be_visible()
    (command,) = _sent(fake, "command")
    assert command["person"] == ADA["id"]
    assert command["channel_id"] == GENERAL
    assert command["options"] == [
        {"name": "prompt", "type": 3, "value": "a fox in the snow"},
        {"name": "model", "type": 3, "value": "seedream-v4"},
    ]
    await expect(page.get_by_test_id("used")).to_have_text("Ada used /imagine")
    await expect(page.get_by_test_id("composer")).to_be_focused()


async def test_stale_autocomplete_answers_are_dropped(fake: PageFake, visit: Open) -> None:
    fake.autocomplete_delays_s = [0.5, 0.0]
    page = await visit()
    await _begin(page, "imagine")
    await page.get_by_test_id("add-option-model").click()  # asks at once, is answered last
    await _eventually(lambda: len(_sent(fake, "autocomplete")) == 1)
    await page.keyboard.type("qwen")
    await expect(page.get_by_test_id("option-suggestion")).to_have_count(1)
    await page.wait_for_timeout(600)
    await expect(page.get_by_test_id("option-suggestion")).to_have_text(
        ["Qwen Image · lettering · $0.02 per megapixel"]
    )
    assert _sent(fake, "autocomplete")[-1]["options"][-1] == {
        "name": "model",
        "type": 3,
        "value": "qwen",
        "focused": True,
    }
    assert len(_sent(fake, "autocomplete")) == 2, "typing is asked about once, when it pauses"


@pytest.mark.parametrize("phone", [False, True])
async def test_what_is_missing_or_out_of_range_is_said_beside_the_field_and_nothing_is_sent(
    fake: PageFake, visit: Open, phone: bool
) -> None:
    page = await visit(phone=phone)
    await _begin(page, "imagine")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("error-prompt")).to_have_text("This option is required.")
    await page.get_by_test_id("command-option-prompt").fill("an owl")
    await expect(page.get_by_test_id("error-prompt")).to_have_text("")
    await page.get_by_test_id("add-option-count").click()
    await page.get_by_test_id("command-option-count").fill("9")
    await page.get_by_test_id("add-option-style").click()
    await page.get_by_test_id("command-option-style").fill("no such style")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("error-count")).to_have_text("Must be 4 or less.")
    await expect(page.get_by_test_id("error-style")).to_have_text("Choose one from the list.")
    assert _sent(fake, "command") == []


async def test_every_kind_of_option_is_sent_with_its_own_type(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await _begin(page, "imagine")
    await page.get_by_test_id("command-option-prompt").fill("an owl")
    for name, value in (("count", "2"), ("guidance", "7.5"), ("size", "16:9")):
        await page.get_by_test_id(f"add-option-{name}").click()
        await page.get_by_test_id(f"command-option-{name}").fill(value)
    await page.get_by_test_id("add-option-style").click()
    await page.get_by_test_id("option-suggestion").filter(has_text="ink").click()
    await page.get_by_test_id("add-option-spoiler").click()
    await page.get_by_test_id("command-option-spoiler-true").click()
    await page.get_by_test_id("add-option-image").click()
    picture: FilePayload = {"name": "owl.png", "mimeType": "image/png", "buffer": b"not really"}
    await page.get_by_test_id("command-option-image").set_input_files(picture)
    await expect(page.get_by_test_id("field-image")).to_contain_text("owl.png · 10 bytes")
    await page.get_by_test_id("send").click()
    await _eventually(lambda: bool(_sent(fake, "command")))
    (upload,) = fake.uploads
    assert {one["name"]: (one["type"], one["value"]) for one in _sent(fake, "command")[0]["options"]} == {
        "prompt": (3, "an owl"),
        "size": (3, "16:9"),
        "count": (4, 2),
        "style": (3, "ink"),
        "guidance": (10, 7.5),
        "spoiler": (5, True),
        "image": (11, upload),
    }


async def test_subcommands_are_offered_unfolded_and_sent_nested(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await _begin(page, "settings limits")
    await page.get_by_test_id("command-option-images_per_day").fill("12")
    await page.keyboard.press("Enter")
    await _eventually(lambda: bool(_sent(fake, "command")))
    inner = [{"name": "images_per_day", "type": 4, "value": 12}]
    assert _sent(fake, "command")[0]["options"] == [{"name": "limits", "type": 1, "options": inner}]


async def test_a_pasted_command_line_fills_the_fields(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("composer").fill("/imagine prompt: a fox: red, in snow count:2 seed:77")
    await expect(page.get_by_test_id("command-option-prompt")).to_have_value("a fox: red, in snow")
    await expect(page.get_by_test_id("command-option-count")).to_have_value("2")
    await expect(page.get_by_test_id("command-option-seed")).to_have_value("77")


async def test_a_command_typed_out_and_sent_with_the_button_is_a_command(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("composer").fill("/usage")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("composer")).to_have_value("")
    assert [what for what, _ in fake.posted] == ["interact"]

    await page.get_by_test_id("composer").fill("/imagine")
    await page.get_by_test_id("send").click()
    await expect(page.get_by_test_id("command-option-prompt")).to_be_focused()
    assert len(fake.posted) == 1


async def test_a_newcomer_presses_an_example_and_enter(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await expect(page.get_by_test_id("welcome")).to_contain_text("no account, no token")
    await page.get_by_test_id("example-0").click()
    await expect(page.get_by_test_id("command-option-prompt")).to_have_value(
        "a lighthouse keeper's cat asleep on a pile of sea charts, lamplight, oil painting"
    )
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("picture")).to_be_visible()
    await expect(page.get_by_test_id("welcome")).to_have_count(0)


async def test_a_chat_message_is_sent_with_enter_and_shift_enter_makes_a_line(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("composer").click()
    await page.keyboard.type("hello")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("there")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("message-content")).to_have_text("hellothere")
    assert fake.posted == [
        ("message", {"person": ADA["id"], "channel_id": GENERAL, "content": "hello\nthere", "uploads": []})
    ]


# ---------------------------------------------------------------------- reading


async def test_hostile_text_stays_text(fake: PageFake, visit: Open) -> None:
    hostile = "<script>window.hit = 1</script> <img src=x onerror='window.hit = 1'> "
    hostile += "[x](javascript:window.hit=1) **<b>b</b>** `<i>`"
    page = await visit()
    card: Obj = {
        "type": 17,
        "id": 1,
        "accent_color": None,
        "spoiler": False,
        "components": [{"type": 10, "id": 2, "content": hostile}],
    }
    await fake.post_message(fake.message(MO, content=hostile))
    await fake.post_message(fake.message(flags=32768, components=[card]))
    embed = {
        "title": hostile,
        "description": hostile,
        "url": "javascript:window.hit=1",
        "image": {"url": "javascript:1"},
    }
    await fake.post_message(fake.message(content="", embeds=[embed]))
    contents = page.get_by_test_id("message-content")
    await expect(contents).to_have_count(3)
    for index in range(2):
        await expect(contents.nth(index)).to_contain_text(
            "<script>window.hit = 1</script> <img src=x onerror='window.hit = 1'>"
        )
        await expect(contents.nth(index)).to_contain_text("[x](javascript:window.hit=1)")
    assert await contents.locator("script, img, i, b").count() == 0
    assert await contents.locator("a[href^='javascript']").count() == 0
    assert await page.evaluate("window.hit") is None


_MARKDOWN = [
    ("**bold** *it* _it_ __u__ ~~s~~", "strong:bold em:it em:it u:u s:s"),
    ("***both*** and **a *b* c**", "strong:both em:both strong:a b c em:b"),
    (r"\*not\* snake_case_name 2*3*4", "em:3"),
    ("`a **b**` ``c`d``", "code:a **b** code:c`d"),
    ("**open and `**` closed**", "strong:open and ** closed code:**"),
    ("[a link](https://example.org/x_(y))", "a:a link"),
    ("<https://example.org> https://example.org/a.", "a:https://example.org a:https://example.org/a"),
    ("||hush||", "span:hush"),
]


async def test_inline_markdown(visit: Open) -> None:
    page = await visit()
    found = await page.evaluate(
        """async (sources) => {
            const { markdown } = await import("./markdown.js");
            return sources.map((source) => {
                const holder = document.createElement("div");
                holder.append(markdown(source, { userName: () => null, channelName: () => null }));
                const found = [...holder.querySelectorAll("strong, em, u, s, code, a, .spoiler")];
                return found.map((node) => `${node.tagName.toLowerCase()}:${node.textContent}`).join(" ");
            });
        }""",
        [source for source, _ in _MARKDOWN],
    )
    assert found == [expected for _, expected in _MARKDOWN]


async def test_block_markdown(fake: PageFake, visit: Open) -> None:
    page = await visit()
    source = "# One\n## Two\n-# small\n> said\n> twice\n- a\n- b\n  - c\n1. d\n"
    source += "```py\nif x:\n    y()\n```\nafter # no heading\n>>> rest\nof it"
    await fake.post_message(fake.message(MO, content=source))
    content = page.get_by_test_id("message-content")
    await expect(content.get_by_role("heading")).to_have_text(["One", "Two"])
    await expect(content.locator(".md-sub")).to_have_text("small")
    await expect(content.locator("blockquote")).to_have_text(["saidtwice", "restof it"])
    await expect(content.locator("ul ul li")).to_have_text("c")
    await expect(content.locator("ol li")).to_have_text("d")
    assert await content.locator("pre code").text_content() == "if x:\n    y()"
    await expect(content).to_contain_text("after # no heading")


async def test_a_very_long_run_of_marks_does_not_hang_the_page(fake: PageFake, visit: Open) -> None:
    page = await visit()
    for marks in ("*" * 4000, "**_" * 1300, "||a " * 1000, "[" * 4000, "`" * 3999 + "a", "> " * 2000, "*a " * 1300):
        took_ms = await page.evaluate(
            """async (source) => {
                const { markdown } = await import("./markdown.js");
                const start = performance.now();
                markdown(source, { userName: () => null, channelName: () => null });
                return performance.now() - start;
            }""",
            marks,
        )
        assert took_ms < 2000


async def test_the_gallery_shows_alt_texts_and_opens_the_lightbox(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await fake.post_message(fake.result("a tea house", 4))
    pictures = page.get_by_test_id("picture")
    await expect(pictures).to_have_count(4)
    assert await pictures.nth(2).get_attribute("alt") == "a tea house (3 of 4)"
    await page.get_by_test_id("alt-badge").nth(2).click()
    await expect(page.get_by_test_id("alt-text")).to_have_text("a tea house (3 of 4)")
    await page.locator(".tile-open").nth(1).click()
    await expect(page.get_by_test_id("lightbox-alt")).to_have_text("a tea house (2 of 4)")
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_test_id("lightbox-alt")).to_have_text("a tea house (3 of 4)")
    source = await pictures.nth(2).get_attribute("src")
    assert (await page.get_by_test_id("lightbox-original").get_attribute("href") or "").endswith(source or "?")
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("lightbox")).to_have_count(0)


async def test_a_spoiler_stays_veiled_until_it_is_pressed_and_through_edits(fake: PageFake, visit: Open) -> None:
    page = await visit()
    message = fake.result("two kites", 2, spoiler=True)
    await fake.post_message(message)
    await expect(page.locator(".tile.veiled")).to_have_count(2)
    await page.locator(".tile-open").first.click()
    await expect(page.locator(".tile.veiled")).to_have_count(1)
    await expect(page.get_by_test_id("lightbox")).to_have_count(0)
    await fake.post_message(message | {"edited_timestamp": message["timestamp"]})
    await expect(page.locator(".edited")).to_have_count(1)
    await expect(page.locator(".tile.veiled")).to_have_count(1)


async def test_an_edit_keeps_the_picture_the_focus_and_the_place(fake: PageFake, visit: Open) -> None:
    page = await visit()
    for number in range(12):
        await fake.post_message(fake.message(MO, content=f"line {number}\n" * 4))
    message = fake.result("a quiet harbour")
    await fake.post_message(message)
    for number in range(12):
        await fake.post_message(fake.message(MO, content=f"later {number}\n" * 4))
    image = page.get_by_test_id("picture")
    await image.scroll_into_view_if_needed()
    await _until(page, "document.querySelector('[data-testid=picture]').complete")
    await page.get_by_test_id("button").filter(has_text="Details").focus()
    await page.evaluate(
        "window.kept = document.querySelector('[data-testid=picture]'); window.top_ = kept.getBoundingClientRect().top"
    )
    assert len(fake.picture_requests) == 1

    changed = dict(message) | {"edited_timestamp": message["timestamp"], "attachments": []}
    card = dict(message["components"][0])
    gallery = {
        **card["components"][1],
        "items": [
            {**item, "media": {**item["media"], "url": item["media"]["url"].replace("ex=1", "ex=2")}}
            for item in card["components"][1]["items"]
        ],
    }
    card["components"] = [{"type": 10, "id": 2, "content": "**Changed**"}, gallery, *card["components"][2:]]
    await fake.post_message(changed | {"components": [card]})

    await expect(page.get_by_test_id("container")).to_contain_text("Changed")
    await expect(page.get_by_test_id("button").filter(has_text="Details")).to_be_focused()
    assert await page.evaluate("window.kept === document.querySelector('[data-testid=picture]')")
    assert len(fake.picture_requests) == 1, "a new signature on the address is no new picture"
    await fake.post_message(fake.message(MO, content="and one more"))
    await expect(page.get_by_test_id("to-bottom")).to_have_text("1 new message")
    assert abs(await page.evaluate("window.top_ - kept.getBoundingClientRect().top")) < 60


async def test_the_list_sticks_to_the_bottom_and_takes_hundreds_of_messages(fake: PageFake, visit: Open) -> None:
    for number in range(400):
        fake.messages[GENERAL].append(fake.message(MO if number % 3 else ADA, content=f"message {number}"))
    page = await visit()
    await expect(page.get_by_test_id("message")).to_have_count(400)
    await fake.post_message(fake.result("a quiet harbour", 3))
    await expect(page.get_by_test_id("picture").first).to_be_visible()
    scroller = "document.querySelector('[data-testid=scroller]')"
    await _until(page, f"{scroller}.scrollHeight - {scroller}.scrollTop - {scroller}.clientHeight < 2")


async def _until(page: Page, expression: str) -> None:
    """Like `wait_for_function`, which evaluates within the page: its security policy does not let it try again."""
    async with asyncio.timeout(30):
        while not await page.evaluate(expression):
            await asyncio.sleep(0.02)


async def test_a_loading_answer_and_an_ephemeral_one_say_so_and_can_be_dismissed(fake: PageFake, visit: Open) -> None:
    page = await visit()
    first = fake.message(used="usage", flags=EPHEMERAL | LOADING)
    await fake.post_message(first)
    await expect(page.get_by_test_id("thinking")).to_contain_text("Easel is thinking…")
    await fake.post_message(first | {"flags": EPHEMERAL, "content": "7 pictures left, more <t:4102444800:R>"})
    await expect(page.get_by_test_id("thinking")).to_have_count(0)
    await expect(page.get_by_test_id("message")).to_contain_text("Only you can see this")
    await expect(page.locator("time[data-style=R]")).to_contain_text("in ")
    await page.get_by_test_id("dismiss").click()
    await expect(page.get_by_test_id("message")).to_have_count(0)
    assert fake.posted == [("dismiss", {"person": ADA["id"], "channel_id": GENERAL, "message_id": first["id"]})]


# ---------------------------------------------------------------------- answering


async def test_a_form_is_filled_checked_and_sent(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await _begin(page, "compose")
    await page.keyboard.press("Enter")
    prompt = page.get_by_test_id("modal-input-prompt")
    await expect(prompt).to_be_focused()
    await expect(prompt).to_have_value("a fox")
    await prompt.fill("x")
    await page.get_by_test_id("modal-submit").click()
    await expect(page.get_by_test_id("modal-error-prompt")).to_have_text("At least 3 characters (now 1).")
    await prompt.fill("a fox\nand a crow")
    await page.get_by_test_id("modal-input-model").get_by_text("Imagen 4").click()
    mask: FilePayload = {"name": "m.png", "mimeType": "image/png", "buffer": b"x"}
    await page.get_by_test_id("modal-input-image").set_input_files(mask)
    await expect(page.get_by_test_id("modal-field-image")).to_contain_text("m.png")
    await page.get_by_test_id("modal-submit").click()
    await expect(page.get_by_test_id("modal")).to_have_count(0)
    (form,) = _sent(fake, "modal")
    assert form["custom_id"] == "compose:1"
    assert form["components"] == [
        {"type": 4, "custom_id": "prompt", "value": "a fox\nand a crow"},
        {"type": 3, "custom_id": "model", "values": ["imagen4"]},
        {"type": 19, "custom_id": "image", "values": list(fake.uploads)},
    ]


async def test_a_form_keeps_what_was_typed_when_the_bot_does_not_answer(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await _begin(page, "compose")
    await page.keyboard.press("Enter")
    await page.get_by_test_id("modal-input-prompt").fill("a long and careful prompt")
    fake.hold_answers = True
    await page.get_by_test_id("modal-submit").click()
    await _eventually(lambda: bool(_sent(fake, "modal")))
    await fake.push(
        "failed", interaction_id=fake.last_interaction, channel_id=GENERAL, reason="The application did not respond"
    )
    await expect(page.get_by_test_id("modal-error")).to_contain_text("did not respond")
    await expect(page.get_by_test_id("modal-input-prompt")).to_have_value("a long and careful prompt")
    await page.keyboard.press("Escape")
    await expect(page.get_by_test_id("modal")).to_have_count(0)


async def test_focus_stays_inside_a_form(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await fake.push(
        "modal", interaction_id="1", channel_id=GENERAL, modal={"custom_id": "m", "title": "Small", "components": []}
    )
    await expect(page.get_by_test_id("modal")).to_be_visible()
    for _ in range(8):
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.querySelector('[data-testid=modal]').contains(document.activeElement)")


async def test_a_pressed_button_waits_and_then_says_if_nothing_came(fake: PageFake, visit: Open) -> None:
    page = await visit()
    message = fake.result("an owl")
    await fake.post_message(message)
    again = page.get_by_test_id("button").filter(has_text="Again")
    fake.hold_answers = True
    await again.click()
    await expect(again).to_have_attribute("aria-busy", "true")
    await _eventually(lambda: bool(_sent(fake, "component")))
    press = {"message_id": message["id"], "custom_id": "easel:again:ab12cd34", "component_type": 2}
    assert press.items() <= _sent(fake, "component")[0].items()
    await fake.push(
        "failed", interaction_id=fake.last_interaction, channel_id=GENERAL, reason="The application did not respond"
    )
    await expect(page.get_by_test_id("interaction-failed")).to_contain_text("This interaction failed")
    await expect(again).not_to_have_attribute("aria-busy", "true")


async def test_a_select_sends_what_was_chosen(fake: PageFake, visit: Open) -> None:
    page = await visit()
    select: Obj = {
        "type": 3,
        "id": 2,
        "custom_id": "pick",
        "placeholder": "Pick",
        "options": [{"label": "One", "value": "1"}, {"label": "Two", "value": "2"}],
    }
    several = select | {"custom_id": "many", "id": 3, "min_values": 1, "max_values": 2}
    rows = [{"type": 1, "id": 1, "components": [select]}, {"type": 1, "id": 4, "components": [several]}]
    await fake.post_message(fake.message(flags=32768, components=rows))
    await page.get_by_test_id("select").first.click()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await _eventually(lambda: len(_sent(fake, "component")) == 1)
    await page.get_by_test_id("select").last.click()
    for label in ("Two", "One"):
        await page.get_by_test_id("menu-item").filter(has_text=label).click()
    await page.get_by_test_id("select-done").click()
    await _eventually(lambda: len(_sent(fake, "component")) == 2)
    assert [one["values"] for one in _sent(fake, "component")] == [["2"], ["1", "2"]]


async def test_a_command_nobody_answers_is_said_to_have_failed_and_can_be_tried_again(
    fake: PageFake, visit: Open
) -> None:
    page = await visit()
    await _begin(page, "silent")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("failed")).to_have_text("The application did not respond")
    await page.get_by_text("Edit and try again").click()
    await expect(page.get_by_test_id("command-chip")).to_have_text("/silent")
    await expect(page.get_by_test_id("provisional")).to_have_count(0)


async def test_a_refusal_is_loud_and_stays_until_dismissed(fake: PageFake, visit: Open) -> None:
    page = await visit()
    deep = {
        "data": {
            "components": {
                "0": {
                    "label": {
                        "_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 80 or fewer in length."}]
                    }
                }
            }
        }
    }
    await fake.push(
        "refused",
        method="POST",
        path="/interactions/1/t/callback",
        status=400,
        code=50035,
        message="Invalid Form Body",
        errors=deep,
    )
    panel = page.get_by_test_id("refused-panel")
    await expect(panel).to_contain_text("Discord would refuse this")
    await expect(panel).to_contain_text("data.components.0.label Must be 80 or fewer in length.")
    await expect(page.get_by_test_id("refused-code")).to_have_text("HTTP 400 · code 50035")
    await page.get_by_test_id("channel-after-dark").click()
    await expect(panel).to_be_visible()
    await page.get_by_test_id("refused-dismiss").click()
    await expect(panel).to_have_count(0)


async def test_menus_offer_the_apps_commands_and_deletion_to_moderators(fake: PageFake, visit: Open) -> None:
    page = await visit()
    message = fake.message(MO, content="paint me")
    await fake.post_message(message)
    await page.get_by_test_id("message").click(button="right")
    await expect(page.get_by_test_id("delete-message")).to_have_count(0)
    await page.get_by_test_id("app-command").click()
    await _eventually(lambda: bool(_sent(fake, "message_command")))
    assert _sent(fake, "message_command")[0]["target_id"] == message["id"]
    await page.get_by_test_id("person-switch").click()
    await page.get_by_test_id("person-mo").click()
    await expect(page.get_by_test_id("person-switch")).to_contain_text("Mo")
    await page.get_by_test_id("message").hover()
    await page.get_by_test_id("message-menu").click()
    await page.get_by_test_id("delete-message").click()
    await expect(page.get_by_test_id("message")).to_have_count(0)
    assert fake.posted[-1] == ("delete", {"person": MO["id"], "channel_id": GENERAL, "message_id": message["id"]})


async def test_the_devtools_makes_trouble_and_shows_the_log(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("devtools-toggle").click()
    switch = page.get_by_test_id("fault-fal_down")
    await switch.click()
    await expect(switch).to_have_attribute("aria-checked", "true")
    await page.get_by_test_id("fault-rate_limit").fill("7")
    await page.get_by_test_id("fault-bot_restart").click()
    await _eventually(lambda: len(fake.posted) == 3)
    assert [body for _, body in fake.posted] == [
        {"name": "fal_down", "value": True},
        {"name": "rate_limit", "value": 7},
        {"name": "bot_restart", "value": True},
    ]
    await page.get_by_test_id("log-box").locator("summary").click()
    await fake.push("log", line="12:00:03 INFO <b>bold</b>")
    await expect(page.get_by_test_id("log")).to_contain_text("12:00:03 INFO <b>bold</b>")


async def test_a_press_in_the_devtools_counts_while_another_fault_is_set(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await page.get_by_test_id("devtools-toggle").click()
    await page.get_by_test_id("fault-rate_limit").click()
    await page.keyboard.type("7")
    await page.get_by_test_id("fault-bot_restart").hover()
    await page.mouse.down()  # the number is on its way from here on
    await _eventually(lambda: len(fake.posted) == 1)
    await expect(page.get_by_test_id("fault-rate_limit")).to_have_value("7")
    await asyncio.sleep(0.2)
    await page.mouse.up()
    await _eventually(lambda: len(fake.posted) == 2)
    assert [body["name"] for _, body in fake.posted] == ["rate_limit", "bot_restart"]


async def test_a_lost_connection_is_shown_and_what_was_missed_is_fetched(fake: PageFake, visit: Open) -> None:
    page = await visit()
    await expect(page.get_by_test_id("bot-badge")).to_have_attribute("data-online", "true")
    fake.messages[GENERAL].append(fake.message(MO, content="said while nobody listened"))
    await fake.drop_connections()
    await expect(page.get_by_test_id("message-content")).to_have_text("said while nobody listened")
    await expect(page.get_by_test_id("bot-badge")).to_have_attribute("data-online", "true")


# ---------------------------------------------------------------------- a phone


async def test_nothing_scrolls_sideways_on_a_phone_and_targets_suit_a_thumb(fake: PageFake, visit: Open) -> None:
    for prompt, count in (("x" * 300, 1), ("a tea house", 4), ("kites", 10)):
        fake.messages[GENERAL].append(fake.result(prompt, count))
    fake.messages[GENERAL].append(
        fake.message(MO, content="```\n" + "wide " * 60 + "\n```\n" + "https://example.org/" + "y" * 300)
    )
    page = await visit(phone=True)
    wide = "[document.documentElement, document.getElementById('scroller')].some((one) => one.scrollWidth > innerWidth)"
    assert not await page.evaluate(wide)
    await _begin(page, "imagine")
    await page.get_by_test_id("add-option-negative_prompt").click()
    await page.get_by_test_id("command-option-prompt").fill("long " * 300)
    assert not await page.evaluate(wide)
    small = await page.evaluate(
        """[...document.querySelectorAll("header button, .composer button, .message .button")]
            .filter((node) => node.offsetParent && !node.closest(".suggest"))
            .map((node) => [node.dataset.testid ?? node.className, node.getBoundingClientRect().height])
            .filter(([name, height]) => height < 44 && !["author", "message-menu"].includes(name))"""
    )
    assert small == []
    sizes = await page.evaluate(
        "[...document.querySelectorAll('input, textarea')].map((node) => parseFloat(getComputedStyle(node).fontSize))"
    )
    assert min(sizes) >= 16, "smaller text makes iOS zoom in"


async def test_a_phone_reaches_channels_people_and_devtools(fake: PageFake, visit: Open) -> None:
    page = await visit(phone=True)
    await page.get_by_test_id("open-sidebar").tap()
    await page.get_by_test_id("channel-after-dark").tap()
    await expect(page.get_by_test_id("channel-title")).to_contain_text("after-dark")
    await expect(page.get_by_test_id("channel-general")).not_to_be_in_viewport()
    await page.get_by_test_id("person-switch-small").tap()
    await page.get_by_test_id("person-nia").tap()
    await expect(page.get_by_test_id("channel-title")).to_contain_text("after-dark")
    await page.get_by_test_id("devtools-toggle").tap()
    await page.get_by_test_id("fault-nsfw").tap()
    await page.get_by_test_id("devtools-close").tap()
    await expect(page.get_by_test_id("devtools")).to_be_hidden()


async def test_the_phone_channel_is_framed_on_a_desk(fake: PageFake, visit: Open) -> None:
    page = await visit(at="#ada/phone")
    box = await page.locator("#surface").bounding_box()
    assert box is not None
    assert box["width"] == 390
    await page.get_by_test_id("example-2").click()
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("picture")).to_be_visible()
    await page.locator(".tile-open").click()
    light: Any = await page.get_by_test_id("lightbox").bounding_box()
    assert box["x"] <= light["x"]
    assert light["width"] <= box["width"]


async def test_suggestions_stay_on_the_screen_above_a_phones_keyboard(fake: PageFake, visit: Open) -> None:
    page = await visit(phone=True)
    await page.set_viewport_size({"width": 390, "height": 430})
    await page.get_by_test_id("composer").fill(
        "/imagine a fox in the snow under a pale winter sun, with crows in the trees"
    )
    await page.get_by_test_id("add-option-model").tap()
    await expect(page.get_by_test_id("option-suggestion")).to_have_count(5)
    await expect(page.get_by_test_id("command-option-model")).to_be_in_viewport(ratio=1)
    box: Any = await page.get_by_test_id("suggestions").bounding_box()
    assert box["y"] >= 0
    await page.get_by_test_id("option-suggestion").first.tap()
    await expect(page.get_by_test_id("command-option-prompt")).to_be_visible()
    await expect(page.get_by_test_id("send")).to_be_in_viewport(ratio=1)


async def test_nothing_comes_from_outside_and_no_text_is_ever_read_as_html() -> None:
    for file in PAGE.iterdir():
        text = file.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), file.name
        assert not re.search(r"(?:src|href)=\"https?:|@import|url\(", text), file.name
        assert not re.search(r"<[^>]+\s(?:on\w+|style)=", text) or file.suffix == ".js", file.name
