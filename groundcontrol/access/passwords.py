"""Hashes passwords with argon2id over a peppered HMAC, in two threads with a bounded queue."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from typing import Final, TypeVar

import argon2

from groundcontrol.core.errors import Unavailable, WeakPassword

MIN_CHARS: Final = 12
MAX_CHARS: Final = 1024
HASHER: Final = argon2.PasswordHasher(memory_cost=19_456, time_cost=2, parallelism=1, type=argon2.Type.ID)
"""`memory_cost` is in KiB."""
HASH_THREADS: Final = 2
QUEUE_LIMIT: Final = 16
"""How many hashes may wait for a thread. The hub refuses further ones immediately, so that a burst costs neither memory nor time."""
RESERVED_SLOTS: Final = 8
"""How many more hashes may wait for log-ins from a known address or browser. So a crowd of strangers cannot lock users out."""
PRODUCT_WORDS: Final = ("stardust", "groundcontrol", "ground control", "capsule", "spider", "majortom", "major tom", "admin", "password")

T = TypeVar("T")


def _read_common() -> frozenset[str]:
    text = resources.files("groundcontrol.access").joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


COMMON: Final = _read_common()


def check_new(password: str, *, username: str, words: tuple[str, ...] = ()) -> None:
    """Check the length and the guessability of a new password.

    Args:   words: names of this hub that make a password guessable, besides the product's own words.
    Raises: WeakPassword: the text says which rule and what to do.
    """
    text = unicodedata.normalize("NFKC", password)
    if len(text) < MIN_CHARS:
        raise WeakPassword(
            f"the password has {len(text)} character{'' if len(text) == 1 else 's'}; use at least {MIN_CHARS}, better 15 (a few words do well)"
        )
    if len(text) > MAX_CHARS:
        raise WeakPassword(f"the password is longer than {MAX_CHARS} characters")
    folded = text.casefold()
    if folded in COMMON:
        raise WeakPassword("the password is one of those that guessers try first; choose another")
    if len(set(folded)) < 5:
        raise WeakPassword("the password repeats too few characters; choose another")
    rest = folded
    for word in sorted({*PRODUCT_WORDS, username.casefold(), *(word.casefold() for word in words)}, key=len, reverse=True):
        if len(word) >= 3:
            rest = rest.replace(word, "")
    if len(re.sub(r"[\W\d_]", "", rest)) < 4 and rest != folded:
        raise WeakPassword("the password is little more than the name of the product, of the hub or of the user; choose another")


class Passwords:
    """Hashes and verifies passwords: HASH_THREADS at a time, with at most QUEUE_LIMIT + RESERVED_SLOTS waiting."""

    def __init__(self, pepper: bytes, hasher: argon2.PasswordHasher = HASHER) -> None:
        self._pepper = pepper
        self._hasher = hasher
        self._pool = ThreadPoolExecutor(HASH_THREADS, thread_name_prefix="argon2")
        self._admitted = 0
        self._nobody: str | None = None
        self.hashed = 0
        """How many hashes were admitted; a metric."""

    async def hash(self, password: str) -> str:
        """Hash a password for the store.

        Raises: Unavailable: too many are waiting.
        """
        return await self._run(lambda: self._hasher.hash(self._peppered(password)))

    async def verify(self, stored: str | None, password: str, *, known: bool = False) -> bool:
        """Whether `password` matches the hash `stored`. For an unknown user (None) the answer is False and takes as long.

        Args:   known: the user comes from a known address or browser, and may use RESERVED_SLOTS too.
        Raises: Unavailable: too many are waiting.
        """
        return await self._run(lambda: self._verify(stored, password), RESERVED_SLOTS if known else 0)

    def close(self) -> None:
        """End each thread after the hash that it computes. Waiting hashes are cancelled."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _peppered(self, password: str) -> bytes:
        text = unicodedata.normalize("NFKC", password[: MAX_CHARS * 2])
        return base64.b64encode(hmac.digest(self._pepper, text.encode("utf-8", "surrogatepass"), hashlib.sha256))

    def _verify(self, stored: str | None, password: str) -> bool:
        if self._nobody is None:
            self._nobody = self._hasher.hash(b"nobody has this password")
        try:
            self._hasher.verify(stored or self._nobody, self._peppered(password))
        except (argon2.exceptions.VerifyMismatchError, argon2.exceptions.InvalidHashError):
            return False
        return stored is not None and len(password) <= MAX_CHARS

    async def _run(self, work: Callable[[], T], reserved: int = 0) -> T:
        if self._admitted >= HASH_THREADS + QUEUE_LIMIT + reserved:
            raise Unavailable("too many people are logging in at this moment; try again in a few seconds", retry_after_s=2)
        self._admitted += 1
        self.hashed += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._admitted -= 1
