"""The hub as a Debian package, and as a service made by hand, on a real host: it comes, is upgraded, goes no way back, and leaves nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.packaging import debian
from tests.support import fsdiff
from tests.support.eventually import wait_until
from tests.support.hub import ROOT
from tests.support.lab import Host, one

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(1800)]
LIMIT_S = 900
HEALTHY_WITHIN_S = 120
"""An idle machine needs less than 10 s; this one may be busy."""
HEALTHY = "python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:8933/healthz', timeout=5)\""
KEPT = (
    "/opt/stardust-hub", "/usr/local/bin/stardust", "/etc/stardust-hub", "/var/lib/stardust-hub",
    "account stardust-hub:", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow",
)  # fmt: skip
"""What is left with `--keep-data`: the program, the settings, the data, and the account that owns them."""
OF_DPKG = (
    "/var/lib/dpkg/lock",
    "/var/lib/dpkg/status-old",
    "/var/lib/dpkg/triggers/Lock",
    "/var/lib/dpkg/diversions-old",
    "/var/lib/dpkg/statoverride-old",
)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this checkout."""
    out = tmp_path_factory.mktemp("release")
    time = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=True
    ).stdout.strip()
    os.environ["SOURCE_DATE_EPOCH"] = time
    try:
        subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)], cwd=ROOT, timeout=LIMIT_S, check=True)
        return debian.build(ROOT, out)
    finally:
        del os.environ["SOURCE_DATE_EPOCH"]


def versioned(package: Path, folder: Path, version: str) -> bytes:
    """The package of another version, whose program says so."""
    tree = folder / version
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], timeout=LIMIT_S, check=True)
    for name in ("control", "preinst"):
        file = tree / "DEBIAN" / name
        own = re.search(r"_([^_]+)_py", package.name)
        assert own is not None
        file.write_text(file.read_text().replace(own[1], version))
    [of_program] = tree.glob("usr/lib/stardust-hub/lib/*/site-packages/spider/VERSION")
    of_program.write_text(f"{version}\n")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), f"{tree}.deb"], timeout=LIMIT_S, check=True)
    return Path(f"{tree}.deb").read_bytes()


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with one("debian") as made:
        yield made


def look(host: Host) -> dict[str, str]:
    seen = fsdiff.look(lambda script: host.sh(script, check=False), packages=True)
    return {path: facts for path, facts in seen.items() if path not in OF_DPKG}


def install(host: Host, data: bytes, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    host.run("sh", "-c", "cat >/root/hub.deb", stdin=data)
    done = host.run("sh", "-c", "dpkg -i /root/hub.deb; status=$?; rm /root/hub.deb; exit $status", check=False, timeout_s=LIMIT_S)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def until_healthy(host: Host) -> None:
    wait_until(
        lambda: host.run("sh", "-c", HEALTHY, check=False).returncode == 0,
        LIMIT_S,
        lambda: host.sh("journalctl -u stardust-hub -n 30", check=False),
    )


def test_the_package_comes_is_upgraded_refuses_an_older_one_and_leaves_nothing(package: Path, host: Host, tmp_path: Path) -> None:
    before = look(host)
    first = versioned(package, tmp_path, "1.0")
    begun_at = time.monotonic()
    install(host, first)
    until_healthy(host)
    took_s = time.monotonic() - begun_at
    print(f"installed and healthy after {took_s:.1f} s")
    assert took_s < HEALTHY_WITHIN_S
    assert host.sh("stardust --version") == "stardust 1.0\n"
    score = re.search(
        r"exposure level for stardust-hub.service: ([0-9.]+)", host.sh("systemd-analyze security stardust-hub.service --no-pager")
    )
    assert score is not None
    assert float(score[1]) <= 1.5
    host.sh("echo '# mine' >>/etc/stardust-hub/stardust.toml")
    secret = host.sh("sha256sum /etc/stardust-hub/secret")
    install(host, versioned(package, tmp_path, "1.1"))
    until_healthy(host)
    assert host.sh("dpkg-query -W -f '${Version}' stardust-hub") == "1.1"
    assert host.sh("sha256sum /etc/stardust-hub/secret") == secret
    assert host.sh("tail -n 1 /etc/stardust-hub/stardust.toml").strip() == "# mine"
    assert host.sh("stardust --version") == "stardust 1.1\n"
    refused = install(host, versioned(package, tmp_path, "0.9"), check=False)
    assert (refused.returncode, "cannot read its data" in refused.stderr) == (1, True), refused.stderr
    assert host.sh("dpkg-query -W -f '${Version} ${db:Status-Status}' stardust-hub") == "1.1 installed"
    until_healthy(host)
    host.sh("systemctl kill -s KILL stardust-hub")
    until_healthy(host)
    by_hand = host.run("stardust", "uninstall", "--name", "x", check=False)
    assert (by_hand.returncode, "apt-get purge stardust-hub" in by_hand.stderr) == (1, True)
    host.sh("dpkg --remove stardust-hub", timeout_s=LIMIT_S)
    assert "secret" in host.sh("ls /etc/stardust-hub")
    assert "stardust.db" in host.sh("ls /var/lib/stardust-hub")
    host.sh("dpkg --purge stardust-hub", timeout_s=LIMIT_S)
    assert fsdiff.difference(before, look(host)) == []


def test_a_service_made_by_hand_is_uninstalled_and_leaves_nothing(package: Path, host: Host, tmp_path: Path) -> None:
    """As docs/install.md says it, with the environment of the package in the place of venv and pip."""
    host.reset()
    before = look(host)
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path / "tree")], timeout=LIMIT_S, check=True)
    program = tmp_path / "tree/usr/lib/stardust-hub"
    (program / "bin/stardust").write_text(
        (tmp_path / "tree/usr/bin/stardust").read_text().replace("/usr/lib/stardust-hub", "/opt/stardust-hub")
    )
    (program / "bin/stardust").chmod(0o755)
    packed = subprocess.run(
        ["tar", "-C", str(program.parent), "-c", "stardust-hub"], capture_output=True, timeout=LIMIT_S, check=True
    ).stdout
    host.run("tar", "-C", "/opt", "--no-same-owner", "-x", stdin=packed, timeout_s=LIMIT_S)
    text = (ROOT / "docs/install.md").read_text()
    [block] = re.findall(r"```\n(apt install python3-venv.*?)```", text, re.DOTALL)
    lines = [line for line in block.splitlines() if not re.search(r"apt install|-m venv|/bin/pip|journalctl", line)]
    host.sh("\n".join(lines), timeout_s=LIMIT_S)
    until_healthy(host)
    name = host.sh("uname -n").strip()
    host.run("stardust", "uninstall", "--name", name, "--keep-data")
    now = look(host)
    left = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
    assert "/var/lib/stardust-hub/stardust.db" in left
    assert {path for path in left if not path.startswith(KEPT)} == set(), "service and units are gone"
    host.sh("\n".join(line for line in lines if "useradd" not in line and "ln -s" not in line), timeout_s=LIMIT_S)
    until_healthy(host)
    kept = host.run("stardust", "uninstall", "--name", "wrong", check=False)
    assert (kept.returncode, "nothing was removed" in kept.stderr) == (1, True), kept.stderr
    done = host.run("stardust", "uninstall", "--name", name)
    assert "Its program is left: rm -r /opt/stardust-hub" in done.stdout
    host.sh("rm -r /opt/stardust-hub; rm /usr/local/bin/stardust")
    assert fsdiff.difference(before, look(host)) == []
