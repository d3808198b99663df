"""What a provider's claims say about groups and about a second factor. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from groundcontrol.access.oidc.tokens import IdToken, texts_of

MOST_GROUPS: Final = 1000
MOST_ADDRESS_CHARS: Final = 254
DEFAULT_METHODS: Final = ("mfa", "otp", "hwk", "pop", "sc")
"""Values of `amr` (RFC 8176) that prove a second factor: a code, a key, a smart card, or several of any kind."""


class GroupsMissing(Exception):
    """The provider did not say in which groups the user is. That is not the same as no groups."""


def groups_at(claims: Mapping[str, Any], path: str) -> list[str]:
    """The values of a claim: a list of texts, or one text.

    Args:   path: the name of a claim, or names within claims with dots between them (`realm_access.roles`).
    Raises: GroupsMissing: the claim is absent, of another kind, or too long for the provider to include.
    """
    value: object
    if path in claims:
        name, value = path, claims[path]
    else:
        name, *inner = path.split(".")
        value = claims.get(name)
        for part in inner:
            value = value.get(part) if isinstance(value, dict) else None
    overage = claims.get("_claim_names")
    if isinstance(overage, dict) and name in overage:
        raise GroupsMissing(
            f"the provider left {path!r} out since the user is in too many groups: let it send only the groups of this application"
        )
    if not isinstance(value, str | list):
        raise GroupsMissing(f"the provider sent no claim {path!r}: add it to the ID token or the user information")
    found = texts_of(value)
    if len(found) > MOST_GROUPS:
        raise GroupsMissing(f"the claim {path!r} has more than {MOST_GROUPS} values: let the provider send only groups of this application")
    return found


def verified_address(claims: Mapping[str, Any]) -> str:
    """The address of e-mail that the provider has verified; empty: there is none. Text such as `"true"` does not count as verified."""
    address = claims.get("email")
    return address if isinstance(address, str) and claims.get("email_verified") is True and len(address) <= MOST_ADDRESS_CHARS else ""


def proves_second_factor(token: IdToken, methods: Collection[str], levels: Collection[str]) -> bool:
    """Whether the provider says that the user proved a second factor. Args: methods: values of `amr`; levels: of `acr`."""
    return any(one in methods for one in token.methods) or (token.level != "" and token.level in levels)
