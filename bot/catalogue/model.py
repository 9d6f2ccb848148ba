"""Models and their options, as values. `load.py` reads them from TOML, `parse.py` validates requests against them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from bot.catalogue.folding import SEPARATOR
from bot.domain.request import Json


class OptionKind(StrEnum):
    """The kinds of options; `kinds.py` has exactly one parser for each."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    SIZE = "size"  # preset name or {width, height}
    TEXTS = "texts"  # list<string>
    PICTURE = "picture"  # one image URL (an attachment or an https link)
    PICTURES = "pictures"  # list of image URLs
    COLOURS = "colours"  # list<RGBColor>
    PALETTE = "palette"  # ideogram's ColorPalette: a name or members
    LORAS = "loras"  # list<LoraWeight>
    CONTROLNET = "controlnet"
    IP_ADAPTER = "ip_adapter"


class Task(StrEnum):
    """What a model is for; each command offers the models of certain tasks."""

    TEXT_TO_IMAGE = "text-to-image"
    EDIT = "edit"  # a picture and words → the changed picture
    INPAINT = "inpaint"  # a picture, a mask and words → the masked part repainted
    REFRAME = "reframe"  # a picture → the same in another aspect ratio, extended at its edges
    UPSCALE = "upscale"
    CUT_OUT = "cut-out"  # a picture → its subject without the background
    DESCRIBE = "describe"  # a picture → words
    VIDEO = "video"


#: Tasks that the fields of /imagine and /compose suffice for: a prompt, a picture, a mask.
PROMPT_TASKS = frozenset({Task.TEXT_TO_IMAGE, Task.INPAINT})


@dataclass(frozen=True, slots=True)
class Option:
    """One parameter of one model, as fal names it."""

    #: fal's parameter name, e.g. `num_inference_steps`.
    name: str
    kind: OptionKind
    #: One sentence shown to people, ≤ 100 characters (Discord's description limit).
    description: str
    required: bool = False
    #: Default, in the form fal takes; None leaves it to fal.
    default: Json = None
    minimum: float | None = None
    maximum: float | None = None
    #: Allowed values (CHOICE) or preset names (SIZE).
    choices: tuple[str, ...] = ()
    max_items: int | None = None
    #: Set by the operator only: never offered to, nor accepted from, a person.
    operator_only: bool = False
    #: Bounds for a custom {width, height} (SIZE only), in pixels.
    min_side_px: int | None = None
    max_side_px: int | None = None
    min_pixels: int | None = None
    max_pixels: int | None = None
    #: False where the model takes the listed choices only (presets, ratios such as `16:9`, pixels such as `1024x1536`).
    custom_size: bool = True
    #: The name by which people set it on every model (`steps`, `size`, …; see COMMON_ALIASES), or None.
    alias: str | None = None
    #: Found only in newer versions of fal's documents: sent only if the person gives it.
    send_only_if_given: bool = False
    #: Most characters of a TEXT, or of one of TEXTS.
    max_length: int | None = None
    #: Regular expression that each of TEXTS must match as a whole, and its description for people.
    pattern: str | None = None
    pattern_says: str = ""
    #: Keys that each entry may have (LORAS only).
    fields: tuple[str, ...] = ()
    #: Name of another option of the model. If the person gives that one, this option's default is not sent: a control
    #: image determines the size, unless the person gives a size too.
    default_unless: str | None = None

    @property
    def label(self) -> str:
        """The name shown to people: the alias, or fal's name without one."""
        return self.alias or self.name


#: Aliases with the same meaning on every model, in the order of /imagine's fields.
COMMON_ALIASES = ("size", "count", "seed", "negative_prompt", "style", "steps", "guidance", "image", "mask")

#: fal's parameters that only the operator sets; a model file can't offer them to people.
OPERATOR_ONLY = frozenset({"sync_mode", "enable_safety_checker", "openai_api_key"})


@dataclass(frozen=True, slots=True)
class Rule:
    """A constraint on several options of one model.

    `exclusive`: at most one of them may be given. `ordered`: their values must not decrease.
    `product`: their product must not exceed `maximum`.
    """

    kind: Literal["exclusive", "ordered", "product"]
    options: tuple[str, ...]
    maximum: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What a model's result JSON contains."""

    pictures: Literal["image", "file"]
    seed: bool = False
    timings: bool = False
    has_nsfw_concepts: bool = False
    usage: bool = False


#: What a price is for: each picture painted; each megapixel of those; each megapixel of the pictures painted and given;
#: each second; the whole request.
PriceUnit = Literal["image", "megapixel", "processed_megapixel", "second", "request"]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by the values of one option (ideogram v3: rendering_speed) or two (gpt-image: quality and size)."""

    #: fal's names of the options.
    options: tuple[str, ...]
    #: USD per unit for one value of each option, as text and in the order of `options`.
    usd: Mapping[tuple[str, ...], Decimal]


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What a request's tokens cost besides. A prompt has at most as many tokens as bytes."""

    #: USD per million tokens of the prompt and of the pictures given.
    input_usd: Decimal = Decimal(0)
    #: USD per million tokens that the model makes.
    output_usd: Decimal = Decimal(0)
    #: The most tokens that one picture given, and one picture (or answer) made, can have.
    most_per_input_picture: int = 0
    most_output: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """What fal charges for a model, as far as known.

    `usd` is per `unit`. Where a table or sizes decide, it is the price of what they do not list; None: unlisted values
    cost what the dearest listed one does. Without any of them the price is unknown.
    """

    usd: Decimal | None
    unit: PriceUnit
    confidence: Literal["high", "medium", "low", "none"]
    note: str = ""
    table: PriceTable | None = None
    #: (most pixels of a picture, USD per unit), ascending; larger pictures cost what the last one does.
    by_pixels: tuple[tuple[int, Decimal], ...] = ()
    #: USD for each megapixel after a picture's first, where that is cheaper.
    further_usd: Decimal | None = None
    round_up_megapixels: bool = False
    #: The most megapixels of one picture painted, and of one given, where no option tells.
    most_megapixels: Decimal | None = None
    most_input_megapixels: Decimal | None = None
    #: The option that says how many seconds, and how many there are at most where it does not.
    seconds_option: str | None = None
    most_seconds: Decimal | None = None
    #: USD per request besides.
    fixed_usd: Decimal = Decimal(0)
    #: USD for each picture given besides, after the first so many.
    input_picture_usd: Decimal = Decimal(0)
    free_input_pictures: int = 0
    #: Extra USD per request when a boolean option is on, e.g. {"enable_prompt_expansion": Decimal("0.0025")}.
    surcharges: Mapping[str, Decimal] = field(default_factory=dict)
    tokens: TokenPrice | None = None

    @property
    def is_known(self) -> bool:
        """Whether anything is known of it."""
        return self.usd is not None or self.table is not None or bool(self.by_pixels)


@dataclass(frozen=True, slots=True)
class Retired:
    """The endpoint is no longer among fal's published types; it may answer 404."""

    note: str
    #: Endpoint id of the model to offer instead, or None.
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """One fal endpoint."""

    #: fal's endpoint id, e.g. `fal-ai/flux-1/schnell`: the primary key everywhere.
    endpoint: str
    #: Short name that people type and custom_ids contain, `[a-z0-9-]{1,32}`, e.g. `flux-schnell`.
    key: str
    #: Name shown to people, e.g. `FLUX.1 schnell`.
    title: str
    #: What it is good at, one sentence ≤ 100 characters.
    summary: str
    #: Typical seconds for one picture; the estimate until past jobs give a better one.
    typical_s: float
    options: tuple[Option, ...]
    output: Output
    price: Price
    #: The option that sets the size (`image_size` or `aspect_ratio`), or None.
    size_option: str | None
    retired: Retired | None = None
    #: False: fal must not store the payload, because it contains a secret.
    store_payload: bool = True
    rules: tuple[Rule, ...] = ()
    task: Task = Task.TEXT_TO_IMAGE
    #: What it is good at, in words that people search by: `text`, `photo`, `cheap`, …
    tags: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How autocomplete shows it: title and summary."""
        return f"{self.title}{SEPARATOR}{self.summary}"

    @property
    def takes_prompt(self) -> bool:
        """Whether the model takes a prompt; False for one that works from a picture alone."""
        return self.option("prompt") is not None

    @property
    def has_styles(self) -> bool:
        """Whether people can choose a style."""
        return any(option.alias == "style" for option in self.offered)

    @property
    def needs(self) -> tuple[Option, ...]:
        """The options, besides the prompt, without which it refuses every request."""
        return tuple(option for option in self.offered if option.required and option.name != "prompt")

    @property
    def paints_from_words(self) -> bool:
        """Whether a prompt alone is enough. Only such a model can be a default, or every plain /imagine would fail."""
        return self.takes_prompt and not self.needs

    def option(self, name: str) -> Option | None:
        """The option fal calls `name`, or None."""
        for option in self.options:
            if option.name == name:
                return option
        return None

    @property
    def offered(self) -> tuple[Option, ...]:
        """The options that a person may set, in the order of the model file."""
        return tuple(option for option in self.options if not option.operator_only)
