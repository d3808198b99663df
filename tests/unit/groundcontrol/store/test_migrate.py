"""A program that is killed while it brings a database to its schema (F-35)."""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from groundcontrol.store.sqlite.migrate import CONTROL, SAMPLES, Kind, bring_up, migrations

KINDS = {"control": CONTROL, "samples": SAMPLES}
_KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from groundcontrol.store.sqlite.migrate import bring_up, migrations
from tests.unit.groundcontrol.store.test_migrate import KINDS

path, kind, left = Path(sys.argv[1]), KINDS[sys.argv[2]], int(sys.argv[3])

def count(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.set_trace_callback(count)
bring_up(db, path, kind, migrations(kind))
"""


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def schema(path: Path) -> list[tuple[str, str, str]]:
    with closing(opened(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        return sorted(db.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


def schemas(folder: Path, kind: Kind) -> list[list[tuple[str, str, str]]]:
    """What each version looks like, from 0 on."""
    known: list[list[tuple[str, str, str]]] = [[]]
    for version in range(1, len(migrations(kind)) + 1):
        path = folder / f"as-{version}.db"
        with closing(opened(path)) as db:
            bring_up(db, path, kind, migrations(kind)[:version])
        known.append(schema(path))
    return known


def kill_at(folder: Path, name: str, step: int) -> bool:
    """Bring a database of the first version up, killed before its `step`-th statement. Returns: False: there are fewer."""
    kind, path = KINDS[name], folder / f"killed-{step}.db"
    with closing(opened(path)) as db:
        bring_up(db, path, kind, migrations(kind)[:1])
        db.execute("INSERT INTO fact VALUES ('kept', 1)" if kind is CONTROL else "INSERT INTO fence VALUES (7, 1)")
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path), name, str(step)], check=False, timeout=60)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def check(folder: Path, name: str, step: int, known: list[list[tuple[str, str, str]]]) -> None:
    """The file has one version, whole, and the next start makes the newest of it; what was in it is there, and in the copy."""
    kind, path = KINDS[name], folder / f"killed-{step}.db"
    with closing(opened(path)) as db:
        assert schema(path) == known[db.execute("PRAGMA user_version").fetchone()[0]]
        bring_up(db, path, kind, migrations(kind))
        [kept] = db.execute("SELECT count(*) FROM fact WHERE name = 'kept'" if kind is CONTROL else "SELECT count(*) FROM fence").fetchone()
        assert kept == 1
    assert schema(path) == known[-1]
    assert schema(path.with_name(f"{path.name}.before-0002")) == known[1]


@pytest.mark.parametrize("name", KINDS)
def test_a_program_that_is_killed_while_it_migrates_leaves_a_version_that_is_whole(tmp_path: Path, name: str) -> None:
    known = schemas(tmp_path, KINDS[name])
    steps = list(itertools.takewhile(partial(kill_at, tmp_path, name), itertools.count(3, 17)))
    assert len(steps) > 2
    for step in steps:
        check(tmp_path, name, step, known)


@pytest.mark.slow
@pytest.mark.timeout(900)  # a start for each statement, and each migration adds some
@pytest.mark.parametrize("name", KINDS)
def test_a_program_that_is_killed_at_any_statement_of_a_migration_leaves_a_version_that_is_whole(tmp_path: Path, name: str) -> None:
    known = schemas(tmp_path, KINDS[name])
    step = 1
    while kill_at(tmp_path, name, step):
        check(tmp_path, name, step, known)
        step += 1
    assert step > 50
