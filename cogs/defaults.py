"""The default model of a person: their own choice, else the server's, else the operator's."""

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
    """The default model for this person in this server. Raises NoModels like `default_model`."""
    preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
    return default_model(services.catalogue, preferences, services.settings.models.default)


def default_model(catalogue: Catalogue, preferences: Preferences, operators: str) -> Model:
    """The first of the chosen models that is offered for prompts, else the first offered model.

    Args:
        operators: the default in the operator's settings.

    Raises:
        NoModels: no model for prompts is offered.
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
    """The model with that name, if it is offered and takes a prompt; else None."""
    try:
        return catalogue.get(name, PROMPT_TASKS) if name else None
    except (UnknownModel, ModelUnavailable):
        return None
