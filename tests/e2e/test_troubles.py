"""What goes wrong at fal and at Discord: plain sentences, quota untouched, one submit, and the picture all the same."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image

from bot.domain.job import JobState
from bot.jobs import context, submitter
from cogs import delivery
from sandbox.discord import InteractionRecord, Message
from sandbox.fal.files import StoredFile
from sandbox.fal.jobs import Answer, Job, Status
from tests.e2e.sandbox_driver import PROMPT, Easel, Place, a_picture, a_place

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALREADY_ACKNOWLEDGED = 40060
UNKNOWN_MESSAGE, INVALID_TOKEN, MISSING_ACCESS, UNKNOWN_INTERACTION = 10008, 50027, 50001, 10062
TOO_LARGE = 40005


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submitter, "UNREACHABLE_PAUSES_S", (0.01,) * 200)
        patch.setattr(context, "PATIENCE_PAUSES_S", (0.01,) * 200)
        patch.setattr(delivery, "RETRY_PAUSES_S", (0.01,) * 20)
        async with a_place(tmp_path_factory.mktemp("bot")) as made:
            yield made


@pytest.fixture(autouse=True)
def fresh(place: Place) -> Iterator[None]:
    """Fine weather, and nothing of the test before."""
    place.fal.queue.jobs.clear()
    place.fal.counters.jobs_by_fingerprint.clear()
    yield
    place.standin.fine_weather()
    place.fal.troubles.clear()
    place.fal.troubles.gone_at_result = False
    for name in ("_refusal", "_success", "_log_progress"):
        vars(place.fal.queue).pop(name, None)
    vars(place.fal).pop("_outage", None)
    vars(place.fal).pop("_result", None)
    place.check_refusals()
    place.expected.clear()
    place.standin.refusals.clear()


@pytest.fixture
def easel(place: Place) -> Iterator[Easel]:
    made = Easel(place.fal)
    yield made
    made.free()


async def failure(place: Place, **options: Any) -> tuple[str, Message]:
    """What the card says in the end; no picture, nothing spent, at most one submit."""
    used = await place.counted()
    message = await place.ended(await place.imagine(**options))
    assert not message.files
    assert await place.counted() == used, "quota was touched"
    assert len(place.fal.queue.jobs) <= 1
    said = message.text()
    assert "uota was not used" in said
    for sign in ("Traceback", "Error", "<html", "http", "detail", "{"):
        assert sign not in said
    return said, message


async def single(place: Place, record: InteractionRecord, *, prompt: str = PROMPT) -> Message:
    """The picture, once: one submit at fal, one message that shows it."""
    message = await place.picture(record)
    await place.state(record, JobState.DELIVERED)
    assert len(place.at_fal(prompt)) == 1
    shown = [one for one in place.standin.messages(record.channel) if one.files and one.interaction_id == record.id]
    assert shown == [message]
    return message


# ---------------------------------------------------------------------- fal ends a job


def detail(kind: str, loc: list[str | int], **ctx: Any) -> Answer:
    entry = {"loc": ["body", *loc], "msg": f"about {PROMPT}", "type": kind, "input": PROMPT, "ctx": ctx}
    return Answer(422, json.dumps({"detail": [entry]}).encode())


def infrastructure(status: int, kind: str) -> Answer:
    return Answer.of(status, {"detail": "Something", "error_type": kind}, X_Fal_Error_Type=kind)


def page(status: int) -> Answer:
    return Answer(
        status, b"<html><center><h1>Oh</h1></center><hr><center>nginx</center></html>", {"Content-Type": "text/html"}
    )


ENDS = {
    "validation": (
        detail("less_than_equal", ["num_inference_steps"], le=12),
        "did not accept these options: `num_inference_steps` must be at most 12",
    ),
    "validation of a picture": (
        detail("image_load_error", ["image_url"]),
        "`image_url`: the picture could not be read",
    ),
    "content policy": (detail("content_policy_violation", ["prompt"]), "content policy refused this prompt"),
    "balance": (
        Answer.of(403, {"detail": "User is locked. Reason: Exhausted balance. Top up your balance."}),
        "has run out of credit",
    ),
    "payment": (Answer.of(402, {"detail": "Payment required"}), "has run out of credit"),
    "key": (Answer.of(401, {"detail": "Cannot access application"}), "does not accept this bot's key"),
    "timeout": (infrastructure(504, "request_timeout"), "took too long and was stopped"),
    "startup timeout": (infrastructure(504, "startup_timeout"), "took too long and was stopped"),
    "runner lost": (infrastructure(503, "runner_disconnected"), "fal.ai had a problem"),
    "internal": (infrastructure(500, "internal_error"), "fal.ai had a problem"),
    "cancelled there": (infrastructure(499, "client_cancelled"), "was cancelled at fal.ai"),
    "nginx": (page(502), "fal.ai had a problem"),
    "html": (page(200), "its answer could not be read"),
    "torn json": (Answer(200, b'{"images": [{"url": "ht', {}), "its answer could not be read"),
    "a list": (Answer(200, b"[1, 2]", {}), "its answer could not be read"),
    "nothing": (Answer(200, b"", {}), "its answer could not be read"),
    "no picture": (Answer.of(200, {"images": [], "seed": 3}), "it sent no picture"),
    "another shape": (Answer.of(200, {"images": "soon", "has_nsfw_concepts": [False]}), "it sent no picture"),
    "an address not opened": (
        Answer.of(200, {"images": [{"url": "http://example.com/a.png"}], "has_nsfw_concepts": [False]}),
        "lies at an address I don't open",
    ),
    "a file scheme": (
        Answer.of(200, {"images": [{"url": "file:///etc/passwd"}], "has_nsfw_concepts": [False]}),
        "lies at an address I don't open",
    ),
}


@pytest.mark.parametrize(("answer", "says"), ENDS.values(), ids=ENDS)
async def test_every_end_at_fal_is_a_plain_sentence_and_costs_no_quota(
    place: Place, monkeypatch: pytest.MonkeyPatch, answer: Answer, says: str
) -> None:
    monkeypatch.setattr(context, "PATIENCE_PAUSES_S", (0.01, 0.01))
    vars(place.fal.queue)["_refusal"] = lambda job: answer
    said, message = await failure(place)
    assert says in said
    assert "Edit prompt" in message.buttons()


@pytest.mark.parametrize(
    ("trouble", "says", "submits"),
    [
        ("content_policy", "content policy refused this prompt", 1),
        ("balance_exhausted", "has run out of credit", 0),
        ("key_refused", "does not accept this bot's key", 0),
        ("job_error", "fal.ai had a problem", 1),
        ("server_error", "fal.ai had a problem", 0),
        ("gateway_error", "fal.ai had a problem", 0),
        ("result_expired", "the result is no longer there", 1),
    ],
)
async def test_every_trouble_of_fal_is_a_plain_sentence(
    place: Place, monkeypatch: pytest.MonkeyPatch, trouble: str, says: str, submits: int
) -> None:
    monkeypatch.setattr(submitter, "REFUSED_WAITS_S", (0.05,))
    place.fal.troubles.set(trouble, True)
    said, _ = await failure(place)
    assert says in said
    assert len(place.fal.queue.jobs) == submits


async def test_a_submit_whose_answer_is_lost_is_found_at_fal_and_painted_once(place: Place) -> None:
    place.fal.troubles.set("lost_answers", True)
    record = await place.imagine(prompt="found again")
    await place.until(lambda: place.at_fal("found again"))
    place.fal.troubles.clear()
    await place.picture(record)
    assert len(place.at_fal("found again")) == 1


@pytest.mark.parametrize("at_result", [False, True])
async def test_a_model_that_has_left_names_its_successor(place: Place, at_result: bool) -> None:
    place.fal.troubles.gone_at_result = at_result
    place.fal.troubles.gone_endpoints.add("fal-ai/imagen4/preview")
    said, message = await failure(place, model="imagen4")
    assert "Imagen 4" in said.splitlines()[1]
    assert "this model is no longer served by fal.ai. Try **" in said
    assert "Again" not in message.buttons()


def a_header(width: int, height: int) -> bytes:
    """A whole PNG that promises more than it is wise to decode."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<html>502</html>", "is a web page, not a picture"),
        (b"", "is empty"),
        (b"plain words", "not a picture"),
        (a_header(40_000, 40_000), "too large"),
        (a_picture()[:20], "is cut off"),
        (a_header(0, 0), "0×0"),
        (b"PK\3\4" + bytes(5000), "not a picture"),
        (bytes(60_000_000), "not a picture"),
        (a_picture() + bytes(65 * 1024 * 1024), "larger than 64 MiB"),
    ],
    ids=["html", "empty", "text", "bomb", "stump", "no-pixels", "archive", "60-mb-of-nothing", "65-mib"],
)
async def test_a_result_that_is_no_picture_is_a_plain_sentence(place: Place, body: bytes, says: str) -> None:
    result(place, body, "image/png")
    said, message = await failure(place)
    assert "The model answered, but" in said
    assert says in said
    assert "Again" in message.buttons()


def result(place: Place, body: bytes, content_type: str) -> None:
    """What every result holds from now on, whatever it says of itself."""
    url = place.fal.files.keep(StoredFile(body, content_type), "0.png")
    content = {"images": [{"url": url, "content_type": content_type}], "has_nsfw_concepts": [False]}
    vars(place.fal.queue)["_refusal"] = lambda job: Answer.of(200, content)  # type: ignore[arg-type]


@pytest.mark.parametrize("claimed", ["image/png", "application/octet-stream", "text/html"])
async def test_a_picture_is_what_its_bytes_say(place: Place, claimed: str) -> None:
    made = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(made, "WEBP")
    result(place, made.getvalue(), claimed)
    message = await single(place, await place.imagine())
    assert message.files[0].filename.endswith(".webp")
    assert place.standin.read(message) == [made.getvalue()]


async def test_a_picture_of_60_mb_is_made_to_fit(place: Place) -> None:
    made = io.BytesIO()
    Image.effect_noise((4500, 4500), 80).convert("RGB").save(made, "PNG", compress_level=0)
    assert len(made.getvalue()) > 60_000_000
    result(place, made.getvalue(), "image/png")
    message = await single(place, await place.imagine())
    (body,) = place.standin.read(message)
    assert 1_000_000 < len(body) <= place.standin.composer.file_limit_bytes


# ---------------------------------------------------------------------- fal stumbles


@pytest.mark.parametrize(
    ("trouble", "value"),
    [
        ("media_error", 3),
        ("media_missing", 2),
        ("truncated_picture", 2),
        ("result_error", 2),
        ("rate_limited", 3),
        ("no_stream", True),
        ("dropped_streams", 1),
        ("fal_slow", True),
    ],
)
async def test_what_passes_is_waited_for(place: Place, trouble: str, value: Any) -> None:
    place.fal.troubles.set(trouble, value)
    await single(place, await place.imagine())


def down(_request: web.Request) -> web.Response:
    return web.Response(status=503, text="<html><center>nginx</center></html>", content_type="text/html")


async def test_fal_away_while_it_paints_is_said_and_nothing_is_lost(place: Place, easel: Easel) -> None:
    record = await place.imagine()
    job = await place.painting()
    vars(place.fal)["_outage"] = down
    place.fal.troubles.set("dropped_streams", 1)
    job.touch()
    await place.until(lambda: "fal.ai does not answer just now" in record.message.text())
    assert "Cancel" in record.message.buttons()
    del vars(place.fal)["_outage"]
    await place.until(lambda: "Painting" in record.message.text())
    easel.finish()
    await single(place, record)


async def test_fal_away_at_the_submit_is_said_and_nothing_is_lost(place: Place) -> None:
    vars(place.fal)["_outage"] = down
    record = await place.imagine()
    await place.until(lambda: "fal.ai does not answer just now" in record.message.text())
    del vars(place.fal)["_outage"]
    await single(place, record)


async def test_fal_away_at_the_result_is_said_and_nothing_is_lost(place: Place) -> None:
    vars(place.fal)["_result"] = lambda job: down(None)  # type: ignore[arg-type]
    record = await place.imagine()
    await place.until(lambda: "fal.ai does not answer just now" in record.message.text())
    del vars(place.fal)["_result"]
    await single(place, record)


# ---------------------------------------------------------------------- flagged pictures


async def test_a_flagged_picture_is_withheld_in_an_ordinary_channel(place: Place) -> None:
    place.fal.troubles.set("nsfw", True)
    said, _ = await failure(place)
    assert "The safety checker flagged this picture" in said


async def test_a_picture_without_the_flag_it_should_have_is_withheld(place: Place) -> None:
    place.fal.troubles.set("no_flags", True)
    said, _ = await failure(place)
    assert "The model did not say whether this picture is safe" in said


async def test_a_flagged_picture_hides_behind_a_spoiler_in_an_age_restricted_channel(place: Place) -> None:
    place.fal.troubles.set("nsfw", True)
    message = await single(place, await place.imagine(channel="after-dark"))
    assert spoilers(message) == [True]
    assert message.files[0].filename.startswith("SPOILER_")


@pytest.mark.parametrize(("channel", "shown"), [("general", [False, False]), ("after-dark", [True, False, False])])
async def test_of_several_pictures_only_the_flagged_one_is_treated_so(
    place: Place, channel: str, shown: list[bool]
) -> None:
    success = place.fal.queue._success

    def first_flagged(job: Job, made: Any, pictures: Any, flagged: bool) -> Answer:
        answer = success(job, made, pictures, flagged)
        return Answer(200, answer.body.replace(b"[false,false,false]", b"[true,false,false]"), answer.headers)

    vars(place.fal.queue)["_success"] = first_flagged
    message = await single(place, await place.imagine(channel=channel, count=3))
    assert spoilers(message) == shown
    assert ("1 picture was flagged by the safety checker and kept back" in message.text()) is (channel == "general")


def spoilers(message: Message) -> list[bool]:
    gallery = next(part for part in message.components() if part["type"] == 12)
    return [item["spoiler"] for item in gallery["items"]]


# ---------------------------------------------------------------------- Discord is busy


@pytest.mark.parametrize("scope", ["user", "shared", "cloudflare"])
async def test_rate_limits_delay_a_picture_and_lose_nothing(place: Place, easel: Easel, scope: Any) -> None:
    limit = place.standin.set_rate_limit(1, 0.2, scope=scope, path=r"/webhooks/", retry_after_s=0.2)
    record = await place.imagine()
    await place.until(lambda: "Step 2 of 4" in record.message.text())
    await place.until(lambda: place.standin.counters.rate_limited or limit.take("probe", 0))
    easel.finish()
    await single(place, record)


async def test_the_global_rate_limit_delays_a_picture_and_loses_nothing(place: Place, easel: Easel) -> None:
    place.expected.add(INVALID_TOKEN)
    before = place.standin.counters.rate_limited
    record = await place.imagine()
    await place.painting()
    place.standin.kill_token(record)  # the bot's own routes are the ones that it counts
    place.standin.set_rate_limit(0, 0.3, scope="global", retry_after_s=0.1)
    easel.finish()
    await place.until(lambda: place.standin.counters.rate_limited > before)
    place.standin.fine_weather()
    await single(place, record)


async def test_an_address_banned_by_cloudflare_is_left_alone_for_as_long_as_it_asks(place: Place, easel: Easel) -> None:
    counters, before = place.standin.counters, place.standin.counters.rate_limited
    record = await place.imagine()
    await place.until(lambda: "Step 2 of 4" in record.message.text())
    place.standin.set_rate_limit(0, 1000, scope="cloudflare", path=r"/webhooks/", retry_after_s=0.5)
    easel.finish()
    await place.until(lambda: counters.rate_limited > before)
    refused_s = time.monotonic()
    place.standin.fine_weather()  # the bot has been told otherwise
    await single(place, record)
    assert time.monotonic() - refused_s > 0.45
    assert counters.rate_limited == before + 1


@pytest.mark.parametrize("how", [{"status": 503}, {"drop": True, "times": 3}, {"drop": True, "after": True}])
async def test_a_delivery_that_discord_breaks_is_repeated(place: Place, easel: Easel, how: dict[str, Any]) -> None:
    record = await place.imagine()
    await place.painting()
    await place.until(lambda: "Step 2 of 4" in record.message.text())
    place.standin.fail_next("PATCH", "/webhooks/", **how)
    easel.finish()
    await single(place, record)
    assert not place.standin.faults.failures


async def test_slow_answers_of_discord_are_waited_for(place: Place) -> None:
    place.standin.slow_rest(0.2)
    await single(place, await place.imagine())


async def test_a_first_answer_that_comes_too_late_spends_nothing(place: Place) -> None:
    place.expected.add(UNKNOWN_INTERACTION)
    used = await place.counted()
    place.standin.interactions.answer_deadline_s = 0.1
    place.standin.slow_rest(0.3, "/callback")
    try:
        record = await place.imagine()
        assert record.state == "failed"
        job = await place.state(record, JobState.CANCELLED)
    finally:
        place.standin.interactions.answer_deadline_s = 3.0
    assert job.told
    assert await place.counted() == used
    assert not place.at_fal()


@pytest.mark.parametrize("how", ["abort", "reconnect", "invalid", "close"])
async def test_a_dropped_gateway_neither_loses_nor_repeats_a_request(place: Place, easel: Easel, how: Any) -> None:
    record = await place.imagine()
    await place.painting()
    await place.standin.drop_gateway(how)
    await place.standin.wait_ready(30)
    place.standin.deliver_twice(record)
    place.standin.deliver_twice(record)
    easel.finish()
    await single(place, record)
    assert record.callbacks == 1


@pytest.mark.parametrize("erased", [False, True], ids=["its record is there", "its record is erased"])
async def test_an_event_replayed_after_its_picture_paints_nothing(place: Place, erased: bool) -> None:
    record = await place.imagine()
    await single(place, record)
    if erased:
        page = (await place.run("ada", "general", "privacy")).message
        question = (await place.press("ada", page, "Delete my data")).message
        await place.press("ada", question, "Yes, delete everything")
        await place.until(lambda: "Deleted:" in question.text())
        place.expected.add(ALREADY_ACKNOWLEDGED)
    place.standin.deliver_twice(record)
    later = await place.imagine(prompt="the next one")
    await single(place, later, prompt="the next one")
    assert len(place.at_fal()) == 1
    await asyncio.sleep(0.2)
    assert len(place.at_fal()) == 1


async def test_events_replayed_at_once_start_one_job(place: Place) -> None:
    record = await place.standin.command("ada", "general", "imagine", {"prompt": PROMPT})
    for _ in range(5):
        place.standin.deliver_twice(record)
    await record.answered(30)
    await single(place, record)
    assert len([job for job in await place.jobs() if job.reply.interaction_id == int(record.id)]) == 1


# ---------------------------------------------------------------------- the message, the token, the channel


@pytest.mark.parametrize("channel", ["general", "dm"])
async def test_a_dead_token_does_not_keep_the_picture_from_its_message(
    place: Place, easel: Easel, channel: str
) -> None:
    place.expected.add(INVALID_TOKEN)
    record = await place.imagine(channel=channel)
    await place.painting()
    place.standin.kill_token(record)
    easel.finish()
    await single(place, record)


@pytest.mark.parametrize(("channel", "token_lives"), [("general", True), ("general", False), ("dm", True)])
async def test_a_message_deleted_meanwhile_does_not_take_the_picture_with_it(
    place: Place, easel: Easel, channel: str, token_lives: bool
) -> None:
    place.expected |= {UNKNOWN_MESSAGE, INVALID_TOKEN}
    record = await place.imagine(channel=channel, prompt="what was deleted")
    await place.painting("what was deleted")
    if not token_lives:
        place.standin.kill_token(record)
    place.standin.delete_message(record.message)
    easel.finish("what was deleted")
    await place.state(record, JobState.DELIVERED)
    (message,) = place.pictures("what was deleted", channel=channel)
    assert list(message.buttons()) == ["Again", "Edit prompt", "Details", "Delete"]
    await place.press("ada", message, "Delete")
    await place.until(lambda: not place.pictures("what was deleted", channel=channel))


@pytest.mark.parametrize("channel", ["elsewhere", "Ada & Pat"])
async def test_where_the_bot_is_no_member_the_picture_comes_and_again_works(
    place: Place, easel: Easel, channel: str
) -> None:
    easel.free()
    record = await place.imagine(channel=channel)
    message = await single(place, record)
    again = await place.press("ada", message, "Again")
    assert (await place.picture(again)).channel is message.channel


@pytest.mark.parametrize("channel", ["elsewhere", "Ada & Pat"])
async def test_where_the_bot_is_no_member_a_deleted_message_is_followed_up(
    place: Place, easel: Easel, channel: str
) -> None:
    place.expected.add(UNKNOWN_MESSAGE)
    prompt = f"followed up in {channel}"
    record = await place.imagine(channel=channel, prompt=prompt)
    await place.painting(prompt)
    place.standin.delete_message(record.message)
    easel.finish(prompt)
    await place.state(record, JobState.DELIVERED)
    assert len(place.standin.read(record.messages[-1])) == 1
    assert len(record.messages) == 2


async def test_a_private_answer_outside_stays_private_and_gets_its_picture(place: Place, easel: Easel) -> None:
    easel.free()
    where = place.standin.channel("elsewhere")
    where.overwrites[place.standin.person("ada").id] = (1, 0, 1 << 50)
    try:
        message = await single(place, await place.imagine(channel=where))
    finally:
        where.overwrites.clear()
    assert message.ephemeral


async def test_a_bot_shut_out_of_the_channel_still_brings_the_picture_by_the_token(place: Place, easel: Easel) -> None:
    record = await place.imagine()
    await place.painting()
    place.standin.remove_bot_from_channel("general")
    try:
        easel.finish()
        await single(place, record)
    finally:
        place.standin.let_bot_into_channel("general")


async def test_a_bot_shut_out_of_the_channel_for_good_brings_it_to_the_person(place: Place, easel: Easel) -> None:
    place.expected |= {INVALID_TOKEN, MISSING_ACCESS}
    record = await place.imagine(prompt="brought home")
    await place.painting("brought home")
    place.standin.kill_token(record)
    place.standin.remove_bot_from_channel("general")
    try:
        easel.finish("brought home")
        await place.state(record, JobState.DELIVERED)
    finally:
        place.standin.let_bot_into_channel("general")
    (message,) = place.pictures("brought home", channel="dm")
    assert f"I can no longer post in <#{record.channel.id}>" in message.text()
    assert len(place.at_fal("brought home")) == 1


async def test_a_flagged_picture_is_never_brought_to_the_person(place: Place, easel: Easel) -> None:
    place.expected |= {INVALID_TOKEN, MISSING_ACCESS}
    place.fal.troubles.set("nsfw", True)
    used = await place.counted()
    record = await place.imagine(channel="after-dark", prompt="not for home")
    await place.painting("not for home")
    place.standin.kill_token(record)
    place.standin.remove_bot_from_channel("after-dark")
    try:
        easel.finish("not for home")
        await place.state(record, JobState.FAILED, told=True)
    finally:
        place.standin.let_bot_into_channel("after-dark")
    assert not place.pictures("not for home", channel="dm")
    told = place.standin.messages(place.standin.channel("dm", place.standin.person("ada")))[-1]
    assert "I can no longer post in that channel. Your quota was not used." in told.text()
    assert await place.counted() == used


# ---------------------------------------------------------------------- cancelling


async def test_cancelling_what_waits_at_fal_costs_nothing(place: Place) -> None:
    used = await place.counted()
    place.fal.troubles.set("stuck_queue", True)
    record = await place.imagine()
    await place.until(place.at_fal)
    await place.state(record, JobState.RUNNING)
    await place.press("ada", record.message, "Cancel")
    said = (await place.ended(record)).text()
    assert "Cancelled before fal.ai began: nothing was charged, and your quota was not used." in said
    assert place.at_fal()[0].status is Status.COMPLETED
    assert await place.counted() == used


async def test_cancelling_what_is_painted_may_cost_and_gives_the_quota_back(place: Place, easel: Easel) -> None:
    used = await place.counted()
    record = await place.imagine()
    await place.until(lambda: "Step 2 of 4" in record.message.text())
    await place.press("ada", record.message, "Cancel")
    said = (await place.ended(record)).text()
    assert "fal.ai may still charge for it, but your quota was not used" in said
    assert await place.counted() == used


async def test_cancelling_too_late_says_so_and_the_picture_comes(place: Place, easel: Easel) -> None:
    record = await place.imagine()
    await place.until(lambda: "Step 2 of 4" in record.message.text())
    place.standin.slow_rest(0.5, "/messages/@original")
    easel.finish()
    await place.until(lambda: place.at_fal()[0].status is Status.COMPLETED)
    pressed = await place.press("ada", record.message, "Cancel")
    await place.until(lambda: pressed.messages or record.message.files)
    if pressed.messages:
        assert "Too late to cancel" in pressed.messages[-1].text()
    await single(place, record)


# ---------------------------------------------------------------------- large pictures


async def test_pictures_that_fit_are_posted_as_they_are(place: Place) -> None:
    message = await single(place, await place.imagine(count=2))
    painted = [place.fal.files.read(url) for url in urls(place.at_fal()[0])]
    assert place.standin.read(message) == painted


def urls(job: Job) -> list[str]:
    assert job.answer is not None
    return [str(image["url"]) for image in json.loads(job.answer.body)["images"]]


@pytest.mark.parametrize("count", [1, 4])
async def test_pictures_above_the_channels_limit_are_made_to_fit(place: Place, count: int) -> None:
    limit_bytes = 200_000
    url = place.fal.files.keep(StoredFile(a_picture(700, 500, noise=True), "image/png"), "0.png")
    content = {"images": [{"url": url}] * count, "has_nsfw_concepts": [False] * count, "seed": 3}
    vars(place.fal.queue)["_refusal"] = lambda job: Answer.of(200, content)  # type: ignore[arg-type]
    place.standin.composer.file_limit_bytes = limit_bytes
    try:
        message = await single(place, await place.imagine(count=count))
    finally:
        place.standin.composer.file_limit_bytes = 10 * 1024 * 1024
    bodies = place.standin.read(message)
    assert len(bodies) == count
    assert all(0 < len(body) <= limit_bytes for body in bodies)


async def test_a_limit_that_shrank_meanwhile_is_found_out(place: Place, easel: Easel) -> None:
    place.expected.add(TOO_LARGE)
    url = place.fal.files.keep(StoredFile(a_picture(700, 500, noise=True), "image/png"), "0.png")
    content = {"images": [{"url": url}], "has_nsfw_concepts": [False], "seed": 3}
    record = await place.imagine()
    await place.painting()
    vars(place.fal.queue)["_success"] = lambda *_: Answer.of(200, content)  # type: ignore[arg-type]
    place.standin.composer.file_limit_bytes = 200_000
    try:
        easel.finish()
        message = await single(place, record)
    finally:
        place.standin.composer.file_limit_bytes = 10 * 1024 * 1024
    assert len(place.standin.read(message)[0]) <= 200_000
