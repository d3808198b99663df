"""What the stores of the control database are made of."""

from __future__ import annotations

from groundcontrol.adapters.sqlite.audit import Chain
from groundcontrol.adapters.sqlite.engine.reader import Reader
from groundcontrol.adapters.sqlite.engine.writer import Writer
from spider.clock import Clock


class ControlStore:
    def __init__(self, writer: Writer, reader: Reader, chain: Chain, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._chain = chain
        self._clock = clock
