"""Logging: one line an event, secrets removed from every one of them.

Easel's own lines carry ids and numbers, never prompts. Redaction removes what looks like a secret, but no pattern
recognises a prompt: so discord.py's DEBUG lines, which hold whole payloads, are dropped whatever the level.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from secrets import token_bytes
from typing import Protocol, TextIO

from bot.redaction import Redaction

#: Attributes of every LogRecord; all others came with `extra=`.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

#: They log every call with its URL at INFO, so they start at WARNING.
_QUIET = ("aiohttp.access", "alembic", "asyncio", "fal_client", "httpcore", "httpx", "PIL", "sqlalchemy")


class LogOptions(Protocol):
    """The `[log]` section of the settings."""

    @property
    def level(self) -> str:
        """Lowest level of our own lines."""

    @property
    def format(self) -> str:
        """`text` or `json`."""


def configure(options: LogOptions, *, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Replace all handlers by one, for the life of the process.

    Args:
        secrets: exact values to remove wherever they turn up, beside what is recognised by its shape.
        stream: stderr, unless told otherwise.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(is_loggable)
    redact = Redaction(secrets)
    handler.setFormatter(JsonLines(redact) if options.format == "json" else TextLines(redact))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = logging.getLevelNamesMapping()[options.level]
    root.setLevel(max(level, logging.INFO))
    for name in ("bot", "cogs"):
        logging.getLogger(name).setLevel(level)
    logging.getLogger("discord").setLevel(max(level, logging.INFO))
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)


def is_loggable(record: logging.LogRecord) -> bool:
    """Whether a record may be written at all."""
    library = record.name.partition(".")[0]
    if library not in ("bot", "cogs", "__main__") and record.levelno < logging.INFO:
        return False  # payloads and prompts, even if somebody lowered that logger's level
    if record.name == "discord.client" and str(record.msg).startswith("Attempting a reconnect") and record.exc_info:
        # Connections break every day: one line with the error's type, no traceback.
        record.error = type(record.exc_info[1]).__name__
        record.exc_info, record.levelno, record.levelname = None, logging.WARNING, "WARNING"
    # Easel uses no voice channels, so the missing voice libraries are not worth a warning.
    return not (record.name == "discord.client" and "voice will NOT be supported" in str(record.msg))


class TextLines(logging.Formatter):
    """`2026-11-21 01:32:28.123Z INFO bot.jobs: job finished job=k3x9 took_s=3.2`."""

    def __init__(self, redact: Redaction) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        facts = "".join(f" {name}={_value(value)}" for name, value in _extra(record).items())
        lines = [f"{moment}Z {record.levelname} {record.name}: {record.getMessage()}{facts}", *self._tail(record)]
        return self._redact("\n".join(lines))

    def _tail(self, record: logging.LogRecord) -> list[str]:
        tail = [self.formatException(record.exc_info)] if record.exc_info else []
        return [*tail, self.formatStack(record.stack_info)] if record.stack_info else tail


class JsonLines(TextLines):
    """One JSON object a line, for log collectors."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **_extra(record),
        }
        if tail := "\n".join(self._tail(record)):
            event["trace"] = tail
        return self._redact(json.dumps(event, default=str, ensure_ascii=False))


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _USUAL}


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = str(value)
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)


def incident_code(random: bytes) -> str:
    """A short code that people can read out, e.g. `7F3A-91`; wants three random bytes."""
    digits = random[:3].hex().upper()
    return f"{digits[:4]}-{digits[4:]}"


def incident(
    logger: logging.Logger | None = None, error: BaseException | None = None, *, random: bytes | None = None
) -> str:
    """A new code under which a person can report an unexpected error.

    With a logger and the error, the error is logged with its traceback under that code, too.
    """
    code = incident_code(token_bytes(3) if random is None else random)
    if logger is not None:
        logger.error("unexpected error", extra={"code": code}, exc_info=error)
    return code
