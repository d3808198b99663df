"""`/api/v1/nodes/{id}/reboots`: ordered reboots, why they were due, and the evidence that the node came back as it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from groundcontrol.jobs.coded_text import CodedText, coded_text
from groundcontrol.jobs.model import Job, JobFilter
from groundcontrol.jobs.plans import Report
from groundcontrol.jobs.store import JobStore
from groundcontrol.nodes.model import Node, Tri
from groundcontrol.nodes.store import NodeStore
from groundcontrol.policies.store import PolicyStore
from groundcontrol.rollouts.reboots import return_limit_s
from groundcontrol.rollouts.views import RebootsView, RebootVerdict, RebootView
from groundcontrol.schedules.dead_man import DeadMan
from groundcontrol.web.request import ApiRequest
from groundcontrol.web.routes import Route
from spider.wire.verbs import REBOOT

MOST: Final = 50
_NEED: Final[Mapping[str, Tri]] = {"reboot.needed": "yes", "reboot.not_needed": "no", "reboot.need_unknown": "unknown"}


async def list_reboots(call: ApiRequest) -> RebootsView:
    """Ordered reboots of a node, newest first: why, and whether it came back as it was."""
    call.query()
    node = await call.services[NodeStore].node(call.scope, call.node_id)
    store = call.services[JobStore]
    page = await store.jobs(call.scope, MOST, None, node.id, JobFilter(action=REBOOT))
    reports = [await store.report(call.scope, job.id) if job.has_report else None for job in page.items]
    limit_s = await _limit_s(call, node)
    overdue = (call.services[DeadMan].silent_s(node.id) or 0.0) >= limit_s
    return RebootsView(
        limit_s=limit_s, reboots=[_view(job, report, overdue=overdue) for job, report in zip(page.items, reports, strict=True)]
    )


async def _limit_s(call: ApiRequest, node: Node) -> float:
    times = await call.services[PolicyStore].work_times(call.scope, [node.id])
    return return_limit_s(times.get(node.id, {}).get(REBOOT), node.identity.virtualization)


def _view(job: Job, report: Report | None, *, overdue: bool) -> RebootView:
    notes = () if report is None else report.notes
    coded = {one.code: one for note in notes if (one := coded_text(note)) is not None}
    need = next((code for code in _NEED if code in coded), None)
    kernel, boot = _facts(coded, "reboot.kernel"), _facts(coded, "reboot.boot")
    lost = job.state == "succeeded" and job.lost
    return RebootView(
        job_id=job.id, ordered_at=job.created_at, ended_at=job.ended_at, state=job.state, verdict=_verdict(job, lost=lost, overdue=overdue),
        words=job.error.message if job.error is not None else "something is missing since" if lost else "", by=job.created_by,
        needed="unknown" if need is None else _NEED[need], need="" if need is None else coded[need].facts["why"],
        boot_from=boot.get("before"), boot_to=boot.get("after"), away_s=_seconds(_facts(coded, "reboot.away").get("seconds")),
        kernel_from=kernel.get("before"), kernel_to=kernel.get("after"), notes=list(notes),
    )  # fmt: skip


def _facts(coded: Mapping[str, CodedText], code: str) -> Mapping[str, str]:
    return coded[code].facts if code in coded else {}


def _seconds(text: str | None) -> float | None:
    """The node wrote it: whatever is no plain number of at most a year is not known."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) <= 8 else None


def _verdict(job: Job, *, lost: bool, overdue: bool) -> RebootVerdict:
    if job.ended_at is None:
        return "overdue" if overdue and job.state == "running" else "under_way"
    if job.state == "unknown":
        return "unknown"
    if job.state != "succeeded":
        return "not_rebooted"
    return "broken" if lost else "kept"


REBOOT_ROUTES: Final = (Route("GET", "/nodes/{id}/reboots", "job.read", list_reboots, cost="page"),)
