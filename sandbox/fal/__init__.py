"""A stand-in for fal.ai: queue, storage, media and callbacks over plain HTTP on loopback."""

from __future__ import annotations

from sandbox.fal.fault_injection import Troubles
from sandbox.fal.jobs import Accepted, Counters, Job, Status
from sandbox.fal.server import FalStandIn
from sandbox.fal.webhooks import USER_ID

__all__ = ["USER_ID", "Accepted", "Counters", "FalStandIn", "Job", "Status", "Troubles"]
