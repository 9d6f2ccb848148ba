"""The model catalogue: model files → `Model`; raw input → `GenerationRequest` → fal's arguments."""

from __future__ import annotations

from bot.catalogue.arguments import arguments, input_pictures, picture_options, with_pictures
from bot.catalogue.autocomplete import option_completions, size_choices, style_choices
from bot.catalogue.descriptions import describe_option, option_name, value_text
from bot.catalogue.load import load
from bot.catalogue.model import (
    COMMON_ALIASES,
    OPERATOR_ONLY,
    PROMPT_TASKS,
    Model,
    Option,
    OptionKind,
    Output,
    Price,
    PriceTable,
    Retired,
    Rule,
    Task,
)
from bot.catalogue.parse import parse, with_prompt, with_seed
from bot.catalogue.price_labels import model_label, value_prices
from bot.catalogue.prices import is_well_known, known_prices, price_text, usd_text
from bot.catalogue.registry import Catalogue
from bot.catalogue.serialization import request_from_json, request_to_json

__all__ = [
    "COMMON_ALIASES",
    "OPERATOR_ONLY",
    "PROMPT_TASKS",
    "Catalogue",
    "Model",
    "Option",
    "OptionKind",
    "Output",
    "Price",
    "PriceTable",
    "Retired",
    "Rule",
    "Task",
    "arguments",
    "describe_option",
    "input_pictures",
    "is_well_known",
    "known_prices",
    "load",
    "model_label",
    "option_completions",
    "option_name",
    "parse",
    "picture_options",
    "price_text",
    "request_from_json",
    "request_to_json",
    "size_choices",
    "style_choices",
    "usd_text",
    "value_prices",
    "value_text",
    "with_pictures",
    "with_prompt",
    "with_seed",
]
