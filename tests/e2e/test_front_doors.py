"""Nodes and users through Caddy and nginx, with the configurations from the documentation."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from spider.wire.orders import SignedOrder
from tests.support.agent import SpiderProcess
from tests.support.eventually import eventually
from tests.support.fake_launcher import FakeLauncher, FakeRunner
from tests.support.front_door import DOORS, Door, behind
from tests.support.hub import PASSWORD, HubProcess
from tests.support.job_messages import job_is, order

Front = tuple[HubProcess, Door]
LINE = b"Setting up lab-slow (1.1) ...\r\n"
CLIENT = "127.0.44.7"
"""Where a person sits; the front door itself is 127.0.0.1 to the hub."""
BACK_LIMIT_S = 90
"""Caddy cuts what is open when it is reloaded, and a node that is cut again and again waits up to a minute."""


@pytest.fixture(scope="module", params=DOORS)
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with behind(request.param, tmp_path_factory.mktemp(request.param)) as both:
        yield both


async def output_goes_on_over(front: Front, folder: Path, reloads: int) -> None:
    """A working node behind the proxy, while that reloads its configuration, and is finally stopped and started."""
    hub, door = front
    finish = asyncio.Event()

    async def work(runner: FakeRunner, _order: SignedOrder) -> None:
        runners.append(runner)
        for step in range(10_000):
            runner.say(b"%d " % step + LINE * 20)
            if finish.is_set():
                break
            await asyncio.sleep(0.03)
        runner.end()

    runners: list[FakeRunner] = []
    [node] = await asyncio.to_thread(hub.enrol, f"worker-{reloads}")
    spider = SpiderProcess(folder / "spider", hub, node, url=door.ws_url, tls_pin=door.pin)
    async with FakeLauncher(spider.launcher, spider.jobs, node.launch_key, work) as launcher:
        try:
            spider.launch()
            await eventually(lambda: hub.node(node.node_id)["policy"], 30, spider.log)
            job = await order(hub, node)
            for number in range(reloads + 1):
                seen = len(runners[0].printed) if runners else 0
                await eventually(lambda seen=seen: hub.job(job["id"])["output_bytes"] > seen, BACK_LIMIT_S, "the output stands still")  # type: ignore[misc]
                await asyncio.to_thread(door.reload if number < reloads else door.stop)
            await asyncio.to_thread(door.start)
            finish.set()
            done = await job_is(hub, job["id"], "succeeded", BACK_LIMIT_S)
        finally:
            spider.close()
    assert len(launcher.orders) == 1
    assert hub.job_output(job["id"]) == runners[0].printed
    assert done["output_sha256"] == hashlib.sha256(runners[0].printed).hexdigest()


@pytest.mark.holds("SAFETY-98", "F-36")
async def test_a_job_continues_while_the_front_door_is_reloaded_and_restarted(front: Front, tmp_path: Path) -> None:
    await output_goes_on_over(front, tmp_path, 2)


@pytest.mark.holds("F-36")
@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_a_job_continues_over_ten_reloads(front: Front, tmp_path: Path) -> None:
    await output_goes_on_over(front, tmp_path, 10)


@pytest.mark.holds("SAFETY-27", "S-29")
def test_a_client_is_identified_by_its_own_address_not_its_headers(front: Front) -> None:
    _, door = front
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("localhost", door.port, timeout=60, context=context, source_address=(CLIENT, 0))
    try:
        sent = {"Content-Type": "application/json", "X-Forwarded-For": "203.0.113.9", "Origin": door.url}
        connection.request("POST", "/api/v1/auth/login", json.dumps({"username": "admin", "password": PASSWORD}), sent)
        answer = connection.getresponse()
        opened = json.loads(answer.read())
        assert answer.status == 200, opened
        connection.request("GET", "/api/v1/auth/sessions", headers={"Authorization": f"Bearer {opened['token']}"})
        sessions = json.loads(connection.getresponse().read())["sessions"]
    finally:
        connection.close()
    assert [session["address"] for session in sessions if session["current"]] == [CLIENT]


@pytest.mark.parametrize(("cookie_bytes", "status", "code"), [(32_000, 401, "auth.required"), (33_000, 431, "request.headers_too_large")])
def test_oversized_cookies_of_neighbours_get_an_error_of_the_hub(front: Front, cookie_bytes: int, status: int, code: str) -> None:
    _, door = front
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("localhost", door.port, timeout=60, context=context)
    try:
        connection.request("GET", "/api/v1/nodes", headers={"Cookie": "neighbour=" + "x" * (cookie_bytes - 10)})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    assert (answer.status, json.loads(body)["code"]) == (status, code)
