"""scripts/run: one instance per checkout, nothing left behind, and stop finds every process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.dev.state_files import MOST_LOG_BYTES
from spider.packages.detect import updates_manager
from spider.packages.interfaces import PackagesUnreadable
from tests.support.bundles import WITHOUT_MANAGER, bundle_of, shipped_version
from tests.support.eventually import eventually, wait_until
from tests.support.hub import PROGRAM, HubProcess
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60
pytestmark = pytest.mark.timeout(180)


def start(
    state: Path, port: int, *flags: str, bundle: Path | None = None, hub_module: str = "groundcontrol", **variables: str
) -> subprocess.Popen[str]:
    """Args: bundle: None: as scripts/run is. Else the Spider, and hub_module is the hub."""
    env = dict(os.environ, STARDUST_PORT=str(port), PYTHONUNBUFFERED="1", **variables)
    program = ["scripts.dev.run"] if bundle is None else ["tests.support.run_program", hub_module, str(bundle)]
    return subprocess.Popen(
        [sys.executable, "-m", *program, str(state), *flags],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(process: subprocess.Popen[str], words: str) -> str:
    """Read its output up to this text."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def processes_of(state: Path) -> list[str]:
    """Command lines of what runs for this folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:  # it has just ended
            continue
        if str(state) in words:
            found.append(words)
    return found


class Checkout:
    """One data folder of scripts/run for all tests of this file that can share it: each start takes seconds of a processor."""

    def __init__(self, state: Path, bundle: Path) -> None:
        self.state = state
        self.bundle = bundle
        self.port = free_port()
        self.hub = HubProcess(state, port=self.port)
        """Which scripts/run starts: asked by its socket alone."""
        self.process: subprocess.Popen[str] | None = None

    def begin(self, *flags: str) -> str:
        """Start it and wait for its welcome; returns what it said."""
        assert self.process is None or self.process.poll() is not None
        self.process = start(self.state, self.port, *flags, bundle=self.bundle, hub_module=PROGRAM)
        return said(self.process, "stop")

    def running(self) -> subprocess.Popen[str]:
        """Start it, unless it runs."""
        if self.process is None or self.process.poll() is not None:
            self.begin()
        assert self.process is not None
        return self.process

    def interrupt(self) -> None:
        """Ctrl-C, and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.communicate(timeout=START_LIMIT_S)

    @property
    def spider_log(self) -> str:
        return (self.state / "spider.log").read_text()

    def nodes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.hub.local("GET", "/api/v1/nodes").json["nodes"]
        return found


@pytest.fixture(scope="module")
def quiet_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Spider that asks no package manager."""
    return bundle_of(tmp_path_factory.mktemp("bundle"), shipped_version(), fault=WITHOUT_MANAGER)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, quiet_bundle: Path) -> Iterator[Checkout]:
    """A folder that was started for the first time, after a start that was refused."""
    checkout = Checkout(tmp_path_factory.mktemp("started") / ".stardust", quiet_bundle)
    refused = start(checkout.state, checkout.port, "--port", "abc")
    assert "'abc'" in refused.communicate(timeout=START_LIMIT_S)[0]
    assert refused.returncode == 78
    assert "log in        admin / admin (" in checkout.begin(), "the start that was refused made no user"
    yield checkout
    checkout.interrupt()


def test_a_second_run_script_is_refused_and_does_not_affect_the_first(checkout: Checkout) -> None:
    checkout.running()
    before = {path.name: path.read_text() for path in checkout.state.glob("*.pid")}
    second = start(checkout.state, free_port())
    output, _ = second.communicate(timeout=START_LIMIT_S)
    assert second.returncode == 1
    assert "running already in this checkout" in output
    assert {path.name: path.read_text() for path in checkout.state.glob("*.pid")} == before


def test_a_taken_port_is_one_sentence(checkout: Checkout, tmp_path: Path) -> None:
    checkout.running()
    second = start(tmp_path / "other", checkout.port)
    output, _ = second.communicate(timeout=START_LIMIT_S)
    assert second.returncode == 1
    assert f"port {checkout.port} is taken" in output
    assert len(output.strip().splitlines()) == 1


def test_created_files_are_private(checkout: Checkout) -> None:
    checkout.running()
    state = checkout.state
    assert state.stat().st_mode & 0o777 == 0o700
    for name in ("secret", "agent", "agent/spider.key", "stardust.db", "control.sock", "hub.log", "spider.log"):
        assert (state / name).stat().st_mode & 0o077 == 0, name
    assert "setup code" in (state / "hub.log").read_text()


def doctor_of(state: Path) -> tuple[int, list[str]]:
    """Its exit status and problems."""
    env = {"PATH": os.environ["PATH"], "STARDUST_SECRET_FILE": str(state / "secret"), "PYTHONPATH": str(ROOT)}
    env["STARDUST_ALLOW_VOLATILE"] = "yes"  # the folder of a test may be in memory
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM, "doctor", "--data-dir", str(state), "--json"],
        env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, [check["text"] for check in json.loads(done.stdout)["checks"] if check["state"] == "problem"]


def updates_here() -> tuple[int | None, str]:
    """The updates of this machine's package manager, asked without Spider: how many, or why they are unknown."""
    manager = updates_manager()
    assert manager is not None or not Path("/usr/bin/apt-get").exists(), "there is a manager, and nobody asks it"
    try:
        updates = manager.available_updates() if manager is not None else None
    except PackagesUnreadable as error:
        return None, str(error)
    return (updates.total if updates is not None else None), ""


@pytest.mark.slow  # half of this file's processor time; a deployed Spider reports them in tests/system/test_deploy.py
async def test_a_machine_with_a_package_manager_reports_its_updates(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(checkout, "bundle", bundle_of(tmp_path, shipped_version()))
    await asyncio.to_thread(checkout.interrupt)
    await asyncio.to_thread(checkout.begin)
    total, why = await asyncio.to_thread(updates_here)

    def told() -> Any:
        [node] = checkout.nodes()
        return node["updates"]["total"]

    if total is not None:
        await eventually(lambda: told() is not None or "updates_unreadable" in checkout.spider_log, 60, "no updates are reported")
        assert await asyncio.to_thread(told) == total, checkout.spider_log
    elif why:
        await eventually(lambda: json.dumps(why[:40])[1:-1] in checkout.spider_log, 60, "Spider does not say why it cannot tell")


def test_ctrl_c_leaves_no_process(checkout: Checkout) -> None:
    process, state = checkout.running(), checkout.state
    spider = int((state / "spider.pid").read_text())
    assert processes_of(state)
    checkout.interrupt()
    assert process.returncode == 0
    assert processes_of(state) == []
    assert not Path(f"/proc/{spider}").exists()
    assert not list(state.glob("*.pid"))
    assert "spool_unusable" not in checkout.spider_log


@pytest.mark.slow  # those of scripts/run alone, in a checkout of long ago
def test_files_of_an_earlier_version_get_private_permissions(checkout: Checkout) -> None:
    checkout.interrupt()
    state = checkout.state
    node = (state / "agent" / "node.json").read_text()
    for path in (state / "agent").iterdir():
        path.rename(state / path.name)
    (state / "agent").rmdir()
    for name in ("hub.log", "spider.log"):
        (state / name).chmod(0o644)
    checkout.begin()
    assert doctor_of(state) == (0, [])
    assert (state / "agent" / "node.json").read_text() == node
    assert "spool_unusable" not in checkout.spider_log


@pytest.mark.slow  # scripts/run alone enrols its own machine
def test_a_removed_machine_is_enrolled_again_under_a_free_name(checkout: Checkout) -> None:
    checkout.running()
    hub, port = checkout.hub, checkout.port
    [node] = checkout.nodes()
    policy = "[policy]\nversion = 1\nmode = readonly\n"
    (checkout.state / "agent" / "policy.conf").write_text(policy)
    assert hub.local("DELETE", f"/api/v1/nodes/{node['id']}?force=true").status < 300
    [other] = hub.enrol(node["name"].upper())
    assert hub.local("POST", "/api/v1/organisations", {"slug": "blue", "name": "Blue", "first_admin": "eve"}).status == 201
    checkout.interrupt()
    told = checkout.begin("--bind", "127.0.0.9")
    assert f"  Stardust      http://127.0.0.9:{port}\n" in told
    assert f"ssh -L 127.0.0.9:{port}:127.0.0.9:{port} " in told
    assert f"{node['name']} was removed from the fleet; this machine is enrolled again." in told
    assert f"Another node is named {node['name']}, so this machine is named {node['name']}-2." in told
    assert hub.local("DELETE", "/api/v1/organisations/blue", {"typed": "blue"}).status < 300
    [anew_id] = {found["id"] for found in checkout.nodes()} - {other.node_id}
    wait_until(lambda: hub.node(anew_id)["policy"] is not None, START_LIMIT_S, lambda: checkout.spider_log)
    anew = hub.node(anew_id)
    assert (anew["name"], anew["policy"]["mode"]) == (f"{node['name']}-2", "readonly")
    assert anew_id != node["id"]


def test_a_stopped_hub_is_not_restarted(checkout: Checkout) -> None:
    process = checkout.running()
    os.kill(int((checkout.state / "hub.pid").read_text()), signal.SIGTERM)
    told, _ = process.communicate(timeout=START_LIMIT_S)
    assert process.returncode == 0
    assert "Ground Control was stopped." in told
    assert processes_of(checkout.state) == []


def test_a_crashed_hub_is_restarted_and_one_with_invalid_settings_is_not(tmp_path: Path, quiet_bundle: Path) -> None:
    state, port = tmp_path / ".stardust", free_port()
    state.mkdir()
    (state / "hub.log").write_bytes(b"x" * (MOST_LOG_BYTES + 1))
    hub = HubProcess(state, port=port)  # which scripts/run starts: asked by its socket alone
    flags = ("--port", str(port), "--bind", "127.0.0.1", "--server-url", "wss://stardust.example/ws")  # no proxy is there
    variables = {"STARDUST_KEEP_SECONDS_HOURS": "7", "STARDUST_SECRET": "not the hub's own", "STARDUST_CONFIG": "/none"}
    process = start(state, free_port(), *flags, bundle=quiet_bundle, hub_module=PROGRAM, **variables)
    try:
        assert "  Stardust      https://stardust.example\n" in said(process, "stop")
        assert (state / "hub.log").stat().st_size < MOST_LOG_BYTES < (state / "hub.log.1").stat().st_size
        assert hub.local("GET", "/api/v1/settings").json["retention"][0]["kept_s"] == 7 * 3600
        spider = (state / "spider.pid").read_text()
        os.kill(int((state / "hub.pid").read_text()), signal.SIGKILL)
        assert "Ground Control ended by itself (killed by SIGKILL); its last message: " in said(process, "is started again in 1 s")

        def online() -> bool:
            try:
                return any(node["state"] == "online" for node in hub.local("GET", "/api/v1/nodes").json["nodes"])
            except OSError:
                return False

        wait_until(online, START_LIMIT_S, (state / "spider.log").read_text)
        assert (state / "spider.pid").read_text() == spider, "the Spider went on"
        (state / "stardust.toml").write_text("colour = 7\n")
        os.kill(int((state / "hub.pid").read_text()), signal.SIGKILL)
        told, _ = process.communicate(timeout=START_LIMIT_S)
        assert process.returncode == 78
        assert "is started again in 2 s" in told
        assert "there is no setting 'colour'" in told.splitlines()[-1]
        assert processes_of(state) == []
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=START_LIMIT_S)
