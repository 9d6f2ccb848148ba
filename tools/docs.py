"""The parts of the documentation that come from the code; `python -m tools.docs` writes them anew.

README.md holds them between `<!-- name -->` and `<!-- /name -->`; tests/test_docs.py compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from bot.catalogue import load
from bot.cli.models import as_markdown
from bot.settings import documented, example_toml
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


#: Section name in README.md → its text.
SECTIONS: Mapping[str, Callable[[], str]] = {"models": models, "settings": settings}


def filled(readme: str) -> str:
    """The README with every generated section as it should be."""
    for name, text in SECTIONS.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not pattern.search(readme):
            raise ValueError(f"README.md has no section <!-- {name} --> … <!-- /{name} -->")
        body = text()
        readme = pattern.sub(lambda match, body=body: f"{match[1]}{body}\n{match[2]}", readme)  # type: ignore[misc]
    return readme


def main() -> None:
    """Write all files."""
    (ROOT / "config.example.toml").write_text(example_toml(), "utf-8")
    readme = ROOT / "README.md"
    readme.write_text(filled(readme.read_text("utf-8")), "utf-8")
    sentences.write(ROOT)
    print("config.example.toml, README.md and docs/sentences.md are up to date.")


if __name__ == "__main__":
    main()
