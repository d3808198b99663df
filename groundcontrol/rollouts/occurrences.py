"""Decides about the occurrences of a policy: give notice, begin, wait for approval, or miss. Pure.

Each occurrence is decided once. After a pause of the hub at most one of them begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from groundcontrol.policies.calendar import Span, spans
from groundcontrol.policies.model import LATE_S, Occurrence, PatchPolicy, needed_approvals

MOST_MISSED = 1000


class Due(NamedTuple):
    """What to do about one occurrence now."""

    act: Literal["notice", "wait", "start", "miss"]
    before: Occurrence | None
    after: Occurrence


def due_now(policy: PatchPolicy, stored: Iterable[Occurrence], now: float) -> list[Due]:
    """Raises: ZoneUnknown: this machine no longer has the zone of the policy."""
    if not policy.fires:
        return []
    known = {one.due_at: one for one in stored}
    needed = needed_approvals(policy)
    found: list[Due] = []
    begun = list[Span]()
    for count, span in enumerate(spans(policy.times, policy.considered_at)):
        if span.from_at > now or count >= MOST_MISSED:
            if needed and span.from_at - policy.notice_h * 3600.0 <= now:
                found += _notice(policy, known.get(span.from_at), span)
            break
        begun.append(span)
    waiting = [one for one in known.values() if one.state == "waiting_approval" and one.due_at <= now]
    for one in waiting:  # its time has come before, and nobody had approved it yet
        if one.until_at <= now:
            found.append(Due("miss", one, one._replace(state="missed", why="not approved")))
        elif len(one.approvals) >= needed:
            found.append(Due("start", one, one._replace(state="started")))
    for span in begun[:-1]:
        found += _missed(known.get(span.from_at), policy, span, "the hub was away")
    if begun:
        found += _begin(policy, known.get(begun[-1].from_at), begun[-1], now)
    return found


def missed_in_row(stored: Iterable[Occurrence], due_at: float) -> int:
    """How many times in a row were missed, up to the one of this time. Skipped ones were meant, and count neither way."""
    count = 0
    for one in sorted((one for one in stored if one.due_at <= due_at), key=lambda one: -one.due_at):
        if one.state == "skipped":
            continue
        if one.state != "missed":
            break
        count += 1
    return count


def _new(policy: PatchPolicy, span: Span) -> Occurrence:
    return Occurrence(policy.id, policy.org, span.from_at, span.until_at, "planned")


def _notice(policy: PatchPolicy, before: Occurrence | None, span: Span) -> list[Due]:
    if before is not None and (before.noticed_at is not None or before.state != "planned"):
        return []
    return [Due("notice", before, before or _new(policy, span))]


def _missed(before: Occurrence | None, policy: PatchPolicy, span: Span, why: str) -> list[Due]:
    if before is not None and before.state not in ("planned", "waiting_approval"):
        return []
    return [Due("miss", before, (before or _new(policy, span))._replace(state="missed", why=why))]


def _begin(policy: PatchPolicy, before: Occurrence | None, span: Span, now: float) -> list[Due]:
    if before is not None and before.state not in ("planned", "waiting_approval"):
        return []
    one = before or _new(policy, span)
    if now >= span.until_at:
        return _missed(before, policy, span, "the hub was away")
    if now - span.from_at > LATE_S and policy.hub_missed == "skip":
        return _missed(before, policy, span, "the hub was away at its time")
    if len(one.approvals) < needed_approvals(policy):
        return [] if one.state == "waiting_approval" else [Due("wait", before, one._replace(state="waiting_approval"))]
    return [Due("start", before, one._replace(state="started"))]
