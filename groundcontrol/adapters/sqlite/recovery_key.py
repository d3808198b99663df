"""State of the recovery key: whether it was printed, and until when unknown nodes that prove themselves are accepted. The key itself is
not stored."""

from __future__ import annotations

import struct
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.core.scope import Scope

ADOPT_UNTIL: Final = "adopt_until"
_PRINTED: Final = "recovery_printed_at"
_TIME: Final = struct.Struct("<d")


def time_fact(at: float) -> bytes:
    """A time as a single value of the store."""
    return _TIME.pack(at)


def _time(rows: Rows, name: str) -> float:
    row = rows.one("SELECT value FROM fact WHERE name = ?", name)
    return 0.0 if row is None else float(_TIME.unpack(row["value"])[0])


class SqliteRecovery:
    """`RecoveryStore`."""

    def __init__(self, writer: Writer, reader: Reader, chain: Chain) -> None:
        self._writer = writer
        self._reader = reader
        self._chain = chain

    async def print_recovery(self, scope: Scope, *, again: bool) -> float | None:
        def command(tx: Tx) -> float | None:
            before = _time(tx, _PRINTED)
            if before and not again:
                return before
            tx.do("INSERT OR REPLACE INTO fact VALUES (?, ?)", _PRINTED, time_fact(tx.now))
            self._chain.write(tx, scope, "recovery.print", "recovery", {"again": bool(before)})
            return None

        return await self._writer.run(command)

    async def adopt_until(self) -> float:
        return await self._reader.run(lambda rows: _time(rows, ADOPT_UNTIL))

    async def end_adoption(self, scope: Scope) -> None:
        def command(tx: Tx) -> None:
            if tx.do("DELETE FROM fact WHERE name = ?", ADOPT_UNTIL):
                self._chain.write(tx, scope, "recovery.end", "recovery", {})

        await self._writer.run(command)
