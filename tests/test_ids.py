from __future__ import annotations

import re
from random import Random

import pytest

from bot.ids import new_job_id

NOW_MS = 1_795_000_000_000


@pytest.mark.parametrize("now_ms", [0, 1, NOW_MS, 36**9 - 1])
def test_an_id_fits_buttons_nonces_and_file_names(now_ms: int) -> None:
    assert re.fullmatch(r"[0-9a-z]{15}", new_job_id(now_ms, Random(1)))


def test_ids_sort_by_time() -> None:
    chance = Random(2)
    moments = [0, 35, 36, 36**5, NOW_MS - 1, NOW_MS, NOW_MS + 1, NOW_MS * 30]

    ids = [new_job_id(now_ms, chance) for now_ms in moments]

    assert ids == sorted(ids)


def test_ids_of_one_millisecond_differ() -> None:
    chance = Random(3)

    assert len({new_job_id(NOW_MS, chance) for _ in range(10_000)}) == 10_000


def test_the_same_chance_gives_the_same_id() -> None:
    assert new_job_id(NOW_MS, Random(4)) == new_job_id(NOW_MS, Random(4))


@pytest.mark.parametrize("now_ms", [-1, 36**9])
def test_a_time_that_does_not_fit_is_a_mistake(now_ms: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        new_job_id(now_ms, Random(5))
