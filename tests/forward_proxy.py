"""An HTTP proxy on loopback: CONNECT and plain requests, with a password if wanted, leading where a test says."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Address = tuple[str, int]


class ForwardProxy:
    """Knows a few hosts and where they really are; everything else does not exist behind it.

    Args:
        hosts: where a connection to a host is led, by its name or number.
        tls: with it the proxy itself ends the TLS inside tunnels, and what stands behind gets plain HTTP.
        login: `user:password` that has to be given.
    """

    def __init__(
        self, hosts: Mapping[str, Address], *, tls: ssl.SSLContext | None = None, login: str | None = None
    ) -> None:
        self.hosts = dict(hosts)
        self._tls = tls
        self._login = login
        #: What was asked for: `discord.com:443` by CONNECT, else the URL.
        self.asked: list[str] = []
        self.refused = 0
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.address: Address = ("127.0.0.1", 0)

    @property
    def url(self) -> str:
        """As HTTPS_PROXY is written."""
        user, _, password = (self._login or "").partition(":")
        login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if self._login else ""
        return f"http://{login}{self.address[0]}:{self.address[1]}"

    def asked_hosts(self) -> set[str]:
        return {one.rpartition(":")[0] if "://" not in one else urlsplit(one).hostname or "" for one in self.asked}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError):
                await self._pass_on(reader, writer)
        finally:
            self._running.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        self.asked.append(target)
        given = next((one for one in head.split("\r\n") if one.lower().startswith("proxy-authorization:")), "")
        if self._login is not None and given.partition(": ")[2] != f"Basic {_encoded(self._login)}":
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        host = target.rpartition(":")[0].strip("[]") if method == "CONNECT" else urlsplit(target).hostname or ""
        if host not in self.hosts:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        behind_reader, behind_writer = await asyncio.open_connection(*self.hosts[host])
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await writer.drain()
                if self._tls is not None:
                    await writer.start_tls(self._tls)
            else:
                # One request a connection: the next one may be for another host.
                lines = [one for one in head.rstrip().split("\r\n") if not one.lower().startswith("proxy-")]
                parts = urlsplit(target)
                path = parts._replace(scheme="", netloc="").geturl() or "/"
                plain = "\r\n".join([f"{method} {path} HTTP/1.1", *lines[1:], "Connection: close", "", ""])
                behind_writer.write(plain.encode("latin-1"))
            await _both_ways((reader, writer), (behind_reader, behind_writer))
        finally:
            behind_writer.close()


async def _both_ways(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter], other: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):
            while chunk := await reader.read(65536):
                writer.write(chunk)
                await writer.drain()

    ways = [asyncio.ensure_future(copy(one[0], other[1])), asyncio.ensure_future(copy(other[0], one[1]))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()


def _encoded(login: str) -> str:
    return base64.b64encode(login.encode()).decode()


def certificate_for(names: list[str], file: Path) -> ssl.SSLContext:
    """A server's context for these names; `file` becomes the authority to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
