"""What goes wrong at fal and at Discord: plain sentences, quota untouched, one submit, and the picture all the same."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image

from bot.domain.job import JobState
from bot.jobs.runner import Runner
from bot.jobs.timings import JobTimings
from bot.services import DiscordTimings, Services
from sandbox.discord import InteractionRecord, Message
from sandbox.fal.files import StoredFile
from sandbox.fal.jobs import Job, Status, StoredResponse
from tests.e2e.sandbox_driver import PROMPT, Easel, SandboxDriver, a_picture, a_place

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALREADY_ACKNOWLEDGED = 40060
UNKNOWN_MESSAGE, INVALID_TOKEN, MISSING_ACCESS, UNKNOWN_INTERACTION = 10008, 50027, 50001, 10062
TOO_LARGE = 40005


BRISK_JOBS = JobTimings(unreachable_pauses_s=(0.01,) * 200, provider_pauses_s=(0.01,) * 200)
BRISK_DISCORD = DiscordTimings(delivery_pauses_s=(0.01,) * 20)
#: The bot's, the newest last.
RUNNERS: list[Runner] = []


def made_runner(**given: Any) -> Runner:
    RUNNERS.append(Runner(timings=BRISK_JOBS, **given))
    return RUNNERS[-1]


def with_timings(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    """Other timings for one test."""
    runner, changed = RUNNERS[-1], replace(BRISK_JOBS, **fields)
    monkeypatch.setattr(runner._context, "timings", changed)
    monkeypatch.setattr(runner._submitter, "_timings", changed)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxDriver]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bot.app.Runner", made_runner)
        patch.setattr("bot.app.Services", partial(Services, discord_timings=BRISK_DISCORD))
        async with a_place(tmp_path_factory.mktemp("bot")) as made:
            yield made


@pytest.fixture(autouse=True)
def fresh(sandbox: SandboxDriver) -> Iterator[None]:
    """Fine weather, and nothing of the test before."""
    sandbox.fal.queue.jobs.clear()
    sandbox.fal.counters.jobs_by_fingerprint.clear()
    yield
    sandbox.standin.clear_faults()
    sandbox.fal.troubles.clear()
    sandbox.fal.troubles.gone_at_result = False
    for name in ("_refusal", "_success", "_log_progress"):
        vars(sandbox.fal.queue).pop(name, None)
    vars(sandbox.fal).pop("_outage", None)
    vars(sandbox.fal).pop("_result", None)
    sandbox.check_refusals()
    sandbox.expected.clear()
    sandbox.standin.refusals.clear()


@pytest.fixture
def easel(sandbox: SandboxDriver) -> Iterator[Easel]:
    made = Easel(sandbox.fal)
    yield made
    made.free()


async def failure(sandbox: SandboxDriver, **options: Any) -> tuple[str, Message]:
    """What the card says in the end; no picture, nothing spent, at most one submit."""
    used = await sandbox.counted()
    message = await sandbox.ended(await sandbox.imagine(**options))
    assert not message.files
    assert await sandbox.counted() == used, "quota was touched"
    assert len(sandbox.fal.queue.jobs) <= 1
    said = message.text()
    assert "uota was not used" in said
    for sign in ("Traceback", "Error", "<html", "http", "detail", "{"):
        assert sign not in said
    return said, message


async def single(sandbox: SandboxDriver, record: InteractionRecord, *, prompt: str = PROMPT) -> Message:
    """The picture, once: one submit at fal, one message that shows it."""
    message = await sandbox.picture(record)
    await sandbox.state(record, JobState.DELIVERED)
    assert len(sandbox.at_fal(prompt)) == 1
    shown = [one for one in sandbox.standin.messages(record.channel) if one.files and one.interaction_id == record.id]
    assert shown == [message]
    return message


# ---------------------------------------------------------------------- fal ends a job


def detail(kind: str, loc: list[str | int], **ctx: Any) -> StoredResponse:
    entry = {"loc": ["body", *loc], "msg": f"about {PROMPT}", "type": kind, "input": PROMPT, "ctx": ctx}
    return StoredResponse(422, json.dumps({"detail": [entry]}).encode())


def infrastructure(status: int, kind: str) -> StoredResponse:
    return StoredResponse.of(status, {"detail": "Something", "error_type": kind}, X_Fal_Error_Type=kind)


def page(status: int) -> StoredResponse:
    return StoredResponse(
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
        StoredResponse.of(403, {"detail": "User is locked. Reason: Exhausted balance. Top up your balance."}),
        "has run out of credit",
    ),
    "payment": (StoredResponse.of(402, {"detail": "Payment required"}), "has run out of credit"),
    "key": (StoredResponse.of(401, {"detail": "Cannot access application"}), "does not accept this bot's key"),
    "timeout": (infrastructure(504, "request_timeout"), "took too long and was stopped"),
    "startup timeout": (infrastructure(504, "startup_timeout"), "took too long and was stopped"),
    "runner lost": (infrastructure(503, "runner_disconnected"), "fal.ai had a problem"),
    "internal": (infrastructure(500, "internal_error"), "fal.ai had a problem"),
    "cancelled there": (infrastructure(499, "client_cancelled"), "was cancelled at fal.ai"),
    "nginx": (page(502), "fal.ai had a problem"),
    "html": (page(200), "its answer could not be read"),
    "torn json": (StoredResponse(200, b'{"images": [{"url": "ht', {}), "its answer could not be read"),
    "a list": (StoredResponse(200, b"[1, 2]", {}), "its answer could not be read"),
    "nothing": (StoredResponse(200, b"", {}), "its answer could not be read"),
    "no picture": (StoredResponse.of(200, {"images": [], "seed": 3}), "it sent no picture"),
    "another shape": (StoredResponse.of(200, {"images": "soon", "has_nsfw_concepts": [False]}), "it sent no picture"),
    "an address not opened": (
        StoredResponse.of(200, {"images": [{"url": "http://example.com/a.png"}], "has_nsfw_concepts": [False]}),
        "lies at an address I don't open",
    ),
    "a file scheme": (
        StoredResponse.of(200, {"images": [{"url": "file:///etc/passwd"}], "has_nsfw_concepts": [False]}),
        "lies at an address I don't open",
    ),
}


@pytest.mark.parametrize(("answer", "says"), ENDS.values(), ids=ENDS)
async def test_every_end_at_fal_is_a_plain_sentence_and_costs_no_quota(
    sandbox: SandboxDriver, monkeypatch: pytest.MonkeyPatch, answer: StoredResponse, says: str
) -> None:
    with_timings(monkeypatch, provider_pauses_s=(0.01, 0.01))
    vars(sandbox.fal.queue)["_refusal"] = lambda job: answer
    said, message = await failure(sandbox)
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
    sandbox: SandboxDriver, monkeypatch: pytest.MonkeyPatch, trouble: str, says: str, submits: int
) -> None:
    with_timings(monkeypatch, refused_waits_s=(0.05,))
    sandbox.fal.troubles.set(trouble, True)
    said, _ = await failure(sandbox)
    assert says in said
    assert len(sandbox.fal.queue.jobs) == submits


async def test_a_submit_whose_answer_is_lost_is_found_at_fal_and_painted_once(sandbox: SandboxDriver) -> None:
    sandbox.fal.troubles.set("lost_answers", True)
    record = await sandbox.imagine(prompt="found again")
    await sandbox.until(lambda: sandbox.at_fal("found again"))
    sandbox.fal.troubles.clear()
    await sandbox.picture(record)
    assert len(sandbox.at_fal("found again")) == 1


@pytest.mark.parametrize("at_result", [False, True])
async def test_a_model_that_has_left_names_its_successor(sandbox: SandboxDriver, at_result: bool) -> None:
    sandbox.fal.troubles.gone_at_result = at_result
    sandbox.fal.troubles.gone_endpoints.add("fal-ai/imagen4/preview")
    said, message = await failure(sandbox, model="imagen4")
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
async def test_a_result_that_is_no_picture_is_a_plain_sentence(sandbox: SandboxDriver, body: bytes, says: str) -> None:
    result(sandbox, body, "image/png")
    said, message = await failure(sandbox)
    assert "The model answered, but" in said
    assert says in said
    assert "Again" in message.buttons()


def result(sandbox: SandboxDriver, body: bytes, content_type: str) -> None:
    """What every result holds from now on, whatever it says of itself."""
    url = sandbox.fal.files.keep(StoredFile(body, content_type), "0.png")
    content = {"images": [{"url": url, "content_type": content_type}], "has_nsfw_concepts": [False]}
    vars(sandbox.fal.queue)["_refusal"] = lambda job: StoredResponse.of(200, content)  # type: ignore[arg-type]


@pytest.mark.parametrize("claimed", ["image/png", "application/octet-stream", "text/html"])
async def test_a_picture_is_what_its_bytes_say(sandbox: SandboxDriver, claimed: str) -> None:
    made = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(made, "WEBP")
    result(sandbox, made.getvalue(), claimed)
    message = await single(sandbox, await sandbox.imagine())
    assert message.files[0].filename.endswith(".webp")
    assert sandbox.standin.read(message) == [made.getvalue()]


async def test_a_picture_of_60_mb_is_made_to_fit(sandbox: SandboxDriver) -> None:
    made = io.BytesIO()
    Image.effect_noise((4500, 4500), 80).convert("RGB").save(made, "PNG", compress_level=0)
    assert len(made.getvalue()) > 60_000_000
    result(sandbox, made.getvalue(), "image/png")
    message = await single(sandbox, await sandbox.imagine())
    (body,) = sandbox.standin.read(message)
    assert 1_000_000 < len(body) <= sandbox.standin.composer.file_limit_bytes


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
async def test_what_passes_is_waited_for(sandbox: SandboxDriver, trouble: str, value: Any) -> None:
    sandbox.fal.troubles.set(trouble, value)
    await single(sandbox, await sandbox.imagine())


def down(_request: web.Request) -> web.Response:
    return web.Response(status=503, text="<html><center>nginx</center></html>", content_type="text/html")


async def test_fal_away_while_it_paints_is_said_and_nothing_is_lost(sandbox: SandboxDriver, easel: Easel) -> None:
    record = await sandbox.imagine()
    job = await sandbox.painting()
    vars(sandbox.fal)["_outage"] = down
    sandbox.fal.troubles.set("dropped_streams", 1)
    job.touch()
    await sandbox.until(lambda: "fal.ai does not answer just now" in record.message.text())
    assert "Cancel" in record.message.buttons()
    del vars(sandbox.fal)["_outage"]
    await sandbox.until(lambda: "Painting" in record.message.text())
    easel.finish()
    await single(sandbox, record)


async def test_fal_away_at_the_submit_is_said_and_nothing_is_lost(sandbox: SandboxDriver) -> None:
    vars(sandbox.fal)["_outage"] = down
    record = await sandbox.imagine()
    await sandbox.until(lambda: "fal.ai does not answer just now" in record.message.text())
    del vars(sandbox.fal)["_outage"]
    await single(sandbox, record)


async def test_fal_away_at_the_result_is_said_and_nothing_is_lost(sandbox: SandboxDriver) -> None:
    vars(sandbox.fal)["_result"] = lambda job: down(None)  # type: ignore[arg-type]
    record = await sandbox.imagine()
    await sandbox.until(lambda: "fal.ai does not answer just now" in record.message.text())
    del vars(sandbox.fal)["_result"]
    await single(sandbox, record)


# ---------------------------------------------------------------------- flagged pictures


async def test_a_flagged_picture_is_withheld_in_an_ordinary_channel(sandbox: SandboxDriver) -> None:
    sandbox.fal.troubles.set("nsfw", True)
    said, _ = await failure(sandbox)
    assert "The safety checker flagged this picture" in said


async def test_a_picture_without_the_flag_it_should_have_is_withheld(sandbox: SandboxDriver) -> None:
    sandbox.fal.troubles.set("no_flags", True)
    said, _ = await failure(sandbox)
    assert "The model did not say whether this picture is safe" in said


async def test_a_flagged_picture_hides_behind_a_spoiler_in_an_age_restricted_channel(sandbox: SandboxDriver) -> None:
    sandbox.fal.troubles.set("nsfw", True)
    message = await single(sandbox, await sandbox.imagine(channel="after-dark"))
    assert spoilers(message) == [True]
    assert message.files[0].filename.startswith("SPOILER_")


@pytest.mark.parametrize(("channel", "shown"), [("general", [False, False]), ("after-dark", [True, False, False])])
async def test_of_several_pictures_only_the_flagged_one_is_treated_so(
    sandbox: SandboxDriver, channel: str, shown: list[bool]
) -> None:
    success = sandbox.fal.queue._success

    def first_flagged(job: Job, made: Any, pictures: Any, flagged: bool) -> StoredResponse:
        answer = success(job, made, pictures, flagged)
        return StoredResponse(200, answer.body.replace(b"[false,false,false]", b"[true,false,false]"), answer.headers)

    vars(sandbox.fal.queue)["_success"] = first_flagged
    message = await single(sandbox, await sandbox.imagine(channel=channel, count=3))
    assert spoilers(message) == shown
    assert ("1 picture was flagged by the safety checker and kept back" in message.text()) is (channel == "general")


def spoilers(message: Message) -> list[bool]:
    gallery = next(part for part in message.components() if part["type"] == 12)
    return [item["spoiler"] for item in gallery["items"]]


# ---------------------------------------------------------------------- Discord is busy


@pytest.mark.parametrize("scope", ["user", "shared", "cloudflare"])
async def test_rate_limits_delay_a_picture_and_lose_nothing(sandbox: SandboxDriver, easel: Easel, scope: Any) -> None:
    limit = sandbox.standin.set_rate_limit(1, 0.2, scope=scope, path=r"/webhooks/", retry_after_s=0.2)
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    await sandbox.until(lambda: sandbox.standin.counters.rate_limited or limit.take("probe", 0))
    easel.finish()
    await single(sandbox, record)


async def test_the_global_rate_limit_delays_a_picture_and_loses_nothing(sandbox: SandboxDriver, easel: Easel) -> None:
    sandbox.expected.add(INVALID_TOKEN)
    before = sandbox.standin.counters.rate_limited
    record = await sandbox.imagine()
    await sandbox.painting()
    sandbox.standin.kill_token(record)  # the bot's own routes are the ones that it counts
    sandbox.standin.set_rate_limit(0, 0.3, scope="global", retry_after_s=0.1)
    easel.finish()
    await sandbox.until(lambda: sandbox.standin.counters.rate_limited > before)
    sandbox.standin.clear_faults()
    await single(sandbox, record)


async def test_an_address_banned_by_cloudflare_is_left_alone_for_as_long_as_it_asks(
    sandbox: SandboxDriver, easel: Easel
) -> None:
    counters, before = sandbox.standin.counters, sandbox.standin.counters.rate_limited
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    sandbox.standin.set_rate_limit(0, 1000, scope="cloudflare", path=r"/webhooks/", retry_after_s=0.5)
    easel.finish()
    await sandbox.until(lambda: counters.rate_limited > before)
    refused_s = time.monotonic()
    sandbox.standin.clear_faults()  # the bot has been told otherwise
    await single(sandbox, record)
    assert time.monotonic() - refused_s > 0.45
    assert counters.rate_limited == before + 1


@pytest.mark.parametrize("how", [{"status": 503}, {"drop": True, "times": 3}, {"drop": True, "after": True}])
async def test_a_delivery_that_discord_breaks_is_repeated(
    sandbox: SandboxDriver, easel: Easel, how: dict[str, Any]
) -> None:
    record = await sandbox.imagine()
    await sandbox.painting()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    sandbox.standin.fail_next("PATCH", "/webhooks/", **how)
    easel.finish()
    await single(sandbox, record)
    assert not sandbox.standin.faults.failures


async def test_slow_answers_of_discord_are_waited_for(sandbox: SandboxDriver) -> None:
    sandbox.standin.slow_rest(0.2)
    await single(sandbox, await sandbox.imagine())


async def test_a_first_answer_that_comes_too_late_spends_nothing(sandbox: SandboxDriver) -> None:
    sandbox.expected.add(UNKNOWN_INTERACTION)
    used = await sandbox.counted()
    sandbox.standin.interactions.answer_deadline_s = 0.1
    sandbox.standin.slow_rest(0.3, "/callback")
    try:
        record = await sandbox.imagine()
        assert record.state == "failed"
        job = await sandbox.state(record, JobState.CANCELLED)
    finally:
        sandbox.standin.interactions.answer_deadline_s = 3.0
    assert job.notified
    assert await sandbox.counted() == used
    assert not sandbox.at_fal()


@pytest.mark.parametrize("how", ["abort", "reconnect", "invalid", "close"])
async def test_a_dropped_gateway_neither_loses_nor_repeats_a_request(
    sandbox: SandboxDriver, easel: Easel, how: Any
) -> None:
    record = await sandbox.imagine()
    await sandbox.painting()
    await sandbox.standin.drop_gateway(how)
    await sandbox.standin.wait_ready(30)
    sandbox.standin.deliver_twice(record)
    sandbox.standin.deliver_twice(record)
    easel.finish()
    await single(sandbox, record)
    assert record.callbacks == 1


@pytest.mark.parametrize("erased", [False, True], ids=["its record is there", "its record is erased"])
async def test_an_event_replayed_after_its_picture_paints_nothing(sandbox: SandboxDriver, erased: bool) -> None:
    record = await sandbox.imagine()
    await single(sandbox, record)
    if erased:
        page = (await sandbox.run("ada", "general", "privacy")).message
        question = (await sandbox.press("ada", page, "Delete my data")).message
        await sandbox.press("ada", question, "Yes, delete everything")
        await sandbox.until(lambda: "Deleted:" in question.text())
        sandbox.expected.add(ALREADY_ACKNOWLEDGED)
    sandbox.standin.deliver_twice(record)
    later = await sandbox.imagine(prompt="the next one")
    await single(sandbox, later, prompt="the next one")
    assert len(sandbox.at_fal()) == 1
    await asyncio.sleep(0.2)
    assert len(sandbox.at_fal()) == 1


async def test_events_replayed_at_once_start_one_job(sandbox: SandboxDriver) -> None:
    record = await sandbox.standin.command("ada", "general", "imagine", {"prompt": PROMPT})
    for _ in range(5):
        sandbox.standin.deliver_twice(record)
    await record.answered(30)
    await single(sandbox, record)
    assert len([job for job in await sandbox.jobs() if job.reply.interaction_id == int(record.id)]) == 1


# ---------------------------------------------------------------------- the message, the token, the channel


@pytest.mark.parametrize("channel", ["general", "dm"])
async def test_a_dead_token_does_not_keep_the_picture_from_its_message(
    sandbox: SandboxDriver, easel: Easel, channel: str
) -> None:
    sandbox.expected.add(INVALID_TOKEN)
    record = await sandbox.imagine(channel=channel)
    await sandbox.painting()
    sandbox.standin.kill_token(record)
    easel.finish()
    await single(sandbox, record)


@pytest.mark.parametrize(("channel", "token_lives"), [("general", True), ("general", False), ("dm", True)])
async def test_a_message_deleted_meanwhile_does_not_take_the_picture_with_it(
    sandbox: SandboxDriver, easel: Easel, channel: str, token_lives: bool
) -> None:
    sandbox.expected |= {UNKNOWN_MESSAGE, INVALID_TOKEN}
    record = await sandbox.imagine(channel=channel, prompt="what was deleted")
    await sandbox.painting("what was deleted")
    if not token_lives:
        sandbox.standin.kill_token(record)
    sandbox.standin.delete_message(record.message)
    easel.finish("what was deleted")
    await sandbox.state(record, JobState.DELIVERED)
    (message,) = sandbox.pictures("what was deleted", channel=channel)
    assert list(message.buttons()) == ["Again", "Edit prompt", "Details", "Delete"]
    await sandbox.press("ada", message, "Delete")
    await sandbox.until(lambda: not sandbox.pictures("what was deleted", channel=channel))


@pytest.mark.parametrize("channel", ["elsewhere", "Ada & Pat"])
async def test_where_the_bot_is_no_member_the_picture_comes_and_again_works(
    sandbox: SandboxDriver, easel: Easel, channel: str
) -> None:
    easel.free()
    record = await sandbox.imagine(channel=channel)
    message = await single(sandbox, record)
    again = await sandbox.press("ada", message, "Again")
    assert (await sandbox.picture(again)).channel is message.channel


@pytest.mark.parametrize("channel", ["elsewhere", "Ada & Pat"])
async def test_where_the_bot_is_no_member_a_deleted_message_is_followed_up(
    sandbox: SandboxDriver, easel: Easel, channel: str
) -> None:
    sandbox.expected.add(UNKNOWN_MESSAGE)
    prompt = f"followed up in {channel}"
    record = await sandbox.imagine(channel=channel, prompt=prompt)
    await sandbox.painting(prompt)
    sandbox.standin.delete_message(record.message)
    easel.finish(prompt)
    await sandbox.state(record, JobState.DELIVERED)
    assert len(sandbox.standin.read(record.messages[-1])) == 1
    assert len(record.messages) == 2


async def test_a_private_answer_outside_stays_private_and_gets_its_picture(
    sandbox: SandboxDriver, easel: Easel
) -> None:
    easel.free()
    where = sandbox.standin.channel("elsewhere")
    where.overwrites[sandbox.standin.person("ada").id] = (1, 0, 1 << 50)
    try:
        message = await single(sandbox, await sandbox.imagine(channel=where))
    finally:
        where.overwrites.clear()
    assert message.ephemeral


async def test_a_bot_shut_out_of_the_channel_still_brings_the_picture_by_the_token(
    sandbox: SandboxDriver, easel: Easel
) -> None:
    record = await sandbox.imagine()
    await sandbox.painting()
    sandbox.standin.remove_bot_from_channel("general")
    try:
        easel.finish()
        await single(sandbox, record)
    finally:
        sandbox.standin.let_bot_into_channel("general")


async def test_a_bot_shut_out_of_the_channel_for_good_brings_it_to_the_person(
    sandbox: SandboxDriver, easel: Easel
) -> None:
    sandbox.expected |= {INVALID_TOKEN, MISSING_ACCESS}
    record = await sandbox.imagine(prompt="brought home")
    await sandbox.painting("brought home")
    sandbox.standin.kill_token(record)
    sandbox.standin.remove_bot_from_channel("general")
    try:
        easel.finish("brought home")
        await sandbox.state(record, JobState.DELIVERED)
    finally:
        sandbox.standin.let_bot_into_channel("general")
    (message,) = sandbox.pictures("brought home", channel="dm")
    assert f"I can no longer post in <#{record.channel.id}>" in message.text()
    assert len(sandbox.at_fal("brought home")) == 1


async def test_a_flagged_picture_is_never_brought_to_the_person(sandbox: SandboxDriver, easel: Easel) -> None:
    sandbox.expected |= {INVALID_TOKEN, MISSING_ACCESS}
    sandbox.fal.troubles.set("nsfw", True)
    used = await sandbox.counted()
    record = await sandbox.imagine(channel="after-dark", prompt="not for home")
    await sandbox.painting("not for home")
    sandbox.standin.kill_token(record)
    sandbox.standin.remove_bot_from_channel("after-dark")
    try:
        easel.finish("not for home")
        await sandbox.state(record, JobState.FAILED, notified=True)
    finally:
        sandbox.standin.let_bot_into_channel("after-dark")
    assert not sandbox.pictures("not for home", channel="dm")
    told = sandbox.standin.messages(sandbox.standin.channel("dm", sandbox.standin.person("ada")))[-1]
    assert "I can no longer post in that channel. Your quota was not used." in told.text()
    assert await sandbox.counted() == used


# ---------------------------------------------------------------------- cancelling


async def test_cancelling_what_waits_at_fal_costs_nothing(sandbox: SandboxDriver) -> None:
    used = await sandbox.counted()
    sandbox.fal.troubles.set("stuck_queue", True)
    record = await sandbox.imagine()
    await sandbox.until(sandbox.at_fal)
    await sandbox.state(record, JobState.RUNNING)
    await sandbox.press("ada", record.message, "Cancel")
    said = (await sandbox.ended(record)).text()
    assert "Cancelled before fal.ai began: nothing was charged, and your quota was not used." in said
    assert sandbox.at_fal()[0].status is Status.COMPLETED
    assert await sandbox.counted() == used


async def test_cancelling_what_is_painted_may_cost_and_gives_the_quota_back(
    sandbox: SandboxDriver, easel: Easel
) -> None:
    used = await sandbox.counted()
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    await sandbox.press("ada", record.message, "Cancel")
    said = (await sandbox.ended(record)).text()
    assert "fal.ai may still charge for it, but your quota was not used" in said
    assert await sandbox.counted() == used


async def test_cancelling_too_late_says_so_and_the_picture_comes(sandbox: SandboxDriver, easel: Easel) -> None:
    record = await sandbox.imagine()
    await sandbox.until(lambda: "Step 2 of 4" in record.message.text())
    sandbox.standin.slow_rest(0.5, "/messages/@original")
    easel.finish()
    await sandbox.until(lambda: sandbox.at_fal()[0].status is Status.COMPLETED)
    pressed = await sandbox.press("ada", record.message, "Cancel")
    await sandbox.until(lambda: pressed.messages or record.message.files)
    if pressed.messages:
        assert "Too late to cancel" in pressed.messages[-1].text()
    await single(sandbox, record)


# ---------------------------------------------------------------------- large pictures


async def test_pictures_that_fit_are_posted_as_they_are(sandbox: SandboxDriver) -> None:
    message = await single(sandbox, await sandbox.imagine(count=2))
    painted = [sandbox.fal.files.read(url) for url in urls(sandbox.at_fal()[0])]
    assert sandbox.standin.read(message) == painted


def urls(job: Job) -> list[str]:
    assert job.answer is not None
    return [str(image["url"]) for image in json.loads(job.answer.body)["images"]]


@pytest.mark.parametrize("count", [1, 4])
async def test_pictures_above_the_channels_limit_are_made_to_fit(sandbox: SandboxDriver, count: int) -> None:
    limit_bytes = 200_000
    url = sandbox.fal.files.keep(StoredFile(a_picture(700, 500, noise=True), "image/png"), "0.png")
    content = {"images": [{"url": url}] * count, "has_nsfw_concepts": [False] * count, "seed": 3}
    vars(sandbox.fal.queue)["_refusal"] = lambda job: StoredResponse.of(200, content)  # type: ignore[arg-type]
    sandbox.standin.composer.file_limit_bytes = limit_bytes
    try:
        message = await single(sandbox, await sandbox.imagine(count=count))
    finally:
        sandbox.standin.composer.file_limit_bytes = 10 * 1024 * 1024
    bodies = sandbox.standin.read(message)
    assert len(bodies) == count
    assert all(0 < len(body) <= limit_bytes for body in bodies)


async def test_a_limit_that_shrank_meanwhile_is_found_out(sandbox: SandboxDriver, easel: Easel) -> None:
    sandbox.expected.add(TOO_LARGE)
    url = sandbox.fal.files.keep(StoredFile(a_picture(700, 500, noise=True), "image/png"), "0.png")
    content = {"images": [{"url": url}], "has_nsfw_concepts": [False], "seed": 3}
    record = await sandbox.imagine()
    await sandbox.painting()
    vars(sandbox.fal.queue)["_success"] = lambda *_: StoredResponse.of(200, content)  # type: ignore[arg-type]
    sandbox.standin.composer.file_limit_bytes = 200_000
    try:
        easel.finish()
        message = await single(sandbox, record)
    finally:
        sandbox.standin.composer.file_limit_bytes = 10 * 1024 * 1024
    assert len(sandbox.standin.read(message)[0]) <= 200_000
