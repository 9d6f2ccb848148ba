from __future__ import annotations

import pytest

from bot.errors import EaselError, KeyRefused, ProviderUnreachable
from bot.fal import CancelAnswer, Fal
from tests.fal.fake import KEY, FakeFal, Reply, drops, html, json_reply

ANSWERS: dict[str, tuple[Reply, CancelAnswer]] = {
    "requested": (json_reply({"status": "CANCELLATION_REQUESTED"}, 202), CancelAnswer.REMOVED_OR_REQUESTED),
    "success": (json_reply({"success": True}), CancelAnswer.REMOVED_OR_REQUESTED),
    "empty 200": (html(200, b""), CancelAnswer.REMOVED_OR_REQUESTED),
    "no success": (json_reply({"success": False}), CancelAnswer.ALREADY_COMPLETED),
    "too late": (json_reply({"status": "ALREADY_COMPLETED"}, 400), CancelAnswer.ALREADY_COMPLETED),
    "unknown": (json_reply({"status": "NOT_FOUND"}, 404), CancelAnswer.UNKNOWN),
    "odd 400": (json_reply({"detail": "what?"}, 400), CancelAnswer.UNKNOWN),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_a_cancel_is_one_put_without_a_body(fake: FakeFal, fal: Fal, case: str) -> None:
    reply, meaning = ANSWERS[case]
    fake.always("cancel", reply)

    assert await fal.cancel(fake.request()) is meaning

    (seen,) = fake.seen
    assert (seen.method, seen.path, seen.body) == ("PUT", "/owner/alias/requests/r1/cancel", b"")
    assert seen.headers["Authorization"] == f"Key {KEY}"
    assert "Content-Type" not in seen.headers


@pytest.mark.parametrize("failure", ["502", "429", "dropped"])
async def test_a_transient_failure_is_retried(fake: FakeFal, fal: Fal, failure: str) -> None:
    fake.enqueue("cancel", {"502": html(502), "429": json_reply({}, 429, Retry_After="0"), "dropped": drops}[failure])

    assert await fal.cancel(fake.request()) is CancelAnswer.REMOVED_OR_REQUESTED


ENDS: dict[str, tuple[Reply, type[EaselError]]] = {
    "502": (html(502), ProviderUnreachable),
    "503": (json_reply({"detail": "x"}, 503), ProviderUnreachable),
    "429": (json_reply({}, 429), ProviderUnreachable),
    "dropped": (drops, ProviderUnreachable),
    "wrong key": (json_reply({"detail": "Invalid key"}, 401), KeyRefused),
}


@pytest.mark.parametrize("case", ENDS)
async def test_a_cancel_without_a_usable_answer_raises(fake: FakeFal, fal: Fal, case: str) -> None:
    reply, error = ENDS[case]
    fake.always("cancel", reply)

    with pytest.raises(error):
        await fal.cancel(fake.request())
