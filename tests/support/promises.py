"""The ids of promises in the documents, and the tests that are marked with them."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple, TypeGuard

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"S": "threat-model.md", "F": "faults.md", "J": "journeys.md"}
"""Each kind of id, and the page whose rows have its ids."""
SAFETY_RULES = 109
"""The rules of safety are SAFETY-1 to this number. Each has a test, whose name and assertions say what it promises."""


class Holder(NamedTuple):
    """A test that is marked with ids."""

    file: str
    name: str
    only_slow: bool
    """Whether it runs with --slow only."""


def rows_of(page: str) -> list[list[str]]:
    """The cells of every row of every table of a page."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("| ")]


def promised(kind: str) -> dict[str, list[str]]:
    """The ids of a kind, each with the texts of its rows."""
    found: dict[str, list[str]] = {}
    for row in rows_of(PAGES[kind]):
        if re.fullmatch(rf"{kind}-\d+", row[0]):
            found.setdefault(row[0], []).append(" ".join(row[1:]))
    return found


@functools.cache
def carried() -> dict[str, list[Holder]]:
    """The ids with which tests are marked (`@pytest.mark.holds("S-05")`), each with its tests. Reads the sources and imports none.

    Raises: ValueError: a mark is not at a test that runs.
    """
    found: dict[str, list[Holder]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        source = path.read_text()
        if "mark.holds(" in source:
            for name, test in holders(source, str(path.relative_to(ROOT))):
                found.setdefault(name, []).append(test)
    return found


def holders(source: str, file: str) -> list[tuple[str, Holder]]:
    """The ids in a file, each with its test. Only decorators of a module's test functions may have them.

    Raises: ValueError: a mark is elsewhere, or at a test that is skipped or expected to fail.
    """
    module = ast.parse(source)
    of_module = [
        ast.unparse(mark)
        for node in module.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        for mark in (node.value.elts if isinstance(node.value, ast.List) else [node.value])
    ]
    calls = {id(node): node for node in ast.walk(module) if _is_holds(node)}
    found = []
    for function in module.body:
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or not function.name.startswith("test_"):
            continue
        marks = [*of_module, *(ast.unparse(mark) for mark in function.decorator_list)]
        if any(re.match(r"pytest\.mark\.(?:skip|xfail)\b", mark) for mark in marks):
            continue
        test = Holder(file, function.name, "pytest.mark.slow" in marks)
        for mark in function.decorator_list:
            if isinstance(mark, ast.Call) and calls.pop(id(mark), None) is not None:
                found += [(str(ast.literal_eval(name)), test) for name in mark.args]
    if calls:
        raise ValueError(f"{file}: no test that runs carries the ids of lines {sorted(node.lineno for node in calls.values())}")
    return found


def _is_holds(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.holds")
