"""Messages: content, embeds, mentions, attachments."""

from __future__ import annotations

from sandbox.discord.validate.component_rules import Files, check_v1_components, check_v2_components
from sandbox.discord.validate.limits import MAX_ALT_TEXT, MAX_CONTENT, MAX_EMBED_TEXT, MAX_EMBEDS, MAX_FILES, MAX_NONCE
from sandbox.discord.validate.problems import Path, Problems, length, refusing
from sandbox.discord.wire import DiscordError, Flag, Obj


@refusing
def message(
    payload: Obj,
    files: Files,
    *,
    at: Path = (),
    old: Obj | None = None,
    allow_empty: bool = False,
) -> None:
    """A message to be created (or, with `old`, edited).

    Raises:
        DiscordError: 50035 with the nested errors, 50006 when nothing would be shown, 40005 for a
            file above the limit.
    """
    for _, size_bytes in files.uploaded:
        if size_bytes > files.limit_bytes:
            raise DiscordError(413, 40005, "Request entity too large")
    problems = Problems()
    flags = problems.integer((*at, "flags"), payload.get("flags"), 0, 2**31 - 1) or 0
    is_v2 = bool((flags | (old["flags"] if old else 0)) & Flag.COMPONENTS_V2)
    problems.text((*at, "content"), payload.get("content"), MAX_CONTENT)
    _embeds(problems, (*at, "embeds"), payload.get("embeds"))
    _nonce(problems, (*at, "nonce"), payload.get("nonce"))
    problems.booleans(at, payload, "tts", "enforce_nonce")
    _mentions(problems, (*at, "allowed_mentions"), payload.get("allowed_mentions"))
    _attachments(problems, (*at, "attachments"), payload.get("attachments"), files)
    if is_v2:
        _legacy_fields(problems, at, payload, old)
        if "components" in payload or old is None:
            check_v2_components(problems, (*at, "components"), payload.get("components"), files)
    elif payload.get("components") is not None:
        check_v1_components(problems, (*at, "components"), payload["components"], files)
    problems.raise_if_any()
    if not allow_empty and old is None and not _shows_something(payload, files, is_v2):
        raise DiscordError(400, 50006, "Cannot send an empty message")


def _shows_something(payload: Obj, files: Files, is_v2: bool) -> bool:
    if is_v2:
        return bool(payload.get("components"))
    keys = ("content", "embeds", "components", "sticker_ids", "poll")
    return any(payload.get(key) for key in keys) or bool(files.uploaded) or bool(files.kept)


def _legacy_fields(problems: Problems, at: Path, payload: Obj, old: Obj | None) -> None:
    """With IS_COMPONENTS_V2 there is no content, no embeds, no stickers and no poll."""
    merged = {key: payload.get(key, (old or {}).get(key)) for key in ("content", "embeds", "sticker_ids", "poll")}
    for key, value in merged.items():
        if value:
            problems.add(
                (*at, key),
                "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                f"The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2",
            )


def _nonce(problems: Problems, path: Path, nonce: object) -> None:
    if isinstance(nonce, str) and length(nonce) > MAX_NONCE:
        problems.add(path, "NONCE_TYPE_TOO_LONG", f"Must be {MAX_NONCE} or fewer in length.")
    elif isinstance(nonce, bool) or (isinstance(nonce, int) and abs(nonce) >= 2**63):
        problems.add(path, "NONCE_TYPE_INVALID", "Must be a string or an integer of 64 bits.")
    elif nonce is not None and not isinstance(nonce, str | int):
        problems.add(path, "NONCE_TYPE_INVALID", "Must be a string or an integer.")


def _mentions(problems: Problems, path: Path, mentions: object) -> None:
    if mentions is None:
        return
    if not isinstance(mentions, dict):
        problems.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    parse = problems.array((*path, "parse"), mentions.get("parse"), 3)
    for index, kind in enumerate(parse):
        problems.choice((*path, "parse", index), kind, ("roles", "users", "everyone"))
    problems.unique((*path, "parse"), parse)
    problems.boolean((*path, "replied_user"), mentions.get("replied_user"))
    for kind in ("users", "roles"):
        listed = problems.array((*path, kind), mentions.get(kind), 100)
        for index, one in enumerate(listed):
            problems.snowflake((*path, kind, index), one)
        problems.unique((*path, kind), listed)
        if listed and kind in parse:
            problems.add(
                (*path, kind),
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.',
            )


def _attachments(problems: Problems, path: Path, listed: object, files: Files) -> None:
    count = len(files.uploaded) + len(files.kept)
    if count > MAX_FILES:
        problems.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_FILES} or fewer in length.")
    for index, entry in enumerate(problems.array(path, listed, MAX_FILES)):
        if not isinstance(entry, dict):
            problems.add((*path, index), "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        problems.snowflake((*path, index, "id"), entry.get("id"), required=True)
        problems.boolean((*path, index, "is_spoiler"), entry.get("is_spoiler"))
        problems.text((*path, index, "description"), entry.get("description"), MAX_ALT_TEXT)
        problems.text((*path, index, "filename"), entry.get("filename"), 1024, shortest=1)


def _embeds(problems: Problems, path: Path, embeds: object) -> None:
    total = 0
    for index, embed in enumerate(problems.array(path, embeds, MAX_EMBEDS)):
        at = (*path, index)
        footer, author = (problems.mapping((*at, key), embed.get(key)) for key in ("footer", "author"))
        parts = [
            problems.text((*at, "title"), embed.get("title"), 256),
            problems.text((*at, "description"), embed.get("description"), 4096),
            problems.text((*at, "footer", "text"), footer.get("text"), 2048),
            problems.text((*at, "author", "name"), author.get("name"), 256),
        ]
        problems.text((*at, "timestamp"), embed.get("timestamp"), 64)
        problems.url((*at, "url"), embed.get("url"))
        for key in ("author", "footer", "image", "thumbnail"):
            for name in ("url", "icon_url"):
                problems.url((*at, key, name), problems.mapping((*at, key), embed.get(key)).get(name))
        for number, row in enumerate(problems.array((*at, "fields"), embed.get("fields"), 25)):
            parts.append(
                problems.text((*at, "fields", number, "name"), row.get("name"), 256, shortest=1, required=True)
            )
            parts.append(
                problems.text((*at, "fields", number, "value"), row.get("value"), 1024, shortest=1, required=True)
            )
            problems.boolean((*at, "fields", number, "inline"), row.get("inline"))
        problems.integer((*at, "color"), embed.get("color"), 0, 0xFFFFFF)
        total += sum(length(part) for part in parts if part)
    if total > MAX_EMBED_TEXT:
        problems.add(path, "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {MAX_EMBED_TEXT}")
