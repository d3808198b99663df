"""A database that lost its newest rows, as a removed write-ahead log loses them, is noticed at the next start and by the doctor."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.adapters.sqlite.admin.atomic_replace import replace_databases
from groundcontrol.adapters.sqlite.admin.backup import make, samples_beside, unpack
from groundcontrol.adapters.sqlite.admin.offline_reader import Inspection
from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.adapters.sqlite.engine.seen_times import seen_times_file
from groundcontrol.alerts.hub_facts import HubFactReader
from groundcontrol.cli.doctor_checks import lost_rows_findings
from groundcontrol.core.errors import ConfigError
from groundcontrol.core.steady_clock import SteadyClock
from tests.support.clock import ManualClock
from tests.support.factories import SCOPE, new_node
from tests.support.store_files import open_new

CONTROL, SAMPLES = "stardust.db", "stardust-samples.db"


async def killed_hub(tmp_path: Path, clock: ManualClock, *, without: tuple[str, ...] = ()) -> Path:
    """The folder of a hub that was killed an hour after its second start, without some files."""
    folder, copy = tmp_path / "data", tmp_path / "killed"
    await (await open_new(folder, clock=clock)).close()
    clock.advance(60.0)
    database = await open_new(folder, clock=clock)
    store = await database.store(audit_key=bytes(32), chain="second")
    clock.advance(3600.0)
    await store.nodes.create_node(SCOPE, new_node())
    assert await database.probe() is None
    await asyncio.to_thread(shutil.copytree, folder, copy, ignore=shutil.ignore_patterns(*without, "*.lock", "*-shm"))
    await database.close()
    return copy


async def told_by_start(folder: Path, clock: ManualClock) -> tuple[list[str], bool | None]:
    """The files of which the next start says that they lack something, and the fact for rules."""
    database = await open_database(folder, clock=clock)
    try:
        store = await database.store(audit_key=bytes(32), chain="next")
        found = [one for one in (await store.log.events(SCOPE, 50)).items if one.type == "hub_data_lost"]
        facts = HubFactReader(folder, store.channels, store.log, LocalBus(), lambda: 0.0, SteadyClock(clock), clock)
        assert (await facts.read()).data_lost is None
        assert await facts.check_losses()
        return sorted(str(one.details["file"]) for one in found), (await facts.read()).data_lost
    finally:
        await database.close()


async def findings(folder: Path, clock: ManualClock) -> list[tuple[str, str]]:
    async with await Inspection.open(folder / CONTROL) as inspection:
        return [(one.state, one.text) for one in await lost_rows_findings(inspection, clock.now())]


@pytest.mark.holds("F-34")
@pytest.mark.parametrize(
    ("without", "lacking"),
    [
        ((), []),
        ((f"{CONTROL}-wal",), [CONTROL]),
        ((f"{SAMPLES}-wal",), [SAMPLES]),
        (("*-wal",), [SAMPLES, CONTROL]),
        ((f"{SAMPLES}*",), [SAMPLES]),
        (("*-wal", "*.seen"), []),  # nothing is known
    ],
)
async def test_a_removed_write_ahead_log_is_noticed(
    tmp_path: Path, clock: ManualClock, without: tuple[str, ...], lacking: list[str]
) -> None:
    folder = await killed_hub(tmp_path, clock, without=without)
    before = await findings(folder, clock)
    assert [state for state, _ in before] == ["problem"] * len(lacking)
    assert await told_by_start(folder, clock) == (lacking, bool(lacking))
    after = await findings(folder, clock)
    assert [state for state, _ in after] == ["warning"] * len(lacking)
    assert await told_by_start(folder, clock) == (lacking, bool(lacking))  # once
    clock.advance(8 * 86_400.0)
    assert await findings(folder, clock) == []


async def test_the_lost_time_is_named(tmp_path: Path, clock: ManualClock) -> None:
    folder = await killed_hub(tmp_path, clock, without=("*-wal", f"{SAMPLES}*"))
    control, samples = await findings(folder, clock)
    assert control[1].startswith(f"{CONTROL} lacks what was stored between ")
    assert samples[1].startswith(f"{SAMPLES} lacks everything from before ")


async def test_a_restored_backup_lacks_nothing(tmp_path: Path, clock: ManualClock) -> None:
    folder = await killed_hub(tmp_path, clock)
    work = tmp_path / "work"
    work.mkdir()
    make(folder / CONTROL, tmp_path / "old", "1", lambda _: None)
    database = await open_database(folder, clock=clock)
    clock.advance(3600.0)
    assert await database.probe() is None
    await database.close()
    unpack(tmp_path / "old", work, lambda _: None)
    os.rename(work / "samples.db", samples_beside(work / "control.db"))
    replace_databases(work / "control.db", folder / CONTROL)
    assert await told_by_start(folder, clock) == ([], False)


@pytest.mark.parametrize("content", [b"", b"{", b'{"control": "now"}', b"\xff" * 5000])
async def test_damaged_times_claim_nothing(tmp_path: Path, clock: ManualClock, content: bytes) -> None:
    folder = await killed_hub(tmp_path, clock, without=("*-wal",))
    seen_times_file(folder / CONTROL).write_bytes(content)
    assert await told_by_start(folder, clock) == ([], False)


async def test_a_clock_that_was_set_back_is_no_loss(tmp_path: Path, clock: ManualClock) -> None:
    folder = await killed_hub(tmp_path, clock)
    clock.advance(-7200.0)
    assert await told_by_start(folder, clock) == ([], False)
    assert await told_by_start(folder, clock) == ([], False)


@pytest.mark.parametrize("name", [CONTROL, SAMPLES])
@pytest.mark.parametrize("first", [0, 100])
async def test_a_backup_names_the_damaged_database(tmp_path: Path, clock: ManualClock, name: str, first: int) -> None:
    """Damage to the header, which the first check meets, and to the first page, which the copy meets."""
    folder = await killed_hub(tmp_path, clock)
    for left in folder.glob("*-wal"):
        with closing(sqlite3.connect(f"{left}"[: -len("-wal")])) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:first] + b"\xff" * 512 + whole[first + 512 :])
    with pytest.raises(ConfigError) as refused:
        make(folder / CONTROL, tmp_path / "backup", "1", lambda _: None)
    assert name in str(refused.value)
    assert {CONTROL, SAMPLES} - {name} != {one for one in (CONTROL, SAMPLES) if one in str(refused.value)}
    assert not (tmp_path / "backup").exists()
