"""Windows ask for what a model needs, in fields that take what it takes and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.catalogue import Model, OptionKind, parse
from bot.catalogue.model import PROMPT_TASKS
from cogs.ui import windows
from cogs.ui.fields import joined
from cogs.ui.typed import Typed, typed_of
from sandbox.discord import validate
from tests.cogs.conftest import CATALOGUE
from tests.cogs.values import a_job
from tests.english import LOCALE

MODELS = CATALOGUE.offered(PROMPT_TASKS)


def fields_of(form: Any) -> dict[str, dict[str, Any]]:
    """The fields of a window by name, once Discord would take it."""
    sent = form.to_dict()
    validate.modal(sent)
    return {label["component"]["custom_id"]: label["component"] for label in sent["components"]}


def every_window(model: Model, typed: Typed) -> list[dict[str, dict[str, Any]]]:
    numbers = range(len(windows.pages(model, typed)))
    return [fields_of(windows.fix("0a1b2c3d4e5f", page, model, typed, MODELS, locale=LOCALE)) for page in numbers]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.key)
def test_every_text_is_bound_to_what_the_model_and_discord_take(model: Model) -> None:
    typed = Typed(model.key, {"prompt": "a fox"})
    for fields in (fields_of(windows.compose(model, locale=LOCALE)), *every_window(model, typed)):
        for name, field in fields.items():
            if field["type"] != 4:
                continue
            option = model.option("prompt" if name == "prompt" else "negative_prompt") if "prompt" in name else None
            assert field["max_length"] <= 4000
            if option is not None and option.max_length:
                assert field["max_length"] == min(option.max_length, 4000), name


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.key)
def test_every_choice_of_a_window_is_one_that_the_model_takes(model: Model) -> None:
    for fields in every_window(model, Typed(model.key, {"prompt": "a fox"})):
        for name, field in fields.items():
            for choice in field.get("options", ()) if name != "model" else ():
                needed = {need.label: "https://example.com/a.png" for need in model.needs}
                options = " ".join(f"{key}={link}" for key, link in needed.items())
                parse(model, {"prompt": "a fox", name: choice["value"], "options": options})


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.key)
def test_every_window_asks_for_what_the_model_needs_and_lacks(model: Model) -> None:
    compose = fields_of(windows.compose(model, locale=LOCALE))
    first = every_window(model, Typed(model.key, {"prompt": "a fox"}))[0]
    for fields in (compose, first):
        assert {need.label for need in model.needs} == {
            name for name, field in fields.items() if field["type"] == 19 and field["required"]
        }
    kept = Typed(model.key, {need.label: "https://cdn.discordapp.com/a" for need in model.needs})
    assert not any(field["required"] for field in every_window(model, kept)[0].values() if field["type"] == 19)


def test_several_pictures_are_taken_where_the_model_takes_several() -> None:
    fields = fields_of(windows.compose(CATALOGUE.get("omnigen-v2"), locale=LOCALE))
    option = CATALOGUE.get("omnigen-v2").option("input_image_urls")
    assert option is not None
    assert fields["image"]["max_values"] == option.max_items
    assert fields["image"]["min_values"] == 0


def test_nothing_that_a_window_shows_begins_or_ends_with_a_space() -> None:
    """Qwen's usual negative prompt is one space."""
    model = CATALOGUE.get("qwen-image")
    request = parse(model, {"prompt": "  a fox "})
    fields = fields_of(windows.edit(a_job(request=request), model, locale=LOCALE))
    assert request.options["negative_prompt"] == " "
    assert (fields["prompt"]["value"], fields["negative_prompt"].get("value")) == ("a fox", None)


def test_a_window_for_no_model_asks_for_the_model() -> None:
    typed = Typed("flux-schnel", {"prompt": "a fox", "style": "oil"}, trouble="model")
    fields = fields_of(windows.fix("0a1b2c3d4e5f", 0, None, typed, MODELS, locale=LOCALE))
    assert list(fields) == ["model", "prompt", "style", "options"]
    assert fields["model"]["required"]
    assert not any(option.get("default") for option in fields["model"]["options"])


def test_more_models_than_a_menu_holds_are_typed() -> None:
    many = [replace(MODELS[0], key=f"model-{number}", endpoint=f"fal-ai/{number}") for number in range(26)]
    typed = Typed("model-3", {"prompt": "a fox"})
    fields = fields_of(windows.fix("0a1b2c3d4e5f", 0, many[3], typed, many, locale=LOCALE))
    assert (fields["model"]["type"], fields["model"]["value"]) == (4, "model-3")


@pytest.mark.parametrize(
    "words",
    [
        "a fox",
        "word " * 1199 + "end",
        "x" * 6000,
        "line\n" * 1199 + "end",
        "👩‍👩‍👧‍👦 " * 700 + "end",
        "日本" * 3000,
        "a" * 3999 + " b",
    ],
)
@pytest.mark.parametrize("limit", [100, 2000, 4000])
def test_a_text_is_cut_into_fields_and_put_together_again(words: str, limit: int) -> None:
    model = CATALOGUE.get("recraft-v2")
    options = tuple(replace(one, max_length=limit) if one.name == "prompt" else one for one in model.options)
    model, typed = replace(model, options=options), Typed(None, {"prompt": words})
    (names, *_rest) = windows.pages(model, typed)
    assert names[0] == "prompt"
    fields = fields_of(windows.fix("0a1b2c3d4e5f", 0, model, typed, MODELS, locale=LOCALE))
    shown = {name: field["value"] for name, field in fields.items() if name.startswith("prompt")}
    assert joined(shown) == {"prompt": words}
    assert all(len(value.encode("utf-16-le")) // 2 <= 4000 for value in shown.values())


# ---------------------------------------------------------------------- what a job was made of


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.key)
def test_a_job_typed_again_is_the_same_request(model: Model) -> None:
    raw: dict[str, object] = {need.label: "https://cdn.discordapp.com/a.png" for need in model.needs}
    for option in model.offered:
        if option.choices and option.name != "prompt":
            raw[option.name] = option.choices[-1]
        elif option.kind in {OptionKind.INTEGER, OptionKind.NUMBER} and option.maximum and option.name != "num_images":
            raw[option.name] = option.maximum
        elif option.kind is OptionKind.LORAS:
            raw[option.name] = "owner/name@0.5"
    for excluded in (rule.options[1:] for rule in model.rules if rule.kind == "exclusive"):
        raw = {name: value for name, value in raw.items() if name not in excluded}
    request = parse(model, {"prompt": "a fox\nat dawn", **raw})
    typed = typed_of(a_job(request=request), model)
    again = parse(model, typed.values)
    assert (again.options, again.prompt, set(again.given)) == (request.options, request.prompt, set(request.given))
    assert Typed.from_json(typed.to_json()) == typed


def test_a_picture_from_the_web_stays_the_link_that_was_typed() -> None:
    model = CATALOGUE.get("omnigen-v2")
    request = parse(model, {"prompt": "a fox", "options": "image=https://example.com/a.png"})
    typed = typed_of(a_job(request=request), model)
    assert "image" not in typed.values
    assert parse(model, typed.values).options == request.options
