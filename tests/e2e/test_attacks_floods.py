"""Floods of bad tokens, silent sockets and slow requests against a running hub."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundcontrol.web.connections import MAX_BODIES_OF_AN_ADDRESS, MAX_IDLE_OF_AN_ADDRESS
from tests.support.attack_tools import addresses, ask, attackers, figure, hashes, meanwhile, try_password
from tests.support.eventually import eventually
from tests.support.hub import PASSWORD, HubProcess


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A fresh hub with the production cost of passwords."""
    with HubProcess(tmp_path / "hub", faults=["usual-passwords"]) as made:
        yield made


@pytest.mark.holds("S-27")
async def test_a_flood_of_bad_tokens_costs_no_hash_and_delays_no_others(shared_hub: HubProcess) -> None:
    dice = random.Random(5)
    good = (await asyncio.to_thread(shared_hub.login)).token
    head, claims, signature = good.split(".")
    forged = [
        "x" * 2000,
        f"{head}.{claims}.{base64.urlsafe_b64encode(dice.randbytes(32)).rstrip(b'=').decode()}",
        f"{base64.urlsafe_b64encode(json.dumps({'alg': 'none', 'typ': 'at+jwt'}).encode()).rstrip(b'=').decode()}.{claims}.",
        f"{head}.{claims[:-4]}AAAA.{signature}",
    ]
    before = await asyncio.to_thread(hashes, shared_hub)
    callers, refused, waits = 32, 0, list[float]()
    async with attackers(shared_hub, ["127.0.0.3", "127.0.0.4"]) as [attacker, healthy]:

        async def flood() -> None:
            nonlocal refused
            while refused < 500:
                answer = await ask(attacker, "GET", "/api/v1/nodes", Authorization=f"Bearer {dice.choice(forged)}")
                assert answer.status == 401
                refused += 1

        began = time.monotonic()
        async with meanwhile([flood() for _ in range(callers)]) as attack:
            while not attack.done():
                answer = await ask(healthy, "GET", "/healthz")
                assert answer.status == 200
                waits.append(answer.seconds)
    seconds = time.monotonic() - began
    print(f"{refused / seconds:.0f} bad tokens/s, {len(waits)} calls beside them, median {statistics.median(waits) * 1e3:.1f} ms")
    assert await asyncio.to_thread(hashes, shared_hub) == before
    assert len(waits) > refused / callers / 10, "who asks properly is served about as often as each of those who do not"


@pytest.mark.holds("SAFETY-52", "S-28")
async def test_six_hundred_silent_sockets_do_not_block_a_log_in(hub: HubProcess) -> None:
    writers: list[asyncio.StreamWriter] = []
    before = await asyncio.to_thread(figure, hub, "process_open_files")

    async def silent(place: str, words: bytes) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", hub.port, local_addr=(place, 0))
        writers.append(writer)
        writer.write(words)

    halves = (b"", b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"G")
    try:
        await asyncio.gather(*(silent(place, halves[number % 3]) for number, place in enumerate(addresses(60) * 10)))
        held = await asyncio.to_thread(figure, hub, "process_open_files") - before
        async with attackers(hub, ["127.0.0.2"]) as [owner]:
            good = await try_password(owner, "admin", PASSWORD)
        print(f"{held:.0f} of 600 sockets held, good log-in after {good.seconds:.3f} s")
        assert good.status == 200
        assert held <= 512 + 8
        await eventually(lambda: figure(hub, "process_open_files") - before < 20, 30, "the silent sockets stay")
    finally:
        for writer in writers:
            writer.transport.abort()


@pytest.mark.holds("S-28")
async def test_idle_keep_alive_connections_do_not_block_a_log_in(tmp_path: Path) -> None:
    """From one address, with few descriptors; also behind a refused upgrade, and by a second request that never ends."""
    hub = HubProcess(tmp_path / "hub", prefix=("prlimit", "--nofile=160"))
    writers: list[asyncio.StreamWriter] = []
    plain = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    try:
        with hub:
            before = await asyncio.to_thread(figure, hub, "process_open_files")
            for number in range(200):
                reader, writer = await asyncio.open_connection("127.0.0.1", hub.port, local_addr=("127.7.0.9", 0))
                writers.append(writer)
                writer.write(plain if number % 2 else upgrade)
                async with asyncio.timeout(60):
                    assert b" 200 " in await reader.readline()
            assert await asyncio.to_thread(figure, hub, "process_open_files") - before <= MAX_IDLE_OF_AN_ADDRESS + 8
            async with attackers(hub, ["127.0.0.2"]) as [owner]:
                assert (await try_password(owner, "admin", PASSWORD)).status == 200

            reader, slow = await asyncio.open_connection("127.0.0.1", hub.port, local_addr=("127.7.0.10", 0))
            writers.append(slow)
            slow.write(plain + b"GET /healthz HTTP/1.1\r\n")
            began = time.monotonic()
            trickle = asyncio.create_task(dribble(slow))
            async with asyncio.timeout(60):
                await reader.read()
            trickle.cancel()
            print(f"a second request that trickles lives {time.monotonic() - began:.1f} s")
    finally:
        for writer in writers:
            writer.transport.abort()


async def dribble(writer: asyncio.StreamWriter) -> None:
    """A byte of a header now and then."""
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"X-a: b\r\n")
            await writer.drain()
            await asyncio.sleep(0.3)


@pytest.mark.holds("S-18")
@pytest.mark.parametrize("expect", ["200-maybe", "", "100-continue, x", "\xff"])
def test_an_unknown_expect_header_is_answered_as_a_problem(shared_hub: HubProcess, expect: str) -> None:
    for path in ("/healthz", "/api/v1/nodes", "/", "/nothing"):
        reply = shared_hub.request("GET", path, headers={"Expect": expect})
        if expect:
            assert (reply.status, reply.json["code"]) == (400, "request.invalid")
            assert reply.headers["Content-Type"] == "application/problem+json"
            assert "maybe" not in reply.body.decode()
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
        assert "Server" not in reply.headers


@pytest.mark.slow  # the test below holds as many bodies, and lets them trickle
@pytest.mark.holds("S-28")
async def test_slow_request_bodies_do_not_block_a_log_in(hub: HubProcess) -> None:
    writers: list[asyncio.StreamWriter] = []
    before = await asyncio.to_thread(hashes, hub)
    head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16000\r\n\r\n{"
    try:
        for place in addresses(60) * 5:
            _reader, writer = await asyncio.open_connection("127.0.0.1", hub.port, local_addr=(place, 0))
            writers.append(writer)
            writer.write(head)
        async with attackers(hub, ["127.0.0.2"]) as [owner]:
            good = await try_password(owner, "admin", PASSWORD)
        assert good.status == 200
        assert await asyncio.to_thread(hashes, hub) == before + 1
    finally:
        for writer in writers:
            writer.transport.abort()


@pytest.mark.holds("SAFETY-102", "S-28")
async def test_bodies_that_trickle_are_counted_by_address_and_need_a_rate(hub: HubProcess) -> None:
    opened: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    files = await asyncio.to_thread(figure, hub, "process_open_files")
    head = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 16000\r\n\r\n{"

    async def trickle() -> None:
        while True:
            await asyncio.sleep(0.5)
            for _, writer in opened:
                if not writer.transport.is_closing():
                    writer.write(b" ")

    try:
        for _ in range(300):
            reader, writer = await asyncio.open_connection("127.0.0.1", hub.port, local_addr=("127.7.0.8", 0))
            opened.append((reader, writer))
            writer.write(head)
        trickling = asyncio.create_task(trickle())
        await eventually(
            lambda: figure(hub, "process_open_files") - files <= MAX_BODIES_OF_AN_ADDRESS + 8, 30, "one address holds more than its share"
        )
        async with attackers(hub, ["127.0.0.2"]) as [owner]:
            assert (await try_password(owner, "admin", PASSWORD)).status == 200
        async with asyncio.timeout(60):
            answer = await opened[-1][0].readline()
        assert b" 400 " in answer, "it came too slowly"
        trickling.cancel()
    finally:
        for _, writer in opened:
            writer.transport.abort()
