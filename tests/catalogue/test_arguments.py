"""What fal gets."""

from __future__ import annotations

import pytest

from bot.catalogue import Catalogue, arguments, input_pictures, picture_options, with_pictures
from bot.errors import ModelUnavailable
from tests.catalogue.facts import FACTS, faults
from tests.catalogue.parsing import request


@pytest.mark.parametrize("endpoint", FACTS)
@pytest.mark.parametrize("safety_checker", [True, False])
def test_the_default_order_of_every_model_is_what_fal_takes(
    catalogue: Catalogue, endpoint: str, safety_checker: bool
) -> None:
    model = catalogue.get(endpoint)
    body = arguments(model, request(catalogue, model.key), safety_checker=safety_checker, openai_api_key="sk-1")
    assert faults(endpoint, body) == []
    parameters = FACTS[endpoint]["parameters"]
    expected = {"enable_safety_checker": safety_checker, "sync_mode": False, "openai_api_key": "sk-1"}
    assert {name: body[name] for name in expected if name in body} == {
        name: value for name, value in expected.items() if name in parameters
    }
    stated = {name for name, fact in parameters.items() if fact["default"] is not None}
    assert stated <= set(body)


def test_the_safety_checker_is_on_even_where_fals_default_is_off(catalogue: Catalogue) -> None:
    body = arguments(
        catalogue.get("recraft-v2"), request(catalogue, "recraft-v2"), safety_checker=True, openai_api_key=None
    )
    assert body["enable_safety_checker"] is True


def test_the_openai_key_goes_only_where_it_belongs(catalogue: Catalogue) -> None:
    for model in catalogue.models:
        body = arguments(model, request(catalogue, model.key), safety_checker=True, openai_api_key="sk-1")
        assert ("openai_api_key" in body) == (model.key == "gpt-image-1")
    with pytest.raises(ModelUnavailable):
        arguments(
            catalogue.get("gpt-image-1"), request(catalogue, "gpt-image-1"), safety_checker=True, openai_api_key=None
        )


def test_what_fal_decides_is_left_out(catalogue: Catalogue) -> None:
    model = catalogue.get("seedream-v4")
    body = arguments(model, request(catalogue, "seedream-v4"), safety_checker=True, openai_api_key=None)
    assert "image_size" not in body
    assert "seed" not in body
    flux = catalogue.get("flux-schnell")
    plain = arguments(flux, request(catalogue, "flux-schnell"), safety_checker=True, openai_api_key=None)
    assert "guidance_scale" not in plain
    asked = arguments(flux, request(catalogue, "flux-schnell", guidance=2), safety_checker=True, openai_api_key=None)
    assert asked["guidance_scale"] == 2


def test_attachments_must_be_uploaded_and_other_links_go_as_they_are(catalogue: Catalogue) -> None:
    attached = "https://cdn.discordapp.com/attachments/1/2/a.png?ex=1"
    placed = request(catalogue, "z-image-inpaint", image=attached, mask="https://x.example/m.png")
    model = catalogue.get("z-image-inpaint")
    assert input_pictures(model, placed) == {"image": (attached,), "mask": ("https://x.example/m.png",)}
    assert picture_options(model, placed) == {"image": (attached,)}
    uploaded = with_pictures(placed, {attached: "https://v3.fal.media/files/a.png"})
    assert uploaded.options["image_url"] == "https://v3.fal.media/files/a.png"
    assert uploaded.options["mask_image_url"] == "https://x.example/m.png"
    assert placed.options["image_url"] == attached
    assert picture_options(model, uploaded) == {}


def test_look_alike_hosts_are_no_attachments(catalogue: Catalogue) -> None:
    for link in ("https://cdn.discordapp.com.evil.example/a", "https://evil.example/cdn.discordapp.com/a"):
        assert picture_options(catalogue.get("omnigen-v2"), request(catalogue, "omnigen-v2", image=link)) == {}


def test_pictures_inside_lists_and_nested_values_are_found_and_replaced(catalogue: Catalogue) -> None:
    link = "https://media.discordapp.net/a.png"
    many = request(catalogue, "omnigen-v2", options=f"image={link},https://x.example/b")
    assert picture_options(catalogue.get("omnigen-v2"), many) == {"image": (link,)}
    assert with_pictures(many, {link: "https://n.example"}).options["input_image_urls"] == [
        "https://n.example",
        "https://x.example/b",
    ]
    nested = request(
        catalogue,
        "sd35-large",
        options=f"controlnet.path=a/b controlnet.control_image_url={link} ip_adapter.path=a/b "
        f"ip_adapter.image_encoder_path=a/b ip_adapter.image_url={link} ip_adapter.scale=1 "
        f"ip_adapter.mask_image_url={link}",
    )
    assert set(picture_options(catalogue.get("sd35-large"), nested)) == {
        "controlnet.control_image_url", "ip_adapter.image_url", "ip_adapter.mask_image_url",
    }  # fmt: skip
    replaced = with_pictures(nested, {link: "https://n.example"})
    assert link not in str(replaced.options)


def test_the_body_shares_nothing_with_the_order(catalogue: Catalogue) -> None:
    placed = request(catalogue, "hidream")
    body = arguments(catalogue.get("hidream"), placed, safety_checker=True, openai_api_key=None)
    assert isinstance(body["image_size"], dict)
    body["image_size"]["width"] = 1
    assert placed.options["image_size"] == {"width": 1024, "height": 1024}
