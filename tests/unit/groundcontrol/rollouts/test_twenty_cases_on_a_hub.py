"""Those of the twenty cases that only a hub with its store shows whole: what its users, its nodes and its records see."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest

from groundcontrol.agents.registry import Registry
from groundcontrol.core.ids import BootId
from groundcontrol.core.scope import SYSTEM
from groundcontrol.events.refusals import Refusals
from groundcontrol.jobs.model import START_LIMIT_S, JobUpdate
from groundcontrol.jobs.orders import OrderSender
from groundcontrol.jobs.tracker import UNANSWERED_S, JobTracker
from groundcontrol.policies.calendar import local_text
from groundcontrol.rollouts.evidence import Evidence
from groundcontrol.rollouts.service import RolloutService
from tests.support.factories import HUB, connect
from tests.support.inprocess_hub import TestHub
from tests.support.played_fleet import PlayedFleet
from tests.support.rollout_trial import DAY
from tests.support.running_rollout import DAYS, POLICY

DAILY: dict[str, Any] = {**POLICY, "when": {"weekly": DAYS}, "order": {"canary": 0}, "watch_s": 300}
MONTHLY: dict[str, Any] = {**DAILY, "when": {"monthly": {"nth": "first", "day": "tue"}}}
HOUR = 3600.0


@pytest.fixture
def fleet(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> PlayedFleet:
    return PlayedFleet(hub, monkeypatch)


def another(service: RolloutService) -> RolloutService:
    """The same hub after a restart, or another one on the same store: it has nothing in memory."""
    found = copy.copy(service)
    found._offsets, found._facts = {}, copy.copy(service._facts)
    found._facts._work_times = {}
    return found


@pytest.mark.parametrize(("hub_missed", "runs"), [("once", 1), ("skip", 0)])
async def test_case_1_after_a_pause_of_the_hub_one_run_follows_or_none_and_each_miss_is_told_once(
    hub: TestHub, fleet: PlayedFleet, hub_missed: str, runs: int
) -> None:
    await fleet.node("web-1")
    policy = await fleet.made(**DAILY, hub_missed=hub_missed)
    fleet.go_to(policy["next_at"] + 3 * DAY + 1200)
    await asyncio.gather(fleet.service.sweep(), another(fleet.service).sweep())
    await fleet.look(1.0, 3)
    assert len(await fleet.rollouts()) == runs
    stored = await hub.store.policies.occurrences(1, policy["id"], 0.0)
    assert [one.state for one in stored] == ["missed"] * 3 + ["started" if runs else "missed"]
    assert len(await fleet.events("patch_missed")) == 4 - runs


async def test_case_2_an_hour_two_schedules_of_one_second_two_hubs_and_an_edit_make_one_run_each(hub: TestHub, fleet: PlayedFleet) -> None:
    await fleet.node("web-1")
    refused = await fleet.request("POST", "patch-policies", {**DAILY, "start": "02"})
    assert (refused.status, refused.json["detail"]) == (400, "start: give a time of day such as 05:00")
    first, second = [await fleet.made(**{**DAILY, "name": name, "start": "02:00"}) for name in ("first", "second")]
    assert first["next_at"] == second["next_at"]
    other, read_before = another(fleet.service), await hub.store.policies.of_every_org()
    edited = await fleet.request("PATCH", f"patch-policies/{first['id']}", {"version": 1, "watch_s": 600})
    assert edited.status == 200
    fleet.go_to(first["next_at"] + 0.5)
    for stale in read_before:  # the other hub has read the policies before the edit
        await other._guard("policy", stale.id, lambda stale=stale: other._begin_due(stale))  # type: ignore[misc]  # bound now
    for _ in range(12):  # each minute of that hour, and the first of the next
        await asyncio.gather(fleet.service.sweep(), other.sweep())
        hub.clock.shift += 301.0
    found = await hub.store.rollouts.live_rollouts()
    assert sorted((one.name, one.due_at, one.policy.watch_s) for one in found) == [
        ("first", first["next_at"], 600),
        ("second", first["next_at"], 300),
    ], "each once, and as it was edited"


async def test_case_4_a_node_a_day_away_is_patched_at_that_time_of_its_own_zone(hub: TestHub, fleet: PlayedFleet) -> None:
    zones = {"east": "Pacific/Kiritimati", "west": "Pacific/Pago_Pago"}
    for name, zone in zones.items():
        await fleet.node(name, timezone=zone)
    policy = await fleet.made(**{**MONTHLY, "zone": "node"})
    fleet.go_to(policy["next_at"])
    begun = dict[str, str]()
    for _ in range(28):
        await fleet.look(0.0, 2)
        for name, zone in zones.items():
            if name not in begun and await fleet.ordered(name):
                begun[name] = local_text(hub.clock.now(), zone)
                await fleet.patched(name)
        await fleet.look(HOUR)
    [one] = await fleet.rollouts()
    assert (one["state"], one["targets"]["passed"]) == ("succeeded", 2)
    assert begun["east"] == begun["west"], "25 hours apart it is the same date and time there"
    assert (begun["east"][11:], int(begun["east"][8:10]) <= 7) == ("02:30", True)


async def test_case_6_a_clock_that_was_a_month_ahead_fires_nothing_and_misses_no_time_once_it_is_right(
    hub: TestHub, fleet: PlayedFleet
) -> None:
    await fleet.node("web-1")
    policy = await fleet.made(**DAILY)
    hub.clock.wrong = 30 * DAY
    await fleet.look(1.0, 2)
    hub.clock.wrong = 0.0
    await fleet.look(1.0, 2)
    assert await fleet.rollouts() == []
    assert (await fleet.get("patch-policies"))["patch_policies"][0]["next_at"] == policy["next_at"]
    for night in range(2):
        fleet.go_to(policy["next_at"] + night * DAY)
        await fleet.look(1.0, 2)
        assert len(await fleet.rollouts()) == night + 1
        await fleet.end("web-1", "plan", steps=())


@pytest.mark.parametrize("zone", ["UTC", "node"])
async def test_case_8_a_node_that_is_back_in_time_is_patched_and_a_later_one_in_its_next_window(fleet: PlayedFleet, zone: str) -> None:
    for name in ("web-1", "late", "gone"):
        await fleet.node(name, (name,), online=name == "web-1")
    night = {
        "name": "nights",
        "kind": "allow",
        "select": {"tags": ["gone"]},
        "weekly": DAYS,
        "start": "01:00",
        "length_s": 14_400,
        "zone": "UTC",
    }
    assert (await fleet.request("POST", "windows", night)).status == 201
    policy = await fleet.made(**{**MONTHLY, "zone": zone}, node_missed="when_back")
    fleet.go_to(policy["next_at"])
    await fleet.look()
    if zone == "node":
        fleet.go_to(policy["next_at"] + 14 * HOUR)
    await fleet.look(0.0, 2)
    await fleet.patched("web-1")
    await fleet.watched()
    assert [(one["state"], one["why"]) for name in ("web-1", "late", "gone") for one in [await fleet.target(name)]] == [
        ("passed", ""),
        ("held", "offline"),
        ("held", "offline"),
    ]
    fleet.set_online("late", online=True)
    await fleet.look(1.0)
    await fleet.patched("late")  # it was tried again
    await fleet.watched()
    await fleet.look(7 * HOUR, 4)
    [first] = await fleet.rollouts()
    assert (first["state"], first["targets"]["passed"], (await fleet.target("gone"))["state"]) == ("expired", 2, "not_started")
    assert "1 missed (gone: " in (await fleet.events("patch_report"))[0]["message"]

    midnight = (fleet.now // DAY + 2) * DAY
    fleet.set_online("gone", online=True)
    # back by day, then minutes before its window shuts, then in its next one
    for at, ordered in ((midnight + 10 * HOUR, []), (midnight + 28.9 * HOUR, []), (midnight + 49 * HOUR, ["plan"])):
        fleet.go_to(at)
        await asyncio.gather(fleet.service.sweep(), another(fleet.service).sweep())
        await fleet.look(1.0, 3)
        assert await fleet.ordered("gone") == ordered
    await fleet.patched("gone")
    await fleet.watched()
    _, last = await fleet.rollouts()
    assert (last["parent_id"], last["state"], last["targets"]["total"], last["targets"]["passed"]) == (first["id"], "succeeded", 1, 1)
    await fleet.look(1.0, 3)
    assert len(await fleet.rollouts()) == 2, "it is patched once"


async def test_case_8_a_node_that_was_away_is_still_patched_when_back_if_it_returned_too_late_to_begin(fleet: PlayedFleet) -> None:
    await fleet.node("gone", online=False)
    policy = await fleet.made(**MONTHLY, node_missed="when_back")
    fleet.go_to(policy["next_at"])
    await fleet.look(0.0, 2)
    fleet.go_to(policy["next_at"] + policy["length_s"] - 60)
    fleet.set_online("gone", online=True)
    await fleet.look()
    assert (await fleet.target("gone"))["why"] == "too_late"
    await fleet.look(61.0)
    await fleet.look(1.0, 2)
    assert (await fleet.ordered("gone"), [one["state"] for one in await fleet.rollouts()]) == (["plan"], ["expired", "running"])


async def test_case_8_an_edit_that_asks_for_an_approval_holds_a_returned_node_until_the_next_time(fleet: PlayedFleet) -> None:
    await fleet.node("gone", online=False)
    policy = await fleet.made(**MONTHLY, node_missed="when_back")
    fleet.go_to(policy["next_at"])
    await fleet.look(0.0, 2)
    await fleet.look(3 * HOUR)
    assert [one["state"] for one in await fleet.rollouts()] == ["expired"]
    assert (await fleet.request("PATCH", f"patch-policies/{policy['id']}", {"version": 1, "approval": "person"})).status == 200
    fleet.set_online("gone", online=True)
    await fleet.look(1.0, 3)
    assert (len(await fleet.rollouts()), await fleet.ordered("gone")) == (1, [])


async def test_case_8_a_node_that_stays_away_is_missed_and_two_times_in_a_row_are_counted(fleet: PlayedFleet) -> None:
    await fleet.node("gone", online=False)
    policy = await fleet.made(**DAILY)
    for count in (1, 2):
        fleet.go_to(policy["next_at"] + (count - 1) * DAY)
        await fleet.look(0.0, 2)
        await fleet.look(3 * HOUR)
        assert "1 missed (gone: it is offline)" in (await fleet.events("patch_report"))[0]["message"]
        [row] = (await fleet.get("patch-status"))["nodes"]
        assert row["missed"] == count, "the alert patch.missed fires at two"
    fleet.set_online("gone", online=True)
    await fleet.look(1.0, 3)
    assert (len(await fleet.rollouts()), await fleet.ordered("gone")) == (2, []), "the policy does not say when_back"


async def test_a_policy_with_times_of_each_node_that_a_person_runs_now_waits_for_no_time_of_the_node(fleet: PlayedFleet) -> None:
    await fleet.node("web-1", timezone="Asia/Tokyo")
    policy = await fleet.made(**{**MONTHLY, "zone": "node"})
    assert (await fleet.request("POST", "rollouts", {"policy_id": policy["id"]})).status == 202
    await fleet.look(1.0, 2)
    assert await fleet.ordered("web-1") == ["plan"]


async def test_case_11_the_hubs_own_host_goes_last_takes_the_hub_with_it_and_is_rebooted_once(hub: TestHub, fleet: PlayedFleet) -> None:
    fleet.service.own_machine = "m" * 32
    await fleet.node("own", machine_id="m" * 32)
    for name in ("a", "b"):
        await fleet.node(name)
    policy = await fleet.made(**DAILY, reboot="always")
    fleet.go_to(policy["next_at"])
    await fleet.look(0.0, 2)
    for name in ("a", "b"):
        await fleet.patched(name)
    for name in ("a", "b"):
        await fleet.until_ordered(name, 60.0)
        await fleet.end(name, "reboot")
        assert await fleet.ordered("own") == []
    await fleet.until_ordered("own", 1800.0)
    assert [(await fleet.target(name))["state"] for name in ("a", "b")] == ["passed", "passed"], "each of the others was watched to its end"
    await fleet.patched("own")
    await fleet.until_ordered("own", 60.0)
    assert (await fleet.open_job("own")).action == "reboot"
    [stored] = await hub.store.rollouts.live_rollouts()

    fleet.service = another(fleet.service)  # its host reboots, and the hub with it
    for name in fleet.names:
        fleet.set_online(name, online=False)
    hub.nodes.awaited |= set(fleet.names.values())
    await fleet.look(90.0)
    assert await hub.store.rollouts.live_rollouts() == [stored], "its state is as it was"
    hub.nodes.awaited.clear()
    for name, node in fleet.names.items():
        fleet.set_online(name, online=True)
        fleet.sessions[node] = await connect(hub.store, node, boot=BootId("b" * 32))
    await fleet.end("own", "reboot")
    await fleet.watched()
    [one] = await fleet.rollouts()
    assert (one["state"], one["targets"]["passed"]) == ("succeeded", 3)
    await fleet.look(600.0, 12)
    assert await fleet.ordered("own") == ["plan", "upgrade", "reboot"], "no loop"


async def test_case_12_a_run_whose_agent_died_before_it_began_ends_by_itself_and_blocks_nothing(hub: TestHub, fleet: PlayedFleet) -> None:
    node = await fleet.node("web-1")
    registry = Registry(hub.store, hub.bus, hub.clock, HUB)
    orders = OrderSender(hub.clock, registry, bytes(32), b"")
    tracker = JobTracker(hub.store, hub.bus, hub.clock, registry, Refusals(hub.store.log, hub.clock), orders, 2)
    policy = await fleet.made(**{**DAILY, "length_s": 14_400})
    fleet.go_to(policy["next_at"])
    await fleet.look(0.0, 2)
    await fleet.end("web-1", "plan")
    await hub.store.jobs.take(None, [fleet.sessions[node]], hub.clock.now())  # it is sent, and its agent dies
    [job] = await hub.store.jobs.open_jobs(node)
    for seconds, state in ((0.0, "running"), (START_LIMIT_S + 1, "running"), (UNANSWERED_S + 1, "failed")):
        hub.clock.shift += seconds
        await tracker._expire()
        await fleet.look(1.0)
        target = await fleet.target("web-1")
        assert target["state"] == state
    assert (await hub.store.jobs.job(SYSTEM, job.id)).state == "unknown"
    assert ((await fleet.rollouts())[0]["state"], target["why"], "never answered" in target["words"]) == ("stopped", "job_unknown", True)
    assert target["remedy"]

    rest = await fleet.request("POST", f"rollouts/{(await fleet.rollouts())[0]['id']}/retry-rest")
    assert rest.status == 202, rest.json
    await fleet.look(1.0, 3)
    await fleet.end("web-1", "plan")  # the host is not blocked
    long = await fleet.open_job("web-1")
    for _ in range(9):
        hub.clock.shift += 600.0
        await tracker._expire()
        await fleet.look()
    assert (await hub.store.jobs.job(SYSTEM, long.id)).state == "running", "90 minutes are not dead"
    await fleet.end("web-1", "upgrade")
    await fleet.watched()
    assert (await fleet.rollouts())[-1]["state"] == "succeeded"


async def test_case_13_a_lock_for_twenty_minutes_is_awaited_says_who_holds_it_and_the_plan_is_made_anew(
    hub: TestHub, fleet: PlayedFleet
) -> None:
    node = await fleet.node("web-1")
    policy = await fleet.made(**DAILY)
    fleet.go_to(policy["next_at"])
    await fleet.look(0.0, 2)
    who = "waiting for unattended-upgr (process 812)"
    while fleet.now < policy["next_at"] + 1200:
        job = await fleet.open_job("web-1")
        await hub.store.jobs.advance(job.id, "running", fleet.sessions[node], JobUpdate(phase="waiting_lock", note=who))
        await fleet.look(1.0)
        target = await fleet.target("web-1")
        assert (target["state"], target["words"]) == ("running", who)
        hub.clock.shift += 299.0
        await fleet.end("web-1", "plan", "failed", error="job.lock_busy", words=f"gave up {who} after 300 s")
        target = await fleet.target("web-1")
        assert (target["state"], target["why"], target["words"]) == ("held", "lock_busy", f"gave up {who} after 300 s")
        assert target["remedy"]
        await fleet.until_ordered("web-1", 900.0)
    await fleet.end("web-1", "plan", digest="what is left")
    assert (await fleet.target("web-1"))["words"] == ""
    assert (await fleet.open_job("web-1")).plan == "what is left"
    await fleet.end("web-1", "upgrade")
    await fleet.watched()
    [one] = await fleet.rollouts()
    assert (one["state"], one["targets"]["passed"], (await fleet.ordered("web-1")).count("upgrade")) == ("succeeded", 1, 1)


FULL: dict[str, tuple[dict[str, float], str]] = {
    "boot": ({"filesystem.used{mount=/boot}": 970.0, "filesystem.free{mount=/boot}": 30.0}, "/boot is 97 % full, limit 95 %"),
    "inodes": ({"filesystem.inodes_used{mount=/}": 99.0}, "/ has 99 % of its inodes in use, limit 99 %"),
}


@pytest.mark.parametrize("what", FULL)
async def test_cases_14_and_19_a_full_boot_or_no_inodes_hold_with_that_reason_before_anything_starts(
    hub: TestHub, fleet: PlayedFleet, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    node = await fleet.node("web-1")
    monkeypatch.setattr(hub.services[Evidence]._looks._registry, "current", lambda _: fleet.sessions[node])
    values, words = FULL[what]
    policy = await fleet.made(**DAILY)
    fleet.go_to(policy["next_at"])
    hub.nodes.values[node] = {name: (value, fleet.now) for name, value in values.items()}
    await fleet.look(0.0, 2)
    target = await fleet.target("web-1")
    assert (target["state"], target["why"], target["words"], target["remedy"]) == ("held", "disk_full", words, "make room there")
    assert await fleet.ordered("web-1") == []
    hub.nodes.values[node] = {}
    await fleet.look(1.0, 2)
    assert await fleet.ordered("web-1") == ["plan"], "room was made"
    await fleet.end("web-1", "plan", "failed", error="job.no_space", words="/boot has 30 MB free; a kernel would need 97 MB")
    target = await fleet.target("web-1")
    assert (target["state"], target["why"], target["words"]) == ("held", "disk_full", "/boot has 30 MB free; a kernel would need 97 MB")
    assert await fleet.ordered("web-1") == ["plan"], "less than its plan needs: nothing else starts"


async def test_case_15_what_the_node_keeps_back_is_up_to_date_listed_with_its_reason_and_not_tried_each_night(fleet: PlayedFleet) -> None:
    await fleet.node("web-1", updates=[("nginx", "1", "2", "yes", "debian"), ("vim", "1", "2", "no", "debian")])
    await fleet.table(
        "web-1", "held", ("package", "installed", "candidate", "why"), [("nginx", "1", "2", "held"), ("vim", "1", "2", "phased")]
    )
    listed = "nginx: held on the node; vim: phased, so it comes to the node later"
    policy = await fleet.made(**DAILY, reboot="always")
    preview = (await fleet.request("POST", "patch-policies/preview", {"policy": DAILY})).json
    assert [(one["take"], one["kept_back"]) for one in preview["nodes"]] == [(0, listed)]
    for night in range(3):
        fleet.go_to(policy["next_at"] + night * DAY)
        await fleet.look(1.0, 3)
        target = await fleet.target("web-1")
        assert (target["state"], target["why"], target["words"]) == ("passed", "up_to_date", f"it is up to date; {listed}")
    assert [one["state"] for one in await fleet.rollouts()] == ["succeeded"] * 3
    assert await fleet.ordered("web-1") == []
    [row] = (await fleet.get("patch-status"))["nodes"]
    assert (row["kept_back"], row["missed"]) == (listed, 0)


@pytest.mark.parametrize("deleted", [False, True], ids=["never back", "deleted"])
@pytest.mark.parametrize("by", ["hand", "policy"])
async def test_case_16_the_slot_of_a_reboot_that_never_ends_is_free_again_also_over_a_restart_of_the_hub(
    hub: TestHub, fleet: PlayedFleet, by: str, deleted: bool
) -> None:
    lost = await fleet.node("db-1", ("role:db", *(["patched"] if by == "policy" else [])))
    await fleet.node("db-2", ("role:db", "second"))
    fields = {**DAILY, "reboot": "always", "length_s": 14_400}
    await fleet.made(**{**fields, "name": "first", "select": {"tags": ["patched"]}})
    policy = await fleet.made(**{**fields, "name": "second", "select": {"tags": ["second"]}})
    fleet.go_to(policy["next_at"])
    await fleet.look(0.0, 2)
    if by == "hand":
        assert (await fleet.request("POST", f"nodes/{lost}/jobs", {"action": "reboot"})).status == 202
    else:
        await fleet.patched("db-1")
        await fleet.until_ordered("db-1", 60.0)
    assert (await fleet.open_job("db-1")).action == "reboot"
    fleet.set_online("db-1", online=False)
    await fleet.patched("db-2")
    await fleet.look(1.0, 2)
    fleet.service = another(fleet.service)
    await fleet.look(600.0, 2)
    assert await fleet.ordered("db-2") == ["plan", "upgrade"], "a reboot may take 20 minutes"
    if deleted:
        await hub.store.nodes.delete_node(SYSTEM, lost)
    await fleet.until_ordered("db-2", 60.0 if deleted else 3600.0)
    assert (await fleet.open_job("db-2")).action == "reboot", "and it is sent"


async def test_a_server_that_is_away_in_another_roll_out_bars_the_reboot_of_its_peer(fleet: PlayedFleet) -> None:
    await fleet.node("db-1", ("role:db", "first"))
    await fleet.node("db-2", ("role:db", "second"))
    await fleet.made(**{**DAILY, "name": "first", "reboot": "never", "select": {"tags": ["first"]}})
    policy = await fleet.made(**{**DAILY, "name": "second", "reboot": "always", "select": {"tags": ["second"]}})
    fleet.go_to(policy["next_at"])
    await fleet.look(0.0, 2)
    await fleet.patched("db-1")
    fleet.set_online("db-1", online=False)  # while it is watched
    await fleet.patched("db-2")
    await fleet.look(1.0, 2)
    assert await fleet.ordered("db-2") == ["plan", "upgrade"]
    assert (await fleet.target("db-2"))["words"] == "it waits for its reboot: one of role:db at a time"
    fleet.set_online("db-1", online=True)
    await fleet.look(1.0, 2)
    assert await fleet.ordered("db-2") == ["plan", "upgrade", "reboot"]


async def test_case_17_two_policies_of_one_second_warn_and_the_later_roll_out_tries_until_the_node_is_free(fleet: PlayedFleet) -> None:
    await fleet.node("web-1")
    first = await fleet.made(**{**DAILY, "name": "first"})
    second = {**DAILY, "name": "second"}
    preview = (await fleet.request("POST", "patch-policies/preview", {"policy": second})).json
    assert [one["words"] for one in preview["warnings"] if one["code"] == "overlap"] == [
        "first selects 1 of these nodes too: a node is in one roll-out at a time"
    ]
    await fleet.made(**second)
    fleet.go_to(first["next_at"])
    await fleet.look(0.0, 2)
    early, _ = await fleet.rollouts()
    target = await fleet.target("web-1")
    assert (target["state"], target["why"], target["words"]) == (
        "held",
        "in_another_rollout",
        f"the roll-out {early['name']} has not finished it",
    )
    await fleet.patched("web-1")
    await fleet.until_ordered("web-1", 1800.0)
    await fleet.end("web-1", "plan", steps=())
    assert [one["state"] for one in await fleet.rollouts()] == ["succeeded", "succeeded"], "its turn came within its window"


async def test_case_18_always_and_three_times_a_night_reboot_once_a_day_and_again_the_next_night(fleet: PlayedFleet) -> None:
    fleet.go_to((fleet.now // DAY + 1.5) * DAY)  # noon, so that all three are still to come in the next night
    await fleet.node("web-1")
    policies = [await fleet.made(**{**DAILY, "name": f"at {hour}", "start": f"{hour:02}:30"}, reboot="always") for hour in (2, 5, 8)]
    begin = min(one["next_at"] for one in policies)
    for number, at in enumerate((0.0, 3 * HOUR, 6 * HOUR, DAY)):
        fleet.go_to(begin + at)
        await fleet.until_ordered("web-1", 60.0)
        await fleet.end("web-1", "plan")
        await fleet.open_job("web-1")
        await fleet.look(0.0 if number else 1200.0)  # the first night takes longer, so the next reboot comes within 24 hours
        await fleet.end("web-1", "upgrade")
        if number in (0, 3):
            await fleet.until_ordered("web-1", 60.0)
            await fleet.end("web-1", "reboot")
        await fleet.watched()
    owed = [(await fleet.target("web-1", number))["reboot_owed"] for number in range(4)]
    assert owed == ["", "a policy rebooted it within a day already", "a policy rebooted it within a day already", ""]


async def test_case_20_an_edit_or_a_deletion_takes_the_planned_runs_along_and_targets_are_frozen_at_the_start(fleet: PlayedFleet) -> None:
    for name in ("a", "b"):
        await fleet.node(name, ("web",))
    await fleet.node("c")
    policy = await fleet.made(**{**DAILY, "select": {"tags": ["web"]}})
    path = f"patch-policies/{policy['id']}"
    fleet.go_to(policy["next_at"])
    await fleet.look()
    for name, tags in (("b", []), ("c", ["web"])):
        assert (await fleet.request("PATCH", f"nodes/{fleet.names[name]}", {"tags": tags})).status == 200
    assert (await fleet.request("PATCH", path, {"version": 1, "start": "09:00", "watch_s": 900})).status == 200
    await fleet.patched("a")
    await fleet.end("b", "plan")
    await fleet.watched()
    [one] = await fleet.rollouts()
    assert [one["targets"]["total"], one["state"], (await fleet.target("a"))["watch_s"]] == [2, "succeeded", 300.0], "it keeps its copy"
    assert ((await fleet.target("b"))["state"], (await fleet.target("b"))["why"]) == ("not_started", "not_selected"), (
        "checked at each dispatch"
    )
    assert await fleet.ordered("c") == [], "frozen: not resolved anew"

    planned = [row for row in (await fleet.get(f"{path}/occurrences"))["occurrences"] if row["state"] == "planned"]
    assert {row["local"][11:] for row in planned} == {"09:00"}
    for at, runs in ((policy["next_at"] + 6.5 * HOUR, 2), (policy["next_at"] + DAY, 2)):
        fleet.go_to(at)
        await fleet.look(1.0, 2)
        assert len(await fleet.rollouts()) == runs, "at the new time, and no more at the old one"
    assert {(await fleet.target(name))["name"] for name in ("a", "c")} == {"a", "c"}, "the edit counts from the next time on"
    assert (await fleet.request("DELETE", path)).status == 204
    fleet.go_to(planned[1]["due_at"])
    await fleet.look(1.0, 2)
    assert (len(await fleet.rollouts()), (await fleet.request("GET", f"{path}/occurrences")).status) == (2, 404)
