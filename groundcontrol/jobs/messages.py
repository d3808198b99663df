"""Decodes a node's messages about a job: refusal, progress, plan, report and end. Pure: messages in, domain values and error texts out."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, cast, get_args

from groundcontrol.core.text import clean
from groundcontrol.jobs.model import Change, Job, JobError, JobPhase, JobState, JobUpdate, StopAnswer, StopState
from groundcontrol.jobs.plans import MAX_PARTS, ConfigFile, KeptBack, KeptReason, PlanHead, PlanPart, PlanStep, Report
from groundcontrol.jobs.requests import DIGEST
from groundcontrol.nodes.model import Tri
from spider.wire.errors import ProtocolError
from spider.wire.job_messages import JobEnded, JobPlan, JobProgress, JobReport
from spider.wire.orders import CLOCK_REFUSALS
from spider.wire.sentences import sentence
from spider.wire.verbs import POLICY_LINES

MAX_OUTPUT_BYTES: Final = 256 * 1024 * 1024 + 4096
"""The greatest output of one job that a runner stores, with the note that it appends when there is more."""
MAX_NOTE: Final = 300
MAX_LOST_BYTES: Final = 1 << 53
CLOCK_SLACK_S: Final = 120.0
MAX_SENTENCE: Final = 500
MAX_DIFF: Final = 32 * 1024
"""Characters of the diff of one file."""
MAX_BYTES: Final = 1 << 50

KEYS_CHANGE: Final = "keys-change"
"""Replaces `bad-mac` while the node changes its keys: the order was sealed with the former keys."""
RETRY: Final = frozenset({"busy", "host-stopping", "slow-frame", "short-frame", "unreachable", "outdated", KEYS_CHANGE})
"""Temporary refusals. The launcher does not record the job's id, so the order can be sent again."""
NEVER_BEGUN: Final = frozenset({"no-such-job"})
"""Answers to a stop for an unknown job. The launcher then records the id, so no later order can start the job."""
NEVER_STARTED: Final = (RETRY | CLOCK_REFUSALS) - {"unreachable"}
"""Refusals which prove that the refused order did not start the job."""

NOT_BACK: Final = "the node has changed its keys and has not come back with the new ones"
_OF_ACTION: Final = {
    "missing": "is missing: its owner creates it there as root",
    "kind": "is a link or something else than expected: it must be a plain one, which only root has written",
    "owner": "does not belong to root: `chown root:root` there",
    "writable": "may be written by others than root: `chmod go-w` there",
    "mode": "is not executable: `chmod u+x` there",
}
"""Why an action is refused -> the end of the sentence about its file, or its folder."""
_WORDS: Final = {
    "busy": "another job runs on the node",
    "host-stopping": "the server is shutting down",
    "unreachable": "the launcher on the node does not answer; see `systemctl status stardust-launcher.socket` there (with OpenRC: `rc-service stardust-launcher status`)",
    "expired": "the clocks of hub and node differ too much",
    "too-early": "the clocks of hub and node differ too much",
    "too-long": "the clocks of hub and node differ too much",
    "outdated": "the node has taken an order that was issued later than this one: the clock of the hub, or of the node, ran ahead before "
    "(root can end this there: `stardust-spider orders reset`)",
    "latest-damaged": "the node cannot read when its latest order was issued, so it takes none until root resets that there: "
    "`stardust-spider orders reset`",
    "no-space": "there is not enough room on the node's disk to begin",
    "not-started": "the server could not start the job (its unit; under OpenRC its runner)",
    "no-key": "the launcher on the node has no key that it trusts: the node was installed to look, not to act, or others may read or write the key",
    "bad-mac": "the node's launch key is not the hub's: deploy the node again",
    KEYS_CHANGE: NOT_BACK,
    "wrong-generation": "the node's launch key is of another generation: deploy the node again",
    "wrong-node": "the node's launcher is set up for another node: deploy the node again",
    "bad-args": "the node does not accept these names",
    "policy-invalid": "the node's policy file is not valid",
    "policy-monitor": "the node's policy is monitor: it runs no jobs",
    "policy-readonly": "the node's policy is readonly: it only refreshes, checks and plans",
    **{
        f"policy-{kind.noun}": f"the node's policy does not name this {kind.noun}: its owner adds it to the line `{line}` in /etc/stardust/policy.conf"
        for line, (kind, _) in POLICY_LINES.items()
    },
    "policy-unit": "the node's policy does not name this service: its owner adds it to the line `units` in /etc/stardust/policy.conf "
    "(OpenRC has no such actions)",
    **{f"action-{cause}": f"the file of this action in /etc/stardust/actions.d {words}" for cause, words in _OF_ACTION.items()},
    **{
        f"action-folder-{cause}": f"/etc/stardust/actions.d on the node, or the folder above it, {words}"
        for cause, words in _OF_ACTION.items()
        if cause != "mode"
    },
    "action-untrusted": "the file of this action in /etc/stardust/actions.d is missing or not executable there, or others than root could have written "
    "it or its folder (its launcher's log says which; an updated agent names the reason here)",
    "unit-protected": "no policy allows this service: it is Stardust's own, a shell of root, or it stops the server",
    "policy-verb": "the node's policy does not allow this action",
    "replay": "the node took this job before and has no trace of it: it may have run, or never begun",
}
_ENDS: Final = frozenset({"succeeded", "failed", "cancelled", "interrupted", "unknown"})
_CODE: Final = re.compile(r"job\.[a-z0-9_]{1,58}")
_RUNNING_ERRORS: Final = {
    "job.orphaned": "the job's runner was killed; the programs that it started continue without a log",
    "job.overdue": "the server tried to stop this job, and no longer waits for it",
}
"""Error code of a running job -> text."""
_STOPS: Final = frozenset({"now", "after_package", "too_late"})
_FORCE_ANSWERS: Final = frozenset(sentence(code) for code in ("stop.script_stopped", "stop.no_script", "stop.nothing_to_kill"))
"""The texts by which a node answers a stop with `force`."""


class JobVerdict(NamedTuple):
    """How a job ended."""

    state: JobState
    update: JobUpdate


def refusal_error(answer: str, why: str) -> JobError:
    """The error for a refusal, with its text for the user."""
    known = _WORDS.get(why)
    code = f"job.{why.replace('-', '_')}" if known else "job.refused"
    return JobError(code, known or f"the node answered {clean(answer, 20)!r}: {clean(why, 80) or 'no reason given'}")


def read_progress(message: JobProgress, job: Job, now: float) -> JobUpdate:
    """Decode the progress of a job at Unix time `now`. Invalid fields become None."""
    note = clean(message.text, MAX_NOTE)
    return JobUpdate(
        phase=cast("JobPhase", message.phase) if message.phase in get_args(JobPhase) else None,
        progress_percent=message.percent if 0 <= message.percent <= 100 else None,
        package=clean(message.package),
        note=note,
        last_output_at=_plausible(message.output_at_ms, job, now) if message.output_at_ms else None,
        stop=StopAnswer(cast("StopState", message.stop), note, note in _FORCE_ANSWERS) if message.stop in _STOPS else None,
        error=_running_error(message.error_code, note),
    )


def _running_error(code: str, note: str) -> JobError | None:
    if not _CODE.fullmatch(code):
        return None
    return JobError(code, _RUNNING_ERRORS.get(code) or note or code)


def read_plan(message: JobPlan) -> PlanPart:
    """Decode one part of a plan.

    Raises: ProtocolError: the message is not a valid plan.
    """
    steps = (message.packages, message.before, message.after, message.security, message.repositories)
    kept = (message.kept_packages, message.kept_versions, message.kept_reasons)
    if (
        not 0 <= message.part < message.parts <= MAX_PARTS
        or not DIGEST.fullmatch(message.digest)
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
            restarts=tuple(filter(None, clean(message.restarts, MAX_SENTENCE).split(", "))),
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
    """As `clean`, but blanks at both ends stay, since the first character of a diff line has a meaning."""
    return clean("|" + line + "|", len(line) + 2)[1:-1]


def _texts(texts: list[str]) -> tuple[str, ...]:
    return tuple(filter(None, (clean(text) for text in texts)))


def _tri(text: str) -> Tri:
    return cast("Tri", text) if text in ("yes", "no") else "unknown"


def _reason(text: str) -> KeptReason:
    return cast("KeptReason", text) if text in get_args(KeptReason) else "other"


def read_ended(message: JobEnded, job: Job, held_bytes: int, held_sha256: str, now: float) -> JobVerdict:
    """Decode how a job ended, and compare the printed output with the stored output. If they differ, the state is `unknown`.

    Args:   held_sha256: SHA-256 of the stored output, computed now.
    Raises: ProtocolError: the message is not a valid end.
    """
    lists = (message.change_packages, message.change_from, message.change_to)
    if (
        message.state not in _ENDS
        or message.output_bytes < 0
        or not 0 <= message.lost_bytes < MAX_LOST_BYTES
        or len({len(part) for part in lists}) != 1
        or (message.output_sha256 and not DIGEST.fullmatch(message.output_sha256))
    ):
        raise ProtocolError("an end that no job has")
    changes = tuple(Change(clean(name), clean(before), clean(after)) for name, before, after in zip(*lists, strict=True))
    state = cast("JobState", message.state)
    code = message.error_code if _CODE.fullmatch(message.error_code) else "job.failed"
    error = JobError(code, clean(message.error_text, 2000)) if message.error_code else None
    if message.output_sha256 and message.output_sha256 != held_sha256:
        state = "unknown"
        error = JobError(
            "job.output_mismatch",
            f"the output that the hub stores ({held_bytes} bytes) is not what the node printed ({message.output_bytes} bytes)",
        )
    # Any other state is a guess, and late evidence may bring more output.
    certain = message.state in ("succeeded", "failed", "cancelled")
    started_at = _plausible(message.started_at_ms, job, now)
    return JobVerdict(
        state,
        JobUpdate(
            progress_percent=100 if state == "succeeded" else None,
            exit_code=message.exit_code if message.exit_code is not None and -255 <= message.exit_code <= 255 else None,
            output_bytes=message.output_bytes if certain else None,
            output_sha256=message.output_sha256 or None if certain else None,
            started_at=job.started_at if job.started_at is not None else started_at,
            ended_at=_plausible(message.ended_at_ms, job, now) or now,
            changes=changes,
            error=error,
            package="",
            lost_bytes=message.lost_bytes,
        ),
    )


def _plausible(at_ms: int, job: Job, now: float) -> float | None:
    """A time of the node's clock; None if it cannot be right within CLOCK_SLACK_S of the hub's clock."""
    at = at_ms / 1000
    return min(at, now) if job.created_at - CLOCK_SLACK_S <= at <= now + CLOCK_SLACK_S else None
