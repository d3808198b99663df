"""A fake package manager: its database is a folder with a file for each package, and its commands are /bin/sh scripts."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from spider.packages.backend import Action, Backend, Command, Failure, Lock, OutputReader, PackageList, Reboot, Replan, need_repositories
from spider.packages.interfaces import Console
from spider.packages.plan import InstalledPackage, Inventory, Plan
from spider.root.terminal import StopRule, TerminalEnded
from spider.wire.report_messages import Updates
from tests.support.some import some

AFTER_PACKAGE = StopRule("after_package", "it ends after the package that it is at", (signal.SIGINT,))


class FakePackageManager(Backend):
    """A `Backend` whose every answer a test can set."""

    name = "paper"
    kernels = re.compile("kernel")
    commit_stop = AFTER_PACKAGE

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.environment: Mapping[str, str] = {"PATH": "/usr/bin:/bin"}
        self.cache_dir = str(folder)
        self.folder = folder
        self.plan = plan
        self.script = ""
        """Instead of carrying out the plan."""
        self.meanwhile: Plan | None = None
        """What would be done, when that is worked out again directly before it is."""
        self.repair = "sed -i s/!// *"
        self.first = ""
        """A first step of a repair, which is not interrupted."""
        self.locks = 0
        """For so many questions somebody has the lock."""
        self.refusal = ""
        self.gone: list[str] = []
        """Repositories of which nothing is known."""
        self.repositories = ["main"]
        self.ran: list[tuple[str, tuple[str, ...]]] = []
        for step in plan.steps:
            if step.before:
                (folder / step.package).write_text(step.before)

    def cannot(self, verb: str, packages: Sequence[str]) -> str:
        return self.refusal

    def inventory(self) -> Inventory:
        texts = {path.name: path.read_text() for path in self.folder.iterdir() if path.is_file()}
        return {name: InstalledPackage(text.rstrip("!+"), text.endswith("!"), text.endswith("+")) for name, text in texts.items()}

    def broken(self, inventory: Inventory) -> str:
        names = [name for name, package in sorted(inventory.items()) if package.broken]
        return f"half done: {', '.join(names)}" if names else ""

    def lock(self) -> Lock | None:
        self.locks -= 1
        return Lock("/lock", "7", "other") if self.locks >= 0 else None

    def lists_refreshed_at(self) -> float:
        return 1.0 if self.repositories else 0.0

    def lists(self) -> list[PackageList]:
        return [PackageList(name, 0.0 if name in self.gone else 1.0, name == "aged") for name in [*self.repositories, *self.gone]]

    def missing(self) -> list[str]:
        need_repositories(self.repositories)
        return self.gone

    def unknown(self, packages: Sequence[str]) -> list[str]:
        return [name for name in packages if name not in {step.package for step in self.plan.steps}]

    def protected(self, packages: Sequence[str]) -> list[str]:
        return [name for name in packages if name == "init"]

    def simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        return self.plan

    def work(self, verb: str, packages: Sequence[str], plan: Plan) -> Sequence[Action]:
        self.ran.append((verb, tuple(packages)))
        lines = [f"printf {step.after} >{step.package}" if step.after else f"rm {step.package}" for step in plan.steps]
        script = self.repair if verb == "repair" else self.script or "; ".join(lines) or "true"
        if verb == "repair" and self.first:
            first = Command(("/bin/sh", "-ec", f"cd {self.folder}; {self.first}"), stops_on_failure=False, stoppable=False)
            return [first, Command(("/bin/sh", "-ec", f"cd {self.folder}; {script}"), "plan")]
        command = Command(("/bin/sh", "-ec", f"cd {self.folder}; {script}"))
        return [Replan(self._again), command] if verb != "repair" and self.meanwhile is not None else [command]

    def _again(self) -> Plan:
        self.plan = some(self.meanwhile)
        return Plan(self.plan.steps)

    def reader(self, verb: str, console: Console) -> OutputReader:
        return OutputReader(console)

    def failure(self, verb: str, ended: TerminalEnded, reader: OutputReader) -> Failure | None:
        code = "job.lock_busy" if ended.rc == 75 else "job.package_manager"
        return Failure(code, f"paper ended with status {ended.rc}") if ended.rc else None

    def reboot_required(self) -> Reboot:
        return Reboot("no", "it is paper")

    def available_updates(self) -> Updates:
        return Updates(len(self.plan.upgrades), 0, 1)
