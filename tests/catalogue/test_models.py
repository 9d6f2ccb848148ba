"""Every model file says what fal's documents say, parameter by parameter."""

from __future__ import annotations

import re
import time
import tomllib
from typing import Any

import pytest

from bot.catalogue import COMMON_ALIASES, OPERATOR_ONLY, Catalogue, Model, Option, OptionKind, load
from bot.catalogue.load import OWN_FOLDER
from tests.catalogue.facts import BEYOND, DOCUMENTS, FACTS, NESTED, TYPES, Facts

_PARAMETERS = [(endpoint, name) for endpoint, facts in FACTS.items() for name in facts["parameters"]]
_FILES = {tomllib.loads(path.read_text("utf-8"))["endpoint"]: path for path in OWN_FOLDER.glob("*.toml")}


def _declared(endpoint: str, name: str) -> dict[str, Any]:
    options: list[dict[str, Any]] = tomllib.loads(_FILES[endpoint].read_text("utf-8"))["options"]
    return next(option for option in options if option["name"] == name)


def _known(catalogue: Catalogue, endpoint: str) -> Model:
    model = catalogue.known(endpoint)
    assert model is not None
    return model


def _option(catalogue: Catalogue, endpoint: str, name: str) -> Option:
    option = _known(catalogue, endpoint).option(name)
    assert option is not None
    return option


def test_exactly_the_eighteen_endpoints_ship(catalogue: Catalogue) -> None:
    assert {model.endpoint for model in catalogue.models} == set(FACTS)
    assert len(catalogue.models) == 18


@pytest.mark.parametrize("endpoint", FACTS)
def test_a_model_has_every_parameter_of_its_document_in_order_and_no_other(catalogue: Catalogue, endpoint: str) -> None:
    names = [option.name for option in _known(catalogue, endpoint).options if not option.send_only_if_given]
    assert names == list(FACTS[endpoint]["parameters"])


@pytest.mark.parametrize("endpoint", FACTS)
def test_parameters_of_newer_documents_are_marked_and_without_default(catalogue: Catalogue, endpoint: str) -> None:
    beyond = [option for option in _known(catalogue, endpoint).options if option.send_only_if_given]
    assert {option.name for option in beyond} == set(BEYOND.get(endpoint, {}))
    assert all(option.default is None and not option.required for option in beyond)


def test_every_type_that_fal_documents_is_known_and_no_other() -> None:
    documented = {fact["type"] for facts in FACTS.values() for fact in facts["parameters"].values()}
    assert documented | {sort for beyond in BEYOND.values() for sort in beyond.values()} == set(TYPES)


@pytest.mark.parametrize(("endpoint", "name"), _PARAMETERS)
def test_a_parameter_is_as_its_document_says(catalogue: Catalogue, endpoint: str, name: str) -> None:
    fact: Facts = FACTS[endpoint]["parameters"][name]
    option = _option(catalogue, endpoint, name)
    declared = _declared(endpoint, name)
    assert option.kind in TYPES[fact["type"]].kinds
    assert option.required == (fact["required"] and name not in OPERATOR_ONLY) or name == "openai_api_key"
    if not option.default_unless:
        assert (option.default, type(option.default)) == (fact["default"], type(fact["default"]))
    names = NESTED["palette_names"] if fact["type"] == "ColorPalette" else []
    assert list(option.choices) == fact.get("enum", names)
    assert (declared.get("minimum"), declared.get("maximum")) == (fact.get("min"), fact.get("max"))
    assert declared.get("max_items") == fact.get("max_items")
    assert [declared.get("min_side_px"), declared.get("max_side_px")] == fact.get("side_px", [None, None])


@pytest.mark.parametrize(("endpoint", "name"), _PARAMETERS)
def test_our_caps_never_contradict_a_documented_range(catalogue: Catalogue, endpoint: str, name: str) -> None:
    fact: Facts = FACTS[endpoint]["parameters"][name]
    option = _option(catalogue, endpoint, name)
    if "min" in fact:
        assert (option.minimum, option.maximum) == (fact["min"], fact["max"])
    elif "documented" in fact:
        assert [option.minimum, option.maximum] == fact["documented"]
    if "side_px" in fact:
        assert [option.min_side_px, option.max_side_px] == fact["side_px"]
    if "max_items" in fact:
        assert option.max_items == fact["max_items"]


@pytest.mark.parametrize("endpoint", FACTS)
def test_every_number_and_list_has_an_upper_bound(catalogue: Catalogue, endpoint: str) -> None:
    for option in _known(catalogue, endpoint).offered:
        if option.kind in {OptionKind.INTEGER, OptionKind.NUMBER}:
            assert option.minimum is not None, option.name
            assert option.maximum is not None, option.name
        if option.kind in {
            OptionKind.TEXTS,
            OptionKind.PICTURES,
            OptionKind.COLOURS,
            OptionKind.PALETTE,
            OptionKind.LORAS,
        }:
            assert option.max_items, option.name
        if option.kind is OptionKind.TEXT:
            assert option.max_length, option.name
        if option.name == "num_images" and "documented" not in FACTS[endpoint]["parameters"]["num_images"]:
            assert option.maximum == 4


@pytest.mark.parametrize("endpoint", FACTS)
def test_the_output_shape_is_as_documented(catalogue: Catalogue, endpoint: str) -> None:
    output = _known(catalogue, endpoint).output
    assert {name: getattr(output, name) for name in FACTS[endpoint]["output"]} == FACTS[endpoint]["output"]


@pytest.mark.parametrize("endpoint", FACTS)
def test_descriptions_fit_discord(catalogue: Catalogue, endpoint: str) -> None:
    model = _known(catalogue, endpoint)
    assert 0 < len(model.summary) <= 100
    assert all(0 < len(option.description) <= 100 for option in model.options)
    assert re.fullmatch(r"[a-z0-9-]{1,32}", model.key)


@pytest.mark.parametrize("endpoint", FACTS)
def test_what_the_operator_holds_is_not_offered(catalogue: Catalogue, endpoint: str) -> None:
    model = _known(catalogue, endpoint)
    assert {option.name for option in model.options if option.operator_only} == OPERATOR_ONLY & set(
        FACTS[endpoint]["parameters"]
    )
    assert not OPERATOR_ONLY & {option.name for option in model.offered}


@pytest.mark.parametrize("endpoint", FACTS)
def test_everything_a_friendly_name_can_mean_has_it(catalogue: Catalogue, endpoint: str) -> None:
    means = {
        "image_size": "size", "aspect_ratio": "size", "num_images": "count", "seed": "seed",
        "negative_prompt": "negative_prompt", "style": "style", "style_preset": "style",
        "num_inference_steps": "steps", "guidance_scale": "guidance", "text_guidance_scale": "guidance",
        "image_url": "image", "image_urls": "image", "input_image_urls": "image", "mask_image_url": "mask",
    }  # fmt: skip
    assert set(means.values()) == set(COMMON_ALIASES)
    for option in _known(catalogue, endpoint).offered:
        assert option.alias == means.get(option.name), option.name


def test_the_long_lists_are_whole(catalogue: Catalogue) -> None:
    assert len(_option(catalogue, "fal-ai/recraft/v2/text-to-image", "style").choices) == 47
    assert len(_option(catalogue, "fal-ai/ideogram/v3", "style_preset").choices) == 62


def test_the_six_endpoints_that_left_are_marked_with_a_successor(catalogue: Catalogue) -> None:
    retired = {model.key: model.retired.successor for model in catalogue.models if model.retired}
    assert set(retired) == {"imagen4", "imagen4-fast", "f-lite", "seedream-v3", "gpt-image-1", "recraft-v2"}
    elsewhere = {"fal-ai/gpt-image-1/text-to-image", "fal-ai/recraft/v3/text-to-image"}
    assert set(retired.values()) <= elsewhere | {model.endpoint for model in catalogue.models}


def test_only_the_model_that_carries_a_secret_forbids_storing_the_payload(catalogue: Catalogue) -> None:
    assert [model.key for model in catalogue.models if not model.store_payload] == ["gpt-image-1"]


def test_no_code_knows_a_model_by_name(catalogue: Catalogue) -> None:
    names = {name for model in catalogue.models for name in (model.key, model.endpoint, model.title)}
    for path in OWN_FOLDER.parent.glob("*.py"):
        if path.name == "model.py":  # its docstrings give examples
            continue
        text = path.read_text("utf-8")
        assert not [name for name in names if f'"{name}"' in text], path.name


def test_loading_is_quick() -> None:
    load()  # imports and caches of the first call aside
    took_s = min(_timed() for _ in range(5))
    assert took_s < 0.1


def _timed() -> float:
    start = time.process_time()
    load()
    return time.process_time() - start


# ---------------------------------------------------------------------- against the documents themselves


def _schemas() -> dict[str, Any]:
    import json

    path = DOCUMENTS / "facts" / "fal_schemas.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {"endpoints": {}, "siblings": {}}


def test_the_facts_in_this_repository_are_those_of_the_transcription() -> None:
    for endpoint, schema in _schemas()["endpoints"].items():
        facts = FACTS[endpoint]["parameters"]
        assert list(facts) == [parameter["name"] for parameter in schema["params"]]
        for parameter in schema["params"]:
            fact = facts[parameter["name"]]
            for ours, theirs in (("type", "type"), ("required", "required"), ("default", "default")):
                assert fact[ours] == parameter[theirs], (endpoint, parameter["name"])
            for ours, theirs in (("enum", "enum"), ("min", "min"), ("max", "max"), ("max_items", "max_items")):
                assert fact.get(ours) == (parameter.get(theirs) or None if theirs == "enum" else parameter.get(theirs))


def test_successors_are_real_endpoints(catalogue: Catalogue) -> None:
    schemas = _schemas()
    real = set(schemas["endpoints"]) | set(schemas["siblings"])
    for model in catalogue.models:
        if real and model.retired:
            assert model.retired.successor in real


_ENTRY = re.compile(
    r"(?P<name>[a-z][a-z0-9_]+) (?P<type>string|integer|float|boolean|ImageSize \| Enum|\w*Enum|list<\w+>"
    r"|ColorPalette|ControlNet|IPAdapter)\*?(?: required)?"
)
_TYPE_LINE = re.compile(r"string|integer|float|boolean|ImageSize \| Enum|\w*Enum")


def _sections(text: str) -> list[str]:
    """A seed document cut into one piece per endpoint."""
    return re.split(r"(?m)^(?:\d+\)(?=fal-ai/)|About$(?=\s+(?:Generate|Qwen|Ideogram V3|GPT)))", text)


def _input_lines(section: str) -> list[str]:
    after = re.split(r"(?m)^Input(?: Schema|#|\s*\n#)\s*$", section, maxsplit=1)
    return re.split(r"(?m)^Output(?: Schema|#)?\s*$", after[1], maxsplit=1)[0].splitlines() if len(after) == 2 else []


def _stated(lines: list[str]) -> dict[str, str]:
    """Parameter → everything the document says about it."""
    found: dict[str, str] = {}
    name = ""
    for at, line in enumerate(lines):
        entry = _ENTRY.fullmatch(line.strip())
        following = lines[at + 1].strip() if at + 1 < len(lines) else ""
        if entry:
            name = entry["name"]
        elif re.fullmatch(r"[a-z][a-z0-9_]+", line.strip()) and _TYPE_LINE.fullmatch(following):
            name = line.strip()
        if line.startswith(("{", "Input Example")):
            break
        if name:
            found[name] = f"{found.get(name, '')}{line}\n"
    return found


def _raw_documents() -> dict[str, dict[str, str]]:
    documents: dict[str, dict[str, str]] = {}
    for path in sorted((DOCUMENTS / "seeds").glob("*.txt")):
        for section in _sections(path.read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")):
            named = re.search(r'"(fal-ai/[\w./-]+)"|Endpoint ID: (fal-ai/[\w./-]+)', section)
            stated = _stated(_input_lines(section))
            if named and stated:
                documents.setdefault(named[1] or named[2], stated)
    return documents


def test_the_facts_agree_with_the_raw_documents() -> None:
    documents = _raw_documents()
    assert set(documents) in (set(), set(FACTS))
    for endpoint, stated in documents.items():
        facts = FACTS[endpoint]["parameters"]
        assert list(stated) == list(facts), endpoint
        for name, text in stated.items():
            _compare(endpoint, name, facts[name], text)


def _compare(endpoint: str, name: str, fact: Facts, text: str) -> None:
    enum = re.search(r"Possible (?:enum )?values: (.+)", text)
    assert (enum[1].strip().split(", ") if enum else None) == fact.get("enum"), (endpoint, name)
    default = re.search(r'default:"(.*)"', text) or re.search(r"Default value: (.+)", text)
    if default:
        stated = default[1].strip()
        stated = stated[1:-1] if stated.startswith('"') else stated
        shown = {True: "true", False: "false"}.get(fact["default"]) if isinstance(fact["default"], bool) else None
        assert (shown or f"{fact['default']}") == stated, (endpoint, name)
    limits = re.search(r"Range: ([\d.]+) to ([\d.]+)", text) or re.search(r"\((\d)-(\d)\)", text)
    assert ([float(limits[1]), float(limits[2])] if limits else [None, None]) == [fact.get("min"), fact.get("max")]
