"""How long each model usually takes, learned from past jobs."""

from __future__ import annotations

from datetime import datetime

from bot.catalogue.model import Model
from bot.jobs.context import RunnerContext

#: Weight of the newest duration in the moving average of its model.
LEARNING_RATE = 0.3
#: Assumed duration of a job while neither its model nor any other job at fal gives one.
USUAL_S = 5.0


class ModelDurations:
    """Seconds from fal's start to fal's end of a job, by model, as an exponential moving average."""

    def __init__(self, context: RunnerContext) -> None:
        self._context = context
        self._known_s: dict[str, float] = {}
        self._unwritten: list[tuple[str, float]] = []

    async def recall(self) -> None:
        """Load what earlier processes recorded."""
        self._known_s = dict(await self._context.retry_store(self._context.store.durations.medians))

    def expected_s(self, model: Model, images: int) -> float:
        """Expected seconds for a job of this model that yields up to `images` images."""
        known = self._known_s.get(model.endpoint)
        return known if known is not None else model.typical_s * (1 + 0.3 * (max(images, 1) - 1))

    def learn(self, model: Model, started_at: datetime | None) -> None:
        """Update the estimate with a job that has just ended; `write` stores it with the next tick."""
        if started_at is None:
            return
        took_s = (self._context.clock() - started_at).total_seconds()
        known_s = self._known_s.get(model.endpoint, took_s)
        self._known_s[model.endpoint] = known_s + (took_s - known_s) * LEARNING_RATE
        self._unwritten.append((model.endpoint, took_s))

    async def write(self) -> None:
        """Store the durations learned since the last call; of more than `durations_a_tick`, the newest."""
        newest, self._unwritten = self._unwritten[-self._context.timings.durations_a_tick :], []
        for endpoint, took_s in newest:
            await self._context.store.durations.record(endpoint, took_s)
