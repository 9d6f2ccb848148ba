"""Handing one job to fal: one POST, never a second one before it is known what became of the first."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

from bot import metrics
from bot.catalogue import arguments, picture_options, with_pictures
from bot.catalogue.model import Model, OptionKind
from bot.domain.events import ConfirmingSubmit, ProviderUnavailable
from bot.domain.job import FalRequest, Job, JobState
from bot.domain.picture import Picture
from bot.domain.ports import AttachmentSource
from bot.domain.request import GenerationRequest, Json
from bot.errors import ProviderError, ProviderUnreachable, SubmitNeverConfirmed, SubmitUnconfirmed
from bot.fal import Fal
from bot.jobs.adaptive_semaphore import AdaptiveSemaphore
from bot.jobs.canceller import Canceller
from bot.jobs.context import RunnerContext, now_s
from bot.jobs.initial_response import InitialResponses
from bot.jobs.leases import Leases
from bot.jobs.reconcile import Reconciler
from bot.media import mask_matches

log = logging.getLogger(__name__)

#: Submits under way at once while the processor is the bottleneck, and at most.
FEW_AT_ONCE = 5
SUBMITS_AT_ONCE = 32
#: Pauses between submits that certainly never left (connection refused, no such host), 15 minutes in all.
UNREACHABLE_PAUSES_S = (1, 2, 4, 8, *(15,) * 59)
#: How long a request is looked for that fal itself answered with an error (most likely there is none); the last one
#: repeats while fal refuses everybody's.
REFUSED_WAITS_S = (6.0, 12.0, 20.0, 30.0)
#: So many jobs refused, and none taken meanwhile, are an outage of fal: no reason to fail them or the queue behind.
OUTAGE_JOBS = 3
#: So much longer than that, where fal's list can't be read either, shows an outage as well.
BLIND_S = 10.0
#: Submits whose answers were lost, without fal seeming to have any, before the person is told.
MOST_LOSSES = 3
#: The same with processes that died in the middle of them; a job that kills the bot must not do so for ever.
MOST_ATTEMPTS = 20
#: Options whose values differ from attempt to attempt, or must not be compared.
PICTURE_KINDS = frozenset({OptionKind.PICTURE, OptionKind.PICTURES, OptionKind.CONTROLNET, OptionKind.IP_ADAPTER})
SECRETS = frozenset({"openai_api_key"})


class Submitter:
    """All jobs of this process that are claimed and not known to be at fal."""

    def __init__(
        self,
        context: RunnerContext,
        fal: Fal,
        reconciler: Reconciler,
        answers: InitialResponses,
        canceller: Canceller,
        *,
        leases: Leases,
        inputs: AttachmentSource,
        callback_url: Callable[[str, int], str] | None,
    ) -> None:
        self._context = context
        self._fal = fal
        self._reconciler = reconciler
        self._responses = answers
        self._canceller = canceller
        self._leases = leases
        self._attachments = inputs
        self._callback_url = callback_url
        #: Also for what the work of a start must not do to Discord all at once.
        self.semaphore = AdaptiveSemaphore(FEW_AT_ONCE, SUBMITS_AT_ONCE, backpressure=lambda: answers.backpressure)
        #: Claimed, and certain that no POST of theirs is at fal.
        self.unsent: dict[str, Job] = {}
        #: Jobs whose latest submits fal answered with errors, since it last took one.
        self._refused: dict[str, _Losses] = {}

    async def submit(self, job: Job, *, left_over: bool) -> Job | None:
        """One POST, then its answer on record; None when the job was cancelled, or has moved elsewhere.

        Args:
            left_over: another process has claimed it.

        Raises:
            PaintingFailed: fal refused it, or never answered.
        """
        unsure = left_over and job.submitted_at is not None  # its POST may have left
        if not unsure:
            self.unsent[job.id] = job
        if not await self._responses.was_sent(job, left_over=left_over):
            # Nobody waits for it, or for a word.
            self._context.cancel_requested.add(job.id)
            await self._context.retry_store(
                lambda: self._context.store.jobs.annotate(job.id, cancel_requested=True, notified=True)
            )
        losses = _Losses()
        async with AsyncExitStack() as inside:
            while True:
                if unsure:
                    fal_request = await self._find_lost(job, losses)
                    if fal_request is not None:
                        return await self._resume_found(job, fal_request)
                if self._context.is_cancelled(job):
                    await self._give_up(job, unsure=unsure)
                    return None
                if unsure:
                    self._check_patience(job, losses)
                    again = await self._again(job)
                    if again is None:
                        return None
                    job = again
                if not losses.refused:
                    await inside.enter_async_context(self.semaphore)
                    inside.callback(self._refused.pop, job.id, None)
                request = await self._uploaded(job)
                if job.submitted_at is None:
                    marked = await self._mark_submitting(job)
                    if marked is None:
                        return None
                    job = marked
                try:
                    running = await self._context.shielded(self._post_and_record(job, request))
                    return await self._canceller.cancel_if_requested(running)
                except SubmitUnconfirmed as error:
                    unsure = True
                    losses.count(error)
                if losses.refused:
                    # It stays inside: in an outage the others wait in the queue instead of failing one after another.
                    self._note_refused(job.id, losses)
                else:
                    await inside.aclose()

    async def _resume_found(self, job: Job, fal_request: FalRequest) -> Job | None:
        """What was lost is found."""
        self._context.poll_first.add(job.id)
        return await self._canceller.cancel_if_requested(
            await self._context.transition(job, JobState.RUNNING, fal_request=fal_request)
        )

    def _note_refused(self, job_id: str, losses: _Losses) -> None:
        self._refused[job_id] = losses
        if len(self._refused) >= OUTAGE_JOBS:
            for one in self._refused.values():
                one.in_outage = True

    def _check_patience(self, job: Job, losses: _Losses) -> None:
        """Whether one more attempt is worth it. Raises FalBroken or AnswerLostForGood when none is."""
        tired = job.attempts >= MOST_ATTEMPTS
        if losses.refused and (tired or not (losses.in_outage or losses.outlasted)):
            raise ProviderError
        if tired or losses.unheard >= MOST_LOSSES:
            raise SubmitNeverConfirmed

    async def _find_lost(self, job: Job, losses: _Losses) -> FalRequest | None:
        """What fal made of an attempt whose answer is missing."""
        model = self._context.model(job)
        sent = self._identifying_arguments(model, job)
        wait_s, age_s = losses.wait_s, self._context.age_s(job)
        if losses.in_outage:
            self._context.publish(job, ProviderUnavailable())
        elif not losses.refused:
            left_s = max(self._context.settings.reconcile_s - age_s, 0.0)
            self._context.publish(job, ConfirmingSubmit(self._context.clock() + timedelta(seconds=left_s)))
        if self._context.is_cancelled(job):
            wait_s = 0.0  # one look: what nobody wants is not waited for
        self._context.unconfirmed.add(job.id)
        try:
            return await self._reconciler.find(job, sent, listed=model.store_payload, age_s=age_s, wait_s=wait_s)
        finally:
            self._context.unconfirmed.discard(job.id)

    async def _again(self, job: Job) -> Job | None:
        """The next attempt, on record as a possible double; None when the job has moved elsewhere."""
        again = await self._context.retry_store(lambda: self._context.store.jobs.resubmit(job))
        if again is not None:
            metrics.POSSIBLE_DOUBLES.inc()
            log.warning("submitting again, possibly a double", extra={"job": job.id, "attempt": again.attempts})
        return again

    async def _give_up(self, job: Job, *, unsure: bool) -> None:
        """Cancelled before fal's request was known."""
        if unsure:
            sentence = "Cancelled. fal.ai never answered, so it may still charge for it; your quota was not used."
        else:
            sentence = "Cancelled before it was handed to fal.ai: nothing was charged."
        ended = await self._context.transition_to_cancelled(job, sentence)
        if ended is not None:
            await self._context.notify_outcome(ended)

    async def _mark_submitting(self, job: Job) -> Job | None:
        """On record that it is about to be sent; None when it was cancelled, or has moved elsewhere."""
        marked = await self._context.retry_store(lambda: self._context.store.jobs.mark_submitting(job))
        if marked is not None and self._context.is_cancelled(marked):
            await self._give_up(marked, unsure=False)
            return None
        return marked

    async def _post_and_record(self, job: Job, request: GenerationRequest) -> Job | None:
        model = self._context.model(job)
        with self._reconciler.under_way(model.endpoint, self._identifying_arguments(model, job)):
            fal_request = await self._post(job, model, self._arguments(model, job, request))
            self._refused.clear()
            return await self._context.transition(job, JobState.RUNNING, fal_request=fal_request)

    def _identifying_arguments(self, model: Model, job: Job) -> dict[str, Json]:
        """By which of its arguments fal's list shows an order: all but what differs from attempt to attempt."""
        private = {option.name for option in model.options if option.kind in PICTURE_KINDS or option.name in SECRETS}
        return {name: value for name, value in self._arguments(model, job, job.request).items() if name not in private}

    def _arguments(self, model: Model, job: Job, request: GenerationRequest) -> dict[str, Json]:
        settings = self._context.settings
        secret = settings.openai_api_key
        checked = settings.safety_checker == "on" or not job.reply.age_restricted
        key = secret.get_secret_value() if secret is not None else None
        return arguments(model, request, safety_checker=checked, openai_api_key=key)

    async def _post(self, job: Job, model: Model, payload: dict[str, Json]) -> FalRequest:
        """Submit; tried again only while it is certain that no request ever left."""
        context = self._context
        if context.stopping.is_set():
            raise asyncio.CancelledError  # what has not left yet is for the next start
        certain = self.unsent.pop(job.id, None) is not None
        context.wake.set()  # there is room for another claim
        for pause_s in (*UNREACHABLE_PAUSES_S, None):
            if self._leases.left_s == 0:
                raise asyncio.CancelledError  # this process hung for so long that another one has the job
            context.submitted_at_s[job.id] = now_s()
            try:
                return await self._fal.submit(
                    model.endpoint,
                    payload,
                    start_timeout_s=context.settings.start_timeout_s,
                    store_payload=model.store_payload,
                    model=model,
                    webhook_url=self._callback_url(job.id, job.attempts) if self._callback_url else None,
                )
            except ProviderUnreachable:
                if pause_s is None:
                    raise ProviderError from None
                if certain:
                    self.unsent[job.id] = job
                context.publish(job, ProviderUnavailable())
                await context.pause(pause_s * random.uniform(0.8, 1.2))
                self.unsent.pop(job.id, None)
        raise ProviderError

    async def _uploaded(self, job: Job) -> GenerationRequest:
        """The order with its attachments copied to fal's storage: their Discord links are signed and die."""
        model = self._context.model(job)
        fetched: dict[str, tuple[str, Picture]] = {}
        for option, urls in picture_options(model, job.request).items():
            for url in urls:
                if url not in fetched and self._attachments.is_attachment(url):
                    fetched[url] = (option, await self._attachments.fetch(url, option=option))
        fetched = await _with_matching_masks(fetched)
        copies = {url: await self._upload(job, picture, option) for url, (option, picture) in fetched.items()}
        return with_pictures(job.request, copies)

    async def _upload(self, job: Job, picture: Picture, option: str) -> str:
        name = f"{option}.{picture.extension}"
        return await self._context.retry_fal(job, lambda: self._fal.upload(picture.body, picture.content_type, name))


@dataclass(slots=True)
class _Losses:
    """Answers to the submits of one job that did not come, or were errors."""

    #: Without any answer.
    unheard: int = 0
    #: Answered by fal itself with errors, the latest ones in a row.
    refused: int = 0
    #: Others met the same at that time.
    in_outage: bool = False
    _refused_at_s: float = 0.0

    def count(self, error: SubmitUnconfirmed) -> None:
        """One more."""
        self.unheard += not error.refused
        self.refused = self.refused + 1 if error.refused else 0
        self.in_outage = False
        self._refused_at_s = now_s()

    @property
    def wait_s(self) -> float | None:
        """How long the request is looked for; None: as long as the settings say."""
        return REFUSED_WAITS_S[min(self.refused, len(REFUSED_WAITS_S)) - 1] if self.refused else None

    @property
    def outlasted(self) -> bool:
        """Whether fal's list could not be read for long either: an outage that has ended just now."""
        return self.wait_s is not None and now_s() - self._refused_at_s > self.wait_s + BLIND_S


async def _with_matching_masks(fetched: dict[str, tuple[str, Picture]]) -> dict[str, tuple[str, Picture]]:
    """Masks in the dimensions of their picture. Raises BadPicture when the shapes differ."""
    image = next((picture for option, picture in fetched.values() if option == "image"), None)
    if image is None:
        return fetched
    return {
        url: (option, await mask_matches(image, picture) if option == "mask" else picture)
        for url, (option, picture) in fetched.items()
    }
