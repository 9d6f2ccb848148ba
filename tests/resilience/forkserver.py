"""One process that has imported the whole bot and forks a child for every start: no start pays for imports again.

    python -m tests.resilience.forkserver

It talks JSON lines: requests on its standard input, news on its standard output.

    → {"fork": {…spec for tests.resilience.child…}}     ← {"forked": pid}
    → {"to": pid, "say": {…}}                       ← {"from": pid, "said": {…}}
    → {"signal": pid, "number": 9}                  ← {"ended": pid, "code": -9}

Only it knows which children are not waited for yet, so only it sends signals: a process id can't have passed on to
somebody else. It starts neither threads nor an event loop before it forks, and ends with its standard input, taking
its children along.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from typing import Any

#: Imported lazily by a start of the bot; loaded here once for all children.
PRELOADED = (
    *("bot.app", "bot.logs", "cogs.errors", "cogs.delivery", "cogs.imagine", "cogs.models", "cogs.usage"),
    *(
        "cogs.settings",
        "cogs.help",
        "cogs.privacy",
        "cogs.components",
        "cogs.results",
        "sqlalchemy.dialects.sqlite.pysqlite",
    ),
    *("alembic.command", "alembic.runtime.migration", "uvloop", "fal_client", "httpx", "discord.ext.commands"),
    *("asyncpg", "sqlalchemy.dialects.postgresql.asyncpg"),
    *("PIL.PngImagePlugin", "PIL.WebPImagePlugin", "PIL.JpegImagePlugin", "tests.resilience.child"),
)


class Server:
    """The fork server's only loop."""

    def __init__(self, requests: int, news: int) -> None:
        self._requests = requests
        self._news = news
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)
        self._children: dict[int, socket.socket] = {}
        self._halves: dict[int, bytes] = {}

    def serve(self) -> None:
        """Until standard input ends."""
        while True:
            for key, _ in self._selector.select():
                data = os.read(key.fd, 65536) if key.fd == self._requests else _received(key.fileobj)
                if key.fd == self._requests and not data:
                    return
                if key.data is not None and not data:
                    self._bury(key.data)
                    continue
                *lines, self._halves[key.fd] = (self._halves.get(key.fd, b"") + data).split(b"\n")
                for line in lines:
                    if key.data is None:
                        self._do(json.loads(line))
                    else:
                        self._tell({"from": key.data, "said": json.loads(line)})

    def end_children(self) -> None:
        """Kill all children that are left."""
        for pid in list(self._children):
            os.kill(pid, signal.SIGKILL)
            self._bury(pid)

    def _do(self, request: dict[str, Any]) -> None:
        if "fork" in request:
            self._tell({"forked": self._fork(request["fork"])})
        elif "signal" in request:
            if request["signal"] in self._children:
                os.kill(request["signal"], request["number"])
        elif request["to"] in self._children:
            with contextlib.suppress(OSError):  # it is dying
                self._children[request["to"]].sendall(json.dumps(request["say"]).encode() + b"\n")

    def _fork(self, spec: dict[str, Any]) -> int:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                ours.close()
                self._let_go()
                from tests.resilience import child

                code = child.live(spec, theirs)
            finally:
                os._exit(code)
        theirs.close()
        self._children[pid] = ours
        self._selector.register(ours, selectors.EVENT_READ, pid)
        return pid

    def _let_go(self) -> None:
        """In a child: what belongs to the server, so that others' ends can be seen."""
        self._selector.close()
        for other in self._children.values():
            other.close()
        os.close(self._news)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, self._requests)
        os.close(nothing)

    def _bury(self, pid: int) -> None:
        """Its socket is closed, which only the end of the process does."""
        ours = self._children.pop(pid)
        self._selector.unregister(ours)
        self._halves.pop(ours.fileno(), None)
        ours.close()
        _, status = os.waitpid(pid, 0)
        self._tell({"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, news: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._news, json.dumps(news).encode() + b"\n")


def _received(ours: Any) -> bytes:
    try:
        data: bytes = ours.recv(65536)
    except ConnectionResetError:
        return b""
    return data


def main() -> None:
    """Import, then serve."""
    news = os.dup(1)
    os.dup2(2, 1)  # prints must not mix with the JSON lines
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the children share these pages
    server = Server(0, news)
    server._tell({"ready": os.getpid()})
    try:
        server.serve()
    finally:
        server.end_children()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the parent; then our standard input ends
    main()
    sys.exit(0)
