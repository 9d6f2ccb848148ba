"""Flags in the prompt that have the names of our options are read, and refused, like the fields."""

from __future__ import annotations

from bot.catalogue import Catalogue
from bot.catalogue.habits import read, without_model
from cogs.ui.messages import say
from tests.catalogue.parsing import each, refused, request
from tests.english import LOCALE


def notices(catalogue: Catalogue, key: str, **raw: object) -> str:
    return "\n".join(say(LOCALE, notice) for notice in request(catalogue, key, **raw).notices)


@each(
    ("typed", "painted", "name"),
    [
        ("a cat --model ideogram-v3", "a cat", "ideogram-v3"),
        ("--model recraft-v3 a cat", "a cat", "recraft-v3"),
        ("a cat --model=flux-dev --ar 16:9", "a cat --ar 16:9", "flux-dev"),
        ("a cat —model flux-dev", "a cat", "flux-dev"),
        ("a cat --model a --model b", "a cat", "b"),
        ("a toy –model railway", "a toy –model railway", None),
        ('a sign "--model flux-dev"', 'a sign "--model flux-dev"', None),
        ("a cat --model", "a cat --model", None),
    ],
)
def test_a_prompt_names_its_model(typed: str, painted: str, name: str | None) -> None:
    rest, wish = without_model(typed)
    assert (rest, wish.value if wish else None) == (painted, name)


@each(
    ("flag", "option"),
    [("--ar banana", "size"), ("--seed abc", "seed"), ("--seed 1.5", "seed"), ("--steps 9000", "steps"),
     ("--steps many", "steps"), ("--n lots", "count"), ("--count 1y", "count"), ("--size huge", "size"),
     ("--ar 16:9:2", "size"), ("--seed 1234567890123456", "seed"), ("--acceleration sideways", "acceleration")],
)  # fmt: skip
def test_a_wrong_value_behind_a_flag_is_refused_like_the_field(catalogue: Catalogue, flag: str, option: str) -> None:
    for prompt in (f"a cat {flag}", f"a cat {flag} --v 6"):
        assert refused(catalogue, "flux-schnell", prompt=prompt).option == option


def test_a_style_is_read_like_the_field(catalogue: Catalogue) -> None:
    assert request(catalogue, "recraft-v2", prompt='a cat --style "digital illustration"').options["style"] == (
        "digital_illustration"
    )
    assert refused(catalogue, "ideogram-v3", prompt="a cat --style zzz").option == "style"
    assert notices(catalogue, "flux-schnell", prompt="a cat --style anime") == (
        "`--style anime` was not used: FLUX.1 schnell has no `style`."
    )
    assert "means nothing here: `--style raw`" in notices(catalogue, "ideogram-v3", prompt="a cat --style raw")


def test_a_flag_with_the_name_of_an_option_of_the_model_is_read(catalogue: Catalogue) -> None:
    placed = request(catalogue, "flux-schnell", prompt="a cat --acceleration high")
    assert (placed.prompt, placed.options["acceleration"]) == ("a cat", "high")
    placed = request(catalogue, "flux-schnell", prompt="a cat --acceleration high", options="acceleration=none")
    assert placed.options["acceleration"] == "none"
    assert "because you gave `acceleration`" in say(LOCALE, placed.notices[0])


def test_a_flag_without_a_value_and_a_model_that_is_settled_are_told(catalogue: Catalogue) -> None:
    for flag in ("--ar", "--seed", "--no", "--model"):
        assert notices(catalogue, "flux-schnell", prompt=f"a cat {flag}") == (
            f"`{flag}` was left out: no value stands behind it."
        )
    assert notices(catalogue, "flux-schnell", prompt="a cat --model ideogram-v3") == (
        "`--model ideogram-v3` was not used: this request already has its model, FLUX.1 schnell."
    )


@each("typed", ["a poster about --seed pods and growth", "a --style of its own", "a toy –model railway"])
def test_what_stands_in_a_sentence_is_no_wrong_value(typed: str) -> None:
    assert all(wish.key in ("style",) for wish in read(typed).wishes)
