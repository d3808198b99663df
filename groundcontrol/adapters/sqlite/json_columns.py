"""Every column with a record as JSON, and the function that reads it, so that `stardust doctor` can check all records."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, NamedTuple

import msgspec

import groundcontrol.adapters.sqlite.stores  # noqa: F401  # the stores of records, which `RECORDS` lists
from groundcontrol.access.model import Preferences, TotpRule
from groundcontrol.access.oidc.model import Provider
from groundcontrol.adapters.sqlite.batches import BATCHES
from groundcontrol.adapters.sqlite.deployments import DEPLOYMENTS
from groundcontrol.adapters.sqlite.engine.json_codec import (
    decoded,
    inflated,
    object_from_json,
    record_from_json,
    texts_from_json,
)
from groundcontrol.adapters.sqlite.events import EVENTS
from groundcontrol.adapters.sqlite.invites import INVITES
from groundcontrol.adapters.sqlite.job_rows import JOBS
from groundcontrol.adapters.sqlite.maintenance import WINDOWS
from groundcontrol.adapters.sqlite.nodes import NODES
from groundcontrol.adapters.sqlite.records import record_stores
from groundcontrol.core.errors import StoreError
from groundcontrol.core.scope import Grants
from groundcontrol.jobs.plans import KeptBack, PlanHead, PlanStep, Report
from groundcontrol.nodes.processes import ProcessReading
from groundcontrol.policies.model import Occurrence
from groundcontrol.rollouts.model import Rollout, Target
from groundcontrol.samples.model import Retention


class DamagedRecord(NamedTuple):
    table: str
    row: str
    """The key of the row that contains the record."""
    column: str
    node: str
    """The id of the record's node; in the samples database the node's number; empty: the record belongs to no node."""


class _Column(NamedTuple):
    table: str
    name: str
    read: Callable[[bytes], object]
    row: str = "id"
    """SQL expression for the key of a row."""
    node: str = "''"
    """SQL expression for the node of a row."""
    where: str = "1"
    """SQL condition for the rows with this record."""


def _json(kind: object) -> Callable[[bytes], object]:
    return partial(decoded, msgspec.json.Decoder(kind))


def _deflated(kind: object) -> Callable[[bytes], object]:
    return partial(inflated, msgspec.json.Decoder(kind))


def _read_rule(body: bytes) -> object:
    """Read the rule about second factors, which is a bare word."""
    return decoded(_RULE, b'"%s"' % body)


_RULE: Final = msgspec.json.Decoder(TotpRule)


def _of_node(number: str) -> str:
    return f"(SELECT id FROM node AS its WHERE its.no = {number})"  # noqa: S608 - built from constants only


_OF_JOB: Final = f"(SELECT {_of_node('job.node')} FROM job WHERE job.no = job)"  # noqa: S608 - built from constants only

RECORDS: Final = record_stores()
"""The stores of declared records, whose columns with JSON follow from their models."""

COLUMNS: Final = (
    *(_Column(*column) for records in RECORDS for column in records.form.json_columns()),
    *(_Column(*column) for columns in (INVITES, WINDOWS, NODES, DEPLOYMENTS, EVENTS, JOBS, BATCHES) for column in columns.json_columns()),
    _Column("node_table", "columns", texts_from_json, "subject", _of_node("node_table.node")),
    _Column("node_table", "cells", _deflated(list[str | int | None]), "subject", _of_node("node_table.node")),
    _Column("node_packages", "packages", _deflated(dict[str, str]), "node", _of_node("node_packages.node")),
    _Column("membership", "grants", partial(record_from_json, Grants), "org || ':' || account"),
    _Column("membership_offer", "grants", partial(record_from_json, Grants), "org || ':' || username_key"),
    _Column("api_token", "grants", partial(record_from_json, Grants)),
    _Column("oidc_provider", "body", partial(record_from_json, Provider)),
    _Column("job_plan", "head", partial(record_from_json, PlanHead), "place", _OF_JOB),
    _Column("job_plan", "steps", _json(tuple[PlanStep, ...]), "place", _OF_JOB),
    _Column("job_plan", "kept", _json(tuple[KeptBack, ...]), "place", _OF_JOB),
    _Column("job_report", "body", _json(Report), "job", _OF_JOB),
    _Column("patch_occurrence", "record", partial(record_from_json, Occurrence), "policy || ' ' || due_at"),
    _Column("rollout", "record", partial(record_from_json, Rollout)),
    _Column("rollout_target", "record", partial(record_from_json, Target), "rollout || ' ' || node", "node"),
    _Column("audit", "detail", object_from_json, "chain || ':' || n"),
    _Column("fact", "value", _json(Retention), "name", where="name = 'retention'"),
    _Column("fact", "value", _json(Preferences), "name", where="name LIKE 'preferences:%'"),
    _Column("organisation", "require_totp", _read_rule),
    _Column("fact", "value", _json(tuple[str, int]), "name", where="name = 'clock_accepted'"),
    _Column("layout", "series", texts_from_json, "lower(hex(layout))", "node"),
    _Column("process_span", "readings", _deflated(list[ProcessReading]), "span", "node"),
)


def damaged_records(db: sqlite3.Connection) -> Iterator[DamagedRecord]:
    """Read every record of either database. Columns that an older schema lacks are skipped."""
    there = {row[0]: {column[1] for column in db.execute(f"PRAGMA table_info({row[0]})")} for row in db.execute(_TABLES)}
    for column in COLUMNS:
        if column.name not in there.get(column.table, ()):
            continue
        sql = (
            f"SELECT CAST({column.row} AS BLOB), CAST({column.node} AS BLOB), CAST({column.name} AS BLOB) FROM {column.table}"  # noqa: S608 - built from constants only
            f" WHERE {column.name} IS NOT NULL AND {column.where}"
        )
        for row, node, body in db.execute(sql):
            try:
                column.read(body)
            except StoreError:
                yield DamagedRecord(column.table, _text(row), column.name, _text(node))


_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"


def _text(found: bytes | None) -> str:
    return "" if found is None else found.decode(errors="backslashreplace")
