"""Who may use the bot, and where: one decision for commands, buttons, menus, windows and completions. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.domain.job import Job
from bot.settings import AccessSettings

#: What keeps a visit out: the server, the person, the way in which the bot was installed, or direct messages.
Barrier = Literal["server", "person", "user_install", "direct_message"]


@dataclass(frozen=True, slots=True)
class Visit:
    """A person in a place, who wants something of the bot."""

    person_id: int
    #: None in direct messages and group chats.
    guild_id: int | None
    #: Whether a person's own installation of the app brought it there, and nothing else did.
    by_user_install: bool = False

    @classmethod
    def of(cls, job: Job) -> Visit:
        """The visit in which a job was asked for."""
        return cls(job.actor.user_id, job.actor.guild_id, by_user_install=not job.reply.bot_can_post)


def barrier(access: AccessSettings, operators: Sequence[int], visit: Visit) -> Barrier | None:
    """What keeps the visit out; None where nothing does.

    A direct message is in no server: where servers are listed, it is open to people who are listed by name.

    Args:
        operators: ids of people who count as listed, because they run the bot.
    """
    blocked_place = visit.guild_id is not None and visit.guild_id in access.blocked_servers
    if visit.person_id in access.blocked_people:
        return "person"
    if blocked_place:
        return "server"
    named = visit.person_id in operators or (access.people != "any" and visit.person_id in access.people)
    if access.people != "any" and not named:
        return "person"
    if visit.guild_id is None and not access.direct_messages:
        return "direct_message"
    if visit.by_user_install and not access.user_installs:
        return "user_install"
    if access.servers == "any" or named and visit.guild_id is None:
        return None
    return None if visit.guild_id in access.servers else "direct_message" if visit.guild_id is None else "server"


def admits(access: AccessSettings, operators: Sequence[int], job: Job) -> bool:
    """Whether a job may still be painted: its place and person are let in today."""
    return barrier(access, operators, Visit.of(job)) is None
