"""Updates and held packages as tables."""

from __future__ import annotations

from spider.packages.plan import UNKNOWN, YES, Planned
from spider.reports.table_reporter import table_of
from spider.sampling.collectors.updates import Available, HeldReader, UpdatesReader
from spider.wire import table_rows, tables
from tests.support.some import some


def test_unknown_updates_give_no_table() -> None:
    available = Available()
    assert UpdatesReader(available).read(0.0) is None
    assert HeldReader(available).read(0.0) is None


def test_updates_and_held_packages_are_rows_by_name() -> None:
    available = Available()
    available.newer = [Planned("zlib", "1.2", "1.3"), Planned("openssl", "3.0.1", "3.0.2", YES, "Debian-Security:12")]
    available.held = [("linux", "6.1", "phased")]
    found = some(UpdatesReader(available).read(0.0))
    assert found.rows == [("openssl", "3.0.1", "3.0.2", "yes", "Debian-Security:12"), ("zlib", "1.2", "1.3", UNKNOWN, "")]
    held = some(HeldReader(available).read(0.0))
    assert held.rows == [("linux", "6.1", "phased")]
    for subject, reading in (("updates", found), ("held", held)):
        table_rows.check(table_of(tables.BY_NAME[subject], reading, 1))


def test_hostile_names_of_a_repository_stay_one_line() -> None:
    available = Available()
    available.newer = [Planned("a\x1b[2Jb", "1\n2", "3", YES, "x" * 5000)]
    found = some(UpdatesReader(available).read(0.0))
    table_rows.check(table_of(tables.BY_NAME["updates"], found, 1))
    assert "\x1b" not in str(found.rows[0][0])
