"""Discord and fal on loopback for jobs that stay in flight: fal holds every painting until it is told to finish it.

Reads one JSON object a line from stdin, writes one a line to stdout; `do` names what to do:

- `ask` (people, rate): so many people ask, so many a second; the first answers' figures.
- `mark`: from now on it is counted which requests somebody looks at.
- `flight`: how many are held, and how many of them were looked at (a status or a stream) since the mark.
- `finish` (count): end so many of them, spread over all; 0 ends all, and all that come later.
- `posted` (wait_s): wait until everything that was finished is posted; how long after its end.
- `calls`: HTTP calls of each kind.
"""

from __future__ import annotations

import asyncio
from typing import Any

from sandbox.discord.interactions import InteractionRecord
from sandbox.fal.jobs import Job
from tests.bench.crowd import Crowd, quantile

#: Paintings that end within a tenth of a second.
_ENDS_AT_ONCE = 50
#: More jobs than the bench submits.
_KEPT = 200_000


class Flight(Crowd):
    """The fake servers, with a fal that never finishes by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.fal.queue.paint_s = 0.0
        self.fal.queue.keep_jobs = _KEPT
        vars(self.fal.queue)["_log_progress"] = self._hold
        self._open = False
        self._held: dict[str, tuple[Job, asyncio.Event]] = {}
        self._records: dict[str, InteractionRecord] = {}
        self._finished: list[Job] = []
        self._looks: dict[str, int] = {}

    async def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do what `do` says."""
        if "do" not in command:
            return await super().answer(command)
        name = command.pop("do")
        answer: dict[str, Any] = await getattr(self, name)(**command)
        return answer

    async def _hold(self, job: Job, _duration_s: float) -> None:
        if not self._open:
            gate = asyncio.Event()
            self._held[job.id] = job, gate
            await gate.wait()

    async def ask(self, people: int, rate: float) -> dict[str, Any]:
        """Ask, and wait until fal has all of it."""
        loop = asyncio.get_running_loop()
        channel = self.discord.channel("general")
        records = []
        held_before = len(self._held)
        began_s = loop.time()
        for number, person in enumerate(self.discord.world.add_people(people)):
            await asyncio.sleep(max(began_s + number / rate - loop.time(), 0))
            self.asked += 1
            prompt = f"a lighthouse, number {self.asked}"
            record = await self.discord.command(person, channel, "imagine", {"prompt": prompt})
            self._records[prompt] = record
            records.append(record)
        async with asyncio.timeout(60 + people / 20):
            # Who could not be answered in time is not painted for.
            while len(self._held) - held_before < people - sum(one.state == "failed" for one in records):
                await asyncio.sleep(0.5)
        first_s = [one.first_answer_s for one in records if one.first_answer_s is not None]
        return {
            "took_s": loop.time() - began_s,
            "first_answer_p99_s": quantile(first_s, 0.99),
            "failed": sum(one.state == "failed" for one in records),
        }

    async def mark(self) -> dict[str, Any]:
        """Remember who was looked at how often."""
        self._looks = {id_: _looks(job) for id_, (job, _) in self._held.items()}
        return {}

    async def flight(self) -> dict[str, Any]:
        """How many are held, and looked at."""
        looked = sum(_looks(job) > self._looks.get(id_, 0) for id_, (job, _) in self._held.items())
        return {"held": len(self._held), "looked_at": looked, "streams": self.fal.counters.open_streams}

    async def finish(self, count: int) -> dict[str, Any]:
        """End some; of a few, every n-th."""
        self._open = self._open or not count
        every = max(len(self._held) // count, 1) if count else 1
        for number, id_ in enumerate(list(self._held)[::every][: count or None], 1):
            job, gate = self._held.pop(id_)
            self._finished.append(job)
            gate.set()
            if number % _ENDS_AT_ONCE == 0:
                await asyncio.sleep(0.1)
        return {"finished": len(self._finished)}

    async def posted(self, wait_s: float) -> dict[str, Any]:
        """Wait for the pictures of what was finished, then forget about it."""
        jobs, self._finished = self._finished, []
        waited = [self._records[str(job.arguments["prompt"])] for job in jobs]
        await asyncio.gather(*(self._patiently(record, wait_s) for record in waited))
        lags_s = [
            record.created_at.timestamp() + record.picture_s - job.ended_at.timestamp()
            for record, job in zip(waited, jobs, strict=True)
            if record.picture_s is not None and job.ended_at is not None
        ]
        return {
            "posted": len(lags_s),
            "missing": len(jobs) - len(lags_s),
            "posted_p50_s": quantile(lags_s, 0.5),
            "posted_max_s": max(lags_s, default=None),
            "duplicates": self.fal.counters.duplicates,
            "refusals": len(self.discord.refusals),
        }

    async def calls(self) -> dict[str, Any]:
        """Counters of the fake fal; pictures are fetched from it, too."""
        return dict(self.fal.counters.requests)


def _looks(job: Job) -> int:
    return job.requests["status"] + job.requests["stream"]


if __name__ == "__main__":
    asyncio.run(Flight().serve())
