"""`/api/v1/rollouts`, `patch-status` and `changes` against a hub in this process."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from groundcontrol.core.ids import JobId
from groundcontrol.core.scope import SYSTEM, Grants, hub_scope
from groundcontrol.core.tables import SubjectTable
from groundcontrol.events.making import new_event
from groundcontrol.jobs.model import JobRequest
from groundcontrol.jobs.plans import Report
from groundcontrol.nodes.model import NodeIdentity, NodePolicy, NodeUpdates
from groundcontrol.nodes.processes import ProcessReading, ProcessUse
from groundcontrol.rollouts.changes import changes_of
from groundcontrol.rollouts.model import Facts, MakeJob, Rollout, RolloutId, Stepped
from groundcontrol.rollouts.service import RolloutService
from groundcontrol.rollouts.status import support_of
from groundcontrol.schedules.dead_man import DeadMan
from spider.wire.sentences import sentence
from tests.support.factories import connect
from tests.support.inprocess_hub import Client, TestHub
from tests.support.running_rollout import POLICY, a_rollout
from tests.support.some import some


async def test_a_one_off_roll_out_is_made_listed_stopped_and_retried(hub: TestHub) -> None:
    admin = await hub.logged_in()
    node = await hub.node("web-1")
    made = await admin.post("rollouts", {"name": "now", "action": "upgrade", "select": {"nodes": [node.id]}})
    assert made.status == 202, made.json
    one = made.json
    assert (one["state"], one["targets"]["total"], [wave["nodes"] for wave in one["waves"]], one["policy_id"]) == ("planning", 1, [1], None)
    assert [row["id"] for row in (await admin.get("rollouts")).json["rollouts"]] == [one["id"]]
    assert (await admin.post(f"rollouts/{one['id']}/start", {"confirm": 1, "version": one["version"]})).status == 409
    assert (await admin.post(f"rollouts/{one['id']}/retry-rest")).status == 409
    stopped = await admin.post(f"rollouts/{one['id']}/stop")
    again = await admin.post(f"rollouts/{one['id']}/stop")
    assert (stopped.status, stopped.json["state"], again.json["state"]) == (200, "cancelled", "cancelled")
    assert (await admin.post(f"rollouts/{one['id']}/resume")).status == 409
    rest = await admin.post(f"rollouts/{one['id']}/retry-rest")
    assert (rest.status, rest.json["parent_id"]) == (202, one["id"])
    targets = (await admin.get(f"rollouts/{one['id']}/targets")).json["targets"]
    assert [(row["node_id"], row["state"]) for row in targets] == [(node.id, "not_started")]
    types = [event["type"] for event in (await admin.get("events")).json["events"]]
    assert "patch_report" in types


async def test_a_request_repeated_with_its_key_makes_one_roll_out(hub: TestHub) -> None:
    admin, other = await hub.logged_in(), await hub.logged_in()
    node = await hub.node("web-1")
    policy = (await admin.post("patch-policies", POLICY)).json
    one_off = {"action": "upgrade", "select": {"nodes": [node.id]}}

    async def ids(client: Client, path: str, body: object, key: str, times: int = 2) -> set[str]:
        answers = await asyncio.gather(*(client.post(path, body, headers={"Idempotency-Key": key}) for _ in range(times)))
        assert {answer.status for answer in answers} == {202}, [answer.json for answer in answers]
        return {answer.json["id"] for answer in answers}

    [first] = await ids(admin, "rollouts", one_off, "a", times=4)
    [of_policy] = await ids(admin, "rollouts", {"policy_id": policy["id"]}, "b")
    assert (await admin.post(f"rollouts/{first}/stop")).json["state"] == "cancelled"
    [rest] = await ids(admin, f"rollouts/{first}/retry-rest", None, "c")
    assert [row["id"] for row in (await admin.get("rollouts")).json["rollouts"]] == [rest, of_policy, first]
    assert await ids(admin, "rollouts", one_off, "a") == {first}, "as it is now, also after its end"
    assert (await ids(other, "rollouts", one_off, "a")).isdisjoint({first, of_policy, rest}), "the key is its sender's"
    for path, body in (("rollouts", {**one_off, "name": "other"}), (f"rollouts/{first}/retry-rest", None)):
        refused = await admin.post(path, body, headers={"Idempotency-Key": "b"})
        assert (refused.status, refused.json["code"]) == (409, "request.idempotency_mismatch")


async def test_bad_input_is_one_sentence_and_nothing_is_half_started(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await hub.node("web-1")
    for body, words in (
        ({"action": "upgrade"}, "name tags or nodes"),
        ({"action": "upgrade", "select": {}}, "empty selection"),
        ({"action": "upgrade", "select": {"tags": ["nobody"]}}, "no server is selected"),
        ({"action": "full-upgrade", "packages": ["x"], "select": {"all": True}}, "takes no names"),
        ({"action": "upgrade", "select": {"all": True}, "start_at": 1.0}, "within the next 14 days"),
    ):
        answer = await admin.post("rollouts", body)
        assert answer.status == 400, answer.json
        assert words in answer.json["detail"]
    assert (await admin.get("rollouts")).json["rollouts"] == []


async def test_a_policy_runs_now_and_holds_a_node_that_is_away_with_its_remedy(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await hub.node("web-1")
    policy = (await admin.post("patch-policies", POLICY)).json
    made = await admin.post("rollouts", {"policy_id": policy["id"]})
    assert made.status == 202, made.json
    service = hub.services[RolloutService]
    await service.sweep()
    await service.sweep()
    [target] = (await admin.get(f"rollouts/{made.json['id']}/targets")).json["targets"]
    assert (target["state"], target["why"], target["remedy"]) == ("held", "not_joined", "let it join, or approve it") or target[
        "why"
    ] == "offline", target
    assert (await admin.get(f"rollouts/{made.json['id']}")).json["state"] == "running"
    await admin.request("PATCH", f"nodes/{target['node_id']}", {"never_by_schedule": "the boss's machine"})
    await service.sweep()
    [target] = (await admin.get(f"rollouts/{made.json['id']}/targets")).json["targets"]
    assert target["why"] == "never_by_schedule"
    [occurrence] = [row for row in (await admin.get(f"patch-policies/{policy['id']}/occurrences")).json["occurrences"] if row["rollout_id"]]
    assert (occurrence["state"], occurrence["rollout_id"]) == ("started", made.json["id"])


async def test_the_rest_of_a_policys_roll_out_keeps_its_limits_and_actions(hub: TestHub) -> None:
    admin = await hub.logged_in()
    node = await hub.node("web-1")
    limits = {"leave_out": ["postgresql-*"], "before": [{"name": "drain"}], "min_age_days": {"security": 1, "other": 7}, "zone": "node"}
    policy = (await admin.post("patch-policies", {**POLICY, **limits})).json
    first = (await admin.post("rollouts", {"policy_id": policy["id"]})).json
    assert (await admin.post(f"rollouts/{first['id']}/stop")).status == 200
    await hub.services[RolloutService].sweep()
    rest = await admin.post(f"rollouts/{first['id']}/retry-rest")
    assert (rest.status, rest.json["state"], rest.json["parent_id"], rest.json["policy_id"]) == (202, "waiting", first["id"], policy["id"])
    stored = await hub.store.rollouts.rollout(hub_scope(1), RolloutId(rest.json["id"]))
    assert ([one.name for one in stored.policy.before], stored.policy.leave_out, stored.policy.min_age.other) == (
        ["drain"],
        ("postgresql-*",),
        7,
    )
    assert [one.node for one in stored.targets] == [node.id]


async def test_the_patch_status_says_late_in_time_or_unknown_also_as_csv(hub: TestHub) -> None:
    admin = await hub.logged_in()
    node = await hub.node("=web-1")
    await hub.node("web-2")
    session = await connect(hub.store, node.id)
    columns = ("package", "installed", "candidate", "security", "repository")
    rows = ("nginx", "1", "2", "yes", "debian", "less", "1", "2", "no", "debian")
    await hub.store.tables.save_table(session, SubjectTable("updates", hub.clock.now(), 2, columns, rows))
    kept = SubjectTable("held", hub.clock.now(), 2, ("package", "installed", "why"), ("less", "1", "held", "vim", "9", "phased"))
    await hub.store.tables.save_table(session, kept)
    assert list(await hub.store.policies.seen(1, ["nginx"])) == [("debian", "nginx", "2")]
    for lists_at in (None, hub.clock.now() - 4 * 86400):
        await hub.store.nodes.save_updates(session, NodeUpdates(2, 1, lists_at))
        row = (await admin.get("patch-status")).json["nodes"][0]
        assert (row["in_time"], row["security_waiting"], row["lists_at"]) == ("unknown", 1, lists_at), "lists that are missing or old"
    await hub.store.nodes.save_updates(session, NodeUpdates(2, 1, hub.clock.now()))
    answer = (await admin.get("patch-status")).json
    assert [(row["name"], row["security_waiting"], row["in_time"]) for row in answer["nodes"]] == [
        ("=web-1", 1, "in_time"),
        ("web-2", None, "unknown"),
    ]
    assert answer["nodes"][0]["kept_back"] == "less: held on the node; vim: phased, so it comes to the node later"
    assert answer["total"] == {"in_time": 1, "late": 0, "unknown": 1}
    await hub.store.nodes.save_identity(session, NodeIdentity(os_id="almalinux", os_version="8.10"), "1", NodePolicy("managed"), "no", 1.0)
    until = [
        (await admin.get(f"nodes/{node.id}")).json["supported_until"],
        (await admin.get("patch-status")).json["nodes"][0]["supported_until"],
    ]
    assert until == ["2029-03-01", "2029-03-01"]
    known, unknown = (await admin.get("patch-status")).json["support"]
    assert (known["os_id"], known["os_version"], known["nodes"], known["supported_until"]) == ("almalinux", "8.10", [node.id], "2029-03-01")
    assert (unknown["supported_until"], unknown["left_days"]) == (None, None), "not known is neither ended nor left"
    assert [one.left_days for one in support_of([await hub.store.nodes.node(SYSTEM, node.id)], 1_867_104_000.0)] == [-1], "2029-03-02"
    identity = NodeIdentity(os_id="almalinux", os_version="8.10", support_end="2031-01-31")
    await hub.store.nodes.save_identity(session, identity, "1", NodePolicy("managed"), "no", 1.0)
    assert (await admin.get("patch-status")).json["support"][0]["supported_until"] == "2031-01-31", "the node's os-release wins"
    preview = {
        "name": "p",
        "select": {"all": True},
        "what": "all",
        "when": {"weekly": ["tue"]},
        "start": "02:30",
        "length_s": 7200,
        "zone": "UTC",
    }
    for others, told in (("", None), ("none", ""), ("unattended-upgrades, snap", "unattended-upgrades, snap")):
        policy = NodePolicy("managed", lines={"actions": ("drain",)})
        await hub.store.nodes.save_identity(session, NodeIdentity(other_patchers=others), "1", policy, "no", 1.0)
        shown = (await admin.get(f"nodes/{node.id}")).json
        assert (shown["other_patcher"], shown["actions"]) == (told, ["drain"])
        assert (await admin.get("patch-status")).json["nodes"][0]["other_patcher"] == told
        warnings = (await admin.post("patch-policies/preview", {"policy": preview})).json["warnings"]
        words = {one["code"]: one["words"] for one in warnings}
        assert ("unattended-upgrades on 1" in words.get("other_patcher", "")) is bool(told)
        assert ("other_patcher_unknown" in words) is (told is None), words
    reply = await admin.get("patch-status?format=csv")
    [head, first, _] = list(csv.reader(io.StringIO(reply.body.decode())))
    cells = dict(zip(head, first, strict=True))
    assert cells["name"] == "'=web-1"
    shown = (await admin.get("patch-status")).json["nodes"][0]
    for field in ("lists_at", "next_at"):  # known, and not
        utc = cells[field.replace("_at", "_utc")]
        assert (None if utc == "" else datetime.fromisoformat(utc).timestamp()) == (shown[field] and int(shown[field])), cells
    assert cells["lists_utc"].endswith("Z")
    assert (await admin.get("patch-status?format=xml")).status == 400
    found = await hub.store.policies.node_updates(SYSTEM)
    assert [one.package for one in found[node.id][1]] == ["nginx", "less", "vim"]


async def test_changes_are_listed_and_ranked_by_nearness(hub: TestHub) -> None:
    admin = await hub.logged_in()
    node = await hub.node("web-1")
    reported = await admin.post(f"nodes/{node.id}/events", {"type": "service_deployed", "message": "shop 1.3"})
    assert reported.status == 202, reported.json
    listed = (await admin.get(f"nodes/{node.id}/changes")).json["changes"]
    assert [(one["kind"], one["to"]) for one in listed] == [("unit", "service_deployed")]
    fired = new_event(
        "alert_firing", hub.clock.now(), {"alert": "01m8", "rule": "Load is high", "level": "warning"}, node=node.id, name="web-1", org=1
    )
    assert [one.object for one in changes_of([fired._replace(object="01m8")], [])] == ["Load is high"], "no id"
    near = (await admin.get(f"changes?metric=cpu.total&at={hub.clock.now() + 30}")).json["changes"]
    assert near[0]["kind"] == "unit"
    assert near[0]["rank"] > 0
    assert (await admin.get(f"changes?at={hub.clock.now() + 3000}")).json["changes"] == []
    assert (await admin.get("changes?kind=weather")).status == 400


async def test_changes_of_the_process_that_rose_come_before_nearer_ones(hub: TestHub) -> None:
    admin = await hub.logged_in()
    node = await hub.node("web-1")
    session = await connect(hub.store, node.id)
    now = hub.clock.now()
    for at, cpu in ((now - 600, 100), (now, 2500)):
        reading = ProcessReading(round(at * 1000), [ProcessUse("shop", "www", cpu, 10**6), ProcessUse("sshd", "root", 50, 10**6)])
        await hub.store.process_history.save_reading(session, reading)
    await admin.post(f"nodes/{node.id}/events", {"type": "unit_failed", "details": {"unit": "shop.service"}, "message": "it crashed"})
    await admin.post(f"nodes/{node.id}/events", {"type": "config_applied", "message": "ntp"})
    path = f"nodes/{node.id}/changes?at={hub.clock.now() + 1}"
    answer = (await admin.get(f"{path}&metric=cpu.total")).json
    assert answer["risen"] == [{"name": "shop", "amount": 24.0}]
    assert [(one["object"], one["why"].partition(", ")[2]) for one in answer["changes"]] == [("shop.service", "shop rose"), ("", "")]
    assert (await admin.get(f"{path}&metric=disk.busy")).json["risen"] is None


async def test_a_due_occurrence_begins_once_over_any_number_of_sweeps(hub: TestHub) -> None:
    admin = await hub.logged_in()
    await hub.node("web-1")
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    body = {**POLICY, "when": {"weekly": days}, "start": "00:00", "length_s": 86_400, "hub_missed": "once"}
    policy = (await admin.post("patch-policies", body)).json
    service = hub.services[RolloutService]
    await service.sweep()
    assert (await admin.get("rollouts")).json["rollouts"] == [], "nothing from before it was saved"
    await hub.sql("UPDATE patch_policy SET considered_at = ? WHERE id = ?", hub.clock.now() - 3 * 86_400, policy["id"])
    for _ in range(3):
        await service.sweep()
    [one] = (await admin.get("rollouts")).json["rollouts"]
    assert (one["policy_id"], one["state"]) == (policy["id"], "running")
    states = [
        row["state"]
        for row in (await admin.get(f"patch-policies/{policy['id']}/occurrences")).json["occurrences"]
        if row["state"] != "planned"
    ]
    assert states == ["missed", "missed", "started"]
    assert [row["type"] for row in (await admin.get("events")).json["events"]].count("patch_missed") == 2


async def test_a_stop_counts_also_where_the_hub_moves_the_roll_out_at_the_same_time(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await hub.logged_in()
    one = await a_rollout(hub, [await hub.node("web-1")])
    service = hub.services[RolloutService]
    moves: list[int] = []

    async def moved_meanwhile(read: Rollout, facts_of: Callable[[Rollout], Awaitable[Facts]] = service.facts_of) -> Facts:
        if len(moves) < 2:
            moves.append(read.version)
            await hub.store.rollouts.save_rollout(SYSTEM, read, Stepped(read._replace(words=f"move {read.version}"), ()))
        return await facts_of(read)

    monkeypatch.setattr(service, "facts_of", moved_meanwhile)
    answer = await admin.post(f"rollouts/{one.id}/stop")
    assert (answer.status, answer.json["state"], answer.json["version"]) == (200, "stopped", one.version + 3)


async def test_only_an_admin_kills_after_a_stop_and_with_the_name_of_the_node(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node("web-1")
    made = (await admin.post("rollouts", {"name": "now", "action": "upgrade", "select": {"all": True}})).json
    store = hub.store.rollouts
    before = await store.rollout(SYSTEM, made["id"])
    path, body = f"rollouts/{made['id']}/kill", {"node_id": node.id, "confirm": "web-1"}
    assert (await admin.post(path, {**body, "confirm": "web"})).status == 400
    early = await admin.post(path, body)
    assert (early.status, "stop it first" in early.json["detail"]) == (409, True)
    target = before.targets[0]._replace(state="running", step="patch", attempt=1)
    running = before._replace(state="running", targets=(target,))
    saved = await store.save_rollout(SYSTEM, before, Stepped(running, (MakeJob(node.id, "patch", 1, JobRequest("upgrade")),)))
    await hub.sql("UPDATE job SET state = 'running', phase = 'commit' WHERE id = ?", saved.jobs[0])
    assert (await admin.post(f"rollouts/{made['id']}/stop")).json["state"] == "stopping"
    assert (await hub.store.jobs.job(SYSTEM, saved.jobs[0])).stop is None, "what changes a node runs to its end"
    operator = await hub.logged_in("operator")
    assert (await operator.post(path, body)).status == 403
    answer = await admin.post(path, body)
    assert (answer.status, answer.json["state"]) == (200, "stopping")
    first, last = answer.json["phases"]
    assert (first["state"], first["from_at"], last["state"], last["to_at"]) == ("running", made["made_at"], "stopping", None)
    assert first["to_at"] == last["from_at"]
    stop = some((await hub.store.jobs.job(SYSTEM, saved.jobs[0])).stop)
    assert stop.force


async def test_a_reboot_shows_its_kernels_and_its_evidence(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node("web-1")
    session = await connect(hub.store, node.id)
    job = JobId((await admin.post(f"nodes/{node.id}/jobs", {"action": "reboot"})).json["id"])
    await hub.store.jobs.take(None, [session], hub.clock.now())
    await hub.sql("UPDATE job SET state = 'running', started_at = ? WHERE id = ?", hub.clock.now(), job)
    notes = (
        sentence("reboot.needed", why="kernel 6.1.0-30-amd64 is installed, but 6.1.0-28-amd64 is running"),
        sentence("reboot.boot", before="a" * 32, after="b" * 32),
        sentence("reboot.away", seconds=42),
        sentence("reboot.kernel", before="6.1.0-28-amd64", after="6.1.0-30-amd64"),
        sentence("reboot.ports", names="tcp 80"),
        sentence("reboot.kernel_older", names="6.1.0-31-amd64"),
    )
    await hub.store.jobs.save_report(job, Report("no", "", (), (), (), notes), session)
    await hub.sql("UPDATE job SET state = 'succeeded', ended_at = ? WHERE id = ?", hub.clock.now(), job)
    [one] = (await admin.get(f"nodes/{node.id}/reboots")).json["reboots"]
    assert (one["verdict"], one["kernel_from"], one["kernel_to"]) == ("broken", "6.1.0-28-amd64", "6.1.0-30-amd64")
    assert one["notes"][4] == "Ports that were open before the reboot and are not now: tcp 80."
    assert one["notes"][5] == "The kernel is older than expected: the reboot did not start the installed 6.1.0-31-amd64."
    assert (one["needed"], one["need"]) == ("yes", "kernel 6.1.0-30-amd64 is installed, but 6.1.0-28-amd64 is running")
    assert (one["boot_from"], one["boot_to"], one["away_s"]) == ("a" * 32, "b" * 32, 42.0)


async def test_a_reboot_whose_node_stays_away_is_overdue_by_its_own_past(hub: TestHub) -> None:
    admin, node = await hub.logged_in(), await hub.node("web-1")
    [session] = [await connect(hub.store, node.id)]
    assert (await admin.get(f"nodes/{node.id}/reboots")).json == {"limit_s": 1200.0, "reboots": []}, "a physical server without a past"
    past = JobId((await admin.post(f"nodes/{node.id}/jobs", {"action": "reboot"})).json["id"])
    await hub.store.jobs.take(None, [session], hub.clock.now())
    now = hub.clock.now()
    await hub.sql("UPDATE job SET state = 'succeeded', started_at = ?, ended_at = ? WHERE id = ?", now - 90, now, past)
    assert (await admin.get(f"nodes/{node.id}/reboots")).json["limit_s"] == 270.0
    job = JobId((await admin.post(f"nodes/{node.id}/jobs", {"action": "reboot"})).json["id"])
    await hub.sql("UPDATE job SET state = 'running', started_at = ? WHERE id = ?", now, job)
    silences, found = hub.services[DeadMan], []
    for passes_s in (0.0, 270.0):
        hub.clock.shift += passes_s
        await silences.look()
        first = (await admin.get(f"nodes/{node.id}/reboots")).json["reboots"][0]
        found.append((first["job_id"], first["verdict"]))
    assert found == [(str(job), "under_way"), (str(job), "overdue")]


async def test_going_on_before_its_start_leaves_a_roll_out_waiting(hub: TestHub) -> None:
    admin = await hub.logged_in()
    start_at = hub.clock.now() + 3600
    one = await a_rollout(hub, [await hub.node("web-1")], state="paused", start_at=start_at)
    answer = await admin.post(f"rollouts/{one.id}/go-on", {"gate": "*", "reason": "a person has looked"})
    assert (answer.status, answer.json["state"], answer.json["started_at"]) == (200, "waiting", None)


async def test_words_name_no_server_that_the_caller_may_not_see(hub: TestHub) -> None:
    own, hidden = await hub.node("web-1", tags=("own",)), await hub.node("secret-db")
    admin, user = await hub.logged_in(), await hub.user("lee", "viewer")
    await hub.store.user_admin.edit_user(SYSTEM, user.id, role=None, disabled=None, grants=Grants(tags=("own",)))
    limited = await hub.logged_in(user=user)
    for words, seen in (
        ("secret-db: pay.service failed", "it is about a server beyond your rights"),
        ("web-1: it failed", "web-1: it failed"),
    ):
        one = await a_rollout(hub, [own, hidden], words=words)
        assert (await limited.get(f"rollouts/{one.id}")).json["words"] == seen
        assert [row["words"] for row in (await limited.get("rollouts")).json["rollouts"] if row["id"] == one.id] == [seen]
        whole = (await admin.get(f"rollouts/{one.id}")).json
        assert (whole["words"], whole["beyond"]) == (words, False)
        assert (await limited.get(f"rollouts/{one.id}")).json["beyond"] is True
        async with admin.live() as first, limited.live() as second:
            for live, shown, beyond in ((first, words, False), (second, seen, True)):  # each has a feed by its rights
                await live.subscribe(f"rollout:{one.id}")
                data = (await live.expect("snapshot"))["data"]
                assert (data["words"], data["beyond"]) == (shown, beyond)


async def test_a_sensitive_token_runs_what_was_saved_and_no_token_saves_or_approves(hub: TestHub) -> None:
    admin = await hub.logged_in()
    node = await hub.node("web-1")
    policy = (await admin.post("patch-policies", POLICY)).json
    one_off = {"name": "now", "select": {"nodes": [node.id]}}
    for sensitive, refused in ((False, "auth.step_up_required"), (True, "")):
        token = await admin.post("tokens", {"name": f"ci {sensitive}", "role": "operator", "days": 1, "sensitive": sensitive})
        bot = hub.anonymous()
        bot.bearer = token.json["token"]
        for body in ({"policy_id": policy["id"]}, one_off):
            made = await bot.post("rollouts", body)
            assert (made.status, made.json.get("code", "")) == (403 if refused else 202, refused)
        approval = f"patch-policies/{policy['id']}/occurrences/{policy['next_at']:.0f}/approve"
        for answer in (await bot.post("patch-policies", {**POLICY, "name": "other"}), await bot.post(approval)):
            assert (answer.status, answer.json["code"]) == (403, "auth.forbidden")
