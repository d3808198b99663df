"""`/api/v1/auth`, `users` and `tokens`: log-in, the caller's own account, and the administration of users."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from groundcontrol.access.model import (
    MAX_COLUMNS,
    MAX_NAME_CHARS,
    MAX_QUERY_CHARS,
    MAX_VIEWS,
    Preferences,
    PreferencesEdit,
    SavedView,
    User,
)
from groundcontrol.access.passkeys import Assertion, Attestation, Passkey, Passkeys, PasskeyStore
from groundcontrol.access.second_factor import ProvePasskey
from groundcontrol.access.service import person_of
from groundcontrol.access.sessions import Issued, within_session
from groundcontrol.access.store import ApiTokenStore, OrganisationStore, PreferenceStore, UserAdminStore, UserStore
from groundcontrol.access.views import (
    AccountsView,
    AccountView,
    ApiTokensView,
    AssertionBody,
    LoginBody,
    LoginView,
    MeView,
    NewPasskeyBody,
    NewTokenBody,
    NewTokenView,
    NewUserBody,
    OneTimePasswordView,
    OwnOrganisationView,
    PasskeyRequestView,
    PasskeysView,
    PasskeyView,
    PasswordBody,
    PreferencesPatch,
    PreferencesView,
    RecoveryCodesView,
    SavedViewBody,
    SavedViewView,
    SessionsView,
    StepUpBody,
    TotpConfirmBody,
    TotpView,
    UserPatch,
    account_view,
    grants_of,
    session_view,
    token_view,
    user_view,
)
from groundcontrol.core.bus import Revoked
from groundcontrol.core.errors import BadRequest, NotFound, TotpRequired, Unauthenticated
from groundcontrol.core.permissions import allowed
from groundcontrol.core.text import is_visible
from groundcontrol.web.answer import view_of
from groundcontrol.web.cookies import check_same_origin
from groundcontrol.web.errors import problem_response
from groundcontrol.web.request import ApiRequest


def login_view(issued: Issued) -> LoginView:
    """The tokens of a session as its client gets them, beside the cookies."""
    return LoginView(
        token=issued.token,
        expires_at=issued.token_expires_at,
        csrf_token=issued.session.csrf_token,
        user=user_view(issued.user, must_enrol=issued.must_enrol),
        several_organisations=issued.several,
    )


def _answer(call: ApiRequest, issued: Issued) -> web.Response:
    response = web.Response(body=msgspec.json.encode(login_view(issued)), content_type="application/json")
    call.cookies.set(response, issued.token, issued.refresh, issued.device)
    return response


async def login(call: ApiRequest, body: LoginBody) -> Annotated[web.Response, LoginView]:
    """Open a session."""
    check_same_origin(call.request, call.services.config.origins, required=False)
    try:
        issued = await call.services.auth.login(
            body.username,
            body.password,
            totp=body.totp,
            setup_code=body.setup_code,
            address=call.address,
            address_sure=call.address_sure,
            user_agent=call.request.headers.get(hdrs.USER_AGENT, ""),
            device=call.cookies.device(call.request),
            passkey=_prove_passkey(call, body.passkey),
        )
    except TotpRequired as exc:  # the password was right
        user = await call.services[UserStore].user_by_name(body.username)
        if user is not None and await call.services[Passkeys].usable(user.id):
            exc.detail["passkey"] = (await call.services[Passkeys].request(user.id))._asdict()
        raise
    return _answer(call, issued)


async def refresh(call: ApiRequest) -> Annotated[web.Response, LoginView]:
    """Issue a new access token and a new refresh cookie in exchange for the refresh cookie."""
    check_same_origin(call.request, call.services.config.origins, required=True)
    token = call.cookies.refresh(call.request)
    if not token:
        raise Unauthenticated("log in first")
    try:
        return _answer(call, await call.services.auth.refresh(token))
    except Unauthenticated as exc:
        response = problem_response(exc)
        call.cookies.clear(response)
        return response


async def password(call: ApiRequest, body: PasswordBody) -> Annotated[web.Response, LoginView]:
    """Change the caller's password; the caller's other sessions end."""
    return _answer(call, await call.services.auth.change_password(call.caller, body.current, body.new))


async def step_up(call: ApiRequest, body: StepUpBody) -> None:
    """Prove the password once more, and the second factor if the caller has one."""
    await call.services.auth.step_up(call.caller, body.password, body.totp, _prove_passkey(call, body.passkey))


def _prove_passkey(call: ApiRequest, body: AssertionBody | None) -> ProvePasskey | None:
    if body is None:
        return None
    given = Assertion(body.credential, body.client_data, body.authenticator_data, body.signature)
    return partial(call.services[Passkeys].proves, given)


async def list_passkeys(call: ApiRequest) -> PasskeysView:
    """The caller's passkeys, and why none can be added, if so."""
    user, _ = person_of(call.caller)
    found, passkeys = await call.services[PasskeyStore].passkeys(user.id), call.services[Passkeys]
    return PasskeysView(passkeys=[_passkey_view(call, one) for one in found], unavailable=passkeys.unavailable, host=passkeys.host)


async def challenge_passkey(call: ApiRequest) -> PasskeyRequestView:
    """A challenge, for a proof or for a new passkey."""
    user, _ = person_of(call.caller)
    return view_of(PasskeyRequestView, await call.services[Passkeys].request(user.id), user=str(user.id))


async def add_passkey(call: ApiRequest, body: NewPasskeyBody) -> PasskeyView:
    """Store a new passkey. It needs the codes of an app beside it."""
    user, _ = person_of(call.caller)
    given = Attestation(body.credential, body.client_data, body.attestation_object)
    return _passkey_view(call, await call.services[Passkeys].add(call.scope, user, body.name.strip(), given))


async def remove_passkey(call: ApiRequest) -> None:
    """Remove a passkey."""
    user, _ = person_of(call.caller)
    wanted, store = call.id_of("passkey"), call.services[PasskeyStore]
    if all(one.id != wanted for one in await store.passkeys(user.id)):
        raise NotFound("there is no such passkey")
    await store.remove_passkey(call.scope, user.id, wanted)


def _passkey_view(call: ApiRequest, passkey: Passkey) -> PasskeyView:
    return view_of(PasskeyView, passkey, usable=passkey.host == call.services[Passkeys].host)


async def logout(call: ApiRequest) -> web.Response:
    """End this session."""
    await call.services.auth.logout(call.caller)
    response = web.Response(status=204)
    call.cookies.clear(response)
    return response


async def me(call: ApiRequest) -> MeView:
    """The user of this session, and when the session expires."""
    user, session = call.caller.user, call.caller.session
    if user is None or session is None:
        raise BadRequest("a caller through the local socket or with a token has no session")
    now = call.services.clock.now()
    own = [one for one in call.caller.memberships if one.until is None or one.until > now]
    return MeView(
        user=user_view(user, must_enrol=call.caller.must_enrol),
        csrf_token=session.csrf_token,
        expires_at=session.expires_at,
        instance_admin=user.instance_admin,
        many_organisations=len(await call.services[OrganisationStore].organisations()) > 1,
        organisation=next((one.slug for one in own if one.org == call.scope.org), None),
        organisations=[view_of(OwnOrganisationView, one) for one in own],
        provider=session.provider,
    )


async def list_sessions(call: ApiRequest) -> SessionsView:
    """A page of the caller's live sessions, newest first. Admins may give `?user=` with the name of another user, or `*` for all."""
    limit, cursor = call.page("user")
    current = call.caller.session.id if call.caller.session is not None else None
    page = await call.services[UserAdminStore].listed_sessions(call.scope, limit, cursor, await call.user_filter())
    return SessionsView(sessions=[session_view(one, current) for one in page.items], next=page.next)


async def end_session(call: ApiRequest) -> None:
    """End one session and its sockets. Admins may end any session, others only their own."""
    session = await call.services[UserAdminStore].listed_session(call.scope, call.session_id)
    own = call.caller.user is not None and session.user_id == call.caller.user.id
    if not own and not allowed(call.scope, "user.manage"):
        raise NotFound("there is no such session")
    await call.services[UserStore].revoke_session(call.scope, session.id)
    call.services.bus.publish(Revoked(session.id, session.user_id))


async def end_other_sessions(call: ApiRequest) -> None:
    """End all other sessions of the caller."""
    user, session = person_of(call.caller)
    with within_session():
        await call.services[UserAdminStore].revoke_others(call.scope, user.id, session.id)
    call.services.bus.publish(Revoked("", user.id))


async def begin_totp(call: ApiRequest) -> TotpView:
    """Create a TOTP secret. It takes effect when the user confirms it with a code."""
    user, _ = person_of(call.caller)
    made = await call.services.auth.factors.begin(call.scope, user)
    return TotpView(secret=made.secret, uri=made.uri)


async def confirm_totp(call: ApiRequest, body: TotpConfirmBody) -> RecoveryCodesView:
    """Switch the second factor on with its first code. The caller's other sessions end. The recovery codes are shown only in this answer."""
    user, session = person_of(call.caller)
    return RecoveryCodesView(codes=await call.services.auth.factors.confirm(call.caller, user, session, body.code))


async def stop_totp(call: ApiRequest) -> None:
    """Switch the second factor off; the caller's other sessions end."""
    user, session = person_of(call.caller)
    await call.services.auth.factors.stop(call.scope, user, session)


async def renew_recovery_codes(call: ApiRequest) -> RecoveryCodesView:
    """Replace the recovery codes by ten new ones."""
    user, _ = person_of(call.caller)
    return RecoveryCodesView(codes=await call.services.auth.factors.renew_codes(call.scope, user))


async def get_preferences(call: ApiRequest) -> PreferencesView:
    """The preferences of the caller."""
    call.query()
    user, _ = person_of(call.caller)
    return _view(await call.services[PreferenceStore].preferences(call.scope, user.id))


async def edit_preferences(call: ApiRequest, body: PreferencesPatch) -> PreferencesView:
    """Change the preferences in the body; the others stay."""
    user, _ = person_of(call.caller)
    edit = PreferencesEdit(
        views=None if body.views is None else _views(body.views),
        single_keys=body.single_keys,
        network_bits=body.network_bits,
        columns=None if body.columns is None else _columns(body.columns),
    )
    return _view(await call.services[PreferenceStore].edit_preferences(call.scope, user.id, edit))


def _views(bodies: list[SavedViewBody]) -> tuple[SavedView, ...]:
    if len(bodies) > MAX_VIEWS:
        raise BadRequest(f"at most {MAX_VIEWS} views: remove one first", field="views")
    found = tuple(SavedView(one.name.strip(), one.query) for one in bodies)
    for view in found:
        if not 0 < len(view.name) <= MAX_NAME_CHARS or not is_visible(view.name):
            raise BadRequest(f"the name of a view has 1 to {MAX_NAME_CHARS} printable characters", field="views")
        if len(view.query) > MAX_QUERY_CHARS or not is_visible(view.query):
            raise BadRequest(f"a view holds at most {MAX_QUERY_CHARS} printable characters", field="views")
    if len({view.name.casefold() for view in found}) < len(found):
        raise BadRequest("two views have the same name", field="views")
    return found


def _columns(names: list[str]) -> tuple[str, ...]:
    if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
        raise BadRequest(f"at most {MAX_COLUMNS} different columns", field="columns")
    if not all(0 < len(name) <= MAX_NAME_CHARS and is_visible(name) for name in names):
        raise BadRequest(f"the name of a column has 1 to {MAX_NAME_CHARS} printable characters", field="columns")
    return tuple(names)


def _view(preferences: Preferences) -> PreferencesView:
    return PreferencesView(
        views=[SavedViewView(view.name, view.query) for view in preferences.views],
        single_keys=preferences.single_keys,
        network_bits=preferences.network_bits,
        columns=list(preferences.columns),
    )


async def list_users(call: ApiRequest) -> AccountsView:
    """A page of users, oldest first."""
    limit, cursor = call.page()
    page = await call.services[UserAdminStore].users(call.scope, limit, cursor)
    return AccountsView(users=[account_view(one) for one in page.items], next=page.next)


async def create_user(call: ApiRequest, body: NewUserBody) -> OneTimePasswordView:
    """Create a user with a one-time password."""
    person, password = await call.services.auth.user_admin.create(call.scope, body.username, body.role, grants_of(body.grants))
    return OneTimePasswordView(user=account_view(person), password=password)


async def edit_user(call: ApiRequest, body: UserPatch) -> AccountView:
    """Change a user's role or nodes, or disable or enable the user. The change takes effect with the user's next request."""
    person = await call.services.auth.user_admin.edit(
        call.scope, call.username, role=body.role, disabled=body.disabled, grants=grants_of(body.grants), all_nodes=body.all_nodes
    )
    return account_view(person)


async def reset_password(call: ApiRequest) -> OneTimePasswordView:
    """Give a user a one-time password, and end all their sessions and tokens."""
    person, password = await call.services.auth.user_admin.reset_password(call.scope, call.username)
    return OneTimePasswordView(user=account_view(person), password=password)


async def list_tokens(call: ApiRequest) -> ApiTokensView:
    """A page of the caller's live tokens, newest first. Admins may give `?user=` with the name of another user, or `*` for all."""
    limit, cursor = call.page("user")
    page = await call.services[ApiTokenStore].tokens(call.scope, limit, cursor, await call.user_filter())
    return ApiTokensView(tokens=[token_view(one) for one in page.items], next=page.next)


async def create_token(call: ApiRequest, body: NewTokenBody) -> NewTokenView:
    """Create a token for the caller. It is shown only in this answer."""
    owner, _ = person_of(call.caller)
    return await new_token(call, owner, body)


async def new_token(call: ApiRequest, owner: User, body: NewTokenBody) -> NewTokenView:
    """Create a token for this user."""
    made = await call.services.auth.api_tokens.create(
        call.scope, owner, name=body.name, role=body.role, days=body.days, grants=grants_of(body.grants), sensitive=body.sensitive
    )
    return NewTokenView(token=made.text, info=token_view(made.token))


async def revoke_token(call: ApiRequest) -> None:
    """End a token and its sockets. Admins may end any token, others only their own."""
    token = await call.services[ApiTokenStore].token(call.scope, call.token_id)
    own = call.caller.user is not None and token.user_id == call.caller.user.id
    if not own and not allowed(call.scope, "user.manage"):
        raise NotFound("there is no such token")
    await call.services.auth.api_tokens.revoke(call.scope, token)
