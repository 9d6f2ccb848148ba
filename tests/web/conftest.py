from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.web.signing import Clock, Published


@pytest.fixture(scope="session")
def fals_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def published(fals_key: Ed25519PrivateKey) -> AsyncIterator[Published]:
    async with Published.of(fals_key) as server:
        yield server
