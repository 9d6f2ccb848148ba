"""Model files of the operator, and what is wrong with them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from bot.catalogue import OptionKind, arguments, load, parse
from bot.errors import SettingsInvalid
from tests.catalogue.parsing import each

VALID_MODEL = """
endpoint = "fal-ai/fancy/v1"
key = "fancy"
title = "Fancy"
summary = "Fancy things."
typical_s = 3
size_option = "image_size"

[output]
pictures = "image"

[price]
usd = 0.05
unit = "image"
confidence = "medium"

[[options]]
name = "prompt"
kind = "text"
description = "What to paint."
required = true
ours = { max_length = 500 }

[[options]]
name = "image_size"
kind = "size"
alias = "size"
description = "Size."
default = "square_hd"
choices = ["square_hd", "square"]

[[options]]
name = "steps"
kind = "integer"
alias = "steps"
description = "Steps."
default = 5
minimum = 1
maximum = 50
docs = { maximum = 40 }
ours = { minimum = 2, maximum = 100 }

[[options]]
name = "sync_mode"
kind = "boolean"
description = "Held."
operator_only = true
"""


def _write(folder: Path, text: str, name: str = "fancy.toml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def _complaint(folder: Path) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        load(folder=folder)
    return str(caught.value)


def test_an_operator_adds_a_model_without_code(tmp_path: Path) -> None:
    catalogue = load(folder=_write(tmp_path, VALID_MODEL))
    model = catalogue.get("fancy")
    assert len(catalogue.models) == 18  # 17 without an OpenAI key, and this one
    order = parse(model, {"prompt": "a cat", "steps": 7, "size": "1:1"})
    assert order.cost_usd == Decimal("0.05")
    assert arguments(model, order, safety_checker=True, openai_api_key=None) == {
        "prompt": "a cat",
        "image_size": "square_hd",
        "steps": 7,
        "sync_mode": False,
    }


def test_a_file_with_the_keys_of_earlier_releases_still_works(tmp_path: Path) -> None:
    text = VALID_MODEL.replace("summary =", "good_at =").replace("operator_only =", "held =")
    model = load(folder=_write(tmp_path, text)).get("fancy")
    assert model.summary == "Fancy things."
    option = model.option("sync_mode")
    assert option is not None
    assert option.operator_only


def test_the_narrowest_of_all_limits_holds(tmp_path: Path) -> None:
    option = load(folder=_write(tmp_path, VALID_MODEL)).get("fancy").option("steps")
    assert option is not None
    assert (option.minimum, option.maximum) == (2, 40)


def test_the_same_endpoint_replaces_ours(tmp_path: Path) -> None:
    text = VALID_MODEL.replace("fal-ai/fancy/v1", "fal-ai/flux-1/schnell").replace('"fancy"', '"flux-schnell"')
    catalogue = load(folder=_write(tmp_path, text))
    assert catalogue.get("flux-schnell").title == "Fancy"
    assert catalogue.get("fal-ai/flux-1/schnell").title == "Fancy"


def test_display_order_follows_the_files(tmp_path: Path) -> None:
    first = VALID_MODEL.replace("typical_s = 3", "typical_s = 3\norder = 1")
    assert load(folder=_write(tmp_path, first)).models[0].key == "fancy"
    assert load(folder=_write(tmp_path, VALID_MODEL)).models[-1].key == "fancy"


@each(
    ("old", "new", "expected"),
    [
        ("typical_s = 3", "typical_s = 3\nspeed = 4", "`speed`: there is no such key"),
        ("maximum = 50", "maximim = 50", "`options.2.maximim`: there is no such key"),
        ("ours = { minimum = 2, maximum = 100 }", "ours = { max = 2 }", "`options.2.ours.max`: there is no such key"),
        ('kind = "integer"', 'kind = "int"', "`options.2.kind`"),
        ('alias = "steps"', 'alias = "stepz"', "`options.2.alias`"),
        ("typical_s = 3", "", "`typical_s`: field required"),
        ("typical_s = 3", "typical_s = -3", "`typical_s`"),
        ("typical_s = 3", 'typical_s = "soon"', "`typical_s`"),
        ('key = "fancy"', 'key = "Fancy Model"', "`key`"),
        ('endpoint = "fal-ai/fancy/v1"', 'endpoint = "https://fal.run/x"', "`endpoint`"),
        ('endpoint = "fal-ai/fancy/v1"', 'endpoint = "../../secrets"', "`endpoint`"),
        ('description = "Steps."', f'description = "{"x" * 101}"', "`options.2.description`"),
        ("usd = 0.05", "usd = -1", "`price.usd`"),
        ("usd = 0.05", "usd = nan", "`price.usd`"),
        ('unit = "image"', 'unit = "smile"', "`price.unit`"),
        ('title = "Fancy"', 'title = "FLUX.1 schnell"', "both have the title"),
        ('key = "fancy"', 'key = "flux-schnell"', "both have the key"),
        ("minimum = 1\nmaximum = 50", "minimum = 60\nmaximum = 50", "`minimum` is above `maximum`"),
        ("default = 5", "default = 45", "its `default` 45 is not what it takes"),
        ("default = 5", 'default = "5"', "must be written 5"),
        ('default = "square_hd"', 'default = "16:9"', 'its `default` "16:9" must be written {'),
        (
            'kind = "integer"\nalias = "steps"\ndescription = "Steps."\ndefault = 5\nminimum = 1\nmaximum = 50',
            'kind = "colours"\nmax_items = 2\ndescription = "Colours."\ndefault = "#ff8000"',
            'its `default` "#ff8000" must be written [{ r = 255, g = 128, b = 0 }].',
        ),
        ("default = 5", "default = 5\nsend_only_if_given = true", "can't have a default"),
        ("operator_only = true", "", "`operator_only` is for"),
        ('description = "Steps."', 'description = "Steps."\noperator_only = true', "`operator_only` is for"),
        ('name = "sync_mode"', 'name = "openai_api_key"', "store_payload = false"),
        ('name = "steps"', 'name = "prompt"', "`prompt` is described twice"),
        ('name = "prompt"', 'name = "text"', "needs an option `prompt`"),
        ('size_option = "image_size"', 'size_option = "size"', "`size_option`"),
        ('size_option = "image_size"', "", "`size_option` must name it"),
        ('choices = ["square_hd", "square"]', 'choices = ["square_hd", "square_hd"]', "lists a choice twice"),
        ('kind = "integer"', 'kind = "choice"', "needs `choices`"),
        ("default = 5", 'default = 5\npattern = "("', "no regular expression"),
        ("[output]", '[[rules]]\nkind = "exclusive"\noptions = ["steps", "speed"]\n[output]', "names `speed`"),
        ("[output]", '[[rules]]\nkind = "maybe"\noptions = ["steps", "prompt"]\n[output]', "`rules.0.kind`"),
        ('confidence = "medium"', 'confidence = "medium"\nsurcharges = { turbo = 1 }', "names `turbo`"),
        (
            'confidence = "medium"',
            'confidence = "medium"\nby_option = { option = "steps", usd = { x = 1 } }',
            "has `x`",
        ),
        ("[output]", "[output", "not valid TOML"),
        ('title = "Fancy"', 'title = "Fancy"\ntitle = "Twice"', "not valid TOML"),
        ('"square_hd", "square"]', f'"square_hd", "{"x" * 101}"]', "`options.1.choices.1`"),
        ('"square_hd", "square"]', '"square_hd", ""]', "`options.1.choices.1`"),
        ("default = 5", "default = 5\ndefault_unless = 'nothing'", "names `nothing`"),
    ],
)
def test_a_faulty_file_is_refused_with_file_key_and_fault(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in VALID_MODEL
    complaint = _complaint(_write(tmp_path, VALID_MODEL.replace(old, new, 1)))
    assert expected in complaint
    assert "fancy" in complaint.lower()
    assert "Traceback" not in complaint
    assert "pydantic" not in complaint


def test_two_files_for_one_endpoint_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, VALID_MODEL)
    complaint = _complaint(_write(tmp_path, VALID_MODEL.replace('key = "fancy"', 'key = "fancier"'), "two.toml"))
    assert "two.toml" in complaint


def test_a_missing_folder_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    assert "no such folder" in _complaint(tmp_path / "nowhere")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe\x00")
    assert "bad.toml" in _complaint(tmp_path)
    (tmp_path / "bad.toml").write_bytes(b"#" * 300_000)
    assert "larger than" in _complaint(tmp_path)
    (tmp_path / "bad.toml").unlink()
    (tmp_path / "bad.toml").mkdir()
    assert "bad.toml" in _complaint(tmp_path)


def test_an_empty_folder_changes_nothing(tmp_path: Path) -> None:
    assert len(load(folder=tmp_path, has_openai_key=True).models) == 18


def test_names_in_the_settings_must_exist() -> None:
    with pytest.raises(SettingsInvalid, match=r"`models.disabled` names `flux-shnell`.*`flux-schnell`"):
        load(disabled=["flux-shnell"])
    with pytest.raises(SettingsInvalid, match=r"`models.prices_usd` names `nothing`"):
        load(prices_usd={"nothing": Decimal(1)})
    for price in map(Decimal, ("-1", "-0.000001", "NaN", "Infinity", "1000.01", "1e9", "1e30")):
        with pytest.raises(SettingsInvalid, match="US dollars"):
            load(prices_usd={"flux-schnell": price})


def test_kinds_in_files_are_the_closed_set(tmp_path: Path) -> None:
    complaint = _complaint(_write(tmp_path, VALID_MODEL.replace('kind = "integer"', 'kind = "nothing"')))
    assert all(f"'{kind}'" in complaint for kind in OptionKind)
