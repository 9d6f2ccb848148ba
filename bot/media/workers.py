"""Decoding in processes of their own, seen from the bot: started on demand, killed when they overrun, ended when idle.

There are at most two. The first takes ordinary pictures, and gives up on those that take longer than they said; the
second takes these, those that need much time or memory, those of people whose pictures had to be killed lately, and
ordinary ones when it is free. Nobody has two pictures decoded at the same time, and whoever has had the least time
comes first. So one person's hostile pictures, however many, keep nobody else's waiting.

A picture crosses the boundary as an anonymous file: written once, mapped by the decoder, which fills another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bot.errors import DecoderBusy
from bot.media.headers import Header, Unsound, huge, read_header
from bot.media.turns import TimeTaken
from bot.phrase import Phrase, phrase
from bot.retry import retry

log = logging.getLogger(__name__)

_MIB = 1024 * 1024
#: A worker without a task ends after this.
IDLE_S = 60.0
#: Address space of a worker with libraries loaded and nothing decoded, and what encoding needs beside the pixels.
BASE_BYTES = 40 * _MIB
#: Most address space of a worker, and of the first one.
MAX_WORKER_BYTES = 400 * _MIB
LIGHT_WORKER_BYTES = 256 * _MIB
#: Processor time of one picture at most: this, and so many times what its header lets expect; never more than the last.
CPU_BASE_S = 2.0
CPU_PATIENCE = 4.0
CPU_MOST_S = 10.0
#: What should take longer than this is for the second worker; so is what has taken the first one's processor so long.
LIGHT_S = 0.75
LIGHT_CPU_S = 1.5
#: A picture that was killed counts against its sender for so long; from so many on nothing of theirs is decoded.
STRIKE_S = 600.0
MOST_STRIKES = 3
#: The largest file that a worker may write.
MAX_OUTPUT_BYTES = 64 * _MIB
#: How a process ends whose decoder broke on its picture.
_DECODER_BROKE = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGXFSZ}
)
#: Formats whose decoders take the file into memory.
READ_WHOLE = frozenset({"WEBP", "AVIF", "HEIF"})
_PIECE_BYTES = 2 * _MIB
_MAX_REPLY_BYTES = 64 * 1024
_WORKER = Path(__file__).with_name("worker.py")
#: One arena, and large blocks given back at once: what a picture took is free when it is done.
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "LC_ALL": "C.UTF-8"}


#: What a decoder says that ran into its limit.
TOO_MUCH_MEMORY = "picture_takes_too_much_memory"


class WorkersUnavailable(Exception):
    """No decoding process could be started, or each of them died, by no fault of the picture."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to do with a picture, by the names in `bot.media.decoding`."""

    name: str
    args: dict[str, Any] = field(default_factory=dict)
    #: Most pixels of what comes out, for the memory it takes.
    output_pixels: int = 0
    #: It only looks: nothing is made of the decoded picture.
    is_look: bool = False
    #: Seconds from its turn on, attempts after a decoder broke included; then it is given up. None: as its header says.
    within_s: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What came out. Without `body` the file that went in is right as it is."""

    width: int
    height: int
    body: bytes | None
    notices: tuple[Phrase, ...] = ()
    look: bytes = b""
    flat: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Pauses:
    """Between attempts, in seconds."""

    #: To start a process, a minute in all.
    starts: tuple[float, ...] = (0.2, 0.5, 1, 2, 4, 8, 15, 15, 15)
    #: With the same picture, after the process was ended.
    deaths: tuple[float, ...] = (0.1, 1, 4)


@dataclass(eq=False, slots=True)
class _Job:
    owner: Hashable
    task: Task
    body: bytes
    cpu_s: float
    is_light: bool
    may_take_long: bool
    done: asyncio.Future[Done]


class _Overran(Exception):
    """The worker was ended because a task took too long."""


class _Underestimated(Exception):
    """The picture takes more time or memory than the first process has for one."""


class _Died(Exception):
    """The worker ended in the middle of a task by itself, or by somebody else's hand.

    Args:
        signal_number: by which signal; 0 and below: by itself.
    """

    def __init__(self, signal_number: int) -> None:
        self.is_decoders_doing = signal_number in _DECODER_BROKE
        super().__init__(str(signal_number))


@dataclass(eq=False, slots=True)
class _Slot:
    """A place for one worker."""

    is_light: bool
    worker: _Worker | None = None
    task: asyncio.Task[None] | None = None
    idle: asyncio.TimerHandle | None = None


class ImageWorkers:
    """The decoding processes of this bot."""

    def __init__(
        self, *, idle_s: float = IDLE_S, clock: Callable[[], float] | None = None, pauses_s: Pauses = Pauses()
    ) -> None:
        self._idle_s = idle_s
        self._pauses_s = pauses_s
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._slots = (_Slot(is_light=True), _Slot(is_light=False))
        #: In the order in which they came.
        self._waiting: dict[Hashable, deque[_Job]] = {}
        self._busy: set[Hashable] = set()
        #: What each person's pictures have taken.
        self._taken = TimeTaken(self._clock)
        #: When pictures of a person were killed.
        self._strikes: dict[Hashable, list[float]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def process_ids(self) -> list[int]:
        """The workers that run now."""
        return [slot.worker.pid for slot in self._slots if slot.worker is not None]

    async def run(
        self, task: Task, body: bytes, *, owner: Hashable, may_take_long: bool = True, header: Header | None = None
    ) -> Done:
        """Do this with a picture, in its owner's turn.

        Args:
            header: what the task takes, where the file has no header of its own that says so.
            may_take_long: whether to wait where the second process is needed and has others to do.

        Raises:
            DecoderBusy: it would have to wait for the second process, and may not.
            Unsound: it is no picture, or can't be decoded within its limits.
            WorkersUnavailable: no process could be started for a minute, or several were ended by somebody else.
            asyncio.CancelledError: the workers are closed, as when the bot stops; the next start may do it.
        """
        if self._is_closed:
            raise asyncio.CancelledError
        header = header if header is not None else read_header(body)
        _check_memory(header, task, len(body))
        if len(self._recent_strikes(owner)) >= MOST_STRIKES:
            raise Unsound(phrase("picture_sender_paused"))
        is_light = header.seconds <= LIGHT_S and _memory_bytes(header, task, len(body)) <= LIGHT_WORKER_BYTES
        future = asyncio.get_running_loop().create_future()
        job = _Job(owner, task, body, _cpu_s(header), is_light, may_take_long, future)
        if not self._may_wait(job):
            raise DecoderBusy
        self._waiting.setdefault(owner, deque()).append(job)
        self._dispatch()
        try:
            return await job.done
        finally:
            if not job.done.done() or job.done.cancelled():  # nobody waits for it any more
                self._forget(job)

    async def close(self) -> None:
        """End all workers, also in the middle of a task; whoever waits for them is cancelled."""
        self._is_closed = True
        for queue in self._waiting.values():
            for job in queue:
                job.done.cancel()
        self._waiting.clear()
        for slot in self._slots:
            if slot.task is not None:
                slot.task.cancel()
            self._end(slot, kill=True)
        running = [slot.task for slot in self._slots if slot.task is not None]
        await asyncio.gather(*running, *self._ending, return_exceptions=True)

    # ------------------------------------------------------------------ whose turn it is

    def _dispatch(self) -> None:
        for slot in self._slots:
            if slot.task is None and (job := self._next(slot)) is not None:
                self._busy.add(job.owner)
                if slot.idle is not None:
                    slot.idle.cancel()
                slot.task = asyncio.get_running_loop().create_task(self._serve(slot, job), name="picture")

    def _next(self, slot: _Slot) -> _Job | None:
        """The picture that this worker takes next: of whoever has had the least time, and no picture killed."""
        free = [
            (self._is_struck(owner), self._taken.of(owner), index, owner)
            for index, (owner, queue) in enumerate(self._waiting.items())
            if owner not in self._busy and (queue[0].is_light or not slot.is_light)
        ]
        is_struck, _, _, owner = min(free, default=(True, 0.0, 0, None))
        if owner is None or (is_struck and slot.is_light):
            return None
        queue = self._waiting[owner]
        job = queue.popleft()
        if not queue:
            del self._waiting[owner]
        return job

    def _may_wait(self, job: _Job) -> bool:
        """False where it needs the second worker, which has others to do, and may not take long."""
        if job.may_take_long or (job.is_light and not self._is_struck(job.owner)):
            return True
        others = [one for queue in self._waiting.values() for one in queue]
        return self._slots[1].task is None and all(one.is_light for one in others)

    def _is_struck(self, owner: Hashable) -> bool:
        return bool(self._recent_strikes(owner))

    def _forget(self, job: _Job) -> None:
        queue = self._waiting.get(job.owner)
        if queue is not None and job in queue:
            queue.remove(job)
            if not queue:
                del self._waiting[job.owner]

    def _recent_strikes(self, owner: Hashable) -> list[float]:
        strikes = [at_s for at_s in self._strikes.get(owner, ()) if self._clock() - at_s < STRIKE_S]
        if strikes:
            self._strikes[owner] = strikes
        else:
            self._strikes.pop(owner, None)
        return strikes

    # ------------------------------------------------------------------ one picture

    async def _serve(self, slot: _Slot, job: _Job) -> None:
        began_s = self._clock()
        try:
            async with asyncio.timeout(job.task.within_s):
                done = await self._attempt(slot, job)
            if not job.done.done():
                job.done.set_result(done)
        except TimeoutError:
            self._strike(job)
            log.warning("a picture took too long to decode", extra={"task": job.task.name})
            if not job.done.done():
                job.done.set_exception(Unsound(phrase("picture_takes_too_long")))
        except _Underestimated:
            job.is_light = False
            if self._may_wait(job):
                self._waiting.setdefault(job.owner, deque()).appendleft(job)
            elif not job.done.done():
                job.done.set_exception(DecoderBusy())
        except (Unsound, WorkersUnavailable) as error:
            if not job.done.done():
                job.done.set_exception(error)
        except asyncio.CancelledError:
            job.done.cancel()
            raise
        except Exception as error:  # else whoever asked would wait for ever
            if not job.done.done():
                job.done.set_exception(error)
        finally:
            self._busy.discard(job.owner)
            self._taken.add(job.owner, self._clock() - began_s)
            slot.task = None
            if not self._is_closed:
                slot.idle = asyncio.get_running_loop().call_later(self._idle_s, self._end, slot)
                self._dispatch()

    async def _attempt(self, slot: _Slot, job: _Job) -> Done:
        """Decode it; again, after a pause, where something else ended the process.

        A decoder that breaks twice does so because of the picture.
        """
        has_broken = False
        async for _ in retry(self._pauses_s.deaths):
            try:
                return await self._do(slot, job)
            except _Overran:
                if slot.is_light and job.cpu_s > LIGHT_CPU_S:
                    raise _Underestimated from None
                self._strike(job)
                log.warning("a picture took too long to decode", extra={"task": job.task.name, "cpu_s": job.cpu_s})
                raise Unsound(phrase("picture_takes_too_long")) from None
            except _Died as error:
                log.warning("a decoding process died", extra={"task": job.task.name, "signal": str(error)})
                if error.is_decoders_doing and has_broken:
                    self._strike(job)
                    raise Unsound(phrase("picture_damaged")) from None
                has_broken |= error.is_decoders_doing
        raise WorkersUnavailable

    async def _do(self, slot: _Slot, job: _Job) -> Done:
        """One attempt. A process that did not answer is not used again."""
        worker = slot.worker or await self._started(slot)
        try:
            if slot.is_light:
                return await worker.do(job, LIGHT_WORKER_BYTES, min(job.cpu_s, LIGHT_CPU_S))
            return await worker.do(job, MAX_WORKER_BYTES, job.cpu_s)
        except Unsound as error:
            if slot.is_light and error.phrase.code == TOO_MUCH_MEMORY:
                raise _Underestimated from error
            raise
        except OSError as error:  # no descriptors left
            self._end(slot, kill=True)
            log.warning("a picture did not reach a decoding process", extra={"reason": str(error)})
            raise _Died(0) from error
        except BaseException:
            self._end(slot, kill=True)
            raise

    async def _started(self, slot: _Slot) -> _Worker:
        async for attempt in retry(self._pauses_s.starts):
            try:
                slot.worker = _Worker()
                return slot.worker
            except OSError as error:
                log.error("no decoding process can be started", extra={"reason": str(error), "attempt": attempt.number})
        self._give_up_all()
        raise WorkersUnavailable

    def _give_up_all(self) -> None:
        """Whoever waits has waited long enough for a process."""
        waiting = [job for queue in self._waiting.values() for job in queue]
        self._waiting.clear()
        for job in waiting:
            if not job.done.done():
                job.done.set_exception(WorkersUnavailable())

    def _strike(self, job: _Job) -> None:
        self._strikes.setdefault(job.owner, []).append(self._clock())

    def _end(self, slot: _Slot, *, kill: bool = False) -> None:
        """Let a worker go; `kill` where it may be in the middle of something."""
        if slot.idle is not None:
            slot.idle.cancel()
            slot.idle = None
        worker, slot.worker = slot.worker, None
        if worker is not None:
            worker.close(kill=kill)
            task = asyncio.get_running_loop().create_task(worker.reap(), name="picture-worker-end")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


def _memory_bytes(header: Header, task: Task, length: int) -> int:
    """Address space for a picture: what decoding takes, or what setting it right takes, whichever is more."""
    files = 2 * length if header.format in READ_WHOLE else 0
    if task.is_look:
        # Of a GIF, looking takes the numbers of the first frame's colours alone.
        return BASE_BYTES + (2 * header.pixels if header.format == "GIF" else header.memory_bytes) + files
    output = 4 * min(header.pixels, task.output_pixels or header.pixels)
    output = min(output, header.decoded_bytes)
    afterwards = max(header.decoded_bytes + output, 3 * output)
    return BASE_BYTES + max(header.memory_bytes + files, afterwards)


def _check_memory(header: Header, task: Task, length: int) -> None:
    needed = _memory_bytes(header, task, length)
    if needed > MAX_WORKER_BYTES:
        raise huge(header, header.pixels * (MAX_WORKER_BYTES - BASE_BYTES) / (needed - BASE_BYTES))


def _cpu_s(header: Header) -> float:
    return min(CPU_BASE_S + CPU_PATIENCE * header.seconds, CPU_MOST_S)


# ---------------------------------------------------------------------- one process


class _Worker:
    """One decoding process and the line to it."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)
        with theirs:
            try:
                self._process = _launched(theirs.fileno())
            except OSError:
                self._control.close()
                raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def do(self, job: _Job, memory_bytes: int, cpu_s: float) -> Done:
        """Hand over one picture and wait for what comes out.

        Raises:
            Unsound: the decoder refuses it.
            _Overran, _Died: the process is gone.
        """
        wall_s = 3 * cpu_s + 2  # where the processor is shared with others, or stands still
        request = {
            "task": job.task.name,
            "args": job.task.args,
            "cpu_s": cpu_s,
            "wall_s": wall_s,
            "memory_bytes": memory_bytes,
            "output_bytes": MAX_OUTPUT_BYTES,
        }
        source, target = _anonymous_file(), _anonymous_file()
        try:
            await _write(source, job.body)
            try:
                socket.send_fds(self._control, [json.dumps(request).encode()], [source, target])
                async with asyncio.timeout(wall_s + 2):
                    reply = await self._reply()
            except TimeoutError:
                raise _Overran from None
            except ConnectionError:
                reply = b""
            if not reply:
                raise await self._how_it_ended()
            done = await _read_reply(json.loads(reply), target)
            await asyncio.sleep(0)  # giving back each file may take some milliseconds
            os.truncate(source, 0)
            await asyncio.sleep(0)
            return done
        finally:
            os.close(source)
            os.close(target)

    async def _reply(self) -> bytes:
        loop = asyncio.get_running_loop()
        received = b""
        while not received.endswith(b"\n"):
            piece = await loop.sock_recv(self._control, _MAX_REPLY_BYTES)
            if not piece or len(received) > _MAX_REPLY_BYTES:
                return b""
            received += piece
        return received

    async def _how_it_ended(self) -> Exception:
        await self.reap()
        ended_by = -(self._process.returncode or 0)
        if ended_by in (signal.SIGPROF, signal.SIGALRM):
            return _Overran()
        return _Died(ended_by)

    def close(self, *, kill: bool) -> None:
        """Close the line; an idle process ends by itself then."""
        self._control.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if kill:
            self._process.kill()

    async def reap(self) -> None:
        """Wait until it is gone."""
        for _ in range(200):
            if self._process.poll() is not None:
                return
            await asyncio.sleep(0.01)
        self._process.kill()
        await asyncio.to_thread(self._process.wait)


def _launched(descriptor: int) -> subprocess.Popen[bytes]:
    """A process that listens there. Raises OSError when none can be started."""
    return subprocess.Popen(  # noqa: S603 (our own file)
        [sys.executable, "-I", str(_WORKER), str(descriptor)],
        stdin=subprocess.PIPE,  # the lifeline: never written to
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(descriptor,),
        env=_ENVIRONMENT,
        cwd="/",
        # Ctrl-C is not for it. In a session of its own Linux would give it as much processor time as the bot, however
        # nice it is (autogroup).
        process_group=0,
    )


async def _read_reply(reply: dict[str, Any], target: int) -> Done:
    if "broke" in reply:
        log.warning("a decoder broke on a picture", extra={"error": reply["broke"]})
    if "refused" in reply:
        raise Unsound(Phrase.from_json(reply["refused"]))
    length = reply["bytes"]
    return Done(
        width=int(reply["width"]),
        height=int(reply["height"]),
        body=None if length is None else await _read(target, min(int(length), MAX_OUTPUT_BYTES)),
        notices=tuple(Phrase.from_json(notice) for notice in reply["notices"]),
        look=bytes.fromhex(reply["look"]),
        flat=tuple(reply["flat"]) if reply["flat"] else None,
    )


async def _read(file: int, length: int) -> bytes:
    """In pieces, as in `_write`."""
    pieces = []
    for at in range(0, length, _PIECE_BYTES):
        pieces.append(os.pread(file, min(_PIECE_BYTES, length - at), at))
        await asyncio.sleep(0)
    return b"".join(pieces)


def _anonymous_file() -> int:
    """A file without a name, in memory where the system can."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            return os.memfd_create("easel-picture")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


async def _write(file: int, body: bytes) -> None:
    """In pieces, so that the event loop is never held up."""
    left = memoryview(body)
    while left:
        left = left[os.write(file, left[:_PIECE_BYTES]) :]
        if left:
            await asyncio.sleep(0)
