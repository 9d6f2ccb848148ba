from __future__ import annotations

import time

import pytest

from bot.jobs.log_progress import LogProgress, read_progress

LINES = {
    "  35%|███▌      | 7/20 [00:01<00:02, 5.1it/s]": LogProgress(0.35, 7, 20),
    "100%|██████████| 28/28 [00:04<00:00,  6.80it/s]": LogProgress(1.0, 28, 28),
    "  0%|          | 0/4 [00:00<?, ?it/s]": LogProgress(0.0, 0, 4),
    "sampling:  50%|#####     | 2/4 [00:01<00:01]": LogProgress(0.5, 2, 4),
    "7/20 [00:01<00:02, 5.1it/s]": LogProgress(0.35, 7, 20),
    "step 3/20": LogProgress(0.15, 3, 20),
    "INFO Steps: 3 of 20 done": LogProgress(0.15, 3, 20),
    "iteration 5 / 10": LogProgress(0.5, 5, 10),
    "42%": LogProgress(0.42),
    "Progress: 42.5 %": LogProgress(0.425),
    "42% complete": LogProgress(0.42),
    "  0%|  | 0/4 [\r 25%|██ | 1/4 [\r": LogProgress(0.25, 1, 4),
    "0%|  | 0/0 [": None,
    "step 30/20": None,
    "142%": None,
    "Loading pipeline components...: 100%|██████████| 7/7 [00:00<00:00]": None,
    "Downloading shards: 50%|█████     | 1/2 [00:01<00:01]": None,
    "prompt: a 100% cotton shirt, 50% off": None,
    "rated 7/10 by critics": None,
    "2024/11/20 finished": None,
    "": None,
}


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_read(line: str) -> None:
    assert read_progress([line]) == LINES[line]


def test_the_newest_of_several_lines_counts() -> None:
    assert read_progress(["step 1/4", "seed 5", "step 2/4", "saving"]) == LogProgress(0.5, 2, 4)
    assert read_progress([]) is None


def test_no_line_takes_long() -> None:
    started_at = time.process_time()
    for piece in ("a ", "1/", "%|", "step ", "9", " :"):
        read_progress([piece * 200_000])

    assert time.process_time() - started_at < 1
