"""The decoding process: `python -I worker.py <descriptor>`, one task after another until its parent closes the line.

It is given no secret: an almost empty environment, no file but the one to decode and the one to fill, no pickles. Each
task has limits that the kernel holds, whatever the decoder does: processor time and wall-clock time (both end the
process), address space, and the size of what is written.

Standard input is a pipe that the parent never writes to. When the parent is gone, however it went, Linux sends SIGIO
for it, which ends this process in the middle of a task; elsewhere the task's time runs out.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.media.decoding import Made

MAX_REQUEST_BYTES = 64 * 1024
#: So that pictures never take the processor from the bot while both want it.
NICENESS = 5
_MIB = 1024 * 1024


def main(descriptor: int) -> None:
    """Do what is asked on this socket until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends this process in its own way
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    _end_with_parent(sys.stdin.fileno())
    control = socket.socket(fileno=descriptor)
    while True:
        received, files, _, _ = socket.recv_fds(control, MAX_REQUEST_BYTES, 2)
        if not received or len(files) != 2:
            return
        request = json.loads(received)
        try:
            with _limits(request):
                reply = _answer(request, *files)
        finally:
            for file in files:
                os.close(file)
        control.sendall(json.dumps(reply, separators=(",", ":")).encode() + b"\n")


def _end_with_parent(lifeline: int) -> None:
    if sys.platform == "linux":
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


@contextlib.contextmanager
def _limits(request: dict[str, Any]) -> Iterator[None]:
    """What one task may take. A timer that runs out ends the process: nothing handles its signal."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    with contextlib.suppress(OSError, ValueError):  # macOS knows the limit and refuses to lower it
        resource.setrlimit(resource.RLIMIT_AS, (request["memory_bytes"], hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["output_bytes"], resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    signal.setitimer(signal.ITIMER_PROF, request["cpu_s"])
    signal.setitimer(signal.ITIMER_REAL, request["wall_s"])
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _answer(request: dict[str, Any], source: int, target: int) -> dict[str, Any]:
    """Do one task; what was made is written to `target`. `broke` names an error that nobody foresaw."""
    importlib.import_module("bot.media.decoding")  # where that fails, it is no fault of the picture
    from bot.media.headers import Unsound

    try:
        made = _do(request["task"], request["args"], source)
        if made.body is not None:
            _write(target, made.body)
    except Unsound as error:
        return {"refused": error.phrase.to_json()}
    except MemoryError:
        return {"refused": {"code": "picture_takes_too_much_memory", "params": {}}}
    except Exception as error:  # by what the picture led a library to; this process is as good as before
        return {"refused": {"code": "picture_damaged", "params": {}}, "broke": type(error).__name__}
    return {
        "width": made.width,
        "height": made.height,
        "bytes": None if made.body is None else len(made.body),
        "notices": [notice.to_json() for notice in made.notices],
        "look": made.look.hex(),
        "flat": made.flat,
    }


def _do(task: str, args: dict[str, Any], source: int) -> Made:
    from bot.media import decoding

    with open(source, "rb", closefd=False) as file:
        match task:
            case "prepare":
                return decoding.prepare(file, **args)
            case "mask":
                return decoding.prepare_mask(file, picture_look=bytes.fromhex(args.pop("picture_look")), **args)
            case "shrink":
                return decoding.shrink(file, **args)
            case "find_flat":
                return decoding.find_flat(file)
            case "rasterise":
                from bot.media import vector

                return vector.rasterise(file, **args)
            case "chart":
                from bot.media import chart_drawing

                return chart_drawing.draw(**args)
    raise ValueError(f"no such task: {task}")


def _write(target: int, body: bytes) -> None:
    left = memoryview(body)
    while left:
        left = left[os.write(target, left) :]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main(int(sys.argv[1]))
