"""Frozen settings from config.toml, environment variables, `.env` and secret files.

Precedence, highest first: environment, `.env`, secret files, config.toml, defaults. Built once in `__main__` and passed
down; nothing else in the project reads the environment.

An `EASEL_…` variable names a setting by its path, with `__` between the parts and in any case:
`EASEL_FAL__MAX_IN_FLIGHT=0` is `max_in_flight` in section `[fal]`. Unknown names are refused rather than ignored: a
misspelt limit would otherwise be no limit.

model.py     the sections and their fields
schema.py    looking a setting up by its path
sources.py   reading and merging the sources
flaws.py     what clings to a pasted value
explain.py   sentences for what is wrong
docs.py      config.example.toml and the README's table
"""

from __future__ import annotations

from bot.settings.docs import documented, example_toml
from bot.settings.model import (
    AccessSettings,
    BudgetSettings,
    DiscordSettings,
    FalSettings,
    LimitSettings,
    LogSettings,
    ModelSettings,
    OperatorSettings,
    PrivacySettings,
    ProxySettings,
    ServerLimits,
    Settings,
    Tier,
    WebSettings,
    mode,
    secrets_of,
)
from bot.settings.sources import load_settings

__all__ = [
    "AccessSettings",
    "BudgetSettings",
    "DiscordSettings",
    "FalSettings",
    "LimitSettings",
    "LogSettings",
    "ModelSettings",
    "OperatorSettings",
    "PrivacySettings",
    "ProxySettings",
    "ServerLimits",
    "Settings",
    "Tier",
    "WebSettings",
    "documented",
    "example_toml",
    "load_settings",
    "mode",
    "secrets_of",
]
