"""A TCP proxy in front of a fake server, which can refuse, go silent, or answer 503 like a lone gateway."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal
from urllib.parse import urlsplit

#: `refused`: nobody listens, and what was open breaks. `silent`: connections open, and no byte passes until it is over.
#: `unavailable`: a gateway answers 503 to everything. `broken`: it answers 500 itself, so it may have acted before.
#: `frayed`: every connection breaks after a moment.
State = Literal["sound", "refused", "silent", "unavailable", "broken", "frayed"]

FRAYED_S = 0.15
_PAGE = (
    b"<html><head><title>503 Service Temporarily Unavailable</title></head><body><center><h1>503</h1></center>"
    b"<hr><center>nginx</center></body></html>"
)
_ERROR = b'{"detail":"Internal Server Error"}'
_ANSWERS: Mapping[State, bytes] = {
    "unavailable": b"HTTP/1.1 503 Service Temporarily Unavailable\r\nServer: nginx\r\nContent-Type: text/html\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_PAGE), _PAGE),
    "broken": b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_ERROR), _ERROR),
}


class TcpProxy:
    """A port of its own that leads to the fake server at `url`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._to = (parts.hostname, parts.port)
        self._listening: socket.socket | None = None
        self._port = 0
        self._state: State = "sound"
        self._flows = asyncio.Event()
        self._flows.set()
        self._accepted: set[socket.socket] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it begins."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Listen; at the same port as before, after a pause."""
        self._listening = socket.create_server(("127.0.0.1", self._port), backlog=2048)
        self._listening.setblocking(False)
        self._port = self._listening.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listening, self._accept, self._listening)

    async def stop(self) -> None:
        """End it and all it carries."""
        await self._unplug()
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)
        for accepted in self._accepted:  # before anybody served them
            accepted.close()

    async def become(self, state: State) -> None:
        """Change what it does from now on."""
        self._state = state
        if state == "silent":
            self._flows.clear()
        else:
            self._flows.set()
        if state == "refused" or state in _ANSWERS:
            await self._unplug()
        if state != "refused" and self._listening is None:
            await self.start()

    async def _unplug(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        for writer in self._open:
            writer.transport.abort()
        await asyncio.sleep(0)

    def _accept(self, listening: socket.socket) -> None:
        # Not asyncio's own server: closed in the middle of an accept, that of Python 3.11 leaks the connection.
        with suppress(BlockingIOError):
            accepted, _ = listening.accept()
            accepted.setblocking(False)
            self._accepted.add(accepted)
            task = asyncio.create_task(self._serve(accepted), name="proxy")
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _serve(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted)
        self._accepted.discard(accepted)
        self._open.add(writer)
        try:
            if self._state in _ANSWERS:
                await self._answer(reader, writer, _ANSWERS[self._state])
            else:
                await self._carry(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes) -> None:
        """Take the whole request, as a gateway does; answer for the one who is not there."""
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    await reader.readexactly(int(line.partition(b":")[2]))
        writer.write(answer)
        await writer.drain()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flows.wait()
        there, back = await asyncio.open_connection(*self._to)
        self._open.add(back)
        ways = [asyncio.create_task(self._pump(reader, back)), asyncio.create_task(self._pump(there, writer))]
        try:
            patience_s = FRAYED_S if self._state == "frayed" else None
            await asyncio.wait(ways, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._open.discard(back)
            back.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


__all__ = ["State", "TcpProxy"]
