"""An HTTP repository on loopback that holds back packages until they are released."""

from __future__ import annotations

import http.server
import io
import tarfile
import threading
from types import TracebackType

MOST_S = 120.0
PACKAGES = (".rpm", ".deb")


class SlowRepository:
    """Serves the files of a tar archive while it is entered. Packages begin, then wait for `go`."""

    def __init__(self, archive: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            found = {member.name.lstrip("./"): tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
        self.files = {name: file.read() for name, file in found.items() if file is not None}
        self.go = threading.Event()
        self.asked = threading.Event()
        """Somebody has begun to download a package."""
        repository = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer()

            def do_GET(self) -> None:
                content = self._answer()
                try:
                    if self.path.endswith(PACKAGES):
                        self.wfile.write(content[:100])
                        repository.asked.set()
                        repository.go.wait(MOST_S)
                        content = content[100:]
                    self.wfile.write(content)
                except ConnectionError:  # the client was stopped
                    self.close_connection = True

            def _answer(self) -> bytes:
                content = repository.files.get(self.path.split("?")[0].lstrip("./"))
                if content is None:
                    self.send_error(404)
                    return b""
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                return content

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it so
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="slow-repository", daemon=True)

    @property
    def url(self) -> str:
        """Where a host of the lab finds it."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> SlowRepository:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self.go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(MOST_S)
