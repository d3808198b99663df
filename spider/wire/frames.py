"""Defines every message of a session, for both ends.

Spider packs the tuples; the hub decodes and validates the same classes with msgspec.
Rules: new fields go last and have a default; nothing is renamed, re-ordered or used again; bodies are flat (no list whose items may be
containers); defaults are immutable.
Times are Unix milliseconds of the sender's clock, sizes are bytes.
"""

from typing import Dict, List, NamedTuple, Optional, Tuple, Type, Union

SUBPROTOCOL = "stardust.v1"

MAX_FRAME_BYTES = 256 * 1024
"""The largest frame that either end accepts, and the largest inflated size of a packed body."""
MAX_ITEMS = 4096
"""Most items of an array."""
MAX_TABLE_BYTES = 160 * 1024
"""Largest weight of the cells of one `Table` (`tables.weight`)."""
MAX_OUTPUT_BYTES = 32 * 1024
"""Most job output in one `JobOutput`."""
MAX_JOURNAL_LINES = 200
"""Most lines of one `JournalAnswer`."""
MAX_BUNDLE_PART_BYTES = 128 * 1024
"""Largest part of a bundle in one `Bundle`."""

JOURNAL = "journal"
"""Feature of a node that answers `JournalRequest`."""
HUB_ADDRESS = "hub-address"
"""Feature of a node that follows `HubAddress`: it has the hub's key pinned."""

OPENING_TIMEOUT_S = 10.0
HEARTBEAT_S = 20.0
SILENCE_LIMIT_S = 30.0
"""A peer that has sent nothing for this long counts as disconnected."""
OUTPUT_WINDOW_BYTES = 1024 * 1024
"""Most unacknowledged job output of a node."""

STREAM_LIVE = 0
STREAM_BACKFILL = 1
STREAM_LATE = 2
"""Stream number in acknowledgements of `Late` and `Gap`, which are counted from 0 in each session."""

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
    """Hub to node, the first frame of a session: what the hub holds already, and the interval of packs."""

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
    """Jobs that the hub holds completely, so the node need not offer them again."""


class Watch(NamedTuple):
    """Hub to node: a user watches. Send each sample of these families immediately until the lease ends; 0 ends it."""

    families: List[str]
    rhythm_s: int
    lease_s: int


class Ack(NamedTuple):
    """Hub to node: every pack of this stream up to `seq` is stored durably."""

    stream: int
    seq: int


class LogAck(NamedTuple):
    """Hub to node: log lines up to this cursor are stored durably. Lines that follow another cursor were refused. Empty = none are
    stored."""

    cursor: str


class EventsStored(NamedTuple):
    """Hub to node: these events are stored durably, or refused for ever (such as a type that the hub does not know). Forget them."""

    ids: List[str]


class Heartbeat(NamedTuple):
    """Either way, when nothing else was sent for `HEARTBEAT_S`."""

    sent_at_ms: int


class PackagesHeld(NamedTuple):
    """Hub to node, at the beginning of a session and after each `InstalledPackages`: the state of the node's packages that the hub
    holds."""

    digest: str
    """Empty = none."""


class JobStart(NamedTuple):
    """Hub to node: pass this order to the launcher. Idempotent by job id."""

    job: str
    order: bytes
    """The launcher's frame (`SDL1` …), opaque to Spider."""


class JobAck(NamedTuple):
    """Hub to node: output of this job is durably stored up to `offset`."""

    job: str
    offset: int


class JobStop(NamedTuple):
    """Hub to node: pass this order to the launcher, which asks the job's runner to stop as far as its phase allows."""

    job: str
    order: bytes
    """Like that of `JobStart`, with the verb `stop` and the id of the job to stop."""


class JobDone(NamedTuple):
    """Hub to node: the result is stored durably, so the node need not offer the job again."""

    job: str


class Layout(NamedTuple):
    """Node to hub: the series of one family, in the order of the values in its rows."""

    layout: bytes
    """The first 8 bytes of SHA-256 over family and series: equal content, equal id."""
    family: str
    rhythm_s: int
    series: List[str]
    """`cpu.total`, `disk.read{device=sda}` … Series that this host cannot have are left out."""


class Row(NamedTuple):
    """The values of one family at one moment. Sent inside `Pack.body` only."""

    taken_at_ms: int
    values: List[Optional[int]]
    """Scaled integers (`metrics.py` has the scales); null = the measurement failed."""


class Pack(NamedTuple):
    """Node to hub: rows of one layout, oldest first. Acknowledged by (stream, seq)."""

    stream: int
    seq: int
    layout: bytes
    coding: int
    body: bytes
    """MessagePack list of `bin`, each one encoded `Row`; compressed when `coding` is CODING_ZLIB."""


class Late(NamedTuple):
    """Node to hub: a pack from the node's spool. Stored once by (journal, number), acknowledged by `Ack(STREAM_LATE, seq)`."""

    seq: int
    """Counts the `Late` and `Gap` of this session from 0."""
    journal: bytes
    """16 bytes that identify the writer. The numbers of one journal only rise."""
    number: int
    sent_epoch: int
    """The session in which it was sent as a `Pack` without an answer. If that session's marks cover it, the hub holds it already. 0 =
    never sent."""
    sent_stream: int
    sent_seq: int
    layout: bytes
    coding: int
    body: bytes


class Gap(NamedTuple):
    """Node to hub: rows of a family that were measured and are lost for ever. Counted, stored and acknowledged like `Late`."""

    seq: int
    journal: bytes
    number: int
    sent_epoch: int
    sent_stream: int
    sent_seq: int
    family: str
    first_ms: int
    """The node's time of the first and of the last lost row."""
    last_ms: int
    rows: int
    """0 = the number is unknown, because the disk damaged the records that name it. The rows may then be of other families, too."""


class LogLines(NamedTuple):
    """Node to hub: lines of the system log that follow `after`, oldest first. Without lines: asks which lines the hub holds."""

    after: str
    """The journal's cursor of the line before the first; empty = nothing was sent yet."""
    cursor: str
    """The journal's cursor of the last line here."""
    left_out: int
    """Number of lines since `after` that were dropped because there were too many."""
    at_ms: List[int]
    priorities: List[int]
    """0 to 7, as syslog(3) counts. Parallel to `at_ms`, as are the following fields."""
    sources: List[str]
    """The systemd unit, else the program."""
    texts: List[str]


class Identity(NamedTuple):
    """Node to hub after the welcome and on change: properties of this server. Empty text or 0 = unknown."""

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
    """Edition of the unit files that started this Spider."""
    policy_units: str = ""
    """Names and patterns of the units that the policy allows verbs on, separated by commas as in its line `units`."""
    policy_journal: str = "off"
    """Lines of the journal that the policy allows the hub to request: off, warning or all."""
    policy_containers: str = ""
    """Names and patterns of the containers that the policy allows verbs on, separated by commas as in its line `containers`."""


class Updates(NamedTuple):
    """Node to hub: packages that could be upgraded, by the node's own package lists."""

    total: int
    security: int
    checked_at_ms: int
    """When those package lists were last refreshed; 0 = never or unknown."""


Cell = Union[str, int, None]
"""One cell of a table; None = unknown, or not readable on this host."""


class Table(NamedTuple):
    """Node to hub: the present state of one subject, in rows and columns (`tables.py` has the subjects). Only the newest table of a
    subject counts."""

    subject: str
    taken_at_ms: int
    total: int
    """The true number of rows, of which these are the first or the largest; -1 = reading failed, and there are no rows."""
    columns: List[str]
    cells: List[Optional[Union[str, int]]]
    """The cells, row by row."""


class InstalledPackages(NamedTuple):
    """Node to hub: all installed packages, or the changes. Split into parts if it is long."""

    since: str
    """The state that the changes start from, as named by `PackagesHeld`; empty = none, this is the whole list."""
    digest: str
    """The state after the changes: the first 32 hex digits of SHA-256 over `name TAB version NEWLINE`, sorted by name."""
    part: int
    """Number of this part, from 0."""
    parts: int
    names: List[str]
    versions: List[str]
    """Empty = no longer installed. Parallel to `names`."""


class Bundle(NamedTuple):
    """Hub to node: a part of a new version of Spider, which an order then names by its digest. Sent in order, from offset 0."""

    digest: bytes
    """SHA-256 of the whole bundle."""
    offset: int
    total: int
    data: bytes
    """At most MAX_BUNDLE_PART_BYTES."""


class JobAnswer(NamedTuple):
    """Node to hub: the launcher's answer to an order."""

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
    """Node to hub: the progress of a job. Only the newest counts."""

    job: str
    at_ms: int
    phase: str
    """refresh, plan, waiting_lock, download, commit, triggers or check."""
    percent: int
    """0 to 100, or -1 when the package manager does not say."""
    package: str
    text: str
    stop: str = ""
    """Effect of a stop request: empty = no request was seen, `now`, `after_package`, or `too_late`, which `text` explains."""
    output_at_ms: int = 0
    """When it last printed something; 0 = nothing yet."""
    error_code: str = ""
    """A problem of a running job: job.orphaned (its runner was killed), job.overdue (the server waited for it in vain)."""


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
    """Hex SHA-256 of the runner's whole log. Empty = unknown."""
    lost_bytes: int
    """Bytes that were printed beyond `output_bytes`: the disk was full, or the log at its limit."""
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
    """Diff to the file in use, cut to a limit; empty = not readable or not text. Parallel to `config_paths`."""
    failed_units: List[str]
    """Units that failed since the job began."""
    notes: List[str]
    """Other notes for a person, one sentence each."""


class Events(NamedTuple):
    """Node to hub: events, oldest first (`events.py` has their types). Sent again until `EventsStored` names their ids."""

    ids: List[str]
    """An id that the node made, unique for ever on this node: the same id is stored once."""
    types: List[str]
    """Parallel to `ids`, as are the following fields."""
    at_ms: List[int]
    messages: List[str]
    """One line. Empty for what Spider itself found."""
    details: List[str]
    """A JSON object of short texts and integers; empty text = no details."""


class Farewell(NamedTuple):
    """Node to hub: nothing of Stardust is left on this server. The hub forgets the node and closes with 4401."""

    why: str
    """Who uninstalled it, as text."""
    left: str = ""
    """What could not be removed. If it is not empty, the hub also closes with 4401, but keeps the node and reports this text."""


class JournalRequest(NamedTuple):
    """Hub to node: answer with the last lines of a unit's journal. Sent only to a node with the feature `JOURNAL`."""

    request: int
    """The number of this request in the session."""
    unit: str
    lines: int
    """At most MAX_JOURNAL_LINES."""
    level: str
    """warning: warnings and worse; all. The owner's policy may show less."""


class JournalAnswer(NamedTuple):
    """Node to hub: the last lines of a unit's journal, oldest first. Neither end stores them."""

    request: int
    refused: str
    """Why there are no lines: policy (the owner shows none), bad-unit, busy, unreadable (`text` says why), slow; empty = here they are."""
    text: str
    left_out: int
    """Number of older ones of the requested lines that did not fit."""
    at_ms: List[int]
    priorities: List[int]
    """0 to 7, as syslog(3) counts. Parallel to `at_ms`, as is the following field."""
    texts: List[str]


class HubAddress(NamedTuple):
    """Hub to node, once in a session: dial this host from now on. Sent only to a node with the feature `HUB_ADDRESS`."""

    address: str
    """An IP address or a host name in lower case. Scheme, port, path and pinned keys stay those of spider.conf."""


ToNode = Union[
    HubAddress,
    JournalRequest,
    Welcome,
    Watch,
    Ack,
    LogAck,
    Heartbeat,
    JobStart,
    JobAck,
    JobDone,
    JobStop,
    PackagesHeld,
    Bundle,
    EventsStored,
]
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
    Events,
    JournalAnswer,
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
    25: EventsStored,
    26: JournalRequest,
    27: HubAddress,
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
    19: Events,
    30: JobAnswer,
    31: JobOutput,
    32: JobProgress,
    33: JobEnded,
    34: JobPlan,
    35: JobReport,
    36: JournalAnswer,
    53: Farewell,
}
