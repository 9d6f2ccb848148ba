from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from bot.logs import configure, incident, incident_code
from bot.settings import LogSettings

BOT_TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.abcdefghijklmnopqrstuvwxyz0123456789AB"
FAL_KEY = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0:0123456789abcdef0123456789abcdef"
INTERACTION_TOKEN = "aW50ZXJhY3Rpb246MTIzNDU2Nzg5MDEyMzQ1Njc4OmFiY2RlZmdoaWprbG1ub3A"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    names = list(logging.root.manager.loggerDict)
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in names}
    yield
    root.handlers[:], root.level = before[0], before[1]
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(before[2].get(name, logging.NOTSET))
    logging.captureWarnings(False)


def logged(*secrets: str, level: str = "INFO", form: str = "text") -> io.StringIO:
    stream = io.StringIO()
    configure(LogSettings.model_validate({"level": level, "format": form}), secrets=secrets, stream=stream)
    return stream


def test_a_line_holds_time_level_logger_event_and_facts() -> None:
    stream = logged()

    logging.getLogger("bot.jobs").info("job finished", extra={"job": "k3x9", "took_s": 3.25, "why": "two words"})

    line = stream.getvalue().rstrip("\n")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z INFO bot\.jobs: "
        r'job finished job=k3x9 took_s=3\.25 why="two words"',
        line,
    )


def test_json_lines_hold_the_same_and_the_traceback() -> None:
    stream = logged(form="json")

    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("bot").exception("it broke", extra={"job": "k3x9"})

    event = json.loads(stream.getvalue())
    assert (event["level"], event["event"], event["job"]) == ("ERROR", "it broke", "k3x9")
    assert "ValueError: no" in event["trace"]


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"login with {BOT_TOKEN}", BOT_TOKEN),
        (f"key {FAL_KEY} refused", FAL_KEY),
        (f"PATCH https://discord.com/api/v10/webhooks/123/{INTERACTION_TOKEN}/messages/@original", INTERACTION_TOKEN),
        ("POST /webhooks/123/short-token_1 failed", "short-token_1"),
        ("POST /interactions/123/anything-at-all/callback", "anything-at-all"),
        (f"token was {INTERACTION_TOKEN}.", INTERACTION_TOKEN),
        ("Authorization: Key very-secret", "very-secret"),
        ("{'Authorization': 'Bot very-secret'}", "very-secret"),
        ('{"authorization": "Bearer very-secret"}', "very-secret"),
        ("https://cdn.discordapp.com/attachments/1/2/a.png?ex=1&is=2&hm=deadbeef", "deadbeef"),
        ("https://x.test/put?X-Amz-Signature=deadbeef&b=1", "deadbeef"),
        ("postgresql://easel:hunter2@db/easel", "hunter2"),
        ("sk-proj-0123456789abcdefghij", "0123456789abcdefghij"),
    ],
)
def test_what_looks_like_a_secret_never_reaches_the_log(text: str, secret: str) -> None:
    stream = logged()

    logging.getLogger("bot").warning("seen: %s", text)
    logging.getLogger("aiohttp.client").warning("seen", extra={"where": text})
    logging.getLogger("bot").error("broke", exc_info=RuntimeError(text))

    assert secret not in stream.getvalue()
    assert stream.getvalue().count("[removed]") == 3


def test_the_configured_secrets_are_removed_whatever_they_look_like() -> None:
    stream = logged("correct horse", "correct horse battery")

    logging.getLogger("discord.client").error("correct horse battery staple, correct horse")

    assert "horse" not in stream.getvalue()
    assert "staple" in stream.getvalue()


def test_a_very_short_secret_does_not_blank_every_line() -> None:
    stream = logged("x")

    logging.getLogger("bot").info("exactly")

    assert "exactly" in stream.getvalue()


def test_payloads_of_discord_py_are_refused_even_if_its_logger_is_lowered() -> None:
    stream = logged(level="DEBUG")
    logging.getLogger("discord").setLevel(logging.DEBUG)
    logging.getLogger("discord.gateway").setLevel(logging.DEBUG)

    logging.getLogger("discord.gateway").debug("for shard 0: %s", {"prompt": "a cat"})
    logging.getLogger("discord.http").debug("a cat")

    assert stream.getvalue() == ""


def test_debug_shows_our_own_lines_and_nobody_elses() -> None:
    stream = logged(level="DEBUG")

    logging.getLogger("bot.jobs").debug("ours")
    logging.getLogger("PIL.PngImagePlugin").debug("theirs")
    logging.getLogger("httpx").info("HTTP Request: GET https://queue.fal.run")

    assert "ours" in stream.getvalue()
    assert "theirs" not in stream.getvalue()
    assert "HTTP Request" not in stream.getvalue()


def test_the_missing_voice_libraries_are_no_news() -> None:
    stream = logged()

    logging.getLogger("discord.client").warning("PyNaCl is not installed, voice will NOT be supported")
    logging.getLogger("discord.client").warning("something else")

    assert "voice" not in stream.getvalue()
    assert "something else" in stream.getvalue()


def test_an_incident_code_can_be_read_out() -> None:
    assert incident_code(b"\x7f\x3a\x91\xff") == "7F3A-91"
    assert re.fullmatch(r"[0-9A-F]{4}-[0-9A-F]{2}", incident())


def test_an_incident_is_logged_under_its_code_with_the_traceback() -> None:
    stream = logged()

    code = incident(logging.getLogger("bot.x"), RuntimeError("oh no"), random=b"\x00\x01\x02")

    assert code == "0001-02"
    assert "code=0001-02" in stream.getvalue()
    assert "RuntimeError: oh no" in stream.getvalue()
