"""The table of versions that the fleet has shown: when it first saw each."""

from __future__ import annotations

from collections.abc import Iterable

from groundcontrol.adapters.sqlite.engine.tx import Tx


def note_seen(tx: Tx, org: int, updates: Iterable[tuple[str, str, str]]) -> None:
    """Store (repository, package, version) that the fleet has not shown before, as seen now."""
    tx.execute_many(
        "INSERT INTO package_seen (org, repository, package, version, seen_at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (org, package, repository, version) DO NOTHING",
        ((org, *one, tx.now) for one in updates),
    )
