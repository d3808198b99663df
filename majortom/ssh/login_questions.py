"""Answers the questions of a server during the log-in, each once. It records them, so that an error can name the missing credential."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import asyncssh
from asyncssh.auth import KbdIntPrompts, PasswordChangeResponse
from asyncssh.public_key import KeyPairListArg, SSHLocalKeyPair

from majortom.errors import failure
from majortom.interfaces import DeployError, Secret
from majortom.ssh.private_keys import LoadedKey

_A_PASSWORD: Final = re.compile(r"pass ?(word|wort)|mot de passe|contraseña", re.IGNORECASE)
_A_CODE: Final = re.compile(r"one[- ]?time|verification|\botp\b|token|passcode|duo", re.IGNORECASE)
_A_CHANGE: Final = re.compile(r"new password|retype|\(current\)|current password|expired|change", re.IGNORECASE)
_MAX_CHARS: Final = 120
_TOO_MANY: Final = re.compile(r"too many authentication failures", re.IGNORECASE)
"""OpenSSH's text for the end of the connection after a wrong key or password, if MaxAuthTries allows no further attempt."""
_SETTINGS: Final = {"key": "PubkeyAuthentication, AuthenticationMethods", "password": "PasswordAuthentication, AuthenticationMethods"}


class _Signing(SSHLocalKeyPair):
    """A key that reports its signatures. A server requests a signature only if it accepts the key."""

    def __init__(self, key: asyncssh.SSHKey, certificate: asyncssh.SSHCertificate | None, report: Callable[[], None]) -> None:
        super().__init__(key, None, certificate, None)
        self._report = report

    def sign(self, data: bytes) -> bytes:
        self._report()
        return super().sign(data)


def limits_of(certificate: asyncssh.SSHCertificate) -> str:
    """For whom, and from which addresses, a user certificate is valid, for people."""
    principals = ", ".join(getattr(certificate, "principals", ())) or "every user"
    sources = getattr(certificate, "options", {}).get("source-address", ())
    return f"valid for {principals}" + (f" from {', '.join(str(one) for one in sources)}" if sources else "")


class Questions(asyncssh.SSHClient):
    """The answers for one log-in."""

    def __init__(self, user: str, key: LoadedKey | None, password: Secret | None) -> None:
        self._user = user
        self._key = key
        self._password = password
        self._given = "key" if key else "password"
        self._offered = False
        self._key_accepted = False
        """The server has requested a signature."""
        self._key_refused = False
        self._sent_by = ""
        """The method that carried the password."""
        self._unanswered = ""
        """`key` or `password`: the credential that was sent last, until the server continues. Empty: none."""
        self._password_accepted = False
        """The server has offered only other methods after the password, so the password is right."""
        self._connection: asyncssh.SSHClientConnection | None = None
        self._question = ""
        """A credential that the server asked for and the user did not give."""
        self._expired = False
        """The server asked for a new password, since the old one has expired."""
        self._answered = ""
        """The question that the password answered."""
        self._server_text = ""
        """The last text for people that the server sent after the key or the password."""
        self.shown = ""
        """The fingerprint of a host key that differs from the confirmed one."""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002  # of the interface
        self.shown = key.get_fingerprint()
        return False

    def auth_banner_received(self, msg: str, lang: str) -> None:  # noqa: ARG002  # of the interface
        """Keep only a text that follows a credential. A general banner arrives earlier."""
        if self._unanswered:
            self._server_text = msg

    def _next(self) -> None:
        """Record that the server continues. After a wrong password it offers the same method again, among others."""
        if self._unanswered == "password" and self._connection is not None:
            self._password_accepted = self._sent_by not in self._connection.get_server_auth_methods()
        self._unanswered = ""

    def public_key_auth_requested(self) -> KeyPairListArg | None:
        self._next()
        key, self._key = self._key, None
        if key is None:
            self._key_refused = self._offered and not self._key_accepted
            return None
        self._offered = True
        certificates = [key.certificate, None] if key.certificate else [None]
        return [_Signing(key.key, certificate, self._signs) for certificate in certificates]

    def _signs(self) -> None:
        self._key_accepted, self._unanswered = True, "key"

    def password_auth_requested(self) -> str | None:
        self._next()
        if self._password is None:
            if self._given == "key" and not self._key_refused and not self._sent_by:
                self._question = self._question or "a password"
            return None
        return self._reveal(self._password, "password")

    def _reveal(self, password: Secret, method: str) -> str:
        self._password, self._sent_by, self._unanswered = None, method, "password"
        return password.reveal()

    def password_change_requested(self, prompt: str, lang: str) -> PasswordChangeResponse:  # noqa: ARG002  # of the interface
        self._question, self._expired = prompt[:_MAX_CHARS] or "a new password", True
        return NotImplemented  # type: ignore[no-any-return]  # the library's sign that passwords are not changed

    def kbdint_auth_requested(self) -> str | None:
        """Decline questions after a refused key, or without a password to answer them."""
        self._next()
        if self._key_refused or self._question or (self._given == "password" and self._password is None and not self._password_accepted):
            return None
        return ""

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: KbdIntPrompts) -> Sequence[str] | None:  # noqa: ARG002  # of the interface
        if self._unanswered and instructions.strip():
            self._server_text = instructions
        if not prompts:
            return []
        self._unanswered = ""
        text = " ".join(prompt for prompt, _ in prompts)[:_MAX_CHARS]
        if len(prompts) == 1 and self._password is not None and _A_PASSWORD.search(text) and not _A_CODE.search(text):
            self._answered = text
            return [self._reveal(self._password, "keyboard-interactive")]
        if text == self._answered:
            return None  # the password was wrong
        self._question = text or "an answer without a question"
        self._expired = self._given == "password" and self._password is None and bool(_A_CHANGE.search(text))
        return None

    def broken_off(self, why: str) -> DeployError | None:
        """The error if a server closes the connection during the log-in. None: the log-in is not the cause.

        Args: why: the error text of the server or of the library.
        """
        if _TOO_MANY.search(why) and (self._offered or self._sent_by):
            self._unanswered = ""
            return self.denied()
        return self._account_refused(why) if self._unanswered else None

    def _account_refused(self, why: str) -> DeployError:
        given = "password" if self._sent_by else "key"
        return failure("account_refused", "authenticate", user=self._user, given=given, why=self._server_text or why)

    def _key_refused_by_server(self) -> DeployError:
        certificate = None if self._key is None else self._key.certificate
        if certificate is not None:
            return failure("certificate_rejected", "authenticate", user=self._user, limits=limits_of(certificate))
        return failure("key_rejected", "authenticate", user=self._user)

    def denied(self) -> DeployError:
        """The error for a refused log-in."""
        if self._expired:
            return failure("password_expired", "authenticate", user=self._user, why=self._question)
        accepted = self._password_accepted or self._unanswered == "password" or (self._key_accepted and not self._sent_by)
        if self._server_text and not self._question:
            return self._account_refused(self._server_text)
        if self._question or accepted:
            return failure("second_factor", "authenticate", user=self._user, given=self._given, asks=self._question or "another method")
        if self._sent_by and (self._key_accepted or not self._offered):
            return failure("password_rejected", "authenticate", user=self._user)
        if self._offered:
            return self._key_refused_by_server()
        return failure("method_off", "authenticate", user=self._user, given=self._given, setting=_SETTINGS[self._given])
