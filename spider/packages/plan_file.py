"""Encodes plans as the job file `planned`, and as messages to the hub."""

from typing import Any, Dict, Iterable, List, Mapping, Optional

from spider.packages.plan import HeldPackage, Plan, Planned
from spider.wire.frames import MAX_ITEMS
from spider.wire.job_messages import JobPlan

MAX_PART_BYTES = 160 * 1024
"""Size limit of the texts of one message: a frame has at most 256 KiB."""
_STEP_OVERHEAD, _MOST_TEXT = 20, 300


def plan_to_document(plan: Plan) -> Dict[str, Any]:
    """A plan as values for JSON."""
    return {
        "digest": plan.digest,
        "steps": [list(step) for step in plan.steps],
        "kept": [list(kept) for kept in plan.kept],
        "download_bytes": plan.download_bytes,
        "installed_bytes": plan.installed_bytes,
        "reboot": plan.reboot,
        "reboot_why": plan.reboot_why,
        "restarts": list(plan.restarts),
    }


def plan_from_document(found: Mapping[str, Any]) -> Optional[Plan]:
    """Decode a plan. None: the document is invalid, or its digest is not that of its steps."""
    try:
        plan = Plan(
            tuple(Planned(*(str(word) for word in step)) for step in found["steps"]),
            tuple(HeldPackage(*(str(word) for word in kept)) for kept in found["kept"]),
            int(found["download_bytes"]),
            None if found["installed_bytes"] is None else int(found["installed_bytes"]),
            str(found["reboot"]),
            str(found["reboot_why"]),
            restarts=tuple(str(name) for name in found.get("restarts", ())),
        )
    except (KeyError, TypeError, ValueError):
        return None
    return plan if plan.digest == found.get("digest") else None


def _cut(text: str) -> str:
    return text[:_MOST_TEXT]


def _cut_list(names: Iterable[str]) -> str:
    """The first names, joined by commas, that fit whole into a text."""
    joined = ""
    for name in names:
        longer = f"{joined}, {name}" if joined else name
        if len(longer) > _MOST_TEXT:
            break
        joined = longer
    return joined


def plan_messages(job: str, plan: Plan) -> List[JobPlan]:
    """Split a plan into messages. Each message repeats the fields that concern the whole plan."""
    digest = plan.digest
    parts: List[List[Planned]] = [[]]
    kept_parts: List[List[HeldPackage]] = [[]]
    room = MAX_PART_BYTES
    for step in plan.steps:
        size = sum(len(_cut(word).encode("utf-8", "replace")) for word in step) + _STEP_OVERHEAD
        if room < size or len(parts[-1]) == MAX_ITEMS:
            parts.append([])
            kept_parts.append([])
            room = MAX_PART_BYTES
        parts[-1].append(step)
        room -= size
    for kept in plan.kept:
        size = sum(len(_cut(word).encode("utf-8", "replace")) for word in kept) + _STEP_OVERHEAD
        if room < size or len(kept_parts[-1]) == MAX_ITEMS:
            parts.append([])
            kept_parts.append([])
            room = MAX_PART_BYTES
        kept_parts[-1].append(kept)
        room -= size
    return [
        JobPlan(
            job=job,
            part=part,
            parts=len(parts),
            digest=digest,
            packages=[_cut(step.package) for step in steps],
            before=[_cut(step.before) for step in steps],
            after=[_cut(step.after) for step in steps],
            security=[step.security for step in steps],
            repositories=[_cut(step.repository) for step in steps],
            kept_packages=[_cut(kept.package) for kept in stays],
            kept_versions=[_cut(kept.version) for kept in stays],
            kept_reasons=[kept.reason for kept in stays],
            download_bytes=plan.download_bytes,
            installed_bytes=plan.installed_bytes,
            reboot=plan.reboot,
            reboot_why=_cut(plan.reboot_why),
            restarts=_cut_list(plan.restarts),
        )
        for part, (steps, stays) in enumerate(zip(parts, kept_parts))
    ]
