"""The catalogue as it ships, loaded once."""

from __future__ import annotations

import pytest

from bot.catalogue import Catalogue, load


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load(has_openai_key=True)
