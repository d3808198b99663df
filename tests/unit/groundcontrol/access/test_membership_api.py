"""A request works in exactly one organisation: that of its sole membership, or the one that it names. An absent name is never all."""

from __future__ import annotations

import pytest

from groundcontrol.access.model import Membership, NoOrganisation, choose
from groundcontrol.core.bus import Revoked
from groundcontrol.core.scope import Role
from tests.support.inprocess_hub import Client, TestHub

HEADER = "Stardust-Organisation"


def member(org: int, *, until: float | None = None, state: str = "active") -> Membership:
    return Membership(org, f"org-{org}", f"Org {org}", state, "viewer", None, "none", until=until)  # type: ignore[arg-type]  # a literal


@pytest.mark.holds("SAFETY-108")
@pytest.mark.parametrize(
    ("memberships", "slug", "found"),
    [
        ([], None, "unknown"),
        ([], "org-1", "unknown"),
        ([member(1)], None, 1),
        ([member(1)], "org-1", 1),
        ([member(1)], "org-2", "unknown"),
        ([member(1)], "", "unknown"),
        ([member(1, state="suspended")], None, "suspended"),
        ([member(1, until=10.0)], None, "unknown"),
        ([member(1, until=10.1)], None, 1),
        ([member(1), member(2)], None, "required"),
        ([member(1), member(2)], "org-2", 2),
        ([member(1), member(2)], "*", "unknown"),
        ([member(1), member(2, until=9.0)], None, 1),
        ([member(1), member(2, state="suspended")], None, "required"),
        ([member(1), member(2, state="suspended")], "org-2", "suspended"),
    ],
)
def test_a_request_works_in_one_organisation_or_in_none(memberships: list[Membership], slug: str | None, found: int | str) -> None:
    chosen = choose(memberships, slug, 10.0)
    assert (chosen.why if isinstance(chosen, NoOrganisation) else chosen.org) == found


async def in_both(hub: TestHub, first: Role, second: Role, *, cookie: bool = True) -> Client:
    """A user with a role in the first organisation, and another one in a second."""
    client = await hub.logged_in(first, cookie=cookie)
    await hub.join(client.user, await hub.second(), second)
    return client


@pytest.mark.holds("SAFETY-108", "SAFETY-35")
async def test_t8_a_member_of_several_organisations_names_one(hub: TestHub) -> None:
    node = await hub.node()
    client = await in_both(hub, "viewer", "admin")

    unnamed = await client.get("nodes")
    assert (unnamed.status, unnamed.code) == (400, "organisation.required")
    assert unnamed.json["facts"] == {"organisations": ["default", "second"]}
    first, second = [await client.get("nodes", headers={HEADER: slug}) for slug in ("default", "second")]
    assert [[one["id"] for one in answer.json["nodes"]] for answer in (first, second)] == [[node.id], []]
    foreign, absent = [await client.get("nodes", headers={HEADER: slug}) for slug in ("third", "no such one")]
    assert {(answer.status, answer.code, answer.json["detail"]) for answer in (foreign, absent)} == {
        (403, "organisation.unknown", foreign.json["detail"])
    }

    roles = [(await client.get("users", headers={HEADER: slug})).status for slug in ("default", "second")]
    assert roles == [403, 200], "a role holds in its own organisation"
    me = (await client.get("auth/me")).json
    assert (me["organisation"], [(one["slug"], one["role"]) for one in me["organisations"]]) == (
        None,
        [("default", "viewer"), ("second", "admin")],
    )


@pytest.mark.holds("SAFETY-108")
async def test_a_stranger_cannot_tell_a_foreign_organisation_from_an_absent_one(hub: TestHub) -> None:
    await hub.second()
    client = await hub.logged_in("admin")
    foreign, absent = [await client.get("nodes", headers={HEADER: slug}) for slug in ("second", "absent")]
    assert (foreign.status, foreign.json | {"instance": ""}) == (absent.status, absent.json | {"instance": ""})
    assert foreign.code == "organisation.unknown"


@pytest.mark.holds("SAFETY-108", "S-18")
async def test_a_token_works_in_its_own_organisation_alone(hub: TestHub) -> None:
    client = await in_both(hub, "admin", "admin")
    made = await client.post("tokens", {"name": "backup", "role": "viewer"}, headers={HEADER: "second"})
    assert made.status == 201, made.body
    program = hub.anonymous()
    program.bearer = made.json["token"]
    node = await hub.node()

    assert (await program.get("nodes")).json["nodes"] == []
    assert (await program.get("nodes", headers={HEADER: "second"})).status == 200
    refused = await program.get("nodes", headers={HEADER: "default"})
    assert (refused.status, refused.code) == (403, "organisation.unknown")
    assert (await program.get(f"nodes/{node.id}")).status == 404
    await hub.sql("DELETE FROM membership WHERE org = 2 AND account = (SELECT no FROM account WHERE id = ?)", client.user.id)
    assert (await program.get("nodes")).code == "organisation.unknown"


@pytest.mark.holds("SAFETY-108")
async def test_a_suspended_organisation_refuses_its_users_and_leaves_them_their_account(hub: TestHub) -> None:
    client = await hub.logged_in("admin")
    await hub.sql("UPDATE organisation SET state = 'suspended' WHERE no = 1")
    refused = await client.get("nodes")
    assert (refused.status, refused.code) == (403, "organisation.suspended")
    me = (await client.get("auth/me")).json
    assert (me["organisation"], me["organisations"][0]["state"]) == (None, "suspended")
    await hub.sql("UPDATE organisation SET state = 'active' WHERE no = 1")
    assert (await client.get("nodes")).status == 200


@pytest.mark.holds("SAFETY-19", "SAFETY-108")
async def test_a_live_socket_names_its_organisation_and_ends_with_the_membership(hub: TestHub) -> None:
    node = await hub.node()
    client = await in_both(hub, "viewer", "viewer")
    assert (await client.get("live", headers={"Origin": "https://hub.example"})).code == "organisation.required"
    async with client.live(organisation="default") as first, client.live(organisation="second") as second:
        for live, seen in ((first, [node.id]), (second, [])):
            assert [one["id"] for one in (await live.follow("fleet"))["data"]["nodes"]] == seen
        await hub.sql("DELETE FROM membership WHERE org = 1 AND account = (SELECT no FROM account WHERE id = ?)", client.user.id)
        hub.bus.publish(Revoked("", client.user.id))
        assert await first.closed() == 4401
        await second.expect("rights")
        await second.answers()


@pytest.mark.holds("SAFETY-108")
async def test_an_idempotency_key_is_of_one_organisation(hub: TestHub) -> None:
    client = await in_both(hub, "admin", "admin")
    here, there = await hub.node("web-1"), await hub.node("web-2")
    await hub.sql("UPDATE node SET org = 2 WHERE id = ?", there.id)
    made = [
        await client.post("jobs", {"action": "check", "nodes": [node.id]}, headers={HEADER: slug, "Idempotency-Key": "the-same-key"})
        for slug, node in (("default", here), ("second", there))
    ]
    assert [one.status for one in made] == [202, 202], [one.body for one in made]
    assert made[0].json["id"] != made[1].json["id"]
