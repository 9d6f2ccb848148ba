"""People's attachments: fetched from Discord alone, judged by their bytes, set right for models.

Neither the name nor the announced type of a file counts. What a decoder reads is taken, whatever our own rules about
headers would say; what is larger than a model takes is made smaller. Masks that can only waste money are refused.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Collection, Hashable
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from bot.domain.picture import InputNeeds, Picture, PreparedInput
from bot.errors import BadPicture, DecoderUnavailable
from bot.media.fetch import BadAddress, BadStatus, DownloadTooLarge, get_capped
from bot.media.headers import Unsound
from bot.media.picture import inspect
from bot.media.public_addresses import PublicConnector
from bot.media.workers import Done, ImageWorkers, Task, WorkersUnavailable
from bot.phrase import Phrase, phrase
from bot.proxies import DIRECT, Proxies

DISCORD_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
#: fal's own helpers read 50 MiB at most; no model gains by more than this.
MAX_INPUT_BYTES = 25 * 1024 * 1024
FETCH_TIMEOUT_S = 30.0
#: Pauses before the same attachment is asked for again, five minutes in all: Discord's storage may be away.
FETCH_PAUSES_S = (0.3, 1.5, 4, 8, *(15,) * 19)
#: Downloads, and pictures of any size between download and upload, at once.
AT_ONCE = 8


def from_discord(url: URL, allowed_origins: Collection[str] = ()) -> bool:
    """Whether the URL is a Discord attachment, or lies in one of the extra origins (`http://127.0.0.1:8765`)."""
    if url.scheme == "https" and url.host in DISCORD_HOSTS and url.port == 443:
        return True
    return url.host is not None and any(url.origin() == URL(origin).origin() for origin in allowed_origins)


# ---------------------------------------------------------------------- setting right


async def prepare_input(
    workers: ImageWorkers,
    body: bytes,
    *,
    option: str,
    owner: Hashable,
    needs: InputNeeds | None = None,
    may_take_long: bool = True,
) -> PreparedInput:
    """A file as a model takes it.

    Args:
        option: the one that it was given for, named in a refusal.
        owner: whose turn it is with the decoder.
        may_take_long: whether to wait where it takes long and others are before it.

    Raises:
        BadPicture: it is no picture, or can't be decoded.
        DecoderUnavailable: nothing can be decoded now.
        DecoderBusy: it would have to wait, and may not.
    """
    needs = needs or InputNeeds()
    args = {"max_pixels": needs.max_pixels, "max_side_px": needs.max_side_px, "max_bytes": needs.max_bytes}
    done = await _run(
        workers, Task("prepare", args, needs.max_pixels), body, option=option, owner=owner, may_take_long=may_take_long
    )
    return PreparedInput(_picture(done, body), done.notices, done.look)


async def prepare_mask(
    workers: ImageWorkers,
    body: bytes,
    *,
    picture: PreparedInput,
    option: str = "mask",
    owner: Hashable,
    may_take_long: bool = True,
) -> PreparedInput:
    """A mask in grey, without transparency, with exactly the picture's dimensions, as models demand.

    One of the same shape is resized with nearest neighbour, which keeps its edges hard.

    Raises:
        BadPicture: it is no picture, has another shape, is one colour from edge to edge, or the picture itself.
        DecoderUnavailable, DecoderBusy: as above.
    """
    width, height = picture.picture.width, picture.picture.height
    if body == picture.picture.body:
        raise BadPicture(option, phrase("mask_is_picture"))
    args = {"width": width, "height": height, "picture_look": picture.look.hex()}
    done = await _run(
        workers, Task("mask", args, width * height), body, option=option, owner=owner, may_take_long=may_take_long
    )
    return PreparedInput(_picture(done, body), done.notices, done.look)


async def _run(
    workers: ImageWorkers, task: Task, body: bytes, *, option: str, owner: Hashable, may_take_long: bool
) -> Done:
    try:
        return await workers.run(task, body, owner=owner, may_take_long=may_take_long)
    except Unsound as error:
        raise BadPicture(option, _about_a_file(error.phrase)) from error
    except WorkersUnavailable as error:
        raise DecoderUnavailable from error


def _picture(done: Done, body: bytes) -> Picture:
    """What came out, which its own header has to bear out."""
    return inspect(body if done.body is None else done.body)


def _about_a_file(why: Phrase) -> Phrase:
    """The reason inside "The model answered, but …", said about a person's file."""
    return Phrase(f"{why.code}.given", why.params) if why.code.startswith("picture_") else why


# ---------------------------------------------------------------------- fetching


_NO_LONGER = phrase("file_gone")
_NOT_NOW = phrase("file_unreachable")


async def fetch_attachment(
    session: aiohttp.ClientSession,
    url: str,
    *,
    option: str,
    max_bytes: int = MAX_INPUT_BYTES,
    allowed_origins: Collection[str] = (),
    reserve: Callable[[int], None] | None = None,
) -> bytes:
    """What lies at a Discord attachment's address.

    Args:
        reserve: as in `get_capped`.

    Raises:
        BadPicture: with the reason.
    """

    async def get() -> bytes:
        return await get_capped(
            session,
            url,
            max_bytes=max_bytes,
            timeout_s=FETCH_TIMEOUT_S,
            may_follow=lambda hop: from_discord(hop, allowed_origins),
            max_redirects=1,
            reserve=reserve,
        )

    try:
        return await _persistently(get)
    except BadAddress as error:
        raise BadPicture(option, phrase("file_foreign")) from error
    except DownloadTooLarge as error:
        raise BadPicture(option, phrase("file_too_large", mebibytes=max_bytes // 1_048_576)) from error
    except BadStatus as error:
        raise BadPicture(option, _NOT_NOW if error.status >= 500 else _NO_LONGER) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise BadPicture(option, _NOT_NOW) from error


async def _persistently(get: Callable[[], Awaitable[bytes]]) -> bytes:
    """A broken connection or a server's error is no reason to give an accepted job up at once."""
    for pause_s in FETCH_PAUSES_S:
        try:
            return await get()
        except BadStatus as error:
            if error.status < 500:
                raise
        except (aiohttp.ClientError, OSError, TimeoutError):
            pass
        await asyncio.sleep(pause_s)
    return await get()


class Attachments:
    """Where people's attachments come from. Own session, no key, a few at once."""

    def __init__(
        self,
        workers: ImageWorkers,
        *,
        extra_origins: Collection[str] = (),
        max_bytes: int = MAX_INPUT_BYTES,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._workers = workers
        self._extra_origins = tuple(extra_origins)
        self._max_bytes = max_bytes
        self._proxies = proxies
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Extra origins are on this machine, or there are none.
        tls = ssl.create_default_context()
        connector = PublicConnector(
            allow_loopback=bool(self._extra_origins),
            limit=AT_ONCE,
            tls=tls,
            proxies=self._proxies,
            proxied_by_name=DISCORD_HOSTS,
        )
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def is_attachment(self, url: str) -> bool:
        """Whether the URL is a Discord attachment; any other address is left for fal to fetch."""
        try:
            return from_discord(URL(url, encoded=True), self._extra_origins)
        except (ValueError, TypeError):
            return False

    async def fetch(
        self,
        url: str,
        *,
        option: str,
        owner: Hashable,
        needs: InputNeeds | None = None,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        """Fetch one and set it right. Raises BadPicture, DecoderUnavailable, DecoderBusy, and what `reserve` raises."""
        body = await self._get(url, option, reserve)
        return await prepare_input(
            self._workers, body, option=option, owner=owner, needs=needs, may_take_long=may_take_long
        )

    async def fetch_mask(
        self,
        url: str,
        *,
        picture: PreparedInput,
        option: str,
        owner: Hashable,
        may_take_long: bool = True,
        reserve: Callable[[int], None] | None = None,
    ) -> PreparedInput:
        """Fetch a mask for this picture and set it right. Raises as `fetch` does."""
        body = await self._get(url, option, reserve)
        return await prepare_mask(
            self._workers, body, picture=picture, option=option, owner=owner, may_take_long=may_take_long
        )

    async def _get(self, url: str, option: str, reserve: Callable[[int], None] | None) -> bytes:
        if self._session is None:
            raise RuntimeError("Attachments is used outside its context")
        return await fetch_attachment(
            self._session,
            url,
            option=option,
            max_bytes=self._max_bytes,
            allowed_origins=self._extra_origins,
            reserve=reserve,
        )
