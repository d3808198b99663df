"""Formats tables and numbers for a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Final

from groundcontrol.cli.client import shown
from groundcontrol.cli.options import UsageError

MISSING = "-"
UPDATE_OUTDATED = "stardust update --outdated"
_MOST_NAMED = 5
_SPAN: Final = re.compile(r"(\d{1,9})([mhd])")
_MAX_SPAN_S: Final = 30 * 86_400
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}
LEVELS: Final = ("critical", "warning", "notice", "ok", "unknown")
"""Levels of a node's health or an alert, the worst first."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with columns as wide as their content."""
    cells = [list(head), *([shown(cell) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def percent(sample: Any) -> str:
    """A sample in percent, such as `42%`. A sample is an entry of a node's `latest`: `value` and `at`."""
    return MISSING if not sample or sample["value"] is None else f"{sample['value']:.0f}%"


def ratio(part: Any, whole: Any) -> str:
    """One sample as a percentage of another."""
    if not part or not whole or part["value"] is None or not whole["value"]:
        return MISSING
    return f"{100 * part['value'] / whole['value']:.0f}%"


def number_text(sample: Any) -> str:
    """A sample with two decimals."""
    return MISSING if not sample or sample["value"] is None else f"{sample['value']:.2f}"


def age(at: float | None) -> str:
    """The time since `at` (Unix seconds) in the largest useful unit; None: "never"."""
    if at is None:
        return "never"
    seconds = max(0.0, time.time() - at)
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds / 86_400:.0f} d ago"


def moment(at: float | None) -> str:
    """Unix seconds as local date and time; None: "-"."""
    return MISSING if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def named_agents(outdated: Sequence[tuple[str, str]]) -> str:
    """The first nodes of a list of (name, version), as text."""
    more = f" and {len(outdated) - _MOST_NAMED} more" if len(outdated) > _MOST_NAMED else ""
    return ", ".join(f"{name} ({version})" for name, version in outdated[:_MOST_NAMED]) + more


def span_s(text: str, verb: str) -> int:
    """The seconds of a span such as `30m`, `8h` or `2d`.

    Raises: UsageError.
    """
    found = _SPAN.fullmatch(text)
    seconds = 0 if found is None else int(found.group(1)) * _SECONDS[found.group(2)]
    if not 0 < seconds <= _MAX_SPAN_S:
        raise UsageError(f"{verb}: --for {text}: give a number with m, h or d, such as 30m; at most 30d")
    return seconds


def health_word(node: Any) -> str:
    """The worst finding of a node in few words; `ok` and `unknown` as they are."""
    findings = node["health"]["findings"]
    return str(findings[0]["cause"] if findings else node["health"]["level"])
