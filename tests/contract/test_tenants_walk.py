"""One walk over every route, beside an empty organisation and beside one that has the same of everything: each seeded fault shows in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from groundcontrol.access import sessions
from groundcontrol.access.model import Membership, NoOrganisation, choose
from groundcontrol.adapters.sqlite import audit, stores
from groundcontrol.adapters.sqlite.engine.tx import Rows
from groundcontrol.adapters.sqlite.organisations import owned
from groundcontrol.adapters.sqlite.rollouts import SqliteRollouts
from groundcontrol.core.errors import Forbidden, NotFound
from groundcontrol.core.ids import UserId
from groundcontrol.core.scope import Actor, Scope
from groundcontrol.slices import ROUTES
from groundcontrol.web.costs import ChangeLimiter
from groundcontrol.web.cursors import Cursors
from groundcontrol.web.services import Services
from spider.wire.ids import new_random_id
from tests.support.inprocess_hub import TestHub
from tests.support.rights_cases import BODIES, MAKERS, Side
from tests.support.route_matrix import kind_of
from tests.support.tenants import Tenant, Transcript, address_of, calls_of, difference, forgets, no_guard, pair, whole, world

SAME: Final = "the-same-name"
RULE: Final = {"name": SAME, "expr": "state(unit_failed)", "select": {"all": True}, "warn": {"trigger": 0, "clear": 0}}
KINDS: Final = [kind for kind in sorted(MAKERS) if kind not in ("provider", "organisation")]
_CALLS: Final = calls_of(list(ROUTES))


async def have_everything(hub: TestHub, tenant: Tenant, org: int, found: Transcript) -> dict[str, str]:
    """Make one of everything, with the same names in each organisation. Returns: kind -> id."""
    own = await world(hub, tenant, org)
    ids = {**own.ids, "event": own.event.id}
    for kind in KINDS:
        making = MAKERS[kind](Side(tenant.node, SAME))
        answer = await tenant.client.post(making.path, making.body)
        found.add(f"make {kind}", whole(answer))
        ids[kind] = making.id_of(answer.json) if answer.status < 300 else new_random_id()
    key = {"Idempotency-Key": SAME}
    for kind, path, body in (
        ("batch", "jobs", {"action": "check", "nodes": [tenant.node]}),
        ("rule", "rules", RULE),
        ("delivery", f"channels/{ids['channel']}/test", None),
    ):
        answer = await tenant.client.post(path, body, headers=key if kind == "batch" else None)
        found.add(f"make {kind}", whole(answer))
        ids[kind] = answer.json["delivery_id" if kind == "delivery" else "id"] if answer.status < 300 else new_random_id()
    person = await hub.user(f"viewer-{tenant.tag}", "viewer")
    if org == 2:
        await hub.move(person)
    return {**ids, "session": tenant.client.login.id, "user": person.username, "member": person.username}


async def content(hub: TestHub, org: int) -> dict[str, list[tuple[object, ...]]]:
    """All rows of an organisation."""

    def read(rows: Rows) -> dict[str, list[tuple[object, ...]]]:
        return {table: [tuple(row) for row in rows.fetch_all(f"SELECT * FROM {table} WHERE org = {org}")] for table in owned()}

    return await hub.database._control.reader.run(read)


async def walk(folder: Path, only: str, *, busy: bool, org: int = 1) -> Transcript:
    """What an organisation sees of every route, or of those whose path has `only` in it.

    `busy`: the other has one of everything, else a node alone.
    """
    found, refused, others = Transcript(), set[bool](), 3 - org
    async with pair(folder, mine=org) as both:
        hub, mine, other = both.hub, both.mine, both.other
        theirs = await have_everything(hub, other, others, Transcript()) if busy else {}
        own = await have_everything(hub, mine, org, found)
        before = await content(hub, others)
        calls = [route for route in _CALLS if only in route.path]
        for route in calls:
            if route.method == "GET" and "{" not in route.path:
                address = address_of(route, own["node"])
                found.add(route.path, whole(await mine.client.get(address)))
                if any(one.name == "limit" for one in route.query):
                    found.add(f"{route.path} in parts", whole(await mine.client.get(f"{address}{'&' if '?' in address else '?'}limit=1")))
        for route in calls:
            row, kind = f"{route.method} {route.path}", kind_of(route.path.partition("/{")[0])
            if "{" not in route.path:
                continue
            for thing in (theirs.get(kind, new_random_id()), new_random_id()):
                body = None if route.method in ("GET", "DELETE") else BODIES.get(row, {})
                found.add(row, whole(await mine.client.request(route.method, address_of(route, thing), body), thing))
            if route.method == "GET" and kind in own:
                found.add(f"own {row}", whole(await mine.client.get(address_of(route, own[kind]))))
        found.add("the other", b"" if await content(hub, others) == before else b"has changed")
        # The first is as who logged in through a provider that gives no membership.
        stray, both_here = [await hub.logged_in("viewer") for _ in range(2)]
        await hub.sql("DELETE FROM membership WHERE account = (SELECT no FROM account WHERE id = ?)", stray.user.id)
        await hub.join(both_here.user, 2, "viewer")
        for who, client, refusal in (("stray", stray, (403, "organisation.unknown")), ("both", both_here, (400, "organisation.required"))):
            for path in ("nodes", "events", "jobs", "rules"):
                answer = await client.get(path)
                found.add(f"{who} {path}", whole(answer))
                refused.add((answer.status, answer.json.get("code")) == refusal)
        found.add("without an organisation", str(refused).encode())
    return found


async def seen(folder: Path, only: str = "") -> str:
    """The first answer of the walk that depends on the other organisation; empty: none does."""
    return difference(await walk(folder / "quiet", only, busy=False), await walk(folder / "busy", only, busy=True))


def alike(found: Transcript) -> Transcript:
    """Without what the first organisation alone has: its name, the chain of the process, and rules about the hub itself that few may change."""
    made = Transcript()
    for line in found.lines:
        named = line.replace(b'"second"', b'"default"').replace(b'"Second"', b'"Default"').replace(b'"test-hub-2"', b'"test-hub"')
        made.lines.append(re.sub(rb'("kind":"hub"[^{}]*"editable":)true', rb"\1false", named))
    return made


def _one_chain(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(audit, "_chain_of", lambda name, _org: name)


def _one_cache(patch: pytest.MonkeyPatch) -> None:
    of = Services.of
    patch.setattr(Services, "of", lambda self, _org: of(self, 1))


def _strays_are_taken_in(patch: pytest.MonkeyPatch) -> None:
    def chosen(memberships: Sequence[Membership], *args: Any) -> Membership | NoOrganisation:
        return choose(memberships, *args) if memberships else Membership(2, "second", "Second", "active", "viewer", None, "none")

    patch.setattr(sessions, "choose", chosen)


def _unsealed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Cursors, "seal", lambda _self, cursor: cursor)
    patch.setattr(Cursors, "open", lambda _self, text: text)


def _all_heads(patch: pytest.MonkeyPatch) -> None:
    """The verification of the audit log tells an admin of one organisation where the chains of all end."""
    patch.setattr(Actor, "instance_admin", True)


def _the_last_if_none_is_named(patch: pytest.MonkeyPatch) -> None:
    """A member of several organisations who names none works in one of them."""

    def chosen(memberships: Sequence[Membership], *args: Any) -> Membership | NoOrganisation:
        found = choose(memberships, *args)
        return memberships[-1] if isinstance(found, NoOrganisation) and found.why == "required" else found

    patch.setattr(sessions, "choose", chosen)


def _one_limit(patch: pytest.MonkeyPatch) -> None:
    spend = ChangeLimiter.spend
    patch.setattr(ChangeLimiter.__init__, "__defaults__", (20.0, 1e-6))  # more than one of them changes
    patch.setattr(ChangeLimiter, "spend", lambda self, _user: spend(self, UserId("everybody")))


def _foreign_is_named(patch: pytest.MonkeyPatch) -> None:
    """An error tells that the object exists, in another organisation."""
    find = SqliteRollouts.rollout

    async def found(self: SqliteRollouts, scope: Scope, rollout: Any) -> Any:
        try:
            return await find(self, scope, rollout)
        except NotFound:
            known = await self._reader.run(lambda rows: rows.fetch_one("SELECT 1 FROM rollout WHERE id = ?", rollout))
            raise Forbidden("it belongs to others") if known else NotFound(f"there is no roll-out {rollout}") from None

    patch.setattr(SqliteRollouts, "rollout", found)
    patch.setattr(stores, "act_for_owners", lambda _store: None)


NOWHERE: Final = "no route"
FAULTS: Final = {
    "a list": ("/nodes", forgets(r"(?s)FROM node .*WHERE org = \? AND no > ")),
    "an object by its id": ("/rollouts", forgets(r"FROM rollout WHERE org = \? AND id = ")),
    "a joined table": ("/jobs", forgets(r"(?s)FROM job .*JOIN node.*job\.org = ")),
    "a count": ("/notifications", forgets(r"count\(\*\) AS n FROM delivery WHERE org = \? AND id >= ")),
    "a search": ("/events", forgets(r"FROM event WHERE org = \? AND ")),
    "a unique name": (NOWHERE, forgets(r"SELECT 1 FROM patch_window WHERE org = .* AND id <> ")),
    "an idempotency key": (NOWHERE, forgets(r"idempotency_key = \?", "org|actor")),
    "a change": ("/windows/", forgets(r"SELECT .* FROM patch_window WHERE org = \? AND id = |^UPDATE patch_window")),
    "a deletion": ("/expectations/", forgets(r"FROM expectation WHERE org = \? AND id = ")),
    "a list of people": ("/users", forgets(r"FROM account JOIN membership ON membership.account = account.no WHERE membership.org")),
    "numbers of the audit log": ("/audit", _one_chain),
    "a cache": ("/rules", _one_cache),
    "a user of single sign-on without an organisation": (NOWHERE, _strays_are_taken_in),
    "a cursor, which holds numbers of rows": ("/jobs", _unsealed),
    "a verification, which tells all heads": ("/audit/verify", _all_heads),
    "a request without organisation, which gets the last": (NOWHERE, _the_last_if_none_is_named),
    "a limit, which all users share": (NOWHERE, _one_limit),
    "an error, which tells foreign from absent": ("/rollouts/", _foreign_is_named),
}
"""What forgets the organisation in each, and the paths that show it."""


@pytest.mark.holds("SAFETY-108")
@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.timeout(300)
async def test_t1_every_route_shows_the_same_beside_an_empty_and_a_full_organisation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guarded: bool
) -> None:
    """Without the guard below the statements as well: each of them names its organisation by itself."""
    if not guarded:
        no_guard(monkeypatch)
    alone, beside = await walk(tmp_path / "quiet", "", busy=False), await walk(tmp_path / "busy", "", busy=True)
    assert difference(alone, beside) == ""
    assert b"the other -> " in beside.lines
    assert alone.lines[-1:] == [b"without an organisation -> {True}"]
    if guarded:
        second = await walk(tmp_path / "second", "", busy=True, org=2)
        assert difference(alike(alone), alike(second)) == ""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.timeout(300)
async def test_t2_each_fault_that_forgets_the_organisation_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    where, seed_fault = FAULTS[fault]
    seed_fault(monkeypatch)
    assert await seen(tmp_path, where)
