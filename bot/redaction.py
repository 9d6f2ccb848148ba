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

#: Lines of many thousand characters are redacted, too, and anybody may write them: each pattern below looks at a
#: character a bounded number of times. So none scans from every place where it might begin to the end of a long word;
#: what needs that is decided about a whole word, in a function.
_CREDENTIAL = r"(?=[\w.-]*?(?i:token|key|secret|passw(?:or)?d|pwd|passphrase|signature|credential|auth))[\w.-]+"

#: Each pattern keeps its group `keep` and loses the rest.
_SECRETS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?P<keep>://)[^\s/@'\"<>?#]+(?=@)",  # a user's name before a host
        r"(?P<keep>/webhooks/\d+/)[\w-]+",  # webhook and follow-up URLs
        r"(?P<keep>/interactions/\d+/)[\w-]+",
        r"(?P<keep>(?i:authorization)[\\\"'\s]*[:=][\\\"'\s]*(?:(?i:key|bot|bearer|basic)\s+)?)[^\s\\'\",;)}]+",
        rf"(?P<keep>[?&;#](?:{_CREDENTIAL}|(?i:sig|hm))=)[^&\s'\"#]+",
        r"(?P<keep>\b(?i:(?:\w+_)?(?:passw(?:or)?d|passphrase|pwd|api_?key|fal_key|secret(?:_?key)?|"
        r"(?:access|bot|discord|auth)_?token))[\\\"']*\s*[=:]\s*[\\\"']*)(?!\s)[^\s\\'\",;&)}]+",
        r"(?<![A-Za-z0-9])[MNOmno][\w-]{22,28}\.[\w-]{5,7}\.[\w-]{20,}",  # bot token
        r"(?<![A-Za-z0-9])[MNO](?=[\w-]{0,28}[A-Z])(?=[\w-]{0,28}\d)[\w-]{22,28}\.[\w-]{5,7}(?![\w-])",  # two parts
        r"(?<![\w-])[\w-]{6}\.(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?=[\w-]*\d)[\w-]{27,}",  # its last two
        r"(?<![A-Za-z0-9])aW50ZXJhY3Rpb246[\w-]+",  # interaction token: base64 of "interaction:…"
        r"(?<![A-Za-z0-9])(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:)[\w-]{8,}",  # fal key: id and secret
        r"(?<![A-Za-z0-9-])(?i:[0-9a-f]{32})(?![A-Za-z0-9-])",  # its secret alone
        r"(?<![A-Za-z0-9])(?i:sk|rk|pk)-[\w-]{12,}",  # OpenAI key
    )
)
#: What an address may be made of.
_WORD = re.compile(r"[^\s'\"<>]+")
#: Before a password: a user's name and a colon. (A port after a host's name is none.)
_LOGIN = re.compile(r"(?<=://)[^\s:/@'\"<>\[]*:(?!\d{1,5}(?:[/?#]|$))")
#: After these words, what may be base64: only mixed case or digits make it a credential.
_SCHEME = re.compile(r"(?P<keep>\b(?i:basic|bearer)\s+)[\w+/=.~-]{8,}(?=(?P<rest>[^\s'\"]*))")
_MIXED = re.compile(r"\D*\d|[^a-z]*[a-z].*[A-Z]", re.S)
#: A part of a word that is URL-encoded.
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
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
#: A password that somebody made up for rules about passwords: letters, digits, and a sign or more. (Of both cases, but
#: the names of variables come in one.)
_MADE_UP = re.compile(r"(?=\S*[A-Za-z])(?=\S*\d)(?=\S*[^\w\s'\"./:-])\S{8,}")


def redact(text: str) -> str:
    """The text without anything that has the shape of a secret, URL-encoded ones included."""
    text = _by_shape(text)
    return _WORD.sub(_decoded, text) if "%" in text else text


def _by_shape(text: str) -> str:
    if "://" in text and "@" in text:
        text = _WORD.sub(_without_login, text)
    for pattern in _SECRETS:
        text = pattern.sub(_keep, text)
    return _SCHEME.sub(_without_credential, text)


def _keep(match: re.Match[str]) -> str:
    return match.groupdict().get("keep", "") + REMOVED


def _without_login(match: re.Match[str]) -> str:
    """An address without `user:password`; a password may hold / and @."""
    word = match[0]
    login, end = _LOGIN.search(word), word.rfind("@")
    return word if login is None or login.end() > end else word[: login.start()] + REMOVED + word[end:]


def _without_credential(match: re.Match[str]) -> str:
    """`Bearer` and `Basic` without what follows, unless that is a word like any other."""
    credential = match[0][len(match["keep"]) :] + match["rest"]
    return _keep(match) if _MIXED.match(credential) else match[0]


def _decoded(match: re.Match[str]) -> str:
    """The word as it is, or decoded and redacted where decoding shows a secret."""
    text = match[0]
    if _ENCODED.search(text) is None:
        return text
    for _ in range(_DECODINGS):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
        shown = _by_shape(text)
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
