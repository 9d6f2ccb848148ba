"""`python -m bot models prices`: what fal.ai takes, beside what Easel reckons with."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import aiohttp

from bot.catalogue import Model, known_prices, price_text, usd_text
from bot.catalogue.price_file import unit_meant
from bot.cli.models import offered_models
from bot.cli.process import FAILED, OK, run_async, say
from bot.errors import OperatorError, SettingsInvalid
from bot.fal.origins import resolve
from bot.fal.pricing import FalPrice, PriceList, PricesUnreadable
from bot.proxies import ProxiedConnector, Proxies
from bot.redaction import strictly
from bot.settings import Settings, load_settings
from bot.store.beside import read_beside, write_beside

Print = Callable[[str], None]

#: The name under which what was read last is kept.
KEPT_AS = "fal_prices"
#: Prices further apart than this, as a share of ours, are named.
TOLERANCE = Decimal("0.10")

_TIMEOUT = aiohttp.ClientTimeout(total=20)


@dataclass(frozen=True, slots=True)
class KeptPrices:
    """fal's prices, and when they were read."""

    read_at: datetime
    prices: tuple[FalPrice, ...]

    @property
    def date(self) -> str:
        """`2026-11-30 14:05 UTC`."""
        return f"{self.read_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"

    def to_json(self) -> str:
        """As it is kept."""
        rows = [{"endpoint": one.endpoint, "usd": str(one.usd), "unit": one.unit} for one in self.prices]
        return json.dumps({"read_at": self.read_at.isoformat(), "prices": rows})

    @classmethod
    def from_json(cls, text: str | None) -> KeptPrices | None:
        """What was kept; None where there is nothing that this version can read."""
        try:
            kept = json.loads(text or "")
            rows = [FalPrice(str(row["endpoint"]), Decimal(row["usd"]), str(row["unit"])) for row in kept["prices"]]
            return cls(datetime.fromisoformat(kept["read_at"]), tuple(rows))
        except (ValueError, TypeError, KeyError, InvalidOperation):
            return None


@dataclass(frozen=True, slots=True)
class Difference:
    """One model whose price fal states otherwise."""

    model: Model
    fal: FalPrice
    #: Whether both are for the same unit, so that fal's number can take the place of ours.
    is_same_unit: bool

    @property
    def sentence(self) -> str:
        """For the operator: `flux-schnell: fal says $0.50 per megapixel, Easel reckons with $0.003 per megapixel`."""
        ours = f"reckons with {price_text(self.model)}" if self.model.price.is_known else "knows no price"
        return f"{self.model.key}: fal says {fal_text(self.fal)}, Easel {ours}"

    @property
    def advice(self) -> str:
        """What to do about it."""
        if self.is_same_unit and self.model.price.table is None:
            return (
                f'Set "{self.model.key}" = "{self.fal.usd.normalize():f}" under [models.prices_usd] to reckon with it.'
            )
        return "A model file of your own can say how fal bills it: see `Prices` in bot/catalogue/README.md."


def command(options: argparse.Namespace) -> int:
    """Print the prices, read anew if that is wanted; returns the exit code."""
    settings = load_settings()
    work = refresh(settings, say) if options.refresh else show(settings, say)
    return run_async(work)


async def refresh(settings: Settings, write: Print, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """Read fal's prices, print and keep them; the exit code.

    Raises:
        SettingsInvalid: there is no key, or nobody who may be asked.
    """
    models = offered_models(settings).models
    try:
        prices = await read_live(settings, models)
    except PricesUnreadable as error:
        write(_unreadable(error))
        return FAILED
    kept = KeptPrices(now(), tuple(prices))
    write(as_text(models, kept))
    try:
        await write_beside(settings.database_url, KEPT_AS, kept.to_json())
    except OperatorError as error:
        write(f"\nThey could not be kept: {error.sentence}")
        return FAILED
    return OK


async def show(settings: Settings, write: Print) -> int:
    """Print the prices that were kept; the exit code."""
    write(as_text(offered_models(settings).models, await read_kept(settings.database_url)))
    return OK


async def read_live(settings: Settings, models: Iterable[Model]) -> list[FalPrice]:
    """What fal takes for these models, as it tells now.

    Raises:
        SettingsInvalid: there is no key, or nobody who may be asked.
        PricesUnreadable: fal does not tell.
    """
    api_url = resolve(settings.fal.queue_url, settings.fal.api_url).api
    if settings.fal.key is None:
        raise SettingsInvalid("fal.ai tells its prices to those who have a key. Set FAL_KEY and try again.")
    if api_url is None:
        raise SettingsInvalid(
            "`fal.queue_url` is not fal.ai's, so its key is not sent to fal.ai. Set EASEL_FAL__API_URL to have prices."
        )
    async with aiohttp.ClientSession(
        connector=ProxiedConnector(Proxies.of(settings.proxy)), timeout=_TIMEOUT
    ) as session:
        prices = PriceList(session, api_url, settings.fal.key.get_secret_value())
        return await prices.read([model.endpoint for model in models])


async def read_kept(database_url: str) -> KeptPrices | None:
    """The prices that were kept; None where there are none that can be read."""
    try:
        return KeptPrices.from_json(await read_beside(database_url, KEPT_AS))
    except OperatorError:
        return None


def differences(models: Iterable[Model], prices: Iterable[FalPrice]) -> list[Difference]:
    """The models whose price fal states otherwise, by more than `TOLERANCE` or for another unit.

    Units that Easel can't reckon by are not compared, unless it knows no price at all.
    """
    by_endpoint = {price.endpoint: price for price in prices}
    found = []
    for model in models:
        price = by_endpoint.get(model.endpoint)
        unit = unit_meant(price.unit) if price is not None else None
        if price is None or (unit is None and model.price.is_known):
            continue
        is_same_unit = unit == model.price.unit
        if not is_same_unit or not _is_near(model, price.usd):
            found.append(Difference(model, price, is_same_unit))
    return found


def _is_near(model: Model, usd: Decimal) -> bool:
    """Whether fal's price is one of ours; where options decide, fal states one of several."""
    return any(abs(usd - known) <= TOLERANCE * known for known in known_prices(model.price))


# ---------------------------------------------------------------------- text


def as_text(models: Sequence[Model], kept: KeptPrices | None) -> str:
    """Aligned columns for a terminal, and what to do where prices differ."""
    if kept is None:
        table = _table([(model.key, price_text(model)) for model in models], ("NAME", "EASEL RECKONS WITH"))
        return f"{table}\n\nfal.ai's own prices were not read yet: python -m bot models prices --refresh"
    told = {price.endpoint: price for price in kept.prices}
    apart = differences(models, kept.prices)
    named = {difference.model.key for difference in apart}
    rows = [
        (
            model.key,
            price_text(model),
            fal_text(told[model.endpoint]) if model.endpoint in told else "not told",
            "differs" if model.key in named else "",
        )
        for model in models
    ]
    lines = [_table(rows, ("NAME", "EASEL RECKONS WITH", "FAL.AI SAYS", "")), "", f"Read from fal.ai on {kept.date}."]
    for difference in apart:
        lines += ["", difference.sentence, f"    → {difference.advice}"]
    return "\n".join(lines)


def fal_text(price: FalPrice) -> str:
    """`$0.003 per megapixel`, or fal's own word for a unit that Easel can't reckon by."""
    unit = unit_meant(price.unit)
    return f"{usd_text(price.usd)} per {strictly(price.unit) if unit is None else unit.replace('_', ' ')}"


def _table(rows: Sequence[tuple[str, ...]], heads: tuple[str, ...]) -> str:
    every = [heads, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(heads))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in every
    )


def _unreadable(error: PricesUnreadable) -> str:
    if error.is_refused:
        return (
            f"fal.ai does not tell this key its prices (status {error.status}). "
            "A key with the scope API may read them; fal.ai's dashboard makes one."
        )
    if error.status is None:
        return "fal.ai could not be reached. Check this machine's network; behind a proxy, set HTTPS_PROXY."
    return f"fal.ai's price list could not be read (status {error.status}). Try again in a minute."
