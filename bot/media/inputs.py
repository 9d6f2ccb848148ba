"""People's attachments: fetched from Discord alone, judged by their bytes, rid of what a camera wrote into them."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Awaitable, Callable, Collection
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from bot.domain.picture import Picture
from bot.errors import BadPicture, ResultUnusable
from bot.media.fetch import BadAddress, BadStatus, DownloadTooLarge, get_capped
from bot.media.fit import open_upright
from bot.media.image_thread import run_in_image_thread
from bot.media.metadata import has_metadata
from bot.media.picture import inspect
from bot.media.public_addresses import PublicConnector
from bot.phrase import Phrase, phrase
from bot.proxies import DIRECT, Proxies

DISCORD_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
#: fal's own helpers read 50 MiB at most; no model gains by more than this.
MAX_INPUT_BYTES = 25 * 1024 * 1024
MAX_INPUT_PIXELS = 32_000_000
FETCH_TIMEOUT_S = 30.0
#: Pauses before the same attachment is asked for again, five minutes in all: Discord's storage may be away.
FETCH_PAUSES_S = (0.3, 1.5, 4, 8, *(15,) * 19)
#: A mask whose shape differs by more than this was made for another picture.
MAX_SHAPE_DIFFERENCE = 0.03

_ACCEPTED = frozenset({"png", "jpg", "webp"})


def from_discord(url: URL, allowed_origins: Collection[str] = ()) -> bool:
    """Whether the URL is a Discord attachment, or lies in one of the extra origins (`http://127.0.0.1:8765`)."""
    if url.scheme == "https" and url.host in DISCORD_HOSTS and url.port == 443:
        return True
    return url.host is not None and any(url.origin() == URL(origin).origin() for origin in allowed_origins)


async def fetch_input(
    session: aiohttp.ClientSession,
    url: str,
    *,
    option: str,
    max_bytes: int = MAX_INPUT_BYTES,
    allowed_origins: Collection[str] = (),
    max_pixels: int = MAX_INPUT_PIXELS,
) -> Picture:
    """A person's attachment as a checked PNG, JPEG or WebP. Name and announced type are not believed.

    Where EXIF or XMP is present (place, camera, time) the picture is re-encoded without it, turned upright.

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
        )

    try:
        body = await _persistently(get)
        picture = inspect(body, max_pixels=max_pixels)
        return await _acceptable(picture, option)
    except BadAddress as error:
        raise BadPicture(option, phrase("file_foreign")) from error
    except DownloadTooLarge as error:
        raise BadPicture(option, phrase("file_too_large", mebibytes=max_bytes // 1_048_576)) from error
    except BadStatus as error:
        raise BadPicture(option, _NOT_NOW if error.status >= 500 else _NO_LONGER) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise BadPicture(option, _NOT_NOW) from error
    except ResultUnusable as error:
        raise BadPicture(option, _why(error)) from error


_NO_LONGER = phrase("file_gone")
_NOT_NOW = phrase("file_unreachable")


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


def _why(error: ResultUnusable) -> Phrase:
    """The reason inside "The model answered, but …", said about a person's file."""
    return Phrase(f"{error.why.code}.given", error.why.params)


async def _acceptable(picture: Picture, option: str) -> Picture:
    if picture.extension not in _ACCEPTED:
        raise BadPicture(option, phrase("file_format", format=picture.extension.upper()))
    if has_metadata(picture):
        return await run_in_image_thread(without_metadata, picture)
    return picture


def without_metadata(picture: Picture) -> Picture:
    """The same picture upright, in the same format, without EXIF, XMP or text chunks. Blocking."""
    image = open_upright(picture)
    buffer = io.BytesIO()
    profile = image.info.get("icc_profile")
    if picture.extension == "jpg":
        image.convert("RGB" if image.mode == "RGBA" else image.mode).save(
            buffer, "JPEG", quality=95, subsampling=0, icc_profile=profile, exif=b""
        )
    elif picture.extension == "webp":
        lossless = picture.body[12:16] == b"VP8L" or b"VP8L" in picture.body[:256]
        image.save(
            buffer, "WEBP", quality=95, lossless=lossless, method=2, icc_profile=profile or b"", exif=b"", xmp=b""
        )
    else:
        image.info = {key: value for key, value in image.info.items() if key == "icc_profile"}
        image.save(buffer, "PNG", icc_profile=profile)
    return inspect(buffer.getvalue())


async def mask_matches(picture: Picture, mask: Picture, *, option: str = "mask") -> Picture:
    """A mask with exactly the picture's dimensions, as models demand.

    An equal one is returned as it is; one of the same shape is resized with nearest neighbour, which keeps its
    edges hard.

    Raises:
        BadPicture: its shape is another, so it was drawn for another picture.
    """
    if (mask.width, mask.height) == (picture.width, picture.height):
        return mask
    shape, wanted = mask.width / mask.height, picture.width / picture.height
    if abs(shape / wanted - 1) > MAX_SHAPE_DIFFERENCE:
        raise BadPicture(
            option,
            phrase("mask_shape", mask=f"{mask.width}×{mask.height}", picture=f"{picture.width}×{picture.height}"),
        )
    try:
        return await run_in_image_thread(_resized, mask, (picture.width, picture.height))
    except ResultUnusable as error:
        raise BadPicture(option, _why(error)) from error


def _resized(mask: Picture, size: tuple[int, int]) -> Picture:
    from PIL import Image

    buffer = io.BytesIO()
    open_upright(mask).resize(size, Image.Resampling.NEAREST).save(buffer, "PNG")
    return inspect(buffer.getvalue())


class Attachments:
    """Where people's attachments come from. Own session, no key, a few downloads at once."""

    def __init__(
        self, *, extra_origins: Collection[str] = (), max_bytes: int = MAX_INPUT_BYTES, proxies: Proxies = DIRECT
    ) -> None:
        self._extra_origins = tuple(extra_origins)
        self._max_bytes = max_bytes
        self._proxies = proxies
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Extra origins are on this machine, or there are none.
        tls = ssl.create_default_context()
        connector = PublicConnector(
            allow_loopback=bool(self._extra_origins),
            limit=8,
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

    async def fetch(self, url: str, *, option: str) -> Picture:
        """Fetch and check one. Raises BadPicture."""
        if self._session is None:
            raise RuntimeError("Attachments is used outside its context")
        return await fetch_input(
            self._session, url, option=option, max_bytes=self._max_bytes, allowed_origins=self._extra_origins
        )
