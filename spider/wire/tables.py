"""The catalogue of tables: their columns with units, their interval, and their largest size.

A node never sends a subject that its host cannot have, such as systemd's units where there is no systemd. New columns go last; a hub ignores
columns that it does not know.
"""

from typing import Dict, List, NamedTuple, Tuple

TEXT, INT, SCALED = "text", "int", "scaled"

FAILED = -1
"""`Table.total` of a reading that failed."""
RESEND_S = 3600
"""An unchanged table is sent again after this long."""
QUICKEST_S = 5
"""Shortest interval of any table."""


class Column(NamedTuple):
    """One column. A cell may always be None: unknown, or not readable on this host."""

    name: str
    kind: str
    """text, int, or scaled: an integer, `round(value * scale)`."""
    unit: str = ""
    """Unit, as in `metrics.py`; `time` = Unix seconds, on the wire as milliseconds."""
    scale: int = 1
    most: int = 200
    """Most characters of a text."""
    volatile: bool = False
    """A change in this column alone does not cause the table to be sent."""
    kept: bool = False
    """In this column None may also mean: as in the row with the same key in the previous table."""


class Subject(NamedTuple):
    """One table."""

    name: str
    columns: Tuple[Column, ...]
    key: Tuple[str, ...]
    """Columns that identify a row."""
    interval_s: int
    """Seconds between two readings."""
    watched_s: int
    """The same while a user watches the node (`Watch` with this name as a family). For a user who waits for a change, the hub may ask for
    less, down to `QUICKEST_S`."""
    max_rows: int
    about: str
    """Its content, its order, and its source."""
    rests_s: int = 0
    """Shortest interval of sending the newest reading while nobody watches; 0: a change is sent immediately."""


def _text(name: str, most: int = 200, *, kept: bool = False) -> Column:
    return Column(name, TEXT, most=most, kept=kept)


def _int(name: str, unit: str = "", *, volatile: bool = False) -> Column:
    return Column(name, INT, unit, volatile=volatile)


def _scaled(name: str, unit: str, scale: int, *, volatile: bool = False) -> Column:
    return Column(name, SCALED, unit, scale, volatile=volatile)


def _time(name: str, *, volatile: bool = False) -> Column:
    return _scaled(name, "time", 1000, volatile=volatile)


SUBJECTS: List[Subject] = [
    Subject(
        "processes",
        (
            _int("pid"),
            _time("started_at"),
            _text("name", 64),
            _text("user", 64),
            _text("state", 16),
            _int("threads"),
            _scaled("cpu", "percent", 100),
            _int("memory", "bytes"),
            _int("read", "bytes/s"),
            _int("written", "bytes/s"),
            _text("command", 512, kept=True),
        ),
        ("pid", "started_at"),
        5,
        5,
        60,
        """The 30 processes that use the most CPU and the 30 that use the most memory, sorted by CPU, then memory. `total`: all
        processes that Spider sees.

        state: running, sleeping, waiting (for a disk), stopped, traced, zombie, idle or dead. cpu: percent of one core since the previous
        reading. memory: resident set (RSS). read, written: traffic of the disks; an unprivileged Spider sees only that of its own user's
        processes. command: the arguments, empty for a thread of the kernel; words after a key that names a secret are masked.
        Source: proc_pid_stat(5), proc_pid_io(5), proc_pid_cmdline(5).""",
        60,
    ),
    Subject(
        "services",
        (_text("unit"), _text("description"), _text("state", 32), _text("result", 32), _time("since"), _int("restarts")),
        ("unit",),
        30,
        15,
        100,
        """First the units of systemd that failed, with those that wait for a restart, by name. Then the services that systemd has restarted by
        itself in the last hour. A unit that failed and runs again stays failed until it was active or ended with success. Of more than
        10 failed instances of a template, a row with the template's name counts the rest. If there are more units than rows, enabled ones
        come first, then those that are no instances.

        state: failed, auto-restart, or the present state of a restarted service (running …). result: why it failed (exit-code, signal,
        timeout, oom-kill …), where the kind of unit has one. restarts: how often systemd has restarted it by itself since somebody last
        started it; none = not counted (systemd before 235). Source: org.freedesktop.systemd1(5) on the system bus:
        ListUnitsByPatterns, the properties Result, StateChangeTimestamp and NRestarts; /run/systemd/units says which service has started.""",
    ),
    Subject(
        "units",
        (_text("unit"), _text("description", 120), _text("state", 32), _time("since")),
        ("unit",),
        300,
        15,
        400,
        """Services, sockets and timers of systemd that are loaded: failed ones first, then active ones, by name.

        state: failed, or systemd's word for what the unit does (running, exited, listening, waiting, dead …). since: when it was last
        started; none = not since the boot, or a systemd before 239. Source: org.freedesktop.systemd1(5) on the system bus:
        ListUnitsByPatterns; the links in /run/systemd/units.""",
        3600,
    ),
    Subject(
        "timers",
        (_text("unit"), _text("activates"), _time("next_at"), _time("last_at")),
        ("unit",),
        300,
        60,
        200,
        """Active timers of systemd, by name; next_at: none = it does not wait for a time, last_at: none = never.

        Source: org.freedesktop.systemd1(5): NextElapseUSecRealtime, NextElapseUSecMonotonic, LastTriggerUSec.""",
    ),
    Subject(
        "users",
        (_text("user", 64), _text("terminal", 64), _text("from"), _time("since")),
        ("user", "terminal", "since"),
        60,
        15,
        100,
        """Log-in sessions, oldest first; from: the remote host, empty = this host.

        Source: utmp(5) whose process still lives; where no utmp is kept, the sessions of org.freedesktop.login1(5).""",
    ),
    Subject(
        "listening",
        (_text("protocol", 8), _text("address", 64), _int("port"), _text("user", 64), _text("service"), _int("pid"), _text("process", 64)),
        ("protocol", "address", "port", "service"),
        300,
        30,
        256,
        """Sockets that wait for peers, by port: tcp, tcp6 (listening), udp, udp6 (bound and not connected).

        service: the unit or container of the process that made the socket. pid, process: only for processes of Spider's own user, unless
        Spider runs as root.
        Source: sock_diag(7) with the socket's cgroup (kernel 5.8 on), /proc/PID/fd.""",
    ),
    Subject(
        "interfaces",
        (
            _text("name", 32),
            _text("kind", 32),
            _text("mac", 64),
            _text("state", 16),
            _int("speed", "bits/s"),
            _int("mtu", "bytes"),
            _text("addresses", 2000),
            _int("ports"),
        ),
        ("name",),
        60,
        15,
        128,
        """Network interfaces in the kernel's order. Virtual interfaces in a bridge (veth, tap) are counted in the bridge's `ports`, not listed.

        kind: physical, loopback, or the kernel's word (bridge, vlan, bond, wireguard, tun …). state: up, down, dormant, lowerlayerdown, unknown.
        addresses: with prefix, separated by ", ". Source: rtnetlink(7), /sys/class/net/NAME/speed.""",
    ),
    Subject(
        "disks",
        (
            _text("name", 64),
            _text("kind", 16),
            _text("parents"),
            _text("model", 64),
            _text("serial", 64),
            _int("size", "bytes"),
            _int("rotational"),
            _text("mounts", 1000),
        ),
        ("name",),
        300,
        60,
        256,
        """Block devices, each before the devices that are built on it.

        kind: disk, part, lvm, crypt, dm, a level of md (raid1 …), loop, zram or rom. name: the mapped name, for device mapper. parents: the
        devices that it is built on, separated by ", ". rotational: 1, 0. mounts: where it is mounted, separated by ", "; [SWAP]. Loop devices without a file and empty drives are left out.
        Source: /sys/block, /sys/class/block (Documentation/ABI/stable/sysfs-block), /proc/1/mountinfo, /proc/swaps.""",
    ),
    Subject(
        "arrays",
        (
            _text("name", 64),
            _text("kind", 16),
            _text("level", 32),
            _text("state", 32),
            _int("devices"),
            _int("missing"),
            _int("errors"),
            _text("action", 16),
            _scaled("progress", "percent", 100, volatile=True),
        ),
        ("kind", "name"),
        60,
        15,
        128,
        """Arrays and pools: md, zfs, btrfs, by kind and name.

        state: the kernel's word (md: clean, active, inactive …; zfs: online, degraded, faulted …; btrfs: ok, degraded). missing: number of missing
        devices. errors: errors of its devices since their counters were reset (btrfs), or sectors that differ (md). action: resync, recover, check, repair, reshape; empty = none.
        Source: Documentation/admin-guide/md.rst, /proc/spl/kstat/zfs, Documentation/ABI/testing/sysfs-fs-btrfs.""",
    ),
    Subject(
        "containers",
        (
            _text("engine", 16),
            _text("id", 64),
            _text("name"),
            _text("state", 16),
            _text("image"),
            _int("restarts"),
            _int("oom_kills"),
            _time("started_at"),
        ),
        ("engine", "id"),
        60,
        15,
        200,
        """Containers, by engine and name.

        engine: docker, podman, lxc, nspawn, kubernetes, containerd, crio, libvirt (a virtual machine). id: twelve digits, or the name where names are the ids.
        state: running or frozen (by the cgroup), unhealthy (running, and unhealthy by its engine), stopped (its cgroup existed for ten minutes
        or longer, and disappeared within the last hour, or its engine lists it as exited since).
        Spider knows the name, other states and the image of a container only if the owner's policy names it, or Spider may read the engine's
        socket. restarts: how often its cgroup was made anew since Spider first saw the container. oom_kills: processes that the kernel killed for lack
        of memory since the container started.
        started_at: the start of its oldest process. Source: names of cgroups, memory.events, cgroup.procs, proc_pid_stat(5); the engine's HTTP socket.""",
    ),
    Subject(
        "updates",
        (_text("package"), _text("installed", 100), _text("candidate", 100), _text("security", 8), _text("repository", 100)),
        ("package",),
        60,
        60,
        600,
        """Packages with a newer version in this node's lists, by name; read hourly, after each job and after other changes of packages.

        security: yes, no, or unknown where the sources do not say. repository: empty = not known. Source: the package manager, run as
        Spider's user.""",
    ),
    Subject(
        "held",
        (_text("package"), _text("installed", 100), _text("why", 16)),
        ("package",),
        60,
        60,
        600,
        """Packages that stay as they are, by name.

        why: held: the owner does not want them changed (held, locked, excluded or ignored, as the manager calls it); phased: their update
        comes to this host later (apt). An older agent tells held ones alone, without this column.
        Read with `updates`. Source: the package manager's own database and settings.""",
    ),
    Subject(
        "package_faults",
        (_text("package"), _text("fault", 400)),
        ("package",),
        60,
        60,
        600,
        """Packages whose installation did not finish, by name. Read with `updates`, and every five minutes while there are any. A row
        without a name is a fault of the whole database (an unfinished transaction, a lock that was left).

        While packages are being changed, the table stays as it was. Source: the package manager, run as Spider's user.""",
    ),
    Subject(
        "repositories",
        (_text("name"), _time("refreshed_at"), _text("state", 16)),
        ("name",),
        60,
        60,
        200,
        """The enabled repositories, by name; refreshed_at: when their list was last refreshed or found unchanged. Read with `updates`.

        state: current; missing (there is no list); expired (by the date in the list); refused (the last refresh by a job failed here);
        unknown (that refresh failed, and it is not known where). apt and apk store one time for all repositories.
        Source: the files of the package manager, read as Spider's user.""",
    ),
    Subject(
        "boots",
        (_text("boot", 32), _time("booted_at", volatile=True), _text("clean", 8), _time("down_at")),
        ("boot",),
        300,
        60,
        4,
        """The present boot, and how the previous one ended.

        clean: whether the previous boot ended in an orderly way: yes (a shutdown), no (power failure, crash, reset), unknown (Spider ran for
        the first time, and there is no other record). down_at: when that shutdown began, none = unknown. booted_at changes with the clock.
        Source: Spider's own record, which Spider writes when it is stopped; wtmp(5) where the host has one.""",
    ),
    Subject(
        "batteries",
        (
            _text("name", 64),
            _text("kind", 16),
            _text("status", 32),
            _scaled("charge", "percent", 100, volatile=True),
            _scaled("health", "percent", 100),
            _int("cycles"),
            _text("model", 64),
        ),
        ("name",),
        60,
        30,
        32,
        """Batteries and uninterruptible supplies, by name; health: present capacity in percent of the designed one.

        kind: battery or ups. status: charging, discharging, full, not charging, unknown.
        Source: Documentation/ABI/testing/sysfs-class-power.""",
    ),
]
BY_NAME: Dict[str, Subject] = {subject.name: subject for subject in SUBJECTS}
