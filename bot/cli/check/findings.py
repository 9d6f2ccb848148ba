"""Lines of the report, and how an examination is cut short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import aiohttp


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: Literal["ok", "warning", "fault"]
    what: str
    #: What to do; empty when all is well.
    advice: str = ""


def ok(what: str) -> Finding:
    """All is well."""
    return Finding("ok", what)


def warning(what: str, advice: str) -> Finding:
    """Works, but the operator should know."""
    return Finding("warning", what, advice)


def fault(what: str, advice: str) -> Finding:
    """Will not work."""
    return Finding("fault", what, advice)


class ExaminationEnded(Exception):
    """The service can't be examined any further; carries the finding that says why."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.what)


class DiscordAnswered(ExaminationEnded):
    """Discord answered, and not with what was asked for."""

    def __init__(self, finding: Finding, status: int) -> None:
        self.status = status
        super().__init__(finding)


def unreachable(who: str, where: str, error: Exception) -> Finding:
    """A service that did not answer at all."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return fault(
            f"{who}: the certificate of {where} is not trusted",
            "Install the system's CA certificates (ca-certificates), or point SSL_CERT_FILE at your own bundle.",
        )
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return fault(
            f"{who}: the proxy refused the way to {where} (status {error.status})",
            "407: put user and password into HTTPS_PROXY. Otherwise let the proxy pass on HTTPS to this host.",
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return fault(
            f"{who}: the proxy on the way to {where} does not answer",
            "Check the address in HTTPS_PROXY, and that the proxy is running.",
        )
    return fault(
        f"{who}: can't be reached at {where} ({type(error).__name__})",
        "Check this machine's network, DNS and firewall: HTTPS must be able to leave. Behind a proxy, set HTTPS_PROXY.",
    )


def counted(number: int, thing: str) -> str:
    """`2 servers`, `1 server`, `no servers`."""
    return f"{number} {thing}" if number == 1 else f"{number or 'no'} {thing}s"
