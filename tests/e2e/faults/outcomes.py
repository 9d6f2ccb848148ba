"""What each of these tests ends with: a plain sentence and quota untouched, or the picture, once."""

from __future__ import annotations

import re
from typing import Any

from bot.domain.job import JobState
from sandbox.discord import InteractionRecord, Message
from sandbox.fal.files import StoredFile
from sandbox.fal.jobs import StoredResponse
from tests.e2e.sandbox_driver import PROMPT, SandboxDriver

#: Discord's codes.
ALREADY_ACKNOWLEDGED = 40060
UNKNOWN_CHANNEL = 10003
UNKNOWN_MESSAGE, INVALID_TOKEN, MISSING_ACCESS, UNKNOWN_INTERACTION = 10008, 50027, 50001, 10062
TOO_LARGE = 40005


async def failure(sandbox: SandboxDriver, **options: Any) -> tuple[str, Message]:
    """What the card says in the end; no picture, nothing spent, at most one submit."""
    used = await sandbox.counted()
    message = await sandbox.ended(await sandbox.imagine(**options))
    assert not message.files
    assert await sandbox.counted() == used, "quota was touched"
    assert len(sandbox.fal.queue.jobs) <= 1
    said = message.text()
    assert re.search(r"No quota was used|None of your pictures were used", said)
    for sign in ("Traceback", "Error", "<html", "http", "detail", "{"):
        assert sign not in said
    return said, message


async def single(sandbox: SandboxDriver, record: InteractionRecord, *, prompt: str = PROMPT) -> Message:
    """The picture, once: one submit at fal, one message that shows it."""
    message = await sandbox.picture(record)
    await sandbox.state(record, JobState.DELIVERED)
    assert len(sandbox.at_fal(prompt)) == 1
    shown = [one for one in sandbox.discord.messages(record.channel) if one.files and one.interaction_id == record.id]
    assert shown == [message]
    return message


def every_result(sandbox: SandboxDriver, body: bytes, content_type: str) -> None:
    """What every result holds from now on, whatever it says of itself."""
    url = sandbox.fal.files.keep(StoredFile(body, content_type), "0.png")
    content = {"images": [{"url": url, "content_type": content_type}], "has_nsfw_concepts": [False]}
    vars(sandbox.fal.queue)["_refusal"] = lambda job: StoredResponse.of(200, content)  # type: ignore[arg-type]
