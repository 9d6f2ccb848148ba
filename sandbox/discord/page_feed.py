"""Events for the open browser pages, over one WebSocket each, and the bot's log lines that a new page is sent first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from aiohttp import WSMsgType, web

from sandbox.discord.wire import Obj, dumps
from sandbox.discord.world import Channel, Person, World

_KEPT_LINES, _LINES_FOR_A_NEW_PAGE = 500, 100


class _Viewer:
    """One open page. None in its queue ends the stream."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()


class PageFeed:
    """Pushes events to every open page they concern."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._viewers: set[_Viewer] = set()
        self._log: list[str] = []

    def push(self, what: str, shown: Obj, only: str | None = None, channel: Channel | None = None) -> None:
        """Send an event of type `what`.

        Args:
            what: its type.
            shown: its other fields.
            only: the id of the one person who may see it.
            channel: it is for those only who can see this channel.
        """
        if not self._viewers:
            return
        packed = dumps({"type": what, **shown})
        for viewer in self._viewers:
            if only is not None and viewer.person.id != only:
                continue
            if channel is not None and not self._world.person_can_see(viewer.person, channel):
                continue
            viewer.queue.put_nowait(packed)

    def push_commands(self, offered: Callable[[Person], list[Obj]]) -> None:
        """Send each person the commands they may use."""
        for viewer in self._viewers:
            viewer.queue.put_nowait(dumps({"type": "commands", "commands": offered(viewer.person)}))

    def log(self, line: str) -> None:
        """A line of the bot's own log."""
        self._log.append(line)
        del self._log[:-_KEPT_LINES]
        self.push("log", {"line": line})

    async def close(self) -> None:
        """End every event stream."""
        for viewer in self._viewers:
            viewer.queue.put_nowait(None)

    async def stream(self, person: Person, request: web.Request) -> web.StreamResponse:
        """Serve one page's WebSocket until it closes."""
        socket = web.WebSocketResponse(heartbeat=20, compress=False, timeout=2)
        await socket.prepare(request)
        viewer = _Viewer(person)
        self._viewers.add(viewer)
        for line in self._log[-_LINES_FOR_A_NEW_PAGE:]:
            viewer.queue.put_nowait(dumps({"type": "log", "line": line}))
        sender = asyncio.create_task(self._send(viewer, socket))
        try:
            async for frame in socket:
                if frame.type is WSMsgType.ERROR:
                    break
        finally:
            self._viewers.discard(viewer)
            sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sender
        return socket

    @staticmethod
    async def _send(viewer: _Viewer, socket: web.WebSocketResponse) -> None:
        with contextlib.suppress(ConnectionError):
            while (packed := await viewer.queue.get()) is not None:
                await socket.send_str(packed.decode())
            await socket.close()
