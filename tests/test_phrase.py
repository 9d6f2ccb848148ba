from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import orjson
import pytest

from bot.phrase import Json, Phrase


def test_a_phrase_comes_back_from_json_as_it_was() -> None:
    phrase = Phrase(
        "limit_reached",
        {
            "left": 3,
            "usd": Decimal("0.036"),
            "at": datetime(2026, 11, 30, 7, 34, 46, tzinfo=UTC),
            "takes": Phrase("takes_one_of", {"values": ("a", "b")}),
            "nothing": None,
            "yes": True,
        },
    )
    assert Phrase.from_json(orjson.loads(orjson.dumps(phrase.to_json()))) == phrase


@pytest.mark.parametrize(
    "read", [{}, {"code": 3}, {"code": "x", "params": []}, {"code": "x", "params": {"a": {"b": 1}}}]
)
def test_anything_else_is_no_phrase(read: object) -> None:
    with pytest.raises(ValueError, match=r"phrase|parameter"):
        Phrase.from_json(cast("dict[str, Json]", read))
