"""Storage and media: upload tokens, uploads in every shape fal_client knows, and public files."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote_to_bytes

from aiohttp import web

from sandbox.fal.fault_injection import InjectedFaults
from sandbox.fal.jobs import Counters, Job

_TOKEN_LIFE = timedelta(hours=1)
_NAME_MAX = 120


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Bytes behind a public URL. `job` is set for pictures a job painted."""

    body: bytes
    content_type: str
    job: Job | None = None
    #: False for bytes many files share; they do not count towards the limit.
    counted: bool = True


class FileUnavailable(Exception):
    """A URL that the fake fal will not, or cannot, download."""


@dataclass
class Files:
    """Everything under /files and /storage. Forgets the oldest files beyond `limit_bytes`."""

    faults: InjectedFaults
    counters: Counters
    base_url: Callable[[], str]
    authorised: Callable[[web.Request], bool]
    limit_bytes: int = 400 * 1024 * 1024
    tokens: set[str] = field(default_factory=set)
    _files: OrderedDict[str, StoredFile] = field(default_factory=OrderedDict)
    _parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    _bytes: int = 0

    def routes(self) -> list[web.RouteDef]:
        """The routes of rest.fal.ai's storage and of the CDN."""
        return [
            web.post("/storage/auth/token", self._token),
            web.post("/storage/upload/initiate", self._initiate),
            web.post("/files/upload", self._upload),
            web.post("/files/upload/multipart", self._multipart),
            web.put("/files/b/{folder}/{name}/multipart/{upload}/{part:\\d+}", self._part),
            web.post("/files/b/{folder}/{name}/multipart/{upload}/complete", self._complete),
            web.put("/files/b/{folder}/{name}", self._put),
            web.get("/files/b/{folder}/{name}", self._media),
        ]

    def keep(self, stored: StoredFile, name: str) -> str:
        """Store a file and return its public URL."""
        path = self._new_path(name)
        self._put_file(path, stored)
        return self.base_url() + path

    def read(self, url: str) -> bytes:
        """The bytes behind one of our own URLs or a data URI.

        Raises:
            FileUnavailable: anything else, as the real fal refuses private hosts.
        """
        if url.startswith("data:"):
            return _data_uri(url)
        base = self.base_url() + "/"
        stored = self._files.get("/" + url[len(base) :].partition("?")[0]) if url.startswith(base) else None
        if stored is None:
            raise FileUnavailable(url)
        return stored.body

    def _new_path(self, name: str) -> str:
        folder, unique = secrets.token_hex(4), secrets.token_urlsafe(15)
        clean = "".join(mark for mark in name if mark.isascii() and (mark.isalnum() or mark in "._-"))[-_NAME_MAX:]
        return f"/files/b/{folder}/{unique}_{clean}" if clean else f"/files/b/{folder}/{unique}"

    def _put_file(self, path: str, stored: StoredFile) -> None:
        self._files[path] = stored
        self._bytes += len(stored.body) if stored.counted else 0
        while self._bytes > self.limit_bytes and len(self._files) > 1:
            _, old = self._files.popitem(last=False)
            self._bytes -= len(old.body) if old.counted else 0

    # ------------------------------------------------------------------ uploads

    async def _token(self, request: web.Request) -> web.Response:
        self.counters.requests["token"] += 1
        token = secrets.token_urlsafe(24)
        self.tokens.add(token)
        expires_at = datetime.now(UTC) + _TOKEN_LIFE
        return web.json_response(
            {
                "token": token,
                "token_type": "Bearer",
                "base_url": self.base_url(),
                "expires_at": expires_at.isoformat(),
            }
        )

    async def _initiate(self, request: web.Request) -> web.Response:
        self.counters.requests["upload"] += 1
        wanted = json.loads(await request.read() or b"{}")
        url = self.base_url() + self._new_path(str(wanted.get("file_name") or "upload"))
        return web.json_response({"upload_url": url, "file_url": url})

    async def _upload(self, request: web.Request) -> web.Response:
        self.counters.requests["upload"] += 1
        if not self._has_token(request):
            return web.json_response({"detail": "Invalid token"}, status=401)
        try:
            body = await request.read()
        except ConnectionResetError:  # the sender was killed
            return web.Response(status=400)
        stored = StoredFile(body, request.headers.get("Content-Type", "application/octet-stream"))
        return web.json_response({"access_url": self.keep(stored, request.headers.get("X-Fal-File-Name", ""))})

    async def _multipart(self, request: web.Request) -> web.Response:
        self.counters.requests["upload"] += 1
        if not self._has_token(request):
            return web.json_response({"detail": "Invalid token"}, status=401)
        upload = secrets.token_hex(8)
        self._parts[upload] = {}
        path = self._new_path(request.headers.get("X-Fal-File-Name", ""))
        return web.json_response({"access_url": self.base_url() + path, "uploadId": upload})

    async def _part(self, request: web.Request) -> web.Response:
        self.counters.requests["upload"] += 1
        parts = self._parts.get(request.match_info["upload"])
        if parts is None or not self._has_token(request):
            return web.json_response({"detail": "Unknown upload"}, status=404)
        body = await request.read()
        parts[int(request.match_info["part"])] = body
        return web.Response(headers={"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'})

    async def _complete(self, request: web.Request) -> web.Response:
        self.counters.requests["upload"] += 1
        parts = self._parts.pop(request.match_info["upload"], None)
        if parts is None or not self._has_token(request):
            return web.json_response({"detail": "Unknown upload"}, status=404)
        path = request.path.partition("/multipart/")[0]
        content_type = request.headers.get("X-Fal-Content-Type", "application/octet-stream")
        self._put_file(path, StoredFile(b"".join(parts[number] for number in sorted(parts)), content_type))
        return web.json_response({"access_url": self.base_url() + path})

    async def _put(self, request: web.Request) -> web.Response:
        self.counters.requests["upload"] += 1
        if request.headers.get("Authorization", "").startswith("Key "):
            self.counters.keys_sent_to_media += 1
        content_type = request.headers.get("Content-Type", "application/octet-stream")
        self._put_file(request.path, StoredFile(await request.read(), content_type))
        return web.Response()

    def _has_token(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return scheme == "Bearer" and token in self.tokens

    # ------------------------------------------------------------------ media

    async def _media(self, request: web.Request) -> web.StreamResponse:
        self.counters.requests["media"] += 1
        stored = self._files.get(request.path)
        if stored is not None and stored.job is not None:
            stored.job.requests["media"] += 1
        if "Authorization" in request.headers:
            self.counters.keys_sent_to_media += 1
            return web.json_response({"detail": "Public files take no credentials"}, status=400)
        if self.faults.take("media_error"):
            return web.Response(status=500, text="Internal Server Error")
        if stored is None or self.faults.take("media_missing"):
            return web.json_response({"detail": "Not found"}, status=404)
        if self.faults.take("broken_picture"):
            return web.Response(text="<html><body>502 Bad Gateway</body></html>", content_type="text/html")
        if self.faults.take("truncated_picture"):
            return await _half(request, stored)
        headers = {"Content-Type": stored.content_type, "Cache-Control": "public, max-age=31536000"}
        return web.Response(body=stored.body, headers=headers)


async def _half(request: web.Request, stored: StoredFile) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": stored.content_type})
    response.content_length = len(stored.body)
    await response.prepare(request)
    await response.write(stored.body[: len(stored.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _data_uri(url: str) -> bytes:
    head, comma, payload = url[len("data:") :].partition(",")
    if not comma:
        raise FileUnavailable(url[:40])
    if not head.endswith(";base64"):
        return unquote_to_bytes(payload)
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FileUnavailable(url[:40]) from error
