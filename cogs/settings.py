"""/settings: a person's default model, and a server's default model, limits and budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.catalogue.model import PROMPT_TASKS
from bot.errors import Refusal
from bot.limits import GuildLimits, exceeded, policy_for
from bot.limits.ceiling import Value
from bot.phrase import Phrase, phrase
from cogs import interaction_data
from cogs.access import whom_to_ask
from cogs.defaults import check_can_be_default, default_model, offered, passed_over
from cogs.interaction_data import Interaction, client_of, locale_of
from cogs.ui import pages
from cogs.ui.completion import model_choices
from cogs.ui.messages import ENGLISH, say
from cogs.ui.messages.commands import described, localized
from cogs.ui.text import escape, money

if TYPE_CHECKING:
    from bot.discord.client import EaselBot

PerHour = app_commands.Range[float, 0.1, 100_000.0]
AtOnce = app_commands.Range[int, 1, 1000]
Together = app_commands.Range[int, 0, 100_000]
PerDay = app_commands.Range[int, 0, 1_000_000]
Usd = app_commands.Range[float, 0.0, 1_000_000.0]

#: Values of the option `whose`: whose default model is set.
MINE, SERVER = "mine", "this server"
#: Typed instead of a model's name to clear the default.
RESET = "reset"


class TextChannel(app_commands.Transformer):
    """A channel or thread where messages can be posted; nothing is looked up in the gateway's cache."""

    @property
    def type(self) -> discord.AppCommandOptionType:
        """What Discord is told that the option takes."""
        return discord.AppCommandOptionType.channel

    @property
    def channel_types(self) -> list[discord.ChannelType]:
        """The channels that Discord offers."""
        kinds = discord.ChannelType
        return [kinds.text, kinds.news, kinds.public_thread, kinds.private_thread, kinds.news_thread]

    async def transform(self, interaction: Interaction, value: Any, /) -> Any:
        """The channel as the interaction describes it."""
        return value


@app_commands.allowed_installs(guilds=True, users=True)
@app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
class SettingsCog(commands.GroupCog, group_name="settings", group_description=localized("command_settings")):
    """Shows and changes default models and limits."""

    def __init__(self, bot: EaselBot) -> None:
        self._services = bot.services

    @app_commands.command(description=localized("command_settings_model"))
    @described("settings_model")
    @app_commands.choices(
        whose=[
            Choice(name=localized("choice_mine"), value=MINE),
            Choice(name=localized("choice_this_server"), value=SERVER),
        ]
    )
    async def model(self, interaction: Interaction, model: str, whose: str = MINE) -> None:
        """Choose the model that paints when none is named."""
        chosen = None if model.strip().lower() == RESET else self._services.catalogue.get(model, PROMPT_TASKS)
        if chosen is not None:
            check_can_be_default(chosen)
        endpoint = chosen.endpoint if chosen is not None else None
        title = {"model": escape(chosen.title)} if chosen is not None else {}
        if whose == MINE:
            await self._services.store.preferences.set_user_model(interaction.user.id, endpoint)
        else:
            await self._services.store.preferences.set_guild_model(_managed_guild(interaction), endpoint)
        done = Phrase(f"default_{'mine' if whose == MINE else 'server'}{'_reset' if chosen is None else ''}", title)
        await interaction.response.send_message(say(locale_of(interaction), done), ephemeral=True)

    @app_commands.command(description=localized("command_settings_limits"))
    @described("settings_limits")
    async def limits(  # noqa: PLR0917 - Discord fills them by name
        self,
        interaction: Interaction,
        images_per_hour: PerHour | None = None,
        burst: AtOnce | None = None,
        images_per_day: PerDay | None = None,
        concurrent: AtOnce | None = None,
        server_images_per_day: PerDay | None = None,
        server_concurrent: Together | None = None,
        reset: bool = False,
    ) -> None:
        """Set how much may be painted in this server (needs Manage Server)."""
        guild_id = _managed_guild(interaction)
        typed = {
            "images_per_hour": images_per_hour,
            "burst_images": burst,
            "images_per_day": images_per_day,
            "concurrent_jobs": concurrent,
            "guild_images_per_day": server_images_per_day,
            "guild_concurrent_jobs": server_concurrent,
        }
        await self._change(interaction, guild_id, typed, reset=reset)

    @app_commands.command(description=localized("command_settings_budget"))
    @described("settings_budget")
    async def budget(
        self,
        interaction: Interaction,
        person_day: Usd | None = None,
        server_day: Usd | None = None,
        server_month: Usd | None = None,
        reset: bool = False,
    ) -> None:
        """Set how much money may be spent in this server (needs Manage Server)."""
        guild_id = _managed_guild(interaction)
        typed = {"person_usd_day": person_day, "server_usd_day": server_day, "server_usd_month": server_month}
        exact = {name: None if value is None else _exact(value) for name, value in typed.items()}
        await self._change(interaction, guild_id, exact, reset=reset)

    async def _change(
        self, interaction: Interaction, guild_id: int, typed: Mapping[str, Value | None], *, reset: bool
    ) -> None:
        """Set what was typed, and show what holds then.

        Args:
            typed: every value that the command has, by the field of `GuildLimits`; None: not given.
            reset: whether all of them go back to the operator's first.

        Raises:
            Refusal: a value is above what the operator allows; nothing was changed.
        """
        changes: dict[str, Any] = {name: value for name, value in typed.items() if value is not None}
        if changes or reset:
            preferences = await self._services.store.preferences.get(interaction.user.id, guild_id)
            held = preferences.guild_limits or GuildLimits()
            self._check_allowed(interaction, guild_id, GuildLimits(**changes))
            limits = replace(held, **{**(dict.fromkeys(typed) if reset else {}), **changes})
            await self._services.store.preferences.set_guild_limits(guild_id, limits if limits.to_json() else None)
        await self._show(interaction, saved=bool(changes or reset))

    def _check_allowed(self, interaction: Interaction, guild_id: int, wanted: GuildLimits) -> None:
        found = exceeded(self._services.settings, guild_id, wanted)
        if found is not None:
            most = money(found.most) if isinstance(found.most, Decimal) else found.most
            name, ask = Phrase(f"limit_name_{found.name}"), whom_to_ask(client_of(interaction))
            raise Refusal(phrase("settings_above_ceiling", name=name, most=most, ask=ask))

    @app_commands.command(description=localized("command_settings_alerts"))
    @described("settings_alerts")
    async def alerts(
        self,
        interaction: Interaction,
        channel: app_commands.Transform[app_commands.AppCommandChannel, TextChannel] | None = None,
        off: bool = False,
    ) -> None:
        """Set where it is told that the server's budget runs low (needs Manage Server)."""
        guild_id, alerts, locale = _managed_guild(interaction), self._services.store.alerts, locale_of(interaction)
        if channel is not None and not off:
            await interaction.response.defer(ephemeral=True)
            await _introduce(interaction, channel.id)
            await alerts.set_channel(guild_id, channel.id)
            said = say(locale, "alerts_set", channel=f"<#{channel.id}>")
            await interaction.edit_original_response(content=said)
            return
        if off:
            await alerts.set_channel(guild_id, None)
        now = await alerts.channel_of(guild_id)
        told = phrase("alerts_now_here", channel=f"<#{now}>") if now is not None else phrase("alerts_now_off")
        said = say(locale, phrase("alerts_off") if off else told)
        await interaction.response.send_message(said, ephemeral=True)

    @app_commands.command(description=localized("command_settings_show"))
    async def show(self, interaction: Interaction) -> None:
        """The default model and the limits that hold for you here."""
        await self._show(interaction)

    async def _show(self, interaction: Interaction, *, saved: bool = False) -> None:
        services = self._services
        actor = interaction_data.actor_of(interaction)
        preferences = await services.store.preferences.get(actor.user_id, actor.guild_id)
        model = default_model(services.catalogue, preferences, services.settings.models.default)
        mine = offered(services.catalogue, preferences.user_model)
        servers = offered(services.catalogue, preferences.guild_model)
        stored = (preferences.user_model, preferences.guild_model)
        shown = pages.SettingsView(
            model=model,
            origin="your" if model is mine else "server" if model is servers else "usual",
            guild_model=servers,
            policy=policy_for(services.settings, preferences.guild_limits, actor),
            overrides=preferences.guild_limits,
            in_guild=actor.guild_id is not None,
            saved=saved,
            notices=tuple(why for name in stored if (why := passed_over(services.catalogue, name)) is not None),
        )
        await interaction.response.send_message(
            view=pages.settings_page(shown, locale=locale_of(interaction)), ephemeral=True
        )

    @model.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, typed: str) -> list[Choice[str]]:
        found = self._services.catalogue.search(typed, tasks=PROMPT_TASKS)
        return model_choices([model for model in found if model.paints_from_words])


async def _introduce(interaction: Interaction, channel_id: int) -> None:
    """Say in the channel that alerts come there.

    Raises:
        Refusal: the bot can't post there.
    """
    channel = client_of(interaction).get_partial_messageable(channel_id, guild_id=interaction.guild_id)
    try:
        await channel.send(say(ENGLISH, "alerts_here"))
    except (discord.Forbidden, discord.NotFound) as error:
        raise Refusal(phrase("settings_channel_closed", channel=f"<#{channel_id}>")) from error


def _exact(usd: float) -> Decimal:
    """US dollars as they were typed; what is finer than a millionth is left off."""
    return Decimal(str(usd)).quantize(Decimal("0.000001"), ROUND_DOWN).normalize()


def _managed_guild(interaction: Interaction) -> int:
    """The id of the server, if the person has Manage Server there and the bot is a member.

    Raises:
        Refusal: otherwise.
    """
    if interaction.guild_id is None:
        raise Refusal(phrase("settings_only_in_server"))
    if not interaction.is_guild_integration():
        raise Refusal(phrase("settings_not_member"))
    if not interaction.permissions.manage_guild:
        raise Refusal(phrase("settings_not_manager"))
    return interaction.guild_id


async def setup(bot: EaselBot) -> None:
    """Load as an extension."""
    await bot.add_cog(SettingsCog(bot))
