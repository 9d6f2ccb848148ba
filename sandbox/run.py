"""The sandbox: fake Discord, fake fal, the page, and the real bot as a child process between them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.errors import SetupError
from bot.private_files import make_private, make_private_folder
from sandbox.access import address
from sandbox.environment import bot_environment

if TYPE_CHECKING:
    from sandbox.discord import FakeDiscord
    from sandbox.fal import FakeFal

_ROOT = Path(__file__).resolve().parents[1]
_PORTS_TO_TRY = 50
_STOP_GRACE_S = 2.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_STEADY_AFTER_S = 30.0
#: The bot's exit code for "the operator has to mend something": starting it again would not help.
_MISUSED = 2
_LONGEST_LINE_BYTES = 256 * 1024
_DATABASE = re.compile(r"easel-(\d{1,5})\.db(?:-wal|-shm|-journal|\.lock)?")

Say = Callable[[str], None]


class Child:
    """The bot's process: started, watched, and restarted with growing pauses when it ends unexpectedly.

    Args:
        environment: makes the process's variables; asked again for every restart, for settings may have changed.
        on_line: gets every line of its log.
        on_state: gets a sentence whenever the process ends.
        folder: where it runs.
        command: what it runs.
    """

    def __init__(
        self,
        environment: Callable[[], Mapping[str, str]],
        *,
        on_line: Say,
        on_state: Say,
        folder: Path | None = None,
        command: Sequence[str] = (sys.executable, "-P", "-m", "sandbox.child"),
    ) -> None:
        self._read_environment = environment
        self._environment = environment()
        self._folder = folder
        self._command = command
        self._on_line = on_line
        self._on_state = on_state
        self._process: asyncio.subprocess.Process | None = None
        self._asked = False  # the end of the process was asked for
        self._over = False  # and it is not to be started again
        self._go = asyncio.Event()
        self.starts = 0
        self.unexpected_ends = 0

    @property
    def pid(self) -> int | None:
        """Process id of the running bot; None between two runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start the process now."""
        self._asked = False
        if self.starts:
            try:
                self._environment = self._read_environment()
            except SetupError as error:
                self._on_line(f"{error.sentence} The settings stay as they were.")
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            cwd=self._folder,
            # Never written to: it closes when this process ends, even by SIGKILL, and the bot ends then.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LONGEST_LINE_BYTES,
            # Ctrl-C in the terminal is for the supervisor alone, which then ends the bot in order.
            start_new_session=True,
        )
        self.starts += 1

    async def watch(self) -> None:
        """Forward its log and restart it until `stop`."""
        pause_s = _FIRST_PAUSE_S
        while True:
            if self._process is None:
                await self.start()
            began_s = time.monotonic()
            code = await self._until_end()
            self._process = None
            if self._asked:
                if self._over:
                    return
                self._on_state("The bot is restarting.")
                pause_s = _FIRST_PAUSE_S
                continue
            self.unexpected_ends += 1
            if time.monotonic() - began_s > _STEADY_AFTER_S:
                pause_s = _FIRST_PAUSE_S
            pause_s = await self._rest(code, pause_s)

    async def _rest(self, code: int, pause_s: float) -> float:
        """Wait before the next start; returns the pause after that."""
        how = f"by signal {-code}" if code < 0 else f"with code {code}"
        self._go.clear()
        if code == _MISUSED:
            self._on_state(f"The bot ended {how}: see its last lines. Mend that, then use “Restart the bot”.")
            await self._go.wait()
            return _FIRST_PAUSE_S
        self._on_state(f"The bot ended unexpectedly, {how}. It is started again in {pause_s:g} s.")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._go.wait()
        return min(_LONGEST_PAUSE_S, pause_s * 2)

    async def _until_end(self) -> int:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit; the rest of it follows as further lines
                continue
            if not line:
                break
            self._on_line(line.decode(errors="replace").rstrip())
        return await process.wait()

    async def restart(self, *, kill: bool = False) -> None:
        """End the process (SIGTERM, or SIGKILL); `watch` starts it again."""
        if self.pid is None:
            self._go.set()
            return
        self._asked = True
        await self._end(kill=kill)

    async def stop(self) -> None:
        """End the process for good."""
        self._asked = self._over = True
        await self._end(kill=False)

    async def _end(self, *, kill: bool) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_GRACE_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


class Sandbox:
    """Everything that runs while the sandbox is open."""

    def __init__(self, discord: FakeDiscord, fal: FakeFal, child: Child, *, url: str) -> None:
        self.discord = discord
        self.fal = fal
        self.child = child
        #: For a browser; holds the page's token.
        self.url = url

    async def ready(self, timeout_s: float = 60.0) -> None:
        """Wait until the bot is connected and its commands are registered."""
        await self.discord.wait_ready(timeout_s)


@asynccontextmanager
async def open_sandbox(
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    data_dir: Path = Path("data/sandbox"),
    environment: Mapping[str, str] | None = None,
    host_names: Sequence[str] = (),
    fal_options: Mapping[str, Any] | None = None,
    log: Say = lambda _line: None,
) -> AsyncIterator[Sandbox]:
    """Start both fake servers and the bot; end them on leaving.

    The ports are bound before anything heavy is imported, so that the bot's own imports run at the
    same time as ours.

    Args:
        host: a loopback address.
        port: of the page; the next free one when it is taken, any free one for 0.
        data_dir: where the bot's database goes; it begins empty every time.
        environment: more variables for the bot.
        host_names: under which the page may be reached, beside those of loopback.
        fal_options: keyword arguments of `FakeFal`.
        log: gets every line of the bot's log and what happens to its process.

    Raises:
        SetupError: the address is not loopback, no port is free, or a setting is wrong.
    """
    page_socket, fal_socket = _listen(host, port), _listen(host, 0)
    page_port, fal_port = page_socket.getsockname()[1], fal_socket.getsockname()[1]
    relay = _Relay(log)
    database = await asyncio.to_thread(_fresh_database, data_dir, page_port)
    own = _own_variables(host, page_port, fal_port, database) | dict(environment or {})
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(page_socket.close)
        stack.callback(fal_socket.close)
        child = Child(lambda: bot_environment(own), on_line=relay.line, on_state=relay.state, folder=data_dir)
        await child.start()
        stack.push_async_callback(child.stop)

        from sandbox.discord import FakeDiscord

        discord = FakeDiscord(host_names=host_names)
        await discord.start(sock=page_socket)
        stack.push_async_callback(discord.stop)
        relay.open(discord)

        from sandbox.fal import FakeFal

        fal = FakeFal(**(fal_options or {}))
        fal_socket.close()
        await fal.start(host, fal_port)
        stack.push_async_callback(fal.stop)
        _connect(discord, fal, child)
        watching = asyncio.create_task(child.watch())
        try:
            yield Sandbox(discord, fal, child, url=discord.page_url)
        finally:
            # While its log is still read and both servers still answer.
            await child.stop()
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching


async def main(
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    data_dir: Path = Path("data/sandbox"),
    host_names: Sequence[str] = (),
) -> None:
    """Run the sandbox until SIGINT or SIGTERM; see `open_sandbox` for the arguments.

    Raises:
        SetupError: the address is not loopback, or no port is free.
    """
    began_s = time.monotonic()
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, over.set)
    terminal = _Terminal(unread=over.set)
    try:
        async with open_sandbox(
            host=host, port=port, data_dir=data_dir, host_names=host_names, log=terminal.line
        ) as sandbox:
            terminal.welcome(sandbox.url, moved_from=port)
            announcing = asyncio.create_task(_announce(sandbox, began_s, terminal))
            await over.wait()
            announcing.cancel()
            terminal.say("\nClosing the sandbox …")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


# ---------------------------------------------------------------------- the terminal


class _Terminal:
    """Prints; holds the bot's lines back until the welcome has been printed."""

    def __init__(self, *, unread: Callable[[], None]) -> None:
        self._held: list[str] | None = []
        self._unread = unread

    def say(self, text: str) -> None:
        """Print; when standard output is closed (`| head`), call `unread`."""
        try:
            print(text, flush=True)
        except BrokenPipeError:
            self._unread()

    def line(self, line: str) -> None:
        """One line of the bot's log."""
        if self._held is not None:
            self._held.append(line)
        else:
            self.say(f"  bot │ {line}")

    def welcome(self, url: str, *, moved_from: int) -> None:
        """Print what to do now, then the lines held back."""
        if moved_from and urlsplit(url).port != moved_from:
            self.say(f"Port {moved_from} is in use; the sandbox took the next free one.")
        self.say(_WELCOME.format(url=url))
        held, self._held = self._held or [], None
        for line in held:
            self.line(line)


_WELCOME = """
Easel's sandbox is open:  {url}

  The bot is the real one; Discord and fal.ai are played on this machine. Nothing costs anything.

  Try first
    1. Type /imagine, press Tab, give it a prompt such as "a lighthouse in a storm", and watch it being painted.
    2. Press Again, Edit prompt or Details under the picture; be somebody else with the switch at the bottom left.
    3. Open the wrench (Make trouble), restart the bot or drop the gateway while it paints: the picture still comes.
    4. Go to #budget and press one step after the other: a server spends the five cents that it has for a day.

  Going live
    Put DISCORD_TOKEN=… and FAL_KEY=… into .env and run `make run` again; `python -m bot check` tells what is missing.

  The address is for you alone: what follows “token=” is new at each start, and without it the page stays shut.
  Ctrl-C closes the sandbox.
"""


async def _announce(sandbox: Sandbox, began_s: float, terminal: _Terminal) -> None:
    await sandbox.ready(timeout_s=24 * 3600)
    count = len(list(sandbox.discord.commands.all()))
    terminal.line(f"(ready: {count} commands registered {time.monotonic() - began_s:.1f} s after the start)")


class _Relay:
    """The bot's log and state, for the terminal and, once it is there, for the page."""

    def __init__(self, log: Say) -> None:
        self._log = log
        self._early: list[str] | None = []
        self._discord: FakeDiscord | None = None

    def open(self, discord: FakeDiscord) -> None:
        """Send lines to the page too from now on, beginning with those so far."""
        self._discord = discord
        for line in self._early or ():
            discord.page_feed.log(line)
        self._early = None

    def line(self, line: str) -> None:
        """One line of the log."""
        self._log(line)
        if self._discord is not None:
            self._discord.page_feed.log(line)
        elif self._early is not None:
            self._early.append(line)

    def state(self, sentence: str) -> None:
        """Say what became of the process."""
        self.line(sentence)
        if self._discord is not None:
            self._discord.page_feed.push("bot", {"online": False, "detail": sentence})


# ---------------------------------------------------------------------- parts


def _connect(discord: FakeDiscord, fal: FakeFal, child: Child) -> None:
    """Put fal's faults and the bot's restart into the page's devtools."""

    async def restart(value: object) -> None:
        await child.restart(kill=value == "kill")

    discord.devtools.add_source(fal)
    fal.faults.on_change = discord.devtools.changed
    discord.devtools.add_action(
        "bot_restart",
        "Restart the bot",
        "Ends the bot's process and starts it again; what was being painted is taken up where it stood.",
        restart,
    )


def _listen(host: str, port: int) -> socket.socket:
    """A bound, listening socket on the first free port from `port` on.

    Raises:
        SetupError: not loopback, or nothing free.
    """
    if not ipaddress.ip_address("127.0.0.1" if host == "localhost" else host).is_loopback:
        raise SetupError(f"The sandbox listens on loopback only, not on {host}.")
    for candidate in [port] if port == 0 else range(port, min(65_536, port + _PORTS_TO_TRY)):
        one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, candidate))
            one.listen(2048)
        except OSError as error:
            one.close()
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise SetupError(f"Port {candidate} on {host} cannot be used: {error.strerror}.") from error
            continue
        one.setblocking(False)
        return one
    raise SetupError(f"No port from {port} to {port + _PORTS_TO_TRY - 1} is free on {host}.")


def _fresh_database(data_dir: Path, port: int) -> str:
    """An empty database of our own: the fake servers begin empty too."""
    folder = data_dir.resolve()
    try:
        make_private_folder(folder)
        make_private(folder)
        for old in folder.glob(f"easel-{port}.db*"):
            old.unlink()
    except OSError as error:
        raise SetupError(f"The sandbox cannot use {data_dir}: {error.strerror}.") from error
    with contextlib.suppress(OSError):
        _tidy(folder, port)
    return f"sqlite:///{folder / f'easel-{port}.db'}"


def _tidy(folder: Path, own_port: int) -> None:
    """Remove databases left by earlier sandboxes: their port is free and nobody holds their lock."""
    leftovers: dict[int, list[Path]] = {}
    for path in folder.iterdir():
        found = _DATABASE.fullmatch(path.name)
        if found and path.is_file() and not path.is_symlink():
            leftovers.setdefault(int(found[1]), []).append(path)
    for port, paths in leftovers.items():
        if port != own_port and _is_free(port) and not any(_is_locked(path) for path in paths):
            for path in paths:
                path.unlink(missing_ok=True)


def _is_free(port: int) -> bool:
    """Whether no socket is bound to the port on any address of IPv4."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("", port))
        except (OSError, OverflowError):
            return False
    return True


def _is_locked(path: Path) -> bool:
    """Whether a process holds the lock the bot takes beside its database."""
    if path.suffix != ".lock" or sys.platform == "win32":  # Windows deletes no open file anyway
        return False
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _own_variables(host: str, page_port: int, fal_port: int, database_url: str) -> dict[str, str]:
    """What is the sandbox's own in the bot's environment: addresses, made-up secrets, where the code is."""
    from sandbox.discord.wire import sandbox_token

    fal = address("http", host, fal_port)
    inherited = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return {
        # The bot runs in another folder.
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *(str(Path(one).resolve()) for one in inherited)]),
        "PYTHONUNBUFFERED": "1",
        # Connections on this machine bypass any configured proxy.
        "NO_PROXY": "127.0.0.1,localhost,::1",
        "no_proxy": "127.0.0.1,localhost,::1",
        "DISCORD_TOKEN": sandbox_token(),
        "FAL_KEY": "sandbox-key-id:sandbox-key-secret",
        "OPENAI_API_KEY": "sk-sandbox-only",
        "EASEL_DISCORD__API_URL": address("http", host, page_port) + "/api/v10",
        "EASEL_DISCORD__GATEWAY_URL": address("ws", host, page_port) + "/gateway",
        "EASEL_FAL__QUEUE_URL": fal,
        "EASEL_FAL__REST_URL": fal,
        "EASEL_FAL__CDN_URL": fal,
        "EASEL_FAL__API_URL": fal,
        "EASEL_DATABASE_URL": database_url,
    }
