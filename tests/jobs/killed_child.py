"""A bot's process without Discord and fal, killed by one attachment: `python -m tests.jobs.killed_child DATABASE HOW`.

HOW is `kill` (the attachment ends the process), `hang` (its preparation takes for ever, until SIGTERM) or `well`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Hashable

from bot.domain.job import TERMINAL
from bot.domain.picture import InputNeeds, PreparedInput
from bot.media.picture import inspect
from bot.settings import FalSettings
from bot.store import Store
from tests.jobs.scripted import RunnerFixture, ScriptedFal, a_png

KILLER, INNOCENT = (f"https://cdn.discordapp.com/attachments/1/2/{name}.png" for name in ("killer", "innocent"))


class Attachments:
    """One attachment ends the process, or never comes; the others are pictures."""

    def __init__(self, how: str) -> None:
        self._how = how

    def is_attachment(self, url: str) -> bool:
        return True

    async def fetch(
        self,
        url: str,
        *,
        option: str,
        owner: Hashable,
        needs: InputNeeds | None = None,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        print("fetch", url, flush=True)
        if url == KILLER and self._how != "well":
            await asyncio.sleep(0.3)  # others come in beside it, where they may
            if self._how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            await asyncio.Event().wait()
        return PreparedInput(inspect(a_png()))

    async def fetch_mask(
        self,
        url: str,
        *,
        picture: PreparedInput,
        option: str,
        owner: Hashable,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        return await self.fetch(url, option=option, owner=owner)


async def main(path: str, how: str, *, fresh: bool) -> None:
    """Ask for both at the first start; run until both have ended, or SIGTERM."""
    store = await Store.open(f"sqlite:///{path}")
    fixture = RunnerFixture(store, ScriptedFal(), FalSettings(), inputs=Attachments(how))
    if fresh:
        await fixture.ask(user=1, image=KILLER)
        await fixture.ask(user=2, image=INNOCENT)
    running = asyncio.create_task(fixture.runner.run())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    while not stop.is_set():
        found = [await store.jobs.get(f"job{number:07}") for number in (1, 2)]
        if all(job is not None and job.state in TERMINAL for job in found):
            break
        await asyncio.sleep(0.02)
    await fixture.runner.stop()
    await running
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:], fresh=not os.path.exists(sys.argv[1])))
