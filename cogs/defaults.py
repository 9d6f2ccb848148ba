"""Which model is meant when nobody named one: the person's, else the server's, else the operator's."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from bot.catalogue import Catalogue
from bot.catalogue.model import Model
from bot.errors import ModelUnavailable, UnknownModel

if TYPE_CHECKING:
    from bot.services import Services
    from bot.store import Preferences

#: How long autocomplete trusts what it has read; a change in this process shows at once.
TRUSTED_S = 60.0
MOST_KEPT = 5000


def default_model(catalogue: Catalogue, preferences: Preferences, operators: str) -> Model:
    """The first of the chosen models that is still offered, else the first offered at all.

    Raises:
        ModelUnavailable: nothing is offered.
    """
    for name in (preferences.user_model, preferences.guild_model, operators):
        model = offered(catalogue, name)
        if model is not None:
            return model
    if not catalogue.models:
        raise ModelUnavailable("Every model", "the operator has switched all of them off")
    return catalogue.models[0]


def offered(catalogue: Catalogue, name: str | None) -> Model | None:
    """The model of that name, or None when there is none on offer."""
    try:
        return catalogue.get(name) if name else None
    except (UnknownModel, ModelUnavailable):
        return None


class RecentPreferences:
    """Preferences for autocomplete, where a keystroke should not cost a query."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._kept: OrderedDict[tuple[int, int | None], tuple[float, Preferences]] = OrderedDict()

    async def get(self, user_id: int, guild_id: int | None) -> Preferences:
        """At most `TRUSTED_S` old; at most one read."""
        key = (user_id, guild_id)
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept[0] < TRUSTED_S:
            return kept[1]
        preferences = await self._services.store.preferences(user_id, guild_id)
        self._kept[key] = (time.monotonic(), preferences)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return preferences

    def forget(self) -> None:
        """Somebody changed a preference."""
        self._kept.clear()
