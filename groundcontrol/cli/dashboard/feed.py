"""Fills the fleet of the dashboard from the hub's live socket. While there is none, the dashboard asks."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
from typing import Any, Final

from groundcontrol.cli.client import UNREACHABLE, CliError, Hub
from groundcontrol.cli.dashboard.state import Fleet

TOPICS: Final = ("fleet", "jobs", "alerts", "events")
RETRY_S: Final = 5.0


class Feed:
    """Follows the topics of the dashboard, and those of the open node."""

    def __init__(self, args: argparse.Namespace, fleet: Fleet) -> None:
        self._args = args
        self._fleet = fleet
        self._socket: Any | None = None
        self._node = ""
        self._snapshots: set[str] = set()

    @property
    def is_live(self) -> bool:
        """Whether the fleet has everything that is shown, and changes come by themselves."""
        return self._socket is not None and self._snapshots.issuperset(TOPICS)

    async def run(self) -> None:
        """Follow the hub until this is cancelled, over restarts of the hub."""
        while True:
            try:
                async with Hub(self._args) as hub, hub.live() as socket:
                    self._snapshots.clear()
                    self._socket, self._node = socket, ""
                    for topic in TOPICS:
                        await socket.subscribe(topic)
                    async for kind, body in socket.messages():
                        await self._take(kind, body)
                raise CliError("the hub closed the connection", UNREACHABLE)
            except CliError as exc:
                self._fleet.trouble = str(exc)
            except (KeyError, TypeError, ValueError) as exc:  # a hub whose messages are others: asking still works
                self._fleet.trouble = f"the hub's live socket is not understood: {exc!r}"
            finally:
                self._socket = None
            await asyncio.sleep(random.uniform(RETRY_S / 2, RETRY_S))

    async def open_node(self, node: str) -> None:
        """Follow all values of one node; empty: of none."""
        if self._socket is None or node == self._node:
            return
        before, self._node = self._node, node
        with contextlib.suppress(ConnectionError):  # `run` notices it too
            if before:
                await self._socket.unsubscribe(f"node:{before}")
            if node:
                await self._socket.subscribe(f"node:{node}")

    async def _take(self, kind: str, body: Any) -> None:
        if kind == "gap" and self._socket is not None:
            self._snapshots.discard(body["topic"])
            await self._socket.subscribe(body["topic"])
        elif kind == "error" and body["topic"] in TOPICS:
            raise CliError(body["message"], body["code"])
        elif kind in ("snapshot", "change"):
            self._snapshots.add(body["topic"])
            self._fleet.change(body["topic"], body["data"], whole=kind == "snapshot")
