"""Discord and fal on loopback in a process of their own, and a crowd that asks for pictures.

Reads one JSON object a line from stdin, writes one a line to stdout:
`{"people": n, "over_s": s, "fal_s": s, "wait_s": s}` → figures.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sandbox.discord import FakeDiscord
from sandbox.discord.interactions import InteractionRecord, NotAnswered
from sandbox.fal import FakeFal
from tests.bench.pictures import serve_pictures_of

#: A crowd is over when nobody has got anything for so long, beyond what fal takes; and it is looked at this often.
_QUIET_S = 60.0
_LOOK_S = 0.2


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which `share` of all lie; None of nothing."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None


def is_refused(record: InteractionRecord) -> bool:
    """Whether the answer is one that only the person sees: why nothing is painted for them."""
    return record.state == "answered" and record.ephemeral and record.picture_s is None


def is_settled(record: InteractionRecord) -> bool:
    """Whether nothing more is to be waited for."""
    return record.picture_s is not None or record.state == "failed" or is_refused(record)


def refusal(record: InteractionRecord) -> str:
    """The first line of a refusal."""
    text = record.original.text() if record.original is not None else ""
    return next(iter(text.splitlines()), "without a word")


class Crowd:
    """The two fake servers and what is measured on them."""

    def __init__(self) -> None:
        self.fal = FakeFal(paint="flat")
        if picture_bytes := int(os.environ.get("BENCH_PICTURE_BYTES", "0")):
            serve_pictures_of(self.fal, picture_bytes)
        self.discord = FakeDiscord()
        self.asked = 0

    async def serve(self) -> None:
        """Start, tell where, and do what stdin says until it ends."""
        await self.fal.start(tls=certified(os.environ.get("BENCH_TLS_FILE")))
        await self.discord.start()
        say(
            {
                "api_url": self.discord.api_url,
                "gateway_url": self.discord.gateway_url,
                "fal_url": self.fal.url,
                "token": self.discord.token,
            }
        )
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            say(await self.answer(json.loads(line)))
        await self.discord.stop()
        await self.fal.stop()

    async def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        """Wait for the bot (`{"ready": …}`) or run one crowd."""
        if "ready" in command:
            await self.discord.wait_for(self._bot_is_there, timeout_s=command["ready"])
            return {"ready": True}
        return await self.run(**command)

    def _bot_is_there(self) -> bool:
        return self.discord.gateway.online and any(
            command["name"] == "imagine" for command in self.discord.commands.all()
        )

    async def run(self, people: int, over_s: float, fal_s: float, wait_s: float) -> dict[str, Any]:
        """`people` ask within `over_s`; fal takes `fal_s`; everything is awaited for `wait_s` at most."""
        self.fal.queue.paint_s = fal_s
        calls_before = self.fal.counters.calls
        crowd = self.discord.world.add_people(people)
        channel = self.discord.channel("general")
        records: list[tuple[str, InteractionRecord]] = []
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for number, person in enumerate(crowd):
            due_s = began_s + over_s * number / max(people, 1)
            await asyncio.sleep(max(due_s - loop.time(), 0))
            self.asked += 1
            prompt = f"a lighthouse, number {self.asked}"
            records.append((prompt, await self.discord.command(person, channel, "imagine", {"prompt": prompt})))
        await self._until_settled([record for _, record in records], wait_s, quiet_s=fal_s + _QUIET_S)
        return self._figures(records, self.fal.counters.calls - calls_before)

    async def _until_settled(self, records: Sequence[InteractionRecord], wait_s: float, *, quiet_s: float) -> None:
        """Until everybody has a picture or a refusal, for `wait_s` at most, or nothing has come for `quiet_s`."""
        loop = asyncio.get_running_loop()
        ends_s, left, moved_s = loop.time() + wait_s, list(records), loop.time()
        while left and loop.time() < min(ends_s, moved_s + quiet_s):
            await asyncio.sleep(_LOOK_S)
            still = [record for record in left if not is_settled(record)]
            if len(still) < len(left):
                left, moved_s = still, loop.time()

    async def _patiently(self, record: InteractionRecord, wait_s: float) -> None:
        try:
            await record.until(is_settled, wait_s)
        except NotAnswered:
            return

    def _figures(self, records: Sequence[tuple[str, InteractionRecord]], fal_calls: int) -> dict[str, Any]:
        ended = {str(job.arguments["prompt"]): job.ended_at for job in self.fal.queue.jobs.values()}
        lags_s = []
        for prompt, record in records:
            ended_at = ended.get(prompt)
            if record.picture_s is not None and ended_at is not None:
                posted_s = record.created_at.timestamp() + record.picture_s
                lags_s.append(posted_s - ended_at.timestamp())
        first_s = [record.first_answer_s for _, record in records if record.first_answer_s is not None]
        return {
            "people": len(records),
            "failed": sum(record.state == "failed" for _, record in records),
            "refused": sum(is_refused(record) for _, record in records),
            "refused_because": Counter(refusal(record) for _, record in records if is_refused(record)),
            "missing": sum(record.picture_s is None for _, record in records),
            "first_answer_p50_s": quantile(first_s, 0.5),
            "first_answer_p99_s": quantile(first_s, 0.99),
            "picture_p50_s": quantile(lags_s, 0.5),
            "picture_p99_s": quantile(lags_s, 0.99),
            "fal_calls_per_picture": fal_calls / max(len(lags_s), 1),
            "duplicates": self.fal.counters.duplicates,
            "refusals": len(self.discord.refusals),
        }


def certified(file: str | None) -> ssl.SSLContext | None:
    """A server's context with a certificate and a key made for it in `file`; None without a file."""
    if file is None:
        return None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    Path(file).write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context


def say(figures: dict[str, Any]) -> None:
    """One line of JSON for the bench."""
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    asyncio.run(Crowd().serve())
