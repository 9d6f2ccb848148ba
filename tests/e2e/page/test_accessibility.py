"""Every view of the page, on a desktop and on a phone, is looked at by axe, which finds nothing."""

from __future__ import annotations

import re

import pytest

from tests.e2e.page.axe import violations
from tests.e2e.page.fake_server import PAGE, PageFake
from tests.e2e.page.steps import Open
from tests.e2e.page.views import VIEWS

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

_SHOWN = [
    pytest.param(name, phone, id=f"{name}-{'phone' if phone else 'desktop'}")
    for name, one in VIEWS.items()
    for phone in (False, True)
    if (one.phone if phone else one.desktop)
]
#: `testid: "x"`, `testid: \`x-${y}\``, or a choice between two of them; and `data-testid="x"`.
_DECLARED = re.compile(r"""testid: ([^,}\n]+)|data-testid=("[^"]+")""")
_TEXT = re.compile(r"""["`]([a-z][\w-]*)(?:\$\{|["`])""")


@pytest.mark.parametrize(("name", "phone"), _SHOWN)
async def test_axe_finds_nothing(fake: PageFake, visit: Open, name: str, phone: bool) -> None:
    page = await VIEWS[name].open(fake, visit, phone)
    assert await violations(page) == []


async def test_axe_finds_what_is_wrong(visit: Open) -> None:
    page = await visit()
    await page.evaluate("document.getElementById('channel-name').replaceChildren()")
    await page.evaluate("document.getElementById('open-devtools').removeAttribute('aria-label')")
    await page.evaluate("document.getElementById('open-devtools').removeAttribute('title')")
    assert {line.split(":")[0] for line in await violations(page)} == {"button-name", "empty-heading"}


@pytest.mark.slow
async def test_every_part_of_the_page_is_in_a_view_that_is_checked(fake: PageFake, visit: Open) -> None:
    declared = {
        name
        for file in PAGE.iterdir()
        if file.suffix in {".js", ".html"}
        for given in _DECLARED.findall(file.read_text("utf-8"))
        for name in _TEXT.findall("".join(given))
    }
    assert {"composer", "gate-back", "lightbox-next", "person-", "modal-input-"} <= declared
    seen: set[str] = set()
    for one in VIEWS.values():
        page = await one.open(fake, visit, not one.desktop)
        listed = "[...document.querySelectorAll('[data-testid]')].map((node) => node.dataset.testid)"
        seen.update(await page.evaluate(listed))
        await page.close()
        fake.forget()
    unseen = {name for name in declared if name not in seen and not any(one.startswith(name) for one in seen)}
    assert unseen == set(), "each needs a view in views.py"
