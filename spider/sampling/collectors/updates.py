"""Which packages could be upgraded and which are held: what the facts have found, as tables."""

from typing import Optional, Sequence, Tuple

from spider.packages.plan import Planned
from spider.sampling.collectors.table_reader import Reading, plain


class Available:
    """What was found last. Filled by the facts, which ask the package manager; read by both tables."""

    def __init__(self) -> None:
        self.newer: Optional[Sequence[Planned]] = None
        """None = not known yet, or this host cannot tell."""
        self.held: Optional[Sequence[Tuple[str, str]]] = None


class UpdatesReader:
    """`updates`."""

    subject = "updates"

    def __init__(self, available: Available) -> None:
        self._available = available

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002  # it is no rate
        """What the package manager said last."""
        newer = self._available.newer
        if newer is None:
            return None
        rows = [
            (plain(one.package), plain(one.before, 100), plain(one.after, 100), one.security, plain(one.repository, 100)) for one in newer
        ]
        return Reading(sorted(rows), len(rows))


class HeldReader:
    """`held`."""

    subject = "held"

    def __init__(self, available: Available) -> None:
        self._available = available

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002  # it is no rate
        """What the package manager said last."""
        held = self._available.held
        if held is None:
            return None
        return Reading([(plain(name), plain(version, 100)) for name, version in held], len(held))
