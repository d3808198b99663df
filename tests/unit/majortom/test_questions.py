"""Servers that ask for more after a correct password: their request is reported, and no secret answers another prompt."""

from __future__ import annotations

from typing import cast

import asyncssh
import pytest

from majortom.interfaces import Secret
from majortom.ssh.login_questions import Questions
from majortom.ssh.private_keys import LoadedKey, load_key


class Going:
    """A connection whose server offers these methods next."""

    def __init__(self, *methods: str) -> None:
        self._methods = methods

    def get_server_auth_methods(self) -> list[str]:
        return list(self._methods)


def offering(*methods: str) -> Questions:
    """Questions to a server that takes a password and then offers these methods."""
    questions = Questions("root", None, Secret("canary"))
    questions.connection_made(cast("asyncssh.SSHClientConnection", Going(*methods)))
    assert questions.password_auth_requested() == "canary"
    return questions


async def new_key() -> LoadedKey:
    return await load_key(Secret(asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()), None)


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
def test_a_password_answers_only_one_password_prompt(prompts: list[str], code: str, says: str) -> None:
    questions = Questions("root", None, Secret("canary"))
    assert questions.kbdint_auth_requested() == ""
    answers = [questions.kbdint_challenge_received("", "", "", [(prompt, False)]) for prompt in prompts]
    assert questions.kbdint_auth_requested() is None
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


async def test_a_server_that_accepts_the_key_and_requires_more_is_reported() -> None:
    questions = Questions("root", await new_key(), None)
    offered = questions.public_key_auth_requested()
    assert isinstance(offered, list)
    assert isinstance(offered[0], asyncssh.SSHKeyPair)
    offered[0].sign(b"what the server asks to sign")
    assert questions.public_key_auth_requested() is None
    error = questions.denied()
    assert error.code == "second_factor"
    assert "more than the key (another method)" in error.message


async def test_a_wrong_password_after_an_accepted_key_is_reported() -> None:
    questions = Questions("root", await new_key(), Secret("canary"))
    offered = questions.public_key_auth_requested()
    assert isinstance(offered, list)
    assert isinstance(offered[0], asyncssh.SSHKeyPair)
    offered[0].sign(b"what the server asks to sign")
    assert questions.password_auth_requested() == "canary"
    assert questions.password_auth_requested() is None
    assert questions.denied().code == "password_rejected"


def test_a_server_that_requires_more_than_the_password_is_reported() -> None:
    questions = offering("keyboard-interactive")
    assert questions.kbdint_auth_requested() == ""
    assert questions.kbdint_challenge_received("", "", "", [("Verification code: ", False)]) is None
    assert "more than the password (Verification code:)" in questions.denied().message


def test_a_wrong_password_is_offered_the_same_method_again() -> None:
    questions = offering("keyboard-interactive", "password")
    assert questions.kbdint_auth_requested() is None
    assert questions.password_auth_requested() is None
    assert questions.denied().code == "password_rejected"


def test_an_unknown_method_after_the_password_is_reported() -> None:
    assert offering().denied().code == "second_factor"


def test_a_refusal_text_of_pam_is_quoted() -> None:
    """As an OpenSSH 9.2 did that asks by keyboard-interactive for the password of an account that has expired."""
    questions = Questions("root", None, Secret("canary"))
    assert questions.kbdint_auth_requested() == ""
    assert questions.kbdint_challenge_received("", "", "", [("Password: ", False)]) == ["canary"]
    said = "Your account has expired; please contact your system administrator.\n"
    assert questions.kbdint_challenge_received("", said, "", []) == []
    assert questions.kbdint_auth_requested() is None
    error = questions.denied()
    assert error.code == "account_refused"
    assert f"({said.strip()})" in error.message


async def test_a_refused_certificate_names_whom_and_from_where_it_lets_in() -> None:
    authority, key = asyncssh.generate_private_key("ssh-ed25519"), await new_key()
    signed = authority.generate_user_certificate(
        key.key.convert_to_public(), "id", principals=["deploy", "ops"], source_address=["192.0.2.0/24"]
    )
    questions = Questions("root", key._replace(certificate=signed), None)
    questions._offered = True
    error = questions.denied()
    assert error.code == "certificate_rejected"
    assert "valid for deploy, ops from 192.0.2.0/24" in error.message
    assert "authorized_keys" not in error.message
