"""How long each model usually takes, learned from past jobs, by how many pictures of which size they made."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TypeVar

from bot.catalogue.model import Model
from bot.domain.request import GenerationRequest
from bot.jobs.context import RunnerContext
from bot.store.durations import PastGeneration

#: Weight of the newest duration in a moving average.
LEARNING_RATE = 0.3
#: Assumed duration of a job while neither its model nor any other job at fal gives one.
USUAL_S = 5.0
#: What one more picture is assumed to take, as a share of the first, until jobs of that count have shown it.
MORE_PICTURES = 0.5
#: The size for which a model file gives its typical time.
USUAL_PIXELS = 1024 * 1024

#: A model with a count of pictures and a size, in half octaves of pixels.
_Kind = tuple[str, int, int | None]
_Key = TypeVar("_Key")


class ModelDurations:
    """Seconds from fal's start to fal's end of a job, as exponential moving averages.

    There is one for each kind of job that was seen, and one a model over all kinds, scaled to one picture of the usual
    size, for those that were not.
    """

    def __init__(self, context: RunnerContext) -> None:
        self._context = context
        self._by_kind_s: dict[_Kind, float] = {}
        self._scaled_s: dict[str, float] = {}
        self._unwritten: list[PastGeneration] = []

    async def recall(self) -> None:
        """Load what earlier processes recorded."""
        for past in await self._context.retry_store(self._context.store.durations.recent):
            self._take_in(past)

    def expected_s(self, model: Model, request: GenerationRequest | None = None) -> float:
        """Expected seconds for a job; without a request, for one picture of the usual size."""
        images, pixels = _work(request)
        known_s = self._by_kind_s.get(_kind(model.endpoint, images, pixels))
        if known_s is not None:
            return known_s
        return self._scaled_s.get(model.endpoint, model.typical_s) * _scale(images, pixels)

    def learn(self, model: Model, request: GenerationRequest, started_at: datetime | None) -> None:
        """Update the estimates with a job that has just ended; `write` stores it with the next tick."""
        if started_at is None:
            return
        took_s = (self._context.clock() - started_at).total_seconds()
        past = PastGeneration(model.endpoint, took_s, *_work(request))
        self._take_in(past)
        self._unwritten.append(past)

    def _take_in(self, past: PastGeneration) -> None:
        images = past.images or 1
        _average(self._by_kind_s, _kind(past.endpoint, images, past.pixels), past.seconds)
        _average(self._scaled_s, past.endpoint, past.seconds / _scale(images, past.pixels))

    async def write(self) -> None:
        """Store the durations learned since the last call; of more than `durations_a_tick`, the newest."""
        newest, self._unwritten = self._unwritten[-self._context.timings.durations_a_tick :], []
        for past in newest:
            await self._context.store.durations.record(past)


def _work(request: GenerationRequest | None) -> tuple[int, int | None]:
    """How many pictures at most, and the pixels of each where they are known before."""
    if request is None:
        return 1, None
    return max(request.images, 1), request.size[0] * request.size[1] if request.size is not None else None


def _kind(endpoint: str, images: int, pixels: int | None) -> _Kind:
    return endpoint, images, None if not pixels else round(2 * math.log2(pixels))


def _scale(images: int, pixels: int | None) -> float:
    """About how many times as long as one picture of the usual size."""
    area = 1.0 if not pixels else 0.4 + 0.6 * pixels / USUAL_PIXELS
    return area * (1 + MORE_PICTURES * (images - 1))


def _average(known: dict[_Key, float], key: _Key, took_s: float) -> None:
    before_s = known.get(key, took_s)
    known[key] = before_s + (took_s - before_s) * LEARNING_RATE
