"""The invite command, run by a real shell: its errors where the hub or its certificate is not the expected one."""

from __future__ import annotations

import base64
import subprocess
from types import SimpleNamespace
from typing import cast

import pytest

from groundcontrol.config import Config
from groundcontrol.deployments import invites_api
from groundcontrol.deployments.install_script import Invitations
from groundcontrol.web.services import Services
from tests.support.ports import free_port


def services(port: int, tls_pin: str | None) -> Services:
    config = SimpleNamespace(tls_pin=tls_pin, origin=f"https://127.0.0.1:{port}")
    return cast("Services", {Config: config, Invitations: SimpleNamespace(script_sha256="0" * 64)})


@pytest.mark.parametrize("pins", [[], ["ab" * 32], ["ab" * 32, "cd" * 32]])
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
