"""Every pause, interval, time window and bound of `bot.jobs` in one value, so that tests can shorten them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class JobTimings:
    """Timeouts, intervals and concurrency bounds of the runner. Names ending in `_s` are seconds."""

    # ------------------------------------------------------------------ outages
    #: Pauses between attempts to fetch a result from fal, 15 minutes in all; short, to resume soon after an outage.
    provider_pauses_s: tuple[float, ...] = (2, 4, 8, *(15,) * 59)
    #: Pauses between attempts to write to the store while the database is unavailable; the last one repeats.
    store_pauses_s: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
    #: Pauses between submits that certainly never reached fal (connection refused, no such host), 15 minutes in all.
    unreachable_pauses_s: tuple[float, ...] = (1, 2, 4, 8, *(15,) * 59)
    #: While fal's account is out of credit: pauses between two probes, one job each; the last one repeats.
    credit_pauses_s: tuple[float, ...] = (10, 30, 60, 120, 300, 600, 900)
    #: How often a job that fal may have already asks whether it may be the next probe.
    credit_poll_s: float = 5.0
    #: How long a job waits for credit, from its acceptance on.
    credit_patience: timedelta = timedelta(hours=24)
    #: Pause after a failed claim.
    claim_again_s: float = 1.0

    # ------------------------------------------------------------------ acceptance and the initial response
    #: Timeout of the accepting transaction; Discord expects the initial response within three seconds.
    accept_within_s: float = 2.0
    #: Bounds of the retry time given to a person whose request is refused because the queue is full.
    least_retry_s: float = 30.0
    most_retry_s: float = 900.0
    #: Backpressure: other work waits while more than this many unfinished initial responses began within the window.
    backpressure_from: int = 12
    backpressure_window_s: float = 3.0
    #: How often a claim held back by backpressure checks it again, and after how many checks it goes on anyway.
    backpressure_pause_s: float = 0.02
    backpressure_pauses: int = 25
    #: How long a job waits for the initial response to its interaction (by this process) before it starts anyway.
    response_wait_s: float = 900.0
    #: How long a job waits for the initial response by another process; Discord accepts one within three seconds.
    response_elsewhere_s: float = 5.0
    #: Pauses between reads of the job's row while waiting for that; the last one repeats.
    response_looks_s: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4)
    #: How long after a failed acceptance the job is looked up, in case its COMMIT succeeded and the answer was lost.
    doubtful_s: float = 10.0
    #: Most such jobs looked up per tick.
    doubtful_a_tick: int = 20

    # ------------------------------------------------------------------ queue
    #: Most jobs claimed and not yet submitted; the others stay in the queue, where they keep their positions.
    claimed_ahead: int = 64
    #: Of these, so many do not count while their attachments are prepared, or wait for that: others need not wait.
    most_preparing: int = 500
    #: Queue positions read per tick: of this many jobs at the front, and of as many of the rest in rotation.
    positions_a_tick: int = 100
    #: Where several processes share the database: positions read in one batch, and the pause between two batches.
    positions_at_once: int = 20
    position_pause_s: float = 0.25
    #: How long after it was read a queue position may still be shown, where another process may claim the job.
    position_valid_s: float = 1.5
    #: Delay of the final message after a claim from a shared queue, so that a queue-position edit by another process
    #: cannot overwrite it. Longer than `position_valid_s` by what an edit may take once it is sent.
    quiet_s: float = 2.0
    #: Least time between two reloads of the queue after empty claims, while concurrency caps can explain those.
    reload_queue_s: float = 10.0

    # ------------------------------------------------------------------ sharing the processor
    #: AdaptiveSemaphore: an event loop iteration longer than the first means a busy processor; pause before measuring
    #: again.
    busy_round_s: float = 0.002
    busy_look_s: float = 0.004

    # ------------------------------------------------------------------ submit
    #: Concurrent submits: while the processor is the bottleneck, and at most.
    few_submits: int = 5
    most_submits: int = 32
    #: How long fal's list is searched after a submit that fal answered with an error (most likely it kept no request),
    #: by how many such errors the job had in a row; the last one repeats while fal refuses every job's.
    refused_waits_s: tuple[float, ...] = (6.0, 12.0, 20.0, 30.0)
    #: This many jobs refused, and none accepted meanwhile, count as an outage of fal: they are retried, not failed.
    outage_jobs: int = 3
    #: A search this much longer than planned, because fal's list could not be read, counts as an outage as well.
    blind_s: float = 10.0
    #: Submits of one job without an answer, none of which fal's list shows, after which the job fails.
    most_lost_submits: int = 3
    #: Submits of one job at most, over all processes, so that a job that crashes the bot does not do so for ever.
    most_attempts: int = 20

    # ------------------------------------------------------------------ reconcile
    #: Pauses between two reads of fal's request list; the last one repeats.
    list_pauses_s: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
    #: fal's clock and ours may differ by this much.
    clock_difference: timedelta = timedelta(minutes=2)
    #: The difference assumed for the last read before a new submit, in case one of the clocks is an hour wrong.
    wrong_clock: timedelta = timedelta(minutes=65)
    #: How long the list must be readable again before a missing request counts as absent: a request that an outage
    #: delayed may arrive at its end.
    after_blind_s: float = 5.0
    #: How long one read of the list waits for the answers to other submits with identical arguments.
    equal_submits_s: float = 5.0

    #: Pauses between reads of that list at the end of a job that was sent again, to find what was painted twice.
    doubles_pauses_s: tuple[float, ...] = (1.0, 3.0)

    # ------------------------------------------------------------------ doubts of jobs that have ended
    #: How often it is looked whether fal's list tells of some by now, and of how many at once.
    doubts_poll_s: float = 10.0
    doubts_at_once: int = 100
    #: Where the list can't be read: pause until it is read again, and how long that goes on; then the worst case stays.
    doubts_again_s: float = 60.0
    doubts_patience: timedelta = timedelta(hours=20)

    # ------------------------------------------------------------------ watch
    #: A callback is overdue after this multiple of the expected duration, and after no less than this many seconds.
    callback_patience: float = 2.0
    least_callback_wait_s: float = 15.0
    #: Most overdue jobs polled at once (probes) while callbacks arrive, and when the others ask for a probe again.
    probes: int = 32
    probe_again_s: float = 30.0
    #: How long after the end of a probe its callback may still arrive before it counts as missed.
    callback_late_s: float = 10.0
    #: Least time a job is watched, also when it is resumed after its deadline.
    least_watch_s: float = 60.0
    #: Jobs whose progress is published before control returns to the event loop once.
    published_at_once: int = 200
    #: Most durations stored per tick; enough to learn from.
    durations_a_tick: int = 10

    # ------------------------------------------------------------------ cancel
    #: How often a process reads the cancel requests that other processes stored for its jobs.
    cancel_poll_s: float = 1.0
    #: How long a process that stored such a request waits for the job to end, and how often it reads the row meanwhile.
    cancel_elsewhere_s: float = 5.0
    cancel_look_s: float = 0.2
    #: Pauses between looks at what fal billed for a request that was just cancelled there; then its job
    #: is watched until fal has ended it.
    cancel_bill_pauses_s: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)
    #: The same for one that we gave up on, while nobody waits for it.
    last_bill_pauses_s: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8, 1.5, 3, 5, 10, 10)

    # ------------------------------------------------------------------ delivery
    #: How long a result that waits for room is left at fal, which keeps one for an hour, a large one for some minutes.
    unread_s: float = 60.0
    #: Most jobs that wait for room and are kept in memory, some 3 KB each; of the others only their rows are left.
    waiting_in_memory: int = 2_000
    #: Concurrent result reads, and concurrent downloads with posts, while the processor is the bottleneck.
    few_deliveries: int = 5
    #: Most concurrent result reads.
    most_results: int = 32
    #: Most concurrent downloads with posts; memory is bounded by `fal.pictures_in_hand_mib`.
    most_deliveries: int = 64
    #: How long a repair waits for the other process to end the job, and how often it reads the row meanwhile.
    repair_within_s: float = 120.0
    repair_pause_s: float = 0.5

    # ------------------------------------------------------------------ leases, start and stop
    #: Duration of a lease: how long a process that hangs or dies keeps its jobs from others that share the database.
    #: Those look for expired leases every third of it, so every job is adopted after at most 16 s.
    lease_s: float = 12.0
    #: Jobs adopted in one transaction.
    adopted_at_once: int = 100
    #: Least downtime after which progress messages say that the bot has resumed the job.
    noticeable_stop_s: float = 15.0
    #: While there are jobs, the store's `alive_at` is updated this often.
    note_alive_s: float = 5.0
    #: How long after a start a restart is given as the reason why a job waits.
    just_started: timedelta = timedelta(seconds=60)
    #: How long a shutdown waits for submits and posts under way.
    drain_s: float = 4.0
