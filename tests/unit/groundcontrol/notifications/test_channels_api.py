"""`/api/v1/channels`, `deliveries`, `notifications` and `links`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from groundcontrol.access.sessions import STEP_UP_S
from groundcontrol.alerts.model import Alert, AlertId, IncidentId, RuleId
from groundcontrol.alerts.service import AlertService
from groundcontrol.core.errors import NotFound
from groundcontrol.core.scope import Scope
from groundcontrol.notifications.channels import KINDS
from groundcontrol.notifications.egress import Egress
from groundcontrol.notifications.links import LINK_S, Link, Links
from groundcontrol.notifications.model import ChannelId, MessageKind
from groundcontrol.notifications.outbox import Outbox
from spider.wire.ids import new_time_id
from tests.support.background import cancelled
from tests.support.eventually import ask_until
from tests.support.inprocess_hub import Client, TestHub, a_config, running
from tests.support.receivers import Receiver

WEBHOOK: dict[str, Any] = {
    "kind": "webhook",
    "name": "ops",
    "target": {"url": "http://192.0.2.7:9/secret-path", "secret": "whsec_" + "QUJD" * 8},
}


async def made(client: Client, **changes: Any) -> Any:
    answer = await client.post("channels", {**WEBHOOK, **changes})
    assert answer.status == 201, answer.body
    return answer.json


async def test_a_channel_is_created_changed_and_deleted_without_showing_its_target(hub: TestHub) -> None:
    admin = await hub.logged_in()
    channel = await made(admin, quiet_hours={"start": "22:00", "end": "07:00", "zone": "Europe/Budapest"})
    assert (channel["state"], channel["target_masked"], channel["audience"]) == ("ok", "http://192.0.2.7:9/…", "operator")
    assert channel["quiet_hours"] == {"start": "22:00", "end": "07:00", "zone": "Europe/Budapest", "critical_too": False}
    path = f"channels/{channel['id']}"
    changed = (await admin.request("PATCH", path, {"min_severity": "critical", "caps": {"per_hour": 5}})).json
    assert changed == {**channel, "min_severity": "critical", "caps": {"per_hour": 5, "critical_per_hour": 60}}
    assert (await admin.request("PATCH", path, {"quiet_hours": None})).json["quiet_hours"] is None
    assert (await admin.post("channels", WEBHOOK)).code == "conflict"
    listed = await admin.get("channels")
    audit = await admin.get("audit")
    assert (await admin.request("DELETE", path)).status == 204
    assert (await admin.get("channels")).json == {"channels": []}
    assert (await admin.request("DELETE", path)).status == 404
    for answer in (listed, audit, await admin.get("audit")):
        assert b"secret-path" not in answer.body
        assert b"QUJD" not in answer.body


async def test_only_admins_of_the_hub_mark_channels_that_tell_of_the_hub_itself(hub: TestHub) -> None:
    boss = await hub.logged_in()
    channel = await made(boss)
    assert channel["instance"] is True, "what an admin of the hub makes in its first organisation tells of the hub"
    path = f"channels/{channel['id']}"
    assert (await boss.request("PATCH", path, {"instance": False})).json["instance"] is False
    assert (await made(boss, name="quiet", instance=False))["instance"] is False
    rows = [row for row in (await boss.get("audit")).json["audit"] if row["target"] == channel["id"]]
    assert any("instance" in str(row["detail"]) for row in rows)

    admin = await hub.logged_in()
    await hub.sql("UPDATE account SET instance_admin = 0 WHERE id = ?", admin.user.id)
    stranger = await hub.logged_in()
    await hub.move(stranger.user)
    marked = await made(boss, name="of the hub")
    path = f"channels/{marked['id']}"
    for refused in (
        await admin.request("DELETE", path),
        *[await admin.request("PATCH", path, edit) for edit in ({"enabled": False}, {"target": WEBHOOK["target"]}, {"name": "other"})],
    ):
        assert (refused.status, refused.code) == (403, "auth.forbidden"), "nobody else silences the hub's own alerts"
    assert (await boss.request("DELETE", path)).status == 204
    for who in (admin, stranger):
        own = await made(who, name=f"of {who.user.username}")
        assert own["instance"] is None
        for refused in (
            await who.request("PATCH", f"channels/{own['id']}", {"instance": True}),
            await who.post("channels", {**WEBHOOK, "name": "more", "instance": True}),
        ):
            assert (refused.status, refused.code) == (403, "auth.forbidden")


@pytest.mark.holds("SAFETY-22", "S-15")
async def test_changing_a_channels_target_needs_the_password_and_renaming_does_not(hub: TestHub) -> None:
    admin = await hub.logged_in()
    channel = await made(admin)
    hub.clock.shift += STEP_UP_S + 1
    await admin.post("auth/refresh")
    path, target = f"channels/{channel['id']}", {"url": "https://y.example/"}
    assert (await admin.request("PATCH", path, {"name": "ops 2"})).status == 200
    quiet = {"start": "00:00", "end": "23:59", "zone": "UTC", "critical_too": True}
    changes: list[dict[str, Any]] = [
        {"target": target},
        {"enabled": False},
        {"min_severity": "critical"},
        {"quiet_hours": quiet},
        {"quiet_hours": None},
        {"caps": {}},
    ]
    for change in changes:
        assert (await admin.request("PATCH", path, change)).code == "auth.step_up_required", change
    assert (await admin.request("DELETE", path)).code == "auth.step_up_required"
    assert (await admin.post("channels", {**WEBHOOK, "name": "other"})).code == "auth.step_up_required"


INSIDE = (
    "169.254.169.254", "127.0.0.1:22", "[::ffff:127.0.0.1]:22", "[::ffff:7f00:1]", "2130706433", "0x7f.1", "[64:ff9b::7f00:1]", "0.0.0.0:80", "a.localhost",
)  # fmt: skip
MAIL: dict[str, Any] = {"smtp": {"host": "mail.example"}, "from": "a@x.example", "to": ["b@x.example"]}
REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"target": {}}, "url"),
    *(({"target": {"url": f"http://{host}/"}}, "no message may go to") for host in INSIDE),
    (
        {
            "kind": "email",
            "target": {"smtp": {"host": "127.0.0.1", "port": 25, "tls": "none"}, "from": "a@x.example", "to": ["b@x.example"]},
        },
        "ALLOW",
    ),
    ({"kind": "ntfy", "target": {"server": "http://localhost:2586", "topic": "ops"}}, "STARDUST_NOTIFY_ALLOW=127.0.0.1:2586"),
    ({"target": {"url": "https://u:p@x.example/"}}, "user name"),
    ({"target": {"url": "https://x.example/", "secret": "a"}}, "Signing key must be whsec_"),
    (
        {"target": {"url": "https://169.254.169.254/"}},
        "Address (URL): no message may go to 169.254.169.254: name a receiver on another machine",
    ),
    ({"kind": "email", "target": MAIL | {"smtp": {"host": "-"}}}, "Mail server must be the name or address of a host"),
    ({"kind": "email", "target": MAIL | {"smtp": {"host": "a", "port": 0}}}, "Port: expected `int` >= 1"),
    ({"kind": "email", "target": MAIL | {"from": "a"}}, "From must hold addresses"),
    ({"target": {"url": "https://x.example/", "x": 1}}, "x"),
    ({"name": " "}, "name"),
    ({"name": "a\u202eb"}, "name"),
    ({"quiet_hours": {"start": "22:00", "end": "22:00", "zone": "UTC"}}, "quiet"),
    ({"quiet_hours": {"start": "22:00", "end": "7:00", "zone": "UTC"}}, "end"),
    ({"caps": {"per_hour": 0}}, "per_hour"),
    ({"quiet_hours": {"start": "22:00", "end": "07:00", "zone": "../etc/passwd"}}, "zone"),
    ({"caps": {"per_hour": 90}}, "per_hour"),
    ({"kind": "fax"}, "kind"),
    ({"min_severity": "error"}, "min_severity"),
)


async def test_an_invalid_channel_is_refused_with_its_field(hub: TestHub) -> None:
    admin = await hub.logged_in()
    for change, word in REFUSED:
        answer = await admin.post("channels", {**WEBHOOK, **change})
        assert (answer.status, answer.code) == (400, "request.invalid"), change
        assert word in answer.json["detail"]


async def test_only_admins_change_channels_and_limited_users_see_no_deliveries(hub: TestHub) -> None:
    channel = await made(await hub.logged_in())
    for role, token in (("operator", True), ("viewer", True), ("admin", False)):
        client = await hub.logged_in(role, cookie=token)  # type: ignore[arg-type]
        statuses = [
            (await client.get("channels")).status,
            (await client.get("deliveries")).status,
            (await client.get("notifications/summary")).status,
        ]
        assert statuses == [200] * 3
        if role != "admin":
            assert (await client.post(f"channels/{channel['id']}/test")).code == "auth.forbidden"
    limited = await hub.logged_in("operator")
    await hub.sql(
        "UPDATE membership SET grants = ? WHERE account = (SELECT no FROM account WHERE id = ?)",
        '{"nodes": [], "tags": ["own"]}',
        limited.user.id,
    )
    assert (await limited.get("deliveries")).code == "auth.forbidden"


async def test_each_kind_gives_the_words_of_its_form_says_which_fields_are_secret_and_has_a_preview(hub: TestHub) -> None:
    viewer = await hub.logged_in("viewer")
    listed = (await viewer.get("channels/kinds")).json["kinds"]
    assert all(one["hint"].endswith(".") for one in listed)
    kinds = {one["kind"]: one["target"] for one in listed}
    assert set(kinds) == set(KINDS)
    fields = [field for schema in kinds.values() for struct in schema["$defs"].values() for field in struct["properties"].values()]
    assert [field for field in fields if not field.get("title") and "$ref" not in field] == []
    assert kinds["webhook"]["$defs"]["WebhookTarget"]["properties"]["secret"]["writeOnly"] is True
    for kind in kinds:
        for message in get_args(MessageKind):
            shown = await viewer.post("channels/preview", {"kind": kind, "message": message})
            assert shown.json["payload"], kind


@contextlib.asynccontextmanager
async def sending(folder: Path, receiver: Receiver) -> AsyncIterator[TestHub]:
    """A hub with a running outbox."""
    config = replace(a_config(folder), notify_allow=frozenset({("127.0.0.1", receiver.port)}))
    async with running(folder, config=config) as hub:
        outbox = asyncio.create_task(hub.services[Outbox].run(), name="outbox")
        try:
            yield hub
        finally:
            await cancelled(outbox)
            await hub.services[Egress].close()


async def test_a_test_message_is_delivered_like_others_and_can_be_retried(tmp_path: Path) -> None:
    async with Receiver().running() as receiver, sending(tmp_path, receiver) as hub:
        receiver.statuses = [401]
        admin = await hub.logged_in()
        channel = await made(admin, target={"url": receiver.url("/in")})
        test = await admin.post(f"channels/{channel['id']}/test")
        assert test.status == 202

        async def delivery(state: str) -> Any:
            [row] = (await admin.get(f"deliveries?channel={channel['id']}")).json["deliveries"]
            return row if row["state"] == state else None

        failed = await ask_until(lambda: delivery("failed"))
        assert (failed["id"], failed["reason"], [one["code"] for one in failed["tries"]]) == (
            test.json["delivery_id"],
            "http:401",
            ["http:401"],
        )
        [broken] = (await admin.get("channels")).json["channels"]
        assert (broken["state"], broken["state_reason"]) == ("broken", "http:401")
        summary = (await admin.get("notifications/summary")).json
        assert (summary["failed"], summary["reasons"], summary["channels_broken"]) == (1, {"http:401": 1}, ["ops"])
        assert not summary["nobody_told"], "nothing fires"

        assert (await admin.post(f"deliveries/{failed['id']}/retry")).status == 202
        sent = await ask_until(lambda: delivery("sent"))
        assert [one["code"] for one in sent["tries"]] == ["http:401", "http:200"]
        assert [got.json["kind"] for got in receiver.got] == ["test", "test"]
        assert (await admin.get("deliveries?state=failed")).json["deliveries"] == []
        assert [(await admin.get(f"deliveries?{wrong}")).status for wrong in ("state=lost", "from=nan", "from=soon")] == [400, 400, 400]


class Handled:
    """The actions of `AlertService` on one alert."""

    def __init__(self) -> None:
        self.alert = AlertId(new_time_id())
        self.done: list[tuple[str, str, float]] = []

    async def acknowledge(self, scope: Scope, alert: AlertId, note: str = "") -> Alert:
        return self._handle("acknowledge", scope, alert, 0.0)

    async def snooze(self, scope: Scope, alert: AlertId, until_at: float) -> Alert:
        return self._handle("snooze", scope, alert, until_at)

    def _handle(self, verb: str, scope: Scope, alert: AlertId, until: float) -> Alert:
        if alert != self.alert:
            raise NotFound("there is no such alert")
        self.done.append((verb, scope.actor.name, until))
        incident = IncidentId("0" * 26)
        return Alert(
            alert, 1, RuleId("cpu.saturated"), None, "", "critical", "firing", 1.0, 1.0, None, None, 99.0, 95.0, incident,
            acknowledged_at=2.0 if verb == "acknowledge" else None, snoozed_until=until or None,
        )  # fmt: skip


@pytest.mark.holds("S-62")
async def test_a_link_acknowledges_or_snoozes_one_alert_for_a_week(hub: TestHub) -> None:
    handled = Handled()
    hub.services._own[AlertService] = handled
    admin, anyone = await hub.logged_in(), hub.anonymous()
    channel = await made(admin)
    links, now = hub.services[Links], hub.clock.now()
    link = Link(1, handled.alert, ChannelId(channel["id"]), now + LINK_S)
    token = links.token(link)

    assert (await anyone.get("links/alert", params={"token": token})).status == 405
    assert handled.done == []
    done = await anyone.post("links/alert", {"token": token}, headers={"Origin": None, "Sec-Fetch-Site": None})
    assert (done.status, done.json["alert"]["acknowledged"]) == (200, True)
    assert (await anyone.post("links/alert", {"token": token, "verb": "snooze"})).json["alert"]["snoozed_until"] > now
    assert [(verb, who) for verb, who, _ in handled.done] == [("acknowledge", "link:ops"), ("snooze", "link:ops")]
    assert (await anyone.post("links/alert", {"token": token, "verb": "snooze", "until_at": now + 9e6})).status == 400
    assert (await anyone.post("links/alert", {"token": token, "verb": "delete"})).status == 400
    other = links.token(link._replace(alert=AlertId(new_time_id())))
    assert (await anyone.post("links/alert", {"token": other})).status == 404
    assert (await admin.post("organisations/default/suspend")).status == 200
    assert (await anyone.post("links/alert", {"token": token})).code == "organisation.suspended"
    assert (await admin.post("organisations/default/resume")).status == 200
    bad = [
        token[:-2] + ("AA" if token[-2] != "A" else "BA"),
        token[2:],
        "",
        "é",
        links.token(link._replace(expires_at=now - 1)),
        Links(b"k" * 32).token(link),
    ]
    assert {(await anyone.post("links/alert", {"token": one})).code for one in bad} == {"link.expired"}
    assert (await admin.request("DELETE", f"channels/{channel['id']}")).status == 204
    assert (await anyone.post("links/alert", {"token": token})).code == "link.expired"
    codes = [(await anyone.post("links/alert", {"token": "x"})).code for _ in range(12)]
    assert codes[-1] == "request.too_many"
    assert len(handled.done) == 2
