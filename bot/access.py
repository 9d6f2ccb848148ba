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
    return _against_person(access, operators, visit) or _against_place(access, operators, visit)


def _against_person(access: AccessSettings, operators: Sequence[int], visit: Visit) -> Barrier | None:
    if visit.person_id in access.blocked_people:
        return "person"
    return None if access.people == "any" or _is_named(access, operators, visit) else "person"


def _against_place(access: AccessSettings, operators: Sequence[int], visit: Visit) -> Barrier | None:
    if visit.guild_id is None and not access.direct_messages:
        return "direct_message"
    if visit.guild_id in access.blocked_servers:
        return "server"
    if visit.by_user_install and not access.user_installs:
        return "user_install"
    if access.servers == "any" or visit.guild_id in access.servers:
        return None
    if visit.guild_id is not None:
        return "server"
    return None if _is_named(access, operators, visit) else "direct_message"


def _is_named(access: AccessSettings, operators: Sequence[int], visit: Visit) -> bool:
    return visit.person_id in operators or (access.people != "any" and visit.person_id in access.people)


def admits(access: AccessSettings, operators: Sequence[int], job: Job) -> bool:
    """Whether a job may still be painted: its place and person are let in today."""
    return barrier(access, operators, Visit.of(job)) is None
