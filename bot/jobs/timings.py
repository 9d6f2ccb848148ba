"""Every pause, interval, window and bound of `bot.jobs` in one value, so that tests can be less patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class JobTimings:
    """How patient the runner is, and how much it does at once. Names ending in `_s` are seconds."""

    # ------------------------------------------------------------------ outages
    #: Pauses between tries to fetch what fal has finished, 15 minutes in all; short, so that an outage is soon over.
    provider_pauses_s: tuple[float, ...] = (2, 4, 8, *(15,) * 59)
    #: Pauses between tries to put on record what has happened, while the database is away; the last one repeats.
    store_pauses_s: tuple[float, ...] = (0.1, 0.2, 0.5, 1.0, 2.0, 3.0)
    #: Pauses between submits that certainly never left (connection refused, no such host), 15 minutes in all.
    unreachable_pauses_s: tuple[float, ...] = (1, 2, 4, 8, *(15,) * 59)
    #: After a failed claim.
    claim_again_s: float = 1.0

    # ------------------------------------------------------------------ acceptance and the initial response
    #: A person is told after this long that the database does not take their request; Discord waits for three seconds.
    accept_within_s: float = 2.0
    #: A person who is turned away because too much waits is told to come back after this long at least, and at most.
    least_retry_s: float = 30.0
    most_retry_s: float = 900.0
    #: So many initial responses under way hold back everything else, for as long as the newest of them is younger.
    backpressure_from: int = 12
    backpressure_window_s: float = 3.0
    #: How often a claim that makes room for initial responses looks again, and how often before it goes on anyway.
    backpressure_pause_s: float = 0.02
    backpressure_pauses: int = 25
    #: How long a job waits for the initial response to its interaction before it starts anyway.
    response_wait_s: float = 900.0
    #: How long after another process accepted a job its response may still be under way: Discord takes it for 3 s.
    response_elsewhere_s: float = 5.0
    #: Pauses between looks whether that response is on record; the last one repeats.
    response_looks_s: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4)
    #: A request that the database refused is looked up so long after, should its COMMIT have succeeded nevertheless.
    doubtful_s: float = 10.0
    #: Such requests looked up at every tick, at most.
    doubtful_a_tick: int = 20

    # ------------------------------------------------------------------ queue
    #: Most jobs claimed that have not been sent to fal yet; the others keep their positions in the queue.
    claimed_ahead: int = 64
    #: Positions in the queue looked up at every tick, of those in front and once more of the rest.
    positions_a_tick: int = 100
    #: Where several processes share the queue: positions looked up at once, and the pause between two such looks.
    positions_at_once: int = 20
    position_pause_s: float = 0.25
    #: Where another process may claim a job at any moment, a position shown is valid for so long after it was read.
    position_valid_s: float = 1.5
    #: A job that was taken from such a queue is shown how it ended only after so long: by then no edit of a position
    #: by another process can follow. Longer than `position_valid_s` by what an edit may take after it was sent.
    quiet_s: float = 2.0
    #: How long the store's word on what waits is good while caps may be what keeps a claim from finding anything.
    reload_queue_s: float = 10.0

    # ------------------------------------------------------------------ sharing the processor
    #: A round of the event loop that takes longer shows that the processor is busy; then it is looked at again later.
    busy_round_s: float = 0.002
    busy_look_s: float = 0.004

    # ------------------------------------------------------------------ submit
    #: Submits under way at once while the processor is the bottleneck, and at most.
    few_submits: int = 5
    most_submits: int = 32
    #: How long a request is looked for that fal itself answered with an error (most likely there is none); the last
    #: one repeats while fal refuses everybody's.
    refused_waits_s: tuple[float, ...] = (6.0, 12.0, 20.0, 30.0)
    #: So many jobs refused, and none taken meanwhile, are an outage of fal: no reason to fail them.
    outage_jobs: int = 3
    #: So much longer than a refused request is looked for, where fal's list can't be read either, shows one as well.
    blind_s: float = 10.0
    #: Submits whose answers were lost, without fal seeming to have any, before the person is told.
    most_lost_submits: int = 3
    #: The same with processes that died in the middle of them; a job that kills the bot must not do so for ever.
    most_attempts: int = 20

    # ------------------------------------------------------------------ reconcile
    #: Pauses between two looks at fal's list of requests; the last one repeats.
    list_pauses_s: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
    #: fal's clock and ours may differ by this much.
    clock_difference: timedelta = timedelta(minutes=2)
    #: And by this much where one of them is wrong; the last look reaches so far, before anything is sent again.
    wrong_clock: timedelta = timedelta(minutes=65)
    #: After a time in which the list could not be read, it must say for so long that a request is not there: what an
    #: outage held up may arrive with its end.
    after_blind_s: float = 5.0
    #: How long one look waits for submits of the very same request to be answered.
    equal_submits_s: float = 5.0

    # ------------------------------------------------------------------ watch
    #: A callback is waited for this many times the usual duration before fal is watched, and at least so long.
    callback_patience: float = 2.0
    least_callback_wait_s: float = 15.0
    #: Overdue jobs that are watched while callbacks arrive, and how soon one that is not asks again.
    probes: int = 32
    probe_again_s: float = 30.0
    #: How much later than the end itself its callback may arrive.
    callback_late_s: float = 10.0
    #: A job found after its deadline (a long stop) is still watched for this long.
    least_watch_s: float = 60.0
    #: Jobs whose progress is published in one go; the event loop turns in between.
    published_at_once: int = 200
    #: Durations written down at every tick, at most; enough to learn from.
    durations_a_tick: int = 10

    # ------------------------------------------------------------------ cancel
    #: How often a process looks whether its jobs were cancelled at another one, and how long that one waits for it.
    cancel_poll_s: float = 1.0
    cancel_elsewhere_s: float = 5.0
    cancel_look_s: float = 0.2

    # ------------------------------------------------------------------ delivery
    #: How long a result that waits for room is left with fal; fal keeps one for an hour, a large one for some minutes.
    unread_s: float = 60.0
    #: Results read, and pictures fetched and posted, at once while the processor is the bottleneck.
    few_deliveries: int = 5
    #: Most results read at once.
    most_results: int = 32
    #: Most downloads and posts under way at once.
    most_deliveries: int = 64
    #: How long another process is waited for before what it showed is shown again, and how often that is looked for.
    repair_within_s: float = 120.0
    repair_pause_s: float = 0.5

    # ------------------------------------------------------------------ leases, start and stop
    #: How long a process that hangs or dies keeps its jobs from others that share the database. They look every third
    #: of it, so that all it held is taken up again after at most 16 s.
    lease_s: float = 12.0
    #: Jobs taken over from another process in one go.
    adopted_at_once: int = 100
    #: After a stop of this length people are told of the restart.
    noticeable_stop_s: float = 15.0
    #: While jobs are under way it is noted this often that somebody looks after them.
    note_alive_s: float = 5.0
    #: How long after a start that is a reason to wait.
    just_started: timedelta = timedelta(seconds=60)
    #: How long a shutdown waits for submits and posts under way.
    drain_s: float = 4.0
