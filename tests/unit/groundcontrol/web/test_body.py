"""Size limits of requests, and no decompression before authentication."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import resource
import socket
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from groundcontrol.slices import ROUTES
from groundcontrol.web.connections import MAX_HEAD_BYTES, MAX_HEADER_BYTES, HubRunner
from groundcontrol.web.headers import HeaderWriter
from groundcontrol.web.limits import WebLimits
from tests.support.eventually import eventually
from tests.support.inprocess_hub import TestHub, running
from tests.support.route_matrix import address, name

LOGIN = "auth/login"


@pytest.mark.holds("SAFETY-31", "S-26")
@pytest.mark.parametrize(
    ("coding", "make"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("gzip", lambda _: b"no gzip at all"),
        ("br", lambda _: b"x"),
        ("identity, gzip", lambda _: b"x"),
    ],
)
async def test_a_compressed_body_is_refused_and_not_inflated(hub: TestHub, coding: str, make: Callable[[bytes], bytes]) -> None:
    data = make(b" " * (32 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    answer = await hub.anonymous().post(LOGIN, data=data, headers={"Content-Type": "application/json", "Content-Encoding": coding})

    assert (answer.status, answer.code) == (415, "request.unsupported_type")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024


async def test_a_call_without_a_body_refuses_one_that_says_something(hub: TestHub) -> None:
    admin = await hub.logged_in()
    without = [route for route in ROUTES if route.method != "GET" and route.body is None and not route.form]
    for route in without:
        answer = await admin.request(route.method, address(route), {"x": 1})
        assert (answer.status, answer.code) == (400, "request.invalid"), name(route)
        assert "unknown field" in answer.json["detail"]
    assert len(without) > 40
    assert (await admin.post("patch-policies/resume", {})).status == 200
    assert (await admin.post("patch-policies/resume")).status == 200


@pytest.mark.holds("SAFETY-31")
async def test_a_body_over_a_mebibyte_is_refused(hub: TestHub) -> None:
    client = await hub.logged_in()
    json = {"Content-Type": "application/json"}

    over = await client.post("auth/step-up", data=b" " * ((1 << 20) + 1), headers=json)
    at = await client.post("auth/step-up", data=b'{"password": "b"}'.ljust(1 << 20), headers=json)

    assert (over.status, over.code) == (413, "request.too_large")
    assert at.status == 401


@pytest.mark.holds("S-26")
async def test_a_stranger_sends_sixteen_kibibytes_at_most(hub: TestHub) -> None:
    client = hub.anonymous()
    json = {"Content-Type": "application/json"}

    over = await client.post(LOGIN, data=b" " * ((16 << 10) + 1), headers=json)
    at = await client.post(LOGIN, data=b'{"username": "a", "password": "b"}'.ljust(16 << 10), headers=json)

    assert (over.status, over.code) == (413, "request.too_large")
    assert at.status == 401


async def test_a_body_without_announced_length_is_counted(hub: TestHub) -> None:
    async def endless() -> object:
        for _ in range(64):
            yield b" " * 65_536

    client = hub.anonymous()
    async with client.session.post(hub.url("/api/v1/auth/login"), data=endless(), headers={"Content-Type": "application/json"}) as response:
        assert response.status == 413


INVALID = [
    b"", b"[", b'{"username": "a"', b"\xff\xfe", b'{"username": "\\ud800", "password": "b"}', b'{"username": "a", "password": "b\\u0000"}', b"[" * 16_000,
    b'{"a":' * 3_000, b"1e999", b"NaN", b'{"username": "a", "password": "b", "role": "admin"}',
]  # fmt: skip


@pytest.mark.holds("S-25")
async def test_an_invalid_body_is_a_bad_request(hub: TestHub) -> None:
    client = hub.anonymous()
    for data in INVALID:
        answer = await client.post(LOGIN, data=data, headers={"Content-Type": "application/json"})
        assert (data[:50], answer.status, answer.code) == (data[:50], 400, "request.invalid")


async def test_the_text_names_the_field_and_never_holds_a_secret(hub: TestHub) -> None:
    answer = await hub.anonymous().post(LOGIN, {"username": "a", "password": 4711_0815})

    assert "$.password" in answer.json["detail"]
    assert b"47110815" not in answer.body


async def test_waiting_for_a_body_is_bounded(tmp_path: Path) -> None:
    async with running(tmp_path, limits=WebLimits(body_s=0.05)) as hub:
        reader, writer = await asyncio.open_connection(hub.server.host, hub.server.port)
        writer.write(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        async with asyncio.timeout(60):
            assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()
        await writer.wait_closed()


async def test_a_silent_connection_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path, limits=WebLimits(headers_s=0.05)) as hub:
        reader, writer = await asyncio.open_connection(hub.server.host, hub.server.port)
        writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


@pytest.mark.holds("S-26")
async def test_an_endless_head_during_an_answer_ends_the_connection() -> None:
    connections: list[asyncio.Protocol] = []
    answering = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        connections.append(request.protocol)
        await answering.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/", wait)
    runner = HubRunner(app, HeaderWriter({}), (), WebLimits())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _, writer = await asyncio.open_connection(*runner.addresses[0])
        size = MAX_HEAD_BYTES + (16 << 10)
        writer.write(b"POST / HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        await eventually(lambda: bool(connections))
        [connection] = connections
        assert isinstance(connection, web.RequestHandler)
        assert connection.transport is not None, "a body may be longer"
        line = b"X: " + b"x" * (MAX_HEADER_BYTES // 2) + b"\r\n"
        writer.write(b"POST / HTTP/1.1\r\n" + line * 5)
        await eventually(lambda: connection.transport is None)
        writer.close()
    finally:
        answering.set()  # the server waits for an answer that has begun
        await runner.cleanup()


async def test_a_client_that_never_reads_its_answer_is_disconnected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, limits=WebLimits(unread_s=0.05)) as hub:
        assert isinstance(hub.server.runner, HubRunner)
        assert hub.server.runner.server is not None
        loop, dropped = asyncio.get_running_loop(), asyncio.Event()
        served = hub.server.runner.server.connection_lost
        monkeypatch.setattr(hub.server.runner.server, "connection_lost", lambda *words: (served(*words), loop.call_soon(dropped.set)))
        with socket.create_connection((hub.server.host, hub.server.port)) as greedy:
            greedy.settimeout(30)
            await asyncio.to_thread(greedy.sendall, b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
            async with asyncio.timeout(60):
                await dropped.wait()
        assert hub.server.runner.slow_readers_dropped == 1


@pytest.mark.holds("SAFETY-31", "SAFETY-63")
async def test_a_private_key_over_16_kib_is_refused(hub: TestHub) -> None:
    admin = await hub.logged_in()

    answer = await admin.post("deployments", {"host": "h", "username": "u", "private_key": "x" * 16_385})

    assert (answer.status, answer.code) == (413, "request.too_large")
    assert hub.deployer.asked == []
