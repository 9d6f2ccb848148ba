"""What Discord shows of the commands while they are typed: in English at once, in other languages by a translator."""

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
#: Where Discord asks for the name of a command or an option.
_NAMES = frozenset(
    {
        app_commands.TranslationContextLocation.command_name,
        app_commands.TranslationContextLocation.group_name,
        app_commands.TranslationContextLocation.parameter_name,
    }
)
#: Where `locale_str.extras` has the code of a message.
_CODE = "code"


def localized(code: str) -> locale_str:
    """The English message, which the translator finds in other languages by its code."""
    return locale_str(bundled().say(ENGLISH, Phrase(code)), **{_CODE: code})


def described(command: str) -> Callable[[Command], Command]:
    """Describe every option of a command by the messages `<command>_<option>`."""

    def describe(function: Command) -> Command:
        options = [name for name in inspect.signature(function).parameters if name not in ("self", "interaction")]
        texts = {name: localized(f"{command}_{name}") for name in options}
        return app_commands.describe(**texts)(function)

    return describe


class Translator(app_commands.Translator):
    """Offers Discord the descriptions in every language that there are files for."""

    def __init__(self, languages: Languages) -> None:
        self._languages = languages

    async def translate(
        self, string: locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        """The text, or None where Discord shall show the English one."""
        best, code = self._languages.best(locale.value), _code(string, context)
        if code is None or best == ENGLISH:
            return None
        return self._languages.language(best).format(code, {}, exactly=True)


def _code(string: locale_str, context: app_commands.TranslationContextTypes) -> str | None:
    """Descriptions and choices carry the code of their message; names of commands and options are its `.name`."""
    match context.data:
        case app_commands.Command() | app_commands.Group() as command:
            message = f"command_{_snake(command.qualified_name)}"
        case app_commands.Parameter() as option:
            message = f"{_snake(option.command.qualified_name)}_{option.name}"
        case _:
            message = ""
    named = context.location in _NAMES and message
    return f"{message}.name" if named else string.extras.get(_CODE)


def _snake(name: str) -> str:
    return name.replace(" ", "_").replace("-", "_")
