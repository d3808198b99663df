"""access.request_overhead and access.revocation: the cost of authenticating a request, and the time to end a revoked session."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec
import uvloop

from scripts.benches.measure import Results, line
from tests.support.attack_tools import attackers, try_password
from tests.support.hub import PASSWORD, HubProcess
from tests.support.inprocess_hub import running

CALLS = 3000
WARM_UP = 300
REVOCATIONS = 20


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


def request_overhead() -> Results:
    """Microseconds to authenticate a session and an API token, compared with an empty query of the database."""
    return uvloop.run(_request_overhead())  # as the hub


async def _request_overhead() -> Results:
    """Each is measured twice: without a commit since the previous request, and (`anew`) after a commit, when the rows are read again."""
    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder)) as hub:
            client = await hub.logged_in(cookie=False)
            caller = await hub.auth.authenticate(client.bearer, "127.0.0.1")
            assert client.user is not None
            made = await hub.auth.api_tokens.create(
                caller.scope, client.user, name="bench", role="viewer", days=1, grants=None, sensitive=False
            )
            writer = hub.database._control.writer  # noqa: SLF001  # as if it had committed

            def after_a_commit(call: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
                def again() -> Awaitable[object]:
                    writer.edition += 1
                    return call()

                return again

            calls: dict[str, Callable[[], Awaitable[object]]] = {
                "session": lambda: hub.auth.authenticate(client.bearer, "127.0.0.1"),
                "token": lambda: hub.auth.authenticate_bearer(made.text, "127.0.0.1"),
            }
            held = await _medians_us(**calls, empty=hub.store.users.set_up)
            anew = await _medians_us(**{name: after_a_commit(call) for name, call in calls.items()}, empty=hub.store.users.set_up)
    return [
        line(f"access.request_overhead.{name}{how}", us[name], "us", us["empty"])
        for us, how in ((held, ""), (anew, ".anew"))
        for name in calls
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
    return [line("access.revocation", statistics.median(taken), "ms", most=round(max(taken), 1))]
