"""`stardust doctor`: finds problems of this hub and their remedies. It changes nothing, and works whether or not the hub runs."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from groundcontrol.cli import doctor_checks
from groundcontrol.cli.client import CliError, Hub, NotReadable, NotYours, shown
from groundcontrol.cli.data_dir import DataDirSettings, become_owner, location_and_environ, only_here, read_settings
from groundcontrol.cli.doctor_checks import Finding
from groundcontrol.cli.file_permissions import described
from groundcontrol.cli.options import add_settings
from groundcontrol.config import Config
from groundcontrol.core.errors import ConfigError, HubError
from groundcontrol.offline import Inspection, ReadOnlyHere

CheckResults = Finding | Iterable[Finding]

_RIGHTS: Final = "give the owner of the data folder access to this path, then run this again"
_ORDER: Final = ("ok", "warning", "problem")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Check the hub of this data folder, and name each problem with its remedy. Settings and secret come from flags, the environment"
        " (STARDUST_SECRET_FILE) and the installed service. Without the secret, the keyring and the audit log are not checked."
    )
    add_settings(parser)


async def run(args: argparse.Namespace) -> int:
    """Exit status 1 if there is a problem, 0 with warnings alone."""
    only_here(args, "the doctor runs")
    findings = await examine(args)
    worst = max((finding.state for finding in findings), key=_ORDER.index)
    if args.json:
        print(json.dumps({"status": worst, "checks": [finding._asdict() for finding in findings]}))
    else:
        for finding in findings:
            remedy = f" -> {shown(finding.remedy)}" if finding.remedy else ""
            print(f"{finding.state:8} {finding.check:9} {shown(finding.text)}{remedy}")
    return 1 if worst == "problem" else 0


async def examine(args: argparse.Namespace) -> list[Finding]:
    """Run every check that the settings and permissions of this process allow."""
    try:
        secret_file = location_and_environ(args)[1].get("STARDUST_SECRET_FILE")
        settings = read_settings(args)
    except NotReadable as exc:
        return [Finding("folder" if isinstance(exc, NotYours) else "settings", "problem", exc.found, exc.remedy)]
    findings = await _run_check("secret", lambda: doctor_checks.secret_file_finding(Path(secret_file))) if secret_file else []
    config, folder, control = settings.config, settings.data_dir, settings.control_db
    findings += await _run_check("settings", lambda: doctor_checks.settings_findings(settings))
    findings += await _run_check("sqlite", doctor_checks.sqlite_finding)
    findings += await _run_check("bundle", lambda: doctor_checks.bundle_finding(config))
    if config is not None:
        findings += await _run_check("address", lambda: doctor_checks.address_findings(config))
    try:
        become_owner(folder)
    except CliError as exc:
        why = str(exc)
        return [*findings, *await _run_check("folder", lambda: _no_access_findings(folder, why))]
    if _is_file(folder):  # the path is no folder, so its owner does not matter
        return [*findings, *await _run_check("folder", lambda: doctor_checks.folder_findings(folder))]
    health = await _health(args)
    findings += await _run_check("folder", lambda: doctor_checks.folder_findings(folder))
    findings += await _run_check("copies", lambda: doctor_checks.copy_findings(control))
    findings += await _run_check("folder", lambda: doctor_checks.writable_findings(folder, control.parent))
    findings += await _run_check(
        "folder", lambda: doctor_checks.lasting_findings(folder, control.parent, allowed=config is None or config.allow_volatile)
    )
    findings += await _run_check("space", lambda: doctor_checks.space_findings(folder, control.parent))
    findings += await _run_check("hub", lambda: doctor_checks.lock_finding(folder, health))
    denied = await _run_check("database", lambda: doctor_checks.rights_findings(folder, control))
    if denied:  # nothing is known about unreadable files
        return [*findings, *denied]
    findings += await _run_check("database", lambda: doctor_checks.database_findings(settings))
    return [*findings, *await _database_findings(settings)]


def _no_access_findings(folder: Path, why: str) -> Iterable[Finding]:
    """The finding if the folder's owner has no access; if the path is no folder, the findings about the path."""
    return [Finding("folder", "problem", why, _RIGHTS)] if os.path.isdir(folder) else doctor_checks.folder_findings(folder)


def _is_file(folder: Path) -> bool:
    return folder.exists() and not folder.is_dir()


async def _run_check(check: str, perform: Callable[[], CheckResults | Awaitable[CheckResults]]) -> list[Finding]:
    """Run one check. An error of the check becomes its finding, so that the other checks still run."""
    try:
        found = perform()
        if inspect.isawaitable(found):
            found = await found
        return [found] if isinstance(found, Finding) else list(found)
    except ReadOnlyHere as exc:
        return [Finding(check, "problem", str(exc), doctor_checks.REMOUNT)]
    except (ConfigError, HubError) as exc:
        return [Finding(check, "problem", str(exc), doctor_checks.RESTORE)]
    except PermissionError as exc:
        return [Finding(check, "problem", described(exc), _RIGHTS)]
    except Exception as exc:  # the boundary: damage to a database may break a check in unexpected ways
        return [Finding(check, "problem", f"this check failed: {type(exc).__name__}: {exc}", doctor_checks.RESTORE)]


async def _database_findings(settings: DataDirSettings) -> list[Finding]:
    """Check the content of the control database."""
    try:
        inspection = await Inspection.open(settings.control_db)
    except ReadOnlyHere:
        return []  # the check of the files has reported it
    except (ConfigError, HubError) as exc:
        return [Finding("database", "problem", str(exc), doctor_checks.RESTORE)]
    async with inspection:
        findings = await _run_check("schema", lambda: doctor_checks.schema_finding(inspection))
        if findings[0].state == "problem":
            return findings
        findings += await _run_check("database", lambda: doctor_checks.lost_rows_findings(inspection, time.time()))
        findings += await _run_check("records", lambda: doctor_checks.records_finding(settings.control_db))
        if settings.config is not None and settings.secret_given:
            findings += await _run_check("keyring", partial(_vault_findings, settings.config, inspection))
        findings += await _run_check("clock", lambda: doctor_checks.clock_finding(inspection, time.time()))
        findings += await _run_check("password", lambda: doctor_checks.password_finding(inspection))
        findings += await _run_check("units", lambda: doctor_checks.units_finding(inspection))
        findings += await _run_check("agents", lambda: doctor_checks.agents_finding(inspection, settings.config))
        return findings


async def _vault_findings(config: Config, inspection: Inspection) -> list[Finding]:
    finding, vault = await doctor_checks.keyring_finding(config, inspection)
    if vault is None:
        return [finding]
    return [finding, *await _run_check("audit", lambda: doctor_checks.audit_finding(inspection, vault))]


async def _health(args: argparse.Namespace) -> str | None:
    """The status that a running hub reports; None: no answer."""
    try:
        async with Hub(args) as hub:
            _, answer = await hub.health()
    except CliError:
        return None
    return str(answer.get("status")) if isinstance(answer, dict) else None
