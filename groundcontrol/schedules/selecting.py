"""Checks selections of nodes by users, and shows them. Users with limited rights select only nodes that they may see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from groundcontrol.core.errors import BadRequest, Forbidden
from groundcontrol.core.ids import NodeId
from groundcontrol.core.permissions import check_new_tags
from groundcontrol.core.scope import Scope
from groundcontrol.nodes.checks import checked_tags
from groundcontrol.nodes.store import NodeStore
from groundcontrol.schedules.deadlines_views import SelectBody, SelectView
from groundcontrol.schedules.model import Selector
from spider.wire.ids import is_id

MOST_NODES: Final = 200
_PAGE: Final = 1000


async def checked_select(nodes: NodeStore, scope: Scope, body: SelectBody) -> Selector:
    """The selector of a body.

    Raises: BadRequest: it is empty, or names too many nodes; NotFound: there is no such node;
            Forbidden: it selects nodes beyond the caller's rights.
    """
    tags, named = checked_tags(body.tags), tuple(dict.fromkeys(body.nodes))
    if not (body.all or tags or named):
        raise BadRequest("select: name tags or nodes, or say all: an empty selection selects nothing", field="select")
    if body.all and (tags or named):
        raise BadRequest("select: all stands alone, without tags and nodes", field="select")
    check_named(named, "select")
    select = Selector(body.all, tags, tuple(NodeId(node) for node in named))
    await check_select(nodes, scope, select)
    return select


def check_named(named: Sequence[str], field: str) -> None:
    """Raises: BadRequest: there are too many ids, or one is not an id."""
    if len(named) > MOST_NODES:
        raise BadRequest(f"{field}.nodes: at most {MOST_NODES} servers by id; use a tag for more", field=field)
    for one in named:
        if not is_id(one):
            raise BadRequest(f"{field}.nodes: {one[:40]!r} is not the id of a server; the list of servers has the ids", field=field)


async def check_select(nodes: NodeStore, scope: Scope, select: Selector) -> None:
    """Check that the caller's rights cover all these nodes.

    Raises: NotFound, Forbidden.
    """
    if scope.grants and select.all:
        raise Forbidden("your rights are limited to some nodes: name nodes, or tags that you are granted")
    for tag in select.tags:
        check_new_tags(scope, [tag])
    for node in select.nodes:
        await nodes.node(scope, node)


class VisibleNodes:
    """The nodes that a caller may see. Callers without limited rights see every selection unchanged."""

    def __init__(self, tags: dict[NodeId, tuple[str, ...]] | None) -> None:
        self._tags = tags

    @classmethod
    async def of(cls, nodes: NodeStore, scope: Scope) -> VisibleNodes:
        if not scope.grants:
            return cls(None)
        found: dict[NodeId, tuple[str, ...]] = {}
        cursor: str | None = None
        while True:
            page = await nodes.nodes(scope, _PAGE, cursor)
            found |= {node.id: node.tags for node in page.items}
            if (cursor := page.next) is None:
                return cls(found)

    def admits(self, node: NodeId) -> bool:
        return self._tags is None or node in self._tags

    def any_of(self, selects: Callable[[NodeId, tuple[str, ...]], bool]) -> bool:
        """Whether a selection that is more than a `Selector` has a node that the caller may see; true without limited rights."""
        return self._tags is None or any(selects(node, tags) for node, tags in self._tags.items())

    def view(self, select: Selector) -> SelectView | None:
        """The part of a selection that the caller may see; None: it selects no node that the caller may see."""
        if self._tags is None:
            return SelectView(all=select.all, tags=list(select.tags), nodes=list(select.nodes))
        seen = {tag for tags in self._tags.values() for tag in tags}
        view = SelectView(
            all=select.all and bool(self._tags),
            tags=[tag for tag in select.tags if tag in seen],
            nodes=[node for node in select.nodes if node in self._tags],
        )
        return view if view.all or view.tags or view.nodes else None
