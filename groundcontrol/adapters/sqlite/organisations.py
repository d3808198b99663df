"""The organisations of the instance."""

from __future__ import annotations

from collections.abc import Sequence

from groundcontrol.access.model import Organisation
from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.reader import CommitCache, Reader
from groundcontrol.adapters.sqlite.engine.tx import Row
from groundcontrol.adapters.sqlite.engine.writer import Writer
from groundcontrol.adapters.sqlite.users_admin import to_rule
from groundcontrol.core.errors import NotFound
from spider.clock import Clock


class SqliteOrganisations:
    """`OrganisationStore`."""

    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._chain = chain
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


def to_organisation(row: Row) -> Organisation:
    return Organisation(
        no=row["no"],
        id=row["id"],
        slug=row["slug"],
        name=row["name"],
        state=row["state"],
        sso_only=bool(row["sso_only"]),
        require_totp=to_rule(row["require_totp"]),
        node_quota=row["node_quota"],
        created_at=row["created_at"],
        version=row["version"],
    )
