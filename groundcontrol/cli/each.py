"""Runs one act on several nodes. A refusal of one node does not hide the results of the others."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from groundcontrol.cli.client import UNREACHABLE, CliError, shown


async def each_node(nodes: Sequence[Any], act: Callable[[Any], Awaitable[None]], refused: list[dict[str, str]], *, quiet: bool) -> None:
    """Run the act on each node, and continue after a refusal.

    Args:   refused: the list to which refused nodes are added, in the form of a batch of jobs.
            quiet: do not name refused nodes on standard error.
    Raises: CliError: the hub is unreachable, or has refused the only node.
    """
    for at, node in enumerate(nodes):
        try:
            await act(node)
        except CliError as exc:
            if len(nodes) == 1:
                raise
            if exc.code == UNREACHABLE:
                left = ", ".join(shown(later["name"]) for later in nodes[at + 1 :])
                raise CliError(f"{shown(node['name'])}: {exc}{f'; not asked for: {left}' if left else ''}", exc.code) from exc
            refused.append({"node_id": node["id"], "code": exc.code, "message": str(exc)})
            if not quiet:
                print(f"{shown(node['name'])}: refused: {exc}", file=sys.stderr, flush=True)
