"""fal's base URLs.

Where nothing is configured they are fal_client's (a test compares them), told without importing it: with httpx it takes
10 MB, and only uploads need it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlencode

from yarl import URL

from bot.domain.job import FalRequest
from bot.media.fetch import followable, is_loopback

#: Hosts of fal's own that may see the key (fal_client's backup domain among them).
_FAL_DOMAINS = ("fal.run", "falrun.com", "fal.ai")
#: Where fal keeps the pictures it made.
FAL_MEDIA_DOMAINS = ("fal.media", *_FAL_DOMAINS)
_API_URL = "https://api.fal.ai"

#: First parts of an endpoint that belong to its address, as fal_client knows them.
APP_NAMESPACES = ("workflows", "comfy")

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
        app = "/".join(parts[:3] if parts[0] in APP_NAMESPACES else parts[:2])
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
    """The configured queue, else the one that fal_client takes: `FAL_QUEUE_RUN_HOST` and `FAL_RUN_HOST` are honoured.

    The usual platform API goes with fal's own queue only: the key of a stand-in is not sent to fal.
    """
    host = os.environ.get("FAL_QUEUE_RUN_HOST", f"queue.{os.environ.get('FAL_RUN_HOST', 'fal.run')}")
    queue = (queue_url or f"https://{host}").rstrip("/") + "/"
    if api_url is not None:
        return Origins(queue, api_url.rstrip("/"))
    return Origins(queue, _API_URL if _is_fal_host(URL(queue)) else None)


def _is_fal_host(url: URL) -> bool:
    """Whether it is one of fal's own hosts, over https."""
    host = url.host or ""
    return url.scheme == "https" and any(host == domain or host.endswith(f".{domain}") for domain in _FAL_DOMAINS)
