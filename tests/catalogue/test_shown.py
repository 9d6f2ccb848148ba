"""Whatever we show is accepted when it is given back: labels, cut off or not, and values wherever we print them."""

from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from bot.catalogue import (
    Catalogue,
    Model,
    Option,
    OptionKind,
    describe_option,
    load,
    option_completions,
    option_name,
    parse,
    size_choices,
    style_choices,
    value_text,
)
from bot.catalogue.descriptions import choice_label
from bot.domain.job import JobState
from bot.domain.request import Json
from cogs.ui import completion, pages
from cogs.ui.messages import say
from tests.catalogue import samples
from tests.catalogue.facts import QUICK
from tests.catalogue.parsing import NEEDS, each, request
from tests.cogs.values import a_job
from tests.english import LOCALE

CATALOGUE = load(has_openai_key=True)
MODELS = CATALOGUE.models


def disguised(text: str) -> list[str]:
    """The same text as other clients, keyboards and fonts write it."""
    return [
        text,
        text.upper(),
        text.lower(),
        f"  {text} ",
        text.replace(" ", "\u00a0"),
        text.replace(" ", "\u202f"),
        text.replace(" ", "  "),
        text.replace("×", "x"),
        text.replace("×", "✕"),
        text.replace(" × ", "*"),
        text.replace("·", "•"),
        text.replace("-", "\u2011"),
        f"`{text}`",
        f"**{text}**",
        text.replace(" ", "\u200b "),
    ]


def cuts(label: str, least: int) -> list[str]:
    """The label cut off anywhere behind its name, with and without a sign that it is."""
    return [f"{label[:end]}{sign}" for end in range(least, len(label)) for sign in ("", "…", "...", " …")]


# ---------------------------------------------------------------------- models


@each("model", MODELS)
def test_a_models_label_is_the_model(model: Model) -> None:
    (choice,) = completion.model_choices([model])
    assert len(choice.name) <= 100
    for typed in (
        choice.name,
        model.label,
        model.title,
        model.key,
        model.endpoint,
        f"https://fal.ai/models/{model.endpoint}",
    ):
        for text in disguised(typed):
            assert CATALOGUE.get(text) is model, text
    for text in cuts(choice.name, len(model.title) + 4):
        assert CATALOGUE.get(text) is model, text


@each("model", MODELS)
def test_a_label_in_the_field_completes_to_itself(model: Model) -> None:
    """Discord asks again with the label that it has just written into the field."""
    (choice,) = completion.model_choices([model])
    for typed in (choice.name, choice.name[:60], model.title):
        assert CATALOGUE.search(typed)[0] is model, typed
    for label, value in size_choices(model):
        assert size_choices(model, label)[0][1] in {value, value_text(sized(model, value))}
    for label, value in style_choices(model):
        assert style_choices(model, label)[0][1] == value


# ---------------------------------------------------------------------- sizes, styles


def sized(model: Model, typed: str) -> Json:
    option = model.size_option or ""
    return parse(model, {"prompt": "a fox", **NEEDS.get(model.key, {}), "size": typed}).options[option]


@each("model", [model for model in MODELS if model.size_option])
def test_a_sizes_label_is_the_size(model: Model) -> None:
    for label, value in size_choices(model):
        wanted = sized(model, value)
        for text in disguised(label):
            assert sized(model, text) == wanted, text
        for text in cuts(label, label.index("·") + 5):
            same = [other for other, _ in size_choices(model) if other.startswith(text.rstrip(" ….").rstrip())]
            if len(same) == 1:
                assert sized(model, text) == wanted, text
    for typed in ("1280x720", "1024 × 1024", "16:9", "portrait", "wide"):
        for label, value in size_choices(model, typed)[:1]:
            assert sized(model, label) == sized(model, value)


@each("model", [model for model in MODELS if model.size_option and model.key != "gpt-image-1"])
def test_a_size_shown_for_one_model_is_tried_on_another(model: Model) -> None:
    """Whoever changes the model in a command keeps the size that another model's autocomplete wrote."""
    assert sized(model, "Landscape 16:9 · 1024 × 576") == sized(model, "16:9")
    assert sized(model, "16:9 · landscape") == sized(model, "16:9")
    assert sized(model, "1:1 · square") == sized(model, "1:1")
    assert sized(model, "9x16") == sized(model, "9:16")


@each("model", [model for model in MODELS if model.has_styles])
def test_a_styles_label_is_the_style(model: Model) -> None:
    styles = [choice for option in model.offered if option.alias == "style" for choice in option.choices]
    for style in styles:
        wanted = parse(model, {"prompt": "a fox", "style": style}).options
        for text in disguised(choice_label(style)):
            assert parse(model, {"prompt": "a fox", "style": text}).options == wanted, text
    for label, style in style_choices(model):
        assert label.partition(" · ")[0] in {choice_label(style) for style in styles}
        wanted = parse(model, {"prompt": "a fox", "style": style}).options
        for text in [*disguised(label), *cuts(label, label.find("·") + 2 if "·" in label else len(label))]:
            assert parse(model, {"prompt": "a fox", "style": text}).options == wanted, text


@each("model", [model for model in MODELS if not model.has_styles])
def test_the_words_about_a_model_without_styles_change_nothing(model: Model) -> None:
    (choice,) = completion.no_styles(model, MODELS, locale=LOCALE)
    assert choice.name.startswith(f"none · {model.title} has no styles; Ideogram V3, Ideogram V2")
    needs = NEEDS.get(model.key, {})
    for text in (choice.value, choice.name, *disguised(choice.name), choice.name[:40]):
        assert parse(model, {"prompt": "a fox", "style": text, **needs}) == parse(model, {"prompt": "a fox", **needs})


def test_a_model_with_styles_takes_no_style_for_an_answer(catalogue: Catalogue) -> None:
    assert request(catalogue, "recraft-v2", style="none").given == ()
    assert request(catalogue, "flux-schnell", options="acceleration=none").given == ("acceleration",)


# ---------------------------------------------------------------------- every option, everywhere


def _options() -> list[tuple[Model, Option]]:
    return [(model, option) for model in MODELS for option in model.offered if option.name != "prompt"]


def _set(model: Model, name: str, text: object) -> dict[str, Json]:
    raw = {**NEEDS.get(model.key, {}), "prompt": "a fox"}
    return dict(parse(model, {**raw, "options": {name: text}}).options)


@pytest.mark.parametrize(("model", "option"), _options(), ids=lambda one: getattr(one, "key", getattr(one, "name", "")))
def test_every_value_that_completion_offers_is_taken(model: Model, option: Option) -> None:
    if option.alias in NEEDS.get(model.key, {}):
        return
    for name in {option.name, option.label}:
        for label, value in option_completions(model, f"{name}="):
            for text in (label, value, f"{label} ", label.upper() if option.kind is OptionKind.CHOICE else label):
                raw = {**NEEDS.get(model.key, {}), "prompt": "a fox", "options": text}
                assert option.name in parse(model, raw).given or option.alias == "style", text


@pytest.mark.parametrize(("model", "option"), _options(), ids=lambda one: getattr(one, "key", getattr(one, "name", "")))
def test_a_default_that_is_shown_is_taken_under_the_name_that_is_shown(model: Model, option: Option) -> None:
    shown = pages.option_list(model, 10**6, locale=LOCALE)
    assert f"`{option_name(model, option)}`: " in shown
    said = say(LOCALE, describe_option(option)).replace("`", "")
    if (default := value_text(option.default)).strip():
        assert said.endswith(f"default {default[:39]}") or len(default) > 40
        assert _set(model, option_name(model, option), default)[option.name] == option.default
    for bound in re.findall(r"(?<=from )[\d.,]+|(?<= to )[\d.,]+\d", said) if option.kind is OptionKind.INTEGER else []:
        assert _set(model, option_name(model, option), bound)[option.name] == int(bound.replace(",", ""))


@QUICK
@examples(st.sampled_from(_options()), st.data())
def test_values_that_we_print_are_taken(case: tuple[Model, Option], data: st.DataObject) -> None:
    model, option = case
    if option.alias in NEEDS.get(model.key, {}):
        return
    ruled = any(option.name in rule.options for rule in model.rules)
    parsed = _set(model, option.name, data.draw(samples.drawn(option)))[option.name] if not ruled else option.default
    printed = value_text(parsed)
    if printed:
        assert _set(model, option_name(model, option), printed)[option.name] == parsed, printed


def test_numbers_are_taken_as_our_sentences_write_them(catalogue: Catalogue) -> None:
    for typed in ("4,294,967,295", "4 294 967 295", "4\u202f294\u202f967\u202f295", "4294967295"):
        assert request(catalogue, "flux-schnell", options={"seed": typed}).options["seed"] == 4294967295
    assert request(catalogue, "flux-schnell", options="seed=1,000 steps=3").options["seed"] == 1000


# ---------------------------------------------------------------------- jobs


def test_a_jobs_label_is_the_job() -> None:
    jobs = [a_job(f"{words} {'very ' * 30}long") for words in ("a fox", "a fox at night", "2 cats · 16:9", "🦊🦊")]
    jobs = [dataclasses.replace(job, id=f"0a1b2c3d4e5{at}", state=JobState.QUEUED) for at, job in enumerate(jobs)]
    choices = completion.job_choices(jobs, "", locale=LOCALE)
    for choice, job in zip(choices, jobs, strict=True):
        for text in (*disguised(choice.name), choice.name.replace("queued", "running"), f"{choice.name[:40]}…"):
            assert completion.labelled_job(jobs, text, locale=LOCALE) is job, text
    assert completion.labelled_job(jobs, "a dog (queued)", locale=LOCALE) is None
    signs = [dataclasses.replace(a_job(sign), id=f"1a1b2c3d4e5{at}") for at, sign in enumerate("🦊🐼")]
    for choice, job in zip(completion.job_choices(signs, "", locale=LOCALE), signs, strict=True):
        assert completion.labelled_job(signs, choice.name, locale=LOCALE) is job
