"""Every message of a session, as one definition for both ends.

Spider packs the tuples; the hub decodes and validates the same classes with msgspec.
Rules: new fields go last and have a default; nothing is renamed, re-ordered or used again;
bodies are flat (no list whose items may be containers); defaults are immutable.
Times are Unix milliseconds of the sender's clock, sizes are bytes.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple, Type, Union

SUBPROTOCOL = "stardust.v1"

MAX_FRAME_BYTES = 256 * 1024
"""The largest frame either end accepts, and the most that a packed body may inflate to."""
MAX_ITEMS = 4096
"""The most items an array may have."""
MAX_TABLE_BYTES = 160 * 1024
"""The most that the cells of one `Table` weigh (`tables.weight`)."""
MAX_OUTPUT_BYTES = 32 * 1024
"""The most job output one `JobOutput` carries."""
MAX_BUNDLE_PART_BYTES = 128 * 1024
"""The most of a new version that one `Bundle` carries."""

OPENING_TIMEOUT_S = 10.0
HEARTBEAT_S = 20.0
SILENCE_LIMIT_S = 30.0
"""A peer that has sent nothing for this long is gone."""
OUTPUT_WINDOW_BYTES = 1024 * 1024
"""The most job output a node sends ahead of the hub's acknowledgement."""

STREAM_LIVE = 0
STREAM_BACKFILL = 1
STREAM_LATE = 2
"""Acknowledges `Late` and `Gap`, which are counted anew in each session."""

CODING_PLAIN = 0
CODING_ZLIB = 1

CLOSE_PROTOCOL = 4400
CLOSE_UNKNOWN = 4401
CLOSE_HOST = 4403
CLOSE_SLOW = 4408
CLOSE_CLONE = 4409
CLOSE_GOING_AWAY = 4410
CLOSE_TOO_BIG = 1009


class Welcome(NamedTuple):
    """Hub to node, the first frame of a session: what the hub holds already and how often it wants to hear."""

    epoch: int
    hub_time_ms: int
    pack_s: int
    """Seconds of samples in one pack while nobody watches."""
    live_seq: int
    """Highest gap-free sequence number held of the live stream of this boot; -1 = none."""
    backfill_seq: int
    job_ids: List[str]
    """Jobs whose output the hub still wants; parallel to `job_offsets`."""
    job_offsets: List[int]
    forget_jobs: List[str]
    """Jobs that the hub holds completely: the node need not offer them again."""


class Watch(NamedTuple):
    """Hub to node: somebody looks. Send each sample of these families at once until the lease ends; 0 ends it."""

    families: List[str]
    rhythm_s: int
    lease_s: int


class Ack(NamedTuple):
    """Hub to node: every pack of this stream up to `seq` is durably stored."""

    stream: int
    seq: int


class LogAck(NamedTuple):
    """Hub to node: log lines are durably held up to this cursor; what follows on another one was not taken. Empty = none."""

    cursor: str


class Heartbeat(NamedTuple):
    """Either way, when nothing else was sent for `HEARTBEAT_S`."""

    sent_at_ms: int


class PackagesHeld(NamedTuple):
    """Hub to node at the beginning of a session, and after each `InstalledPackages`: the state of its packages that the hub holds."""

    digest: str
    """Empty = none."""


class JobStart(NamedTuple):
    """Hub to node: hand this order to the launcher. Idempotent by job id."""

    job: str
    order: bytes
    """The launcher's frame (`SDL1` …), opaque to Spider."""


class JobAck(NamedTuple):
    """Hub to node: output of this job is durably stored up to `offset`."""

    job: str
    offset: int


class JobStop(NamedTuple):
    """Hub to node: hand this order to the launcher, which asks the job's runner to stop as far as its phase allows."""

    job: str
    order: bytes
    """Like that of `JobStart`, with the verb `stop` and the id of the job that is to stop."""


class JobDone(NamedTuple):
    """Hub to node: the result is durably stored; the node need not offer the job again."""

    job: str


class Layout(NamedTuple):
    """Node to hub: the series of one family, in the order in which its rows give the values."""

    layout: bytes
    """The first 8 bytes of SHA-256 over family and series: equal content, equal id."""
    family: str
    rhythm_s: int
    series: List[str]
    """`cpu.total`, `disk.read{device=sda}` … A series that this host cannot have is not named at all."""


class Row(NamedTuple):
    """One moment of one family. Travels inside `Pack.body` only."""

    taken_at_ms: int
    values: List[Optional[int]]
    """Scaled integers (`metrics.py` has the scales); null = measuring failed this time."""


class Pack(NamedTuple):
    """Node to hub: rows of one layout, oldest first. Acknowledged by (stream, seq)."""

    stream: int
    seq: int
    layout: bytes
    coding: int
    body: bytes
    """MessagePack list of `bin`, each one packed `Row`; compressed when `coding` is CODING_ZLIB."""


class Late(NamedTuple):
    """Node to hub: a pack from the node's disk. Held once by (journal, number), acknowledged by `Ack(STREAM_LATE, seq)`."""

    seq: int
    """Counts the `Late` and `Gap` of this session from 0."""
    journal: bytes
    """16 bytes that name who wrote it; of one journal the numbers only rise."""
    number: int
    sent_epoch: int
    """It was a `Pack` in that session, without an answer: held already where that session's marks cover it. 0 = it was not."""
    sent_stream: int
    sent_seq: int
    layout: bytes
    coding: int
    body: bytes


class Gap(NamedTuple):
    """Node to hub: rows of a family that were measured and are lost for ever. Counted, held and acknowledged like `Late`."""

    seq: int
    journal: bytes
    number: int
    sent_epoch: int
    sent_stream: int
    sent_seq: int
    family: str
    first_ms: int
    """The node's time of the first and of the last row that is lost."""
    last_ms: int
    rows: int
    """0 = nobody can say how many: a disk has damaged what would tell it. They may be of other families, too."""


class LogLines(NamedTuple):
    """Node to hub: lines of the system log that follow on `after`, oldest first. Without lines: a question for what is held."""

    after: str
    """The journal's cursor of the line before the first; empty = nothing was sent yet."""
    cursor: str
    """That of the last line here."""
    left_out: int
    """Lines since `after` that were too many to be sent."""
    at_ms: List[int]
    priorities: List[int]
    """0 to 7, as syslog(3) counts. Parallel to `at_ms`, as the others are."""
    sources: List[str]
    """The unit, else the program."""
    texts: List[str]


class Identity(NamedTuple):
    """Node to hub after the welcome and on change: what this server is. Empty text or 0 = unknown."""

    hostname: str
    machine_id: str
    os_id: str
    os_name: str
    os_version: str
    kernel: str
    architecture: str
    virtualization: str
    cpu_model: str
    cpu_cores: int
    memory_bytes: int
    package_manager: str
    timezone: str
    booted_at_ms: int
    addresses: List[str]
    """IPv4 and IPv6 addresses of this host, without loopback and link-local ones."""
    agent_version: str
    policy_mode: str
    """monitor, readonly or managed; `invalid` = the policy file is refused, so no job runs."""
    policy_verbs: List[str]
    reboot_required: str
    """yes, no or unknown."""
    units: int = 0
    """The edition of the unit files by which this Spider was started."""


class Updates(NamedTuple):
    """Node to hub: packages that could be upgraded, as the node's own lists have it."""

    total: int
    security: int
    checked_at_ms: int
    """When the lists that this rests on were last refreshed; 0 = never or unknown."""


Cell = Union[str, int, None]
"""One cell of a table; None = not known, or not to be read here."""


class Table(NamedTuple):
    """Node to hub: one subject as it stands now, in rows and columns (`tables.py` has the subjects). Only the newest of a subject counts."""

    subject: str
    taken_at_ms: int
    total: int
    """Rows that there really were, of which these are the first or the largest; -1 = reading failed this time, and there are no rows."""
    columns: List[str]
    cells: List[Optional[Union[str, int]]]
    """Row by row."""


class InstalledPackages(NamedTuple):
    """Node to hub: what is installed: all of it, or what changed. In parts where it is long."""

    since: str
    """The state that this builds on, as `PackagesHeld` named it; empty = none, this is everything."""
    digest: str
    """The state that it leads to: the first 32 hex digits of SHA-256 over `name TAB version NEWLINE`, sorted by name."""
    part: int
    """From 0."""
    parts: int
    names: List[str]
    versions: List[str]
    """Empty = not installed any more. Parallel to `names`."""


class Bundle(NamedTuple):
    """Hub to node: a part of a new version of Spider, which an order will name by its digest. In order, from offset 0."""

    digest: bytes
    """SHA-256 of all of it."""
    offset: int
    total: int
    data: bytes
    """At most MAX_BUNDLE_PART_BYTES."""


class JobAnswer(NamedTuple):
    """Node to hub: what the launcher said to an order."""

    job: str
    answer: str
    """accepted, refused, failed or error; `unreachable` = the launcher did not answer."""
    why: str
    clock_ms: int


class JobOutput(NamedTuple):
    """Node to hub: the bytes of a job's log from `offset` on."""

    job: str
    offset: int
    at_ms: int
    data: bytes


class JobProgress(NamedTuple):
    """Node to hub: where a job stands. Only the newest counts."""

    job: str
    at_ms: int
    phase: str
    """refresh, plan, waiting_lock, download, commit, triggers or check."""
    percent: int
    """0 to 100, or -1 when the package manager does not say."""
    package: str
    text: str
    stop: str = ""
    """What became of the wish to stop it: empty = none heard of, `now`, `after_package`, or `too_late`, which `text` explains."""
    output_at_ms: int = 0
    """When it last printed something; 0 = nothing yet."""
    error_code: str = ""
    """What is wrong with it while it goes on: job.orphaned (its runner was killed), job.overdue (the server waited for it in vain)."""


class JobEnded(NamedTuple):
    """Node to hub: how a job ended, by the evidence on the node. Sent again until `JobDone`."""

    job: str
    state: str
    """succeeded, failed, cancelled (it was stopped on demand), interrupted or unknown."""
    exit_code: Optional[int]
    signal: int
    """The signal that ended the process; 0 = none."""
    output_bytes: int
    output_sha256: str
    """Hex; of everything in the runner's log. Empty = not known."""
    lost_bytes: int
    """How much more was printed than `output_bytes`: the disk was full, or the log at its limit."""
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


class JobPlan(NamedTuple):
    """Node to hub: what a job is going to do, or would. Several parts where it is long, each sent again until `JobDone`."""

    job: str
    part: int
    """From 0."""
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
    """Those that stay as they are though a newer version is known."""
    kept_versions: List[str]
    kept_reasons: List[str]
    """held, phased, pinned, needs_new, needs_removal or unresolvable."""
    download_bytes: int
    """-1 = not known."""
    installed_bytes: Optional[int]
    """By how much the disk fills; negative = it frees room."""
    reboot: str
    """Whether a reboot is expected afterwards: yes, no or unknown."""
    reboot_why: str


class JobReport(NamedTuple):
    """Node to hub before `JobEnded`: what a job left to be looked after. Sent again until `JobDone`."""

    job: str
    reboot: str
    """Whether this server needs a reboot now: yes, no or unknown."""
    reboot_why: str
    services: List[str]
    """Units that still run code that was replaced."""
    config_paths: List[str]
    """Configuration files that were put beside the one in use."""
    config_diffs: List[str]
    """The difference to the one in use, cut to a bound; empty = not readable or no text. Parallel to `config_paths`."""
    failed_units: List[str]
    """Units that failed since the job began."""
    notes: List[str]
    """Anything else that a person should know, a sentence each."""


class Farewell(NamedTuple):
    """Node to hub: nothing of Stardust is left on this server. The hub forgets the node and closes with 4401."""

    why: str
    """Who took it off, for people."""
    left: str = ""
    """What could not be taken off: the hub closes with 4401 too, but keeps the node, and tells."""


ToNode = Union[Welcome, Watch, Ack, LogAck, Heartbeat, JobStart, JobAck, JobDone, JobStop, PackagesHeld, Bundle]
ToHub = Union[
    Heartbeat,
    Layout,
    Pack,
    Late,
    Gap,
    LogLines,
    Identity,
    Updates,
    Table,
    InstalledPackages,
    JobAnswer,
    JobOutput,
    JobProgress,
    JobEnded,
    JobPlan,
    JobReport,
    Farewell,
]
Message = Union[ToNode, ToHub]

KINDS_TO_NODE: Dict[int, Type[Tuple[object, ...]]] = {
    5: Welcome,
    6: Heartbeat,
    7: Ack,
    8: Watch,
    9: LogAck,
    20: JobStart,
    21: JobAck,
    22: JobDone,
    23: JobStop,
    24: PackagesHeld,
    45: Bundle,
}
KINDS_TO_HUB: Dict[int, Type[Tuple[object, ...]]] = {
    6: Heartbeat,
    10: Layout,
    11: Pack,
    12: Identity,
    13: Updates,
    14: Table,
    15: Late,
    16: Gap,
    17: LogLines,
    18: InstalledPackages,
    30: JobAnswer,
    31: JobOutput,
    32: JobProgress,
    33: JobEnded,
    34: JobPlan,
    35: JobReport,
    53: Farewell,
}
