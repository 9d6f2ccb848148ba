from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.fal import Fal
from tests.fal.fake import FakeFal


@pytest.fixture
async def fake() -> AsyncIterator[FakeFal]:
    async with FakeFal() as server:
        yield server


@pytest.fixture
async def fal(fake: FakeFal) -> AsyncIterator[Fal]:
    async with fake.fal() as client:
        yield client
