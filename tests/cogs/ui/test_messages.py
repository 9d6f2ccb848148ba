"""Every message that is said exists, with the parameters it needs, in every language."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import copytree
from typing import Any, get_args

import discord
import pytest
from discord import app_commands

import bot
import cogs
from bot import errors
from bot.access import Barrier
from bot.catalogue.model import Task
from bot.catalogue.price_file import UNITS
from bot.domain.job import JobState
from bot.domain.money import Charge
from bot.errors import EaselError, ToldError
from bot.fal import partners, refused_options
from bot.fal.fields import Thing
from bot.limits import GuildLimits
from bot.media import picture
from bot.phrase import Param, Phrase, phrase
from cogs.ui import typed
from cogs.ui.actions import ACTIONS
from cogs.ui.failure_words import charge_phrase
from cogs.ui.messages import ENGLISH, Languages, bundled, say
from cogs.ui.messages.commands import Translator, translates_commands
from tests.cogs.conftest import CogFixture
from tests.english import english
from tools import sentences

WHY = phrase("file_gone")
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)

#: Every error that is told to people, each way it is raised.
ERROR_EXAMPLES: tuple[ToldError, ...] = (
    errors.InvalidOption("steps", 99, phrase("takes_any_integer")),
    errors.InvalidOption("steps", 99, because=phrase("prompt_empty")),
    errors.UnknownModel("flix"),
    errors.UnknownModel("flix", ["flux", "flex"]),
    errors.UnknownModel("anime", ["flux", "flex"], by_subject=True),
    errors.ModelUnavailable("FLUX", phrase("unavailable_off")),
    errors.NoModels(),
    errors.LimitReached("user_day", phrase("limit_user_day_zero"), None),
    errors.PriceUnconfirmed("FLUX", 4, Decimal("0.36"), left_usd=Decimal("1.64"), is_estimate=True),
    errors.CannotPostHere([phrase("permission_view_channel")]),
    errors.BadPicture("mask", WHY),
    errors.NotAdmitted("server", phrase("whoever_runs_it")),
    errors.NotAdmitted("person", phrase("people_or", people=("<@1>", "<@2>"))),
    errors.NotAdmitted("user_install", phrase("whoever_runs_it")),
    errors.NotAdmitted("direct_message", phrase("whoever_runs_it")),
    errors.NotYours(phrase("not_yours_cancel")),
    errors.JobUnknown(),
    errors.DraftExpired(),
    errors.Overloaded(2000),
    errors.Overloaded(1, left_today=3, retry_at=NOON),
    errors.ContentRefused(),
    errors.ContentRefused("picture"),
    errors.ContentRefused("picture", option="image_url"),
    errors.ContentRefused("picture", option="image_urls", number=2),
    errors.ContentRefused("mask", option="mask_url"),
    errors.ContentRefused("result"),
    errors.ContentRefused("request"),
    errors.PartnerAccountRefused("OpenAI", phrase("partner_unverified", service="OpenAI")),
    errors.PartnerBusy("OpenAI"),
    errors.OptionsRefused(phrase("refused_unknown")),
    errors.ModelGone("FLUX", "fal-ai/flux"),
    errors.BalanceExhausted(),
    errors.KeyRefused(),
    errors.GenerationTimedOut(),
    errors.ProviderError(),
    errors.RequestNotFound(),
    errors.Cancelled(),
    errors.ResultUnusable(WHY),
    errors.ResultWithheld(),
    errors.ResultWithheld(flagged=False),
    errors.ResultWithheld(blanked=True),
    errors.DecoderUnavailable(),
    errors.PreparationCrashed(),
    errors.SubmitNeverConfirmed(),
    errors.SubmitUnresolved(),
    errors.ResubmitOverBudget(),
    errors.Undeliverable(),
    errors.NoLongerAdmitted(),
    errors.CardDeleted(),
)
#: Bases, raised by nobody.
ABSTRACT = {errors.ToldError, errors.Refusal, errors.GenerationFailed}

#: Codes that are put together, with the parameters they get.
_DYNAMIC: dict[str, frozenset[str]] = {
    **{f"permission_{name}": frozenset() for name in ("view_channel", "send_messages", "attach_files")},
    "permission_send_messages_in_threads": frozenset(),
    **{f"file_{name}": frozenset() for _, name in picture._SIGNATURES},
    **{f"bound_{name}": frozenset({"value"}) for _, name in refused_options._LIMITS},
    **{f"bound_{name}_list": frozenset({"value"}) for name in ("min_length", "max_length")},
    **{f"fault_{name}": frozenset() for name in {*refused_options._FAULTS.values(), "not_accepted"}},
    **{f"fault_{name}": frozenset({"what"}) for name in refused_options._FILE_FAULTS.values()},
    **{f"thing_{thing}": frozenset() for thing in Thing},
    **{f"partner_{what}": frozenset({"service"} if what == "unverified" else ()) for what, _ in partners._ACCOUNT},
    **{f"not_admitted_{barrier}": frozenset({"ask"}) for barrier in get_args(Barrier)},
    **{
        f"alert_{span}{over}": frozenset({"who", "spent", "budget", "at", *(() if over else ("percent",))})
        for span in ("day", "month")
        for over in ("", "_over", "_refused")
    },
    # stored by earlier versions
    **{f"bound_{name}": frozenset({"value"}) for name in ("one_of", "max_bytes")},
    **{
        f"fault_{name}": frozenset()
        for name in (
            *("picture_unreadable", "picture_not_fetched", "picture_format", "picture_too_small"),
            *("picture_too_large", "file_too_large"),
        )
    },
    "refused_picture_unreadable": frozenset(),
    **{f"made_{task.replace('-', '_')}": frozenset() for task in Task},
    "made": frozenset(),
    **{f"job_{state.value}": frozenset({"job"}) for state in JobState},
    **{f"limit_name_{name}": frozenset() for name in GuildLimits.__dataclass_fields__},
    **{
        f"limit_{budget}_usd_{when}{how}": frozenset({"cost", *more, *(["at"] if not how else [])})
        for budget, when, more in (
            ("person", "day", ("bound", "left")),
            *((whose, when, ("own",)) for whose in ("server", "all") for when in ("day", "month")),
        )
        for how in ("", "_never")
    },
    **{f"limit_{budget}_zero": frozenset() for budget in ("person_usd_day", "server_usd_day", "server_usd_month")},
    **{f"charge_money{maybe}": frozenset({"usd"}) for maybe in ("", "_maybe")},
    **{f"charge_forgiven{maybe}": frozenset({"usd"}) for maybe in ("", "_maybe")},
    **{f"charge_counted{maybe}": frozenset({"usd", "pictures"}) for maybe in ("", "_maybe")},
    **{f"settings_model_{origin}": frozenset({"model"}) for origin in ("your", "server", "usual")},
    **{f"default_{whose}": frozenset({"model"}) for whose in ("mine", "server")},
    **{f"default_{whose}_reset": frozenset() for whose in ("mine", "server")},
    **{f"price_per_{unit}{about}": frozenset({"usd"}) for unit in UNITS for about in ("", "_about")},
    **{f"price_per_{unit}_range{about}": frozenset({"least", "most"}) for unit in UNITS for about in ("", "_about")},
    **{f"form_{name}": frozenset() for name in (*typed.FIELDS, "model")},
    **{f"form_{name}_hint": frozenset() for name in ("negative_prompt", "size", "image", "mask")},
    **{
        f"elsewhere_{kind}{how}": frozenset({"model", "option", "models", *more})
        for kind in ("option", "picture")
        for how, more in (("", ["count"]), ("_some", []), ("_clash", ["count"]))
    },
    "elsewhere_needs": frozenset({"model", "option", "models", "count", "needs"}),
    **{f"default_{why}": frozenset({"model", "key", "needs"}) for why in ("needs_more", "passed_over")},
    **{f"pay_{how}": frozenset({"usd"}) for how in ("exactly", "about")},
    **{f"price_{how}": frozenset({"usd"}) for how in ("at_most", "about")},
    **{f"usage_{whose}_usd_{when}": frozenset({"at"}) for whose in ("server", "all") for when in ("day", "month")},
    **{f"usage_server_usd_{when}_never": frozenset() for when in ("day", "month")},
    **{f"costs_title{where}": frozenset() for where in ("", "_everywhere")},
    **{f"costs_{period}": frozenset({"spent", "pictures"}) for period in ("today", "month")},
    **{f"costs_spent{about}": frozenset({"usd"}) for about in ("", "_about")},
    **{f"costs_spent_of{about}": frozenset({"usd", "bound"}) for about in ("", "_about")},
    **{f"costs_by_{what}{when}": frozenset() for what in ("server", "person", "model") for when in ("", "_today")},
    **{f"costs_nothing{when}": frozenset() for when in ("", "_today")},
    # said by the messages themselves
    "message_missing": frozenset({"message"}),
}


def _sources() -> Iterator[ast.Module]:
    for package in (bot, cogs):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            yield ast.parse(path.read_text("utf-8"))


def _said() -> dict[str, set[frozenset[str]]]:
    """Every code in `phrase("…", …)`, `say(locale, "…", …)` and `localized("…")`, with the parameters it gets."""
    found: dict[str, set[frozenset[str]]] = defaultdict(set)
    shown: set[str] = set()
    for tree in _sources():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            place = {"phrase": 0, "localized": 0, "say": 1}.get(getattr(call.func, "id", ""))
            code = call.args[place] if place is not None and len(call.args) > place else None
            if getattr(call.func, "id", "") == "button" and isinstance(call.args[0], ast.Constant):
                shown.add(str(call.args[0].value))
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                found[code.value].add(frozenset(one.arg for one in call.keywords if one.arg is not None))
    for error in ERROR_EXAMPLES:
        found[error.phrase.code].add(frozenset(error.phrase.params))
    for made, params in _DYNAMIC.items():
        found[made].add(params)
    for verb in ACTIONS.verbs():
        action = ACTIONS.get(verb)
        if verb in shown or (action is not None and action.cards):
            found[f"action_{verb}"].add(frozenset())
    return found


def _variables(source: str) -> frozenset[str]:
    return frozenset(re.findall(r"\$([a-z_]+)", source))


def _needs(languages: Languages, locale: str, code: str) -> frozenset[str]:
    """The variables of a message and of all the messages that it refers to."""
    sources = languages.language(locale).sources
    source = sources[code.partition(".")[0]]
    named = [name for name in re.findall(r"\{\s*([a-z][\w-]*)\s*\}", source) if name in sources]
    return _variables(source).union(*(_needs(languages, locale, name) for name in named))


def _all_errors(kind: type[EaselError]) -> Iterator[type[EaselError]]:
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _all_errors(child)


def test_every_error_that_people_are_told_is_looked_at_here() -> None:
    assert {type(error) for error in ERROR_EXAMPLES} | ABSTRACT == {ToldError, *_all_errors(ToldError)}


@pytest.mark.parametrize("error", ERROR_EXAMPLES, ids=lambda error: error.phrase.code)
def test_an_error_is_a_whole_sentence_and_keeps_what_was_typed_out_of_logs(error: ToldError) -> None:
    assert english(error)[-1] in ".!"
    assert "{" not in english(error)
    assert str(error) == error.phrase.code
    assert Phrase.from_json(error.phrase.to_json()) == error.phrase


@pytest.mark.parametrize(
    ("why", "formats"),
    [
        (phrase("picture_none.given", kind=phrase("file_pdf")), True),
        (phrase("file_unreadable", format="SVG"), True),
        (phrase("mask_shape", mask="1×1", picture="2×1"), False),
        (phrase("file_too_large", mebibytes=20), False),
        (phrase("file_gone"), False),
        (phrase("mask_empty"), False),
    ],
    ids=lambda given: getattr(given, "code", None),
)
def test_only_a_wrong_kind_of_file_is_answered_with_the_right_kinds(why: Phrase, formats: bool) -> None:
    sentence = english(errors.BadPicture("mask", why))

    assert ("PNG, JPEG or WebP" in sentence) is formats
    assert sentence.endswith(". No quota was used.")


def test_whether_quota_was_used_is_said_in_one_wording() -> None:
    """What ended without a picture says "No quota was used."; what is being cancelled says "It uses no quota."."""
    sources = bundled().language(ENGLISH).sources
    others = {"broken"}  # what holds for every picture
    wordings = {
        code: source
        for code, source in sources.items()
        if "quota" in source.replace("{ no_quota }", "").replace("uses no quota.", "") and code not in others
    }
    assert wordings == {"no_quota": wordings["no_quota"]}
    failed = [error for error in ERROR_EXAMPLES if isinstance(error, errors.GenerationFailed)]
    assert [english(error) for error in failed if "quota" in english(error)] == []  # the charge behind it says that
    assert english(charge_phrase(Charge())) == english(charge_phrase(None)) == "No quota was used."


#: What nobody says to somebody who is thirteen, or learns the language.
_HARD = re.compile(
    r"under way|just now|anew|afresh|rested|\bmay be retired\b|the operator|handed|heed|lies at|goes on\b|\bgive up\b"
    r"|published types|endpoint|num_images|\bjob\b",
    re.IGNORECASE,
)


def test_no_sentence_uses_words_that_were_found_hard_or_names_of_the_code() -> None:
    said = re.findall(r"^ *- (?:`[\w.]+`: )?(.*)", sentences.page(), re.MULTILINE)
    assert [line for line in said if _HARD.search(line)] == []


def test_every_code_has_a_message_that_needs_what_it_gets(fixture: CogFixture) -> None:
    wrong = {}
    for code, ways in _said().items():
        name = code.partition(".")[0]
        if name not in bundled().language(ENGLISH).sources:
            wrong[code] = "no such message"
        elif any(way != _needs(bundled(), ENGLISH, code) for way in ways if code not in _MORE_IS_FINE):
            wrong[code] = f"gets {[*map(sorted, ways)]}, needs {sorted(_needs(bundled(), ENGLISH, code))}"
    assert not wrong


#: It carries the endpoint for whoever names a successor.
_MORE_IS_FINE = {"model_gone", *(f"partner_{what}" for what, _ in partners._ACCOUNT)}


def test_no_message_is_unused(fixture: CogFixture) -> None:
    sources = bundled().language(ENGLISH).sources
    used = {code.partition(".")[0] for code in _said()}
    used |= {name for code in used for name in re.findall(r"\{\s*([a-z][\w-]*)\s*\}", sources.get(code, ""))}
    used |= {f"command_{_snake(command)}" for command in _commands(fixture)}
    used |= {f"{_snake(command)}_{option.name}" for command in _commands(fixture) for option in command.parameters}
    assert sorted(set(sources) - used) == []


def _commands(fixture: CogFixture) -> list[app_commands.Command[Any, ..., Any]]:
    return [one for one in fixture.bot.tree.walk_commands() if isinstance(one, app_commands.Command)]


def _snake(command: app_commands.Command[Any, ..., Any]) -> str:
    return command.qualified_name.replace(" ", "_")


#: A value for any variable, by how its name is used.
def _sample(name: str, source: str) -> Param:
    if re.search(rf"(CODES|AND|OR|JOIN)\((CODES\()?\${name}\b", source):
        return ("one", "two", "three")
    if f"MONEY(${name})" in source:
        return Decimal("0.003")
    if name in {"at", "until", "full_at"}:
        return NOON
    return 10_000 if re.search(rf"\${name} ->|NUMBER\(\${name}", source) else "x"


@pytest.mark.parametrize("locale", bundled().locales)
def test_every_message_can_be_said(locale: str, caplog: pytest.LogCaptureFixture) -> None:
    language = bundled().language(locale)
    for code, source in language.sources.items():
        needs = _needs(bundled(), locale, code)
        whole = source + "".join(language.sources.values() if needs != _variables(source) else ())
        params = {name: _sample(name, whole) for name in needs}
        for attribute in ("", *(f".{one}" for one in re.findall(r"^\s+\.(\w+) =", source, re.MULTILINE))):
            text = say(locale, Phrase(code + attribute, params))
            assert text.strip(), code
            assert not re.search(r"\{|\?\?\?|\u2068", text), code
    assert not caplog.records


def test_other_languages_have_no_other_messages_and_no_other_variables(german: Languages) -> None:
    for languages in (bundled(), german):
        for locale in languages.locales:
            known, here = languages.language(ENGLISH).sources, languages.language(locale).sources
            assert {name for name in here if not name.startswith("-")} <= set(known)
            for code in set(here) & set(known):
                assert _needs(languages, locale, code) <= _needs(languages, ENGLISH, code), code


# ---------------------------------------------------------------------- a language that is dropped in

GERMAN = """
provider_error = fal.ai hatte ein Problem beim Malen. Dein Kontingent wurde nicht verbraucht; versuch es noch einmal.
progress_ahead = { $ahead ->
        [one] Noch { $ahead } Anfrage vor deiner.
       *[other] Noch { $ahead } Anfragen vor deiner.
    }
usd = { MONEY($amount) }
settings_overrides = Von diesem Server gesetzt: { AND($names) }.
model_unavailable = { $title } gibt es hier nicht: { $why }.
command_usage = Was du noch hast.
    .name = verbrauch
usage_now = { $pictures } Bilder.
"""


@pytest.fixture
def german(tmp_path: Path) -> Languages:
    """English as it is, and a file for German beside it."""
    copytree(Path(inspect.getfile(Languages)).parent / "en", tmp_path / "en")
    (tmp_path / "de.ftl").write_text(GERMAN, "utf-8")
    return Languages(tmp_path)


def test_a_file_is_all_that_a_language_needs(german: Languages) -> None:
    assert german.locales == ("de", "en")
    assert german.say("de", errors.ProviderError().phrase).startswith("fal.ai hatte ein Problem beim Malen.")
    assert german.say("de-AT", "progress_ahead", ahead=1) == "Noch 1 Anfrage vor deiner."
    assert german.say("de", "progress_ahead", ahead=10_000) == "Noch 10.000 Anfragen vor deiner."
    assert german.say("de", "settings_overrides", names=("a", "b", "c")) == "Von diesem Server gesetzt: a, b und c."
    assert german.say("de", "usd", amount=Decimal("0.0030")) == "0,003\u00a0$"


def test_what_a_language_lacks_is_said_in_english(german: Languages) -> None:
    assert german.say("de", "almost_done") == "almost done"
    assert german.say("fr", "almost_done") == "almost done"
    inside = errors.ModelUnavailable("FLUX", phrase("unavailable_off"))
    assert german.say("de", inside.phrase) == "FLUX gibt es hier nicht: it is switched off on this bot."


def test_a_message_that_is_written_wrong_is_said_in_english(
    german: Languages, caplog: pytest.LogCaptureFixture
) -> None:
    german.language("de").sources["almost_done"] = "almost_done = { $"
    assert german.say("de", "almost_done") == "almost done"
    assert [record.message for record in caplog.records] == ["message can't be read"]


async def test_discord_is_offered_the_commands_in_it_and_english_as_it_was(
    german: Languages, fixture: CogFixture
) -> None:
    tree = fixture.bot.tree
    before = {command.name: command.to_dict(tree) for command in tree.get_commands()}
    usage = tree.get_command("usage")
    imagine = tree.get_command("imagine")
    assert usage is not None
    assert imagine is not None
    translated = await usage.get_translated_payload(tree, Translator(german))
    assert translated["description_localizations"] == {"de": "Was du noch hast."}
    assert translated["name_localizations"] == {"de": "verbrauch"}
    assert {**translated, **before["usage"]} == translated
    untouched = await imagine.get_translated_payload(tree, Translator(german))
    assert not untouched["description_localizations"]


def test_commands_are_translated_only_if_a_language_has_messages_for_them(
    german: Languages, fixture: CogFixture, tmp_path: Path
) -> None:
    tree = fixture.bot.tree
    assert (tree.translator is not None) == translates_commands(bundled(), tree)
    assert translates_commands(german, tree)
    (tmp_path / "de.ftl").write_text("provider_error = fal.ai hatte ein Problem beim Malen.\n", "utf-8")
    assert not translates_commands(Languages(tmp_path), tree)
    (tmp_path / "de.ftl").write_text("imagine_prompt = Was soll gemalt werden?\n", "utf-8")
    assert translates_commands(Languages(tmp_path), tree)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


@pytest.mark.parametrize(
    "kind",
    [kind for kind in _all_errors(EaselError) if kind not in {ToldError, errors.OperatorError}],
    ids=lambda kind: kind.__name__,
)
def test_the_code_of_an_error_is_its_name_in_snake_case(kind: type[EaselError]) -> None:
    assert kind.code == _snake_case(kind.__name__)


# ---------------------------------------------------------------------- forms


@pytest.mark.parametrize(
    ("code", "params", "text"),
    [
        ("usd", {"amount": Decimal("0.003")}, "$0.003"),
        ("usd", {"amount": Decimal("0.5")}, "$0.50"),
        ("usd", {"amount": Decimal(1200)}, "$1,200.00"),
        ("range", {"low": 1, "high": 10_000}, "from 1 to 10,000"),
        ("range", {"low": 0.25, "high": 1.0}, "from 0.25 to 1"),
        ("range", {"low": 0.0001, "high": 1}, "from 0.0001 to 1"),
        ("settings_overrides", {"names": ("a", "b", "c")}, "Set by this server: a, b and c."),
        ("takes_choice", {"choices": ("a",)}, "one of `a`"),
        ("takes_choice", {"choices": ("a", "b")}, "one of `a` or `b`"),
        ("at_moment", {"at": NOON}, "<t:1777896000:R>"),
        ("as_stored", {"text": "It { broke }."}, "It { broke }."),
    ],
)
def test_numbers_lists_money_and_moments(code: str, params: dict[str, Param], text: str) -> None:
    assert say("en-GB", Phrase(code, params)) == text


def test_an_unknown_code_is_said_as_such_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert "no text for this message in this version (from_the_future)" in say("en-US", Phrase("from_the_future"))
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_moment_of_today_is_a_time_of_day_and_a_far_one_has_its_date() -> None:
    now = datetime.now(UTC)
    soon, later = now + timedelta(minutes=3), now + timedelta(hours=13)
    assert english(phrase("after_moment", at=soon)).endswith(":t>")
    assert english(phrase("after_moment", at=later)).endswith(":f>")
    assert english(phrase("after_moment", at=now - timedelta(hours=13))).endswith(":f>")


def test_no_sentence_tells_of_the_future_with_a_time_that_becomes_wrong() -> None:
    """`<t:…:R>` reads "3 seconds ago" once it is over, so it is for what has happened."""
    said = [name for name, source in bundled().language(ENGLISH).sources.items() if "AGO(" in source]
    assert sorted(said) == ["at_moment", "details_asked"]


@pytest.mark.parametrize("locale", [one.value for one in discord.Locale])
def test_every_locale_of_discord_is_understood(locale: str) -> None:
    said = say(locale, "progress_ahead", ahead=1)
    assert "1" in said
    assert said == "Waiting: 1 request before yours." or bundled().best(locale) != ENGLISH
