"""Records a hub and two nodes of this commit for `tests/e2e/test_recorded_releases.py` of later commits.

`python hatch_build.py && python -m tests.e2e.recordings.make_recording` writes VERSION.tar.xz beside this file. It takes two minutes:
the hub moves samples into chunks after one. The archive has `hub/` (the data folder after a clean stop), `web-1/` and `db-1/`
(configuration, state and jobs of a Spider each), `spider.pyz`, and `recorded.json`: REST responses and the credentials for the test.

It contains no data of this machine: samples, tables and jobs are generated here, by the code of both sides.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import tarfile
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.core.scope import SYSTEM
from groundcontrol.deployments.node_files import bundle_version
from majortom.build.bundle import read_bundle
from spider.clock import SystemClock
from spider.config import Config, parse_url
from spider.hub.link import HubLink
from spider.hub.outbox import Outbox
from spider.jobs.files import PLANNED, REPORT, write_document
from spider.jobs.tracker import Jobs
from spider.packages.plan import HeldPackage, Plan, Planned
from spider.packages.plan_file import plan_to_document
from spider.packages.report import Leftover, Report
from spider.packages.report_file import report_to_document
from spider.reports.package_sync import digest_of, messages
from spider.spool.files import SpoolFolder
from spider.spool.spool import Spool
from spider.wire.frames import Message
from spider.wire.ids import from_text, new_time_id
from spider.wire.orders import SignedOrder
from spider.wire.report_messages import LogLines, Table, Updates
from spider.wire.sample_messages import Row
from tests.support import second_factor
from tests.support.agent import BOOT, IDENTITY, layout_of
from tests.support.command import WITH_SECRET, stardust
from tests.support.eventually import eventually
from tests.support.factories import new_node
from tests.support.fake_launcher import FakeLauncher, FakeRunner, played
from tests.support.hub import PASSWORD, SECRET, Enrolled, HubProcess, Login
from tests.support.keys import hub_vault

API = "/api/v1"
OLD_ROWS, HOT_ROWS, SPOOLED_ROWS = 600, 180, 120
OLD_S = 3 * 3600
"""How long ago the rows were measured that lie in chunks."""
PACKAGES = {"curl": "8.5.0-2", "lab-slow": "1.0", "openssl": "3.0.14-1"}
PLAN = Plan((Planned("lab-slow", "1.0", "1.1", "yes", "lab"),), (HeldPackage("openssl", "3.0.15-1", "held"),), 4096, 512, "no")
REPORT_OF_JOB = Report("yes", "a new kernel", ("nginx.service",), (Leftover("/etc/lab.conf.dpkg-dist", "-a\n+b\n"),), (), ("a note",))


class Node:
    """The link, outbox, spool and jobs of the agent, with samples and a package manager that are made up."""

    def __init__(self, hub: HubProcess, enrolled: Enrolled, folder: Path) -> None:
        (folder / "jobs").mkdir(parents=True)
        (folder / "state").mkdir()
        self.enrolled, self.folder, self.clock = enrolled, folder, SystemClock()
        conf = (
            f"[hub]\nurl = {hub.ws_url}\nfleet = {enrolled.fleet_id}\n"
            f"[node]\nid = {enrolled.node_id}\ngeneration = {enrolled.generation}\nname = {enrolled.name}\n"
        )
        self._write("spider.conf", conf.encode(), 0o644)
        self._write("policy.conf", b"[policy]\nversion = 1\nmode = managed\n", 0o644)
        self._write("session.key", enrolled.session_key, 0o600)
        config = Config(
            url=parse_url(hub.ws_url), fleet=enrolled.fleet_id, tls_pin=None, node=enrolled.node_id, generation=enrolled.generation,
            name=enrolled.name, boot=BOOT, policy_path=str(folder / "policy.conf"), state_dir=str(folder / "state"),
            jobs_dir=str(folder / "jobs"), launcher_path=str(folder / "launcher.sock"), key=enrolled.session_key,
        )  # fmt: skip
        self._spool = Spool(SpoolFolder(config.state_dir, from_text(enrolled.node_id)), self.clock)
        self._outbox = Outbox(self.clock, self._spool)
        self._jobs = Jobs(config.jobs_dir, config.launcher_path, self.clock, self._send, boot=BOOT, processes=played)
        self._link = HubLink(config, self._outbox, self._jobs, self.clock)
        self._launcher = FakeLauncher(folder / "launcher.sock", folder / "jobs", enrolled.launch_key, self._work)
        self._tasks: list[asyncio.Task[None]] = []
        self.may_end = asyncio.Event()
        """Whether upgrades go on to their end."""
        self.may_end.set()

    def _write(self, name: str, data: bytes, mode: int) -> None:
        path = self.folder / name
        path.write_bytes(data)
        path.chmod(mode)

    async def _send(self, message: Message) -> None:
        await self._link.send(message)

    async def _work(self, runner: FakeRunner, order: SignedOrder) -> None:
        if order.verb != "upgrade":
            runner.say(b"All lists are new.\r\n")
            return runner.end()
        write_document(str(runner.folder), PLANNED, plan_to_document(PLAN), durable=False)
        runner.say(b"Setting up lab-slow (1.1) ...\r\n" * 40)
        runner.progress("commit", 50)
        await self.may_end.wait()
        runner.say(b"\x1b[32mdone\x1b[0m \xff\r\n")
        write_document(str(runner.folder), REPORT, report_to_document(REPORT_OF_JOB), durable=False)
        return runner.end(changes=(("lab-slow", "1.0", "1.1"),))

    async def join(self) -> None:
        await self._launcher.__aenter__()
        self._tasks = [asyncio.create_task(self._link.run()), asyncio.create_task(self._jobs.run()), asyncio.create_task(self._spool.run())]
        await eventually(lambda: self._link._session is not None)
        now_ms = int(self.clock.now() * 1000)
        said: list[Message] = [
            IDENTITY._replace(hostname=self.enrolled.name, machine_id=hashlib.md5(self.enrolled.name.encode()).hexdigest()),
            Updates(2, 1, now_ms),
            Table("users", now_ms, 1, ["user", "terminal", "since"], ["mara", "pts/0", now_ms - 60_000]),
            *messages("", digest_of(PACKAGES), sorted(PACKAGES.items())),
            LogLines("", "cursor-1", 2, [now_ms] * 2, [3, 4], ["sshd.service", "kernel"], ["Failed password", "a line with ü"]),
        ]
        for message in said:
            await self._send(message)

    def measure(self, began: int, rows: int) -> None:
        """A row each second; `load.1` is the number of the row."""
        for at in range(rows):
            self._outbox.add(layout_of(), Row((began + at) * 1000, [1234, at * 100, 8 << 30, 1 << 30]))

    async def settle(self) -> None:
        self._outbox.flush()
        await eventually(self._outbox.settled, 60, "the hub has not taken all rows")

    async def leave(self) -> int:
        """Lose the hub, measure on, and end. Returns: when the first row was measured that the hub does not have."""
        self._tasks[0].cancel()
        await asyncio.gather(self._tasks[0], return_exceptions=True)
        self.may_end.set()
        await eventually(lambda: all((job / "result").exists() for job in (self.folder / "jobs").iterdir()))
        began = int(self.clock.now()) - SPOOLED_ROWS
        self.measure(began, SPOOLED_ROWS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._spool.finish()
        await self._launcher.__aexit__()
        return began


class Recorder:
    """One recording."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = HubProcess(folder / "hub", program="tests.support.hub_program")  # its keyring opens quickly
        self.ids: dict[str, str] = {}

    def call(self, method: str, path: str, body: object = None, who: Login | None = None) -> Any:
        path = f"{API}/{path}"
        reply = self.hub.local(method, path, body) if who is None else self.hub.request(method, path, body, token=who.token)
        assert reply.status < 300, (path, reply.body)
        return reply.json if reply.body else None

    def person(self, name: str, role: str, *tags: str) -> None:
        grants = {"grants": {"tags": list(tags)}} if tags else {}
        given = self.call("POST", "users", {"username": name, "role": role, **grants})["password"]
        self.call("POST", "auth/password", {"current": given, "new": PASSWORD}, self.hub.login(name, given))

    async def job(self, node: Node, state: str) -> str:
        job = str((await asyncio.to_thread(self.call, "POST", f"nodes/{node.enrolled.node_id}/jobs", {"action": "upgrade"}))["id"])
        await eventually(lambda: self.hub.job(job)["state"] == state and self.hub.job(job)["output_bytes"], 60, f"no job {state}")
        return job

    async def keep_credentials(self) -> str:
        """A data folder with a server whose credentials are sealed there, before its first hub starts. Returns: the node's id."""
        database = await open_database(self.hub.folder, clock=SystemClock())
        try:
            opened = await hub_vault(database, SECRET)
            store = await database.store(audit_key=opened.audit_key, chain=new_time_id())
            node = await store.nodes.create_node(SYSTEM, new_node("mail-1", tags=("mail",)))
            sealed = [opened.seal("credential", node.id, field, 1, f"{field} of mail-1".encode()) for field in ("private_key", "password")]
            await store.secrets.save_credentials(SYSTEM, node.id, sealed)
            return node.id
        finally:
            await database.close()

    def has_rows(self, *tables: str) -> bool:
        """Whether each of these tables of samples has rows."""
        with closing(sqlite3.connect(f"file:{self.hub.folder}/stardust-samples.db?mode=ro", uri=True)) as database:
            return all(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)

    def access(self) -> dict[str, Any]:
        """Users, settings and the rest of what people do. Returns: what they log in with."""
        admin = self.hub.login()
        self.person("mara", "operator", "web")
        self.person("noor", "viewer")
        seed, _ = second_factor.enrol(self.hub, "mara")
        token = self.call("POST", "tokens", {"name": "a script", "role": "viewer", "grants": {"tags": ["web"]}}, admin)
        self.call("PATCH", "auth/preferences", {"views": [{"name": "Web", "query": "tag=web"}], "network_bits": True}, admin)
        days = {"seconds_s": 3 * 86_400, "minutes_s": 60 * 86_400, "hours_s": 900 * 86_400}
        self.call("PATCH", "settings", {"retention": days})
        self.call("POST", "invites", {"kind": "organisation", "name": "cloud", "tags": ["web"]})
        self.watching()
        deployment = self.call("POST", "deployments", {"host": "127.0.0.1", "port": 1, "username": "root", "password": "x"}, admin)
        self.ids["deployment"] = deployment["id"]
        return {
            "secret": SECRET,
            "password": PASSWORD,
            "admin": admin.token,
            "token": token["token"],
            "operator": "mara",
            "seed": seed.hex(),
        }

    def watching(self) -> None:
        """What people arrange about alerts."""
        target = {"url": "http://192.0.2.7:9/secret-path", "secret": "whsec_" + "QUJD" * 8}
        self.call("POST", "channels", {"kind": "webhook", "name": "ops", "target": target, "min_severity": "critical"})
        busy = {"name": "Too busy", "expr": "avg(cpu.total, 5m)", "warn": {"trigger": 60, "clear": 55}, "for_s": 60}
        self.call("POST", "rules", {**busy, "select": {"tags": ["web"]}})
        weekly = {"days": ["tue"], "start": "02:00", "end": "04:00"}
        self.call("POST", "maintenance", {"select": {"tags": ["db"]}, "weekly": weekly, "zone": "Europe/Budapest", "reason": "backup"})
        backup = {"name": "Nightly backup", "event": "backup_completed", "by": "05:00", "zone": "Europe/Budapest"}
        self.call("POST", "expectations", {**backup, "select": {"tags": ["db"]}})

    async def record(self) -> dict[str, Any]:
        mail = await self.keep_credentials()
        await self.hub.start()
        access = await asyncio.to_thread(self.access)
        nodes = [Node(self.hub, one, self.folder / one.name) for one in await asyncio.to_thread(self.hub.enrol, "web-1", "db-1")]
        for node, tags in zip(nodes, (["web", "prod"], ["db"]), strict=True):
            await node.join()
            await asyncio.to_thread(self.call, "PATCH", f"nodes/{node.enrolled.node_id}", {"tags": tags})
        web, db = nodes
        began = int(time.time()) - OLD_S
        web.measure(began, OLD_ROWS)
        await web.settle()
        done = await self.job(web, "succeeded")
        every = [node.enrolled.node_id for node in nodes]
        batch = (await asyncio.to_thread(self.call, "POST", "jobs", {"action": "check", "nodes": every}))["id"]
        await eventually(lambda: self.call("GET", f"batches/{batch}")["counts"].get("succeeded") == len(every), 60)
        await eventually(lambda: self.call("GET", f"deployments/{self.ids['deployment']}")["state"] == "failed", 60)
        await eventually(lambda: self.has_rows("chunk_1s", "chunk_1m", "chunk_1h"), 300, "nothing lies in chunks")
        hot = int(time.time()) - SPOOLED_ROWS - HOT_ROWS
        web.measure(hot, HOT_ROWS)
        await web.settle()
        left: dict[str, Any] = {}
        for node in nodes:
            node.may_end.clear()
            job = await self.job(node, "running")
            left[node.enrolled.name] = {
                "id": node.enrolled.node_id,
                "job": job,
                "spooled_at": await node.leave(),
                "spooled_rows": SPOOLED_ROWS,
            }
            left[node.enrolled.name]["output"] = (node.folder / "jobs" / job / "log").read_bytes().hex()
        await self.hub.stop()
        await self.hub.start()  # reference responses come from a hub that has just started too
        about = f"nodes/{web.enrolled.node_id}"
        chosen = "metric=load.1&metric=memory.used"
        paths = [
            "nodes", f"nodes/{mail}", about, f"{about}/tables", f"{about}/packages", f"{about}/logs", f"nodes/{db.enrolled.node_id}",
            f"{about}/history?{chosen}&from={began}&to={began + OLD_ROWS}&points=4000",
            f"{about}/history?{chosen}&from={began}&to={began + OLD_ROWS}&points=10",
            f"{about}/history?{chosen}&from={began // 3600 * 3600 - 86_400}&to={began}&points=24",
            f"{about}/history?{chosen}&from={hot}&to={hot + HOT_ROWS}&points=4000",
            "jobs", *(f"jobs/{done}{part}" for part in ("", "/plan", "/report")), "batches", f"batches/{batch}",
            "deployments", f"deployments/{self.ids['deployment']}", "events?limit=200", "audit?limit=200",
            "users", "tokens?user=*", "invites", "settings", "channels", "rules", "maintenance", "expectations",
        ]  # fmt: skip
        answers = {path: await asyncio.to_thread(self.call, "GET", path) for path in paths}
        settings = answers["settings"]
        del settings["hub"]
        settings["retention"] = [{"tier": tier["tier"], "kept_s": tier["kept_s"]} for tier in settings["retention"]]
        recorded = {
            "version": bundle_version(read_bundle()),
            "access": access,
            "answers": answers,
            "preferences": await asyncio.to_thread(self.call, "GET", "auth/preferences", None, Login(access["admin"], "", "")),
            "output": {"job": done, "hex": (await asyncio.to_thread(self.hub.job_output, done)).hex()},
            "nodes": left,
        }
        await self.hub.stop()
        assert self.has_rows("hot"), "all samples lie in chunks"
        verified = json.loads(stardust(self.hub.folder, "audit", "verify", "--json", env=WITH_SECRET).stdout)
        recorded["heads"] = ["{chain}:{n}:{hash}".format(**head) for head in verified["heads"]]
        recorded["recorded_at"] = time.time()
        return recorded


def pack(folder: Path, names: Sequence[str], to: Path) -> None:
    """Raises: AssertionError: a path of this machine is in it."""

    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    for path in folder.rglob("*"):
        assert not path.is_file() or str(folder).encode() not in path.read_bytes(), f"{path} names a folder of this machine"
    with tarfile.open(to, "w:xz", preset=9) as archive:
        for name in names:
            archive.add(folder / name, name, filter=anonymous)


def main() -> None:
    """Record this commit."""
    warnings.filterwarnings("ignore", message="Warning: bcrypt.kdf", category=UserWarning)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recorder = Recorder(folder)
        try:
            recorded = asyncio.run(recorder.record())
        finally:
            recorder.hub.close()
        (folder / "recorded.json").write_text(json.dumps(recorded, indent=1))
        (folder / "spider.pyz").write_bytes(read_bundle())
        to = Path(__file__).with_name(f"{recorded['version']}.tar.xz")
        pack(folder, ["recorded.json", "spider.pyz", "hub", *recorded["nodes"]], to)
    print(f"{to}: {to.stat().st_size} bytes")


if __name__ == "__main__":
    main()
