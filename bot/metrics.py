"""Counters, gauges and histograms for Prometheus, in a registry of their own.

Counting costs about a microsecond; everything else is done when somebody scrapes `/metrics`. Names end in their unit,
labels are few and take values from closed sets, and nothing identifies a person, a server, a prompt or a request. Every
process counts for itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
if sys.platform == "linux":
    ProcessCollector(registry=REGISTRY)  # memory, processor time, open files: read from /proc when asked


def _counter(name: str, about: str) -> Counter:
    return Counter(f"easel_{name}", about, registry=REGISTRY)


def _by(name: str, about: str, label: str) -> Counter:
    return Counter(f"easel_{name}", about, (label,), registry=REGISTRY)


def _each(counter: Counter, values: tuple[str, ...]) -> Mapping[str, Counter]:
    """One ready child for each value, so that all series are there from the start."""
    return {value: counter.labels(value) for value in values}


# ---------------------------------------------------------------------- jobs

JOBS_ACCEPTED = _counter("jobs_accepted", "Jobs accepted and stored.")
#: By the code of the refusal, as in `bot.errors`.
JOBS_REFUSED = _by("jobs_refused", "Jobs refused, by code.", "code")
JOBS_DELIVERED = _counter("jobs_delivered", "Jobs whose pictures were posted.")
#: By the code of the failure.
JOBS_FAILED = _by("jobs_failed", "Jobs that ended without a picture, by code.", "code")
JOBS_CANCELLED = _counter("jobs_cancelled", "Jobs cancelled by a person.")
JOBS_IN_FLIGHT = Gauge("easel_jobs_in_flight", "Jobs handed to fal and not ended yet.", registry=REGISTRY)
JOBS_WAITING = Gauge("easel_jobs_waiting", "Jobs waiting in our own queue.", registry=REGISTRY)
LEASES_LOST = _counter("leases_lost", "Jobs another process took over while this one still held them.")

# ---------------------------------------------------------------------- fal

#: `accepted`; `refused` for good; `unreachable`: it was never sent; `unconfirmed`: fal may or may not have it.
SubmitOutcome = Literal["accepted", "refused", "unreachable", "unconfirmed"]
SUBMITS: Mapping[str, Counter] = _each(
    _by("submits", "POSTs of a job to fal, by outcome.", "outcome"), get_args(SubmitOutcome)
)
FAL_OUT_OF_CREDIT = Gauge(
    "easel_fal_out_of_credit", "1 while fal refuses to paint because the account has no credit.", registry=REGISTRY
)
POSSIBLE_DOUBLES = _counter("possible_doubles", "Jobs submitted again although fal may have had them already.")

FalCall = Literal["submit", "stream", "poll", "result", "media", "cancel", "list", "upload"]
FAL_CALLS: Mapping[str, Counter] = _each(
    _by("fal_calls", "HTTP calls to fal, retries included, by call.", "call"), get_args(FalCall)
)

#: `accepted` and handled; `repeated`: a replay; `unhandled`: verified, but the handler failed; `refused`.
CallbackOutcome = Literal["accepted", "repeated", "unhandled", "refused"]
CALLBACKS: Mapping[str, Counter] = _each(
    _by("callbacks", "Callbacks received, by outcome.", "outcome"), get_args(CallbackOutcome)
)

# ---------------------------------------------------------------------- money

RESERVED_USD = _counter("reserved_usd", "US dollars reserved for accepted jobs, at their worst case.")
SPENT_USD = _counter("spent_usd", "US dollars that count for ended jobs, as billed or estimated.")
#: `billed`: fal told; `estimated`: it did not, or the price of the model is not known.
SettledBy = Literal["billed", "estimated"]
SETTLED: Mapping[str, Counter] = _each(
    _by("settled", "Jobs that ended with something to pay, by how its price is known.", "outcome"), get_args(SettledBy)
)
ESTIMATE_RATIO = Histogram(
    "easel_estimate_ratio",
    "What was reserved for a delivered job, over what fal billed: below 1 the estimate was too low.",
    buckets=(0.5, 0.9, 0.999, 1.001, 1.02, 1.05, 1.1, 1.25, 1.5, 2, 5, 10),
    registry=REGISTRY,
)

#: `day` and `month`: of everybody together, by UTC.
BudgetPeriod = Literal["day", "month"]
_BUDGET = Gauge(
    "easel_budget_usd",
    "The budget of everybody together; no series where there is none.",
    ("period",),
    registry=REGISTRY,
)
_BUDGET_SPENT = Gauge(
    "easel_budget_spent_usd",
    "US dollars that count against that budget, of all processes.",
    ("period",),
    registry=REGISTRY,
)
BUDGET_ALERTS = Counter(
    "easel_budget_alerts",
    "Alerts that a budget runs low, by budget (server_day, server_month, all_day, all_month) and percent spent.",
    ("budget", "percent"),
    registry=REGISTRY,
)


def show_budget(period: BudgetPeriod, bound_micros: int | None, spent_micros: int) -> None:
    """Set what everybody may spend in the running day or month, and what they have spent: millionths of a dollar."""
    _BUDGET_SPENT.labels(period).set(spent_micros / 1_000_000)
    if bound_micros is not None:
        _BUDGET.labels(period).set(bound_micros / 1_000_000)


# ---------------------------------------------------------------------- Discord

DISCORD_EDITS = _counter("discord_edits", "Messages edited on Discord.")
DISCORD_POSTS = _counter("discord_posts", "Messages posted on Discord.")
DISCORD_RATE_LIMITED = _counter("discord_rate_limited", "Answers 429 from Discord.")

# ---------------------------------------------------------------------- waiting times

INITIAL_RESPONSE_SECONDS = Histogram(
    "easel_initial_response_seconds",
    "From a command's arrival to the initial response; Discord gives up after 3 s.",
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 5),
    registry=REGISTRY,
)
FAL_DONE_TO_POSTED_SECONDS = Histogram(
    "easel_fal_done_to_posted_seconds",
    "From a picture's completion at fal to its post on Discord.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 1800),
    registry=REGISTRY,
)

#: What `exposition` is written in.
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def exposition() -> bytes:
    """Everything in Prometheus' text format."""
    return generate_latest(REGISTRY)
