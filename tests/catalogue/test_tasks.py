"""What models are for, and models that work from a picture alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.catalogue import (
    PROMPT_TASKS,
    Catalogue,
    Model,
    Task,
    arguments,
    load,
    option_completions,
    parse,
    picture_options,
    request_from_json,
    request_to_json,
    with_prompt,
    with_seed,
)
from bot.errors import InvalidOption, ModelUnavailable, SettingsInvalid, UnknownModel
from tests.catalogue.promptless import ENLARGER, PICTURE, catalogue_with
from tests.english import english, raises_saying


@pytest.fixture
def enlarging(tmp_path: Path) -> Catalogue:
    return catalogue_with(tmp_path, ENLARGER)


@pytest.fixture
def enlarger(enlarging: Catalogue) -> Model:
    return enlarging.get("enlarger")


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        catalogue_with(folder, text)
    return str(caught.value)


# ---------------------------------------------------------------------- tasks


def test_our_models_paint_from_words_and_one_paints_into_a_mask(catalogue: Catalogue) -> None:
    others = {model.key: model.task for model in catalogue.models if model.task is not Task.TEXT_TO_IMAGE}
    assert others == {"z-image-inpaint": Task.INPAINT}
    assert catalogue.offered(PROMPT_TASKS) == catalogue.models


def test_a_model_is_found_for_its_task_only(enlarging: Catalogue, enlarger: Model) -> None:
    assert enlarging.get("enlarger", {Task.UPSCALE}) is enlarger
    assert enlarging.search("enlarg") == enlarging.search("enlarg", tasks={Task.UPSCALE}) == [enlarger]
    assert enlarging.search("enlarg", tasks=PROMPT_TASKS) == []
    assert enlarging.search("enlrger", tasks=PROMPT_TASKS) == []
    assert enlarger not in enlarging.offered(PROMPT_TASKS)
    with raises_saying(ModelUnavailable, match="not made for this command"):
        enlarging.get("enlarger", PROMPT_TASKS)


def test_a_misspelt_name_is_met_with_models_of_the_task(enlarging: Catalogue) -> None:
    with pytest.raises(UnknownModel) as caught:
        enlarging.get("enlargr", PROMPT_TASKS)
    assert "enlarger" not in english(caught.value)


def test_a_task_nobody_knows_is_refused_with_those_there_are(tmp_path: Path) -> None:
    said = complaint(tmp_path, ENLARGER.replace('task = "upscale"', 'task = "enlarge"'))
    assert "`task`" in said
    assert all(f"'{task}'" in said for task in Task)


def test_the_readme_names_every_task() -> None:
    text = (Path(__file__).parents[2] / "bot/catalogue/README.md").read_text("utf-8")
    row = re.search(r"^\| `task` \|(.*)\|$", text, re.MULTILINE)
    assert row is not None
    assert {f"`{task}`" for task in Task} <= set(re.findall(r"`[a-z-]+`", row[1]))


# ---------------------------------------------------------------------- without a prompt


def test_a_picture_is_all_such_a_model_needs(enlarger: Model) -> None:
    request = parse(enlarger, {"image": PICTURE})
    assert (request.prompt, request.is_deleted, enlarger.takes_prompt) == ("", False, False)
    assert arguments(enlarger, request, safety_checker=True, openai_api_key=None) == {
        "image_url": PICTURE,
        "factor": 2,
    }
    assert picture_options(enlarger, request) == {"image": (PICTURE,)}


def test_such_a_request_is_stored_and_repeated_as_it_was(enlarger: Model) -> None:
    request = parse(enlarger, {"image": PICTURE, "factor": 4})
    assert request_from_json(request_to_json(request)) == request
    assert with_prompt(enlarger, request, request.prompt) == request
    assert with_seed(enlarger, request, 7) == request


@pytest.mark.parametrize("words", ["a fox", 7])
def test_words_for_such_a_model_are_refused_rather_than_lost(enlarger: Model, words: object) -> None:
    with raises_saying(InvalidOption, match="no option `prompt`"):
        parse(enlarger, {"prompt": words, "image": PICTURE})


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_an_empty_prompt_is_none(enlarger: Model, nothing: object) -> None:
    assert parse(enlarger, {"prompt": nothing, "image": PICTURE}).prompt == ""


def test_without_its_picture_it_says_what_is_missing(enlarger: Model) -> None:
    with raises_saying(InvalidOption, match="needs `image`"):
        parse(enlarger, {})


def test_its_options_are_completed(enlarger: Model) -> None:
    assert "factor=" in [value for _, value in option_completions(enlarger, "")]


@pytest.mark.parametrize("task", sorted(PROMPT_TASKS))
def test_a_model_that_paints_from_words_must_take_them(tmp_path: Path, task: Task) -> None:
    said = complaint(tmp_path, ENLARGER.replace('task = "upscale"', f'task = "{task}"'))
    assert "needs an option `prompt` of kind `text`" in said


def test_a_model_must_work_from_something(tmp_path: Path) -> None:
    said = complaint(tmp_path, ENLARGER.replace("required = true", "required = false"))
    assert "`required` one of kind `picture`" in said


def test_a_prompt_may_stand_beside_the_picture_of_any_task(tmp_path: Path) -> None:
    worded = (
        ENLARGER
        + """
[[options]]
name = "prompt"
kind = "text"
description = "What is on it."
"""
    )
    model = catalogue_with(tmp_path, worded).get("enlarger")
    assert parse(model, {"image": PICTURE}).prompt == ""
    assert parse(model, {"image": PICTURE, "prompt": "a fox"}).prompt == "a fox"


def test_without_a_task_a_model_paints_from_words(tmp_path: Path) -> None:
    assert "needs an option `prompt`" in complaint(tmp_path, ENLARGER.replace('task = "upscale"\n', ""))
    assert all(model.task in PROMPT_TASKS for model in load().models)
