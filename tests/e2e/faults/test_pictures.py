"""Pictures that are flagged, too large or not what they say: withheld, veiled, or made to fit."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from sandbox.discord import Message
from sandbox.fal.files import StoredFile
from sandbox.fal.jobs import Job, StoredResponse
from tests.e2e.faults.outcomes import TOO_LARGE, every_result, failure, single
from tests.e2e.sandbox_driver import PausedPainting, SandboxDriver, a_picture

pytestmark = pytest.mark.asyncio(loop_scope="module")


# ---------------------------------------------------------------------- flagged


async def test_a_flagged_picture_is_withheld_in_an_ordinary_channel(sandbox: SandboxDriver) -> None:
    sandbox.fal.faults.set("nsfw", True)
    said, _ = await failure(sandbox)
    assert "The safety checker flagged this picture" in said


async def test_a_picture_without_the_flag_it_should_have_is_withheld(sandbox: SandboxDriver) -> None:
    sandbox.fal.faults.set("no_flags", True)
    said, _ = await failure(sandbox)
    assert "The model did not say whether this picture is safe" in said


async def test_a_flagged_picture_hides_behind_a_spoiler_in_an_age_restricted_channel(sandbox: SandboxDriver) -> None:
    flag_all(sandbox, a_picture())
    message = await single(sandbox, await sandbox.imagine(channel="after-dark"))
    assert spoilers(message) == [True]
    assert message.files[0].filename.startswith("SPOILER_")


async def test_a_picture_that_was_painted_black_is_not_posted_and_not_counted(sandbox: SandboxDriver) -> None:
    sandbox.fal.faults.set("nsfw", True)
    said, _ = await failure(sandbox, channel="after-dark")
    assert "The safety checker painted this picture black" in said


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_black_picture_is_posted_where_the_checker_says_that_it_is_none_of_its_own(
    sandbox: SandboxDriver, kind: str
) -> None:
    body = io.BytesIO()
    Image.new("RGB", (64, 64)).save(body, kind)
    every_result(sandbox, body.getvalue(), "image/png")
    await single(sandbox, await sandbox.imagine(channel="after-dark"))


async def test_of_several_pictures_the_blanked_one_is_held_back_and_the_others_keep_their_numbers(
    sandbox: SandboxDriver,
) -> None:
    black = io.BytesIO()
    Image.new("RGB", (64, 64)).save(black, "PNG")
    urls = [
        sandbox.fal.files.keep(StoredFile(body, "image/png"), f"{n}.png")
        for n, body in enumerate((a_picture(), black.getvalue(), a_picture()))
    ]
    content = {"images": [{"url": url} for url in urls], "has_nsfw_concepts": [False, True, False]}
    vars(sandbox.fal.queue)["_refusal"] = lambda job: StoredResponse.of(200, content)  # type: ignore[arg-type]
    message = await single(sandbox, await sandbox.imagine(channel="after-dark", count=3))
    alts = [item["description"] for part in message.components() if part["type"] == 12 for item in part["items"]]
    assert [alt.partition(",")[0] for alt in alts] == ["Picture 1 of 3", "Picture 3 of 3"]
    assert "1 picture was flagged by the safety checker and kept back" in message.text()


async def test_fewer_pictures_than_asked_for_are_counted_as_they_came(sandbox: SandboxDriver) -> None:
    used = await sandbox.counted()
    every_result(sandbox, a_picture(1000, 1000), "image/png")
    message = await single(sandbox, await sandbox.imagine(count=3))
    assert "You asked for 3 pictures, and the model made only 1." in message.text()
    assert "Picture 1 of" not in str(message.data)
    assert [after - before for before, after in zip(used, await sandbox.counted(), strict=True)] == [1, 1]


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


def flag_all(sandbox: SandboxDriver, body: bytes) -> None:
    """Every result is this picture, flagged."""
    url = sandbox.fal.files.keep(StoredFile(body, "image/png"), "0.png")
    content = {"images": [{"url": url}], "has_nsfw_concepts": [True]}
    vars(sandbox.fal.queue)["_refusal"] = lambda job: StoredResponse.of(200, content)  # type: ignore[arg-type]


def spoilers(message: Message) -> list[bool]:
    gallery = next(part for part in message.components() if part["type"] == 12)
    return [item["spoiler"] for item in gallery["items"]]


# ---------------------------------------------------------------------- large, or of another format


@pytest.mark.parametrize("count", [1, 3])
async def test_an_svg_is_a_file_with_a_picture_of_it_beside_it(sandbox: SandboxDriver, count: int) -> None:
    body = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><circle r="9" fill="red"/></svg>'
    url = sandbox.fal.files.keep(StoredFile(body, "image/svg+xml"), "0.svg")
    content = {"images": [{"url": url}] * count, "has_nsfw_concepts": [False] * count}
    vars(sandbox.fal.queue)["_refusal"] = lambda job: StoredResponse.of(200, content)  # type: ignore[arg-type]
    message = await single(sandbox, await sandbox.imagine(count=count))
    parts = [part for part in message.components() if part["type"] in (12, 13)]
    assert [part["type"] for part in parts] == [12, *[13] * count]
    assert all(item["media"]["url"].partition("?")[0].endswith(".png") for item in parts[0]["items"])
    assert all(part["file"]["url"].partition("?")[0].endswith(".svg") for part in parts[1:])
    assert sandbox.discord.read(message).count(body) == count


async def test_an_svg_that_can_not_be_drawn_is_posted_as_a_file(sandbox: SandboxDriver) -> None:
    body = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20"><g></svg>'
    every_result(sandbox, body, "image/svg+xml")
    message = await single(sandbox, await sandbox.imagine())
    assert [part["type"] for part in message.components() if part["type"] in (12, 13)] == [13]


@pytest.mark.parametrize("claimed", ["image/png", "application/octet-stream", "text/html"])
async def test_a_picture_is_what_its_bytes_say(sandbox: SandboxDriver, claimed: str) -> None:
    made = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(made, "WEBP")
    every_result(sandbox, made.getvalue(), claimed)
    message = await single(sandbox, await sandbox.imagine())
    assert message.files[0].filename.endswith(".webp")
    assert sandbox.discord.read(message) == [made.getvalue()]


async def test_a_picture_of_60_mb_is_made_to_fit(sandbox: SandboxDriver) -> None:
    made = io.BytesIO()
    Image.effect_noise((4500, 4500), 80).convert("RGB").save(made, "PNG", compress_level=0)
    assert len(made.getvalue()) > 60_000_000
    every_result(sandbox, made.getvalue(), "image/png")
    message = await single(sandbox, await sandbox.imagine())
    (body,) = sandbox.discord.read(message)
    assert 1_000_000 < len(body) <= 10 * 1024 * 1024
    with Image.open(io.BytesIO(body)) as posted:
        size = f"{posted.width}×{posted.height}"
    assert f"Made smaller, from 4500×4500 to {size}" in message.text() or "Saved again as JPG" in message.text()
    assert f" · {size} · " in message.text()
    assert "[the original](<http://127.0.0.1" in message.text()


async def test_pictures_that_fit_are_posted_as_they_are(sandbox: SandboxDriver) -> None:
    message = await single(sandbox, await sandbox.imagine(count=2))
    painted = [sandbox.fal.files.read(url) for url in urls(sandbox.at_fal()[0])]
    assert sandbox.discord.read(message) == painted


def urls(job: Job) -> list[str]:
    assert job.answer is not None
    return [str(image["url"]) for image in json.loads(job.answer.body)["images"]]


@pytest.mark.parametrize("count", [1, 4])
async def test_pictures_above_the_channels_limit_are_made_to_fit(sandbox: SandboxDriver, count: int) -> None:
    limit_bytes = 200_000
    url = sandbox.fal.files.keep(StoredFile(a_picture(700, 500, noise=True), "image/png"), "0.png")
    content = {"images": [{"url": url}] * count, "has_nsfw_concepts": [False] * count, "seed": 3}
    vars(sandbox.fal.queue)["_refusal"] = lambda job: StoredResponse.of(200, content)  # type: ignore[arg-type]
    sandbox.discord.composer.file_limit_bytes = limit_bytes
    try:
        message = await single(sandbox, await sandbox.imagine(count=count))
    finally:
        sandbox.discord.composer.file_limit_bytes = None
    bodies = sandbox.discord.read(message)
    assert len(bodies) == count
    assert all(0 < len(body) <= limit_bytes for body in bodies)


async def test_a_limit_that_shrank_meanwhile_is_found_out(sandbox: SandboxDriver, paused: PausedPainting) -> None:
    sandbox.expected.add(TOO_LARGE)
    url = sandbox.fal.files.keep(StoredFile(a_picture(700, 500, noise=True), "image/png"), "0.png")
    content = {"images": [{"url": url}], "has_nsfw_concepts": [False], "seed": 3}
    record = await sandbox.imagine()
    await sandbox.painting()
    vars(sandbox.fal.queue)["_success"] = lambda *_: StoredResponse.of(200, content)  # type: ignore[arg-type]
    sandbox.discord.composer.file_limit_bytes = 200_000
    try:
        paused.finish()
        message = await single(sandbox, record)
    finally:
        sandbox.discord.composer.file_limit_bytes = None
    assert len(sandbox.discord.read(message)[0]) <= 200_000
