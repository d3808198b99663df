"""Secret rotation of a real hub: by its command, and killed at any point (F-29)."""

from __future__ import annotations

import asyncio
import calendar
import json
import os
import random
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.database import Database, open_database
from groundcontrol.core.errors import ConfigError
from groundcontrol.core.scope import SYSTEM
from groundcontrol.data_dir import user_name
from groundcontrol.vault import LEAST_ROUNDS, Vault, open_existing_vault, open_vault, recovery_text
from spider.clock import SystemClock
from spider.wire.ids import new_random_id, new_time_id
from tests.support.command import stardust
from tests.support.eventually import wait_until
from tests.support.factories import new_node
from tests.support.fork_server import FORK_SERVER
from tests.support.hub import PASSWORD, ROOT, SECRET, HubProcess
from tests.support.keys import first_vault, hub_vault, vault_of

NEW_SECRET = "Yt5-pQ8rWz1-nM4kLc7-"
KILLS = 3
LIMIT_S = 240.0
"""For one command: to stretch two secrets takes seconds of a processor, of which a test may have a small part."""


def test_the_new_secret_is_printed_alone(tmp_path: Path) -> None:
    first, second = (stardust(tmp_path, "secret", "new") for _ in range(2))
    assert first.stderr == ""
    assert len(first.stdout) == 45
    assert first.stdout.endswith("\n")
    assert first.stdout != second.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(900)
def test_a_hub_continues_under_its_new_secret(tmp_path: Path) -> None:
    old = {"STARDUST_SECRET": SECRET}
    with HubProcess(tmp_path / "hub") as hub:
        token = hub.login().token
        [node] = hub.enrol("web-1")
        refused = stardust(hub.folder, "rotate-secret", given=NEW_SECRET, env=old, status=1)
        assert f"(process {hub.pid})" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert hub.request("GET", "/api/v1/auth/me", token=token).status == 200
        journal = tmp_path / "journal"
        hub.end()
        journal.write_text(hub.output)

    done = stardust(hub.folder, "rotate-secret", given=NEW_SECRET + "\n", env=old)
    for secret in (SECRET, NEW_SECRET):
        assert secret not in done.stdout + done.stderr
    again = stardust(hub.folder, "rotate-secret", "--json", given=NEW_SECRET, env=old)
    assert json.loads(again.stdout) == {"rotated": False}
    assert "not the one" in stardust(hub.folder, "rotate-secret", given="another" + NEW_SECRET, env=old, status=1).stderr

    assert "not the one" in stardust(hub.folder, "serve", "--port", "0", env=old, status=78).stderr
    with HubProcess(hub.folder, secret=NEW_SECRET) as after:
        assert after.request("GET", "/api/v1/auth/me", token=token).status == 401
        after.login(password=PASSWORD)
        [other] = after.enrol("web-2")
        assert other.fleet_id == node.fleet_id
        assert after.node(node.node_id)["name"] == "web-1"
        actions = [row["action"] for row in after.local("GET", "/api/v1/audit").json["audit"]]
        assert "keyring.rotate" in actions
        verified = stardust(hub.folder, "audit", "verify", "--head", str(journal), env={"STARDUST_SECRET": NEW_SECRET})
        assert "holds" in verified.stdout
        assert "in place" in verified.stdout
    names = {path.name for path in hub.folder.iterdir()}
    (copy,) = [name for name in names if "before-rotation" in name]
    assert (hub.folder / copy).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("given", "env", "says"),
    [
        ("", {"STARDUST_SECRET": SECRET}, "no new secret was given"),
        ("too short", {"STARDUST_SECRET": SECRET}, "9 of at least 16 characters"),
        (SECRET, {"STARDUST_SECRET": SECRET}, "equals the old one"),
        ("x" * 5000, {"STARDUST_SECRET": SECRET}, "longer than"),
        (NEW_SECRET, {}, "STARDUST_SECRET_FILE"),
        (NEW_SECRET, {"STARDUST_SECRET": SECRET}, "nothing to rotate"),
    ],
)
def test_an_impossible_rotation_is_one_line_and_changes_nothing(tmp_path: Path, given: str, env: dict[str, str], says: str) -> None:
    done = stardust(tmp_path, "rotate-secret", given=given, env=env, status=1)
    assert done.stdout == ""
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_secrets_come_from_files_as_well(tmp_path: Path) -> None:
    old, new, folder = tmp_path / "old", tmp_path / "new", tmp_path / "data"
    old.write_text(SECRET + "\n")
    new.write_text(NEW_SECRET + "\n")
    asyncio.run(fill(folder, 2, hub_vault))
    done = stardust(folder, "rotate-secret", "--json", "--new-secret-file", str(new), env={"STARDUST_SECRET_FILE": str(old)})
    facts = json.loads(done.stdout)
    assert facts["rotated"]
    assert {kept["field"] for kept in facts["credentials"]} == {"private_key"}
    missing = stardust(
        folder, "rotate-secret", "--new-secret-file", str(tmp_path / "none"), env={"STARDUST_SECRET_FILE": str(new)}, status=1
    )
    assert "No such file" in missing.stderr


def typing(folder: Path, *words: str, typed: dict[str, str], env: dict[str, str]) -> tuple[int, str]:
    """Run the command on its own terminal and answer each of these questions. Returns its status and output."""
    ours, theirs = os.openpty()
    output, written = os.pipe()
    usual = {"PATH": "/usr/bin:/bin", "STARDUST_DATA_DIR": str(folder), "STARDUST_ALLOW_VOLATILE": "yes"}
    said = b""
    process = FORK_SERVER.attach(words, env=usual | env, cwd=Path("/"), standard=(theirs, written, written))
    os.close(theirs)
    os.close(written)
    with os.fdopen(output, "rb", buffering=0) as told:
        for question, answer in typed.items():
            while not said.endswith(question.encode() + b" "):
                if not select.select([told], [], [], LIMIT_S)[0]:
                    process.kill()
                    pytest.fail(f"the question {question!r} did not come within {LIMIT_S:g} s: {said.decode()}")
                if not (more := told.read(1)):
                    break
                said += more
            os.write(ours, answer.encode() + b"\n")
        said += told.read()
    status = process.wait(LIMIT_S)
    os.close(ours)
    return status, said.decode()


def named_at(backup: Path) -> int:
    return calendar.timegm(time.strptime(backup.name.partition(".")[0], "%Y%m%d-%H%M%S"))


@pytest.mark.timeout(900)
def test_a_backup_of_before_a_rotation_is_restored_with_the_old_secret(tmp_path: Path) -> None:
    old, new = {"STARDUST_SECRET": SECRET}, {"STARDUST_SECRET": NEW_SECRET}
    file, old_file, new_file, copies = (tmp_path / name for name in ("before.stardust-backup", "old", "new", "copies"))
    old_file.write_text(SECRET + "\n")
    new_file.write_text(NEW_SECRET + "\n")
    copies.mkdir()
    with HubProcess(tmp_path / "hub") as hub:
        [node] = hub.enrol("web-1")
        stardust(hub.folder, "backup", str(file))
    journal = tmp_path / "journal"
    journal.write_text(hub.output)

    warning = "Backups from before a rotation open only with the old secret."
    rotate = ("rotate-secret", "--new-secret-file", str(new_file))
    status, said = typing(hub.folder, *rotate, typed={"[y/N]": ""}, env=old)
    assert (status, said.count(warning)) == (1, 1)
    assert said.index(warning) < said.index("Rotate the secret? [y/N]") < said.index("nothing was changed")
    taken = stardust(hub.folder, *rotate, "--backup", str(file), env=old, status=1)
    assert "never replaces another file; nothing was changed" in taken.stderr
    nowhere = stardust(hub.folder, *rotate, "--backup", str(tmp_path / "none" / "file"), env=old, status=1)
    assert f"there is no folder {tmp_path / 'none'} for a backup; nothing was changed" in nowhere.stderr
    status, said = typing(hub.folder, *rotate, typed={"[y/N]": "y", "(empty: no backup):": str(copies)}, env=old)
    assert status == 0, said
    [after] = copies.iterdir()
    assert f"A backup that opens with the new secret: {after}" in said
    [copy] = hub.folder.glob("stardust.db.before-rotation-*")
    assert named_at(after) >= int(copy.stat().st_mtime), "it is named by a time at which its contents were others"

    fresh = tmp_path / "fresh"
    refused = stardust(fresh, "restore", str(file), env=new, status=1)
    assert "give it with --old-secret-file" in refused.stderr
    wrong = stardust(fresh, "restore", str(file), "--old-secret-file", "/dev/stdin", given="another-" + SECRET, env=new, status=1)
    assert "the given old secret is wrong" in wrong.stderr
    assert list(fresh.iterdir()) in ([], [fresh / "hub.lock"])
    done = stardust(fresh, "restore", str(file), "--old-secret-file", str(old_file), env=new)
    assert "sealed again" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    with HubProcess(fresh, secret=NEW_SECRET) as restored:
        restored.login(password=PASSWORD)
        assert restored.node(node.node_id)["name"] == "web-1"
        [other] = restored.enrol("web-2")
        assert other.fleet_id == node.fleet_id
        assert "in place" in stardust(fresh, "audit", "verify", "--head", str(journal), env=new).stdout
    status, said = typing(tmp_path / "typed", "restore", str(file), typed={"old secret:": SECRET}, env=new)
    assert status == 0, said
    assert SECRET not in said
    assert json.loads(stardust(tmp_path / "own", "restore", str(after), "--json", env=new).stdout)["resealed"] is False


def everybodys_python() -> str | None:
    """An interpreter of this version that users other than root can run."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        real = Path(candidate).resolve()
        if real.name == f"python3.{sys.version_info.minor}" and all(part.stat().st_mode & 0o001 for part in (real, *real.parents)):
            return candidate
    return None


@pytest.fixture
def own_path() -> Iterator[Path]:
    """One outside the tests' folder, which each new run of tests closes to all but its user."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(everybodys_python() is None, reason="this Python is root's alone")
def test_a_rotation_by_root_keeps_the_owner_of_the_files(own_path: Path) -> None:
    folder = own_path / "data"
    asyncio.run(fill(folder, 1, hub_vault))
    for path in (folder, *folder.iterdir()):
        os.chown(path, 65534, 65534)
    python = everybodys_python()
    assert python is not None
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])}
    refused = stardust(folder, "rotate-secret", given=NEW_SECRET, env=env | {"STARDUST_SECRET": SECRET}, python=python, status=1)
    assert f"cannot be read by the user {user_name(65534)}" in refused.stderr
    if any(not folder.stat().st_mode & 0o001 for folder in (ROOT, *ROOT.parents)):
        return  # the program itself cannot be read either, which is refused in the same way
    own_path.chmod(0o755)
    stardust(folder, "rotate-secret", given=NEW_SECRET, env=env | {"STARDUST_SECRET": SECRET}, python=python)
    assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {65534}


@pytest.mark.slow  # as above, with another verb
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(everybodys_python() is None, reason="this Python is root's alone")
def test_a_recovery_by_root_makes_files_of_the_owner_of_the_folder(own_path: Path) -> None:
    python = everybodys_python()
    assert python is not None
    env = {"PYTHONPATH": os.pathsep.join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])}
    if any(not folder.stat().st_mode & 0o001 for folder in (ROOT, *ROOT.parents)):
        return  # the program itself cannot be read, which is refused
    own_path.chmod(0o755)
    anew = own_path / "anew"  # as the service leaves it, and a person empties it
    anew.mkdir(mode=0o700)
    os.chown(anew, 65534, 65534)
    key = recovery_text(os.urandom(32), new_random_id())
    stardust(anew, "recovery", "restore", given=key, env=env | {"STARDUST_SECRET": SECRET}, python=python)
    assert {path.stat().st_uid for path in (anew, *anew.iterdir())} == {65534}


# -- F-29 ------------------------------------------------------------------------------------------------


async def product_vault(database: Database, secret: str) -> Vault:
    """Make and store the first keyring, with as few rounds as the product reads."""
    return await open_vault(secret, database.secrets, LEAST_ROUNDS)


async def fill(folder: Path, records: int, first: Callable[[Database, str], Awaitable[Vault]]) -> None:
    """A data folder with so many sealed values, under SECRET; `first` makes the keyring."""
    database = await open_database(folder, clock=SystemClock())
    try:
        vault = await first(database, SECRET)
        store = await database.store(audit_key=vault.audit_key, chain=new_time_id())
        for at in range(records):
            node = await store.nodes.create_node(SYSTEM, new_node(f"n{at}"))
            await store.secrets.save_credentials(
                SYSTEM, node.id, [vault.seal("credential", node.id, "private_key", 1, f"key of {node.id}".encode() * 20)]
            )
    finally:
        await database.close()


async def look(folder: Path, secret: str, records: int, *, quick: bool = False) -> None:
    """Everything opens with this secret, and the audit log holds."""
    database = await open_database(folder, clock=SystemClock())
    try:
        vault = await (vault_of(database, secret) if quick else open_existing_vault(secret, database.secrets))
        found = [record for record in await database.secrets.secrets() if record.table == "credential"]
        assert len(found) == records
        assert [record.id for record in found if vault.open(record) != f"key of {record.id}".encode() * 20] == []
        store = await database.store(audit_key=vault.audit_key, chain="verifier", earlier_audit_keys=vault.earlier_audit_keys)
        assert await store.log.verify_audit() is None
    finally:
        await database.close()


def rotations_in(folder: Path) -> int:
    """How often the secret was changed; on the way, the integrity of the file."""
    with closing(sqlite3.connect(folder / "stardust.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found: int = db.execute("SELECT count(*) FROM audit WHERE action = 'keyring.rotate'").fetchone()[0]
        return found


def kill_within(process: subprocess.Popen[bytes], after_s: float) -> bool:
    """Kill it after so long, unless it has ended well before; returns whether it was killed."""
    try:
        status = process.wait(after_s)  # the moment of the kill is the point of these tests, not a wait for something
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL
    assert status == 0, process.stderr and process.stderr.read().decode()
    return False


def kill_a_rotation(folder: Path, old: str, new: str, chance: random.Random) -> bool:
    """From the moment in which both keys are there."""
    argv = [sys.executable, "-m", "tests.support.rotation_program", str(folder), old, new]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return kill_within(process, chance.uniform(0.0, 0.12))


def kill_the_command(folder: Path, old: str, new: str, chance: random.Random) -> bool:
    """Anywhere, or from the moment in which the copy is there, which is just before the transaction."""
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "STARDUST_DATA_DIR": str(folder), "STARDUST_SECRET": old}
    argv = [sys.executable, "-m", "groundcontrol", "rotate-secret"]
    with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(new.encode())
        process.stdin.close()
        if chance.random() < 0.3:
            return kill_within(process, chance.uniform(0.0, 3.0))
        wait_until(lambda: process.poll() is not None or list(folder.glob("*.before-rotation-*")), LIMIT_S, poll_s=0.001)
        return kill_within(process, chance.uniform(0.0, 0.25))


@pytest.mark.holds("SAFETY-6", "F-29")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("way", "kills"),
    [
        pytest.param(kill_a_rotation, KILLS, id="rotation"),
        pytest.param(kill_a_rotation, 200, id="rotation-often", marks=pytest.mark.slow),
        pytest.param(kill_the_command, 100, id="command", marks=pytest.mark.slow),
    ],
)
def test_a_killed_rotation_is_complete_or_has_no_effect(
    tmp_path: Path, way: Callable[[Path, str, str, random.Random], bool], kills: int
) -> None:
    folder, chance, quick = tmp_path / "data", random.Random(29), way is kill_a_rotation
    records = 300
    asyncio.run(fill(folder, records, first_vault if quick else product_vault))
    old, new, done = SECRET, NEW_SECRET, 0
    killed = {False: 0, True: 0}
    while sum(killed.values()) < kills or not killed[False]:
        was_killed = way(folder, old, new, chance)
        rotations = rotations_in(folder)
        assert rotations in (done, done + 1)
        changed = rotations != done
        assert changed or was_killed
        if was_killed:
            killed[changed] += 1
        if changed:
            done, old, new = rotations, new, old
        asyncio.run(look(folder, old, records, quick=quick))
        for copy in folder.glob("*.before-rotation-*"):
            copy.unlink()
    with pytest.raises(ConfigError):
        asyncio.run(look(folder, new, records, quick=quick))
    print(f"killed before the commit {killed[False]}, after it {killed[True]}, rotations {done}")
