"""The command line: `python -m bot [run|sandbox|check|models|db]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import BackupFailed, EaselError, OperatorError, SettingsInvalid

if TYPE_CHECKING:
    from bot.settings import Settings

OK = 0
#: Something went wrong while running, or `check` found something to mend.
FAILED = 1
#: The operator has to mend something before Easel can start; argparse uses the same.
MISUSED = 2
#: What shells expect after Ctrl-C.
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ✓ gets a ?, not a traceback
    try:
        try:
            options = _parser().parse_args(arguments)
            command: Callable[[argparse.Namespace], int] = options.command
            return command(options)
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


class _Unread(BrokenPipeError):
    """Whoever read what we print is gone; a connection that breaks is another matter."""


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError as error:
        raise _Unread from error


# ---------------------------------------------------------------------- commands


def _run(_options: argparse.Namespace) -> int:
    from bot.settings import load_settings, mode

    settings = load_settings()
    _log(settings)
    if mode(settings) == "sandbox":
        return _start_sandbox()
    with _uncollected():
        from bot.app import run

    return _guarded(run(settings))


def _sandbox(options: argparse.Namespace) -> int:
    from bot.settings import load_settings

    _log(load_settings())
    return _start_sandbox(options.port)


def _start_sandbox(port: int | None = None) -> int:
    # By name: nothing in `bot` imports the sandbox, which stands beside it.
    sandbox = import_module("sandbox.run").main
    return _guarded(sandbox() if port is None else sandbox(port=port))


def _check(options: argparse.Namespace) -> int:
    if options.health is not None:
        return _health(options.health)
    from bot.settings import example_toml, load_settings

    if options.print_example:
        _say(example_toml().rstrip("\n"))
        return OK
    try:
        settings = load_settings()
    except SettingsInvalid as error:
        _say("\n".join(f"✗ {line}" for line in error.sentence.splitlines()))
        return FAILED
    from bot.cli import check

    return _guarded(check.run(settings, _say))


def _health(url: str) -> int:
    from bot.cli import probe

    if not url:
        from bot.settings import load_settings

        url = probe.url_of(load_settings().web)
    return probe.ask(url, _say)


def _models(options: argparse.Namespace) -> int:
    from bot.catalogue import load
    from bot.cli import models
    from bot.settings import load_settings

    settings = load_settings()
    catalogue = load(
        folder=settings.models.folder,
        disabled=settings.models.disabled,
        prices_usd=settings.models.prices_usd,
        has_openai_key=settings.fal.openai_api_key is not None,
    )
    show = {"text": models.as_text, "markdown": models.as_markdown, "json": models.as_json}[options.format]
    _say(show(catalogue.models))
    return OK


def _db(options: argparse.Namespace) -> int:
    from bot.cli import db
    from bot.settings import load_settings

    settings = load_settings()
    _log(settings)
    if options.action == "backup":
        return _guarded(db.backup(settings.database_url, options.file, _say))
    action = {"upgrade": db.upgrade, "current": db.current, "check": db.check}[options.action]
    return _guarded(action(settings.database_url, _say))


# ---------------------------------------------------------------------- helpers


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """For imports: they make many objects and hardly any garbage, and looking for it takes a tenth of the start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _log(settings: Settings) -> None:
    from bot import logs

    secrets = (settings.discord.token, settings.fal.key, settings.fal.openai_api_key)
    logs.configure(settings.log, secrets=[secret.get_secret_value() for secret in secrets if secret is not None])


def _guarded(work: Coroutine[object, object, int | None]) -> int:
    """Run to the end on the quickest event loop there is; an unexpected error becomes a code and a log line."""
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(work) or OK
    except (EaselError, _Unread):
        raise
    except Exception as error:  # the process's last line of defence
        from bot.logs import incident

        code = incident(logging.getLogger("bot"), error)
        print(f"easel: something broke that should not (code {code}); the log above says where.", file=sys.stderr)
        return FAILED


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows and PyPy have none
        return None
    return uvloop.new_event_loop


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; it takes a whole number from 0 (any free one) to 65535")
    return int(text)


# ---------------------------------------------------------------------- arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot",
        description="Easel paints on demand in Discord through fal.ai.",
        epilog="With DISCORD_TOKEN and FAL_KEY set, `run` starts the live bot; with neither, the sandbox.",
    )
    parser.set_defaults(command=_run)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    def add(
        name: str, command: Callable[[argparse.Namespace], int], about: str, examples: str
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(
            name,
            help=about,
            description=about[0].upper() + about[1:] + ".",
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.set_defaults(command=command)
        return one

    add(
        "run",
        _run,
        "start the bot, or the sandbox when neither token nor key is set (default)",
        "  DISCORD_TOKEN=… FAL_KEY=… python -m bot run\n  EASEL_CONFIG=/etc/easel.toml python -m bot",
    )
    sandbox = add(
        "sandbox",
        _sandbox,
        "try the bot in a browser, without any account; nothing leaves this machine",
        "  python -m bot sandbox\n  python -m bot sandbox --port 9000",
    )
    sandbox.add_argument("--port", type=_port, help="port of the page on 127.0.0.1; 0 takes a free one")
    _add_check(add)
    models = add(
        "models",
        _models,
        "list the models that are offered, with prices",
        "  python -m bot models\n  python -m bot models --json",
    )
    formats = models.add_mutually_exclusive_group()
    formats.add_argument(
        "--markdown", dest="format", action="store_const", const="markdown", help="as a table for GitHub"
    )
    formats.add_argument("--json", dest="format", action="store_const", const="json", help="for programs")
    models.set_defaults(format="text")
    _add_db(add)
    return parser


def _add_check(add: Callable[..., argparse.ArgumentParser]) -> None:
    check = add(
        "check",
        _check,
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


def _add_db(add: Callable[..., argparse.ArgumentParser]) -> None:
    database = add(
        "db",
        _db,
        "look after the database",
        "  python -m bot db check\n  python -m bot db backup easel-backup.db",
    )
    actions = database.add_subparsers(title="actions", metavar="ACTION", required=True, dest="action")
    actions.add_parser("upgrade", help="bring the database to this version (`run` does so by itself)")
    actions.add_parser("current", help="say which version the database has")
    actions.add_parser("check", help="look for damage")
    backup = actions.add_parser("backup", help="write a consistent copy while the bot runs (SQLite)")
    backup.add_argument("file", type=Path, metavar="FILE", help="a file that does not exist yet")


if __name__ == "__main__":
    sys.exit(main())
