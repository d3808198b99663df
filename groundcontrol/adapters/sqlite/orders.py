"""What events and rows of the audit log are about: orders for many nodes, and the names of what they name by id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final

from groundcontrol.adapters.sqlite.control_store import serves
from groundcontrol.adapters.sqlite.engine.json_codec import to_json
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.tx import Rows
from groundcontrol.adapters.sqlite.records import record_stores
from groundcontrol.adapters.sqlite.rights import admitted, grant_values, granted_deployments
from groundcontrol.core.scope import Scope
from groundcontrol.events.model import Order, Subject
from groundcontrol.events.store import OrderStore

_JOBS: Final = (
    "SELECT batch.id, 'jobs' AS kind, batch.created_by, job.action, job.for_action, job.state AS ended, count(*) AS n"
    " FROM batch JOIN job ON job.batch = batch.no JOIN node ON node.no = job.node"
    " WHERE batch.org = ? AND batch.id IN (SELECT value FROM json_each(?)){}"
    " GROUP BY batch.id, batch.created_by, job.action, job.for_action, job.state ORDER BY batch.id, job.state"
)
_REBOOTED: Final = (
    "SELECT batch.id, job_report.body FROM batch JOIN job ON job.batch = batch.no JOIN node ON node.no = job.node"
    " JOIN job_report ON job_report.job = job.no"
    " WHERE batch.org = ? AND batch.id IN (SELECT value FROM json_each(?)) AND job.action = 'reboot' AND job.state = 'succeeded'{}"
)
"""Reports of reboots, which tell whether everything came back."""
_DEPLOYMENTS: Final = (
    "SELECT batch AS id, 'deployments' AS kind, created_by, deployment.kind AS action, NULL AS for_action, state AS ended, count(*) AS n FROM deployment"
    " WHERE org = ? AND batch IN (SELECT value FROM json_each(?)){} GROUP BY batch, created_by, deployment.kind, state ORDER BY batch, state"
)
_NAMED: Final = ("node", "api_token", "invite")
"""Tables of an organisation whose rows have an id and a name, beside those of declared records."""
_CHOSEN: Final = "id IN (SELECT value FROM json_each(?))"
_NAMES: Final = (
    f"SELECT id, reason AS name FROM maintenance WHERE org = ? AND {_CHOSEN}",  # noqa: S608 - built from constants only
    "SELECT rollout.id, patch_policy.name FROM rollout JOIN patch_policy ON patch_policy.org = rollout.org AND patch_policy.id = rollout.policy"  # noqa: S608
    f" WHERE rollout.org = ? AND rollout.{_CHOSEN}",
    "SELECT account.id, account.username AS name FROM account JOIN membership ON membership.account = account.no"  # noqa: S608
    f" WHERE membership.org = ? AND account.{_CHOSEN}",
    "SELECT login.id, account.username AS name FROM login JOIN account ON account.no = login.account"  # noqa: S608
    f" JOIN membership ON membership.account = account.no WHERE membership.org = ? AND login.{_CHOSEN}",
)
"""Statements that find other names by id."""
_WORK: Final = (
    "SELECT job.id, node.name, job.action, job.created_by, batch.id AS batch FROM job JOIN node ON node.no = job.node"  # noqa: S608
    f" LEFT JOIN batch ON batch.no = job.batch WHERE job.org = ? AND job.{_CHOSEN}",
    f"SELECT id, name, '' AS action, created_by, batch FROM deployment WHERE org = ? AND {_CHOSEN}",  # noqa: S608
    "SELECT batch.id, '' AS name, (SELECT action FROM job WHERE job.batch = batch.no LIMIT 1) AS action, batch.created_by, batch.id AS batch"  # noqa: S608
    f" FROM batch WHERE batch.org = ? AND batch.{_CHOSEN}",
)
"""Statements that find jobs, deployments and orders for many nodes by id."""


@serves("orders", OrderStore)
class SqliteOrders:
    def __init__(self, reader: Reader, shows_loss: Callable[[str], bool]) -> None:
        """Args: shows_loss: whether a stored report of a reboot names something that did not come back."""
        self._reader = reader
        self._shows_loss = shows_loss

    async def orders(self, scope: Scope, ids: Collection[str]) -> Sequence[Order]:
        if not ids:
            return []
        chosen = to_json(sorted(set(ids)))
        granted, values = granted_deployments(scope)

        def query(rows: Rows) -> list[Order]:
            jobs = rows.fetch_all(_JOBS.format(admitted(scope)), scope.org, chosen, *grant_values(scope))
            deployments = rows.fetch_all(_DEPLOYMENTS.format(granted), scope.org, chosen, *values)
            found: dict[str, Order] = {}
            for row in (*jobs, *deployments):
                first = Order(row["id"], row["kind"], row["action"], row["for_action"], row["created_by"], {})
                found.setdefault(row["id"], first).states[row["ended"]] = row["n"]
            for row in rows.fetch_all(_REBOOTED.format(admitted(scope)), scope.org, chosen, *grant_values(scope)):
                if self._shows_loss(row["body"]):
                    states = found[row["id"]].states
                    states["incomplete"] = states.get("incomplete", 0) + 1
                    states["succeeded"] -= 1
            return list(found.values())

        return await self._reader.run(query)

    async def subjects(self, scope: Scope, ids: Collection[str]) -> Mapping[str, Subject]:
        if not ids:
            return {}
        chosen = to_json(sorted(set(ids)))

        def query(rows: Rows) -> dict[str, Subject]:
            found = {row["id"]: Subject(row["name"]) for sql in (*_names(), *_NAMES) for row in rows.fetch_all(sql, scope.org, chosen)}
            for sql in _WORK:
                for row in rows.fetch_all(sql, scope.org, chosen):
                    found[row["id"]] = Subject(row["name"], row["action"] or "", row["created_by"], row["batch"])
            return found

        return await self._reader.run(query)


def _names() -> Iterator[str]:
    records = (each.form for each in record_stores())
    for table in (*_NAMED, *(form.declared.table for form in records if "name" in form.columns())):
        yield f"SELECT id, name FROM {table} WHERE org = ? AND {_CHOSEN}"  # noqa: S608 - built from constants only
