"""The report of `python -m bot check`: every finding, printed with what to do about it.

Nothing here costs money or changes anything on Discord's or fal's side. Every line passes through the log's redaction
before it is printed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import aiohttp

from bot.catalogue import Catalogue
from bot.cli.check import machine
from bot.cli.check.discord_api import DiscordExamination
from bot.cli.check.fal_api import FalExamination
from bot.cli.check.findings import Finding, counted, fault
from bot.errors import SettingsInvalid
from bot.proxies import ProxiedConnector, Proxies
from bot.redaction import Redaction
from bot.settings import Settings, secrets_of

Print = Callable[[str], None]

_MARKS = {"ok": "✓", "warning": "!", "fault": "✗"}
_TIMEOUT = aiohttp.ClientTimeout(total=10)


async def run(settings: Settings, write: Print) -> int:
    """Print the report; returns the exit code: 1 when there is a fault."""
    redact = Redaction(secrets_of(settings))
    faults = warnings = 0
    async for finding in examine(settings):
        faults += finding.level == "fault"
        warnings += finding.level == "warning"
        write(redact(f"{_MARKS[finding.level]} {finding.what}"))
        if finding.advice:
            write(redact(f"    → {finding.advice}"))
    write("")
    if faults:
        write(f"{counted(faults, 'fault')} to mend, {counted(warnings, 'warning')}.")
    else:
        write(f"Ready, with {counted(warnings, 'warning')}." if warnings else "All is well.")
    return 1 if faults else 0


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Every finding, in the order a person would mend them."""
    yield machine.configuration(settings)
    if (finding := machine.short_reconcile(settings.fal.reconcile_s, settings.fal.start_timeout_s)) is not None:
        yield finding
    if (finding := machine.spending_without_end(settings)) is not None:
        yield finding
    for finding in (*machine.settings_without_effect(settings), *machine.budgets_above_the_total(settings)):
        yield finding
    async for finding in machine.database(settings.database_url):
        yield finding
    catalogue = machine.catalogue(settings)
    for finding in machine.models(settings, catalogue):
        yield finding
    try:
        proxies = Proxies.of(settings.proxy)
    except SettingsInvalid as error:
        yield fault("Proxy: its address can't be used", error.sentence)
        return
    async with aiohttp.ClientSession(connector=ProxiedConnector(proxies), timeout=_TIMEOUT) as session:
        if settings.discord.token is not None:
            async for finding in DiscordExamination(session, settings).examine():
                yield finding
        if settings.fal.key is not None and isinstance(catalogue, Catalogue):
            async for finding in FalExamination(session, settings, catalogue).examine():
                yield finding
