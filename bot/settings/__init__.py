"""Frozen settings from config.toml, environment variables, `.env` and secret files.

Precedence, highest first: environment, `.env`, secret files, config.toml, defaults. Built once in
`__main__` and passed down; nothing else in the project reads the environment. pydantic-settings reads
and merges; ours is the refusing: which source holds a mistake, and what was probably meant.

An `EASEL_…` variable names a setting by its path, with `__` between the parts and in any case:
`EASEL_FAL__MAX_IN_FLIGHT=0` is `max_in_flight` in section `[fal]`. What nobody understands is refused
rather than ignored: a misspelt limit would otherwise be no limit.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
import typing
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from bot.errors import SettingsInvalid, TokenMissing


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        if not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"a URL that starts with {schemes[0]}://")
        return value

    return AfterValidator(check)


def _reachable(value: str) -> str:
    """Where fal may call: https only; plain http is for stand-ins on this machine."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises on one that is no number
    except ValueError:
        parts = urlsplit("")
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    plain = not (parts.query or parts.fragment or parts.username) and value.isascii() and value.isprintable()
    if not (parts.scheme == "https" or (parts.scheme == "http" and loopback)) or not parts.hostname or not plain:
        raise ValueError("a URL that starts with https://, without a query (http:// on this machine only)")
    return value


_WebUrl = Annotated[str, _url("https", "http")]
_PublicUrl = Annotated[str, AfterValidator(_reachable)]
_SocketUrl = Annotated[str, _url("wss", "ws")]


def _one_word(value: SecretStr | None) -> SecretStr | None:
    """Keys and tokens travel in HTTP headers; a line break or an umlaut in one is a slip of copying."""
    text = value.get_secret_value() if value is not None else "-"
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise ValueError("the token or key alone, without spaces, line breaks or other characters around it")
    return value


_Secret = Annotated[SecretStr | None, AfterValidator(_one_word)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DiscordSettings(_Section):
    """How Discord is reached and what is shown there."""

    token: _Secret = Field(None, description="Bot token, usually given as DISCORD_TOKEN.")
    api_url: _WebUrl = Field("https://discord.com/api/v10", description="Base URL of Discord's REST API.")
    gateway_url: _SocketUrl = Field("wss://gateway.discord.gg/", description="Discord's gateway.")
    sync_commands: bool = Field(True, description="Register the slash commands at start when they changed.")
    progress_interval_s: float = Field(2.5, ge=1, description="Least time between two edits of one progress message.")
    progress_edits_per_s: float = Field(
        15, gt=0, description="Most progress edits a second over all messages; results never wait for this."
    )


class FalSettings(_Section):
    """How fal.ai is reached."""

    key: _Secret = Field(None, description="fal.ai API key, usually given as FAL_KEY.")
    openai_api_key: _Secret = Field(
        None,
        description="For the gpt-image-1 byok model; usually OPENAI_API_KEY. Without it the model is not offered.",
    )
    queue_url: _WebUrl | None = Field(
        None, description="Base URL of fal's queue, when it is not the usual https://queue.fal.run/."
    )
    rest_url: _WebUrl | None = Field(
        None, description="Base URL of fal's REST API (storage tokens), when not the usual one."
    )
    cdn_url: _WebUrl | None = Field(None, description="Base URL of fal's upload CDN, when not the usual one.")
    api_url: _WebUrl | None = Field(
        None, description="Base URL of fal's platform API (list of requests), when not the usual https://api.fal.ai."
    )
    max_in_flight: int = Field(
        10,
        ge=0,
        description="Jobs handed to fal at once, by all processes together; 0 lifts the limit. "
        "fal starts 2 at once on a new account, up to 40.",
    )
    guild_jobs_in_flight: int = Field(
        0, ge=0, description="Jobs of one server at fal at once, the rest of them waits; 0: no such limit."
    )
    user_jobs_in_flight: int = Field(
        0, ge=0, description="Jobs of one person at fal at once, the rest of them waits; 0: no such limit."
    )
    start_timeout_s: float = Field(600, gt=1, description="fal drops a request that has not started painting by then.")
    reconcile_s: float = Field(
        660,
        ge=0,
        description="When fal's answer to a submit was lost: how long it is looked for there before it is sent again; "
        "longer than start_timeout_s, because fal lists only what has started.",
    )
    job_timeout_s: float = Field(1800, gt=1, description="We give a job up, and cancel it at fal, after this time.")
    safety_checker: Literal["on", "off_in_age_restricted"] = Field(
        "on", description="fal's safety checker is always on, or off in age-restricted channels only."
    )
    store_payloads: bool = Field(
        True, description="Let fal keep request payloads (30 days); false sends X-Fal-Store-IO: 0."
    )
    max_streams: int = Field(
        1000,
        ge=0,
        description="Most status streams open at once (some 80 kB each); further jobs are polled. 0 polls always.",
    )


class Tier(_Section):
    """Limits for one group of people. A person gets the most generous tier among their roles."""

    images_per_hour: float = Field(30, gt=0, description="Sustained pace per person.")
    burst_images: int = Field(
        8, ge=1, description="Images a rested person may ask for at once before the pace applies."
    )
    images_per_day: int = Field(60, ge=0, description="Images per person and day (UTC).")
    concurrent_jobs: int = Field(3, ge=1, description="Unfinished jobs per person.")
    weight: float = Field(1, gt=0, description="Share of the queue compared with others.")


def _role_id(value: str) -> str:
    """People's roles are compared with it as text, so a leading zero or a name would never match."""
    if not (value.isascii() and value.isdigit()) or value.startswith("0"):
        raise ValueError(
            "the id of a Discord role, a number: with Discord's Developer Mode on, right-click the role, Copy Role ID"
        )
    return value


class LimitSettings(_Section):
    """Who may paint how much. Overridable per server with /settings limits."""

    enabled: bool = Field(True, description="false lifts every limit.")
    default: Tier = Field(default_factory=Tier, description="Everybody without a better tier.")
    tiers: dict[Annotated[str, AfterValidator(_role_id)], Tier] = Field(
        default_factory=dict, description="Better tiers by role id."
    )
    guild_images_per_day: int = Field(500, ge=0, description="Images per server and day (UTC).")
    guild_concurrent_jobs: int = Field(0, ge=0, description="Unfinished jobs per server; 0: no such limit.")
    max_waiting_jobs: int = Field(25_000, ge=1, description="Beyond this many waiting jobs new ones are refused.")


class ModelSettings(_Section):
    """Which models are offered."""

    default: str = Field("flux-schnell", description="Model used when nobody chose one (key or endpoint id).")
    folder: Path | None = Field(None, description="Folder with your own model TOML files; same endpoint replaces ours.")
    disabled: tuple[str, ...] = Field((), description="Keys or endpoint ids that are not offered.")
    prices_usd: dict[str, Decimal] = Field(
        default_factory=dict, description="Your own price per unit, by key or endpoint id."
    )


class WebSettings(_Section):
    """The built-in web server (health, metrics, fal's callbacks). Off without a port."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int | None = Field(None, ge=1, le=65535, description="Port to listen on; unset: no web server.")
    public_url: _PublicUrl | None = Field(
        None,
        description="Where fal.ai reaches this server from outside, https; needs a port. Let your proxy pass on /fal/ "
        "alone. Without it results are found by asking fal.",
    )
    metrics: bool = Field(True, description="Figures for Prometheus at /metrics; they name nobody.")


class PrivacySettings(_Section):
    """How long things are kept."""

    keep_days: int = Field(90, ge=1, description="Finished jobs, with their prompts, are deleted after this many days.")


class LogSettings(_Section):
    """Logging."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Level of Easel's own log lines.")
    format: Literal["text", "json"] = Field("text", description="One line of text or one JSON object per event.")


class Settings(BaseSettings):
    """Everything, frozen. Built by code it holds just what code says; `load_settings` asks the sources."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="EASEL_", env_nested_delimiter="__", dotenv_filtering="only_existing"
    )

    database_url: str = Field(
        "sqlite:///data/easel.db",
        description="Where everything is kept: sqlite:///path or postgresql://user:password@host/name.",
    )
    discord: DiscordSettings = Field(default_factory=DiscordSettings)
    fal: FalSettings = Field(default_factory=FalSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


# ---------------------------------------------------------------------- what decides how to start


def mode(settings: Settings) -> Literal["live", "sandbox"]:
    """`live` with both secrets, `sandbox` with neither.

    Raises:
        TokenMissing: one of the two is set, the other is not; says which.
    """
    token, key = settings.discord.token is not None, settings.fal.key is not None
    if token and key:
        return "live"
    if not token and not key:
        return "sandbox"
    present, missing, where = (
        ("DISCORD_TOKEN", "FAL_KEY", "fal.ai: Dashboard, API keys")
        if token
        else ("FAL_KEY", "DISCORD_TOKEN", "Discord's developer portal: your application, Bot, Reset Token")
    )
    raise TokenMissing(
        f"{present} is set but {missing} is missing. Get it from {where}, and put it into the environment, .env or "
        f"config.toml. (Without both, Easel starts the sandbox.)"
    )


# ---------------------------------------------------------------------- loading

#: Usual names of the secrets, beside their EASEL_ ones.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "DISCORD_TOKEN": ("discord", "token"),
    "FAL_KEY": ("fal", "key"),
    "OPENAI_API_KEY": ("fal", "openai_api_key"),
}

#: EASEL_ variables that are no settings.
_OTHER_VARIABLES = frozenset({"EASEL_CONFIG", "EASEL_SECRETS_DIR", "EASEL_CHROMIUM"})

#: What Kubernetes and Docker links invent beside a service that is called "easel".
_SERVICE_LINK = re.compile(r"EASEL_(SERVICE_(HOST|PORT.*)|PORT(_\d+_.*)?|NAME|ENV_.*)$")

_Path = tuple[str, ...]


def load_settings(*, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Settings:
    """Read every source once.

    Raises:
        SettingsInvalid: names each wrong key or value, where it stands, and what is allowed there.
    """
    sources = _sources(os.environ if environ is None else environ, Path.cwd() if cwd is None else cwd)
    problems = [problem for source in sources for problem in source.unknown()]
    try:
        settings = Settings(_build_sources=(sources, {}))
    except ValidationError as error:
        problems += [_explain(detail, sources) for detail in error.errors(include_url=False)]
    else:
        if not problems:
            return settings
    raise SettingsInvalid("\n".join(problems))  # without a cause: that would print values, secrets among them


def _sources(environ: Mapping[str, str], cwd: Path) -> tuple[_Source, ...]:
    """What there is, most important first."""
    environment, dotenv = _Environment(environ), _opened(_Dotenv, cwd / ".env")
    sources: list[_Source] = [environment, dotenv]
    folder = environment.env_vars.get("easel_secrets_dir") or dotenv.env_vars.get("easel_secrets_dir")
    if folder is not None:
        if not (cwd / folder).is_dir():
            raise SettingsInvalid(f"EASEL_SECRETS_DIR is {folder}, which is no folder.")
        sources.append(_opened(_SecretFiles, cwd / folder))
    named = environment.env_vars.get("easel_config") or dotenv.env_vars.get("easel_config")
    file = cwd / (named or "config.toml")
    if file.is_file():
        sources.append(_opened(_TomlFile, file))
    elif named is not None or file.exists():
        raise SettingsInvalid(f"{'EASEL_CONFIG' if named else file} can't be read: {file} is no such file.")
    return tuple(sources)


_Kind = TypeVar("_Kind", bound="_Source")


def _opened(source: Callable[[Path], _Kind], path: Path) -> _Kind:
    try:
        return source(path)
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path} is no valid TOML: {error}.") from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"{path} can't be read: it is not UTF-8 text.") from error
    except OSError as error:
        raise SettingsInvalid(f"{error.filename or path} can't be read: {error.strerror or error}.") from error
    except SettingsError as error:  # a secrets folder with gigabytes in it
        raise SettingsInvalid(f"{path} can't be read: {error}.") from error


class _Source(PydanticBaseSettingsSource):
    """One of the library's sources that can also say where a value stands."""

    def unknown(self) -> Iterator[str]:
        """A sentence for each name that means nothing and that validation would not see."""
        return iter(())

    @abstractmethod
    def where(self, path: _Path) -> str | None:
        """How people call the place of the value at `path`; None when it is not from here."""

    def similar(self, path: _Path) -> str:
        """What may have been meant with `path`."""
        return _did_you_mean(path, ".".join)

    def _holds(self, path: _Path) -> bool:
        table: object = self()
        for part in path:
            if not isinstance(table, dict):
                return True
            if part not in table:
                return False
            table = table[part]
        return True


class _Variables(_Source, EnvSettingsSource):
    """Named texts. Beyond the library: the secrets' usual names, blanks are not set, unknown names are refused."""

    place = "in the environment"

    def _load_env_vars(self) -> Mapping[str, str | None]:
        texts = {name: text.strip() for name, text in super()._load_env_vars().items() if text and text.strip()}
        for usual, path in ALIASES.items():
            if usual.lower() in texts:  # within one source the longer name wins
                texts.setdefault(_variable(path).lower(), texts[usual.lower()])
        return texts

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """JSON, for lists also commas; what is neither is left to validation, which says it better."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            is_list = typing.get_origin(getattr(field, "annotation", None)) is tuple
            return [part.strip() for part in value.split(",") if part.strip()] if is_list else value

    def unknown(self) -> Iterator[str]:
        for name in sorted(name.upper() for name in self.env_vars):
            path = tuple(name.removeprefix("EASEL_").lower().split("__"))
            if _is_ours(name) and _field_at(path[:1]) is None:  # further down it is in the data, for validation to see
                yield f"{name} {self.place}: there is no such setting.{_did_you_mean(path, _variable)}"

    def where(self, path: _Path) -> str | None:
        names = (_variable(path[:end]) for end in range(len(path), 0, -1))
        name = next((name for name in names if name.lower() in self.env_vars), None)
        if name is None or not self._holds(path):
            return None
        usual = next((usual for usual, secret in ALIASES.items() if secret == path), name)
        return f"{usual if self.env_vars.get(usual.lower()) == self.env_vars[name.lower()] else name} {self.place}"

    def similar(self, path: _Path) -> str:
        return _did_you_mean(path, _variable if _variable(path).lower() in self.env_vars else ".".join)


class _Given(EnvSettingsSource):
    """The environment, handed in."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): text for name, text in self._environ.items()}


class _Environment(_Variables, _Given):
    pass


class _Dotenv(_Variables, DotEnvSettingsSource):
    place = "in .env"

    def __init__(self, file: Path) -> None:
        super().__init__(Settings, env_file=file)

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        # A password may hold ${…}, and Windows' editor saves with a mark in front.
        values = dotenv_values(file_path, interpolate=False, encoding="utf-8-sig")
        return {name.lower(): text for name, text in values.items()}


class _SecretFiles(_Variables, NestedSecretsSettingsSource):
    """Files named like the variables, as Docker and Kubernetes mount secrets. Others' files are not opened."""

    place = "in the secrets folder"

    def __init__(self, folder: Path) -> None:
        NestedSecretsSettingsSource.__init__(self, Settings, folder)  # type: ignore[arg-type]  # a class is welcome

    @staticmethod
    def _iter_secret_files(path: Path) -> Iterator[Path]:
        files = NestedSecretsSettingsSource._iter_secret_files(path)
        return (file for file in files if file.name.upper() in ALIASES or _is_ours(file.name.upper()))


class _TomlFile(_Source, TomlConfigSettingsSource):
    """config.toml. Beyond the library: `name = ""` is not set, and Windows' editor may have saved it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        super().__init__(Settings, toml_file=file)

    def _read_file(self, path: Any) -> dict[str, Any]:
        return _without_blanks(tomllib.loads(path.read_text("utf-8-sig")))

    def where(self, path: _Path) -> str | None:
        return f"`{'.'.join(path)}` in {self._file}" if self._holds(path) else None


def _without_blanks(table: Mapping[str, Any], above: _Path = ()) -> dict[str, Any]:
    """Without `name = ""` and empty tables; unknown names stay, to be refused."""
    full: dict[str, Any] = {}
    for name, value in table.items():
        path = (*above, name)
        if isinstance(value, dict) and value:
            full[name] = _without_blanks(value, path)
        elif value not in ("", {}) or _field_at(path) is None:
            full[name] = value
    return full


def _is_ours(variable: str) -> bool:
    return variable.startswith("EASEL_") and variable not in _OTHER_VARIABLES and _SERVICE_LINK.match(variable) is None


def _variable(path: Sequence[str]) -> str:
    return "EASEL_" + "__".join(path).upper()


# ---------------------------------------------------------------------- what there is to set


def _plain(annotation: Any) -> Any:
    """The annotation without `| None`."""
    if typing.get_origin(annotation) in (UnionType, typing.Union):
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation


def _section(annotation: Any) -> type[BaseModel] | None:
    plain = _plain(annotation)
    return plain if isinstance(plain, type) and issubclass(plain, _Section) else None


def _item(annotation: Any) -> Any:
    return typing.get_args(_plain(annotation))[1]


def _field_at(path: Sequence[str]) -> FieldInfo | None:
    """The setting a path names, or None."""
    section: type[BaseModel] | None = Settings
    field: FieldInfo | None = None
    rest = list(path)
    while rest:
        part = rest.pop(0)
        if section is not None:
            field = section.model_fields.get(part)
            if field is None:
                return None
        elif field is not None and typing.get_origin(_plain(field.annotation)) is dict:
            field = FieldInfo(annotation=_item(field.annotation))
        else:
            return None
        section = _section(field.annotation)
    return field


def _all_paths(section: type[BaseModel] = Settings, above: _Path = ()) -> Iterator[_Path]:
    for name, field in section.model_fields.items():
        below = _section(field.annotation)
        yield (*above, name)
        if below is not None:
            yield from _all_paths(below, (*above, name))


def _did_you_mean(path: _Path, show: Callable[[_Path], str]) -> str:
    paths = [known for known in _all_paths() if _section((_field_at(known) or FieldInfo()).annotation) is None]
    same_name = [known for known in paths if known[-1] == path[-1]]
    by_text = {".".join(known): known for known in paths}
    close = [by_text[text] for text in difflib.get_close_matches(".".join(path), by_text, n=1, cutoff=0.5)]
    found = (close or same_name)[:1] if len(path) > 1 else (same_name or close)[:1]
    return f" Did you mean `{show(found[0])}`?" if found else " config.example.toml lists them all."


# ---------------------------------------------------------------------- saying what is wrong

_PHRASES: Mapping[str, str] = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text in quotes",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "literal_error": "one of {expected}",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
    "path_type": "a path in quotes",
}


def _explain(detail: ErrorDetails, sources: Sequence[_Source]) -> str:
    path = tuple(str(part) for part in detail["loc"] if part != "[key]")  # a wrong key is named like its value
    source, place = next(
        ((source, place) for source in sources if (place := source.where(path)) is not None), (sources[0], str(path))
    )
    if detail["type"] == "extra_forbidden":
        return f"{place}: there is no such setting.{source.similar(path)}"
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        allowed = str(context.get("error", detail["msg"]))
    else:
        allowed = _PHRASES.get(detail["type"], detail["msg"]).format_map(
            {key: str(value) for key, value in context.items()}
        )
    field = _field_at(path)
    secret = field is None or _plain(field.annotation) is SecretStr or path[-1] == "database_url"
    shown = "this value" if secret else repr(detail["input"])[:80]
    return f"{place}: it can't be {shown}. It takes {allowed}."


# ---------------------------------------------------------------------- the example, from the same source


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the documentation."""

    path: _Path
    description: str
    #: In TOML's notation; empty where there is none.
    default: str
    #: "one of …", "0 or more"; empty where anything of its type goes.
    allowed: str

    @property
    def sentence(self) -> str:
        """The description with what is allowed."""
        return f"{self.description.rstrip('.')} ({self.allowed})." if self.allowed else self.description

    @property
    def variable(self) -> str:
        """The environment variable people use."""
        usual = next((name for name, path in ALIASES.items() if path == self.path), None)
        return usual or _variable(self.path)


def documented(section: type[BaseModel] = Settings, above: _Path = ()) -> Iterator[Setting]:
    """Every setting, in the order of the sections."""
    below = {name: _section(field.annotation) for name, field in section.model_fields.items()}
    for name, field in section.model_fields.items():  # a TOML table's own keys must come before the tables below it
        if below[name] is None:
            path = (*above, name)
            yield Setting(
                path, field.description or "", _toml(field.get_default(call_default_factory=True)), _allowed(field)
            )
    for name, inner in below.items():
        if inner is not None:
            yield from documented(inner, (*above, name))


def _toml(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, tuple):
        return json.dumps(list(value))
    return (
        f"{value:g}" if isinstance(value, float) else str(value) if isinstance(value, int) else json.dumps(str(value))
    )


def _allowed(field: FieldInfo) -> str:
    plain = _plain(field.annotation)
    if typing.get_origin(plain) is Literal:
        return "one of " + ", ".join(typing.get_args(plain))
    bounds = []
    for rule in field.metadata:
        for name, words in (("gt", "above {}"), ("ge", "at least {}"), ("le", "at most {}"), ("lt", "below {}")):
            if (bound := getattr(rule, name, None)) is not None:
                bounds.append(words.format(bound))
    return ", ".join(bounds)


_EXAMPLE_HEAD = """\
# Easel's settings: all of them, with their defaults. Copy this file to config.toml and uncomment what you change.
# Every setting has an environment variable too, which wins: EASEL_ and the path with __ between its parts,
# e.g. EASEL_FAL__MAX_IN_FLIGHT=4. The three secrets are better kept in the environment or in .env:
# DISCORD_TOKEN, FAL_KEY, OPENAI_API_KEY. An empty value ("") counts as not set.
"""

_EXAMPLE_TIER = """\

# A better tier for people with a role; the key is the role's id. As many as you like.
# [limits.tiers.123456789012345678]
# images_per_hour = 120
# burst_images = 20
# images_per_day = 400
# concurrent_jobs = 6
# weight = 2
"""


def example_toml() -> str:
    """The text of config.example.toml (`make docs` writes it)."""
    blocks = [_EXAMPLE_HEAD]
    table: _Path = ()
    for setting in documented():
        if setting.path == ("limits", "tiers"):
            continue
        if setting.path[:-1] != table:
            table = setting.path[:-1]
            blocks.append(f"\n# {_about(table)}\n[{'.'.join(table)}]\n")
        line = f"{setting.path[-1]} = {setting.default or _EMPTY}"
        blocks.append(f"\n# {setting.sentence}\n# {line}\n")
    return "".join(blocks) + _EXAMPLE_TIER


_EMPTY = '""'


def _about(table: _Path) -> str:
    field = _field_at(table)
    section = _section(field.annotation) if field is not None else None
    if field is None or section is None:
        return ""
    return field.description or (section.__doc__ or "").strip().splitlines()[0]
