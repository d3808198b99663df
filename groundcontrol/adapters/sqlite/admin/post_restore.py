"""Clean-up after a restore: ends jobs, sessions and messages of the restored databases that are no longer valid."""

from __future__ import annotations

import secrets
from typing import Final

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.json_codec import record_to_json
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.sessions import unused_epoch
from groundcontrol.core.database import RestoreReport
from groundcontrol.core.scope import Scope
from groundcontrol.jobs.model import JobError

_ENDS: Final = (
    ("expired", "('queued')", "the hub was restored from a backup in which this job had not started; it was not started again"),
    (
        "unknown",
        "('dispatched', 'accepted', 'running')",
        "the hub was restored from a backup in which this job was running; its result is unknown",
    ),
)


LATER_EPOCHS: Final = 1 << 32
"""A random number up to this is added to each node's session epoch, so that two restores of the same backup give different epochs."""
LATER_SESSIONS: Final = "UPDATE node_session SET epoch = max(epoch, ?) + ?"
"""Each node's next session gets a number (epoch) that no session after the backup can have had. Its values are `later_epochs`."""


def later_epochs(now: float) -> tuple[int, int]:
    return unused_epoch(now), 1 + secrets.randbelow(LATER_EPOCHS)


async def settle(writer: Writer, chain: Chain, scope: Scope, made_at: float) -> RestoreReport:
    """Close open jobs, skip waiting messages and end log-in sessions. `made_at`: the time of the backup, Unix seconds."""

    def command(tx: Tx) -> RestoreReport:
        jobs = 0
        tx.execute(LATER_SESSIONS, *later_epochs(tx.now))
        tx.execute("UPDATE node_session SET hub = NULL")
        for state, open_states, why in _ENDS:
            error = record_to_json(JobError("job.restored", why))
            jobs += tx.execute(
                f"UPDATE job SET state = ?, error = ?, ended_at = ?, version = version + 1 WHERE state IN {open_states}",  # noqa: S608 - built from constants only
                *(state, error, tx.now),
            )
        tx.execute("UPDATE delivery SET state = 'skipped', reason = 'retroactive', next_at = NULL WHERE next_at IS NOT NULL")
        tx.execute("UPDATE patch_policy SET paused = 'restored' WHERE paused = ''")  # they wait for a person: mirrors and nodes went on
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
    """Reset the fences of all nodes. A session that began during the backup may have left a newer fence, which refuses the next
    session of the node."""
    await samples.run(lambda tx: tx.execute("UPDATE fence SET epoch = 0 WHERE node != 0"))


async def orphan_nodes(control: Reader, samples: Reader) -> list[int]:
    """The numbers of nodes in the samples database that the control database does not know. A new node must not inherit their samples."""
    nodes = {row["no"] for row in await control.run(lambda rows: rows.fetch_all("SELECT no FROM node"))}
    found = {
        row["node"]
        for row in await samples.run(lambda rows: rows.fetch_all("SELECT DISTINCT node FROM fence UNION SELECT DISTINCT node FROM boot"))
    }
    return sorted(found - nodes - {0})
