"""The declarations of the access slice: routes of users, log-ins, single sign-on and tokens."""

from __future__ import annotations

from typing import Final

from groundcontrol.access import api as access_api
from groundcontrol.access.oidc.api import OIDC_ROUTES
from groundcontrol.access.oidc.log_ins import ProviderLogIns
from groundcontrol.access.oidc.log_outs import ProviderLogOuts
from groundcontrol.access.oidc.providers import Providers
from groundcontrol.access.passkeys import Passkeys, PasskeyStore
from groundcontrol.vault import Vault
from groundcontrol.web.declare import Slice
from groundcontrol.web.routes import CURSOR, LIMIT, USER, Route
from groundcontrol.web.services import Services, provide

ROUTES: Final = (
    Route("POST", "/auth/login", None, access_api.login),
    Route("POST", "/auth/refresh", None, access_api.refresh),
    Route("POST", "/auth/password", "account.use", access_api.password, pending=True, enrolling=True, whose="caller"),
    Route("POST", "/auth/step-up", "account.use", access_api.step_up, status=204, enrolling=True, whose="caller"),
    Route("POST", "/auth/logout", "account.use", access_api.logout, status=204, pending=True, enrolling=True, whose="caller"),
    Route("GET", "/auth/me", "account.use", access_api.me, pending=True, enrolling=True, whose="caller"),
    Route("POST", "/auth/totp", "account.use", access_api.begin_totp, status=201, enrolling=True, step_up=True, strict=True, whose="caller"),
    Route("POST", "/auth/totp/confirm", "account.use", access_api.confirm_totp, enrolling=True, whose="caller"),
    Route("DELETE", "/auth/totp", "account.use", access_api.stop_totp, status=204, step_up=True, strict=True, whose="caller"),
    Route("POST", "/auth/recovery-codes", "account.use", access_api.renew_recovery_codes, step_up=True, strict=True, whose="caller"),
    Route("GET", "/auth/passkeys", "account.use", access_api.list_passkeys, whose="caller"),
    Route("POST", "/auth/passkeys/challenge", "account.use", access_api.challenge_passkey, whose="caller"),
    Route("POST", "/auth/passkeys", "account.use", access_api.add_passkey, status=201, step_up=True, strict=True, whose="caller"),
    Route("DELETE", "/auth/passkeys/{id}", "account.use", access_api.remove_passkey, status=204, step_up=True, strict=True, whose="caller"),
    Route("GET", "/auth/sessions", "account.use", access_api.list_sessions, query=(LIMIT, CURSOR, USER), cost="page", whose="person"),
    Route("DELETE", "/auth/sessions", "account.use", access_api.end_other_sessions, status=204, whose="caller"),
    Route("DELETE", "/auth/sessions/{id}", "account.use", access_api.end_session, status=204, whose="person"),
    Route("GET", "/auth/preferences", "account.use", access_api.get_preferences, whose="caller"),
    Route("PATCH", "/auth/preferences", "account.use", access_api.edit_preferences, whose="caller"),
    Route("GET", "/users", "user.manage", access_api.list_users, query=(LIMIT, CURSOR), cost="page", whose="organisation"),
    Route("POST", "/users", "user.manage", access_api.create_user, status=201, step_up=True, strict=True, whose="organisation"),
    Route("PATCH", "/users/{username}", "user.manage", access_api.edit_user, step_up=True, strict=True, whose="organisation"),
    Route("POST", "/users/{username}/password", "user.manage", access_api.reset_password, step_up=True, strict=True, whose="organisation"),
    Route("GET", "/tokens", "token.use", access_api.list_tokens, query=(LIMIT, CURSOR, USER), cost="page", whose="person"),
    Route("POST", "/tokens", "token.use", access_api.create_token, status=201, step_up=True, strict=True, whose="caller"),
    Route("DELETE", "/tokens/{id}", "token.use", access_api.revoke_token, status=204, whose="person"),
)  # fmt: skip


def _providers(services: Services) -> Providers:
    return Providers(store=services, clock=services.clock, sealer=services[Vault], loopback_allowed=services.config.loopback_only)


SLICE: Final = Slice(
    "access",
    (*ROUTES, *OIDC_ROUTES),
    provides=(
        provide(Providers)(_providers),
        provide(ProviderLogIns)(ProviderLogIns),
        provide(ProviderLogOuts)(ProviderLogOuts),
        provide(Passkeys)(lambda services: Passkeys(services[PasskeyStore], services.clock, services.config.origin)),
    ),
    tasks=(Providers,),
)
