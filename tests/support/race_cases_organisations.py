"""Commands about organisations and memberships: preconditions, call and result of each (`race_cases.py`)."""

from __future__ import annotations

from groundcontrol.access.model import Organisation, User
from groundcontrol.core.scope import Scope
from spider.wire.ids import new_random_id
from tests.support.factories import SCOPE
from tests.support.race_cases import Cases, Ground, Race, Rivals

CASES = Cases()


def an_organisation(slug: str, at: float) -> Organisation:
    return Organisation(0, new_random_id(), slug, slug.title(), "active", False, "none", None, at, 0)


async def second(ground: Ground) -> Organisation:
    return await ground.store.organisations.create(SCOPE, an_organisation("second", ground.now))


async def slugs(ground: Ground) -> list[str]:
    return [one.slug for one in await ground.store.organisations.organisations()]


async def members(ground: Ground, scope: Scope) -> list[tuple[str, str]]:
    return [(one.user.id, one.user.role) for one in (await ground.store.user_admin.users(scope, 100)).items]


@CASES.of("organisations.create")
async def _create(ground: Ground) -> Race:
    made = an_organisation("second", ground.now)
    others = [an_organisation("third", ground.now) for _ in range(20)]
    return Race(
        lambda: ground.store.organisations.create(SCOPE, made), lambda: slugs(ground), ["default", "second"],
        rivals=Rivals("one", lambda at: ground.store.organisations.create(SCOPE, others[at]), lambda _: ["default", "third"]),
    )  # fmt: skip


@CASES.of("organisations.save")
async def _save(ground: Ground) -> Race:
    made = await second(ground)
    return Race(
        lambda: ground.store.organisations.save(SCOPE, made._replace(slug="other")), lambda: slugs(ground), ["default", "other"],
        rivals=Rivals("one", lambda at: ground.store.organisations.save(SCOPE, made._replace(slug=f"s{at}")), lambda at: ["default", f"s{at}"]),
    )  # fmt: skip


@CASES.of("organisations.delete")
async def _delete(ground: Ground) -> Race:
    made = await second(ground)
    there = SCOPE._replace(org=made.no)
    await ground.store.user_admin.create_user(there._replace(actor=SCOPE.actor._replace(instance_admin=True)), await _stranger(made.no))
    return Race(lambda: ground.store.organisations.delete(SCOPE, made.no), lambda: slugs(ground), ["default"])


async def _stranger(org: int) -> User:
    return User(new_random_id(), org, new_random_id(), "viewer", "$argon2id$x", 1, False, False, 1.0)  # type: ignore[arg-type]  # an id


@CASES.of("memberships.offer")
async def _offer(ground: Ground) -> Race:
    store = ground.store

    async def held() -> object:
        return [(one.username, one.role) for one in await store.memberships.offers(SCOPE)]

    roles = ("viewer", "operator", "admin")
    return Race(
        lambda: store.memberships.offer(SCOPE, "ada", "viewer", None), held, [("ada", "viewer")], ("member.offer",),
        rivals=Rivals(
            "last", lambda at: store.memberships.offer(SCOPE, "ada", roles[at % 3], None), lambda at: [("ada", roles[at % 3])], writes=False  # type: ignore[arg-type]  # a role
        ),
    )  # fmt: skip


@CASES.of("memberships.claim_offers")
async def _claim(ground: Ground) -> Race:
    """One user gets it, whoever else has the address."""
    store, user = ground.store, await ground.user()
    there = SCOPE._replace(org=(await second(ground)).no)
    await store.memberships.offer(there, "ada@example.com", "operator", None, "https://sso.example")

    async def held() -> object:
        waits = await store.memberships.is_offered("https://sso.example", "ada@example.com")
        return waits, [one.username for one in await store.memberships.offers_to(user.id)]

    return Race(
        lambda: store.memberships.claim_offers(SCOPE, user.id, "https://sso.example", "ADA@example.com"), held, (False, [user.username])
    )


@CASES.of("memberships.answer_offer")
async def _accept(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    there = SCOPE._replace(org=(await second(ground)).no)
    await store.memberships.offer(there, user.username, "operator", None)
    return Race(
        lambda: store.memberships.answer_offer(SCOPE, user.id, "second", accept=True),
        lambda: members(ground, there),
        [(user.id, "operator")],
    )


@CASES.of("memberships.answer_offer: declined")
async def _decline(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    there = SCOPE._replace(org=(await second(ground)).no)
    await store.memberships.offer(there, user.username, "operator", None)
    return Race(lambda: store.memberships.answer_offer(SCOPE, user.id, "second", accept=False), lambda: store.memberships.offers(there), [])


@CASES.of("memberships.remove_member")
async def _remove(ground: Ground) -> Race:
    store, users = ground.store, [await ground.user() for _ in range(2)]
    return Race(
        lambda: store.memberships.remove_member(SCOPE, users[0].username), lambda: members(ground, SCOPE), [(users[1].id, "admin")],
        ("member.remove",), alone=(users[0].id, None),
    )  # fmt: skip


@CASES.of("memberships.join")
async def _join(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    there = SCOPE._replace(org=(await second(ground)).no)
    until = ground.now + 60.0

    async def held() -> object:
        events = (await store.log.events(there, 10)).items
        return [(one.user.id, one.until, one.reason) for one in (await store.user_admin.users(there, 10)).items], [
            one.type for one in events
        ]

    return Race(
        lambda: store.memberships.join(there, user.id, "viewer", until=until, reason="why"),
        held,
        ([(user.id, until, "why")], ["break_glass"]),
    )


@CASES.of("memberships.set_instance_admin")
async def _instance_admin(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()

    async def held() -> object:
        return (await store.user_admin.person(SCOPE, user.username)).user.instance_admin

    return Race(lambda: store.memberships.set_instance_admin(SCOPE, user.username, admin=True), held, True)


@CASES.of("memberships.end_memberships")
async def _end(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    there = SCOPE._replace(org=(await second(ground)).no)
    await store.memberships.join(there, user.id, "viewer", until=ground.now - 1.0, reason="why")
    return Race(store.memberships.end_memberships, lambda: members(ground, there), [], alone=([user.id], []))
