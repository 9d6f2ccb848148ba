"""`python -m bot check`: examine everything a live bot depends on, and say what to do about each fault.

report.py          the report
machine.py         settings, database, disk and models
discord_api.py     token, application, identifies, permissions
alerts_channel.py  whether the bot may post where alerts go
fal_api.py         key, balance, uploads, prices
findings.py        the lines of the report
"""

from __future__ import annotations

import argparse

from bot.cli.process import FAILED, OK, run_async, say
from bot.errors import SettingsInvalid


def command(options: argparse.Namespace) -> int:
    """Print the report, the answer of /health, or an example of config.toml; returns the exit code."""
    if options.health is not None:
        return _health(options.health)
    if options.print_example:
        return _print_example()
    return _report()


def _health(url: str) -> int:
    from bot.cli import probe  # alone: Docker asks every half minute

    if not url:
        from bot.settings import load_settings

        url = probe.url_of(load_settings().web)
    return probe.ask(url, say)


def _print_example() -> int:
    from bot.settings import example_toml

    say(example_toml().rstrip("\n"))
    return OK


def _report() -> int:
    from bot.settings import load_settings

    try:
        settings = load_settings()
    except SettingsInvalid as error:
        say("\n".join(f"✗ {line}" for line in error.sentence.splitlines()))
        return FAILED
    from bot.cli.check import report

    return run_async(report.run(settings, say))
