"""Budgets in bytes for the pictures in hand: one is shared by all deliveries, others by what people attached."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

#: What a picture is taken for before any has been seen, and at least.
FIRST_GUESS_BYTES = 2 * 1024 * 1024
LEAST_GUESS_BYTES = 128 * 1024
#: The guess lies this much above the largest picture seen lately, and forgets it by this share with every other one.
_MARGIN = 1.125
_FORGETTING = 0.95


class OutOfRoom(Exception):
    """The budget has no room for a picture that is larger than was guessed."""


class Grant:
    """Bytes set aside for one job. Belongs to one task; give it back with `release`."""

    def __init__(self, budget: ByteBudget, size_bytes: int) -> None:
        self._budget = budget
        self.size_bytes = size_bytes

    def resize(self, size_bytes: int) -> None:
        """Set aside more or fewer bytes.

        Raises:
            OutOfRoom: more, and there is no room for them. (A delivery that is alone in hand may always have them.)
        """
        self._budget._resize(self, size_bytes)

    def release(self) -> None:
        """Give all of it back. Doing so twice is harmless."""
        self._budget._release(self)


@dataclass(slots=True)
class _Waiting:
    size_bytes: int
    granted: asyncio.Future[Grant]


class ByteBudget:
    """Deliveries and uploads set bytes aside before they fetch pictures: first come, first served.

    Whoever wants more than the whole budget gets it alone. One grant a job, taken in one piece: two jobs that each hold
    a part of what they need would wait for each other for ever.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: set[Grant] = set()
        self._waiting: deque[_Waiting] = deque()
        #: Set aside now.
        self.used_bytes = 0

    @property
    def waiting(self) -> int:
        """Number of deliveries that wait for a grant."""
        return len(self._waiting)

    def request(self, size_bytes: int) -> asyncio.Future[Grant]:
        """A grant, now or later. Whoever stops waiting hands the future to `withdraw`."""
        granted: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(size_bytes, granted))
        self._admit()
        return granted

    def withdraw(self, granted: asyncio.Future[Grant]) -> None:
        """Nobody waits for this grant any more; what was granted in this very moment is given back."""
        if not granted.cancel() and not granted.cancelled():
            granted.result().release()
        self._admit()

    async def granted(self, size_bytes: int) -> Grant:
        """Wait for a grant."""
        turn = self.request(size_bytes)
        try:
            return await asyncio.shield(turn)
        except BaseException:
            self.withdraw(turn)
            raise

    def _fits(self, more_bytes: int) -> bool:
        return self.used_bytes + more_bytes <= self._limit_bytes

    def _admit(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            if not first.granted.done():
                if self._held and not self._fits(first.size_bytes):
                    return
                grant = Grant(self, first.size_bytes)
                self._held.add(grant)
                self.used_bytes += first.size_bytes
                first.granted.set_result(grant)
            self._waiting.popleft()

    def _resize(self, grant: Grant, size_bytes: int) -> None:
        more_bytes = size_bytes - grant.size_bytes
        if more_bytes > 0 and len(self._held) > 1 and not self._fits(more_bytes):
            raise OutOfRoom
        grant.size_bytes = size_bytes
        self.used_bytes += more_bytes
        if more_bytes < 0:
            self._admit()

    def _release(self, grant: Grant) -> None:
        if grant in self._held:
            self._held.remove(grant)
            self.used_bytes -= grant.size_bytes
            self._admit()


class SizeGuess:
    """How large the next picture may be, by the largest of the latest ones.

    Args:
        most_bytes: the most it ever says; after one huge picture the others still pass side by side.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._largest_bytes = FIRST_GUESS_BYTES / _MARGIN

    @property
    def picture_bytes(self) -> int:
        """For one picture."""
        return min(max(int(self._largest_bytes * _MARGIN), LEAST_GUESS_BYTES), self._most_bytes)

    def learn(self, size_bytes: int) -> None:
        """A picture had this size."""
        self._largest_bytes = max(size_bytes, self._largest_bytes * _FORGETTING)


class Room:
    """What one grant is used for: the size of each picture, as soon as it is known."""

    def __init__(self, grant: Grant, guess_bytes: int) -> None:
        self._grant = grant
        self._guess_bytes = guess_bytes
        self._sizes: dict[int, int] = {}

    @property
    def sizes_bytes(self) -> list[int]:
        """Of the pictures whose size is known."""
        return list(self._sizes.values())

    @property
    def needed_bytes(self) -> int:
        """For all pictures whose size is known, with a little to spare."""
        return sum(self._sizes.values()) + self._guess_bytes

    def reserve(self, index: int, size_bytes: int) -> None:
        """One picture turned out to be so large, at least. Raises OutOfRoom."""
        self._sizes[index] = max(size_bytes, self._sizes.get(index, 0))
        total_bytes = sum(self._sizes.values())
        if total_bytes > self._grant.size_bytes:
            self._grant.resize(total_bytes)

    def settle(self, total_bytes: int) -> None:
        """All of them are here, and take so many bytes."""
        self._grant.resize(min(total_bytes, self._grant.size_bytes))
