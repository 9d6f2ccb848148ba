"""Whether a request costs so much that its person must see the price first. Nothing is reserved here."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from bot import metrics
from bot.catalogue import is_well_known
from bot.domain.money import to_show_as_left, usd_of
from bot.errors import PriceUnconfirmed
from bot.limits import Refused, decide, standing

if TYPE_CHECKING:
    from bot.catalogue.model import Model
    from bot.domain.job import Actor
    from bot.domain.request import GenerationRequest
    from bot.limits import Policy
    from bot.services import Services


async def check_price(
    services: Services,
    actor: Actor,
    policy: Policy,
    model: Model,
    request: GenerationRequest,
    *,
    agreed_usd: Decimal | None,
) -> None:
    """Make sure that the person has agreed to the price, if it is above `budget.confirm_above_usd`.

    Args:
        agreed_usd: the price that they have agreed to.

    Raises:
        PriceUnconfirmed: they have agreed to none, or to a lower one.
        LimitReached: no price would be accepted, so none is shown.
    """
    asked_above_usd = services.settings.budget.confirm_above_usd
    usd = usd_of(policy.usd_micros(request.cost))
    if not policy.enabled or not asked_above_usd or usd <= max(asked_above_usd, agreed_usd or 0):
        return
    now = services.clock()
    usage = await services.store.usage.of(actor, policy)
    verdict = decide(usage, policy, request.cost, now)
    if isinstance(verdict, Refused):
        metrics.JOBS_REFUSED.labels(verdict.rule).inc()
        raise verdict.error()
    left = standing(usage, policy, now)
    raise PriceUnconfirmed(
        model.title,
        request.images,
        usd,
        left_usd=None if left is None or left.usd_left_today is None else to_show_as_left(left.usd_left_today),
        is_estimate=request.cost_usd is None or not is_well_known(model.price),
    )
