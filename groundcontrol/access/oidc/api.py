"""`/api/v1/auth/oidc`: log-in, linking, step-up and log-out through a provider, and the administration of providers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from aiohttp import hdrs, web

from groundcontrol.access.api import login_view
from groundcontrol.access.oidc.claims import DEFAULT_METHODS
from groundcontrol.access.oidc.log_ins import RETURN_PATH, ProviderLogIns, Visitor
from groundcontrol.access.oidc.log_outs import SIGNED_OUT_PATH, ProviderLogOuts, announce
from groundcontrol.access.oidc.model import Provider, checked
from groundcontrol.access.oidc.proof import Returned
from groundcontrol.access.oidc.providers import Providers
from groundcontrol.access.oidc.store import Ended, OidcStore
from groundcontrol.access.oidc.views import (
    NewProviderBody,
    ProviderBody,
    ProviderCheckView,
    ProviderPatch,
    ProvidersView,
    ProviderView,
    SignInAttemptsView,
    SsoButtonsView,
    SsoButtonView,
    SsoFinishBody,
    SsoFinishView,
    SsoLinksView,
    SsoLoggedOutView,
    SsoLogoutView,
    SsoRulePatch,
    SsoRuleView,
    SsoStartBody,
    SsoStartView,
    attempt_view,
    group_rows,
    link_view,
    provider_view,
)
from groundcontrol.access.service import person_of
from groundcontrol.access.sessions import Caller
from groundcontrol.access.store import OrganisationStore, UserAdminStore
from groundcontrol.core.errors import BadRequest, NotFound, Unauthenticated
from groundcontrol.core.ids import SessionId
from groundcontrol.web.answer import view_of
from groundcontrol.web.cookies import check_csrf, check_same_origin
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import Parameter, Route
from spider.wire.ids import new_random_id

LOGOUT_TOKEN: Final = Parameter("logout_token", "the token of OpenID Connect Back-Channel Logout", required=True)
MOST_CODE_CHARS: Final = 4096
MOST_CLIENT_SECRET_CHARS: Final = 1000


async def list_sso_buttons(call: ApiRequest) -> SsoButtonsView:
    """The providers through which users may log in: their names, and nothing else."""
    sso = call.services[Providers]
    found = [one for one in await call.services[OidcStore].providers() if one.enabled]
    return SsoButtonsView(providers=[SsoButtonView(name=one.name, title=one.title, away=sso.failure_of(one) != "") for one in found])


async def start_sso(call: ApiRequest, body: SsoStartBody) -> Annotated[web.Response, SsoStartView]:
    """Begin a log-in through a provider."""
    check_same_origin(call.request, call.services.config.origins, required=True)
    origin = call.request.headers.get(hdrs.ORIGIN, call.services.config.origin)
    if origin != call.services.config.origin:
        raise BadRequest(f"open the page at {call.services.config.origin}: the provider sends the browser back there")
    caller = None if body.purpose == "login" else await _caller(call)
    location, binder = await call.services[ProviderLogIns].start(_name(call), body.purpose, body.return_to, call.address, caller)
    response = web.Response(body=msgspec.json.encode(SsoStartView(location=location)), content_type="application/json")
    call.cookies.bind_sso(response, binder)
    return response


async def finish_sso(call: ApiRequest, body: SsoFinishBody) -> Annotated[web.Response, SsoFinishView]:
    """Finish a log-in, a link or a step-up with what the provider gave the browser."""
    check_same_origin(call.request, call.services.config.origins, required=True)
    if len(body.code) > MOST_CODE_CHARS:
        raise BadRequest("the code is too long", field="code")
    returned = Returned(body.state, body.code, body.iss, body.error, body.error_description[:300], body.totp)
    visitor = Visitor(
        call.cookies.sso_binder(call.request), call.address, call.request.headers.get(hdrs.USER_AGENT, ""), partial(_caller, call)
    )
    done = await call.services[ProviderLogIns].finish(returned, visitor)
    view = SsoFinishView(purpose=done.purpose, return_to=done.return_to, login=None if done.issued is None else login_view(done.issued))
    response = web.Response(body=msgspec.json.encode(view), content_type="application/json")
    if done.issued is not None:
        call.cookies.set(response, done.issued.token, done.issued.refresh)
    return response


async def _caller(call: ApiRequest) -> Caller:
    """The session of the browser, on a public route. Raises: Unauthenticated, CrossSite."""
    token = call.cookies.access(call.request)
    if not token:
        raise Unauthenticated("log in first")
    caller = await call.services.auth.authenticate(token, call.address)
    assert caller.session is not None  # an access token has a session
    check_csrf(call.request, caller.session.csrf_token)
    return caller


async def logout_sso(call: ApiRequest) -> Annotated[web.Response, SsoLogoutView]:
    """End this session, and say where the browser ends the provider's session."""
    location = await call.services[ProviderLogOuts].logout(call.caller)
    response = web.Response(body=msgspec.json.encode(SsoLogoutView(location=location)), content_type="application/json")
    call.cookies.clear(response)
    return response


async def log_out_by_provider(call: ApiRequest, form: dict[str, str]) -> SsoLoggedOutView:
    """End the sessions that the provider names. It sends a form, and no cookie."""
    return SsoLoggedOutView(sessions=await call.services[ProviderLogOuts].back_channel(_name(call), form["logout_token"], call.address))


async def list_links(call: ApiRequest) -> SsoLinksView:
    """The accounts of providers that belong to the caller."""
    user, _ = person_of(call.caller)
    return SsoLinksView(links=[link_view(one) for one in await call.services[OidcStore].links(user.id)])


async def remove_link(call: ApiRequest) -> None:
    """Remove a link, with the memberships and other sessions that came by it. It is refused if the caller could not log in any more."""
    user, session = person_of(call.caller)
    wanted, store = call.id_of("link"), call.services[OidcStore]
    if all(one.id != wanted for one in await store.links(user.id)):
        raise NotFound("there is no such link")
    announce(call.services.bus, [*await store.remove_link(call.scope, user.id, wanted, session.id), Ended(SessionId(""), user.id)])


async def list_sso_providers(call: ApiRequest) -> ProvidersView:
    """All providers, without their client secrets."""
    call.query()
    return ProvidersView(providers=[_view(call, one) for one in await call.services[OidcStore].providers()])


async def show_sso_provider(call: ApiRequest) -> ProviderView:
    """A provider, without its client secret."""
    return _view(call, await _provider(call))


async def create_sso_provider(call: ApiRequest, body: NewProviderBody) -> ProviderView:
    """Create a provider. Nothing is asked of it yet."""
    sso = call.services[Providers]
    secret = _secret(body.client_secret or None)
    usual = Provider("", 0, "", "", "", "").methods
    provider = Provider(
        id=new_random_id(), version=1, name=body.name, title=body.title.strip(), issuer=body.issuer, client_id=body.client_id,
        enabled=body.enabled, scopes=tuple(body.scopes), ca_pem=body.ca_pem, create_accounts=body.create_accounts,
        methods=usual if body.methods is None else tuple(body.methods), levels=tuple(body.levels), groups=group_rows(body.groups),
        secret_version=1 if secret else 0,
    )  # fmt: skip
    await _check(call, provider)
    sealed = await sso.seal_secret(provider, secret) if secret else None
    return _view(call, await call.services[OidcStore].create_provider(call.scope, provider, sealed))


async def edit_sso_provider(call: ApiRequest, body: ProviderPatch) -> ProviderView:
    """Change a provider. What the body leaves out stays, the client secret too. Its open log-ins end; sessions as well if it is another provider now."""
    sso = call.services[Providers]
    before = await _provider(call)
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name in ("name", "title", "issuer", "client_id", "enabled", "scopes", "ca_pem", "create_accounts", "methods", "levels")
        if (value := getattr(body, name)) is not None
    }
    if body.groups is not None:
        given["groups"] = group_rows(body.groups)
    after = before._replace(**given, version=body.version)
    sealed = None
    if body.client_secret is None or body.client_secret == "":
        after = after._replace(secret_version=0)
    elif isinstance(body.client_secret, str):
        after = after._replace(secret_version=await sso.next_secret_version(before))
        sealed = await sso.seal_secret(after, _secret(body.client_secret))
    await _check(call, after)
    is_other = after.party != before.party or not after.enabled
    stored, ended = await call.services[OidcStore].save_provider(call.scope, after, sealed, end_sessions=is_other)
    await _forget(call, before.id, ended)
    return _view(call, stored)


async def _forget(call: ApiRequest, provider: str, ended: Sequence[Ended]) -> None:
    """End what is open at a provider that was changed or deleted."""
    call.services[ProviderLogIns].end_of_provider(provider)
    await call.services[Providers].forget(provider)
    announce(call.services.bus, ended)


async def put_sso_provider(call: ApiRequest, body: ProviderBody) -> ProviderView:
    """Make the provider of this name what the body says. An unknown one is created. A client secret that the body leaves out stays."""
    given = {name: getattr(body, name) for name in ProviderBody.__struct_fields__}
    if body.methods is None:
        given["methods"] = list(DEFAULT_METHODS)
    known = next((one for one in await call.services[OidcStore].providers() if one.name == _name(call)), None)
    if known is None:
        return await create_sso_provider(call, NewProviderBody(name=_name(call), **given))
    return await edit_sso_provider(call, ProviderPatch(**{**given, "version": known.version if body.version is None else body.version}))


async def delete_sso_provider(call: ApiRequest) -> None:
    """Delete a provider. The sessions that it opened end; links stay, and are of use again if a provider with the same issuer comes."""
    provider = await _provider(call)
    ended = await call.services[OidcStore].delete_provider(call.scope, provider.id)
    await _forget(call, provider.id, ended)


async def check_sso_provider(call: ApiRequest) -> ProviderCheckView:
    """Ask the provider now for its description and keys, and show what the hub reads from them."""
    provider = await _provider(call)
    remote = await call.services[Providers].remote(provider)
    found = await remote.description(again=True)
    return ProviderCheckView(
        authorization_endpoint=found.authorization, token_endpoint=found.token, userinfo=found.userinfo != "",
        logout=found.end_session != "", backchannel_logout=found.backchannel, keys=len(await remote.keys()),
    )  # fmt: skip


async def list_sso_attempts(call: ApiRequest) -> SignInAttemptsView:
    """The last log-ins through a provider since the hub started, newest first, with the groups that came and the reasons of refusals."""
    provider = await _provider(call)
    return SignInAttemptsView(attempts=[attempt_view(one) for one in call.services[ProviderLogIns].attempts(provider.name)])


async def show_sso_rule(call: ApiRequest) -> SsoRuleView:
    """Whether the members of the organisation log in through providers only, and the admin who may still use a password."""
    call.query()
    return view_of(SsoRuleView, await call.services[OidcStore].sso_rule(call.scope))


async def edit_sso_rule(call: ApiRequest, body: SsoRulePatch) -> SsoRuleView:
    """Let the members of the organisation log in through providers only, but one admin. Their sessions with a password end.

    If the provider is away, `stardust user reset` on the hub's machine lets an admin in.
    """
    wanted = None
    if body.sso_only:
        caller = call.caller.user
        name = body.local_admin if body.local_admin is not None else "" if caller is None else caller.username
        if not name:
            raise BadRequest("local_admin: name the admin who may still use a password", field="local_admin")
        if not any(one.enabled for one in await call.services[OidcStore].providers()):
            raise BadRequest("there is no provider that users could log in through", field="sso_only")
        wanted = (await call.services[UserAdminStore].person(call.scope, name)).user.id
    rule, ended = await call.services[OidcStore].save_sso_rule(call.scope, wanted)
    announce(call.services.bus, ended)
    return view_of(SsoRuleView, rule)


async def _check(call: ApiRequest, provider: Provider) -> None:
    await asyncio.to_thread(checked, provider, loopback_allowed=call.services[Providers].loopback_allowed)
    known = {one.slug for one in await call.services[OrganisationStore].organisations()}
    for row in provider.groups:
        if row.organisation not in known:
            raise BadRequest(f"groups: there is no organisation {row.organisation!r}", field="groups")


def _secret(text: str | None) -> str:
    if text is not None and (len(text) > MOST_CLIENT_SECRET_CHARS or not text.isprintable()):
        raise BadRequest(f"client_secret: at most {MOST_CLIENT_SECRET_CHARS} visible characters", field="client_secret")
    return text or ""


def _name(call: ApiRequest) -> str:
    return call.request.match_info["provider"]


async def _provider(call: ApiRequest) -> Provider:
    return await call.services[Providers].provider(_name(call))


def _view(call: ApiRequest, provider: Provider) -> ProviderView:
    origin = call.services.config.origin
    return provider_view(
        provider,
        origin,
        call.services[Providers].failure_of(provider),
        redirect_uri=origin + RETURN_PATH,
        signed_out_uri=origin + SIGNED_OUT_PATH,
    )


OIDC_ROUTES: Final = (
    Route("GET", "/auth/oidc", None, list_sso_buttons),
    Route("POST", "/auth/oidc/{provider}/start", None, start_sso),
    Route("POST", "/auth/oidc/finish", None, finish_sso),
    Route("POST", "/auth/oidc/logout", "account.use", logout_sso, pending=True, enrolling=True, whose="caller"),
    Route("POST", "/auth/oidc/{provider}/backchannel", None, log_out_by_provider, form=(LOGOUT_TOKEN,)),
    Route("GET", "/auth/oidc/links", "account.use", list_links, whose="caller"),
    Route("DELETE", "/auth/oidc/links/{id}", "account.use", remove_link, status=204, step_up=True, strict=True, whose="caller"),
    Route("GET", "/auth/oidc/rule", "settings.manage", show_sso_rule, whose="organisation"),
    Route("PATCH", "/auth/oidc/rule", "settings.manage", edit_sso_rule, step_up=True, strict=True, whose="organisation"),
    Route("GET", "/auth/oidc/providers", "instance.manage", list_sso_providers, whose="hub"),
    Route("POST", "/auth/oidc/providers", "instance.manage", create_sso_provider, status=201, step_up=True, strict=True, whose="hub"),
    Route("GET", "/auth/oidc/providers/{provider}", "instance.manage", show_sso_provider, whose="hub"),
    Route("PUT", "/auth/oidc/providers/{provider}", "instance.manage", put_sso_provider, step_up=True, strict=True, whose="hub"),
    Route("PATCH", "/auth/oidc/providers/{provider}", "instance.manage", edit_sso_provider, step_up=True, strict=True, whose="hub"),
    Route("DELETE", "/auth/oidc/providers/{provider}", "instance.manage", delete_sso_provider, status=204, step_up=True, strict=True, whose="hub"),
    Route("POST", "/auth/oidc/providers/{provider}/check", "instance.manage", check_sso_provider, whose="hub"),
    Route("GET", "/auth/oidc/providers/{provider}/attempts", "instance.manage", list_sso_attempts, whose="hub"),
)  # fmt: skip
