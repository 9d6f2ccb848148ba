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

    nsfw: int = _next("Unsafe picture", "The safety check paints the next picture black.")
    content_policy: int = _next("Prompt not allowed", "The model refuses the next prompt because of its rules.")
    fal_slow: bool = _switch("fal.ai is slow", "Everything takes six times as long.")
    fal_down: bool = _switch("fal.ai is down", "It does not answer at all.")
    balance_exhausted: bool = _switch(
        "fal.ai is out of credit", "The account that pays for the pictures has no money left. New pictures wait."
    )
    key_refused: bool = _switch("Key refused", "fal.ai does not accept the bot's key (its password) any more.")
    stuck_queue: bool = _switch("Queue stands still", "No new picture is started; those that wait keep waiting.")
    job_error: int = _next("Painting breaks", "Painting the next picture fails.")
    server_error: int = _next("Request breaks", "fal.ai has an error when it gets the next request (500).")
    gateway_error: int = _next("Request gets lost", "The next request never reaches fal.ai (502).")
    rate_limited: int = _next("Too many requests", "fal.ai asks the bot to slow down once (429).")
    lost_answers: float = _number(0.0, "Lost answers", "Requests that get no answer: 0 none, 0.5 half, 1 all.")
    slow_submit_s: float = _number(0.0, "Slow answers", "Seconds until fal.ai answers a new request.")
    no_stream: bool = _switch("No live progress", "fal.ai sends no news, so the bot asks again and again.")
    dropped_streams: int = _next("Progress breaks off", "The next live progress stops halfway.")
    result_error: int = _next("Result out of reach", "The next finished picture can't be asked for at first (503).")
    result_expired: bool = _switch("Results gone", "Finished pictures are deleted before the bot gets them.")
    media_error: int = _next("Download fails", "The next picture can't be downloaded at first (500).")
    media_missing: int = _next("Picture not there yet", "The next picture can't be found at first (404).")
    broken_picture: int = _next("Not a picture", "What comes in place of the next picture is no picture.")
    truncated_picture: int = _next("Half a picture", "The next download breaks off halfway.")
    no_flags: int = _next("No safety check", "fal.ai does not say whether the next picture is safe.")
    late_cancel: bool = _switch("Cancel too late", "A picture is finished although it was cancelled.")
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
