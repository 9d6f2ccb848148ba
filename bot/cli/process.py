"""What every command needs: exit codes, printing, logging, and running a coroutine to its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING

from bot.errors import EaselError

if TYPE_CHECKING:
    from bot.settings import Settings

OK = 0
#: Something went wrong while running, or `check` found a fault.
FAILED = 1
#: The operator has to mend something before Easel can start; argparse uses the same.
MISUSED = 2
#: What shells expect after Ctrl-C.
INTERRUPTED = 130


class OutputClosed(BrokenPipeError):
    """The reader of our standard output is gone; unlike other broken connections this is no failure."""


def say(line: str) -> None:
    """Print a line at once.

    Raises:
        OutputClosed: nobody reads it any more (`python -m bot models | head`).
    """
    try:
        print(line, flush=True)
    except BrokenPipeError as error:
        raise OutputClosed from error


def configure_logging(settings: Settings) -> None:
    """Log as the settings say; the secrets among them are removed from every line."""
    from bot import logs
    from bot.settings import secrets_of

    logs.configure(settings.log, secrets=secrets_of(settings))


def run_async(work: Coroutine[object, object, int | None]) -> int:
    """Run to the end, on uvloop where there is one; returns the exit code.

    The process's last line of defence: an unexpected error becomes a code for the operator and a traceback in the log.
    """
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(work) or OK
    except (EaselError, OutputClosed):
        raise
    except Exception as error:
        from bot.logs import incident

        code = incident(logging.getLogger("bot"), error)
        print(f"easel: something broke that should not (code {code}); the log above says where.", file=sys.stderr)
        return FAILED


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Makes uvloop's event loop; None (asyncio's own) where it is not installed."""
    try:
        import uvloop
    except ImportError:  # Windows and PyPy have none
        return None
    return uvloop.new_event_loop


@contextlib.contextmanager
def gc_disabled() -> Iterator[None]:
    """No garbage collection during imports: they leave hardly any garbage, and it takes a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
