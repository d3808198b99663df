"""How verbs print what the hub answered: as a text or a table, or with `--json` for programs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from groundcontrol.cli.formatting import MISSING, table

Columns = Mapping[str, str | Callable[[Any], str]]
"""Head of a column -> the field of an item, or a function of the item. A field that is null or empty is shown as "-"."""


def print_answer(args: argparse.Namespace, answer: object, text: str) -> int:
    """Print the text, or the answer as JSON. Returns: exit status 0."""
    print(json.dumps(answer) if args.json else text)
    return 0


def print_list(args: argparse.Namespace, name: str, items: Sequence[Any], columns: Columns) -> int:
    """Print items as a table, or with `--json` as an object with one list. Returns: exit status 0."""
    return print_answer(args, {name: items}, "" if args.json else list_text(items, columns))


def list_text(items: Sequence[Any], columns: Columns) -> str:
    """A table with a row for each item."""
    cells = [[_cell(item, column) for column in columns.values()] for item in items]
    return table(tuple(columns), cells)


def _cell(item: Any, column: str | Callable[[Any], str]) -> str:
    return str(item[column] or MISSING) if isinstance(column, str) else column(item)
