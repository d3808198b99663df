"""The dialogue to become root, as a pure state machine over the output of sudo and the shell.

`sudo -S -k -p <prompt>` gets the password only after its random prompt was seen. The script follows only after the shell under sudo has
printed a random word. So a sudo without a prompt never reads the password as a command.

doas asks on a terminal, and its prompt cannot be chosen. A random word is printed directly before doas starts, and only a prompt after that
word counts. Before the script is sent, the terminal is set to pass bytes unchanged.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from majortom.errors import failure, one_line
from majortom.interfaces import DeployError

MAX_NOISE_BYTES: Final = 64 * 1024
"""Bytes that a log-in shell or sudo's lecture may print before the script runs."""
_STARTER: Final = 'printf "%s\\n" "$0"; exec /bin/sh -s -- "$@"'
_RECEIVER: Final = (
    'printf "%s\\n" "$0"; umask 077; folder=$1; shift; cat >"$folder/all" || exit 1; at=1; while [ $# -gt 1 ]; do'
    ' tail -c +"$at" "$folder/all" | head -c "$2" >"$folder/$1" || exit 1; at=$((at + $2)); shift 2; done;'
    ' rm -f -- "$folder/all" && printf "ok\\n"'
)
"""Reads files one after the other from standard input. SFTP would need an SFTP server and a silent log-in shell."""
_DOAS_STARTER: Final = 'printf "%s\\n" "$0"; exec doas -- /bin/sh -c "$@"'
_ON_TERMINAL: Final = 'stty raw -echo; printf "%s\\n" "$0"; size=$1; shift; head -c "$size" | /bin/sh -s -- "$@"'
_DOAS_PROMPT: Final = rb"doas \([^\n()]{1,200}\) password: ?"

RootMethod = Literal["sudo", "doas", "doas with its password"]
"""How a user becomes root."""

_REFUSALS: Final = (
    (r"(sudo|doas)\S{0,3}: (no such file|command not found|not found)", "no_sudo"),
    (r"not in the sudoers|may not run sudo|not allowed to (execute|run)", "not_in_sudoers"),
    (r"must have a tty|no tty present", "sudo_requires_tty"),
    (r"password (is |has )?expired", "password_expired"),
    (r"incorrect password|authentication fail|no password was provided|try again", "sudo_password_wrong"),
    (r"a password is required|a terminal is required", "sudo_password_required"),
)
"""sudo's message (with LC_ALL=C) -> the error code."""
_EXPIRED: Final = re.compile(r"password has expired|password change required", re.IGNORECASE)
"""Text that an sshd prints instead of running the command while a new password must be set."""
_NOLOGIN_STATUS: Final = 254
"""Exit status of an sshd without PAM while /etc/nologin exists; it prints that file first."""


class Words(NamedTuple):
    """Random words of one call, hexadecimal so that no shell and no sudo changes them."""

    prompt: str
    ready: str

    @classmethod
    def fresh(cls) -> Words:
        return cls("sd" + secrets.token_hex(16), "sd" + secrets.token_hex(16))


def command(words: Words, arguments: Sequence[str], by: RootMethod | Literal[""], size: int = 0) -> str:
    """Build the command line of one call: a shell that prints the ready word and reads the script from standard input.

    Args: size: bytes of the script, for a terminal, which has no end of file.
    """
    shell = ["/bin/sh", "-c", _STARTER, words.ready, *arguments]
    if by == "doas":
        shell = ["doas", "-n", "--", *shell]
    elif by == "doas with its password":
        shell = ["/bin/sh", "-c", _DOAS_STARTER, words.prompt, _ON_TERMINAL, words.ready, str(size), *arguments]
    elif by == "sudo":
        # %p in the prompt is the user whose password sudo needs. With targetpw that is another user.
        shell = ["sudo", "-S", "-k", "-p", f"{words.prompt} %p:", "--", *shell]
    return " ".join(shlex.quote(word) for word in ["env", "LC_ALL=C", "LANGUAGE=C", *shell])


def receiving(words: Words, folder: str, sizes: Sequence[tuple[str, int]]) -> str:
    """Build the command line that receives these files, as the log-in user."""
    parts = [part for name, size in sizes for part in (name, str(size))]
    return " ".join(shlex.quote(word) for word in ["env", "LC_ALL=C", "/bin/sh", "-c", _RECEIVER, words.ready, folder, *parts])


SudoAction = Literal["password", "script"]


class Dialogue:
    """The dialogue of one call.

    `feed_out` and `feed_err` take the arriving data and return what to send now. `output` is the script's output. `never_ready` is the
    error if the script was never sent.
    """

    def __init__(self, words: Words, user: str, by: RootMethod | Literal[""], *, has_password: bool) -> None:
        self._words = words
        self._user = user
        self._by = by
        self._begun = False
        self._has_password = has_password
        self._prompts = 0
        self._whose = user
        self._out = b""
        self._err = b""
        self.ready = False

    def feed_out(self, data: bytes) -> list[SudoAction]:
        """Take bytes of standard output.

        Raises: DeployError: a log-in shell prints without end, the server asks for another user, or doas refuses the password.
        """
        self._out += data
        if self.ready:
            return []
        mark = f"{self._words.ready}\n".encode()
        at = self._out.find(mark)
        if at < 0:
            self._refuse_another_user()
            if self._by == "doas with its password":
                return self._answer_doas()
            self._check_noise()
            return []
        self.ready = True
        self._out = self._out[at + len(mark) :]
        self._err = b""
        return ["script"]

    def feed_err(self, data: bytes) -> list[SudoAction]:
        """Take bytes of standard error.

        Raises: DeployError: a password is needed and missing, it was not accepted, or the server asks for another user.
        """
        self._err = (self._err + data)[-MAX_NOISE_BYTES:]
        if not self.ready:
            self._refuse_another_user()
        if self.ready or self._by != "sudo":
            return []
        acts: list[SudoAction] = []
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

    def _answer_doas(self) -> list[SudoAction]:
        if not self._begun:
            at = self._out.find(self._words.prompt.encode())
            if at < 0:
                self._check_noise()
                return []
            self._begun, self._out = True, self._out[at + len(self._words.prompt) :]
        if re.search(_DOAS_PROMPT, self._out):
            self._out = b""
            self._prompts += 1
            if self._prompts > 1:
                raise failure("doas_password_wrong", "become_root", user=self._user)
            return ["password"]
        self._check_noise()
        return []

    def _check_noise(self) -> None:
        if len(self._out) > MAX_NOISE_BYTES:
            raise failure("no_shell", "become_root", user=self._user, why="it prints without end")

    def _refuse_another_user(self) -> None:
        """Raise the error if the server tells the user to log in as another user, as cloud images tell root."""
        found = re.search(rb'[Pp]lease log ?in as (?:the )?(?:user )?"?([a-z_][a-z0-9_-]{0,31})"? rather than', self._out + self._err)
        if found:
            raise failure("login_as", "authenticate", user=self._user, other=found[1].decode())

    def _password_error(self, code: str) -> DeployError:
        if self._whose != self._user:
            return failure("sudo_other_password", "become_root", whose=self._whose, user=self._user)
        return failure(code, "become_root", user=self._user)

    @property
    def output(self) -> bytes:
        return self._out if self.ready else b""

    @property
    def errors(self) -> str:
        """The script's standard error."""
        return self._err.decode(errors="replace")

    def drop_output(self, size: int) -> None:
        """Drop the first `size` bytes of `output`, which were used."""
        self._out = self._out[size:]

    def never_ready(self, exit_status: int | None) -> DeployError:
        """The error of a call that ended before its script was sent."""
        text = self.errors
        if not self._by:
            return self._no_shell(text, exit_status)
        if exit_status == 127:
            return failure("no_sudo", "become_root", user=self._user)
        if self._by != "sudo":
            return self._doas_never(text or self._out.decode(errors="replace"), exit_status)
        for pattern, code in _REFUSALS:
            if re.search(pattern, text, re.IGNORECASE):
                why = one_line(text)
                return (
                    self._password_error(code) if code == "sudo_password_wrong" else failure(code, "become_root", user=self._user, why=why)
                )
        lines = [line for line in text.splitlines() if line.strip()]
        return failure("sudo_failed", "become_root", why=one_line(lines[-1]) if lines else f"exit status {exit_status}")

    def _no_shell(self, text: str, exit_status: int | None) -> DeployError:
        why = one_line(text or self._out.decode(errors="replace")) or f"exit status {exit_status}"
        if _EXPIRED.search(text):
            return failure("password_expired", "authenticate", user=self._user, why=why)
        if exit_status == _NOLOGIN_STATUS:
            return failure("account_refused", "authenticate", user=self._user, given="key or password", why=why)
        return failure("no_shell", "authenticate", user=self._user, why=why)

    def _doas_never(self, text: str, exit_status: int | None) -> DeployError:
        if re.search(r"authori[sz]ation required|authentication required|a tty is required", text, re.IGNORECASE):
            return failure("doas_password_required", "become_root", user=self._user)
        if re.search(r"authentication failed|authorization failed", text, re.IGNORECASE):
            return failure("doas_password_wrong", "become_root", user=self._user)
        lines = [line for line in text.splitlines() if line.strip()]
        return failure("doas_refused", "become_root", user=self._user, why=one_line(lines[-1]) if lines else f"exit status {exit_status}")
