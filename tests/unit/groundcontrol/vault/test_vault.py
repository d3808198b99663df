"""The vault: one secret, one keyring, values that open only in their own place."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.core.errors import ConfigError, VaultError
from groundcontrol.core.secrets import SealedRecord
from groundcontrol.vault import (
    FLEET_KEY,
    LEAST_ROUNDS,
    Keyring,
    NewKeyring,
    Vault,
    _keyring_of,
    _read_keyring,
    _unwrap,
    check_secret,
    create_keyring,
    open_vault,
    parse_recovery,
    recovery_text,
    unlock,
)
from spider.clock import SystemClock
from spider.wire.ids import is_id, new_random_id
from spider.wire.proof import hkdf
from tests.support.keys import SALT, root_of
from tests.support.store_files import open_new

SECRET = "a lamp beside the window"
FLEET = new_random_id()


@pytest.fixture(scope="module")
def made() -> NewKeyring:
    return asyncio.run(create_keyring(SECRET, LEAST_ROUNDS))


@pytest.mark.holds("SAFETY-3")
async def test_the_secret_unlocks_its_keyring_without_blocking_the_loop(made: NewKeyring) -> None:
    unlocking = asyncio.create_task(unlock(SECRET + "\n", made.keyring, made.fleet))
    turns = 0
    while not unlocking.done():
        await asyncio.sleep(0.001)  # a turn of the loop, not a wait
        turns += 1
    assert turns > 10
    vault = await unlocking
    assert vault.fleet_key == made.vault.fleet_key
    assert len(vault.fleet_key) == 32
    assert is_id(vault.fleet_id)
    keys = [vault.jwt_key, vault.audit_key, vault.pepper, vault.fleet_key]
    assert [len(key) for key in keys] == [32] * 4
    assert len(set(keys)) == 4
    assert (vault.jwt_key, vault.audit_key, vault.pepper) == (made.vault.jwt_key, made.vault.audit_key, made.vault.pepper)
    assert vault.open(made.vault.seal("credential", "node", "password", 1, b"hunter2")) == b"hunter2"


def test_keys_are_derived_by_hkdf(made: NewKeyring) -> None:
    assert made.vault.jwt_key == hkdf(made.vault._kek, info=b"stardust/jwt/v1")


def test_text_is_normalised_before_it_is_a_secret() -> None:
    assert check_secret("Cafe\u0301 an der Stra\u00dfe 7") == check_secret("Caf\u00e9 an der Stra\u00dfe 7\n")


def altered(blob: bytes, **changes: object) -> bytes:
    keyring = msgspec.msgpack.decode(blob, type=Keyring)
    return msgspec.msgpack.encode(msgspec.structs.replace(keyring, **changes))


@pytest.mark.holds("SAFETY-3")
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rounds": 99}, "only 99 rounds"),
        ({"rounds": 1}, "only 1 rounds"),
        ({"v": 2}, "newer"),
        ({"kdf": "none"}, "damaged"),
        ({"salt": b""}, "damaged"),
        ({"fleet_id": "x"}, "damaged"),
    ],
)
async def test_a_weakened_keyring_is_refused(made: NewKeyring, changes: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        await unlock(SECRET, altered(made.keyring, **changes), made.fleet)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"check": bytes(32)}, "not the one"),
        ({"kek_id": 2}, "altered"),
        ({"kek_id": -1}, "altered"),
        ({"fleet_id": "0" * 26}, "altered"),
        ({"ct": bytes(48)}, "altered"),
        ({"nonce": b""}, "altered"),
    ],
)
def test_an_altered_keyring_is_refused(changes: dict[str, object], says: str) -> None:
    keyring = _keyring_of(root_of("a name"), SALT, LEAST_ROUNDS, bytes(range(32)), 1, FLEET)
    assert _unwrap(_read_keyring(keyring), root_of("a name")) == bytes(range(32))
    with pytest.raises(ConfigError, match=says):
        _unwrap(_read_keyring(altered(keyring, **changes)), root_of("a name"))


@pytest.mark.parametrize("blob", [b"", b"junk", b"\x80", b"\xc1", b"\x81\xa3kdf\xa1\xff"])
async def test_an_invalid_keyring_is_refused(made: NewKeyring, blob: bytes) -> None:
    with pytest.raises(ConfigError, match="damaged"):
        await unlock(SECRET, blob, made.fleet)


@pytest.mark.holds("SAFETY-3")
async def test_too_few_rounds_are_refused_from_the_start() -> None:
    with pytest.raises(ConfigError, match="100 rounds"):
        await create_keyring(SECRET, 99)


def test_the_fleet_key_must_be_the_fleet_key(made: NewKeyring) -> None:
    for record in (made.fleet._replace(sealed=made.fleet.sealed[:-1]), made.vault.seal("other", "fleet", "key", 1, bytes(32))):
        with pytest.raises(VaultError):
            Vault(made.vault._kek, 1, made.vault.fleet_id, record)


@pytest.mark.holds("SAFETY-4", "S-33")
def test_a_sealed_value_opens_only_in_its_own_row(made: NewKeyring) -> None:
    places = [("credential", "n1", "password", 1), ("credential", "n2", "password", 1), ("credential", "n1", "passphrase", 1)]
    places += [("credential", "n1", "password", 2), ("totp", "n1", "password", 1), ("credentialn", "1", "password", 1)]
    records = [made.vault.seal(*place, b"the same") for place in places]
    for here in records:
        assert made.vault.open(here) == b"the same"
        for there in records:
            if here is not there:
                with pytest.raises(VaultError, match="altered or moved"):
                    made.vault.open(here._replace(sealed=there.sealed))


@pytest.mark.holds("SAFETY-5")
@given(place=st.integers(0, 1 << 20), mask=st.integers(1, 255), cut=st.booleans(), value=st.binary(max_size=100))
def test_an_altered_sealed_value_is_an_error(made: NewKeyring, place: int, mask: int, cut: bool, value: bytes) -> None:
    record = made.vault.seal("credential", "n1", "password", 1, value)
    assert made.vault.open(record) == value
    at = place % len(record.sealed)
    broken = record.sealed[:at] if cut else record.sealed[:at] + bytes([record.sealed[at] ^ mask]) + record.sealed[at + 1 :]
    with pytest.raises(VaultError):
        made.vault.open(record._replace(sealed=broken))


@pytest.mark.holds("SAFETY-4")
def test_sealing_hides_the_value_and_is_randomised(made: NewKeyring) -> None:
    one, two = (made.vault.seal("credential", "n1", "password", 1, b"hunter2hunter2") for _ in range(2))
    assert one.sealed != two.sealed
    assert b"hunter2" not in one.sealed
    assert repr(made.vault) == "Vault(***)"


@pytest.mark.holds("SAFETY-4")
def test_another_key_opens_nothing(made: NewKeyring) -> None:
    with pytest.raises(VaultError):
        Vault(bytes(32), 1, made.vault.fleet_id, made.fleet)
    with pytest.raises(VaultError, match="another key"):
        Vault(made.vault._kek, 2, made.vault.fleet_id, made.fleet)


async def test_a_new_store_gets_one_keyring_and_a_lost_one_is_not_replaced(tmp_path: Path, quick_kdf: None) -> None:
    database = await open_new(tmp_path / "data", clock=SystemClock())
    try:
        first = await open_vault(SECRET, database.secrets, LEAST_ROUNDS)
        again = await open_vault(SECRET, database.secrets, LEAST_ROUNDS)
        assert (first.fleet_id, first.fleet_key, first.audit_key) == (again.fleet_id, again.fleet_key, again.audit_key)
        record = await database.secrets.secret(*FLEET_KEY)
        assert isinstance(record, SealedRecord)
        files = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir())
        for secret in (SECRET.encode(), first.fleet_key, first._kek, first.audit_key):
            assert secret not in files

        # Recreated when missing, it would let the hub start, and nothing sealed by the first would open.
        await database._control.writer.run(lambda tx: tx.execute("DELETE FROM keyring"))
        with pytest.raises(ConfigError, match="the keyring is missing"):
            await open_vault(SECRET, database.secrets, LEAST_ROUNDS)
        assert await database.secrets.keyring() is None
    finally:
        await database.close()


@pytest.mark.holds("SAFETY-1", "S-31")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "not set"),
        ("", "not set"),
        ("\n", "not set"),
        ("fifteen letters"[:15], "15 of at least 16 characters"),
        ("a" * 16, "different characters"),
        ("abababababababababab", "different characters"),
        (" " * 20, "white space"),
        ("\t\t a lamp beside the window", "white space"),
        ("a lamp beside the window ", "white space"),
        ("a lamp beside the window\n\n", "white space"),
        ("a lamp\0beside the window", "nobody can type"),
        ("a lamp\udcffbeside the window", "nobody can type"),
        ("changeme-changeme", "sample"),
        ("ChangeMe12345678", "sample"),
        ("change-me-in-production", "sample"),
        ("your-secret-key-here", "sample"),
        ("qwertyqwerty123456789", "sample"),
        ("0123456789abcdefgh", "sample"),
        ("stardust-secret-example", "sample"),
    ],
)
def test_a_trivial_secret_is_refused_in_one_line(text: str | None, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        check_secret(text)
    assert "\n" not in str(refused.value)
    if text is not None and len(text) > 3:
        assert text not in str(refused.value)


@pytest.mark.parametrize("text", [SECRET, "p4ss-w0rd-less, by far", "\u65e5\u672c\u8a9e\u306e\u79d8\u5bc6\u306e\u5408\u8a00\u8449\u3092\u3053\u3053\u306b\u7f6e\u304f\u3088", "my password is a whale in a teacup"])  # fmt: skip
def test_a_good_secret_passes(text: str) -> None:
    assert check_secret(text) == text


def test_random_secrets_pass() -> None:
    for _ in range(200):
        check_secret(secrets.token_urlsafe(24))
        check_secret(secrets.token_hex(16))


@given(key=st.binary(min_size=32, max_size=32))
def test_a_recovery_key_is_read_back_however_it_is_typed(key: bytes) -> None:
    text = recovery_text(key, FLEET)
    assert parse_recovery(text) == (key, FLEET)
    assert parse_recovery(text.lower().replace("-", " ") + "\n") == (key, FLEET)


@pytest.mark.holds("S-59")
@given(key=st.binary(min_size=32, max_size=32), at=st.integers(0, 87), other=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_mistyped_recovery_key_is_detected(key: bytes, at: int, other: str) -> None:
    plain = recovery_text(key, FLEET).replace("-", "")
    if plain[at] != other:
        with pytest.raises(ValueError, match="not a recovery key"):
            parse_recovery(plain[:at] + other + plain[at + 1 :])


@given(text=st.text(max_size=80))
def test_arbitrary_text_is_refused_as_a_recovery_key(text: str) -> None:
    with pytest.raises(ValueError, match="not a recovery key"):
        parse_recovery(text)
