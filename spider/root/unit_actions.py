"""Jobs that start, stop, restart or reload units of systemd, through systemctl.

A job never prints lines of the journal: its output is stored, and everybody who may see the server can read it.
"""

import os
import signal
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from spider.packages.interfaces import ENVIRONMENT, Console, Outcome, PackagesUnreadable, run_query
from spider.root.terminal import StopRule, TerminalEnded
from spider.wire.arg_kinds import UNITS
from spider.wire.sentences import sentence

WORDS: Dict[str, str] = {"unit-start": "start", "unit-stop": "stop", "unit-restart": "restart", "unit-reload": "reload"}
"""The command of systemctl for each verb."""
SHOW_LIMIT_S = 10.0
WORK_LIMIT_S = 600.0
"""Time limit of all units together. Systemd itself limits most starts and stops to 90 s."""
SETTLE_S = 1.0
"""Time between the two checks after a start. A service may end right after systemctl has reported success."""
_TOO_LATE = StopRule("too_late", sentence("stop.unit_at_work"), (signal.SIGINT,))
_PROPERTIES = ("Id", "Names", "LoadState", "ActiveState", "SubState", "Result", "NRestarts")


class UnitState(NamedTuple):
    """The state of one unit."""

    names: Sequence[str]
    """The unit's name and aliases."""
    load: str
    active: str
    sub: str
    result: str
    restarts: int

    def __str__(self) -> str:
        why = f", result {self.result}" if self.result not in ("", "success") else ""
        return f"{self.active} ({self.sub}){why}"


class UnitsUnknown(Exception):
    """The state of a unit cannot be read; the text has the reason."""


def parse_state(text: str) -> UnitState:
    """Parse the output of `systemctl show` for one unit."""
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    restarts = found.get("NRestarts", "")
    return UnitState(
        sorted({*found.get("Names", "").split(), found.get("Id", "")} - {""}),
        found.get("LoadState", ""),
        found.get("ActiveState", ""),
        found.get("SubState", ""),
        found.get("Result", ""),
        int(restarts) if restarts.isdecimal() else 0,
    )


def show(name: str) -> UnitState:
    """The present state of a unit. Raises: UnitsUnknown."""
    words = ["systemctl", "--no-pager", "show", "--property=" + ",".join(_PROPERTIES), "--", name]
    try:
        answer = run_query(words, {**ENVIRONMENT, "TERM": "dumb"}, SHOW_LIMIT_S)
    except PackagesUnreadable as exc:
        raise UnitsUnknown(str(exc)) from exc
    if answer.rc:
        raise UnitsUnknown(f"systemctl show {name}: {answer.err.strip()[:300] or f'exit status {answer.rc}'}")
    return parse_state(answer.out)


def unfit(name: str, state: UnitState) -> Optional[Outcome]:
    """The outcome of the job if this unit must not be changed. None: it may be changed."""
    if any(UNITS.is_protected(alias) for alias in state.names):
        return _failed("job.unit_protected", f"{name} is another name of {', '.join(state.names)}: no policy allows that")
    if state.load != "loaded":
        why = {"not-found": "there is no such unit", "masked": "it is masked"}.get(state.load, state.load or "unknown")
        text = f"{name} is not loaded here ({why}). The line `units` in /etc/stardust/policy.conf must name units that this server has"
        return _failed("job.unit_not_loaded", text)
    return None


def complaint(word: str, first: UnitState, after: UnitState) -> str:
    """What is wrong with the unit although systemctl reported success. Empty: nothing.

    Args: word: the command of systemctl. first: the state right after the command. after: the state SETTLE_S later.
    """
    if word == "stop":
        return "" if after.active in ("inactive", "failed", "deactivating") else f"it is {after} again"
    if after.active == "failed" or after.sub == "auto-restart":
        return f"it is {after}"
    if after.restarts > first.restarts:
        return f"it ended and was started again by systemd: {after}"
    return ""


def _failed(code: str, text: str, ended: Optional[TerminalEnded] = None) -> Outcome:
    return Outcome("failed", None if ended is None else ended.rc, 0 if ended is None else ended.signal, (), code, text)


class UnitActions:
    """Starts, stops, restarts or reloads units for one job."""

    def __init__(
        self,
        console: Console,
        look: Callable[[str], UnitState] = show,
        has_systemd: Callable[[], bool] = lambda: os.path.isdir("/run/systemd/system"),
        work_limit_s: float = WORK_LIMIT_S,
        settle_s: float = SETTLE_S,
    ) -> None:
        self._console = console
        self._look = look
        self._has_systemd = has_systemd
        self._work_limit_s = work_limit_s
        self._settle_s = settle_s

    def perform(self, verb: str, names: Sequence[str]) -> Outcome:
        """Apply the verb to each unit. If one unit is unfit, no unit is changed. If one fails, the next follows, unless the time is over."""
        if not self._has_systemd():
            return self._say(_failed("job.no_systemd", "this server does not run systemd, so it has no units"))
        self._console.progress("plan")
        try:
            for name in names:
                state = self._look(name)
                self._console.print_line(f"{name}: {state}")
                outcome = unfit(name, state)
                if outcome is not None:
                    return self._say(outcome)
            if self._console.stop_wanted():
                return Outcome("cancelled", None, 0, (), "job.stopped", "it was stopped before anything was changed")
            return self._all(WORDS[verb], names)
        except UnitsUnknown as exc:
            return self._say(_failed("job.unit_unknown", str(exc)))

    def _all(self, word: str, names: Sequence[str]) -> Outcome:
        failed: List[Outcome] = []
        for at, name in enumerate(names):
            self._console.progress("commit", at * 100 // len(names), name)
            try:
                outcome = self._one(word, name)
            except UnitsUnknown as exc:
                outcome = _failed("job.unit_unknown", str(exc))
            if outcome.state != "succeeded":
                failed.append(outcome)
            if outcome.error_code == "job.timed_out" and names[at + 1 :]:
                failed.append(_failed("job.timed_out", f"not begun: {', '.join(names[at + 1 :])}"))
                break
        self._console.progress("check", 100)
        if len(failed) > 1:
            return failed[0]._replace(error_text="; ".join(outcome.error_text for outcome in failed))
        return failed[0] if failed else Outcome("succeeded", 0, 0, ())

    def _one(self, word: str, name: str) -> Outcome:
        argv = ["systemctl", "--no-ask-password", "--no-pager", word, "--", name]
        self._console.print_line(f"$ systemctl {word} {name}")
        limits_s = {"commit": self._work_limit_s}
        ended = self._console.run(argv, ENVIRONMENT, lambda _line: None, None, limits_s, stop_rule=lambda _phase: _TOO_LATE)
        first = after = self._look(name)
        if ended.rc == 0 and word in ("start", "restart") and after.active in ("active", "activating"):
            time.sleep(self._settle_s)  # even if a stop is requested
            after = self._look(name)
        self._console.print_line(f"{name}: {after}")
        if ended.overran:
            return _failed(
                "job.timed_out", f"{name}: systemd had not finished within {self._work_limit_s / 60:.0f} minutes, and goes on", ended
            )
        why = f"systemctl {word} failed, {name} is {after}" if ended.rc != 0 else complaint(word, first, after)
        if not why:
            return Outcome("succeeded", 0, 0, ())
        return _failed("job.unit_failed", why if ended.rc else f"{name}: {why}", ended)

    def _say(self, outcome: Outcome) -> Outcome:
        self._console.print_line(outcome.error_text)
        return outcome
