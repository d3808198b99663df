"""What a browser brings back from a provider: checked, and exchanged for the user whom the provider proves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from groundcontrol.access.oidc.claims import GroupsMissing, groups_at, proves_second_factor
from groundcontrol.access.oidc.errors import OidcIssuerMismatch, OidcRefused
from groundcontrol.access.oidc.flows import Flow
from groundcontrol.access.oidc.model import Provider
from groundcontrol.access.oidc.providers import Providers
from groundcontrol.access.oidc.remote import Remote
from groundcontrol.access.oidc.tokens import LEEWAY_S, IdToken, TokenRefused, UnknownKey, algorithm_of, hashes_to, read_id_token
from spider.clock import Clock

ROUNDED_S: Final = 1.0
"""A provider's times are whole seconds."""
MOST_SHOWN_CHARS: Final = 200


class Returned(NamedTuple):
    """What a browser brings back from the provider."""

    state: str
    code: str = ""
    issuer: str = ""
    error: str = ""
    error_description: str = ""
    totp: str = ""


class Proved(NamedTuple):
    """A user whom a provider has proved."""

    token: IdToken
    raw: str
    claims: Mapping[str, Any]
    second_factor: bool

    @property
    def shown(self) -> str:
        """What to call the user beside the subject."""
        found = next((self.claims[name] for name in ("preferred_username", "email", "name") if isinstance(self.claims.get(name), str)), "")
        return "".join(char if char.isprintable() else "?" for char in found[:MOST_SHOWN_CHARS])


async def prove(providers: Providers, provider: Provider, flow: Flow, returned: Returned, redirect_uri: str, clock: Clock) -> Proved:
    """Check what the browser brings, and read the user from the provider.

    Args:   redirect_uri: that of the beginning.
    Raises: OidcRefused; OidcIssuerMismatch; OidcUnavailable.
    """
    remote = await providers.remote(provider)
    description = await remote.description()
    if returned.issuer and returned.issuer != provider.issuer:
        raise OidcIssuerMismatch(
            f"the answer is of {returned.issuer[:300]!r}, and the log-in began at {provider.issuer!r}", issuer=returned.issuer[:300],
            configured=provider.issuer,
        )  # fmt: skip
    if description.names_issuer and not returned.issuer:
        raise OidcRefused("the answer does not name its issuer, although the provider promises it")
    if returned.error or not returned.code:
        about = f": {returned.error_description}" if returned.error_description else ""
        text = f"{returned.error or 'no code came back'}{about}"[:300]
        raise OidcRefused("the provider says " + "".join(char if char.isprintable() else "?" for char in text))
    answer = await remote.exchange(returned.code, flow.verifier, redirect_uri, await providers.client_secret(provider))
    raw = answer.get("id_token")
    if not isinstance(raw, str):
        raise OidcRefused("the provider gave no ID token: allow the scope openid for this client")
    try:
        token = await _read(remote, raw, flow.nonce, clock.now())
    except TokenRefused as exc:
        raise OidcRefused(f"the ID token of the provider is not valid: {exc}") from exc
    if flow.purpose == "step_up" and not is_proved_since(token, flow.started_at, clock.now()):
        raise OidcRefused("the provider did not ask for the log-in again (auth_time): it cannot confirm this")
    claims = await _with_userinfo(remote, description.userinfo, token, raw, answer.get("access_token"))
    return Proved(token, raw, claims, proves_second_factor(token, provider.methods, provider.levels))


async def _read(remote: Remote, raw: str, nonce: str, now: float) -> IdToken:
    try:
        return read_id_token(raw, await remote.keys(), remote.provider.party, nonce=nonce, now=now)
    except UnknownKey:
        return read_id_token(raw, await remote.keys(again=True), remote.provider.party, nonce=nonce, now=now)


async def _with_userinfo(remote: Remote, url: str, token: IdToken, raw: str, access_token: object) -> Mapping[str, Any]:
    """The claims of the ID token, and those of the user information that it lacks, if a row needs them."""
    wanted = {row.claim for row in remote.provider.groups}
    asks_address = "email" in remote.provider.scopes and "email" not in token.claims
    if not url or not isinstance(access_token, str) or (not asks_address and all(_has(token.claims, claim) for claim in wanted)):
        return token.claims
    if "at_hash" in token.claims and not hashes_to(access_token, token.claims["at_hash"], algorithm_of(raw)):
        raise OidcRefused("the access token does not belong to the ID token (at_hash)")
    more = await remote.userinfo(access_token)
    if more.get("sub") != token.subject:
        raise OidcRefused("the user information is of another user")
    return {**more, **token.claims}


def is_proved_since(token: IdToken, started_at: float, now: float) -> bool:
    """Whether the user proved who they are after a flow began.

    The provider's clock may differ, so it is compared with itself: between the proof and the token no more time passed there than here
    since the beginning. Args: started_at, now: Unix seconds of the hub.
    """
    at = token.authenticated_at
    return at is not None and at >= started_at - LEEWAY_S and at >= token.issued_at - (now - started_at) - ROUNDED_S


def _has(claims: Mapping[str, Any], claim: str) -> bool:
    try:
        groups_at(claims, claim)
    except GroupsMissing:
        return False
    return True
