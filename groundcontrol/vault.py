"""The vault: one secret opens the keyring, the keyring opens every sealed record.

    secret -> bcrypt.kdf -> [0:32] wraps the key-encryption key (KEK), [32:64] tells a wrong secret from a damaged keyring
    KEK    -> HKDF: keys for tokens, audit rows, the password pepper
           -> wraps one random data key (DEK) per record version; the DEK seals that version alone

All sealed records are in the table of secrets, so that a rotation reaches them. A rotation makes a new KEK and new data keys. One sealed
record carries over the secrets that outlive the old KEK. These are the password pepper (new hashes would need the passwords) and the
earlier audit keys (old rows need them).

A sealed blob is `01 | kek_id u32 | nonce 12 | wrapped DEK 48 | nonce 12 | ciphertext and tag`. Both seals are bound to
table, record, column, version and kek_id, so a moved value does not open.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import struct
import unicodedata
from base64 import b32decode, b32encode
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import bcrypt
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from groundcontrol.core.errors import ConfigError, VaultError
from groundcontrol.core.secrets import SealedRecord
from spider.wire.ids import from_text, is_id, new_random_id, to_text

ROUNDS: Final = 200
"""Rounds of bcrypt.kdf for a new keyring."""
LEAST_ROUNDS: Final = 100
"""A keyring with fewer rounds is refused."""
FLEET_KEY: Final = ("fleet", "fleet", "key")
"""Table, record and column of the sealed fleet key."""
CARRIED: Final = ("keyring", "keyring", "carried")
"""Table, record and column of the secrets that a rotation carries over; missing before the first rotation."""

_FORMAT: Final = 1
_NONCE: Final = 12
_WRAPPED: Final = 32 + 16
_HEAD: Final = struct.Struct(">BI")
_LEAST_CHARACTERS: Final = 16
_LEAST_DISTINCT: Final = 6
_SAMPLES: Final = (
    "changeme", "change-me", "change_me", "change me", "changethis", "replaceme", "replace-me", "your-secret", "yoursecret", "your_secret",
    "my-secret", "mysecret", "secret-key", "secretkey", "supersecret", "super-secret", "notasecret", "password", "passw0rd", "letmein",
    "qwerty", "asdfgh", "zxcvbn", "1q2w3e4r", "0123456789", "123456789", "9876543210", "abcdefgh", "example", "placeholder",
    "stardust-secret", "stardustsecret", "stardust_secret", "insertsecret", "todo", "testtest", "default",
)  # fmt: skip
"""Words of copied examples, in lower case. A secret with such a word needs `_LEAST_CHARACTERS` other characters."""


class Keyring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keyring record in the database; worthless without the secret."""

    v: int
    kdf: str
    rounds: int
    salt: bytes
    check: bytes
    """By which a wrong secret is recognised."""
    kek_id: int
    nonce: bytes
    ct: bytes
    """The sealed key-encryption key."""
    fleet_id: str


class CarriedSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Secrets that outlive the key-encryption key from which they were derived."""

    pepper: bytes
    audit_keys: tuple[bytes, ...]
    """The earlier audit keys, the oldest first."""


class Recovery(NamedTuple):
    """The content of the printed key, with which a new hub takes over the fleet."""

    fleet_key: bytes
    fleet_id: str


class NewKeyring(NamedTuple):
    keyring: bytes
    fleet: SealedRecord
    """The sealed fleet key."""
    vault: Vault
    """The vault that the keyring opens to."""


class KeyringReader(Protocol):
    """The part of `core.secrets.SecretStore` that opening a keyring needs."""

    async def keyring(self) -> bytes | None: ...
    async def secret(self, table: str, record: str, column: str) -> SealedRecord | None: ...


class KeyringStore(KeyringReader, Protocol):
    """The part of the store that creating the first keyring needs."""

    async def create_keyring(self, keyring: bytes, recovery: SealedRecord) -> bytes: ...


class Vault:
    """An open keyring. Its `repr` shows nothing."""

    __slots__ = ("_fleet_key", "_kek", "_kek_id", "audit_key", "earlier_audit_keys", "fleet_id", "jwt_key", "link_key", "pepper")

    def __init__(self, kek: bytes, kek_id: int, fleet_id: str, fleet: SealedRecord, carried: SealedRecord | None = None) -> None:
        """Raises: VaultError: the fleet key, or the record that the last rotation carried over, is missing or does not open."""
        self._kek = kek
        self._kek_id = kek_id
        self.fleet_id = fleet_id
        self.jwt_key = _derive(kek, b"stardust/jwt/v1")
        self.audit_key = _derive(kek, b"stardust/audit/v1")
        self.link_key = _derive(kek, b"stardust/link/v1")
        """Makes the tokens of links in notifications."""
        self.pepper = _derive(kek, b"stardust/pepper/v1")
        if (fleet.table, fleet.id, fleet.column) != FLEET_KEY:
            raise VaultError("the fleet key is missing")
        self._fleet_key = self.open(fleet)
        self.earlier_audit_keys: tuple[bytes, ...] = ()
        """Keys that verify rows from before a rotation."""
        if kek_id > 1:
            self.pepper, self.earlier_audit_keys = self._open_carried(carried)

    def __repr__(self) -> str:
        return "Vault(***)"

    @property
    def fleet_key(self) -> bytes:
        """32 bytes; every node's keys derive from it."""
        return self._fleet_key

    @property
    def key_id(self) -> int:
        """The generation of the key-encryption key."""
        return self._kek_id

    def _open_carried(self, record: SealedRecord | None) -> tuple[bytes, tuple[bytes, ...]]:
        if record is None or (record.table, record.id, record.column) != CARRIED:
            raise VaultError("the secrets that the last rotation carried over are missing: restore a backup")
        try:
            carried = msgspec.msgpack.decode(self.open(record), type=CarriedSecret)
        except msgspec.MsgspecError:
            raise VaultError("a newer Stardust wrote the secrets that the last rotation carried over") from None
        return carried.pepper, carried.audit_keys

    def seal(self, table: str, record: str, column: str, version: int, plaintext: bytes) -> SealedRecord:
        """Seal one value for this table, record, column and version. A new value needs a new version."""
        return _seal(self._kek, self._kek_id, table, record, column, version, plaintext)

    def open(self, record: SealedRecord) -> bytes:
        """Open a sealed value.

        Raises: VaultError: the value was altered or moved, or sealed under another key.
        """
        key = f"{record.table}.{record.column} of {record.id}"
        head = _HEAD.size
        if len(record.sealed) < head + 2 * _NONCE + _WRAPPED + 16:
            raise VaultError(f"the sealed value {key} is cut off")
        form, kek_id = _HEAD.unpack_from(record.sealed)
        if form != _FORMAT or kek_id != self._kek_id:
            raise VaultError(f"the sealed value {key} was sealed under another key (format {form}, key {kek_id})")
        bound = _bound(record.table, record.id, record.column, record.version, kek_id)
        wrapped = record.sealed[head : head + _NONCE + _WRAPPED]
        sealed = record.sealed[head + _NONCE + _WRAPPED :]
        try:
            dek = AESGCM(self._kek).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], bound + b"dek")
            return AESGCM(dek).decrypt(sealed[:_NONCE], sealed[_NONCE:], bound + b"value")
        except InvalidTag:
            raise VaultError(f"the sealed value {key} does not open: it was altered or moved") from None


class Rotation:
    """The keyring of a new secret, and the records resealed for it. One transaction of the store replaces the old ones."""

    def __init__(self, old: Vault, root: bytes, salt: bytes, rounds: int) -> None:
        self._old = old
        self._root = root
        self._kek = AESGCM.generate_key(256)
        self._kek_id = old.key_id + 1
        self._plain: dict[tuple[str, str, str], bytes] = {}
        self.keyring = _keyring_of(root, salt, rounds, self._kek, self._kek_id, old.fleet_id)
        """The new keyring, which replaces the old one."""
        self.audit_key = _derive(self._kek, b"stardust/audit/v1")
        self.carried = self._seal(CARRIED, 1, msgspec.msgpack.encode(CarriedSecret(old.pepper, (*old.earlier_audit_keys, old.audit_key))))
        """The new record of carried secrets; it is not one of the resealed records."""

    def __repr__(self) -> str:
        return "Rotation(***)"

    def reseal(self, record: SealedRecord) -> SealedRecord:
        """Open a record with the old key and seal it with the new one, under its own new data key.

        Raises: VaultError: the record does not open.
        """
        return self._seal((record.table, record.id, record.column), record.version, self._old.open(record))

    def prove(self, keyring: bytes, records: Sequence[SealedRecord]) -> None:
        """Open the stored records as the next start will, and compare them with the sealed values.

        Raises: VaultError, ConfigError: a record does not open, or differs.
        """
        found = _read_keyring(keyring)
        by_key = {(record.table, record.id, record.column): record for record in records}
        if FLEET_KEY not in by_key:
            raise VaultError("the fleet key is missing from the database: restore a backup")
        vault = Vault(_unwrap(found, self._root), found.kek_id, found.fleet_id, by_key[FLEET_KEY], by_key.get(CARRIED))
        opened = {key: hashlib.sha256(vault.open(record)).digest() for key, record in by_key.items()}
        if opened != self._plain or len(by_key) != len(records):
            raise VaultError("the stored values differ from the sealed values; nothing was changed")

    def _seal(self, key: tuple[str, str, str], version: int, plaintext: bytes) -> SealedRecord:
        self._plain[key] = hashlib.sha256(plaintext).digest()
        return _seal(self._kek, self._kek_id, *key, version, plaintext)


async def prepare_rotation(old: Vault, secret: str, rounds: int = ROUNDS) -> Rotation:
    """Make the keyring of a new secret. This takes most of a second on a thread, and stores nothing.

    Raises: ConfigError: the new secret is weak, or `rounds` is less than `LEAST_ROUNDS`.
    """
    checked = _checked(secret, rounds)
    salt = os.urandom(16)
    return Rotation(old, await _root(checked, salt, rounds), salt, rounds)


def check_secret(text: str | None) -> str:
    """Check that a secret is strong enough; one newline at its end is removed.

    Returns: the secret as it is used (NFC).
    Raises:  ConfigError: one line with the error and its remedy.
    """
    make = "make one with: stardust secret new"
    if text is None or text in ("", "\n"):
        raise ConfigError(f"STARDUST_SECRET is not set; {make}")
    secret = unicodedata.normalize("NFC", text.removesuffix("\n"))
    if secret != secret.strip():
        raise ConfigError("STARDUST_SECRET begins or ends with white space; remove it")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in secret):
        raise ConfigError(f"STARDUST_SECRET contains characters that nobody can type; {make}")
    if len(secret) < _LEAST_CHARACTERS:
        raise ConfigError(f"STARDUST_SECRET has {len(secret)} of at least {_LEAST_CHARACTERS} characters; {make}")
    if len(set(secret)) < _LEAST_DISTINCT:
        raise ConfigError(f"STARDUST_SECRET has fewer than {_LEAST_DISTINCT} different characters; {make}")
    left = secret.casefold()
    for sample in _SAMPLES:
        left = left.replace(sample, "")
    if left != secret.casefold() and len(left) < _LEAST_CHARACTERS:
        raise ConfigError(f"STARDUST_SECRET is a well-known sample, or little more than one; {make}")
    return secret


async def open_vault(secret: str, store: KeyringStore, rounds: int = ROUNDS) -> Vault:
    """Open the keyring of this store; a new store gets a keyring first.

    Raises: ConfigError: the secret is weak or belongs to another store, or the keyring is missing, damaged or too weak.
            VaultError: the fleet key, or the record that a rotation carried over, is missing or does not open.
    """
    blob = await store.keyring()
    if blob is None and await store.secret(*FLEET_KEY) is not None:
        blob = await store.keyring()  # another hub that started at the same moment may have created it
        if blob is None:
            raise ConfigError("the keyring is missing from the database, which has values that it sealed; restore a backup")
    if blob is None:
        fresh = await create_keyring(secret, rounds)
        blob = await store.create_keyring(fresh.keyring, fresh.fleet)
        if blob == fresh.keyring:
            return fresh.vault
    return await _unlock_from(secret, blob, store)


async def open_existing_vault(secret: str, store: KeyringReader) -> Vault:
    """Open the keyring of this store.

    Raises: ConfigError: as `open_vault`, or there is no keyring yet; VaultError: as `open_vault`.
    """
    blob = await store.keyring()
    if blob is None:
        raise ConfigError("there is no keyring in the database yet: no hub has started on it")
    return await _unlock_from(secret, blob, store)


async def _unlock_from(secret: str, blob: bytes, store: KeyringReader) -> Vault:
    fleet, carried = await store.secret(*FLEET_KEY), await store.secret(*CARRIED)
    if fleet is None:
        raise VaultError("the fleet key is missing from the database: restore a backup")
    return await unlock(secret, blob, fleet, carried)


async def create_keyring(secret: str, rounds: int = ROUNDS, recovery: Recovery | None = None) -> NewKeyring:
    """Create a keyring with a new fleet key, or with that of a recovery key. Takes most of a second on a thread.

    Raises: ConfigError: the secret is weak, or `rounds` is less than `LEAST_ROUNDS`.
    """
    checked = _checked(secret, rounds)
    salt, kek, kek_id = os.urandom(16), AESGCM.generate_key(256), 1
    fleet_key, fleet_id = recovery or Recovery(os.urandom(32), new_random_id())
    root = await _root(checked, salt, rounds)
    fleet = _seal(kek, kek_id, *FLEET_KEY, 1, fleet_key)
    return NewKeyring(_keyring_of(root, salt, rounds, kek, kek_id, fleet_id), fleet, Vault(kek, kek_id, fleet_id, fleet))


def _checked(secret: str, rounds: int) -> str:
    if rounds < LEAST_ROUNDS:
        raise ConfigError(f"the keyring needs at least {LEAST_ROUNDS} rounds")
    return check_secret(secret)


def _keyring_of(root: bytes, salt: bytes, rounds: int, kek: bytes, kek_id: int, fleet_id: str) -> bytes:
    nonce = os.urandom(_NONCE)
    keyring = Keyring(
        v=_FORMAT,
        kdf="bcrypt-pbkdf",
        rounds=rounds,
        salt=salt,
        check=_check_of(root),
        kek_id=kek_id,
        nonce=nonce,
        ct=AESGCM(root[:32]).encrypt(nonce, kek, _bound("keyring", fleet_id, "kek", _FORMAT, kek_id)),
        fleet_id=fleet_id,
    )
    return msgspec.msgpack.encode(keyring)


async def unlock(secret: str, keyring_blob: bytes, fleet: SealedRecord, carried: SealedRecord | None = None) -> Vault:
    """Open a keyring. Takes most of a second on a thread.

    Raises: ConfigError: the secret is wrong, or the keyring is damaged or has fewer than `LEAST_ROUNDS`.
            VaultError: the fleet key, or the record that a rotation carried over, is missing or does not open.
    """
    keyring = _read_keyring(keyring_blob)
    root = await _root(check_secret(secret), keyring.salt, keyring.rounds)
    return Vault(_unwrap(keyring, root), keyring.kek_id, keyring.fleet_id, fleet, carried)


def fleet_of(keyring_blob: bytes) -> str:
    """The fleet's id. Reading it needs no secret.

    Raises: ConfigError: the keyring is damaged.
    """
    return _read_keyring(keyring_blob).fleet_id


def _read_keyring(blob: bytes) -> Keyring:
    try:
        keyring = msgspec.msgpack.decode(blob, type=Keyring)
    except (msgspec.MsgspecError, ValueError):  # a ValueError: a text is not UTF-8
        raise ConfigError("the keyring in the database is damaged: restore a backup") from None
    if keyring.v != _FORMAT or keyring.kdf != "bcrypt-pbkdf" or len(keyring.salt) != 16 or not is_id(keyring.fleet_id):
        raise ConfigError("the keyring in the database is damaged or of a newer Stardust")
    if keyring.rounds < LEAST_ROUNDS:
        raise ConfigError(f"the keyring in the database has only {keyring.rounds} rounds: it was weakened, restore a backup")
    return keyring


def _unwrap(keyring: Keyring, root: bytes) -> bytes:
    if not hmac.compare_digest(_check_of(root), keyring.check):
        raise ConfigError("the secret is not the one that this data folder was made with")
    try:
        bound = _bound("keyring", keyring.fleet_id, "kek", _FORMAT, keyring.kek_id)
        return AESGCM(root[:32]).decrypt(keyring.nonce, keyring.ct, bound)
    except (InvalidTag, ValueError, struct.error):
        raise ConfigError("the keyring in the database was altered: restore a backup") from None


def recovery_text(fleet_key: bytes, fleet_id: str) -> str:
    """The fleet key and the fleet's id as printed text: base32 in eleven groups, with a checksum."""
    plain = fleet_key + from_text(fleet_id)
    text = b32encode(plain + _checksum(plain)).decode()
    return "-".join(text[at : at + 8] for at in range(0, len(text), 8))


def parse_recovery(text: str) -> Recovery:
    """Parse the output of `recovery_text`; case, spaces and dashes do not matter.

    Raises: ValueError: the text was mistyped.
    """
    plain = "".join(c for c in text.upper() if c not in "- \t\r\n")
    try:
        raw = b32decode(plain)
    except ValueError:
        raw = b""
    if len(raw) != 55 or not hmac.compare_digest(_checksum(raw[:48]), raw[48:]):
        raise ValueError("this is not a recovery key; compare it with the print")
    return Recovery(raw[:32], to_text(raw[32:48]))


def _checksum(plain: bytes) -> bytes:
    return hashlib.sha256(plain).digest()[:7]


async def _root(secret: str, salt: bytes, rounds: int) -> bytes:
    return await asyncio.to_thread(bcrypt.kdf, secret.encode(), salt, 64, rounds)


def _check_of(root: bytes) -> bytes:
    return hmac.digest(root[32:], b"stardust/check", hashlib.sha256)


def _derive(kek: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt. Returns one block, 32 bytes."""
    return hmac.digest(hmac.digest(bytes(32), kek, hashlib.sha256), info + b"\x01", hashlib.sha256)


def _bound(table: str, record: str, column: str, version: int, kek_id: int) -> bytes:
    parts = [text.encode() for text in ("stardust", "v1", table, record, column)] + [struct.pack(">Q", version), struct.pack(">I", kek_id)]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _seal(kek: bytes, kek_id: int, table: str, record: str, column: str, version: int, plaintext: bytes) -> SealedRecord:
    bound = _bound(table, record, column, version, kek_id)
    dek, wrap_nonce, nonce = AESGCM.generate_key(256), os.urandom(_NONCE), os.urandom(_NONCE)
    wrapped = wrap_nonce + AESGCM(kek).encrypt(wrap_nonce, dek, bound + b"dek")
    sealed = nonce + AESGCM(dek).encrypt(nonce, plaintext, bound + b"value")
    return SealedRecord(table, record, column, version, _HEAD.pack(_FORMAT, kek_id) + wrapped + sealed)
