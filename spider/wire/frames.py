"""The messages of a session, for both ends, and their limits and close codes.

Messages about jobs, samples and the server are in `job_messages.py`, `sample_messages.py` and `report_messages.py`.

Spider packs the tuples; the hub decodes and validates the same classes with msgspec.
Rules: new fields go last and have a default; nothing is renamed, re-ordered or used again; bodies are flat (no list whose items may be
containers); defaults are immutable.
Times are Unix milliseconds of the sender's clock, sizes are bytes.
"""

from typing import Dict, List, NamedTuple, Tuple, Type, Union

from spider.wire.job_messages import (
    Bundle,
    JobAck,
    JobAnswer,
    JobDone,
    JobEnded,
    JobOutput,
    JobPlan,
    JobProgress,
    JobReport,
    JobStart,
    JobStop,
)
from spider.wire.report_messages import (
    Events,
    EventsStored,
    Identity,
    InstalledPackages,
    JournalAnswer,
    JournalRequest,
    LogAck,
    LogLines,
    Looked,
    LookedOn,
    LookOrder,
    PackagesHeld,
    Table,
    Updates,
)
from spider.wire.sample_messages import Ack, Gap, Late, Layout, Pack, Watch

SUBPROTOCOL = "stardust.v1"

MAX_FRAME_BYTES = 256 * 1024
"""The largest frame that either end accepts, and the largest inflated size of a packed body."""
MAX_ITEMS = 4096
"""Most items of an array."""

JOURNAL = "journal"
"""Feature of a node that answers `JournalRequest`."""
LOOKS = "looks"
"""Feature of a node that follows `LookOrder`."""
HUB_ADDRESS = "hub-address"
"""Feature of a node that follows `HubAddress`: it has the hub's key pinned."""

OPENING_TIMEOUT_S = 10.0
HEARTBEAT_S = 20.0
SILENCE_LIMIT_S = 30.0
"""A peer that has sent nothing for this long counts as disconnected."""

# docs/wire.md says when each end closes with which code.
CLOSE_PROTOCOL = 4400
CLOSE_UNKNOWN = 4401
CLOSE_HOST = 4403
CLOSE_SLOW = 4408
CLOSE_CLONE = 4409
CLOSE_GOING_AWAY = 4410
CLOSE_TOO_BIG = 1009


class Welcome(NamedTuple):
    """Hub to node, the first frame of a session: the data that the hub holds already, and the interval of packs."""

    epoch: int
    hub_time_ms: int
    pack_s: int
    """Seconds of samples in one pack while nobody watches."""
    live_seq: int
    """The hub holds this boot's live stream up to this sequence number; -1 = nothing."""
    backfill_seq: int
    job_ids: List[str]
    """Jobs whose output the hub still needs; parallel to `job_offsets`."""
    job_offsets: List[int]
    forget_jobs: List[str]
    """Jobs that the hub holds completely, so the node need not offer them again."""


class Heartbeat(NamedTuple):
    """In both directions, when nothing else was sent for `HEARTBEAT_S`."""

    sent_at_ms: int


class Farewell(NamedTuple):
    """Node to hub: nothing of Stardust is left on this server. The hub forgets the node and closes with 4401."""

    why: str
    """Who uninstalled it, as text."""
    left: str = ""
    """What could not be removed. If it is not empty, the hub also closes with 4401, but keeps the node and reports this text."""


class HubAddress(NamedTuple):
    """Hub to node, once in a session: dial this host from now on. Sent only to a node with the feature `HUB_ADDRESS`."""

    address: str
    """An IP address or a host name in lower case. Scheme, port, path and pinned keys stay those of spider.conf."""


ToNode = Union[
    HubAddress,
    JournalRequest,
    LookOrder,
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
    Looked,
    LookedOn,
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
    28: LookOrder,
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
    37: Looked,
    38: LookedOn,
    53: Farewell,
}
GROWN: Dict[str, Dict[Type[Tuple[object, ...]], int]] = {
    "fields-2": {Identity: 20, JobPlan: 16},
    "fields-3": {Identity: 24},
    "fields-4": {Identity: 27},
}
"""Feature of a hub -> the messages that have grown since, with the number of fields that a hub without the feature takes. Such a hub ends the
session at one field more. Whoever gives a message a field that Spider sends adds a feature here."""
