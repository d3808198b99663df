"""The `listening` table: listening sockets and their processes."""

import errno
import os
import socket
import struct
import sys
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from spider.files import read_text
from spider.sampling.collectors.cgroup import group_names
from spider.sampling.collectors.logins import UserNames
from spider.sampling.collectors.netlink import NETLINK_SOCK_DIAG, Netlink, parse_attributes
from spider.sampling.collectors.table_reader import Reading
from spider.wire.report_messages import Cell
from spider.wire.text import plain

_SOCK_DIAG_BY_FAMILY = 20
_BODY_BYTES = 72
_CGROUP_ID = 21
"""INET_DIAG_CGROUP_ID, since Linux 5.8: the inode of the socket's cgroup in the version 2 tree."""
_LISTEN, _CLOSE = 10, 7
_TCP, _UDP = 6, 17
_NOT_HERE = (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.EOPNOTSUPP)
"""Errors of a kernel without netlink, or without sock_diag for one protocol."""
MAX_PROCESSES = 5000
"""Most processes whose descriptors are searched, where that is permitted."""


class Listener(NamedTuple):
    """One socket."""

    protocol: str
    address: str
    port: int
    uid: int
    inode: int
    cgroup: int
    """Inode of the socket's cgroup in the version 2 tree; 0 = the kernel does not provide it."""


def request(family: int, protocol: int) -> bytes:
    """The body of a request for listening TCP sockets or unconnected UDP sockets. Source: sock_diag(7), inet_diag_req_v2."""
    state = _LISTEN if protocol == _TCP else _CLOSE
    return struct.pack("=BBBxI48x", family, protocol, 0, 1 << state)


def parse_listeners(messages: Iterable[Tuple[bytes, int, int]], protocol: str) -> List[Listener]:
    """Parse the messages of a sock_diag dump.

    Raises: ValueError: a message is malformed.
    Source: sock_diag(7), inet_diag_msg; ports and addresses in network order.
    """
    found: List[Listener] = []
    for data, start, end in messages:
        if end - start < _BODY_BYTES:
            raise ValueError("a sock_diag message is too short")
        family = data[start]
        port = int.from_bytes(data[start + 4 : start + 6], "big")
        size = 16 if family == socket.AF_INET6 else 4
        address = socket.inet_ntop(socket.AF_INET6 if size == 16 else socket.AF_INET, data[start + 8 : start + 8 + size])
        uid, inode = struct.unpack_from("=II", data, start + 64)
        attributes = dict(parse_attributes(data, start + _BODY_BYTES, end))
        cgroup = int.from_bytes(attributes.get(_CGROUP_ID, b""), sys.byteorder)
        if port:
            found.append(Listener(protocol + ("6" if size == 16 else ""), address, port, uid, inode, cgroup))
    return found


def holders(proc: str, wanted: Set[int]) -> Dict[int, Tuple[int, str]]:
    """Process id and name by inode of the wanted sockets, for processes that this user may inspect. Of several, the lowest id is used.

    Raises: OSError: /proc is not readable.
    """
    found: Dict[int, Tuple[int, str]] = {}
    for pid in sorted((int(entry) for entry in os.listdir(proc) if entry.isdecimal()), reverse=True)[:MAX_PROCESSES]:
        try:
            names = os.listdir(f"{proc}/{pid}/fd")
        except OSError:  # a process of another user, or it ended
            continue
        mine = wanted.intersection(_sockets_of(proc, pid, names))
        if mine:
            found.update(dict.fromkeys(mine, (pid, plain(read_text(f"{proc}/{pid}/comm", 64), 64))))
    return found


def _sockets_of(proc: str, pid: int, names: List[str]) -> Iterator[int]:
    """Inodes of the sockets behind these descriptors."""
    for name in names:
        try:
            target = os.readlink(f"{proc}/{pid}/fd/{name}")
        except OSError:  # it was closed meanwhile
            continue
        if target.startswith("socket:[") and target[8:-1].isdecimal():
            yield int(target[8:-1])


class Listening:
    """The `listening` table."""

    subject = "listening"

    def __init__(
        self, proc: str = "/proc", cgroups: str = "/sys/fs/cgroup", users: Optional[UserNames] = None, netlink: Optional[Netlink] = None
    ) -> None:
        self._proc = proc
        self._cgroups = cgroups
        self._users = users or UserNames()
        self._netlink = netlink or Netlink(NETLINK_SOCK_DIAG)

    def read(self, now: float) -> Optional[Reading]:  # noqa: ARG002 - only rates need the time
        """Query the kernel for TCP and UDP of both families, then find services and processes. None: this kernel cannot be queried."""
        sockets = self._sockets()
        if sockets is None:
            return None
        groups = group_names(self._cgroups) if any(found.cgroup for found in sockets) else {}
        owners = holders(self._proc, {found.inode for found in sockets}) if sockets else {}
        rows: Dict[Tuple[int, str, str, str], Tuple[Cell, ...]] = {}
        for found in sockets:
            service = groups.get(found.cgroup, "")
            pid, process = owners.get(found.inode, (None, ""))
            row = (found.protocol, found.address, found.port, self._users.name(found.uid), service, pid, process or None)
            rows.setdefault((found.port, found.protocol, found.address, service), row)  # several sockets may share a port
        return Reading([rows[key] for key in sorted(rows)], len(rows))

    def _sockets(self) -> Optional[List[Listener]]:
        """The listening sockets. None: this kernel cannot be queried."""
        found: List[Listener] = []
        answered = False
        try:
            for protocol, word in ((_TCP, "tcp"), (_UDP, "udp")):
                for family in (socket.AF_INET, socket.AF_INET6):
                    try:
                        found += parse_listeners(self._netlink.dump(_SOCK_DIAG_BY_FAMILY, request(family, protocol)), word)
                        answered = True
                    except OSError as error:  # noqa: PERF203  # four times in five minutes
                        if error.errno not in _NOT_HERE:
                            raise
        finally:
            self._netlink.close()
        return found if answered else None
