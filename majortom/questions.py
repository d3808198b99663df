"""What a server asks for at the log-in: answered once with what was given, and remembered where that is not enough."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import asyncssh
from asyncssh.auth import KbdIntPrompts, PasswordChangeResponse
from asyncssh.public_key import KeyPairListArg

from majortom.base import DeployError, Secret
from majortom.errors import failure
from majortom.keys import LoadedKey

_A_PASSWORD: Final = re.compile(r"pass ?(word|wort)|mot de passe|contraseña", re.IGNORECASE)
_A_CODE: Final = re.compile(r"one[- ]?time|verification|\botp\b|token|passcode|duo", re.IGNORECASE)
_A_CHANGE: Final = re.compile(r"new password|retype|\(current\)|current password|expired|change", re.IGNORECASE)
_MAX_CHARS: Final = 120


class Questions(asyncssh.SSHClient):
    """Answers for one log-in."""

    def __init__(self, user: str, key: LoadedKey | None, password: Secret | None) -> None:
        self._user = user
        self._key = key
        self._password = password
        self._given = "key" if key else "password"
        self._key_refused = False
        self._offered = False
        self._asks = ""
        """What it asked for that was not given."""
        self._expired = False
        self._answered = ""
        self.shown = ""
        """The fingerprint of a host key that is not the confirmed one."""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002  # of the interface
        self.shown = key.get_fingerprint()
        return False

    def public_key_auth_requested(self) -> KeyPairListArg | None:
        key, self._key = self._key, None
        if key is None:
            self._key_refused = self._offered
            return None
        self._offered = True
        return [key.pair]

    def password_auth_requested(self) -> str | None:
        if self._password is None:
            if self._given == "key" and not self._key_refused:
                self._asks = self._asks or "a password"
            return None
        password, self._password = self._password, None
        return password.reveal()

    def password_change_requested(self, prompt: str, lang: str) -> PasswordChangeResponse:  # noqa: ARG002  # of the interface
        self._asks, self._expired = prompt[:_MAX_CHARS] or "a new password", True
        return NotImplemented  # type: ignore[no-any-return]  # the library's sign that passwords are not changed

    def kbdint_auth_requested(self) -> str | None:
        """A key that was refused is not followed by questions that nobody answers."""
        if self._key_refused or self._asks or (self._given == "password" and self._password is None):
            return None
        return ""

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: KbdIntPrompts) -> Sequence[str] | None:  # noqa: ARG002  # of the interface
        if not prompts:
            return []
        text = " ".join(prompt for prompt, _ in prompts)[:_MAX_CHARS]
        if len(prompts) == 1 and self._password is not None and _A_PASSWORD.search(text) and not _A_CODE.search(text):
            password, self._password, self._answered = self._password, None, text
            return [password.reveal()]
        if text == self._answered:
            return None  # it was the wrong one
        self._asks = text or "an answer without a question"
        self._expired = self._given == "password" and self._password is None and bool(_A_CHANGE.search(text))
        return None

    def denied(self) -> DeployError:
        """Why the server did not let the user in."""
        if self._expired:
            return failure("password_expired", "authenticate", user=self._user, why=self._asks)
        if not self._asks and self._given == "key" and self._offered and not self._key_refused and self._key is None:
            self._asks = "another method"
        if self._asks:
            return failure("second_factor", "authenticate", user=self._user, given=self._given, asks=self._asks)
        return failure("key_rejected" if self._given == "key" else "password_rejected", "authenticate", user=self._user)
