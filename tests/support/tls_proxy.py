"""A TLS proxy in front of a hub, with a self-signed certificate."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Self

from tests.support.certificates import Certificate


class TlsProxy:
    """Listens on 127.0.0.1 from the start on; forwards to `port`, which may be set later."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        certificate = Certificate(folder)
        self.pin = certificate.pin.hex()
        self._context = certificate.context
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.hub_port = 0
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="tls end", daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), name="tls end: one", daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError), raw, socket.create_connection(("127.0.0.1", self.hub_port)) as inner:
            raw.settimeout(10)
            with self._context.wrap_socket(raw, server_side=True) as outer:
                outer.settimeout(0.05)  # one thread both reads and writes: a TLS connection is not for two
                inner.settimeout(0.05)
                self._open |= {outer, inner}
                try:
                    self._pump(outer, inner)
                finally:
                    self._open -= {outer, inner}

    @staticmethod
    def _pump(outer: ssl.SSLSocket, inner: socket.socket) -> None:
        while True:
            for source, sink in ((outer, inner), (inner, outer)):
                try:
                    data = source.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    return
                sink.settimeout(10)
                sink.sendall(data)
                sink.settimeout(0.05)
