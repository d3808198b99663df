#!/usr/bin/env python3
"""Writes the tables of docs/alerts.md from the default rules, the states and the detectors; the text around them stays.

scripts/gen/alerts.py           write the file
scripts/gen/alerts.py --check   change nothing; exit 1 when the file is not current
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "alerts.md"
BEGIN, END = "<!-- tables -->\n", "<!-- end of tables -->\n"
sys.path.insert(0, str(ROOT))

from groundcontrol.alerts.defaults import DEFAULT_RULES  # noqa: E402  # the checkout is put on the path first
from groundcontrol.alerts.detectors import DETECTORS  # noqa: E402
from groundcontrol.alerts.expression import parse  # noqa: E402
from groundcontrol.alerts.model import Rule, Threshold  # noqa: E402
from groundcontrol.alerts.rules import unit_of  # noqa: E402
from groundcontrol.alerts.states import STATES  # noqa: E402
from groundcontrol.alerts.values import in_words  # noqa: E402
from groundcontrol.samples.derived import DERIVED  # noqa: E402


def cell(text: str) -> str:
    """One line, as a table of Markdown wants it."""
    return " ".join(text.split()).replace("|", "\\|")


def level(rule: Rule, threshold: Threshold | None) -> str:
    """`> 90 % (87 %)`: where a level starts, and where it ends."""
    unit = unit_of(parse(rule.expr))
    if threshold is None:
        return "-"
    if unit == "flag":
        return "at once"
    sign = ">" if rule.when == "above" else "<"
    return f"{sign} {in_words(threshold.trigger, unit)} ({in_words(threshold.clear, unit)})"


def rules() -> str:
    """The default rules."""
    lines = [
        "| rule | what it says | value | warning (ends) | critical (ends) | for |",
        "|---|---|---|---|---|---|",
    ]
    for rule in DEFAULT_RULES:
        told = "; shown, never sent" if rule.notice else ""
        held = in_words(rule.for_s, "seconds") if rule.for_s else "-"
        lines.append(
            f"| `{rule.id}` | {cell(rule.name)}{told} | `{rule.expr}` | {level(rule, rule.warn)} | {level(rule, rule.crit)} | {held} |"
        )
    return "\n".join(lines) + "\n"


def values() -> str:
    """What rules may ask for beside the metrics of nodes."""
    lines = ["### States, detectors and derived metrics", "", "| form | unit | what it is |", "|---|---|---|"]
    lines += [f"| `state({state.name})` | {state.unit} | {cell(state.about)} |" for state in STATES.values()]
    for detector in DETECTORS.values():
        numbers = ", ".join(f"{name}={number:g}" for name, number in detector.numbers.items())
        lines.append(f"| `detector({detector.name})` | {detector.unit} | {cell(detector.about)}{f'; {numbers}' if numbers else ''} |")
    for name, derived in DERIVED.items():
        labels = "".join(f"{{{label}}}" for label in derived.metric.labels)
        lines.append(f"| `{name}`{labels} | {derived.metric.unit} | {cell(derived.metric.about)} |")
    return "\n".join(lines) + "\n"


def generate(text: str) -> str:
    """The whole file, with the tables of now."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "\n" + rules() + "\n" + values() + "\n" + END + tail


def main(argv: list[str]) -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 when the file is not current")
    options = parser.parse_args(argv)
    before = TARGET.read_text(encoding="utf-8")
    after = generate(before)
    if options.check:
        if before == after:
            return 0
        print(f"{TARGET.relative_to(ROOT)} is not current: run scripts/gen/alerts.py", file=sys.stderr)
        return 1
    TARGET.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
