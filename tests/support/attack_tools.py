"""Tools of attackers: many addresses, many connections at once, and the cost of an attack for the hub."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from tests.support.hub import HubProcess, Login

LOGIN = "/api/v1/auth/login"


class Told(NamedTuple):
    """An answer to an attacker."""

    status: int
    body: bytes
    headers: Any
    seconds: float


def figure(hub: HubProcess, name: str) -> float:
    """A figure of `/metrics`; of one with labels, their sum. Raises: KeyError: there is no such metric."""
    text = hub.local("GET", "/metrics").body.decode()
    if f"\n# TYPE stardust_{name} " not in text:
        raise KeyError(name)
    return sum(float(value) for value in re.findall(rf"^stardust_{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def hashes(hub: HubProcess) -> int:
    """How often the hub has hashed a password so far."""
    return int(figure(hub, "password_hashes_total"))


def resident_bytes(hub: HubProcess) -> int:
    """Memory of the hub's process."""
    return int(Path(f"/proc/{hub.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def addresses(count: int) -> list[str]:
    """Addresses of this machine that look like as many others."""
    return [f"127.7.{number // 250}.{number % 250 + 1}" for number in range(count)]


@contextlib.asynccontextmanager
async def attackers(hub: HubProcess, places: Iterable[str]) -> AsyncIterator[list[aiohttp.ClientSession]]:
    """A client for each address."""
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                aiohttp.ClientSession(
                    hub.url, connector=aiohttp.TCPConnector(limit=0, local_addr=(place, 0)), timeout=aiohttp.ClientTimeout(60)
                )
            )
            for place in places
        ]


async def ask(client: aiohttp.ClientSession, method: str, path: str, body: object = None, **headers: str) -> Told:
    """One call."""
    began = time.monotonic()
    async with client.request(method, path, json=body, headers=headers, allow_redirects=False) as response:
        return Told(response.status, await response.read(), response.headers, time.monotonic() - began)


async def try_password(client: aiohttp.ClientSession, username: str, password: str) -> Told:
    """One log-in."""
    return await ask(client, "POST", LOGIN, {"username": username, "password": password})


@contextlib.asynccontextmanager
async def meanwhile(work: list[Any]) -> AsyncIterator[asyncio.Future[list[Told]]]:
    """Let an attack run beside the test; it has ended when this is left."""
    attack = asyncio.gather(*work)
    try:
        yield attack
        await attack
    finally:
        attack.cancel()
        await asyncio.gather(attack, return_exceptions=True)


def wire_texts(value: object) -> Iterator[str]:
    """Every text in an answer, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from wire_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from wire_texts(inner)


def page_headers(hub: HubProcess, session: Login) -> dict[str, str]:
    """What the page's own requests say."""
    return {"Cookie": session.cookie, "Origin": hub.url, "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": session.csrf_token}
