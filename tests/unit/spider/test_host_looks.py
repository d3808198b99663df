"""Looks of the agent for a roll-out: runs of equal looks, which wait for the hub; probes of this host only, and only where the owner allows it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from spider.clock import SystemClock
from spider.reports.looks import NOT_ALLOWED, Looks
from spider.reports.probes import ask_probes
from spider.sampling.collectors.host_look import HostLook, HostLooks, Mounted, Units
from spider.wire.frames import Message
from spider.wire.probes import is_probe
from spider.wire.report_messages import Looked, LookedOn, LookOrder
from tests.support.background import in_background
from tests.support.eventually import eventually
from tests.support.some import some

GOOD = HostLook(Units([], [], ["shop.service"], {}), ["tcp 80 shop.service"], {"/": Mounted(40, False)}, 0, [])
BAD = GOOD._replace(units=Units(["shop.service"], [], [], {"shop.service": 4}), ports=[])


class Quick(SystemClock):
    """A clock by which hours of looking pass at once."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


class Node:
    def __init__(self, folder: Path, mode: str = "managed") -> None:
        self.shows = GOOD
        self.told: list[Message] = []
        self.online = True
        policy = folder / "policy.conf"
        policy.write_text(f"[policy]\nversion = 1\nmode = {mode}\n")
        policy.chmod(0o644)
        self.looks = Looks(str(policy), os.geteuid(), Quick(), self.hear, lambda _: self.shows, spent=lambda: 0.0)

    async def hear(self, message: Message) -> None:
        if not self.online:
            raise ConnectionError("there is no session")
        self.told.append(message)

    def runs(self) -> list[Looked]:
        return [one for one in self.told if isinstance(one, Looked)]

    def order(self, order: str = "one", lease_s: int = 600, probes: tuple[str, ...] = ()) -> None:
        self.looks.order(LookOrder(order, lease_s, 5, list(probes)))


@asynccontextmanager
async def looking(node: Node) -> AsyncIterator[Node]:
    async with in_background(node.looks.run()):
        yield node


async def test_equal_looks_are_one_run_that_goes_on_and_a_change_begins_another(tmp_path: Path) -> None:
    async with looking(Node(tmp_path)) as node:
        node.order()
        await eventually(lambda: any(isinstance(one, LookedOn) and one.looks > 3 for one in node.told))
        assert [run.active for run in node.runs()] == [["shop.service"]]
        node.shows = BAD
        await eventually(lambda: len(node.runs()) == 2)
    first, second = node.runs()
    assert (second.failed, second.restarted, second.restarts, second.ports) == (["shop.service"], ["shop.service"], [4], [])
    assert second.from_ms > first.from_ms


async def test_what_was_seen_without_a_hub_is_told_once_the_next_session_orders_it(tmp_path: Path) -> None:
    async with looking(Node(tmp_path)) as node:
        node.order()
        await eventually(lambda: bool(node.runs()))
        node.online = False
        node.shows = BAD
        await asyncio.sleep(0)
        await eventually(lambda: len(node.looks._runs) == 2)
        node.shows = GOOD
        await eventually(lambda: len(node.looks._runs) == 3)
        node.told.clear()
        node.online = True
        node.looks.joined()
        await eventually(lambda: node.looks._runs[-1].looks > 3)
        assert node.told == [], "a hub that orders no looks gets none"
        node.order()
        await eventually(lambda: len(node.runs()) == 3)
        assert [run.failed for run in node.runs()] == [[], ["shop.service"], []]
        node.order("another")
        await eventually(lambda: node.runs()[-1].order == "another")
        node.order("another", lease_s=0)
        await eventually(lambda: not node.looks._runs)


async def test_a_part_that_cannot_be_read_is_not_told_as_empty(tmp_path: Path) -> None:
    async with looking(Node(tmp_path)) as node:
        node.shows = HostLook(None, None, None, -1, ["units"])
        node.order(probes=("unit shop.service",))
        await eventually(lambda: bool(node.runs()))
    [run] = node.runs()
    assert (run.absent, run.unreadable, run.answers) == (["units"], ["ports", "mounts"], ["its state is not known"])


def test_a_mount_of_an_automounter_is_not_compared_since_it_goes_when_nobody_uses_it(disk_path: Path) -> None:
    kinds = {"data": "ext4", "nightly": "autofs", "home": "autofs", "home/anna": "ext4"}
    points = [*kinds.items(), ("nightly", "ext4")]
    lines = [f"{at} 1 8:{at} / {disk_path}/{name} rw - {kind} none rw\n" for at, (name, kind) in enumerate(points)]
    for name in ("1", "self", *kinds):
        (disk_path / name).mkdir()
    for name in ("1", "self"):
        (disk_path / name / "mountinfo").write_text("".join(lines))
    (disk_path / "filesystems").write_text("\text4\n")
    shown = some(HostLooks(str(disk_path / "no-bus"), str(disk_path), str(disk_path)).look(0.0).mounts)
    assert list(shown) == [f"{disk_path}/data"]


async def test_probes_tell_a_status_and_are_asked_only_where_the_owner_lets_the_hub_act(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        asked.append(line)
        writer.write(b"HTTP/1.1 503 No\r\n\r\nsecret" if b"/bad" in line else b"HTTP/1.1 200 OK\r\n\r\nsecret")
        await writer.drain()
        writer.close()

    asked: list[bytes] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    good, bad = f"http http://127.0.0.1:{port}/", f"http http://127.0.0.1:{port}/bad"
    async with server:
        found = await ask_probes([good, bad, f"tcp {port}", "http http://example.org/", "unit shop.service"], limit_s=60.0)
        assert found == {good: "ok", bad: "it answered 503", f"tcp {port}": "ok"}
        asked.clear()
        async with looking(Node(tmp_path, "monitor")) as node:
            node.order(probes=(good, "unit shop.service"))
            await eventually(lambda: bool(node.runs()))
        assert node.runs()[0].answers == [NOT_ALLOWED, "ok"]
        assert asked == []
    closed = await ask_probes([f"tcp {port}"], limit_s=60.0)
    assert closed == {f"tcp {port}": "nothing listens there"} or "no connection" in closed[f"tcp {port}"]


@pytest.mark.parametrize(
    ("probe", "good"),
    [
        ("http http://localhost/", True),
        ("http https://[::1]:8443/health?x=1", True),
        ("tcp 65535", True),
        ("unit nginx.service", True),
        ("http http://localhost@example.org/", False),
        ("http http://10.0.0.1/", False),
        ("http http://localhost:99999/", False),
        ("http http://localhost/\r\nX: y", False),
        ("tcp 0", False),
        ("tcp 65536", False),
        ("unit ../x", False),
        ("exec /bin/sh", False),
    ],
)
def test_a_probe_never_leaves_the_host(probe: str, good: bool) -> None:
    kind, _, target = probe.partition(" ")
    assert is_probe(kind, target) is good
