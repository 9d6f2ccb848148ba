"""Which model is meant when nobody named one: the person's, else the server's, else the operator's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.catalogue import Catalogue
from bot.catalogue.model import PROMPT_TASKS, Model
from bot.errors import ModelUnavailable, NoModels, UnknownModel

if TYPE_CHECKING:
    from bot.services import Services
    from bot.store import Preferences
    from cogs.interaction_data import Interaction


async def default_of(interaction: Interaction, services: Services) -> Model:
    """The model that paints for this person here when they name none. Raises ModelUnavailable like `default_model`."""
    preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
    return default_model(services.catalogue, preferences, services.settings.models.default)


def default_model(catalogue: Catalogue, preferences: Preferences, operators: str) -> Model:
    """The first of the chosen models that still paints from a prompt here, else the first that does.

    Raises:
        NoModels: nothing is offered.
    """
    for name in (preferences.user_model, preferences.guild_model, operators):
        model = offered(catalogue, name)
        if model is not None:
            return model
    usable = catalogue.offered(PROMPT_TASKS)
    if not usable:
        raise NoModels
    return usable[0]


def offered(catalogue: Catalogue, name: str | None) -> Model | None:
    """The model of that name that paints from a prompt, or None when there is none on offer."""
    try:
        return catalogue.get(name, PROMPT_TASKS) if name else None
    except (UnknownModel, ModelUnavailable):
        return None
