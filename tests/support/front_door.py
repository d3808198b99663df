"""Debian's Caddy and nginx in front of a hub: the files of groundcontrol/examples with other names, ports and paths."""

from __future__ import annotations

import abc
import contextlib
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.certificates import Certificate
from tests.support.eventually import wait_until
from tests.support.hub import ROOT, HubProcess
from tests.support.ports import free_port
from tests.support.some import some

DOORS: Final = ("caddy", "nginx")
_EXAMPLES: Final = ROOT / "groundcontrol/examples"
_PROGRAMS: Final = {"caddy": ROOT / ".cache/debian/caddy/usr/bin/caddy", "nginx": ROOT / ".cache/debian/nginx/usr/sbin/nginx"}
_NAME: Final = "localhost"
_LIMIT_S: Final = 60.0


class Door(abc.ABC):
    """A TLS end that speaks HTTP/2, at https://localhost:PORT."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.hub_port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://{_NAME}:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"wss://{_NAME}:{self.port}/ws"

    @property
    def pin(self) -> str:
        """SHA-256 of the public key that it shows, as hex."""
        shown = x509.load_pem_x509_certificate(self._certificate().encode()).public_key()
        raw = shown.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(raw).hexdigest()

    def _certificate(self) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.port), 5) as raw,
            context.wrap_socket(raw, server_hostname=_NAME) as tls,
        ):
            shown = tls.getpeercert(binary_form=True)
        return ssl.DER_cert_to_PEM_cert(some(shown))

    def start(self) -> None:
        """Run it until it shows its certificate."""
        self._write()
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder)}
        environment |= {"XDG_DATA_HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder)}
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment
            )
        deadline = time.monotonic() + _LIMIT_S
        while True:
            try:
                self._certificate()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise AssertionError(f"it does not serve:\n{(self.folder / 'log').read_text()[-2000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """As a service manager does; open connections are cut."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    @abc.abstractmethod
    def reload(self) -> None:
        """Reload the same configuration, as after a renewed certificate."""

    @abc.abstractmethod
    def _write(self) -> None: ...

    @abc.abstractmethod
    def _command(self) -> list[str]: ...


class Caddy(Door):
    """With a certificate of its own authority, since no public one signs localhost."""

    def _write(self) -> None:
        site = (_EXAMPLES / "Caddyfile").read_text().replace("stardust.example.org", f"{_NAME}:{self.port}")
        (self.folder / "site").write_text(site.replace("127.0.0.1:8933", f"127.0.0.1:{self.hub_port}"))
        (self.folder / "Caddyfile").write_text(
            f"{{\n\tadmin unix/{self._admin}\n\tdefault_bind 127.0.0.1\n\tskip_install_trust\n\tauto_https disable_redirects\n}}\nimport {self.folder / 'site'}\n"
        )

    @property
    def _admin(self) -> str:
        return f"/{self.folder}/admin"

    def _command(self) -> list[str]:
        return [str(_PROGRAMS["caddy"]), "run", "--config", str(self.folder / "Caddyfile"), "--adapter", "caddyfile"]

    def reload(self) -> None:
        where = ["--config", str(self.folder / "Caddyfile"), "--adapter", "caddyfile", "--address", f"unix/{self._admin}"]
        done = subprocess.run(
            [str(_PROGRAMS["caddy"]), "reload", "--force", *where], capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
        assert done.returncode == 0, done.stderr[-1000:]


class Nginx(Door):
    """With a self-signed certificate."""

    def _write(self) -> None:
        site = (_EXAMPLES / "nginx.conf").read_text().replace("stardust.example.org", _NAME)
        site = site.replace("listen 443", f"listen 127.0.0.1:{self.port}").replace("127.0.0.1:8933", f"127.0.0.1:{self.hub_port}")
        site = site.replace("/etc/ssl/stardust", str(self.folder))
        (self.folder / "site.conf").write_text(site)
        places = "".join(f"    {name}_temp_path {self.folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        user = "user root;\n" if os.geteuid() == 0 else ""
        (self.folder / "nginx.conf").write_text(
            f"{user}daemon off;\npid {self.folder}/pid;\nerror_log {self.folder}/error.log notice;\nevents {{}}\n"
            f"http {{\n    access_log off;\n{places}    include {self.folder}/site.conf;\n}}\n"
        )
        if not (self.folder / "privkey.pem").exists():
            _certify(self.folder)

    def _command(self) -> list[str]:
        where = ["-e", str(self.folder / "error.log"), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf")]
        return [str(_PROGRAMS["nginx"]), *where]

    def reload(self) -> None:
        said = self.folder / "error.log"
        before = said.read_text().count("start worker process ")
        some(self._process).send_signal(signal.SIGHUP)
        wait_until(lambda: said.read_text().count("start worker process ") > before, _LIMIT_S, lambda: said.read_text()[-1000:])


def _certify(folder: Path) -> None:
    made = Certificate(folder, "localhost")
    (folder / "fullchain.pem").write_bytes(made.pem)
    (folder / "privkey.pem").write_bytes(made.key)


def need(name: str) -> None:
    """Leave the test out where this front door is not unpacked; that is a failure in CI."""
    if not _PROGRAMS[name].exists():
        reason = f"Debian's {name} is not unpacked here; scripts/test does that as root"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


@contextlib.contextmanager
def behind(name: str, folder: Path) -> Iterator[tuple[HubProcess, Door]]:
    """A hub that is reached through this front door alone."""
    need(name)
    (folder / name).mkdir(mode=0o700)
    door: Door = (Caddy if name == "caddy" else Nginx)(folder / name, free_port())
    hub = HubProcess(folder / "hub", args=["--server-url", door.ws_url], env={"STARDUST_TRUSTED_PROXIES": "127.0.0.1"})
    with hub:
        door.hub_port = hub.port
        try:
            door.start()
            yield hub, door
        finally:
            door.stop()
