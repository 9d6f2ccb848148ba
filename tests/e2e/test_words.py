"""What people type, as they type it, from the command to fal."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.sandbox_driver import SandboxDriver, in_process_bot

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIELDS = ["prompt", "model", "size", "count", "seed", "negative_prompt", "style", "steps", "guidance", "options"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxDriver]:
    async with in_process_bot(tmp_path_factory.mktemp("bot")) as made:
        yield made


async def sent(sandbox: SandboxDriver, **options: Any) -> tuple[dict[str, object], str]:
    """What fal got, and the text of the finished card."""
    message = await sandbox.paint(**options)
    return dict(sandbox.fal.accepted[-1].arguments), message.text()


async def test_labels_given_back_are_understood(sandbox: SandboxDriver) -> None:
    for model in ("z-image", "imagen4", "recraft-v2"):
        seed = {} if model == "recraft-v2" else {"seed": 1}
        for field in ("size", "style"):
            offered = await sandbox.discord.autocomplete("ada", "general", "imagine", field, {"model": model})
            by_value, _ = await sent(sandbox, model=model, **seed, **{field: offered[-1]["value"]})
            by_label, _ = await sent(sandbox, model=model, **seed, **{field: offered[-1]["name"]})
            assert by_value == by_label, offered[-1]
    offered = await sandbox.discord.autocomplete("ada", "general", "imagine", "model", {"model": "z-image"})
    assert offered[0]["value"] == "z-image"
    got, _ = await sent(sandbox, model=offered[0]["name"], negative_prompt="dogs")
    assert got["negative_prompt"] == "dogs"


async def test_flags_are_read_and_the_card_says_so(sandbox: SandboxDriver) -> None:
    got, said = await sent(sandbox, prompt="a cat —ar 16:9 --no dogs --n 2 --v 6", model="z-image", seed=-1)
    assert (got["prompt"], got["image_size"], got["num_images"]) == ("a cat", "landscape_16_9", 2)
    assert got["negative_prompt"] == "dogs"
    assert "From your prompt I read `—ar 16:9` as `size`, `--no dogs` as `negative_prompt`, `--n 2` as `count`." in said
    assert "Left out, because it means nothing here: `--v 6`." in said
    assert isinstance(got["seed"], int)


async def test_a_model_named_in_the_prompt_paints(sandbox: SandboxDriver) -> None:
    got, said = await sent(sandbox, prompt="a cat --model ideogram-v3 --ar 16:9")
    assert got["prompt"] == "a cat"
    assert "ideogram" in sandbox.fal.accepted[-1].endpoint
    assert "From your prompt I read `--model ideogram-v3` as `model`." in said
    _, said = await sent(sandbox, prompt="a cat --model ideogram-v3", model="z-image")
    assert "ideogram" not in sandbox.fal.accepted[-1].endpoint
    assert "`--model ideogram-v3` was not used" in said
    record = await sandbox.imagine(prompt="a cat --model ideogramm")
    assert "There is no model `ideogramm` here." in record.message.text()


async def test_mentions_reach_fal_as_names(sandbox: SandboxDriver) -> None:
    nia = sandbox.discord.person("nia")
    channel = sandbox.discord.channel("general", nia)
    role = next(iter(sandbox.discord.world.roles.values()))
    typed = f"<@{nia.id}> of <@&{role.id}> in <#{channel.id}> with <@1> and <:pepe:123456789>"
    got, _ = await sent(sandbox, prompt=typed, model="z-image", options=f'negative_prompt="<@{nia.id}>"')
    assert got["prompt"] == f"{nia.name} of {role.name.lstrip('@')} in {channel.name} with someone and pepe"
    assert got["negative_prompt"] == nia.name
    composed = await sandbox.run("ada", "general", "compose", {"model": "z-image"})
    record = await sandbox.discord.submit_modal(composed, {"Prompt": f"<@{nia.id}> and <#{channel.id}>"})
    await sandbox.picture(await record.answered())
    assert not re.search(r"\d{5}", str(sandbox.fal.accepted[-1].arguments["prompt"]))


async def test_the_line_in_details_gives_the_same_order_back(sandbox: SandboxDriver) -> None:
    prompt = "a poster that says size: huge, count: 3 and model:x"
    first = await sandbox.paint(
        prompt=prompt, model="z-image", size="1280x720", seed=7, negative_prompt="steps: 3", options="acceleration=none"
    )
    wanted = sandbox.fal.accepted[-1].arguments
    details = (await sandbox.press("ada", first, "Details")).message.text()
    line = next(line for line in details.splitlines() if line.startswith("/imagine ")).removeprefix("/imagine ")
    cuts = [*re.finditer(rf"(?:^| )({'|'.join(FIELDS)}):", line)]
    ends = [*(cut.start() for cut in cuts[1:]), len(line)]
    pasted = {cut[1]: line[cut.end() : end] for cut, end in zip(cuts, ends, strict=True)}
    assert pasted["prompt"] == r"a poster that says size\: huge, count\: 3 and model\:x"
    await sandbox.paint(**{**pasted, "seed": int(pasted["seed"])})
    assert sandbox.fal.accepted[-1].arguments == wanted


async def test_a_loras_page_is_refused_and_its_file_is_taken(sandbox: SandboxDriver) -> None:
    refused = (await sandbox.imagine(model="hidream", options="loras=huggingface.co/o/r:0.8")).message
    assert refused.ephemeral
    assert "`o/r`" in refused.text()
    got, said = await sent(
        sandbox, model="hidream", options="loras=https://huggingface.co/o/r/blob/main/x.safetensors 0.8"
    )
    file = "https://huggingface.co/o/r/resolve/main/x.safetensors"
    assert got["loras"] == [{"path": file, "scale": 0.8}]
    assert f"I took the link to the file itself: `{file}`." in said
