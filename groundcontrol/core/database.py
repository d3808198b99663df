"""The interface of an opened data folder, for the parts that compose the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from groundcontrol.core.bus import BusEvent
from groundcontrol.core.errors import StoreError
from groundcontrol.core.stores import Stores


class WriterCounts(Protocol):
    """The counters of one file's or server's writes since the start."""

    @property
    def commits(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def worst_commit_s(self) -> float: ...


class Database(Protocol):
    async def store(self, *, audit_key: bytes, chain: str, earlier_audit_keys: Sequence[bytes] = ()) -> Stores:
        """All stores of this hub.

        Args: audit_key: signs new audit rows; chain: the name of this process's audit chain (its hub id).
              earlier_audit_keys: the keys from before rotations of the audit key; they verify older rows.
        """
        ...

    def publish_to(self, publish: Callable[[BusEvent], None]) -> None:
        """Set the function that is called with each published message, after the commit of its command."""
        ...

    @property
    def stats(self) -> Mapping[str, WriterCounts]:
        """Counters by the name of the file."""
        ...

    @property
    def broken(self) -> bool:
        """Whether the database was given up, so that the process must end and start again."""
        ...

    @property
    def trouble(self) -> StoreError | None:
        """The last error; None: there is none, or later writes succeeded."""
        ...

    async def probe(self) -> StoreError | None:
        """Commit a test write. Returns: the first error; None: there is none."""
        ...

    async def shrink(self) -> None:
        """Free the memory of cached pages. Raises: StoreError."""
        ...

    async def last_probe(self) -> float | None:
        """The time of the last test write by the clock of that time, Unix seconds; None: there was none."""
        ...

    async def latest(self) -> float | None:
        """The latest wall clock time that any hub on this database stored, Unix seconds; None: none did."""
        ...

    async def close(self, limit_s: float) -> bool:
        """Finish the queues. Returns: False: the disk stalls, and a thread may still write until the process ends."""
        ...
