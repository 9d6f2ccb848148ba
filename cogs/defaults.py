"""The default model of a person: their own choice, else the server's, else the operator's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.catalogue import Catalogue
from bot.catalogue.model import PROMPT_TASKS, Model
from bot.errors import ModelUnavailable, NoModels, Refusal, UnknownModel
from bot.phrase import Phrase

if TYPE_CHECKING:
    from bot.services import Services
    from bot.store import Preferences
    from cogs.interaction_data import Interaction


async def default_of(interaction: Interaction, services: Services) -> Model:
    """The default model for this person in this server. Raises NoModels like `default_model`."""
    preferences = await services.store.preferences.get(interaction.user.id, interaction.guild_id)
    return default_model(services.catalogue, preferences, services.settings.models.default)


def default_model(catalogue: Catalogue, preferences: Preferences, operators: str) -> Model:
    """The first of the chosen models that paints from words alone, else the first offered model that does.

    A model that needs a picture is no default, though it may have been chosen once (see `passed_over`): a prompt alone
    would always be refused. Only where no other is offered, it is.

    Args:
        operators: the default in the operator's settings.

    Raises:
        NoModels: no model for prompts is offered.
    """
    for name in (preferences.user_model, preferences.guild_model, operators):
        model = offered(catalogue, name)
        if model is not None and model.paints_from_words:
            return model
    usable = catalogue.offered(PROMPT_TASKS)
    if not usable:
        raise NoModels
    return next((model for model in usable if model.paints_from_words), usable[0])


def passed_over(catalogue: Catalogue, name: str | None) -> Phrase | None:
    """Why a stored default is not used: it needs more than words. None if it is used, or not offered any more."""
    model = offered(catalogue, name)
    return _needs("default_passed_over", model) if model is not None and not model.paints_from_words else None


def check_can_be_default(model: Model) -> None:
    """Make sure that a prompt alone is enough for the model.

    Raises:
        Refusal: it needs a picture, so every plain /imagine would be refused.
    """
    if not model.paints_from_words:
        raise Refusal(_needs("default_needs_more", model))


def _needs(code: str, model: Model) -> Phrase:
    return Phrase(code, {"model": model.title, "key": model.key, "needs": tuple(one.label for one in model.needs)})


def offered(catalogue: Catalogue, name: str | None) -> Model | None:
    """The model with that name, if it is offered and takes a prompt; else None."""
    try:
        return catalogue.get(name, PROMPT_TASKS) if name else None
    except (UnknownModel, ModelUnavailable):
        return None
