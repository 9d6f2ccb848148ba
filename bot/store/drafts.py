"""Drafts: requests that are not accepted yet. Accepting one happens in `accepting`, in the transaction of the job."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import SystemRandom
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select

from bot.domain.draft import DRAFT_LIFE, Draft
from bot.domain.request import Json
from bot.ids import new_job_id
from bot.store.database import Database
from bot.store.dialect import now_in
from bot.store.tables import drafts
from bot.store.times import from_us, to_us
from bot.store.writer import Writer

_LONGEST_KIND = 20
#: Open drafts that are kept of one person; older ones go, so that nobody fills the disk with refused requests.
MOST_OF_USER = 50


class DraftStore:
    """Drafts by id; `store.drafts`."""

    def __init__(self, database: Database, writer: Writer, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock

    async def create(
        self,
        kind: str,
        payload: Mapping[str, Json],
        *,
        user_id: int,
        channel_id: int,
        guild_id: int | None,
        life: timedelta = DRAFT_LIFE,
    ) -> Draft:
        """Keep a request for `life`, and no more than `MOST_OF_USER` of one person.

        Args:
            kind: what it waits for, at most 20 characters.
            payload: anything JSON can hold; never logged.
        """
        _check_kind(kind)

        def work(connection: Connection) -> Draft:
            now = now_in(connection, self._clock)
            row = {
                "id": new_job_id(to_us(now) // 1000, SystemRandom()),
                "user_id": user_id,
                "channel_id": channel_id,
                "guild_id": guild_id,
                "kind": kind,
                "payload_json": _dump(payload),
                "created_us": to_us(now),
                "expires_us": to_us(now + life),
            }
            created = _draft(connection.execute(drafts.insert().returning(drafts), row).one())
            connection.execute(_DROP_OLDEST, {"b_user": user_id})
            return created

        return await self._writer.apply(work)

    async def get(self, draft_id: str) -> Draft | None:
        """The draft, also one that became a job; None once it is expired, discarded or erased."""
        return await self._database.read(partial(self._read, draft_id=draft_id))

    async def update(self, draft_id: str, payload: Mapping[str, Json], *, kind: str) -> Draft | None:
        """Replace kind and payload; None when there is no such draft any more, or it became a job."""
        _check_kind(kind)

        def work(connection: Connection) -> Draft | None:
            now_us = to_us(now_in(connection, self._clock))
            values = {"b_id": draft_id, "b_now": now_us, "b_kind": kind, "b_payload": _dump(payload)}
            row = connection.execute(_REPLACE, values).one_or_none()
            return None if row is None else _draft(row)

        return await self._writer.apply(work)

    async def discard(self, draft_id: str) -> bool:
        """Delete the draft unless it became a job; whether it was there."""
        return await self._writer.apply(
            lambda connection: bool(connection.execute(_DISCARD, {"b_id": draft_id}).rowcount)
        )

    def _read(self, connection: Connection, draft_id: str) -> Draft | None:
        now_us = to_us(now_in(connection, self._clock))
        row = connection.execute(_ALIVE, {"b_id": draft_id, "b_now": now_us}).one_or_none()
        return None if row is None else _draft(row)


@dataclass(slots=True)
class OpenDraft:
    """What an acceptance has to know of a draft."""

    expires_us: int
    job_id: str | None


def lock_drafts(connection: Connection, draft_ids: Collection[str]) -> dict[str, OpenDraft]:
    """Those that are there, kept from everybody else until the transaction ends."""
    if not draft_ids:
        return {}
    rows = connection.execute(_LOCK, {"ids": sorted(draft_ids)})
    return {row.id: OpenDraft(row.expires_us, row.job_id) for row in rows}


def mark_accepted(connection: Connection, job_ids: Mapping[str, str]) -> None:
    """Note which job each draft became, and forget its payload."""
    if job_ids:
        connection.execute(_ACCEPT, [{"b_id": draft, "b_job": job} for draft, job in sorted(job_ids.items())])


def delete_expired(connection: Connection, now_us: int, rows: int) -> int:
    """Delete at most so many of the drafts that are over; how many."""
    some = select(drafts.c.id).where(drafts.c.expires_us <= now_us).limit(rows)
    return connection.execute(delete(drafts).where(drafts.c.id.in_(some))).rowcount


def delete_of_user(connection: Connection, user_id: int) -> int:
    """How many drafts somebody had."""
    return connection.execute(delete(drafts).where(drafts.c.user_id == user_id)).rowcount


def _check_kind(kind: str) -> None:
    if not 0 < len(kind) <= _LONGEST_KIND:
        raise ValueError(f"a draft's kind has 1 to {_LONGEST_KIND} characters")


def _draft(row: Row[Any]) -> Draft:
    return Draft(
        id=row.id,
        user_id=row.user_id,
        channel_id=row.channel_id,
        guild_id=row.guild_id,
        kind=row.kind,
        payload=json.loads(row.payload_json),
        created_at=from_us(row.created_us),
        expires_at=from_us(row.expires_us),
        job_id=row.job_id,
    )


def _dump(payload: Mapping[str, Json]) -> str:
    dumped = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return dumped.encode(errors="replace").decode()  # half a character pair can't be stored


_OF_ID = drafts.c.id == bindparam("b_id")
_NOT_EXPIRED = drafts.c.expires_us > bindparam("b_now")
_ALIVE = select(drafts).where(_OF_ID, _NOT_EXPIRED)
_REPLACE = (
    drafts.update()
    .where(_OF_ID, _NOT_EXPIRED, drafts.c.job_id.is_(None))
    .values(kind=bindparam("b_kind"), payload_json=bindparam("b_payload"))
    .returning(drafts)
)
_OLDEST = (
    select(drafts.c.id)
    .where(drafts.c.user_id == bindparam("b_user"), drafts.c.job_id.is_(None))
    .order_by(drafts.c.created_us.desc(), drafts.c.id.desc())
    .offset(MOST_OF_USER)
)
_DROP_OLDEST = delete(drafts).where(drafts.c.id.in_(_OLDEST))
_DISCARD = delete(drafts).where(_OF_ID, drafts.c.job_id.is_(None))
# Locked in the order of ids (PostgreSQL), so that two processes can't lock each other out.
_LOCK = (
    select(drafts.c.id, drafts.c.expires_us, drafts.c.job_id)
    .where(drafts.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(drafts.c.id)
    .with_for_update()
)
_ACCEPT = drafts.update().where(_OF_ID).values(job_id=bindparam("b_job"), payload_json="{}")

__all__ = ["DraftStore", "OpenDraft", "delete_expired", "delete_of_user", "lock_drafts", "mark_accepted"]
