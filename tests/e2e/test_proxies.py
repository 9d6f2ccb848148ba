"""The live bot with its usual addresses, in a network where only a proxy leads out: nothing goes past it."""

from __future__ import annotations

import signal
from pathlib import Path

from sandbox.discord import FakeDiscord
from sandbox.fal import FakeFal
from tests.e2e.sandbox_driver import Child, SandboxDriver, a_picture
from tests.forward_proxy import ForwardProxy, certificate_for

DISCORD = ("discord.com", "gateway.discord.gg", "cdn.discordapp.com")
FAL = ("queue.fal.run", "rest.fal.ai", "v3.fal.media", "api.fal.ai")
USUAL = {
    "EASEL_DISCORD__API_URL": "https://discord.com/api/v10",
    "EASEL_DISCORD__GATEWAY_URL": "wss://gateway.discord.gg/gateway",
    "EASEL_FAL__QUEUE_URL": "",
    "EASEL_FAL__REST_URL": "",
    "EASEL_FAL__CDN_URL": "",
    "EASEL_FAL__API_URL": "",
}


async def test_every_kind_of_traffic_goes_through_the_proxy(tmp_path: Path) -> None:
    fake, fal = FakeDiscord(host_names=DISCORD), FakeFal(speed=0.01, host_names=FAL)
    await fake.start()
    await fal.start()
    discord_at, fal_at = (fake.base_url, fal.url)
    tls = certificate_for([*DISCORD, *FAL], tmp_path / "authority.pem")
    hosts = {name: ("127.0.0.1", int(discord_at.rpartition(":")[2])) for name in DISCORD}
    hosts |= {name: ("127.0.0.1", int(fal_at.rpartition(":")[2])) for name in FAL}
    # What the two say of themselves, as Discord and fal do.
    fake.files.base_url = "https://cdn.discordapp.com"
    fake.gateway.url = USUAL["EASEL_DISCORD__GATEWAY_URL"]
    fal.url = "https://queue.fal.run"
    fal.files.base_url = lambda: "https://v3.fal.media"
    sandbox = SandboxDriver(fake, fal, f"sqlite:///{tmp_path / 'easel.db'}")
    async with ForwardProxy(hosts, tls=tls, login="easel:s3cret/word") as proxy:
        child = Child(
            sandbox,
            tmp_path,
            **USUAL,
            HTTPS_PROXY=proxy.url,
            SSL_CERT_FILE=str(tmp_path / "authority.pem"),
        )
        try:
            await child.start()
            await sandbox.paint()
            upload = fake.upload("ada", "cat.png", a_picture())
            await sandbox.paint(model="omnigen-v2", image=upload)
            log = child.log
        finally:
            await child.end(signal.SIGKILL)
            await fake.stop()
            await fal.stop()

    needed = {"discord.com", "gateway.discord.gg", "cdn.discordapp.com", "queue.fal.run", "rest.fal.ai", "v3.fal.media"}
    assert needed <= proxy.asked_hosts() <= {*DISCORD, *FAL}
    assert not proxy.refused
    assert "s3cret" not in log
