"""Single values of the control database, by name."""

from __future__ import annotations

import struct
from typing import Final

from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx, Value

ADOPT_UNTIL: Final = "adopt_until"
_TIME: Final = struct.Struct("<d")


def save_fact(tx: Tx, name: str, value: Value) -> None:
    """Store a value in place of the one before it."""
    tx.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)


def setting(rows: Rows, name: str) -> bytes | None:
    """A value of the table `fact`; None: it was never set."""
    row = rows.fetch_one("SELECT value FROM fact WHERE name = ?", name)
    if row is None:
        return None
    value = row["value"]
    return value if isinstance(value, bytes) else str(value).encode()  # every setting is stored as bytes; damage may change the type


def time_setting(at: float) -> bytes:
    """A time (Unix seconds) as a value of the table `fact`."""
    return _TIME.pack(at)


def time_of(rows: Rows, name: str) -> float:
    """A stored `time_setting`; 0: there is none."""
    row = rows.fetch_one("SELECT value FROM fact WHERE name = ?", name)
    return 0.0 if row is None else float(_TIME.unpack(row["value"])[0])
