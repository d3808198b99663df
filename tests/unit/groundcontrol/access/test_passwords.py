"""Passwords: which are acceptable, and the cost of hashing them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from groundcontrol.access.passwords import COMMON, HASH_THREADS, QUEUE_LIMIT, RESERVED_SLOTS, Passwords, check_new
from groundcontrol.core.errors import Unavailable, WeakPassword


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(b"p" * 32)
    yield made
    made.close()


GOOD = [
    "three green sparrows", "correct-horse-lamp-9", "Zu8)kkq1.mmPq", "пароль для склада", "長い合言葉をここに置いておく", "🦊🐢🦉🐝🐙🦀🐬🦜🦔🐌🐞🦋",
    "a" * 3 + "bcdefghi" + "jkl", "x" * 1020 + "abcd", "my stardust is brighter than yours", "  leading and trailing  ", "tab\tin\tthe\tmiddle",
    "e\u0301te\u0301 a\u0300 la plage", "no digits needed at all", "1739 5520 8264 0917",
]  # fmt: skip
WEAK = [
    "", "admin", "short", "elevenchars", "password1234", "Password1234", "PASSWORDPASSWORD", "qwertyuiop123", "123456789012",
    "aaaaaaaaaaaa", "abababababababab", "stardust1234", "StardustStardust", "admin-admin-admin", "root12345678", "alice12345678",
    "groundcontrol1!", "x" * 1025,
]  # fmt: skip


@pytest.mark.holds("SAFETY-13")
@pytest.mark.parametrize("password", GOOD)
def test_any_long_password_is_accepted(password: str) -> None:
    check_new(password, username="alice")


@pytest.mark.holds("SAFETY-13", "S-08")
@pytest.mark.parametrize("password", WEAK)
def test_a_weak_password_is_refused_with_the_reason(password: str) -> None:
    with pytest.raises(WeakPassword, match="password"):
        check_new(password, username="alice")


def test_the_name_of_the_hub_is_refused_as_a_password() -> None:
    with pytest.raises(WeakPassword):
        check_new("orion-station-1", username="alice", words=("orion-station",))


def test_the_list_of_common_passwords_holds_only_long_ones() -> None:
    assert COMMON
    assert all(len(word) >= 11 and word == word.casefold() for word in COMMON)


@pytest.mark.holds("SAFETY-13")
async def test_a_hash_verifies_only_its_own_password(passwords: Passwords) -> None:
    stored = await passwords.hash("three green sparrows")

    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(stored, "three green sparrows")
    assert not await passwords.verify(stored, "three green sparrowS")
    assert not await passwords.verify(None, "three green sparrows")
    assert not await passwords.verify("not a hash", "three green sparrows")


@pytest.mark.holds("S-08")
async def test_a_long_password_is_not_truncated(passwords: Passwords) -> None:
    long = "0123456789" * 10
    stored = await passwords.hash(long)

    assert await passwords.verify(stored, long)
    assert not await passwords.verify(stored, long[:72])
    assert not await passwords.verify(stored, long + "x")


async def test_equivalent_unicode_forms_are_one_password(passwords: Passwords) -> None:
    stored = await passwords.hash("caf\u00e9 caf\u00e9 caf\u00e9")

    assert await passwords.verify(stored, "cafe\u0301 cafe\u0301 cafe\u0301")


@pytest.mark.holds("S-32")
async def test_a_hash_does_not_verify_under_another_pepper(passwords: Passwords) -> None:
    stored = await passwords.hash("three green sparrows")
    other = Passwords(b"q" * 32)

    assert not await other.verify(stored, "three green sparrows")
    other.close()


@pytest.mark.holds("SAFETY-14")
async def test_password_checks_above_the_queue_limit_are_refused_immediately(passwords: Passwords) -> None:
    asked = [asyncio.ensure_future(passwords.verify(None, "wrong")) for _ in range(100)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)

    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 100 - HASH_THREADS - QUEUE_LIMIT
    assert passwords.hashed == HASH_THREADS + QUEUE_LIMIT
    assert not await passwords.verify(None, "afterwards there is room again")


@pytest.mark.holds("S-05")
async def test_unknown_callers_leave_slots_for_known_ones(passwords: Passwords) -> None:
    stored = await passwords.hash("three green sparrows")
    crowd = [asyncio.ensure_future(passwords.verify(None, "wrong")) for _ in range(100)]
    await asyncio.sleep(0)  # the crowd is in the queue now
    returning = [asyncio.ensure_future(passwords.verify(stored, "three green sparrows", known=True)) for _ in range(20)]
    outcomes = await asyncio.gather(*returning, return_exceptions=True)

    assert outcomes.count(True) == RESERVED_SLOTS
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 20 - RESERVED_SLOTS
    await asyncio.gather(*crowd, return_exceptions=True)
