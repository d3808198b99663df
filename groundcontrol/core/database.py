"""The interface of an opened data folder, for the parts that compose the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from groundcontrol.core.bus import BusEvent
from groundcontrol.core.errors import StoreError
from groundcontrol.core.scope import Scope
from groundcontrol.core.secrets import KeyRotation, SealedRecord
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


class RestoreReport(NamedTuple):
    nodes: int
    """Number of nodes in the restored database."""
    jobs: int
    """Number of open jobs that were closed."""
    sessions: int
    """Number of log-in sessions that were ended."""
    tokens: int
    """Number of valid API tokens, including those that were revoked after the backup."""


class OfflineKeyring(Protocol):
    """The keyring of a database on which no hub runs."""

    async def keyring(self) -> bytes | None:
        """The sealed keyring; None: there is none yet."""
        ...

    async def secret(self, table: str, record: str, column: str) -> SealedRecord | None:
        """One sealed secret; None: there is none."""
        ...

    async def restore_keyring(self, keyring: bytes, recovery: SealedRecord, adopt_until: float) -> None:
        """Store the keyring of an earlier hub in a new database. `adopt_until`: until when its nodes may come back, Unix seconds.

        Raises: Conflict: there is a keyring already.
        """
        ...

    async def rotate(self, scope: Scope, expected: bytes, rotation: KeyRotation, chain: str) -> int:
        """Replace the keyring, seal every secret again and end every log-in session, in one transaction.

        Args:    expected: the keyring from which `rotation` was prepared.
                 chain: the name of a new audit chain under the new key, which records the rotation.
        Returns: the number of secrets that were sealed again.
        Raises:  Conflict: the stored keyring has changed. Also any error of `rotation`.
        """
        ...


class OfflineDatabase(Protocol):
    """An opened data folder on which no hub runs."""

    @property
    def secrets(self) -> OfflineKeyring: ...

    async def settle_restored(
        self, *, audit_key: bytes, chain: str, scope: Scope, made_at: float, earlier_audit_keys: Sequence[bytes] = ()
    ) -> RestoreReport:
        """Clean up a restored database before a hub runs on it. The audit keys and `chain` are as in `Database.store`.

        Args: made_at: the time of the backup, Unix seconds.
        """
        ...
