"""One program of `scripts/rooms` under a trace hook: `python -m scripts.dev.rooms_trace serve|--config|launch|run …`.

When one of our files runs a line, the hook writes `<Unix nanoseconds> <file>` to a file in the folder ROOMS_TRACE, at most once a
millisecond for each file. Code that runs while a module is imported does not count.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
OURS: Final = tuple(f"{ROOT}/{package}/" for package in ("groundcontrol", "majortom", "spider"))
APART_NS: Final = 1_000_000
"""The least time between two lines about the same file."""
FLUSH_NS: Final = 100_000_000
BOOT: Final = "a" * 32


class Tracer:
    """The hook of one process and its file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._names: dict[str, str] = {}
        """Path of a source → its name in the output; empty if the source does not count."""
        self._last_ns: dict[str, int] = {}
        self._lines: list[str] = []
        self._flushed_ns = 0
        self._imports: dict[int, int] = {}
        """Thread → how many modules are being imported in it, one inside the other."""

    def start(self) -> None:
        atexit.register(self.flush)
        threading.settrace(self._called)
        sys.settrace(self._called)

    def flush(self) -> None:
        lines, self._lines = self._lines, []
        os.write(self._fd, "".join(lines).encode())

    def _called(self, frame: FrameType, _what: str, _arg: Any) -> Callable[..., Any] | None:
        code, thread = frame.f_code, threading.get_ident()
        if code.co_name == "<module>":
            self._imports[thread] = self._imports.get(thread, 0) + 1
            frame.f_trace_lines = False
            return self._importing
        name = self._names.get(code.co_filename)
        if name is None:
            name = self._names[code.co_filename] = _name(code.co_filename)
        return self._ran if name and not self._imports.get(thread) else None

    def _importing(self, _frame: FrameType, what: str, _arg: Any) -> Callable[..., Any]:
        if what == "return":
            self._imports[threading.get_ident()] -= 1
        return self._importing

    def _ran(self, frame: FrameType, what: str, _arg: Any) -> Callable[..., Any]:
        """Note a line that ran. A coroutine that only passes a wake-up to another one runs no line, so it does not count."""
        name, now_ns = self._names[frame.f_code.co_filename], time.time_ns()
        if what == "line" and now_ns - self._last_ns.get(name, 0) >= APART_NS:
            self._last_ns[name] = now_ns
            self._lines.append(f"{now_ns} {name}\n")
            if now_ns - self._flushed_ns > FLUSH_NS:
                self._flushed_ns = now_ns
                self.flush()
        return self._ran


def _name(path: str) -> str:
    return path.removeprefix(f"{ROOT}/") if path.startswith(OURS) and not path.endswith("/__init__.py") else ""


# -- the programs --------------------------------------------------------------------------------------


def hub(words: Sequence[str]) -> int:
    from tests.support import hub_program  # noqa: PLC0415  # each program loads its own modules only

    return hub_program.main(words)


def spider(words: Sequence[str]) -> int:
    """The agent without a package manager. With ROOMS_UNSAMPLED it sends no samples, and no reports after a job's end."""
    from spider import __main__ as program  # noqa: PLC0415
    from spider.sampling import measurement  # noqa: PLC0415
    from tests.support.spider_program import NoManager  # noqa: PLC0415

    measurement.__dict__["SeparateQuery"] = NoManager
    if "ROOMS_UNSAMPLED" in os.environ:
        original: Callable[..., measurement.Measurement] = measurement.build_measurement

        def unsampled(*parts: Any) -> measurement.Measurement:
            found = original(*parts)
            for name, task in found.tasks.items():
                if name != "facts":
                    task.close()
            return found._replace(tasks={"facts": found.tasks["facts"]}, job_ended=lambda: None)

        measurement.__dict__["build_measurement"] = unsampled
    program.main(list(words))


def launch(words: Sequence[str]) -> int:
    """Root's launcher, serving every connection. It starts this program instead of the job's unit."""
    from spider.root import launcher  # noqa: PLC0415

    folder = Path(words[0])
    paths = launcher.LauncherPaths(
        str(folder / "launch.key"), str(folder / "spider.conf"), str(folder / "policy.conf"), str(folder / "jobs"),
        str(folder / "started"), os.geteuid(), (str(folder),),
    )  # fmt: skip
    running: list[subprocess.Popen[bytes]] = []

    def start(unit: str) -> bool:
        job = unit.partition("@")[2].partition(".")[0]
        running.append(subprocess.Popen([sys.executable, "-m", "scripts.dev.rooms_trace", "run", str(folder), job]))
        return True

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "launcher.sock"))
        listener.listen()
        while True:
            client, _ = listener.accept()
            with client:
                launcher.serve(client, paths, launcher.JobUnit(start, lambda: False), BOOT)
            running = [process for process in running if process.poll() is None]


def run(words: Sequence[str]) -> int:
    """Root's runner, with a fake package manager."""
    from spider.packages.driver import Driver  # noqa: PLC0415
    from spider.packages.plan import Plan, Planned  # noqa: PLC0415
    from spider.root.runner import RunnerPaths, run_job  # noqa: PLC0415
    from tests.support.fake_package_manager import FakePackageManager  # noqa: PLC0415

    folder, job = Path(words[0]), words[1]
    jobs = str(folder / "jobs")
    database = folder / "packages"
    database.mkdir(exist_ok=True)
    manager = FakePackageManager(database, Plan((Planned("a", "1", "2"),)))
    manager.script = "echo Hit:1 main"
    run_job(job, Driver(manager, jobs_dir=jobs), BOOT, RunnerPaths(jobs))
    return 0


PROGRAMS: Final[dict[str, Callable[[Sequence[str]], int]]] = {"launch": launch, "run": run}


def main() -> int:
    words = sys.argv[1:]
    Tracer(Path(os.environ["ROOMS_TRACE"]) / f"{os.getpid()}").start()
    if words[0] in PROGRAMS:
        return PROGRAMS[words[0]](words[1:])
    return hub(words) if words[0] == "serve" else spider(words)


if __name__ == "__main__":
    sys.exit(main())
