"""What a cog may use. Built once by `bot.app`, handed to the client, read as `bot.services`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bot.catalogue import Catalogue
from bot.jobs.runner import Runner
from bot.media.workers import ImageWorkers
from bot.settings import Settings
from bot.store import Store
from bot.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class DiscordTimings:
    """How patient the commands and the delivery are with Discord. Names ending in `_s` are seconds."""

    #: Pauses between attempts to bring a card to its person (discord.py repeats neither resets, errno 104 on Linux, nor
    #: 503): an hour in all, for what is painted must not be lost while Discord is away. Short, so that it soon is.
    delivery_pauses_s: tuple[float, ...] = (0.3, 1, 2, 4, 8, *(15,) * 240)
    #: The longest Retry-After that is honoured.
    longest_retry_s: float = 120.0
    #: Pauses between looks whether an earlier process's initial response went out.
    answered_pauses_s: tuple[float, ...] = (0.3, 1, 2, 4, 8, 15)
    #: The same for our own, whose connection broke; for as long as Discord may be asked by the interaction's token.
    own_answer_pauses_s: tuple[float, ...] = (0.3, 1, 2, 4, 8, *(15,) * 57)
    #: Discord keeps nonces for a few minutes; after this they are not relied on.
    nonce_life_s: float = 120.0
    #: An edit that took longer was held up by Discord's rate limits, and the next one comes later.
    slow_edit_s: float = 1.0
    #: The longest pause between two edits of one message while Discord is slow.
    slowest_edit_s: float = 30.0
    #: An edit that ended so much later than it was given up had hung with its process.
    hung_s: float = 0.1
    #: How often budgets are compared with what is spent, for alerts.
    alerts_every_s: float = 10.0
    #: How long progress edits wait for initial responses before they look again.
    backpressure_pause_s: float = 0.05


@dataclass(frozen=True, slots=True)
class Services:
    """The parts behind the commands."""

    settings: Settings
    store: Store
    catalogue: Catalogue
    runner: Runner
    #: Where pictures are decoded.
    images: ImageWorkers
    #: Aware UTC now.
    clock: Callable[[], datetime]
    #: Owns what runs for as long as the process does.
    supervisor: Supervisor
    discord_timings: DiscordTimings = DiscordTimings()
