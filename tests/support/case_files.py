"""Finds the cases that files of `tests/support` bring for a test: a new file needs no line elsewhere."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any


def case_files(kind: str) -> list[Any]:
    """The modules `<kind>_cases_<subject>`, by name."""
    return [import_module(f"{__package__}.{path.stem}") for path in sorted(Path(__file__).parent.glob(f"{kind}_cases_*.py"))]
