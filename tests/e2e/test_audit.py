"""The audit log of a real hub: tampering in the database, and kills while it is written (S-34, F-39)."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.command import command
from tests.support.hub import PASSWORD, SECRET, Enrolled, HubProcess

KILLS = 3
KINDS = {"node.edit", "node.create", "job.create"}
"""Acts that are answered before the first kill."""
KINDS_LIMIT_S = 60.0


def stardust(folder: Path, *words: str, status: int = 0, given: str = "", secret: bool = True) -> str:
    """Run the command; what it printed, both ways."""
    done = command(folder, *words, given=given, env={"STARDUST_SECRET": SECRET} if secret else None)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.stdout + done.stderr


class Stopped(NamedTuple):
    """A hub that did something and was stopped."""

    folder: Path
    log: Path
    """What it told, heads among it."""


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    place = tmp_path_factory.mktemp("audit")
    with HubProcess(place / "hub") as hub:
        for node in hub.enrol("web-1", "web-2", "web-3"):
            assert hub.local("PATCH", f"/api/v1/nodes/{node.node_id}", {"tags": ["\u00e9t\u00e9"]}).status == 200
        hub.end()
        (place / "journal").write_text(hub.output)
    return Stopped(place / "hub", place / "journal")


@pytest.fixture
def copied(stopped: Stopped, tmp_path: Path) -> Stopped:
    """A copy for one test to harm."""
    shutil.copytree(stopped.folder, tmp_path / "hub")
    return stopped._replace(folder=tmp_path / "hub")


def test_an_untouched_audit_log_verifies_with_and_without_a_running_hub(stopped: Stopped) -> None:
    assert "2 known heads are in place" in stardust(stopped.folder, "audit", "verify", "--head", str(stopped.log))
    told = json.loads(stardust(stopped.folder, "audit", "verify", "--json"))
    assert told["holds"] is True
    head = "{chain}:{n}:{hash}".format(**told["heads"][0])
    assert "1 known head is in place" in stardust(stopped.folder, "audit", "verify", "--expect", head)
    listed = stardust(stopped.folder, "audit", "list", secret=False)
    assert "node.edit" in listed
    assert listed.isascii()
    rows = [json.loads(line) for line in stardust(stopped.folder, "audit", "export", secret=False).splitlines()]
    assert [row["n"] for row in rows] == list(range(len(rows)))
    assert [row["prev"] for row in rows[1:]] == [row["hash"] for row in rows[:-1]]
    newest = json.loads(stardust(stopped.folder, "audit", "--json", "list", "--limit", "2", secret=False))["audit"]
    assert newest == rows[-2:]
    with HubProcess(stopped.folder):
        assert "holds" in stardust(stopped.folder, "audit", "verify", "--head", str(stopped.log))
        assert "node.edit" in stardust(stopped.folder, "audit", "list", secret=False)
        doctor = stardust(stopped.folder, "doctor")
        assert "a hub runs here" in doctor
        assert "problem" not in doctor


TAMPERINGS = {
    "edit": ("UPDATE audit SET target = 'nobody' WHERE n = 3", "row 3 was altered"),
    "delete": ("DELETE FROM audit WHERE n = 3", "row 3 is missing"),
    "reorder": ("UPDATE audit SET n = CASE n WHEN 2 THEN 103 ELSE 102 END WHERE n IN (2, 3); UPDATE audit SET n = n - 100 WHERE n > 99", "row 2 was altered"),
    "drop": ("DROP TABLE audit", "the table of audit rows is missing"),
    "empty": ("DELETE FROM audit", "there is no audit row"),
}  # fmt: skip


@pytest.mark.holds("SAFETY-70", "S-34")
@pytest.mark.parametrize("how", TAMPERINGS)
def test_the_first_row_that_was_changed_is_named(copied: Stopped, how: str) -> None:
    harm, says = TAMPERINGS[how]
    with closing(sqlite3.connect(copied.folder / "stardust.db")) as db:
        db.executescript(harm)
    said = stardust(copied.folder, "audit", "verify", status=1)
    assert says in said
    assert len(said.splitlines()) == 1
    if how == "edit":
        doctor = json.loads(stardust(copied.folder, "doctor", "--json", status=1))
        assert [check["text"] for check in doctor["checks"] if check["state"] == "problem"] == [said.strip().removeprefix("stardust: ")]
        rows = stardust(copied.folder, "audit", "export", secret=False).splitlines()
        assert "nobody" in [json.loads(row)["target"] for row in rows]


@pytest.mark.holds("SAFETY-71", "S-34")
def test_a_truncated_chain_is_detected_by_a_head_in_the_log(copied: Stopped) -> None:
    """Truncation; the witness is the hub's own log."""
    with closing(sqlite3.connect(copied.folder / "stardust.db")) as db, db:
        (last,) = db.execute("SELECT max(n) FROM audit").fetchone()
        db.execute("DELETE FROM audit WHERE n > ?", (last - 2,))
    assert "holds" in stardust(copied.folder, "audit", "verify")
    said = stardust(copied.folder, "audit", "verify", "--head", "-", given=copied.log.read_text(), status=1)
    assert f"row {last}" in said
    assert "cut or rewritten" in said


def test_without_the_secret_the_audit_log_is_not_called_sound(stopped: Stopped) -> None:
    assert "STARDUST_SECRET_FILE" in stardust(stopped.folder, "audit", "verify", secret=False, status=1)
    said = stardust(stopped.folder, "doctor", secret=False)
    assert "cannot be checked" in said
    assert "a hub also needs a secret to start" in said
    assert "a hub would start" not in said
    assert "without --url" in stardust(stopped.folder, "audit", "--url", "https://hub.example.com", "export", status=1)
    assert "no database" in stardust(stopped.folder.parent, "audit", "list", status=1)


def test_the_doctor_reports_faults_with_their_remedies(copied: Stopped, tmp_path: Path) -> None:
    copied.folder.chmod(0o755)
    (copied.folder / "stardust-samples.db").write_bytes(b"no database at all" * 400)
    said = stardust(copied.folder, "doctor", status=1)
    assert f"chmod 700 {copied.folder}" in said
    assert [line.split()[1] for line in said.splitlines() if line.startswith("problem")] == ["folder", "database", "records"]
    (copied.folder / "stardust.toml").write_text("port = 99999\n")
    assert "99999" in stardust(copied.folder, "doctor", status=1, secret=False)
    assert "cannot be used" in stardust(tmp_path / "none", "doctor", status=1)


# -- F-39 ------------------------------------------------------------------------------------------------


class Acts:
    """Several people at work; every act that was answered with success is noted."""

    def __init__(self, hub: HubProcess, nodes: list[Enrolled], seed: int) -> None:
        self.done: Counter[str] = Counter()
        self._hub = hub
        self._nodes = nodes
        self._seed = seed
        self._lock = threading.Lock()

    def kinds(self) -> set[str]:
        with self._lock:
            return {act.split()[0] for act in self.done}

    def work(self, worker: int) -> None:
        """Act until the hub is gone."""
        chance = random.Random(self._seed * 100 + worker)
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                for action in chance.choice((self._edit, self._enrol, self._job, self._log_in))(chance):
                    with self._lock:
                        self.done[action] += 1

    def _edit(self, chance: random.Random) -> Iterator[str]:
        node = chance.choice(self._nodes)
        if self._hub.local("PATCH", f"/api/v1/nodes/{node.node_id}", {"tags": [f"t{chance.randrange(1 << 40)}"]}).status == 200:
            yield f"node.edit {node.node_id}"

    def _enrol(self, chance: random.Random) -> Iterator[str]:
        name = f"n{chance.randrange(1 << 60):x}"
        reply = self._hub.local("POST", "/api/v1/local/enrol", {"names": [name]})
        if reply.status == 201:
            yield f"node.create {reply.json['nodes'][0]['node_id']}"

    def _job(self, chance: random.Random) -> Iterator[str]:
        reply = self._hub.local("POST", f"/api/v1/nodes/{chance.choice(self._nodes).node_id}/jobs", {"action": "check"})
        if reply.status == 202:
            yield f"job.create {reply.json['id']}"
            if self._hub.local("POST", f"/api/v1/jobs/{reply.json['id']}/cancel").status == 200:
                yield f"job.cancelled {reply.json['id']}"

    def _log_in(self, _chance: random.Random) -> Iterator[str]:
        reply = self._hub.request("POST", "/api/v1/auth/login", {"username": "admin", "password": PASSWORD})
        if reply.status == 200:
            yield "auth.login"
            if self._hub.request("POST", "/api/v1/auth/logout", token=reply.json["token"]).status == 204:
                yield "auth.logout"


def rows_of(folder: Path) -> Counter[str]:
    """The audit log's rows, in the terms of `Acts`."""
    exported = stardust(folder, "audit", "export", secret=False).splitlines()
    found: Counter[str] = Counter()
    for row in map(json.loads, exported):
        if row["result"] == "done":
            found[f"{row['action']} {row['target']}" if not row["action"].startswith("auth.") else row["action"]] += 1
    return found


@pytest.mark.holds("SAFETY-70", "F-39")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kills", [KILLS, pytest.param(40, marks=pytest.mark.slow)])
def test_every_answered_action_is_audited_after_a_kill(tmp_path: Path, kills: int) -> None:
    chance = random.Random(39)
    hub = HubProcess(tmp_path / "hub")
    done: Counter[str] = Counter()
    nodes: list[Enrolled] = []
    try:
        for kill in range(kills):
            hub.launch()
            if not nodes:
                nodes = hub.enrol(*(f"web-{at}" for at in range(5)))
            acts = Acts(hub, nodes, kill)
            people = [threading.Thread(target=acts.work, args=(worker,), name=f"person-{worker}") for worker in range(4)]
            for person in people:
                person.start()
            deadline = time.monotonic() + KINDS_LIMIT_S
            while kill == 0 and not acts.kinds() >= KINDS:  # on a busy machine an act takes seconds
                assert time.monotonic() < deadline, acts.kinds()
                time.sleep(0.01)
            people[0].join(chance.uniform(0.1, 1.0))  # the moment of the kill is the point of this test
            hub.slay()
            for person in people:
                person.join(30.0)
                assert not person.is_alive()
            done += acts.done
    finally:
        hub.close()
    assert "holds" in stardust(hub.folder, "audit", "verify")
    missing = done - rows_of(hub.folder)
    assert not missing
    print(f"{done.total()} acts over {kills} kills")
