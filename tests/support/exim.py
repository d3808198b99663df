"""Debian's exim on loopback, unpacked but not installed. It accepts mail and keeps it in its queue."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.certificates import Certificate
from tests.support.ports import free_port

PACKAGES = ("exim4-daemon-light", "exim4-base", "libidn12")
PASSWORD = "two red herons"
_UID = 65_501
_CONFIG = """
primary_hostname = mail.test
daemon_smtp_ports = {starttls} : {implicit} : {plain} : {strict}
local_interfaces = 127.0.0.1
tls_on_connect_ports = {implicit}
tls_advertise_hosts = *
tls_certificate = /mnt/hub.pem
tls_privatekey = /mnt/hub.pem
spool_directory = /mnt/spool
log_file_path = /mnt/spool/log-%s
pid_file_path = /mnt/spool/pid
queue_only
acl_smtp_connect = connect
acl_smtp_helo = helo
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
begin acl
connect:
  warn condition = ${{if eq{{$received_port}}{{{strict}}}}}
       delay = 11s
  accept
helo:
  deny condition = ${{if eq{{$received_port}}{{{strict}}}}}
       condition = ${{if !match{{$sender_helo_name}}{{\\N^(\\[.+\\]|.+\\.[a-z-]+)$\\N}}}}
       message = a full name or an address in brackets is expected
  accept
mail:
  accept condition = ${{if or{{{{eq{{$received_port}}{{{plain}}}}}{{eq{{$received_port}}{{{strict}}}}}}}}}
  require authenticated = *
  accept
rcpt:
  defer local_parts = grey
        condition = ${{if !exists{{/mnt/spool/known}}}}
        continue = ${{run{{/usr/bin/touch /mnt/spool/known}}}}
        message = greylisted
  deny local_parts = nobody
       message = no such user
  accept
begin routers
all:
  driver = accept
  transport = none
begin transports
none:
  driver = appendfile
  file = /dev/null
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{hub}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
  server_advertise_condition = ${{if def:tls_in_cipher}}
"""


class Exim:
    """A running server. `starttls` and `implicit` want a log-in, `plain` takes mail without TLS. `strict` greets after 11 seconds, and
    refuses names of clients that are neither full names nor addresses in brackets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = Certificate(folder)
        self.starttls, self.implicit, self.plain, self.strict = free_port(), free_port(), free_port(), free_port()

    @property
    def queue(self) -> list[str]:
        """The headers of each mail that it took, oldest first."""
        return [
            path.read_text() for path in sorted((self.folder / "spool" / "input").glob("*-H"), key=lambda path: path.stat().st_mtime_ns)
        ]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Exim]:
    """A server for the length of a test. It is left out where packages cannot be had or mounts not be made."""
    _unpack(folder)
    made = Exim(folder)
    ports = {"starttls": made.starttls, "implicit": made.implicit, "plain": made.plain, "strict": made.strict}
    (folder / "exim.conf").write_text(_CONFIG.format(password=PASSWORD, **ports))
    for name, row in (("passwd", f"Debian-exim:x:{_UID}:{_UID}::/:/usr/sbin/nologin\n"), ("group", f"Debian-exim:x:{_UID}:\n")):
        (folder / name).write_text(Path("/etc", name).read_text() + row)
    (folder / "spool").mkdir()
    os.chown(folder / "spool", _UID, _UID)
    (folder / "hub.pem").chmod(0o644)
    folder.chmod(0o755)
    script = (
        f"mount --bind {folder} /mnt; mount --bind /mnt/passwd /etc/passwd; mount --bind /mnt/group /etc/group;"
        " export LD_LIBRARY_PATH=$(echo /mnt/root/usr/lib/*-linux-gnu); exec /mnt/root/usr/sbin/exim4 -bdf -C /mnt/exim.conf"
    )
    process = subprocess.Popen(["unshare", "-m", "sh", "-ec", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        _wait_for(made.plain, process)
        yield made
    finally:
        process.terminate()
        process.communicate(timeout=20)


def _unpack(folder: Path) -> None:
    if os.geteuid():
        pytest.skip("exim drops its rights itself, which only root can")
    done = subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    if done.returncode:
        pytest.skip(f"no exim of Debian can be had here: {done.stderr[-200:]}")
    for deb in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, folder / "root"], check=True, timeout=60)


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at:
        if process.poll() is not None:
            said = process.communicate()[0]
            if "unshare" in said or "mount: " in said:
                pytest.skip(f"mounts may not be made here: {said[:200]}")
            raise AssertionError(said)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError("exim does not listen")
