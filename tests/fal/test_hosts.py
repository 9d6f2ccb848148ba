"""Where fal is, by environment alone: another host over TLS with its own authority, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PROGRAM = """
import asyncio
from bot.fal import Fal

async def main():
    async with Fal(key="made-up-key") as fal:
        request = await fal.submit("owner/alias/path", {"prompt": "x"}, start_timeout_s=60)
        print(request.status_url)

asyncio.run(main())
"""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "ca.pem", folder / "key.pem"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


async def test_hosts_and_authority_come_from_the_environment(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    async def submit(request: web.Request) -> web.StreamResponse:
        seen.append((request.scheme, request.path))
        return web.json_response({"request_id": "r1"})

    certificate_file, key_file = certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate_file, key_file)
    app = web.Application()
    app.router.add_post("/{path:.*}", submit)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    port = runner.addresses[0][1]
    environment = {
        **os.environ,
        "FAL_RUN_HOST": f"localhost:{port}",
        "FAL_QUEUE_RUN_HOST": f"localhost:{port}",
        "SSL_CERT_FILE": str(certificate_file),
    }
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, env=environment, stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
    finally:
        await runner.cleanup()

    assert output.decode().strip() == f"https://localhost:{port}/owner/alias/requests/r1/status"
    assert seen == [("https", "/owner/alias/path")]
