"""Sealed secrets, and the interface of the store for them and the keyring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import Scope

HUB_KEY: Final = "hub_key"
"""The `table` of the hub's own SSH key. It has one record for each organisation."""


def hub_key_record(org: int) -> str:
    """The `id` of the record of an organisation's SSH key."""
    return f"org-{org}"


class SealedRecord(NamedTuple):
    """One secret, sealed by the vault (`vault.py`); the store never sees it in plain text."""

    table: str
    id: str
    column: str
    version: int
    """The next value of the same record has the next version."""
    sealed: bytes


class KeyRotation(Protocol):
    """The change to a new keyring (`vault.Rotation`)."""

    @property
    def keyring(self) -> bytes:
        """The new keyring."""
        ...

    @property
    def audit_key(self) -> bytes:
        """The key of audit rows after the change."""
        ...

    @property
    def carried(self) -> SealedRecord:
        """The record of the secrets that outlive a rotation; it replaces the stored record."""
        ...

    def reseal(self, record: SealedRecord) -> SealedRecord:
        """Open a record with the old key and seal it with the new one. Raises: VaultError: it does not open."""
        ...

    def prove(self, keyring: bytes, records: Sequence[SealedRecord]) -> None:
        """Check that the stored records open with the stored keyring, and have the contents that were sealed.

        Raises: VaultError, ConfigError: a record does not open, or differs.
        """
        ...


class SecretStore(Protocol):
    async def keyring(self) -> bytes | None:
        """The stored keyring; None: there is none yet."""
        ...

    async def create_keyring(self, keyring: bytes, recovery: SealedRecord) -> bytes:
        """Store the first keyring and the sealed fleet key together. Returns the stored keyring: an existing keyring stays."""
        ...

    async def secret(self, table: str, record: str, column: str) -> SealedRecord | None:
        """One sealed record; None: there is none."""
        ...

    async def secrets(self) -> Sequence[SealedRecord]:
        """All sealed records, the oldest first."""
        ...

    async def save_credentials(self, scope: Scope, node: NodeId, records: Sequence[SealedRecord]) -> None:
        """Replace the stored credentials of this node (`table` = "credential", `id` = the node).

        Raises: BadRequest: a record belongs to another object. NotFound: there is no such node.
        """
        ...

    async def credentials(self, node: NodeId) -> Sequence[SealedRecord]:
        """The sealed credentials of a node, sorted by `column`; empty: none are stored."""
        ...

    async def shred_credentials(self, scope: Scope, node: NodeId) -> None:
        """Remove the credentials of a node, if there are any, so that no copy stays in the files of the database."""
        ...

    async def save_hub_key(self, scope: Scope, record: SealedRecord, fingerprint: str) -> None:
        """Store the SSH key of the caller's organisation. Version 1 is the first key, version n replaces version n - 1.

        Raises: Conflict: another version is stored.
        """
        ...

    async def shred_hub_key(self, scope: Scope) -> None:
        """Remove the SSH key of the caller's organisation, if there is one, so that no copy stays in the files of the database."""
        ...
