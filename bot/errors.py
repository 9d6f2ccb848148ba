"""The error tree. Each class carries the sentence a person reads.

EaselError
├── Refusal                 asked for something we will not start; nothing was spent
│   ├── InvalidOption       a value that the model does not take
│   ├── UnknownModel        no such model here
│   ├── ModelUnavailable    known, but not offered (no key, switched off, retired)
│   ├── LimitReached        the person or the server has to wait
│   ├── CannotPostHere      the bot lacks a permission in this channel
│   ├── BadPicture          an attachment that is no usable picture
│   ├── NotYours            somebody else's picture or a moderator's button
│   ├── JobUnknown          the picture's record is gone
│   └── Overloaded          too much is waiting already
├── PaintingFailed          accepted, then failed; the reservation is released
│   ├── ContentRefused      fal's or a partner's content policy
│   ├── OptionsRefused      fal did not like the arguments
│   ├── ModelGone           fal answers 404 for this model
│   ├── BalanceExhausted    the fal account has no money left
│   ├── KeyRefused          fal does not know the key
│   ├── PaintingTimedOut    fal gave up waiting or we did
│   ├── FalBroken           fal answered 5xx or nothing at all
│   ├── RequestUnknown      fal no longer knows what it was given
│   ├── Cancelled           fal says the request was cancelled
│   ├── ResultUnusable      what came back is no picture
│   ├── ResultWithheld      flagged by the safety checker in a channel that is not age-restricted
│   ├── SubmitNeverConfirmed  every submit left, none was answered, and fal has none of them
│   ├── SubmitUnresolved    whether fal has the request could not be found out
│   └── Undeliverable       every way into the channel is closed
├── Transient               worth another try by the caller; never shown to a person
│   ├── FalUnreachable      no usable answer to a GET or PUT
│   └── AnswerLost          a submit POST whose answer never came: fal may or may not have it
└── SetupError              the operator has to mend something; printed, never shown in chat
    ├── SettingsInvalid
    ├── TokenMissing
    ├── StoreUnusable       read-only, full, or newer than the code
    │   ├── StoreDamaged    the file is broken; waiting does not mend it
    │   └── StoreOutdated   empty, or older than the code; the next start of the bot migrates it
    ├── BackupFailed        the copy of the database can't be written there
    └── DiscordRefused      wrong token, missing intents
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


class EaselError(Exception):
    """Base of everything Easel raises on purpose; `str(error)` is a whole sentence."""

    #: Short, stable, machine-readable name: stored in `jobs.failure_code`, logged, counted.
    code: str = "error"

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


def _and(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


# ---------------------------------------------------------------------- refusals


class Refusal(EaselError):
    """Nothing was started and nothing was spent."""

    code = "refused"


class InvalidOption(Refusal):
    """A value that the model does not take.

    Args:
        option: the name the person used (`steps`, `size`, …).
        given: what they typed, shown back shortened.
        allowed: a phrase that completes "It takes …", e.g. "a whole number from 1 to 50".
        sentence: the whole sentence where "can't be … It takes …" would not fit (no such option, two that clash).
    """

    code = "invalid_option"

    def __init__(self, option: str, given: object, allowed: str, *, sentence: str | None = None) -> None:
        self.option = option
        self.given = str(given)
        self.allowed = allowed
        shown = self.given if len(self.given) <= 60 else self.given[:57] + "…"
        shown = shown.replace("`", "ˋ").replace("\n", " ")
        super().__init__(
            sentence
            or f"`{option}` can't be `{shown or ' '}`. It takes {allowed}. Nothing was started and no quota was used."
        )


class UnknownModel(Refusal):
    """No model of that name is offered here."""

    code = "unknown_model"

    def __init__(self, given: str, close: Sequence[str] = ()) -> None:
        self.given = given
        self.close = tuple(close)
        hint = f" Did you mean {' or '.join(f'`{name}`' for name in close)}?" if close else ""
        shown = given[:60].replace("`", "ˋ").replace("\n", " ")
        super().__init__(f"There is no model `{shown}` here.{hint} `/models` lists them all. No quota was used.")


class ModelUnavailable(Refusal):
    """The model is known but cannot be used here right now."""

    code = "model_unavailable"

    def __init__(self, title: str, why: str) -> None:
        self.title = title
        self.why = why
        super().__init__(f"{title} is not available here: {why}. Pick another from `/models`. No quota was used.")


class LimitReached(Refusal):
    """The person or the server has to wait.

    Args:
        rule: `pace`, `user_day`, `guild_day` or `concurrent`.
        retry_at: the first moment the same request would be admitted; None when it depends on a running job.
        sentence: the whole sentence, with what remains.
    """

    code = "limit_reached"

    def __init__(self, rule: str, sentence: str, retry_at: datetime | None) -> None:
        self.rule = rule
        self.retry_at = retry_at
        super().__init__(sentence)


class CannotPostHere(Refusal):
    """The bot lacks a permission it needs to show the picture in this channel."""

    code = "cannot_post"

    def __init__(self, missing: Sequence[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(
            f"I can't post pictures in this channel: I need {_and(missing)}. Ask a moderator to allow it for me, "
            "or use me in another channel. Nothing was started and no quota was used."
        )


class BadPicture(Refusal):
    """An attachment that is no usable picture."""

    code = "bad_picture"

    def __init__(self, option: str, why: str) -> None:
        self.option = option
        super().__init__(
            f"I can't use the file given as `{option}`: {why}. Send a PNG, JPEG or WebP picture. No quota was used."
        )


class NotYours(Refusal):
    """Somebody else's job."""

    code = "not_yours"

    def __init__(self, what: str) -> None:
        super().__init__(f"Only the person who asked for this picture can {what}.")


class JobUnknown(Refusal):
    """The record behind a button is gone (deleted by its owner or by retention)."""

    code = "job_unknown"

    def __init__(self) -> None:
        super().__init__(
            "I no longer have the record of this picture, so this button can't work. Start afresh with `/imagine`."
        )


class Overloaded(Refusal):
    """Too much is waiting already.

    Args:
        left_today: pictures the person still has today; None without limits.
        retry_at: when some of those that wait should be gone.
    """

    code = "overloaded"

    def __init__(self, waiting: int, *, left_today: int | None = None, retry_at: datetime | None = None) -> None:
        self.waiting = waiting
        self.left_today = left_today
        self.retry_at = retry_at
        when = "in a minute" if retry_at is None else f"<t:{int(retry_at.timestamp()) + 1}:R>"
        left = "" if left_today is None else f": you still have {left_today} picture{'s' * (left_today != 1)} today"
        super().__init__(
            f"{waiting:,} request{'s are' if waiting != 1 else ' is'} already waiting, so I can't take another one for "
            f"the moment. Please try again {when}. Nothing was started and no quota was used{left}."
        )


# ---------------------------------------------------------------------- failures after acceptance


class GenerationFailed(EaselError):
    """An accepted job ended without a picture; its reservation is released."""

    code = "painting_failed"
    #: Whether the same request may succeed if tried again (shows the Again button).
    worth_retrying = True


class ContentRefused(GenerationFailed):
    """fal's or a partner's content policy; never retryable with the same prompt."""

    code = "content_refused"
    worth_retrying = False

    def __init__(self) -> None:
        super().__init__(
            "The model's content policy refused this prompt. Change the wording and try again. Your quota was not used."
        )


class OptionsRefused(GenerationFailed):
    """fal's own validation refused the arguments.

    Args:
        detail: field names and limits only; never the value that was sent (it may be the prompt).
    """

    code = "options_refused"
    worth_retrying = False

    def __init__(self, detail: str) -> None:
        super().__init__(
            f"fal.ai did not accept these options: {detail}. Your quota was not used; change them and try again."
        )


class ModelGone(GenerationFailed):
    """fal answers 404 for the endpoint."""

    code = "model_gone"
    worth_retrying = False

    def __init__(self, title: str, successor: str | None) -> None:
        hint = f" Try **{successor}** instead." if successor else " `/models` shows the others."
        super().__init__(f"{title}: this model is no longer served by fal.ai.{hint} Your quota was not used.")


class BalanceExhausted(GenerationFailed):
    """fal's 403 about the account's balance."""

    code = "balance_exhausted"

    def __init__(self) -> None:
        super().__init__(
            "The fal.ai account behind this bot has run out of credit. Please tell whoever runs the bot. "
            "Your quota was not used."
        )


class KeyRefused(GenerationFailed):
    """fal's 401 or 403 about the key."""

    code = "key_refused"

    def __init__(self) -> None:
        super().__init__(
            "fal.ai does not accept this bot's key. Please tell whoever runs the bot to check it. "
            "Your quota was not used."
        )


class GenerationTimedOut(GenerationFailed):
    """fal gave up waiting, or our own deadline passed."""

    code = "timed_out"

    def __init__(self) -> None:
        super().__init__("The model took too long and was stopped. Your quota was not used; you can try again.")


class ProviderError(GenerationFailed):
    """fal answered 5xx, or nothing usable for longer than we wait."""

    code = "fal_broken"

    def __init__(self) -> None:
        super().__init__("fal.ai had a problem while painting this. Your quota was not used; you can try again.")


class RequestNotFound(GenerationFailed):
    """fal answers 404 for a request id it gave us: dropped there, deleted, or another account's."""

    code = "request_unknown"

    def __init__(self) -> None:
        super().__init__(
            "fal.ai no longer knows this request, so there will be no picture. Your quota was not used; "
            "you can try again."
        )


class Cancelled(GenerationFailed):
    """fal's 499: the request was cancelled there, by us or in fal's dashboard."""

    code = "cancelled"

    def __init__(self) -> None:
        super().__init__("This picture was cancelled at fal.ai. Your quota was not used.")


class ResultUnusable(GenerationFailed):
    """What came back is no picture we can post."""

    code = "result_unusable"

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"The model answered, but {why}. Your quota was not used; you can try again.")


class ResultWithheld(GenerationFailed):
    """Flagged, or unflagged where a flag is due, in a channel that is not age-restricted."""

    code = "withheld"

    def __init__(self, *, flagged: bool = True) -> None:
        why = (
            "The safety checker flagged this picture"
            if flagged
            else "The model did not say whether this picture is safe"
        )
        super().__init__(
            f"{why}, so I'm not showing it in this channel. Your quota was not used; another wording or seed may do."
        )


class SubmitNeverConfirmed(GenerationFailed):
    """Every attempt left, none was answered, and fal does not seem to have any of them."""

    code = "answer_lost"

    def __init__(self) -> None:
        super().__init__(
            "fal.ai did not answer when I handed it this picture, and it did not turn up there later. "
            "Your quota was not used; press Again to try once more."
        )


class Undeliverable(GenerationFailed):
    """Every way into the channel is closed."""

    code = "undeliverable"

    def __init__(self) -> None:
        super().__init__("The picture is finished, but I can no longer post in that channel. Your quota was not used.")


class SubmitUnresolved(GenerationFailed):
    """Whether fal has a request could not be found out for as long as the job may take."""

    code = "never_found_out"

    def __init__(self) -> None:
        super().__init__(
            "fal.ai did not answer when I handed it this picture, and since then I could not find out whether it was "
            "painted; so I did not hand it over again. fal.ai may charge for it. Your quota was not used; "
            "press Again to try once more."
        )


# ---------------------------------------------------------------------- transient


class Transient(EaselError):
    """Worth another try by the caller."""

    code = "transient"


class ProviderUnreachable(Transient):
    """A GET or PUT got no usable answer (connection, timeout, 408, 429, 5xx)."""

    code = "fal_unreachable"

    def __init__(self, sentence: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(sentence)


class SubmitUnconfirmed(Transient):
    """A submit POST left, and no usable answer came: fal may or may not have the job.

    Args:
        refused: fal did answer, with a 5xx of its own: most likely it has nothing.
    """

    code = "answer_lost"

    def __init__(self, sentence: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(sentence)


# ---------------------------------------------------------------------- set-up


class SetupError(EaselError):
    """The operator has to mend something before the bot can run."""

    code = "setup"


class SettingsInvalid(SetupError):
    """config.toml or an EASEL_… variable does not parse."""

    code = "settings_invalid"


class TokenMissing(SetupError):
    """One of DISCORD_TOKEN and FAL_KEY is set, the other is not."""

    code = "token_missing"


class StoreUnusable(SetupError):
    """The database is read-only, full, held by another process, or newer than this code."""

    code = "store_unusable"


class StoreDamaged(StoreUnusable):
    """The database is damaged: nobody need try again before the operator has mended it."""

    code = "store_damaged"


class StoreOutdated(StoreUnusable):
    """The database is empty or of an earlier revision; the bot's next start brings it forward."""

    code = "store_outdated"


class BackupFailed(SetupError):
    """The place of a backup does not take it."""

    code = "backup_failed"


class DiscordRefused(SetupError):
    """Discord refused the token or the intents."""

    code = "discord_refused"
