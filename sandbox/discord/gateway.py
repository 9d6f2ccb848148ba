"""The gateway: HELLO, IDENTIFY, READY, heartbeats, RESUME with replay, compression, drops."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import secrets
import zlib
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from aiohttp import WSMsgType, web

from sandbox.discord.wire import Obj, dumps, loads
from sandbox.discord.world import World

_DISPATCH, _HEARTBEAT, _IDENTIFY, _RESUME, _RECONNECT, _MEMBERS = 0, 1, 2, 6, 7, 8
_INVALID_SESSION, _HELLO, _ACK = 9, 10, 11
_INTENT_GUILDS, _INTENT_GUILD_MESSAGES, _INTENT_DM_MESSAGES, _INTENT_CONTENT = 1, 1 << 9, 1 << 12, 1 << 15
_PRIVILEGED = (1 << 1) | (1 << 8) | _INTENT_CONTENT
_REPLAY_LENGTH = 20_000

Drop = Literal["close", "away", "goodbye", "reconnect", "resumable", "invalid", "abort"]
#: Close codes of the kinds that close; the session can be resumed after each of them.
_CODES: Mapping[Drop, int] = {"close": 4000, "away": 1001, "goodbye": 1000}


class _Compressor(Protocol):
    def pack(self, frame: bytes) -> bytes: ...


class _Zlib:
    def __init__(self) -> None:
        self._stream = zlib.compressobj(1)

    def pack(self, frame: bytes) -> bytes:
        return self._stream.compress(frame) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class _Zstd:
    def __init__(self) -> None:
        # Only clients that have the package ask for it.
        zstandard: Any = importlib.import_module("zstandard")
        self._stream = zstandard.ZstdCompressor(level=1).compressobj()
        self._block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def pack(self, frame: bytes) -> bytes:
        packed: bytes = self._stream.compress(frame) + self._stream.flush(self._block)
        return packed


def _compressor(asked: str | None) -> _Compressor | None:
    if asked == "zlib-stream":
        return _Zlib()
    if asked == "zstd-stream":
        return _Zstd()
    return None


class _Link:
    """One open socket: frames leave in the order they were queued."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.socket = socket
        self._request = request
        self._compressor = _compressor(request.query.get("compress"))
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, frame: bytes) -> None:
        self._queue.put_nowait(frame)

    async def pump(self) -> None:
        """Send until `finish` was called or the socket is gone."""
        while (frame := await self._queue.get()) is not None:
            with contextlib.suppress(ConnectionError):
                if self._compressor is None:
                    await self.socket.send_str(frame.decode())
                else:
                    await self.socket.send_bytes(self._compressor.pack(frame))

    def finish(self) -> None:
        self._queue.put_nowait(None)

    def abort(self) -> None:
        """Cut the connection without a closing handshake."""
        if self._request.transport is not None:
            self._request.transport.abort()


@dataclass(eq=False)
class Session:
    """What IDENTIFY began; it outlives its sockets for a while."""

    id: str
    intents: int
    shard: tuple[int, int]
    identified_s: float
    seq: int = 0
    #: Number of the last event of its start (READY and the guilds).
    began_seq: int = 0
    link: _Link | None = None
    replay: deque[tuple[int, bytes]] = field(default_factory=lambda: deque(maxlen=_REPLAY_LENGTH))

    def dispatch(self, event: str, data: bytes) -> None:
        """Number an event, keep it for replays, and send it if a client is connected."""
        self.seq += 1
        frame = b'{"op":0,"s":%d,"t":"%s","d":%s}' % (self.seq, event.encode(), data)
        self.replay.append((self.seq, frame))
        if self.link is not None:
            self.link.put(frame)

    def can_replay(self, seq: int) -> bool:
        """Whether every event after `seq` is still kept."""
        if seq > self.seq:
            return False
        return seq == self.seq or (bool(self.replay) and self.replay[0][0] <= seq + 1)


class Gateway:
    """All sessions of the bot."""

    def __init__(
        self, world: World, *, token: str, clock: Callable[[], float], on_presence: Callable[[bool], None]
    ) -> None:
        self.world = world
        self.token = token
        self.url = ""
        self.heartbeat_interval_ms = 41_250
        # A round trip to Discord. discord.py notes when it sent a heartbeat only after its thread has woken
        # up again; an ACK before that makes it measure from the heartbeat before, and warn.
        self.ack_delay_s = 0.05
        self.session_lifetime_s = 90.0
        self.identify_limit = 1000
        self.max_concurrency = 1
        self.allow_privileged_intents = True
        self.identifies: list[float] = []
        self.resumes = 0
        self.invalid_sessions = 0
        #: How many events that a client had already received a RESUME brings once more, as Discord now and then does.
        self.overlap = 0
        self.replayed_again = 0
        self.dispatched = 0
        self.sessions: dict[str, Session] = {}
        #: Which of several sessions of one shard an event goes to; all of them, as on Discord, until this is set.
        self.pick: Callable[[str, Sequence[Session]], Collection[Session]] = lambda _event, sessions: sessions
        self._clock = clock
        self._on_presence = on_presence
        self._gone_s: dict[str, float] = {}

    # ------------------------------------------------------------------ outside view

    @property
    def online(self) -> bool:
        """Whether a bot is connected and identified."""
        return any(one.link is not None for one in self.sessions.values())

    def session_start_limit(self) -> Obj:
        """For GET gateway/bot."""
        now_s = self._clock()
        recent = [one for one in self.identifies if one > now_s - 86_400]
        reset_ms = int((86_400 - (now_s - recent[0])) * 1000) if recent else 0
        return {
            "total": self.identify_limit,
            "remaining": max(0, self.identify_limit - len(recent)),
            "reset_after": reset_ms,
            "max_concurrency": self.max_concurrency,
        }

    def dispatch(self, event: str, data: Obj, *, guild_id: str | None, intents: int = 0) -> int:
        """Send an event to every session it concerns; answers how many."""
        self._expire()
        packed: bytes | None = None
        reached = 0
        for session in self.pick(event, self._concerned(guild_id, intents)):
            packed = packed if packed is not None else dumps(data)
            session.dispatch(event, packed)
            reached += 1
        self.dispatched += reached
        return reached

    def _concerned(self, guild_id: str | None, intents: int) -> list[Session]:
        found = []
        for session in self.sessions.values():
            number, count = session.shard
            mine = number == ((int(guild_id) >> 22) % count if guild_id else 0)
            if mine and (not intents or session.intents & intents):
                found.append(session)
        return found

    def dispatch_message(self, event: str, data: Obj, *, guild_id: str | None, content_public: bool) -> None:
        """A message event; its text is blanked for sessions without the content intent."""
        intents = _INTENT_GUILD_MESSAGES if guild_id else _INTENT_DM_MESSAGES
        if content_public or event == "MESSAGE_DELETE":
            self.dispatch(event, data, guild_id=guild_id, intents=intents)
            return
        blank = data | {"content": "", "embeds": [], "attachments": [], "components": []}
        for session in self.sessions.values():
            if session.intents & intents:
                session.dispatch(event, dumps(data if session.intents & _INTENT_CONTENT else blank))

    async def drop(self, how: Drop = "close") -> None:
        """Break every connection.

        Args:
            how: `close` (code 4000), `away` (1001), `goodbye` (1000), `abort` (no handshake), `reconnect` (op 7: the
                client is asked to come again), `resumable` (op 9, the session goes on) or `invalid` (it is over).
        """
        for session in list(self.sessions.values()):
            link = session.link
            if link is None:
                continue
            if how == "reconnect":
                link.put(dumps({"op": _RECONNECT, "d": None}))
                continue
            if how in {"invalid", "resumable"}:
                link.put(dumps({"op": _INVALID_SESSION, "d": how == "resumable"}))
                if how == "invalid":
                    self.sessions.pop(session.id, None)
                continue
            self._detach(session)
            if how == "abort":
                link.abort()
            else:
                # The client's half of the handshake is not waited for.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await link.socket.close(code=_CODES[how])

    async def close(self) -> None:
        """Close every connection."""
        for session in list(self.sessions.values()):
            if session.link is not None:
                session.link.abort()
        self.sessions.clear()

    # ------------------------------------------------------------------ one connection

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET /gateway."""
        socket = web.WebSocketResponse(max_msg_size=0, compress=False, autoping=True, timeout=2)
        await socket.prepare(request)
        link = _Link(socket, request)
        link.put(dumps({"op": _HELLO, "d": {"heartbeat_interval": self.heartbeat_interval_ms, "_trace": []}}))
        pump = asyncio.create_task(link.pump())
        session: Session | None = None
        try:
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT:
                    continue
                try:
                    payload = loads(frame.data)
                except ValueError:
                    await socket.close(code=4002)
                    break
                session = await self._receive(payload, link, session)
        finally:
            link.finish()
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
            if session is not None and session.link is link:
                self._detach(session)
        return socket

    async def _receive(self, payload: Obj, link: _Link, session: Session | None) -> Session | None:
        match payload.get("op"):
            case 1:
                ack = dumps({"op": _ACK, "d": None})
                asyncio.get_running_loop().call_later(self.ack_delay_s, link.put, ack)
            case 2:
                return await self._identify(payload["d"], link)
            case 6:
                return await self._resume(payload["d"], link)
            case 8:
                if session is not None:
                    self._members(payload["d"], session)
            case 3 | 4:
                pass
            case _:
                await link.socket.close(code=4001)
        return session

    async def _identify(self, given: Obj, link: _Link) -> Session | None:
        now_s = self._clock()
        self.identifies.append(now_s)
        if self.session_start_limit()["remaining"] <= 0:
            # Discord ends every session and resets the token.
            await self.drop("abort")
            self.sessions.clear()
            await link.socket.close(code=4004, message=b"Authentication failed.")
            return None
        if str(given.get("token", "")).removeprefix("Bot ") != self.token:
            await link.socket.close(code=4004, message=b"Authentication failed.")
            return None
        intents = int(given.get("intents", 0))
        if intents & _PRIVILEGED and not self.allow_privileged_intents:
            await link.socket.close(code=4014, message=b"Disallowed intent(s).")
            return None
        number, count = given.get("shard") or (0, 1)
        session = Session(secrets.token_hex(16), intents, (int(number), int(count)), now_s, link=link)
        self.sessions[session.id] = session
        session.dispatch("READY", dumps(self._ready(session)))
        if intents & _INTENT_GUILDS and (int(self.world.guild_id) >> 22) % session.shard[1] == session.shard[0]:
            session.dispatch("GUILD_CREATE", dumps(self.world.guild_create()))
        session.began_seq = session.seq
        self._on_presence(True)
        return session

    def _ready(self, session: Session) -> Obj:
        mine = (int(self.world.guild_id) >> 22) % session.shard[1] == session.shard[0]
        return {
            "v": 10,
            "user_settings": {},
            "user": self.world.bot.user() | {"email": None, "mfa_enabled": True, "verified": True},
            "session_type": "normal",
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guilds": [{"id": self.world.guild_id, "unavailable": True}] if mine else [],
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": [],
            "game_relationships": [],
            "auth": {},
            "application": {"id": self.world.application_id, "flags": 0},
            "shard": list(session.shard),
            "_trace": [],
        }

    async def _resume(self, given: Obj, link: _Link) -> Session | None:
        if str(given.get("token", "")).removeprefix("Bot ") != self.token:
            await link.socket.close(code=4004, message=b"Authentication failed.")
            return None
        session = self.sessions.get(str(given.get("session_id")))
        seq = int(given.get("seq") or 0)
        if session is None or not session.can_replay(seq):
            self.invalid_sessions += 1
            link.put(dumps({"op": _INVALID_SESSION, "d": False}))
            return None
        self.resumes += 1
        self._gone_s.pop(session.id, None)
        known = max(seq - self.overlap, session.began_seq) if self.overlap else seq
        for number, frame in session.replay:
            if number > known:
                self.replayed_again += number <= seq
                link.put(frame)
        session.link = link
        session.dispatch("RESUMED", dumps({"_trace": []}))
        self._on_presence(True)
        return session

    def _members(self, given: Obj, session: Session) -> None:
        wanted = given.get("user_ids") or ()
        wanted = [wanted] if isinstance(wanted, str | int) else wanted
        people = [self.world.people.get(str(one)) for one in wanted] if wanted else list(self.world.people.values())
        found = [one.member() for one in people if one is not None and one.in_guild]
        chunk = {"guild_id": self.world.guild_id, "members": found, "chunk_index": 0, "chunk_count": 1}
        if given.get("nonce"):
            chunk["nonce"] = given["nonce"]
        session.dispatch("GUILD_MEMBERS_CHUNK", dumps(chunk))

    def _detach(self, session: Session) -> None:
        session.link = None
        self._gone_s[session.id] = self._clock()
        if not self.online:
            self._on_presence(False)

    def _expire(self) -> None:
        if not self._gone_s:
            return
        limit_s = self._clock() - self.session_lifetime_s
        for number in [one for one, gone_s in self._gone_s.items() if gone_s < limit_s]:
            self.sessions.pop(number, None)
            del self._gone_s[number]
