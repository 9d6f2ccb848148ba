"""The environment of the sandbox's bot: every setting the operator made, and none of their secrets.

The settings are read here, from all their sources, and handed over as variables; the bot's process is started in a
folder without .env and config.toml and learns of no secret files, so there is nowhere it could find a real secret.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bot.redaction import redact
from bot.settings import Settings, load_settings, secrets_of
from sandbox.discord.world import BUDGET_CHANNEL_ID, PATRON_ROLE_ID

#: Names that credentials have: ours under all their names, fal_client's own, and those of other programs.
_CREDENTIAL_NAME = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|API_?KEY|(^|_)KEY(_|$)", re.IGNORECASE
)
#: The sandbox's bot speaks with this machine alone, and an address of a proxy may hold a password.
_PROXY_NAME = re.compile(r"(HTTPS?|ALL|NO|FTP|WSS?)_PROXY", re.IGNORECASE)
#: Sections of the settings and what of them is the sandbox's own, or a secret.
_WITHHELD: dict[str, Any] = {
    "database_url": True,
    "proxy": True,
    "discord": {"token", "api_url", "gateway_url"},
    "fal": {"key", "openai_api_key", "queue_url", "rest_url", "cdn_url", "api_url"},
}
#: The fake fal lists a request as soon as it has it, and nobody who tries an outage waits for eleven minutes.
_RECONCILE_S = 30
#: Nor for a quarter of an hour until the bot looks whether there is credit again.
_CREDIT_CHECK_S = 5
#: Shorter pieces of a secret are found everywhere.
_SHORTEST_PIECE = 8


def bot_environment(
    own: Mapping[str, str], *, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> dict[str, str]:
    """Variables for the bot's process.

    Args:
        own: the sandbox's addresses and its made-up secrets; they win.
        environ: this process's environment, by default.
        cwd: where .env and config.toml are looked for; this process's folder, by default.

    Raises:
        SettingsInvalid: a setting is wrong.
    """
    environ, cwd = (os.environ if environ is None else environ), (Path.cwd() if cwd is None else cwd)
    settings = load_settings(environ=environ, cwd=cwd)
    return {**_harmless(environ, _pieces(settings)), **_as_variables(settings, cwd), **own}


def _harmless(environ: Mapping[str, str], secret_pieces: Iterable[str]) -> dict[str, str]:
    """What is no setting of ours and holds no secret, by its name or by what is in it."""
    pieces = tuple(secret_pieces)
    return {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith("EASEL_")
        and not _PROXY_NAME.fullmatch(name)
        and _CREDENTIAL_NAME.search(name) is None
        and redact(value) == value
        and not any(piece in value for piece in pieces)
    }


def _pieces(settings: Settings) -> Iterable[str]:
    for secret in secrets_of(settings):
        parts = re.split(r"[:.]", secret)
        yield from (part for part in parts if len(part) >= _SHORTEST_PIECE)


def _patrons(settings: Settings) -> dict[str, float | str]:
    """What the role Patron of the sandbox's server gives, where the operator's settings say nothing about roles."""
    default = settings.limits.default
    twice: dict[str, float | str] = {
        name: value * 2 for name, value in default.model_dump(exclude={"usd_per_day"}).items()
    }
    usd = settings.budget.person_usd_per_day if default.usd_per_day is None else default.usd_per_day
    return {**twice, "usd_per_day": str(usd * 2)}


def _as_variables(settings: Settings, cwd: Path) -> dict[str, str]:
    """What was set, a variable a section."""
    made = settings.model_dump(mode="json", exclude_unset=True, exclude=_WITHHELD)
    folder = settings.models.folder
    if folder is not None:
        made["models"]["folder"] = str(cwd / folder)
    made["fal"] = {"reconcile_s": _RECONCILE_S, "credit_check_s": _CREDIT_CHECK_S, **made.get("fal", {})}
    made["operator"] = {"alerts_channel": BUDGET_CHANNEL_ID, **made.get("operator", {})}
    made["limits"] = {"tiers": {PATRON_ROLE_ID: _patrons(settings)}, **made.get("limits", {})}
    return {f"EASEL_{section.upper()}": json.dumps(values) for section, values in made.items() if values}
