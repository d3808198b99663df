"""Checks ID tokens and log-out tokens of a provider. Pure functions: keys, expected values and the time come from the caller.

A token is hostile until its signature is checked. Its own header only chooses among the provider's keys: it never brings a key, a URL or an
algorithm outside the fixed list. Numbers must be numbers, and texts texts.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import jwt
import msgspec

from groundcontrol.access.oidc.keys import ALGORITHMS, Algorithm, Key, keys_for

LEEWAY_S: Final = 60
"""The accepted difference between the clocks of the hub and the provider."""
MOST_AGE_S: Final = 600
"""A token is used at once, so an older one was kept by somebody."""
MOST_TOKEN_CHARS: Final = 64 << 10
MOST_SUBJECT_CHARS: Final = 255
LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_REFUSED_HEADERS: Final = frozenset({"crit", "b64", "jwk", "jku", "x5u", "x5c", "zip", "enc"})
"""A token with such a header asks for something that the hub does not do: another key, another form, an extension."""


class TokenRefused(Exception):
    """The token is invalid. The text says which check failed, for the admin."""


class UnknownKey(TokenRefused):
    """No known key of the provider fits the token. The provider may have a new key."""


class Party(NamedTuple):
    """Who makes the tokens, and for whom."""

    issuer: str
    client_id: str


class IdToken(NamedTuple):
    """A valid ID token."""

    subject: str
    session: str
    """The provider's id of its own session; empty: it gives none."""
    issued_at: int
    """Unix seconds of the provider."""
    authenticated_at: int | None
    """When the user proved who they are, Unix seconds; None: the provider does not say."""
    methods: tuple[str, ...]
    """`amr`: how the user proved it."""
    level: str
    """`acr`; empty: the provider does not say."""
    claims: Mapping[str, Any]


class LogoutToken(NamedTuple):
    """A valid log-out token. At least one of subject and session is set."""

    subject: str
    session: str
    id: str
    """Its `jti`: a token counts once."""


def read_id_token(token: str, keys: Sequence[Key], party: Party, *, nonce: str, now: float) -> IdToken:
    """Check an ID token. Args: nonce: of the flow that asked for it. now: Unix seconds.

    Raises: TokenRefused, UnknownKey.
    """
    claims = _verified(token, keys, ("JWT",))
    _check_common(claims, party, now)
    if LOGOUT_EVENT in _mapping(claims.get("events")):
        raise TokenRefused("this is a log-out token")
    if not hmac.compare_digest(_text(claims, "nonce").encode(), nonce.encode()):
        raise TokenRefused("the nonce is that of another log-in")
    if _whole(claims, "exp") <= now - LEEWAY_S:
        raise TokenRefused(f"the token has expired: exp is {claims['exp']}, and it is {int(now)} here; compare the clocks")
    return IdToken(
        subject=_subject(claims),
        session=_text(claims, "sid") if "sid" in claims else "",
        issued_at=_whole(claims, "iat"),
        authenticated_at=_whole(claims, "auth_time") if "auth_time" in claims else None,
        methods=tuple(texts_of(claims.get("amr"))),
        level=claims["acr"] if isinstance(claims.get("acr"), str) else "",
        claims=claims,
    )


def read_logout_token(token: str, keys: Sequence[Key], party: Party, *, now: float) -> LogoutToken:
    """Check a log-out token (OpenID Connect Back-Channel Logout 1.0). The caller checks that its id is new.

    Raises: TokenRefused, UnknownKey.
    """
    claims = _verified(token, keys, ("JWT", "logout+jwt"))
    _check_common(claims, party, now)
    if not isinstance(_mapping(claims.get("events")).get(LOGOUT_EVENT), dict):
        raise TokenRefused("this is no log-out token: the event is missing")
    if "nonce" in claims:
        raise TokenRefused("a log-out token has no nonce")
    if "exp" in claims and _whole(claims, "exp") <= now - LEEWAY_S:
        raise TokenRefused("the token has expired")
    found = LogoutToken(_subject(claims) if "sub" in claims else "", _text(claims, "sid") if "sid" in claims else "", _text(claims, "jti"))
    if not found.subject and not found.session:
        raise TokenRefused("the token names neither a user nor a session")
    return found


def hashes_to(access_token: str, given: object, algorithm: Algorithm) -> bool:
    """Whether `at_hash` of an ID token belongs to this access token."""
    digest = (hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256)(access_token.encode()).digest()
    wanted = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
    return isinstance(given, str) and hmac.compare_digest(given.encode(), wanted.encode())


def algorithm_of(token: str) -> Algorithm:
    """The algorithm of a token that was checked before."""
    return cast("Algorithm", _header(token)["alg"])


def texts_of(value: object) -> list[str]:
    """The texts of a claim that is one text or a list; other values in it are left out."""
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _verified(token: str, keys: Sequence[Key], kinds: Collection[str]) -> dict[str, Any]:
    """The claims of a token whose form, header and signature are right."""
    if len(token) > MOST_TOKEN_CHARS or not _COMPACT.match(token):
        raise TokenRefused("this is no signed token")
    header = _header(token)
    if refused := _REFUSED_HEADERS & set(header):
        raise TokenRefused(f"the header has {', '.join(sorted(refused))}")
    algorithm, kid, kind = header.get("alg"), header.get("kid", ""), header.get("typ", "JWT")
    if algorithm not in ALGORITHMS:
        raise TokenRefused(f"the algorithm {str(algorithm)[:20]!r} is not one of {', '.join(ALGORITHMS)}: set one of them at the provider")
    if not isinstance(kid, str) or not isinstance(kind, str):
        raise TokenRefused("kid and typ must be texts")
    if kind.casefold() not in {one.casefold() for one in kinds}:
        raise TokenRefused(f"typ is {kind[:20]!r}: this is another kind of token")
    fitting = keys_for(keys, algorithm, kid)
    if not fitting:
        raise UnknownKey(f"the provider has no {algorithm} key {kid[:80]!r}")
    if len(fitting) > 1:
        raise TokenRefused("the provider has several keys that fit, and the token does not say which")
    try:
        claims = jwt.decode(token, fitting[0].public, algorithms=[algorithm], options={
            "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False, "verify_iss": False, "verify_sub": False,
            "verify_jti": False,
        })  # fmt: skip
    except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as exc:
        raise TokenRefused("the signature is wrong") from exc
    return claims


def _header(token: str) -> dict[str, Any]:
    text = token.partition(".")[0]
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=dict[str, Any])
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError) as exc:
        raise TokenRefused("the header is unreadable") from exc


def _check_common(claims: dict[str, Any], party: Party, now: float) -> None:
    if _text(claims, "iss") != party.issuer:
        raise TokenRefused(f"the token is of {claims['iss'][:200]!r}, not of {party.issuer!r}")
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences) or party.client_id not in audiences:
        raise TokenRefused("the token is for another client")
    if ("azp" in claims or len(audiences) > 1) and claims.get("azp") != party.client_id:
        raise TokenRefused("the token was made for another client (azp)")
    issued = _whole(claims, "iat")
    if not now - MOST_AGE_S - LEEWAY_S <= issued <= now + LEEWAY_S:
        raise TokenRefused(f"iat is {issued}, and it is {int(now)} here: the token is too old, or the clocks differ")
    if "nbf" in claims and _whole(claims, "nbf") > now + LEEWAY_S:
        raise TokenRefused("the token is not valid yet: compare the clocks")


def _subject(claims: dict[str, Any]) -> str:
    subject = _text(claims, "sub")
    if not subject or len(subject) > MOST_SUBJECT_CHARS or not subject.isascii() or not subject.isprintable():
        raise TokenRefused(f"sub must have 1 to {MOST_SUBJECT_CHARS} ASCII characters")
    return subject


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise TokenRefused(f"{name} must be a text")
    return value


def _whole(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value < 1 << 53:
        raise TokenRefused(f"{name} must be a whole number")
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
