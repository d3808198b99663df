"""Resolves host names in a thread pool of its own, so that slow name servers do not fill asyncio's default pool."""

from __future__ import annotations

import asyncio
import functools
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

THREADS: Final = 8
_POOL: Final = ThreadPoolExecutor(THREADS, thread_name_prefix="names")


async def addresses_of(host: str, limit_s: float) -> list[str]:
    """The addresses of a host, each once, in the system's order.

    Args:   limit_s: covers the answer and the wait for a thread.
    Raises: OSError: the host does not exist, or no name server answers. UnicodeError: malformed name. TimeoutError: no answer in time.
    """
    look_up = functools.partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    async with asyncio.timeout(limit_s):
        found = await asyncio.get_running_loop().run_in_executor(_POOL, look_up)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
