"""The grants of a caller as a condition of a query."""

from __future__ import annotations

import json
from typing import Final

from groundcontrol.adapters.sqlite.engine.tx import Value
from groundcontrol.core.scope import Scope

_ADMITTED: Final = (
    " AND (node.id IN (SELECT value FROM json_each(?))"
    " OR EXISTS (SELECT 1 FROM json_each(CASE WHEN json_valid(node.tags) THEN node.tags ELSE '[]' END) AS tag WHERE tag.value IN (SELECT value FROM json_each(?))))"
)
_SOME_NODE: Final = "EXISTS (SELECT 1 FROM node WHERE node.id = "
NO_SUCH_NODE: Final = "NOT EXISTS (SELECT 1 FROM node WHERE node.id = "


def admitted(scope: Scope) -> str:
    """Conditions for a WHERE with a table `node`; their values are `grant_values`. Empty if every node is granted."""
    return _ADMITTED * len(scope.grants)


def of_granted(scope: Scope, node: str) -> str:
    """The same for queries with only the node's id: whether a granted node with that id exists. `node`: the column, as `table.column`."""
    return _SOME_NODE + node + admitted(scope) + ")"


def grant_values(scope: Scope) -> list[Value]:
    """The values for the question marks of `admitted`."""
    return [json.dumps(part) for grant in scope.grants for part in (grant.nodes, grant.tags)]
