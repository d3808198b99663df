"""Private keys that users give. Their size and cost are checked first. Then they are opened in a separate process."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import json
import re
import secrets
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

import asyncssh

from majortom.errors import failure
from majortom.interfaces import DeployError, Secret

MAX_KEY_BYTES: Final = 16 * 1024
MAX_KDF_ROUNDS: Final = 512
PARSE_LIMIT_S: Final = 10.0
_READER = Path(__file__).with_name("key_process.py")
_MAGIC = b"openssh-key-v1\0"
_OPENSSH = re.compile(r"-----BEGIN OPENSSH PRIVATE KEY-----(.*?)-----END OPENSSH PRIVATE KEY-----", re.DOTALL)
_PEM = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----.*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----", re.DOTALL)
_PUBLIC = re.compile(r"\s*(ssh-(rsa|ed25519|dss)|ecdsa-sha2-\S+|sk-\S+) AAAA|.*-----BEGIN (RSA |SSH2 )?PUBLIC KEY", re.DOTALL)


class KeyHeader(NamedTuple):
    """The header of a key file, known before any computation."""

    openssh: bool
    encrypted: bool
    rounds: int
    """Rounds of bcrypt; 0: none, or another format."""


class LoadedKey(NamedTuple):
    """An opened private key."""

    key: asyncssh.SSHKey
    type: str
    bits: int
    fingerprint: str
    warning: str
    """A warning for people in one sentence, or empty."""
    certificate: asyncssh.SSHCertificate | None = None


class NewKey(NamedTuple):
    """A new key pair."""

    private: Secret
    """OpenSSH format, without a passphrase."""
    public: str
    """The OpenSSH line, without comment."""
    fingerprint: str


def new_key() -> NewKey:
    """Make an Ed25519 key. This takes less than a millisecond."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    return NewKey(Secret(key.export_private_key().decode()), key.export_public_key().decode().strip(), key.get_fingerprint())


def read_header(text: str) -> KeyHeader:
    """Read the header of a key file, in microseconds and without the passphrase.

    Raises: DeployError: too large, no private key, or more rounds of key derivation than allowed.
    """
    if len(text.encode(errors="replace")) > MAX_KEY_BYTES:
        raise failure("key_too_large", "authenticate", limit=MAX_KEY_BYTES)
    found = _OPENSSH.search(text)
    if found:
        try:
            return _openssh_header(base64.b64decode("".join(found[1].split()), validate=True))
        except (binascii.Error, struct.error, ValueError):
            raise failure("key_unreadable", "authenticate") from None
    if "PuTTY-User-Key-File-" in text:
        raise failure("key_putty", "authenticate")
    if _PEM.search(text):
        encrypted = "BEGIN ENCRYPTED PRIVATE KEY" in text or "Proc-Type: 4,ENCRYPTED" in text
        return KeyHeader(openssh=False, encrypted=encrypted, rounds=0)
    raise failure("key_is_public" if _PUBLIC.match(text) else "key_unreadable", "authenticate")


def _openssh_header(blob: bytes) -> KeyHeader:
    if not blob.startswith(_MAGIC):
        raise ValueError("not an OpenSSH key")
    at = len(_MAGIC)
    fields = []
    for _ in range(3):
        (size,) = struct.unpack_from(">I", blob, at)
        fields.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    cipher, kdf, options = fields
    kind = _public_type(blob[at:])
    if kind.startswith("sk-"):
        raise failure("key_hardware", "authenticate")
    if kdf == b"none":
        return KeyHeader(openssh=True, encrypted=cipher != b"none", rounds=0)
    if kdf != b"bcrypt":
        raise ValueError("unknown key derivation")
    (salt_size,) = struct.unpack_from(">I", options, 0)
    (rounds,) = struct.unpack_from(">I", options, 4 + salt_size)
    if rounds > MAX_KDF_ROUNDS:
        raise failure("key_kdf_rounds", "authenticate", rounds=rounds, limit=MAX_KDF_ROUNDS)
    return KeyHeader(openssh=True, encrypted=True, rounds=rounds)


def _public_type(rest: bytes) -> str:
    """The type of the first public key, which follows the number of keys."""
    (size,) = struct.unpack_from(">I", rest, 8)
    return rest[12 : 12 + min(size, 64)].decode("ascii", "replace")


async def load_key(text: Secret, passphrase: Secret | None, limit_s: float = PARSE_LIMIT_S) -> LoadedKey:
    """Open a private key in a separate process, which is killed after `limit_s`.

    Key and passphrase go to the process through a pipe. The process returns the key without a passphrase.
    Raises: DeployError: any `key_…` code of `errors.py`.
    """
    header = read_header(text.reveal())
    if header.encrypted and passphrase is None:
        raise failure("key_encrypted", "authenticate")
    question = {
        "key": text.reveal(),
        "passphrase": passphrase.reveal() if passphrase and header.encrypted else None,
        "openssh": header.openssh,
    }
    answer = await _query_reader(json.dumps(question).encode(), limit_s)
    if "error" in answer:
        raise _refusal(str(answer["error"]), header, str(answer.get("type", "")))
    bits, kind = int(str(answer["bits"])), str(answer["type"])
    if kind == "RSA" and bits < 2048:
        raise failure("key_weak", "authenticate", bits=bits)
    try:
        key = asyncssh.import_private_key(str(answer["private"]))
    except (asyncssh.KeyImportError, ValueError):
        raise failure("key_unreadable", "authenticate") from None
    warning = f"The private key is RSA with {bits} bits; 3072 are advised." if kind == "RSA" and bits < 3072 else ""
    return LoadedKey(key, kind, bits, key.get_fingerprint(), warning)


class _Opening:
    def __init__(self, task: asyncio.Task[LoadedKey]) -> None:
        self.task = task
        self.users = 0


class OpenKeys:
    """Keys that deployments use now. A key that many deployments use is opened once, because its process and key derivation are expensive."""

    def __init__(self) -> None:
        self._open: dict[bytes, _Opening] = {}
        self._salt = secrets.token_bytes(32)

    @contextlib.asynccontextmanager
    async def opened(self, text: Secret, passphrase: Secret | None) -> AsyncIterator[LoadedKey]:
        """As `load_key`, but all users of the same key and passphrase share the result. It is dropped when the last user is done.

        Raises: DeployError.
        """
        request_text = json.dumps([text.reveal(), None if passphrase is None else passphrase.reveal()])
        name = hashlib.sha256(self._salt + request_text.encode("utf-8", "surrogatepass")).digest()
        opening = self._open.get(name)
        if opening is None or (opening.task.done() and (opening.task.cancelled() or opening.task.exception() is not None)):
            opening = self._open[name] = _Opening(asyncio.create_task(load_key(text, passphrase), name="open-key"))
        opening.users += 1
        try:
            yield await asyncio.shield(opening.task)
        finally:
            opening.users -= 1
            if not opening.users:
                if self._open.get(name) is opening:
                    del self._open[name]
                opening.task.cancel()
                await asyncio.wait({opening.task})
                if not opening.task.cancelled():
                    opening.task.exception()  # read it, so that asyncio does not warn: every caller that waited was cancelled


def with_certificate(key: LoadedKey, line: str) -> LoadedKey:
    """Add the certificate of a key.

    Raises: DeployError: the text is no certificate, or the certificate is for a host, for another key, or not valid now.
    """
    if len(line.encode(errors="replace")) > MAX_KEY_BYTES:
        raise failure("certificate_unreadable", "authenticate")
    try:
        found = asyncssh.import_certificate(line.strip())
    except (asyncssh.KeyImportError, ValueError):
        raise failure("certificate_unreadable", "authenticate") from None
    if not isinstance(found, asyncssh.public_key.SSHOpenSSHCertificate) or found.key.public_data != key.key.public_data:
        raise failure("certificate_unreadable", "authenticate")
    try:
        found.validate(asyncssh.public_key.CERT_TYPE_USER, None)
    except ValueError as exc:
        raise failure("certificate_invalid", "authenticate", why=str(exc)) from None
    return key._replace(certificate=found)


def _refusal(error: str, header: KeyHeader, kind: str) -> DeployError:
    if error == "wrong" and header.encrypted:
        return failure("key_passphrase_wrong", "authenticate")
    if error == "type":
        return failure("key_type", "authenticate", type=kind or "this")
    return failure("key_unreadable", "authenticate")


async def _query_reader(question: bytes, limit_s: float) -> dict[str, object]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-B", str(_READER),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={"LC_ALL": "C.UTF-8"}, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(limit_s):
            out, _ = await process.communicate(question)
    except TimeoutError:
        raise failure("key_too_slow", "authenticate", seconds=f"{limit_s:g}") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    try:
        answer = json.loads(out)
    except ValueError:
        return {"error": "crashed"}
    return answer if isinstance(answer, dict) else {"error": "crashed"}
