"""Forged access tokens that the hub must refuse."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from groundcontrol.access.access_tokens import AUDIENCE, LIFETIME_S, TYPE

KEY = bytes(range(32))


NOW = 1_790_000_000.0


HEADER: dict[str, Any] = {"alg": "HS256", "typ": TYPE}


CLAIMS: dict[str, Any] = {
    "iss": "hub-1", "aud": AUDIENCE, "sub": "user", "sid": "session", "jti": "j", "iat": int(NOW), "nbf": int(NOW),
    "exp": int(NOW) + LIFETIME_S, "auth_time": int(NOW), "pwv": 1,
}  # fmt: skip


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: object = HEADER, claims: object = CLAIMS, key: bytes = KEY, digest: str = "sha256") -> str:
    head = b64(json.dumps(header).encode())
    body = b64(claims if isinstance(claims, bytes) else json.dumps(claims).encode())
    return f"{head}.{body}.{b64(hmac.digest(key, f'{head}.{body}'.encode(), digest))}"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CLAIMS.items() if key != name}


def public_key() -> bytes:
    made = rsa.generate_private_key(65537, 2048).public_key()
    return made.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


GOOD = forge()


FORGED = {
    "unsigned": GOOD.rpartition(".")[0] + ".",
    "alg none": forge({"alg": "none", "typ": TYPE}).rpartition(".")[0] + ".",
    "alg None": forge({"alg": "None", "typ": TYPE}),
    "alg nOnE": forge({"alg": "nOnE", "typ": TYPE}),
    "HS512": forge({"alg": "HS512", "typ": TYPE}, digest="sha512"),
    "HS384": forge({"alg": "HS384", "typ": TYPE}, digest="sha384"),
    "RS256 under a public key": forge({"alg": "RS256", "typ": TYPE}, key=public_key()),
    "another key": forge(key=b"k" * 32),
    "an empty key": forge(key=b""),
    "no typ": forge({"alg": "HS256"}),
    "another typ": forge({"alg": "HS256", "typ": "JWT"}),
    "an invite's typ": forge({"alg": "HS256", "typ": "invite+jwt"}),
    "a crit header": forge({**HEADER, "crit": ["exp"]}),
    "a kid header": forge({**HEADER, "kid": "../../dev/null"}),
    "a jku header": forge({**HEADER, "jku": "https://evil.example/keys"}),
    "an unencoded payload": forge({**HEADER, "b64": False}),
    "exp as text": forge(claims={**CLAIMS, "exp": str(int(NOW) + LIFETIME_S)}),
    "exp as a float": forge(claims={**CLAIMS, "exp": NOW + LIFETIME_S}),
    "exp as true": forge(claims={**CLAIMS, "exp": True}),
    "pwv as text": forge(claims={**CLAIMS, "pwv": "1"}),
    "expired": forge(claims={**CLAIMS, "iat": int(NOW) - 700, "nbf": int(NOW) - 700, "exp": int(NOW) - 100}),
    "not yet": forge(claims={**CLAIMS, "nbf": int(NOW) + 100}),
    "made in the future": forge(claims={**CLAIMS, "iat": int(NOW) + 100, "exp": int(NOW) + 700}),
    "living too long": forge(claims={**CLAIMS, "exp": int(NOW) + 10**9}),
    "another hub's": forge(claims={**CLAIMS, "iss": "hub-2"}),
    "another audience": forge(claims={**CLAIMS, "aud": "stardust-agent"}),
    "a list of audiences": forge(claims={**CLAIMS, "aud": [AUDIENCE, "x"]}),
    "a role inside": forge(claims={**CLAIMS, "role": "admin"}),
    "a list": forge(claims=[1, 2]),
    "nested for ever": forge(claims=b"[" * 1000),
    "not JSON": forge(claims=b"\xff\xfe"),
    "no dots": "x" * 40,
    "four parts": GOOD + ".x",
    "padded": GOOD + "==",
    "with a line feed": GOOD + "\n",
    "far too long": forge(claims={**CLAIMS, "sub": "x" * 4000}),
    "empty": "",
    **{f"without {name}": forge(claims=without(name)) for name in CLAIMS},
}
