"""One fork server for all proofs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.resilience.world import Forks, fork_server
from tests.store.conftest import postgres, postgres_url, url

__all__ = ["forks", "postgres", "postgres_url", "url"]


#: A child connects while the fake servers' loop ends: asyncio has accepted the connection and drops it unclosed.
_DROPPED = "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The bot itself runs in the children, whose warnings nothing here touches."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(_DROPPED))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def forks() -> AsyncIterator[Forks]:
    async with fork_server() as server:
        yield server
