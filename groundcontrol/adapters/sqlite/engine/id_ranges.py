"""Finds rows made before a time by their ids, which sort by time. This costs one seek for each organisation, regardless of the number of
newer rows."""

from __future__ import annotations

from spider.wire.ids import to_text


def first_id(at: float) -> str:
    """The lowest id of a row made at this time (Unix seconds) or later."""
    return to_text(min(max(0, int(at * 1000)), (1 << 48) - 1).to_bytes(6, "big") + bytes(10))


def of_old(table: str) -> str:
    """The beginning of a query of old rows. Its first parameter is a `first_id`; the query calls the rows `old`."""
    return (
        f"WITH RECURSIVE orgs(org) AS (SELECT min(org) FROM {table}"  # noqa: S608  names of our own
        f" UNION ALL SELECT (SELECT min(org) FROM {table} WHERE org > orgs.org) FROM orgs WHERE orgs.org IS NOT NULL)"
        f" SELECT old.no FROM orgs CROSS JOIN {table} AS old ON old.org = orgs.org AND old.id < ?"
    )
