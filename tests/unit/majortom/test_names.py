"""DNS lookups: unique addresses, and unanswered lookups that block no other work."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from majortom.ssh.dns import THREADS, addresses_of


async def test_each_address_comes_once() -> None:
    assert await addresses_of("127.0.0.1", 10) == ["127.0.0.1"]


async def test_unanswered_name_lookups_do_not_block_threads_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    def silent(*_words: Any, **_more: Any) -> list[Any]:
        assert answer.wait(60)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    asked = [asyncio.create_task(addresses_of(f"name-{number}", 60)) for number in range(4 * THREADS)]
    try:
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(lambda: "a thread") == "a thread"
        with pytest.raises(TimeoutError):
            await addresses_of("one-more", 0.05)
    finally:
        answer.set()
        await asyncio.gather(*asked)
