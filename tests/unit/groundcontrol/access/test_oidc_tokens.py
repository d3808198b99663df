"""Tokens of a provider: one form is accepted, all others are refused with a reason for the admin. And what claims say about groups."""

from __future__ import annotations

from typing import Any

import pytest

from groundcontrol.access.oidc.claims import DEFAULT_METHODS, GroupsMissing, groups_at, proves_second_factor
from groundcontrol.access.oidc.keys import read_keys
from groundcontrol.access.oidc.tokens import TokenRefused, UnknownKey, read_id_token, read_logout_token
from tests.support.forged_id_tokens import (
    CLAIMS,
    EC,
    FORGED,
    FORGED_LOGOUT,
    GOOD,
    KEY_SET,
    KEYS,
    LOGOUT,
    NONCE,
    NOW,
    PARTY,
    SIGNERS,
    but,
    public_jwk,
    signed,
)


@pytest.mark.parametrize("algorithm", SIGNERS)
def test_a_valid_token_of_each_algorithm_is_read(algorithm: str) -> None:
    found = read_id_token(signed(CLAIMS, algorithm), KEYS, PARTY, nonce=NONCE, now=NOW)
    assert (found.subject, found.session, found.methods, found.authenticated_at) == ("user-1", "session-1", ("pwd", "otp"), None)
    assert proves_second_factor(found, DEFAULT_METHODS, ())


def test_clocks_may_differ_by_a_minute() -> None:
    for claims in (but(iat=NOW + 60), but(iat=NOW - 400, exp=NOW - 59), but(nbf=NOW + 60), but(iat=NOW - 660)):
        assert read_id_token(signed(claims), KEYS, PARTY, nonce=NONCE, now=NOW).subject == "user-1"


def test_a_token_for_several_clients_names_this_one_in_azp() -> None:
    token = signed(but(aud=["other", PARTY.client_id], azp=PARTY.client_id))
    assert read_id_token(token, KEYS, PARTY, nonce=NONCE, now=NOW).subject == "user-1"


@pytest.mark.holds("SAFETY-109", "S-63")
@pytest.mark.parametrize("name", FORGED)
def test_t33_a_forged_id_token_is_refused(name: str) -> None:
    token, reason = FORGED[name]
    with pytest.raises(TokenRefused, match=reason):
        read_id_token(token, KEYS, PARTY, nonce=NONCE, now=NOW)


@pytest.mark.holds("S-63")
@pytest.mark.parametrize("name", FORGED_LOGOUT)
def test_t33_a_forged_log_out_token_is_refused(name: str) -> None:
    token, reason = FORGED_LOGOUT[name]
    with pytest.raises(TokenRefused, match=reason):
        read_logout_token(token, KEYS, PARTY, now=NOW)


def test_a_valid_log_out_token_is_read() -> None:
    assert read_logout_token(signed(LOGOUT, typ="logout+jwt"), KEYS, PARTY, now=NOW) == ("user-1", "session-1", "logout-1")


def test_there_are_enough_forgeries() -> None:
    assert len(FORGED) >= 31


def test_a_token_without_kid_needs_one_key_that_fits() -> None:
    token = signed(CLAIMS, kid=None)
    assert read_id_token(token, KEYS, PARTY, nonce=NONCE, now=NOW).subject == "user-1"
    two = read_keys({"keys": [public_jwk(EC, "one"), public_jwk(EC, "two")]})
    with pytest.raises(TokenRefused, match="several keys"):
        read_id_token(token, two, PARTY, nonce=NONCE, now=NOW)
    with pytest.raises(UnknownKey):
        read_id_token(token, (), PARTY, nonce=NONCE, now=NOW)


def test_unusable_keys_are_left_out_and_no_list_is_an_error() -> None:
    good = public_jwk(EC, "ec")
    weak = {**public_jwk(SIGNERS["RS256"], "weak"), "n": "AQAB"}
    slow = {**public_jwk(SIGNERS["RS256"], "slow"), "e": "A" * 400}
    unusable: list[Any] = [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "x"}, {**good, "use": "enc"}, {**good, "d": "c2VjcmV0"}, {**good, "crv": "P-384"},
        {**good, "x": "AA"}, {**good, "x": 5}, {**good, "kid": 5}, {**good, "key_ops": ["sign"]}, weak, slow, "key", None,
    ]  # fmt: skip
    assert read_keys({"keys": [*unusable, good]}) == read_keys({"keys": [good]})
    documents: list[Any] = [None, [], {}, {"keys": {}}, {"keys": [good] * 65}]
    for document in documents:
        with pytest.raises(ValueError, match="key set"):
            read_keys(document)
    assert [key.kid for key in read_keys(KEY_SET)] == ["ec", "rsa", "ed"]


@pytest.mark.holds("SAFETY-109")
def test_t34_groups_are_a_list_a_text_or_missing() -> None:
    claims = {"groups": ["ops", 7, "dev"], "role": "ops", "realm_access": {"roles": []}, "https://x.example/groups": ["a"]}
    assert groups_at(claims, "groups") == ["ops", "dev"]
    assert groups_at(claims, "role") == ["ops"]
    assert groups_at(claims, "realm_access.roles") == []
    assert groups_at(claims, "https://x.example/groups") == ["a"]
    absent: list[tuple[dict[str, Any], str]] = [
        ({}, "groups"), ({"groups": None}, "groups"), ({"groups": {"ops": True}}, "groups"), ({"groups": True}, "groups"),
        ({"realm_access": []}, "realm_access.roles"), ({"groups": ["g"] * 1001}, "groups"),
        ({"_claim_names": {"groups": "src1"}}, "groups"), ({"groups": ["ops"], "_claim_names": {"groups": "src1"}}, "groups"),
    ]  # fmt: skip
    for found, path in absent:
        with pytest.raises(GroupsMissing):
            groups_at(found, path)


def test_a_second_factor_is_proved_by_amr_or_acr() -> None:
    token = read_id_token(GOOD, KEYS, PARTY, nonce=NONCE, now=NOW)
    assert not proves_second_factor(token._replace(methods=("pwd",)), DEFAULT_METHODS, ())
    assert not proves_second_factor(token._replace(methods=(), level=""), (), ("",))
    assert proves_second_factor(token._replace(methods=(), level="urn:two"), (), ("urn:two",))
