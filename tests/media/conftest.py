from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.media.workers import ImageWorkers


@pytest.fixture
async def workers() -> AsyncIterator[ImageWorkers]:
    """Real decoding processes, started when they are needed."""
    async with ImageWorkers() as workers:
        yield workers
