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
    """The row as a string: assertions would shorten any other value."""
    return json.dumps(row, indent=1)


_WAITING = re.compile(r" /var/lib/stardust/spider/spool/[0-9]+\.(seg|out) ")


class Look:
    """A snapshot of a desk's host, to compare with."""

    def __init__(self, desk: Desk, *, packages: bool = False) -> None:
        self._desk = desk
        self._packages = packages
        self.before = self.now()

    def now(self) -> dict[str, str]:
        return fsdiff.look(lambda script: self._desk.host.sh(script, check=False), packages=self._packages)

    def changes(self) -> list[str]:
        """The differences from the snapshot, without spooled samples, which the node stores while the hub is away or has not confirmed them."""
        return [line for line in fsdiff.difference(self.before, self.now()) if not _WAITING.search(line)]

    def check_unchanged(self) -> None:
        """Check that the host is unchanged. The next test then uses it without a reset, unless it was spoiled for good."""
        found = self.changes()
        assert found == [], told(found)
        self._desk.mend()
        self._desk.clean = not self._desk.spoiled


class Desk:
    """One hub that deploys to one host, for tests in a row."""

    def __init__(self, hub: HubProcess, host: Host) -> None:
        self.hub = hub
        self.host = host
        self.clean = False
        """Whether the host is in factory state."""
        self.spoiled = False
        """Whether the test has changed the host itself."""
        self._mending = ""

    def spoil(self, script: str, mending: str = "") -> None:
        """Change the host for a test. The script `mending` takes it back; without one the host is reset before the next test."""
        self.spoiled, self._mending = True, mending
        self.host.sh(script)

    def mend(self) -> None:
        """Take back what the test has changed, if there is a script for it. A boot costs more."""
        if self._mending:
            self.host.sh(self._mending)
            self.spoiled, self._mending = False, ""

    def freshen(self) -> None:
        """Prepare a test: reset the host if necessary, start the hub, cancel its running deployments and remove its nodes."""
        if not self.clean:
            self.host.reset()
        self.clean = self.spoiled = False
        self._mending = ""
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
        """Wait for the end of the unit that uninstalls Spider by an order. It still runs for a moment after its last message to the hub."""
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
        """Read a deployment until it fulfils `reached`. Returns: its row."""
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
    """The host that STARDUST_LAB_HOST names in the lab of LAB_DIR, else the one that `own` boots."""
    return named_host() or own()


def step_of(row: Any, name: str) -> Any:
    return next(step for step in row["steps"] if step["name"] == name)


def seconds(row: Any) -> float:
    """Seconds from the first contact to the verified session."""
    return float(step_of(row, "verify")["ended_at"] - step_of(row, "connect")["started_at"])


def succeeded(row: Any) -> Any:
    assert row["state"] == "succeeded", told(row)
    assert all(step["state"] == "done" for step in row["steps"]), told(row)
    return row


def failed(row: Any, code: str, step: str) -> str:
    """Check that a deployment failed with this code at this step, and did not leave a node. Returns: the message of its error."""
    assert row["state"] == "failed", told(row)
    assert (row["error"]["code"], row["error"]["step"]) == (code, step)
    assert step_of(row, step)["state"] == "failed"
    assert row["node_id"] is None or row["kind"] == "remove"
    message: str = row["error"]["message"]
    assert message.endswith((".", ")"))
    assert "\n" not in message
    return message
