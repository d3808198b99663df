"""Every response has the fixed headers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from groundcontrol.slices import ROUTES
from groundcontrol.web.headers import security_headers
from groundcontrol.web.routes import ROOT
from groundcontrol.web.static import BuiltPage
from tests.support.inprocess_hub import PASSWORD, TestHub, running
from tests.support.route_matrix import address
from tests.support.some import some

FIXED = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self' wss://hub.example; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Strict-Transport-Security": "max-age=31536000",
}


def check(headers: object, where: str) -> None:
    got = {name: headers.get(name) for name in FIXED}  # type: ignore[attr-defined]
    assert got == FIXED, where
    assert all(feature.endswith("=()") for feature in headers["Permissions-Policy"].split(", ")), where  # type: ignore[index]
    assert "Server" not in headers, where  # type: ignore[operator]
    assert not [name for name in headers if name.lower().startswith("access-control")], where  # type: ignore[attr-defined]


@pytest.mark.holds("SAFETY-28", "S-18")
async def test_every_route_sends_the_headers_in_every_state(hub: TestHub) -> None:
    seen: set[int] = set()
    for client in (await hub.logged_in(), await hub.logged_in("viewer"), hub.anonymous()):
        for route in ROUTES:
            for headers in ({}, {"Sec-Fetch-Site": "cross-site"}):
                answer = await client.request(route.method, address(route), {}, headers=headers)
                check(answer.headers, f"{route.method} {route.path} {answer.status}")
                assert answer.headers["Cache-Control"] == "no-store"
                seen.add(answer.status)
                if route.path == "/auth/logout" and answer.status == 204:
                    client = await hub.logged_in()  # noqa: PLW2901
    assert seen >= {200, 204, 400, 401, 403, 404}


@pytest.mark.holds("S-18")
async def test_errors_and_crashes_are_problem_documents_with_headers(
    hub: TestHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    admin = await hub.logged_in()

    async def crash(*_: object) -> None:
        raise ZeroDivisionError("secret-canary")

    big = await admin.post("auth/step-up", data=b"x" * (1 << 20) + b"x", headers={"Content-Type": "application/json"})
    method = await admin.request("DELETE", f"{ROOT}/metrics")
    nothing = await admin.get("nothing/here")
    page = await admin.get("/somewhere")
    file = await admin.get("/a/nothing.js")
    monkeypatch.setattr(hub.store.log, "events", crash)
    crashed = await admin.get("events")

    for answer, status in ((big, 413), (method, 405), (nothing, 404), (page, 503), (file, 404), (crashed, 500)):
        assert answer.status == status
        check(answer.headers, str(status))
    assert method.headers["Allow"] == "GET"
    assert crashed.code == "internal"
    assert b"canary" not in crashed.body
    assert b"ZeroDivision" not in crashed.body
    logged = next(record for record in caplog.records if record.getMessage() == "request_failed")
    assert logged.__dict__["facts"]["instance"] == crashed.json["instance"]
    assert some(logged.exc_info)[0] is ZeroDivisionError


async def test_refused_and_opened_sockets_send_the_headers(hub: TestHub) -> None:
    admin = await hub.logged_in()
    refused = await admin.get("live", headers={"Origin": "https://evil.example"})
    check(refused.headers, "refused")

    async with admin.live() as live:
        check(live.socket._response.headers, "opened")


@pytest.mark.holds("SAFETY-28", "S-18")
async def test_invalid_http_gets_the_same_kind_of_answer(hub: TestHub) -> None:
    for junk in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad header\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 33000 + b"\r\n\r\n",
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]:
        reader, writer = await asyncio.open_connection(hub.server.host, hub.server.port)
        writer.write(junk)
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.read(4096)
        writer.close()
        await writer.wait_closed()

        lines = head.decode().split("\r\n")
        headers = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        assert lines[0].split()[1] in ("400", "431"), junk
        check(headers, lines[0])
        assert b"aiohttp" not in head + body, junk


async def send(hub: TestHub, *parts: bytes) -> tuple[int, bytes]:
    """Bytes as they are. Returns: the status of the answer (0: the connection ended without one) and its body."""
    reader, writer = await asyncio.open_connection(hub.server.host, hub.server.port)
    try:
        async with asyncio.timeout(60):
            for part in parts:
                writer.write(part)
                await writer.drain()
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    except ConnectionError:
        return 0, b""
    finally:
        writer.close()
    return int(head.split()[1]) if head else 0, body


async def test_many_cookies_of_other_services_are_accepted_up_to_a_limit(hub: TestHub) -> None:
    for cookie_bytes, status in [(9_000, 200), (32_000, 200), (33_000, 431)]:
        admin = await hub.logged_in(cookie=False)
        cookie = b"neighbour=" + b"x" * (cookie_bytes - 10)
        request = b"GET /api/v1/nodes HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\nCookie: %s\r\n\r\n"
        got, body = await send(hub, request % (admin.bearer.encode(), cookie))
        assert got == status, body
        if status == 431:
            assert b"request.headers_too_large" in body, cookie_bytes
            assert b"other servers on this host name" in body, cookie_bytes


@pytest.mark.parametrize(("headers", "status"), [(90, 200), (120, 431)])
async def test_too_many_headers_are_refused_with_the_cause(hub: TestHub, headers: int, status: int) -> None:
    more = b"".join(b"X-%d: a\r\n" % number for number in range(headers))
    got, body = await send(hub, b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + b"\r\n")
    assert got == status, body
    if status == 431:
        assert b"request.headers_too_large" in body
        assert b"more than 100 headers" in body


async def test_an_overlong_url_is_refused_with_the_cause(hub: TestHub) -> None:
    status, body = await send(hub, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, b"first line" in body) == (400, True)


async def test_an_overlong_request_head_is_dropped(hub: TestHub) -> None:
    """A hundred headers of the longest kind would be three megabytes of each stranger."""
    long = [b"X-%d: " % number + b"a" * 30_000 + b"\r\n" for number in range(90)]
    status, _ = await send(hub, b"GET / HTTP/1.1\r\nHost: x\r\n", *long, b"\r\n")
    assert status == 0


async def test_the_page_and_its_files_send_the_headers(tmp_path: Path) -> None:
    built = tmp_path / "built"
    (built / "a").mkdir(parents=True)
    (built / "index.html").write_text('<!doctype html><html lang="en" data-theme="auto"></html>')
    (built / "a" / "app-ABCDEFGH.js").write_text("export {}")
    async with running(tmp_path, page=BuiltPage.load(built)) as hub:
        for path in ("/", "/nodes/x", "/a/app-ABCDEFGH.js", "/missing.js"):
            check((await hub.anonymous().get(path)).headers, path)


async def test_a_log_in_is_never_cached(hub: TestHub) -> None:
    await hub.auth.first_log_in.create_admin("admin", PASSWORD)
    answer = await hub.anonymous().post("auth/login", {"username": "admin", "password": PASSWORD})

    assert answer.headers["Cache-Control"] == "no-store"


def test_without_tls_no_hsts_header_is_sent() -> None:
    headers = security_headers(["http://localhost:8933", "http://127.0.0.1:8933"], secure=False)

    assert "Strict-Transport-Security" not in headers
    assert "connect-src 'self' ws://127.0.0.1:8933 ws://localhost:8933;" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_an_ipv6_address_is_left_out_of_the_csp() -> None:
    """Browsers refuse one, and say so on their console; 'self' covers it."""
    headers = security_headers(["https://[fd00::1]:8933", "https://10.0.0.5:8933"], secure=False)
    assert "connect-src 'self' wss://10.0.0.5:8933;" in headers["Content-Security-Policy"]
    assert "connect-src 'self';" in security_headers(["http://[::1]:8933"], secure=False)["Content-Security-Policy"]
