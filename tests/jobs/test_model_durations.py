"""Time left knows how many pictures of which size are painted, and what it says at the end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import pytest

from bot.domain.events import InProgress
from bot.jobs.log_progress import LogProgress
from bot.jobs.model_durations import ModelDurations
from bot.jobs.provider_state import ProviderState
from bot.store.durations import PastGeneration
from tests.cogs.values import MODEL, NOW, a_job, a_request

MEGAPIXEL = (1024, 1024)


def kind(images: int, size: tuple[int, int] | None = MEGAPIXEL) -> Any:
    return replace(a_request(), images=images, size=size)


def durations(*past: PastGeneration) -> ModelDurations:
    context = Mock(clock=lambda: NOW)
    context.store.durations.recent = AsyncMock(return_value=list(past))
    context.retry_store = AsyncMock(return_value=list(past))
    return ModelDurations(cast("Any", context))


async def test_a_kind_of_job_that_was_seen_takes_as_long_as_it_took() -> None:
    known = durations(
        *[PastGeneration(MODEL.endpoint, 37.0, 4, 1024 * 1024)] * 3, PastGeneration(MODEL.endpoint, 9.0, 1)
    )
    await known.recall()
    assert known.expected_s(MODEL, kind(4)) == pytest.approx(37.0)
    assert known.expected_s(MODEL, kind(1, None)) == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("more", "less"),
    [(kind(4), kind(1)), (kind(2), kind(1)), (kind(1, (2048, 2048)), kind(1)), (kind(1), kind(1, (512, 512)))],
)
async def test_more_pictures_and_larger_ones_take_longer_also_where_none_was_seen(more: Any, less: Any) -> None:
    for known in (durations(), durations(PastGeneration(MODEL.endpoint, 10.0, 1, 1024 * 1024))):
        await known.recall()
        assert known.expected_s(MODEL, more) > 1.4 * known.expected_s(MODEL, less)


async def test_what_was_learned_of_one_kind_serves_the_others() -> None:
    known = durations(PastGeneration(MODEL.endpoint, 40.0, 4, 1024 * 1024))
    await known.recall()
    assert 10 < known.expected_s(MODEL, kind(1)) < 25
    assert known.expected_s(MODEL) == known.expected_s(MODEL, kind(1))


def test_a_job_that_ended_is_learned_from() -> None:
    known = durations()
    known.learn(MODEL, kind(3), NOW - timedelta(seconds=33))
    assert known.expected_s(MODEL, kind(3)) == pytest.approx(33.0)
    assert known._unwritten == [PastGeneration(MODEL.endpoint, 33.0, 3, 1024 * 1024)]


@pytest.mark.parametrize(
    ("spent_s", "expected"),
    [
        (2.0, InProgress(left_s=8.0)),
        (10.0, InProgress(left_s=0.0)),
        (17.0, InProgress(left_s=0.0)),
        (19.0, InProgress(overdue=True)),
    ],
)
def test_at_the_end_it_says_almost_done_and_then_that_it_takes_longer(spent_s: float, expected: InProgress) -> None:
    state = ProviderState(a_job(), 10.0, started_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert state.in_progress(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=spent_s)) == expected


def test_what_the_logs_say_goes_before_what_is_usual() -> None:
    state = ProviderState(a_job(), 10.0, started_at=NOW, logged=LogProgress(0.5, 5, 10))
    assert state.in_progress(NOW + timedelta(seconds=30)) == InProgress(0.5, 5, 10, 30.0)
    state.logged = LogProgress(1.0, 10, 10)
    assert state.in_progress(NOW + timedelta(seconds=60)) == InProgress(1.0, 10, 10, 0.0)
