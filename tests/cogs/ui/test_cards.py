from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from shutil import copytree

import discord
import pytest

from bot.catalogue import load, parse, with_seed
from bot.catalogue.model import Model, Option, OptionKind
from bot.domain.events import (
    Cancelling,
    ConfirmingSubmit,
    Delivering,
    InProgress,
    Progress,
    ProviderQueued,
    ProviderUnavailable,
    Queued,
)
from bot.domain.job import Failure, Job, RemotePicture, Result
from bot.errors import BalanceExhausted, KeyRefused, ModelGone, OptionsRefused, PartnerAccountRefused, ToldError
from bot.phrase import phrase
from cogs.ui import cards, details
from cogs.ui.actions import CUSTOM_ID
from cogs.ui.messages import languages, say
from tests.buttons import FAILURE_BUTTONS, LASTING_FAILURE_BUTTONS, OPERATORS_FAILURE_BUTTONS, RESULT_BUTTONS
from tests.catalogue import samples
from tests.cogs.values import MODEL, NASTY, NOW, a_job, a_request, check_card, custom_ids, parts, payload, shown_text
from tests.english import LOCALE

PICTURES = [cards.Shown(f"easel-{index}.png", "alt " * 256, spoiler=index == 0) for index in range(10)]
FAILURE = Failure("provider_error", phrase("provider_error"))


@pytest.mark.parametrize("prompt", NASTY.values(), ids=NASTY.keys())
def test_every_card_of_a_job_keeps_discords_limits_whatever_the_prompt(prompt: str) -> None:
    job = a_job(prompt)
    for card in (
        cards.progress_card(job, MODEL, InProgress(0.4, 4, 12, 30)),
        cards.result_card(job, MODEL, PICTURES, withheld=2),
        cards.failure_card(job, MODEL, replace(FAILURE, incident="7F3A-91")),
        cards.cancelled_card(job, MODEL, Failure("cancelled", phrase("cancelled_early"))),
        details.details(job, MODEL, locale=LOCALE).card,
    ):
        check_card(card)
        assert "@everyone" not in shown_text(cards.result_card(job, MODEL, PICTURES))


@pytest.mark.parametrize("prompt", NASTY.values(), ids=NASTY.keys())
def test_alt_texts_fit(prompt: str) -> None:
    alt = cards.alt_text(a_request(prompt), 0, locale=LOCALE)
    assert alt.startswith("A picture painted from the prompt: ")
    assert len(alt) <= 1024
    assert "\n" not in alt


def test_alt_texts_count_pictures() -> None:
    request = replace(a_request("a fox"), images=4)
    assert cards.alt_text(request, 2, locale=LOCALE) == "Picture 3 of 4, painted from the prompt: a fox"


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (Queued(0), "Next in line."),
        (Queued(1), "Waiting: 1 request before yours."),
        (Queued(2), "Waiting: 2 requests before yours."),
        (ProviderQueued(None), "Sent to fal.ai. Waiting for it to start."),
        (ProviderQueued(0), "Next in line at fal.ai."),
        (ProviderQueued(3), "Waiting at fal.ai: 3 requests before yours."),
        (InProgress(), "Painting…"),
        (InProgress(left_s=8), "Painting… · about 8 s left"),
        (InProgress(left_s=0), "Painting… · almost done"),
        (InProgress(overdue=True), "Painting… · this one takes longer than usual"),
        (InProgress(0.5, left_s=3), "Painting ▰▰▰▰▰▰▱▱▱▱▱▱ 50 % · about 3 s left"),
        (InProgress(0.5, 6, 12, 3), "Painting ▰▰▰▰▰▰▱▱▱▱▱▱ 50 %\nStep 6 of 12 · about 3 s left"),
        (Delivering(), "Painted. Posting it here…"),
        (ProviderUnavailable(), "fal.ai is not answering right now. I keep trying; your request is not lost."),
        (
            ConfirmingSubmit(datetime.fromtimestamp(1_800_000_000, UTC)),
            "The connection to fal.ai broke before it answered. I am checking whether fal.ai has your request; "
            "if not, I send it again, at the latest by <t:1800000000:f>.",
        ),
        (
            Cancelling(datetime.fromtimestamp(1_800_000_000, UTC)),
            "Cancelling… The connection to fal.ai broke before it answered. I am checking whether fal.ai has your "
            "request, to stop it there, at the latest until <t:1800000000:f>.",
        ),
        (
            Cancelling(),
            "Cancelling… I asked fal.ai to stop, and wait for it to say whether it bills anything.",
        ),
    ],
)
def test_progress_is_said_in_plain_words(progress: Progress, said: str) -> None:
    assert cards.progress_text(progress, locale=LOCALE) == said
    assert said in shown_text(cards.progress_card(a_job(), MODEL, progress))


def test_a_job_under_way_can_be_cancelled_once() -> None:
    def disabled(card: cards.Card) -> bool:
        return bool(payload(card)[0]["components"][-1]["components"][0]["disabled"])

    assert custom_ids(cards.progress_card(a_job(), MODEL, InProgress())) == ["easel:cancel:0a1b2c3d4e5f"]
    assert not disabled(cards.progress_card(a_job(), MODEL, Queued(0)))
    assert disabled(cards.progress_card(a_job(cancel_requested=True), MODEL, Queued(0)))
    assert disabled(cards.progress_card(a_job(), MODEL, Delivering()))
    cancelling = cards.progress_card(a_job(cancel_requested=True), MODEL, Cancelling())
    assert disabled(cancelling)
    assert "wait for it to say whether it bills anything." in shown_text(cancelling)


def test_a_result_shows_prompt_pictures_facts_and_buttons_in_that_order() -> None:
    result = Result((RemotePicture("https://x", width=1024, height=768),), seed=99, inference_s=3.21)
    card = cards.result_card(a_job("a fox", result=result), MODEL, PICTURES[:1])
    prompt, gallery, facts, buttons = payload(card)[0]["components"]
    assert prompt["content"] == "a fox"
    assert gallery["items"][0]["media"]["url"] == "attachment://easel-0.png"
    assert gallery["items"][0]["spoiler"] is True
    shown, flagged = facts["content"].splitlines()
    assert shown == "-# FLUX.1 schnell · seed `99` · 1024×768 · 3.2 s · about $0.0024"
    assert flagged.startswith("-# The safety checker flagged it")
    assert [button["label"] for button in buttons["components"]] == RESULT_BUTTONS


def test_the_price_is_what_fal_billed_where_it_said_so() -> None:
    result = Result((), billable_units=Decimal(2))
    assert cards.cost_usd(a_job(result=result), MODEL) == Decimal("0.006")
    assert cards.cost_usd(a_job(), MODEL) == Decimal("0.003")


def price_of(job: Job, model: Model = MODEL, assumed: str | None = None) -> str | None:
    words = cards.cost_text(job, model, None if assumed is None else Decimal(assumed))
    return None if words is None else say(LOCALE, words)


def test_a_price_is_about_unless_fal_told_its_bill_and_the_price_is_well_known() -> None:
    picture = RemotePicture("https://v3.fal.media/files/a.png", width=1024, height=768)
    told = Result((picture,), billable_units=Decimal("0.8"))
    unsure = replace(MODEL, price=replace(MODEL.price, confidence="low"))
    unknown = replace(MODEL, price=replace(MODEL.price, usd=None, confidence="none"))
    free = replace(a_request(), cost_usd=None)

    assert price_of(a_job(result=told)) == "$0.0024"
    assert price_of(a_job(result=replace(told, billable_units=None))) == "about $0.0024"
    assert price_of(a_job(result=told), unsure) == "about $0.0024"
    assert price_of(a_job(result=told, request=free), unknown) is None
    assert (
        price_of(a_job(result=replace(told, pictures=(picture,) * 3), request=free), unknown, "0.10") == "about $0.30"
    )
    assert price_of(a_job(request=free), unknown, "0.10") is None


def test_the_card_tells_what_was_posted_and_leads_to_what_was_made() -> None:
    notice = phrase("result_made_smaller", before="4096×4096", after="3686×3686")
    small = cards.Shown("easel-1.jpg", "alt", size_px=(3686, 3686), notices=(notice,), original="https://x.test/1.png")
    result = Result((RemotePicture("https://x.test/1.png", width=4096, height=4096),))
    shown = shown_text(cards.result_card(a_job(result=result), MODEL, [small]))
    assert "3686×3686" in shown.splitlines()[1]
    assert "4096×4096" not in shown.splitlines()[1]
    assert "-# Made smaller, from 4096×4096 to 3686×3686" in shown
    assert "[the original](<https://x.test/1.png>)" in shown


def test_what_is_true_of_several_pictures_is_said_once_and_names_them() -> None:
    notice = phrase("result_recompressed", before="PNG", after="JPG")
    pictures = [
        cards.Shown(
            f"easel-{n}.jpg", "alt", size_px=(64, 64), number=n, notices=notices, original=f"https://x.test/{n}"
        )
        for n, notices in ((1, (notice,)), (2, ()), (4, (notice,)))
    ]
    shown = shown_text(cards.result_card(a_job(), MODEL, pictures, made=4, withheld=1))
    assert "-# Picture 1 and 4: Saved again as JPG" in shown
    assert "[original 1](<https://x.test/1>) · [original 4](<https://x.test/4>)" in shown
    assert "1 picture was flagged" in shown


def test_fewer_pictures_than_asked_for_are_said_counted_and_priced() -> None:
    request = replace(a_request(), images=6, cost_usd=Decimal("0.018"))
    result = Result((RemotePicture("https://x", width=1000, height=1000),) * 2)
    job = a_job(request=request, result=result)
    pictures = [cards.Shown(f"easel-{n}.png", "alt", size_px=(1000, 1000), number=n) for n in (1, 2)]
    shown = shown_text(cards.result_card(job, MODEL, pictures))
    assert "$0.006" in shown
    assert "You asked for 6 pictures, and the model made only 2." in shown
    assert cards.alt_text(request, 0, MODEL, count=2, locale=LOCALE).startswith("Picture 1 of 2, painted")


def test_details_number_the_pictures_of_a_set_with_their_own_seeds() -> None:
    result = Result((RemotePicture("a", width=64, height=32, seed=7), RemotePicture("b", seed=8), RemotePicture("c")))
    shown = shown_text(details.details(a_job(result=result), MODEL, locale=LOCALE).card)
    assert "Picture 1: 64×32, seed `7`\nPicture 2: seed `8`\n" in shown
    assert "Picture 3" not in shown


def test_the_time_is_taken_from_our_clock_where_fal_measured_none() -> None:
    job = a_job(submitted_at=NOW, started_at=NOW + timedelta(seconds=1), finished_at=NOW + timedelta(seconds=5))
    assert cards.painting_s(job) == 4
    assert cards.painting_s(a_job()) is None


def test_a_repeated_picture_names_who_asked() -> None:
    assert "for <@11>" in shown_text(cards.result_card(a_job(parent_id="x" * 12), MODEL, PICTURES))
    assert "<@11>" not in shown_text(cards.result_card(a_job(), MODEL, PICTURES))


def test_a_failure_offers_again_only_where_it_may_help() -> None:
    assert "easel:again:0a1b2c3d4e5f" in custom_ids(cards.failure_card(a_job(), MODEL, FAILURE))
    never = replace(FAILURE, worth_retrying=False)
    assert "easel:again:0a1b2c3d4e5f" not in custom_ids(cards.failure_card(a_job(), MODEL, never))


@pytest.mark.parametrize("error", [BalanceExhausted(), KeyRefused()], ids=lambda error: error.code)
def test_what_only_the_operator_can_mend_offers_nothing_that_could_not_help(error: ToldError) -> None:
    card = cards.failure_card(a_job(), MODEL, Failure.of(error))
    assert labels(card) == OPERATORS_FAILURE_BUTTONS
    stored_before = Failure(error.code, error.phrase, worth_retrying=True)
    assert labels(cards.failure_card(a_job(), MODEL, stored_before)) == OPERATORS_FAILURE_BUTTONS
    shown = shown_text(card)
    assert "Please tell whoever runs the bot" in shown
    assert "No quota was used." in shown
    assert "trying again won't help yet" in shown


def test_a_makers_refusal_of_the_bots_account_offers_another_model() -> None:
    refused = PartnerAccountRefused("OpenAI", phrase("partner_credit"))
    assert labels(cards.failure_card(a_job(), MODEL, Failure.of(refused))) == LASTING_FAILURE_BUTTONS


def labels(card: cards.Card) -> list[str]:
    return [part["label"] for part in parts(payload(card)) if "label" in part]


LONG = ["fox " * 200, "🦊" * 300, "\n".join(f"line {number}" for number in range(80)), "x" * 4000, "**" * 200 + "ä"]


@pytest.mark.parametrize("prompt", LONG, ids=range(len(LONG)))
def test_a_card_quotes_three_lines_of_a_long_prompt_and_details_has_all_of_it(prompt: str) -> None:
    job = a_job(prompt)
    ended = (
        cards.result_card(job, MODEL, PICTURES[:1]),
        cards.failure_card(job, MODEL, FAILURE),
        cards.cancelled_card(job, MODEL, Failure("cancelled", phrase("cancelled_early"))),
    )
    for card in ended:
        quoted, _, note = payload(card)[0]["components"][0]["content"].rpartition("\n")
        assert note == "-# **Details** shows the whole prompt."
        assert len(quoted.splitlines()) <= 3
        assert len(quoted.replace("\\", "").encode("utf-16-le")) // 2 <= 151
        assert "Details" in labels(card)
    painting = payload(cards.progress_card(job, MODEL, InProgress(0.4)))[0]["components"][0]["content"]
    assert "Details" not in painting
    assert len(painting.splitlines()) <= 3
    told = details.details(job, MODEL, locale=LOCALE)
    assert prompt.strip() in (told.attachment or shown_text(told.card))


def test_a_short_prompt_is_quoted_whole_without_a_note() -> None:
    for prompt in ("a fox", "x" * 150, "one\ntwo\nthree"):
        card = cards.result_card(a_job(prompt), MODEL, PICTURES[:1])
        assert payload(card)[0]["components"][0]["content"] == prompt


def test_a_failure_shows_its_code_once() -> None:
    unsaid = replace(FAILURE, incident="7F3A-91")
    assert shown_text(cards.failure_card(a_job(), MODEL, unsaid)).count("7F3A-91") == 1
    said = replace(unsaid, phrase=phrase("unexpected", incident="7F3A-91"))
    assert shown_text(cards.failure_card(a_job(), MODEL, said)).count("7F3A-91") == 1


def test_a_model_that_is_gone_names_its_successor_where_that_is_offered() -> None:
    gone = Failure.of(ModelGone("Old Model", "fal-ai/old"))
    job = a_job()
    assert "Try **FLUX.1 schnell** instead." in shown_text(cards.failure_card(job, None, gone, successor=MODEL))
    alone = shown_text(cards.failure_card(job, None, gone))
    assert "Old Model is no longer offered by fal.ai. `/models` shows the others. No quota was used." in alone
    assert "Try" not in alone


def test_a_job_is_told_in_the_language_of_who_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copytree(languages.FOLDER / "en", tmp_path / "en")
    (tmp_path / "de.ftl").write_text(
        "provider_error = fal.ai hatte ein Problem.\naction_again = Noch einmal\n", "utf-8"
    )
    german = languages.Languages(tmp_path)
    monkeypatch.setattr(languages, "bundled", lambda: german)
    job = a_job()
    job = replace(job, reply=replace(job.reply, locale="de"))
    card = cards.failure_card(job, MODEL, FAILURE)
    assert "fal.ai hatte ein Problem." in shown_text(card)
    labels = [part["label"] for part in parts(payload(card)) if part["type"] == 2]
    assert labels == ["Noch einmal" if label == "Again" else label for label in FAILURE_BUTTONS]


def test_details_hold_every_value_and_a_line_to_paste() -> None:
    request = a_request(
        "a fox\nat dawn", num_inference_steps=8, acceleration="high", image_size={"width": 640, "height": 480}
    )
    shown = shown_text(details.details(a_job(request=request), MODEL, locale=LOCALE).card)
    assert "\nsteps: 8\n" in shown
    assert "num_inference_steps" not in shown
    assert "seed: 7" in shown
    line = r"/imagine prompt:a fox\⏎at dawn model:flux-schnell steps:8 size:640x480 seed:7 options:acceleration=high"
    assert line in shown


def test_details_tell_what_nobody_chose_from_what_somebody_did() -> None:
    shown = shown_text(details.details(a_job(request=a_request("a fox", steps=8)), MODEL, locale=LOCALE).card)
    chosen, unchosen = shown.split("Not chosen, so the model's own values:\n")
    assert "steps: 8\nseed: 7" in chosen
    assert "size: landscape_4_3\n" in unchosen


def test_details_of_a_long_prompt_come_as_a_file() -> None:
    shown = details.details(a_job("word " * 790), MODEL, locale=LOCALE)
    assert shown.attachment is not None
    assert shown.attachment.count("word") >= 1580
    assert "attachment://details.txt" in str(payload(shown.card))


def test_spoilers_are_in_the_file_name() -> None:
    assert cards.file_name("0a1b2c3d4e5f", 0, "png") == "easel-0a1b2c3d4e5f-1.png"
    assert cards.file_name("0a1b2c3d4e5f", 1, "webp", spoiler=True) == "SPOILER_easel-0a1b2c3d4e5f-2.webp"


def test_a_model_no_longer_described_can_still_be_shown() -> None:
    model = cards.unknown_model("fal-ai/gone")
    check_card(cards.result_card(a_job(), model, PICTURES))
    shown = shown_text(cards.failure_card(a_job(), model, FAILURE))
    assert "Gone" in shown
    assert "fal-ai" not in shown


def test_a_failure_names_options_as_the_commands_do() -> None:
    limits = (phrase("bound_at_most", value=12),)
    refused = OptionsRefused(
        phrase("refused_limits", option="num_inference_steps", limits=limits),
        phrase("refused_fault", option="num_images", fault=phrase("fault_missing")),
        phrase("refused_fault", option="image_size.width", fault=phrase("fault_missing")),
        phrase("refused_fault", option="unheard_of", fault=phrase("fault_missing")),
    )
    shown = shown_text(cards.failure_card(a_job(), MODEL, Failure.of(refused)))
    assert "`steps` must be at most 12; `count`: it is missing; `size.width`: it is missing; `unheard_of`" in shown


def test_a_gone_model_that_the_catalogue_does_not_know_is_not_named_by_its_endpoint() -> None:
    gone = Failure.of(ModelGone("fal-ai/old/v2", "fal-ai/old/v2", "fal-ai/new"))
    shown = shown_text(cards.failure_card(a_job(), None, gone, successor=MODEL))
    assert (
        "The model of this request is no longer offered by fal.ai. Try **FLUX.1 schnell** instead. No quota was used."
        in shown
    )
    assert "fal-ai/" not in shown


async def test_discord_py_forgets_a_card_once_it_is_sent() -> None:
    assert cards.progress_card(a_job(), MODEL, Queued(0)).is_finished()


def test_every_custom_id_is_found_again_by_exactly_one_template() -> None:
    job = a_job()
    for card in (cards.progress_card(job, MODEL, Delivering()), cards.result_card(job, MODEL, PICTURES)):
        for custom_id in custom_ids(card):
            assert CUSTOM_ID.fullmatch(custom_id) is not None


def test_a_card_can_be_rebuilt_from_the_message_it_became() -> None:
    """discord.py does so before it calls a DynamicItem; what it can't rebuild can't be used."""
    for part in payload(cards.result_card(a_job(), MODEL, PICTURES)):
        assert discord.components._component_factory(part) is not None


FIELDS = ["prompt", "model", "size", "count", "seed", "negative_prompt", "style", "steps", "guidance", "options"]


def as_discord_reads_it(line: str) -> dict[str, object]:
    """A pasted line, taken apart at the names of the command's options."""
    assert line.startswith("/imagine ")
    cuts = [*re.finditer(rf"(?:^| )({'|'.join(FIELDS)}):", line.removeprefix("/imagine "))]
    text = line.removeprefix("/imagine ")
    ends = [*(cut.start() for cut in cuts[1:]), len(text)]
    return {cut[1]: text[cut.end() : end] for cut, end in zip(cuts, ends, strict=True)}


#: Text with everything in it that the field `options` reads as its own.
TRICKY = 'two words, "quoted" and a=b'


@pytest.mark.parametrize("model", load(has_openai_key=True).models, ids=lambda model: model.key)
def test_the_pasted_line_asks_for_exactly_the_same(model: Model) -> None:
    tried = 0
    for option in model.offered:
        value = TRICKY[: option.max_length] if option.kind is OptionKind.TEXT else samples.typed(option)
        if option.name in ("prompt", "seed") or any(other.required for other in _others(model)):
            continue
        if option.kind in (OptionKind.PICTURE, OptionKind.PICTURES):  # attached again, as links expire
            continue
        request = parse(model, {"prompt": "a fox, at dawn", option.name: value})
        request = with_seed(model, request, 5)
        pasted = as_discord_reads_it(details.command_line(a_job(request=request), model))
        assert pasted.pop("model") == model.key
        again = parse(model, pasted)
        assert again.options == request.options
        tried += 1
    assert tried or model.key == "z-image-inpaint"


@pytest.mark.parametrize(
    "prompt",
    [
        "a poster that says size: huge and count: 3",
        "two lines\nmodel: a mannequin\n\noptions: none",
        'a "quoted" sign, seed:7, style:bold, C:\\temp',
        "one\n  indented  twice",
    ],
)
def test_the_pasted_line_is_exact_whatever_the_prompt_says(prompt: str) -> None:
    model = load().get("z-image")
    request = parse(model, {"prompt": prompt, "negative_prompt": "steps: 3\nno size:x", "options": "acceleration=none"})
    request = with_seed(model, request, 5)
    line = details.command_line(a_job(request=request), model)
    assert "\n" not in line
    pasted = as_discord_reads_it(line)
    assert pasted.pop("model") == model.key
    again = parse(model, pasted)
    assert (again.prompt, again.options) == (request.prompt, request.options)


def test_the_pasted_line_also_clears_a_default() -> None:
    model = load().get("omnigen-v2")
    request = parse(model, {"prompt": "a fox", "negative_prompt": '""'})
    assert request.options["negative_prompt"] == ""
    line = details.command_line(a_job(request=request), model)
    again = parse(model, {name: value for name, value in as_discord_reads_it(line).items() if name != "model"})
    assert again.options["negative_prompt"] == ""


def test_a_request_that_was_set_right_says_so_on_its_cards() -> None:
    request = replace(a_request(), notices=(phrase("as_stored", text="I read `@everyone` https://x.example"),))
    for card in (
        cards.progress_card(a_job(request=request), MODEL, Queued(0)),
        cards.result_card(a_job(request=request), MODEL, PICTURES),
    ):
        check_card(card)
        assert r"-# I read `@everyone` https\:\/\/x.example" in shown_text(card)


def _others(model: Model) -> list[Option]:
    return [option for option in model.offered if option.name != "prompt"]
