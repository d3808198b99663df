"""Cross-site requests, foreign sessions, paths, addresses and floods against the web side of a running hub."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import pytest

from groundcontrol.access.views import LoginBody, PasswordBody
from groundcontrol.deployments.views import DeploymentBody
from groundcontrol.jobs.views import JobBody
from groundcontrol.slices import ROUTES
from groundcontrol.web.answer import Body
from groundcontrol.web.live.hub import MAX_OF_A_USER
from groundcontrol.web.routes import ROOT as API
from groundcontrol.web.routes import Route
from spider.wire.ids import new_random_id
from tests.support.agent import IDENTITY, agents, layout_of, pack_of
from tests.support.attack_tools import page_headers
from tests.support.eventually import eventually, wait_until
from tests.support.hub import PASSWORD, ROOT, HubProcess, Login

CLOSE_SESSION_OVER = 4401


# -- too many pages ------------------------------------------------------------------------------------------


@pytest.mark.holds("S-28")
async def test_the_connection_limit_of_one_user_does_not_affect_others(hub: HubProcess) -> None:
    """By session and by any number of tokens."""
    made = (await hub.call("POST", f"{API}/users", {"username": "eve", "role": "viewer"})).json
    first = await asyncio.to_thread(hub.login, "eve", made["password"])
    changed = await hub.call("POST", f"{API}/auth/password", {"current": made["password"], "new": PASSWORD}, token=first.token)
    assert changed.status == 200
    eve = await asyncio.to_thread(hub.login, "eve")
    made = [(await hub.call("POST", f"{API}/tokens", {"name": f"t{number}"}, token=eve.token)).json for number in range(3)]
    tokens = [eve.token, *(one["token"] for one in made)]
    admin = await asyncio.to_thread(hub.login)
    async with contextlib.AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))

        async def look(token: str) -> int:
            try:
                await stack.enter_async_context(http.ws_connect(f"{hub.url}{API}/live", headers={"Authorization": f"Bearer {token}"}))
            except aiohttp.WSServerHandshakeError as refused:
                return refused.status
            return 101

        told = await asyncio.gather(*(look(tokens[number % 4]) for number in range(520)))
        assert (told.count(101), told.count(503)) == (MAX_OF_A_USER, 520 - MAX_OF_A_USER)
        assert await look(admin.token) == 101


# -- bytes that are no text ------------------------------------------------------------------------------------


@pytest.mark.holds("S-18")
async def test_invalid_utf8_is_refused_without_a_traceback(tmp_path: Path) -> None:
    """In every header that the hub reads, and in the address: what a stranger sends costs no line of a crash in the log."""
    with HubProcess(tmp_path / "hub", env={"STARDUST_METRICS_TOKEN": "a quite random thing 4711"}) as hub:
        name = (await asyncio.to_thread(hub.login)).cookie.partition("=")[0]
        headers = {
            "Cookie": (b"%s-refresh=\xff" % name.encode(), b"%s=\xff.\xff.\xff" % name.encode(), b"\xff"),
            "Authorization": (b"Bearer \xff", b"Bearer sdp_\xff", b"\xff"),
            **dict.fromkeys(
                ("X-CSRF-Token", "Origin", "Sec-Fetch-Site", "Idempotency-Key", "X-Forwarded-For", "Accept", "Host"), (b"\xff\xfe",)
            ),
            **dict.fromkeys(
                ("User-Agent", "Content-Type", "Content-Encoding", "If-None-Match", "Accept-Encoding", "Via", "Expect"), (b"\xff\xfe",)
            ),
        }
        calls = (
            "POST /api/v1/auth/refresh",
            "POST /api/v1/auth/login",
            "GET /metrics",
            "GET /api/v1/nodes",
            "GET /api/v1/live",
            "GET /ws",
            "GET /",
        )
        odd = (
            "GET /api/v1/nodes/%ff",
            "GET /%ff",
            "GET /api/v1/nodes?limit=%ff",
            "GET /api/v1/nodes?%ff=1",
            "POST /api/v1/users/%ff/totp-reset",
        )
        told = {}
        for line in (*calls, *odd):
            for header, values in headers.items():
                for value in values:
                    same = b"" if header in ("Origin", "Sec-Fetch-Site") else b"Sec-Fetch-Site: same-origin\r\n"
                    body = b'{"username": "x", "password": "x"}' if line.startswith("POST") else b""
                    head = b"%s HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n" % (line.encode(), len(body))
                    head += b"Content-Type: application/json\r\n" if header != "Content-Type" else b""
                    head += b"Host: x\r\n" if header != "Host" else b""
                    told[line, header, value] = await raw(hub, head + same + header.encode() + b": " + value + b"\r\n\r\n" + body)
        assert {key: status for key, status in told.items() if status >= 500} == {}
        assert not [line for line in hub.events if line["event"] in ("request_failed", "request_crashed")]


async def raw(hub: HubProcess, request: bytes) -> int:
    """The status of an answer to bytes that no client would send."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    try:
        writer.write(request)
        async with asyncio.timeout(60):
            answer = await reader.read()
        return int(answer.split(b" ", 2)[1])
    finally:
        writer.close()


# -- other sites ---------------------------------------------------------------------------------------------


@pytest.mark.holds("SAFETY-25", "S-11")
@pytest.mark.parametrize(
    "origin",
    [
        None, "null", "http://evil.example", "http://127.0.0.1", "https://127.0.0.1:{port}", "http://127.0.0.1:{port}.evil.example",
        "http://evil.127.0.0.1:{port}", "http://127.0.0.1:{port}/", "http://[::1]:{port}", "ws://127.0.0.1:{port}", "file://", "",
    ],
)  # fmt: skip
async def test_another_site_cannot_open_a_live_socket_with_the_cookie(shared_hub: HubProcess, origin: str | None) -> None:
    session = await asyncio.to_thread(shared_hub.login)
    headers = {"Cookie": session.cookie}
    if origin is not None:
        headers["Origin"] = origin.format(port=shared_hub.port)
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(f"{shared_hub.url}{API}/live", headers=headers)
        assert refused.value.status == 403
        async with http.ws_connect(f"{shared_hub.url}{API}/live", headers={"Cookie": session.cookie, "Origin": shared_hub.url}) as live:
            assert msgspec.msgpack.decode(await live.receive_bytes())[0] == "hello"


@pytest.mark.holds("SAFETY-24", "S-12")
def test_another_site_cannot_change_anything_with_the_cookie(shared_hub: HubProcess) -> None:
    session = shared_hub.login()
    good = page_headers(shared_hub, session)
    [node] = shared_hub.enrol(f"target-{new_random_id()[:6]}")
    path = f"{API}/nodes/{node.node_id}"
    for change in (
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "x" * 43}, {"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"},
    ):  # fmt: skip
        reply = shared_hub.request("PATCH", path, {"name": "stolen"}, headers={**good, **change})
        assert reply.status in (403, 415), change
    assert shared_hub.node(node.node_id)["name"] == node.name
    assert shared_hub.request("PATCH", path, {"name": node.name + "-b"}, headers=good).status == 200


# -- sessions that are over ---------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def streaming(hub: HubProcess, session: Login) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A page that gets something every few milliseconds."""
    [node] = await asyncio.to_thread(hub.enrol, f"streaming-{new_random_id()[:6]}")
    async with agents(hub, node) as [agent], aiohttp.ClientSession() as http:
        await agent.join()
        await agent.say(IDENTITY, layout_of())

        async def talk() -> None:
            for seq in range(100_000):
                await agent.say(pack_of(seq))
                await asyncio.sleep(0.02)

        talking = asyncio.create_task(talk())
        try:
            async with http.ws_connect(f"{hub.url}{API}/live", headers={"Cookie": session.cookie, "Origin": hub.url}) as live:
                await live.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": f"node:{node.node_id}"}]))
                async with asyncio.timeout(60):
                    while msgspec.msgpack.decode(await live.receive_bytes())[0] != "change":
                        pass
                yield live
        finally:
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)


def log_out(hub: HubProcess, session: Login) -> None:
    assert hub.request("POST", f"{API}/auth/logout", headers=page_headers(hub, session)).status == 204


def change_password(hub: HubProcess, _session: Login) -> None:
    other = hub.login()
    assert hub.request("POST", f"{API}/auth/password", {"current": PASSWORD, "new": PASSWORD + " 2"}, token=other.token).status == 200


def reset_on_the_hub_s_machine(hub: HubProcess, _session: Login) -> None:
    assert hub.local("POST", f"{API}/local/reset-user", {"username": "admin"}).status == 200


@pytest.mark.holds("SAFETY-18", "SAFETY-19", "S-09", "S-10")
@pytest.mark.parametrize("end", [log_out, change_password, reset_on_the_hub_s_machine])
async def test_an_ended_session_sees_nothing_a_second_later(hub: HubProcess, end: Any) -> None:
    session = await asyncio.to_thread(hub.login)
    async with streaming(hub, session) as live:
        await asyncio.to_thread(end, hub, session)
        began = time.monotonic()
        async with asyncio.timeout(60):
            while (message := await live.receive()).type is aiohttp.WSMsgType.BINARY:
                pass
        seconds = time.monotonic() - began
        print(f"closed after {seconds * 1e3:.0f} ms")
        assert live.close_code == CLOSE_SESSION_OVER
        assert message.type is aiohttp.WSMsgType.CLOSE
        # A second is promised. The row is polled every ten seconds too, so less than ten proves the notification.
        assert seconds < 9
    for headers in ({"Cookie": session.cookie}, {"Authorization": f"Bearer {session.token}"}):
        assert (await asyncio.to_thread(hub.request, "GET", f"{API}/nodes", headers=headers)).status == 401
        refreshed = await asyncio.to_thread(hub.request, "POST", f"{API}/auth/refresh", headers={**page_headers(hub, session), **headers})
        assert refreshed.status == 401


# -- paths and addresses ----------------------------------------------------------------------------------------

TRAVERSALS = [
    *(prefix + target for target in ("etc/passwd", "proc/self/environ", "stardust.db", "hub.pid") for prefix in (
        "../", "../../../../../../", "/", "//", "file:///", "..\\..\\", "....//....//", "..;/", "./../",
    )),
    "..", ".", "~", "~root/.ssh/id_rsa", "/dev/stdin", "/dev/zero", "/proc/self/mem", "con", "nul", "stardust.db\u0000.png", "..%2f..%2fetc%2fpasswd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%252f..%252fetc%252fpasswd", "%c0%ae%c0%ae/etc/passwd", "..%c0%af", "\uff0e\uff0e/etc/passwd", "..\u2215etc\u2215passwd",
    "|cat /etc/passwd", ";id", "$(id)", "`id`", "*", "?", "[a-z]*",
]  # fmt: skip
OPENED = """
import sys
ready = False
seen = set()
def hook(name, args):
    global ready
    if name == "socket.bind" and str(args[1]).endswith("control.sock"):
        ready = True
    if ready and name in ("open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir", "subprocess.Popen", "os.system", "os.exec", "sqlite3.connect"):
        seen.add(name + " " + str(args[0]))
import atexit
atexit.register(lambda: print("OPENED", *sorted(map(repr, seen)), sep="\\n"))
sys.addaudithook(hook)
"""
"""Becomes the hub's `sitecustomize`: notes every file that is touched and every program that is started once the hub has begun."""


def texts_of(route: Route) -> list[str]:
    """The fields of a route's body that take a text."""
    if route.body is None:
        return []
    fields = msgspec.structs.fields(route.body)
    return [field.name for field in fields if "str" in str(field.type)]


def body_with(route: Route, field: str, text: str) -> dict[str, Any]:
    """A body that is right but for this field."""
    needed: dict[type, dict[str, Any]] = {
        DeploymentBody: {"host": "127.0.0.1", "port": 1, "username": "root"},
        JobBody: {"action": "upgrade"},
        PasswordBody: {"current": "x", "new": "y"},
        LoginBody: {"username": "x", "password": "y"},
    }
    kind = str(next(found.type for found in msgspec.structs.fields(route.body or Body) if found.name == field))
    right = next((body for owner, body in needed.items() if owner is route.body), {})
    return {**right, field: [text] if "list" in kind else text}


@pytest.mark.holds("SAFETY-40", "SAFETY-65", "S-24", "S-51", "S-58")
@pytest.mark.parametrize("share", [16, pytest.param(4, marks=pytest.mark.slow)])
async def test_text_of_a_client_never_becomes_a_path_or_a_program(tmp_path: Path, share: int) -> None:
    """Args: share: one in so many of the texts goes to each route."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(OPENED)
    hub = HubProcess(tmp_path / "hub", env={"PYTHONPATH": f"{site}:{ROOT}"})
    await hub.start()
    statuses: set[int] = set()

    def attack() -> None:
        [node] = hub.enrol("target")
        for number, text in enumerate(TRAVERSALS):
            whole = quote(text, safe="")
            for path in (f"/{quote(text, safe='/%.;')}", f"/a/{whole}", f"/api/v1/{whole}", f"/install.sh/{whole}"):
                statuses.add(hub.request("GET", path).status)
            for route in ROUTES[number % share :: share]:
                path = API + re.sub(r"{\w+}", whole, route.path)
                if "{" in route.path:
                    statuses.add(hub.local(route.method, path, {} if route.body else None).status)
                for parameter in route.query:
                    right = API + route.path.replace("{id}", node.node_id)
                    if route.method == "GET":
                        statuses.add(hub.local("GET", f"{right}?{parameter.name}={whole}").status)
        for number, text in enumerate(TRAVERSALS[::4]):
            for route in ROUTES[number % (share // 2) :: share // 2]:
                for field in texts_of(route):
                    path = API + route.path.replace("{id}", node.node_id if "/nodes/" in route.path else new_random_id())
                    if route.method != "DELETE":
                        statuses.add(hub.local(route.method, path, body_with(route, field, text)).status)
            key = quote(text, safe="")[:100]
            statuses.add(
                hub.local("POST", f"{API}/nodes/{node.node_id}/jobs", {"action": "check"}, headers={"Idempotency-Key": key}).status
            )

    try:
        await asyncio.to_thread(attack)
        await eventually(
            lambda: not [one for one in hub.local("GET", f"{API}/deployments?limit=500").json["deployments"] if one["state"] == "running"],
            30,
        )
    finally:
        assert await hub.stop() == 0
    assert "OPENED" in hub.output
    touched = [line.strip("'\"") for line in hub.output.partition("OPENED\n")[2].splitlines()]
    assert touched
    own = (
        f"{hub.folder}",
        "/proc/self/",
        "/proc/net/",
        "/dev/null",
        "/dev/urandom",
        str(ROOT),
        sys.base_prefix,
        "/usr/lib/python",
        "/usr/local/lib/python",
        "/etc/localtime",
    )
    strange = []
    for line in touched:
        name, _, what = line.partition(" ")
        fine = (
            what.isdigit()
            or any(what.startswith((prefix, f"file:{prefix}", f"b'{prefix}")) for prefix in own)
            or (name == "subprocess.Popen" and "python" in what)
        )
        if not fine:
            strange.append(line)
    assert strange == [], "\n".join(strange)
    assert not [line for line in touched if "passwd" in line or ".." in line]
    assert not [status for status in statuses if status >= 500 and status != 503], statuses


@pytest.mark.holds("SAFETY-40", "S-30")
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1", "240.0.0.1",
        "2852039166", "0xa9fea9fe", "169.254.43518", "0251.0376.0251.0376", "192.0.2.7", "metadata.google.internal@127.0.0.1",
        "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "127.0.0.1/../x", "127.0.0.1#x", "127.0.0.1:22", "http://127.0.0.1", "-oProxyCommand=id", "a b", "",
    ],
)  # fmt: skip
def test_the_hub_does_not_connect_to_forbidden_addresses(shared_hub: HubProcess, host: str) -> None:
    reply = shared_hub.local("POST", f"{API}/deployments", {"host": host, "username": "root", "password": "x", "port": 1})
    if reply.status == 202:  # a name, which did not resolve
        path = f"{API}/deployments/{reply.json['id']}"
        wait_until(lambda: shared_hub.local("GET", path).json["state"] != "running")
        shown = shared_hub.local("GET", path).json
        assert (shown["state"], shown["error"]["step"]) == ("failed", "connect")
        assert shown["host_key"] is None
        assert shown["error"]["code"] not in ("connection_refused", "unreachable", "timeout"), shown
    else:
        assert reply.status == 400
        assert reply.json["code"] in ("deployment.target_not_allowed", "request.invalid")


# -- what there is not ---------------------------------------------------------------------------------------------


@pytest.mark.holds("SAFETY-38", "S-23")
async def test_an_unknown_verb_does_nothing(shared_hub: HubProcess) -> None:
    session = await asyncio.to_thread(shared_hub.login)
    names = [
        "_start", "__class__", "__init__", "_read", "_subscribe", "run", "close", "end", "put", "reload_rights", "scope", "constructor", "Subscribe", "subscribe ",
        "subscribe\x00", "sub", "job", "exec", "eval", "import", "", "*", "login", "enrol", "../x", *(f"verb{number}" for number in range(10)),
    ]  # fmt: skip
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{shared_hub.url}{API}/live", headers={"Cookie": session.cookie, "Origin": shared_hub.url}) as live,
    ):
        assert msgspec.msgpack.decode(await live.receive_bytes())[0] == "hello"
        for name in names:
            await live.send_bytes(msgspec.msgpack.encode([name, {}]))
            kind, body = msgspec.msgpack.decode(await live.receive_bytes())
            assert (kind, body["code"]) == ("error", "request.invalid"), name
    for name in names[:10]:
        for method in ("GET", "POST", "PUT", "DELETE", "TRACE", "CONNECT_", "PROPFIND"):
            reply = await asyncio.to_thread(shared_hub.request, method, f"{API}/{quote(name, safe='')}", {}, token=session.token)
            assert reply.status in (400, 404, 405), (method, name)


@pytest.mark.holds("SAFETY-32", "S-18")
async def test_error_answers_reveal_no_internals(shared_hub: HubProcess) -> None:
    token = (await asyncio.to_thread(shared_hub.login)).token
    inside = re.compile(rb"Traceback|File \"|/work/|site-packages|aiohttp|sqlite|SELECT |groundcontrol/|\.py\b")
    for method, path, body in (
        ("GET", "/api/v1/nodes/x", None), ("POST", "/api/v1/deployments", b"{"), ("POST", "/api/v1/deployments", b"\xff" * 100),
        ("GET", "/api/v1/nodes?cursor=%00", None), ("GET", "/api/v1/events?limit=1e9", None), ("GET", "/nothing.php", None), ("POST", "/", b"x"),
        ("GET", "/api/v1/jobs?node='", None), ("OPTIONS", "/api/v1/nodes", None), ("DELETE", "/healthz", None), ("GET", "/ws", None), ("GET", "/metrics", None),
    ):  # fmt: skip
        for known in (token, None):
            reply = await asyncio.to_thread(shared_hub.request, method, path, body, token=known)
            assert reply.status < 500, (method, path)
            if reply.headers["Content-Type"] == "application/problem+json":
                assert not inside.search(reply.body), reply.body
                assert json.loads(reply.body)["code"]
            assert "Server" not in reply.headers
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
