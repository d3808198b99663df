"""Spider on a real host whose hub is unreachable: after stops, kills and reboots, its samples and log lines arrive once."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_host import VERSION_DIR, AgentHost
from tests.support.bundles import shipped_bundle
from tests.support.eventually import ask_until, eventually
from tests.support.hub import HubProcess
from tests.support.invariants import Sample, check_databases, held_samples, told_holes

pytestmark = pytest.mark.system
SPOOL = "/var/lib/stardust/spider/spool"
PROGRAM = b"#!/bin/sh\necho \"whoami $(id -u)\"\necho 'queue.length 12 messages'\n"


async def pulses(hub: HubProcess) -> list[Sample]:
    now = time.time()
    return await held_samples(
        hub.folder, {"pulse": "memory.total", "custom": "custom{name=queue.length [messages]}"}, now - 3600, now + 3600
    )


async def seconds(hub: HubProcess) -> list[int]:
    return sorted(sample.taken_at_ms // 1000 for sample in await pulses(hub) if sample.family == "pulse")


def log_lines(hub: HubProcess, node: str) -> list[str]:
    """Lines that the hub holds, oldest first."""
    lines: list[dict[str, Any]] = hub.local("GET", f"/api/v1/nodes/{node}/logs?limit=200").json["lines"]
    return [line["text"] for line in reversed(lines)]


def journal_of(agent: AgentHost, cursor: str) -> list[str]:
    """What journalctl itself says came after a cursor (without a filter: with one, old versions leave out the first line)."""
    text = agent.host.sh(f"journalctl -o json --no-pager -q --after-cursor='{cursor}'")
    records = [json.loads(line) for line in text.splitlines()]
    return [str(fields["MESSAGE"]) for fields in records if int(fields.get("PRIORITY", 6)) <= 4]


async def install(agent: AgentHost, hub: HubProcess) -> str:
    """The agent as shipped, of this hub, whose owner wants logs and a custom metric. Returns: the node's id."""
    [node] = await asyncio.to_thread(hub.enrol, "far-away")
    conf = (
        f"[hub]\nurl = {hub.ws_url}\nfleet = {node.fleet_id}\n[node]\nid = {node.node_id}\ngeneration = {node.generation}\n"
        "[logs]\njournal = warning\n[statsd]\nlisten = /run/stardust-spider/statsd.sock\n"
    )

    def put() -> None:
        agent.put(f"{VERSION_DIR}/spider.pyz", shipped_bundle())
        agent.put("/etc/stardust/spider.conf", conf.encode())
        agent.put("/etc/stardust/session.key", node.session_key, "0600", "stardust:stardust")
        agent.host.sh("install -d -m 0755 /etc/stardust/metrics.d")
        agent.put("/etc/stardust/metrics.d/mail", PROGRAM, "0755")
        agent.host.sh("systemctl restart stardust-spider")

    await asyncio.to_thread(put)
    return node.node_id


@pytest.mark.slow  # tests/e2e/test_long_outage.py and test_samples_survive.py kill Spiders, and count what arrives
async def test_samples_and_log_lines_outlive_stops_kills_and_a_reboot_while_the_hub_is_away(agent: AgentHost, tmp_path: Path) -> None:
    sh = agent.host.sh
    with HubProcess(tmp_path / "hub", env={"STARDUST_KEEP_SECONDS_HOURS": "48"}) as hub:
        node = await install(agent, hub)

        async def some_are_held() -> bool:
            return len(await seconds(hub)) >= 10

        await ask_until(some_are_held, what=lambda: sh("journalctl -u stardust-spider --no-pager | tail -40"), poll_s=1.0)
        cursor = sh("journalctl -o json --no-pager -q -n 1 --output-fields=MESSAGE").strip()
        sh("logger -p user.warning 'first: disk sda is warm'; logger -p user.info 'not for the hub'")
        await eventually(lambda: "first: disk sda is warm" in log_lines(hub, node))
        await hub.kill()
        away = time.time()
        assert sh(f"ls {SPOOL} | grep -c seg || true").strip() == "0"
        sh("logger -p user.err 'second: said while nobody listened'")
        await asyncio.to_thread(agent.wait, f"test $(($(date +%s) - {int(away)})) -ge 12")
        sh("systemctl restart stardust-spider")
        restarted = time.time()
        assert int(sh(f"ls {SPOOL} | grep -c seg").strip()) == 1
        sh("systemctl kill -s KILL stardust-spider")
        killed = time.time()
        await asyncio.to_thread(agent.wait, f"test $(($(date +%s) - {int(killed)})) -ge 8")
        boot = sh("cat /proc/sys/kernel/random/boot_id").encode()
        sh("systemctl --no-block reboot")
        rebooting = time.time()
        await asyncio.to_thread(agent.wait_for_boot_after, boot)
        up = time.time()
        assert int(sh(f"ls {SPOOL} | grep -c seg").strip()) >= 2
        sh("logger -p user.warning 'third: after the reboot'")
        await hub.start()

        async def whole() -> bool:
            found = await seconds(hub)
            return bool(found) and found[-1] > up + 3 and sh(f"ls {SPOOL} | grep -c -e seg -e out || true").strip() == "0"

        await ask_until(whole, poll_s=1.0)
        times = await seconds(hub)
        print(
            f"{len(times)} seconds; restart at {restarted - away:.0f}, kill at {killed - away:.0f}, reboot {rebooting - away:.0f} to {up - away:.0f}"
        )
        assert len(times) == len(set(times)), "a second is held twice"
        for start, end in ((away - 5, restarted - 3), (killed + 4, rebooting - 1)):
            # A busy machine does not measure every second. What the spool loses, it loses whole.
            assert any(start <= at <= end for at in times), f"nothing is held of {start:.0f} to {end:.0f}"
        assert told_holes(hub.folder) == []
        await eventually(lambda: "third: after the reboot" in log_lines(hub, node))
        lines, said = log_lines(hub, node), journal_of(agent, json.loads(cursor)["__CURSOR"])
        assert lines == said[: len(lines)]
        assert [line for line in lines if line.startswith(("first", "second", "third"))] == [
            "first: disk sda is warm", "second: said while nobody listened", "third: after the reboot",
        ]  # fmt: skip

        async def own() -> set[Any]:
            return {sample.value for sample in await pulses(hub) if sample.family == "custom"}

        assert await ask_until(own, poll_s=1.0) == {12_000}
        assert "spool" not in sh("journalctl -u stardust-spider --no-pager -o cat | grep -e unusable -e failed || true")
    check_databases(hub.folder)
