"""Servers that ask for more after a right answer: what they ask for is said, and no secret answers another question."""

from __future__ import annotations

import pytest

from majortom.base import Secret
from majortom.questions import Questions


@pytest.mark.parametrize(
    ("prompts", "code", "says"),
    [
        (["Password: "], "password_rejected", ""),
        (["Password: ", "Password: "], "password_rejected", ""),
        (["Password: ", "Verification code: "], "second_factor", "more than the password (Verification code:)"),
        (["One-time password (OATH) for `root': "], "second_factor", "(One-time password (OATH) for `root':)"),
        (["Duo two-factor login for root\n\nPasscode or option (1-2): "], "second_factor", "Duo two-factor login for root Passcode"),
        (["Password: ", "(current) UNIX password: "], "password_expired", "((current) UNIX password:)"),
        (["Passwort: ", "New password: "], "password_expired", "(New password:)"),
    ],
)
def test_a_password_answers_one_question_for_it_and_no_other(prompts: list[str], code: str, says: str) -> None:
    questions = Questions("root", None, Secret("canary"))
    assert questions.kbdint_auth_requested() == ""
    answers = [questions.kbdint_challenge_received("", "", "", [(prompt, False)]) for prompt in prompts]
    error = questions.denied()
    assert (error.code, error.step) == (code, "authenticate")
    assert says in error.message
    assert answers.count(["canary"]) <= 1
    assert "canary" not in error.message


def test_a_password_that_is_to_be_changed_has_expired() -> None:
    questions = Questions("root", None, Secret("canary"))
    assert questions.password_auth_requested() == "canary"
    questions.password_change_requested("Your password has expired.", "")
    assert questions.denied().code == "password_expired"
