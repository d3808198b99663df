"""Decodes and validates the plan and the report that a node sends of a job. Pure: messages in, domain values out."""

from __future__ import annotations

import re
from typing import Final, cast, get_args

from groundcontrol.core.text import clean
from groundcontrol.jobs.plans import MAX_PARTS, ConfigFile, KeptBack, KeptReason, PlanHead, PlanPart, PlanStep, Report
from groundcontrol.nodes.model import Tri
from spider.wire.errors import ProtocolError
from spider.wire.frames import JobPlan, JobReport

MAX_SENTENCE: Final = 500
MAX_DIFF: Final = 32 * 1024
"""Characters of the diff of one file."""
MAX_BYTES: Final = 1 << 50
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def read_plan(message: JobPlan) -> PlanPart:
    """Decode one part of a plan.

    Raises: ProtocolError: the message is not a valid plan.
    """
    steps = (message.packages, message.before, message.after, message.security, message.repositories)
    kept = (message.kept_packages, message.kept_versions, message.kept_reasons)
    if (
        not 0 <= message.part < message.parts <= MAX_PARTS
        or not _SHA256.fullmatch(message.digest)
        or len({len(part) for part in steps}) != 1
        or len({len(part) for part in kept}) != 1
        or not -1 <= message.download_bytes < MAX_BYTES
        or not -MAX_BYTES < (message.installed_bytes or 0) < MAX_BYTES
    ):
        raise ProtocolError("a plan that no job has")
    return PlanPart(
        part=message.part,
        parts=message.parts,
        head=PlanHead(
            digest=message.digest,
            download_bytes=None if message.download_bytes < 0 else message.download_bytes,
            installed_bytes=message.installed_bytes,
            reboot=_tri(message.reboot),
            reboot_why=clean(message.reboot_why, MAX_SENTENCE),
        ),
        steps=tuple(
            PlanStep(clean(name), clean(before), clean(after), _tri(security), clean(repository))
            for name, before, after, security, repository in zip(*steps, strict=True)
        ),
        kept=tuple(KeptBack(clean(name), clean(version), _reason(reason)) for name, version, reason in zip(*kept, strict=True)),
    )


def read_report(message: JobReport) -> Report:
    """Decode the report of a job.

    Raises: ProtocolError: the message is not a valid report.
    """
    if len(message.config_paths) != len(message.config_diffs):
        raise ProtocolError("a report that no job has")
    return Report(
        reboot=_tri(message.reboot),
        reboot_why=clean(message.reboot_why, MAX_SENTENCE),
        services=_texts(message.services),
        config_files=tuple(
            ConfigFile(clean(path, 1024), clean_lines(diff)) for path, diff in zip(message.config_paths, message.config_diffs, strict=True)
        ),
        failed_units=_texts(message.failed_units),
        notes=tuple(filter(None, (clean(note, MAX_SENTENCE) for note in message.notes))),
    )


def clean_lines(text: str, limit: int = MAX_DIFF) -> str:
    """Remove control, invisible and direction-changing characters from text of several lines. Tabs become blanks."""
    lines = text[: limit * 2].expandtabs(4).split("\n")
    return "\n".join(clean_line(line) for line in lines)[:limit]


def clean_line(line: str) -> str:
    """As `clean`, but blanks at both ends stay: the first character of a diff line says whether it was added or removed."""
    return clean("|" + line + "|", len(line) + 2)[1:-1]


def _texts(texts: list[str]) -> tuple[str, ...]:
    return tuple(filter(None, (clean(text) for text in texts)))


def _tri(text: str) -> Tri:
    return cast("Tri", text) if text in ("yes", "no") else "unknown"


def _reason(text: str) -> KeptReason:
    return cast("KeptReason", text) if text in get_args(KeptReason) else "other"
