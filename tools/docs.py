"""The parts of the documentation that come from the code; `python -m tools.docs` writes them anew.

Pages hold them between `<!-- name -->` and `<!-- /name -->`; tests/test_docs.py compares.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from bot.catalogue import load
from bot.cli.models import as_markdown
from bot.cli.worst_case import as_markdown as as_table
from bot.settings import Settings, documented, example_toml
from bot.worst_case import worst_case
from tools import sentences

ROOT = Path(__file__).parent.parent


def models() -> str:
    """The README's table of models, the one that needs an OpenAI key included."""
    return as_markdown(load(has_openai_key=True).models)


def settings() -> str:
    """The README's table of settings."""
    lines = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    for one in documented():
        default = f"`{one.default.strip(chr(34))}`" if one.default else "–"
        lines.append(f"| `{one.variable}` | {default} | {one.sentence} |")
    return "\n".join(lines)


def worst_case_by_default() -> str:
    """The most that can be spent with the settings as they come."""
    return as_table(worst_case(Settings()))


def worst_case_of_example() -> str:
    """The same with the settings that docs/costs.md shows as an example."""
    page = (ROOT / "docs/costs.md").read_text("utf-8")
    found = re.search(r"<!-- worst-case-example -->\n```toml\n(.*?)```", page, re.DOTALL)
    if found is None:
        raise ValueError("docs/costs.md shows no example of settings")
    return as_table(worst_case(Settings.model_validate(tomllib.loads(found[1]))))


#: Page → name of a section there → its text.
SECTIONS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"models": models, "settings": settings},
    "docs/costs.md": {"worst-case": worst_case_by_default, "worst-case-of-example": worst_case_of_example},
}


def filled(page: str, text: str) -> str:
    """The page with every generated section as it should be."""
    for name, section in SECTIONS[page].items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page} has no section <!-- {name} --> … <!-- /{name} -->")
        body = section()
        text = pattern.sub(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", text)  # type: ignore[misc]
    return text


def main() -> None:
    """Write all files."""
    (ROOT / "config.example.toml").write_text(example_toml(), "utf-8")
    for page in SECTIONS:
        path = ROOT / page
        path.write_text(filled(page, path.read_text("utf-8")), "utf-8")
    sentences.write(ROOT)
    print("config.example.toml, README.md, docs/costs.md and docs/sentences.md are up to date.")


if __name__ == "__main__":
    main()
