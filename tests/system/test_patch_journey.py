"""A patch policy over real hosts, as a new user would: an action before it, a canary that breaks, the message, the repair, the rest, the report.

And one roll-out over hosts of three package managers. The hub watches for a share of the usual time (fault `quick-watch`).
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support import lab as labs
from tests.support.deployed_host import DeployedHost
from tests.support.eventually import wait_until
from tests.support.hub import HubProcess
from tests.support.webhook_inbox import messages

pytestmark = [pytest.mark.system, pytest.mark.slow]

PATIENCE_S = 500.0
POLL_S = 0.5
ENDED = ("succeeded", "stopped", "cancelled", "expired", "failed")
MIGRATES = "#!/bin/sh\nset -e\nif test -e /srv/broken; then echo 'lab-app: cannot migrate' >&2; exit 1; fi\n"
DRAIN = '#!/bin/sh\nprintf \'%s\\n\' "$(basename "$0")" >> /srv/actions\n'


def rollout(on: DeployedHost, one: str) -> Any:
    return on.call("GET", f"rollouts/{one}")


def until_state(on: DeployedHost, one: str, *states: str) -> Any:
    """Wait for one of these states. A host of some minutes has no past to compare with, which a person accepts."""
    accepted: set[int] = set()

    def look() -> Any:
        row = rollout(on, one)
        held = [each for each in targets(on, one).values() if each["state"] == "held" and each["why"] == "history"]
        if held and row["wave"] not in accepted and row["state"] not in ENDED:
            on.call("POST", f"rollouts/{one}/go-on", {"gate": "history", "reason": "a fresh host has no past"})
            accepted.add(row["wave"])
        return row if row["state"] in states else None

    try:
        return wait_until(look, PATIENCE_S, what=f"the roll-out {one} is {states}", poll_s=POLL_S)
    except AssertionError:
        raise AssertionError((rollout(on, one), targets(on, one))) from None


def targets(on: DeployedHost, one: str) -> dict[str, Any]:
    return {row["node_id"]: row for row in on.call("GET", f"rollouts/{one}/targets")["targets"]}


@pytest.mark.timeout(2400)
@pytest.mark.holds("SAFETY-105", "SAFETY-106")
def test_a_policy_stops_at_its_broken_canary_and_the_rest_follows_after_the_repair(tmp_path: Path) -> None:
    assert (reason := labs.unavailable()) is None, f"this test needs lab hosts, and {reason}"
    with ExitStack() as ends:
        receiver, got = ends.enter_context(messages())
        hub = ends.enter_context(HubProcess(tmp_path / "hub", faults=("quick-watch=0.02",), env={"STARDUST_NOTIFY_ALLOW": receiver}))
        hosts = [DeployedHost(host, hub) for host in labs.up(debian=3)]
        ends.callback(labs.down)
        for one in hosts:
            one.offer("lab-app", MIGRATES)
            one.host.sh("install -d -m 755 /etc/stardust/actions.d")
            for name in ("drain", "undrain"):
                one.put(f"/etc/stardust/actions.d/{name}", DRAIN.encode(), "0755")
            one.deploy()
            one.host.sh(
                "sed -i 's/^version.*/version = 3\\nactions = drain, undrain/' /etc/stardust/policy.conf; systemctl restart stardust-spider"
            )
        first = hosts[0]
        for one in hosts:
            one.wait_online()
            wait_until(
                lambda one=one: one.call("GET", f"nodes/{one.node}")["policy"]["actions"] == ["drain", "undrain"],  # type: ignore[misc]  # bound now
                PATIENCE_S, what="the node names its actions", poll_s=POLL_S,
            )  # fmt: skip
            one.wait_row(one.submit("check"))
        first.call("POST", "channels", {"kind": "webhook", "name": "ops", "target": {"url": f"http://{receiver}/"}})
        [channel] = first.call("GET", "channels")["channels"]
        policy = first.call(
            "POST", "patch-policies",
            {
                "name": "shop nightly", "select": {"all": True}, "when": {"weekly": ["tue"]}, "start": "02:30", "length_s": 14_400, "zone": "UTC",
                "what": "all", "only": ["lab-app"], "order": {"canary": 1}, "watch_s": 300, "reboot": "never", "report": [channel["id"]],
                "before": [{"name": "drain", "timeout_s": 60}], "after": [{"name": "undrain", "timeout_s": 60}],
            },
        )  # fmt: skip
        preview = first.call("POST", "patch-policies/preview", {"policy": {k: policy[k] for k in policy if k not in ("id", "owner", "paused", "next_at", "whole", "version")}, "id": policy["id"]})  # fmt: skip
        assert [(one["package"], one["nodes"]) for one in preview["packages"]] == [("lab-app", 3)]

        for one in hosts:
            one.host.sh("touch /srv/broken")
        made = first.call("POST", "rollouts", {"policy_id": policy["id"]})
        row = until_state(first, made["id"], *ENDED)
        assert (row["state"], row["stopped_by"], row["targets"]["failed"], row["targets"]["not_started"]) == ("stopped", "gate", 1, 2), row
        seen = targets(first, made["id"])
        [failed] = [one for one in hosts if seen[one.node]["state"] == "failed"]
        assert failed.host.sh("cat /srv/actions").split() == ["drain", "undrain"], "after runs whenever before ran"
        for one in hosts:
            if one is not failed:
                assert one.version("lab-app") == "ii 1.0"
                assert one.host.sh("test -e /srv/actions && echo drained || true") == ""
        wait_until(lambda: "lab-app" in json.dumps(got) or "stopped" in json.dumps(got), PATIENCE_S, what="the message arrives")
        assert first.call("GET", f"patch-policies/{policy['id']}")["paused"] == "stopped"
        assert [one["to"] for one in first.call("GET", f"nodes/{failed.node}/changes?kind=rollout")["changes"]][:1] == ["rollout_stopped"]

        for one in hosts:
            one.host.sh("rm /srv/broken; dpkg --configure -a >/dev/null 2>&1 || true")
            one.wait_row(one.submit("check"))
        rest = first.call("POST", f"rollouts/{made['id']}/retry-rest")
        assert (rest["parent_id"], rest["policy_id"]) == (made["id"], policy["id"])
        row = until_state(first, rest["id"], *ENDED)
        assert row["state"] == "succeeded", (row["words"], targets(first, rest["id"]))
        for one in hosts:
            assert one.version("lab-app") == "ii 2.0"
            done = ["drain", "undrain"] if one is not failed else ["drain", "undrain"] * (1 + (seen_again(first, rest["id"], one)))
            assert one.host.sh("cat /srv/actions").split() == done
        wait_until(lambda: f"report of rest of {policy['name']}" in json.dumps(got), PATIENCE_S, what="the report arrives")
        status = {one["node_id"]: one for one in first.call("GET", "patch-status")["nodes"]}
        assert {status[one.node]["by_policy"] for one in hosts if one is not failed} == {row["name"]}


def seen_again(on: DeployedHost, one: str, host: DeployedHost) -> bool:
    """Whether the roll-out drained this host: one that the repair has brought up to date already is left alone."""
    return bool(targets(on, one)[host.node]["why"] != "up_to_date")


@pytest.mark.timeout(2400)
@pytest.mark.parametrize("flavours", [("debian", "dnf5_like", "arch_like")], ids=["apt-dnf-pacman"])
def test_one_roll_out_goes_over_hosts_of_three_package_managers(tmp_path: Path, flavours: tuple[str, ...]) -> None:
    assert (reason := labs.unavailable()) is None, f"this test needs lab hosts, and {reason}"
    with ExitStack() as ends:
        hub = ends.enter_context(HubProcess(tmp_path / "hub", faults=("quick-watch=0.02",)))
        ends.callback(labs.down)
        hosts = {flavour: DeployedHost(labs.up(**{flavour: 1})[-1], hub) for flavour in flavours}
        for one in hosts.values():
            one.deploy()
        first = next(iter(hosts.values()))
        for one in hosts.values():
            one.wait_row(one.submit("check"))
        wait_until(
            lambda: all((row["updates"]["total"] or 0) > 0 for row in first.call("GET", "nodes")["nodes"]),
            PATIENCE_S, what="each host has told of its updates", poll_s=POLL_S,
        )  # fmt: skip
        body = {"name": "three kinds", "action": "upgrade", "select": {"all": True}, "watch_s": 300, "reboot": "never"}
        made = first.call("POST", "rollouts", body)
        row = until_state(first, made["id"], "ready", *ENDED)
        assert (row["state"], row["confirm"]) == ("ready", 3), (row, targets(first, made["id"]))
        first.call("POST", f"rollouts/{made['id']}/start", {"confirm": row["confirm"], "version": row["version"]})
        row = until_state(first, made["id"], *ENDED)
        assert row["state"] == "succeeded", (row["words"], targets(first, made["id"]))
        for flavour, one in hosts.items():
            changed = first.call("GET", f"nodes/{one.node}/changes?kind=package")["changes"]
            assert any(each["from"] and each["to"] and each["job_id"] for each in changed), (flavour, changed)
            assert targets(first, made["id"])[one.node]["state"] == "passed", flavour
