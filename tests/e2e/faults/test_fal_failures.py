"""fal ends a job badly: a plain sentence, quota untouched, at most one submit."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any

import pytest

from bot.jobs.timings import JobTimings
from sandbox.fal.jobs import StoredResponse
from tests.buttons import OPERATORS_FAILURE_BUTTONS
from tests.e2e.faults.outcomes import every_result, failure
from tests.e2e.sandbox_driver import PROMPT, SandboxDriver, a_picture

#: Outages are believed soon.
JOB_TIMINGS = JobTimings(unreachable_pauses_s=(0.01,) * 200, provider_pauses_s=(0.01, 0.01), refused_waits_s=(0.05,))

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
        "did not accept these options: `steps` must be at most 12",
    ),
    "validation of a picture": (
        detail("image_load_error", ["image_url"]),
        "`image_url`: the picture could not be read",
    ),
    "content policy": (detail("content_policy_violation", ["prompt"]), "content policy refused this prompt"),
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
        "I don't open the web address of its picture",
    ),
    "a file scheme": (
        StoredResponse.of(200, {"images": [{"url": "file:///etc/passwd"}], "has_nsfw_concepts": [False]}),
        "I don't open the web address of its picture",
    ),
}


@pytest.mark.parametrize(("answer", "expected"), ENDS.values(), ids=ENDS)
async def test_every_end_at_fal_is_a_plain_sentence_and_costs_no_quota(
    sandbox: SandboxDriver, answer: StoredResponse, expected: str
) -> None:
    vars(sandbox.fal.queue)["_refusal"] = lambda job: answer
    said, message = await failure(sandbox)
    assert expected in said
    # What the same request would meet again has to be mended.
    way_on = "Edit prompt" if "Again" in message.buttons() else "Fix it"
    if "whoever runs the bot" in said:
        assert list(message.buttons()) == OPERATORS_FAILURE_BUTTONS
    else:
        assert way_on in message.buttons()


@pytest.mark.parametrize(
    ("fault", "expected", "submits"),
    [
        ("content_policy", "content policy refused this prompt", 1),
        ("key_refused", "does not accept this bot's key", 0),
        ("job_error", "fal.ai had a problem", 1),
        ("server_error", "fal.ai had a problem", 0),
        ("gateway_error", "fal.ai had a problem", 0),
        ("result_expired", "the result is no longer there", 1),
    ],
)
async def test_every_fault_of_fal_is_a_plain_sentence(
    sandbox: SandboxDriver, fault: str, expected: str, submits: int
) -> None:
    sandbox.fal.faults.set(fault, True)
    said, message = await failure(sandbox)
    assert expected in said
    assert len(sandbox.fal.queue.jobs) == submits
    if fault in {"balance_exhausted", "key_refused"}:
        assert list(message.buttons()) == OPERATORS_FAILURE_BUTTONS


async def test_a_submit_whose_answer_is_lost_is_found_at_fal_and_painted_once(sandbox: SandboxDriver) -> None:
    sandbox.fal.faults.set("lost_answers", True)
    record = await sandbox.imagine(prompt="found again")
    await sandbox.until(lambda: sandbox.at_fal("found again"))
    sandbox.fal.faults.clear()
    await sandbox.picture(record)
    assert len(sandbox.at_fal("found again")) == 1


@pytest.mark.parametrize("at_result", [False, True])
async def test_a_model_that_has_left_names_its_successor(sandbox: SandboxDriver, at_result: bool) -> None:
    sandbox.fal.faults.gone_at_result = at_result
    sandbox.fal.faults.gone_endpoints.add("fal-ai/imagen4/preview")
    said, message = await failure(sandbox, model="imagen4")
    assert "Imagen 4" in said.splitlines()[1]
    assert "is no longer offered by fal.ai. Try **" in said
    assert "No quota was used." in said
    assert "Again" not in message.buttons()


def a_header(width: int, height: int) -> bytes:
    """A whole PNG that promises more than it is wise to decode."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("body", "expected"),
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
async def test_a_result_that_is_no_picture_is_a_plain_sentence(
    sandbox: SandboxDriver, body: bytes, expected: str
) -> None:
    every_result(sandbox, body, "image/png")
    said, message = await failure(sandbox)
    assert "The model answered, but" in said
    assert expected in said
    assert "Again" in message.buttons()
