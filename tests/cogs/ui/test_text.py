from __future__ import annotations

import re
import time
import unicodedata
from decimal import Decimal

import pytest

from bot.domain.events import Queued
from bot.domain.job import Failure
from bot.phrase import phrase
from cogs.ui import cards, text
from tests.cogs.values import MODEL, NASTY, a_job, shown_text
from tests.english import english


@pytest.mark.parametrize("prompt", NASTY.values(), ids=NASTY.keys())
def test_safe_text_is_never_empty_and_never_much_longer_than_asked(prompt: str) -> None:
    assert text.length(text.safe(prompt)) <= 1200


@pytest.mark.parametrize("prompt", NASTY.values(), ids=NASTY.keys())
def test_safe_text_holds_no_control_no_bidi_and_no_piled_marks(prompt: str) -> None:
    shown = text.safe(prompt).replace("@\u200b", "")
    assert not {unicodedata.category(char) for char in shown.replace("\n", "").replace("\u200d", "")} & {
        "Cc",
        "Cf",
        "Cs",
    }
    run = 0
    for char in shown:
        run = run + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        assert run <= text.MAX_MARKS


def test_nobody_is_pinged() -> None:
    shown = text.safe("@everyone @HERE <@1> <@&2> <#3> </imagine:4> <t:5:R> <:x:6>")
    assert "@everyone" not in shown
    assert "@HERE" not in shown
    assert all(shown[index - 1] == "\\" for index, char in enumerate(shown) if char == "<")


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("# big", "\\# big"),
        ("### big", "\\#\\#\\# big"),
        ("-# small", "\\-\\# small"),
        ("> quote", "\\> quote"),
        (">>> all", "\\>\\>\\> all"),
        ("- item", "\\- item"),
        ("1. one", "1\\. one"),
        ("**b** __u__ ~~s~~ ||x||", "\\*\\*b\\*\\* \\_\\_u\\_\\_ \\~\\~s\\~\\~ \\|\\|x\\|\\|"),
        ("[x](https://a.b)", "\\[x\\](https\\:\\/\\/a.b)"),
        ("back\\slash `code`", "back\\\\slash \\`code\\`"),
        ("well-known 3.5 #1 c# a>b", "well-known 3.5 #1 c# a>b"),
    ],
)
def test_markdown_is_shown_and_not_obeyed(prompt: str, shown: str) -> None:
    assert text.safe(prompt) == shown


def test_whitespace_is_kept_modestly() -> None:
    assert text.clean("  a \t b\r\n\r\n\n c\u2003d\u00a0e ") == "a b\nc d e"


def test_many_lines_become_few() -> None:
    assert text.safe("1\n2\n3\n4", max_lines=2) == "1\n2 3 4"


def test_a_prompt_of_nothing_visible_says_so() -> None:
    assert text.safe(NASTY["invisible"]) == ""
    assert "(nothing visible)" in shown_text(cards.progress_card(a_job(NASTY["invisible"]), MODEL, Queued(0)))


@pytest.mark.parametrize("word", ["Việt Nam", "क्षत्रिय", "שָׁלוֹם", "ไทยที่นี่", "👩‍👩‍👧", "🏳️‍🌈", "می‌خواهم"])
def test_real_writing_survives(word: str) -> None:
    assert text.clean(word) == unicodedata.normalize("NFC", word)


@pytest.mark.parametrize("prompt", NASTY.values(), ids=NASTY.keys())
def test_nothing_closes_a_code_block_from_inside(prompt: str) -> None:
    block = text.code_block(prompt)
    assert block.count("```") == 2
    assert block.startswith("```\n")
    assert block.endswith("\n```")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.1 s"),
        (0.84, "0.8 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (3780, "1 h 3 min"),
    ],
)
def test_durations_read_well(seconds: float, shown: str) -> None:
    assert english(text.duration(seconds)) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.5, "almost done"), (3.4, "about 3 s left"), (31, "about 30 s left"), (100, "about 1 min 45 s left")],
)
def test_time_left_is_rounded(seconds: float, shown: str) -> None:
    assert english(text.time_left(seconds)) == shown


@pytest.mark.parametrize(
    ("usd", "shown"),
    [
        ("0.003", "$0.003"),
        ("0.04", "$0.04"),
        ("1.2", "$1.20"),
        ("12", "$12.00"),
        ("0.00001", "under $0.0001"),
        ("0", "$0.00"),
    ],
)
def test_money_reads_well(usd: str, shown: str) -> None:
    assert english(text.money(Decimal(usd))) == shown


def test_the_bar_is_full_only_at_the_end() -> None:
    assert text.bar(0) == "▱" * 12
    assert text.bar(0.999).count("▰") == 11
    assert text.bar(1) == "▰" * 12
    assert text.bar(7) == "▰" * 12


@pytest.mark.parametrize("before", ["", " ", "_", "1", "é", "字", "x" * 40, "(", "-", "\u200b", "**", "|", "<"])
@pytest.mark.parametrize("scheme", ["https", "HTTP", "discord", "steam", "ftp", "a1+b.c-d", "мой", "https:https"])
def test_nothing_that_somebody_types_becomes_a_link(before: str, scheme: str) -> None:
    typed = f"{before}{scheme}://host.test/a?b=c://d"
    for shown in (text.safe(typed), text.escape(typed), text.without_links(typed)):
        assert "://" not in shown
        assert shown.count("\\:\\/\\/") == 2
    assert "://" not in text.without_links(f"`{typed} is not closed")


def test_a_link_that_cleaning_would_put_together_is_none_either() -> None:
    assert "://" not in text.safe("https:\u200b//a.b https:\u2060/\u200b/c.d https\u202e://e.f")


def test_in_inline_code_an_address_is_no_link_and_stays_readable() -> None:
    sentence = "`image` can't be `https://a.b`. It takes 1https://c.d"
    assert text.without_links(sentence) == "`image` can't be `https://a.b`. It takes 1https\\:\\/\\/c.d"


@pytest.mark.parametrize("typed", ["_https://a.b", "1https://a.b", "éhttps://a.b", "steam://run/1", "discord://-/x"])
def test_no_card_holds_a_live_link(typed: str) -> None:
    job = a_job(typed)
    failure = Failure("fal_broken", phrase("unknown_model", given=f"`{typed}"))
    for card in (
        cards.progress_card(job, MODEL, Queued(0)),
        cards.failure_card(job, MODEL, failure),
        cards.cancelled_card(job, MODEL, Failure("cancelled", phrase("unknown_model", given=f"`{typed}"))),
    ):
        assert "://" not in re.sub(r"`[^`]+`", "", shown_text(card))


@pytest.mark.parametrize("typed", ["\n" * 6_000, "\n \n" * 2_000, " \n\t" * 2_000, "\n" * 5_999 + "# x"])
def test_thousands_of_empty_lines_are_escaped_at_once(typed: str) -> None:
    began_s = time.process_time()
    text.escape(typed)
    assert time.process_time() - began_s < 0.2


@pytest.mark.parametrize(
    ("typed", "shown"), [("\n\n# a\n  - b", "\n\n\\# a\n  \\- b"), ("\t> a", "\t\\> a"), ("\n\n3. a", "\n\n3\\. a")]
)
def test_signs_at_the_beginning_of_any_line_mean_nothing(typed: str, shown: str) -> None:
    assert text.escape(typed) == shown


INVITES = [
    "discord.gg/abc",
    "DISCORD.GG/abc",
    "discord.com/invite/abc",
    "ptb.discordapp.com/invite/a",
    "dsc.gg/x",
    "discord.gift/abc",
    "discord.new/abc",
    "discord.\u200bgg/abc",
    "discord.gg:443/abc",
    "discord.gg./abc",
]


@pytest.mark.parametrize("invite", INVITES)
@pytest.mark.parametrize("around", ["{}", "a {} b", "({})", "**{}**", "x{}", "<{}>", "`{}"])
def test_an_invite_is_no_invite_and_reads_as_before(invite: str, around: str) -> None:
    typed = around.format(invite)
    for shown in (text.safe(typed), text.without_links(text.clean(typed))):
        assert re.search(r"\.\w+\.?(:\d+)?/", shown) is None
        assert shown.replace("\\", "") == text.clean(typed)


@pytest.mark.parametrize("typed", ["[x](<https://a.b>)", "[x](discord.gg/abc)", "[x]( mailto:a@b.c )"])
def test_nobody_hides_a_link_behind_words(typed: str) -> None:
    assert "](" not in text.safe(typed).replace(r"\]", "")
    assert "](" not in text.without_links(typed)


@pytest.mark.parametrize("typed", ["and/or", "3.5/10", "f/1.8", "/imagine", "24/7", "a b / c d"])
def test_other_slashes_stay(typed: str) -> None:
    assert text.safe(typed) == typed
