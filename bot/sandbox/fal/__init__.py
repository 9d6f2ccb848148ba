"""A stand-in for fal.ai: queue, storage, media and callbacks over plain HTTP on loopback."""

from __future__ import annotations

from bot.sandbox.fal.callbacks import USER_ID
from bot.sandbox.fal.records import Accepted, Counters, Job, Status
from bot.sandbox.fal.standin import FalStandIn
from bot.sandbox.fal.troubles import Troubles

__all__ = ["USER_ID", "Accepted", "Counters", "FalStandIn", "Job", "Status", "Troubles"]
