"""Clean-up after a restore: closes the state in old databases that is no longer valid."""

from __future__ import annotations

import secrets
from typing import Final, NamedTuple

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.json_codec import record_to_json
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.sessions import unused_epoch
from groundcontrol.core.scope import Scope
from groundcontrol.jobs.model import JobError

_ENDS: Final = (
    ("expired", "('queued')", "the hub was restored from a backup in which this job had not begun; it was not begun again"),
    (
        "unknown",
        "('dispatched', 'accepted', 'running')",
        "the hub was restored from a backup in which this job was under way; what became of it was not kept",
    ),
)


LATER_EPOCHS: Final = 1 << 32
"""The bound of the random number that is added to each node's session epoch. It is random, since the same backup may be restored more
than once."""


class RestoreReport(NamedTuple):
    """What the clean-up closed."""

    nodes: int
    """Nodes that the restored database knows."""
    jobs: int
    """Jobs that were open."""
    sessions: int
    """Log-in sessions that ended."""
    tokens: int
    """API tokens that are valid again, also those that were revoked after the backup."""


async def settle(writer: Writer, chain: Chain, scope: Scope, made_at: float) -> RestoreReport:
    """Close what was open: no job from before the backup starts again, no message of then is sent, and every user must log in again."""

    def command(tx: Tx) -> RestoreReport:
        jobs = 0
        ahead = 1 + secrets.randbelow(LATER_EPOCHS)
        tx.execute("UPDATE node_session SET epoch = max(epoch, ?) + ?, hub = NULL", unused_epoch(tx.now), ahead)
        for state, open_states, why in _ENDS:
            error = record_to_json(JobError("job.restored", why))
            jobs += tx.execute(
                f"UPDATE job SET state = ?, error = ?, ended_at = ?, version = version + 1 WHERE state IN {open_states}",  # noqa: S608 - built from constants only
                *(state, error, tx.now),
            )
        tx.execute("UPDATE delivery SET state = 'skipped', reason = 'retroactive', next_at = NULL WHERE next_at IS NOT NULL")
        sessions = tx.execute("UPDATE login SET revoked_at = ? WHERE revoked_at IS NULL AND expires_at > ?", tx.now, tx.now)
        settled = RestoreReport(
            tx.fetch_all("SELECT count(*) AS n FROM node")[0]["n"],
            jobs,
            sessions,
            tx.fetch_all("SELECT count(*) AS n FROM api_token WHERE revoked_at IS NULL AND expires_at > ?", tx.now)[0]["n"],
        )
        chain.write(tx, scope, "hub.restore", "", {"made_at": made_at, "jobs": settled.jobs, "sessions": settled.sessions})
        return settled

    return await writer.run(command)


async def open_fences(samples: Writer) -> None:
    """Let every node write again. Its earlier sessions have ended; one that began during the backup is in the samples database alone."""
    await samples.run(lambda tx: tx.execute("UPDATE fence SET epoch = 0 WHERE node != 0"))


async def orphan_nodes(control: Reader, samples: Reader) -> list[int]:
    """Numbers of nodes that have samples but no other record. The next node must not inherit the samples."""
    nodes = {row["no"] for row in await control.run(lambda rows: rows.fetch_all("SELECT no FROM node"))}
    found = {
        row["node"]
        for row in await samples.run(lambda rows: rows.fetch_all("SELECT DISTINCT node FROM fence UNION SELECT DISTINCT node FROM boot"))
    }
    return sorted(found - nodes - {0})
