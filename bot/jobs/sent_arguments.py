"""The arguments that a job is submitted with, and those by which its request is recognised in fal's list."""

from __future__ import annotations

from bot.catalogue import arguments
from bot.catalogue.kinds import PICTURE_MEMBERS
from bot.catalogue.model import Model, OptionKind
from bot.domain.job import Job
from bot.domain.request import GenerationRequest, Json
from bot.settings import FalSettings

#: Options left out of the comparison with fal's request list: upload URLs differ from attempt to attempt, and secrets
#: must not be compared.
PICTURE_KINDS = frozenset({OptionKind.PICTURE, OptionKind.PICTURES, *PICTURE_MEMBERS})
SECRETS = frozenset({"openai_api_key"})


def sent_arguments(model: Model, job: Job, request: GenerationRequest, settings: FalSettings) -> dict[str, Json]:
    """What fal is sent for a job.

    Args:
        request: the job's, with uploaded inputs.
    """
    secret = settings.openai_api_key
    checked = settings.safety_checker == "on" or not job.reply.age_restricted
    key = secret.get_secret_value() if secret is not None else None
    return arguments(model, request, safety_checker=checked, openai_api_key=key)


def identifying_arguments(model: Model, job: Job, settings: FalSettings) -> dict[str, Json]:
    """Those of them by which the request is recognised in fal's list: all but pictures and secrets."""
    private = {option.name for option in model.options if option.kind in PICTURE_KINDS or option.name in SECRETS}
    sent = sent_arguments(model, job, job.request, settings)
    return {name: value for name, value in sent.items() if name not in private}
