"""A database is migrated completely or not at all, also when the program is killed meanwhile (F-35)."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.admin.before_upgrade import find_earlier, go_back
from groundcontrol.adapters.sqlite.admin.migrate import CONTROL, SAMPLES, Kind, Migration, damage_error, migrations, upgrade
from groundcontrol.adapters.sqlite.admin.offline_reader import Inspection
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.database import CONTROL_NAME
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.core.errors import ConfigError
from groundcontrol.core.scope import SYSTEM
from tests.support.kept_stores import put_new_files

KINDS = {"control": CONTROL, "samples": SAMPLES}
_KILLED = """
import itertools, os, signal, sqlite3, sys
from pathlib import Path
from groundcontrol.adapters.sqlite.admin.backup import samples_beside
from groundcontrol.adapters.sqlite.admin.before_upgrade import find_earlier, go_back
from groundcontrol.adapters.sqlite.admin.migrate import CONTROL, SAMPLES, migrations, upgrade

folder, kind, first, each = Path(sys.argv[1]), CONTROL if sys.argv[2] == "control" else SAMPLES, int(sys.argv[3]), int(sys.argv[4])

def migrate(path, left):
    def count(statement):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.set_trace_callback(count)
    upgrade(db, path, kind, migrations(kind))

for step in itertools.count(first, each):
    path = folder / f"killed-{step}.db"
    db = sqlite3.connect(path, isolation_level=None)
    upgrade(db, path, kind, migrations(kind)[:1])
    db.execute("INSERT INTO fact VALUES ('kept', 1)" if kind is CONTROL else "INSERT INTO fence VALUES (7, 1)")
    db.close()
    child = os.fork()
    if child == 0:
        migrate(path, step)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    print(step)
"""


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def described(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    return sorted(db.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


def schema(path: Path) -> list[tuple[str, str, str]]:
    with closing(opened(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        return described(db)


def schemas(kind: Kind) -> list[list[tuple[str, str, str]]]:
    """What each version looks like, from 0 on."""
    known: list[list[tuple[str, str, str]]] = [[]]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        for step in migrations(kind):
            db.executescript(step.sql)
            known.append(described(db))
    return known


def killed(folder: Path, name: str, first: int, each: int) -> list[int]:
    """Bring databases of the first version up, killed before their `first`-th statement, and before each so much later one.

    Returns: the numbers of these statements; the file is named after its number.
    """
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(folder), name, str(first), str(each)], check=True, capture_output=True, timeout=600
    )
    return [int(line) for line in done.stdout.split()]


def check(folder: Path, name: str, step: int, known: list[list[tuple[str, str, str]]]) -> None:
    """The file has one version, whole, and the next start makes the newest of it; what was in it is there, and in the copy."""
    kind, path = KINDS[name], folder / f"killed-{step}.db"
    with closing(opened(path)) as db:
        assert schema(path) == known[db.execute("PRAGMA user_version").fetchone()[0]]
        upgrade(db, path, kind, migrations(kind))
        [kept] = db.execute("SELECT count(*) FROM fact WHERE name = 'kept'" if kind is CONTROL else "SELECT count(*) FROM fence").fetchone()
        assert kept == 1
    assert schema(path) == known[-1]
    assert schema(path.with_name(f"{path.name}.before-0002")) == known[1]


@pytest.mark.holds("F-35")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", KINDS)
def test_a_killed_migration_leaves_a_whole_version(tmp_path: Path, name: str) -> None:
    known = schemas(KINDS[name])
    steps = killed(tmp_path, name, 3, 53)
    assert len(steps) > 2
    for step in steps:
        check(tmp_path, name, step, known)


@pytest.mark.holds("F-35")
@pytest.mark.slow
@pytest.mark.timeout(900)  # a start for each statement, and each migration adds some
@pytest.mark.parametrize("name", KINDS)
def test_a_migration_killed_at_any_statement_leaves_a_whole_version(tmp_path: Path, name: str) -> None:
    known = schemas(KINDS[name])
    steps = killed(tmp_path, name, 1, 1)
    for step in steps:
        check(tmp_path, name, step, known)
    assert len(steps) > 50


@pytest.mark.holds("SAFETY-9")
@pytest.mark.parametrize("kind", [CONTROL, SAMPLES])
def test_a_migration_is_one_transaction_with_a_copy_before_it(tmp_path: Path, kind: object) -> None:
    path = tmp_path / "some.db"
    known = migrations(kind)
    with closing(opened(path)) as db:
        upgrade(db, path, kind, known)  # type: ignore[arg-type]
        assert list(tmp_path.glob("*.before-*")) == []
        tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        no = len(known) + 1
        bad = Migration(no, "bad", "CREATE TABLE half (a); INSERT INTO half VALUES (1); CREATE TABLE half (again);")
        with pytest.raises(sqlite3.OperationalError):
            upgrade(db, path, kind, [*known, bad])  # type: ignore[arg-type]
        assert db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == tables
        assert db.execute("PRAGMA user_version").fetchone() == (len(known),)
        good = Migration(no, "good", "CREATE TABLE whole (a)")
        upgrade(db, path, kind, [*known, good])  # type: ignore[arg-type]
        upgrade(db, path, kind, [*known, good])  # type: ignore[arg-type]
        assert db.execute("PRAGMA user_version").fetchone() == (no,)
    copies = list(tmp_path.glob("*.before-*"))
    assert [copy.name for copy in copies] == [f"some.db.before-{no:04d}"]
    assert copies[0].stat().st_mode & 0o777 == 0o600
    with closing(opened(copies[0])) as copy:
        assert copy.execute("PRAGMA user_version").fetchone() == (len(known),)


def test_a_file_without_migrations_is_not_copied(tmp_path: Path) -> None:
    """That of the samples may have gigabytes, and most updates change the other one alone."""
    path = tmp_path / "some.db"
    known = migrations(SAMPLES)
    with closing(opened(path)) as db:
        upgrade(db, path, SAMPLES, known)
        upgrade(db, path, SAMPLES, [*known, Migration(len(known) + 1, "elsewhere", "")])
        assert db.execute("PRAGMA user_version").fetchone() == (len(known) + 1,)
    assert list(tmp_path.glob("*.before-*")) == []


SYSTEM_WIDE = {
    "fact",
    "keyring",
    "hub",
    "lease",
    "node_grave",
    "job_grave",
    "attempt",
    "audit",
    "audit_pack",
    "organisation",
    "oidc_provider",
    "oidc_link",
}
"""Tables that belong to no organisation, or whose keys no organisation chooses."""


def test_org_is_the_first_column_of_every_unique_index(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "some.db")) as db:
        upgrade(db, tmp_path / "some.db", CONTROL, migrations(CONTROL))
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
        owned = [table for table in tables if table not in SYSTEM_WIDE]
        assert len(owned) >= 8
        for table in owned:
            for _, index, unique, *_ in db.execute(f"PRAGMA index_list({table})").fetchall():
                if unique:
                    assert db.execute(f"PRAGMA index_info({index})").fetchone()[2] == "org", index


def test_migrations_are_numbered_and_named_alike_for_both_files() -> None:
    names = [step.name for step in migrations(CONTROL)]
    assert names == [step.name for step in migrations(SAMPLES)]
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", name) for name in names)


class _Full(sqlite3.Connection):
    """A disk that is full in the middle of a copy: what was written of it stays."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        if sql.startswith("VACUUM INTO"):
            Path(values[0][0]).touch()
            raise sqlite3.OperationalError("database or disk is full")
        return super().execute(sql, *values)


def test_a_copy_without_disk_space_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    known = migrations(SAMPLES)
    with closing(opened(path)) as db:
        upgrade(db, path, SAMPLES, known)
    with closing(sqlite3.connect(path, isolation_level=None, factory=_Full)) as db, pytest.raises(sqlite3.OperationalError):
        upgrade(db, path, SAMPLES, [*known, Migration(len(known) + 1, "next", "CREATE TABLE next (a)")])
    assert [file.name for file in tmp_path.iterdir()] == ["some.db"]


def test_going_back_is_refused_without_the_copy_of_a_file_that_the_upgrade_changed(tmp_path: Path) -> None:
    folder, work = tmp_path / "data", tmp_path / "work"
    put_new_files(folder)
    work.mkdir()
    control = folder / CONTROL_NAME
    copy = folder / f"{CONTROL_NAME}.before-0002"
    with closing(opened(copy)) as db:
        upgrade(db, copy, CONTROL, migrations(CONTROL)[:1])
    present = {path: path.read_bytes() for path in (control, samples_beside(control))}
    with pytest.raises(ConfigError, match="copy from before is missing or damaged"):
        go_back(control, find_earlier(control), work)
    assert {path: path.read_bytes() for path in present} == present


@pytest.mark.parametrize("left", [0, 5, 4096, -4096, None], ids=["empty", "no head", "a page", "a page short", "overwritten"])
def test_the_newest_whole_copy_is_named(tmp_path: Path, left: int | None) -> None:
    """A program that is killed over a copy leaves what it has written."""
    path = tmp_path / "some.db"
    good, bad = (tmp_path / f"some.db.before-{no:04d}" for no in (1, 2))
    with closing(opened(good)) as db:
        upgrade(db, good, CONTROL, migrations(CONTROL))
    whole = good.read_bytes()
    bad.write_bytes(whole[:left] if left is not None else whole[:4096] + b"\xff" * (len(whole) - 4096))
    os.utime(good, (1, 1))
    assert str(damage_error(path)) == f"the database {path} is damaged: restore a backup; the newest copy is {good}"
    good.unlink()
    assert str(damage_error(path)) == f"the database {path} is damaged: restore a backup"


@pytest.mark.holds("SAFETY-9", "S-34")
async def test_an_audit_log_from_before_refusals_stays_valid_and_listed_after_the_migration(tmp_path: Path) -> None:
    path = tmp_path / "stardust.db"
    key = bytes(32)
    with closing(opened(path)) as db:
        db.row_factory = sqlite3.Row
        upgrade(db, path, CONTROL, [step for step in migrations(CONTROL) if step.no < 16])
        for at in range(3):
            Chain(key, f"hub-{at}").write(Tx(db, 1_790_000_000.0 + at), SYSTEM, "node.create", f"n{at}")
    for _ in range(2):
        async with await Inspection.open(path) as inspection:
            assert [row.target for row in await inspection.newest_audit(100) if row.action == "node.create"] == ["n0", "n1", "n2"]
            assert await inspection.verify_audit([key]) is None
        with closing(opened(path)) as db:
            upgrade(db, path, CONTROL, migrations(CONTROL))
            assert db.execute("SELECT count(*) FROM refusal").fetchone() == (0,)


def put(db: sqlite3.Connection, table: str, **values: object) -> None:
    """Insert a row; what it must have and is not given is 1."""
    for _, column, kind, needed, default, key in db.execute(f"PRAGMA table_info({table})"):
        if needed and default is None and not key:
            values.setdefault(column, b"1" if kind == "BLOB" else 1)
    db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", tuple(values.values()))


@pytest.mark.parametrize(
    ("packages", "units", "container", "args", "lane"),
    [
        ('["bash","curl"]', "[]", None, '["bash","curl"]', "main"),
        ("[]", '["nginx.service"]', None, '["nginx.service"]', "side"),
        ("[]", "[]", "shop", '["shop"]', "side"),
        ("[]", "[]", None, "[]", "main"),
    ],
)
def test_what_jobs_batches_and_policies_named_is_kept_in_one_column(
    tmp_path: Path, packages: str, units: str, container: str | None, args: str, lane: str
) -> None:
    path = tmp_path / "stardust.db"
    wish = json.dumps({"action": "x", "packages": json.loads(packages), "units": json.loads(units), "container": container})
    policy = json.dumps({"mode": "managed", "units": ["a*"], "containers": ["shop"]})
    with closing(opened(path)) as db:
        upgrade(db, path, CONTROL, [step for step in migrations(CONTROL) if step.no < 29])
        put(db, "node", no=1, policy=policy)
        put(db, "job", node=1, packages=packages, units=units, container=container, state="running")
        put(db, "batch", wish=wish)
        upgrade(db, path, CONTROL, migrations(CONTROL))
        assert db.execute("SELECT args, lane FROM job").fetchone() == (args, lane)
        assert json.loads(db.execute("SELECT wish FROM batch").fetchone()[0]) == {"action": "x", "args": json.loads(args)}
        [stored] = db.execute("SELECT policy FROM node").fetchone()
        assert json.loads(stored) == {"mode": "managed", "lines": {"units": ["a*"], "containers": ["shop"]}}


@pytest.mark.parametrize(
    ("kind", "began", "job"),
    [("remove", [5, None], "later"), ("remove", [None], None), ("remove", [9], None), ("update", [1, 5], "updated")],
)
def test_an_open_deployment_through_a_live_session_keeps_its_job(
    tmp_path: Path, kind: str, began: list[float | None], job: str | None
) -> None:
    path = tmp_path / "stardust.db"
    with closing(opened(path)) as db:
        upgrade(db, path, CONTROL, [step for step in migrations(CONTROL) if step.no < 47])
        put(db, "node", no=1, id="n", org=1)
        for no, (name, action, at) in enumerate([("earlier", "uninstall", 4), ("later", "uninstall", 6), ("updated", "update", 7)], 1):
            put(db, "job", no=no, id=name, node=1, action=action, created_at=at)
        put(db, "deployment", org=1, kind=kind, state="running", node_id="n", steps=json.dumps([{"started_at": at} for at in began]))
        upgrade(db, path, CONTROL, migrations(CONTROL))
        assert db.execute("SELECT job FROM deployment").fetchall() == [(job,)]


@pytest.mark.holds("SAFETY-108")
def test_a_database_from_before_lands_in_the_first_organisation_and_nobody_gains_a_right(tmp_path: Path) -> None:
    path, some = tmp_path / "stardust.db", '{"nodes": [], "tags": ["web"]}'
    people = {"boss": ("admin", None), "limited": ("admin", some), "op": ("operator", None), "eye": ("viewer", some)}

    def content(db: sqlite3.Connection) -> dict[str, tuple[int, set[int]]]:
        """Table with organisations -> the number of its rows, and their organisations."""
        names = [name for [name] in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")]
        owned = [name for name in names if any(column[1] == "org" for column in db.execute(f"PRAGMA table_info({name})"))]
        rows = {name: [org for [org] in db.execute(f"SELECT org FROM {name}")] for name in owned}
        return {name: (len(found), set(found)) for name, found in rows.items()}

    with closing(opened(path)) as db:
        upgrade(db, path, CONTROL, [step for step in migrations(CONTROL) if step.no < 34])
        for no, (name, (role, grants)) in enumerate(people.items(), 1):
            put(db, "account", no=no, id=name, username=name, username_key=name, role=role, grants=grants)
        for table in content(db):
            if table != "account":
                columns = db.execute(f"PRAGMA table_info({table})")
                put(db, table, **{column: b"1" if kind == "BLOB" else 1 for _, column, kind, _, _, key in columns if key})
        before = content(db)
        upgrade(db, path, CONTROL, migrations(CONTROL))
        after = content(db)
        assert {name: after[name] for name in before} == before, "nothing is lost, and nothing moves"
        assert after["membership"] == (len(people), {1})
        assert set().union(*(orgs for _, orgs in after.values())) == {1}
        kept = db.execute(
            "SELECT account.id, role, grants, source FROM membership JOIN account ON account.no = membership.account"
        ).fetchall()
        assert {name: (role, grants) for name, role, grants, _ in kept} == people
        assert {source for *_, source in kept} == {"local"}
        assert db.execute("SELECT id FROM account WHERE instance_admin = 1").fetchall() == [("boss",)], "a limited admin stays limited"
        assert db.execute("SELECT slug, state FROM organisation").fetchall() == [("default", "active")]
