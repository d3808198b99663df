"""Deployments through the API of a real hub, and the state of a host before them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Self

from tests.support import fsdiff
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.lab import Host, named_host

END_LIMIT_S = 240.0
SUDO = "lab-admin-pw"


def told(row: Any) -> str:
    """Everything, as assertions show it: shortened unless it is a string."""
    return json.dumps(row, indent=1)


_WAITING = re.compile(r" /var/lib/stardust/spider/spool/[0-9]+\.(seg|out) ")


class Look:
    """The host of a desk as it was."""

    def __init__(self, desk: Desk, *, packages: bool = False) -> None:
        self._desk = desk
        self._packages = packages
        self.before = self.now()

    def now(self) -> dict[str, str]:
        return fsdiff.look(lambda script: self._desk.host.sh(script, check=False), packages=self._packages)

    def changes(self) -> list[str]:
        """What differs, but for samples that wait on the node while the hub is away, or are on their way."""
        return [line for line in fsdiff.difference(self.before, self.now()) if not _WAITING.search(line)]

    def check_unchanged(self) -> None:
        """Compare the host with its earlier state; an unchanged host serves the next test as it is."""
        found = self.changes()
        assert found == [], told(found)
        self._desk.clean = not self._desk.spoiled


class Desk:
    """Asks one hub to deploy to one host."""

    def __init__(self, hub: HubProcess, host: Host) -> None:
        self.hub = hub
        self.host = host
        self.clean = False
        """The host is in factory state."""
        self.spoiled = False

    def spoil(self, script: str) -> None:
        """Change the host before a test: it is reset afterwards."""
        self.spoiled = True
        self.host.sh(script)

    def freshen(self) -> None:
        """Before a test: a host in factory state and a hub that runs."""
        if not self.clean:
            self.host.reset()
        self.clean = self.spoiled = False
        if not self.hub.running:
            self.hub.launch()
        for row in self.hub.local("GET", "/api/v1/deployments").json["deployments"]:
            if row["ended_at"] is None:
                self.hub.local("POST", f"/api/v1/deployments/{row['id']}/cancel")
                self.end(row["id"])
        for node in self.nodes():
            assert self.hub.local("DELETE", f"/api/v1/nodes/{node['id']}?force=true").status == 202

    def fingerprint(self) -> str:
        """The fingerprint of the host now, as its own tools print it."""
        return self.host.sh("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub").split()[1]

    def body(self, user: str, key: str = "id_ed25519", **given: Any) -> dict[str, Any]:
        """The fields of `POST deployments`; None leaves one out."""
        fields = {
            "host": self.host.address, "port": self.host.port, "username": user, "private_key": self.host.private_key(key),
            "host_key": self.fingerprint(), "name": f"lab {self.host.name}", **given,
        }  # fmt: skip
        return {name: value for name, value in fields.items() if value is not None}

    def begin(self, user: str, key: str = "id_ed25519", **given: Any) -> Any:
        reply = self.hub.local("POST", "/api/v1/deployments", self.body(user, key, **given))
        assert reply.status == 202, reply.body
        return reply.json

    def install(self, user: str, key: str = "id_ed25519", **given: Any) -> Any:
        """Install, and wait for the end."""
        return self.end(self.begin(user, key, **given)["id"])

    def remove(self, node: str, body: dict[str, Any] | None = None) -> Any:
        reply = self.hub.local("DELETE", f"/api/v1/nodes/{node}", body)
        assert reply.status == 202, reply.body
        return self.end(reply.json["id"])

    def until_over(self) -> None:
        """Wait for the end of the unit that takes Spider off by order: its farewell is its last act."""
        units = "systemctl list-units --all --no-legend --plain 'stardust-*'"
        wait_until(lambda: "stardust" not in self.host.sh(units, check=False), END_LIMIT_S)

    def retry(self, deployment: str, **given: Any) -> Any:
        reply = self.hub.local("POST", f"/api/v1/deployments/{deployment}/retry", given)
        assert reply.status == 202, reply.body
        return self.end(deployment)

    def get(self, deployment: str) -> Any:
        reply = self.hub.local("GET", f"/api/v1/deployments/{deployment}")
        assert reply.status == 200, reply.body
        return reply.json

    def end(self, deployment: str) -> Any:
        return self.until(deployment, lambda row: row["ended_at"] is not None)

    def until(self, deployment: str, reached: Any) -> Any:
        """Ask until a deployment is so far."""
        wait_until(lambda: reached(self.get(deployment)), END_LIMIT_S, lambda: told(self.get(deployment)))
        return self.get(deployment)

    def nodes(self) -> list[Any]:
        found: list[Any] = self.hub.local("GET", "/api/v1/nodes").json["nodes"]
        return found

    def __enter__(self) -> Self:
        self.hub.launch()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.hub.close()


def any_host(own: Callable[[], Host]) -> Host:
    """The host that STARDUST_LAB_HOST names in the lab of LAB_DIR, else one of the tests' own."""
    return named_host() or own()


def step_of(row: Any, name: str) -> Any:
    return next(step for step in row["steps"] if step["name"] == name)


def seconds(row: Any) -> float:
    """From the first contact to the verified session."""
    return float(step_of(row, "verify")["ended_at"] - step_of(row, "connect")["started_at"])


def succeeded(row: Any) -> Any:
    assert row["state"] == "succeeded", told(row)
    assert all(step["state"] == "done" for step in row["steps"]), told(row)
    return row


def failed(row: Any, code: str, step: str) -> str:
    """Returns the sentence."""
    assert row["state"] == "failed", told(row)
    assert (row["error"]["code"], row["error"]["step"]) == (code, step)
    assert step_of(row, step)["state"] == "failed"
    assert row["node_id"] is None or row["kind"] == "remove"
    message: str = row["error"]["message"]
    assert message.endswith((".", ")"))
    assert "\n" not in message
    return message
