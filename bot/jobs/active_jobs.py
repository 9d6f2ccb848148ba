"""The registry of jobs that this process works on, shows, or waits for.

All that a process knows of a job beyond its row is in one `ActiveJob`. `ActiveJobs.release` removes it, and does
nothing while some part of the runner still uses the job; so every part calls it when it is done with the job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Generic, TypeVar

from bot.domain.job import Job
from bot.jobs.provider_state import ProviderState
from bot.jobs.submit_attempts import Losses, LostAttempt

T = TypeVar("T")


class _Listed(Generic[T]):
    """An indexed field of ActiveJob, None by default; the registry keeps a list of the jobs in which it is set."""

    def __set_name__(self, owner: type[ActiveJob], name: str) -> None:
        self._name = name
        self._slot = f"_{name}"

    def __get__(self, job: ActiveJob, owner: type[ActiveJob] | None = None) -> T | None:
        value: T | None = getattr(job, self._slot)
        return value

    def __set__(self, job: ActiveJob, value: T | None) -> None:
        setattr(job, self._slot, value)
        job.registry.list_under(self._name, job, listed=value is not None)


class ActiveJob:
    """What this process knows of one job beyond its row. "Time of the loop" is monotonic seconds."""

    __slots__ = (
        "_at_provider",
        "_doubtful_until_s",
        "_found_request_id",
        "_in_flight_since_s",
        "_losses",
        "_position_from_s",
        "_preparing",
        "_probing_since_s",
        "_queued",
        "_response",
        "_task",
        "_unsent",
        "adopting",
        "answered_5xx",
        "begun_before_cancel",
        "cancel_requested",
        "cancelled_at_fal",
        "cancelling",
        "id",
        "left_to_canceller",
        "lost_attempts",
        "message_id",
        "missed_callback",
        "poll_first",
        "quiet_until_s",
        "registry",
        "renotifying",
        "resumed",
        "search_ends_at",
        "submitted_at_s",
        "unconfirmed",
        "unsure_attempt",
    )

    #: The job's row, while it is in our own queue.
    queued = _Listed[Job]()
    #: Set when this process shows the job's queue position: the time of the loop from which it may have been shown, 0
    #: for a job that another process accepted.
    position_from_s = _Listed[float]()
    #: Set while the initial response to its interaction is under way.
    response = _Listed["InitialResponse"]()
    #: The task that runs the job from claim to end.
    task = _Listed[asyncio.Task[None]]()
    #: Time of the loop when this process claimed or adopted the job; None once fal is done.
    in_flight_since_s = _Listed[float]()
    #: The job's row, while it is claimed and certainly not submitted.
    unsent = _Listed[Job]()
    #: True while its attachments are fetched, decoded and uploaded, or wait for that.
    preparing = _Listed[bool]()
    #: Set while fal answered the job's latest submit with an error.
    losses = _Listed[Losses]()
    #: Id of the request that was found for its lost attempt and is not stored yet.
    found_request_id = _Listed[str]()
    #: The state of the job at fal, while fal has it.
    at_provider = _Listed[ProviderState]()
    #: Time of the loop when the job became a probe (see `bot.jobs.webhook_monitor`); None when it is none.
    probing_since_s = _Listed[float]()
    #: Its acceptance failed, but the COMMIT may have succeeded: time of the loop at which it is looked up.
    doubtful_until_s = _Listed[float]()

    def __init__(self, job_id: str, registry: ActiveJobs) -> None:
        self.id = job_id
        self.registry = registry
        for slot in _SLOTS:
            setattr(self, slot, None)
        #: The message that shows the job, until that is stored.
        self.message_id: int | None = None
        #: Whether the job was cancelled, possibly before that is stored.
        self.cancel_requested = False
        #: Whether the answer to its submit was lost, and its request is being looked for at fal.
        self.unconfirmed = False
        #: The submit of which nobody knows whether fal has it; None once that is certain.
        self.unsure_attempt: int | None = None
        #: Whether fal answered that submit, with a 5xx.
        self.answered_5xx = False
        #: Whether the person was told that it is being cancelled, so that no other progress is shown.
        self.cancelling = False
        #: Whether fal has taken a cancel: the job is not delivered, and ends once fal tells what it billed.
        self.cancelled_at_fal = False
        #: Whether fal may have begun to paint it by then.
        self.begun_before_cancel = True
        #: Whether whoever sent that cancel ends the job, and not its task.
        self.left_to_canceller = False
        #: When that search ends, aware UTC; None where that can't be told.
        self.search_ends_at: datetime | None = None
        #: Whether to poll fal before waiting for a callback, because one may have been missed (adopted or found jobs).
        self.poll_first = False
        #: Whether the job was resumed after a noticeable downtime.
        self.resumed = False
        #: Whether the job was adopted and its task has not been started yet.
        self.adopting = False
        #: Whether its final message is about to be sent a second time.
        self.renotifying = False
        #: Time of the loop until which another process may still edit the job's message.
        self.quiet_until_s = 0.0
        #: Time of the loop when this process submitted the job.
        self.submitted_at_s: float | None = None
        #: By attempt number: submits without an answer, and submits whose callback came before the answer was stored.
        self.lost_attempts: dict[int, LostAttempt] = {}
        #: Timer that runs after the end of a probe, while its callback may still arrive.
        self.missed_callback: asyncio.TimerHandle | None = None

    @property
    def in_use(self) -> bool:
        """Whether some part of the runner still uses the job."""
        return (
            self.task is not None
            or self.queued is not None
            or self.response is not None
            or self.missed_callback is not None
            or self.doubtful_until_s is not None
            or self.adopting
            or self.renotifying
        )


#: Names of the indexed fields.
LISTED = tuple(name for name, value in vars(ActiveJob).items() if isinstance(value, _Listed))
_SLOTS = tuple(f"_{name}" for name in LISTED)


class InitialResponse(asyncio.Event):
    """Set once the initial response was sent, or has failed.

    Args:
        since_s: time of the loop when it began.
    """

    def __init__(self, since_s: float) -> None:
        super().__init__()
        self.since_s = since_s


class ActiveJobs:
    """The registry of active jobs.

    Args:
        on_release: called with the id of each job that is removed.
    """

    def __init__(self, on_release: Callable[[str], None] = lambda _: None) -> None:
        self._jobs: dict[str, ActiveJob] = {}
        self._listed: dict[str, dict[str, ActiveJob]] = {name: {} for name in LISTED}
        self._on_release = on_release

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[ActiveJob]:
        return iter(self._jobs.values())

    def get(self, job_id: str) -> ActiveJob | None:
        """The entry of a job; None when there is none."""
        return self._jobs.get(job_id)

    def is_left_to_canceller(self, job_id: str) -> bool:
        """Whether whoever cancelled this job at fal ends it."""
        job = self._jobs.get(job_id)
        return job is not None and job.left_to_canceller

    def is_cancelled_at_fal(self, job_id: str) -> bool:
        """Whether fal has taken a cancel of this job."""
        job = self._jobs.get(job_id)
        return job is not None and job.cancelled_at_fal

    def open(self, job_id: str) -> ActiveJob:
        """The entry of a job, created if there is none. The caller must see to it that `release` is called."""
        job = self._jobs.get(job_id)
        if job is None:
            job = self._jobs[job_id] = ActiveJob(job_id, self)
        return job

    def release(self, job_id: str) -> None:
        """Remove a job, unless it is still in use."""
        job = self._jobs.get(job_id)
        if job is not None and not job.in_use:
            self._drop(job)

    def clear(self) -> None:
        """Remove all jobs at the end of the process."""
        for job in list(self._jobs.values()):
            if job.missed_callback is not None:
                job.missed_callback.cancel()
            self._drop(job)

    def _drop(self, job: ActiveJob) -> None:
        del self._jobs[job.id]
        for listed in self._listed.values():
            listed.pop(job.id, None)
        self._on_release(job.id)

    def list_under(self, field: str, job: ActiveJob, *, listed: bool) -> None:
        """Update the index of a field that was set, or set to None."""
        if not listed:
            self._listed[field].pop(job.id, None)
        elif self._jobs.get(job.id) is job:  # a removed job stays out of the index
            self._listed[field][job.id] = job

    # ------------------------------------------------------------------ by indexed field, oldest first

    @property
    def queued(self) -> Mapping[str, ActiveJob]:
        """Jobs in our own queue."""
        return self._listed["queued"]

    @property
    def shown_positions(self) -> Mapping[str, ActiveJob]:
        """Jobs whose queue position this process shows."""
        return self._listed["position_from_s"]

    @property
    def responding(self) -> dict[str, ActiveJob]:
        """Jobs whose initial response is under way."""
        return self._listed["response"]

    @property
    def working(self) -> Mapping[str, ActiveJob]:
        """Jobs with a task in this process."""
        return self._listed["task"]

    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks of the jobs in `working`."""
        return [job.task for job in self.working.values() if job.task is not None]

    @property
    def in_flight(self) -> Mapping[str, ActiveJob]:
        """Jobs claimed by this process that fal is not done with."""
        return self._listed["in_flight_since_s"]

    @property
    def unsent(self) -> Mapping[str, ActiveJob]:
        """Jobs claimed by this process that were certainly not submitted."""
        return self._listed["unsent"]

    @property
    def preparing(self) -> Mapping[str, ActiveJob]:
        """Jobs whose attachments are being prepared, or wait for that."""
        return self._listed["preparing"]

    @property
    def refused(self) -> Mapping[str, ActiveJob]:
        """Jobs whose latest submits fal answered with errors; emptied whenever fal accepts any job."""
        return self._listed["losses"]

    @property
    def found(self) -> Mapping[str, ActiveJob]:
        """Jobs whose lost requests were found."""
        return self._listed["found_request_id"]

    @property
    def at_provider(self) -> Mapping[str, ActiveJob]:
        """Jobs that fal has."""
        return self._listed["at_provider"]

    @property
    def probing(self) -> Mapping[str, ActiveJob]:
        """Jobs that are polled as probes."""
        return self._listed["probing_since_s"]

    @property
    def doubtful(self) -> Mapping[str, ActiveJob]:
        """Jobs that may have been accepted although their people were told otherwise."""
        return self._listed["doubtful_until_s"]
