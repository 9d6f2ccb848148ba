"""`python -m bot sandbox`: stand-ins for Discord and fal on this machine, with a page to try the bot on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

from bot.cli.process import configure_logging, run_async
from bot.settings import load_settings


def command(options: argparse.Namespace) -> int:
    """Run until a signal; returns the exit code."""
    configure_logging(load_settings())
    return start(options.port, options.host_name)


def start(port: int | None = None, host_names: Sequence[str] = ()) -> int:
    """Run the sandbox.

    Args:
        port: of its page; None takes the usual one.
        host_names: under which the page may be reached, beside those of loopback.
    """
    # By name: nothing in `bot` imports the sandbox, which stands beside it.
    main = import_module("sandbox.run").main
    return run_async(main(host_names=host_names) if port is None else main(port=port, host_names=host_names))
