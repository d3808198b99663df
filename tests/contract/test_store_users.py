"""Users, sessions, rate limits, secrets, events and the audit log."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundcontrol.access.model import LoginSession, User
from groundcontrol.access.store import Bucket, SetUp
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.errors import BadRequest, Conflict, NotFound
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.scope import Actor
from groundcontrol.core.secrets import HUB_KEY, SealedRecord, hub_key_record
from spider.wire.ids import new_random_id
from tests.support.clock import ManualClock
from tests.support.factories import ADMIN, SCOPE, STRANGER, audited, logged_in, login, new_node, new_user, twice
from tests.support.some import some
from tests.support.store_backend import Backend


async def admin_with_session(store: Store, clock: ManualClock) -> tuple[User, LoginSession]:
    user = new_user()
    await store.users.create_first_admin(user, b"h" * 32, clock.now())
    session = login(user, clock.now())
    await store.users.open_session(session, logged_in(user), b"a place")
    return user, session


async def logged_in_as(store: Store, session: SessionId) -> tuple[LoginSession, User] | None:
    found = await store.user_admin.auth_state(session)
    return None if found is None else (found.session, found.user)


async def test_the_first_admin_is_created_only_once(store: Store, clock: ManualClock) -> None:
    assert await store.users.set_up() == SetUp(None, None, has_users=False)
    user = new_user()
    await twice(lambda: store.users.create_first_admin(user, b"h" * 32, clock.now()))
    assert await store.users.set_up() == SetUp(clock.now(), b"h" * 32, has_users=True)
    results = await asyncio.gather(
        *(store.users.create_first_admin(new_user(f"u{at}"), b"x", clock.now()) for at in range(20)), return_exceptions=True
    )
    assert all(isinstance(result, Conflict) for result in results)
    assert await store.users.user(user.id) == user
    assert await store.users.user_by_name("ADMIN") == user
    assert await store.users.user_by_name("nobody") is None
    assert await store.users.user(UserId("nobody")) is None


@pytest.mark.holds("SAFETY-12")
async def test_of_twenty_first_admins_one_wins(store: Store, clock: ManualClock) -> None:
    results = await asyncio.gather(
        *(store.users.create_first_admin(new_user(f"u{at}"), b"x", clock.now()) for at in range(20)), return_exceptions=True
    )
    assert sum(result is None for result in results) == 1
    assert len((await store.user_admin.users(SCOPE, 5)).items) == 1


async def test_a_session_is_valid_until_it_is_ended(store: Store, clock: ManualClock) -> None:
    user, session = await admin_with_session(store, clock)
    await store.users.open_session(session, logged_in(user), b"a place")
    assert await logged_in_as(store, session.id) == (session, user)
    assert await logged_in_as(store, SessionId("nothing")) is None
    scope = SCOPE._replace(actor=Actor("user", user.id, user.username, user.role))
    with pytest.raises(NotFound):
        await store.users.revoke_session(STRANGER, session.id)
    await twice(lambda: store.users.revoke_session(scope, session.id))
    assert await logged_in_as(store, session.id) is None
    assert [action for _, action, _ in await audited(store)] == ["user.create", "auth.login", "auth.logout"]


async def test_a_session_expires_by_the_stores_clock(store: Store, clock: ManualClock) -> None:
    _, session = await admin_with_session(store, clock)
    clock.advance(86_401.0)
    assert await logged_in_as(store, session.id) is None
    with pytest.raises(Conflict):
        await store.users.refresh_session(session.id, session.refresh_hash, b"f" * 32, clock.now(), clock.now() + 10)


async def test_a_new_password_ends_every_other_session(store: Store, clock: ManualClock) -> None:
    user, session = await admin_with_session(store, clock)
    other = login(user, clock.now())
    await store.users.open_session(other, logged_in(user), b"a place")
    after = await twice(lambda: store.users.save_password(SCOPE, user.id, "$argon2id$new", session.id, must_change=False))
    assert (after.password_version, after.must_change_password, after.password_hash) == (2, False, "$argon2id$new")
    assert await logged_in_as(store, other.id) is None
    kept = some(await logged_in_as(store, session.id))
    assert kept[0].password_version == 2
    assert (await store.users.set_up()).code_hash is None
    assert ("local:1000", "auth.password", user.id) in await audited(store)
    await store.users.save_password(SCOPE, user.id, "$argon2id$third", None, must_change=True)
    assert await logged_in_as(store, session.id) is None
    with pytest.raises(NotFound):
        await store.users.save_password(STRANGER, user.id, "x", None, must_change=False)


@pytest.mark.holds("S-09")
async def test_a_credential_proven_before_an_account_change_opens_no_session(store: Store, clock: ManualClock) -> None:
    """A password takes long to look at; what its owner does meanwhile counts."""
    user, session = await admin_with_session(store, clock)
    await store.users.save_password(SCOPE, user.id, "$argon2id$new", session.id, must_change=False)
    with pytest.raises(Conflict):
        await store.users.open_session(login(user, clock.now()), logged_in(user), b"a place")
    now = user._replace(password_version=2)
    good = login(now, clock.now())
    await store.users.open_session(good, logged_in(now), b"a place")
    await store.user_admin.create_user(SCOPE, new_user("another"))
    await store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=True, grants=None)
    with pytest.raises(Conflict):
        await store.users.open_session(login(now, clock.now()), logged_in(now), b"a place")
    await store.user_admin.edit_user(SCOPE, user.id, role=None, disabled=False, grants=None)
    await store.users.open_session(login(now, clock.now()), logged_in(now), b"a place")


@pytest.mark.holds("SAFETY-18")
async def test_a_session_that_ended_or_is_of_another_user_cannot_change_the_password(store: Store, clock: ManualClock) -> None:
    user, session = await admin_with_session(store, clock)
    thief = login(user, clock.now())
    await store.users.open_session(thief, logged_in(user), b"a place")
    await store.users.save_password(SCOPE, user.id, "$argon2id$owner", session.id, must_change=False)
    with pytest.raises(NotFound):
        await store.users.save_password(SCOPE, user.id, "$argon2id$thief", thief.id, must_change=False)
    another = await store.user_admin.create_user(SCOPE, new_user("another"))
    with pytest.raises(NotFound):
        await store.users.save_password(SCOPE, another.id, "$argon2id$thief", session.id, must_change=False)
    after = some(await store.users.user(user.id))
    assert (after.password_hash, after.password_version) == ("$argon2id$owner", 2)
    assert await logged_in_as(store, session.id) is not None


async def test_a_refresh_rotates_the_token_and_a_reused_one_ends_the_session(store: Store, clock: ManualClock) -> None:
    _, session = await admin_with_session(store, clock)
    at = clock.now() + 600
    refreshed = await twice(lambda: store.users.refresh_session(session.id, session.refresh_hash, b"2" * 32, at, at + 86_400))
    assert (refreshed.refresh_hash, refreshed.expires_at, refreshed.last_seen_at) == (b"2" * 32, at + 86_400, at)
    with pytest.raises(Conflict):
        await store.users.refresh_session(session.id, session.refresh_hash, b"3" * 32, at, at + 86_400)
    assert await logged_in_as(store, session.id) is None
    with pytest.raises(Conflict):
        await store.users.refresh_session(session.id, b"2" * 32, b"4" * 32, at, at + 86_400)
    assert ("admin", "auth.refresh_reused", session.id) in await audited(store)


@pytest.mark.holds("SAFETY-20")
async def test_of_twenty_refreshes_with_one_token_one_wins(store: Store, clock: ManualClock) -> None:
    _, session = await admin_with_session(store, clock)
    results = await asyncio.gather(
        *(
            store.users.refresh_session(session.id, session.refresh_hash, bytes([at]) * 32, clock.now(), clock.now() + 10)
            for at in range(20)
        ),
        return_exceptions=True,
    )
    assert sum(not isinstance(result, Conflict) for result in results) == 1


async def test_step_up_moves_the_proof_forward_only(store: Store, clock: ManualClock) -> None:
    _, session = await admin_with_session(store, clock)
    await twice(lambda: store.users.step_up(session.id, clock.now() + 100))
    await store.users.step_up(session.id, clock.now() + 50)
    live = some(await logged_in_as(store, session.id))
    assert live[0].authenticated_at == clock.now() + 100
    with pytest.raises(NotFound):
        await store.users.step_up(SessionId("nothing"), clock.now())


async def test_attempts_are_counted_before_they_are_made(store: Store, clock: ManualClock) -> None:
    buckets = {"account:admin": Bucket(3, 900.0), "address:192.0.2.7": Bucket(30, 900.0)}
    waits = await asyncio.gather(*(store.users.reserve_attempt(buckets, clock.now()) for _ in range(20)))
    assert waits.count(0.0) == 3
    assert set(waits) == {0.0, 900.0}
    assert await store.users.reserve_attempt({"address:192.0.2.7": Bucket(4, 900.0)}, clock.now()) == 0.0  # three were counted, no more
    await store.users.clear_attempts(["account:admin"])
    assert await store.users.reserve_attempt(buckets, clock.now()) == 0.0


async def test_attempts_survive_a_restart_and_a_clock_that_jumps(backend: Backend) -> None:
    buckets = {"account:admin": Bucket(1, 900.0)}
    at = backend.clock.now()
    assert await backend.store.users.reserve_attempt(buckets, at) == 0.0
    store = await backend.reopen()
    assert await store.users.reserve_attempt(buckets, at + 300.0) == 600.0
    assert await store.users.reserve_attempt(buckets, at - 86_400.0) == 900.0
    assert await store.users.reserve_attempt(buckets, at + 900.0) == 0.0


async def test_a_wait_after_the_clock_jumped_back_ends_with_the_window_though_each_attempt_is_refused(
    store: Store, clock: ManualClock
) -> None:
    buckets, at = {"account:admin": Bucket(1, 900.0)}, clock.now()
    assert await store.users.reserve_attempt(buckets, at) == 0.0
    waits = [await store.users.reserve_attempt(buckets, at - 86_400.0 + after) for after in (0.0, 300.0, 899.0, 900.0)]
    assert waits == [900.0, 600.0, 1.0, 0.0]


async def test_attempt_counts_are_cleared_by_prefix(store: Store, clock: ManualClock) -> None:
    names = ("account:a:60", "account:a:900", "account:a@192.0.2.7:60", "account:ab:60", "account:b:60", "accounu")
    for name in names:
        assert await store.users.reserve_attempt({name: Bucket(1, 900.0)}, clock.now()) == 0.0
    await store.users.clear_attempts(["account:b:60"], ["account:a:", "account:a@"])
    left = [name for name in names if await store.users.reserve_attempt({name: Bucket(1, 900.0)}, clock.now()) > 0.0]
    assert left == ["account:ab:60", "accounu"]


async def test_an_address_is_known_for_thirty_days_and_the_newest_permanently(backend: Backend) -> None:
    store, clock = backend.store, backend.clock
    user, session = await admin_with_session(store, clock)
    assert await store.users.lookup_login("ADMIN", b"a place") == (user.id, True, user.password_version)
    assert await store.users.lookup_login("admin", b"elsewhere") == (user.id, False, user.password_version)
    assert await store.users.lookup_login("nobody", b"a place") == (None, False, 0)
    await twice(lambda: store.users.revoke_session(SCOPE._replace(actor=Actor("user", user.id, "admin", "admin")), session.id))
    store = await backend.reopen()
    clock.advance(400 * 86_400.0)
    assert (await store.users.lookup_login("admin", b"a place")).known
    for number in range(40):
        clock.advance(1.0)
        made = login(user, clock.now())
        await store.users.open_session(made, logged_in(user), bytes([number]))
    assert not (await store.users.lookup_login("admin", b"a place")).known
    known = [number for number in range(40) if (await store.users.lookup_login("admin", bytes([number]))).known]
    assert known == list(range(8, 40))
    clock.advance(30 * 86_400.0 - 5.0)
    assert [number for number in known if (await store.users.lookup_login("admin", bytes([number]))).known] == [35, 36, 37, 38, 39]
    clock.advance(3600.0)
    assert [number for number in known if (await store.users.lookup_login("admin", bytes([number]))).known] == [39]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps=st.lists(st.floats(0.0, 40.0), max_size=40), limit=st.integers(1, 5))
async def test_no_window_ever_holds_more_than_its_limit(store: Store, clock: ManualClock, gaps: list[float], limit: int) -> None:
    bucket, at, allowed = new_random_id(), clock.now(), []
    for gap in gaps:
        at += gap
        wait = await store.users.reserve_attempt({bucket: Bucket(limit, 60.0)}, at)
        if wait == 0.0:
            allowed.append(at)
        else:
            assert 0.0 < wait <= 60.0
            assert sum(earlier > at - 60.0 for earlier in allowed) >= limit
    assert all(sum(at - 60.0 < other <= at for other in allowed) <= limit for at in allowed)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(gaps=st.lists(st.floats(0.0, 40.0), max_size=40), limit=st.integers(1, 5))
async def test_the_wait_of_a_paced_bucket_is_bounded(store: Store, clock: ManualClock, gaps: list[float], limit: int) -> None:
    """And no window holds more than its limit and what the pace adds."""
    bucket, at, allowed = new_random_id(), clock.now(), []
    for gap in gaps:
        at += gap
        wait = await store.users.reserve_attempt({bucket: Bucket(limit, 60.0, 20.0)}, at)
        if wait == 0.0:
            allowed.append(at)
        else:
            assert 0.0 < wait <= 20.0
    assert all(sum(at - 60.0 < other <= at for other in allowed) <= limit + 3 for at in allowed)


def sealed(node: str, column: str, value: bytes = b"sealed", version: int = 1) -> SealedRecord:
    return SealedRecord("credential", node, column, version, value)


async def test_the_first_keyring_wins_together_with_its_fleet_key(backend: Backend) -> None:
    keyring = backend.database.secrets
    assert await keyring.keyring() is None
    records = [SealedRecord("fleet", "fleet", "key", 1, bytes([at])) for at in range(20)]
    stored = await asyncio.gather(*(keyring.create_keyring(bytes([at]), record) for at, record in enumerate(records)))
    assert len(set(stored)) == 1
    assert await keyring.keyring() == stored[0]
    fleet = some(await keyring.secret("fleet", "fleet", "key"))
    assert fleet.sealed == stored[0]
    assert list(await backend.store.secrets.secrets()) == [fleet]


@pytest.mark.holds("S-57")
async def test_credentials_are_replaced_as_a_whole_and_shredded(store: Store) -> None:
    node = (await store.nodes.create_node(SCOPE, new_node())).id
    first = [sealed(node, "private_key"), sealed(node, "passphrase")]
    await twice(lambda: store.secrets.save_credentials(SCOPE, node, first))
    assert sorted(await store.secrets.credentials(node)) == sorted(first)
    second = [sealed(node, "password", b"other", 2)]
    await store.secrets.save_credentials(SCOPE, node, second)
    assert list(await store.secrets.credentials(node)) == second
    await twice(lambda: store.secrets.shred_credentials(SCOPE, node))
    assert list(await store.secrets.credentials(node)) == []
    actions = [action for _, action, _ in await audited(store)]
    assert actions == ["node.create", "credential.save", "credential.save", "credential.shred"]
    with pytest.raises(NotFound):
        await store.secrets.save_credentials(STRANGER, node, first)
    with pytest.raises(BadRequest):
        await store.secrets.save_credentials(SCOPE, node, [SealedRecord("fleet", "fleet", "key", 1, b"mine")])


@pytest.mark.holds("S-57")
async def test_the_hubs_ssh_key_is_one_and_is_replaced_by_the_next_version_only(store: Store) -> None:
    def record(version: int, sealed: bytes = b"sealed") -> SealedRecord:
        return SealedRecord(HUB_KEY, hub_key_record(SCOPE.org), "private_key", version, sealed)

    async def kept() -> SealedRecord | None:
        return await store.secrets.secret(HUB_KEY, hub_key_record(SCOPE.org), "private_key")

    await twice(lambda: store.secrets.save_hub_key(SCOPE, record(1), "SHA256:a"))
    with pytest.raises(Conflict):
        await store.secrets.save_hub_key(SCOPE, record(1, b"another"), "SHA256:b")
    with pytest.raises(Conflict):
        await store.secrets.save_hub_key(SCOPE, record(3), "SHA256:b")
    await store.secrets.save_hub_key(SCOPE, record(2), "SHA256:b")
    assert await kept() == record(2)
    with pytest.raises(BadRequest):
        await store.secrets.save_hub_key(STRANGER, record(3), "SHA256:c")
    await store.secrets.shred_hub_key(STRANGER)
    assert await kept() == record(2)
    await twice(lambda: store.secrets.shred_hub_key(SCOPE))
    assert await kept() is None
    assert [action for _, action, _ in await audited(store)] == ["hub_key.create", "hub_key.replace", "hub_key.remove"]


async def test_audit_pages_hold_each_row_once(store: Store, clock: ManualClock) -> None:
    for at in range(10):
        if at % 3 == 0:
            clock.advance(1.0)
        await store.nodes.create_node(SCOPE, new_node(f"n{at}"))
    everything = (await store.log.audit(SCOPE, 100)).items
    assert [row.n for row in everything] == list(range(10, -1, -1))
    paged, cursor = [], None
    while True:
        page = await store.log.audit(SCOPE, 4, cursor)
        paged += page.items
        cursor = page.next
        if cursor is None:
            break
    assert paged == everything


@pytest.mark.holds("SAFETY-72")
async def test_secrets_and_control_characters_never_reach_the_audit_log(store: Store, clock: ManualClock) -> None:
    entry = AuditEntry(
        ADMIN._replace(name="ad\x1b[31mmin\ud800"),
        "auth.login",
        "who\0\n" + "x" * 2000,
        "failed",
        {"password": "hunter2", "nested": {"private_key": "KEY", "list": ["a\x07b"]}, "count": 3, "ratio": float("nan")},
    )
    await store.users.open_session(login(await store.user_admin.create_user(SCOPE, new_user()), clock.now()), entry, b"a place")
    row = (await store.log.audit(SCOPE, 1)).items[0]
    assert row.actor == "ad\\x1b[31mmin\\ud800"
    assert row.target.startswith("who\\x00\\nxxx")
    assert len(row.target) < 1100
    assert row.result == "failed"
    expected = {"password": "***", "nested": {"private_key": "***", "list": ["a\\x07b"]}, "count": 3, "ratio": None}
    assert row.detail == expected
    assert await store.log.verify_audit() is None


@pytest.mark.holds("SAFETY-70", "S-34")
async def test_every_state_change_is_audited_and_a_refused_one_is_not(store: Store) -> None:
    node = await store.nodes.create_node(SCOPE, new_node())
    with pytest.raises(Conflict):
        await store.nodes.create_node(SCOPE, new_node())
    await store.nodes.delete_node(SCOPE, node.id)
    assert [action for _, action, _ in await audited(store)] == ["node.create", "node.delete"]
    row = (await store.log.audit(SCOPE, 1)).items[0]
    assert (row.actor, row.address, row.target, row.result) == ("local:1000", "192.0.2.7", node.id, "done")
    assert row.detail == {"name": "web-1", "address": "192.0.2.1"}


async def test_audit_chains_of_several_starts_are_linked(backend: Backend) -> None:
    store = backend.store
    for at in range(3):
        await store.nodes.create_node(SCOPE, new_node(f"{at}-a"))
        await store.nodes.create_node(SCOPE, new_node(f"{at}-b"))
        assert await store.log.verify_audit() is None
        backend.clock.advance(60.0)
        store = await backend.reopen()
    rows = (await store.log.audit(SCOPE, 100)).items
    assert len({row.chain for row in rows}) == 3
    anchors = [row for row in rows if row.action == "audit.anchor"]
    assert [len(anchor.detail) for anchor in reversed(anchors)] == [0, 1, 1]


async def test_many_concurrent_commands_all_complete(store: Store) -> None:
    names = [f"n{at}" for at in range(300)]
    random.Random(3).shuffle(names)
    made = await asyncio.gather(*(store.nodes.create_node(SCOPE, new_node(name)) for name in names))
    assert len({node.no for node in made}) == 300
    assert await store.log.verify_audit() is None
