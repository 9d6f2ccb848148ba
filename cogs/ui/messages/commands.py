"""Names and descriptions of the slash commands: in English directly, in other languages through a translator."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import discord
from discord import app_commands
from discord.app_commands import locale_str

from bot.phrase import Phrase
from cogs.ui.messages.languages import ENGLISH, Languages, bundled

Command = TypeVar("Command", bound=Callable[..., Any])
#: The locations of a translation that are names, of a command or an option.
_NAMES = frozenset(
    {
        app_commands.TranslationContextLocation.command_name,
        app_commands.TranslationContextLocation.group_name,
        app_commands.TranslationContextLocation.parameter_name,
    }
)
#: Key in `locale_str.extras` of the message's code.
_CODE = "code"


def localized(code: str) -> locale_str:
    """The English message, with its code, by which the translator finds it in other languages."""
    return locale_str(bundled().say(ENGLISH, Phrase(code)), **{_CODE: code})


def described(command: str) -> Callable[[Command], Command]:
    """Describe every option of a command with the message `<command>_<option>`."""

    def describe(function: Command) -> Command:
        options = [name for name in inspect.signature(function).parameters if name not in ("self", "interaction")]
        texts = {name: localized(f"{command}_{name}") for name in options}
        return app_commands.describe(**texts)(function)

    return describe


def translates_commands(languages: Languages, tree: app_commands.CommandTree[Any]) -> bool:
    """Whether a language other than English has a message for any command of the tree, or for an option of one."""
    named: set[str] = set()
    for command in tree.walk_commands():
        options = command.parameters if isinstance(command, app_commands.Command) else ()
        named |= {_message(command), *map(_message, options)}
    others = (locale for locale in languages.locales if locale != ENGLISH)
    return any(named & set(languages.language(locale).sources) for locale in others)


class Translator(app_commands.Translator):
    """Gives discord.py the names and descriptions in every language that has message files."""

    def __init__(self, languages: Languages) -> None:
        self._languages = languages

    async def translate(
        self, string: locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """The translated text; None where Discord is to show the English one."""
        best, code = self._languages.best(locale.value), _code(string, context)
        if code is None or best == ENGLISH:
            return None
        return self._languages.language(best).format(code, {}, exactly=True)


def _code(string: locale_str, context: app_commands.TranslationContextTypes) -> str | None:
    """The code of the message: for names, the attribute `.name` of the command's or option's; else from `extras`."""
    message = _message(context.data) if context.location in _NAMES else ""
    return f"{message}.name" if message else string.extras.get(_CODE)


def _message(named: object) -> str:
    """The code of the message about a command or an option; empty for anything else that has a name."""
    match named:
        case app_commands.Command() | app_commands.Group() as command:
            return f"command_{_snake(command.qualified_name)}"
        case app_commands.Parameter() as option:
            return f"{_snake(option.command.qualified_name)}_{option.name}"
    return ""


def _snake(name: str) -> str:
    return name.replace(" ", "_").replace("-", "_")
