#!/usr/bin/env python3
"""Writes the tables of docs/telemetry.md from the catalogues of metrics and of tables.

scripts/gen/telemetry.py           write the file
scripts/gen/telemetry.py --check   change nothing; exit 1 when the file is not current
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "telemetry.md"
sys.path.insert(0, str(ROOT))

from scripts.gen import target  # noqa: E402
from spider.wire import catalogue, metrics, tables  # noqa: E402  # the checkout is put on the path first


def subjects() -> list[ModuleType]:
    """The modules of the catalogue of metrics, in its order."""
    names = [found.name for found in pkgutil.iter_modules(catalogue.__path__)]
    modules = [importlib.import_module(f"{catalogue.__name__}.{name}") for name in names]
    return sorted(modules, key=lambda module: metrics.CATALOGUE.index(module.METRICS[0]))


def table(module: ModuleType) -> str:
    """The table of one subject's metrics."""
    lines = [
        f"### {str(module.__doc__).strip().rstrip('.')}",
        "",
        "| metric | unit | every | what it says | source |",
        "|---|---|---|---|---|",
    ]
    for metric in module.METRICS:
        labels = "".join(f" {{{label}}}" for label in metric.labels)
        unit = metric.unit if metric.kind == "gauge" else f"{metric.unit}, since boot"
        every = f"{metrics.INTERVAL_S[metric.family]} s"
        lines.append(f"| `{metric.name}`{labels} | {unit} | {every} | {target.cell(metric.about)} | {target.cell(metric.source)} |")
    return "\n".join(lines) + "\n"


def columns(subject: tables.Subject) -> str:
    """The columns of a table, with their units. Those that identify a row are bold."""
    named = [f"**{column.name}**" if column.name in subject.key else column.name for column in subject.columns]
    units = [f" ({column.unit})" if column.unit else "" for column in subject.columns]
    return ", ".join(name + unit for name, unit in zip(named, units, strict=True))


def every(subject: tables.Subject) -> str:
    """How often a table is read, and how often it is sent at most if that differs."""
    return f"{subject.interval_s} s" + (f", sent each {subject.rests_s} s" if subject.rests_s else "")


def lists() -> str:
    """The list of the tables that nodes send."""
    lines = ["### Tables", "", "| table | every | watched | what it holds | columns |", "|---|---|---|---|---|"]
    lines += [
        f"| `{subject.name}` | {every(subject)} | {subject.watched_s} s | {target.cell(subject.about)} | {target.cell(columns(subject))} |"
        for subject in tables.SUBJECTS
    ]
    return "\n".join(lines) + "\n"


def generate(text: str) -> str:
    """The whole document, with current tables."""
    return target.with_tables(text, "\n".join([*(table(module) for module in subjects()), lists()]))


if __name__ == "__main__":
    raise SystemExit(target.main({TARGET: generate(TARGET.read_text(encoding="utf-8"))}, "scripts/gen/telemetry.py", __doc__))
