"""Commands about providers of single sign-on, links, and sessions that providers opened (`race_cases.py`)."""

from __future__ import annotations

from collections.abc import Awaitable

from groundcontrol.access.model import User
from groundcontrol.access.oidc.model import SEALED_TABLE, Link, Provider, SsoRule, SsoSession
from groundcontrol.access.oidc.store import Ended, Granted
from groundcontrol.core.errors import Conflict
from groundcontrol.core.ids import SessionId, UserId
from groundcontrol.core.scope import Actor, Role
from groundcontrol.core.secrets import SealedRecord
from spider.wire.ids import new_random_id
from tests.support.factories import SCOPE, logged_in, login, new_user
from tests.support.race_cases import Cases, Ground, Race, Rivals

CASES = Cases()
ISSUER = "https://sso.example"


def a_provider(name: str = "company", title: str = "Company") -> Provider:
    return Provider(new_random_id(), 1, name, title, ISSUER, "stardust", secret_version=1)


def secret_of(provider: Provider, text: bytes = b"sealed") -> SealedRecord:
    return SealedRecord(SEALED_TABLE, provider.id, "client_secret", provider.secret_version, text)


async def stored(ground: Ground) -> object:
    found = await ground.store.oidc.providers()
    return [(one, await ground.store.secrets.secret(SEALED_TABLE, one.id, "client_secret")) for one in found]


@CASES.of("oidc.create_provider")
async def _create_provider(ground: Ground) -> Race:
    """Of twenty providers of one name, one is created."""
    store, wanted = ground.store, [a_provider(title=f"number {at}") for at in range(20)]

    def after(at: int) -> object:
        return [(wanted[at], secret_of(wanted[at]))]

    rivals = Rivals("one", lambda at: store.oidc.create_provider(SCOPE, wanted[at], secret_of(wanted[at])), after, Conflict)
    return Race(
        lambda: store.oidc.create_provider(SCOPE, wanted[0], secret_of(wanted[0])), lambda: stored(ground), after(0),
        ("oidc_provider.create",), rivals=rivals,
    )  # fmt: skip


@CASES.of("oidc.save_provider")
async def _save_provider(ground: Ground) -> Race:
    """Of twenty changes of one version, one succeeds; the sealed secret stays."""
    store = ground.store
    made = a_provider()
    await store.oidc.create_provider(SCOPE, made, secret_of(made))

    def after(at: int) -> object:
        return [(made._replace(title=f"number {at}", version=2), secret_of(made))]

    def save(at: int) -> object:
        return store.oidc.save_provider(SCOPE, made._replace(title=f"number {at}"), None, end_sessions=False)

    rivals = Rivals("one", save, after, Conflict)  # type: ignore[arg-type]  # a coroutine
    return Race(lambda: save(99), lambda: stored(ground), after(99), ("oidc_provider.edit",), rivals=rivals)  # type: ignore[arg-type, return-value]


@CASES.of("oidc.delete_provider")
async def _delete_provider(ground: Ground) -> Race:
    made = a_provider()
    await ground.store.oidc.create_provider(SCOPE, made, secret_of(made))
    return Race(lambda: ground.store.oidc.delete_provider(SCOPE, made.id), lambda: stored(ground), [], ("oidc_provider.delete",))


def a_link(user: User, at: float, subject: str = "subject") -> Link:
    return Link(new_random_id(), user.id, user.username, "company", ISSUER, subject, "shown", at, None)


@CASES.of("oidc.add_link")
async def _add_link(ground: Ground) -> Race:
    """An account of a provider belongs to one of twenty users."""
    store, subject = ground.store, new_random_id()
    wanted = [a_link(await ground.user(), ground.now, subject) for _ in range(20)]

    async def held() -> object:
        found = await store.oidc.account_of(ISSUER, subject)
        return found and found[0]

    rivals = Rivals("one", lambda at: store.oidc.add_link(SCOPE, wanted[at]), lambda at: wanted[at], Conflict)
    return Race(lambda: store.oidc.add_link(SCOPE, wanted[0]), held, wanted[0], ("auth.link",), rivals=rivals)


@CASES.of("oidc.remove_link")
async def _remove_link(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    link = await store.oidc.add_link(SCOPE, a_link(user, ground.now, new_random_id()))
    return Race(
        lambda: store.oidc.remove_link(SCOPE, user.id, link.id, SessionId("")), lambda: store.oidc.links(user.id), [], ("auth.unlink",)
    )


@CASES.of("oidc.open_session")
async def _open_session(ground: Ground) -> Race:
    store, user = ground.store, await ground.user()
    link = await store.oidc.add_link(SCOPE, a_link(user, ground.now, new_random_id()))
    wanted = login(user, ground.now)._replace(provider="company")
    at_provider = SsoSession(wanted.id, "company", ISSUER, link.subject, "sid")
    hint = SealedRecord("oidc_session", wanted.id, "id_token", 1, b"sealed")

    async def held() -> object:
        found = await store.user_admin.auth_state(wanted.id)
        kept = await store.secrets.secret("oidc_session", wanted.id, "id_token")
        [now] = await store.oidc.links(user.id)
        return (found and found.session, await store.oidc.session_at_provider(wanted.id), kept, now.shown, now.used_at)

    return Race(
        lambda: store.oidc.open_session(wanted, logged_in(user), b"a place", at_provider, link.id, "Ada", hint), held,
        (wanted, at_provider, hint, "Ada", ground.now), ("auth.login",),
    )  # fmt: skip


@CASES.of("oidc.end_sessions")
async def _end_sessions(ground: Ground) -> Race:
    """The sessions of one subject end; those of another stay."""
    store, users = ground.store, [await ground.user() for _ in range(2)]
    sessions = [login(user, ground.now)._replace(provider="company") for user in users]
    subjects = [new_random_id() for _ in users]
    for user, session, subject in zip(users, sessions, subjects, strict=True):
        link = await store.oidc.add_link(SCOPE, a_link(user, ground.now, subject))
        at_provider = SsoSession(session.id, "company", ISSUER, subject, "")
        await store.oidc.open_session(session, logged_in(user), b"a place", at_provider, link.id, "", None)

    async def held() -> object:
        return [one is not None for one in [await store.user_admin.auth_state(session.id) for session in sessions]]

    actor = Actor("system", "p", "provider:company", "viewer")
    ended = [Ended(sessions[0].id, users[0].id)]
    return Race(
        lambda: store.oidc.end_sessions(actor, ISSUER, subjects[0], ""), held, [False, True], ("auth.session_end",), alone=(ended, []),
    )  # fmt: skip


async def memberships(ground: Ground, user: User) -> object:
    found = await ground.store.user_admin.users(SCOPE, 500)
    return [("default", one.user.role, one.source) for one in found.items if one.user.id == user.id]


@CASES.of("oidc.replace_memberships")
async def _replace_memberships(ground: Ground) -> Race:
    """What a provider gave is replaced; a local membership stays."""
    store, user = ground.store, await an_account(ground)
    actor = Actor("user", user.id, user.username, "viewer")
    roles: tuple[Role, ...] = ("viewer", "operator")

    def replace(at: int) -> Awaitable[object]:
        return store.oidc.replace_memberships(
            actor, user.id, "company", [Granted("default", roles[at % 2], None), Granted("none", "admin", None)]
        )

    return Race(
        lambda: replace(1), lambda: memberships(ground, user), [("default", "operator", "oidc:company")], ("member.grant",),
        alone=(True, False), rivals=Rivals("last", replace, lambda at: [("default", roles[at % 2], "oidc:company")], writes=False),
    )  # fmt: skip


async def an_account(ground: Ground) -> User:
    """A user whom a provider brought."""
    wanted = new_user(new_random_id())._replace(password_hash="", must_change_password=False)
    actor = Actor("user", wanted.id, wanted.username, "viewer")
    granted = [Granted("default", "viewer", None)]
    _, made = await ground.store.oidc.create_account(actor, wanted, a_link(wanted, ground.now, new_random_id()), granted)
    return made


@CASES.of("oidc.create_account")
async def _create_account(ground: Ground) -> Race:
    """Of twenty log-ins of one unknown user, one makes the account."""
    store, subject = ground.store, new_random_id()
    users = [new_user("Ada")._replace(id=UserId(new_random_id()), password_hash="", must_change_password=False) for _ in range(20)]
    links = [a_link(user, ground.now, subject) for user in users]

    def create(at: int) -> Awaitable[object]:
        actor = Actor("user", users[at].id, "Ada", "viewer")
        return store.oidc.create_account(actor, users[at], links[at], [Granted("default", "viewer", None)])

    async def held() -> object:
        found = await store.oidc.account_of(ISSUER, subject)
        return found and (found[0].id, found[1].id, found[1].role)

    def after(at: int) -> object:
        return (links[at].id, users[at].id, "viewer")

    return Race(lambda: create(0), held, after(0), ("member.grant", "user.create", "auth.link"), rivals=Rivals("same", create, after))


async def rule_and_sessions(ground: Ground, user: User) -> object:
    sessions = await ground.store.user_admin.listed_sessions(SCOPE, 100, user=user.id)
    return (await ground.store.oidc.sso_rule(SCOPE), len(sessions.items), await ground.store.oidc.needs_provider(user.id))


@CASES.of("oidc.save_sso_rule")
async def _save_sso_rule(ground: Ground) -> Race:
    """One admin keeps the password; the session of another member ends."""
    store, kept, member = ground.store, await ground.user("kept"), await ground.user()
    session = await ground.login(member)
    return Race(
        lambda: store.oidc.save_sso_rule(SCOPE, kept.id), lambda: rule_and_sessions(ground, member), (SsoRule(True, "kept"), 0, True),
        ("settings.edit",), alone=((SsoRule(True, "kept"), [Ended(session.id, member.id)]), (SsoRule(True, "kept"), [])),
    )  # fmt: skip


@CASES.of("oidc.keep_local_admin")
async def _keep_local_admin(ground: Ground) -> Race:
    store, first, second = ground.store, await ground.user(), await ground.user("second")
    await store.oidc.save_sso_rule(SCOPE, first.id)
    return Race(
        lambda: store.oidc.keep_local_admin(SCOPE, second.id), lambda: rule_and_sessions(ground, second), (SsoRule(True, "second"), 0, False),
        ("settings.edit",),
    )  # fmt: skip
