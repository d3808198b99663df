"""access.request_overhead, access.revocation and access.foreign: the cost of authenticating a request, the time to end a revoked session, and
whether the time of an answer tells that an id exists in another organisation."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from groundcontrol.web.routes import ROOT
from spider.wire.ids import new_random_id
from tests.support.attack_tools import attackers, try_password
from tests.support.hub import PASSWORD, HubProcess
from tests.support.inprocess_hub import running
from tests.support.tenants import pair

CALLS = 3000
WARM_UP = 300
REVOCATIONS = 20

Results = list[dict[str, object]]


async def _medians_us(**calls: Callable[[], Awaitable[object]]) -> dict[str, float]:
    """Median microseconds of each call. The calls are made in turn, so that other programs slow all alike."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(WARM_UP + CALLS):
        for name, call in calls.items():
            began = time.perf_counter()
            await call()
            if number >= WARM_UP:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(times) * 1e6 for name, times in taken.items()}


@contextlib.asynccontextmanager
async def _bare(answer: bytes) -> AsyncIterator[str]:
    """aiohttp with one handler and nothing else; gives its address."""

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=answer, content_type="application/json")

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def foreign() -> Results:
    """The answer to the id of another organisation's node, compared with that to an id that nobody has."""
    with tempfile.TemporaryDirectory() as folder:
        async with pair(Path(folder)) as both:
            paths = [f"nodes/{one}" for one in (both.other.node, new_random_id())]
            found = await _medians_us(foreign=lambda: both.mine.client.get(paths[0]), absent=lambda: both.mine.client.get(paths[1]))
    theirs, absent = found["foreign"], found["absent"]
    return [{"name": "access.foreign", "value": theirs, "unit": "us", "versus": absent, "ratio": theirs / absent}]


async def _get(http: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> bytes:
    async with http.get(url, headers=headers) as answer:
        assert answer.status == 200
        return await answer.read()


async def request_overhead() -> Results:
    """Microseconds to authenticate a session and an API token, compared with an empty query of the database.

    Also a whole request of a session, compared with a bare handler of aiohttp that gives the same answer. Each is measured twice: without
    a commit since the previous request, and (`anew`) after a commit, when the rows are read again.
    """
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as hub, aiohttp.ClientSession() as http:
            client = await hub.logged_in(cookie=False)
            caller = await hub.auth.authenticate(client.bearer, "127.0.0.1")
            assert client.user is not None
            made = await hub.auth.api_tokens.create(
                caller.scope, client.user, name="bench", role="viewer", days=1, grants=None, sensitive=False
            )
            headers, asked = {"Authorization": f"Bearer {client.bearer}"}, str(hub.url(f"{ROOT}/auth/me"))
            writer = hub.database._control.writer  # noqa: SLF001  # as if it had committed

            def after_a_commit(call: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
                def again() -> Awaitable[object]:
                    writer.edition += 1
                    return call()

                return again

            async with _bare(await _get(http, asked, headers)) as bare:
                calls: dict[str, Callable[[], Awaitable[object]]] = {
                    "session": lambda: hub.auth.authenticate(client.bearer, "127.0.0.1"),
                    "token": lambda: hub.auth.authenticate_bearer(made.text, "127.0.0.1"),
                    "whole": lambda: _get(http, asked, headers),
                }
                floors: dict[str, Callable[[], Awaitable[object]]] = {
                    "empty": hub.store.users.set_up,
                    "bare": lambda: _get(http, bare, headers),
                }
                held = await _medians_us(**calls, **floors)
                anew = await _medians_us(**{name: after_a_commit(call) for name, call in calls.items()}, **floors)
    return [
        {
            "name": f"access.request_overhead.{name}{how}",
            "value": round(us[name], 1),
            "unit": "us",
            "versus": round(us[beside], 1),
            "ratio": round(us[name] / us[beside], 2),
        }
        for us, how in ((held, ""), (anew, ".anew"))
        for name, beside in (("session", "empty"), ("token", "empty"), ("whole", "bare"))
    ]


async def revocation() -> Results:
    """Milliseconds from the revocation of a session, by another session of its user, to the end of its live socket."""
    taken = []
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder) / "hub") as hub:
        async with attackers(hub, [f"127.0.6.{number + 1}" for number in range(REVOCATIONS + 1)]) as [_, *others]:
            token = (await asyncio.to_thread(hub.login)).token
            for other in others:
                answer = await try_password(other, "admin", PASSWORD)
                theirs = msgspec.json.decode(answer.body)["token"]
                headers = {"Authorization": f"Bearer {theirs}"}
                async with other.ws_connect(f"{hub.url}/api/v1/live", headers=headers) as live:
                    await live.receive_bytes()
                    began = time.perf_counter()
                    assert (await hub.call("DELETE", "/api/v1/auth/sessions", token=token)).status == 204
                    while (await live.receive()).type is not aiohttp.WSMsgType.CLOSE:
                        pass
                    taken.append((time.perf_counter() - began) * 1000)
    return [{"name": "access.revocation", "value": round(statistics.median(taken), 1), "unit": "ms", "most": round(max(taken), 1)}]
