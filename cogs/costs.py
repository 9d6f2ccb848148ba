"""/costs: what pictures cost in a server, for its managers; everywhere, for those who run the bot."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import discord
from discord import app_commands
from discord.ext import commands

from bot.discord.picture_file import PictureFile
from bot.domain.costs import CostsBy, as_csv
from bot.errors import DecoderUnavailable, Refusal
from bot.limits import policy_for
from bot.media.charts import draw_chart
from bot.phrase import phrase
from cogs import interaction_data
from cogs.interaction_data import Interaction, locale_of, services_of
from cogs.ui.actions import Click, action
from cogs.ui.cards import readable_name
from cogs.ui.costs import CHART_FILE, Bounds, CostsView, Period, chart_of, costs_page
from cogs.ui.messages.commands import localized

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from bot.discord.client import EaselBot
    from bot.domain.costs import CostRow
    from bot.services import Services

log = logging.getLogger(__name__)

#: Most lines of the table; where there would be more, it has a line for each person and model, not for each day.
MOST_LINES = 20_000
#: Behind the period in a custom_id: all servers.
_EVERYWHERE = "all"


@dataclass(frozen=True, slots=True)
class _Place:
    """What may be shown to the person."""

    #: None: all servers.
    guild_id: int | None
    #: Whether they may also see the other of the two.
    may_change: bool


class CostsCog(commands.Cog, name="costs"):
    """Shows what was spent."""

    @app_commands.command(description=localized("command_costs"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def costs(self, interaction: Interaction) -> None:
        """What pictures cost here, today and this month (needs Manage Server)."""
        place = _allowed(interaction, everywhere=False)
        await interaction.response.defer(ephemeral=True, thinking=True)
        await _show(interaction, place, Period.MONTH)


@action("costs")
async def change_costs(interaction: Interaction, click: Click) -> None:
    """Show another period or place on the same card. The subject is the period, `month`, or `month.all`."""
    period, _, where = click.subject.partition(".")
    place = _allowed(interaction, everywhere=where == _EVERYWHERE)
    await interaction.response.defer()
    await _show(interaction, place, Period.TODAY if period == Period.TODAY else Period.MONTH)


def _allowed(interaction: Interaction, *, everywhere: bool) -> _Place:
    """What the person may see here.

    Raises:
        Refusal: they may see nothing.
    """
    runs_the_bot = interaction.user.id in services_of(interaction).settings.operator.people
    here = interaction.guild_id if interaction.is_guild_integration() else None
    if runs_the_bot:
        return _Place(None if everywhere else here, may_change=here is not None)
    if interaction.guild_id is None:
        raise Refusal(phrase("costs_only_in_server"))
    if here is None:
        raise Refusal(phrase("costs_not_member"))
    if not interaction.permissions.manage_guild:
        raise Refusal(phrase("costs_not_manager"))
    return _Place(here, may_change=False)


async def _show(interaction: Interaction, place: _Place, period: Period) -> None:
    services, locale = services_of(interaction), locale_of(interaction)
    view = await _read(interaction, services, place, period)
    table = await _table(services, place.guild_id, view.today)
    files = [discord.File(io.BytesIO(table.encode("utf-8-sig")), filename=view.table_file)]
    try:
        chart = await draw_chart(services.images, chart_of(view, locale=locale), owner=interaction.user.id)
        files.insert(0, discord.File(PictureFile(chart), filename=CHART_FILE))
    except DecoderUnavailable:
        log.warning("a chart could not be drawn", extra={"interaction": interaction.id})
        view = dataclasses.replace(view, has_chart=False)
    page = costs_page(view, partial(_title, services), locale=locale)
    await interaction.edit_original_response(view=page, attachments=files)


async def _read(interaction: Interaction, services: Services, place: _Place, period: Period) -> CostsView:
    today = services.clock().date()
    month = today.replace(day=1)
    since = today if period is Period.TODAY else month

    async def sums(by: CostsBy, since: date) -> Sequence[CostRow]:
        return await services.store.costs.sums([by], since, guild_id=place.guild_id)

    return CostsView(
        today=today,
        days=await sums(CostsBy.DAY, month),
        bounds=await _bounds(interaction, services, place),
        period=period,
        people=await sums(CostsBy.PERSON, since),
        models=await sums(CostsBy.MODEL, since),
        servers=await sums(CostsBy.SERVER, since) if place.guild_id is None else None,
        may_change_place=place.may_change,
        table_file=f"costs-{today:%Y-%m}.csv",
    )


async def _bounds(interaction: Interaction, services: Services, place: _Place) -> Bounds:
    """The budgets of the server, or of all together."""
    actor = interaction_data.actor_of(interaction)
    preferences = await services.store.preferences.get(actor.user_id, actor.guild_id)
    policy = policy_for(services.settings, preferences.guild_limits, actor)
    if not policy.enabled:
        return Bounds()
    budgets = policy.budgets
    if place.guild_id is None:
        return Bounds(budgets.all_day, budgets.all_month)
    return Bounds(budgets.server_day, budgets.server_month)


async def _table(services: Services, guild_id: int | None, today: date) -> str:
    """This month as CSV."""
    where = [CostsBy.SERVER] if guild_id is None else []
    finest = [CostsBy.DAY, *where, CostsBy.PERSON, CostsBy.MODEL]
    since = today.replace(day=1)
    rows = await services.store.costs.sums(finest, since, guild_id=guild_id, most=MOST_LINES + 1)
    if len(rows) > MOST_LINES:
        finest = finest[1:]
        rows = await services.store.costs.sums(finest, since, guild_id=guild_id, most=MOST_LINES)
    # As a mention: a spreadsheet would round the bare id, and Discord shows whose it is.
    write = partial(as_csv, rows, finest, person=lambda one: f"<@{one}>", model=partial(_title, services))
    return await asyncio.to_thread(write)


def _title(services: Services, endpoint: str) -> str:
    model = services.catalogue.known(endpoint)
    return model.title if model is not None else readable_name(endpoint)


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(CostsCog())
