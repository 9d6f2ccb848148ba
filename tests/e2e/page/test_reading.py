"""Messages as they are shown: markdown, pictures, spoilers, edits, loading; and nothing is ever read as HTML."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.page.fake_server import PAGE, PageFake
from tests.e2e.page.recorded import ADA, EPHEMERAL, GENERAL, LOADING, MO, Obj
from tests.e2e.page.steps import Open, until

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]


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
    (
        "1https://a.example éhttps://b.example _https://c.example",
        "a:https://a.example a:https://b.example a:https://c.example",
    ),
    ("[https://safe.example](https://evil.example)", "a:https://evil.example"),
    ("https://a.example/x, (https://b.example/y)", "a:https://a.example/x a:https://b.example/y"),
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
    await until(page, "document.querySelector('[data-testid=picture]').complete")
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
    await until(page, f"{scroller}.scrollHeight - {scroller}.scrollTop - {scroller}.clientHeight < 2")


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


async def test_nothing_comes_from_outside_and_no_text_is_ever_read_as_html() -> None:
    for file in PAGE.iterdir():
        text = file.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), file.name
        assert not re.search(r"(?:src|href)=\"https?:|@import|url\(", text), file.name
        assert not re.search(r"<[^>]+\s(?:on\w+|style)=", text) or file.suffix == ".js", file.name
