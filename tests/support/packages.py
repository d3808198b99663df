"""Package jobs on lab hosts with any package manager.

A `PackageHost` is a lab host with Stardust's units on it and without a hub. `perform` gives an order and returns all messages about it. It
checks that the output arrived completely, and that the messages agree with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from tests.support.agent_host import AgentHost
from tests.support.lab import Host
from tests.support.some import some

COMMIT_LIMIT_S = 300.0


class Flavour(NamedTuple):
    """A kind of lab hosts, by its package manager, with shell commands that bypass Stardust."""

    manager: str
    version: str
    """A command that prints the installed version of `{package}`; nothing if it is not installed."""
    unhold: str
    """A command that ends the hold of `{package}`."""
    suffix: str = ""
    """The text that plans add to the name of a package."""


COUNTING = (
    "sed -e 's#^ExecStart=.*#ExecStart=/usr/bin/python3 -I -B /opt/stardust/count.py#' -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d'"
    " /etc/systemd/system/stardust-spider.service > /run/systemd/system/count.service; rm -f /root/count.*;"
    "printf '[Service]\\nStandardOutput=file:/root/count.out\\nStandardError=file:/root/count.err\\n' >> /run/systemd/system/count.service;"
    "systemctl daemon-reload; systemctl start count.service || true"
)
AS_SPIDER = (
    "import json, sys; sys.path.insert(0, '/opt/stardust/current/spider.pyz')\n"
    "from spider.packages.detect import updates_manager\n"
    "manager = updates_manager()\n"
    "print(json.dumps([*manager.available_updates(), manager.name, *{step.repository for step in manager.newer}]))\n"
)
_DPKG = "dpkg-query -W -f='${{db:Status-Abbrev}}${{Version}}' {package} 2>/dev/null | sed -n 's/^[ih]i //p'"
_RPM = "rpm -q --qf '%{{VERSION}}' {package} 2>/dev/null | grep -v 'not installed' || true"
FLAVOURS = {
    "debian": Flavour("apt", _DPKG, "apt-mark unhold {package}"),
    "debian-old": Flavour("apt", _DPKG, "apt-mark unhold {package}"),
    "debian-new": Flavour("apt", _DPKG, "apt-mark unhold {package}"),
    "fedora-like": Flavour("dnf", _RPM, "sed -i '/^excludepkgs\\|^exclude/d' /etc/dnf/dnf.conf"),
    "rocky-like": Flavour("dnf", _RPM, "sed -i '/^excludepkgs\\|^exclude/d' /etc/dnf/dnf.conf"),
    "dnf5-like": Flavour("dnf5", _RPM, "sed -i '/^excludepkgs\\|^exclude/d' /etc/dnf/dnf.conf"),
    "suse-like": Flavour("zypper", _RPM, "zypper -q removelock {package}"),
    "arch-like": Flavour(
        "pacman", "pacman -Q {package} 2>/dev/null | cut -d' ' -f2 | cut -d- -f1", "sed -i '/^IgnorePkg/d' /etc/pacman.conf"
    ),
}


class Step(NamedTuple):
    """One package of a plan, as the hub receives it."""

    before: str
    after: str
    security: str
    repository: str


class Shown(NamedTuple):
    """A plan as the hub receives it."""

    digest: str
    steps: dict[str, Step]
    kept: dict[str, tuple[str, str]]
    """Package to the version that it does not get, and the reason."""
    download_bytes: int
    installed_bytes: int | None
    reboot: str
    reboot_why: str


class Done(NamedTuple):
    """All messages about a job."""

    job: str
    state: str
    exit_code: int | None
    error_code: str
    error_text: str
    changes: dict[str, tuple[str, str]]
    plan: Shown | None
    report: dict[str, Any] | None
    progress: list[dict[str, Any]]
    output: bytes

    @property
    def phases(self) -> list[str]:
        """The phases of the job in the order of its messages, without repetitions in a row."""
        found: list[str] = []
        for line in self.progress:
            if not found or found[-1] != line["phase"]:
                found.append(line["phase"])
        return found


def shown(parts: list[dict[str, Any]]) -> Shown | None:
    """The last plan in these messages, some of which may have been sent twice; None if there is none."""
    if not parts:
        return None
    parts = [part for part in parts if part["digest"] == parts[-1]["digest"]]
    by_part = {part["part"]: part for part in parts}
    assert sorted(by_part) == list(range(parts[0]["parts"]))
    steps: dict[str, Step] = {}
    kept: dict[str, tuple[str, str]] = {}
    for _, part in sorted(by_part.items()):
        for name, *words in zip(part["packages"], part["before"], part["after"], part["security"], part["repositories"], strict=True):
            assert name not in steps
            steps[name] = Step(*words)
        kept.update(
            {
                name: (version, reason)
                for name, version, reason in zip(part["kept_packages"], part["kept_versions"], part["kept_reasons"], strict=True)
            }
        )
    first = by_part[0]
    return Shown(first["digest"], steps, kept, first["download_bytes"], first["installed_bytes"], first["reboot"], first["reboot_why"])


def for_flavours(fixture: str, flavours: Sequence[str], quick: Sequence[str]) -> pytest.MarkDecorator:
    """A mark that repeats a test for each flavour. Those that are not in `quick` run with --slow only."""
    params = [pytest.param(flavour, marks=[] if flavour in quick else [pytest.mark.slow]) for flavour in flavours]
    return pytest.mark.parametrize(fixture, params, indirect=True, scope="module")


class PackageHost(AgentHost):
    """A host of some flavour on which orders about packages can be given."""

    def __init__(self, host: Host, flavour: str) -> None:
        super().__init__(host)
        self.flavour = FLAVOURS[flavour]

    def name(self, package: str) -> str:
        """The name of a lab package as plans have it."""
        return package + self.flavour.suffix

    def version(self, package: str) -> str:
        """Installed version, by the package manager itself; empty = not installed (or, of apt, not configured)."""
        return self.host.sh(self.flavour.version.format(package=package)).strip()

    def unhold(self, package: str) -> None:
        """End the hold of a package without Stardust."""
        self.host.sh(self.flavour.unhold.format(package=package))

    def counted(self) -> list[Any]:
        """Count updates in a unit with all restrictions of Spider's own unit.

        Returns: total, security updates, when checked (Unix ms), manager, and the repositories.
        """
        self.put("/opt/stardust/count.py", AS_SPIDER.encode())
        self.host.sh(COUNTING)
        found: list[Any] = json.loads(self.host.sh("cat /root/count.out; tail -n 1 /root/count.err"))
        return found

    def meanwhile(self, program: str, when: str, change: str) -> None:
        """Change the system directly before a program is run with arguments that match a pattern of the shell, once."""
        before, path = f"/usr/local/sbin/{program}", self.host.sh(f"command -v {program}").strip()
        script = f'#!/bin/sh\ncase " $* " in {when}) rm {before}; {change};; esac\nexec {path} "$@"\n'
        self.put(before, script.encode(), "0755")

    def args(self, packages: list[str], plan: str = "", target: str = "") -> dict[str, Any]:
        """Arguments of an order."""
        args: dict[str, Any] = {}
        if packages:
            args["packages"] = packages
        if plan:
            args["plan"] = plan
        if target:
            args["for"] = target
        return args

    def plan(self, verb: str, *packages: str) -> Shown:
        """The plan of `verb`, by a job that only plans."""
        done = self.perform("plan", *packages, target=verb)
        assert done.state == "succeeded", done
        assert done.changes == {}
        return some(done.plan)

    def perform(self, verb: str, *packages: str, plan: str = "", target: str = "", limit_s: float = COMMIT_LIMIT_S) -> Done:
        """Give an order and wait for its end. The output has arrived completely, and the messages are consistent."""
        job = self.order(verb, self.args(list(packages), plan, target))
        return self.finish(job, limit_s)

    def finish(self, job: str, limit_s: float = COMMIT_LIMIT_S) -> Done:
        """Wait for the end of a job and collect all its messages."""
        files = self.gather(job, limit_s)
        ended = json.loads(files["ended"].splitlines()[0])
        output = files.get("output", b"")
        assert output == files["log"]
        digest = hashlib.sha256(output).hexdigest()
        assert (len(output), digest) == (ended["output_bytes"], ended["output_sha256"])
        if "result" in files:
            result = json.loads(files["result"])
            assert (len(output), digest) == (result["bytes"], result["sha256"])
        assert "faults" not in files, files["faults"]
        told = {kind: [json.loads(line) for line in files.get(kind, b"").splitlines()] for kind in ("planned", "report", "progress")}
        changes = dict(zip(ended["change_packages"], zip(ended["change_from"], ended["change_to"], strict=True), strict=True))
        return Done(
            job,
            ended["state"],
            ended["exit_code"],
            ended["error_code"],
            ended["error_text"],
            changes,
            shown(told["planned"]),
            told["report"][-1] if told["report"] else None,
            told["progress"],
            output,
        )

    def perform_as_planned(self, verb: str, *packages: str, limit_s: float = COMMIT_LIMIT_S) -> Done:
        """Make the plan, give the order with its digest, and check that a job that succeeded changed exactly what the plan says."""
        wanted = self.plan(verb, *packages)
        done = self.perform(verb, *packages, plan=wanted.digest, limit_s=limit_s)
        assert some(done.plan).digest == wanted.digest, done
        if done.state == "succeeded":
            assert done.changes == {name: (step.before, step.after) for name, step in wanted.steps.items()}, done
        return done
