"""`python -m bot run`: the live bot, or the sandbox where neither token nor key is set."""

from __future__ import annotations

import argparse

from bot.cli.process import configure_logging, gc_disabled, run_async
from bot.cli.sandbox import start
from bot.settings import load_settings, mode


def command(_options: argparse.Namespace) -> int:
    """Run until a signal; returns the exit code."""
    settings = load_settings()
    configure_logging(settings)
    if mode(settings) == "sandbox":
        return start()
    with gc_disabled():
        from bot.app import run

    return run_async(run(settings))
