"""Collecting what is wrong with a payload, as Discord's nested `errors` object."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, ParamSpec
from urllib.parse import urlsplit

from sandbox.discord.wire import DiscordError, Obj

Path = tuple[str | int, ...]

_SNOWFLAKE = re.compile(r"0|[1-9]\d{0,19}", re.ASCII)


class Problems:
    """Collects what is wrong, by path."""

    def __init__(self) -> None:
        self._tree: Obj = {}

    def add(self, path: Path, code: str, message: str) -> None:
        """Note one problem at a path such as `("components", 0, "label")`."""
        node = self._tree
        for step in path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def __bool__(self) -> bool:
        return bool(self._tree)

    def raise_if_any(self) -> None:
        """Raise 50035 when anything was noted."""
        if self._tree:
            raise DiscordError(400, 50035, "Invalid Form Body", errors=self._tree)

    # ------------------------------------------------------------------ the usual checks

    def required(self, path: Path) -> None:
        self.add(path, "BASE_TYPE_REQUIRED", "This field is required")

    def text(self, path: Path, value: object, longest: int, *, shortest: int = 0, required: bool = False) -> str | None:
        """A string between two lengths; None when it is absent or unusable."""
        if value is None:
            if required:
                self.required(path)
            return None
        if not isinstance(value, str):
            self.add(path, "STRING_TYPE_CONVERT", f'Could not interpret "{value!r}" as string.')
            return None
        if shortest and not value.strip():
            self.required(path)
        elif len(value) < shortest or length(value) > longest:
            if shortest:
                self.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {shortest} and {longest} in length.")
            else:
                self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {longest} or fewer in length.")
        return value

    def integer(self, path: Path, value: object, low: int, high: int, *, required: bool = False) -> int | None:
        """An integer in a range; a string of digits will do, as it does for Discord."""
        if value is None:
            if required:
                self.required(path)
            return None
        if isinstance(value, str) and value.lstrip("-").isdigit():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
            return None
        if value < low:
            self.add(path, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {low}.")
        elif value > high:
            self.add(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {high}.")
        return value

    def boolean(self, path: Path, value: object) -> None:
        """True or false, or absent."""
        if value is not None and not isinstance(value, bool):
            self.add(path, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")

    def booleans(self, at: Path, holder: Obj, *names: str) -> None:
        """Several of them in one object."""
        for name in names:
            self.boolean((*at, name), holder.get(name))

    def snowflake(self, path: Path, value: object, *, required: bool = False) -> None:
        """An id: digits, as text or as a number."""
        if value is None:
            if required:
                self.required(path)
        elif isinstance(value, bool) or not isinstance(value, str | int) or not _SNOWFLAKE.fullmatch(str(value)):
            self.add(path, "NUMBER_TYPE_COERCE", f'Value "{str(value)[:80]}" is not snowflake.')

    def url(self, path: Path, value: object, longest: int = 2048) -> None:
        """A web address, or absent."""
        text = self.text(path, value, longest)
        if text and urlsplit(text).scheme not in {"http", "https", "attachment"}:
            self.add(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")

    def mapping(self, path: Path, value: object) -> Obj:
        """An object; empty when it is absent or something else."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            return {}
        return value

    def unique(self, path: Path, values: Sequence[Any]) -> None:
        """Nothing is listed twice."""
        if len({repr(one) for one in values}) != len(values):
            self.add(path, "SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains this value")

    def array(
        self, path: Path, value: object, longest: int, *, shortest: int = 0, required: bool = False
    ) -> Sequence[Any]:
        """A list between two lengths; empty when absent or unusable."""
        if value is None:
            if required:
                self.required(path)
            return ()
        if not isinstance(value, list):
            self.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return ()
        if not shortest <= len(value) <= longest:
            if shortest:
                self.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {shortest} and {longest} in length.")
            else:
                self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {longest} or fewer in length.")
        return value

    def choice(self, path: Path, value: object, allowed: Collection[object], *, required: bool = False) -> None:
        """One of a closed set."""
        if value is None:
            if required:
                self.required(path)
        elif isinstance(value, bool) or value not in allowed:
            listed = ", ".join(str(one) for one in allowed)
            self.add(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{listed}}}.")


_Parameters = ParamSpec("_Parameters")


def refusing(check: Callable[_Parameters, None]) -> Callable[_Parameters, None]:
    """Decorates a check: a value of the wrong type inside the payload is answered with 50035, too."""

    @functools.wraps(check)
    def checked(*given: _Parameters.args, **named: _Parameters.kwargs) -> None:
        try:
            check(*given, **named)
        except (AttributeError, TypeError) as error:
            wrong = {"code": "DICT_TYPE_CONVERT", "message": "Only dictionaries may be used in a DictType"}
            raise DiscordError(400, 50035, "Invalid Form Body", errors={"_errors": [wrong]}) from error

    return checked


def length(text: str) -> int:
    """The length of a text where it has to stay below a limit, in UTF-16 units.

    Discord's parts count in different ways, some in code points. A limit that holds in UTF-16 units holds in both, so
    what is accepted here is accepted there. Where a text has to be long enough, `len` is the stricter way.
    """
    return len(text) + sum(ord(letter) > 0xFFFF for letter in text)
