"""The real bot as `python -m bot run` starts it, with the event loop watched."""

from __future__ import annotations

import asyncio

from bot import logs
from bot.app import run
from bot.cli.process import loop_factory
from bot.settings import load_settings
from tests.bench.lag import LagMonitor


async def main() -> None:
    settings = load_settings()
    logs.configure(settings.log)
    async with LagMonitor():
        await run(settings)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(main())
