"""The doctor's checks, each on correct and on faulty input."""

from __future__ import annotations

import argparse
import fcntl
import os
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from groundcontrol.adapters.sqlite.admin.offline_reader import Inspection
from groundcontrol.adapters.sqlite.chunks import chunk_key
from groundcontrol.cli import doctor, doctor_checks
from groundcontrol.cli.data_dir import DataDirSettings, flock_holders, lock_holder
from groundcontrol.cli.doctor_checks import Finding
from groundcontrol.config import Config
from groundcontrol.config_reader import read_config
from groundcontrol.core.scope import SYSTEM
from groundcontrol.deployments.node_files import bundle_version
from groundcontrol.samples.chunks.row_table import RowTable, encode_rows
from majortom.build.bundle import read_bundle
from spider.clock import SystemClock
from spider.wire.ids import new_time_id
from tests.support.factories import layout_row, new_node, new_user, pack_body
from tests.support.keys import first_vault, vault_of
from tests.support.store_files import open_new

SECRET = "a lamp beside the window"


def config(folder: Path, *argv: str, **env: str) -> Config:
    return read_config({"STARDUST_SECRET": SECRET, **env}, ["--data-dir", str(folder), *argv])


def states(findings: object) -> list[str]:
    assert not isinstance(findings, Finding)
    return [finding.state for finding in findings]  # type: ignore[attr-defined]  # any iterable of findings


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """The data folder of a hub that has stopped; its vault opens with the root named `old`."""
    place = tmp_path / "data"
    database = await open_new(place, clock=SystemClock())
    vault = await first_vault(database, "old")
    store = await database.store(audit_key=vault.audit_key, chain=new_time_id())
    await store.users.create_first_admin(new_user(), b"h", time.time())
    node = await store.nodes.create_node(SYSTEM, new_node())
    await store.secrets.save_credentials(SYSTEM, node.id, [vault.seal("credential", node.id, "password", 1, b"hunter2")])
    await database.close()
    return place


def harm(folder: Path, sql: str) -> None:
    with closing(sqlite3.connect(folder / "stardust.db")) as db, db:
        db.execute(sql)


def test_a_private_folder_is_ok_and_an_open_one_a_problem(folder: Path) -> None:
    assert states(doctor_checks.folder_findings(folder)) == ["ok"]
    (folder / "stardust.db").chmod(0o640)
    folder.chmod(0o755)
    found = list(doctor_checks.folder_findings(folder))
    assert [finding.state for finding in found] == ["problem", "problem"]
    assert [finding.remedy for finding in found] == [f"chmod 700 {folder}", f"chmod go= {folder / 'stardust.db'}"]


def test_an_invalid_folder_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert states(doctor_checks.folder_findings(tmp_path / "none")) == ["problem"]
    assert states(doctor_checks.folder_findings(tmp_path / "file")) == ["problem"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("stardust.db.before-rotation-20261120-105800", "from before a rotation"),
        ("stardust-samples.db.before-restore-20261120-105800", "before a restore"),
        ("stardust-samples.db.before-0012", "before an update"),
    ],
)
def test_a_leftover_copy_is_reported(folder: Path, name: str, told: str) -> None:
    copy = folder / name
    copy.touch(mode=0o600)
    assert states(doctor_checks.folder_findings(folder)) == ["ok"]
    (found,) = doctor_checks.copy_findings(folder / "stardust.db")
    assert (found.check, found.state) == ("copies", "warning")
    assert told in found.text
    assert str(copy) in found.remedy


@pytest.mark.parametrize(("mode", "state"), [(0o600, "ok"), (0o400, "ok"), (0o640, "warning"), (0o644, "problem")])
def test_a_secret_file_readable_by_others_is_a_problem(tmp_path: Path, mode: int, state: str) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(mode)
    found = doctor_checks.secret_file_finding(path)
    assert found.state == state
    assert SECRET not in found.text
    assert doctor_checks.secret_file_finding(tmp_path / "none").state == "problem"


@pytest.mark.parametrize(("allowed", "state"), [(True, "warning"), (False, "problem")])
def test_data_in_memory_is_a_problem_unless_it_is_allowed(disk_path: Path, allowed: bool, state: str) -> None:
    memory = Path("/dev/shm")  # every Linux has this one
    found = [
        *doctor_checks.lasting_findings(memory, disk_path, allowed=allowed),
        *doctor_checks.lasting_findings(disk_path, memory, allowed=allowed),
    ]
    about = [finding for finding in found if str(memory) in finding.text]
    assert [finding.state for finding in about] == [state, state]


def test_free_space_is_reported_once_per_disk(folder: Path) -> None:
    assert len(list(doctor_checks.space_findings(folder, folder, folder / "none"))) == 1


def test_the_holder_of_the_lock_is_found_without_taking_it(folder: Path) -> None:
    assert lock_holder(folder) is None
    assert doctor_checks.lock_finding(folder, None).state == "ok"
    with open(folder / "hub.lock", "rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert lock_holder(folder) == os.getpid()
        assert doctor_checks.lock_finding(folder, None).state == "problem"
        assert doctor_checks.lock_finding(folder, "ok").state == "ok"
        assert "draining" in doctor_checks.lock_finding(folder, "draining").text


LOCKS = """\
1: FLOCK  ADVISORY  WRITE 4321 fe:01:131075 0 EOF
1: -> FLOCK  ADVISORY  WRITE 77 fe:00:131075 0 EOF
2: POSIX  ADVISORY  WRITE 78 fe:00:131075 0 EOF
3: FLOCK  ADVISORY  WRITE 99 fe:00:131075 0 EOF
4: FLOCK  ADVISORY  WRITE 100 00:2a:131075 0 EOF
"""


def test_a_lock_is_of_a_device_and_an_inode() -> None:
    assert flock_holders(LOCKS, os.makedev(0xFE, 0), 131075) == [99]
    assert flock_holders(LOCKS, os.makedev(0, 0x2A), 131075) == [100]
    assert flock_holders(LOCKS, os.makedev(0xFE, 1), 13107) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="making a file system of its own needs root")
def test_the_lock_of_another_program_on_another_disk_is_not_taken_for_this_folders(tmp_path: Path) -> None:
    places = [tmp_path / "ours", tmp_path / "theirs"]
    for place in places:
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place], check=True)
    try:
        ours, theirs = (place / "hub.lock" for place in places)
        ours.touch()
        theirs.touch()
        assert ours.stat().st_ino == theirs.stat().st_ino
        with open(theirs, "rb+") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert lock_holder(places[0]) is None
            assert lock_holder(places[1]) == os.getpid()
    finally:
        for place in places:
            subprocess.run(["umount", place], check=True)


async def test_a_data_folder_that_is_a_file_gives_one_finding(tmp_path: Path) -> None:
    file = tmp_path / "passwd"
    file.touch(mode=0o600)
    asked = argparse.Namespace(data_dir=str(file), json=False, url=None, db=None, config=None, tls_ca=None, tls_pin=None)
    found = await doctor.examine(asked)
    assert [finding.text for finding in found if finding.check in ("folder", "hub", "database")] == [f"{file} is not a folder"]
    assert not [finding for finding in found if "chown" in finding.remedy]


async def test_damaged_databases_are_distinguished_from_sound_ones(folder: Path, tmp_path: Path) -> None:
    settings = DataDirSettings(None, (), True, folder, folder / "stardust.db")
    assert states(await doctor_checks.database_findings(settings)) == ["ok", "ok"]
    file = folder / "stardust.db"
    file.write_bytes(file.read_bytes()[:4096] + os.urandom(file.stat().st_size - 4096))
    (folder / "stardust-samples.db").unlink()
    assert states(await doctor_checks.database_findings(settings)) == ["problem", "problem"]


async def test_a_database_with_another_name_is_a_problem(folder: Path, tmp_path: Path) -> None:
    settings = DataDirSettings(None, (), True, folder, folder / "stardust.db")
    os.link(folder / "stardust-samples.db", tmp_path / "snapshot.db")
    control, names, samples = await doctor_checks.database_findings(settings)
    assert (control.state, names.state, samples.state) == ("ok", "problem", "ok")
    assert f"{folder / 'stardust-samples.db'} is one file with 2 names" in names.text


async def test_an_empty_database_is_a_problem_and_a_dangling_copy_is_not(folder: Path) -> None:
    (folder / "stardust-samples.db").write_bytes(b"")
    (folder / "stardust.db.before-0003").symlink_to("/nowhere")
    settings = DataDirSettings(None, (), True, folder, folder / "stardust.db")
    assert states(await doctor_checks.database_findings(settings)) == ["ok", "problem"]
    assert list(doctor_checks.copy_findings(settings.control_db)) == []


async def test_an_unreadable_chunk_is_reported_by_node_and_hours(folder: Path) -> None:
    settings = DataDirSettings(None, (), True, folder, folder / "stardust.db")
    at = 1_795_255_200  # 2026-11-21 10:00 UTC
    sound = encode_rows(RowTable(1, [at * 1000], {"load.1": [5]}, {}))
    broken = sound[:-1] + bytes([sound[-1] ^ 1])
    with closing(sqlite3.connect(folder / "stardust.db")) as db:
        [no] = db.execute("SELECT no FROM node").fetchone()
    chunks = [(chunk_key(no, at // 3600, 1), sound), (chunk_key(no, at // 3600 + 1, 1), broken), (chunk_key(no + 1, at // 3600, 1), broken)]
    with closing(sqlite3.connect(folder / "stardust-samples.db")) as db, db:
        db.executemany("INSERT INTO chunk_1s VALUES (?, 1, ?)", chunks)
    control, samples = await doctor_checks.database_findings(settings)
    assert (control.state, samples.state) == ("ok", "problem")
    assert "2 pieces" in samples.text
    assert "web-1 from 2026-11-21 11:00 to 2026-11-21 12:00 UTC, tier 1s; node number 2 from 2026-11-21 10:00" in samples.text


async def test_unreadable_packs_outside_chunks_are_reported(folder: Path) -> None:
    settings = DataDirSettings(None, (), True, folder, folder / "stardust.db")
    at = 1_795_255_200  # 2026-11-21 10:00 UTC
    layout = layout_row("pulse", ("load.1",))
    packs = [  # sound; not a pack; too wide; of no layout
        (0, layout.schema_id, pack_body([(at * 1000, [5])])),
        (1, layout.schema_id, b"x"),
        (2, layout.schema_id, pack_body([(at * 1000, [5, 6])])),
        (1, b"nothing", pack_body([(at * 1000, [5])])),
    ]
    with closing(sqlite3.connect(folder / "stardust.db")) as db:
        [no] = db.execute("SELECT no FROM node").fetchone()
    with closing(sqlite3.connect(folder / "stardust-samples.db")) as db, db:
        series = msgspec.json.encode(layout.series).decode()
        db.execute(
            "INSERT INTO layout (node, layout, family, rhythm_s, series) VALUES (?, ?, 'pulse', 1, ?)", (no, layout.schema_id, series)
        )
        db.executemany(
            "INSERT INTO hot VALUES (?, ?, 1, 0, ?, ?, 1, 1, 1, ?)",
            [(at // 3600 + hour, no, seq, name, body) for seq, (hour, name, body) in enumerate(packs)],
        )
    [_, samples] = await doctor_checks.database_findings(settings)
    assert (samples.state, "2 pieces" in samples.text) == ("problem", True)
    assert "web-1 from 2026-11-21 11:00 to 2026-11-21 12:00 UTC, tier 1s; web-1 from 2026-11-21 12:00" in samples.text


async def test_the_schema_is_known_older_or_newer(folder: Path) -> None:
    async with await Inspection.open(folder / "stardust.db") as inspection:
        assert (await doctor_checks.schema_finding(inspection)).state == "ok"
        harm(folder, "PRAGMA user_version = 0")
        assert (await doctor_checks.schema_finding(inspection)).state == "warning"
        harm(folder, "PRAGMA user_version = 9999")
        assert (await doctor_checks.schema_finding(inspection)).state == "problem"
        harm(folder, "PRAGMA application_id = 7")
        assert (await doctor_checks.schema_finding(inspection)).state == "problem"


@pytest.mark.parametrize(("sql", "told"), [("user_version = 99", "made by a newer Stardust"), ("application_id = 7", "of this kind")])
async def test_samples_that_prevent_a_start_are_a_problem(folder: Path, sql: str, told: str) -> None:
    with closing(sqlite3.connect(folder / "stardust-samples.db")) as db, db:
        db.execute(f"PRAGMA {sql}")
    async with await Inspection.open(folder / "stardust.db") as inspection:
        found = await doctor_checks.schema_finding(inspection)
    assert found.state == "problem"
    assert told in found.text
    assert "stardust-samples.db" in found.text


async def test_another_secret_is_a_problem(folder: Path, quick_kdf: None) -> None:
    async with await Inspection.open(folder / "stardust.db") as inspection:
        found, vault = await doctor_checks.keyring_finding(config(folder), inspection)
    assert (found.state, vault) == ("problem", None)
    assert "not the one" in found.text


async def test_an_audit_log_that_was_changed_is_a_problem(folder: Path) -> None:
    database = await open_new(folder, clock=SystemClock())
    vault = await vault_of(database, "old")
    await database.close()
    async with await Inspection.open(folder / "stardust.db") as inspection:
        assert (await doctor_checks.audit_finding(inspection, vault)).state == "ok"
        harm(folder, "UPDATE audit SET target = 'x' WHERE n = 2")
        assert "row 2 was altered" in (await doctor_checks.audit_finding(inspection, vault)).text


async def test_a_clock_that_is_behind_the_log_is_noticed(folder: Path) -> None:
    now = time.time()
    async with await Inspection.open(folder / "stardust.db") as inspection:
        seen = [(await doctor_checks.clock_finding(inspection, now - behind)).state for behind in (-1e6, 30.0, 600.0, 7200.0)]
    assert seen == ["ok", "ok", "warning", "problem"]


async def test_nodes_with_unit_files_of_an_older_release_are_named(folder: Path) -> None:
    harm(folder, "UPDATE node SET identity = json_set(identity, '$.units', 1)")
    async with await Inspection.open(folder / "stardust.db") as inspection:
        assert (await doctor_checks.units_finding(inspection, 1)).state == "ok"
        harm(folder, "UPDATE node SET pending = 0, simulated = 0")
        assert (await doctor_checks.units_finding(inspection, 1)).state == "ok"
        found = await doctor_checks.units_finding(inspection, 2)
        assert found.state == "warning"
        assert "older release" in found.text
        harm(folder, "UPDATE node SET identity = json_set(identity, '$.units', 0)")
        found = await doctor_checks.units_finding(inspection, 1)
        assert found.state == "warning"
        assert "unknown" in found.text
        for apart in ("pending", "simulated"):  # it has not said anything yet, or has none
            harm(folder, f"UPDATE node SET {apart} = 1")
            assert (await doctor_checks.units_finding(inspection, 1)).state == "ok"
            harm(folder, f"UPDATE node SET {apart} = 0")


async def test_nodes_that_run_another_spider_than_the_hub_ships_are_named_with_their_version(folder: Path) -> None:
    harm(folder, "UPDATE node SET pending = 0, simulated = 0, agent_version = '0.0.9'")
    async with await Inspection.open(folder / "stardust.db") as inspection:
        found = await doctor_checks.agents_finding(inspection, None)
        assert (found.state, found.remedy) == ("warning", "stardust update --outdated")
        assert "web-1 (0.0.9)" in found.text
        harm(folder, f"UPDATE node SET agent_version = '{bundle_version(read_bundle())}'")
        assert (await doctor_checks.agents_finding(inspection, None)).state == "ok"
        harm(folder, "UPDATE node SET agent_version = ''")
        assert (await doctor_checks.agents_finding(inspection, None)).state == "ok", "it has not connected yet"


async def test_an_unreadable_record_is_reported_by_table_row_and_node(folder: Path) -> None:
    assert (await doctor_checks.records_finding(folder / "stardust.db")).state == "ok"
    harm(folder, "UPDATE node SET identity = 'z' || substr(identity, 2), tags = 'y'")
    with closing(sqlite3.connect(folder / "stardust-samples.db")) as db, db:
        db.execute("INSERT INTO layout (node, layout, family, rhythm_s, series) VALUES (1, x'01ff', 'pulse', 1, '[\"cpu.total')")

    found = await doctor_checks.records_finding(folder / "stardust.db")

    assert found.state == "problem"
    assert "3 records cannot be read" in found.text
    assert "stardust.db: identity of node " in found.text
    assert "stardust-samples.db: series of layout 01ff (node web-1)" in found.text
    async with await Inspection.open(folder / "stardust.db") as inspection:
        assert (await doctor_checks.units_finding(inspection)).state in ("ok", "warning"), "another check does not stop there"


async def test_a_check_that_fails_is_a_finding_and_the_others_continue(
    folder: Path, quick_kdf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    harm(folder, "INSERT OR REPLACE INTO fact VALUES ('clock_accepted', CAST('[1' AS BLOB))")
    harm(folder, "UPDATE node SET identity = 'z' || substr(identity, 2)")
    monkeypatch.setenv("STARDUST_SECRET", SECRET)
    args = argparse.Namespace(data_dir=str(folder), db=None, config=None, url=None, tls_ca=None, tls_pin=None)

    found = {finding.check: finding.state for finding in await doctor.examine(args)}

    assert {name: found[name] for name in ("schema", "records", "clock")} == {"schema": "ok", "records": "problem", "clock": "problem"}
    assert {"hub", "database", "keyring", "password", "units"} <= found.keys()


async def test_an_unexpected_error_of_a_check_is_a_finding() -> None:
    def look() -> list[Finding]:
        raise LookupError("no such thing")

    (found,) = await doctor._run_check("things", look)

    assert (found.check, found.state, found.text) == ("things", "problem", "this check failed: LookupError: no such thing")


async def test_an_unchanged_first_password_is_reported(folder: Path) -> None:
    async with await Inspection.open(folder / "stardust.db") as inspection:
        assert "admin" in (await doctor_checks.password_finding(inspection)).text
        harm(folder, "UPDATE account SET must_change_password = 0")
        assert (await doctor_checks.password_finding(inspection)).state == "ok"


@pytest.mark.parametrize(("version", "state"), [((3, 36, 0), "problem"), ((3, 37, 0), "ok"), ((3, 40, 1), "ok")])
def test_an_sqlite_is_too_old_or_well_and_what_is_well_has_no_remedy(version: tuple[int, ...], state: str) -> None:
    found = doctor_checks.sqlite_finding(version)
    assert found.state == state
    assert (found.remedy == "") == (state == "ok")


@pytest.mark.parametrize(
    ("argv", "env", "state"),
    [
        ((), {}, "ok"),
        (("--server-url", "wss://hub.example.com/ws"), {"STARDUST_TRUSTED_PROXIES": "127.0.0.1"}, "ok"),
        (("--server-url", "wss://hub.example.com:8443/ws"), {}, "warning"),
        (("--server-url", "wss://127.0.0.1:8443/ws"), {"STARDUST_TRUSTED_PROXIES": "127.0.0.1"}, "warning"),
        (("--server-url", "wss://[::1]/ws"), {"STARDUST_TRUSTED_PROXIES": "127.0.0.1"}, "warning"),
        (("--server-url", "ws://localhost:8933/ws"), {}, "ok"),
        (("--lan", "hub.lan"), {}, "ok"),
        (("--lan", "198.51.100.77"), {}, "warning"),
    ],
)
def test_unreachable_addresses_are_reported(tmp_path: Path, argv: tuple[str, ...], env: dict[str, str], state: str) -> None:
    assert states(doctor_checks.address_findings(config(tmp_path, *argv, **env))) == [state]


def test_an_invalid_bundle_is_a_problem(tmp_path: Path) -> None:
    bad = tmp_path / "bundle"
    bad.write_bytes(b"no zip")
    assert doctor_checks.bundle_finding(None).state == "ok"
    assert doctor_checks.bundle_finding(config(tmp_path, "--agent-bundle", str(bad))).state == "problem"


def test_faults_of_the_settings_are_reported_one_by_one(tmp_path: Path) -> None:
    found = list(doctor_checks.settings_findings(DataDirSettings(None, ("one", "two"), True, tmp_path, tmp_path / "stardust.db")))
    assert [(finding.state, finding.text) for finding in found] == [("problem", "one"), ("problem", "two")]
    without = list(doctor_checks.settings_findings(DataDirSettings(config(tmp_path), (), False, tmp_path, tmp_path / "stardust.db")))
    assert [finding.state for finding in without] == ["ok", "warning"]
