"""The error tree. What a person may be told travels as a phrase, a code with parameters; the edge puts it into words.

EaselError
├── Refusal                 asked for something we will not start; nothing was spent. Told to people
│   ├── InvalidOption       a value that the model does not take
│   ├── UnknownModel        no such model here
│   ├── ModelUnavailable    known, but not offered (no key, switched off, retired)
│   ├── NoModels            the operator has switched all of them off
│   ├── LimitReached        the person or the server has to wait
│   ├── PriceUnconfirmed    it costs so much that the person must agree first
│   ├── CannotPostHere      the bot lacks a permission in this channel
│   ├── BadPicture          an attachment that is no usable picture
│   ├── NotAdmitted         the operator has not opened the bot to this place or person
│   ├── NotYours            somebody else's picture or a moderator's button
│   ├── JobUnknown          the picture's record is gone
│   ├── DraftExpired        the request waited too long to be taken up
│   └── Overloaded          too much is waiting already
├── GenerationFailed        accepted, then failed; what fal billed is settled. Told to people
│   ├── ContentRefused      fal's or a partner's content policy
│   ├── OptionsRefused      fal did not like the arguments
│   ├── ModelGone           fal answers 404 for this model
│   ├── BalanceExhausted    the fal account has no money left
│   ├── KeyRefused          fal does not know the key
│   ├── PartnerAccountRefused  a model's maker refuses the operator's account there
│   ├── PartnerBusy         a model's maker limits the operator's account for the moment
│   ├── GenerationTimedOut  fal gave up waiting or we did
│   ├── ProviderError       fal answered 5xx or nothing at all
│   ├── RequestNotFound     fal no longer knows what it was given
│   ├── Cancelled           fal says the request was cancelled
│   ├── ResultUnusable      what came back is no picture
│   ├── ResultWithheld      flagged by the safety checker in a channel that is not age-restricted
│   ├── DecoderUnavailable  no process in which pictures are decoded could be kept running
│   ├── PreparationCrashed  its attachments ended one process after another
│   ├── SubmitNeverConfirmed  every submit left, none was answered, and fal has none of them
│   ├── SubmitUnresolved    whether fal has the request could not be found out
│   ├── ResubmitOverBudget  its answer was lost, and a budget has no room for sending it again
│   ├── NoLongerAdmitted    the operator has closed the bot to its place or person meanwhile
│   ├── CardDeleted         its message was deleted; ends as cancelled
│   └── Undeliverable       every way into the channel is closed
├── Transient               worth another try by the caller; never shown to a person
│   ├── ProviderUnreachable no usable answer to a GET or PUT
│   ├── DecoderBusy         a picture that takes long to decode would have to wait for others
│   └── SubmitUnconfirmed   a submit POST whose answer never came: fal may or may not have it
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
from decimal import Decimal

from bot.graphemes import shorten
from bot.phrase import Param, Phrase, phrase
from bot.redaction import redact


class EaselError(Exception):
    """Base of everything Easel raises on purpose."""

    #: The name of the class in snake_case: stored in `jobs.failure_json`, logged, counted, and the name of the message.
    #: When a class is renamed, its former code goes into `_FORMER_CODES` in `bot/store/rows.py`.
    code: str = "easel_error"


class ToldError(EaselError):
    """An error that a person is told about, in their language.

    `str(error)` is a code alone: parameters may hold what somebody typed, and belong into no log.

    Args:
        message: what it says, where that is not the message named like the class's code.
        params: what that message needs.
    """

    #: Whether a job that ended so may succeed if the same request is made again (shows the Again button).
    worth_retrying = False

    def __init__(self, message: Phrase | None = None, /, **params: Param) -> None:
        self.phrase = message if message is not None else Phrase(self.code, params)
        super().__init__(self.phrase.code)


class OperatorError(EaselError):
    """An error for a console or the log, never shown in chat; `str(error)` is a whole English sentence.

    What it quotes may be somebody's file or address, so whatever has the shape of a secret is removed from it.
    """

    def __init__(self, sentence: str) -> None:
        self.sentence = redact(sentence)
        super().__init__(self.sentence)


# ---------------------------------------------------------------------- refusals


class Refusal(ToldError):
    """Nothing was started and nothing was spent."""

    code = "refusal"


class InvalidOption(Refusal):
    """A value that the model does not take.

    Args:
        option: the name the person used (`steps`, `size`, …).
        given: what they typed, fit to be shown.
        takes: what completes "It takes …", e.g. "a whole number from 1 to 50".
        because: a whole sentence where "can't be … It takes …" would not fit (no such option, two that clash).
    """

    code = "invalid_option"

    def __init__(
        self, option: str, given: object, takes: Phrase | None = None, *, because: Phrase | None = None
    ) -> None:
        self.option = option
        self.given = str(given)
        if because is not None:
            super().__init__(phrase("invalid_option_because", why=because))
            return
        shown = shorten(self.given, 60).replace("`", "ˋ").replace("\n", " ")
        super().__init__(option=option, given=shown or " ", takes=takes)


class UnknownModel(Refusal):
    """No model of that name is offered here.

    Args:
        close: keys of models to offer instead.
        by_subject: whether those are good at what was given, such as a style; else they have similar names.
    """

    code = "unknown_model"

    def __init__(self, given: str, close: Sequence[str] = (), *, by_subject: bool = False) -> None:
        self.given = given
        self.close = tuple(close)
        shown = shorten(given, 60).replace("`", "ˋ").replace("\n", " ")
        alike = phrase("unknown_model_close", given=shown, close=self.close) if close else None
        able = phrase("unknown_model_good_at", given=shown, close=self.close) if close and by_subject else None
        super().__init__(able or alike, given=shown)


class ModelUnavailable(Refusal):
    """The model is known but cannot be used here right now.

    Args:
        why: a phrase that completes "… is not available here: …".
    """

    code = "model_unavailable"

    def __init__(self, title: str, why: Phrase) -> None:
        self.title = title
        self.why = why
        super().__init__(title=title, why=why)


class NoModels(Refusal):
    """The operator has switched every model off."""

    code = "no_models"


class LimitReached(Refusal):
    """The person or the server has to wait.

    Args:
        rule: `rate`, `user_day`, `guild_day`, `concurrent` or `guild_concurrent`.
        message: the whole sentence, with what remains.
        retry_at: the first moment the same request would be admitted; None when it depends on a running job.
        fewer_might_do: whether the same request for fewer pictures may be admitted, now or later.
    """

    code = "limit_reached"

    def __init__(self, rule: str, message: Phrase, retry_at: datetime | None, *, fewer_might_do: bool = False) -> None:
        self.rule = rule
        self.retry_at = retry_at
        self.fewer_might_do = fewer_might_do
        super().__init__(message)

    @property
    def can_pass_later(self) -> bool:
        """Whether the same request may be admitted without a change: at `retry_at`, or when a job has ended."""
        return self.retry_at is not None or self.rule.endswith("concurrent")


class PriceUnconfirmed(Refusal):
    """So dear that the person must agree first; `left_usd` is what they may spend, if that tells nothing of others."""

    code = "price_unconfirmed"

    def __init__(
        self, title: str, pictures: int, usd: Decimal, *, left_usd: Decimal | None = None, is_estimate: bool = False
    ) -> None:
        self.usd = usd
        self.is_estimate = is_estimate
        price, button = ("price_about", "pay_about") if is_estimate else ("price_at_most", "pay_exactly")
        left = phrase("no_quota") if left_usd is None else phrase("price_left", usd=left_usd)
        super().__init__(
            model=title, pictures=pictures, price=phrase(price, usd=usd), left=left, button=phrase(button, usd=usd)
        )


class CannotPostHere(Refusal):
    """The bot lacks permissions it needs to show the picture in this channel.

    Args:
        missing: phrases that name the permissions.
    """

    code = "cannot_post_here"

    def __init__(self, missing: Sequence[Phrase]) -> None:
        self.missing = tuple(missing)
        super().__init__(missing=self.missing, count=len(self.missing))


class BadPicture(Refusal):
    """An attachment that is no usable picture.

    Args:
        why: a phrase that completes "I can't use the file given as `mask`: …".
    """

    code = "bad_picture"

    def __init__(self, option: str, why: Phrase) -> None:
        self.option = option
        super().__init__(option=option, why=why)


class NotAdmitted(Refusal):
    """Not open to this `server`, `person`, `user_install` or `direct_message`; `ask` completes "Please ask …"."""

    code = "not_admitted"

    def __init__(self, barrier: str, ask: Phrase) -> None:
        self.barrier = barrier
        super().__init__(Phrase(f"not_admitted_{barrier}", {"ask": ask}))


class NotYours(Refusal):
    """Somebody else's job.

    Args:
        message: what only the person who asked may do.
    """

    code = "not_yours"

    def __init__(self, message: Phrase) -> None:
        super().__init__(message)


class JobUnknown(Refusal):
    """The record behind a button is gone (deleted by its owner or by retention)."""

    code = "job_unknown"


class DraftExpired(Refusal):
    """A request that waited to be fixed or confirmed, and is not kept any more."""

    code = "draft_expired"


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
        when = phrase("in_a_minute") if retry_at is None else phrase("after_moment", at=retry_at)
        left = phrase("overloaded_left", waiting=waiting, when=when, left=left_today)
        super().__init__(left if left_today is not None else None, waiting=waiting, when=when)


# ---------------------------------------------------------------------- failures after acceptance


class GenerationFailed(ToldError):
    """An accepted job ended without a picture; what fal billed is settled, the rest of its reservation given back."""

    code = "generation_failed"
    worth_retrying = True
    #: What fal says it billed, in units of its own; None where it does not say.
    billable_units: Decimal | None = None
    #: Whether the end is fal's own word; False where we gave up on it, or got no answer.
    told_by_fal = True


class ContentRefused(GenerationFailed):
    """fal's or a partner's content policy; never retryable with the same prompt and pictures.

    Args:
        what: `prompt`, `picture`, `mask`, `result`, or `request` where nothing says which.
        option: fal's name of the picture's parameter; number: which of several, from 1.
    """

    code = "content_refused"
    worth_retrying = False

    def __init__(self, what: str = "prompt", *, option: str | None = None, number: int = 0) -> None:
        self.what = what
        if what == "result":  # another seed makes another picture
            self.worth_retrying = True
        named = {"option": option} if option is not None and what == "picture" else {}
        numbered = {"number": number} if named and number else {}
        ends = {"prompt": "", "picture": "_picture"}.get(what, f"_{what}")
        if what == "picture":
            ends += "" if not named else "_numbered" if numbered else "_named"
        super().__init__(Phrase(f"content_refused{ends}", {**named, **numbered}))


class OptionsRefused(GenerationFailed):
    """fal's own validation refused the arguments.

    Args:
        details: field names and limits only; never the value that was sent (it may be the prompt).
    """

    code = "options_refused"
    worth_retrying = False

    def __init__(self, *details: Phrase) -> None:
        super().__init__(details=details)


class ModelGone(GenerationFailed):
    """fal answers 404 for the endpoint; who puts it into words names what to use instead, if that is offered.

    Args:
        instead: the endpoint that fal names in its place.
    """

    code = "model_gone"
    worth_retrying = False

    def __init__(self, title: str, endpoint: str, instead: str | None = None) -> None:
        super().__init__(title=title, endpoint=endpoint, **({"instead": instead} if instead else {}))


class BalanceExhausted(GenerationFailed):
    """fal's 403 about the account's balance."""

    code = "balance_exhausted"
    worth_retrying = False


class KeyRefused(GenerationFailed):
    """fal's 401 or 403 about the key."""

    code = "key_refused"
    worth_retrying = False


class PartnerAccountRefused(GenerationFailed):
    """A model's maker refuses the operator's account there.

    Args:
        service: its name, e.g. OpenAI.
        what: a phrase for what is wrong with the account.
    """

    code = "partner_account_refused"
    worth_retrying = False

    def __init__(self, service: str, what: Phrase) -> None:
        super().__init__(service=service, what=what)


class PartnerBusy(GenerationFailed):
    """A model's maker limits how much the operator's account there may ask for at a time."""

    code = "partner_busy"

    def __init__(self, service: str) -> None:
        super().__init__(service=service)


class GenerationTimedOut(GenerationFailed):
    """fal gave up waiting, or our own deadline passed."""

    code = "generation_timed_out"

    def __init__(self, *, told_by_fal: bool = True) -> None:
        self.told_by_fal = told_by_fal
        super().__init__()


class ProviderError(GenerationFailed):
    """fal answered 5xx, or nothing usable for longer than we wait."""

    code = "provider_error"

    def __init__(self, *, told_by_fal: bool = True) -> None:
        self.told_by_fal = told_by_fal
        super().__init__()


class RequestNotFound(GenerationFailed):
    """fal answers 404 for a request id it gave us: dropped there, deleted, or another account's."""

    code = "request_not_found"


class Cancelled(GenerationFailed):
    """fal's 499: the request was cancelled there, by us or in fal's dashboard."""

    code = "cancelled"


class DecoderUnavailable(GenerationFailed):
    """No process in which pictures are decoded could be kept running, by no fault of the picture."""

    code = "decoder_unavailable"


class ResultUnusable(GenerationFailed):
    """What came back is no picture we can post.

    Args:
        why: a phrase that completes "The model answered, but …".
    """

    code = "result_unusable"

    def __init__(self, why: Phrase) -> None:
        self.why = why
        super().__init__(why=why)


class ResultWithheld(GenerationFailed):
    """Flagged, or unflagged where a flag is due, in a channel that is not age-restricted; or painted black."""

    code = "result_withheld"

    def __init__(self, *, flagged: bool = True, blanked: bool = False) -> None:
        unjudged = None if flagged else phrase("result_withheld_unjudged")
        super().__init__(phrase("result_blanked") if blanked else unjudged)


class PreparationCrashed(GenerationFailed):
    """Process after process ended while the job's attachments were prepared; it is not tried again."""

    code = "preparation_crashed"
    worth_retrying = False


class SubmitNeverConfirmed(GenerationFailed):
    """Every attempt left, none was answered, and fal does not seem to have any of them."""

    code = "submit_never_confirmed"


class ResubmitOverBudget(GenerationFailed):
    """fal's answer was lost, and no budget has room for a second submission beside the first."""

    code = "resubmit_over_budget"


class Undeliverable(GenerationFailed):
    """Every way into the channel is closed."""

    code = "undeliverable"


class NoLongerAdmitted(GenerationFailed):
    """The operator has closed the bot to the job's place or person since it was accepted."""

    code = "no_longer_admitted"
    worth_retrying = False


class CardDeleted(GenerationFailed):
    """Somebody deleted the message that shows the job, so nobody wants its pictures; nothing is posted any more."""

    code = "card_deleted"


class SubmitUnresolved(GenerationFailed):
    """Whether fal has a request could not be found out for as long as the job may take."""

    code = "submit_unresolved"


# ---------------------------------------------------------------------- transient


class Transient(OperatorError):
    """Worth another try by the caller."""

    code = "transient"


class ProviderUnreachable(Transient):
    """A GET or PUT got no usable answer (connection, timeout, 408, 429, 5xx)."""

    code = "provider_unreachable"

    def __init__(self, sentence: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(sentence)


class DecoderBusy(Transient):
    """A picture that takes long to decode would have to wait for others, and its caller does not want to."""

    code = "decoder_busy"

    def __init__(self) -> None:
        super().__init__("A picture that takes long to decode would have to wait.")


class SubmitUnconfirmed(Transient):
    """A submit POST left, and no usable answer came: fal may or may not have the job.

    Args:
        refused: fal did answer, with a 5xx: most likely it has nothing.
        request_id: the id that this answer names, under which fal has the request if it took it.
    """

    code = "submit_unconfirmed"

    def __init__(self, sentence: str, *, refused: bool = False, request_id: str | None = None) -> None:
        self.refused = refused
        self.request_id = request_id
        super().__init__(sentence)


# ---------------------------------------------------------------------- set-up


class SetupError(OperatorError):
    """The operator has to mend something before the bot can run."""

    code = "setup_error"


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
