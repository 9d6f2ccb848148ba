"""Where settings come from: environment, `.env`, secret files and config.toml, read once and merged.

pydantic-settings reads and merges. Added here is what it does not do: the usual names of the three secrets, refusing
unknown `EASEL_` names, and naming the place of a value.
"""

from __future__ import annotations

import os
import re
import tomllib
import typing
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    DotEnvSettingsSource,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsError,
    TomlConfigSettingsSource,
)

from bot.errors import SettingsInvalid
from bot.redaction import name_shown, quoted, strictly
from bot.settings import flaws
from bot.settings.explain import did_you_mean, explain
from bot.settings.model import Settings
from bot.settings.schema import ALIASES, SettingPath, field_at, variable_name, without_none

#: EASEL_ variables that are no settings.
_OTHER_VARIABLES = frozenset({"EASEL_CONFIG", "EASEL_SECRETS_DIR", "EASEL_CHROMIUM"})

#: Variables that Kubernetes and Docker links set for a service called "easel".
_SERVICE_LINK = re.compile(r"EASEL_(SERVICE_(HOST|PORT.*)|PORT(_\d+_.*)?|NAME|ENV_.*)$")


def load_settings(*, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Settings:
    """Read every source once.

    Raises:
        SettingsInvalid: names each wrong key or value, where it stands, and what is allowed there.
    """
    sources = _sources(os.environ if environ is None else environ, Path.cwd() if cwd is None else cwd)
    quoted_values = {place: sentence for source in sources for place, sentence in source.quoted_values()}
    problems = [problem for source in sources for problem in source.unknown()]
    problems += [f"{place}: {sentence}" for place, sentence in quoted_values.items()]
    try:
        settings = Settings(_build_sources=(sources, {}))
    except ValidationError as error:
        wrong = [explain(detail, sources) for detail in error.errors(include_url=False)]
        problems += [one for one in wrong if not one.startswith(tuple(f"{place}: " for place in quoted_values))]
    else:
        if not problems:
            return settings
    raise SettingsInvalid("\n".join(problems))  # no `from`: the cause holds values, secrets among them


def _sources(environ: Mapping[str, str], cwd: Path) -> tuple[_Source, ...]:
    """Every source that exists, the highest precedence first."""
    environment, dotenv = _Environment(environ), _open_source(_Dotenv, cwd / ".env")
    sources: list[_Source] = [environment, dotenv]
    for source in (environment, dotenv):
        for name in sorted(_OTHER_VARIABLES):
            sentence = flaws.quotes(source.env_vars.get(name.lower()) or "")
            if sentence is not None:
                raise SettingsInvalid(f"{name} {source.location}: {sentence}")
    folder = environment.env_vars.get("easel_secrets_dir") or dotenv.env_vars.get("easel_secrets_dir")
    if folder is not None:
        if not (cwd / folder).is_dir():
            raise SettingsInvalid(f"EASEL_SECRETS_DIR is {quoted(folder)}, which is no folder.")
        sources.append(_open_source(_SecretFiles, cwd / folder))
    named = environment.env_vars.get("easel_config") or dotenv.env_vars.get("easel_config")
    file = cwd / (named or "config.toml")
    if file.is_file():
        sources.append(_open_source(_TomlFile, file))
    elif named is not None or file.exists():
        raise SettingsInvalid(
            f"{'EASEL_CONFIG' if named else file} can't be read: {strictly(str(named or file))} is no such file."
        )
    return tuple(sources)


_AnySource = TypeVar("_AnySource", bound="_Source")


def _open_source(source: Callable[[Path], _AnySource], path: Path) -> _AnySource:
    try:
        return source(path)
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path} is no valid TOML: {name_shown(str(error))}.") from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"{path} can't be read: it is not UTF-8 text.") from error
    except OSError as error:
        raise SettingsInvalid(f"{error.filename or path} can't be read: {error.strerror or error}.") from error
    except SettingsError as error:  # NestedSecretsSettingsSource refuses a folder that is too large
        raise SettingsInvalid(f"{path} can't be read: {error}.") from error


class _Source(PydanticBaseSettingsSource):
    """A pydantic-settings source that can also say where a value came from."""

    def unknown(self) -> Iterator[str]:
        """A sentence for each unknown name that validation would not notice."""
        return iter(())

    def quoted_values(self) -> Iterator[tuple[str, str]]:
        """The place of each value that arrived with quotes around it, and a sentence on that."""
        return iter(())

    @abstractmethod
    def where(self, path: SettingPath) -> str | None:
        """How people call the place of the value at `path`; None when it is not from here."""

    def similar(self, path: SettingPath) -> str:
        """What may have been meant with `path`."""
        return did_you_mean(path, ".".join)

    def _holds(self, path: SettingPath) -> bool:
        table: object = self()
        for part in path:
            if not isinstance(table, dict):
                return True
            if part not in table:
                return False
            table = table[part]
        return True


class _Variables(_Source, EnvSettingsSource):
    """Names and texts. Added to the library: the secrets' usual names, blank counts as not set, no unknown names."""

    location = "in the environment"

    def _load_env_vars(self) -> Mapping[str, str | None]:
        texts = {name: flaws.trimmed(text or "") for name, text in super()._load_env_vars().items()}
        texts = {name: text for name, text in texts.items() if text}
        for usual, path in ALIASES.items():
            if usual.lower() in texts:  # within one source the longer name wins
                texts.setdefault(variable_name(path).lower(), texts[usual.lower()])
        return texts

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """JSON, or commas for lists; anything else is passed on as it is, for validation to refuse."""
        is_list = typing.get_origin(without_none(getattr(field, "annotation", None))) is tuple
        try:
            found = super().decode_complex_value(field_name, field, value)
        except ValueError:
            found = value
        if is_list and not isinstance(found, list):
            return [part.strip() for part in value.split(",") if part.strip()]
        return found

    def quoted_values(self) -> Iterator[tuple[str, str]]:
        for name in sorted(self._as_written()):
            sentence = flaws.quotes(self.env_vars[name] or "")
            if sentence is not None:
                yield f"{name_shown(name.upper())} {self.location}", sentence

    def _as_written(self) -> Iterator[str]:
        """The variables that are settings; a secret given under its usual name under that one only."""
        made = {variable_name(path).lower() for usual, path in ALIASES.items() if usual.lower() in self.env_vars}
        for name in self.env_vars:
            section = name.removeprefix("easel_").split("__")[0]
            known = _is_easel_variable(name.upper()) and field_at((section,)) is not None
            if name.upper() in ALIASES or (known and name not in made):
                yield name

    def unknown(self) -> Iterator[str]:
        for name in sorted(name.upper() for name in self.env_vars):
            path = tuple(name.removeprefix("EASEL_").lower().split("__"))
            # Only the first part: what is wrong further down reaches validation, which refuses it.
            if _is_easel_variable(name) and field_at(path[:1]) is None:
                meant = did_you_mean(path, variable_name)
                yield f"{name_shown(name)} {self.location}: there is no such setting.{meant}"
            clean = flaws.name_meant(name)
            if clean != name and (clean in ALIASES or clean.startswith("EASEL_")):
                yield (
                    f"{name_shown(clean)} {self.location}: an invisible character, or a quotation mark, arrived as "
                    "part of its name. Write that line anew."
                )

    def where(self, path: SettingPath) -> str | None:
        names = (variable_name(path[:end]) for end in range(len(path), 0, -1))
        name = next((name for name in names if name.lower() in self.env_vars), None)
        if name is None or not self._holds(path):
            return None
        usual = next((usual for usual, secret in ALIASES.items() if secret == path), None)
        given_as_usual = usual is not None and self.env_vars.get(usual.lower()) == self.env_vars[name.lower()]
        return f"{usual if given_as_usual else name_shown(name)} {self.location}"

    def similar(self, path: SettingPath) -> str:
        return did_you_mean(path, variable_name if variable_name(path).lower() in self.env_vars else ".".join)


class _EnvironmentMapping(EnvSettingsSource):
    """The environment as a mapping that the caller passes in."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): text for name, text in self._environ.items()}


class _Environment(_Variables, _EnvironmentMapping):
    pass


class _Dotenv(_Variables, DotEnvSettingsSource):
    location = "in .env"

    def __init__(self, file: Path) -> None:
        super().__init__(Settings, env_file=file)

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        # No interpolation: a password may hold ${…}. utf-8-sig: Windows' editor saves with a byte order mark.
        values = dotenv_values(file_path, interpolate=False, encoding="utf-8-sig")
        return {name.lower(): text for name, text in values.items()}


class _SecretFiles(_Variables, NestedSecretsSettingsSource):
    """Files named like the variables, as Docker and Kubernetes mount secrets. Other files are not opened."""

    location = "in the secrets folder"

    def __init__(self, folder: Path) -> None:
        NestedSecretsSettingsSource.__init__(self, Settings, folder)  # type: ignore[arg-type]  # it takes a class too

    @staticmethod
    def _iter_secret_files(path: Path) -> Iterator[Path]:
        files = NestedSecretsSettingsSource._iter_secret_files(path)
        return (file for file in files if file.name.upper() in ALIASES or _is_easel_variable(file.name.upper()))


class _TomlFile(_Source, TomlConfigSettingsSource):
    """config.toml. Added to the library: `name = ""` counts as not set; a byte order mark is skipped."""

    def __init__(self, file: Path) -> None:
        self._file = file
        super().__init__(Settings, toml_file=file)

    def _read_file(self, path: Any) -> dict[str, Any]:
        return _without_blanks(tomllib.loads(path.read_text("utf-8-sig")))

    def where(self, path: SettingPath) -> str | None:
        return f"`{'.'.join(map(name_shown, path))}` in {self._file}" if self._holds(path) else None


def _without_blanks(table: Mapping[str, Any], above: SettingPath = ()) -> dict[str, Any]:
    """Without `name = ""` and empty tables; unknown names stay, so that validation refuses them."""
    full: dict[str, Any] = {}
    for name, value in table.items():
        path = (*above, name)
        if isinstance(value, dict) and value:
            full[name] = _without_blanks(value, path)
        elif value not in ("", {}) or field_at(path) is None:
            full[name] = value
    return full


def _is_easel_variable(variable: str) -> bool:
    return variable.startswith("EASEL_") and variable not in _OTHER_VARIABLES and _SERVICE_LINK.match(variable) is None
