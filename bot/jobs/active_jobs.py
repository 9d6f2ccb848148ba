"""The one registry of jobs that this process works on, shows, or expects something of.

All that a process knows of a job beside its row stands in one `ActiveJob`, and `ActiveJobs.release` is the one call
that lets go of it: it does nothing as long as something of the job is under way here, so whoever is done calls it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from bot.domain.job import Job
from bot.jobs.provider_state import ProviderState
from bot.jobs.submit_attempts import Losses, LostAttempt

T = TypeVar("T")


class _Listed(Generic[T]):
    """A field of ActiveJob that is None most of the time; the registry lists the jobs in which it is set."""

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
    """One job, as this process knows it beside its row."""

    __slots__ = (
        "_at_provider",
        "_doubtful_until_s",
        "_found_request_id",
        "_in_flight_since_s",
        "_losses",
        "_position_from_s",
        "_probing_since_s",
        "_queued",
        "_response",
        "_task",
        "_unsent",
        "adopting",
        "cancel_requested",
        "id",
        "lost_attempts",
        "message_id",
        "missed_callback",
        "poll_first",
        "quiet_until_s",
        "registry",
        "renotifying",
        "resumed",
        "submitted_at_s",
        "unconfirmed",
    )

    #: Its row, while it waits in our own queue.
    queued = _Listed[Job]()
    #: This process shows its position in the queue; the time (of the loop) from which somebody may have seen one, 0
    #: for a job that another process accepted.
    position_from_s = _Listed[float]()
    #: The initial response to its interaction, while that is under way.
    response = _Listed["InitialResponse"]()
    #: What carries it from claim to end.
    task = _Listed[asyncio.Task[None]]()
    #: Claimed and not yet painted; since when (time of the loop).
    in_flight_since_s = _Listed[float]()
    #: Its row, claimed and certain that no POST of it is at fal.
    unsent = _Listed[Job]()
    #: Its latest submits, where fal answered the last one with an error.
    losses = _Listed[Losses]()
    #: The request that was found for its lost attempt and is not on record yet.
    found_request_id = _Listed[str]()
    #: What fal says about it.
    at_provider = _Listed[ProviderState]()
    #: It is watched in place of other jobs whose callbacks are overdue; since when (time of the loop).
    probing_since_s = _Listed[float]()
    #: The database refused to accept it and may have done so nevertheless; looked up until then (time of the loop).
    doubtful_until_s = _Listed[float]()

    def __init__(self, job_id: str, registry: ActiveJobs) -> None:
        self.id = job_id
        self.registry = registry
        for name in LISTED:
            setattr(self, f"_{name}", None)
        #: Where it is shown, until that is on record.
        self.message_id: int | None = None
        #: It was cancelled, maybe before that is on record.
        self.cancel_requested = False
        #: fal may have it, or not: its answer got lost, and it is looked for there.
        self.unconfirmed = False
        #: fal may have called back about it while nobody could listen.
        self.poll_first = False
        #: It was taken up after a stop that its person will have noticed.
        self.resumed = False
        #: Taken over from another process; work on it is about to begin.
        self.adopting = False
        #: How it ended is told once more in a moment.
        self.renotifying = False
        #: Until then another process may still edit its card (time of the loop).
        self.quiet_until_s = 0.0
        #: When this process submitted it (time of the loop, which nobody sets).
        self.submitted_at_s: float | None = None
        #: Attempts whose answers are missing, or about which fal called back early, by their number.
        self.lost_attempts: dict[int, LostAttempt] = {}
        #: Runs while the callback of a probe that has ended may still come.
        self.missed_callback: asyncio.TimerHandle | None = None

    @property
    def in_use(self) -> bool:
        """Whether something of it is under way here, or expected."""
        return (
            self.task is not None
            or self.queued is not None
            or self.response is not None
            or self.missed_callback is not None
            or self.doubtful_until_s is not None
            or self.adopting
            or self.renotifying
        )


#: The fields by which the registry lists jobs.
LISTED = tuple(name for name, value in vars(ActiveJob).items() if isinstance(value, _Listed))


class InitialResponse(asyncio.Event):
    """Set once the person has seen that their job was taken."""

    def __init__(self, since_s: float) -> None:
        super().__init__()
        self.since_s = since_s


class ActiveJobs:
    """The registry.

    Args:
        on_release: told the id of each job that is let go.
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
        """What is known of a job; None when nothing is."""
        return self._jobs.get(job_id)

    def open(self, job_id: str) -> ActiveJob:
        """The same, begun now where there was nothing. Whoever opens it sees to it that it is released."""
        job = self._jobs.get(job_id)
        if job is None:
            job = self._jobs[job_id] = ActiveJob(job_id, self)
        return job

    def release(self, job_id: str) -> None:
        """Let go of a job, unless something of it is still under way here."""
        job = self._jobs.get(job_id)
        if job is not None and not job.in_use:
            self._drop(job)

    def clear(self) -> None:
        """Let go of everything: the process ends."""
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
        """A field of the job was set, or emptied."""
        if not listed:
            self._listed[field].pop(job.id, None)
        elif self._jobs.get(job.id) is job:  # what was let go is listed nowhere
            self._listed[field][job.id] = job

    # ------------------------------------------------------------------ by what is under way, oldest first

    @property
    def queued(self) -> Mapping[str, ActiveJob]:
        """In our own queue."""
        return self._listed["queued"]

    @property
    def shown_positions(self) -> Mapping[str, ActiveJob]:
        """Those whose position in the queue this process shows."""
        return self._listed["position_from_s"]

    @property
    def responding(self) -> dict[str, ActiveJob]:
        """Those whose initial responses are under way."""
        return self._listed["response"]

    @property
    def working(self) -> Mapping[str, ActiveJob]:
        """Those this process works on."""
        return self._listed["task"]

    def tasks(self) -> list[asyncio.Task[None]]:
        """What works on them."""
        return [job.task for job in self.working.values() if job.task is not None]

    @property
    def in_flight(self) -> Mapping[str, ActiveJob]:
        """Claimed, and not painted yet."""
        return self._listed["in_flight_since_s"]

    @property
    def unsent(self) -> Mapping[str, ActiveJob]:
        """Claimed, and certain that no POST of theirs is at fal."""
        return self._listed["unsent"]

    @property
    def refused(self) -> Mapping[str, ActiveJob]:
        """Those whose latest submits fal answered with errors, since it last took one."""
        return self._listed["losses"]

    @property
    def found(self) -> Mapping[str, ActiveJob]:
        """Those whose lost requests were found."""
        return self._listed["found_request_id"]

    @property
    def at_provider(self) -> Mapping[str, ActiveJob]:
        """Those that fal has."""
        return self._listed["at_provider"]

    @property
    def probing(self) -> Mapping[str, ActiveJob]:
        """Those that are watched in place of others."""
        return self._listed["probing_since_s"]

    @property
    def doubtful(self) -> Mapping[str, ActiveJob]:
        """Those that may have been accepted although their people were told otherwise."""
        return self._listed["doubtful_until_s"]
