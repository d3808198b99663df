"""The invite command, run by a real shell: its errors where the hub or its certificate is not the expected one."""

from __future__ import annotations

import base64
import hashlib
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from groundcontrol.config import Config
from groundcontrol.deployments import invites_api
from groundcontrol.deployments.install_script import Invitations
from groundcontrol.web.services import Services
from tests.support.ports import free_port

SCRIPT = b'echo "ran: $0 $#"\n'
TOOLS = ("sh", "mktemp", "rm", "id", "sha256sum")


def services(port: int, tls_pin: str | None, scheme: str = "https") -> Services:
    config = SimpleNamespace(tls_pin=tls_pin, origin=f"{scheme}://127.0.0.1:{port}")
    return cast("Services", {Config: config, Invitations: SimpleNamespace(script_sha256=hashlib.sha256(SCRIPT).hexdigest())})


class Hub(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/install.sh" else 404)
        self.end_headers()
        self.wfile.write(SCRIPT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """No line for each request."""


@pytest.mark.parametrize("pins", [[], pytest.param(["ab" * 32], marks=pytest.mark.slow), ["ab" * 32, "cd" * 32]])
def test_an_invite_command_that_cannot_download_prints_help(pins: list[str]) -> None:
    made = services(free_port(), ", ".join(pins) or None)
    curl = invites_api.short(made, "")
    assert ("-k --pinnedpubkey" in curl, curl.endswith("/install.sh | sudo sh")) == (bool(pins), True)
    for text in (invites_api.command(made, "stardust1.x", ""), invites_api.line(made, "")):
        for pin in pins:
            assert "sha256//" + base64.b64encode(bytes.fromhex(pin)).decode() in text
        assert ("--pinnedpubkey" in text, "_create_unverified_context" in text) == (bool(pins), bool(pins))
        done = subprocess.run(["sh"], input=text, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0
        assert invites_api.HELP in done.stderr


@pytest.mark.parametrize("tool", ["curl", "wget", "python3"])
def test_each_form_of_the_command_runs_with_one_tool_alone(tool: str, tmp_path: Path) -> None:
    for name in TOOLS:
        (tmp_path / name).symlink_to(cast("str", shutil.which(name)))
    (tmp_path / tool).symlink_to(sys.executable if tool == "python3" else cast("str", shutil.which(tool)))
    (tmp_path / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tmp_path / "sudo").chmod(0o700)
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            made = services(server.server_port, None, "http")
            short = next(
                text for text in (invites_api.short(made, ""), *invites_api.without_curl(made, "")) if shlex.split(text)[0] == tool
            )
            for text, ran in ((short, "ran: sh 0"), (invites_api.line(made, ""), "ran: install.sh 0")):
                done = subprocess.run(
                    ["/bin/sh", "-c", text], capture_output=True, text=True, timeout=60, check=False, env={"PATH": str(tmp_path)}
                )
                assert (done.returncode, ran in done.stdout) == (0, True), done
        finally:
            server.shutdown()
    assert invites_api.without_curl(services(1, "ab" * 32), "") == []
    assert invites_api.without_curl(services(1, None), "http://p:1")[0].startswith("http_proxy=http://p:1 https_proxy=http://p:1 wget")
