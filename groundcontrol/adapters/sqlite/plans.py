"""Plans of jobs, stored in the parts in which they arrived, and reports of jobs."""

from __future__ import annotations

import contextlib
from typing import Final

import msgspec

from groundcontrol.adapters.sqlite.engine.json_codec import decoded, record_from_json, record_to_json, to_json
from groundcontrol.adapters.sqlite.engine.tx import Rows, Tx
from groundcontrol.core.errors import Conflict, StoreError
from groundcontrol.jobs.coded_text import names_loss
from groundcontrol.jobs.plans import MAX_STEPS, KeptBack, Plan, PlanHead, PlanPart, PlanStep, Report

_steps: Final = msgspec.json.Decoder(tuple[PlanStep, ...])
_report: Final = msgspec.json.Decoder(Report)
_kept_back: Final = msgspec.json.Decoder(tuple[KeptBack, ...])


def save_part(tx: Tx, job: int, part: PlanPart) -> bool:
    """Store one part, and remove the parts of any other plan of this job. `job`: the row number of the job.

    Returns: whether anything changed.
    Raises:  Conflict: the plan has more than `MAX_STEPS` steps.
    """
    row = (part.parts, part.head.digest, record_to_json(part.head), to_json(part.steps), to_json(part.kept))
    known = tx.fetch_one("SELECT parts, digest, head, steps, kept FROM job_plan WHERE job = ? AND part = ?", job, part.part)
    if known is not None and tuple(known) == row:
        return False
    tx.execute("DELETE FROM job_plan WHERE job = ? AND (parts, digest) <> (?, ?)", job, part.parts, part.head.digest)
    size = len(part.steps) + len(part.kept)
    other_parts = tx.fetch_all("SELECT coalesce(sum(size), 0) AS size FROM job_plan WHERE job = ? AND part <> ?", job, part.part)
    if other_parts[0]["size"] + size > MAX_STEPS:
        raise Conflict("a plan of more packages than any host has")
    place = job << 32 | part.part
    tx.execute("DELETE FROM job_plan WHERE place = ?", place)
    tx.execute("INSERT INTO job_plan VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", place, job, part.part, *row, size)
    return True


def is_complete(rows: Rows, job: int) -> bool:
    """Whether every part of the job's plan is stored."""
    return rows.fetch_one("SELECT 1 FROM job_plan WHERE job = ? GROUP BY job HAVING count(*) = max(parts)", job) is not None


def read_plan(rows: Rows, job: int) -> Plan | None:
    """The stored parts of a job's plan; None: the job sent none."""
    found = rows.fetch_all("SELECT * FROM job_plan WHERE job = ? ORDER BY part", job)
    if not found:
        return None
    return Plan(
        head=record_from_json(PlanHead, found[0]["head"]),
        complete=len(found) == found[0]["parts"],
        steps=tuple(step for row in found for step in decoded(_steps, row["steps"])),
        kept=tuple(kept for row in found for kept in decoded(_kept_back, row["kept"])),
    )


def save_report(tx: Tx, job: int, report: Report) -> bool:
    """Store the report of a job: the work that is left for a user. A newer report replaces an older one.

    Returns: whether anything changed.
    """
    body = to_json(report)
    known = tx.fetch_one("SELECT body FROM job_report WHERE job = ?", job)
    if known is not None and known["body"] == body:
        return False
    tx.execute("INSERT INTO job_report VALUES (?, ?) ON CONFLICT (job) DO UPDATE SET body = excluded.body", job, body)
    return True


def shows_loss(body: str) -> bool:
    """Whether a stored report of a reboot names something that did not come back. A damaged report names nothing."""
    with contextlib.suppress(StoreError):
        return names_loss(decoded(_report, body).notes)
    return False


def read_report(rows: Rows, job: int) -> Report | None:
    """The report of a job; None: the job sent none."""
    row = rows.fetch_one("SELECT body FROM job_report WHERE job = ?", job)
    return None if row is None else decoded(_report, row["body"])
