"""Test messages of the running hub through every kind of channel, and the secrecy of their credentials."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from spider.wire.ids import new_random_id
from tests.support import exim
from tests.support.eventually import ask_until
from tests.support.hub import HubProcess
from tests.support.hub_faults import set_fault
from tests.support.receivers import Received, Receiver

ROOT = "/api/v1"


def targets(receiver: Receiver, smtp: dict[str, Any], canary: list[str]) -> dict[str, dict[str, Any]]:
    """A target of each kind, with a secret of its own in each place for one."""

    def secret(form: str = "{}") -> str:
        canary.append(new_random_id())
        return form.format(canary[-1])

    return {
        "email": {"smtp": smtp, "from": "hub@example.com", "to": ["ops@example.com"]},
        "webhook": {"url": receiver.url(secret("/hook/{}")), "secret": secret("whsec_{}aaaaaaaaaa")},
        "ntfy": {"server": receiver.url(), "topic": "alerts", "token": secret("tk_{}")},
        "telegram": {"server": receiver.url(), "token": secret("123456789:{}"), "chat_id": "-100123"},
        "slack": {"url": receiver.url(secret("/services/{}"))},
        "discord": {"url": receiver.url(secret("/api/webhooks/1/{}"))},
        "teams": {"url": receiver.url(secret("/workflows/{}"))},
        "gotify": {"url": receiver.url(), "token": secret("A{}")},
        "pagerduty": {"server": receiver.url(), "routing_key": secret("{}aaaaaa")},
    }


@pytest.mark.holds("S-35")
async def test_a_test_arrives_through_every_kind_and_no_secret_is_anywhere_but_sealed(tmp_path: Path) -> None:
    folder = tmp_path / "exim"
    folder.mkdir()
    canary = [exim.PASSWORD]
    async with Receiver().running() as receiver:
        with exim.running(folder) as server:
            env = {
                "STARDUST_NOTIFY_ALLOW": f"localhost:{receiver.port}, 127.0.0.1:{server.starttls}",
                "SSL_CERT_FILE": str(folder / "hub.pem"),
            }
            smtp = {"host": "127.0.0.1", "port": server.starttls, "tls": "starttls", "username": "hub", "password": exim.PASSWORD}
            with HubProcess(tmp_path / "hub", env=env) as hub:
                made = await _sent(hub, targets(receiver, smtp, canary), "sent")
                receiver.statuses = [401] * 8
                await _sent(hub, {kind: target for kind, target in targets(receiver, smtp, canary).items() if kind != "email"}, "failed")
                answers = [
                    (await hub.call("GET", f"{ROOT}/{path}")).body
                    for path in ("channels", "deliveries?limit=500", "audit?limit=500", "events?limit=500")
                ]
                shown = [*answers, *_left_by(hub, tmp_path / "hub")]
            assert len(server.queue) == 1
            assert len(made) == 9
    assert len(receiver.got) == 16
    assert len(canary) >= 17
    assert [secret for secret in canary if any(secret.encode() in part for part in shown)] == []


def _left_by(hub: HubProcess, folder: Path) -> list[bytes]:
    """What a process and its files show: command line, environment, databases, logs."""
    process = [Path(f"/proc/{hub.pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
    return [*process, *(path.read_bytes() for path in folder.rglob("*") if path.is_file()), hub.output.encode()]


async def _sent(hub: HubProcess, wanted: dict[str, dict[str, Any]], state: str) -> list[str]:
    """Make these channels and test each. Returns: their ids."""
    made = {}
    for kind, target in wanted.items():
        answer = await hub.call("POST", f"{ROOT}/channels", {"kind": kind, "name": f"{kind} {state}", "target": target})
        assert answer.status == 201, answer.body
        made[answer.json["id"]] = kind
        assert (await hub.call("POST", f"{ROOT}/channels/{answer.json['id']}/test")).status == 202

    async def ended() -> bool:
        rows = (await hub.call("GET", f"{ROOT}/deliveries?limit=500")).json["deliveries"]
        own = [row for row in rows if row["channel_id"] in made]
        over = [row for row in own if row["state"] in ("sent", "failed", "skipped")]
        assert all(row["state"] == state for row in over), json.dumps(own)
        return len(over) == len(made)

    await ask_until(ended)
    return list(made)


@pytest.mark.holds("S-61")
async def test_no_channel_reaches_this_machine_unless_the_configuration_names_the_receiver(shared_hub: HubProcess) -> None:
    async with Receiver().running() as receiver:
        here = ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433")
        for url in (*(f"http://{host}:{receiver.port}/" for host in here), "http://169.254.169.254/"):
            answer = await shared_hub.call("POST", f"{ROOT}/channels", {"kind": "webhook", "name": url, "target": {"url": url}})
            offered = "STARDUST_NOTIFY_ALLOW" in answer.json["detail"]
            assert (answer.status, offered) == (400, "169.254" not in url), "nothing allows the address of a cloud's metadata"
    assert receiver.got == []


@pytest.mark.holds("S-62")
async def test_a_forged_link_does_nothing_and_tries_are_limited(shared_hub: HubProcess) -> None:
    assert (await asyncio.to_thread(shared_hub.request, "GET", f"{ROOT}/links/alert?token=x")).status == 405
    answers = [await asyncio.to_thread(shared_hub.request, "POST", f"{ROOT}/links/alert", {"token": "A" * 80}) for _ in range(22)]
    assert [answer.json["code"] for answer in answers] == ["link.expired"] * 20 + ["request.too_many"] * 2


async def test_a_message_interrupted_by_a_kill_is_resent_with_the_same_id(tmp_path: Path) -> None:
    async with Receiver().running() as receiver:
        killed = HubProcess(tmp_path / "killed", env={"STARDUST_NOTIFY_ALLOW": f"127.0.0.1:{receiver.port}"}, faults=["clock"])
        hanging = asyncio.Event()

        async def hang(_received: Received) -> web.StreamResponse:
            await hanging.wait()
            return web.Response()

        receiver.answer = hang
        with killed:
            # its clock jumps, without any notification
            assert (await killed.call("PATCH", f"{ROOT}/rules/hub.clock", {"enabled": False, "version": 0})).status == 200
            made = await killed.call("POST", f"{ROOT}/channels", {"kind": "webhook", "name": "ops", "target": {"url": receiver.url()}})
            test = await killed.call("POST", f"{ROOT}/channels/{made.json['id']}/test")
            await ask_until(lambda: _count(receiver, 1))
            await asyncio.to_thread(killed.slay)
            hanging.set()
            receiver.answer = None
            await asyncio.to_thread(killed.launch)
            await asyncio.to_thread(set_fault, killed, "clock", "61")  # the lease is over then

            async def ended() -> Any:
                [row] = (await killed.call("GET", f"{ROOT}/deliveries")).json["deliveries"]
                return row if row["state"] == "sent" else None

            row = await ask_until(ended)
        assert (row["id"], row["attempts"]) == (test.json["delivery_id"], 2)
        assert receiver.ids == [row["id"]] * 2


async def _count(receiver: Receiver, number: int) -> bool:
    return len(receiver.got) >= number
