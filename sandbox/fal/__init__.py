"""A fake fal.ai: queue, storage, media and callbacks over plain HTTP on loopback."""

from __future__ import annotations

from sandbox.fal.fault_injection import InjectedFaults
from sandbox.fal.jobs import Accepted, Counters, Job, Status
from sandbox.fal.server import FakeFal
from sandbox.fal.webhooks import USER_ID

__all__ = ["USER_ID", "Accepted", "Counters", "FakeFal", "InjectedFaults", "Job", "Status"]
