"""What a cog may use. Built once by `bot.app`, handed to the client, read as `bot.services`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.catalogue import Catalogue
from bot.jobs.runner import Runner
from bot.settings import Settings
from bot.store import Store
from bot.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Services:
    """The parts behind the commands."""

    settings: Settings
    store: Store
    catalogue: Catalogue
    runner: Runner
    #: Aware UTC now.
    clock: Callable[[], datetime]
    #: Owns what runs for as long as the process does.
    supervisor: Supervisor
