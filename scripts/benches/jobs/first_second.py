"""deploy.first_second: from a request for a deployment until the hub has the first value of the server, compared with `ssh host true`."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.benches.measure import Results, line, until
from tests.support import lab as labs
from tests.support.hub import HubProcess

ROUNDS = 5
LIMIT_S = 600.0


def plain_ssh(host: labs.Host, folder: Path) -> list[str]:
    """The words before a command that plain ssh runs on a host, whose keys are known. `folder`: for the file with them."""
    known_hosts, where = folder / "known_hosts", f"[{host.address}]:{host.port}" if host.port != 22 else host.address
    known_hosts.write_text("".join(f"{where} {key['public']}\n" for key in host.host_keys))
    return [
        "ssh", "-F", "none", "-i", str(host.keys / "id_ed25519"), "-p", str(host.port), "-o", "BatchMode=yes",
        "-o", f"UserKnownHostsFile={known_hosts}", "-o", "StrictHostKeyChecking=yes", f"root@{host.address}",
    ]  # fmt: skip


def wait(hub: HubProcess, path: str, done: Callable[[Any], bool]) -> Any:
    """Ask until `done` accepts the answer. Returns: the answer. Raises: TimeoutError: after LIMIT_S."""
    return until(path, lambda: found if done(found := hub.local("GET", path).json) else None, LIMIT_S, 0.02)


def deploy_and_remove(hub: HubProcess, host: labs.Host, fingerprint: str) -> float:
    """Deploy to this host, then remove the node.

    Returns: seconds from the request until the hub has a value that the server measured, without the removal.
    Raises:  RuntimeError: the deployment failed.
    """
    body = {"host": host.address, "port": host.port, "username": "root", "private_key": host.private_key(), "host_key": fingerprint}
    started_at = time.monotonic()
    deployment = hub.local("POST", "/api/v1/deployments", body).json
    ended = wait(hub, f"/api/v1/deployments/{deployment['id']}", lambda one: one["state"] not in {"running", "awaiting_host_key"})
    if ended["state"] != "succeeded":
        raise RuntimeError(f"the deployment failed: {ended['error']}")
    wait(hub, f"/api/v1/nodes/{ended['node_id']}", lambda node: node["latest"].get("cpu.total", {}).get("value") is not None)
    took_s = time.monotonic() - started_at
    removal = hub.local("DELETE", f"/api/v1/nodes/{ended['node_id']}").json
    wait(hub, f"/api/v1/deployments/{removal['id']}", lambda one: one["state"] != "running")
    return took_s


def first_second() -> Results:
    """From the request for a deployment of a lab host until its first value, and a plain ssh command, in turn. Returns: the medians."""
    host = labs.up(debian=1)[0]
    try:
        with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder) / "hub") as hub:
            ssh = [*plain_ssh(host, Path(folder)), "true"]
            fingerprint = next(key["fingerprint"] for key in host.host_keys if key["type"] == "ssh-ed25519")
            plain, deployed = [], []
            for _ in range(ROUNDS):
                began = time.monotonic()
                subprocess.run(ssh, check=True, timeout=30, stdin=subprocess.DEVNULL, capture_output=True)
                plain.append(time.monotonic() - began)
                deployed.append(deploy_and_remove(hub, host, fingerprint))
    finally:
        labs.down()
    return [line("deploy.first_second", statistics.median(deployed), "s", statistics.median(plain))]
