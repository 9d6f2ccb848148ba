"""No module of bot, cogs or sandbox imports itself by way of others, however deep; no source file is too long."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("bot", "cogs", "sandbox", exclude_type_checking_imports=False, cache_dir=None)


def circle(graph: grimp.ImportGraph) -> list[str]:
    """The modules of one circle, in the order of their imports; none when there is no circle."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def test_there_is_no_circle_of_modules(graph: grimp.ImportGraph) -> None:
    assert circle(graph) == []


def test_a_circle_is_found() -> None:
    made = grimp.ImportGraph()
    for importer, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")):
        made.add_import(importer=importer, imported=imported)
    found = circle(made)
    assert found[0] == found[-1]
    assert set(found) == {"a", "b", "c"}


def test_imports_in_functions_and_for_types_count(graph: grimp.ImportGraph) -> None:
    assert graph.direct_import_exists(importer="sandbox.discord", imported="sandbox.discord.server")
    assert graph.direct_import_exists(importer="sandbox.run", imported="sandbox.fal")


@pytest.mark.parametrize("room", ["bot", "cogs", "sandbox", "tools", "requirements", "tests"])
def test_no_source_file_is_longer_than_600_lines(room: str) -> None:
    sources = [path for path in (ROOT / room).rglob("*.*") if path.suffix in {".py", ".js", ".css", ".html"}]
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in sources}
    assert {name: count for name, count in lines.items() if count > 600} == {}


@pytest.mark.parametrize("room", ["bot", "cogs"])
def test_no_class_has_more_than_25_methods(room: str) -> None:
    found = {}
    for path in (ROOT / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                methods = sum(isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) for member in node.body)
                if methods > 25:
                    found[f"{path.relative_to(ROOT)}: {node.name}"] = methods
    assert found == {}
