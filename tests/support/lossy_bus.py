"""A bus that loses, duplicates and delays messages as a network may, and reports losses with a `Gap`."""

from __future__ import annotations

import random

from groundcontrol.adapters.local_bus import LocalBus
from groundcontrol.core.bus import BusEvent


class LossyBus(LocalBus):
    """Order holds, as the interface promises it per topic; everything else is at the mercy of `seed`."""

    def __init__(self, seed: int, lost: float = 0.2, doubled: float = 0.2, delayed: float = 0.3) -> None:
        super().__init__()
        self._chance = random.Random(seed)
        self._lost, self._doubled, self._delayed = lost, doubled, delayed
        self._held: list[BusEvent] = []

    def publish(self, event: BusEvent) -> None:
        """Send what was held back, then this one, or hold it back as well."""
        if self._chance.random() < self._lost:
            self._dropped += 1
            for reader in self.readers_of(event):
                reader.lose(1)
            return
        self._held.append(event)
        if self._chance.random() >= self._delayed:
            self.settle()

    def settle(self) -> None:
        """Let everything arrive that is on its way."""
        held, self._held = self._held, []
        for event in held:
            for _ in range(2 if self._chance.random() < self._doubled else 1):
                super().publish(event)
