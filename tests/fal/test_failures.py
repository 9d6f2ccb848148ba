"""Whoever is to blame is named: the prompt, a picture, a LoRA, the account at OpenAI, the model; in many wordings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.errors import (
    BalanceExhausted,
    ContentRefused,
    GenerationFailed,
    KeyRefused,
    ModelGone,
    OptionsRefused,
    PartnerAccountRefused,
    PartnerBusy,
    ProviderError,
)
from bot.fal.failures import ModelLabel, failure_of
from bot.fal.http import HttpResponse
from tests.english import english

LABEL = ModelLabel("Model One", "fal-ai/model-one")
OPENAI = ModelLabel("GPT Image 1", "fal-ai/gpt-image-1/text-to-image/byok")


def failure(detail: Any, status: int = 422, label: ModelLabel = LABEL) -> GenerationFailed | None:
    body = detail if isinstance(detail, dict) else {"detail": detail}
    return failure_of(HttpResponse(status, {}, json.dumps(body).encode()), label)


def entry(kind: str, *loc: object, msg: str = "", **context: Any) -> list[dict[str, Any]]:
    return [
        {"loc": ["body", *loc], "type": kind, "msg": msg, "input": "SECRET", **({"ctx": context} if context else {})}
    ]


# ---------------------------------------------------------------------- content policies

PROMPT_REFUSED = [
    "Your request was rejected as a result of our safety system. Your prompt may contain text that is not allowed.",
    "Prompt provided failed safety check due to the inclusion of prohibited content.",
    "The prompt could not be submitted. It contains sensitive words that violate Google's Responsible AI practices.",
    "The request failed because the input text may contain sensitive information.",
    "Input text may contain inappropriate content.",
    "Your prompt was flagged by our moderation system.",
    "The prompt contains prohibited words",
    "This prompt has been blocked. It may violate our usage guidelines.",
    "Prompt contains banned words: ***",
    "Your text violates our community standards",
]
REQUEST_REFUSED = [
    "This content may contain inappropriate content",
    "Content Moderated",
    "Request Moderated",
    "prohibited content",
    "moderation_blocked",
    "DataInspectionFailed",
    "Failure to pass the risk control system",
    "Possible NSFW content detected",
    "Blocked by content filter",
    "Unsafe content was found",
    "Your request violates our acceptable use policy.",
    "It may infringe on copyright",
    "输入内容包含敏感信息",
]
PICTURE_REFUSED = [
    "Your input image may contain content that is not allowed by our safety system",
    "The uploaded image was flagged as inappropriate",
    "Image provided failed safety check due to the inclusion of prohibited content",
    "InputImageSensitiveContentDetected.PrivacyInformation",
    "The reference image contains explicit content",
]
RESULT_REFUSED = [
    "All images were filtered out because they violated our usage guidelines; the generated images are not shown.",
    "OutputImageSensitiveContentDetected",
    "Output data may contain inappropriate content.",
    "The generated image was flagged as unsafe",
]


@pytest.mark.parametrize("status", [400, 403, 422, 500])
@pytest.mark.parametrize(
    ("what", "words"),
    [
        *(("prompt", words) for words in PROMPT_REFUSED),
        *(("request", words) for words in REQUEST_REFUSED),
        *(("picture", words) for words in PICTURE_REFUSED),
        *(("result", words) for words in RESULT_REFUSED),
    ],
)
def test_a_partners_words_for_a_policy_are_understood(what: str, words: str, status: int) -> None:
    for detail in (words, entry("value_error", msg=words), {"error": {"message": words, "code": None}}):
        refused = failure(detail, status)
        assert isinstance(refused, ContentRefused), detail
        assert refused.what == what, detail
        assert refused.worth_retrying == (what == "result")


@pytest.mark.parametrize(
    ("loc", "said"),
    [
        (("prompt",), "refused this prompt"),
        (("negative_prompt",), "refused this prompt"),
        (("image_url",), "refused the picture given as `image_url`"),
        (("image_urls", 1), "refused picture 2 of those given as `image_urls`"),
        (("image_urls[2]",), "refused picture 3 of those given as `image_urls`"),
        (("reference_image_urls", 0), "refused picture 1 of those given as `reference_image_urls`"),
        (("mask_url",), "refused the mask"),
        ((), "refused this request"),
    ],
)
def test_a_flagged_picture_is_named(loc: tuple[object, ...], said: str) -> None:
    flagged = "The content could not be processed because it contained material flagged by a content checker."
    refused = failure(entry("content_policy_violation", *loc, msg=flagged))
    assert isinstance(refused, ContentRefused)
    assert said in english(refused)


@pytest.mark.parametrize(
    "words",
    [
        "Image format not allowed, unsupported content type",
        "content-type image/avif is not allowed",
        "Input should be a valid integer",
        "String should have at most 2000 characters",
        "The image resolution is restricted to 16 megapixels",
    ],
)
def test_a_technical_refusal_is_no_policy(words: str) -> None:
    assert isinstance(failure(words), OptionsRefused)
    assert isinstance(failure(entry("value_error", "seed", msg=words)), OptionsRefused)


def test_a_prompt_that_fal_quotes_in_a_validation_error_decides_nothing() -> None:
    quoted = entry("string_too_long", "prompt", msg="nsfw content detected violates our policy", max_length=5)
    assert isinstance(failure(quoted), OptionsRefused)


# ---------------------------------------------------------------------- accounts

OPENAI_SAYS = {
    "Your organization must be verified to use the model `gpt-image-1`. Please go to: "
    "https://platform.openai.com/settings/organization/general and click on Verify Organization.": "verified",
    "Incorrect API key provided: sk-proj-****abcd. You can find your API key at https://platform.openai.com": "key",
    "Invalid OpenAI API key": "key",
    "The OpenAI API key has been revoked": "key",
    "You exceeded your current quota, please check your plan and billing details.": "no credit",
    "Billing hard limit has been reached": "no credit",
    "insufficient_quota": "no credit",
    "OpenAI: your account is not active, please check your billing details on our website.": "no credit",
    "You must be a member of an organization to use the OpenAI API": "may not use this model",
    "The model `gpt-image-1` does not exist or you do not have access to it. (openai)": "may not use this model",
    "OpenAI: Country, region, or territory not supported": "may not use this model",
}


@pytest.mark.parametrize("status", [400, 401, 403, 422, 429, 500])
@pytest.mark.parametrize("words", OPENAI_SAYS)
def test_trouble_with_the_account_at_openai_is_the_operators(words: str, status: int) -> None:
    for detail in (words, entry("downstream_service_error", msg=words), {"error": {"message": words, "code": "x"}}):
        refused = failure(detail, status, OPENAI)
        assert isinstance(refused, PartnerAccountRefused), detail
        assert OPENAI_SAYS[words] in english(refused)
        assert "OpenAI" in english(refused)
        assert "sk-" not in english(refused)


@pytest.mark.parametrize("words", ["", "Invalid value", "This key was refused", "missing"])
def test_an_error_at_the_key_is_never_a_persons(words: str) -> None:
    refused = failure(entry("value_error", "openai_api_key", msg=words), 422, OPENAI)
    assert isinstance(refused, PartnerAccountRefused)
    assert "openai_api_key" not in english(refused)


@pytest.mark.parametrize(
    "words",
    [
        "Rate limit reached for gpt-image-1 in organization org-x on images per min (IPM): Limit 5. "
        "Visit https://platform.openai.com/account/billing to add a payment method.",
        "rate_limit_exceeded",
        "429: Too Many Requests",
    ],
)
def test_a_rate_limit_at_openai_asks_for_patience(words: str) -> None:
    refused = failure(words, 429, OPENAI)
    assert isinstance(refused, PartnerBusy)
    assert refused.worth_retrying


@pytest.mark.parametrize("label", [LABEL, OPENAI])
@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        (
            "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
            403,
            BalanceExhausted,
        ),
        ("No user found for Key ID and Secret", 401, KeyRefused),
        ("Unauthorized", 401, KeyRefused),
        ("Forbidden", 403, KeyRefused),
        ("Payment required", 402, BalanceExhausted),
    ],
)
def test_fals_own_account_stays_fals(words: str, status: int, error: type, label: ModelLabel) -> None:
    assert type(failure(words, status, label)) is error


def test_another_models_quota_is_no_account_of_ours() -> None:
    assert isinstance(failure(entry("downstream_service_error", msg="quota exceeded"), 400), ProviderError)


# ---------------------------------------------------------------------- files and values

FILES: dict[str, tuple[Any, str]] = {
    "a LoRA in a list": (
        entry("file_download_error", "loras", 0, "path"),
        "`loras.path` (number 1): the LoRA could not be fetched",
    ),
    "a LoRA in one string": (
        entry("file_download_error", "loras[1].path"),
        "(number 2): the LoRA could not be fetched",
    ),
    "a LoRA by itself": (entry("file_download_error", "lora_url"), "`lora_url`: the LoRA could not be fetched"),
    "weights": (entry("file_download_error", "model_weights"), "the LoRA could not be fetched"),
    "a picture": (entry("file_download_error", "image_url"), "`image_url`: the picture could not be fetched"),
    "one of several pictures": (
        entry("image_load_error", "image_urls", 2),
        "`image_urls` (number 3): the picture could not be read",
    ),
    "a mask": (entry("file_download_error", "mask_url"), "`mask_url`: the mask could not be fetched"),
    "a ControlNet": (entry("file_download_error", "controlnet", "path"), "the ControlNet could not be fetched"),
    "a ControlNet's picture": (
        entry("image_load_error", "controlnet", "control_image_url"),
        "the picture could not be read",
    ),
    "some other file": (entry("file_download_error", "audio_url"), "the file could not be fetched"),
    "a type that is new": (
        entry("lora_fetch_problem", "loras", 0, msg="Failed to download it"),
        "the LoRA could not be",
    ),
    "the words alone, LoRA": ("Failed to download LoRA weights from https://SECRET", "the LoRA could not be fetched"),
    "the words alone, file name": ("Unable to load x.safetensors SECRET", "the LoRA could not be read"),
    "the words alone, mask": ("Could not load mask image from url: SECRET", "the mask could not be read"),
    "the words alone, picture": ("Could not load image from url: SECRET", "the picture could not be read"),
    "the words alone, decoder": (
        "cannot identify image file <_io.BytesIO object at 0x7f>",
        "the picture could not be read",
    ),
    "a format": (
        entry("unsupported_image_format", "image_url", supported_formats=["png", "jpeg"]),
        "must be one of `png`, `jpeg`",
    ),
    "a format without a list": (
        entry("unsupported_image_format", "image_url"),
        "a format that the model does not take",
    ),
    "a size in bytes": (entry("file_too_large", "image_url", max_size=10485760), "must be at most 10 MiB"),
    "a size in digits": (entry("file_too_large", "image_url", max_size="5242880"), "must be at most 5 MiB"),
    "a size in words": (entry("file_too_large", "image_url", max_size="20MB"), "must be at most 20 MiB"),
    "a small size": (entry("file_too_large", "mask_url", max_size=51200), "must be at most 50 KiB"),
    "pixels": (entry("image_too_large", "image_url", max_width=4096, max_height=4096), "at most 4,096 pixels wide"),
    "masks of another size": (
        "Mask and image must have the same dimensions",
        "the mask and the picture must have the same",
    ),
    "underscores": (
        entry("one_of", "image_size", expected=["square_hd", "portrait_4_3"]),
        "must be one of `square_hd`, `portrait_4_3`",
    ),
    "Pydantic's words": (
        entry("enum", "acceleration", expected="'none', 'regular' or 'very_high'"),
        "must be one of `none`, `regular`, `very_high`",
    ),
    "numbers": (entry("one_of", "steps", expected=[4, 8]), "must be one of `4`, `8`"),
    "a list": (entry("too_long", "image_urls", max_length=3, actual_length=5), "must be at most 3 in number"),
    "a text": (entry("string_too_long", "prompt", max_length=2000), "must be at most 2,000 characters long"),
    "a long prompt": ("Prompt is too long: maximum length is 400 tokens", "the prompt is too long"),
    "no place at all": (entry("value_error", msg="SECRET"), "does not say which"),
    "only the body": (entry("missing"), "does not say which"),
}


@pytest.mark.parametrize("case", FILES)
def test_what_was_not_accepted_is_named_in_words(case: str) -> None:
    detail, said = FILES[case]
    refused = failure(detail)
    assert isinstance(refused, OptionsRefused)
    assert said in english(refused)
    assert "SECRET" not in english(refused)
    assert "bytes" not in english(refused)
    assert "body" not in english(refused)


@pytest.mark.parametrize("expected", [["a", {"b": 1}], ["`x`"], ["@everyone"], "<@1>", 5, ["x" * 90], [None]])
def test_choices_that_are_no_plain_words_are_not_repeated(expected: Any) -> None:
    refused = failure(entry("one_of", "style", expected=expected))
    assert refused is not None
    assert "`style`: not accepted" in english(refused)


# ---------------------------------------------------------------------- models that are gone


@pytest.mark.parametrize(
    ("words", "status", "instead"),
    [
        ("Path /model-one not found", 404, None),
        ("Application 'model-one' not found", 404, None),
        ("This model has been deprecated. Try fal-ai/model-two instead.", 404, "fal-ai/model-two"),
        ("This endpoint is no longer supported, please use fal-ai/model/v2/pro.", 422, "fal-ai/model/v2/pro"),
        ("Model discontinued. Switch to `bytedance/seedream-5`", 400, "bytedance/seedream-5"),
        ("The application is deprecated", 403, None),
        ("gone", 410, None),
    ],
)
def test_a_model_that_is_gone_is_told_by_its_title(words: str, status: int, instead: str | None) -> None:
    gone = failure(words, status)
    assert isinstance(gone, ModelGone)
    assert gone.phrase.params.get("instead") == instead
    assert english(gone).startswith("Model One is no longer offered")
    assert "fal-ai/" not in english(gone)
