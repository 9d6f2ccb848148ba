"""What `check` examines on this machine: settings, database, disk, models."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

from bot.catalogue import Catalogue, usd_text
from bot.cli.check.findings import Finding, fault, ok, warning
from bot.cli.models import offered_models
from bot.discord.command_sync import REFUSAL_KEY
from bot.errors import EaselError, OperatorError, SettingsInvalid, StoreOutdated
from bot.private_files import others_may_read
from bot.redaction import quoted
from bot.settings import Settings
from bot.store import Store
from bot.store.files import SOUND_SQLITE, may_write, sqlite_file, sqlite_version
from bot.worst_case import worst_case

_LOW_SPACE_BYTES = 500 * 1024 * 1024


def configuration(settings: Settings) -> Finding:
    """Whether both secrets are set, or neither."""
    token, key = settings.discord.token is not None, settings.fal.key is not None
    if token and key:
        return ok("Configuration: DISCORD_TOKEN and FAL_KEY are set; `run` starts the live bot")
    if not token and not key:
        return warning(
            "Configuration: neither DISCORD_TOKEN nor FAL_KEY is set; `run` starts the sandbox",
            "For a live bot set both, in the environment, .env or config.toml.",
        )
    missing = "FAL_KEY" if token else "DISCORD_TOKEN"
    return fault(f"Configuration: {missing} is missing", "A live bot needs both DISCORD_TOKEN and FAL_KEY.")


def short_reconcile(reconcile_s: float, start_timeout_s: float) -> Finding | None:
    """A warning when a lost request is sent again although fal may still begin with it (it lists what has begun)."""
    if reconcile_s > start_timeout_s:
        return None
    return warning(
        f"Configuration: fal.reconcile_s, {reconcile_s:g}, is not longer than fal.start_timeout_s, {start_timeout_s:g}",
        "Make it longer: where fal's answer gets lost, a picture may be painted, and charged, twice otherwise.",
    )


def settings_without_effect(settings: Settings) -> list[Finding]:
    """A warning for each setting that another one keeps from doing anything."""
    found = []
    if settings.web.public_url is not None and settings.web.port is None:
        found.append(
            warning(
                "Configuration: web.public_url has no effect without web.port, so fal.ai can't call back",
                "Set EASEL_WEB__PORT, e.g. to 8080, or take web.public_url away; without it the bot asks fal.ai.",
            )
        )
    most = settings.fal.max_in_flight
    caps = {
        "guild_jobs_in_flight": settings.fal.guild_jobs_in_flight,
        "user_jobs_in_flight": settings.fal.user_jobs_in_flight,
    }
    found += [
        warning(
            f"Configuration: fal.{name}, {cap}, has no effect: fal.max_in_flight, {most}, is not above it",
            f"Set fal.{name} below fal.max_in_flight, or to 0 if one server or person may take all places.",
        )
        for name, cap in caps.items()
        if cap and most and cap >= most
    ]
    return found


def spending_without_end(settings: Settings) -> Finding | None:
    """A warning where no setting bounds what everybody together may spend: a 0 that was meant as "nothing", for one."""
    everybody = next(row for row in worst_case(settings) if row.who == "everybody")
    if everybody.day.usd is not None:
        return None
    why = (
        "budget.all_usd_per_day and budget.all_usd_per_month are 0, which lifts them"
        if settings.limits.enabled
        else "limits.enabled is false, which lifts every limit and every budget"
    )
    return warning(
        f"Configuration: nothing bounds what all people together may spend, because {why}",
        "To have a bound, set budget.all_usd_per_day, to 25 for example"
        f"{'' if settings.limits.enabled else ', and take limits.enabled away'}. "
        "Without one, only the credit on your fal.ai account ends the spending.",
    )


def budgets_above_the_total(settings: Settings) -> list[Finding]:
    """A warning for each budget of one person, role or server that the total of everybody ends earlier."""
    budget, limits = settings.budget, settings.limits
    days = {"budget.person_usd_per_day": budget.person_usd_per_day}
    days["budget.server_usd_per_day"] = budget.server_usd_per_day
    days |= {f"limits.tiers.{role}.usd_per_day": tier.usd_per_day or Decimal(0) for role, tier in limits.tiers.items()}
    days |= {f"limits.servers.{id_}.usd_per_day": own.usd_per_day or Decimal(0) for id_, own in limits.servers.items()}
    months = {"budget.server_usd_per_month": budget.server_usd_per_month}
    months |= {
        f"limits.servers.{id_}.usd_per_month": own.usd_per_month or Decimal(0) for id_, own in limits.servers.items()
    }
    totals = (
        ("budget.all_usd_per_day", budget.all_usd_per_day, days),
        ("budget.all_usd_per_month", budget.all_usd_per_month, months),
    )
    return [
        warning(
            f"Configuration: {name}, {usd_text(usd)}, is above {total_name}, {usd_text(total)}",
            f"Lower it, or raise {total_name}: as it is, the total refuses everybody before that is spent.",
        )
        for total_name, total, bounds in totals
        for name, usd in bounds.items()
        if total and usd > total
    ]


async def database(url: str) -> AsyncIterator[Finding]:
    """Whether the database can be used and is sound."""
    try:
        file = sqlite_file(url)
    except OperatorError as error:
        yield fault("Database: the URL is wrong", error.sentence)
        return
    if file is not None and not file.exists():
        yield _creatable(file)
    elif file is not None and (shut := [path for path in _database_files(file) if not may_write(path)]):
        yield fault(f"Database: {file} is not writable, because {shut[0]} is not", _LET_WRITE)
    else:
        async for finding in _contents(url):
            yield finding
    if file is not None:
        for maybe in (_readable(file), outdated_sqlite(sqlite_version()), _space(file)):
            if maybe is not None:
                yield maybe


async def _contents(url: str) -> AsyncIterator[Finding]:
    try:
        store = await Store.open(url, exclusive=False)
    except StoreOutdated:
        yield ok("Database: reachable; the next start brings it to this version")
        return
    except OperatorError as error:
        yield fault("Database: can't be used", error.sentence)
        return
    try:
        problems = await store.check()
        refused = await store.kv.get(REFUSAL_KEY)
    finally:
        await store.close()
    if refused:
        yield warning(
            f"Discord: the commands it shows are not this version's: {refused}",
            "The bot works with those that Discord holds, and offers its own again at least once an hour.",
        )
    for problem in problems:
        yield fault("Database: not sound", problem)
    if not problems:
        yield ok("Database: reachable, up to date and sound")


def _creatable(file: Path) -> Finding:
    folder = _nearest_folder(file)
    if may_write(folder):
        return ok(f"Database: {file} will be made at the first start")
    return fault(f"Database: {file} can't be made, {folder} is not writable", _LET_WRITE)


_LET_WRITE = "Let the user that runs Easel write there, or point EASEL_DATABASE_URL somewhere else."


def _database_files(file: Path) -> list[Path]:
    """What the bot writes for an SQLite database, as far as it is there."""
    beside = (file.with_name(file.name + ending) for ending in ("-wal", "-shm", ".lock"))
    return [file.parent, file, *(path for path in beside if path.exists())]


def _readable(file: Path) -> Finding | None:
    """A warning where other users of this machine may read people's prompts."""
    if not file.exists():
        return None
    if others_may_read(file):
        return warning(f"Database: other users of this machine may open {file}", f"chmod go= '{file}'")
    if others_may_read(file.parent):
        folder = file.parent
        return warning(
            f"Database: other users of this machine may enter {folder}",
            f"chmod go= '{folder}', if nothing in it is meant for others; what Easel itself writes there is private.",
        )
    return None


def _nearest_folder(file: Path) -> Path:
    return next(folder for folder in file.parents if folder.is_dir())


def outdated_sqlite(version: tuple[int, ...]) -> Finding | None:
    """A warning for versions with the corruption fault of the write-ahead log."""
    if version >= SOUND_SQLITE:
        return None
    return warning(
        f"SQLite {'.'.join(map(str, version))}: before 3.51.3, two programs writing at once can damage a database",
        "Easel writes with one connection and locks the file, so keep other programs from writing it. "
        "A newer Python usually brings a newer SQLite; PostgreSQL is the other way out.",
    )


def _space(file: Path) -> Finding | None:
    folder = _nearest_folder(file)
    free = shutil.disk_usage(folder).free
    if free >= _LOW_SPACE_BYTES:
        return None
    return warning(f"Disk: {free // 2**20} MiB left at {folder}", "Make room: a full disk stops new pictures.")


def catalogue(settings: Settings) -> Catalogue | SettingsInvalid:
    """The models, or what is wrong with their files."""
    try:
        return offered_models(settings)
    except SettingsInvalid as error:
        return error


def models(settings: Settings, catalogue: Catalogue | SettingsInvalid) -> list[Finding]:
    """Whether the model files and settings are right, and every price is known."""
    if isinstance(catalogue, SettingsInvalid):
        return [fault("Models: a model file or a model setting is wrong", catalogue.sentence)]
    findings = [ok(f"Models: {len(catalogue.models)} offered")]
    try:
        default = catalogue.get(settings.models.default)
        if not default.paints_from_words:
            findings.append(
                fault(
                    f"Models: the default model {quoted(settings.models.default)} needs more than words",
                    "A plain /imagine falls back to another; set EASEL_MODELS__DEFAULT to one that needs no picture.",
                )
            )
    except EaselError:
        findings.append(
            fault(
                f"Models: the default model {quoted(settings.models.default)} is not offered",
                "Set EASEL_MODELS__DEFAULT to one of the names that `python -m bot models` lists.",
            )
        )
    unpriced = [model.key for model in catalogue.models if not model.price.is_known]
    if unpriced:
        findings.append(
            warning(
                f"Models: no price known for {', '.join(unpriced)}",
                f"Each of their pictures counts as {usd_text(settings.budget.assumed_usd_per_image)} (budget."
                "assumed_usd_per_image). fal's model pages show prices; [models.prices_usd] takes them.",
            )
        )
    return findings
