"""What commands do on a data folder without a hub. Beside `app.py` the only module that chooses the database's adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from groundcontrol.adapters.sqlite.admin.atomic_replace import WORK, finish_replacement, is_unfinished, replace_databases
from groundcontrol.adapters.sqlite.admin.backup import (
    BackupCancelled,
    Cancellation,
    Manifest,
    ReportProgress,
    check_known,
    manifest_of,
    samples_beside,
)
from groundcontrol.adapters.sqlite.admin.backup import make as make_backup
from groundcontrol.adapters.sqlite.admin.backup import unpack as unpack_backup
from groundcontrol.adapters.sqlite.admin.before_upgrade import find_earlier, go_back
from groundcontrol.adapters.sqlite.admin.migrate import is_blank
from groundcontrol.adapters.sqlite.admin.offline_reader import (
    CredentialEntry,
    DamagedSpan,
    Inspection,
    copy_database,
    find_damaged_records,
    find_damaged_spans,
    quick_check,
)
from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.adapters.sqlite.engine.data_files import check_no_hard_links, lock_folders, make_private_folder
from groundcontrol.adapters.sqlite.engine.readonly import ReadOnlyHere, check_readable, is_read_only
from groundcontrol.adapters.sqlite.json_columns import DamagedRecord
from groundcontrol.config import Secret
from groundcontrol.core.database import OfflineDatabase
from groundcontrol.core.errors import ConfigError, VaultError
from groundcontrol.vault import Vault, open_existing_vault
from spider.clock import SystemClock

__all__ = [
    "WORK",
    "BackupCancelled",
    "Cancellation",
    "CredentialEntry",
    "DamagedRecord",
    "DamagedSpan",
    "Inspection",
    "Manifest",
    "ReadOnlyHere",
    "ReportProgress",
    "check_known",
    "check_no_hard_links",
    "check_readable",
    "copy_database",
    "find_damaged_records",
    "find_damaged_spans",
    "find_earlier",
    "finish_replacement",
    "go_back",
    "is_blank",
    "is_read_only",
    "is_unfinished",
    "lock_folders",
    "make_backup",
    "make_private_folder",
    "manifest_of",
    "open_vault_of",
    "opened_database",
    "quick_check",
    "replace_databases",
    "samples_beside",
    "unpack_backup",
]


@asynccontextmanager
async def opened_database(folder: Path, control: Path) -> AsyncIterator[OfflineDatabase]:
    """Within the context, the data folder is open for this process alone. A missing database is created, an earlier one is migrated.

    Raises: ConfigError, StoreError: it cannot be opened; the text says why.
    """
    database = await open_database(folder, clock=SystemClock(), control=control)
    try:
        yield database
    finally:
        await database.close()


async def open_vault_of(secret: Secret, inspection: Inspection) -> Vault:
    """Open the vault with a secret.

    Raises: ConfigError: the vault does not open; the text says why.
    """
    try:
        return await open_existing_vault(secret.reveal(), inspection.secrets)
    except VaultError as exc:
        raise ConfigError(f"the vault in {inspection.path} does not open: {exc.message}") from exc
