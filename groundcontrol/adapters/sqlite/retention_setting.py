"""The retention of samples, as an admin has set it."""

from __future__ import annotations

import msgspec

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.users import fact
from groundcontrol.core.errors import BadRequest, StoreError
from groundcontrol.core.scope import Scope
from groundcontrol.samples.model import Retention, RetentionChange, fault_of

_NAME = "retention"


class SqliteRetention:
    """`RetentionStore`."""

    def __init__(self, writer: Writer, reader: Reader, chain: Chain) -> None:
        self._writer = writer
        self._reader = reader
        self._chain = chain

    async def retention(self) -> Retention | None:
        return await self._reader.run(_read)

    async def save_retention(self, scope: Scope, change: RetentionChange, otherwise: Retention) -> Retention:
        def command(tx: Tx) -> Retention:
            holds = _read(tx)
            retention = change.of(holds or otherwise)
            if fault := fault_of(retention):
                raise BadRequest(fault, field="retention")
            if holds != retention:
                tx.do("INSERT OR REPLACE INTO fact VALUES (?, ?)", _NAME, msgspec.json.encode(retention))
                self._chain.write(tx, scope, "settings.edit", "settings", {"retention": retention._asdict()})
            return retention

        return await self._writer.run(command)


def _read(rows: Rows) -> Retention | None:
    found = fact(rows, _NAME)
    try:
        return None if found is None else msgspec.json.decode(found, type=Retention)
    except msgspec.MsgspecError as exc:
        raise StoreError("the setting retention in the database is not one that this program knows") from exc
