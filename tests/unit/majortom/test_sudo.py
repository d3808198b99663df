"""Becoming root: output of real sudo programs (recorded with LC_ALL=C on Debian 12, sudo 1.9.13)."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from majortom.interfaces import DeployError
from majortom.ssh.sudo import MAX_NOISE_BYTES, Dialogue, Words, command

WORDS = Words("sdprompt", "sdready")


def dialogue(*, sudo: bool = True, has_password: bool = True) -> Dialogue:
    return Dialogue(WORDS, "admin", "sudo" if sudo else "", has_password=has_password)


def code(error: DeployError) -> str:
    return error.code


@pytest.mark.holds("SAFETY-66")
def test_the_password_is_sent_only_after_the_prompt() -> None:
    talk = dialogue()
    assert talk.feed_err(b"We trust you have received the usual lecture\n") == []
    assert talk.feed_err(b"sdprompt admin:") == ["password"]
    assert talk.feed_out(b"sdready\n") == ["script"]


@pytest.mark.holds("S-56")
def test_the_password_is_not_sent_without_a_sudo_prompt() -> None:
    assert dialogue().feed_out(b"sdready\n") == ["script"]


@pytest.mark.holds("SAFETY-66")
def test_a_second_prompt_is_a_wrong_password() -> None:
    talk = dialogue()
    talk.feed_err(b"sdprompt admin:")
    with pytest.raises(DeployError) as caught:
        talk.feed_err(b"Sorry, try again.\nsdprompt admin:")
    assert code(caught.value) == "sudo_password_wrong"


def test_a_prompt_without_a_password_ends_the_dialogue() -> None:
    with pytest.raises(DeployError) as caught:
        dialogue(has_password=False).feed_err(b"sdprompt admin:")
    assert code(caught.value) == "sudo_password_required"


def test_targetpw_is_reported() -> None:
    talk = dialogue()
    talk.feed_err(b"sdprompt root:")
    with pytest.raises(DeployError) as caught:
        talk.feed_err(b"Sorry, try again.\nsdprompt root:")
    assert code(caught.value) == "sudo_other_password"
    assert "root" in caught.value.message


def test_the_prompt_of_sudo_rs_is_recognised() -> None:
    assert dialogue().feed_err(b"[sudo: sdprompt admin:] Password: ") == ["password"]


@pytest.mark.parametrize(
    ("said", "status", "expected"),
    [
        (b"env: 'sudo': No such file or directory\n", 127, "no_sudo"),
        (b"admin is not in the sudoers file.\n", 1, "not_in_sudoers"),
        (b"Sorry, user admin is not allowed to execute '/bin/sh' as root on node2.\n", 1, "not_in_sudoers"),
        (b"Sorry, user admin may not run sudo on node2.\n", 1, "not_in_sudoers"),
        (b"sudo: sorry, you must have a tty to run sudo\n", 1, "sudo_requires_tty"),
        (b"sudo: a password is required\n", 1, "sudo_password_required"),
        (b"sudo: Account or password is expired, reset your password and try again\n", 1, "password_expired"),
        (b"sudo: 1 incorrect password attempt\n", 1, "sudo_password_wrong"),
        (b"sudo: /etc/sudoers is world writable\nsudo: no valid sudoers sources found, quitting\n", 1, "sudo_failed"),
        (b"", 1, "sudo_failed"),
    ],
)
def test_refusals_of_sudo_map_to_error_codes(said: bytes, status: int, expected: str) -> None:
    talk = dialogue()
    talk.feed_err(said)
    assert code(talk.never_ready(status)) == expected


def test_an_account_without_a_shell_is_named() -> None:
    talk = dialogue(sudo=False)
    talk.feed_out(b"This account is currently not available.\n")
    assert code(talk.never_ready(1)) == "no_shell"
    assert "not available" in talk.never_ready(1).message


@pytest.mark.parametrize(
    ("said", "status", "expected"),
    [
        (b"WARNING: Your password has expired.\nPassword change required but no TTY available.\n", 1, "password_expired"),
        (b"down for work\n", 254, "account_refused"),
    ],
)
def test_refusals_of_a_log_in_map_to_error_codes(said: bytes, status: int, expected: str) -> None:
    """As the sshd of Debian 12 says it in the place of a command."""
    talk = dialogue(sudo=False)
    talk.feed_err(said)
    assert code(talk.never_ready(status)) == expected
    assert said.decode().splitlines()[0] in talk.never_ready(status).message


def test_a_shell_with_endless_output_is_stopped() -> None:
    with pytest.raises(DeployError):
        dialogue(sudo=False).feed_out(b"x" * (MAX_NOISE_BYTES + 1))


def test_output_of_the_log_in_shell_is_discarded() -> None:
    talk = dialogue(sudo=False)
    assert talk.feed_out(b"welcome to this server\nsdready\nuid 0\n") == ["script"]
    assert talk.output == b"uid 0\n"


@given(st.lists(st.integers(1, 12), max_size=40))
def test_any_split_of_the_bytes_gives_the_same_actions(cuts: list[int]) -> None:
    talk, acts = dialogue(), []
    err, out = b"lecture\nsdprompt admin:", b"noise\nsdready\nok\n"
    for stream, feed in ((err, talk.feed_err), (out, talk.feed_out)):
        at = 0
        for size in [*cuts, len(stream)]:
            acts += feed(stream[at : at + size]) if stream[at : at + size] else []
            at += size
    assert acts == ["password", "script"]
    assert talk.output == b"ok\n"


@pytest.mark.holds("SAFETY-66", "S-56")
@given(st.binary(max_size=200))
def test_only_the_sudo_prompt_releases_the_password(noise: bytes) -> None:
    if WORDS.prompt.encode() not in noise:
        assert dialogue().feed_err(noise) == []


HOSTILE = ["a b'; touch /tmp/pwn; $(id)", "`id`", "$HOME", "\\", '"', "*", "-n", "", "a\nb", "ü€", "!x", "%p", "~root"]


@pytest.mark.holds("SAFETY-65", "S-51")
@pytest.mark.parametrize("argument", HOSTILE)
def test_hostile_arguments_arrive_unchanged(argument: str) -> None:
    line = command(WORDS, ["one", argument, "three"], "")
    done = subprocess.run(["/bin/sh", "-c", line], input=b'for a in "$@"; do printf "<%s>" "$a"; done', capture_output=True, check=True)
    assert done.stdout == b"sdready\n" + f"<one><{argument}><three>".encode()


def test_the_markers_are_random_and_alphanumeric() -> None:
    first, second = Words.fresh(), Words.fresh()
    assert first != second
    assert all(word.isalnum() and len(word) == 34 for word in (*first, *second))


def test_sudo_gets_neither_password_nor_script_in_its_arguments() -> None:
    words = shlex.split(command(WORDS, ["install"], "sudo"))
    assert words[:8] == ["env", "LC_ALL=C", "LANGUAGE=C", "sudo", "-S", "-k", "-p", "sdprompt %p:"]
    assert words[-1] == "install"
