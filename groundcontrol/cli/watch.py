"""Follows a job or deployment across a restart of the hub. Failed requests are repeated while the hub is away, for `RECONNECT_S` at most."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from groundcontrol.cli.client import TEMPORARY, UNREACHABLE, CliError, Hub, shown
from groundcontrol.cli.pause import pause
from spider.wire.ids import new_time_id

RECONNECT_S: Final = 600.0
"""How long a hub may be unreachable: an update that rewrites the hub's database takes minutes."""
RETRY_S: Final = 1.0
POLL_S: Final = 0.5
REMIND_S: Final = 60.0
T = TypeVar("T")


class JobWatch:
    """Sends requests for a command that waits, and repeats them while the hub is away. Prints notes on standard error, unless it is `quiet`."""

    def __init__(self, hub: Hub, *, quiet: bool, retry_s: float = RETRY_S) -> None:
        self._hub = hub
        self._quiet = quiet
        self._retry_s = retry_s
        self._ordered = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None) -> None:
        if kind in (asyncio.CancelledError, KeyboardInterrupt) and self._ordered:  # Ctrl-C ends the command, never the job
            self._note(f"what was ordered continues without this command; {self._follow_hint()}")

    def follows(self, ordered: str) -> None:
        """Record the id of the followed job, batch or deployment. After an interruption, the command prints how to follow it again."""
        self._ordered = ordered

    async def order(self, path: str, body: object) -> Any:
        """Send an order, and repeat it if the answer is lost. The hub recognises a repeated order by its Idempotency-Key."""
        headers = {"Idempotency-Key": new_time_id()}
        return await self._repeat(lambda: self._hub.post(path, body, headers))

    async def begin(self, kind: str, nodes: Sequence[str], ask: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
        """Begin deployments of nodes once, even if the answer is lost.

        Such requests have no Idempotency-Key. So before a repeat, this looks in the hub's list for deployments that the lost request began.

        Args:    kind: the kind of the deployments.
                 nodes: ids.
                 ask: requests the deployments and returns them, one for each node.
        Returns: the deployments.
        Raises:  CliError: the hub stayed unreachable, or refused.
        """
        self._ordered = ""  # otherwise the hint would name an earlier job
        newest = (await self._repeat(lambda: self._hub.get("/deployments", {"limit": "1"})))["deployments"]
        before = newest[0]["id"] if newest else None
        sent = False

        async def once() -> list[Any]:
            nonlocal sent
            if sent and (begun := await self._begun_since(before, kind, nodes)):
                return begun
            sent = True
            return await ask()

        return await self._repeat(once)

    async def _begun_since(self, before: str | None, kind: str, nodes: Sequence[str]) -> list[Any]:
        """The newest deployment of each node, if any of them is newer than `before`; else an empty list."""
        found: dict[str, Any] = {}
        async for row in self._hub.every("/deployments", "deployments"):
            if row["id"] == before and not found:
                break
            if row["kind"] == kind and row["node_id"] in nodes:
                found.setdefault(row["node_id"], row)
                if len(found) == len(nodes):
                    break
        return [found[node] for node in nodes if node in found]

    async def post(self, path: str) -> Any:
        """Send POST without a body, again while the hub is unreachable. Use it only where a second request does no harm."""
        return await self._repeat(lambda: self._hub.post(path, None))

    async def get(self, path: str) -> Any:
        """Send GET, again while the hub is unreachable, and return the JSON answer.

        Raises: CliError: the hub stayed unreachable, or refused.
        """
        return await self._repeat(lambda: self._hub.get(path))

    async def pieces(self, path: str, offset: int, take: Callable[[bytes], None]) -> int:
        """Pass the bytes from an offset on to `take`, each byte once, even if the connection breaks.

        Returns: the offset after the last byte.
        Raises:  CliError: the hub stayed unreachable, or refused.
        """

        async def ask() -> int:
            nonlocal offset
            async for piece in self._hub.pieces(path, {"offset": str(offset)}):
                take(piece)
                offset += len(piece)
            return offset

        return await self._repeat(ask, lambda: offset)

    async def _repeat(self, ask: Callable[[], Awaitable[T]], progress: Callable[[], object] = lambda: None) -> T:
        lost_at = noted_at = 0.0
        seen = progress()
        while True:
            try:
                answer = await ask()
            except CliError as exc:
                now = time.monotonic()
                if exc.code not in TEMPORARY:
                    raise
                if progress() != seen:
                    seen, lost_at = progress(), 0.0
                if not lost_at:
                    lost_at = noted_at = now
                    self._note(f"{exc}; trying again for up to {RECONNECT_S / 60:.0f} min …")
                elif now - lost_at >= RECONNECT_S:
                    raise CliError(
                        f"{exc}; gave up after {RECONNECT_S / 60:.0f} min. What was ordered may continue: {self._follow_hint()}",
                        UNREACHABLE,
                    ) from exc
                elif now - noted_at >= REMIND_S:
                    noted_at = now
                    self._note(f"still no answer; trying for {(RECONNECT_S - now + lost_at) / 60:.0f} min more …")
            else:
                if lost_at:
                    self._note("the hub answers again")
                return answer
            await pause(self._retry_s)

    def _follow_hint(self) -> str:
        if not self._ordered:
            return "see: stardust jobs"
        return f"follow it again with: stardust jobs follow {self._ordered}"

    def _note(self, text: str) -> None:
        if not self._quiet:
            print(f"stardust: {text}", file=sys.stderr, flush=True)


async def end_of_deployment(watch: JobWatch, row: Any, *, refuse_unknown_host: bool = False) -> Any:
    """Wait until a deployment has ended, and return it.

    Args:   refuse_unknown_host: an unknown host key cancels the deployment, since a user must compare it.
    Raises: CliError: the deployment needed the confirmation of a host key, and was cancelled.
    """
    watch.follows(row["id"])
    while row["ended_at"] is None:
        if refuse_unknown_host and row["state"] == "awaiting_host_key":
            key = row["host_key"]
            await watch.post(f"/deployments/{row['id']}/cancel")
            raise CliError(
                shown(
                    f"{key['host']} has an unknown host key, {key['fingerprint']}: compare it on the server, then give it with --host-key"
                ),
                "host_key_unconfirmed",
            )
        await pause(POLL_S)
        row = await watch.get(f"/deployments/{row['id']}")
    return row


def deployment_line(row: Any) -> str:
    """The result of a deployment, in one line."""
    why = f": {row['error']['message']}" if row["error"] else ""
    return f"{row['name']}  {row['state']}{why}"
