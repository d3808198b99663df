"""`/api/v1/auth/sessions`: the list of a user's sessions, and ending them."""

from __future__ import annotations

import asyncio

import pytest

from groundcontrol.core.bus import Revoked
from spider.wire.ids import new_random_id
from tests.support.inprocess_hub import TestHub
from tests.support.web_users import somebody


@pytest.mark.holds("SAFETY-23")
async def test_everybody_sees_their_own_sessions(hub: TestHub) -> None:
    viewer, _ = await hub.logged_in("viewer"), await hub.logged_in("admin")
    other = await hub.logged_in(user=viewer.user)

    listed = (await viewer.get("auth/sessions")).json["sessions"]

    assert [(one["id"], one["current"], one["username"]) for one in listed] == [
        (other.login.id, False, viewer.user.username),
        (viewer.login.id, True, viewer.user.username),
    ]
    assert {"address": "127.0.0.1", "user_agent": "test", "second_factor": False}.items() <= listed[0].items()


async def test_the_list_of_sessions_is_paged(hub: TestHub) -> None:
    viewer = await hub.logged_in("viewer")
    for _ in range(4):
        await hub.logged_in(user=viewer.user)

    first = (await viewer.get("auth/sessions?limit=3")).json
    rest = (await viewer.get(f"auth/sessions?limit=3&cursor={first['next']}")).json

    assert len({one["id"] for one in first["sessions"] + rest["sessions"]}) == 5
    assert rest["next"] is None


@pytest.mark.holds("SAFETY-23")
async def test_only_admins_see_sessions_of_others(hub: TestHub) -> None:
    viewer, operator, admin = await hub.logged_in("viewer"), await hub.logged_in("operator"), await hub.logged_in("admin")
    name = viewer.user.username

    assert [one["username"] for one in (await admin.get(f"auth/sessions?user={name}")).json["sessions"]] == [name]
    assert len((await admin.get("auth/sessions?user=*")).json["sessions"]) == 3
    assert (await operator.get(f"auth/sessions?user={name}")).code == "auth.forbidden"
    assert (await operator.get("auth/sessions?user=*")).code == "auth.forbidden"
    assert (await admin.get("auth/sessions?user=nobody")).status == 404
    assert (await viewer.get(f"auth/sessions?user={name}")).status == 200


async def test_a_malformed_list_request_is_refused(hub: TestHub) -> None:
    for query in ["limit=0", "limit=x", "cursor=x", "all=1", "user=a&user=b"]:
        assert (await (await hub.logged_in()).get(f"auth/sessions?{query}")).code == "request.invalid", query


@pytest.mark.holds("SAFETY-23", "S-09", "S-10")
async def test_an_ended_session_is_invalid_and_its_sockets_are_closed(hub: TestHub) -> None:
    here = await hub.logged_in("viewer")
    there = await hub.logged_in(user=here.user)
    async with there.live() as live:
        await live.follow("fleet")
        answer = await here.request("DELETE", f"auth/sessions/{there.login.id}")
        assert await live.closed() == 4401  # by the bus: the store would be read again after ten seconds only
    assert answer.status == 204
    assert (await there.get("auth/me")).status == 401
    assert (await here.get("auth/me")).status == 200
    assert (await here.request("DELETE", f"auth/sessions/{there.login.id}")).status == 404


async def test_a_session_of_another_user_is_not_found(hub: TestHub) -> None:
    viewer, operator, admin = await hub.logged_in("viewer"), await hub.logged_in("operator"), await hub.logged_in("admin")

    answers = [await operator.request("DELETE", f"auth/sessions/{one}") for one in (viewer.login.id, new_random_id(), "x")]

    assert [(answer.status, answer.code) for answer in answers] == [(404, "not_found")] * 3
    assert answers[0].json["detail"] == answers[1].json["detail"]
    assert (await viewer.get("auth/me")).status == 200
    assert (await admin.request("DELETE", f"auth/sessions/{viewer.login.id}")).status == 204
    assert (await viewer.get("auth/me")).status == 401


@pytest.mark.holds("SAFETY-23")
async def test_all_other_sessions_of_the_user_end_and_no_one_elses(hub: TestHub) -> None:
    here, stranger = await hub.logged_in("viewer"), await hub.logged_in("viewer")
    others = [await hub.logged_in(user=here.user) for _ in range(3)]

    assert (await here.request("DELETE", "auth/sessions")).status == 204

    assert [(await one.get("auth/me")).status for one in (here, stranger, *others)] == [200, 200, 401, 401, 401]


async def test_of_two_sessions_that_end_all_others_one_remains(hub: TestHub) -> None:
    one = await hub.logged_in("viewer")
    both = (one, await hub.logged_in(user=one.user))

    answers = await asyncio.gather(*(client.request("DELETE", "auth/sessions") for client in both))

    assert sorted(answer.status for answer in answers) == [204, 401]
    assert [(await client.get("auth/me")).status for client in both] == [200 if answer.status == 204 else 401 for answer in answers]


@pytest.mark.holds("S-10")
async def test_a_demotion_reaches_an_open_socket(hub: TestHub) -> None:
    """What the new role may not see stops; the session itself goes on."""
    boss, admin = await hub.logged_in("admin"), await hub.logged_in("admin")
    async with admin.live() as live:
        await live.follow("fleet")
        node = await hub.node()
        body = {"role": "viewer", "grants": {"nodes": [node.id]}}
        assert (await boss.request("PATCH", f"users/{admin.user.username}", body)).status == 200
        await live.expect("rights")
        await live.expect("gap")
        assert [one["id"] for one in (await live.expect("snapshot"))["data"]["nodes"]] == [node.id]
    assert (await admin.get("users")).code == "auth.forbidden"


async def test_a_lost_revocation_message_only_delays_the_disconnect(hub: TestHub) -> None:
    """The bus may lose everything: each subscription and every ten seconds ask the store again."""
    here = await hub.logged_in("viewer")
    async with here.live() as live:
        await hub.sql("UPDATE account SET disabled = 1 WHERE id = ?", here.user.id)
        await live.subscribe("fleet")
        assert await live.closed() == 4401
    hub.bus.publish(Revoked("", "nobody"))


async def test_a_session_of_a_log_in_says_where_it_came_from(hub: TestHub) -> None:
    client = await (await somebody(hub)).log_in()

    (listed,) = (await client.get("auth/sessions")).json["sessions"]

    assert listed["address"] == "127.0.0.1"
    assert "aiohttp" in listed["user_agent"]
