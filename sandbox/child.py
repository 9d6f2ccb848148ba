"""The bot as the sandbox's child: `python -m bot run`, but it ends when its supervisor does.

The supervisor holds the other end of standard input. However it goes, killed included, that end is
closed by the system; then the bot is asked to stop as SIGTERM would.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

_STDIN = 0
_STOP_GRACE_S = 5.0


def _follow() -> None:
    try:
        while os.read(_STDIN, 4096):
            pass
    except OSError:  # already closed
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOP_GRACE_S)
    os._exit(1)


def main() -> None:
    """Run the bot until it or the supervisor ends."""
    threading.Thread(target=_follow, name="supervisor", daemon=True).start()
    sys.argv[1:] = ["run"]
    runpy.run_module("bot", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
