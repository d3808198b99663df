"""deploy.first_second: from a request for a deployment until the hub has the first value of the server, compared with `ssh host true`."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.support import lab as labs
from tests.support.hub import HubProcess

ROUNDS = 5
LIMIT_S = 120.0


def ssh_seconds(host: labs.Host, known_hosts: Path) -> float:
    """Seconds of one plain command over ssh, with a known host key."""
    started_at = time.monotonic()
    subprocess.run(
        ["ssh", "-F", "none", "-i", str(host.keys / "id_ed25519"), "-p", str(host.port), "-o", "BatchMode=yes",
         "-o", f"UserKnownHostsFile={known_hosts}", "-o", "StrictHostKeyChecking=yes", f"root@{host.address}", "true"],
        check=True, timeout=30, stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip
    return time.monotonic() - started_at


def wait(hub: HubProcess, path: str, done: Any) -> Any:
    """Ask until `done` accepts the answer. Returns: the answer. Raises: TimeoutError: after LIMIT_S."""
    ends_at = time.monotonic() + LIMIT_S
    while time.monotonic() < ends_at:
        answer = hub.local("GET", path).json
        if done(answer):
            return answer
        time.sleep(0.02)
    raise TimeoutError(path)


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


def first_second() -> list[dict[str, object]]:
    """Measure a plain ssh command and a deployment in turn, `ROUNDS` times, on one lab host. Returns: the medians."""
    reason = labs.unavailable()
    if reason:
        raise SystemExit(f"scripts/bench: deploy.first_second: {reason}")
    host = labs.up(debian=1)[0]
    try:
        with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder) / "hub") as hub:
            known_hosts = Path(folder) / "known_hosts"
            where = f"[{host.address}]:{host.port}" if host.port != 22 else host.address
            known_hosts.write_text("".join(f"{where} {key['public']}\n" for key in host.host_keys))
            fingerprint = next(key["fingerprint"] for key in host.host_keys if key["type"] == "ssh-ed25519")
            plain, deployed = [], []
            for _ in range(ROUNDS):
                plain.append(ssh_seconds(host, known_hosts))
                deployed.append(deploy_and_remove(hub, host, fingerprint))
    finally:
        labs.down()
    value, versus = statistics.median(deployed), statistics.median(plain)
    ratio = statistics.median(a / b for a, b in zip(deployed, plain, strict=True))
    return [{"name": "deploy.first_second", "value": round(value, 2), "unit": "s", "versus": round(versus, 3), "ratio": round(ratio, 1)}]
