"""Access tokens: one form is accepted, all others are refused with the same error."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.access.access_tokens import LIFETIME_S, AccessTokens
from groundcontrol.core.errors import Unauthenticated
from tests.support.forged_tokens import CLAIMS, FORGED, GOOD, KEY, NOW

TOKENS = AccessTokens(KEY, "hub-1")


def test_the_token_behind_all_forgeries_is_valid() -> None:
    assert TOKENS.read(GOOD, NOW).session == "session"


@pytest.mark.holds("SAFETY-17", "S-13")
@pytest.mark.parametrize("token", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated):
        TOKENS.read(token, NOW)


def test_there_are_enough_forgeries() -> None:
    assert len(FORGED) >= 25


@pytest.mark.holds("SAFETY-17")
def test_a_token_holds_no_role_and_no_name() -> None:
    token, expires_at = TOKENS.issue(user="u", session="s", password_version=3, authenticated_at=NOW - 5.5, now=NOW)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))

    assert set(claims) == set(CLAIMS)
    assert TOKENS.read(token, NOW) == ("u", "s", 3, int(expires_at))
    assert expires_at == NOW + 600


def test_a_token_expires_by_the_hubs_clock() -> None:
    token, _ = TOKENS.issue(user="u", session="s", password_version=1, authenticated_at=NOW, now=NOW)

    TOKENS.read(token, NOW + LIFETIME_S + 29)
    with pytest.raises(Unauthenticated):
        TOKENS.read(token, NOW + LIFETIME_S + 31)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32"):
        AccessTokens(b"k" * 31, "hub")


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_an_invalid_token_is_refused(junk: str) -> None:
    with pytest.raises(Unauthenticated):
        TOKENS.read(junk, NOW)


@pytest.mark.holds("S-13")
@given(st.integers(0, len(GOOD) - 1), st.sampled_from("ABCxyz019_-."))
def test_a_token_with_a_changed_character_is_refused(position: int, character: str) -> None:
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    header, body, signature = GOOD.split(".")
    same = (
        changed.count(".") == 2
        and changed.split(".")[:2] == [header, body]
        and hashlib.sha256(b64decode(changed.split(".")[-1])).digest() == hashlib.sha256(b64decode(signature)).digest()
    )
    if same:  # the last character of a base64 text has spare bits
        return
    with pytest.raises(Unauthenticated):
        TOKENS.read(changed, NOW)


def b64decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
