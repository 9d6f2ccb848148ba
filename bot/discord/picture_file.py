"""A picture on its way to Discord: read from the buffer it was downloaded into, without a copy."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

#: Handed to the connection at a time; beyond it aiohttp waits until the socket has taken them.
SLICE_BYTES = 64 * 1024


class PictureFile(io.BufferedIOBase):
    """For `discord.File`. `close` is never called by discord.py or aiohttp, and there is nothing to close.

    discord.File replaces `close` on the object it is given and puts the original back later: as an attribute of
    the instance that is a reference cycle, in which every picture would wait for the garbage collector. Here it can't
    be replaced.
    """

    def __init__(self, body: bytes) -> None:
        self.view = memoryview(body)
        self._position = 0

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "close":
            super().__setattr__(name, value)

    def seekable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position, as `io.IOBase.seek`."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self.view)}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        """A copy of what follows."""
        end = len(self.view) if size is None or size < 0 else self._position + size
        piece = self.view[self._position : end].tobytes()
        self._position += len(piece)
        return piece


class PicturePayload(aiohttp.Payload):
    """How aiohttp sends a `PictureFile`: slices of its buffer."""

    _value: PictureFile
    _autoclose = True  # a buffer needs no closing

    def __init__(self, value: PictureFile, *args: Any, **kwargs: Any) -> None:
        super().__init__(value, *args, **kwargs)
        self._start = value.tell()
        self._size = len(value.view) - self._start

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """As text, which a picture never is."""
        return self._value.view[self._start :].tobytes().decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send all of it; as often as it is asked for."""
        view = self._value.view
        for start in range(self._start, len(view), SLICE_BYTES):
            await writer.write(view[start : start + SLICE_BYTES])


aiohttp.payload.register_payload(PicturePayload, PictureFile)
