"""`stardust doctor`: what is wrong with this hub, and what to do; it changes nothing, and works whether or not the hub runs."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Final

from groundcontrol.cli import checkup
from groundcontrol.cli.checkup import Finding
from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.folder import Settings, become_owner, only_here, read_settings
from groundcontrol.cli.options import add_settings
from groundcontrol.errors import ConfigError, HubError
from groundcontrol.store.sqlite.inspection import Inspection

_ORDER: Final = ("ok", "warning", "problem")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Look at the hub of this data folder and say what is wrong and what to do. Give it the settings and the secret of the hub"
        " (STARDUST_SECRET_FILE): without the secret, the keyring and the audit log are not checked."
    )
    add_settings(parser)


async def run(args: argparse.Namespace) -> int:
    """Exit status 1 when there is a problem; warnings are none."""
    only_here(args, "the doctor looks")
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
    """Every check that can be made from here."""
    secret_file = os.environ.get("STARDUST_SECRET_FILE")
    findings = [checkup.secret_file_finding(Path(secret_file))] if secret_file else []
    settings = read_settings(args)
    findings += checkup.settings_findings(settings)
    findings += [checkup.sqlite_finding(), checkup.bundle_finding(settings.config)]
    if settings.config is not None:
        findings += checkup.address_findings(settings.config)
    try:
        become_owner(settings.data_dir)
    except CliError:
        return [*findings, *checkup.folder_findings(settings.data_dir)]
    findings += checkup.folder_findings(settings.data_dir)
    findings += checkup.copy_findings(settings.control_db)
    findings += checkup.lasting_findings(settings.data_dir)
    findings += checkup.space_findings(settings.data_dir, settings.control_db.parent)
    findings.append(checkup.lock_finding(settings.data_dir, await _health(args)))
    findings += await checkup.database_findings(settings)
    return [*findings, *await _inside(settings)]


async def _inside(settings: Settings) -> list[Finding]:
    """What the control database itself tells."""
    findings: list[Finding] = []
    try:
        async with await Inspection.open(settings.control_db) as inspection:
            findings.append(await checkup.schema_finding(inspection))
            if findings[0].state == "problem":
                return findings
            if settings.config is not None and settings.secret_given:
                finding, vault = await checkup.keyring_finding(settings.config, inspection)
                findings.append(finding)
                if vault is not None:
                    findings.append(await checkup.audit_finding(inspection, vault))
            findings.append(await checkup.clock_finding(inspection, time.time()))
            findings.append(await checkup.password_finding(inspection))
            findings.append(await checkup.units_finding(inspection))
    except (ConfigError, HubError) as exc:
        findings.append(Finding("database", "problem", str(exc), "stop the hub, keep a copy of the folder, restore a backup"))
    return findings


async def _health(args: argparse.Namespace) -> str | None:
    """What a running hub says of itself; None: nobody answers."""
    try:
        async with Hub(args) as hub:
            _, told = await hub.health()
    except CliError:
        return None
    return str(told.get("status")) if isinstance(told, dict) else None
