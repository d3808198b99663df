"""Requests to container engines over their Unix sockets. A user who may open such a socket can become root on the host."""

import socket
import time
from typing import Sequence, Tuple

SOCKETS: Sequence[Tuple[str, str]] = (("docker", "/run/docker.sock"), ("podman", "/run/podman/podman.sock"))
"""The engines that run as root: name and socket of each."""
MAX_ANSWER_BYTES = 4 * 1024 * 1024
VERSIONS: Sequence[str] = ("", "/v1.24")
"""A request without version gets the engine's newest format. Docker 29 and later refuses versions before 1.44, and old engines require a
version in the path."""
_REQUEST = "{} {}{} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n{}\r\n"


class EngineFailed(Exception):
    """An engine did not do what was requested; the text says why."""


def call_engine(path: str, method: str, target: str, limit_s: float, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """Make a request with each of `VERSIONS`, until the engine accepts one. An engine that refuses a version has done nothing.

    Args:    path: of the socket. target: the request's path, without a version. limit_s: for each attempt.
    Returns: the whole last answer, with its head.
    Raises:  OSError: no socket, no permission, no answer in time, or one that is too long.
    """
    answer = b""
    for version in VERSIONS:
        length = "Content-Length: 0\r\n" if method == "POST" else ""
        answer = answer_of(path, _REQUEST.format(method, version, target, length).encode(), limit_s, most_bytes)
        if status_of(answer) not in (b"400", b"404"):
            break
    return answer


def status_of(answer: bytes) -> bytes:
    """The status of an HTTP answer, from its first line; empty: it has none."""
    return [*answer[:64].split(b" ", 2), b"", b""][1]


def answer_of(path: str, request: bytes, limit_s: float, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """Send one request over a Unix socket, and read until the other end closes it.

    Raises: OSError: no socket, no permission, no answer in time, or one that is too long.
    """
    until = time.monotonic() + limit_s
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(limit_s)
            sock.connect(path)
            sock.sendall(request)
            while len(answer) <= most_bytes:
                sock.settimeout(max(0.001, until - time.monotonic()))
                part = sock.recv(65536)
                if not part:
                    return bytes(answer)
                answer += part
    except socket.timeout:  # not yet TimeoutError in Python 3.9
        raise TimeoutError(f"{path} has not answered within {limit_s:g} s") from None
    raise OSError(f"{path} answers with more than {most_bytes} bytes")
