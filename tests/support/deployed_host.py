"""A lab host on which a real hub deploys Spider and runs package jobs."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple, TypeVar

from tests.support.agent_host import JOBS, PATIENCE_S, AgentHost
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.lab import Host

SUDO = "lab-admin-pw"
GATE = "/run/lab-gate-is-open"
GATE_LIMIT_S = 480
_REPOSITORY = "/srv/lab-repo/apt/main"
_STARTED = "/var/lib/stardust/started"
T = TypeVar("T")


class Processes(NamedTuple):
    """The processes of a job: ids with their start times, so that a reused id is not taken for the same process."""

    runner: str
    apt: str


class DeployedHost(AgentHost):
    """A host, its hub, and an admin's session at this hub."""

    def __init__(self, host: Host, hub: HubProcess) -> None:
        super().__init__(host)
        self.hub = hub
        self.token = hub.login().token
        self.name = f"lab {host.name}"

    # -- by REST, as a person ----------------------------------------------------------------------

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call the hub's API. Returns: the parsed answer."""
        reply = self.hub.request(method, f"/api/v1/{path}", body, token=self.token)
        assert reply.status < 300, (method, path, reply.status, reply.body)
        return reply.json

    def deploy(self) -> None:
        """Deploy Spider to the host as its user `admin`. sudo asks for a password, and the host key is confirmed."""
        begun = self.call(
            "POST", "deployments",
            {
                "host": self.host.address, "port": self.host.port, "username": "admin", "private_key": self.host.private_key(),
                "sudo_password": SUDO, "name": self.name,
            },
        )  # fmt: skip
        path = f"deployments/{begun['id']}"
        asking = self._settled(path, "running")
        assert asking["state"] == "awaiting_host_key", asking
        shown = asking["host_key"]
        assert shown["fingerprint"] in {key["fingerprint"] for key in self.host.host_keys}
        self.call("POST", f"{path}/host-key", {"fingerprint": shown["fingerprint"]})
        ended = self._settled(path, "running", "awaiting_host_key")
        assert ended["state"] == "succeeded", ended
        self.node = ended["node_id"]

    def _settled(self, path: str, *passing: str) -> Any:
        def look() -> Any:
            row = self.call("GET", path)
            return None if row["state"] in passing else row

        return wait_until(look, what=f"{path} is past {passing}")

    def submit(self, action: str, packages: list[str] | None = None) -> str:
        """Request a job. Returns: its id."""
        job: str = self.call("POST", f"nodes/{self.node}/jobs", {"action": action, **({"packages": packages} if packages else {})})["id"]
        return job

    def job_row(self, job: str) -> Any:
        return self.call("GET", f"jobs/{job}")

    def held(self, job: str) -> bytes:
        """All stored output of a job."""
        reply = self.hub.request("GET", f"/api/v1/jobs/{job}/output?offset=0", token=self.token)
        assert reply.status == 200, reply.body
        return reply.body

    def wait_held(self, job: str, text: bytes, limit_s: float = PATIENCE_S) -> bytes:
        """Wait until the hub has stored this piece of output. Returns: all stored output."""

        def look() -> bytes:
            held = self.held(job)
            return held if text in held else b""

        return wait_until(look, what=f"{text!r} is held by the hub", limit_s=limit_s)

    def wait_online(self) -> None:
        wait_until(lambda: self.call("GET", f"nodes/{self.node}")["state"] == "online", what="the node is online")

    def wait_row(self, job: str, limit_s: float = PATIENCE_S) -> Any:
        """Wait until the hub knows how a job ended."""

        def look() -> Any:
            row = self.job_row(job)
            return row if row["state"] not in ("queued", "dispatched", "accepted", "running") else None

        return wait_until(look, what=f"job {job} has ended", limit_s=limit_s)

    # -- on the host -------------------------------------------------------------------------------

    def offer(self, name: str, postinst: str, depends: str = "", new: str = "2.0", fields: str = "") -> None:
        """Install version 1.0 of a package, and put a new one with this maintainer script into the host's repository.

        Args: fields: more lines of its control file.
        """
        folder = f"/srv/offered/{name}"
        self.host.sh(f"mkdir -p {folder}/old/DEBIAN {folder}/new/DEBIAN")
        for part, version in (("old", "1.0"), ("new", new)):
            lines = [f"Package: {name}", f"Version: {version}", "Architecture: all", "Maintainer: lab <lab@localhost>", "Description: made by a test"]  # fmt: skip
            if depends and part == "new":
                lines.insert(1, f"Depends: {depends}")
            text = "".join(line + "\n" for line in lines) + fields * (part == "new")
            self.put(f"{folder}/{part}/DEBIAN/control", text.encode())
        self.put(f"{folder}/new/DEBIAN/postinst", postinst.encode(), "0755")
        self.host.sh(
            f"""
            dpkg-deb --root-owner-group -b {folder}/old {folder}/old.deb >/dev/null; dpkg -i {folder}/old.deb >/dev/null
            cd {_REPOSITORY}; deb={name}_{new}_all.deb; dpkg-deb --root-owner-group -b {folder}/new $deb >/dev/null
            {{ printf '\\n'; cat {folder}/new/DEBIAN/control
               printf 'Filename: ./%s\\nSize: %s\\nSHA256: %s\\n' $deb $(stat -c %s $deb) $(sha256sum $deb | cut -d' ' -f1); }} >> Packages
            sed -i '/^SHA256:/,$d' Release
            printf 'SHA256:\\n %s %s Packages\\n' $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) >> Release
            apt-get -q update >/dev/null
            """
        )

    def offer_gate(self) -> None:
        """Offer the package lab-gate, which is configured after lab-slow. Its script prints up to ten numbered lines a second until `open_gate`,
        and a long one before each: each `sleep` is a process, and the tests wait for bytes."""
        self.offer(
            "lab-gate",
            f"""#!/bin/sh
set -e
tick=0
until [ -e {GATE} ] || [ $tick -ge {GATE_LIMIT_S * 10} ]; do tick=$((tick + 1)); echo {"." * 200}; echo "lab-gate: tick $tick"; sleep 0.1; done
echo "lab-gate: passed after $tick"
""",
            depends="lab-slow (>= 2.0)",
        )

    def open_gate(self) -> None:
        self.host.sh(f"touch {GATE}")

    def processes(self, job: str) -> Processes:
        """The processes of a job now. There must be exactly one runner and one apt-get.

        Raises: AssertionError: the job is not in the middle.
        """
        told = self.host.sh(
            f"""
            test ! -e {JOBS}/{job}/result
            seen() {{ echo "$1@$(cut -d' ' -f22 /proc/$1/stat)"; }}
            seen "$(systemctl show -p MainPID --value stardust-job@{job}.service)"
            for pid in $(pgrep -x apt-get); do
                if grep -q stardust-job@ /proc/$pid/cgroup; then seen "$pid"; fi  # Spider asks its own what could be upgraded
            done
            """
        ).split()
        assert len(told) == 2, f"not one runner and one apt-get: {told}"
        return Processes(*told)

    def log_bytes(self, job: str) -> int:
        return int(self.host.sh(f"stat -c %s {JOBS}/{job}/log"))

    def configured(self, package: str) -> int:
        """How often dpkg configured the new version of a package on this host, by its own log."""
        return int(self.host.sh(f"grep -cE ' configure {package}:(all|amd64) [^ ]*' /var/log/dpkg.log | cat") or 0) - self._old(package)

    def _old(self, package: str) -> int:
        return int(self.host.sh(f"grep -cE ' configure {package}:(all|amd64) 1.0 ' /var/log/dpkg.log | cat") or 0)

    def check_ran_once(self, *jobs: str) -> None:
        """Check that exactly these jobs were ever started on this host, each of them once."""
        assert self.host.sh(f"ls {_STARTED}").split() == sorted(jobs)
        units = self.host.sh("journalctl -q -o cat -t systemd | grep '^Started stardust-job@' || true").splitlines()
        assert len(units) == len(jobs), units

    def check_whole(self, job: str) -> bytes:
        """Check that the hub has every byte of the runner's log once, and that length and digest of the runner fit. Returns: the output."""
        held, log, result, row = self.held(job), self.log(job), self.result(job), self.job_row(job)
        assert held == log
        digest = hashlib.sha256(held).hexdigest()
        assert (result["bytes"], result["lost"], result["sha256"]) == (len(held), 0, digest)
        assert (row["output_bytes"], row["output_sha256"]) == (len(held), digest)
        return held

    def record(self, job: str) -> dict[str, Any]:
        """Root's record of a started job."""
        found: dict[str, Any] = json.loads(self.host.read(f"{_STARTED}/{job}"))
        return found
