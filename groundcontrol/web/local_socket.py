"""The local socket, through which the owner of the data folder uses the hub on its own machine."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from aiohttp import web

from groundcontrol.core.errors import Forbidden
from groundcontrol.core.scope import Actor
from groundcontrol.data_dir import short_path

_UCRED = struct.Struct("iII")


def listen(path: Path) -> socket.socket:
    """Make the listening socket, which never has another mode than 0600. A socket file that a killed hub left is replaced.

    The caller holds the lock of the data folder.
    """
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with short_path(path) as name:
            made.bind(name)
    except BaseException:
        made.close()
        raise
    finally:
        os.umask(before)
    made.listen(16)
    made.setblocking(False)
    return made


def local_actor(request: web.BaseRequest) -> Actor | None:
    """The actor on the local socket: an admin named `local:<uid>`. None: the request came over the network.

    Raises: Forbidden: the user is neither the folder's owner (this process's user) nor root.
    """
    transport = request.transport
    peer = transport.get_extra_info("socket") if transport is not None else None
    if peer is None or peer.family != socket.AF_UNIX:
        return None
    uid = _peer_uid(peer.fileno())
    if uid not in (0, os.geteuid()):
        raise Forbidden(f"user {uid} may not use this socket: it belongs to user {os.geteuid()}")
    return Actor("local", str(uid), f"local:{uid}", "admin", instance_admin=True)


def _peer_uid(fd: int) -> int:
    # uvloop returns a substitute without getsockopt, so the code queries a copy of the descriptor.
    with socket.socket(fileno=os.dup(fd)) as copy:
        credentials = copy.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(credentials)[1])
