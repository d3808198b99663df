"""The messages of a session about jobs. The rules for changes are in `frames.py`."""

from typing import List, NamedTuple, Optional

MAX_OUTPUT_BYTES = 32 * 1024
"""Most job output in one `JobOutput`."""
OUTPUT_WINDOW_BYTES = 1024 * 1024
"""Most unacknowledged job output of a node."""
MAX_BUNDLE_PART_BYTES = 128 * 1024
"""Largest part of a bundle in one `Bundle`."""


class JobStart(NamedTuple):
    """Hub to node: pass this order to the launcher. Idempotent by job id."""

    job: str
    order: bytes
    """The launcher's frame (`SDL1` …), opaque to Spider."""


class JobAnswer(NamedTuple):
    """Node to hub: the launcher's answer to an order."""

    job: str
    answer: str
    """accepted, refused, failed or error; `unreachable` = the launcher did not answer."""
    why: str
    clock_ms: int
    """The node's clock at the answer."""


class JobStop(NamedTuple):
    """Hub to node: pass this order to the launcher. The launcher asks the job's runner to stop as far as its phase allows."""

    job: str
    order: bytes
    """Like that of `JobStart`, with the verb `stop` and the id of the job to stop."""


class JobOutput(NamedTuple):
    """Node to hub: the bytes of a job's log from `offset` on."""

    job: str
    offset: int
    at_ms: int
    data: bytes


class JobAck(NamedTuple):
    """Hub to node: output of this job is durably stored up to `offset`."""

    job: str
    offset: int


class JobProgress(NamedTuple):
    """Node to hub: the progress of a job. Only the newest counts."""

    job: str
    at_ms: int
    phase: str
    """refresh, plan, waiting_lock, download, commit, triggers or check."""
    percent: int
    """0 to 100; -1 = unknown."""
    package: str
    text: str
    stop: str = ""
    """Effect of a stop request: empty = no request was seen, `now`, `after_package`, or `too_late`, which `text` explains."""
    output_at_ms: int = 0
    """When the job last printed something; 0 = nothing yet."""
    error_code: str = ""
    """A problem of a running job: job.orphaned (its runner was killed), job.overdue (the server did not go down in time)."""


class JobPlan(NamedTuple):
    """Node to hub: the plan of a job. Split into parts if it is long, each sent again until `JobDone`."""

    job: str
    part: int
    """Number of this part, from 0."""
    parts: int
    digest: str
    """Hex SHA-256 of the whole plan: equal plans, equal digests."""
    packages: List[str]
    before: List[str]
    """Installed version; empty = new. Parallel to `packages`."""
    after: List[str]
    """Version afterwards; empty = removed."""
    security: List[str]
    """yes, no or unknown."""
    repositories: List[str]
    kept_packages: List[str]
    """Packages that are not changed although a newer version is known."""
    kept_versions: List[str]
    kept_reasons: List[str]
    """held, phased, pinned, needs_new, needs_removal or unresolvable."""
    download_bytes: int
    """Bytes to download; -1 = unknown."""
    installed_bytes: Optional[int]
    """Change of used disk space in bytes; negative = it frees room."""
    reboot: str
    """Whether a reboot is expected afterwards: yes, no or unknown."""
    reboot_why: str
    restarts: str = ""
    """Running services of changed packages, which will probably restart: names, joined by `, `."""


class JobReport(NamedTuple):
    """Node to hub before `JobEnded`: follow-up work that a job has left. Sent again until `JobDone`."""

    job: str
    reboot: str
    """Whether this server needs a reboot now: yes, no or unknown."""
    reboot_why: str
    services: List[str]
    """Units that still run code that was replaced."""
    config_paths: List[str]
    """New configuration files that were written beside the one in use."""
    config_diffs: List[str]
    """Diff to the file in use, cut to a limit; empty = there is none, or it must not be shown. Parallel to `config_paths`."""
    failed_units: List[str]
    """Units that failed since the job began."""
    notes: List[str]
    """Other notes for a person, one sentence each."""


class JobEnded(NamedTuple):
    """Node to hub: how a job ended, by its files on the node. Sent again until `JobDone`."""

    job: str
    state: str
    """succeeded, failed, cancelled (it was stopped on demand), interrupted or unknown."""
    exit_code: Optional[int]
    signal: int
    """The signal that ended the process; 0 = none."""
    output_bytes: int
    output_sha256: str
    """Hex SHA-256 of the runner's whole log. Empty = unknown."""
    lost_bytes: int
    """Bytes that were printed and not logged, because the disk was full or the log at its limit."""
    started_at_ms: int
    ended_at_ms: int
    change_packages: List[str]
    change_from: List[str]
    """Version before; empty = newly installed. Parallel to `change_packages`."""
    change_to: List[str]
    """Version after; empty = removed."""
    error_code: str
    """Empty = no error."""
    error_text: str


class JobDone(NamedTuple):
    """Hub to node: the result is stored durably, so the node need not offer the job again."""

    job: str


class Bundle(NamedTuple):
    """Hub to node: a part of a new version of Spider, which an order then names by its digest. Sent in order, from offset 0."""

    digest: bytes
    """SHA-256 of the whole bundle."""
    offset: int
    total: int
    data: bytes
    """At most MAX_BUNDLE_PART_BYTES."""
