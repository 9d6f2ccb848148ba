"""What must not be printed: secrets, recognised by their shape wherever they stand, and by their exact value.

`redact` is for whole lines (the log, sentences for the operator). `quoted` and `name_shown` are stricter, for what
somebody wrote into a settings file: there, nothing that could be a secret is worth showing.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

REMOVED = "[removed]"
#: Stands for a value that is not shown.
UNSHOWN = "this value"

#: A word that may be part of base64 without being one: only mixed case or digits make it a credential.
_MIXED = r"(?=[^\s'\"]*(?:[a-z][^\s'\"]*[A-Z]|[A-Z][^\s'\"]*[a-z][^\s'\"]*[A-Z]|\d))"
_CREDENTIAL = r"[\w.-]*(?i:token|key|secret|passw(?:or)?d|pwd|passphrase|signature|credential|auth)[\w.-]*"

#: Each pattern keeps its group `keep` and loses the rest.
_SECRETS = tuple(
    re.compile(pattern)
    for pattern in (
        # user:password@ before a host; a password may hold / and @, which the first of the two is for.
        r"(?P<keep>://)[^\s:/@'\"<>\[]*:(?!\d{1,5}(?:[/?#]|$))[^\s'\"<>]*(?=@)",
        r"(?P<keep>://)[^\s/@'\"<>?#]+(?=@)",
        r"(?P<keep>/webhooks/\d+/)[\w-]+",  # webhook and follow-up URLs
        r"(?P<keep>/interactions/\d+/)[\w-]+",
        r"(?P<keep>(?i:authorization)[\\\"'\s]*[:=][\\\"'\s]*(?:(?i:key|bot|bearer|basic)\s+)?)[^\s\\'\",;)}]+",
        rf"(?P<keep>\b(?i:basic|bearer)\s+){_MIXED}[\w+/=.~-]{{8,}}",
        rf"(?P<keep>[?&;#](?:{_CREDENTIAL}|(?i:sig|hm))=)[^&\s'\"#]+",
        r"(?P<keep>\b(?i:(?:\w+_)?(?:passw(?:or)?d|passphrase|pwd|api_?key|fal_key|secret(?:_?key)?|"
        r"(?:access|bot|discord|auth)_?token))[\\\"']*\s*[=:]\s*[\\\"']*)(?!\s)[^\s\\'\",;&)}]+",
        r"(?<![A-Za-z0-9])[MNOmno][\w-]{22,28}\.[\w-]{5,7}\.[\w-]{20,}",  # bot token
        r"(?<![A-Za-z0-9])[MNO](?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{22,28}\.[\w-]{5,7}(?![\w-])",  # its first two parts
        r"(?<![\w-])[\w-]{6}\.(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[\w-]{27,}",  # its last two
        r"(?<![A-Za-z0-9])aW50ZXJhY3Rpb246[\w-]+",  # interaction token: base64 of "interaction:…"
        r"(?<![A-Za-z0-9])(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:)[\w-]{8,}",  # fal key: id and secret
        r"(?<![A-Za-z0-9-])(?i:[0-9a-f]{32})(?![A-Za-z0-9-])",  # its secret alone
        r"(?<![A-Za-z0-9])(?i:sk|rk|pk)-[\w-]{12,}",  # OpenAI key
    )
)
#: A piece of text with something URL-encoded in it.
_ENCODED = re.compile(r"[^\s'\"<>]*%[0-9A-Fa-f]{2}[^\s'\"<>]*")
_DECODINGS = 3

#: Longest value of a setting, and longest part of its name, that is shown without looking like anything.
_LONGEST_VALUE, _LONGEST_NAME = 40, 15
_NAME_PART = re.compile(r"[^\s.]+")
#: What a credential is made of and few other things are: a long run of letters and digits both.
_RUN = re.compile(r"(?=[A-Za-z_-]*\d)(?=[\d_-]*[A-Za-z])[\w+/=-]{16,}")

#: The same without what names of files are joined with.
_LONG_MIX = re.compile(
    r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{16,}|[A-Za-z0-9]{33,}|(?i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]*)"
)
#: A password that somebody made up for rules about passwords: small and capital letters, digits, and a sign or more.
_MADE_UP = re.compile(r"(?=\S*[a-z])(?=\S*[A-Z])(?=\S*\d)(?=\S*[^\w\s'\"./:-])\S{8,}")


def redact(text: str) -> str:
    """The text without anything that has the shape of a secret, URL-encoded ones included."""
    for pattern in _SECRETS:
        text = pattern.sub(_keep, text)
    return _ENCODED.sub(_decoded, text) if "%" in text else text


def _keep(match: re.Match[str]) -> str:
    return match.groupdict().get("keep", "") + REMOVED


def _decoded(match: re.Match[str]) -> str:
    """The piece as it is, or decoded and redacted where decoding shows a secret."""
    text = match[0]
    for _ in range(_DECODINGS):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
        shown = text
        for pattern in _SECRETS:
            shown = pattern.sub(_keep, shown)
        if shown != text:
            return shown if shown.isprintable() and "%" not in shown else REMOVED
    return match[0]


def quoted(value: object) -> str:
    """The value of a setting in quotes; `this value` where it is long or could be (part of) a secret."""
    shown = repr(value)
    if len(shown) > _LONGEST_VALUE or strictly(shown) != shown or _RUN.search(shown) or _MADE_UP.search(shown):
        return UNSHOWN
    return shown


def strictly(text: str) -> str:
    """The text without anything that could be a piece of a secret; for what somebody typed where a name should be."""
    return _LONG_MIX.sub(REMOVED, redact(text))


def name_shown(name: str) -> str:
    """The name of a setting or section as it was written; parts of it that could be a secret are removed."""
    return _NAME_PART.sub(lambda part: "__".join(map(_part_shown, part[0].split("__"))), redact(name))


def _part_shown(part: str) -> str:
    plain = part.replace("_", "")
    is_name = plain.isalpha() and (plain.islower() or plain.isupper()) and len(part) <= _LONGEST_VALUE
    return part if len(part) <= _LONGEST_NAME or is_name or part.isdecimal() else REMOVED


class Redaction:
    """Removes known secrets from formatted text, tracebacks included, and whatever else looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        exact = {form for secret in secrets if len(secret) >= 6 for form in _forms(secret)}
        longest_first = sorted(exact, key=lambda form: (-len(form), form))
        self._exact = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if exact else None

    def __call__(self, text: str) -> str:
        if self._exact is not None:
            text = self._exact.sub(REMOVED, text)
        return redact(text)


def _forms(secret: str) -> Iterable[str]:
    """The secret as it may turn up: whole, in its parts, URL-encoded, escaped in JSON, in basic authorization."""
    parts = [part for part in re.split(r"[:.]", secret) if len(part) >= 12]
    for form in (secret, *parts):
        yield form
        yield quote(form, safe="")
        yield quote_plus(form)
        yield json.dumps(form)[1:-1]
        yield base64.b64encode(form.encode()).decode().rstrip("=")
