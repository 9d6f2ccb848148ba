"""An automatic accessibility check: axe-core over what a page shows now.

axe-core (MPL-2.0) comes inside the package axe-playwright-python (MIT). Its script is used as it is, in tests alone.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from playwright.async_api import Page

#: WCAG 2.0 to 2.2, levels A and AA, and what axe calls best practice.
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: Rules that no tag above switches on.
_MORE_RULES = ["label-content-name-mismatch", "target-size", "css-orientation-lock"]
_RUN = """async ({ tags, rules }) => {
    const all = new Set([...axe.getRules(tags).map((rule) => rule.ruleId), ...rules]);
    const found = await axe.run(document, { runOnly: { type: "rule", values: [...all] }, resultTypes: ["violations"] });
    return found.violations;
}"""

_SETTLED = """() => Promise.all(
    document.getAnimations()
        .filter((one) => Number.isFinite(one.effect.getComputedTiming().endTime))
        .map((one) => one.finished.catch(() => null)))"""


@cache
def _script() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


async def violations(page: Page) -> list[str]:
    """What is wrong on the page as it stands: the rule, the element, and what axe says about it."""
    # A transition's half-way colours are nobody's to read.
    await page.evaluate(_SETTLED)
    if await page.evaluate("typeof axe === 'undefined'"):
        await page.evaluate(_script())
    found: list[dict[str, Any]] = await page.evaluate(_RUN, {"tags": _TAGS, "rules": _MORE_RULES})
    return [
        f"{rule['id']}: {node['html'][:300]} ({(node.get('failureSummary') or '').strip()[:400]})"
        for rule in found
        for node in rule["nodes"]
    ]
