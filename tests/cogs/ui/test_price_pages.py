"""Money on the pages of models and of /usage."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bot.catalogue import load
from bot.limits import Standing
from cogs.ui import pages
from tests.cogs.values import check_card, parts, payload, shown_text
from tests.english import LOCALE

CATALOGUE = load(has_openai_key=True)
DIME = Decimal("0.10")
#: Both rounded to the minute by CLOCK.
MIDNIGHT, NEW_YEAR = datetime(2020, 12, 6, tzinfo=UTC), datetime(2021, 1, 1, tzinfo=UTC)


def page_of(key: str) -> str:
    card = pages.model_page(CATALOGUE.models, CATALOGUE.get(key), CATALOGUE.models[0], DIME, locale=LOCALE)
    check_card(card)
    return shown_text(card)


def test_a_models_page_says_what_options_change_of_the_price() -> None:
    assert "; a picture costs $0.03 with TURBO, $0.06 with BALANCED, $0.09 with QUALITY\n" in page_of("ideogram-v3")
    assert "`style`: " in page_of("recraft-v2")
    assert "; a picture costs $0.022 to $0.044\n" in page_of("recraft-v2")
    assert "`enable_prompt_expansion`: true or false; a picture costs $0.0065 with true, $0.004 with false" in page_of(
        "z-image-turbo"
    )


def test_an_unknown_price_says_what_each_picture_counts_as() -> None:
    assert "price unknown, so each picture counts as $0.10" in page_of("z-image")


@pytest.mark.parametrize("model", CATALOGUE.models, ids=lambda one: one.key)
def test_every_page_keeps_discords_limits(model: object) -> None:
    page_of(getattr(model, "key", ""))


def test_the_menu_of_models_shows_prices() -> None:
    card = pages.models_page(CATALOGUE.models, CATALOGUE.models[0], locale=LOCALE)
    entries = [entry for part in parts(payload(card)) for entry in part.get("options", ())]
    described = {entry["value"]: entry["description"] for entry in entries}
    assert described["flux-schnell"].startswith("$0.003 per megapixel · Quick")
    assert described["z-image"].startswith("price unknown · ")
    assert all(len(words) <= 100 for words in described.values())


def usage_text(**money: object) -> str:
    standing = Standing(3, 8, None, 8, 30, 50, None, 3, None, MIDNIGHT, **money)  # type: ignore[arg-type]
    return pages.standing_text(standing, locale=LOCALE)


def test_usage_says_how_much_money_is_left_and_when_it_returns() -> None:
    said = usage_text(usd_left_today=Decimal("1.64"), usd_per_day=Decimal(2))
    assert f"Your budget for today: $1.64 of $2.00 left. It starts again at <t:{int(MIDNIGHT.timestamp())}:f>." in said
    assert "budget" not in usage_text()


def test_usage_says_which_budget_is_used_up_and_no_figure_of_others() -> None:
    for rule, at, words in (
        ("server_usd_day", MIDNIGHT, "This server's budget for today is used up."),
        ("server_usd_month", NEW_YEAR, "This server's budget for this month is used up."),
        ("all_usd_day", MIDNIGHT, "The budget that all users of this bot share for today is used up."),
        ("all_usd_month", NEW_YEAR, "The budget that all users of this bot share for this month is used up."),
    ):
        said = usage_text(used_up=((rule, at),))
        assert f"{words} It starts again at <t:{int(at.timestamp())}:f>." in said
        assert "$" not in said
    assert "so nothing is painted here" in usage_text(used_up=(("server_usd_day", None),))
    assert usage_text(used_up=(("person_usd_day", MIDNIGHT),)) == usage_text()  # its own line says it
