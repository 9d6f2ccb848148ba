"""fal's base URLs. The only module that reads fal_client's addresses, and the only one that changes them.

fal_client takes `FAL_RUN_HOST` and `FAL_QUEUE_RUN_HOST` from the environment at import and knows no setting for the
hosts of uploads, so a configured URL is written over its module constants while a `Fal` is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

import fal_client.client
from yarl import URL

from bot.domain.job import FalRequest
from bot.media.fetch import followable, is_loopback

#: Hosts of fal's own that may see the key (fal_client's backup domain among them).
_FAL_DOMAINS = ("fal.run", "falrun.com", "fal.ai")
_API_URL = "https://api.fal.ai"

#: fal's ids are UUIDs; whatever becomes part of an address must not change its path.
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")


@dataclass(frozen=True, slots=True)
class Origins:
    """Base URLs: the queue's ends in a slash, the platform API's does not and is None where it must not be asked."""

    queue: str
    api: str | None = None

    def submit_url(self, endpoint: str, *, webhook_url: str | None = None) -> URL:
        """Where a request for this endpoint (`owner/alias` or `owner/alias/path`) is posted."""
        url = self.queue + endpoint.strip("/")
        if webhook_url is None:
            return URL(url)
        return URL(f"{url}?{urlencode({'fal_webhook': webhook_url})}", encoded=True)

    def request(self, endpoint: str, request_id: str) -> FalRequest:
        """The addresses of a request as fal documents them: `owner/alias` only, whatever the endpoint's path.

        Raises:
            ValueError: no request id looks like this.
        """
        if not REQUEST_ID.fullmatch(request_id):
            raise ValueError("no such request id")
        parts = endpoint.strip("/").split("/")
        app = "/".join(parts[:3] if parts[0] in fal_client.client.APP_NAMESPACES else parts[:2])
        base = f"{self.queue}{app}/requests/{request_id}"
        return FalRequest(request_id, f"{base}/status", base, f"{base}/cancel")

    @property
    def queue_is_loopback(self) -> bool:
        """Whether the queue is a stand-in on this machine; only then pictures may be on it too."""
        return is_loopback(URL(self.queue).host)

    def may_download(self, url: URL) -> bool:
        """Whether a picture of a result may be fetched from there."""
        return followable(url) and (self.queue_is_loopback or not is_loopback(url.host))

    def may_see_key(self, address: str) -> bool:
        """Whether our key may be sent there: the queue's own host, or one of fal's over https."""
        try:
            url, queue = URL(address, encoded=True), URL(self.queue)
        except (ValueError, TypeError):
            return False
        if url.host is None:
            return False
        if url.host == queue.host:
            return url.scheme == "https" or (url.scheme == "http" and (queue.scheme == "http" or is_loopback(url.host)))
        return _is_fal_host(url)


def resolve(queue_url: str | None, api_url: str | None = None) -> Origins:
    """The configured queue, else fal_client's (which honours the environment).

    The usual platform API goes with fal's own queue only: the key of a stand-in is not sent to fal.
    """
    queue = (queue_url or fal_client.client.QUEUE_URL_FORMAT).rstrip("/") + "/"
    if api_url is not None:
        return Origins(queue, api_url.rstrip("/"))
    return Origins(queue, _API_URL if _is_fal_host(URL(queue)) else None)


def _is_fal_host(url: URL) -> bool:
    """Whether it is one of fal's own hosts, over https."""
    host = url.host or ""
    return url.scheme == "https" and any(host == domain or host.endswith(f".{domain}") for domain in _FAL_DOMAINS)


@contextmanager
def fal_client_pointed(*, queue: str, rest_url: str | None, cdn_url: str | None) -> Iterator[None]:
    """Point fal_client at the configured hosts inside this context, and at its own again after it."""
    module = fal_client.client
    before = (module.QUEUE_URL_FORMAT, module.RUN_URL_FORMAT, module.REST_URL, module.CDN_URL)
    if queue != module.QUEUE_URL_FORMAT:
        module.QUEUE_URL_FORMAT = module.RUN_URL_FORMAT = queue
    if rest_url is not None:
        module.REST_URL = rest_url.rstrip("/")
    if cdn_url is not None:
        module.CDN_URL = cdn_url.rstrip("/")
    try:
        yield
    finally:
        module.QUEUE_URL_FORMAT, module.RUN_URL_FORMAT, module.REST_URL, module.CDN_URL = before
