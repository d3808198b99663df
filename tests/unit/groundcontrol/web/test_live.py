"""`/api/v1/live`: who may open it, the content of each topic, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from groundcontrol.core.bus import Changed, NodeLive, Revoked
from groundcontrol.core.errors import StoreBusy
from groundcontrol.nodes.feed import NodeFeed
from groundcontrol.web.limits import LiveLimits, WebLimits
from groundcontrol.web.server import LIVE
from spider.wire.ids import new_random_id
from tests.support.inprocess_hub import ADMIN, ORIGIN, LiveSocket, TestHub, a_config, a_deployment, running


async def refused(hub: TestHub, client: Any, **headers: str | None) -> int:
    """The status of a handshake that must not succeed."""
    sent = {"Origin": ORIGIN, **headers}
    with pytest.raises(aiohttp.WSServerHandshakeError) as failed:
        await client.session.ws_connect(hub.url("/api/v1/live"), headers={name: value for name, value in sent.items() if value is not None})
    return failed.value.status


# -- access ------------------------------------------------------------------------------------


OTHER_ORIGINS = [
    None, "null", "https://evil.example", "https://hub.example.evil", "https://sub.hub.example", "http://hub.example",
    "https://hub.example:8443", "https://hub.example/", "https://HUB.example", "", "hub.example",
]  # fmt: skip


async def test_a_page_of_another_origin_gets_no_socket(hub: TestHub) -> None:
    client = await hub.logged_in()
    for origin in OTHER_ORIGINS:
        assert (origin, await refused(hub, client, Origin=origin)) == (origin, 403)


async def test_a_socket_that_the_browser_calls_foreign_is_refused(hub: TestHub) -> None:
    for site in ["cross-site", "same-site", "none"]:
        assert await refused(hub, await hub.logged_in(), **{"Sec-Fetch-Site": site}) == 403, site


@pytest.mark.holds("SAFETY-26", "S-11")
async def test_the_host_header_does_not_affect_the_origin_check(hub: TestHub) -> None:
    assert await refused(hub, await hub.logged_in(), Origin="https://evil.example", Host="evil.example") == 403


async def test_without_a_session_there_is_no_socket(hub: TestHub) -> None:
    assert await refused(hub, hub.anonymous()) == 401


async def test_before_the_password_is_changed_there_is_no_socket(hub: TestHub) -> None:
    assert await refused(hub, await hub.logged_in(must_change=True)) == 403


async def test_a_program_with_a_token_needs_no_origin(hub: TestHub) -> None:
    program = await hub.logged_in(cookie=False)

    async with program.session.ws_connect(hub.url("/api/v1/live"), headers={"Authorization": f"Bearer {program.bearer}"}) as socket:
        assert (await LiveSocket(socket).expect("hello"))["hub_id"] == hub.services.hub_id


@pytest.mark.holds("S-28")
async def test_the_connection_limit_of_one_address_does_not_affect_others(tmp_path: Path) -> None:
    config, limits = a_config(tmp_path, proxies="127.0.0.1"), WebLimits(live=LiveLimits(of_an_address=2))
    async with running(tmp_path, config=config, limits=limits) as hub, contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context((await hub.logged_in("viewer")).live(**{"X-Forwarded-For": "2001:db8::1"}))
        another = await hub.logged_in("viewer")
        assert await refused(hub, another, **{"X-Forwarded-For": "2001:db8::ffff"}) == 503
        async with another.live(**{"X-Forwarded-For": "2001:db8:0:1::1"}):
            pass


async def test_a_plain_http_request_to_the_live_path_is_refused(hub: TestHub) -> None:
    answer = await (await hub.logged_in()).get("live", headers={"Origin": ORIGIN})

    assert (answer.status, answer.code) == (400, "request.invalid")


@pytest.mark.holds("SAFETY-31")
async def test_the_socket_uses_no_compression(hub: TestHub) -> None:
    admin = await hub.logged_in()

    async with admin.session.ws_connect(hub.url("/api/v1/live"), headers={"Origin": ORIGIN}, compress=15) as socket:
        assert socket.compress == 0


# -- content -----------------------------------------------------------------------------------


async def test_hello_names_hub_page_and_end_of_session(hub: TestHub) -> None:
    admin = await hub.logged_in()

    async with admin.live() as live:
        assert (live.hello["hub_id"], live.hello["build"]) == (hub.services.hub_id, "test")
        assert live.hello["session_expires_at"] == admin.login.expires_at
        assert live.hello["started_at"] <= live.hello["now"]
        await live.send("ping", {})
        assert await live.expect("pong") == {}


async def test_an_unknown_topic_is_an_error(hub: TestHub) -> None:
    for topic in ["", "all", "node:", "node:*", "node:" + "z" * 26, "job:../../x", "audit", "fleet ", "node:" + "0" * 26 + "\n"]:
        async with (await hub.logged_in()).live() as live:
            await live.subscribe(topic)
            assert (await live.expect("error"))["code"] == "request.invalid", topic


async def test_a_missing_resource_is_not_found(hub: TestHub) -> None:
    for kind in ["node", "job", "deployment"]:
        async with (await hub.logged_in()).live() as live:
            topic = f"{kind}:{new_random_id()}"
            await live.subscribe(topic)
            error = await live.expect("error")
            assert (error["code"], error["topic"]) == ("not_found", topic), kind


async def test_an_invalid_frame_closes_the_socket(hub: TestHub) -> None:
    for frame in [
        b"",
        b"\xc1",
        msgspec.msgpack.encode("subscribe"),
        msgspec.msgpack.encode(["subscribe", {}]),
        msgspec.msgpack.encode(["subscribe", {"topic": 3}]),
        msgspec.msgpack.encode(["subscribe", {"topic": "fleet", "more": 1}]),
        msgspec.msgpack.encode(["ping", {}, 1]),
        b"\x92" * 20_000,
    ]:
        async with (await hub.logged_in()).live() as live:
            await live.socket.send_bytes(frame)
            assert await live.closed() == 4400, frame


async def test_a_text_frame_closes_the_socket(hub: TestHub) -> None:
    async with (await hub.logged_in()).live() as live:
        await live.socket.send_str('["ping",{}]')
        assert await live.closed() == 4400


async def test_an_unknown_message_is_answered_with_an_error_and_skipped(hub: TestHub) -> None:
    async with (await hub.logged_in()).live() as live:
        await live.send("__class__", {})
        assert (await live.expect("error"))["code"] == "request.invalid"
        await live.answers()


@pytest.mark.holds("SAFETY-31", "S-26")
async def test_a_frame_over_64_kib_closes_the_socket(hub: TestHub) -> None:
    async with (await hub.logged_in()).live() as live:
        await live.socket.send_bytes(b"x" * (65 * 1024))
        assert await live.closed() == 1009


async def test_one_page_follows_a_bounded_number_of_topics(hub: TestHub) -> None:
    nodes = [await hub.node(f"n{number}") for number in range(65)]
    async with (await hub.logged_in()).live() as live:
        for node in nodes:
            await live.subscribe(f"node:{node.id}")
        kinds = [(await live.next())[0] for _ in nodes]
        assert kinds == ["snapshot"] * 64 + ["error"]


# -- one node ------------------------------------------------------------------------------------


async def test_the_node_topic_sends_each_row(hub: TestHub) -> None:
    node = await hub.node()
    async with (await hub.logged_in()).live() as live:
        snapshot = await live.follow(f"node:{node.id}")
        for number in range(3):
            hub.bus.publish(NodeLive(node.id, "pulse", float(number), {"cpu.total": number * 1.5, "load.1": None}))
        for number in range(3):
            change = await live.expect("change")
            assert change["seq"] == snapshot["seq"] + 1 + number
            assert change["data"]["latest"] == {
                "cpu.total": {"value": number * 1.5, "at": float(number)},
                "load.1": {"value": None, "at": float(number)},
            }

        await hub.store.nodes.edit_node(ADMIN, node.id, name="other", tags=None)
        hub.bus.publish(Changed("node", node.id, 2, 1))
        assert (await live.expect("change"))["data"]["node"]["name"] == "other"


async def test_removal_of_a_node_is_reported(hub: TestHub) -> None:
    node = await hub.node()
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"node:{node.id}")
        await hub.store.nodes.delete_node(ADMIN, node.id)
        hub.bus.publish(Changed("node", node.id, 2, 1))
        assert (await live.expect("error"))["code"] == "not_found"
        await live.subscribe(f"node:{node.id}")
        assert (await live.expect("error"))["code"] == "not_found"


async def test_after_a_loss_on_the_bus_a_snapshot_is_sent(hub: TestHub) -> None:
    node = await hub.node()
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"node:{node.id}")
        for reader in hub.bus.readers_of(NodeLive(node.id, "pulse", 0.0, {})):
            reader.lose(3)
        assert await live.expect("gap") == {"topic": f"node:{node.id}"}
        assert (await live.expect("snapshot"))["data"]["id"] == node.id


async def test_a_failed_new_snapshot_is_reported_as_a_gap_and_changes_continue(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.app[LIVE].limits = LiveLimits(retry_s=0.0)
    node = await hub.node()
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"node:{node.id}")

        async def busy(_feed: NodeFeed) -> None:
            raise StoreBusy("more to read than it can")

        with monkeypatch.context() as patched:
            patched.setattr(NodeFeed, "snapshot", busy)
            for reader in hub.bus.readers_of(NodeLive(node.id, "pulse", 0.0, {})):
                reader.lose(3)
            for _ in range(2):  # that messages were lost, and that its state is unknown again
                assert await live.next() == ("gap", {"topic": f"node:{node.id}"})
        hub.bus.publish(NodeLive(node.id, "pulse", 1.0, {"cpu.total": 1.0}))
        assert (await live.expect("change"))["data"]["latest"]["cpu.total"]["value"] == 1.0


async def test_a_topic_that_fails_at_its_start_is_reported_and_restarted(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    node = await hub.node()

    async def broken(_feed: NodeFeed) -> None:
        raise RuntimeError("it never began")

    async with (await hub.logged_in()).live() as live:
        with monkeypatch.context() as patched:
            patched.setattr(NodeFeed, "run", broken)
            await live.subscribe(f"node:{node.id}")
            told = [await live.expect("error", 5.0)]
            await live.send("ping", {})
            while (message := await live.next())[0] == "error":
                told.append(message[1])
            assert {error["topic"] for error in told} == {f"node:{node.id}"}
        await live.follow(f"node:{node.id}")


async def test_after_unsubscribing_nothing_is_sent(hub: TestHub) -> None:
    node = await hub.node()
    async with (await hub.logged_in()).live() as live:
        await live.follow(f"node:{node.id}")
        await live.send("unsubscribe", {"topic": f"node:{node.id}"})
        await live.answers()
        hub.bus.publish(NodeLive(node.id, "pulse", 1.0, {"cpu.total": 1.0}))
        await live.answers()
        assert hub.app[LIVE]._feeds == {}


# -- deployments ------------------------------------------------------------------------------------


async def test_the_deployment_topic_sends_each_step(hub: TestHub) -> None:
    made = await hub.store.deployments.create_deployment(ADMIN, a_deployment())
    async with (await hub.logged_in("viewer")).live() as live:
        assert (await live.follow(f"deployment:{made.id}"))["data"]["state"] == "running"
        saved = await hub.store.deployments.save_deployment(ADMIN, made._replace(state="succeeded"))
        hub.bus.publish(Changed("deployment", made.id, saved.version, 1))
        assert (await live.expect("change"))["data"]["state"] == "succeeded"


# -- its end -----------------------------------------------------------------------------------------


async def test_a_log_out_closes_the_sockets_of_its_session_immediately(hub: TestHub) -> None:
    admin, other = await hub.logged_in(), await hub.logged_in()
    async with admin.live() as live, other.live() as stays:
        await live.follow("fleet")
        assert (await admin.post("auth/logout")).status == 204
        assert await live.closed(1.0) == 4401
        await stays.answers()


@pytest.mark.holds("SAFETY-19", "S-10")
async def test_a_lower_role_loses_its_topics_immediately(hub: TestHub, monkeypatch: pytest.MonkeyPatch) -> None:
    admin = await hub.logged_in("admin")
    monkeypatch.setitem(__import__("groundcontrol.core.permissions", fromlist=["x"]).PERMISSIONS, "event.read", frozenset({"admin"}))
    async with admin.live() as live:
        await live.follow("events")
        await hub.sql("UPDATE membership SET role = 'viewer' WHERE account = (SELECT no FROM account WHERE id = ?)", admin.user.id)
        hub.bus.publish(Revoked("", admin.user.id))
        await live.expect("rights")
        error = await live.expect("error")
        assert (error["code"], error["topic"]) == ("auth.forbidden", "events")
        await live.subscribe("events")
        assert (await live.expect("error"))["code"] == "auth.forbidden"


async def test_a_disabled_users_socket_is_closed(hub: TestHub) -> None:
    admin = await hub.logged_in()
    async with admin.live() as live:
        await hub.sql("UPDATE account SET disabled = 1 WHERE id = ?", admin.user.id)
        hub.bus.publish(Revoked("", admin.user.id))
        assert await live.closed(1.0) == 4401


@pytest.mark.holds("SAFETY-19", "S-22")
async def test_each_subscription_checks_the_session_in_the_store(hub: TestHub) -> None:
    admin = await hub.logged_in()
    async with admin.live() as live:
        await hub.store.users.revoke_session(ADMIN, admin.login.id)
        await live.subscribe("fleet")
        assert await live.closed(1.0) == 4401


async def test_a_stopping_hub_closes_sockets_with_a_code(hub: TestHub) -> None:
    async with (await hub.logged_in()).live() as live:
        closing = asyncio.ensure_future(hub.app[LIVE].close())
        assert await live.closed() == 1001
        await closing
        assert hub.app[LIVE].connections == 0
