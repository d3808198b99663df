"""The digest of a job's output is updated incrementally, not recomputed."""

from __future__ import annotations

import hashlib
import sqlite3

import pytest

from groundcontrol.adapters.sqlite import output
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.output import Digests

JOBS = 1000
"""The most that a hub may be told to run at once."""


def test_output_of_a_thousand_interleaved_jobs_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    database.execute("CREATE TABLE job_output (place INTEGER PRIMARY KEY, body BLOB NOT NULL, at_ms INTEGER)")
    tx, digests, piece = Tx(database, 0.0), Digests(), b"x" * 100
    for round_ in range(3):
        if round_:
            monkeypatch.setattr(output, "pieces", None)  # from now on nothing is read back
        for job in range(1, JOBS + 1):
            output.append(tx, job, round_ * len(piece), piece)
            digests.grow(tx, job, round_ * len(piece), piece)
    assert {digests.whole(tx, job, 3 * len(piece)) for job in range(1, JOBS + 1)} == {hashlib.sha256(piece * 3).hexdigest()}
    database.close()
