"""Reboots the host, and compares its services, ports and mounts before and after the reboot.

Root's runner records the state and requests the reboot. After the boot the unprivileged Spider reads the new state and compares.
"""

import os
import re
import subprocess
import time
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from spider.files import read_file, read_text
from spider.mountinfo import Mount, parse_mounts, unescape
from spider.root import systemctl_shim
from spider.root.systemd_programs import systemd_program
from spider.wire.sentences import name_list, sentence

COMMAND_LIMIT_S = 20.0
REBOOT_LIMIT_S = 40 * 60.0
"""How long a shutdown may take: a job that is still ending, and units that stop slowly, delay it."""
SETTLE_LIMIT_S = 120.0
"""The comparison waits at most this long after the boot for units to start."""
MOST_NAMED = 50
_PSEUDO = frozenset(
    {"autofs", "bpf", "binfmt_misc", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs", "mqueue", "nsfs", "overlay", "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs", "tmpfs", "tracefs"}
)  # fmt: skip
_IN_FSTAB = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "vfat", "nfs", "nfs4", "cifs"})
_FLEETING = re.compile(r"(?:user(?:-runtime-dir)?|session|stardust-(?:job|launcher)|systemd-fsck|getty|serial-getty)@.*|run-.*\.service\Z")
_LISTEN, _UDP_BOUND = "0A", "07"
_INHIBITED = frozenset(
    {"shutdown", "sleep", "idle", *(f"handle-{key}" for key in ("power-key", "suspend-key", "hibernate-key", "reboot-key", "lid-switch"))}
)
"""The words of the column WHAT. Source: systemd-inhibit(1)."""


class RebootState(NamedTuple):
    """Services, ports and mounts of a host, each sorted."""

    running: Tuple[str, ...]
    """Running services that are enabled at boot or were started by hand."""
    failed: Tuple[str, ...]
    """Failed units."""
    ports: Tuple[str, ...]
    """Bound ports, such as `tcp 22` and `udp 53`."""
    mounts: Tuple[str, ...]
    """Mount points of real file systems."""
    routes: Tuple[str, ...] = ()
    """`IPv4`, `IPv6`: what has a default route."""
    by_hand: Tuple[str, ...] = ()
    """Those of `running` that nothing starts at boot."""
    kernel: Tuple[str, ...] = ()
    """The release of the running kernel; empty: an older version wrote the record."""
    passed_over: Tuple[str, ...] = ()
    """Newer installed kernels that the last boot did not start."""


class RebootRequest(NamedTuple):
    """The record of a reboot job, written before the reboot is requested."""

    boot: str
    """Id of the boot before the reboot."""
    asked_at: float
    """Unix seconds by this node's clock."""
    state: RebootState
    """The state before the reboot."""
    log_bytes: int
    log_sha256: str
    """Hex SHA-256 of the job's log."""
    lost: int
    """Bytes of output that are not in the log."""
    need: str = ""
    """Whether it was needed: yes, no, unknown; empty: an older version wrote the record."""
    need_why: str = ""


class Inhibited(Exception):
    """A shutdown inhibitor is active. The text has its owner and its reason."""


def _run(*argv: str) -> Tuple[int, str, str]:
    """Exit status, standard output and standard error; -1 when the program could not run."""
    env = {**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": "400"}
    try:
        done = subprocess.run(list(argv), stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_LIMIT_S, check=False, env=env)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return -1, "", str(exc)
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def _systemctl(*words: str) -> str:
    return _run(systemd_program("systemctl"), "--no-pager", "--no-legend", "--plain", *words)[1]


def parse_units(text: str) -> FrozenSet[str]:
    """The names in the first column of `systemctl list-units` and `list-unit-files`, without short-lived units."""
    names = (line.lstrip("● *").split(" ", 1)[0] for line in text.split("\n"))
    return frozenset(name for name in names if "." in name and not _FLEETING.match(name))


def parse_by_hand(text: str) -> FrozenSet[str]:
    """The services that were started by hand, from `systemctl show` of running services.

    Neither the boot nor a socket, a timer or the bus starts them.
    """
    found = set()
    for paragraph in text.split("\n\n"):
        properties = dict(line.split("=", 1) for line in paragraph.split("\n") if "=" in line)
        if properties.get("UnitFileState") == "disabled" and not properties.get("TriggeredBy") and not properties.get("BusName"):
            found.add(properties.get("Id", ""))
    return frozenset(found - {""})


def parse_ports(text: str, protocol: str, state: str) -> FrozenSet[str]:
    """Bound ports of a table like /proc/net/tcp, as `tcp 22`. Args: state: the state in hexadecimal, as the table prints it."""
    found = set()
    for line in text.split("\n")[1:]:
        words = line.split()
        if len(words) > 3 and words[3] == state:
            port = words[1].rpartition(":")[2]
            try:
                found.add(f"{protocol} {int(port, 16)}")
            except ValueError:  # not a line of the table
                continue
    return frozenset(found)


def lasting(mounts: Sequence[Mount]) -> FrozenSet[str]:
    """Mount points of real file systems that should be there after a boot.

    Nothing below /run outlives a boot, and what an automounter (autofs) mounts comes back when it is used.
    """
    automounters = {one.point for one in mounts if one.kind == "autofs"}
    found = {one.point for one in mounts if one.kind not in _PSEUDO}
    return frozenset(point for point in found if not point.startswith("/run/") and not {point, os.path.dirname(point)} & automounters)


def read_reboot_state() -> RebootState:
    """The state of this host now. What cannot be read is empty. Blocks for up to 80 s."""
    running = parse_units(_systemctl("list-units", "--type=service", "--state=running"))
    enabled = parse_units(_systemctl("list-unit-files", "--type=service", "--state=enabled,enabled-runtime,generated"))
    bases = {re.sub(r"@.*\.", "@.", name) for name in enabled} | enabled
    meant = {name for name in running if name in bases or re.sub(r"@.*\.", "@.", name) in bases}
    others = sorted(running - meant)
    by_hand: FrozenSet[str] = frozenset()
    if others:
        by_hand = parse_by_hand(_systemctl("show", "--property=Id,UnitFileState,TriggeredBy,BusName", "--", *others))
        meant |= by_hand
    ports = parse_ports(read_file("/proc/net/tcp"), "tcp", _LISTEN) | parse_ports(read_file("/proc/net/tcp6"), "tcp", _LISTEN)
    ports |= parse_ports(read_file("/proc/net/udp"), "udp", _UDP_BOUND) | parse_ports(read_file("/proc/net/udp6"), "udp", _UDP_BOUND)
    # Ephemeral ports differ after each start, so they are not compared.
    first, _, last = read_text("/proc/sys/net/ipv4/ip_local_port_range").partition("\t")
    low, high = (int(first), int(last)) if first.strip().isdecimal() and last.strip().isdecimal() else (32768, 60999)
    listening = frozenset(port for port in ports if not low <= int(port.split(" ")[1]) <= high)
    return RebootState(
        tuple(sorted(meant)),
        tuple(sorted(parse_units(_systemctl("list-units", "--state=failed")))),
        tuple(sorted(listening)),
        tuple(
            sorted(lasting(parse_mounts(read_file("/proc/1/mountinfo") or read_file("/proc/self/mountinfo"))))
        ),  # the latter with hidepid
        parse_routes(read_file("/proc/net/route"), read_file("/proc/net/ipv6_route")),
        tuple(sorted(by_hand)),
        (os.uname().release,),
        _passed_over(),
    )


def _passed_over() -> Tuple[str, ...]:
    from spider.packages.after.post_checks import read_host  # noqa: PLC0415 - needed once a reboot
    from spider.packages.after.reboot import passed_over  # noqa: PLC0415
    from spider.packages.host_manager import find_native  # noqa: PLC0415
    from spider.sampling.collectors.identity import parse_os_release  # noqa: PLC0415

    release = parse_os_release(read_text("/etc/os-release") or read_text("/usr/lib/os-release"))
    return tuple(passed_over("", read_host(find_native("", release).name)))


def parse_routes(text: str, text6: str) -> Tuple[str, ...]:
    """What has a default route, from /proc/net/route and /proc/net/ipv6_route. Unreachable routes (device lo) are none."""
    four = any(words[1] == "00000000" and words[7] == "00000000" for words in map(str.split, text.split("\n")[1:]) if len(words) > 7)
    six = any(
        words[0] == "0" * 32 and words[1] == "00" and words[9] != "lo" for words in map(str.split, text6.split("\n")) if len(words) > 9
    )
    return (("IPv4",) if four else ()) + (("IPv6",) if six else ())


def parse_fstab(text: str) -> FrozenSet[str]:
    """Mount points that are named in fstab. Source: fstab(5)."""
    lines = (line.split() for line in text.split("\n") if not line.lstrip().startswith("#"))
    return frozenset(unescape(words[1]) for words in lines if len(words) > 1)


def not_coming_back(state: RebootState, mountinfo: str, fstab: str) -> List[str]:
    """Sentences about what runs or is mounted now and nothing brings back at boot.

    Only file systems that fstab usually names are meant; others (ZFS, snaps, containers) have mounters of their own.
    """
    found = []
    if state.by_hand:
        found.append(f"These services run now and do not start at boot: {name_list(state.by_hand, MOST_NAMED)}.")
    mounts = parse_mounts(mountinfo)
    usual = {one.point for one in mounts if one.kind in _IN_FSTAB}
    lost = sorted((usual & lasting(mounts)) - parse_fstab(fstab) - {"/"})
    if lost and len(lost) <= MOST_NAMED:
        found.append(f"These file systems are mounted now and are not in /etc/fstab: {name_list(lost, MOST_NAMED)}.")
    return found


def compare(before: RebootState, after: RebootState) -> List[str]:
    """Sentences about what is the same after the reboot, what is missing, and what has failed. Empty = there was nothing to compare."""
    notes = []
    same = {
        "services": len(set(before.running) & set(after.running)),
        "ports": len(set(before.ports) & set(after.ports)),
        "mounts": len(set(before.mounts) & set(after.mounts)),
    }
    if any(same.values()):
        notes.append(sentence("reboot.same", **same))
    if before.kernel and after.kernel:
        notes.append(sentence("reboot.kernel", before=before.kernel[0], after=after.kernel[0]))
    for code, old, new in (
        ("reboot.services", before.running, after.running),
        ("reboot.ports", before.ports, after.ports),
        ("reboot.mounts", before.mounts, after.mounts),
        ("reboot.routes", before.routes, after.routes),
        ("reboot.failed_units", after.failed, before.failed),
        ("reboot.kernel_older", after.passed_over, before.passed_over),
    ):
        missing = [name for name in old if name not in new]
        if missing and (new or code != "reboot.services"):  # at least Spider's own service runs: an empty list could not be read
            notes.append(sentence(code, names=name_list(missing, MOST_NAMED)))
    return notes


def evidence(request: RebootRequest, boot: str, now: float) -> List[str]:
    """Sentences about why the host was rebooted, and that it was. Args: boot: id of this boot. now: Unix seconds by this node's clock."""
    notes = []
    code = {"yes": "reboot.needed", "no": "reboot.not_needed", "unknown": "reboot.need_unknown"}.get(request.need)
    if code is not None:
        notes.append(sentence(code, why=request.need_why or sentence("due.unknown")))
    if boot:
        notes.append(sentence("reboot.boot", before=request.boot, after=boot))
    if now >= request.asked_at:  # the clock may have been set back
        notes.append(sentence("reboot.away", seconds=round(now - request.asked_at)))
    return notes


def parse_inhibitors(text: str) -> List[str]:
    """The inhibitors that block a shutdown, from `systemd-inhibit --list --no-legend`: WHO … WHAT WHY MODE."""
    found = []
    for line in text.split("\n"):
        words = line.split()
        what = next((word.split(":") for word in words if _INHIBITED.issuperset(word.split(":"))), [])
        if len(words) > 6 and words[-1] == "block" and "shutdown" in what:
            found.append(" ".join(words[:-1]))
    return found


def check_inhibitors() -> None:
    """Check that no inhibitor blocks a shutdown: systemd itself lets root ignore them. Without systemd-inhibit, none is found.

    Raises: Inhibited.
    """
    blockers = parse_inhibitors(_run(systemd_program("systemd-inhibit"), "--list", "--no-legend", "--no-pager")[1])
    if blockers:
        raise Inhibited("; ".join(blockers)[:500])


def request_reboot() -> str:
    """Request a reboot of this host. Returns: why it was refused; empty = it was accepted."""
    argv = ["reboot"] if systemctl_shim.is_here() else [systemd_program("systemctl"), "--no-block", "--no-wall", "reboot"]
    status, _, error_text = _run(*argv)
    return "" if status == 0 else error_text.strip()[:500] or f"{os.path.basename(argv[0])} ended with status {status}"


def is_up(booted_s: float) -> bool:
    """Whether all units of the boot have started, or SETTLE_LIMIT_S is over. Args: booted_s: seconds since the boot."""
    if booted_s >= SETTLE_LIMIT_S:
        return True
    if systemctl_shim.is_here():
        return systemctl_shim.is_up()
    return _systemctl("is-system-running").strip() in ("running", "degraded", "maintenance")


def uptime_s() -> float:
    """Seconds since this boot."""
    try:
        return parse_uptime(read_file("/proc/uptime"), read_file("/proc/1/stat"), os.sysconf("SC_CLK_TCK"))
    except ValueError:
        return time.monotonic()


def parse_uptime(uptime: str, init: str, ticks: int) -> float:
    """Seconds since process 1 started. In a container, /proc/uptime is often that of the machine.

    Args: uptime, init: /proc/uptime and /proc/1/stat; empty: it could not be read. Raises: ValueError: there is no uptime.
    """
    up_s = float(uptime.split(" ", maxsplit=1)[0])
    words = init.rpartition(")")[2].split()
    started_s = int(words[19]) / ticks if len(words) > 19 and words[19].isdigit() else 0.0
    return up_s - started_s if started_s <= up_s else up_s  # a container's own uptime beside the machine's ticks


def to_document(request: RebootRequest) -> Dict[str, Any]:
    """Encode a request as values for JSON."""
    return {**request._asdict(), "state": request.state._asdict()}


def from_document(found: Mapping[str, Any]) -> Optional[RebootRequest]:
    """Decode a request. None: the document is invalid."""
    try:
        state = RebootState(**{name: tuple(str(word) for word in found["state"].get(name, ())) for name in RebootState._fields})
        return RebootRequest(
            str(found["boot"]), float(found["asked_at"]), state, int(found["log_bytes"]), str(found["log_sha256"]), int(found["lost"]),
            str(found.get("need", "")), str(found.get("need_why", "")),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None
