"""A real PostgreSQL of Debian's packages, unpacked and not installed, that judges statements. It listens on a socket in its own folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

UNPACKED: Final = Path(__file__).parents[2] / ".cache" / "debian"
SERVER: Final = UNPACKED / "postgresql-15" / "usr" / "lib" / "postgresql" / "15" / "bin"
CLIENT: Final = UNPACKED / "postgresql-client-15" / "usr" / "lib" / "postgresql" / "15" / "bin" / "psql"
START_LIMIT_S: Final = 60.0
_NOT_ROOT: Final = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
"""PostgreSQL refuses to be root. Here root has another number, and may still read a checkout that only root may enter."""
_SETTINGS: Final = ("fsync=off", "listen_addresses=", "jit=off", "shared_buffers=16MB", "max_connections=5", "autovacuum=off")
_QUIET: Final = {"LC_ALL": "C.UTF-8", "PATH": os.environ["PATH"], "TZ": "UTC"}


class Postgres:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, script: str) -> str:
        """Run statements. Returns: all messages, each with the number of its line."""
        command: list[str | Path] = [CLIENT, "-X", "-q", "-h", self._folder, "-U", "judge", "-d", "postgres", "-f", "-"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False, timeout=300, env=_QUIET)
        return done.stderr

    def refusals(self, statements: Sequence[str]) -> Mapping[str, str]:
        """Prepare each statement. Returns: statement -> why PostgreSQL refuses it."""
        script = "".join(f"PREPARE judged_{number} AS {' '.join(sql.split())};\n" for number, sql in enumerate(statements))
        errors = re.findall(r"^psql:<stdin>:(\d+): ERROR:  (.*)$", self.run(script), re.MULTILINE)
        return {statements[int(line) - 1]: text for line, text in errors}


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server with an empty database."""
    assert SERVER.is_dir(), f"{SERVER} is missing: scripts/test unpacks it"
    prefix = _NOT_ROOT if os.getuid() == 0 else ()
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        data = folder / "data"
        initdb = [*prefix, SERVER / "initdb", "-D", data, "-U", "judge", "-A", "trust", "--no-sync", "-E", "UTF8", "--no-instructions"]
        done = subprocess.run(initdb, capture_output=True, text=True, check=False, timeout=START_LIMIT_S, env=_QUIET, cwd=folder)
        assert done.returncode == 0, done.stderr
        settings = [part for setting in (*_SETTINGS, f"unix_socket_directories={folder}") for part in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen([*prefix, SERVER / "postgres", "-D", data, *settings], stdout=log, stderr=log, env=_QUIET, cwd=folder)
        try:
            until = time.monotonic() + START_LIMIT_S
            while not (folder / ".s.PGSQL.5432").exists() or Postgres(folder).run("SELECT 1;"):
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, "PostgreSQL does not start"
                time.sleep(0.02)
            yield Postgres(folder)
        finally:
            server.terminate()
            server.wait(START_LIMIT_S)
    finally:
        shutil.rmtree(folder)
