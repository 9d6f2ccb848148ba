"""What is prepared and kept reads as Fluent would write it, and never holds another person's values."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import discord
import pytest
from fluent.runtime import FluentBundle, FluentResource

from bot.phrase import Param, Phrase
from cogs.ui.messages import ENGLISH, Languages, bundled
from cogs.ui.messages.languages import FUNCTIONS, _fluent

SOURCE = """
plain = Painting…
seed = seed `{ $seed }`
twice = { $name } and { $name }
both = { seed } in { plain }
quoted = { "{" }{ $name }
ahead = { $ahead ->
        [one] { $ahead } request
       *[other] { $ahead } requests
    } before yours
usd = { MONEY($amount) }
named = Show { $name }
    .name = show
"""
NUMBERS: tuple[Param, ...] = (0, 1, 1.0, Decimal(1), Decimal("1.00"), True, False, -0.0, 0.0, 2, 2.5, 10_000, -3)


@pytest.fixture
def languages(tmp_path: Path) -> Languages:
    """The messages above in English and in German."""
    (tmp_path / "en.ftl").write_text(SOURCE, "utf-8")
    (tmp_path / "de.ftl").write_text(SOURCE.replace("requests", "Anfragen"), "utf-8")
    return Languages(tmp_path)


def bundle_of(locale: str, source: str) -> FluentBundle:
    """The messages, for Fluent alone."""
    bundle = FluentBundle([locale], FUNCTIONS, use_isolating=False)
    bundle.add_resource(FluentResource(source))
    return bundle


def by_fluent(bundle: FluentBundle, code: str, params: dict[str, Param]) -> str:
    """A message as Fluent writes it."""
    values: dict[str, Any] = {name: _fluent(value) for name, value in params.items()}
    pattern = bundle.get_message(code).value
    assert pattern is not None
    return str(bundle.format_pattern(pattern, values)[0])


@pytest.mark.parametrize("code", ["plain", "seed", "twice", "both", "quoted", "ahead", "usd", "named"])
@pytest.mark.parametrize("locale", ["en", "de"])
def test_it_reads_as_fluent_writes_it_however_often_it_is_said(languages: Languages, locale: str, code: str) -> None:
    bundle = bundle_of(locale, SOURCE if locale == "en" else SOURCE.replace("requests", "Anfragen"))
    words: tuple[Param, ...] = () if code == "usd" else ("x", "{ $name }", "")
    for value in (*NUMBERS, *words) * 2:
        if code == "usd" and isinstance(value, bool):
            continue
        params: dict[str, Param] = dict.fromkeys(re.findall(r"\$(\w+)", SOURCE), value)
        assert languages.say(locale, Phrase(code, params)) == by_fluent(bundle, code, params)


def test_every_bundled_message_reads_as_fluent_writes_it() -> None:
    language = bundled().language(ENGLISH)
    bundle = bundle_of(ENGLISH, "\n".join(language.sources.values()))
    for code, own in language.sources.items():
        names = set(re.findall(r"\$(\w+)", own))
        if not names or re.search(r"\b(MONEY|CLOCK|AND|OR|CODES|JOIN)\(", own):
            continue
        for value in ("words", 1, 2, 0.25, 10_000, "words"):
            params: dict[str, Param] = dict.fromkeys(names, value)
            assert language.format(code, params) == by_fluent(bundle, code, params), code


def test_what_one_person_typed_is_never_said_to_another(languages: Languages) -> None:
    said = [languages.say("en-US", "seed", seed=f"{person}") for person in ("a", "b", "a", "c")]
    assert said == ["seed `a`", "seed `b`", "seed `a`", "seed `c`"]
    told = [languages.say("en-US", "ahead", ahead=words) for words in ("a prompt", "another", "a prompt")]
    assert told == ["a prompt requests before yours", "another requests before yours", "a prompt requests before yours"]


def test_words_of_people_are_not_kept(languages: Languages) -> None:
    values: tuple[Param, ...] = ("a secret prompt", ("a secret prompt",), Phrase("seed", {"seed": "a secret prompt"}))
    for code, value in product(("seed", "ahead", "twice"), values):
        languages.say("en-US", Phrase(code, dict.fromkeys(("seed", "ahead", "name"), value)))
    kept = vars(languages.language("en"))["_counted"]
    assert "secret" not in repr(kept)


def test_equal_numbers_that_are_written_differently_are_told_apart(languages: Languages) -> None:
    said = [languages.say("en", "usd", amount=Decimal(usd)) for usd in ("1", "1.5", "1.50", "1.500", "1")]
    assert said == ["$1.00", "$1.50", "$1.50", "$1.50", "$1.00"]
    assert [languages.say("en", "ahead", ahead=ahead) for ahead in (1, True, 1.0)] == [
        "1 request before yours",
        "yes requests before yours",
        "1 request before yours",
    ]


def test_no_more_than_so_many_sentences_are_kept(languages: Languages) -> None:
    for ahead in range(2500):
        assert languages.say("en", "ahead", ahead=ahead).startswith(f"{ahead:,} request")
        assert languages.say("en", "usd", amount=ahead) == f"${ahead:,}.00"
    assert len(vars(languages.language("en"))["_counted"]) == 1000
    assert languages.say("en", "usd", amount=0) == "$0.00"


@pytest.mark.parametrize("locale", [one.value for one in discord.Locale])
def test_numbers_are_written_and_counted_as_in_every_language_of_discord(tmp_path: Path, locale: str) -> None:
    source = "ahead = { $ahead ->\n    [zero] a { $ahead }\n    [one] b { $ahead }\n    [two] c { $ahead }\n"
    source += "    [few] d { $ahead }\n    [many] e { $ahead }\n   *[other] f { $ahead }\n }\nshown = { $ahead }\n"
    (tmp_path / f"{locale}.ftl").write_text(source, "utf-8")
    languages, bundle = Languages(tmp_path), bundle_of(locale, source)
    for code, ahead in product(("ahead", "shown"), (*range(130), 999, 1000, 1001, 12_345, 2_000_000, -1)):
        assert languages.say(locale, code, ahead=ahead) == by_fluent(bundle, code, {"ahead": ahead})


def test_each_language_keeps_its_own(languages: Languages) -> None:
    said = [languages.say(locale, "ahead", ahead=10_000) for locale in ("en-US", "de", "en-GB", "de")]
    english, german = "10,000 requests before yours", "10.000 Anfragen before yours"
    assert said == [english, german, english, german]


def test_a_missing_value_is_told_in_the_log(languages: Languages, caplog: pytest.LogCaptureFixture) -> None:
    assert languages.say("en", "twice") == "name and name"
    assert [record.message for record in caplog.records] == ["message not filled in"]


def test_long_words_are_shown_whole(languages: Languages) -> None:
    assert languages.say("en", "seed", seed="x" * 5000) == f"seed `{'x' * 5000}`"
