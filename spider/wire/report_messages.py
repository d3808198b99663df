"""The messages of a session about the server: identity, packages, tables, log lines and events. The rules for changes are in `frames.py`."""

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

MAX_TABLE_BYTES = 160 * 1024
"""Largest weight of the cells of one `Table` (`table_rows.weight`)."""
MAX_JOURNAL_LINES = 200
"""Most lines of one `JournalAnswer`."""
MAX_LOOK_S = 4 * 3600
"""Longest lease of a `LookOrder`."""
MAX_LOOK_UNITS = 2000
MAX_LOOK_PORTS = 1000
MAX_PROBES = 20
EPHEMERAL_PORT = 32_768
"""Looks name ports below this one. Those from here on come and go with the programs that dial."""


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
    policy_lines: str = ""
    """Further lines of the policy that name what verbs may touch, as in the file: `key = name, name`, one a line."""
    revision: str = ""
    """The revision of git from which the configuration that runs here was built (NixOS, nix-darwin, Home Manager)."""
    generation: int = 0
    """The number of this configuration's generation."""
    location: str = ""
    """Where this host is, by its owner's file: cloud, home, work or another word."""
    other_patchers: str = ""
    """What else patches this server by itself, such as unattended-upgrades, with commas between; `none`."""
    support_end: str = ""
    """The day on which the support of this release ends, by its os-release, such as 2027-05-12."""


def policy_fields(lines: Iterable[Tuple[str, Sequence[str]]]) -> Dict[str, Any]:
    """The fields of `Identity` for these lines of a policy file: a field of their own, or else a line of `policy_lines`."""
    texts = {line: ", ".join(names) for line, names in lines}
    fields = {"policy_" + line: text for line, text in texts.items() if "policy_" + line in Identity._fields}
    further = [f"{line} = {text}" for line, text in texts.items() if "policy_" + line not in fields]
    return {**fields, "policy_lines": "\n".join(further)}


def policy_line(identity: Identity, line: str) -> str:
    """The names of a line of the policy file, as the file has them. Empty: there is no such line."""
    further = dict(text.split(" = ", 1) for text in identity.policy_lines.split("\n") if " = " in text)
    return str(getattr(identity, "policy_" + line, further.get(line, "")))


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
    """The true number of rows. The table may have only the first or the largest of them. -1 = reading failed, and there are no rows."""
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


class PackagesHeld(NamedTuple):
    """Hub to node, at the beginning of a session and after each `InstalledPackages`: the package list that the hub holds."""

    digest: str
    """As in `InstalledPackages`; empty = no list."""


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


class LogAck(NamedTuple):
    """Hub to node: log lines up to this cursor are stored durably. Lines that follow another cursor were refused."""

    cursor: str
    """Empty = no lines are stored."""


class Events(NamedTuple):
    """Node to hub: events, oldest first (`events.py` has their types). Sent again until `EventsStored` names their ids."""

    ids: List[str]
    """An id that the node made, unique for ever on this node: the same id is stored once."""
    types: List[str]
    """Parallel to `ids`, as are the following fields."""
    at_ms: List[int]
    messages: List[str]
    """One line. Empty for events that Spider itself found."""
    details: List[str]
    """A JSON object of short texts and integers; empty text = no details."""


class EventsStored(NamedTuple):
    """Hub to node: forget these events. The hub has stored them durably, or refuses them for ever, such as a type that it does not know."""

    ids: List[str]


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
    """Why there are no lines: policy (the owner shows none), bad-unit, busy, unreadable (`text` says why), slow; empty = not refused."""
    text: str
    left_out: int
    """Number of requested lines that did not fit: the oldest."""
    at_ms: List[int]
    priorities: List[int]
    """0 to 7, as syslog(3) counts. Parallel to `at_ms`, as is the following field."""
    texts: List[str]


class LookOrder(NamedTuple):
    """Hub to node: look at units, ports, mounts and probes every few seconds while a roll-out has this node in hand.

    Sent only to a node with the feature `LOOKS`. The node keeps looking without a hub until the lease ends. After each order it sends what the
    present session has not got yet.
    """

    order: str
    """Names the roll-out. Another name begins anew, and drops the looks of the one before."""
    lease_s: int
    """At most MAX_LOOK_S. 0: end the looks of this name."""
    looks_s: int
    """Seconds between two looks. A node on which they cost too much looks less often."""
    probes: List[str]
    """What must answer, each as in `probes.py`; at most MAX_PROBES."""


class Looked(NamedTuple):
    """Node to hub: a run of looks that all showed the same. The hub compares and judges; the node only tells."""

    order: str
    from_ms: int
    """When the first look of the run was taken. It names the run."""
    to_ms: int
    looks: int
    absent: List[str]
    """Parts that this host cannot have: units, ports, mounts."""
    unreadable: List[str]
    """Parts that could not be read this time, and are empty here."""
    failed: List[str]
    """Failed units, also while they are tried again."""
    restarting: List[str]
    """Units that wait to be restarted by systemd."""
    active: List[str]
    """Services, sockets and timers that are active."""
    restarted: List[str]
    """Services that systemd has restarted by itself since they were started by somebody."""
    restarts: List[int]
    """How often. Parallel to `restarted`."""
    ports: List[str]
    """`tcp 80 nginx.service`: protocol, port, and the service or process that listens. Without ports from EPHEMERAL_PORT on."""
    mounts: List[str]
    full_percent: List[int]
    """How full each of `mounts` is, rounded down; -1: unknown."""
    read_only: List[str]
    """Those of `mounts` that are read-only."""
    oom_kills: int
    """Processes that the kernel has killed for want of memory since boot; -1: unknown."""
    probes: List[str]
    answers: List[str]
    """`ok`, or why not. Parallel to `probes`."""


class LookedOn(NamedTuple):
    """Node to hub: the newest run goes on."""

    order: str
    from_ms: int
    to_ms: int
    looks: int
