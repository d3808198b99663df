"""The hub as a process: refused starts, stopping, and a full disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import signal
import socket
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundcontrol.app import DRAIN_LIMIT_S, EXIT_SOFTWARE
from spider.wire.frames import CLOSE_GOING_AWAY
from tests.support.agent import IDENTITY, agents, layout_of, pack_of
from tests.support.command import command, serve
from tests.support.eventually import eventually
from tests.support.faults import small_disk
from tests.support.hub import ROOT, SECRET, HubProcess
from tests.support.hub_faults import fault_file

OTHER_SECRET = "Yt5-pQ8rWz1-nM4kLc7-"


# -- refusing to start -----------------------------------------------------------------------------------


@pytest.mark.holds("SAFETY-1", "S-31")
@pytest.mark.parametrize(
    "env",
    [
        {},
        {"STARDUST_SECRET": "fifteen-chars-x"},
        {"STARDUST_SECRET": "a" * 16},
        {"STARDUST_SECRET": "changeme-changeme"},
        {"STARDUST_SECRET": SECRET, "STARDUST_DATABASE_URL": "postgres://db"},
        {"STARDUST_SECRET": SECRET, "STARDUST_NATS_URL": "nats://bus"},
        {"STARDUST_SECRET": SECRET, "STARDUST_TRUSTED_PROXIES": "*"},
        {"STARDUST_SECRET": SECRET, "STARDUST_SERVER_URL": "ws://hub.example.com/ws"},
        {"STARDUST_SECRET": SECRET, "STARDUST_AGENT_BUNDLE": "/nowhere"},
    ],
)
def test_a_refused_start_is_one_plain_line_and_writes_no_file(tmp_path: Path, env: dict[str, str]) -> None:
    done = serve(tmp_path / "data", env=env)
    assert done.returncode == 78
    assert done.stdout == ""
    assert done.stderr.startswith("stardust: ")
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.holds("SAFETY-1")
@pytest.mark.parametrize(
    "wrong", [{"STARDUST_ADMIN_PASS": "x"}, {"STARDUST_AGENT_BUNDLE": "junk.pyz"}], ids=lambda wrong: next(iter(wrong))
)
def test_a_first_start_that_is_refused_late_says_one_line_and_no_setup_code_and_the_next_one_works(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    (tmp_path / "junk.pyz").write_text("no bundle")
    wrong = {name: value.replace("junk.pyz", str(tmp_path / "junk.pyz")) for name, value in wrong.items()}
    done = serve(tmp_path / "data", env={"STARDUST_SECRET": SECRET, "STARDUST_ALLOW_VOLATILE": "yes", **wrong})
    assert (done.returncode, done.stdout) == (78, "")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("stardust: ")
    with HubProcess(tmp_path / "data") as hub:
        hub.login()


def test_a_data_folder_in_memory_is_refused_unless_allowed() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:  # every Linux has this one
        folder = Path(memory) / "hub"
        done = serve(folder, env={"STARDUST_SECRET": SECRET, "STARDUST_ALLOW_VOLATILE": "no"})
        assert done.returncode == 78
        assert "STARDUST_ALLOW_VOLATILE" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not folder.exists()
        with HubProcess(folder) as hub:
            assert "in memory (tmpfs)" in command(hub.folder, "doctor").stdout


def test_a_database_in_memory_is_refused_wherever_the_data_folder_lies() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        control = Path(memory) / "stardust.db"
        done = serve(
            Path.cwd() / ".cache" / "nowhere", "--db", str(control), env={"STARDUST_SECRET": SECRET, "STARDUST_ALLOW_VOLATILE": "no"}
        )
        assert done.returncode == 78
        assert f"the database's folder {memory} is in memory (tmpfs)" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not control.exists()


@pytest.mark.holds("S-31")
def test_a_wrong_secret_does_not_start_and_does_no_harm(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub"):
        pass
    done = serve(tmp_path / "hub", env={"STARDUST_SECRET": OTHER_SECRET})
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1
    assert OTHER_SECRET not in done.stdout + done.stderr
    with HubProcess(tmp_path / "hub") as hub:
        hub.login()


@pytest.mark.holds("SAFETY-8", "F-40")
def test_a_second_hub_on_the_folder_and_a_taken_port_are_one_sentence_each(hub: HubProcess, tmp_path: Path) -> None:
    second = serve(hub.folder)
    assert second.returncode == 78
    assert "another hub" in second.stderr
    taken = serve(tmp_path / "other", "--port", str(hub.port))
    assert taken.returncode == 78
    assert f"port {hub.port}" in taken.stderr
    assert "--port" in taken.stderr
    assert hub.request("GET", "/healthz").status == 200
    assert (hub.folder / "hub.pid").read_text().strip() == str(hub.pid)


@pytest.mark.holds("F-40")
def test_a_second_hub_on_links_to_the_files_is_refused_without_effect_on_the_first(hub: HubProcess, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    linked.mkdir(mode=0o700)
    for name in ("stardust.db", "stardust-samples.db"):
        os.link(hub.folder / name, linked / name)
    before = {path.name for path in linked.iterdir()}
    second = serve(linked)
    assert second.returncode == 78
    assert f"{linked / 'stardust.db'} is one file with 2 names" in second.stderr
    for words in (("rotate-secret",), ("restore", str(tmp_path / "none"), "--replace")):
        done = command(linked, *words, given=OTHER_SECRET, env={"STARDUST_SECRET": SECRET})
        assert (done.returncode, "2 names" in done.stderr) == (1, True), done.stderr
    assert {path.name for path in linked.iterdir()} == before
    assert hub.request("GET", "/healthz").status == 200
    shutil.rmtree(linked)
    assert hub.end() == 0
    with HubProcess(hub.folder) as again:
        assert again.request("GET", "/healthz").status == 200


@pytest.mark.holds("SAFETY-8", "S-35")
def test_a_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "something").touch()
    folder.chmod(0o755)
    done = serve(folder)
    assert done.returncode == 78
    assert "chmod 700" in done.stderr


@pytest.mark.holds("SAFETY-8", "S-35")
def test_every_stored_file_is_private(hub: HubProcess) -> None:
    assert stat.S_IMODE(hub.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in hub.folder.iterdir()}
    assert {"stardust.db", "stardust-samples.db", "control.sock", "hub.pid", "hub.lock"} <= modes.keys()
    assert all(mode & 0o077 == 0 for mode in modes.values()), modes
    hub.end()
    assert not (hub.folder / "control.sock").exists()
    assert not (hub.folder / "hub.pid").exists()


# -- starting and stopping ---------------------------------------------------------------------------------


async def test_systemd_is_notified_of_readiness_and_stopping(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as keeper:
        keeper.bind(str(tmp_path / "notify"))
        keeper.settimeout(60)
        env = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        told: list[bytes] = []

        def listen() -> None:
            """All the while, as systemd does: what finds no room in the socket is not said again."""
            while told[-1:] != [b"STOPPING=1"]:
                told.append(keeper.recv(100))

        listening = threading.Thread(target=listen)
        listening.start()
        with HubProcess(tmp_path / "hub", env=env) as hub:
            await eventually(lambda: b"WATCHDOG=1" in told)
            await hub.stop()
        await asyncio.to_thread(listening.join)
        assert (told[0], set(told[1:-1]), told[-1]) == (b"READY=1", {b"WATCHDOG=1"}, b"STOPPING=1")


def assert_drained(hub: HubProcess) -> None:
    """The stop came to its own end: what cuts it short, so that it takes ten seconds at most on any machine, had nothing to do."""
    assert DRAIN_LIMIT_S < 10
    told = [line["event"] for line in hub.events if line["event"] in ("hub_stopping", "drain_cut_short", "drain_unflushed", "hub_stopped")]
    assert told == ["hub_stopping", "hub_stopped"]


@pytest.mark.holds("SAFETY-89")
async def test_sigterm_disconnects_everyone_and_loses_nothing(hub: HubProcess) -> None:
    nodes = await asyncio.to_thread(hub.enrol, *(f"node-{number}" for number in range(8)))
    async with agents(hub, *nodes) as joined:
        for agent in joined:
            await agent.join()
            await agent.say(layout_of(), *(pack_of(seq) for seq in range(5)))
            await agent.wait_acked(1)
        stopping = asyncio.create_task(hub.stop())
        for agent in joined:
            seen = agent.acked[0]
            closed = await agent.hear_out()
            assert closed.code == CLOSE_GOING_AWAY
            assert 2_000 <= int(closed.reason) <= 10_000
            assert agent.acked[0] >= seen
        assert await stopping == 0
    assert_drained(hub)
    gone = [(line["code"], 2_000 <= int(line["reason"]) <= 10_000) for line in hub.events if line["event"] == "agent_gone"]
    assert gone == [(CLOSE_GOING_AWAY, True)] * len(nodes)
    await hub.start()
    async with agents(hub, *nodes) as back:
        for agent, before in zip(back, joined, strict=True):
            assert (await agent.join()).live_seq >= before.acked[0]


@pytest.mark.holds("SAFETY-89", "F-32")
def test_a_second_signal_ends_the_hub_immediately(hub: HubProcess) -> None:
    assert hub.process is not None
    with socket.create_connection(("127.0.0.1", hub.port)) as held:
        held.sendall(b"GET /healthz HTTP/1.1\r\n")  # a request that never ends keeps the drain waiting
        os.kill(hub.pid, signal.SIGSTOP)  # so that both are there before the first is seen to the end
        os.kill(hub.pid, signal.SIGTERM)
        os.kill(hub.pid, signal.SIGINT)
        os.kill(hub.pid, signal.SIGCONT)
        assert hub.outlive() in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert [line["event"] for line in hub.events if line["event"].startswith("hub_stop")] == ["hub_stopping", "hub_stopped_at_once"]
    assert not (hub.folder / "control.sock").exists()


# -- no room --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub whose data folder is a small file system of its own."""
    with small_disk(tmp_path / "hub", "6m") as disk:
        hub = HubProcess(tmp_path / "hub", mounts_of=disk.pid)
        hub.view = disk.view
        with hub:
            yield hub


@pytest.mark.holds("SAFETY-82", "F-11")
async def test_a_full_disk_stops_acknowledgements_until_there_is_space(small_hub: HubProcess) -> None:
    hub = small_hub
    [node] = await asyncio.to_thread(hub.enrol, "web-1")
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(layout_of(), pack_of(0))
        await agent.wait_acked(0)
        filler = hub.view / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            while True:
                file.write(os.urandom(4096))
                file.flush()
        sent = 0

        async def send_until_it_is_full() -> None:
            nonlocal sent
            for sent in range(1, 60):
                await agent.say(pack_of(sent, rows=100))
                await asyncio.sleep(0.02)

        await send_until_it_is_full()
        await eventually(lambda: hub.request("GET", "/healthz").status == 503)
        health = (await asyncio.to_thread(hub.request, "GET", "/healthz")).json
        assert (health["status"], health["database"]) == ("failing", False)
        told = await asyncio.to_thread(command, hub.view, "status", "--json")
        assert (told.returncode, json.loads(told.stdout)["nodes"]) == (1, {"online": 1, "reconnecting": 0, "offline": 0, "pending": 0})
        held = agent.acked[0]
        assert held < sent
        filler.unlink()
        await agent.wait_acked(sent)
        await eventually(lambda: hub.request("GET", "/healthz").status == 200)


@pytest.mark.holds("SAFETY-83", "F-13")
async def test_a_disk_that_fails_ends_the_hub_and_nothing_acknowledged_is_lost(hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(hub.enrol, "web-1")
    async with agents(hub, node) as [agent]:
        await agent.join()
        await agent.say(layout_of(), pack_of(0))
        await agent.wait_acked(0)
        resource.prlimit(hub.pid, resource.RLIMIT_FSIZE, (1, 1))  # every write fails from now on, and not for want of room
        await agent.say(pack_of(1))
        await agent.hear_out()
        held = agent.acked[0]
        assert held == 0
    assert await asyncio.to_thread(hub.outlive) == 75
    await hub.start()
    async with agents(hub, node) as [agent]:
        assert (await agent.join()).live_seq == held


BLOCKING = """
import os, sys, threading
main = threading.get_ident()
ready = False
def hook(name, args):
    global ready
    if name == "socket.bind" and str(args[1]).endswith("control.sock"):
        ready = True
    if name not in ("open", "os.listdir", "os.remove", "os.rename", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen", "time.sleep"):
        return
    what = str(args[0] if args else "")
    if not ready or threading.get_ident() != main or what.startswith("/proc/self/") or what.endswith(("hub.pid", "control.sock")):
        return
    frames, frame = [], sys._getframe(1)
    while frame and len(frames) < 12:
        frames.append(f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}")
        frame = frame.f_back
    seen.append(f"{name} {args[:1]} {' < '.join(frames)}")
seen = []
import atexit
atexit.register(lambda: print("BLOCKING", *seen, sep="\\n  "))
sys.addaudithook(hook)
"""
"""Becomes the hub's `sitecustomize`: notes what blocks on the thread of the event loop once the hub has begun."""


def test_a_hub_that_cannot_process_revocations_ends(tmp_path: Path) -> None:
    """It would keep showing revoked data, and report that all is well."""
    with HubProcess(tmp_path / "data", faults=["no-revocations"]) as hub:
        fault_file(hub.folder, "no-revocations").touch()
        assert hub.outlive() == EXIT_SOFTWARE
        assert "the task for revocations failed" in str(hub.wait_event("hub_failed"))


@pytest.mark.holds("SAFETY-94", "S-27")
async def test_the_event_loop_is_not_blocked_while_the_hub_serves(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(BLOCKING)
    hub = HubProcess(tmp_path / "hub", env={"PYTHONPATH": f"{site}:{ROOT}"}, forked=False)
    await hub.start()
    try:
        [node] = await asyncio.to_thread(hub.enrol, "web-1")
        async with agents(hub, node) as [agent]:
            await agent.join()
            await agent.say(IDENTITY, layout_of(), *(pack_of(seq) for seq in range(5)))
            await agent.wait_acked(4)
            token = (await asyncio.to_thread(hub.login)).token
            for path in (
                "/",
                "/healthz",
                "/metrics",
                f"/api/v1/nodes/{node.node_id}/history?metric=load.1",
                "/api/v1/events",
                "/api/v1/audit",
            ):
                reply = await hub.call("GET", path, token=token)
                assert reply.status in (200, 503), path
            await hub.call("POST", f"/api/v1/nodes/{node.node_id}/jobs", {"action": "check"}, token=token)
    finally:
        assert await hub.stop() == 0
    assert "BLOCKING" in hub.output
    assert [line for line in hub.output.partition("BLOCKING")[2].splitlines() if line.strip()] == []
