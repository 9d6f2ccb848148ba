"""The settings as frozen pydantic models: one section a class, each field with its description and bounds.

Field names carry their unit (`_s`, `_per_hour`, `_usd`); the descriptions become config.example.toml and the README's
table (see `bot.settings.docs`).
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.errors import TokenMissing
from bot.settings import flaws


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        if not value.startswith(tuple(f"{scheme}://" for scheme in schemes)):
            raise ValueError(f"a URL that starts with {schemes[0]}://")
        return value

    return AfterValidator(check)


def _public_url(value: str) -> str:
    """An address fal can call back: https, or plain http to this machine (sandbox and tests)."""
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 - raises ValueError unless it is a number
    except ValueError:
        parts = urlsplit("")
    loopback = parts.hostname in ("localhost", "127.0.0.1", "::1")
    plain = not (parts.query or parts.fragment or parts.username) and value.isascii() and value.isprintable()
    if not (parts.scheme == "https" or (parts.scheme == "http" and loopback)) or not parts.hostname or not plain:
        raise ValueError("a URL that starts with https://, without a query (http:// on this machine only)")
    return value


_WebUrl = Annotated[str, _url("https", "http")]
_PublicUrl = Annotated[str, AfterValidator(_public_url)]
_SocketUrl = Annotated[str, _url("wss", "ws")]


def _header_safe(value: SecretStr | None) -> SecretStr | None:
    """Keys and tokens become HTTP headers: printable ASCII without spaces only."""
    if value is None:
        return None
    text = flaws.trimmed(value.get_secret_value())
    flaw = flaws.of_secret(text)
    if flaw is not None:
        raise flaws.error(flaw)
    return SecretStr(text)


_Secret = Annotated[SecretStr | None, AfterValidator(_header_safe)]


#: Most US dollars of a budget, and digits after the point: everything is counted in whole millionths.
_MOST_USD = 1_000_000
_PLACES = 6

_HOW_TO_COPY = "with Discord's Developer Mode on, right-click the {0}, Copy {1} ID"


def _is_id(value: object) -> bool:
    """Whether it is an id of Discord's, as a number or as digits: 1 to 2⁶³ - 1, without a leading zero."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return False
    digits = str(value)
    return digits.isascii() and digits.isdigit() and digits[0] != "0" and len(digits) < 20 and int(digits) < 1 << 63


def _id_key(thing: str) -> AfterValidator:
    """A table's name that is an id: it is compared as text, and anything else would never match."""

    def check(value: str) -> str:
        if not _is_id(value):
            how = _HOW_TO_COPY.format(thing, thing.capitalize())
            raise ValueError(f"the id of a Discord {thing}, a number: {how}")
        return value

    return AfterValidator(check)


def _ids(things: str, thing: str, *, any_allowed: bool = False) -> BeforeValidator:
    """Ids as a list of numbers or digits, one alone, or the word "any" where that is allowed."""

    def check(value: object) -> tuple[int, ...] | Literal["any"]:
        given = [_stripped(one) for one in (value if isinstance(value, list | tuple) else [value])]
        if any_allowed and [str(one).lower() for one in given] == ["any"]:
            return "any"
        if not all(_is_id(one) for one in given):
            how = _HOW_TO_COPY.format(thing, thing.capitalize())
            either = "any, or " if any_allowed else ""
            raise ValueError(f"{either}ids of Discord {things}, numbers with commas between: {how}")
        return tuple(int(str(one)) for one in dict.fromkeys(given))

    return BeforeValidator(check)


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _one_id(thing: str) -> BeforeValidator:
    """An id, or nothing."""

    def check(value: object) -> int | None:
        text = _stripped(value)
        if value is not None and not _is_id(text):
            how = _HOW_TO_COPY.format(thing, thing.capitalize())
            raise ValueError(f"the id of a Discord {thing}, a number: {how}")
        return None if value is None else int(str(text))

    return BeforeValidator(check)


_AnyServers = Annotated[tuple[int, ...] | Literal["any"], _ids("servers", "server", any_allowed=True)]
_AnyPeople = Annotated[tuple[int, ...] | Literal["any"], _ids("users", "user", any_allowed=True)]
_Servers = Annotated[tuple[int, ...], _ids("servers", "server")]
_People = Annotated[tuple[int, ...], _ids("users", "user")]


class Section(BaseModel):
    """A table of config.toml: immutable, unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DiscordSettings(Section):
    """How Discord is reached and what is shown there."""

    token: _Secret = Field(None, description="Bot token, usually given as DISCORD_TOKEN.")
    api_url: _WebUrl = Field("https://discord.com/api/v10", description="Base URL of Discord's REST API.")
    gateway_url: _SocketUrl = Field("wss://gateway.discord.gg/", description="Discord's gateway.")
    sync_commands: bool = Field(True, description="Register the slash commands at start when they changed.")
    progress_interval_s: float = Field(2.5, ge=1, description="Least time between two edits of one progress message.")
    progress_edits_per_s: float = Field(
        15, gt=0, description="Most progress edits a second over all messages; results never wait for this."
    )


class FalSettings(Section):
    """How fal.ai is reached."""

    key: _Secret = Field(None, description="fal.ai API key, usually given as FAL_KEY.")
    openai_api_key: _Secret = Field(
        None,
        description="For gpt-image-1, which bills OpenAI directly; usually OPENAI_API_KEY. Without it the model is not "
        "offered.",
    )
    queue_url: _WebUrl | None = Field(
        None, description="Base URL of fal's queue, when it is not the usual https://queue.fal.run/."
    )
    rest_url: _WebUrl | None = Field(
        None, description="Base URL of fal's REST API (storage tokens), when not the usual one."
    )
    cdn_url: _WebUrl | None = Field(None, description="Base URL of fal's upload CDN, when not the usual one.")
    api_url: _WebUrl | None = Field(
        None,
        description="Base URL of fal's platform API (list of requests, prices), when not the usual https://api.fal.ai.",
    )
    max_in_flight: int = Field(
        10,
        ge=0,
        description="Requests at fal at once, of all processes together; 0: no limit. "
        "fal starts 2 at once for a new account, later up to 40.",
    )
    guild_jobs_in_flight: int = Field(
        0, ge=0, description="Requests of one server at fal at once; the others wait. 0: no such limit."
    )
    user_jobs_in_flight: int = Field(
        0, ge=0, description="Requests of one person at fal at once; the others wait. 0: no such limit."
    )
    start_timeout_s: float = Field(600, gt=1, description="fal drops a request that has not started painting by then.")
    reconcile_s: float = Field(
        660,
        ge=0,
        description="When fal's answer to a new request was lost: how long Easel looks for the request there before it "
        "sends it again. Keep it longer than start_timeout_s, because fal lists only requests that have started.",
    )
    credit_check_s: float = Field(
        900,
        ge=1,
        description="While the account is out of credit: the longest pause between two looks whether there is some.",
    )
    job_timeout_s: float = Field(1800, gt=1, description="After this time a request is given up and cancelled at fal.")
    safety_checker: Literal["on", "off_in_age_restricted"] = Field(
        "on", description="fal's safety checker is always on, or off in age-restricted channels only."
    )
    store_payloads: bool = Field(
        True, description="Let fal keep request payloads (30 days); false sends X-Fal-Store-IO: 0."
    )
    max_streams: int = Field(
        1000,
        ge=0,
        description="Most status streams open at once (some 80 kB each); other requests are polled. 0: all are polled.",
    )
    pictures_in_hand_mib: int = Field(
        48,
        ge=1,
        description="Memory for finished pictures between download and post, of all requests together (MiB); the "
        "others wait at fal. A larger picture passes alone.",
    )


class Tier(Section):
    """Limits for one group of people. A person gets the most generous tier among their roles."""

    images_per_hour: float = Field(30, gt=0, description="Pictures per hour and person.")
    burst_images: int = Field(
        8,
        ge=1,
        description="Most pictures that a person may ask for in a row; after that they come back by the hour.",
    )
    images_per_day: int = Field(60, ge=0, description="Pictures per person and day (UTC).")
    concurrent_jobs: int = Field(3, ge=1, description="Requests in progress per person.")
    weight: float = Field(1, gt=0, description="Turns in the queue for each turn of other people.")
    usd_per_day: Decimal | None = Field(
        None,
        ge=0,
        le=_MOST_USD,
        decimal_places=_PLACES,
        description="US dollars per person and day; unset: budget.person_usd_per_day, 0: no bound.",
    )


class ServerLimits(Section):
    """What the operator allows one server, more or less than the others; what is not set is as for all."""

    images_per_hour: float | None = Field(None, gt=0, description="Pictures per hour and person there.")
    burst_images: int | None = Field(None, ge=1, description="Most pictures in a row for a person there.")
    images_per_day: int | None = Field(None, ge=0, description="Pictures per person and day (UTC) there.")
    concurrent_jobs: int | None = Field(None, ge=1, description="Requests in progress per person there.")
    guild_images_per_day: int | None = Field(None, ge=0, description="Pictures of the server per day (UTC).")
    guild_concurrent_jobs: int | None = Field(
        None, ge=0, description="Requests in progress in the server; 0: no such limit."
    )
    usd_per_day: Decimal | None = Field(
        None, ge=0, le=_MOST_USD, decimal_places=_PLACES, description="US dollars of the server per day; 0: no bound."
    )
    usd_per_month: Decimal | None = Field(
        None, ge=0, le=_MOST_USD, decimal_places=_PLACES, description="US dollars of the server per month; 0: no bound."
    )


class LimitSettings(Section):
    """Who may paint how much. Servers may be stricter with /settings limits, never more generous."""

    enabled: bool = Field(True, description="false lifts every limit and every budget.")
    default: Tier = Field(default_factory=Tier, description="Everybody without a better tier.")
    tiers: dict[Annotated[str, _id_key("role")], Tier] = Field(
        default_factory=dict, description="Better tiers by role id."
    )
    servers: dict[Annotated[str, _id_key("server")], ServerLimits] = Field(
        default_factory=dict, description="More, or less, for one server by its id."
    )
    guild_images_per_day: int = Field(500, ge=0, description="Pictures per server and day (UTC).")
    guild_concurrent_jobs: int = Field(0, ge=0, description="Requests in progress per server; 0: no such limit.")
    forgiven_per_day: int = Field(
        3,
        ge=0,
        description="Pictures per person and day that were painted but could not be shown (flagged, undeliverable, "
        "cancelled while being painted) and still don't count towards their pictures. fal.ai bills them all the same.",
    )
    max_waiting_jobs: int = Field(25_000, ge=1, description="When so many requests wait, new ones are refused.")


class AccessSettings(Section):
    """Who may use the bot. A server must pass `servers` and a person `people`; what is blocked never does."""

    servers: _AnyServers = Field(
        "any",
        description="Ids of the servers where the bot answers, or any. With a list, direct messages are only for those "
        "who are named in access.people or operator.people.",
    )
    people: _AnyPeople = Field("any", description="Ids of the people it answers, or any.")
    blocked_servers: _Servers = Field((), description="Ids of servers where it never answers.")
    blocked_people: _People = Field((), description="Ids of people it never answers.")
    user_installs: bool = Field(True, description="Whether people may add it to their own account and use it anywhere.")
    direct_messages: bool = Field(True, description="Whether it answers in direct messages and group chats.")


class OperatorSettings(Section):
    """Who runs this bot."""

    people: _People = Field((), description="Your own Discord id, and those of others who run this bot with you.")
    alerts_channel: Annotated[int | None, _one_id("channel")] = Field(
        None, description="Id of a channel that is told when a budget runs low and when fal.ai refuses to paint."
    )


def _usd(default: str, description: str) -> Decimal:
    """A field for US dollars: what is lost by rounding would be a bound that is not the one that was written."""
    field: Decimal = Field(Decimal(default), ge=0, le=_MOST_USD, decimal_places=_PLACES, description=description)
    return field


class BudgetSettings(Section):
    """What may be spent at fal.ai, in US dollars by UTC days and months. 0 lifts a bound."""

    person_usd_per_day: Decimal = _usd("2", "Most that one person may spend in a day.")
    server_usd_per_day: Decimal = _usd("10", "Most that the people of one server may spend there in a day.")
    server_usd_per_month: Decimal = _usd("100", "Most that the people of one server may spend there in a month.")
    all_usd_per_day: Decimal = _usd("25", "Most that everybody together may spend in a day.")
    all_usd_per_month: Decimal = _usd("250", "Most that everybody together may spend in a month.")
    confirm_above_usd: Decimal = _usd(
        "0.25", "A request that may cost more than this shows its price first and waits for a button. 0: never asks."
    )
    assumed_usd_per_image: Decimal = _usd(
        "0.10", "What a picture is taken to cost where the price of its model is not known."
    )


class ModelSettings(Section):
    """Which models are offered."""

    default: str = Field("flux-schnell", description="Model used when nobody chose one (key or endpoint id).")
    folder: Path | None = Field(
        None, description="Folder with model files of your own; one for an endpoint that Easel knows replaces Easel's."
    )
    disabled: tuple[str, ...] = Field((), description="Keys or endpoint ids that are not offered.")
    prices_usd: dict[str, Decimal] = Field(
        default_factory=dict, description="Your own price per unit, by key or endpoint id."
    )


class WebSettings(Section):
    """The built-in web server (health, metrics, fal's callbacks). Off without a port."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int | None = Field(None, ge=1, le=65535, description="Port to listen on; unset: no web server.")
    public_url: _PublicUrl | None = Field(
        None,
        description="Where fal.ai reaches this server from outside (https); needs a port. Let your reverse proxy pass "
        "on /fal/ only. Without it Easel asks fal for results.",
    )
    metrics: bool = Field(True, description="Figures for Prometheus at /metrics; they name nobody.")


class ProxySettings(Section):
    """The way out where connections must go through an HTTP proxy. This machine itself is always reached directly."""

    https: SecretStr | None = Field(
        None,
        description="Proxy for https:// and wss://, so for all that Discord and fal are asked; usually HTTPS_PROXY: "
        "http://host:port or http://user:password@host:port.",
    )
    http: SecretStr | None = Field(
        None, description="Proxy for http://, which is used only where an address above says so; usually HTTP_PROXY."
    )
    all: SecretStr | None = Field(None, description="Proxy for both where they name none; usually ALL_PROXY.")
    bypass: str | None = Field(
        None,
        description="Hosts that are reached without the proxy, with commas between: a name (also means every name "
        "below it), an address, a network (10.0.0.0/8), or * for all; usually NO_PROXY.",
    )


class PrivacySettings(Section):
    """How long things are kept."""

    keep_days: int = Field(
        90, ge=1, description="Finished requests, with their prompts, are deleted after this many days."
    )


class LogSettings(Section):
    """Logging."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Level of Easel's own log lines.")
    format: Literal["text", "json"] = Field("text", description="One line of text or one JSON object per event.")


class Settings(BaseSettings):
    """All settings, frozen. `Settings(...)` takes arguments and defaults alone; `load_settings` reads the sources."""

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
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    operator: OperatorSettings = Field(default_factory=OperatorSettings)
    models: ModelSettings = Field(default_factory=ModelSettings)
    web: WebSettings = Field(default_factory=WebSettings)
    proxy: ProxySettings = Field(default_factory=ProxySettings)
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


def secrets_of(settings: Settings) -> list[str]:
    """Every secret among the settings, for whoever must not show them: tokens, keys, and passwords in addresses."""
    given = (settings.discord.token, settings.fal.key, settings.fal.openai_api_key)
    proxies = (settings.proxy.https, settings.proxy.http, settings.proxy.all)
    addresses = [settings.database_url, *(proxy.get_secret_value() for proxy in proxies if proxy is not None)]
    passwords = (_password(address) for address in addresses)
    return [*(secret.get_secret_value() for secret in given if secret is not None), *filter(None, passwords)]


def _password(address: str) -> str | None:
    try:
        password = urlsplit(address if "://" in address else f"//{address}").password
    except ValueError:
        return None
    return unquote(password) if password else None


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
