"""Single values of the control database, by name."""

from __future__ import annotations

from groundcontrol.adapters.sqlite.engine.tx import Tx, Value


def save_fact(tx: Tx, name: str, value: Value) -> None:
    """Store a value in place of the one before it."""
    tx.execute("INSERT INTO fact VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
