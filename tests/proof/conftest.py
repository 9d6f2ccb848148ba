"""One fork server for all proofs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.proof.world import Forks, fork_server
from tests.store.conftest import postgres, postgres_url, url

__all__ = ["forks", "postgres", "postgres_url", "url"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def forks() -> AsyncIterator[Forks]:
    async with fork_server() as server:
        yield server
