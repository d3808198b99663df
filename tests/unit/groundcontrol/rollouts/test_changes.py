"""What is listed as a change of a node: which events and jobs, in whose words."""

from __future__ import annotations

import pytest

from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.core.tables import PackageChanges
from groundcontrol.events.making import new_event
from groundcontrol.events.model import Event
from groundcontrol.jobs.model import Change, JobRequest, JobUpdate, job_event
from groundcontrol.rollouts.changes import MOST, changes_of, types_of
from groundcontrol.rollouts.model import Stepped, Tell
from spider.reports.package_sync import digest_of
from tests.support.factories import SCOPE, connect, new_job
from tests.support.inprocess_hub import TestHub
from tests.support.running_rollout import a_rollout
from tests.support.some import some

NODE = NodeId("web-1")


def packages_event(at: float, *rows: tuple[str, str, str], count: int = 0, node: NodeId = NODE) -> Event:
    names, before, after = ([row[part] for row in rows] for part in range(3))
    facts: dict[str, object] = {"count": count or len(rows), "packages": names, "before": before, "after": after}
    return new_event("packages_changed", at, facts, node=node, name="web-1", org=1)


async def test_packages_changed_by_hand_stand_beside_those_of_a_job(hub: TestHub) -> None:
    node = await hub.node("web-1")
    session = await connect(hub.store, node.id)
    before = {"libc6": "1", "nginx": "1", "vim": "1"}
    await hub.store.tables.save_packages(session, PackageChanges("", digest_of(before), before), hub.clock.now())
    job = await hub.store.jobs.create_job(SCOPE, new_job(node.id, hub.clock.now()), None)
    await hub.store.jobs.take([job.id], [session], hub.clock.now())
    ended_at = hub.clock.now() - 120
    changes = (Change("libc6:amd64", "1", "2"), Change("linux-lts", "6.1", "6.2"))
    await hub.store.jobs.advance(job.id, "succeeded", session, JobUpdate(started_at=ended_at - 60, ended_at=ended_at, changes=changes))
    after = {"libc6": "2", "nginx": "2", "jq": "1.7"}
    await hub.store.tables.save_packages(session, PackageChanges("", digest_of(after), after), hub.clock.now())

    admin = await hub.logged_in()
    found = (await admin.get(f"nodes/{node.id}/changes")).json["changes"]
    rows = [(one["kind"], one["object"], one["from"], one["to"]) for one in found if one["kind"] in ("package", "kernel")]
    by_hand = [("package", "jq", "", "1.7"), ("package", "nginx", "1", "2"), ("package", "vim", "1", "")]
    assert rows == [*by_hand, ("package", "libc6:amd64", "1", "2"), ("kernel", "linux-lts", "6.1", "6.2")]
    assert [one["object"] for one in (await admin.get(f"nodes/{node.id}/changes?kind=kernel")).json["changes"]] == ["linux-lts"]
    [event] = [one for one in (await admin.get("events")).json["events"] if one["type"] == "packages_changed"]
    assert (event["details"]["count"], event["object"]) == (4, "jq, libc6, nginx, vim")


def test_packages_that_an_event_does_not_name_are_counted() -> None:
    many = packages_event(9.0, ("nginx.x86_64", "1", "2"), count=31)
    assert [(one.object, one.before, one.after) for one in changes_of([many], [])] == [
        ("nginx.x86_64", "1", "2"),
        ("30 more packages", "", "packages_changed"),
    ]
    of_an_older_hub = new_event("packages_changed", 9.0, {"count": 7, "packages": ["jq"]}, node=NODE, name="web-1", org=1)
    assert [one.object for one in changes_of([of_an_older_hub], [])] == ["jq", "6 more packages"]


@pytest.mark.parametrize(
    ("package", "kind"),
    [
        *(
            (name, "kernel")
            for name in ("linux", "linux-lts", "linux-zen", "linux-hardened", "linux-rt", "kernel-default", "kernel.x86_64")
        ),
        *((name, "kernel") for name in ("linux-image-6.1.0-40-amd64", "proxmox-kernel-6.8", "raspberrypi-kernel")),
        *((name, "package") for name in ("linux-firmware", "kernelshark", "nginx")),
    ],
)
def test_a_kernel_is_known_by_the_names_of_each_distribution(package: str, kind: str) -> None:
    assert [one.kind for one in changes_of([packages_event(9.0, (package, "1", "2"))], [])] == [kind]


async def test_a_node_lists_the_roll_outs_that_it_is_a_target_of(hub: TestHub) -> None:
    mine, other = await hub.node("web-1"), await hub.node("web-2")
    admin = await hub.logged_in()
    for node, name in ((mine, "nights"), (other, "mornings")):
        made = await a_rollout(hub, [node], name=name)
        told = Tell("rollout_started", {"rollout": made.id, "name": name, "why": "", "total": 1})
        await hub.store.rollouts.save_rollout(SYSTEM, made, Stepped(made, (told,)))
    at = hub.clock.now() + 1
    for path in (f"nodes/{mine.id}/changes", f"nodes/{mine.id}/changes?at={at}", f"nodes/{mine.id}/changes?kind=rollout"):
        listed = (await admin.get(path)).json["changes"]
        assert [one["object"] for one in listed if one["kind"] == "rollout"] == ["nights"], path
    everywhere = (await admin.get("changes?kind=rollout")).json["changes"]
    assert {one["object"] for one in everywhere} == {"nights", "mornings"}


async def test_many_other_changes_do_not_hide_those_of_a_kind(hub: TestHub) -> None:
    node = await hub.node("web-1")
    now = hub.clock.now() - 10
    await hub.store.log.add_event(new_event("node_rebooted", now, node=node.id, name="web-1", org=1))
    for number in range(MOST):
        await hub.store.log.add_event(new_event("job_started", now + number / MOST, {"action": "check"}, node=node.id, name="web-1", org=1))
    admin = await hub.logged_in()
    found = (await admin.get(f"nodes/{node.id}/changes?kind=boot")).json["changes"]
    assert [(one["to"], one["object"]) for one in found] == [("node_rebooted", "")], "and it does not bear the name of the node"


def test_every_type_of_event_has_its_kind() -> None:
    assert types_of("kernel") == types_of("package") == {"packages_changed"}
    assert types_of("boot") < types_of(None)


@pytest.mark.parametrize(
    ("action", "args", "words"),
    [
        ("action-run", ("tidy-up",), "action-run tidy-up"),
        ("unit-restart", ("nginx.service", "php.service"), "unit-restart nginx.service, php.service"),
        ("upgrade", ("nginx",), "upgrade"),
        ("check", (), "check"),
    ],
)
async def test_a_job_names_what_it_was_asked_to_do_it_to(hub: TestHub, action: str, args: tuple[str, ...], words: str) -> None:
    node = await hub.node("web-1")
    job = await hub.store.jobs.create_job(SCOPE, new_job(node.id, hub.clock.now())._replace(request=JobRequest(action, args)), None)
    event = some(job_event(job._replace(state="succeeded"), "web-1", hub.clock.now()))
    assert [(one.kind, one.object, one.job_id) for one in changes_of([event], [])] == [("job", words, job.id)]
