"""Faults that can be injected at run time, from Python or from the page's devtools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from bot.domain.request import Json

FaultKind = Literal["switch", "number"]


def _next(label: str, about: str) -> Any:
    """A fault for the next N requests; -1 means all of them until set to 0."""
    return field(default=0, metadata={"label": label, "about": about, "kind": "switch"})


def _switch(label: str, about: str) -> Any:
    return field(default=False, metadata={"label": label, "about": about, "kind": "switch"})


def _number(default: float, label: str, about: str) -> Any:
    return field(default=default, metadata={"label": label, "about": about, "kind": "number"})


@dataclass
class InjectedFaults:
    """Everything that can go wrong at fal. Set attributes directly, or by name with `set`.

    Whole-number faults are for the next N requests and count themselves down; -1 lasts.
    """

    nsfw: int = _next("NSFW picture", "The safety checker flags the next picture and blacks it out.")
    content_policy: int = _next("Content policy", "fal refuses the next prompt.")
    fal_slow: bool = _switch("fal is slow", "Everything takes six times as long.")
    fal_down: bool = _switch("fal is down", "Every call is answered 503 or dropped.")
    balance_exhausted: bool = _switch("Out of credit", "The fal account has no money left.")
    key_refused: bool = _switch("Key refused", "fal no longer knows the API key.")
    stuck_queue: bool = _switch("Queue stands still", "Nothing new starts; what waits keeps waiting.")
    job_error: int = _next("Painting breaks", "The next job fails on fal's side.")
    server_error: int = _next("Server error", "fal answers the next submit with its own 500.")
    gateway_error: int = _next("Bad gateway", "The next call gets an nginx 502 that never reached fal.")
    rate_limited: int = _next("Too many requests", "fal answers the next call with 429.")
    lost_answers: float = _number(0.0, "Lost answers", "Share of submits accepted and then dropped, 0 to 1.")
    slow_submit_s: float = _number(0.0, "Slow submit", "Seconds until an accepted submit is answered.")
    no_stream: bool = _switch("No status stream", "status/stream answers 404, so that jobs must be polled.")
    dropped_streams: int = _next("Dropped stream", "The next open status stream breaks off.")
    result_error: int = _next("Result error", "The next result answers 503.")
    result_expired: bool = _switch("Results expired", "Finished results are gone.")
    media_error: int = _next("Picture server error", "The next picture download answers 500.")
    media_missing: int = _next("Picture not there yet", "The next picture download answers 404.")
    broken_picture: int = _next("Broken picture", "The next picture is no picture at all.")
    truncated_picture: int = _next("Truncated picture", "The next picture download breaks off halfway.")
    no_flags: int = _next("No safety flags", "The next result leaves has_nsfw_concepts out.")
    late_cancel: bool = _switch("Cancel too late", "A cancelled job that is being painted finishes all the same.")
    #: The platform API does not show this key its list of requests, or the prices.
    list_refused: bool = False
    pricing_refused: bool = False
    #: Answers leave X-Fal-Billable-Units out.
    bill_untold: bool = False
    gone_endpoints: set[str] = field(default_factory=set)
    #: True: fal accepts a gone endpoint's job and the result answers 404; False: the submit does.
    gone_at_result: bool = False
    #: error_type of the next `job_error`.
    job_error_type: str = "runner_disconnected"
    #: Factor of `fal_slow`.
    slow_factor: float = 6.0
    #: Called after every change, also when a one-shot fault has used itself up.
    on_change: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def take(self, name: str) -> bool:
        """Whether the one-shot fault `name` applies now; counts it down."""
        left = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
            self._announce()
        return bool(left)

    def set(self, name: str, value: Json) -> None:
        """Set one of the devtools' faults by name. True and "on" mean once for one-shot faults.

        Raises:
            KeyError: no such fault.
            ValueError: the value is of no use for it.
        """
        spec = next((spec for spec in fields(self) if spec.name == name and spec.metadata), None)
        if spec is None:
            raise KeyError(name)
        setattr(self, name, _coerce(spec.default, value))
        self._announce()

    def clear(self) -> None:
        """Back to a healthy fal."""
        for spec in fields(self):
            if spec.metadata:
                setattr(self, spec.name, spec.default)
        self.gone_endpoints.clear()
        self.list_refused = self.pricing_refused = self.bill_untold = False
        self._announce()

    def describe(self) -> list[dict[str, Json]]:
        """Entries for the page's devtools: name, label, about, kind and value."""
        return [
            {
                "name": spec.name,
                "label": spec.metadata["label"],
                "about": spec.metadata["about"],
                "kind": spec.metadata["kind"],
                "value": _shown(spec.metadata["kind"], getattr(self, spec.name)),
            }
            for spec in fields(self)
            if spec.metadata
        ]

    def _announce(self) -> None:
        if self.on_change is not None:
            self.on_change()


def _coerce(default: object, value: Json) -> bool | int | float:
    if isinstance(value, str):
        value = {"on": True, "true": True, "off": False, "false": False, "": False}.get(value.lower(), value)
    if isinstance(default, bool):
        return bool(value)
    if not isinstance(value, bool | int | float | str) and value is not None:
        raise ValueError("a number is needed")
    number = float(value or 0)
    return int(number) if isinstance(default, int) else max(0.0, number)


def _shown(kind: str, value: float | bool) -> Json:
    return bool(value) if kind == "switch" else value
