"""Commands about users, their credentials, secrets and the audit log: preconditions, call and result of each (`race_cases.py`)."""

from __future__ import annotations

from groundcontrol.access.model import TOTP_RULES, LoginSession, Preferences, PreferencesEdit, SavedView, User
from groundcontrol.access.store import Bucket
from groundcontrol.adapters.sqlite.api_tokens import MOST_LIVE
from groundcontrol.core.errors import Conflict, NotFound
from groundcontrol.core.ids import RefusalId, SessionId
from groundcontrol.core.scope import Actor, Grants
from groundcontrol.core.secrets import HUB_KEY, SealedRecord, hub_key_record
from groundcontrol.events.model import Refusal
from tests.support.factories import CODES, SCOPE, a_token, logged_in, login, new_refusal, seed
from tests.support.race_cases import CALLERS, Cases, Ground, Race, Rivals
from tests.support.some import some

CASES = Cases()


async def account(ground: Ground, user: User) -> User:
    return some(await ground.store.users.user(user.id))


async def live(ground: Ground, user: User) -> list[SessionId]:
    return [one.session.id for one in (await ground.store.user_admin.listed_sessions(SCOPE, 100, user=user.id)).items]


# -- accounts ------------------------------------------------------------------------------------------------


@CASES.of("users.save_password")
async def _save_password(ground: Ground) -> Race:
    """Of twenty sessions of one user that set a password each, one succeeds, and is the only one left."""
    store, user = ground.store, await ground.user()
    sessions = [await ground.login(user) for _ in range(CALLERS)]

    async def held() -> object:
        after = await account(ground, user)
        return (after.password_hash, after.password_version, await live(ground, user))

    rivals = Rivals(
        "one",
        lambda at: store.users.save_password(SCOPE, user.id, f"$argon2id${at}", sessions[at].id, must_change=False),
        lambda at: (f"$argon2id${at}", 2, [sessions[at].id]),
        NotFound,
    )
    return Race(
        lambda: store.users.save_password(SCOPE, user.id, "$argon2id$x", sessions[0].id, must_change=False),
        held,
        ("$argon2id$x", 2, [sessions[0].id]),
        ("auth.password",),
        rivals=rivals,
    )


@CASES.of("users.save_password: resets")
async def _reset_password(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    await ground.login(user)
    await store.tokens.create_token(SCOPE, a_token(user, ground.now))

    async def held() -> object:
        after = await account(ground, user)
        tokens = (await store.tokens.tokens(SCOPE, 10, user=user.id)).items
        return (after.password_hash, after.password_version, after.password_at, await live(ground, user), tokens)

    rivals = Rivals(
        "last",
        lambda at: store.users.save_password(SCOPE, user.id, f"$argon2id${at}", None, must_change=True),
        lambda at: (f"$argon2id${at}", 1 + CALLERS, ground.now, [], []),
    )
    return Race(
        lambda: store.users.save_password(SCOPE, user.id, "$argon2id$x", None, must_change=True),
        held,
        ("$argon2id$x", 2, ground.now, [], []),
        ("auth.password",),
        rivals=rivals,
    )


@CASES.of("user_admin.edit_user")
async def _edit_user(ground: Ground) -> Race:
    """Of twenty admins that are all demoted at once, one stays."""
    store, users = ground.store, [await ground.user() for _ in range(CALLERS)]
    await ground.login(users[0])

    async def held() -> object:
        people = [person.user for person in (await store.user_admin.users(SCOPE, 100)).items]
        return ({user.id for user in people if user.role == "admin" and not user.disabled}, await live(ground, users[0]))

    def all_but(at: int) -> object:
        return ({users[at].id}, [])

    rivals = Rivals(
        "all but one",
        lambda at: store.user_admin.edit_user(SCOPE, users[at].id, role=None if at == 0 else "viewer", disabled=at == 0, grants=None),
        all_but,
    )
    return Race(
        lambda: store.user_admin.edit_user(SCOPE, users[0].id, role="viewer", disabled=True, grants=Grants(tags=("web",))),
        held,
        ({user.id for user in users[1:]}, []),
        ("user.edit",),
        rivals=rivals,
    )


@CASES.of("user_admin.save_totp_rule")
async def _save_totp_rule(ground: Ground) -> Race:
    store = ground.store
    rivals = Rivals(
        "last",
        lambda at: store.user_admin.save_totp_rule(SCOPE, TOTP_RULES[1 + at % 2]),
        lambda at: TOTP_RULES[1 + at % 2],
        writes=False,
    )
    return Race(
        lambda: store.user_admin.save_totp_rule(SCOPE, "admins"),
        lambda: store.user_admin.totp_rule(SCOPE),
        "admins",
        ("settings.edit",),
        rivals=rivals,
    )


@CASES.of("preferences.edit_preferences")
async def _edit_preferences(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()

    def edit(number: int) -> PreferencesEdit:
        return PreferencesEdit((SavedView(f"view {number}", f"q={number}"),), single_keys=False)

    def wanted(number: int) -> Preferences:
        return edit(number).applied_to(Preferences())

    rivals = Rivals("last", lambda at: store.preferences.edit_preferences(SCOPE, user.id, edit(at)), wanted)
    return Race(
        lambda: store.preferences.edit_preferences(SCOPE, user.id, edit(99)),
        lambda: store.preferences.preferences(SCOPE, user.id),
        wanted(99),
        ("preferences.edit",),
        rivals=rivals,
    )


# -- log-in sessions -------------------------------------------------------------------------------------------


@CASES.of("users.open_session")
async def _open_session(ground: Ground) -> Race:
    """Of twenty sessions with the same id, one is opened."""
    store, user = ground.store, await ground.user()
    wanted = login(user, ground.now)

    def other(at: int) -> LoginSession:
        return wanted._replace(refresh_hash=bytes([at]) * 32, csrf_token=f"{at:043}")

    async def held() -> object:
        found = await store.user_admin.auth_state(wanted.id)
        return found and found.session

    rivals = Rivals("one", lambda at: store.users.open_session(other(at), logged_in(user), b"a place"), other, Conflict)
    return Race(lambda: store.users.open_session(wanted, logged_in(user), b"a place"), held, wanted, ("auth.login",), rivals=rivals)


@CASES.of("users.step_up")
async def _step_up(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    session, start = await ground.login(user), ground.now

    async def held() -> object:
        found = await store.user_admin.auth_state(session.id)
        return found and (found.session.authenticated_at, found.session.last_seen_at)

    rivals = Rivals("most", lambda at: store.users.step_up(session.id, start + 1 + (at * 7) % CALLERS), lambda _: (start + CALLERS,) * 2)
    return Race(lambda: store.users.step_up(session.id, start + 1), held, (start + 1,) * 2, ("auth.step_up",), rivals=rivals)


@CASES.of("users.revoke_session")
async def _revoke_session(ground: Ground) -> Race:
    user = await ground.user()
    session, kept = await ground.login(user), await ground.login(user)
    scope = SCOPE._replace(actor=Actor("user", user.id, user.username, user.role))
    return Race(lambda: ground.store.users.revoke_session(scope, session.id), lambda: live(ground, user), [kept.id], ("auth.logout",))


@CASES.of("users.clear_attempts")
async def _clear_attempts(ground: Ground) -> Race:
    store = ground.store
    names = ("account:a:60", "account:b:60", "address:c")
    for name in names:
        assert await store.users.reserve_attempt({name: Bucket(1, 900.0)}, ground.now) == 0.0

    async def held() -> object:
        return await store.users.reserve_attempt(dict.fromkeys(names, Bucket(1, 900.0)), ground.now)

    return Race(lambda: store.users.clear_attempts(["address:c"], ["account:a:"]), held, 900.0)


@CASES.of("user_admin.revoke_others")
async def _revoke_others(ground: Ground) -> Race:
    """Of twenty sessions that end all others, one succeeds and is left: an ended one ends no other."""
    store, user = ground.store, await ground.user()
    sessions = [await ground.login(user) for _ in range(CALLERS)]
    rivals = Rivals(
        "one", lambda at: store.user_admin.revoke_others(SCOPE, user.id, sessions[at].id), lambda at: [sessions[at].id], NotFound
    )
    return Race(
        lambda: store.user_admin.revoke_others(SCOPE, user.id, sessions[0].id),
        lambda: live(ground, user),
        [sessions[0].id],
        ("auth.session_end",),
        alone=(CALLERS - 1, 0),
        rivals=rivals,
    )


# -- second factors --------------------------------------------------------------------------------------------


@CASES.of("factors.begin_totp")
async def _begin_totp(ground: Ground) -> Race:
    """Of twenty callers with different seeds, one succeeds, and its seed is stored."""
    store, user = ground.store, await ground.user()

    async def held() -> object:
        return (await store.secrets.secret("totp", user.id, "seed"), (await account(ground, user)).totp_version)

    def sealed(number: int) -> SealedRecord:
        return seed(user, 1, b"seed %d" % number)

    rivals = Rivals("one", lambda at: store.factors.begin_totp(SCOPE, user.id, sealed(at)), lambda at: (sealed(at), 1), Conflict)
    return Race(
        lambda: store.factors.begin_totp(SCOPE, user.id, sealed(99)), held, (sealed(99), 1), ("auth.second_factor_begin",), rivals=rivals
    )


@CASES.of("factors.confirm_totp")
async def _confirm_totp(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    sessions = [await ground.login(user) for _ in range(CALLERS)]
    await store.factors.begin_totp(SCOPE, user.id, seed(user))
    ends, at = ground.now + 1800, ground.now

    async def confirm(number: int) -> object:
        codes = [bytes([number]) * 32, bytes([number, 1]) * 16]
        return await store.factors.confirm_totp(SCOPE, user.id, 1, 100, codes, sessions[number].id, at, ends)

    async def held() -> object:
        standings = [await store.user_admin.auth_state(session) for session in await live(ground, user)]
        on = (await account(ground, user)).totp_since
        return (on, [(one.session.id, one.session.second_factor, one.session.expires_at) for one in standings if one])

    def after(number: int) -> object:
        return (at, [(sessions[number].id, True, ends)])

    return Race(lambda: confirm(0), held, after(0), ("auth.second_factor_on",), rivals=Rivals("one", confirm, after, Conflict))


@CASES.of("factors.save_recovery_codes")
async def _save_recovery_codes(ground: Ground) -> Race:
    store = ground.store
    user, _ = await with_factor_of(ground)

    def codes(number: int) -> list[bytes]:
        return [bytes([number, at]) * 16 for at in range(2)]

    async def held() -> object:
        found = [number for number in range(100) for code in codes(number) if await spends(ground, user, code)]
        return sorted(set(found)), len(found)

    rivals = Rivals("last", lambda at: store.factors.save_recovery_codes(SCOPE, user.id, codes(at)), lambda at: ([at], 2))
    return Race(
        lambda: store.factors.save_recovery_codes(SCOPE, user.id, codes(99)), held, ([99], 2), ("auth.recovery_codes",), rivals=rivals
    )


async def spends(ground: Ground, user: User, code: bytes) -> bool:
    return await ground.store.factors.use_recovery_code(user.id, code, "") is not None


async def with_factor_of(ground: Ground) -> tuple[User, list[LoginSession]]:
    """A user with a second factor, and twenty sessions that were opened with it."""
    user = await ground.user()
    first = await ground.login(user)
    await ground.store.factors.begin_totp(SCOPE, user.id, seed(user))
    user = await ground.store.factors.confirm_totp(SCOPE, user.id, 1, 100, CODES, first.id, ground.now, ground.now + 1800)
    return user, [first, *[await ground.login(user) for _ in range(CALLERS - 1)]]


@CASES.of("factors.stop_totp")
async def _stop_totp(ground: Ground) -> Race:
    """Of twenty sessions that switch the factor off, one does, and is the only one left. All get the same answer."""
    store = ground.store
    user, sessions = await with_factor_of(ground)

    async def held() -> object:
        return ((await account(ground, user)).totp_since, await store.secrets.secret("totp", user.id, "seed"), await live(ground, user))

    rivals = Rivals("same", lambda at: store.factors.stop_totp(SCOPE, user.id, sessions[at].id), lambda at: (None, None, [sessions[at].id]))
    return Race(
        lambda: store.factors.stop_totp(SCOPE, user.id, sessions[0].id),
        held,
        (None, None, [sessions[0].id]),
        ("auth.second_factor_off",),
        rivals=rivals,
    )


# -- tokens and secrets ----------------------------------------------------------------------------------------


@CASES.of("tokens.create_token")
async def _create_token(ground: Ground) -> Race:
    """Of twenty callers, one gets the last token that the user may have."""
    store, user = ground.store, await ground.user()
    for _ in range(MOST_LIVE - 1):
        await store.tokens.create_token(SCOPE, a_token(user, ground.now))
    wanted = [a_token(user, ground.now) for _ in range(CALLERS)]

    async def held() -> object:
        page = await store.tokens.tokens(SCOPE, 1, user=user.id)
        return (page.items[0], len((await store.tokens.tokens(SCOPE, 200, page.next, user.id)).items))

    rivals = Rivals("one", lambda at: store.tokens.create_token(SCOPE, wanted[at]), lambda at: (wanted[at], MOST_LIVE - 1))
    return Race(lambda: store.tokens.create_token(SCOPE, wanted[0]), held, (wanted[0], MOST_LIVE - 1), ("token.create",), rivals=rivals)


@CASES.of("tokens.revoke_token")
async def _revoke_token(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    token, kept = [await store.tokens.create_token(SCOPE, a_token(user, ground.now)) for _ in range(2)]

    async def held() -> object:
        return (await store.tokens.token_auth_state(token.hash), (await store.tokens.tokens(SCOPE, 10)).items)

    return Race(lambda: store.tokens.revoke_token(SCOPE, token.id), held, (None, [kept]), ("token.revoke",))


@CASES.of("tokens.touch_token")
async def _touch_token(ground: Ground) -> Race:
    store, user, start = ground.store, await ground.user(), ground.now
    token = await store.tokens.create_token(SCOPE, a_token(user, start))

    async def held() -> object:
        found = await store.tokens.token(SCOPE, token.id)
        return (found.last_used_at, found.last_address)

    def use(number: int) -> tuple[float, str]:
        return (start + number, f"192.0.2.{number}")

    rivals = Rivals("most", lambda at: store.tokens.touch_token(token.id, *use((at * 7) % CALLERS)), lambda _: use(CALLERS - 1))
    return Race(lambda: store.tokens.touch_token(token.id, *use(99)), held, use(99), rivals=rivals)


@CASES.of("secrets.save_credentials")
async def _save_credentials(ground: Ground) -> Race:
    store, node = ground.store, await ground.node()

    def records(number: int) -> list[SealedRecord]:
        return [SealedRecord("credential", node.id, column, number, b"%d" % number) for column in ("passphrase", "private_key")]

    async def held() -> object:
        return list(await store.secrets.credentials(node.id))

    rivals = Rivals("last", lambda at: store.secrets.save_credentials(SCOPE, node.id, records(at)), records)
    return Race(lambda: store.secrets.save_credentials(SCOPE, node.id, records(99)), held, records(99), ("credential.save",), rivals=rivals)


@CASES.of("secrets.shred_credentials")
async def _shred_credentials(ground: Ground) -> Race:
    store, node = ground.store, await ground.node()
    await store.secrets.save_credentials(SCOPE, node.id, [SealedRecord("credential", node.id, "password", 1, b"sealed")])

    async def held() -> object:
        return list(await store.secrets.credentials(node.id))

    return Race(lambda: store.secrets.shred_credentials(SCOPE, node.id), held, [], ("credential.shred",))


@CASES.of("secrets.save_hub_key")
async def _save_hub_key(ground: Ground) -> Race:
    """Of twenty admins who create the first key, one succeeds."""
    store = ground.store

    def record(number: int) -> SealedRecord:
        return SealedRecord(HUB_KEY, hub_key_record(SCOPE.org), "private_key", 1, b"%d" % number)

    async def held() -> object:
        return await store.secrets.secret(HUB_KEY, hub_key_record(SCOPE.org), "private_key")

    rivals = Rivals("one", lambda at: store.secrets.save_hub_key(SCOPE, record(at), "SHA256:x"), record, Conflict)
    return Race(lambda: store.secrets.save_hub_key(SCOPE, record(99), "SHA256:x"), held, record(99), ("hub_key.create",), rivals=rivals)


@CASES.of("secrets.shred_hub_key")
async def _shred_hub_key(ground: Ground) -> Race:
    store = ground.store
    made = SealedRecord(HUB_KEY, hub_key_record(SCOPE.org), "private_key", 1, b"sealed")
    await store.secrets.save_hub_key(SCOPE, made, "SHA256:x")

    async def held() -> object:
        return await store.secrets.secret(HUB_KEY, hub_key_record(SCOPE.org), "private_key")

    return Race(lambda: store.secrets.shred_hub_key(SCOPE), held, None, ("hub_key.remove",))


# -- the audit log ---------------------------------------------------------------------------------------------


def refused(ground: Ground, times: int = 3) -> Refusal:
    return new_refusal(ground.now, times=times)._replace(id=RefusalId("r" * 26))


async def refusals(ground: Ground) -> list[object]:
    return [row.detail for row in (await ground.store.log.audit(SCOPE, 100)).items if not row.chain]


@CASES.of("log.save_refusals")
async def _save_refusals(ground: Ground) -> Race:
    """The highest count of a row wins, in any order of the counts."""
    store = ground.store
    rivals = Rivals(
        "most",
        lambda at: store.log.save_refusals([refused(ground, at + 2)]),
        lambda at: [{"why": "password", "count": at + 2, "last_at": ground.now}],
        writes=False,
    )
    after = [{"why": "password", "count": 3, "last_at": ground.now}]
    return Race(lambda: store.log.save_refusals([refused(ground)]), lambda: refusals(ground), after, rivals=rivals)


@CASES.of("log.write_refusal_summary")
async def _write_refusal_summary(ground: Ground) -> Race:
    """Each refusal stands in one summary."""
    await ground.store.log.save_refusals([refused(ground)])

    async def held() -> object:
        return [row.detail["auth.login"] for row in (await ground.store.log.audit(SCOPE, 100)).items if row.action == "refusal.summary"]

    return Race(ground.store.log.write_refusal_summary, held, [3], ("refusal.summary",))


@CASES.of("log.archive_audit")
async def _archive_audit(ground: Ground) -> Race:
    """Each row is packed once, and the chain stays whole."""
    log = ground.store.log
    await ground.node()
    while await log.archive_audit(ground.now + 1.0, 1_000_000):
        pass
    await ground.node()
    await ground.node()
    return Race(lambda: log.archive_audit(ground.now + 1.0, 1_000_000), log.verify_audit, None, alone=(2, 0))


@CASES.of("log.expire_refusals")
async def _expire_refusals(ground: Ground) -> Race:
    store = ground.store
    await store.log.save_refusals([new_refusal(ground.now - 1), new_refusal(ground.now, times=2)])
    after = [{"why": "password", "count": 2, "last_at": ground.now}]
    return Race(lambda: store.log.expire_refusals(ground.now), lambda: refusals(ground), after, alone=(1, 0))


@CASES.of("log.accept_clock")
async def _accept_clock(ground: Ground) -> Race:
    """Rows of a wrong time no longer affect the clock; accepting it records that."""
    await ground.node()
    ground.clock.advance(-86_400.0)
    return Race(
        lambda: ground.store.log.accept_clock(SCOPE, 86_400.0), ground.store.log.last_audit_at, ground.now, ("clock.accept",), each=True
    )
