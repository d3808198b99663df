"""A release: two builds of one commit are the same bytes, its signature holds, and its folder is enough for the container image, whose hub is healthy."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.hub import ROOT
from tests.support.ports import free_port

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(5400)]
LIMIT_S = 2400
LIVES = """
check() { /opt/stardust-hub/bin/python -c 'import os, urllib.request; urllib.request.urlopen("http://127.0.0.1:" + os.environ["STARDUST_PORT"] + "/healthz", timeout=4)' 2>/dev/null; }
/opt/stardust-hub/bin/stardust serve &
hub=$! tries=0
until check || [ "$tries" -ge 300 ]; do tries=$((tries + 1)); sleep 0.5; done
check && echo "healthy as $(id -u)"
kill "$hub"
wait "$hub" && echo "ended in order"
"""


def run(*argv: str | Path, env: dict[str, str] | None = None, umask: int = -1) -> str:
    done = subprocess.run(
        [str(word) for word in argv], env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=LIMIT_S, umask=umask, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def buildah(work: Path, *words: str | Path) -> str:
    return run("buildah", "--root", work / "root", "--runroot", work / "run", "--storage-driver", "vfs", *words)


def test_two_releases_are_the_same_bytes_and_the_image_of_one_runs_a_hub(tmp_path: Path) -> None:
    key, public = tmp_path / "key", tmp_path / "key.pub"
    run("minisign", "-G", "-W", "-p", public, "-s", key)
    run(ROOT / "scripts/release", "--sign", key, "--out", tmp_path / "one")
    run(ROOT / "scripts/release", "--sign", key, "--out", tmp_path / "two", env={"TZ": "Asia/Kolkata", "LC_ALL": "C"}, umask=0o077)
    made = digests(tmp_path / "one")
    assert made == digests(tmp_path / "two")
    kinds = {re.sub(r"-?\d\S*?(?=\.|_)|_.*(?=\.deb)", "", name).rpartition(".")[2] for name in made}
    assert {"whl", "gz", "deb", "json", "sh", "lock", "yaml", "minisig"} <= kinds
    lines = (tmp_path / "one/SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert sums == {name: digest for name, digest in made.items() if not name.startswith("SHA256SUMS")}
    run("minisign", "-V", "-p", public, "-m", tmp_path / "one/SHA256SUMS")

    work = tmp_path / "buildah"
    run("debootstrap", "--variant=minbase", "bookworm", tmp_path / "debian")
    base = buildah(work, "from", "scratch").strip()
    buildah(work, "add", "--quiet", base, tmp_path / "debian", "/")
    buildah(work, "copy", "--quiet", base, "/etc/ssl/certs/ca-certificates.crt", "/usr/local/share/machine.crt")
    buildah(work, "config", "--env", "PIP_CERT=/usr/local/share/machine.crt", base)
    buildah(work, "commit", "--quiet", base, "docker.io/library/debian:bookworm-slim")
    buildah(work, "build", "--isolation", "chroot", "--format", "docker", "--pull-never", "--tag", "stardust", tmp_path / "one")
    secret = tmp_path / "secret"
    secret.write_text("a secret of the container of this test\n")
    os.chown(secret, 970, 970)
    secret.chmod(0o400)
    tmp_path.chmod(0o755)
    container = buildah(work, "from", "--pull-never", "localhost/stardust").strip()
    mount, port = f"{secret}:/run/secrets/stardust:ro", f"STARDUST_PORT={free_port()}"
    said = buildah(work, "run", "--isolation", "chroot", "--volume", mount, "--env", port, container, "--", "sh", "-c", LIVES)
    assert ("healthy as 970" in said, "ended in order" in said) == (True, True), said[-2000:]
    inside = buildah(work, "run", "--isolation", "chroot", container, "--", "sh", "-c", "ls /opt/stardust-hub/bin; command -v pip || true")
    assert "pip" not in inside.split(), "nothing can be installed into it"
