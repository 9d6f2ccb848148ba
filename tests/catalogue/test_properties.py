"""Whatever comes in: a refusal or an order that fal's documents allow, never anything else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example
from hypothesis import given as examples
from hypothesis import strategies as st

from bot.catalogue import (
    Model,
    arguments,
    load,
    parse,
    request_from_json,
    request_to_json,
    with_prompt,
)
from bot.catalogue.model import COMMON_ALIASES, OPERATOR_ONLY
from bot.errors import Refusal
from tests.catalogue import samples
from tests.catalogue.facts import QUICK, faults
from tests.catalogue.parsing import NEEDS
from tests.english import english

CATALOGUE = load(has_openai_key=True)
MODELS = st.sampled_from(CATALOGUE.models)
NAMES = sorted(
    {option.name for model in CATALOGUE.models for option in model.options}
    | {*COMMON_ALIASES, *OPERATOR_ONLY, "options"}
)
ANYTHING: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
TYPED = st.sampled_from(
    ["0x0", "16:9", "1024x768", "auto", "high", "3", "4.5", "nan", "-1", "true", "#ff0000,#0f0", "EMBER", "a/b@0.8",
     "AUTO", "https://x.example/a.png", "A1B2C3D4", '{"path":"a/b"}', "[1]", "🙂", "\ud800", "\u202e", "square",
     "9" * 30, " ", "ANIME"]
)  # fmt: skip
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), TYPED | st.text(max_size=20)), max_size=4).map(
    lambda pairs: " ".join(f"{key}={value}" for key, value in pairs)
)
RAW = st.dictionaries(st.sampled_from([*NAMES, "prompt"]) | st.text(max_size=20), TYPED | ANYTHING, max_size=5)


def _check_sentence(sentence: str) -> None:
    assert len(sentence.encode()) < 2000


def _body_or_none(model: Model, raw: dict[str, Any]) -> dict[str, Any] | None:
    try:
        placed = parse(model, raw)
    except Refusal as refusal:
        _check_sentence(english(refusal))
        return None
    assert request_from_json(json.loads(json.dumps(request_to_json(placed)))) == placed
    assert 1 <= placed.images <= 10
    assert placed.cost_usd is None or placed.cost_usd > 0
    return arguments(model, placed, safety_checker=True, openai_api_key="sk-1")


@QUICK
@examples(MODELS, RAW)
@example(CATALOGUE.models[0], {"prompt": "x", "options": "a=" + "[" * 3000})
def test_raw_input_is_refused_or_becomes_what_fal_takes(model: Model, raw: dict[str, Any]) -> None:
    body = _body_or_none(model, {**NEEDS.get(model.key, {}), "prompt": "a cat", **raw})
    if body is not None:
        assert faults(model.endpoint, body) == []


@QUICK
@examples(MODELS, PAIRS | st.text(max_size=200))
def test_typed_options_are_refused_or_become_what_fal_takes(model: Model, options: str) -> None:
    body = _body_or_none(model, {**NEEDS.get(model.key, {}), "prompt": "a cat", "options": options})
    if body is not None:
        assert faults(model.endpoint, body) == []


@QUICK
@examples(MODELS, ANYTHING | st.text(max_size=50))
def test_prompts_are_refused_or_sent_as_they_are(model: Model, prompt: object) -> None:
    body = _body_or_none(model, {**NEEDS.get(model.key, {}), "prompt": prompt})
    if body is not None:
        assert isinstance(prompt, str)
        assert body["prompt"] == prompt.strip()


@st.composite
def _fair_orders(draw: st.DrawFn) -> tuple[Model, dict[str, Any]]:
    model = draw(MODELS)
    free = [option for option in model.offered if option.name != "prompt"]
    ruled = {name for rule in model.rules for name in rule.options}
    chosen = draw(
        st.lists(
            st.sampled_from([option for option in free if option.name not in ruled]),
            unique_by=lambda option: option.name,
            max_size=5,
        )
    )
    return model, {option.name: draw(samples.drawn(option)) for option in chosen}


@QUICK
@examples(_fair_orders())
def test_fair_values_are_taken_and_valid_and_parsing_them_again_changes_nothing(
    fair: tuple[Model, dict[str, Any]],
) -> None:
    model, raw = fair
    raw = {
        **{k: v for k, v in NEEDS.get(model.key, {}).items() if f"{k}_url" not in raw and f"{k}_image_url" not in raw},
        **raw,
    }
    placed = parse(model, {"prompt": "a cat", **raw})
    body = arguments(model, placed, safety_checker=True, openai_api_key="sk-1")
    assert faults(model.endpoint, body) == []
    again = parse(model, {"prompt": placed.prompt, **placed.options})
    assert (again.options, again.size, again.cost_usd) == (placed.options, placed.size, placed.cost_usd)
    assert with_prompt(model, placed, placed.prompt) == placed
