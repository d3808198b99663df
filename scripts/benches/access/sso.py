"""access.sso: the end of a log-in through a provider, without the time that the provider itself takes."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from scripts.benches.measure import Results, cpu_seconds, line
from tests.support.hub import HubProcess
from tests.support.oidc_issuer import CLIENT, SECRET, an_issuer

ROUNDS = 40
LIMIT_MS = 50.0
GROUP = {"claim": "groups", "value": "ops", "organisation": "default", "role": "operator"}


async def sso() -> Results:
    """The end of a log-in through a provider, without the provider's own time: by the clock, and the processor time of the hub, which says little of how busy the machine is."""
    own: list[float] = []
    spent_s = 0.0
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder) / "hub") as hub:
        async with an_issuer() as issuer, aiohttp.ClientSession() as session:
            issuer.claims = {"groups": ["ops"]}
            body = {
                "name": "company", "title": "Company", "issuer": issuer.url, "client_id": CLIENT, "client_secret": SECRET,
                "create_accounts": True, "groups": [GROUP],
            }  # fmt: skip
            made = await asyncio.to_thread(hub.local, "POST", "/api/v1/auth/oidc/providers", body)
            assert made.status == 201, made.body
            page = (await asyncio.to_thread(hub.local, "GET", "/api/v1/local/page")).json["address"]
            headers = {"Origin": page, "Sec-Fetch-Site": "same-origin"}
            for _ in range(ROUNDS):
                async with session.post(f"{hub.url}/api/v1/auth/oidc/company/start", json={}, headers=headers) as begun:
                    location = (await begun.json())["location"]
                    cookies = {name: morsel.value for name, morsel in begun.cookies.items()}
                assert urlsplit(location).path == "/auth"
                returned = issuer.authorise(location)
                spent_s -= cpu_seconds(hub.pid)
                at, issuer.spent_s = time.perf_counter(), 0.0
                answer = await session.post(f"{hub.url}/api/v1/auth/oidc/finish", json=returned, headers=headers, cookies=cookies)
                own.append((time.perf_counter() - at - issuer.spent_s) * 1000)
                spent_s += cpu_seconds(hub.pid)
                assert answer.status == 200, await answer.text()
    return [
        line("access.sso", statistics.median(own), "ms", most=round(max(own), 2), limit=LIMIT_MS),
        line("access.sso.processor", spent_s / ROUNDS * 1000, "ms"),
    ]
