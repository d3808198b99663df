"""rollouts.resume and rollouts.page: how soon a roll-out goes on after the hub was killed, and how soon a page shows the gate of a look.

One roll-out over simulated servers, which run the agent's own code and take a look every five seconds. It only observes, so nothing stops it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec

from scripts.benches.hub.fleet import a_fleet
from scripts.benches.measure import Results, line, until
from tests.support.hub import HubProcess

SERVERS: Final = 30
AT_ONCE: Final = 4
KILLS: Final = 5
LIMIT_S: Final = 180.0
SETTLE_S: Final = 65.0
"""Gates count a minute after the work."""
POLL_S: Final = 0.02
PATIENCE_S: Final = 20.0
"""A gate must reach the page within this time: the next look comes after five seconds, and its gate within two more."""


class _Jobs:
    """The jobs of the hub, read from its file, so that the hub has no work with it."""

    def __init__(self, hub: HubProcess) -> None:
        self._path = hub.folder / "stardust.db"

    def after(self, at: float, action: str = "%") -> list[float]:
        """When jobs were ordered since a time, in Unix seconds, oldest first."""
        with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT created_at FROM job WHERE created_at > ? AND action LIKE ? ORDER BY created_at", (at, action))
            return [created_at for (created_at,) in rows]


def _begin(hub: HubProcess) -> str:
    """Plan the upgrade of all servers, and start it. Returns: the roll-out."""
    token = hub.login().token

    def call(method: str, path: str, body: object = None) -> Any:
        answer = hub.request(method, f"/api/v1/{path}", body, token=token)
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body.decode()[:300]}")
        return answer.json

    body = {
        "name": "bench", "action": "upgrade", "select": {"all": True}, "order": {"canary": 0, "percent": 100, "at_once": AT_ONCE},
        "gates": "observe", "max_failed": SERVERS, "reboot": "never", "watch_s": 600,
    }  # fmt: skip
    made: str = call("POST", "rollouts", body)["id"]
    row = until(
        "the roll-out is planned", lambda: (one := hub.local("GET", f"/api/v1/rollouts/{made}").json)["state"] == "ready" and one, LIMIT_S
    )
    call("POST", f"rollouts/{made}/start", {"confirm": row["confirm"], "version": row["version"]})
    return made


class _Start(NamedTuple):
    served_s: float
    """From the start of the hub's process until it serves."""
    resumed_s: float
    """From then until the roll-out has ordered its next job."""


def _restart(hub: HubProcess, jobs: _Jobs) -> _Start:
    """Kill the hub while servers work out plans, which end while it is away, and start it again."""
    seen = time.time()
    until("plans are ordered", lambda: jobs.after(seen, "plan"), LIMIT_S)
    hub.slay()
    began = time.time()
    hub.launch()
    served = time.time()
    [first, *_] = until("the roll-out goes on", lambda: jobs.after(began), LIMIT_S, POLL_S)
    return _Start(served - began, max(0.0, first - served))


def _watched(hub: HubProcess, rollout: str) -> list[str]:
    """The nodes that are watched and have settled."""
    targets = hub.local("GET", f"/api/v1/rollouts/{rollout}/targets").json["targets"]
    return [one["node_id"] for one in targets if one["step"] == "watch" and one["watched_s"] >= SETTLE_S]


async def _shown(hub: HubProcess, rollout: str, nodes: list[str]) -> list[float]:
    """Break a unit of one server after the other. Returns: the seconds from each look that saw it until a page had its gate."""
    token = (await asyncio.to_thread(hub.login)).token
    dice, found = random.Random(1), dict[str, float]()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as http:
        socket = await http.ws_connect(f"{hub.url}/api/v1/live", max_msg_size=0)
        await socket.send_bytes(msgspec.msgpack.encode(["subscribe", {"topic": f"rollout:{rollout}"}]))

        async def follow() -> None:
            while len(found) < len(nodes):
                kind, body = msgspec.msgpack.decode(await socket.receive_bytes())
                now = time.time()
                for wave in body["data"]["waves"] if kind in ("snapshot", "change") else ():
                    for gate in wave["gates"]:
                        if gate["gate"] == "unit_failed" and gate["node_id"] is not None:
                            found.setdefault(gate["node_id"], now - gate["since_at"])

        following = asyncio.create_task(follow())
        for node in nodes:
            (hub.folder / "fleet" / node / "broken").write_text("nginx.service\n")
            await asyncio.sleep(dice.uniform(0.3, 1.7))
        await asyncio.wait_for(following, PATIENCE_S)
        await socket.close()
    return sorted(found.values())


def live() -> Results:
    """From the kill of the hub until a roll-out goes on, and from a look until a page shows its gate. Medians and worst: of KILLS restarts of the hub, and of a gate of each server that is watched in the end."""
    with tempfile.TemporaryDirectory(prefix="bench-rollouts-") as folder, a_fleet(Path(folder), SERVERS) as (hub, _):
        rollout, jobs = _begin(hub), _Jobs(hub)
        starts = [_restart(hub, jobs) for _ in range(KILLS)]
        nodes = until(
            "servers are watched and have settled", lambda: found if len(found := _watched(hub, rollout)) >= AT_ONCE else [], LIMIT_S
        )
        shown = asyncio.run(_shown(hub, rollout, nodes))
    resumed = sorted(one.resumed_s for one in starts)
    return [
        line(
            "rollouts.resume", statistics.median(resumed), "s", worst=round(resumed[-1], 2), kills=KILLS,
            served_s=round(statistics.median(one.served_s for one in starts), 2),
            worst_from_start_s=round(max(one.served_s + one.resumed_s for one in starts), 2),
        ),
        line("rollouts.page", statistics.median(shown), "s", worst=round(shown[-1], 2), servers=len(shown)),
    ]  # fmt: skip
