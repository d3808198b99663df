"""`/api/v1/maintenance`: windows of users, and those of jobs and deployments beside them."""

from __future__ import annotations

import pytest

from groundcontrol.schedules.maintenance_api import FARTHEST_S
from groundcontrol.schedules.wall_clock import DAYS
from tests.support.inprocess_hub import ADMIN, TestHub

WEEKLY = {"days": ["sun", "sat", "sat"], "start": "22:00", "end": "02:00"}


async def test_a_window_is_opened_listed_and_ended(hub: TestHub) -> None:
    operator, now = await hub.logged_in("operator"), hub.clock.now()
    made = await operator.post("maintenance", {"select": {"tags": ["web"]}, "until_at": now + 3600, "reason": " new switch "})
    assert made.status == 201
    assert (made.json["origin"], made.json["reason"], made.json["active"], made.json["closed_at"]) == ("user", "new switch", True, None)
    assert made.json["next_until_at"] == now + 3600
    assert (await operator.get("maintenance")).json["maintenance"] == [made.json]

    assert [(await operator.request("DELETE", f"maintenance/{made.json['id']}")).status for _ in range(2)] == [204, 204]
    (after,) = (await operator.get("maintenance")).json["maintenance"]
    assert (after["active"], after["next_from_at"], after["closed_at"] is not None) == (False, None, True)
    audit = (await (await hub.logged_in()).get("audit")).json["audit"]
    assert [row["action"] for row in audit if row["action"].startswith("maintenance")] == ["maintenance.end", "maintenance.create"]


async def test_a_weekly_window_ends_after_a_year_and_says_when_it_comes_next(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")
    made = await operator.post("maintenance", {"select": {"all": True}, "weekly": WEEKLY, "zone": "Europe/Budapest"})
    assert made.status == 201
    assert made.json["weekly"] == {"days": ["sat", "sun"], "start": "22:00", "end": "02:00"}
    assert (made.json["zone"], made.json["until_at"]) == ("Europe/Budapest", pytest.approx(hub.clock.now() + FARTHEST_S, abs=60))
    assert made.json["next_from_at"] < hub.clock.now() + 7 * 86_400


WRONG: tuple[tuple[dict[str, object], str], ...] = (
    ({"select": {}}, "select"),
    ({"select": {"all": True, "tags": ["web"]}}, "all"),
    ({"select": {"nodes": ["no id"]}}, "nodes"),
    ({"until_at": None}, "until_at"),
    ({"until_at": 1.0}, "until_at"),
    ({"until_at": 9e9}, "at most 7 days after the start; for longer name tags"),
    ({"until_at": 9e9, "select": {"tags": ["web"]}}, "at most 90 days"),
    ({"from_at": 1e300}, "from_at"),
    ({"weekly": WEEKLY, "zone": "UTC", "until_at": 1e300}, "until_at"),
    ({"reason": "x" * 201}, "reason"),
    ({"zone": "Europe/Budapest"}, "zone"),
    ({"weekly": WEEKLY}, "zone"),
    ({"weekly": WEEKLY, "zone": "Europe/Atlantis"}, "zone"),
    ({"weekly": {**WEEKLY, "days": []}, "zone": "UTC"}, "days"),
    ({"weekly": {**WEEKLY, "end": "25:00"}, "zone": "UTC"}, "weekly.end"),
    ({"weekly": {**WEEKLY, "end": "22:00"}, "zone": "UTC"}, "weekly.end"),
    ({"weekly": {"days": DAYS, "start": "00:00", "end": "12:01"}, "zone": "UTC"}, "84 hours"),
)


async def test_an_invalid_window_is_refused_with_its_field(hub: TestHub) -> None:
    operator = await hub.logged_in("operator")
    for change, word in WRONG:
        answer = await operator.post("maintenance", {"select": {"all": True}, "until_at": hub.clock.now() + 60, **change})
        assert (answer.status, answer.code) == (400, "request.invalid"), change
        assert word in answer.json["detail"]
    assert (await operator.get("maintenance")).json["maintenance"] == []


@pytest.mark.holds("S-19")
async def test_a_token_silences_some_servers_for_a_day_at_most(hub: TestHub) -> None:
    person, token, now = await hub.logged_in("operator"), await hub.logged_in("operator"), hub.clock.now()
    token.session.cookie_jar.clear()
    token.csrf, token.bearer = "", (await person.post("tokens", {"name": "ci", "role": "operator"})).json["token"]
    day: dict[str, object] = {"select": {"tags": ["web"]}, "until_at": now + 86_000}
    refused: tuple[dict[str, object], ...] = (
        {"select": {"all": True}}, {"until_at": now + 2 * 86_400}, {"weekly": WEEKLY, "zone": "UTC", "until_at": now + 8 * 86_400}, {"from_at": now + 80_000, "until_at": now + 90_000},
    )  # fmt: skip
    for change in refused:
        assert (await person.post("maintenance", {**day, **change})).status == 201
        answer = await token.post("maintenance", {**day, **change})
        assert (answer.code, "log in to the page" in answer.json["detail"]) == ("auth.forbidden", True), change
    assert (await token.post("maintenance", day)).status == 201


@pytest.mark.holds("S-19")
async def test_a_limited_user_opens_maintenance_windows_for_own_nodes_only(hub: TestHub) -> None:
    node, other = await hub.node("own"), await hub.node("other")
    await hub.store.nodes.edit_node(ADMIN, node.id, name=None, tags=("own", "web"))
    limited, admin = await hub.logged_in("operator"), await hub.logged_in(cookie=False)
    await hub.sql(
        "UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)",
        '{"nodes": [], "tags": ["own"]}',
        limited.user.id,
    )
    until = hub.clock.now() + 600

    selections = ({"all": True}, {"tags": ["web"]}, {"nodes": [other.id]}, {"nodes": [node.id]}, {"tags": ["own"]})
    answers = [await limited.post("maintenance", {"select": select, "until_at": until}) for select in selections]
    assert [answer.status for answer in answers] == [403, 403, 404, 201, 201]

    wide = (await admin.post("maintenance", {"select": {"nodes": [node.id, other.id]}, "until_at": until})).json
    shown = {one["id"]: one["select"]["nodes"] for one in (await limited.get("maintenance")).json["maintenance"]}
    assert shown[wide["id"]] == [node.id]
    assert (await limited.request("DELETE", f"maintenance/{wide['id']}")).status == 404
