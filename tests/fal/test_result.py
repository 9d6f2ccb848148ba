from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from bot.domain.job import RemotePicture
from bot.errors import (
    BalanceExhausted,
    Cancelled,
    ContentRefused,
    EaselError,
    GenerationTimedOut,
    KeyRefused,
    ModelGone,
    OptionsRefused,
    ProviderError,
    ProviderUnreachable,
    RequestNotFound,
    ResultUnusable,
)
from bot.fal import Fal
from tests.english import english, raises_saying
from tests.fal.fake import FAST, KEY, RETIRED, FakeFal, Reply, drops, html, json_reply, model, sends, tears

URL = "https://v3b.fal.media/files/b/1/one.png"


async def test_a_result_is_one_get_with_the_key(fake: FakeFal, fal: Fal) -> None:
    result = await fal.result(fake.request(), model=model())

    (seen,) = fake.seen
    assert (seen.method, seen.path) == ("GET", "/owner/alias/requests/r1")
    assert seen.headers["Authorization"] == f"Key {KEY}"
    assert result.pictures == (RemotePicture(f"{fake.url}/media/one.png"),)
    assert (result.seed, result.nsfw, result.inference_s) == (7, None, None)
    assert result.billable_units == Decimal("1.5")


async def test_everything_a_model_may_send_is_read(fake: FakeFal, fal: Fal) -> None:
    body = {
        "images": [
            {"url": URL, "content_type": "image/jpeg", "width": 1024, "height": 768.0},
            {"url": "data:image/png;base64,AAAA", "file_name": "x.png", "file_size": 3, "width": None},
        ],
        "seed": 2**64 + 1,
        "timings": {"inference": 1.25},
        "has_nsfw_concepts": [False, True],
        "usage": {"total_tokens": 5},
        "prompt": "x",
    }
    fake.always("result", json_reply(body))

    result = await fal.result(fake.request(), model=model())

    assert result.pictures == (
        RemotePicture(URL, "image/jpeg", 1024, 768),
        RemotePicture("data:image/png;base64,AAAA"),
    )
    assert (result.seed, result.nsfw, result.inference_s) == (2**64 + 1, (False, True), 1.25)
    assert result.usage == {"total_tokens": 5}
    assert result.billable_units is None


@pytest.mark.parametrize(
    ("body", "seeds"),
    [
        ({"images": [{"url": URL, "seed": 1}, {"url": URL, "seed": 2}]}, (1, 2)),
        ({"images": [{"url": URL}, {"url": URL}], "seeds": [3, "4"]}, (3, 4)),
        ({"images": [{"url": URL}, {"url": URL}], "seeds": [3]}, (None, None)),
        ({"images": [{"url": URL}, {"url": URL}], "seed": 5}, (None, None)),
    ],
)
async def test_pictures_have_their_own_seeds_where_fal_tells_them(
    fake: FakeFal, fal: Fal, body: dict[str, object], seeds: tuple[int | None, ...]
) -> None:
    fake.always("result", json_reply(body))
    result = await fal.result(fake.request(), model=model())
    assert tuple(picture.seed for picture in result.pictures) == seeds


SINGLE: dict[str, tuple[object, int | None, tuple[bool, ...] | None]] = {
    "image": ({"image": {"url": URL}}, None, None),
    "bare addresses": ({"images": [URL]}, None, None),
    "junk between": ({"images": [None, 5, {}, {"url": ""}, {"url": URL}]}, None, None),
    "seed as digits": ({"images": [URL], "seed": "123"}, 123, None),
    "seed as true": ({"images": [URL], "seed": True}, None, None),
    "seed as words": ({"images": [URL], "seed": "random"}, None, None),
    "one flag for all": ({"images": [URL], "has_nsfw_concepts": True}, None, (True,)),
    "flags that do not match, one set": ({"images": [URL], "has_nsfw_concepts": [False, True]}, None, (True,)),
    "flags that do not match": ({"images": [URL], "has_nsfw_concepts": [False, False]}, None, None),
    "flags that are none": ({"images": [URL], "has_nsfw_concepts": ["no"]}, None, None),
    "odd timings": ({"images": [URL], "timings": {"inference": "fast"}}, None, None),
}


@pytest.mark.parametrize("case", SINGLE)
async def test_odd_results_are_read_as_far_as_they_go(fake: FakeFal, fal: Fal, case: str) -> None:
    body, seed, nsfw = SINGLE[case]
    fake.always("result", json_reply(body, X_Fal_Billable_Units="many"))

    result = await fal.result(fake.request(), model=model())

    assert [picture.url for picture in result.pictures] == [URL]
    assert (result.seed, result.nsfw, result.inference_s, result.billable_units) == (seed, nsfw, None, None)


def detail(kind: str, loc: tuple[object, ...] = ("body", "prompt"), **context: object) -> dict[str, object]:
    """One entry of a model error, with the prompt where fal repeats it."""
    return {
        "loc": list(loc),
        "msg": "SECRET prompt",
        "type": kind,
        "url": f"https://docs.fal.ai/errors/#{kind}",
        "input": "SECRET prompt",
        **({"ctx": context} if context else {}),
    }


def infra(kind: str, status: int) -> Reply:
    """An error of fal's infrastructure."""
    return json_reply({"detail": "SECRET prompt", "error_type": kind}, status, X_Fal_Error_Type=kind)


FAILURES: dict[str, tuple[Reply, type[EaselError]]] = {
    "content policy": (json_reply({"detail": [detail("content_policy_violation")]}, 422), ContentRefused),
    "content policy behind another": (
        json_reply({"detail": [detail("missing"), detail("content_policy_violation")]}, 422),
        ContentRefused,
    ),
    "content policy in a partner's words": (
        json_reply({"detail": "Your request was rejected by our safety system."}, 400),
        ContentRefused,
    ),
    "validation": (json_reply({"detail": [detail("less_than_equal", ("body", "steps"), le=12)]}, 422), OptionsRefused),
    "validation as a string": (json_reply({"detail": "Could not load image from url: SECRET"}, 422), OptionsRefused),
    "bad request": (infra("bad_request", 400), OptionsRefused),
    "no picture": (json_reply({"detail": [detail("no_media_generated")]}, 422), ResultUnusable),
    "partner broken": (json_reply({"detail": [detail("downstream_service_error")]}, 400), ProviderError),
    "partner away": (json_reply({"detail": [detail("downstream_service_unavailable")]}, 500), ProviderError),
    "generation timeout": (json_reply({"detail": [detail("generation_timeout")]}, 504), GenerationTimedOut),
    "start timeout": (infra("startup_timeout", 504), GenerationTimedOut),
    "request timeout": (infra("request_timeout", 504), GenerationTimedOut),
    "request timeout, by header only": (html(504, X_Fal_Error_Type="request_timeout"), GenerationTimedOut),
    "504 of fal": (json_reply({"detail": "Request timed out"}, 504), GenerationTimedOut),
    "cancelled": (infra("client_cancelled", 499), Cancelled),
    "disconnected": (json_reply({"detail": "x"}, 499), Cancelled),
    "unknown path": (json_reply({"detail": "Path /x not found"}, 404), ModelGone),
    "gone": (json_reply({}, 410), ModelGone),
    "no money": (json_reply({"detail": "User is locked. Reason: Exhausted balance."}, 403), BalanceExhausted),
    "wrong key": (json_reply({"detail": "No user found for Key ID and Secret"}, 401), KeyRefused),
    "forbidden": (json_reply({"detail": "Forbidden"}, 403), KeyRefused),
    "crashed": (json_reply({"detail": "Internal Server Error"}, 500), ProviderError),
    "internal error": (infra("internal_error", 500), ProviderError),
    "runner gone": (infra("runner_disconnected", 503), ProviderError),
    "runner refused": (infra("runner_connection_refused", 503), ProviderError),
    "half an answer": (infra("runner_incomplete_response", 502), ProviderError),
    "unknown request": (json_reply({"status": "NOT_FOUND"}, 404), ResultUnusable),
    "page of a gateway": (html(502), ProviderUnreachable),
    "turned away": (json_reply({"detail": "slow down"}, 429), ProviderUnreachable),
    "not finished": (json_reply({"detail": "Request is still in progress"}, 400), ProviderUnreachable),
    "firewall": (html(403), ProviderUnreachable),
    "dropped": (drops, ProviderUnreachable),
    "200 page": (html(200), ResultUnusable),
    "200 empty": (sends(b"", content_type="application/json"), ResultUnusable),
    "200 cut off": (sends(b'{"images": [{"url": "htt', content_type="application/json"), ResultUnusable),
    "200 truncated": (tears(b'{"images": [{"url": "htt', 9000), ResultUnusable),
    "200 list": (json_reply([URL]), ResultUnusable),
    "200 null": (json_reply(None), ResultUnusable),
    "200 nested too deeply": (sends(b"[" * 200_000, content_type="application/json"), ResultUnusable),
    "no images": (json_reply({"images": []}), ResultUnusable),
    "nothing": (json_reply({}), ResultUnusable),
    "redirect": (json_reply({}, 302, Location="https://collector.example/"), ProviderError),
}

#: Ends that are not believed at once.
SEVERAL_TRIES = {
    "partner away": 4,
    "crashed": 4,
    "internal error": 4,
    "runner gone": 4,
    "runner refused": 4,
    "half an answer": 4,
    "unknown request": 4,
    "page of a gateway": 4,
    "turned away": 4,
    "not finished": 4,
    "firewall": 4,
    "dropped": 8,  # aiohttp itself repeats a GET once when the connection closes before any answer
    "200 page": 2,
    "200 empty": 2,
    "200 cut off": 2,
    "200 truncated": 4,
    "200 list": 2,
    "200 null": 2,
    "200 nested too deeply": 2,
}


@pytest.mark.parametrize("case", FAILURES)
async def test_every_failure_is_mapped_and_quotes_nothing(
    fake: FakeFal, fal: Fal, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="bot")
    reply, error = FAILURES[case]
    fake.always("result", reply)

    with pytest.raises(error) as caught:
        await fal.result(fake.request(), model=model())

    assert type(caught.value) is error
    assert fake.calls("result") == SEVERAL_TRIES.get(case, 1)
    assert fake.calls("status") <= 1
    assert "SECRET" not in str(caught.value) + "".join(str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("case", SEVERAL_TRIES)
async def test_a_transient_failure_is_retried(fake: FakeFal, fal: Fal, case: str) -> None:
    fake.enqueue("result", FAILURES[case][0])

    assert (await fal.result(fake.request(), model=model())).seed == 7


@pytest.mark.parametrize("case", ["crashed", "internal error", "partner away"])
async def test_while_fal_breaks_on_everything_a_painted_picture_is_not_given_up(
    fake: FakeFal, fal: Fal, case: str
) -> None:
    for kind in ("result", "status"):
        fake.always(kind, FAILURES[case][0])

    with pytest.raises(ProviderUnreachable):
        await fal.result(fake.request(), model=model())


async def test_a_gone_model_is_named(fake: FakeFal, fal: Fal) -> None:
    fake.always("result", json_reply({"detail": "Path /x not found"}, 404))

    with raises_saying(ModelGone, match="Alias One is no longer offered") as caught:
        await fal.result(fake.request(), model=RETIRED)

    assert caught.value.phrase.params["endpoint"] == RETIRED.endpoint


SENTENCES: dict[str, tuple[object, str]] = {
    "a limit": (
        [detail("less_than_equal", ("body", "num_inference_steps"), le=50)],
        "`num_inference_steps` must be at most 50",
    ),
    "both limits": (
        [detail("image_too_small", ("body", "image_url"), min_width=64, min_height=32)],
        "`image_url` must be at least 64 pixels wide and at least 32 pixels high",
    ),
    "a place in a list": ([detail("missing", ("body", "loras", 0, "path"))], "`loras.path` (number 1): it is missing"),
    "choices": ([detail("one_of", ("body", "style"), expected=["a", "b"])], "`style` must be one of `a`, `b`"),
    "choices in words": (
        [detail("enum", ("body", "style"), expected="'a' or 'b'")],
        "`style` must be one of `a`, `b`",
    ),
    "unknown kind": ([detail("mystery", ("body", "seed"))], "`seed`: not accepted"),
    "a loc that quotes": ([detail("missing", ("body", "a SECRET prompt"))], "fal.ai does not say which"),
    "no loc": ([{"type": "missing"}], "fal.ai does not say which"),
    "a limit that quotes": ([detail("one_of", ("body", "style"), expected="`@everyone`")], "`style`: not accepted"),
    "a limit that is a flag": ([detail("less_than", ("body", "seed"), lt=True)], "`seed`: not accepted"),
    "many": ([detail("missing", ("body", f"field_{number}")) for number in range(9)], "and 5 more"),
    "a string": ("prompt SECRET is bad", "fal.ai does not say which"),
    "a picture": ("Failed to download SECRET", "the file could not be fetched"),
}


@pytest.mark.parametrize("case", SENTENCES)
async def test_refused_options_are_said_with_names_and_limits_only(fake: FakeFal, fal: Fal, case: str) -> None:
    given, sentence = SENTENCES[case]
    fake.always("result", json_reply({"detail": given}, 422))

    with pytest.raises(OptionsRefused) as caught:
        await fal.result(fake.request(), model=model())

    assert sentence in english(caught.value)
    assert "SECRET" not in english(caught.value)


async def test_an_oversized_result_is_not_read_to_its_end(fake: FakeFal, fal: Fal) -> None:
    huge = json.dumps({"images": [{"url": "data:," + "x" * 30_000_000}]}).encode()
    fake.always("result", sends(huge, content_type="application/json"))

    with pytest.raises(ResultUnusable):
        await fal.result(fake.request(), model=model())


async def test_a_hanging_fal_is_unreachable(fake: FakeFal) -> None:
    from tests.fal.fake import hangs

    fake.always("result", hangs)
    async with fake.fal(timings=replace(FAST, call_s=0.05, tries=2)) as fal:
        with pytest.raises(ProviderUnreachable):
            await fal.result(fake.request(), model=model())


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (json_reply({"status": "NOT_FOUND"}, 404), RequestNotFound),
        (json_reply({"detail": "Request was cancelled", "error_type": "client_cancelled"}, 499), Cancelled),
        (json_reply({"images": []}), ResultUnusable),
        (json_reply({"detail": "Request is still in progress"}, 400), None),
        (json_reply({"detail": "Service unavailable"}, 503), None),
        (html(404), None),
        (html(502), None),
    ],
    ids=["forgotten", "cancelled", "empty", "under way", "broken", "gateway's 404", "gateway's 502"],
)
async def test_how_a_request_ended_is_told_by_one_look(
    fake: FakeFal, fal: Fal, reply: Reply, expected: type[EaselError] | None
) -> None:
    fake.always("result", reply)

    ended = await fal.outcome(fake.request(), model=model())

    assert ended is None if expected is None else type(ended) is expected
    assert len(fake.seen) == 1


async def test_the_key_is_not_sent_to_a_strangers_host(fake: FakeFal, fal: Fal) -> None:
    with pytest.raises(ProviderError):
        await fal.result(replace(fake.request(), response_url="https://collector.example/r1"), model=model())


@pytest.mark.parametrize("units", ["1e999999", "-1e30", "NaN", "Infinity", "9" * 400])
async def test_a_bill_that_can_not_be_is_none(fake: FakeFal, fal: Fal, units: str) -> None:
    fake.always("result", json_reply({"images": [URL]}, X_Fal_Billable_Units=units))
    assert (await fal.result(fake.request(), model=model())).billable_units is None


async def test_numbers_that_break_sums_and_texts_that_fill_rows_are_left_out(fake: FakeFal, fal: Fal) -> None:
    picture = {"url": URL, "width": 1e300, "height": -5, "seed": 10**400, "content_type": "x" * 5_000}
    body = {"images": [picture], "seed": 1e300, "timings": {"inference": 10**400}, "usage": {"x": "y" * 50_000}}
    fake.always("result", json_reply(body))
    result = await fal.result(fake.request(), model=model())
    assert result.pictures == (RemotePicture(URL),)
    assert (result.seed, result.inference_s, result.usage) == (None, None, None)


@pytest.mark.parametrize(
    "body",
    [
        b'{"images": [' + b"[]," * 400_000 + b'"' + URL.encode() + b'"]}',
        b'{"images": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"images": ["' + URL.encode() + b'"], "logs": "' + b"x" * (25 * 1024 * 1024) + b'"}',
    ],
    ids=["many values", "deep", "large"],
)
async def test_a_result_that_would_fill_the_memory_is_not_read(fake: FakeFal, fal: Fal, body: bytes) -> None:
    fake.always("result", sends(body, content_type="application/json"))
    with pytest.raises((ResultUnusable, ProviderUnreachable)):
        await fal.result(fake.request(), model=model())


async def test_of_thousands_of_pictures_the_first_are_read(fake: FakeFal, fal: Fal) -> None:
    fake.always(
        "result", json_reply({"images": [URL] * 5_000, "has_nsfw_concepts": None, "usage": {"x": float("nan")}})
    )
    result = await fal.result(fake.request(), model=model())
    assert (len(result.pictures), result.nsfw, result.usage) == (64, None, None)
