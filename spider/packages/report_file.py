"""Encodes reports as the job file `report`, and as a message to the hub."""

from typing import Any, Dict, List, Mapping, Optional, Sequence

from spider.packages.report import MAX_DIFF_BYTES, MAX_DIFFS_BYTES, MAX_LEFTOVERS, MAX_SERVICES, Leftover, Report
from spider.wire.job_messages import JobReport
from spider.wire.sentences import sentence

MAX_UNITS = MAX_NOTES = 100
_MOST_TEXT, _MOST_NOTE = 300, 500


def report_to_document(report: Report) -> Dict[str, Any]:
    """A report as values for JSON."""
    return {**report._asdict(), "leftovers": [list(leftover) for leftover in report.leftovers]}


def report_from_document(found: Mapping[str, Any]) -> Optional[Report]:
    """Decode a report. None: the document is invalid."""
    try:
        return Report(
            str(found["reboot"]),
            str(found["reboot_why"]),
            tuple(str(name) for name in found["services"]),
            tuple(Leftover(str(path), str(diff)) for path, diff in found["leftovers"]),
            tuple(str(name) for name in found["failed_units"]),
            tuple(str(note) for note in found["notes"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def _cut(texts: Sequence[str], most: int) -> List[str]:
    return [text[:_MOST_TEXT] for text in texts[:most]]


def report_message(job: str, report: Report) -> JobReport:
    """The report as one message, cut to the limits of a message. Notes count the omitted files, services and units."""
    room = MAX_DIFFS_BYTES
    diffs = []
    leftovers = report.leftovers[:MAX_LEFTOVERS]
    for leftover in leftovers:
        diff = leftover.diff.encode("utf-8", "replace")[: min(MAX_DIFF_BYTES, room)].decode("utf-8", "ignore")
        room -= len(diff.encode("utf-8"))
        diffs.append(diff)
    notes = list(report.notes[:MAX_NOTES])
    for code, count, most in (
        ("report.more_config_files", len(report.leftovers), MAX_LEFTOVERS),
        ("report.more_services", len(report.services), MAX_SERVICES),
        ("report.more_failed_units", len(report.failed_units), MAX_UNITS),
    ):
        if count > most:
            notes.append(sentence(code, count=count - most))
    return JobReport(
        job=job,
        reboot=report.reboot,
        reboot_why=report.reboot_why[:_MOST_NOTE],
        services=_cut(report.services, MAX_SERVICES),
        config_paths=_cut([leftover.path for leftover in leftovers], MAX_LEFTOVERS),
        config_diffs=diffs,
        failed_units=_cut(report.failed_units, MAX_UNITS),
        notes=[note[:_MOST_NOTE] for note in notes],
    )
