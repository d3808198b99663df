"""A socket that lists containers as Docker and Podman do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def engine(path: Path, body: bytes, status: str = "200 OK", refuses: Callable[[bytes], str] = lambda _line: "") -> Iterator[str]:
    """A socket that answers every request as the engine's API does; `refuses` gives another answer to a request's first line."""
    head = f"HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n".encode()
    asked: list[bytes] = []

    def answer(client: socket.socket) -> None:
        asked.append(client.recv(4096))
        with contextlib.suppress(BrokenPipeError):  # a client may read no more than a part
            client.sendall(refuses(asked[-1].split(b"\r\n")[0]).encode() or head + body)

    with served(path, answer):
        yield str(path)
    assert all(b"/containers/json?all=true HTTP/1.0\r\n" in request for request in asked)


@contextlib.contextmanager
def served(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """A Unix socket that answers connections one after the other, in a thread."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as client:
                    answer(client)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
