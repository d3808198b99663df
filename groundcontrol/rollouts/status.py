"""The patch status of each node, for the person who answers to an auditor. Pure.

The share in time counts only nodes whose package lists are fresh; how many are not is said beside it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final

import msgspec

from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.model import Node
from groundcontrol.nodes.support_ends import AS_OF, supported_until
from groundcontrol.policies.bodies import NextTimes
from groundcontrol.policies.choosing import DAY_S, NO_SECURITY_MARK, SeenAt, Update, kept_words
from groundcontrol.policies.model import PatchPolicy
from groundcontrol.policies.preview import FRESH_S
from groundcontrol.policies.views import PatchStatusNode, PatchStatusTotal, PatchStatusView, SupportView

DEFAULT_DAYS: Final = 30
_PROMISE: Final = re.compile(r"promise:([1-9][0-9]{0,2})\Z")


def promise_of(tags: Sequence[str]) -> int:
    """Within how many days security updates are promised: the shortest of the tags such as `promise:14`, or else 30."""
    return min((int(found[1]) for tag in tags if (found := _PROMISE.match(tag))), default=DEFAULT_DAYS)


def status_of(
    nodes: Sequence[Node], updates: Mapping[NodeId, tuple[float, tuple[Update, ...]]], seen: SeenAt, patched: Mapping[NodeId, float],
    by: Mapping[NodeId, str], policies: Sequence[PatchPolicy], times: NextTimes, now: float,
) -> PatchStatusView:  # fmt: skip
    rows = [_row(node, updates.get(node.id), seen, patched.get(node.id), by.get(node.id), policies, times, now) for node in nodes]
    states = [row.in_time for row in rows]
    return PatchStatusView(
        at=now, nodes=rows, support=support_of(nodes, now), support_as_of=AS_OF,
        total=PatchStatusTotal(states.count("in_time"), states.count("late"), states.count("unknown")),
    )  # fmt: skip


def support_of(nodes: Sequence[Node], now: float) -> list[SupportView]:
    """The releases of the fleet by their end of support."""
    found: dict[tuple[str, str, str | None], list[str]] = {}
    for node in nodes:
        found.setdefault((node.identity.os_id, node.identity.os_version, supported_until(node.identity)), []).append(node.id)
    today, views = datetime.fromtimestamp(now, UTC).date(), list[SupportView]()
    for (os_id, version, until), ids in found.items():
        left = None if until is None else (date.fromisoformat(until) - today).days
        views.append(SupportView(os_id=os_id, os_version=version, nodes=ids, supported_until=until, left_days=left))
    return sorted(views, key=lambda one: (one.supported_until or "9999", one.os_id, one.os_version))


def _row(
    node: Node, read: tuple[float, tuple[Update, ...]] | None, seen: SeenAt, patched: float | None, by: str | None,
    policies: Sequence[PatchPolicy], times: NextTimes, now: float,
) -> PatchStatusNode:  # fmt: skip
    promise = promise_of(node.tags)
    mine = [one for one in policies if one.enabled and one.select.selects(node.id, node.tags)]
    lists_at = node.updates.checked_at
    fresh = lists_at is not None and now - lists_at <= FRESH_S
    found = [one for one in (read[1] if read is not None else ()) if one.security == "yes"]
    known = read is not None and node.identity.package_manager not in NO_SECURITY_MARK
    waiting = found if known and (found or lists_at is not None) else None  # of lists that are missing, none found is not none there
    first = min((at for one in waiting or () if (at := seen.get((one.repository, one.package, one.after))) is not None), default=None)
    age_days = None if first is None else max(0.0, now - first) / DAY_S
    next_at = times.of_node(mine, node)
    late = bool(waiting) and age_days is not None and age_days > promise
    return PatchStatusNode(
        node_id=node.id,
        name=node.name,
        security_waiting=None if waiting is None else len(waiting),
        first_seen_at=first,
        age_days=None if age_days is None else round(age_days, 2),
        promise_days=promise,
        in_time="unknown" if waiting is None or not fresh else "late" if late else "in_time",
        last_patched_at=patched,
        by_policy=by,
        kept_back=kept_words(read[1] if read is not None else ()),
        held=f"never by a schedule: {node.never_why}" if node.never_why else "",
        reboot_due_since_at=node.reboot_since_at if node.reboot_required == "yes" else None,
        lists_at=lists_at,
        other_patcher=node.identity.other_patcher,
        supported_until=supported_until(node.identity),
        policies=[one.name for one in mine],
        missed=node.patch_missed,
        next_at=next_at,
        no_date_why=times.why_none(mine, node) if next_at is None else "",
    )


def as_csv(view: PatchStatusView) -> str:
    """The nodes as CSV. A cell that a spreadsheet would take for a formula gets a quote before it.

    After the fields come their times once more, for people: `…_utc` in ISO 8601 beside `…_at` in Unix seconds.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    names = PatchStatusNode.__struct_fields__
    times = [name for name in names if name.endswith("_at")]
    writer.writerow([*names, *(f"{name.removesuffix('_at')}_utc" for name in times)])
    for row in view.nodes:
        values = msgspec.structs.asdict(row)
        writer.writerow([*(_cell(values[name]) for name in names), *(_utc(values[name]) for name in times)])
    return out.getvalue()


def _utc(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: object) -> str:
    text = "" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
