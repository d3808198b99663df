"""The ids of what the documents promise, and the tests that carry them."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"SAFETY": "rules.md", "S": "threat-model.md", "F": "faults.md", "J": "journeys.md"}
"""Each kind of id, and the page whose rows have its ids."""


class Holder(NamedTuple):
    """A test that carries ids."""

    file: str
    name: str
    only_slow: bool
    """Whether it runs with --slow alone."""


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
    """The ids that tests carry (`@pytest.mark.holds("S-05")`), each with its tests. Reads the sources and imports none."""
    found: dict[str, list[Holder]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text()
        if "mark.holds(" not in source:
            continue
        module = ast.parse(source)
        slow_file = any(
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark" and "pytest.mark.slow" in ast.unparse(node.value)
            for node in module.body
        )
        for function in module.body:
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            slow = slow_file or any(ast.unparse(mark) == "pytest.mark.slow" for mark in function.decorator_list)
            test = Holder(str(path.relative_to(ROOT)), function.name, slow)
            for mark in function.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.holds":
                    for name in mark.args:
                        found.setdefault(str(ast.literal_eval(name)), []).append(test)
    return found
