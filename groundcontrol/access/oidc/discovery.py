"""A provider's description of itself (OpenID Connect Discovery 1.0). Pure functions."""

from __future__ import annotations

from typing import Any, NamedTuple

from groundcontrol.access.oidc.errors import OidcIssuerMismatch, OidcUnavailable
from groundcontrol.access.oidc.model import Provider, check_url
from groundcontrol.core.errors import BadRequest


class Discovered(NamedTuple):
    """What the hub uses of a provider's description."""

    authorization: str
    token: str
    keys: str
    userinfo: str
    """Empty: the provider has none, as the following ones."""
    end_session: str
    names_issuer: bool
    """Whether each answer to a browser names the issuer (RFC 9207), so that no other provider's answer passes for this one's."""
    secret_in_body: bool
    """Whether the client secret goes into the body, since the provider does not accept it in a header."""
    backchannel: bool


def read_description(document: object, provider: Provider, *, loopback_allowed: bool) -> Discovered:
    """Check a provider's description.

    Raises: OidcIssuerMismatch: it is of another issuer. OidcUnavailable: it is unusable; the text says why.
    """
    if not isinstance(document, dict):
        raise OidcUnavailable("the provider's description is not an object")
    issuer = document.get("issuer")
    if issuer != provider.issuer:
        shown = str(issuer)[:300]
        raise OidcIssuerMismatch(
            f"the provider calls itself {shown!r}, and the hub's settings call it {provider.issuer!r}: both must be equal to the last slash",
            issuer=shown, configured=provider.issuer,
        )  # fmt: skip

    def url(name: str, *, needed: bool) -> str:
        found = document.get(name)
        if found is None and not needed:
            return ""
        if not isinstance(found, str):
            raise OidcUnavailable(f"the provider's description has no {name}")
        try:
            check_url(found, name, loopback_allowed=loopback_allowed)
        except BadRequest as exc:
            raise OidcUnavailable(f"the provider's description is unusable: {exc.message}") from exc
        return found

    ways = _texts(document, "token_endpoint_auth_methods_supported")
    challenges = _texts(document, "code_challenge_methods_supported")
    if challenges and "S256" not in challenges:
        raise OidcUnavailable("the provider does not support PKCE with S256")
    return Discovered(
        authorization=url("authorization_endpoint", needed=True),
        token=url("token_endpoint", needed=True),
        keys=url("jwks_uri", needed=True),
        userinfo=url("userinfo_endpoint", needed=False),
        end_session=url("end_session_endpoint", needed=False),
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        secret_in_body=bool(ways) and "client_secret_basic" not in ways and "client_secret_post" in ways,
        backchannel=document.get("backchannel_logout_supported") is True,
    )


def _texts(document: dict[str, Any], name: str) -> list[str]:
    value = document.get(name)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
