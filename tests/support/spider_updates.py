"""Updates of Spider on lab hosts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.deploy_client import Desk
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess

END_LIMIT_S = 240


def ship(desk: Desk, bundle: Path | None, *, faults: Sequence[str] = ()) -> None:
    """Restart the hub with another version of Spider to ship; None: its own."""
    relaunch(desk, bundle, faults=faults)
    restart(desk)  # it would come back by itself, within a minute


def relaunch(desk: Desk, bundle: Path | None, *, faults: Sequence[str] = ()) -> None:
    """As `ship`, without waiting for a node."""
    desk.hub.close()
    args = [] if bundle is None else ["--agent-bundle", str(bundle)]
    desk.hub = HubProcess(desk.hub.folder, port=desk.hub.port, args=args, faults=faults)
    desk.hub.launch()


def restart(desk: Desk) -> None:
    """Restart Spider; returns once the new one has a session."""
    (node,) = desk.nodes()
    desk.host.sh("systemctl stop stardust-spider.service")
    wait_until(lambda: desk.hub.node(node["id"])["state"] != "online", what="the hub knows that it is gone", limit_s=END_LIMIT_S)
    desk.host.sh("systemctl start stardust-spider.service")
    wait_until(lambda: desk.hub.node(node["id"])["state"] == "online", what="the node is online", limit_s=END_LIMIT_S)


def update(desk: Desk) -> Any:
    (node,) = desk.nodes()
    reply = desk.hub.local("POST", "/api/v1/agent-updates", {"nodes": [node["id"]]})
    assert reply.status == 202, reply.body
    (row,) = reply.json["deployments"]
    assert (row["kind"], row["node_id"], [step["name"] for step in row["steps"]]) == ("update", node["id"], ["wait", "install", "verify"])
    return row


def end(desk: Desk) -> Any:
    """Order an update and wait for its end."""
    return ended(desk, update(desk))


def ended(desk: Desk, row: Any) -> Any:
    return wait_until(lambda: (now := desk.get(row["id"]))["ended_at"] and now, what="the update has ended", limit_s=END_LIMIT_S)


def installed(desk: Desk) -> list[str]:
    """The target of `current`, the existing versions, and the remains of a running update."""
    return desk.host.sh(
        "readlink /opt/stardust/current; ls -d /opt/stardust/*/;"
        "ls /etc/systemd/system/stardust-rollback* /var/lib/stardust/update /var/lib/stardust/started 2>/dev/null | grep -c rollback || true"
    ).split()
