"""A console that runs nothing and records its calls: for code that reports a job's progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from spider.packages.plan import Plan
from spider.packages.report import Report
from spider.root.terminal import StopRule, TerminalEnded


class NullConsole:
    """Everything that was said, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.told: list[tuple[str, int, str, str]] = []
        self.plans: list[Plan] = []
        self.reports: list[Report] = []

    def print_line(self, text: str) -> None:
        self.said.append(text)

    def progress(self, phase: str, percent: int = -1, package: str = "", text: str = "") -> None:
        self.told.append((phase, percent, package, text))

    def run(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        each_line: Callable[[str], object],
        each_status: Callable[[str], None] | None = None,
        limits_s: Mapping[str, float] | None = None,
        signals: Sequence[int] = (),
        stop_rule: Callable[[str], StopRule] | None = None,
    ) -> TerminalEnded:
        raise AssertionError(f"nothing is run here: {argv}")

    def wait(self, seconds: float) -> None:
        return

    def stop_wanted(self) -> bool:
        return False

    def planned(self, plan: Plan) -> None:
        self.plans.append(plan)

    def seen_plan(self, digest: str) -> Plan | None:
        return next((plan for plan in self.plans if plan.digest == digest), None)

    def reported(self, report: Report) -> None:
        self.reports.append(report)
