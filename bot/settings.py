"""Frozen settings from config.toml, environment variables, `.env` and secret files.

Precedence, highest first: environment, `.env`, secret files, config.toml, defaults. Built once in
`__main__` and passed down; nothing else in the project reads the environment.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DiscordSettings(_Section):
    """How Discord is reached and what is shown there."""

    token: SecretStr | None = Field(None, description="Bot token. Usually given as DISCORD_TOKEN.")
    api_url: str = Field("https://discord.com/api/v10", description="Base URL of Discord's REST API.")
    gateway_url: str = Field("wss://gateway.discord.gg/", description="Discord's gateway.")
    sync_commands: bool = Field(True, description="Register the slash commands at start when they changed.")
    progress_interval_s: float = Field(2.5, ge=1, description="Least time between two edits of one progress message.")
    progress_edits_per_s: float = Field(
        15, gt=0, description="Most progress edits a second over all messages; results never wait for this."
    )


class FalSettings(_Section):
    """How fal.ai is reached."""

    key: SecretStr | None = Field(None, description="fal.ai API key. Usually given as FAL_KEY.")
    openai_api_key: SecretStr | None = Field(
        None, description="For the gpt-image-1 byok model; usually given as OPENAI_API_KEY. Without it the model is not offered."
    )
    queue_url: str | None = Field(None, description="Base URL of fal's queue, when it is not the usual https://queue.fal.run/.")
    rest_url: str | None = Field(None, description="Base URL of fal's REST API (storage tokens), when not the usual one.")
    cdn_url: str | None = Field(None, description="Base URL of fal's upload CDN, when not the usual one.")
    max_in_flight: int = Field(
        10, ge=0, description="Jobs handed to fal at once; 0 lifts the limit. fal starts 2 at once on a new account, up to 40."
    )
    start_timeout_s: float = Field(600, gt=1, description="fal drops a request that has not started painting by then.")
    job_timeout_s: float = Field(1800, gt=1, description="We give a job up, and cancel it at fal, after this time.")
    safety_checker: Literal["on", "off_in_age_restricted"] = Field(
        "on", description="fal's safety checker is always on, or off in age-restricted channels only."
    )
    store_payloads: bool = Field(True, description="Let fal keep request payloads (30 days); false sends X-Fal-Store-IO: 0.")
    max_streams: int = Field(1500, ge=0, description="Most status streams open at once; further jobs are polled. 0 polls always.")


class Tier(_Section):
    """Limits for one group of people. A person gets the most generous tier among their roles."""

    images_per_hour: float = Field(30, gt=0, description="Sustained pace per person.")
    burst_images: int = Field(8, ge=1, description="Images a rested person may ask for at once before the pace applies.")
    images_per_day: int = Field(60, ge=0, description="Images per person and day (UTC).")
    concurrent_jobs: int = Field(3, ge=1, description="Unfinished jobs per person.")
    weight: float = Field(1, gt=0, description="Share of the queue compared with others.")


class LimitSettings(_Section):
    """Who may paint how much. Overridable per server with /settings limits."""

    enabled: bool = Field(True, description="false lifts every limit.")
    default: Tier = Field(default_factory=lambda: Tier(), description="Everybody without a better tier.")
    tiers: dict[str, Tier] = Field(default_factory=dict, description="Better tiers by role id.")
    guild_images_per_day: int = Field(500, ge=0, description="Images per server and day (UTC).")
    max_waiting_jobs: int = Field(5000, ge=1, description="Beyond this many waiting jobs new ones are refused.")


class ModelSettings(_Section):
    """Which models are offered."""

    default: str = Field("flux-schnell", description="Model used when nobody chose one (key or endpoint id).")
    folder: Path | None = Field(None, description="Folder with your own model TOML files; same endpoint replaces ours.")
    disabled: tuple[str, ...] = Field((), description="Keys or endpoint ids that are not offered.")
    prices_usd: dict[str, Decimal] = Field(default_factory=dict, description="Your own price per unit, by key or endpoint id.")


class WebSettings(_Section):
    """The built-in web server (health). Off without a port."""

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int | None = Field(None, description="Port to listen on; unset: no web server.")


class PrivacySettings(_Section):
    """How long things are kept."""

    keep_days: int = Field(90, ge=1, description="Finished jobs, with their prompts, are deleted after this many days.")


class LogSettings(_Section):
    """Logging."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Level of Easel's own log lines.")
    format: Literal["text", "json"] = Field("text", description="One line of text or one JSON object per event.")


class Settings(_Section):
    """Everything, frozen."""

    database_url: str = Field("sqlite:///data/easel.db", description="sqlite:///path or postgresql://…")
    discord: DiscordSettings = Field(default_factory=lambda: DiscordSettings())
    fal: FalSettings = Field(default_factory=lambda: FalSettings())
    limits: LimitSettings = Field(default_factory=lambda: LimitSettings())
    models: ModelSettings = Field(default_factory=lambda: ModelSettings())
    web: WebSettings = Field(default_factory=lambda: WebSettings())
    privacy: PrivacySettings = Field(default_factory=lambda: PrivacySettings())
    log: LogSettings = Field(default_factory=lambda: LogSettings())
