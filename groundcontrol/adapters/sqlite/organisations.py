"""The organisations of the instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from groundcontrol.access.model import Organisation, OrganisationSummary
from groundcontrol.access.store import OrganisationStore
from groundcontrol.adapters.sqlite.audit import DELETED, Chain
from groundcontrol.adapters.sqlite.control_store import ControlStore, serves
from groundcontrol.adapters.sqlite.engine.columns import Columns
from groundcontrol.adapters.sqlite.engine.methods import command
from groundcontrol.adapters.sqlite.engine.reader import CommitCache, Reader
from groundcontrol.adapters.sqlite.engine.tx import Row, Tx
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.oidc import rename_in_groups
from groundcontrol.adapters.sqlite.records import record_stores
from groundcontrol.adapters.sqlite.secrets import shred
from groundcontrol.adapters.sqlite.users_admin import to_rule
from groundcontrol.core.errors import Conflict, HasNodes, NotFound
from groundcontrol.core.scope import NO_ORG, Scope
from spider.clock import Clock

_OWNED: Final = (
    "rollout_job", "rollout_target", "rollout", "patch_occurrence", "package_seen",
    "alert", "incident", "alert_engine", "deadline", "maintenance", "delivery_attempt", "delivery",
    "invite", "deployment", "job", "batch", "node_table", "node_packages", "node",
    "event", "event_recent", "event_reported", "event_rate", "event_hour", "refusal", "audit", "secret",
    "api_token", "membership_offer", "membership",
)  # fmt: skip
TOMBSTONES: Final = ("node_grave", "job_grave")
"""Ids that were used once and never come back. They outlive their organisation, without its number."""


def owned() -> tuple[str, ...]:
    """The tables whose rows belong to an organisation, in the order in which they may be deleted. Those of declared records come last."""
    return (*_OWNED, *(kind.form.declared.table for kind in record_stores()))


@serves("organisations", OrganisationStore, urgent=True)
class SqliteOrganisations(ControlStore):
    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock) -> None:
        super().__init__(writer, reader, chain, clock)
        self._known = CommitCache[list[Organisation]](
            writer,
            reader,
            clock,
            "SELECT * FROM organisation WHERE no > ? ORDER BY no",
            lambda rows: [to_organisation(row) for row in rows],
        )

    async def organisations(self) -> Sequence[Organisation]:
        return await self._known.get(0) or []

    async def organisation(self, slug: str) -> Organisation:
        for one in await self.organisations():
            if one.slug == slug:
                return one
        raise NotFound("there is no organisation of this name")

    async def summaries(self) -> Sequence[OrganisationSummary]:
        found = await self._reader.run(lambda rows: rows.fetch_all(_SUMMARIES))
        return [OrganisationSummary(to_organisation(row), row["nodes"], row["members"], row["jobs"], row["events"]) for row in found]

    @command
    def create(self, tx: Tx, by: Scope, organisation: Organisation) -> Organisation:
        known = tx.fetch_one("SELECT * FROM organisation WHERE id = ?", organisation.id)
        if known is not None:
            return to_organisation(known)
        _check_free(tx, organisation)
        row = tx.fetch_all(
            "INSERT INTO organisation (id, slug, name, state, sso_only, require_totp, node_quota, created_at, version)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0) RETURNING *",
            *(organisation.id, organisation.slug, organisation.name, organisation.state, organisation.sso_only),
            *(organisation.require_totp, organisation.node_quota, tx.now),
        )[0]
        self._note(tx, by, row["no"], "organisation.create", organisation.id, {"slug": organisation.slug, "name": organisation.name})
        return to_organisation(row)

    @command
    def save(self, tx: Tx, by: Scope, after: Organisation) -> Organisation:
        row = tx.fetch_one("SELECT * FROM organisation WHERE no = ?", after.no)
        if row is None:
            raise NotFound("there is no such organisation")
        before = to_organisation(row)
        if before == after._replace(version=before.version):
            return before
        _check_free(tx, after)
        changed = tx.execute(
            "UPDATE organisation SET slug = ?, name = ?, state = ?, sso_only = ?, require_totp = ?, node_quota = ?, version = version + 1"
            " WHERE no = ? AND version = ?",
            *(after.slug, after.name, after.state, after.sso_only, after.require_totp, after.node_quota, after.no, after.version),
        )
        if not changed:
            raise Conflict("this organisation was changed meanwhile: read it again")
        if before.slug != after.slug:
            rename_in_groups(tx, before.slug, after.slug)
        detail = {name: value for name, value in after._asdict().items() if value != getattr(before, name)}
        self._note(tx, by, after.no, "organisation.edit", after.id, detail)
        return after._replace(version=after.version + 1)

    @command
    def delete(self, tx: Tx, by: Scope, organisation: int) -> None:
        row = tx.fetch_one("SELECT * FROM organisation WHERE no = ?", organisation)
        if row is None:
            return
        if to_organisation(row).is_first:
            raise Conflict("the first organisation stays: nodes come back to it when the hub is rebuilt")
        if tx.fetch_one("SELECT 1 FROM node WHERE org = ?", organisation) is not None:
            raise HasNodes("this organisation still has nodes")
        for account in tx.fetch_all(_ONLY_HERE, organisation, organisation):
            shred(tx, account["org"], "totp", account["id"])
            tx.execute("DELETE FROM fact WHERE name = ?", f"preferences:{account['id']}")
            tx.execute("DELETE FROM account WHERE no = ?", account["no"])
        rename_in_groups(tx, row["slug"], None)
        heads = self._chain.heads(tx, organisation)
        for table in TOMBSTONES:
            tx.execute(f"UPDATE {table} SET org = ? WHERE org = ?", NO_ORG, organisation)  # noqa: S608 - built from constants only
        for chain in heads:
            tx.execute("DELETE FROM audit_pack WHERE chain = ?", chain)
        for table in owned():
            tx.execute(f"DELETE FROM {table} WHERE org = ?", organisation)  # noqa: S608 - built from constants only
        tx.execute("DELETE FROM organisation WHERE no = ?", organisation)
        tx.shredding = True
        self._chain.write(tx, by._replace(org=NO_ORG), DELETED, row["id"], {"slug": row["slug"], "name": row["name"], "chains": heads})

    def _note(self, tx: Tx, scope: Scope, org: int, action: str, target: str, detail: Mapping[str, object]) -> None:
        """Note an act of the instance in the organisation's own log and in that of the instance, which no organisation sees."""
        for one in (org, NO_ORG):
            self._chain.write(tx, scope._replace(org=one), action, target, detail)


_SUMMARIES: Final = (
    "SELECT organisation.*, (SELECT count(*) FROM node WHERE node.org = organisation.no) AS nodes,"
    " (SELECT count(*) FROM membership WHERE membership.org = organisation.no) AS members,"
    " (SELECT count(*) FROM job WHERE job.org = organisation.no) AS jobs,"
    " (SELECT count(*) FROM event WHERE event.org = organisation.no) AS events FROM organisation ORDER BY organisation.no"
)
_ONLY_HERE: Final = (
    "SELECT account.no, account.org, account.id FROM account JOIN membership ON membership.account = account.no WHERE membership.org = ?"
    " AND account.instance_admin = 0"
    " AND NOT EXISTS (SELECT 1 FROM membership AS other WHERE other.account = account.no AND other.org <> ?)"
)


def _check_free(tx: Tx, organisation: Organisation) -> None:
    if tx.fetch_one("SELECT 1 FROM organisation WHERE slug = ? AND id <> ?", organisation.slug, organisation.id) is not None:
        raise Conflict(f"there is an organisation with the short name {organisation.slug} already", field="slug")


_ORGANISATIONS: Final = Columns(Organisation, "organisation")


def to_organisation(row: Row) -> Organisation:
    return _ORGANISATIONS.read(row, require_totp=to_rule(row["require_totp"]))
