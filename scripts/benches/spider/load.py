"""Load for a benchmark: sleeping processes and idle loopback connections. The program that makes them runs until its standard input ends."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

READY_S = 60.0


def sleepers(count: int) -> int:
    """Fork this many processes, which end when the returned descriptor is closed. Returns: the write end of their pipe."""
    reading, writing = os.pipe()
    for _ in range(count):
        if os.fork() == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    os.close(reading)
    return writing


def pairs(count: int) -> list[socket.socket]:
    """Connect this process with itself. A reset ends each connection, so that none stays in TIME_WAIT. Returns: the open sockets."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    sockets = [listener]
    for _ in range(count):
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sockets += (ours, theirs)
    return sockets


@contextlib.contextmanager
def crowd(processes: int = 0, connections: int = 0) -> Iterator[None]:
    """Run the load for the length of the block. Raises: RuntimeError: the machine does not allow so much."""
    argv = [sys.executable, "-I", str(Path(__file__)), str(processes), str(connections)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as made:
        assert made.stdin is not None
        assert made.stdout is not None
        try:
            if made.stdout.readline() != b"ready\n":
                raise RuntimeError("the machine does not allow so many processes or sockets")
            yield
        finally:
            made.stdin.close()
            made.wait(READY_S)


def main() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened = sleepers(int(sys.argv[1])), pairs(int(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.read()
    del opened


if __name__ == "__main__":
    main()
