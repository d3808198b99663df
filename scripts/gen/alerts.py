#!/usr/bin/env python3
"""Writes the tables of docs/alerts.md from the default rules, the states, the detectors and the derived metrics.

scripts/gen/alerts.py           write the file
scripts/gen/alerts.py --check   change nothing; exit 1 when the file is not current
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "alerts.md"
sys.path.insert(0, str(ROOT))

from groundcontrol.alerts.defaults import DEFAULT_RULES  # noqa: E402  # the checkout is put on the path first
from groundcontrol.alerts.detectors import DETECTORS  # noqa: E402
from groundcontrol.alerts.expression import EventOf, parse  # noqa: E402
from groundcontrol.alerts.model import Rule, Threshold  # noqa: E402
from groundcontrol.alerts.rules import unit_of  # noqa: E402
from groundcontrol.alerts.states import STATES  # noqa: E402
from groundcontrol.notifications.values import value_text  # noqa: E402
from groundcontrol.samples.derived import DERIVED  # noqa: E402
from scripts.gen import target  # noqa: E402


def level(rule: Rule, threshold: Threshold | None) -> str:
    """One cell of the table: `> 90 % (87 %)`, where a level starts and ends; `-` if the rule lacks this level.

    For a rule of events with both levels it is the severity of the event, for other values without a unit `at once`.
    """
    if rule.warn and rule.crit and isinstance(parse(rule.expr), EventOf):
        return "an error" if threshold is rule.crit else "a warning" if rule.warn.trigger else "anything else"
    unit = unit_of(parse(rule.expr))
    if threshold is None:
        return "-"
    if unit in ("flag", "level"):
        return "at once"
    sign = ">" if rule.when == "above" else "<"
    return f"{sign} {value_text(threshold.trigger, unit)} ({value_text(threshold.clear, unit)})"


def rules() -> str:
    """The table of the default rules."""
    lines = [
        "| rule | what it says | value | warning (ends) | critical (ends) | `for_s` | `clear_s` |",
        "|---|---|---|---|---|---|---|",
    ]
    for rule in DEFAULT_RULES:
        suffix = "; shown, never sent" if rule.notice else ""
        levels = " | ".join((level(rule, rule.warn), level(rule, rule.crit)))
        times = " | ".join(value_text(time_s, "seconds") if time_s else "-" for time_s in (rule.for_s, rule.clear_s))
        lines.append(f"| `{rule.id}` | {target.cell(rule.name)}{suffix} | `{rule.expr}` | {levels} | {times} |")
    return "\n".join(lines) + "\n"


def values() -> str:
    """The table of states, detectors and derived metrics, which rules may use besides the metrics of nodes."""
    lines = ["### States, detectors and derived metrics", "", "| form | unit | what it is |", "|---|---|---|"]
    lines += [f"| `state({state.name})` | {state.unit} | {target.cell(state.about)} |" for state in STATES.values()]
    for detector in DETECTORS.values():
        numbers = ", ".join(f"{name}={number:g}" for name, number in detector.numbers.items())
        lines.append(
            f"| `detector({detector.name})` | {detector.unit} | {target.cell(detector.about)}{f'; {numbers}' if numbers else ''} |"
        )
    for name, derived in DERIVED.items():
        labels = "".join(f"{{{label}}}" for label in derived.metric.labels)
        lines.append(f"| `{name}`{labels} | {derived.metric.unit} | {target.cell(derived.metric.about)} |")
    return "\n".join(lines) + "\n"


def generate(text: str) -> str:
    """The whole document, with current tables."""
    return target.with_tables(text, rules() + "\n" + values())


if __name__ == "__main__":
    raise SystemExit(target.main({TARGET: generate(TARGET.read_text(encoding="utf-8"))}, "scripts/gen/alerts.py", __doc__))
