"""Access tokens: JWTs signed with HS256. A token names a session; the store holds the rights of that session."""

from __future__ import annotations

import re
import secrets
from typing import Any, Final, NamedTuple

import jwt

from groundcontrol.core.errors import Unauthenticated

ALGORITHM: Final = "HS256"
TYPE: Final = "at+jwt"
AUDIENCE: Final = "stardust-ui"
LIFETIME_S: Final = 600
LEEWAY_S: Final = 30
MAX_CHARS: Final = 2048
CACHED_TOKENS: Final = 2048

_INTEGERS: Final = ("iat", "nbf", "exp", "auth_time", "pwv")
_TEXTS: Final = ("iss", "aud", "sub", "sid", "jti")
_CLAIMS: Final = frozenset((*_INTEGERS, *_TEXTS))
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")


class Claims(NamedTuple):
    """The claims of a valid token."""

    user: str
    session: str
    password_version: int
    expires_at: int


class AccessTokens:
    """Issues and checks the access tokens of one hub."""

    def __init__(self, key: bytes, issuer: str) -> None:
        if len(key) < 32:
            raise ValueError("the token key has fewer than 32 bytes")
        self._key = key
        self._issuer = issuer
        self._seen: dict[str, dict[str, Any]] = {}
        """Token -> its claims, for tokens whose signature is valid. So each signature is checked once: that is the most expensive step of a request."""

    def issue(self, *, user: str, session: str, password_version: int, authenticated_at: float, now: float) -> tuple[str, float]:
        """Make a token. Times are Unix seconds. Returns: the token, and when it expires."""
        issued = int(now)
        claims = {
            "iss": self._issuer,
            "aud": AUDIENCE,
            "sub": user,
            "sid": session,
            "jti": secrets.token_hex(16),
            "iat": issued,
            "nbf": issued,
            "exp": issued + LIFETIME_S,
            "auth_time": int(authenticated_at),
            "pwv": password_version,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM, headers={"typ": TYPE}), float(issued + LIFETIME_S)

    def read(self, token: str, now: float) -> Claims:
        """Check the form, header, signature and claims of a token.

        Raises: Unauthenticated: the token is invalid or expired. If it is invalid, the text does not say which check failed.
        """
        claims = self._verified(token)
        if claims is None or set(claims) != _CLAIMS:
            raise Unauthenticated("log in first")
        whole = all(type(claims[name]) is int for name in _INTEGERS) and all(type(claims[name]) is str for name in _TEXTS)
        if not whole or claims["iss"] != self._issuer or claims["aud"] != AUDIENCE:
            raise Unauthenticated("log in first")
        started, ends = max(claims["iat"], claims["nbf"]), claims["exp"]
        if not (started - LEEWAY_S <= now < ends + LEEWAY_S) or ends - claims["iat"] != LIFETIME_S:
            raise Unauthenticated("the log-in has run out; log in again")
        return Claims(claims["sub"], claims["sid"], claims["pwv"], ends)

    def _verified(self, token: str) -> dict[str, Any] | None:
        claims = self._seen.get(token)
        if claims is None:
            claims = self._decode(token)
            if claims is not None:
                if len(self._seen) >= CACHED_TOKENS:
                    del self._seen[next(iter(self._seen))]
                self._seen[token] = claims
        return claims

    def _decode(self, token: str) -> dict[str, Any] | None:
        if len(token) > MAX_CHARS or not _COMPACT.match(token):
            return None
        try:
            header = jwt.get_unverified_header(token)
            if header != {"alg": ALGORITHM, "typ": TYPE}:
                return None
            # `read` checks the claims by the hub's clock. The library accepts a text for `exp` and ignores `typ`.
            return jwt.decode(
                token,
                self._key,
                algorithms=["HS256"],
                options={
                    "require": ["exp", "iat", "nbf", "jti", "sid", "aud", "iss", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_iss": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            return None
