"""The table `[price]` of a model file → `Price`, and whether it fits the model's options."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from bot.catalogue.model import Model, Option, OptionKind, Price, PriceTable, PriceUnit, TokenPrice
from bot.catalogue.rejections import close_matches, listed
from bot.redaction import strictly

UNITS: Final[tuple[PriceUnit, ...]] = get_args(PriceUnit)

#: The highest price of a unit, in US dollars: what is above is a slip of the pen.
MOST_USD: Final = 1000

_PER_MEGAPIXEL: Final = frozenset({"megapixel", "processed_megapixel"})
#: How the same units are written elsewhere.
_OTHER_WORDS: Final[Mapping[str, PriceUnit]] = {
    "picture": "image",
    "output megapixel": "megapixel",
    "mp": "megapixel",
    "input megapixel": "processed_megapixel",
    "sec": "second",
    "call": "request",
    "generation": "request",
}

_WORDS: Final[Mapping[str, PriceUnit]] = {unit.replace("_", " "): unit for unit in UNITS} | dict(_OTHER_WORDS)

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]


def _exact(value: object) -> object:
    # As text, so that the price does not get the binary rounding of a float.
    return str(value) if isinstance(value, float) else value


_Usd = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, le=MOST_USD, allow_inf_nan=False)]
_Amount = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0, le=100_000, allow_inf_nan=False)]
_Tokens = Annotated[int, Field(ge=0, le=10_000_000)]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _ByOptionFile(_File):
    option: _Name
    usd: dict[str, _Usd] = Field(min_length=1)


class _ByOptionsFile(_File):
    options: tuple[_Name, _Name]
    usd: dict[str, dict[str, _Usd]] = Field(min_length=1)


class _TokensFile(_File):
    input_usd: _Usd = Decimal(0)
    output_usd: _Usd = Decimal(0)
    most_per_input_picture: _Tokens = 0
    most_output: _Tokens = 0


class PriceFile(_File):
    """`[price]` as it is written."""

    usd: _Usd | None = None
    unit: str
    confidence: Literal["high", "medium", "low", "none"]
    note: str = ""
    by_option: _ByOptionFile | None = None
    by_options: _ByOptionsFile | None = None
    by_pixels: dict[Annotated[int, Field(ge=1)], _Usd] = Field(default_factory=dict)
    further_usd: _Usd | None = None
    round_up_megapixels: bool = False
    most_megapixels: _Amount | None = None
    most_input_megapixels: _Amount | None = None
    seconds_option: _Name | None = None
    most_seconds: _Amount | None = None
    fixed_usd: _Usd = Decimal(0)
    input_picture_usd: _Usd = Decimal(0)
    free_input_pictures: int = Field(0, ge=0, le=100)
    surcharges: dict[str, _Usd] = Field(default_factory=dict)
    tokens: _TokensFile | None = None

    def price(self) -> Price:
        """The value. Raises ValueError with a sentence where the unit is none that Easel knows."""
        own = {"unit", "by_option", "by_options", "by_pixels", "surcharges", "tokens"}
        plain: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields if name not in own}
        return Price(
            **plain,
            unit=_unit(self.unit),
            table=_table(self),
            by_pixels=tuple(sorted(self.by_pixels.items())),
            surcharges=MappingProxyType(self.surcharges),
            tokens=TokenPrice(**self.tokens.model_dump()) if self.tokens else None,
        )


def unit_meant(words: str) -> PriceUnit | None:
    """The unit that somebody else's words stand for, such as fal's `processed megapixels`; None where it is no such."""
    return _WORDS.get(_plain(words))


def _plain(words: str) -> str:
    return words.strip().lower().replace("_", " ").replace("-", " ").removesuffix("s")


def _unit(given: str) -> PriceUnit:
    for unit in UNITS:
        if given == unit:
            return unit
    near = unit_meant(given) or next((_WORDS[word] for word in close_matches(_plain(given), list(_WORDS))), None)
    hint = f" Did you mean `{near}`?" if near else ""
    raise ValueError(
        f"`price.unit` is `{strictly(given)}`, and Easel can't reckon by that. "
        f"It knows {listed(UNITS)}.{hint} "
        "If fal bills by something else, leave `usd` out: each picture then counts as `budget.assumed_usd_per_image`."
    )


def _table(read: PriceFile) -> PriceTable | None:
    if read.by_option and read.by_options:
        raise ValueError("`price.by_option` and `price.by_options` can't both be there: one option decides, or two do.")
    if read.by_option:
        by_one: dict[tuple[str, ...], Decimal] = {(value,): usd for value, usd in read.by_option.usd.items()}
        return PriceTable((read.by_option.option,), MappingProxyType(by_one))
    if read.by_options:
        columns = read.by_options.usd.items()
        by_two: dict[tuple[str, ...], Decimal] = {
            (one, two): usd for one, column in columns for two, usd in column.items()
        }
        return PriceTable(read.by_options.options, MappingProxyType(by_two))
    return None


# ---------------------------------------------------------------------- consistency with the model


def check_price(model: Model) -> None:
    """Check that the price fits the model. Raises ValueError with a sentence for the operator."""
    price = model.price
    _check_table(model)
    for name in price.surcharges:
        _option(model, "`price.surcharges`", name)
    if price.further_usd is not None and price.unit not in _PER_MEGAPIXEL:
        raise ValueError("`price.further_usd` is for the units `megapixel` and `processed_megapixel` only.")
    if price.unit == "processed_megapixel" and price.most_input_megapixels is None and _takes_pictures(model):
        raise ValueError(
            "`price.unit` counts the pictures given too, so `most_input_megapixels` must say how large one can be."
        )
    if price.seconds_option is not None:
        _option(model, "`price.seconds_option`", price.seconds_option)
    if price.unit == "second" and price.most_seconds is None:
        raise ValueError("`price.unit` is `second`, so `most_seconds` must say how many there are at most.")
    if price.tokens and price.tokens.output_usd and not price.tokens.most_output:
        raise ValueError("`price.tokens.output_usd` needs `most_output`: how many tokens there are at most.")


def _check_table(model: Model) -> None:
    table = model.price.table
    if table is None:
        return
    where = "`price.by_option`" if len(table.options) == 1 else "`price.by_options`"
    for position, name in enumerate(table.options):
        option = _option(model, where, name)
        strange = {values[position] for values in table.usd} - _values(option)
        if strange:
            raise ValueError(f"{where[:-1]}.usd` has `{min(strange)}`, which is no value of `{name}`.")


def _option(model: Model, where: str, name: str) -> Option:
    option = model.option(name)
    if option is None:
        raise ValueError(f"{where} names `{name}`, which is no option of this model.")
    return option


def _values(option: Option) -> set[str]:
    return {"true", "false"} if option.kind is OptionKind.BOOLEAN else set(option.choices)


def _takes_pictures(model: Model) -> bool:
    kinds = {OptionKind.PICTURE, OptionKind.PICTURES, OptionKind.CONTROLNET, OptionKind.IP_ADAPTER}
    return any(option.kind in kinds for option in model.offered)


def with_usd(price: Price, usd: Decimal) -> Price:
    """Set the operator's price per unit.

    Prices that depend on an option, a size or the first megapixel are scaled in proportion; where there is nothing to
    measure them by, the operator's price holds for all.
    """
    changed: dict[str, Any] = {"table": None, "by_pixels": (), "further_usd": None}
    if price.usd:
        factor = usd / price.usd
        table = price.table
        if table:
            scaled = {values: each * factor for values, each in table.usd.items()}
            changed["table"] = PriceTable(table.options, MappingProxyType(scaled))
        changed["by_pixels"] = tuple((pixels, each * factor) for pixels, each in price.by_pixels)
        changed["further_usd"] = None if price.further_usd is None else price.further_usd * factor
    return dataclasses.replace(price, usd=usd, confidence="high", note="Set by the operator.", **changed)
