"""Whether fal's account is out of credit, and when to look again. A value with a clock; no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bot.retry import repeat_last


class CreditPause:
    """While it is active nothing is submitted but one job at a time, the probe, which shows whether fal paints again.

    Args:
        pauses_s: seconds between two probes; the last one repeats.
        now_s: time of the loop.
    """

    def __init__(self, pauses_s: Sequence[float], now_s: Callable[[], float]) -> None:
        self._pauses_s = pauses_s
        self._now_s = now_s
        #: Time of the loop of the next probe; None: fal paints, as far as is known.
        self._next_probe_s: float | None = None
        self._later: Iterator[float] = iter(())
        #: The job that is the probe.
        self._probe: str | None = None

    @property
    def active(self) -> bool:
        """Whether fal refused the latest job for lack of credit."""
        return self._next_probe_s is not None

    @property
    def due(self) -> bool:
        """Whether a job may be tried now."""
        return self._next_probe_s is not None and self._now_s() >= self._next_probe_s

    def begin(self, *, probe_now: bool = False) -> bool:
        """Pause; False where it was paused already.

        Args:
            probe_now: for a pause that another process noted, which may be over.
        """
        if self.active:
            return False
        self._later = repeat_last(self._pauses_s)
        self._next_probe_s = self._now_s() + (0.0 if probe_now else next(self._later))
        return True

    def refused(self, job_id: str) -> bool:
        """Fal refused this job for lack of credit; False where that was known."""
        if self._probe == job_id:
            self._probe = None
        return self.begin()

    def probe(self, job_id: str) -> None:
        """Try this job, and another one only after the next, longer pause."""
        if self.active:
            self._probe = job_id
            self._next_probe_s = self._now_s() + next(self._later)

    def holds_back(self, job_id: str) -> bool:
        """Whether this job must not be submitted now."""
        return self.active and job_id != self._probe

    def end(self) -> bool:
        """Go on, because fal has accepted a job; False where nothing was paused."""
        was_active, self._next_probe_s, self._probe = self.active, None, None
        return was_active
