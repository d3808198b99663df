"""Codes of an authenticator app, and recovery codes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.access import second_factor, totp
from tests.support.some import some

RFC_SEED = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"), (2000000000, "69279037"), (20000000000, "65353130")],
)  # fmt: skip
def test_the_examples_of_rfc_6238(at: int, code: str) -> None:
    assert totp.code_of(RFC_SEED, at // 30) == code[-6:]


def test_one_step_before_and_after_count_too() -> None:
    seed, now = totp.new_seed(), 1_790_000_010.0
    step = int(now // 30)

    found = {offset: totp.step_of(seed, totp.code_of(seed, step + offset), now) for offset in (-2, -1, 0, 1, 2)}

    assert found == {-2: None, -1: step - 1, 0: step, 1: step + 1, 2: None}


def test_spaces_in_a_code_do_not_matter() -> None:
    code = totp.code_of(RFC_SEED, 1)

    assert totp.step_of(RFC_SEED, f" {code[:3]} {code[3:]}", 30.0) == 1


@given(st.text(max_size=40))
def test_only_a_valid_code_has_a_time_step(text: str) -> None:
    codes = {totp.code_of(RFC_SEED, step) for step in (0, 1, 2)}

    assert (totp.step_of(RFC_SEED, text, 30.0) is not None) == (text.replace(" ", "") in codes)


def test_a_seed_has_160_bits_and_the_address_says_all_that_an_app_needs() -> None:
    seed = totp.new_seed()

    assert len(seed) == 20
    assert re.fullmatch("[A-Z2-7]{32}", totp.seed_text(seed))
    assert totp.uri(seed, "a b@c") == (
        f"otpauth://totp/Stardust%3Aa%20b%40c?secret={totp.seed_text(seed)}&issuer=Stardust&algorithm=SHA1&digits=6&period=30"
    )


def test_recovery_codes_are_ten_and_never_alike() -> None:
    codes = second_factor.new_codes()

    assert len(set(codes)) == 10
    assert all(re.fullmatch("[A-Z2-7]{4}(-[A-Z2-7]{4}){3}", code) for code in codes)


def test_a_recovery_code_is_bound_to_its_user_and_to_the_pepper() -> None:
    code = second_factor.new_codes()[0]
    mine = some(second_factor.code_hash(b"p" * 32, "me", code))

    assert mine == second_factor.code_hash(b"p" * 32, "me", f" {code.lower().replace('-', ' ')} ")
    assert mine != second_factor.code_hash(b"p" * 32, "you", code)
    assert mine != second_factor.code_hash(b"q" * 32, "me", code)


@pytest.mark.parametrize("text", ["", "123456", "A" * 15, "A" * 17, "0" * 16, "é" * 16, "A" * 1000])
def test_text_without_the_form_of_a_recovery_code_has_no_hash(text: str) -> None:
    assert second_factor.code_hash(b"p" * 32, "me", text) is None
