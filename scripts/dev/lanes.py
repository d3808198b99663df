"""Runs the tests of the whole tree in lanes, two at a time, and reports the time and the budget of each lane.

A lane is one pytest. Its number of processes follows from how much its tests wait: browsers compute, hosts and hubs often wait. A lane that
ends makes room for the next one. The shortest is the last, so both cores are busy until the end. The report names a lane over its budget.
The lane does not fail, because the machine may be busy.

A test with real processes may depend on what the machine does at that moment. After all lanes have ended, up to MOST_FLAKY failed tests of
a lane run once more, alone. Those that pass are reported by name as flaky: a defect of the test or of the product.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LIMIT_S: Final = 3600.0
END_LIMIT_S: Final = 30.0
COUNTS: Final = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")
FAILURES: Final = re.compile(r"=+ (FAILURES|ERRORS) =+")
SUMMARY: Final = re.compile(r"=+ (warnings summary|short test summary info) =+")
FAILURE_LINES: Final = 80
"""The report repeats this many last lines of the failures, for readers who have only the end of a long log."""
FAILED_TESTS: Final = 1
"""The exit status of pytest when tests failed and nothing else went wrong."""
MOST_FLAKY: Final = 3
"""More failed tests of one lane have a cause in common, so none of them runs again."""
AT_A_TIME: Final = 2
NO_TESTS: Final = 5
"""The exit status of pytest when its arguments choose no test of this lane."""


@dataclass
class Lane:
    """Some folders of tests, and how long they may take."""

    name: str
    budget_min: int
    processes: int
    paths: tuple[str, ...]
    status: int = -1
    wall_s: float = 0.0
    processor_s: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: deque[str] = field(default_factory=lambda: deque(maxlen=FAILURE_LINES))
    failed: list[str] = field(default_factory=list)
    flaky: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None


def lanes() -> list[Lane]:
    """All lanes, in the order in which they begin."""
    checks = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests").glob("test_*.py"))
    return [
        Lane("unit", 3, 2, ("tests/unit",)),
        Lane("hosts", 6, 4, ("tests/system",)),
        Lane("browser", 6, 3, ("tests/browser",)),
        Lane("e2e", 4, 4, ("tests/e2e",)),
        Lane("checks", 2, 2, (*checks, "tests/contract", "tests/fuzz")),
    ]


def run(lane: Lane, arguments: Sequence[str]) -> None:
    """Run one lane, print its output line by line after its name, and fill in its results."""
    command = [
        sys.executable, "-m", "pytest", "-n", str(lane.processes), "--dist", "loadfile", "--no-loadscope-reorder",
        "-o", f"cache_dir=.pytest_cache/{lane.name}", *arguments, *lane.paths,
    ]  # fmt: skip
    started_at = time.monotonic()
    lane.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
    limit = threading.Timer(LIMIT_S, end, [lane])
    limit.start()
    assert lane.process.stdout is not None
    counts, in_failures = "", False
    with lane.process.stdout as output:
        for raw in output:
            line = raw.decode(errors="replace").rstrip("\n")
            counts = line if COUNTS.search(line) and " in " in line else counts
            in_failures = (in_failures or bool(FAILURES.match(line))) and not SUMMARY.match(line)
            if in_failures:
                lane.failures.append(line)
            elif line.startswith(("FAILED ", "ERROR ")):
                lane.failed.append(line)
            print(f"{lane.name:7} | {line}", flush=True)
    _, status, used = os.wait4(lane.process.pid, 0)
    limit.cancel()
    lane.process.returncode = lane.status = os.waitstatus_to_exitcode(status)
    lane.wall_s, lane.processor_s = time.monotonic() - started_at, used.ru_utime + used.ru_stime
    lane.counts.update({word.removesuffix("s"): int(count) for count, word in COUNTS.findall(counts)})
    lane.counts["failed"] += lane.counts.pop("error", 0)
    if lane.status == NO_TESTS and arguments:
        lane.status = 0


def run_waiting(waiting: deque[Lane], arguments: Sequence[str], stopping: threading.Event) -> None:
    """Run one lane after another until none waits, or the run is stopping."""
    while not stopping.is_set():
        try:
            lane = waiting.popleft()
        except IndexError:
            return
        run(lane, arguments)


def run_failed_again(lane: Lane, arguments: Sequence[str]) -> None:
    """Run the failed tests of a lane alone. If all of them pass, they are flaky and the lane has passed."""
    failures = len(lane.failed)
    if lane.status != FAILED_TESTS or not 0 < failures <= MOST_FLAKY:
        return
    again = Lane(lane.name, lane.budget_min, 0, lane.paths)
    try:
        run(again, ["--last-failed", *arguments])
    except KeyboardInterrupt:
        end(again)
        raise
    if again.status == 0 and again.counts["passed"] >= failures:
        lane.status, lane.flaky = 0, lane.failed
        lane.counts.update(passed=failures, failed=-failures)


def end(lane: Lane) -> None:
    """Interrupt a lane and its processes, as Ctrl-C does. Kill them after END_LIMIT_S."""
    if lane.process is None or lane.process.returncode is not None:
        return
    os.killpg(lane.process.pid, signal.SIGINT)
    killing = threading.Timer(END_LIMIT_S, kill, [lane])
    killing.daemon = True
    killing.start()


def kill(lane: Lane) -> None:
    """Kill a lane and its processes, if it has not ended."""
    if lane.process is not None and lane.process.returncode is None:
        os.killpg(lane.process.pid, signal.SIGKILL)


def busy_s() -> float:
    """Processor time of the whole machine since it started, in seconds. Source: proc_stat(5)."""
    user, nice, system, _idle, _iowait, irq, softirq = (int(word) for word in Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def report(done: Sequence[Lane], wall_s: float, machine_s: float) -> None:
    """Print the failures, a row for each lane, a row for the machine with the hosts' processes, and a line with all counts."""
    for lane in done:
        for line in (*lane.failures, *lane.failed):
            print(f"{lane.name:7} | {line}")
    for line in (line for lane in done for line in lane.flaky):
        print(f"flaky: passed when it ran again, alone: {line}")
    print(f"\n{'lane':10}{'passed':>8}{'failed':>8}{'skipped':>8}{'minutes':>9}{'budget':>8}{'processor s':>13}")
    total: Counter[str] = Counter()
    for lane in done:
        count = lane.counts
        total += count
        notes = ["over its budget"] * (lane.wall_s > 60 * lane.budget_min) + [f"exit status {lane.status}"] * (lane.status != 0)
        print(
            f"{lane.name:10}{count['passed']:8}{count['failed']:8}{count['skipped']:8}"
            f"{lane.wall_s / 60:9.1f}{lane.budget_min:8}{lane.processor_s:13.0f}  {', '.join(notes)}".rstrip()
        )
    flaky = sum(len(lane.flaky) for lane in done)
    print(
        f"{'machine':34}{wall_s / 60:9.1f}{'':8}{machine_s:13.0f}\n\n"
        f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped" + (f", {flaky} flaky" if flaky else ""),
        flush=True,
    )


def interrupt(_number: int, _frame: object) -> None:
    """SIGTERM ends a run as Ctrl-C does."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when every lane passed, 5 when no test ran, 130 when the run was stopped, else 1."""
    all_lanes = lanes()
    waiting = deque(all_lanes)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, interrupt)
    started_at, busy_before_s = time.monotonic(), busy_s()
    threads = [threading.Thread(target=run_waiting, args=(waiting, arguments, stopping), name=f"lanes-{i}") for i in range(AT_A_TIME)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
        for lane in all_lanes:
            run_failed_again(lane, arguments)
    except KeyboardInterrupt:
        stopping.set()
        for lane in all_lanes:
            end(lane)
        for thread in threads:
            thread.join()
    report(all_lanes, time.monotonic() - started_at, busy_s() - busy_before_s)
    if stopping.is_set():
        return 130
    if not all(lane.status == 0 for lane in all_lanes):
        return 1
    return 0 if any(lane.counts["passed"] for lane in all_lanes) else NO_TESTS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
