"""The one task that writes. Callers that come while a transaction runs share the next one (group commit)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from bot.errors import StoreUnusable
from bot.store.database import Database

log = logging.getLogger(__name__)

Q = TypeVar("Q")
R = TypeVar("R")

#: Runs many requests of one kind in one transaction, set-wise; one result a request, in order. A result that is an
#: exception is raised to that caller alone.
Batch = Callable[[Connection, Sequence[Q]], Sequence[R | Exception]]

#: Bounds how long the event loop is busy preparing one transaction (some 20 ms).
_MOST_IN_ONE_TRANSACTION = 128
#: Share of a caller's time that a transaction that has just begun gets beyond it.
_MOMENT = 0.25


@dataclass(slots=True)
class _PendingWrite:
    batch: Batch[Any, Any]
    request: Any
    done: asyncio.Future[Any]
    #: Its caller has been told that it is not written; true until the end.
    withdrawn: bool = False
    #: Only COMMIT is left: it can't be withdrawn any more.
    committing: bool = False
    #: When its transaction was first tried (time of the loop).
    began_s: float | None = None
    timer: asyncio.TimerHandle | None = None
    #: Its deadline was already extended once.
    deadline_extended: bool = False

    def withdraw(self) -> None:
        """Answer that it was not written, unless COMMIT has begun."""
        if not self.committing and not self.done.done():
            self.withdrawn = True
            self.done.set_exception(StoreUnusable("The database does not answer in time. Nothing was written."))


class _Withdrawn(Exception):
    """A request was withdrawn while its transaction ran: roll the whole transaction back."""


class Writer:
    """Owns the writing task; `run` may be called from any number of tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_PendingWrite] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._written_at_s = time.monotonic()

    def start(self) -> None:
        """Begin writing."""
        self._task = asyncio.create_task(self._work(), name="store-writer")

    @property
    def open(self) -> bool:
        """Whether `run` takes anything."""
        return self._task is not None and not self._closing and not self._task.done()

    def idle_s(self) -> float:
        """For how long nothing has been written; 0 while something is."""
        return 0.0 if self._waiting else time.monotonic() - self._written_at_s

    async def run(self, batch: Batch[Q, R], request: Q, *, within_s: float | None = None) -> R:
        """Have `request` executed by `batch`, and return its result once it is committed.

        A caller that is cancelled while waiting loses the answer, not the write.

        Args:
            within_s: give up, and certainly do not write it later, when COMMIT has not begun by then.

        Raises:
            StoreUnusable: the transaction did not commit.
        """
        if self._task is None or self._closing:
            raise StoreUnusable(
                "The database is closed." if self._closing else "The database is open for reading only."
            )
        done: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        waiting = _PendingWrite(batch, request, done)
        self._waiting.append(waiting)
        self._wake.set()
        if within_s is None:
            return await done
        loop = asyncio.get_running_loop()
        waiting.timer = loop.call_later(within_s, _withdraw_late, loop, waiting, within_s)
        try:
            return await done
        finally:
            waiting.timer.cancel()

    async def apply(self, work: Callable[[Connection], R]) -> R:
        """Like `run`, for what is written too rarely to have a batch of its own."""
        return await self.run(_one_by_one, work)

    async def close(self) -> None:
        """Write what is waiting, then stop."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def until_broken(self) -> None:
        """Return, or raise its error, when the writing task ends."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def _work(self) -> None:
        try:
            while self._waiting or not self._closing:
                if not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                await self._write(self._next())
                self._written_at_s = time.monotonic()
        finally:
            # Only when the loop is torn down around us: nobody shall wait for ever.
            self._closing = True
            for waiting in self._waiting:
                _answer(waiting.done, StoreUnusable("The database is closed."))

    def _next(self) -> list[_PendingWrite]:
        """The oldest requests; on PostgreSQL of one kind, which locks rows in one order.

        Two processes whose transactions mix kinds would lock each other out there.
        """
        kind = self._waiting[0].batch
        chosen: list[_PendingWrite] = []
        others: deque[_PendingWrite] = deque()
        while self._waiting and len(chosen) < _MOST_IN_ONE_TRANSACTION:
            waiting = self._waiting.popleft()
            if waiting.withdrawn:
                continue
            (chosen if self._database.is_sqlite or waiting.batch == kind else others).append(waiting)
        self._waiting.extendleft(reversed(others))
        return chosen

    async def _write(self, members: list[_PendingWrite]) -> None:
        try:
            results = await self._commit(members)
        except _Withdrawn:
            await self._write(members)
            return
        except StoreUnusable as error:
            if len(members) > 1 and _may_be_one_member(error):
                for member in members:
                    await self._write([member])
                return
            log.error("write failed", extra={"reason": error.sentence, "requests": len(members)})
            results = [type(error)(error.sentence) for _ in members]
        except Exception as error:
            if len(members) > 1:
                for member in members:
                    await self._write([member])
                return
            results = [error]
        except BaseException:
            for member in members:
                _answer(member.done, StoreUnusable("The database was closed while this was being written."))
            raise
        for member, result in zip(members, results, strict=True):
            _answer(member.done, result)

    async def _commit(self, members: list[_PendingWrite]) -> Sequence[Any]:
        """Kind by kind: requests that wait at the same time have no order among them, only those of one kind."""
        now_s = asyncio.get_running_loop().time()
        for member in members:
            member.began_s = now_s if member.began_s is None else member.began_s

        def work(connection: Connection) -> list[Any]:
            # Checked here: it may have taken long to get a transaction.
            chosen = [position for position, member in enumerate(members) if not member.withdrawn]
            kinds: dict[Batch[Any, Any], list[int]] = {}
            for position in chosen:
                members[position].committing = False
                kinds.setdefault(members[position].batch, []).append(position)
            results: list[Any] = [None] * len(members)
            for batch, positions in kinds.items():
                answers = batch(connection, [members[position].request for position in positions])
                for position, answer in zip(positions, answers, strict=True):
                    results[position] = answer
            if any(members[position].withdrawn for position in chosen):
                raise _Withdrawn
            for position in chosen:
                members[position].committing = True
            return results

        return await self._database.write(work)


def _one_by_one(connection: Connection, works: Sequence[Callable[[Connection], Any]]) -> list[Any]:
    return [work(connection) for work in works]


def _withdraw_late(loop: asyncio.AbstractEventLoop, waiting: _PendingWrite, within_s: float) -> None:
    """Withdraw a request at its deadline; one whose transaction has only just begun gets a moment longer, once."""
    young_s = within_s * _MOMENT
    if waiting.began_s is not None and loop.time() - waiting.began_s < young_s and not waiting.deadline_extended:
        waiting.deadline_extended = True
        waiting.timer = loop.call_later(young_s, _withdraw_late, loop, waiting, within_s)
    else:
        waiting.withdraw()


def _may_be_one_member(error: StoreUnusable) -> bool:
    """Whether the database refused one request's values, so that the others may succeed alone."""
    cause = error.__cause__
    return (
        isinstance(cause, DBAPIError) and not isinstance(cause, OperationalError) and not cause.connection_invalidated
    )


def _answer(done: asyncio.Future[Any], result: Any) -> None:
    if done.done():  # the caller was cancelled
        return
    if isinstance(result, Exception):
        done.set_exception(result)
    else:
        done.set_result(result)
