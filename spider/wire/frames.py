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
MAX_OUTPUT_BYTES = 32 * 1024
"""The most job output one `JobOutput` carries."""

OPENING_TIMEOUT_S = 10.0
HEARTBEAT_S = 20.0
SILENCE_LIMIT_S = 30.0
"""A peer that has sent nothing for this long is gone."""
OUTPUT_WINDOW_BYTES = 1024 * 1024
"""The most job output a node sends ahead of the hub's acknowledgement."""

STREAM_LIVE = 0
STREAM_BACKFILL = 1

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


class Heartbeat(NamedTuple):
    """Either way, when nothing else was sent for `HEARTBEAT_S`."""

    sent_at_ms: int


class JobStart(NamedTuple):
    """Hub to node: hand this order to the launcher. Idempotent by job id."""

    job: str
    order: bytes
    """The launcher's frame (`SDL1` …), opaque to Spider."""


class JobAck(NamedTuple):
    """Hub to node: output of this job is durably stored up to `offset`."""

    job: str
    offset: int


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


class Updates(NamedTuple):
    """Node to hub: packages that could be upgraded, as the node's own lists have it."""

    total: int
    security: int
    checked_at_ms: int
    """When the lists that this rests on were last refreshed; 0 = never or unknown."""


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


class JobEnded(NamedTuple):
    """Node to hub: how a job ended, by the evidence on the node. Sent again until `JobDone`."""

    job: str
    state: str
    """succeeded, failed, interrupted or unknown."""
    exit_code: Optional[int]
    signal: int
    """The signal that ended the process; 0 = none."""
    output_bytes: int
    output_sha256: str
    """Hex; of everything in the runner's log. Empty = not known."""
    lost_bytes: int
    """Output that could not be written on the node (full disk)."""
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


ToNode = Union[Welcome, Watch, Ack, Heartbeat, JobStart, JobAck, JobDone]
ToHub = Union[Heartbeat, Layout, Pack, Identity, Updates, JobAnswer, JobOutput, JobProgress, JobEnded]
Message = Union[ToNode, ToHub]

KINDS_TO_NODE: Dict[int, Type[Tuple[object, ...]]] = {
    5: Welcome,
    6: Heartbeat,
    7: Ack,
    8: Watch,
    20: JobStart,
    21: JobAck,
    22: JobDone,
}
KINDS_TO_HUB: Dict[int, Type[Tuple[object, ...]]] = {
    6: Heartbeat,
    10: Layout,
    11: Pack,
    12: Identity,
    13: Updates,
    30: JobAnswer,
    31: JobOutput,
    32: JobProgress,
    33: JobEnded,
}
