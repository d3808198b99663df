"""A node for tests of the spool: the agent's own outbox and files, and a scripted hub at the other end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spider.hub.outbox import Outbox
from spider.sampling.sampler import layout_of
from spider.spool.files import SpoolFolder
from spider.spool.spool import KEEP_BYTES, KEEP_S, Spool
from spider.wire.sample_messages import Ack, Layout, Row
from tests.support.clock import ManualClock
from tests.support.invariants import Journal, Sample
from tests.support.scripted_hub import ScriptedHub

NODE = b"n" * 16
PULSE = layout_of("pulse", 1, ["cpu.total", "load.1"])
BREATHE = layout_of("breathe", 60, ["temperature{sensor=a}"])
START_MS = 1_800_000_000_000


class Node:
    """A node with the agent's outbox and spool. `journal` has all its samples."""

    def __init__(
        self, folder: Path, *, keep_s: float = KEEP_S, keep_bytes: int = KEEP_BYTES, disk: bool = True, name: bytes = NODE
    ) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.path = folder
        self.clock = ManualClock(START_MS / 1000)
        self.journal = Journal()
        self.boot = os.urandom(16).hex()
        self.made = 0
        self._keep = (keep_s, keep_bytes)
        self._disk = disk
        self._name = name
        self.start()

    def start(self) -> None:
        """Start the agent's parts anew. Samples that only memory had are gone."""
        self.folder = SpoolFolder(str(self.path), self._name) if self._disk else None
        self.spool = Spool(self.folder, self.clock, *self._keep)
        self.outbox = Outbox(self.clock, self.spool)
        self.outbox.on_ready(lambda: None)

    def kill(self) -> None:
        """End the process as kill -9 does. Samples that only memory had are excused: the hub may have them or not."""
        self.journal.forgive(self.in_memory())
        if self.folder is not None:
            self.folder.close()

    def in_memory(self) -> list[Sample]:
        outbox = self.outbox
        parcels = [*outbox._open.values(), *outbox._moving, *(parcel for queue in outbox._queues() for parcel in queue)]
        kept = {(parcel.layout.family, parcel.first_ms + offset) for parcel in parcels for offset in self._offsets(parcel.layout, parcel)}
        return [sample for sample in self.journal.samples if (sample.family, sample.taken_at_ms) in kept]

    @staticmethod
    def _offsets(layout: Layout, parcel: object) -> range:
        return range(0, getattr(parcel, "newest_ms") - getattr(parcel, "first_ms") + 1, 1000 * layout.rhythm_s)  # noqa: B009

    def sample(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            at_ms = START_MS + self.made * 1000
            self.outbox.add(PULSE, Row(at_ms, [self.made, None]))
            self.journal.measured("pulse", at_ms, self.made)
            if self.made % 60 == 0:
                self.outbox.add(BREATHE, Row(at_ms, [self.made]))
                self.journal.measured("breathe", at_ms, self.made)
            self.made += 1
            self.clock.advance(1)

    async def away(self, seconds: int) -> None:
        """Measure while disconnected."""
        while seconds > 0:
            self.sample(min(15, seconds))
            seconds -= 15
            await self.spool.step()

    async def drain(self, hub: ScriptedHub, limit: int = 1_000_000) -> int:
        """Send all waiting messages to the hub, at most `limit`, and take its acknowledgements. Returns: the number of messages."""
        said, idle = 0, 0
        while said < limit and idle < 3:
            message = self.outbox.take()
            if message is None:
                idle += 1
                await self.spool.step()
                self.clock.advance(1)
                self.outbox.tick()
                continue
            said, idle = said + 1, 0
            ack = hub.hear(message)
            if isinstance(ack, Ack):
                self.outbox.acked(ack)
        return said


def segments(node: Node) -> list[Path]:
    """The files of the node's spool, the oldest first."""
    return sorted((node.path / "spool").glob("*.[so][eu][gt]"))


async def come_back(node: Node, hub: ScriptedHub) -> None:
    """Start the node anew and let it send all that its disk has."""
    node.start()
    await reconnect(node, hub)


def flip(path: Path, place: float) -> None:
    """Flip one bit of a file. `place`: where, from 0 (the first byte) to 1 (the last)."""
    data = bytearray(path.read_bytes())
    data[int((len(data) - 1) * place)] ^= 1
    path.write_bytes(data)


def said(caplog: pytest.LogCaptureFixture, what: str) -> list[dict[str, object]]:
    """The facts of each log record with this event name."""
    return [record.facts for record in caplog.records if record.getMessage() == what]  # type: ignore[attr-defined]


async def reconnect(node: Node, hub: ScriptedHub) -> None:
    """Let the same process open a new session, and send everything."""
    node.outbox.resume(hub.welcome(node.boot))
    await node.drain(hub)
    node.outbox.flush()
    await node.drain(hub)
