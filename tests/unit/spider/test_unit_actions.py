"""Jobs of units: checks before and after, and which of systemctl's results are trusted."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from spider.root.terminal import Log, OutputReporter, Terminal, TerminalEnded
from spider.root.unit_actions import UnitActions, UnitState, UnitsUnknown, parse_state
from tests.support.null_console import NullConsole

RUNNING = UnitState(("web.service",), "loaded", "active", "running", "success", 0)
FAILED = RUNNING._replace(active="failed", sub="failed", result="exit-code")
SHOWN = """Restart=no
Result=exit-code
NRestarts=2
Id=web.service
Names=www.service web.service
LoadState=loaded
ActiveState=failed
SubState=failed
"""


class Played(NullConsole):
    """The console of a job, on which systemctl is played."""

    def __init__(self, rc: int | None = 0, overran: str = "", *, stop: bool = False) -> None:
        super().__init__()
        self._ended = TerminalEnded(rc, 0 if rc is not None else 9, overran)
        self._stop = stop
        self.ran: list[list[str]] = []

    def run(
        self, argv: Sequence[str], env: Mapping[str, str], each_line: object, each_status: object = None,
        limits_s: Mapping[str, float] | None = None, *_rest: object, **_more: object,
    ) -> TerminalEnded:  # fmt: skip
        assert limits_s
        assert env["SYSTEMD_PAGER"] == "cat"
        self.ran.append(list(argv))
        return self._ended

    def stop_wanted(self) -> bool:
        return self._stop


def actions(console: Played, *states: UnitState, systemd: bool = True) -> UnitActions:
    left = list(states)
    return UnitActions(console, lambda _name: left.pop(0) if len(left) > 1 else left[0], lambda: systemd, settle_s=0.0)


def test_the_state_is_read_from_systemctl() -> None:
    state = parse_state(SHOWN)
    assert state == UnitState(["web.service", "www.service"], "loaded", "failed", "failed", "exit-code", 2)
    assert str(state) == "failed (failed), result exit-code"


def test_a_restart_shows_the_state_before_and_after() -> None:
    console = Played()
    outcome = actions(console, FAILED, RUNNING).perform("unit-restart", ["web.service"])
    assert (outcome.state, outcome.exit_code) == ("succeeded", 0)
    assert console.ran == [["systemctl", "--no-ask-password", "--no-pager", "restart", "--", "web.service"]]
    assert console.said == [
        "web.service: failed (failed), result exit-code",
        "$ systemctl restart web.service",
        "web.service: active (running)",
    ]


@pytest.mark.parametrize(
    ("verb", "rc", "states", "code"),
    [
        ("unit-restart", 1, (RUNNING, FAILED), "job.unit_failed"),
        ("unit-restart", 0, (RUNNING, RUNNING, FAILED), "job.unit_failed"),  # it ended right after its start
        ("unit-start", 0, (FAILED, RUNNING, RUNNING._replace(restarts=1)), "job.unit_failed"),
        ("unit-start", 0, (FAILED, RUNNING._replace(active="activating", sub="auto-restart")), "job.unit_failed"),
        ("unit-stop", 0, (RUNNING, RUNNING), "job.unit_failed"),
        ("unit-stop", 0, (RUNNING, RUNNING._replace(active="inactive", sub="dead")), ""),
        ("unit-stop", 0, (RUNNING, FAILED), ""),  # it ended with a signal: it is down
        ("unit-start", 0, (FAILED, FAILED._replace(active="inactive", sub="dead", result="success")), ""),  # it did its one thing
        ("unit-reload", 0, (RUNNING, RUNNING), ""),
        ("unit-restart", 0, (RUNNING._replace(load="not-found"),), "job.unit_not_loaded"),
        ("unit-restart", 0, (RUNNING._replace(load="masked"),), "job.unit_not_loaded"),
        ("unit-stop", 0, (RUNNING._replace(names=("web.service", "stardust-spider.service")),), "job.unit_protected"),
    ],
)
def test_the_state_afterwards_decides_and_not_the_exit_status_alone(verb: str, rc: int, states: tuple[UnitState, ...], code: str) -> None:
    console = Played(rc)
    outcome = actions(console, *states).perform(verb, ["web.service"])
    assert (outcome.state, outcome.error_code) == ("failed" if code else "succeeded", code)
    assert bool(console.ran) == (code not in ("job.unit_not_loaded", "job.unit_protected"))


def test_a_failed_unit_does_not_stop_the_others_and_a_missing_one_does() -> None:
    console = Played(1)
    outcome = actions(console, RUNNING, RUNNING, FAILED).perform("unit-restart", ["web.service", "db.service"])
    assert len(console.ran) == 2
    assert "web.service" in outcome.error_text
    assert "db.service" in outcome.error_text
    console = Played()
    actions(console, RUNNING, RUNNING._replace(load="not-found")).perform("unit-restart", ["web.service", "db.service"])
    assert console.ran == []


def test_nothing_is_begun_without_systemd_or_after_a_stop() -> None:
    for console, systemd, code in ((Played(), False, "job.no_systemd"), (Played(stop=True), True, "job.stopped")):
        assert actions(console, RUNNING, systemd=systemd).perform("unit-restart", ["web.service"]).error_code == code
        assert console.ran == []


def test_a_unit_whose_state_is_unknown_after_its_restart_does_not_stop_the_others() -> None:
    states: list[UnitState | UnitsUnknown] = [RUNNING, RUNNING, UnitsUnknown("no answer"), RUNNING]

    def look(_name: str) -> UnitState:
        state = states.pop(0) if len(states) > 1 else states[0]
        if isinstance(state, UnitsUnknown):
            raise state
        return state

    console = Played()
    outcome = UnitActions(console, look, lambda: True, settle_s=0.0).perform("unit-restart", ["web.service", "db.service"])
    assert [argv[-1] for argv in console.ran] == ["web.service", "db.service"]
    assert (outcome.state, outcome.error_code) == ("failed", "job.unit_unknown")


def test_a_stop_request_does_not_shorten_the_look_at_a_restarted_unit() -> None:
    class Stopped(Played):
        def wait(self, seconds: float) -> None:
            """As with a real console: a stop is requested."""

    console, asked_at = Stopped(), time.monotonic()
    outcome = UnitActions(
        console, lambda _name: FAILED if console.ran and time.monotonic() - asked_at > 0.2 else RUNNING, lambda: True, settle_s=0.3
    )
    assert outcome.perform("unit-restart", ["web.service"]).error_code == "job.unit_failed"


@pytest.mark.holds("F-18")
def test_systemctl_over_its_time_limit_is_interrupted_and_no_further_unit_is_begun(tmp_path: Path) -> None:
    log, reporter = Log(str(tmp_path / "log")), OutputReporter(str(tmp_path / "progress"))
    terminal = Terminal(log, reporter)

    class Slow(Played):
        progress = reporter.report

        def run(self, argv: Sequence[str], env: Mapping[str, str], each_line: Any, *rest: Any, **more: Any) -> TerminalEnded:
            self.ran.append(list(argv))
            return terminal.run(["sleep", "60"], env, each_line, *rest, **more)

    console = Slow()
    outcome = UnitActions(console, lambda _name: RUNNING, lambda: True, 0.2).perform("unit-stop", ["web.service", "db.service"])
    terminal.close()
    log.close()
    reporter.close()
    assert (outcome.state, outcome.error_code, len(console.ran)) == ("failed", "job.timed_out", 1)
    assert outcome.error_text.endswith("; not begun: db.service")
