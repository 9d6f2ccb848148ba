"""The store: the only room that knows SQL. SQLite by default, PostgreSQL where several processes share the work."""

from __future__ import annotations

from bot.store.outcomes import KEEP, Accepted, Counts, Duplicate, Erased, Keep, Preferences, QueueStatus
from bot.store.store import Store
from bot.store.times import utcnow

__all__ = ["KEEP", "Accepted", "Counts", "Duplicate", "Erased", "Keep", "Preferences", "QueueStatus", "Store", "utcnow"]
