"""ID tokens and log-out tokens, valid and forged."""

from __future__ import annotations

import hmac
import json
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from groundcontrol.access.oidc.keys import Key, read_keys
from groundcontrol.access.oidc.tokens import LOGOUT_EVENT, Party
from tests.support.forged_tokens import b64

NOW = 1_790_000_000
PARTY = Party("https://sso.example", "stardust")
NONCE = "n-of-this-flow"
CLAIMS: dict[str, Any] = {
    "iss": PARTY.issuer, "aud": PARTY.client_id, "sub": "user-1", "nonce": NONCE, "iat": NOW, "exp": NOW + 300, "sid": "session-1",
    "groups": ["ops"], "amr": ["pwd", "otp"],
}  # fmt: skip
LOGOUT: dict[str, Any] = {
    "iss": PARTY.issuer, "aud": PARTY.client_id, "sub": "user-1", "sid": "session-1", "iat": NOW, "exp": NOW + 120, "jti": "logout-1",
    "events": {LOGOUT_EVENT: {}},
}  # fmt: skip

EC = ec.generate_private_key(ec.SECP256R1())
OTHER_EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
ED = ed25519.Ed25519PrivateKey.generate()
SIGNERS: dict[str, Any] = {"ES256": EC, "RS256": RSA, "PS256": RSA, "EdDSA": ED}
KIDS = {"ES256": "ec", "RS256": "rsa", "PS256": "rsa", "EdDSA": "ed"}


def public_jwk(key: Any, kid: str) -> dict[str, Any]:
    algorithm: Any = {
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }[next(kind for kind in (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey) if isinstance(key, kind))]
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}


KEY_SET = {"keys": [public_jwk(EC, "ec"), public_jwk(RSA, "rsa"), public_jwk(ED, "ed")]}
KEYS: tuple[Key, ...] = read_keys(KEY_SET)


def signed(claims: dict[str, Any], algorithm: str = "ES256", *, key: Any = None, **header: Any) -> str:
    head = {"kid": KIDS[algorithm], **header}
    return jwt.encode(claims, key or SIGNERS[algorithm], algorithm=algorithm, headers={k: v for k, v in head.items() if v is not None})


def with_header(header: dict[str, Any], claims: dict[str, Any] = CLAIMS) -> str:
    """A token with any header, signed with the elliptic key."""
    body = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{body}.{b64(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(body.encode(), EC))}"


def by_public_key(algorithm: str) -> str:
    """A token whose HMAC has the provider's public key as its key."""
    pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    body = f"{b64(json.dumps({'alg': algorithm, 'kid': 'rsa'}).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    return f"{body}.{b64(hmac.digest(pem, body.encode(), 'sha256'))}"


def but(**changes: Any) -> dict[str, Any]:
    """The claims with changes; None: without this claim."""
    return {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}


def raw(body: bytes) -> str:
    """A token over these bytes as claims."""
    text = f"{b64(json.dumps({'alg': 'ES256', 'kid': 'ec'}).encode())}.{b64(body)}"
    return f"{text}.{b64(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(text.encode(), EC))}"


GOOD = signed(CLAIMS)
_HEAD, _BODY, _MARK = GOOD.split(".")
FORGED: dict[str, tuple[str, str]] = {
    "no signature": (f"{_HEAD}.{_BODY}.", "no signed token"),
    "alg none": (f"{b64(json.dumps({'alg': 'none'}).encode())}.{_BODY}.", "no signed token"),
    "alg none with a signature": (f"{b64(json.dumps({'alg': 'none'}).encode())}.{_BODY}.{_MARK}", "algorithm"),
    "alg nOnE": (with_header({"alg": "nOnE", "kid": "ec"}), "algorithm"),
    "HS256 with the public key": (by_public_key("HS256"), "algorithm"),
    "RS256 that is an HMAC": (by_public_key("RS256"), "signature"),
    "ES256 with the id of the RSA key": (with_header({"alg": "ES256", "kid": "rsa"}), "no ES256 key"),
    "RS256 with the id of the elliptic key": (signed(CLAIMS, "RS256", kid="ec"), "no RS256 key"),
    "a stranger's key": (signed(CLAIMS, key=OTHER_EC), "signature"),
    "an unknown kid": (signed(CLAIMS, kid="new"), "no ES256 key"),
    "a kid that is a path": (signed(CLAIMS, kid="../../dev/null"), "no ES256 key"),
    "a kid that is a number": (with_header({"alg": "ES256", "kid": 7}), "texts"),
    "an embedded key": (signed(CLAIMS, key=OTHER_EC, jwk=public_jwk(OTHER_EC, "ec")), "jwk"),
    "a URL of keys": (signed(CLAIMS, jku="https://evil.example/keys"), "jku"),
    "a URL of a certificate": (signed(CLAIMS, x5u="https://evil.example/x"), "x5u"),
    "crit": (with_header({"alg": "ES256", "kid": "ec", "crit": ["exp"]}), "crit"),
    "an unencoded body": (with_header({"alg": "ES256", "kid": "ec", "b64": False}), "b64"),
    "typ of an access token": (signed(CLAIMS, typ="at+jwt"), "another kind"),
    "typ of a log-out token": (signed(CLAIMS, typ="logout+jwt"), "another kind"),
    "a log-out token": (signed({**LOGOUT, "nonce": NONCE}), "log-out token"),
    "changed claims": (f"{_HEAD}.{b64(json.dumps(but(sub='admin')).encode())}.{_MARK}", "signature"),
    "claims that are a list": (raw(b"[1]"), "signature"),
    "another issuer": (signed(but(iss="https://sso.example.evil")), "is of"),
    "the issuer with a slash": (signed(but(iss=PARTY.issuer + "/")), "is of"),
    "no issuer": (signed(but(iss=None)), "iss must"),
    "another audience": (signed(but(aud="other")), "another client"),
    "a list of other audiences": (signed(but(aud=["other", "third"])), "another client"),
    "an audience that is an object": (signed(but(aud={"stardust": True})), "another client"),
    "two audiences without azp": (signed(but(aud=["stardust", "other"])), "azp"),
    "azp of another client": (signed(but(aud=["stardust", "other"], azp="other")), "azp"),
    "azp of another client, one audience": (signed(but(azp="other")), "azp"),
    "no exp": (signed(but(exp=None)), "exp must"),
    "exp as text": (raw(json.dumps(but(exp=str(NOW + 300))).encode()), "exp must"),
    "exp as a fraction": (signed(but(exp=NOW + 300.5)), "exp must"),
    "exp true": (raw(json.dumps(but(exp=True)).encode()), "exp must"),
    "exp NaN": (raw(json.dumps(but(exp=float("nan"))).encode()), "exp must"),
    "exp infinite": (raw(json.dumps(but(exp=float("inf"))).encode()), "exp must"),
    "expired": (signed(but(iat=NOW - 400, exp=NOW - 61)), "expired"),
    "made in the future": (signed(but(iat=NOW + 61)), "clocks"),
    "kept for long": (signed(but(iat=NOW - 661, exp=NOW + 10**6)), "too old"),
    "no iat": (signed(but(iat=None)), "iat must"),
    "not valid yet": (signed(but(nbf=NOW + 61)), "not valid yet"),
    "no nonce": (signed(but(nonce=None)), "nonce must"),
    "the nonce of another flow": (signed(but(nonce="another")), "another log-in"),
    "no subject": (signed(but(sub=None)), "sub must"),
    "a subject that is a number": (raw(json.dumps(but(sub=1)).encode()), "sub must"),
    "a subject with a line break": (signed(but(sub="a\nb")), "sub must"),
    "a subject that is too long": (signed(but(sub="s" * 256)), "sub must"),
    "auth_time as text": (signed(but(auth_time=str(NOW))), "auth_time must"),
    "no token": ("log in", "no signed token"),
    "an endless token": ("a" * 70_000 + ".b.c", "no signed token"),
}
"""Name -> the token, and a part of the reason for which it is refused."""


def logout_but(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**LOGOUT, **changes}.items() if value is not None}


FORGED_LOGOUT: dict[str, tuple[str, str]] = {
    "an ID token": (GOOD, "event"),
    "with a nonce": (signed(logout_but(nonce=NONCE)), "nonce"),
    "neither user nor session": (signed(logout_but(sub=None, sid=None)), "neither"),
    "no id": (signed(logout_but(jti=None)), "jti must"),
    "another event": (signed(logout_but(events={"http://other.example": {}})), "event"),
    "an event that is a text": (signed(logout_but(events=LOGOUT_EVENT)), "event"),
    "of another issuer": (signed(logout_but(iss="https://evil.example")), "is of"),
    "for another client": (signed(logout_but(aud="other")), "another client"),
    "kept for long": (signed(logout_but(iat=NOW - 661)), "too old"),
    "expired": (signed(logout_but(exp=NOW - 61)), "expired"),
    "of a stranger": (signed(LOGOUT, key=OTHER_EC), "signature"),
    "typ of an access token": (signed(LOGOUT, typ="at+jwt"), "another kind"),
}
