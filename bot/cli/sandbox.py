"""`python -m bot sandbox`: stand-ins for Discord and fal on this machine, with a page to try the bot on."""

from __future__ import annotations

import argparse
from importlib import import_module

from bot.cli.process import configure_logging, run_async
from bot.settings import load_settings


def command(options: argparse.Namespace) -> int:
    """Run until a signal; returns the exit code."""
    configure_logging(load_settings())
    return start(options.port)


def start(port: int | None = None) -> int:
    """Run the sandbox; None takes its usual port."""
    # By name: nothing in `bot` imports the sandbox, which stands beside it.
    main = import_module("sandbox.run").main
    return run_async(main() if port is None else main(port=port))
