"""Roll-outs over lab hosts whose upgrade does harm.

Each host has a service `shop` that listens, a service `worker` that does not, and a package whose new version runs /srv/harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.deployed_host import DeployedHost
from tests.support.eventually import wait_until

PATIENCE_S = 500.0
POLL_S = 1.0
TOO_MANY = 429
LOGGED_OUT = 401
ENDED = ("succeeded", "stopped", "cancelled", "expired", "failed")
PACKAGE = "lab-app"
PORT = 8088
IN_COMMIT, GO = "/srv/in-commit", "/srv/go"
WAITS = f"touch {IN_COMMIT}\nuntil test -e {GO}; do sleep 0.2; done\n"
"""A harm: the package's script waits in the middle of its upgrade."""
_HARMS = "#!/bin/sh\nset -e\nif test -x /srv/harm; then /srv/harm; fi\n"
_UNIT = "[Service]\nExecStart=/usr/bin/python3 -m http.server --bind {address} {port} --directory /srv/shop\n[Install]\nWantedBy=multi-user.target\n"
_WORKER = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
_UNITS = "/etc/systemd/system"


def asked(request: pytest.FixtureRequest) -> list[str]:
    """The cases of the fixture's file that run in this session: values of the parameter `name`."""
    return [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.path == request.path
        and hasattr(item, "callspec")
        and not item.get_closest_marker("skip")
    ]


def runs(unit: str, script: str, section: str = "") -> str:
    """A harm: from now on a service runs this shell script. Args: section: more lines of the unit's section `Service`."""
    text = f'[Service]\\nExecStart=/bin/sh -c "{script}"\\n{section}[Install]\\nWantedBy=multi-user.target\\n'
    return f"printf '{text}' > {_UNITS}/{unit}.service\nsystemctl daemon-reload; systemctl restart {unit}.service || true\n"


class Trial(DeployedHost):
    """A host with the service and the package."""

    user: tuple[str, ...] = ()
    """Name and password of who calls; empty: the admin."""

    def call(self, method: str, path: str, body: object = None) -> Any:
        """As before, and patient: many trials share one user, who may make 20 calls a second, and a log-in lasts for minutes only."""

        def answer() -> Any:
            reply = self.hub.request(method, f"/api/v1/{path}", body, token=self.token)
            if reply.status == LOGGED_OUT:
                self.token = self.hub.login(*self.user).token
                return None
            assert reply.status < 300 or reply.status == TOO_MANY, (method, path, reply.status, reply.body)
            return None if reply.status == TOO_MANY else (reply,)

        [reply] = wait_until(answer, PATIENCE_S, what=f"{method} {path} is taken", poll_s=1.0)
        return reply.json if reply.body else None

    def prepare(self, harm: str = "") -> None:
        """Set the host up, and deploy the agent. Args: harm: what the upgrade will do."""
        self.put(f"{_UNITS}/shop.service", _UNIT.format(address=self.host.address, port=PORT).encode())
        self.put(f"{_UNITS}/worker.service", _WORKER.encode())
        self.host.sh("mkdir -p /srv/shop; systemctl daemon-reload; systemctl -q enable --now shop.service worker.service")
        self.offer(PACKAGE, _HARMS)
        if harm:
            self.put("/srv/harm", f"#!/bin/sh\nset -e\n{harm}".encode(), "0755")
        self.deploy()


class Run:
    """One roll-out over some hosts, the first of them the canary."""

    def __init__(self, trials: Sequence[Trial], name: str, **fields: Any) -> None:
        self.trials = trials
        self.first = trials[0]
        nodes = {"nodes": [one.node for one in trials]}
        body = {"name": name, "action": "upgrade", "packages": [PACKAGE], "select": nodes, "watch_s": 300, "reboot": "never", **fields}
        if body["action"] != "upgrade":
            del body["packages"]
        if "policy_id" in fields:
            body = fields
        self.id: str = self.first.call("POST", "rollouts", body)["id"]
        self.accepted: set[int] = set()
        """Waves whose nodes have no past to compare with."""

    def row(self) -> Any:
        return self.first.call("GET", f"rollouts/{self.id}")

    def targets(self) -> dict[str, Any]:
        return {one["node_id"]: one for one in self.first.call("GET", f"rollouts/{self.id}/targets")["targets"]}

    def target(self, of: Trial) -> Any:
        return self.targets()[of.node]

    def canary(self) -> Trial:
        """The host of the first wave."""
        seen = self.targets()
        return next(one for one in self.trials if seen[one.node]["wave"] == 0)

    def begun(self) -> Trial:
        """The host that begins first, once it has begun. A canary that is held longer than another changes places with it."""

        def look() -> Any:
            row = self.row()
            self._accept(row)
            seen = self.targets()
            found = [one for one in self.trials if seen[one.node]["state"] not in ("pending", "held")]
            assert found or row["state"] not in ENDED, (row["words"], seen)
            return found

        first: Trial = self.wait(look, PATIENCE_S, "a host begins")[0]
        return first

    def start(self) -> None:
        """Confirm the plans of a one-off roll-out."""
        row = self.until("ready", *ENDED)
        assert row["state"] == "ready", (row, self.targets())
        self.first.call("POST", f"rollouts/{self.id}/start", {"confirm": row["confirm"], "version": row["version"]})

    def until(self, *states: str, limit_s: float = PATIENCE_S) -> Any:
        """Wait for one of these states. A host of some minutes has no past to compare with, which a person accepts."""

        def look() -> Any:
            row = self.row()
            self._accept(row)
            return row if row["state"] in states else None

        return self.wait(look, limit_s, str(states))

    def until_target(self, of: Trial, what: str, limit_s: float = PATIENCE_S, **fields: Any) -> Any:
        """Wait until the target of a host has these values. Raises: AssertionError: the roll-out has ended before."""

        def look() -> Any:
            row = self.row()
            self._accept(row)
            one = self.target(of)
            if all(one[name] == value for name, value in fields.items()):
                return one
            assert row["state"] not in ENDED, (what, row["words"], one)
            return None

        return self.wait(look, limit_s, what)

    def end(self, limit_s: float = PATIENCE_S) -> Any:
        return self.until(*ENDED, limit_s=limit_s)

    def _accept(self, row: Any) -> None:
        if not row["targets"]["held"] or row["wave"] in self.accepted or row["state"] in ENDED:
            return
        if any(one["state"] == "held" and one["why"] == "history" for one in self.targets().values()):
            self.first.call("POST", f"rollouts/{self.id}/go-on", {"gate": "history", "reason": "a fresh host has no past"})
            self.accepted.add(row["wave"])

    def wait(self, look: Any, limit_s: float, what: str) -> Any:
        """Wait until `look` gives something true, and return it."""
        try:
            return wait_until(look, limit_s, what=what, poll_s=POLL_S)
        except TimeoutError:
            raise AssertionError((what, self.row(), self.targets())) from None

    def untouched(self, *but: Trial) -> None:
        """Check that nothing happened to the hosts, without these."""
        for one in self.trials:
            if one not in but:
                assert self.target(one)["state"] == "not_started", self.target(one)
                assert one.version(PACKAGE) == "ii 1.0"

    def stopped_by(self, gate: str, blamed: str) -> Any:
        """Check that this gate stopped it at its canary, with a sentence that names the culprit, and that nothing else was touched.

        Returns: the target of the canary.
        """
        row = self.end()
        canary = self.canary()
        target = self.target(canary)
        assert (row["state"], row["stopped_by"]) == ("stopped", "gate"), (row["words"], row["why"], self.targets())
        found = [one for one in target["gates"] if one["gate"] == gate and one["verdict"] == "failed"]
        assert target["why"] == gate or found, target
        assert blamed in row["words"], row["words"]
        self.untouched(canary)
        return target


def in_commit(run: Run, one: Trial) -> None:
    """Wait until the package of a host is being installed, by a script that waits."""
    run.until_target(one, "the package is being installed", step="patch")
    one.wait(f"test -e {IN_COMMIT}", PATIENCE_S)
