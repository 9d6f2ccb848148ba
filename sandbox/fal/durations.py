"""How long a job plausibly takes, and the progress lines its model logs meanwhile."""

from __future__ import annotations

from collections.abc import Mapping

from bot.catalogue.model import Model
from bot.domain.request import Json

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_TIERS: Mapping[str, float] = {
    "TURBO": 0.55,
    "QUALITY": 1.7,
    "low": 0.45,
    "high": 1.6,
}
#: Log lines arrive at most this often, like a runner that flushes its output.
_LINE_EVERY_S = 0.5
_FEWEST_LINES = 4


def steps(model: Model, arguments: Mapping[str, Json]) -> int | None:
    """Inference steps, or None for partner models, which log nothing."""
    option = model.option("num_inference_steps")
    if option is None:
        return None
    given = arguments.get(option.name)
    value = given if isinstance(given, int | float) else option.default
    return max(1, int(value)) if isinstance(value, int | float) else 28


def painting_s(model: Model, arguments: Mapping[str, Json], *, pixels: int, pictures: int, chance: float) -> float:
    """Plausible seconds of painting at fal's own speed. `chance` is 0..1 and spreads by ±15 %."""
    megapixels = pixels / 1_048_576
    # Models for very large pictures paint them small and enlarge them.
    area = megapixels if megapixels <= 1 else megapixels**0.5
    duration_s = model.typical_s * (0.35 + 0.65 * area) * (1 + 0.55 * (pictures - 1))
    option = model.option("num_inference_steps")
    wanted = steps(model, arguments)
    if option is not None and wanted is not None and isinstance(option.default, int):
        duration_s *= 0.25 + 0.75 * wanted / option.default
    for name in ("rendering_speed", "quality"):
        duration_s *= _TIERS.get(str(arguments.get(name)), 1.0)
    if arguments.get("acceleration") == "high":
        duration_s *= 0.7
    return duration_s * (0.85 + 0.3 * chance)


def progress(total: int, duration_s: float) -> list[tuple[float, str]]:
    """(seconds after the start, line) for a run of `total` steps, the way tqdm prints them."""
    lines = min(total, max(_FEWEST_LINES, int(duration_s / _LINE_EVERY_S)))
    painted = [round(total * number / lines) for number in range(lines + 1)]
    # The last tenth is decoding and upload: the bar is full before the job ends.
    per_step_s = duration_s * 0.9 / total
    return [(done * per_step_s, bar(done, total, done * per_step_s)) for done in painted]


def bar(done: int, total: int, elapsed_s: float) -> str:
    """One tqdm line, e.g. ` 35%|███▌      | 7/20 [00:01<00:02,  5.10it/s]`."""
    eighths = done * 80 // total
    full, part = divmod(eighths, 8)
    drawn = "█" * full + (_EIGHTHS[part] if full < 10 else "")
    if done == 0:
        rest = "?, ?it/s"
    else:
        left_s = elapsed_s / done * (total - done)
        rate = done / max(elapsed_s, 1e-6)
        speed = f"{rate:5.2f}it/s" if rate >= 1 else f"{1 / rate:5.2f}s/it"
        rest = f"{_clock(left_s)}, {speed}"
    return f"{done * 100 / total:3.0f}%|{drawn:<10}| {done}/{total} [{_clock(elapsed_s)}<{rest}]"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"
