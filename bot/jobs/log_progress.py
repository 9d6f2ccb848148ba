"""Parse percentages and step counts from the log lines of a model (mostly tqdm's)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogProgress:
    """Progress as a model logs it. `fraction` is 0..1; `step` and `steps` are set where it counts steps."""

    fraction: float
    step: int | None = None
    steps: int | None = None


#: Progress bars of preparations (loading weights and such), which reach 100 % before the job does.
_PREPARING = re.compile(r"\b(?:load|download|fetch|upload|compil|warm|safetensors|shards?)", re.I)
#: `  35%|███▌      | 7/20 [00:01<00:02, 5.1it/s]`
_TQDM = re.compile(r"\d{1,3}%\|[^|]{0,200}\|\s*(\d{1,5})/(\d{1,5})")
#: `7/20 [00:01<…` (a bar without width)
_COUNT = re.compile(r"(?<![\d/.])(\d{1,5})/(\d{1,5})\s*\[")
#: `step 3/20`, `Steps: 3 of 20`
_STEP = re.compile(r"\b(?:steps?|iter(?:ation)?s?)\s{0,3}[:=#]?\s{0,3}(\d{1,5})\s{0,3}(?:/|of)\s{0,3}(\d{1,5})\b", re.I)
#: A line that is nothing but a percentage and at most two words: `42%`, `Progress: 42.5 %`. Others may quote a prompt.
_PERCENT = re.compile(
    r"\s{0,8}(?:[a-z]{1,20}[ :]{1,3}){0,2}(\d{1,3}(?:\.\d{1,4})?)\s{0,2}%\s{0,8}(?:done|complete)?[\s.]{0,8}", re.I
)


def read_progress(lines: Iterable[str]) -> LogProgress | None:
    """The newest progress in these lines, or None. It may be lower than that of earlier lines."""
    newest: LogProgress | None = None
    for line in lines:
        # A bar is redrawn with carriage returns; only its last state counts.
        for piece in line.replace("\r", "\n").split("\n"):
            newest = _read(piece[-300:]) or newest
    return newest


def _read(line: str) -> LogProgress | None:
    if _PREPARING.search(line):
        return None
    for pattern in (_TQDM, _COUNT, _STEP):
        if (found := pattern.search(line)) is not None:
            step, steps = int(found[1]), int(found[2])
            return LogProgress(step / steps, step, steps) if steps > 0 and step <= steps else None
    if (found := _PERCENT.fullmatch(line)) is not None and float(found[1]) <= 100:
        return LogProgress(float(found[1]) / 100)
    return None
