"""Becoming root: what is sent when, as a pure state machine over what sudo and the shell print.

`sudo -S -k -p <prompt>` gets the password only after its random prompt was seen, and the script goes out only after the shell
that sudo started printed a random word. So a sudo that asks for nothing never reads the password as a command.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from majortom.base import DeployError
from majortom.errors import failure, one_line

MAX_NOISE_BYTES: Final = 64 * 1024
"""What a log-in shell or sudo's lecture may print before the script runs."""
_STARTER: Final = 'printf "%s\\n" "$0"; exec /bin/sh -s -- "$@"'

_REFUSALS: Final = (
    (r"sudo\S{0,3}: (no such file|command not found|not found)", "no_sudo"),
    (r"not in the sudoers|may not run sudo|not allowed to (execute|run)", "not_in_sudoers"),
    (r"must have a tty|no tty present", "sudo_requires_tty"),
    (r"incorrect password|authentication fail|no password was provided|try again", "sudo_password_wrong"),
    (r"a password is required|a terminal is required", "sudo_password_required"),
)
"""What sudo prints (with LC_ALL=C) -> the code."""


class Words(NamedTuple):
    """Random words of one call; hexadecimal, so that no shell and no sudo changes them."""

    prompt: str
    ready: str

    @classmethod
    def fresh(cls) -> Words:
        return cls("sd" + secrets.token_hex(16), "sd" + secrets.token_hex(16))


def command(words: Words, arguments: Sequence[str], *, sudo: bool) -> str:
    """Build the command line of one call: a shell that prints the ready word and takes the script from standard input."""
    shell = ["/bin/sh", "-c", _STARTER, words.ready, *arguments]
    if sudo:
        # %p in the prompt is the user whose password is wanted: it tells targetpw from a wrong password.
        shell = ["sudo", "-S", "-k", "-p", f"{words.prompt} %p:", "--", *shell]
    return " ".join(shlex.quote(word) for word in ["env", "LC_ALL=C", "LANGUAGE=C", *shell])


Act = Literal["password", "script"]


class Dialogue:
    """One call: feed it what arrives, do what it says.

    `feed_out` and `feed_err` return what to send now; `output` is what the script printed; `ended` gives the error, if the
    script was never begun.
    """

    def __init__(self, words: Words, user: str, *, sudo: bool, has_password: bool) -> None:
        self._words = words
        self._user = user
        self._sudo = sudo
        self._has_password = has_password
        self._prompts = 0
        self._whose = user
        self._out = b""
        self._err = b""
        self.ready = False

    def feed_out(self, data: bytes) -> list[Act]:
        """Take bytes of standard output.

        Raises: DeployError: a log-in shell that never stops talking.
        """
        self._out += data
        if self.ready:
            return []
        mark = f"{self._words.ready}\n".encode()
        at = self._out.find(mark)
        if at < 0:
            if len(self._out) > MAX_NOISE_BYTES:
                raise failure("no_shell", "become_root", user=self._user, why="it prints without end")
            return []
        self.ready = True
        self._out = self._out[at + len(mark) :]
        self._err = b""
        return ["script"]

    def feed_err(self, data: bytes) -> list[Act]:
        """Take bytes of standard error.

        Raises: DeployError: a password is wanted and there is none, or it was not accepted.
        """
        self._err = (self._err + data)[-MAX_NOISE_BYTES:]
        if self.ready or not self._sudo:
            return []
        acts: list[Act] = []
        while found := re.search(rb"%s ([^:\n]*):" % self._words.prompt.encode(), self._err):
            self._err = self._err[: found.start()] + self._err[found.end() :]
            self._prompts += 1
            whose = found[1].decode(errors="replace").strip()
            if whose and re.fullmatch(r"[A-Za-z0-9_.@\\-]{1,64}", whose):
                self._whose = whose
            if not self._has_password:
                raise self._password_error("sudo_password_required")
            if self._prompts > 1:
                raise self._password_error("sudo_password_wrong")
            acts.append("password")
        return acts

    def _password_error(self, code: str) -> DeployError:
        if self._whose != self._user:
            return failure("sudo_other_password", "become_root", whose=self._whose, user=self._user)
        return failure(code, "become_root", user=self._user)

    @property
    def output(self) -> bytes:
        return self._out if self.ready else b""

    @property
    def errors(self) -> str:
        """What the script printed on standard error."""
        return self._err.decode(errors="replace")

    def drop_output(self, size: int) -> None:
        """Forget the first `size` bytes of `output`: they were used."""
        self._out = self._out[size:]

    def never_ready(self, exit_status: int | None) -> DeployError:
        """Say why the call ended before its script could be sent."""
        text = self.errors
        if not self._sudo:
            why = one_line(text or self._out.decode(errors="replace")) or f"exit status {exit_status}"
            return failure("no_shell", "authenticate", user=self._user, why=why)
        if exit_status == 127:
            return failure("no_sudo", "become_root", user=self._user)
        for pattern, code in _REFUSALS:
            if re.search(pattern, text, re.IGNORECASE):
                return self._password_error(code) if code == "sudo_password_wrong" else failure(code, "become_root", user=self._user)
        lines = [line for line in text.splitlines() if line.strip()]
        return failure("sudo_failed", "become_root", why=one_line(lines[-1]) if lines else f"exit status {exit_status}")
