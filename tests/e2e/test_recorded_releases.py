"""Recordings of earlier versions: this hub serves their data folder, their Spider works with it, and this Spider replaces theirs.

`tests/e2e/recordings/make_recording.py` makes them. The clocks of hub and Spiders are set to the time of the recording, so that
nothing in it has expired.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.access import totp
from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.database import open_database
from majortom.build.bundle import read_bundle
from spider.clock import SystemClock
from spider.wire.frames import GROWN, KINDS_TO_HUB
from spider.wire.ids import new_random_id
from spider.wire.proof import node_keys
from tests.support.agent import BOOT
from tests.support.bundles import shipped_bundle, shipped_version
from tests.support.command import stardust
from tests.support.eventually import wait_until
from tests.support.hub import ROOT, HubProcess
from tests.support.hub_faults import fault_file
from tests.support.invariants import check_databases, told_holes
from tests.support.ports import free_port
from tests.support.spider_process import OLD_PYTHONS

pytestmark = pytest.mark.timeout(300)  # a Spider that missed the hub dials again after up to a minute
API = "/api/v1"
RECORDINGS = sorted(Path(__file__).with_name("recordings").glob("*.tar.xz"))
PYTHON = [*OLD_PYTHONS, "/usr/bin/python3"][0]
OF_THE_HUB = {"agent", "units", "installer"}
"""Fields that compare a node with what the hub ships, or have the hub's address."""
WITH_CLOCK = """
import runpy, sys, time
shift_s, system_time = float(sys.argv[1]), time.time
time.time = lambda: system_time() + shift_s
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Starts a bundle with the wall clock set."""


class Recording:
    """One archive, unpacked."""

    def __init__(self, archive: Path, folder: Path) -> None:
        with tarfile.open(archive) as members:
            members.extraction_filter = getattr(tarfile, "tar_filter", None)  # Debian 12's Python has no filters
            members.extractall(folder)  # with their modes, which the hub and Spider check
        self.folder = folder
        self.known: dict[str, Any] = json.loads((folder / "recorded.json").read_text())
        self.shift_s = self.known["recorded_at"] + 5 - time.time()
        self.newest = folder / "newest.pyz"
        self.newest.write_bytes(read_bundle())
        fault_file(folder / "hub", "clock").write_text(str(self.shift_s))
        self.hub = HubProcess(folder / "hub", secret=self.known["access"]["secret"], faults=["clock"])

    @contextlib.contextmanager
    def spider(self, name: str, bundle: Path, python: str) -> Iterator[None]:
        """A Spider with the configuration, state and jobs of a node."""
        node = self.folder / name
        conf = (node / "spider.conf").read_text()
        (node / "spider.conf").write_text(re.sub("(?m)^url = .*", f"url = {self.hub.ws_url}", conf))
        places = {
            "config": "spider.conf",
            "key": "session.key",
            "policy": "policy.conf",
            "state": "state",
            "jobs": "jobs",
            "launcher": "none",
        }
        flags = [f"--{flag}={node / place}" for flag, place in places.items()]
        with open(node / "log", "ab") as log:
            argv = [python, "-I", "-S", "-B", "-c", WITH_CLOCK, str(self.shift_s), str(bundle), *flags]
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": "/nowhere", "STARDUST_BOOT": BOOT}
            )
        try:
            yield
            process.terminate()
            assert process.wait(30) == 0, (node / "log").read_text()
        finally:
            process.kill()
            process.wait()
        assert "Traceback" not in (node / "log").read_text()

    def get(self, path: str) -> Any:
        reply = self.hub.local("GET", f"{API}/{path}")
        assert reply.status == 200, (path, reply.body)
        return reply.json

    def lost(self) -> list[str]:
        return [line for path, answer in self.known["answers"].items() for line in lost(answer, self.get(path), path)]

    def is_served(self, name: str, version: str) -> bool:
        """Whether a node is connected with a Spider of this version."""
        node = self.hub.node(self.known["nodes"][name]["id"])
        return bool(node["state"] == "online" and node["agent_version"] == version)

    def has_arrived(self, name: str) -> bool:
        """Whether the hub has everything that this node measured and did while it was away."""
        left = self.known["nodes"][name]
        job, began = self.hub.job(left["job"]), left["spooled_at"]
        end = began + left["spooled_rows"]
        series = self.get(f"nodes/{left['id']}/history?metric=load.1&from={began}&to={end}&points=4000")["series"]
        return bool(job["state"] == "succeeded" and series["load.1"]["avg"] == list(range(left["spooled_rows"])))

    def check_job(self, name: str) -> None:
        left = self.known["nodes"][name]
        output = bytes.fromhex(left["output"])
        job = self.hub.job(left["job"])
        assert (job["output_sha256"], job["output_bytes"]) == (hashlib.sha256(output).hexdigest(), len(output))
        assert job["changes"] == [{"package": "lab-slow", "from": "1.0", "to": "1.1"}]
        assert self.hub.job_output(left["job"]) == output
        assert self.get(f"jobs/{left['job']}/report")["services"] == ["nginx.service"]
        assert [step["package"] for step in self.get(f"jobs/{left['job']}/plan")["steps"]] == ["lab-slow"]


def lost(recorded: Any, now: Any, where: str) -> Iterator[str]:
    """Recorded values that are missing. A newer hub may add fields, and rows to a list whose rows have ids."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key, value in recorded.items():
            if key not in OF_THE_HUB:
                yield from lost(value, now.get(key, "nothing"), f"{where} {key}")
    elif isinstance(recorded, list) and isinstance(now, list) and recorded and isinstance(recorded[0], dict) and "id" in recorded[0]:
        rows = {row["id"]: row for row in now}
        for row in recorded:
            yield from lost(row, rows.get(row["id"], "nothing"), f"{where} {row['id']}")
    elif isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        for at, pair in enumerate(zip(recorded, now, strict=True)):
            yield from lost(*pair, f"{where} {at}")
    elif where.endswith(" type") and isinstance(recorded, str) and recorded.replace(".", "_") == now:
        return  # types of events were written with a point
    elif recorded != now:
        yield f"{where}: {recorded!r} was recorded, now {now!r}"


each_recording = pytest.mark.parametrize(
    "archive", [*(pytest.param(path, marks=pytest.mark.slow) for path in RECORDINGS[:-1]), RECORDINGS[-1]], ids=lambda path: path.name
)
"""The newest; earlier ones with --slow."""


def check_access(recording: Recording) -> None:
    """A session and a token go on; password and second factor log in."""
    hub, access = recording.hub, recording.known["access"]
    mine = hub.request("GET", f"{API}/auth/preferences", token=access["admin"])
    assert list(lost(recording.known["preferences"], mine.json, "preferences")) == []
    me = hub.request("GET", f"{API}/auth/me", token=access["admin"]).json
    assert (me["organisation"], me["many_organisations"], me["instance_admin"]) == ("default", False, True), (
        "all is in the first organisation"
    )
    seen = hub.request("GET", f"{API}/nodes", token=access["token"]).json["nodes"]
    assert [node["name"] for node in seen] == ["web-1"], "the token sees more or less than the nodes of its tag"
    code = totp.code_of(bytes.fromhex(access["seed"]), int((time.time() + recording.shift_s) // 30))
    body = {"username": access["operator"], "password": access["password"], "totp": code}
    assert hub.request("POST", f"{API}/auth/login", body).status == 200
    wrong = {"username": access["operator"], "password": access["password"], "totp": "000000"}
    assert hub.request("POST", f"{API}/auth/login", wrong).status == 401


@pytest.mark.holds("F-35")
@each_recording
def test_a_hub_and_its_nodes_of_an_earlier_version_lose_nothing(tmp_path: Path, archive: Path) -> None:
    recording = Recording(archive, tmp_path)
    known, recorded = recording.known, tmp_path / "spider.pyz"
    with recording.hub as hub:
        wait_until(  # the hub reads the newest values of its nodes after it has begun to listen
            lambda: not recording.lost(), what=lambda: "\n".join(recording.lost()), poll_s=0.5
        )
        assert hub.job_output(known["output"]["job"]) == bytes.fromhex(known["output"]["hex"])
        check_access(recording)
        with recording.spider("web-1", recorded, PYTHON):
            wait_until(lambda: recording.is_served("web-1", known["version"]) and recording.has_arrived("web-1"))
        with recording.spider("web-1", recording.newest, PYTHON), recording.spider("db-1", recording.newest, PYTHON):
            wait_until(lambda: all(recording.is_served(name, shipped_version()) for name in known["nodes"]))
            wait_until(lambda: recording.has_arrived("db-1"))
        for name in known["nodes"]:
            recording.check_job(name)
            assert recording.has_arrived(name)
        assert told_holes(hub.folder) == []
    secret = {"STARDUST_SECRET": known["access"]["secret"]}
    heads = [word for head in known["heads"] for word in ("--expect", head)]
    assert "holds" in stardust(hub.folder, "audit", "verify", *heads, env=secret).stdout
    checks = json.loads(stardust(hub.folder, "doctor", "--json", env=secret).stdout)["checks"]
    assert [check["text"] for check in checks if check["state"] == "problem"] == []
    assert any("sealed values" in check["text"] for check in checks)
    check_databases(hub.folder)


@each_recording
def test_a_recorded_hub_and_todays_spider_keep_a_session(archive: Path, tmp_path: Path) -> None:
    """A hub that was sent back to its earlier version after its Spiders were updated. It refuses each message with a field more than it knows."""
    with tarfile.open(archive) as members:
        (tmp_path / "old.pyz").write_bytes((members.extractfile("spider.pyz") or io.BytesIO()).read())
    node, fleet, key, port = new_random_id(), new_random_id(), os.urandom(32), free_port()
    bundle, conf, policy = tmp_path / "spider.pyz", tmp_path / "spider.conf", tmp_path / "policy.conf"
    bundle.write_bytes(shipped_bundle())
    conf.write_text(f"[hub]\nurl = ws://127.0.0.1:{port}/ws\nfleet = {fleet}\n[node]\nid = {node}\ngeneration = 1\n")
    policy.write_text("[policy]\nversion = 2\nmode = managed\nunits = cron.service\n")
    (tmp_path / "session.key").write_bytes(node_keys(key, node, 1).session)
    for path, mode in ((conf, 0o644), (policy, 0o644), (tmp_path / "session.key", 0o600)):
        path.chmod(mode)
    program: list[str | Path] = [
        sys.executable,
        ROOT / "tests/support/recorded_hub.py",
        tmp_path / "old.pyz",
        str(port),
        fleet,
        node,
        node_keys(key, node, 1).session.hex(),
    ]
    places = {"config": conf, "key": tmp_path / "session.key", "policy": policy, "jobs": tmp_path / "jobs", "launcher": tmp_path / "none"}
    flags = [str(word) for name, place in places.items() for word in (f"--{name}", place)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as hub:
        assert hub.stdout is not None
        known = {int(kind): fields for kind, fields in json.loads(hub.stdout.readline())["fields"].items()}
        argv = [PYTHON, "-I", "-S", "-B", str(bundle), *flags]
        env = {"PATH": "/nowhere"}  # a package manager would be asked for seconds
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as spider:
            wanted: set[str] = {"Identity", "Layout", "Pack", "Table"}
            took: set[str] = set()
            try:
                while not wanted <= took:
                    line = json.loads(hub.stdout.readline())
                    assert "ended" not in line, line
                    took.add(line["took"])
            finally:
                spider.kill()
                hub.kill()
    grown = {kind: cls for kind, cls in KINDS_TO_HUB.items() if kind in known and len(cls._fields) > known[kind]}  # type: ignore[attr-defined]
    left_out: dict[object, int] = {}
    for fields in GROWN.values():  # the recorded hub announces none of these features
        left_out.update({cls: min(most, left_out.get(cls, most)) for cls, most in fields.items()})
    too_long = {cls.__name__: known[kind] for kind, cls in grown.items() if left_out.get(cls, known[kind] + 1) > known[kind]}
    assert too_long == {}, "a field that the recorded hub does not know needs a feature in spider.wire.frames.GROWN"


@each_recording
async def test_the_databases_come_back_as_they_were_before_the_upgrade(archive: Path, tmp_path: Path) -> None:
    recording = Recording(archive, tmp_path)
    control = recording.hub.folder / "stardust.db"
    before = [rows_of_schema(path) for path in (control, samples_beside(control))]
    env = {"STARDUST_SECRET": recording.known["access"]["secret"]}
    none = await asyncio.to_thread(stardust, recording.hub.folder, "restore", "--before-upgrade", env=env, status=1)
    assert "no upgrade has left a copy" in none.stderr
    database = await open_database(recording.hub.folder, clock=SystemClock(), control=control)
    await database.close()
    assert [rows_of_schema(path) for path in (control, samples_beside(control))] != before
    with contextlib.closing(sqlite3.connect(samples_beside(control))) as samples, samples:
        samples.execute("UPDATE fence SET epoch = epoch + 9 WHERE node != 0")  # sessions that began after the upgrade
    done = await asyncio.to_thread(stardust, recording.hub.folder, "restore", "--before-upgrade", env=env)
    assert "Install the earlier version before the hub starts" in done.stdout
    assert [rows_of_schema(path) for path in (control, samples_beside(control))] == before
    assert len(list(recording.hub.folder.glob("*.before-restore-*"))) >= 2, "what came since is kept"
    with contextlib.closing(sqlite3.connect(control)) as db:
        db.execute("ATTACH ? AS samples", (str(samples_beside(control)),))
        sessions = db.execute("SELECT s.epoch, f.epoch FROM node_session s JOIN fence f ON f.node = s.node")
        epochs = sessions.fetchall()
    assert epochs
    assert all(session > fence for session, fence in epochs), "the next session of each node is let in"
    wrong = await asyncio.to_thread(stardust, recording.hub.folder, "restore", env=env, status=2)
    assert "give --before-upgrade" in wrong.stderr


def rows_of_schema(path: Path) -> tuple[int, list[tuple[str, int]]]:
    """The schema's number, and how many rows each table has."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        rows = [(name, db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]) for name in names]
        return db.execute("PRAGMA user_version").fetchone()[0], rows
