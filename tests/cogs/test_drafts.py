"""What was refused is kept with all that was typed and attached, and goes on by a window, a button or another model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import discord
import pytest

from bot.catalogue import load
from bot.domain.job import Failure, Job, JobState
from bot.errors import (
    BadPicture,
    ContentRefused,
    ModelGone,
    OptionsRefused,
    PreparationCrashed,
    ToldError,
)
from bot.phrase import phrase
from bot.settings import Tier
from cogs.ui.typed import Typed
from tests.cogs.conftest import CATALOGUE, CogFixture, with_limits, with_services
from tests.cogs.draft_windows import (
    CAT,
    MASK,
    OTHER,
    OTHER_MASK,
    PDF,
    buttons_of,
    filled,
    imagine,
    menu_of,
    press,
    send,
    window_of,
)
from tests.cogs.interactions import said
from tests.cogs.values import PostedMessage, shown_text

# ---------------------------------------------------------------------- mending


async def test_fix_it_opens_a_window_filled_with_what_was_typed_and_the_rest_stays(fixture: CogFixture) -> None:
    refused = await imagine(
        fixture, (CAT,), model="omnigen-v2", image="5", steps=999, seed=7, negative_prompt="dogs", size="16:9"
    )
    assert "`steps` can't be `999`" in said(refused)[0]
    form = window_of(await press(fixture, refused, "Fix it"))
    assert filled(form) == {"steps": "999", "prompt": "a fox", "model": "omnigen-v2", "image": False, "size": "16:9"}

    mended = await send(fixture, form, steps="20", prompt="a fox\nat dawn")

    (job,) = await fixture.jobs()
    assert (job.request.prompt, job.request.options["num_inference_steps"], job.request.seed) == (
        "a fox\nat dawn",
        20,
        7,
    )
    assert job.request.options["negative_prompt"] == "dogs"
    assert job.request.options["input_image_urls"] == [CAT["url"]]
    assert "Next in line." in shown_text(mended.response.send_message.call_args.kwargs["view"])


@pytest.mark.parametrize(
    ("options", "first"),
    [
        ({"model": "flux-schnel"}, "model"),
        ({"model": "🦊" * 60}, "model"),
        ({"steps": 99}, "steps"),
        ({"size": "enormous"}, "size"),
        ({"count": 40}, "count"),
        ({"seed": -77}, "seed"),
        ({"steps": 0}, "steps"),
        ({"count": 0, "model": "ideogram-v2"}, "count"),
        ({"style": "oil"}, "style"),
        ({"negative_prompt": "dogs"}, "negative_prompt"),
        ({"guidance": 3.5, "model": "imagen4"}, "guidance"),
        ({"options": "acceleration=turbo"}, "options"),
        ({"options": "=="}, "options"),
        ({"options": "sync_mode=true"}, "options"),
        ({"prompt": "@everyone"}, "prompt"),
        ({"prompt": "x" * 6000, "model": "recraft-v2"}, "prompt"),
        ({"model": "z-image-inpaint"}, "image"),
    ],
)
async def test_every_refusal_that_editing_can_mend_can_be_fixed(
    fixture: CogFixture, options: dict[str, Any], first: str
) -> None:
    refused = await imagine(fixture, **options)
    assert said(refused)[1]
    form = window_of(await press(fixture, refused, "Fix it"))
    shown = filled(form)
    assert next(iter(shown)) == first
    typed = str(options.get("prompt", "a fox"))
    assert "".join(str(value) for name, value in shown.items() if name.startswith("prompt")) == typed
    if first not in {"image", "model"}:
        assert str(options[first]).startswith(str(shown[first]) or str(options[first]))
    assert await fixture.jobs() == []


@pytest.mark.parametrize("name", ["flux-schnel", "enlarger", "🦊"])
async def test_a_window_for_a_model_that_is_not_here_lets_one_choose(fixture: CogFixture, name: str) -> None:
    custom_id = "easel:paint:gone"
    for refused in (
        await fixture.command("compose", options={"model": name}),
        await fixture.click(PostedMessage(custom_id), custom_id),
    ):
        form = window_of(await press(fixture, refused, "Fix it"))
        assert list(filled(form))[:2] == ["model", "prompt"]
        await send(fixture, form, model="qwen-image", prompt="a fox")
    assert {job.request.endpoint for job in await fixture.jobs()} == {CATALOGUE.get("qwen-image").endpoint}
    assert len(await fixture.jobs()) == 2


async def test_a_window_that_is_sent_wrong_again_can_be_fixed_again(fixture: CogFixture) -> None:
    refused = await imagine(fixture, steps=99, size="enormous")
    for mended in ({"size": "huge"}, {"size": "square"}, {"steps": "98"}, {"steps": "4"}):
        assert await fixture.jobs() == []
        form = window_of(await press(fixture, refused, "Fix it"))
        assert next(iter(filled(form))) in mended
        refused = await send(fixture, form, **mended)
    (job,) = await fixture.jobs()
    assert (job.request.options["num_inference_steps"], job.request.options["image_size"]) == (4, "square")


async def test_a_field_that_is_emptied_is_given_no_more(fixture: CogFixture) -> None:
    refused = await imagine(fixture, style="oil", steps=3)
    await send(fixture, window_of(await press(fixture, refused, "Fix it")), style="")
    (job,) = await fixture.jobs()
    assert job.request.given == ("num_inference_steps",)


async def test_other_fields_are_in_further_windows_and_what_is_changed_there_counts(fixture: CogFixture) -> None:
    refused = await imagine(
        fixture, model="omnigen-v2", steps=999, negative_prompt="dogs", options="image_guidance_scale=2"
    )
    shown: list[str] = []
    labels = [label for label in buttons_of(refused) if label.startswith(("Fix it", "Other fields"))]
    for label in labels:
        shown += filled(window_of(await press(fixture, refused, label)))
    assert len(labels) == 2
    assert sorted(shown) == sorted(
        ["steps", "prompt", "model", "image", "size", "count", "seed", "negative_prompt", "guidance", "options"]
    )

    further = window_of(await press(fixture, refused, "Other fields"))
    still = await send(fixture, further, negative_prompt="cats")
    assert "`steps` can't be `999`" in said(still)[0]
    await send(fixture, window_of(await press(fixture, still, "Fix it")), steps="20")
    (job,) = await fixture.jobs()
    assert job.request.options["negative_prompt"] == "cats"
    assert job.request.options["image_guidance_scale"] == 2


async def test_a_refusal_after_a_window_gives_everything_back(fixture: CogFixture) -> None:
    long = " ".join(f"word{number}" for number in range(450))
    refused = await fixture.submit("easel-modal:compose:flux-schnell", {"prompt": long, "options": "steps=99 seed=4"})
    shown = filled(window_of(await press(fixture, refused, "Fix it")))
    assert (shown["options"], shown["prompt"], shown["model"]) == ("steps=99 seed=4", long, "flux-schnell")


@pytest.mark.parametrize("text", ["word " * 1199 + "end!!", "x" * 6000, "é\n" * 3000, "👩‍👩‍👧‍👦 " * 700])
async def test_a_text_that_is_too_long_is_shown_whole(fixture: CogFixture, text: str) -> None:
    refused = await imagine(fixture, prompt=text[:6000].strip())
    form = window_of(await press(fixture, refused, "Fix it"))
    again = await send(fixture, form)
    assert said(again)[0] == said(refused)[0]
    (draft_id,) = {custom_id.split(":")[2].split(".")[0] for custom_id in buttons_of(again).values()}
    draft = await fixture.store.drafts.get(draft_id)
    assert draft is not None
    assert Typed.from_json(draft.payload).values["prompt"] == text[:6000].strip()


async def test_a_wrong_file_is_asked_for_again_and_the_rest_is_kept(fixture: CogFixture) -> None:
    refused = await imagine(fixture, (PDF, MASK), model="z-image-inpaint", image="7", mask="6", steps=6)
    assert "`image`: it is a PDF, not a picture" in said(refused)[0]
    form = window_of(await press(fixture, refused, "Fix it"))
    assert filled(form) | {"image": True, "mask": False} == filled(form)
    assert next(iter(filled(form))) == "image"

    await send(fixture, form, {"image": [CAT]})

    (job,) = await fixture.jobs()
    assert (job.request.options["image_url"], job.request.options["mask_image_url"]) == (CAT["url"], MASK["url"])
    assert job.request.options["num_inference_steps"] == 6


async def test_a_wrong_file_given_in_a_window_is_refused_and_the_good_one_kept(fixture: CogFixture) -> None:
    form = {"prompt": "a fox", "options": ""}
    refused = await fixture.submit("easel-modal:compose:z-image-inpaint", form, {"image": [CAT], "mask": [PDF]})
    assert "`mask`: it is a PDF, not a picture" in said(refused)[0]
    window = window_of(await press(fixture, refused, "Fix it"))
    assert (filled(window)["mask"], filled(window).get("image", False)) == (True, False)
    await send(fixture, window, {"mask": [MASK]})
    (job,) = await fixture.jobs()
    assert (job.request.options["image_url"], job.request.options["mask_image_url"]) == (CAT["url"], MASK["url"])


async def test_what_was_refused_can_be_left_out(fixture: CogFixture) -> None:
    refused = await imagine(fixture, style="oil", seed=7)
    await press(fixture, refused, "Leave it out")
    (job,) = await fixture.jobs()
    assert job.request.given == ("seed",)


# ---------------------------------------------------------------------- another model


@pytest.mark.parametrize(
    ("typed", "expected", "takes"),
    [
        ({"image": "5"}, "FLUX.1 schnell can't start from a picture (`image`)", {"omnigen-v2"}),
        ({"mask": "5", "image": "5"}, "FLUX.1 schnell can't start from a picture", {"z-image-inpaint"}),
        ({"style": "REALISTIC"}, "FLUX.1 schnell has no option `style`", {"ideogram-v3"}),
        ({"negative_prompt": "dogs"}, "FLUX.1 schnell has no option `negative_prompt`", {"qwen-image", "hidream"}),
    ],
)
async def test_what_the_model_does_not_take_names_the_models_that_do_and_goes_on_with_one(
    fixture: CogFixture, typed: dict[str, Any], expected: str, takes: set[str]
) -> None:
    files = (CAT,) if "image" in typed else ()
    refused = await imagine(fixture, files, seed=7, **typed)
    assert expected in said(refused)[0]
    offered = menu_of(refused)
    assert takes <= set(offered)
    assert "flux-schnell" not in offered
    catalogue = fixture.bot.services.catalogue
    assert any(catalogue.get(key).title in said(refused)[0] for key in offered)

    await press(fixture, refused, "Go on with another model…", sorted(takes)[0])

    (job,) = await fixture.jobs()
    model = catalogue.get(sorted(takes)[0])
    assert (job.request.endpoint, job.request.prompt, job.request.seed) == (model.endpoint, "a fox", 7)
    if files:
        assert str(CAT["url"]) in str(job.request.options)


async def test_a_mask_alone_offers_the_models_for_it_and_says_which_file_they_need_besides(fixture: CogFixture) -> None:
    refused = await imagine(fixture, (MASK,), mask="6", seed=7)
    sentence = said(refused)[0]
    assert "This model can: Z-Image Turbo Inpaint. But it also needs `image`, which you did not give." in sentence
    assert "Choose it below, then press **Fix it**" in sentence
    assert menu_of(refused) == ["z-image-inpaint"]

    chosen = await press(fixture, refused, "Go on with another model…", "z-image-inpaint")
    assert "`image` is missing" in said(chosen)[0]
    form = window_of(await press(fixture, chosen, "Fix it"))
    assert (filled(form)["image"], filled(form)["mask"]) == (True, False)
    await send(fixture, form, {"image": [CAT]})
    (job,) = await fixture.jobs()
    assert (job.request.options["image_url"], job.request.options["mask_image_url"]) == (CAT["url"], MASK["url"])


@pytest.mark.parametrize(
    "typed", [{"mask": "6", "style": "REALISTIC"}, {"style": "REALISTIC", "image": "5", "mask": "6"}]
)
async def test_no_menu_is_promised_where_no_model_takes_everything(fixture: CogFixture, typed: dict[str, Any]) -> None:
    refused = await imagine(fixture, (CAT, MASK), **typed)
    assert menu_of(refused) == []
    assert "below" not in said(refused)[0]
    assert "not take everything else you typed" in said(refused)[0]
    assert "press **Fix it**" in said(refused)[0]


@pytest.mark.parametrize("typed", [{"image": "5"}, {"style": "REALISTIC"}, {"mask": "6"}, {"mask": "6", "image": "5"}])
async def test_one_model_is_said_in_the_singular(fixture: CogFixture, typed: dict[str, Any]) -> None:
    refused = await imagine(fixture, (CAT, MASK), **typed)
    alone = len(menu_of(refused)) == 1
    assert ("This model" in said(refused)[0], "of them" in said(refused)[0]) == (alone, not alone)


async def test_a_picture_that_the_model_does_not_take_can_be_left_out(fixture: CogFixture) -> None:
    refused = await imagine(fixture, (CAT,), image="5", seed=7)
    await press(fixture, refused, "Go on without the picture")
    (job,) = await fixture.jobs()
    assert (job.request.endpoint, job.request.given) == ("fal-ai/flux-1/schnell", ("seed",))


async def test_a_model_that_is_gone_by_the_time_is_a_sentence_and_another_can_be_chosen(fixture: CogFixture) -> None:
    refused = await imagine(fixture, steps=99)
    with_services(fixture, replace(fixture.bot.services, catalogue=load(disabled=["flux-schnell"])))
    form = window_of(await press(fixture, refused, "Fix it"))
    assert "model" in filled(form)
    again = await send(fixture, form, steps="4", model="")
    assert "not available here" in said(again)[0]
    await press(fixture, again, "Go on with another model…", "hidream")
    (job,) = await fixture.jobs()
    assert job.request.endpoint == fixture.bot.services.catalogue.get("hidream").endpoint


# ---------------------------------------------------------------------- limits


async def test_too_many_pictures_can_be_made_fewer(fixture: CogFixture) -> None:
    with_limits(fixture, default=Tier(burst_images=2, images_per_hour=60))
    refused = await imagine(fixture, count=4)
    assert next(iter(buttons_of(refused))) == "Fix it"
    assert "Try again" not in buttons_of(refused)
    await send(fixture, window_of(await press(fixture, refused, "Fix it")), count="2")
    (job,) = await fixture.jobs()
    assert job.request.images == 2


async def test_what_is_possible_later_can_be_tried_again_with_all_that_was_typed(fixture: CogFixture) -> None:
    with_limits(fixture, default=Tier(concurrent_jobs=1))
    await imagine(fixture)
    refused = await imagine(fixture, steps=3)
    assert list(buttons_of(refused)) == ["Try again"]
    (job,) = await fixture.jobs()
    await fixture.store.jobs.transition(job, JobState.CANCELLED)
    await press(fixture, refused, "Try again")
    assert (await fixture.jobs())[0].request.options["num_inference_steps"] == 3


async def test_a_missing_permission_can_be_given_meanwhile(fixture: CogFixture) -> None:
    without = discord.Permissions(send_messages=True, view_channel=True)
    refused = await fixture.command("imagine", options={"prompt": "a fox"}, app_permissions=without.value)
    assert list(buttons_of(refused)) == ["Try again"]
    await press(fixture, refused, "Try again")
    assert len(await fixture.jobs()) == 1


async def test_a_limit_of_nothing_at_all_has_no_buttons(fixture: CogFixture) -> None:
    with_limits(fixture, default=Tier(images_per_day=0))
    assert buttons_of(await imagine(fixture)) == {}


# ---------------------------------------------------------------------- jobs that are repeated, and those that failed


def click_of(fixture: CogFixture, verb: str, job: Job) -> Any:
    custom_id = f"easel:{verb}:{job.id}"
    return fixture.click(PostedMessage(custom_id), custom_id)


async def test_a_repetition_that_is_refused_goes_on_with_another_model(fixture: CogFixture) -> None:
    job = await fixture.a_delivered_job("a fox", steps=3, size="16:9")
    with_services(fixture, replace(fixture.bot.services, catalogue=load(disabled=["flux-schnell"])))
    refused = await click_of(fixture, "again", job)
    assert "not available here" in said(refused)[0]
    await press(fixture, refused, "Go on with another model…", "z-image-turbo")
    again = (await fixture.jobs())[0]
    assert (again.request.prompt, again.parent_id) == ("a fox", job.id)
    assert again.request.options["num_inference_steps"] == 3


async def test_an_edit_that_is_refused_is_kept(fixture: CogFixture) -> None:
    job = await fixture.a_delivered_job("a fox", model="qwen-image", steps=9)
    fields = {"prompt": "@everyone", "negative_prompt": "dogs"}
    refused = await fixture.submit(f"easel-modal:edit:{job.id}", fields)
    form = window_of(await press(fixture, refused, "Fix it"))
    await send(fixture, form, prompt="a wolf")
    edited = (await fixture.jobs())[0]
    assert (edited.request.prompt, edited.request.options["negative_prompt"]) == ("a wolf", "dogs")
    assert (edited.request.options["num_inference_steps"], edited.parent_id) == (9, job.id)


async def test_an_edit_that_changes_the_words_alone_gives_nothing_else(fixture: CogFixture) -> None:
    """Qwen's usual negative prompt is one space, which the window shows as an empty field."""
    job = await fixture.a_delivered_job("a fox", model="qwen-image")
    await send(fixture, window_of(await click_of(fixture, "edit", job)), prompt="a wolf")
    edited = (await fixture.jobs())[0]
    assert (edited.request.prompt, edited.request.given) == ("a wolf", ())
    assert edited.request.options["negative_prompt"] == job.request.options["negative_prompt"]


async def test_an_attachment_that_expired_is_asked_for_again(fixture: CogFixture) -> None:
    await imagine(fixture, (CAT,), model="omnigen-v2", image="5", seed=7)
    (job,) = await fixture.jobs()
    with_services(fixture, replace(fixture.bot.services, clock=lambda: datetime.fromtimestamp(0x7FFFFFFF, UTC)))
    refused = await click_of(fixture, "again", job)
    assert "expired" in said(refused)[0]
    form = window_of(await press(fixture, refused, "Fix it"))
    assert filled(form)["image"] is True
    fresh = {**CAT, "url": str(CAT["url"]).replace("7fffffff", "ffffffffff")}
    await send(fixture, form, {"image": [fresh]})
    again = (await fixture.jobs())[0]
    assert again.request.options["input_image_urls"] == [fresh["url"]]


async def test_an_edit_can_bring_another_picture(fixture: CogFixture) -> None:
    await imagine(fixture, (CAT,), model="omnigen-v2", image="5", seed=7)
    (job,) = await fixture.jobs()
    form = window_of(await click_of(fixture, "edit", job))
    assert list(filled(form)) == ["prompt", "negative_prompt", "image"]
    await send(fixture, form, {"image": [MASK]}, prompt="a wolf")
    edited = (await fixture.jobs())[0]
    assert (edited.request.prompt, edited.request.seed) == ("a wolf", 7)
    assert edited.request.options["input_image_urls"] == [MASK["url"]]


async def failed(fixture: CogFixture, failure: Failure, **options: Any) -> Job:
    await imagine(fixture, (CAT, MASK), **options)
    (job,) = await fixture.store.jobs.claim(1)
    ended = await fixture.store.jobs.transition(job, JobState.FAILED, failure=failure)
    assert ended is not None
    return ended


async def test_a_job_that_failed_for_its_words_can_be_fixed_by_everybody(fixture: CogFixture) -> None:
    job = await failed(fixture, Failure.of(ContentRefused()), steps=3, seed=7)
    form = window_of(await click_of(fixture, "fixjob", job))
    assert list(filled(form))[:2] == ["prompt", "model"]
    await send(fixture, form, prompt="a tame fox")
    mended = (await fixture.jobs())[0]
    assert (mended.request.prompt, mended.request.seed, mended.parent_id) == ("a tame fox", 7, job.id)
    assert mended.request.options["num_inference_steps"] == 3


@pytest.mark.parametrize(
    ("error", "first"),
    [
        (ContentRefused(), "prompt"),
        (ContentRefused("request"), "prompt"),
        (ContentRefused("picture"), "image"),
        (ContentRefused("picture", option="image_url"), "image"),
        (ContentRefused("mask"), "mask"),
        (BadPicture("mask_image_url", phrase("mask_all_black")), "mask"),
        (
            OptionsRefused(phrase("refused_fault", option="num_inference_steps", fault=phrase("fault_not_whole"))),
            "steps",
        ),
        (OptionsRefused(phrase("refused_fault", option="loras", fault=phrase("fault_not_accepted"))), "options"),
        (OptionsRefused(phrase("refused_unknown")), "prompt"),
        (ModelGone("Z-Image", "fal-ai/z-image"), "model"),
        (PreparationCrashed(), "prompt"),
    ],
    ids=lambda value: value.phrase.code if isinstance(value, ToldError) else value,
)
async def test_a_window_of_a_failed_job_begins_with_the_culprit(
    fixture: CogFixture, error: ToldError, first: str
) -> None:
    typed = {"model": "z-image-inpaint", "image": "5", "mask": "6", "steps": 6}
    job = await failed(fixture, Failure.of(error), **typed)
    shown = filled(window_of(await click_of(fixture, "fixjob", job)))
    assert next(iter(shown)) == first
    assert {name: True for name in ("image", "mask") if name == first} == {
        name: needed for name, needed in shown.items() if name in {"image", "mask"} and needed
    }


async def test_a_job_that_failed_for_its_mask_asks_for_a_mask(fixture: CogFixture) -> None:
    why = BadPicture("mask", phrase("mask_shape", mask="1×1", picture="2×2"))
    typed = {"model": "z-image-inpaint", "image": "5", "mask": "6"}
    job = await failed(fixture, Failure.of(why), **typed)
    form = window_of(await click_of(fixture, "fixjob", job))
    assert next(iter(filled(form))) == "mask"
    assert (filled(form)["mask"], filled(form)["image"]) == (True, False)
    await send(fixture, form, {"mask": [{**MASK, "id": "8", "url": OTHER_MASK}]})
    mended = (await fixture.jobs())[0]
    assert mended.request.options["mask_image_url"] == OTHER_MASK
    assert mended.request.options["image_url"] == CAT["url"]


async def test_somebody_elses_files_are_not_used_to_fix_a_job(fixture: CogFixture) -> None:
    typed = {"model": "z-image-inpaint", "image": "5", "mask": "6"}
    job = await failed(fixture, Failure.of(ContentRefused()), **typed)
    custom_id = f"easel:fixjob:{job.id}"
    refused = await fixture.click(PostedMessage(custom_id), custom_id, person=OTHER)
    assert "starts from a file of theirs" in said(refused)[0]


# ---------------------------------------------------------------------- what no client of Discord's sends


async def test_what_no_window_has_is_not_kept(fixture: CogFixture) -> None:
    refused = await imagine(fixture, steps=999)
    draft_id = buttons_of(refused)["Fix it"].split(":")[2]
    extra = {f"field{number}": "y" * 4000 for number in range(100)} | {
        "parent_id": "0a1b2c3d4e5f",
        "prompt": "x" * 90_000,
    }
    links = {"image": "https://cdn.discordapp.com/attachments/1/2/others.png", "mask": "http://127.0.0.1/x"}
    await fixture.submit(f"easel-modal:fix:{draft_id}", extra | links)
    draft = await fixture.store.drafts.get(draft_id)
    assert draft is not None
    typed = Typed.from_json(draft.payload)
    assert set(typed.values) == {"prompt", "steps"}
    assert typed.parent_id is None
    assert len(str(draft.payload)) < 25_000


@pytest.mark.parametrize("name", ["prompt", "negative_prompt", "options", "model"])
async def test_half_a_character_is_refused_and_the_rest_is_kept(fixture: CogFixture, name: str) -> None:
    refused = await fixture.command("imagine", options={"prompt": "a fox", "steps": 999, name: "a \ud83e fox"})
    assert "No quota was used." in said(refused)[0]
    form = window_of(await press(fixture, refused, "Fix it"))
    assert "fox" in str(form)


EMPTY_PARTS: list[dict[str, Any]] = [
    {"type": 4, "custom_id": "prompt", "value": None},
    {"type": 3, "custom_id": "model", "values": None},
    {"type": 19, "custom_id": "image", "values": None},
]


@pytest.mark.parametrize(
    "given",
    [None, {}, {"component": None}, *({"component": one} for one in EMPTY_PARTS)],
)
async def test_a_window_without_what_it_should_have_is_an_empty_one(fixture: CogFixture, given: Any) -> None:
    data = {"custom_id": "easel-modal:compose:flux-schnell", "components": given and [given], "resolved": None}
    interaction = fixture.interaction(kind=5, data=data)
    await cast("Any", fixture.bot.get_cog("components")).on_interaction(interaction)
    assert "The prompt is empty" in said(interaction)[0]
