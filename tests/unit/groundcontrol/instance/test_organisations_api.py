"""Admins of the hub manage organisations and see no content; admins of an organisation manage its members."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.adapters.sqlite.engine.organisation import OF_ACCOUNTS
from groundcontrol.adapters.sqlite.organisations import TOMBSTONES, owned
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import DEFAULT_ORG, hub_scope
from groundcontrol.jobs.model import JobRequest
from groundcontrol.jobs.service import JobService
from groundcontrol.nodes.enrolment import re_adopt
from groundcontrol.notifications.model import ChannelId, DeliveryId
from spider.wire.ids import new_random_id, new_time_id
from tests.support.factories import new_node
from tests.support.inprocess_hub import ADMIN, Answer, Client, TestHub
from tests.support.running_rollout import a_rollout

HEADER = "Stardust-Organisation"


class At:
    """A client that names one organisation in each request."""

    def __init__(self, client: Client, slug: str) -> None:
        self.client = client
        self.slug = slug

    async def __call__(self, method: str, path: str, body: object = None) -> Answer:
        return await self.client.request(method, path, body, headers={HEADER: self.slug})


async def created(boss: Client, slug: str, **more: object) -> Any:
    made = await boss.post("organisations", {"slug": slug, "name": slug.title(), **more})
    assert made.status == 201, made.body
    return made.json


async def tables_with(hub: TestHub, org: int) -> set[str]:
    """The tables that have rows of an organisation."""

    def read(rows: Any) -> set[str]:
        names = [row["name"] for row in rows.fetch_all("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
        owned = [name for name in names if any(column["name"] == "org" for column in rows.fetch_all(f"PRAGMA table_info({name})"))]
        return {name for name in owned if rows.fetch_one(f"SELECT 1 FROM {name} WHERE org = ?", org) is not None}

    return await hub.database._control.reader.run(read)


async def test_every_table_of_an_organisation_is_deleted_with_it(hub: TestHub) -> None:
    """A new table with `org` goes on one of the lists."""

    def with_org(rows: Any) -> set[str]:
        names = [row["name"] for row in rows.fetch_all("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
        return {name for name in names if any(column["name"] == "org" for column in rows.fetch_all(f"PRAGMA table_info({name})"))}

    assert await hub.database._control.reader.run(with_org) == {*owned(), *TOMBSTONES, *OF_ACCOUNTS}


@pytest.mark.holds("SAFETY-108", "SAFETY-33")
async def test_only_admins_of_the_hub_manage_organisations_and_they_see_counts(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    node = await hub.node("web-3")
    made = await created(boss, "second", node_quota=1, first_admin="eve")
    assert (made["first_admin"]["how"], made["organisation"]["node_quota"]) == ("created", 1)
    assert (await boss.get("nodes")).status == 200, "a sole membership needs no name, also beside other organisations"

    listed = (await boss.get("organisations")).json["organisations"]
    assert [(one["slug"], one["nodes"], one["members"] > 0, one["member"]) for one in listed] == [
        ("default", 1, True, True),
        ("second", 0, True, False),
    ]
    assert node.id not in (await boss.get("organisations")).body.decode()
    assert [(await boss.get(f"organisations/{slug}")).json for slug in ("default", "second")] == listed
    assert (await boss.get("organisations/third")).status == 404
    assert (await boss.get("nodes", headers={HEADER: "second"})).code == "organisation.unknown", "they see no content"

    eve = await hub.logged_in(user=await hub.store.users.user_by_name("eve"))
    await hub.sql("UPDATE account SET must_change_password = 0")
    assert (await eve.get("nodes")).json["nodes"] == []
    for method, path, body in (
        ("GET", "organisations", None),
        ("POST", "organisations", {"slug": "third", "name": "Third"}),
        ("POST", "organisations/default/suspend", None),
        ("GET", "organisations/default", None),
        ("DELETE", "organisations/default", {"typed": "default"}),
        ("POST", "organisations/default/break-glass", {"reason": "curious"}),
        ("POST", "instance-admins", {"username": "eve", "admin": True}),
        ("GET", "instance-admins", None),
        ("GET", "instance-audit", None),
        ("POST", "users", {"username": "mallory", "role": "viewer"}),
    ):
        assert (await eve.request(method, path, body)).status == 403, path
    assert (await eve.request("PATCH", f"users/{boss.user.username}", {"role": "viewer"})).status == 404


async def test_bad_organisations_are_refused(hub: TestHub) -> None:
    for body in [
        {"slug": "S", "name": "x"},
        {"slug": "-a", "name": "x"},
        {"slug": "a" * 41, "name": "x"},
        {"slug": "ok", "name": " "},
        {"slug": "ok", "name": "x" * 61},
        {"slug": "ok", "name": "x", "node_quota": -1},
        {"slug": "ok", "name": "x", "first_admin": "no name"},
        {"slug": "../etc", "name": "x"},
    ]:
        boss = await hub.logged_in("admin")
        refused = await boss.post("organisations", body)
        assert (refused.status, refused.code) == (400, "request.invalid"), body
        assert len((await boss.get("organisations")).json["organisations"]) == 1, body


async def test_a_taken_short_name_and_a_stale_version_are_conflicts(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await created(boss, "second")
    assert (await boss.post("organisations", {"slug": "second", "name": "Again"})).status == 409
    renamed = await boss.request("PATCH", "organisations/second", {"version": 0, "slug": "two", "node_quota": 5})
    assert (renamed.json["slug"], renamed.json["node_quota"], renamed.json["version"]) == ("two", 5, 1)
    assert (await boss.request("PATCH", "organisations/two", {"version": 0, "name": "Other"})).status == 409
    assert (await boss.request("PATCH", "organisations/two", {"version": 1, "slug": "default"})).status == 409
    assert (await boss.request("PATCH", "organisations/second", {"version": 1, "name": "Other"})).status == 404


@pytest.mark.holds("SAFETY-108")
async def test_a_known_user_must_accept_and_an_unknown_name_answers_the_same(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await created(boss, "second", first_admin=boss.user.username)
    known = await hub.logged_in("viewer")
    second = At(boss, "second")
    answers = [await second("POST", "members", {"username": name, "role": "operator"}) for name in (known.user.username, "nobody-at-all")]
    assert [(one.status, one.body) for one in answers] == [(204, b""), (204, b"")]
    offers = (await second("GET", "members")).json["offers"]
    assert [one | {"username": "", "made_at": 0} for one in offers] == [offers[0] | {"username": "", "made_at": 0}] * 2

    assert (await known.get("nodes", headers={HEADER: "second"})).code == "organisation.unknown", "an offer gives no right"
    [offer] = (await known.get("auth/offers")).json["offers"]
    assert (offer["slug"], offer["role"]) == ("second", "operator")
    assert (await known.post("auth/offers", {"organisation": "third", "accept": True})).status == 404
    assert (await known.post("auth/offers", {"organisation": "second", "accept": True})).status == 204
    assert (await known.post("auth/offers", {"organisation": "second", "accept": True})).status == 204, "a repeated answer changes nothing"
    assert (await known.get("nodes", headers={HEADER: "second"})).status == 200
    assert (await known.get("nodes")).code == "organisation.required"
    members = (await second("GET", "members")).json
    assert {one["username"]: one["role"] for one in members["members"]}[known.user.username] == "operator"
    assert [one["username"] for one in members["offers"]] == ["nobody-at-all"]

    changed = await second("PATCH", f"members/{known.user.username}", {"role": "viewer", "grants": {"tags": ["web"]}})
    assert (changed.json["role"], changed.json["grants"]["tags"]) == ("viewer", ["web"])
    assert (await second("DELETE", f"members/{known.user.username}")).status == 204
    assert (await second("DELETE", "members/nobody-at-all")).status == 204
    assert (await second("DELETE", "members/nobody-at-all")).status == 404
    assert (await known.get("nodes")).status == 200, "the other membership is the sole one again"


async def test_an_admin_of_an_organisation_manages_only_accounts_that_are_wholly_in_it(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await hub.second()
    admin, shared, own = [await hub.logged_in(role) for role in ("admin", "viewer", "viewer")]
    for client in (admin, own):
        await hub.move(client.user)
    await hub.join(shared.user, 2, "viewer")
    await hub.join(boss.user, 2, "viewer")

    for name in (shared.user.username, boss.user.username):
        assert (await admin.post(f"users/{name}/password")).status == 409
        assert (await admin.request("PATCH", f"users/{name}", {"disabled": True})).status == 409
        assert (await admin.get(f"auth/sessions?user={name}")).json["sessions"] == []
        assert (await admin.request("DELETE", f"members/{name}")).status == 204
    assert (await admin.post(f"users/{own.user.username}/password")).status == 200
    assert (await shared.get("nodes")).status == 200, "the other organisation is untouched"


async def test_the_last_admin_of_an_organisation_and_of_the_hub_stays(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    name = boss.user.username
    await created(boss, "second", first_admin="eve")
    for method, path, body in (
        ("DELETE", f"members/{name}", None),
        ("PATCH", f"members/{name}", {"role": "viewer"}),
        ("POST", "instance-admins", {"username": name, "admin": False}),
        ("PATCH", f"users/{name}", {"disabled": True}),
    ):
        refused = await boss.request(method, path, body)
        assert (refused.status, refused.code) == (409, "organisation.last_admin"), path
    other = await hub.logged_in("viewer")
    await hub.join(other.user, 2, "admin")
    await hub.sql("DELETE FROM membership WHERE org = 2 AND account <> (SELECT no FROM account WHERE id = ?)", other.user.id)
    disabled = await boss.request("PATCH", f"users/{other.user.username}", {"disabled": True})  # seen from another organisation
    assert (disabled.status, disabled.code) == (409, "organisation.last_admin")
    await hub.sql("DELETE FROM membership WHERE org = 2")
    assert (await boss.post("instance-admins", {"username": other.user.username, "admin": True})).status == 204
    assert (await other.get("organisations")).status == 200, "an admin of the hub may be a viewer of an organisation"
    admins = (await boss.get("instance-admins?limit=1")).json
    assert [one["username"] for one in admins["admins"]] == [name]
    admins = (await boss.get(f"instance-admins?limit=1&cursor={admins['next']}")).json
    assert ([one["username"] for one in admins["admins"]], admins["next"]) == ([other.user.username], None)
    assert (await boss.post("instance-admins", {"username": name, "admin": False})).status == 204
    assert (await boss.get("organisations")).status == 403


async def test_the_hubs_own_audit_log_has_what_is_of_no_organisation(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await created(boss, "second", first_admin="eve")
    assert (await boss.post("organisations/second/break-glass", {"reason": "a look", "hours": 0.1})).status == 200
    page = (await boss.get("instance-audit?limit=1", headers={HEADER: "default"})).json
    assert [(row["action"], row["detail"]["reason"]) for row in page["audit"]] == [("member.break_glass", "a look")]
    rest = (await boss.get(f"instance-audit?cursor={page['next']}", headers={HEADER: "default"})).json
    assert [row["action"] for row in rest["audit"]] == ["organisation.create", "audit.anchor"]
    own = (await boss.get("audit", headers={HEADER: "default"})).json["audit"]
    assert not {row["action"] for row in own} & {"organisation.create", "member.break_glass"}


async def test_a_quota_limits_the_nodes(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await hub.node("web-3")
    [first] = (await boss.get("organisations")).json["organisations"]
    assert (await boss.request("PATCH", "organisations/default", {"version": first["version"], "node_quota": 1})).status == 200
    from groundcontrol.core.errors import QuotaReached  # noqa: PLC0415

    with pytest.raises(QuotaReached):
        await hub.node("web-4")


@pytest.mark.holds("SAFETY-108", "S-68")
async def test_breaking_the_glass_makes_a_told_membership_of_at_most_four_hours(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await created(boss, "second", first_admin="eve")
    path = "organisations/second/break-glass"
    for body in (
        {"reason": ""},
        {"reason": "x", "hours": 4.01},
        {"reason": "x", "hours": 0},
        {"reason": "x" * 201},
        {"reason": "x", "role": "admin"},
    ):
        assert (await boss.post(path, body)).status == 400
    made = await boss.post(path, {"reason": "ticket 17", "hours": 0.5})
    assert made.json["until"] == pytest.approx(hub.clock.now() + 1800, abs=60)
    assert (await boss.post(path, {"reason": "again"})).status == 409
    second = At(boss, "second")
    assert (await second("GET", "nodes")).status == 200
    token = await second("POST", "tokens", {"name": "mine", "role": "viewer", "days": 30})
    assert (token.status, token.json["info"]["expires_at"]) == (201, made.json["until"]), (
        "no token outlives the membership that it was made in"
    )
    assert (await second("POST", "users", {"username": "mole", "role": "viewer"})).status == 403  # nothing may stay
    eve = hub.anonymous()
    eve = await hub.logged_in(user=await hub.store.users.user_by_name("eve"))
    await hub.sql("UPDATE account SET must_change_password = 0")
    told = (await eve.get("events")).json["events"]
    assert [(one["type"], one["details"]["user"], one["details"]["reason"]) for one in told] == [
        ("break_glass", boss.user.username, "ticket 17")
    ]
    assert "break_glass" not in (await boss.get("events", headers={HEADER: "default"})).body.decode()

    hub.clock.shift += 1801
    assert (await boss.get("nodes", headers={HEADER: "second"})).code in ("organisation.unknown", "auth.required")
    assert [str(one) for one in await hub.store.memberships.end_memberships()] == [boss.user.id]
    assert await hub.store.memberships.end_memberships() == []
    found = await hub.database._control.reader.run(lambda rows: rows.fetch_all("SELECT type FROM event WHERE org = 2 ORDER BY no"))
    assert [row["type"] for row in found] == ["break_glass", "break_glass_ended"]


async def test_an_offer_accepted_while_looking_inside_is_a_membership_that_stays(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await created(boss, "second", first_admin="eve")
    await hub.sql("UPDATE account SET must_change_password = 0")
    eve = await hub.logged_in(user=await hub.store.users.user_by_name("eve"))
    assert (await eve.post("members", {"username": boss.user.username, "role": "operator"})).status == 204
    assert (await boss.post("organisations/second/break-glass", {"reason": "a call", "hours": 0.5})).status == 200
    assert (await boss.post("auth/offers", {"organisation": "second", "accept": True})).status == 204
    member = next(one for one in (await eve.get("members")).json["members"] if one["username"] == boss.user.username)
    assert (member["role"], member["until"], member["source"]) == ("operator", None, "local")
    hub.clock.shift += 3600
    assert await hub.store.memberships.end_memberships() == []


@pytest.mark.holds("SAFETY-108")
async def test_a_deleted_organisation_leaves_no_row_and_no_account_of_its_own(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await created(boss, "second", first_admin="eve")
    shared = await hub.logged_in("viewer")
    await hub.join(shared.user, 2, "admin")
    second = At(shared, "second")
    assert (await second("POST", "tokens", {"name": "mine"})).status == 201
    assert (await second("POST", "members", {"username": "later"})).status == 204
    here = await hub.node("web-3")
    there = await hub.node("web-9")
    await hub.sql("UPDATE node SET org = 2 WHERE id = ?", there.id)
    assert {"audit", "api_token", "membership", "membership_offer", "node"} <= await tables_with(hub, 2)

    assert (await boss.request("DELETE", "organisations/default", {"typed": "default"})).status == 409
    assert (await boss.request("DELETE", "organisations/second", {"typed": "Second"})).status == 400
    refused = await boss.request("DELETE", "organisations/second", {"typed": "second"})
    assert (refused.status, refused.code, refused.json["facts"]) == (409, "organisation.has_nodes", {"nodes": 1})
    gone = await boss.request("DELETE", "organisations/second", {"typed": "second", "abandon": True})
    assert gone.status == 204, gone.body

    assert await tables_with(hub, 2) == set()
    assert (await hub.store.users.user_by_name("eve")) is None, "an account of this organisation alone goes with it"
    assert [one["id"] for one in (await shared.get("nodes")).json["nodes"]] == [here.id]
    assert [one["slug"] for one in (await boss.get("organisations")).json["organisations"]] == ["default"]
    assert await hub.store.log.verify_audit() is None, "the log is whole without the chain of the deleted organisation"
    assert await hub.store.nodes.nodes(hub_scope(DEFAULT_ORG), 10)
    again = await created(boss, "second")
    assert again["organisation"]["version"] == 0
    assert await tables_with(hub, 2) == set(), "the number of an organisation is never used again"


async def test_a_suspended_organisation_can_be_resumed_by_an_admin_of_the_hub(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await created(boss, "second", first_admin="eve")
    eve = await hub.logged_in(user=await hub.store.users.user_by_name("eve"))
    await hub.sql("UPDATE account SET must_change_password = 0")
    async with eve.live() as live:
        assert (await boss.post("organisations/second/suspend")).json["state"] == "suspended"
        assert await live.closed() == 4401
    assert (await eve.get("nodes")).code == "organisation.suspended"
    assert (await boss.get("nodes")).status == 200
    assert (await boss.post("organisations/second/resume")).json["state"] == "active"
    assert (await eve.get("nodes")).status == 200


async def test_resuming_an_organisation_starts_none_of_its_patching(hub: TestHub) -> None:
    boss, here = await hub.logged_in("admin"), await hub.node("web-1")
    await created(boss, "second")
    policy = await boss.post(
        "patch-policies",
        {
            "name": "weekly",
            "select": {"nodes": [here.id]},
            "when": {"weekly": ["tue"]},
            "start": "02:30",
            "length_s": 7200,
            "zone": "Europe/Berlin",
        },
    )
    assert policy.status == 201, policy.body
    assert (await boss.post("organisations/default/suspend")).status == 200
    assert (await boss.get("patch-policies")).code == "organisation.suspended"
    assert (await boss.post("organisations/default/resume")).status == 200
    [one] = (await boss.get("patch-policies")).json["patch_policies"]
    assert one["paused"] == "suspended"
    assert (await boss.request("PATCH", f"patch-policies/{one['id']}", {"version": one["version"], "kernel": False})).status == 200
    [one] = (await boss.get("patch-policies")).json["patch_policies"]
    assert one["paused"] == "", "an edit is the decision of a person"


async def test_a_suspension_pauses_the_rollouts_and_resuming_moves_none(hub: TestHub) -> None:
    boss, here, there = await hub.logged_in("admin"), await hub.node("web-1"), await hub.node("web-2")
    await created(boss, "second")
    running = await a_rollout(hub, [here])
    waiting = await a_rollout(hub, [there], name="later", state="waiting", start_at=hub.clock.now() + 600, close_at=hub.clock.now() + 1200)
    assert (await boss.post("organisations/default/suspend")).status == 200
    states = {(await hub.store.rollouts.rollout(ADMIN, one.id)).state for one in (running, waiting)}
    assert states == {"paused"}
    assert (await boss.post("organisations/default/resume")).status == 200
    for one in (running, waiting):
        assert (await boss.get(f"rollouts/{one.id}")).json["state"] == "paused", "its users resume what they want"


async def test_a_queued_job_fails_at_the_suspension_and_does_not_begin_at_the_resumption(hub: TestHub) -> None:
    """Whoever ordered it: a user, or the hub itself."""
    boss, node = await hub.logged_in("admin"), await hub.node("web-1")
    await created(boss, "second")
    mine = await boss.post(f"nodes/{node.id}/jobs", {"action": "check"})
    assert mine.json["state"] == "queued", mine.body
    of_the_hub = await hub.services[JobService].submit(hub_scope(DEFAULT_ORG), node.id, JobRequest("check"), None)
    assert (await boss.post("organisations/default/suspend")).status == 200
    assert (await boss.post("organisations/default/resume")).status == 200
    for job in (mine.json["id"], of_the_hub.id):
        seen = (await boss.get(f"jobs/{job}")).json
        assert (seen["state"], seen["error"]["code"]) == ("failed", "job.not_allowed")


async def test_the_agents_of_an_organisation_can_be_removed_before_it_is_deleted(hub: TestHub) -> None:
    """A deletion is refused while there are nodes, unless they are abandoned."""
    boss = await hub.logged_in("admin")
    await created(boss, "second")
    node = await hub.store.nodes.create_node(ADMIN._replace(org=2), new_node("far-1"))
    refused = await boss.request("DELETE", "organisations/second", {"typed": "second"})
    assert (refused.status, refused.code) == (409, "organisation.has_nodes")
    offered = await boss.post("organisations/second/remove-agents")
    assert offered.status in (200, 202), offered.body
    assert node.id in offered.body.decode() or "far-1" in offered.body.decode()
    assert (await boss.request("DELETE", "organisations/second", {"typed": "Second", "abandon": True})).status == 400, (
        "the typed name is checked"
    )


async def test_a_node_that_comes_back_by_the_recovery_key_belongs_to_the_first_organisation(hub: TestHub) -> None:
    await hub.second()
    back = await re_adopt(hub.store, hub.bus, NodeId(new_random_id()), "192.0.2.9", hub.clock.now())
    assert back.org == DEFAULT_ORG
    told = await hub.store.log.events(hub_scope(DEFAULT_ORG), 5)
    assert [one.type for one in told.items] == ["node_adopted"]
    assert (await hub.store.log.events(hub_scope(2), 5)).items == []


async def test_each_organisation_says_who_must_have_a_second_factor(hub: TestHub) -> None:
    client = await hub.logged_in("viewer")
    await hub.join(client.user, await hub.second(), "viewer")
    await hub.sql("UPDATE organisation SET require_totp = 'all' WHERE no = 2")
    assert (await client.get("nodes", headers={HEADER: "default"})).status == 200
    refused = await client.get("nodes", headers={HEADER: "second"})
    assert (refused.status, refused.code) == (403, "auth.totp_enrolment_required")


@pytest.mark.holds("SAFETY-108")
async def test_nobody_is_told_anything_of_a_suspended_organisation(hub: TestHub) -> None:
    """Also not after it is resumed."""
    boss = await hub.logged_in("admin")
    made = await boss.post("channels", {"kind": "webhook", "name": "ops", "target": {"url": "https://ops.example/hook"}})
    assert made.status == 201, made.body
    delivery = await hub.store.deliveries.add_test(ADMIN, ChannelId(made.json["id"]), DeliveryId(new_time_id(hub.clock.now())))
    await hub.sql("UPDATE organisation SET state = 'suspended' WHERE no = 1")
    await hub.sql("UPDATE delivery SET next_at = next_at + 3600, state = 'deferred'")  # it waits for the end of quiet hours
    assert await hub.store.deliveries.claim(10) == []
    await hub.sql("UPDATE delivery SET next_at = next_at - 3600 WHERE next_at IS NOT NULL")
    await hub.sql("UPDATE organisation SET state = 'active' WHERE no = 1")
    assert await hub.store.deliveries.claim(10) == []
    found = await hub.database._control.reader.run(
        lambda rows: rows.fetch_all("SELECT state, reason FROM delivery WHERE id = ?", delivery.id)
    )
    assert [tuple(row) for row in found] == [("skipped", "suspended")]


async def test_the_settings_of_the_hub_are_for_its_admins(hub: TestHub) -> None:
    boss = await hub.logged_in("admin")
    await hub.second()
    other = await hub.logged_in("admin")
    await hub.move(other.user)
    assert (await boss.get("settings")).json["hub"] is not None
    seen = (await other.get("settings")).json
    assert (seen["hub"], seen["retention"]) == (None, [])
    assert (await other.request("PATCH", "settings", {"retention": {"seconds_s": 7200}})).status == 403
    assert (await other.request("PATCH", "settings", {"require_totp": "none"})).status == 200
