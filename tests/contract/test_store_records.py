"""What holds for each kind of declared record (`core.records`), with the makers of the race cases."""

from __future__ import annotations

from typing import Any, Final

import pytest

from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.json_columns import RECORDS, damaged_records
from groundcontrol.adapters.sqlite.records import SqliteRecords
from groundcontrol.core.errors import BadRequest, NotFound, StoreError
from tests.support.case_files import case_files
from tests.support.factories import SCOPE, STRANGER
from tests.support.race_cases import RECORD_CASES
from tests.support.store_backend import Backend

PARTS: Final = sorted(RECORD_CASES) if case_files("race") else []


def _parts(backend: Backend) -> dict[str, SqliteRecords[Any]]:
    return {name: part for name, part in vars(backend.store).items() if isinstance(part, SqliteRecords)}


def test_every_record_is_listed_for_the_doctor_and_has_cases(backend: Backend) -> None:
    parts = _parts(backend)
    assert sorted(parts) == PARTS
    assert {type(part) for part in parts.values()} == set(RECORDS)


@pytest.mark.parametrize("part", PARTS)
async def test_a_page_continues_at_its_cursor_and_another_organisation_sees_none(backend: Backend, part: str) -> None:
    store, case = _parts(backend)[part], RECORD_CASES[part]
    made = [await store.create(SCOPE, case.make(backend.clock.now() + at, f"n{at}")) for at in range(3)]
    first = await store.page(SCOPE, 2)
    assert first.items == [made[2], made[1]]
    assert await store.page(SCOPE, 2, first.next) == ([made[0]], None)
    assert (await store.page(STRANGER, 9)).items == await store.all(STRANGER) == []
    with pytest.raises(BadRequest, match="cursor"):
        await store.page(STRANGER, 2, first.next)
    with pytest.raises(NotFound, match="no such"):
        await store.get(STRANGER, made[0].id)
    with pytest.raises(NotFound, match="no such"):
        await store.save(STRANGER, case.edit(made[0], 1))
    await store.delete(STRANGER, made[0].id)
    assert await store.get(SCOPE, made[0].id) == made[0]
    assert await store.of_every_org() == sorted(made, key=lambda one: one.id)


@pytest.mark.parametrize("part", PARTS)
async def test_a_damaged_record_hides_no_other_is_reported_and_can_be_replaced_or_deleted(backend: Backend, part: str) -> None:
    store, case = _parts(backend)[part], RECORD_CASES[part]
    one, two = [await store.create(SCOPE, case.make(backend.clock.now() + at, f"n{at}")) for at in range(2)]
    needed = [name for _, name, *_ in store.form.json_columns() if name not in store.form.declared.damaged]

    def spoil(tx: Tx) -> None:
        for column in needed:
            tx.execute(f"UPDATE {store.form.declared.table} SET {column} = '{{' WHERE id = ?", one.id)

    await backend.database._control.writer.run(spoil)
    found = await backend.database._control.reader.run(lambda rows: list(damaged_records(rows._db)))
    assert [(each.table, each.row, each.column) for each in found] == [(store.form.declared.table, one.id, name) for name in needed]
    if store.form.declared.complete:
        with pytest.raises(StoreError):
            await store.all(SCOPE)
    else:
        assert await store.all(SCOPE) == ([two] if needed else [one, two])
    if set(needed) <= {store.form.declared.body, *store.form.saved}:
        assert (await store.save(SCOPE, case.edit(one, 1))).version == 2
        assert len(await store.all(SCOPE)) == 2
    await backend.database._control.writer.run(spoil)
    await store.delete(SCOPE, one.id)
    assert await store.all(SCOPE) == [two]
