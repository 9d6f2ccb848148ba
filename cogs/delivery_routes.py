"""The ways in which a card can reach its person, in the order in which they are tried."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import aiohttp
import discord

from bot import metrics
from bot.domain.job import Job, JobState
from cogs.ui import cards
from cogs.ui.cards import Wording
from cogs.ui.messages import say

if TYPE_CHECKING:
    from bot.discord.client import EaselBot

log = logging.getLogger(__name__)

#: A token this close to its end is not used any more.
TOKEN_MARGIN_S = 10
#: Messages looked through for an earlier post.
LOOK_BACK_MESSAGES = 300
#: Discord's name for the initial response to an interaction, taken in place of a message id.
ORIGINAL = cast("int", "@original")
#: The end of a nonce, by the state whose card is posted. A result's is as old as the bot.
NONCE_ENDS = {JobState.FINISHED: "f", JobState.FAILED: "x", JobState.CANCELLED: "c"}

#: A card and the files that belong to it.
Content = tuple[discord.ui.LayoutView, list[discord.File]]


@dataclass(frozen=True, slots=True)
class OutgoingCard:
    """One card on its way."""

    job: Job
    #: Builds the card anew for every attempt: files can be read once.
    build: Callable[[Wording], Content]
    #: Whether it may go where only the person sees it, instead of the channel.
    may_go_private: bool = True
    #: How much it says.
    wording: Wording = Wording.FULL
    #: Whether Discord says that the channel or thread was deleted.
    channel_gone: bool = False

    def content(self) -> Content:
        """The card and its files, for one attempt."""
        return self.build(self.wording)


@dataclass(frozen=True, slots=True)
class Route:
    """One way. `send` returns the message that shows the card."""

    is_open: Callable[[OutgoingCard], bool]
    send: Callable[[OutgoingCard], Awaitable[Sent]]
    #: Whether a long rate limit is waited out; else the next route is tried.
    waits: bool = True


class _BareWebhook(discord.Webhook):
    """Of the messages that Discord answers with, only the ids: discord.py would make a hundred objects of each."""

    def _create_message(self, data: Mapping[str, str], *, thread: object) -> discord.Object:
        return discord.Object(int(data["id"]))


@dataclass(frozen=True, slots=True)
class Sent:
    """The message by which a card went out."""

    message_id: int
    #: The channel that everybody sees it in; None for a direct message.
    channel_id: int | None
    #: Whether it is another message than the one that showed progress.
    is_new: bool = False


class Routes:
    """All of them, for one bot."""

    def __init__(self, bot: EaselBot) -> None:
        self._bot = bot
        self._services = bot.services
        self._started_at = bot.services.clock()
        self.edit_by_token = Route(lambda outgoing: self.token_lives(outgoing.job), self._edit_by_token)
        # Discord lets a message older than an hour be edited rarely: rather post anew than wait for that.
        self.edit_as_bot = Route(_has_message, self._edit_as_bot, waits=False)
        self.in_order = (
            self.edit_by_token,
            self.edit_as_bot,
            Route(_in_channel, self._post),
            Route(
                lambda outgoing: (
                    _in_channel(outgoing) and outgoing.may_go_private and outgoing.job.actor.guild_id is not None
                ),
                self._send_dm,
            ),
            Route(lambda outgoing: not _in_channel(outgoing) and self.token_lives(outgoing.job), self._send_followup),
            # By our clock, which may be wrong; Discord has the last word.
            Route(
                lambda outgoing: bool(outgoing.job.reply.token) and not self.token_lives(outgoing.job),
                self._edit_by_token,
            ),
        )

    def token_lives(self, job: Job) -> bool:
        """Whether the interaction's token can be used, by our clock."""
        left = job.reply.token_expires_at - self._services.clock()
        return bool(job.reply.token) and left.total_seconds() > TOKEN_MARGIN_S

    def webhook(self, job: Job) -> discord.Webhook:
        """What speaks by the interaction's token."""
        return _BareWebhook.partial(job.reply.application_id, job.reply.token, client=self._bot)

    async def edit_original(
        self, job: Job, view: discord.ui.LayoutView, files: list[discord.File] | None = None
    ) -> int:
        """Edit the answer to the interaction, by its token; without `files` it keeps what is attached."""
        attachments = discord.utils.MISSING if files is None else files
        message = await self.webhook(job).edit_message(ORIGINAL, view=view, attachments=attachments)
        metrics.DISCORD_EDITS.inc()
        return message.id

    async def _edit_by_token(self, outgoing: OutgoingCard) -> Sent:
        return Sent(await self.edit_original(outgoing.job, *outgoing.content()), outgoing.job.actor.channel_id)

    async def _edit_as_bot(self, outgoing: OutgoingCard) -> Sent:
        """Edit the same message as the bot, once the token is dead."""
        job, (view, files) = outgoing.job, outgoing.content()
        message = self._channel(job).get_partial_message(job.reply.message_id or 0)
        await message.edit(view=view, attachments=files)
        metrics.DISCORD_EDITS.inc()
        return Sent(message.id, job.actor.channel_id)

    async def ways_to_close(self, job: Job, shown: Sent) -> AsyncIterator[Callable[[], Awaitable[Sent]]]:
        """Ways to take the buttons from the message that showed progress, because the end is shown by another one.

        It says where that is; and is deleted where it can't be edited.
        """
        guild = job.actor.guild_id or "@me"
        link = f"https://discord.com/channels/{guild}/{shown.channel_id}/{shown.message_id}"
        card = cards.moved_card(link if shown.channel_id is not None else None, locale=job.reply.locale)
        if self.token_lives(job):
            webhook = self.webhook(job)
            yield lambda: _closed(shown, webhook.edit_message(ORIGINAL, view=card, attachments=[]))
            yield lambda: _closed(shown, webhook.delete_message(ORIGINAL))
        if job.reply.bot_can_post and not job.reply.ephemeral:
            message_id = job.reply.message_id or await self._card_of(job, shown)
            if message_id is not None:
                message = self._channel(job).get_partial_message(message_id)
                yield lambda: _closed(shown, message.edit(view=card, attachments=[]))
                yield lambda: _closed(shown, message.delete())

    async def _card_of(self, job: Job, shown: Sent) -> int | None:
        """The message that showed the job's progress, where the process ended before its id was stored."""
        with suppress(discord.HTTPException, aiohttp.ClientError, OSError, TimeoutError):
            async for message in self._own_messages(job):
                if message.id != shown.message_id and cards.names_job(message.components, job.id):
                    return message.id
        return None

    async def _post(self, outgoing: OutgoingCard) -> Sent:
        """A new message; the nonce makes a repeated POST return the first one, while Discord remembers it."""
        job, (view, files) = outgoing.job, outgoing.content()
        if self._nonce_forgotten(job):
            posted = await self._posted_before(job, with_pictures=bool(files))
            if posted is not None:
                return Sent(posted, job.actor.channel_id, is_new=posted != job.reply.message_id)
        message = await self._channel(job).send(view=view, files=files, nonce=nonce(job))
        metrics.DISCORD_POSTS.inc()
        return Sent(message.id, job.actor.channel_id, is_new=True)

    async def _send_followup(self, outgoing: OutgoingCard) -> Sent:
        """One more message by the interaction's token."""
        job, (view, files) = outgoing.job, outgoing.content()
        webhook = self.webhook(job)
        webhook.type = discord.WebhookType.application  # `partial` can't know; only these may be ephemeral
        message = await webhook.send(view=view, files=files, wait=True, ephemeral=job.reply.ephemeral)
        return Sent(message.id, job.actor.channel_id, is_new=True)

    async def _send_dm(self, outgoing: OutgoingCard) -> Sent:
        """To the person themselves, where the bot was shut out of the channel."""
        job, (view, files) = outgoing.job, outgoing.content()
        moved = say(job.reply.locale, "posted_elsewhere", channel=f"<#{job.actor.channel_id}>")
        if outgoing.channel_gone:
            moved = say(job.reply.locale, "posted_channel_gone")
        view.add_item(discord.ui.TextDisplay(f"-# {moved}"))
        channel = await self._bot.create_dm(discord.Object(job.actor.user_id))
        message = await channel.send(view=view, files=files, nonce=nonce(job))
        return Sent(message.id, None, is_new=True)

    def _channel(self, job: Job) -> discord.PartialMessageable:
        return self._bot.get_partial_messageable(job.actor.channel_id, guild_id=job.actor.guild_id)

    # ------------------------------------------------------------------ posted before?

    def _nonce_forgotten(self, job: Job) -> bool:
        """Whether an earlier process may have posted this under a nonce that Discord, or this process, no longer knows.

        Discord forgets them after some minutes; and up to version 0.1 failures had the nonces of results.
        """
        since = job.finished_at or job.ended_at
        if since is None:
            return False
        if job.state is JobState.FAILED and (job.ended_at or since) < self._started_at:
            return True
        age_s = abs((self._services.clock() - since).total_seconds())
        return age_s > self._services.discord_timings.nonce_life_s

    async def _posted_before(self, job: Job, *, with_pictures: bool) -> int | None:
        """The message that shows this end of the job already, found by its file name or its buttons."""
        try:
            async for message in self._own_messages(job):
                if cards.shows_end_of(message.components, job.id, with_pictures=with_pictures):
                    return message.id
        except discord.Forbidden:
            log.info("may not read the channel to look for an earlier post", extra={"job": job.id})
        return None

    async def _own_messages(self, job: Job) -> AsyncIterator[discord.Message]:
        """The bot's messages in the job's channel since it was asked for, oldest first."""
        after = discord.Object(job.reply.interaction_id)
        async for message in self._channel(job).history(after=after, limit=LOOK_BACK_MESSAGES, oldest_first=True):
            if self._bot.user is not None and message.author.id == self._bot.user.id:
                yield message


async def _closed(shown: Sent, closing: Awaitable[object]) -> Sent:
    await closing
    return shown


def nonce(job: Job) -> str:
    """The same for every attempt to post how a job ended, and another one for every way in which it can end."""
    return f"{job.id}{NONCE_ENDS.get(job.state, job.state.value[:1])}"


def _in_channel(outgoing: OutgoingCard) -> bool:
    """Whether the bot's own messages can show it where it was asked for."""
    return outgoing.job.reply.bot_can_post and not outgoing.job.reply.ephemeral


def _has_message(outgoing: OutgoingCard) -> bool:
    return _in_channel(outgoing) and outgoing.job.reply.message_id is not None
