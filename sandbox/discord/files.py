"""Attachments: reading them out of a request, keeping them, serving them under signed addresses."""

from __future__ import annotations

import hashlib
import hmac
import mimetypes
import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import unquote

from sandbox.discord.wire import DiscordError, Obj, Snowflakes, loads
from sandbox.discord.world import StoredFile

_LINK_LIFETIME_S = 24 * 3600
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME = re.compile(rb'\bname="([^"]*)"')
_FILENAME = re.compile(rb'\bfilename="((?:[^"\\]|\\.)*)"')
_FILENAME_STAR = re.compile(rb"\bfilename\*=utf-8''([^;\r\n]+)", re.IGNORECASE)
_INDEX = re.compile(r"files\[(\d+)\]")
# Not in every Python's own table.
_TYPES = {".webp": "image/webp", ".avif": "image/avif", ".md": "text/markdown", ".toml": "text/plain"}


@dataclass(frozen=True)
class Upload:
    """One file that came with a request."""

    index: int
    filename: str
    body: bytes


def read_multipart(body: bytes, content_type: str) -> tuple[Obj, list[Upload]]:
    """`payload_json` and `files[n]` of a request.

    Raises:
        DiscordError: 50035-like for a body that is no such thing.
    """
    found = re.search(r'boundary="?([^";,]+)"?', content_type)
    if found is None:
        raise DiscordError(400, 50109, "The request body contains invalid JSON.")
    payload: Obj = {}
    uploads: list[Upload] = []
    for part in body.split(b"--" + found.group(1).encode())[1:]:
        head, separator, content = part.partition(b"\r\n\r\n")
        if not separator:
            continue
        content = content.removesuffix(b"\r\n")
        name = (_NAME.search(head) or [b"", b""])[1].decode()
        index = _INDEX.fullmatch(name)
        if name == "payload_json":
            payload = read_json(content)
        elif index is not None or name == "file":
            uploads.append(Upload(int(index[1]) if index else 0, _filename(head), content))
    return payload, uploads


def _filename(head: bytes) -> str:
    starred = _FILENAME_STAR.search(head)
    if starred is not None:
        return unquote(starred[1].decode())
    plain = _FILENAME.search(head)
    return re.sub(r"\\(.)", r"\1", plain[1].decode()) if plain else "file"


def read_json(body: bytes) -> Obj:
    """A JSON object.

    Raises:
        DiscordError: 50109 for anything else.
    """
    try:
        payload = loads(body) if body else {}
    except ValueError as error:
        raise DiscordError(400, 50109, "The request body contains invalid JSON.") from error
    if not isinstance(payload, dict):
        raise DiscordError(
            400,
            50035,
            "Invalid Form Body",
            errors={
                "_errors": [{"code": "DICT_TYPE_CONVERT", "message": "Only dictionaries may be used in a DictType"}]
            },
        )
    return payload


def clean_name(filename: str) -> str:
    """The name Discord would keep."""
    return _UNSAFE.sub("_", filename).lstrip(".") or "file"


def picture_size_px(body: bytes) -> tuple[int, int] | None:
    """Width and height from the header; None for what is no picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(body)) as picture:
            return picture.width, picture.height
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _content_type(filename: str) -> str:
    suffix = "." + filename.rpartition(".")[2].lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(filename)[0] or "application/octet-stream"


@dataclass
class _Kept:
    body: bytes
    content_type: str


class FileStore:
    """The CDN: the newest files up to `max_total_bytes` are kept in memory."""

    def __init__(self, snowflakes: Snowflakes, *, max_total_bytes: int = 512 * 1024 * 1024) -> None:
        self.base_url = ""
        self.max_total_bytes = max_total_bytes
        self.total_bytes = 0
        self._snowflakes = snowflakes
        self._secret = secrets.token_bytes(16)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def keep(
        self,
        channel_id: str,
        filename: str,
        body: bytes,
        *,
        now_s: float,
        description: str | None = None,
        ephemeral: bool = False,
    ) -> StoredFile:
        """Store one file and describe it as an attachment object."""
        name = clean_name(filename)
        number = self._snowflakes.next(now_s)
        content_type = _content_type(name)
        path = f"/attachments/{channel_id}/{number}/{name}"
        self._kept[path] = _Kept(body, content_type)
        self.total_bytes += len(body)
        while self.total_bytes > self.max_total_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self.total_bytes -= len(oldest.body)
        url = self.signed_url(path, now_s=now_s)
        shown: Obj = {
            "id": number,
            "filename": name,
            "size": len(body),
            "url": url,
            "proxy_url": url,
            "content_type": content_type,
        }
        size_px = picture_size_px(body) if content_type.startswith("image/") else None
        if size_px is not None:
            shown["width"], shown["height"] = size_px
        if description:
            shown["description"] = description
        if ephemeral:
            shown["ephemeral"] = True
        return StoredFile(number, name, len(body), shown)

    def forget(self, file: StoredFile) -> None:
        """Drop the bytes of a file that is no longer attached to anything."""
        kept = self._kept.pop(_path_of(str(file.object["url"]), self.base_url), None)
        if kept is not None:
            self.total_bytes -= len(kept.body)

    def signed_url(self, path: str, *, now_s: float) -> str:
        """A link that works for a day."""
        issued, expires = int(now_s), int(now_s) + _LINK_LIFETIME_S
        return f"{self.base_url}{path}?ex={expires:x}&is={issued:x}&hm={self._sign(path, expires, issued)}&"

    def refresh(self, url: str, *, now_s: float) -> str:
        """The same link, made anew when it has expired."""
        expires = re.search(r"[?&]ex=([0-9a-f]+)", url)
        if expires is None or int(expires[1], 16) > now_s:
            return url
        return self.signed_url(_path_of(url, self.base_url), now_s=now_s)

    def open(self, path: str, query: dict[str, str], *, now_s: float) -> tuple[bytes, str] | None:
        """Bytes and content type behind a link; None when it is expired, forged or unknown."""
        try:
            expires, issued = int(query["ex"], 16), int(query["is"], 16)
        except (KeyError, ValueError):
            return None
        if expires < now_s or not hmac.compare_digest(self._sign(path, expires, issued), query.get("hm", "")):
            return None
        kept = self._kept.get(path)
        return None if kept is None else (kept.body, kept.content_type)

    def read(self, url: str) -> bytes | None:
        """The bytes behind one of our own links, whatever its age (for tests and benchmarks)."""
        kept = self._kept.get(_path_of(url, self.base_url))
        return None if kept is None else kept.body

    def _sign(self, path: str, expires: int, issued: int) -> str:
        return hmac.new(self._secret, f"{path}{expires:x}{issued:x}".encode(), hashlib.sha256).hexdigest()


def _path_of(url: str, base_url: str) -> str:
    return url.removeprefix(base_url).partition("?")[0]
