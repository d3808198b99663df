"""What PostgreSQL does not prepare yet (`test_postgres.py`). Both lists may only shrink."""

from __future__ import annotations

from typing import Final

REFUSED: Final = (
    'audit:last_at: column "rowid" does not exist',
    'audit:listed: column "rowid" does not exist',
    "audit:listed: function json_object(unknown, text) does not exist",
    'audit:listed: relation "sqlite_schema" does not exist',
    'audit:mark_clock: column "rowid" does not exist',
    'audit:_missing: relation "sqlite_schema" does not exist',
    'events:SqliteLog.save_refusals: column "rowid" does not exist',
)
"""`<file>:<function>: <error of PostgreSQL>` of each statement."""
UNREACHED: Final = ("events:_expire_oldest",)
"""`<file>:<function>` that makes a statement which no race case runs."""
