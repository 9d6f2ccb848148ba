"""An order above the operator's price shows it first; nothing is reserved until its button is pressed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.job import Job
from tests.cogs.conftest import CogFixture, with_services
from tests.cogs.draft_windows import buttons_of, imagine, press, send, window_of
from tests.cogs.interactions import PERSON, said
from tests.cogs.values import PostedMessage, shown_text

#: A picture with it costs $0.09, four of them $0.36; with the defaults $0.06.
DEAR: dict[str, Any] = {"model": "ideogram-v3", "options": "rendering_speed=QUALITY"}


def with_budget(fixture: CogFixture, **changes: str) -> None:
    services = fixture.bot.services
    budget = services.settings.budget.model_copy(update={name: Decimal(value) for name, value in changes.items()})
    with_services(fixture, replace(services, settings=services.settings.model_copy(update={"budget": budget})))


async def nothing_is_reserved(fixture: CogFixture) -> bool:
    today = fixture.bot.services.clock().date()
    rows = await fixture.store.costs.sums([], today - timedelta(days=1))
    return await fixture.jobs() == [] and rows[0].usd_micros == 0


async def test_a_dear_order_shows_price_and_remainder_and_reserves_nothing(fixture: CogFixture) -> None:
    asked = await imagine(fixture, count=4, **DEAR)

    sentence, is_private = said(asked)
    assert "These 4 pictures by **Ideogram V3** cost **$0.36** at most." in sentence
    assert "You have $2.00 left for today." in sentence
    assert "Nothing is painted until you press **Paint for $0.36**" in sentence
    assert is_private
    assert [*buttons_of(asked)] == ["Paint for $0.36", "Change"]
    assert await nothing_is_reserved(fixture)


async def test_its_button_paints_for_that_price_once_however_often_it_is_pressed(fixture: CogFixture) -> None:
    asked = await imagine(fixture, count=4, seed=7, **DEAR)
    await press(fixture, asked, "Paint for $0.36")
    again = await press(fixture, asked, "Paint for $0.36")

    (job,) = await fixture.jobs()
    assert (job.request.images, job.request.seed, job.request.cost_usd) == (4, 7, Decimal("0.36"))
    assert job.request.options["rendering_speed"] == "QUALITY"
    assert "asked for already" in shown_text(again.response.send_message.call_args.kwargs["view"])


async def test_change_brings_back_what_was_typed_and_a_cheaper_one_is_painted_at_once(fixture: CogFixture) -> None:
    asked = await imagine(fixture, count=4, **DEAR)
    form = window_of(await press(fixture, asked, "Change"))
    await send(fixture, form, count="1")

    (job,) = await fixture.jobs()
    assert (job.request.images, job.request.cost_usd) == (1, Decimal("0.09"))


async def test_an_old_button_never_buys_what_has_become_dearer(fixture: CogFixture) -> None:
    first = await imagine(fixture, count=3, **DEAR)
    assert [*buttons_of(first)] == ["Paint for $0.27", "Change"]
    second = await send(fixture, window_of(await press(fixture, first, "Change")), count="4")
    assert [*buttons_of(second)] == ["Paint for $0.36", "Change"]

    third = await press(fixture, first, "Paint for $0.27")
    assert [*buttons_of(third)] == ["Paint for $0.36", "Change"]
    assert await nothing_is_reserved(fixture)

    await press(fixture, second, "Paint for $0.36")
    assert len(await fixture.jobs()) == 1


async def test_nobody_else_can_press_it(fixture: CogFixture) -> None:
    asked = await imagine(fixture, count=4, **DEAR)
    custom_id = next(one for one in ids_of(asked) if "payfor" in one)
    other = await fixture.click(PostedMessage(custom_id), custom_id, person=PERSON + 1)
    assert "Only the person who typed this" in said(other)[0]
    assert await nothing_is_reserved(fixture)


def ids_of(interaction: Any) -> list[str]:
    view = interaction.response.send_message.call_args.kwargs["view"]
    return [item.custom_id for item in view.children]


@pytest.mark.parametrize("broken", ["", ".", ".x", ".-1", ".0", ".²", f".{'9' * 40}x"])
async def test_a_changed_price_in_the_button_agrees_to_nothing(fixture: CogFixture, broken: str) -> None:
    asked = await imagine(fixture, count=4, **DEAR)
    draft_id = ids_of(asked)[0].split(":")[2].partition(".")[0]
    custom_id = f"easel:payfor:{draft_id}{broken}"
    await fixture.click(PostedMessage(custom_id), custom_id)
    assert await nothing_is_reserved(fixture)


@pytest.mark.parametrize(
    ("above", "count", "asks"),
    [("0.25", 2, False), ("0.25", 3, True), ("0.27", 3, False), ("0.269999", 3, True), ("0", 4, False)],
)
async def test_only_above_the_operators_price_and_0_never_asks(
    fixture: CogFixture, above: str, count: int, asks: bool
) -> None:
    with_budget(fixture, confirm_above_usd=above)
    await imagine(fixture, count=count, **DEAR)
    assert len(await fixture.jobs()) == (0 if asks else 1)


async def test_without_limits_nobody_is_asked(fixture: CogFixture) -> None:
    services = fixture.bot.services
    limits = services.settings.limits.model_copy(update={"enabled": False})
    settings = services.settings.model_copy(update={"limits": limits})
    with_services(fixture, replace(services, settings=settings))
    await imagine(fixture, count=4, **DEAR)
    assert len(await fixture.jobs()) == 1


async def test_what_a_budget_refuses_is_refused_at_once_and_not_after_a_yes(fixture: CogFixture) -> None:
    with_budget(fixture, person_usd_per_day="0.30")
    asked = await imagine(fixture, count=4, **DEAR)
    assert "$0.36" in said(asked)[0]
    assert not any(label.startswith("Paint for") for label in buttons_of(asked))
    assert await nothing_is_reserved(fixture)


async def test_an_unknown_price_is_said_to_be_one(fixture: CogFixture) -> None:
    asked = await imagine(fixture, count=4, model="z-image")
    assert "**about $0.40**, as the exact price is not known" in said(asked)[0]
    assert [*buttons_of(asked)] == ["Paint for about $0.40", "Change"]
    await press(fixture, asked, "Paint for about $0.40")
    assert len(await fixture.jobs()) == 1


async def test_again_asks_too(fixture: CogFixture) -> None:
    with_budget(fixture, confirm_above_usd="0")
    await imagine(fixture, count=4, **DEAR)
    (job,) = await fixture.jobs()
    with_budget(fixture, confirm_above_usd="0.25")

    asked = await pressed_again(fixture, job)
    assert [*buttons_of(asked)] == ["Paint for $0.36", "Change"]
    assert len(await fixture.jobs()) == 1
    await press(fixture, asked, "Paint for $0.36")
    (second,) = [one for one in await fixture.jobs() if one.id != job.id]
    assert (second.parent_id, second.request.prompt) == (job.id, job.request.prompt)


async def pressed_again(fixture: CogFixture, job: Job) -> Any:
    custom_id = f"easel:again:{job.id}"
    return await fixture.click(PostedMessage(custom_id), custom_id)
