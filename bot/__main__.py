"""The command line: `python -m bot [run|sandbox|check|models|costs|db]`.

Each command is `command(options)` in a module of `bot.cli`, which is imported when it is called.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from importlib import import_module
from typing import NoReturn

from bot.cli.process import FAILED, INTERRUPTED, MISUSED, OK
from bot.errors import BackupFailed, OperatorError
from bot.redaction import quoted, strictly


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ✓ gets a ?, not a traceback
    try:
        try:
            options = _parser().parse_args(arguments)
            return _command(options.command)(options)
        finally:
            print(end="", flush=True)
    except OperatorError as error:
        print(f"easel: {error.sentence}", file=sys.stderr)
        return FAILED if isinstance(error, BackupFailed) else MISUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `python -m bot models | head`
        with contextlib.suppress(OSError):  # the interpreter flushes what is left once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    command: Callable[[argparse.Namespace], int] = import_module(f"bot.cli.{name}").command
    return command


# ---------------------------------------------------------------------- arguments


class _Parser(argparse.ArgumentParser):
    """argparse's errors repeat what was typed, which may be a secret in the wrong place."""

    def error(self, message: str) -> NoReturn:
        super().error(strictly(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m bot",
        description="Easel paints on demand in Discord through fal.ai.",
        epilog="With DISCORD_TOKEN and FAL_KEY set, `run` starts the live bot; with neither, the sandbox.",
    )
    parser.set_defaults(command="run")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(name: str, about: str, examples: str) -> argparse.ArgumentParser:
        one = commands.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.set_defaults(command=name)
        return one

    add(
        "run",
        "start the bot, or the sandbox when neither token nor key is set (default)",
        "  DISCORD_TOKEN=… FAL_KEY=… python -m bot run\n  EASEL_CONFIG=/etc/easel.toml python -m bot",
    )
    sandbox = add(
        "sandbox",
        "try the bot in a browser, without any account; nothing leaves this machine",
        "  python -m bot sandbox\n  python -m bot sandbox --port 9000",
    )
    sandbox.add_argument("--port", type=_port, help="port of the page on 127.0.0.1; 0 takes a free one")
    sandbox.add_argument(
        "--host-name",
        action="append",
        default=[],
        metavar="NAME",
        help="another name under which a browser reaches the page, e.g. through a tunnel; may be given several times",
    )
    _add_check(add)
    models = add(
        "models",
        "list the models that are offered, with prices",
        "  python -m bot models\n  python -m bot models --json",
    )
    formats = models.add_mutually_exclusive_group()
    formats.add_argument(
        "--markdown", dest="format", action="store_const", const="markdown", help="as a table for GitHub"
    )
    formats.add_argument("--json", dest="format", action="store_const", const="json", help="for programs")
    models.set_defaults(format="text")
    _add_costs(add)
    _add_prices(models)
    _add_db(add)
    return parser


def _add_prices(models: argparse.ArgumentParser) -> None:
    actions = models.add_subparsers(title="actions", metavar="ACTION")
    about = "show what fal.ai takes beside what Easel reckons with; costs nothing"
    prices = actions.add_parser(
        "prices",
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog="examples:\n"
        "  python -m bot models prices              (as they were read last)\n"
        "  python -m bot models prices --refresh    (read them from fal.ai and keep them)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    prices.add_argument("--refresh", action="store_true", help="read them from fal.ai, with the key, and keep them")
    prices.set_defaults(command="prices")


def _add_check(add: Callable[..., argparse.ArgumentParser]) -> None:
    check = add(
        "check",
        "examine configuration, database, Discord and fal.ai, and say what to mend; costs nothing",
        "  python -m bot check\n  python -m bot check --health              (is the running bot well?)\n"
        "  python -m bot check --print-example > config.toml",
    )
    only = check.add_mutually_exclusive_group()
    only.add_argument(
        "--health",
        nargs="?",
        const="",
        metavar="URL",
        help="ask a running bot's /health instead; exit code 0 when ready",
    )
    only.add_argument("--print-example", action="store_true", help="print a config.toml with every setting")


def _add_costs(add: Callable[..., argparse.ArgumentParser]) -> None:
    costs = add(
        "costs",
        "say what was spent, also while the bot runs, and what could be spent at most",
        "  python -m bot costs                          (this month, by day)\n"
        "  python -m bot costs --by person --since 2026-11-24\n"
        "  python -m bot costs --by server --csv > costs.csv\n"
        "  python -m bot costs --worst-case             (the most that can be spent)\n\n"
        "OF IT RESERVED is for requests in progress, at the most that they can cost. ESTIMATED is where\n"
        "fal.ai told no bill or the price of a model is not known.",
    )
    costs.add_argument(
        "--by", choices=["day", "model", "person", "server"], default="day", help="what to add up by (default: day)"
    )
    costs.add_argument(
        "--since", type=_day, metavar="DAY", help="the first day (UTC), as 2026-11-24; default: the first of this month"
    )
    costs.add_argument("--csv", action="store_true", help="as CSV, for spreadsheets and programs")
    costs.add_argument(
        "--worst-case",
        action="store_true",
        help="instead: the most that one stranger, one server and everybody can spend, and which setting bounds it",
    )


def _add_db(add: Callable[..., argparse.ArgumentParser]) -> None:
    database = add(
        "db",
        "look after the database",
        "  python -m bot db check\n  python -m bot db backup --keep 7",
    )
    actions = database.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    actions.add_parser("upgrade", help="bring the database to this version (`run` does so by itself)")
    actions.add_parser("current", help="say which version the database has")
    actions.add_parser("check", help="look for damage")
    _add_backup(actions.add_parser)


def _add_backup(add: Callable[..., argparse.ArgumentParser]) -> None:
    about = "write a consistent copy while the bot runs (SQLite; for PostgreSQL it says what to use)"
    backup = add(
        "backup",
        help=about,
        description=about[0].upper() + about[1:] + ".",
        epilog="examples:\n"
        "  python -m bot db backup                      (into the folder `backups` beside the database)\n"
        "  python -m bot db backup --keep 7             (the same; all but the newest seven are deleted)\n"
        "  python -m bot db backup copy.db --replace    (always the same file)",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    backup.add_argument(
        "place",
        nargs="?",
        metavar="PLACE",
        help="a file, or a folder for copies with the date in their names",
    )
    several = backup.add_mutually_exclusive_group()
    several.add_argument(
        "--keep",
        type=_number_of_copies,
        metavar="N",
        help="put the date into the name, and keep the newest N copies only",
    )
    several.add_argument("--replace", action="store_true", help="replace an earlier copy of this name")


def _number_of_copies(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number of copies; it takes a whole number from 1")
    return int(text)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no day; write it as 2026-11-24") from None


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is no port; it takes a whole number from 0 (any free one) to 65535"
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
