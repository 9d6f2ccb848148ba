"""`python -m bot models`: the models as a table, for the terminal, the README and programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence

from bot.catalogue import Catalogue, known_prices, load, price_text
from bot.catalogue.model import Model
from bot.cli.process import OK, say
from bot.settings import Settings, load_settings


def command(options: argparse.Namespace) -> int:
    """Print the models that are offered; returns the exit code."""
    show = {"text": as_text, "markdown": as_markdown, "json": as_json}[options.format]
    say(show(offered_models(load_settings()).models))
    return OK


def offered_models(settings: Settings) -> Catalogue:
    """The models as the operator configured them.

    Raises:
        SettingsInvalid: a model file is wrong.
    """
    return load(
        folder=settings.models.folder,
        disabled=settings.models.disabled,
        prices_usd=settings.models.prices_usd,
        has_openai_key=settings.fal.openai_api_key is not None,
    )


def as_text(models: Sequence[Model]) -> str:
    """Aligned columns for a terminal."""
    rows = [("NAME", "MODEL", "PRICE", "SECONDS", "GOOD AT")]
    rows += [(one.key, _title(one), price_text(one), f"~{one.typical_s:g}", one.summary) for one in models]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    )


def as_markdown(models: Iterable[Model]) -> str:
    """A GitHub table."""
    lines = ["| Model | Name | Good at | Price | About | fal endpoint |", "| --- | --- | --- | --- | --- | --- |"]
    for one in models:
        cells = (
            _title(one),
            f"`{one.key}`",
            one.summary,
            price_text(one),
            f"{one.typical_s:g} s",
            f"`{one.endpoint}`",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def as_json(models: Iterable[Model]) -> str:
    """A list of objects."""
    rows = [
        {
            "key": one.key,
            "endpoint": one.endpoint,
            "title": one.title,
            "summary": one.summary,
            "typical_s": one.typical_s,
            "price": price_text(one),
            "price_usd": [str(usd) for usd in known_prices(one.price)],
            "price_unit": one.price.unit,
            "price_confidence": one.price.confidence,
            "price_note": one.price.note,
            "options": [option.name for option in one.offered],
            "retired": one.retired.note if one.retired else None,
            "successor": one.retired.successor if one.retired else None,
        }
        for one in models
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _title(model: Model) -> str:
    return f"{model.title} (may be retired)" if model.retired else model.title
