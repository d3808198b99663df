"""A hanging maintainer script is recognised among the package manager's children, and only it is ended."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from spider.root.maintainer_scripts import ScriptKiller, is_script, running_scripts
from tests.support.eventually import wait_until
from tests.support.some import some


@pytest.mark.parametrize(
    "command",
    [
        b"/bin/sh\0/var/lib/dpkg/info/lab-hang.postinst\0configure\x001.0",
        b"/usr/bin/perl\0-w\0/var/lib/dpkg/info/debconf.prerm\0upgrade",
        b"/bin/sh\0/var/lib/dpkg/tmp.ci/preinst\0upgrade\x001.0\x002.0",
        b"/bin/sh\0/var/tmp/rpm-tmp.Xq2bQz\x002",
        b"/usr/bin/bash\0-c\0. /tmp/alpm_d2Y0bX/.INSTALL; post_upgrade 2.0-1 1.0-1",
        b"lib/apk/exec/lab-hang-2.0-r0.Q1abc=.post-upgrade\x002.0-r0",
        b"/lib/apk/exec/lab-hang-2.0-r0.Q1abc=.post-upgrade\x002.0-r0",
    ],
)
def test_scripts_of_packages_are_known(command: bytes) -> None:
    assert is_script(command)


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b"apt-get\0-y\0upgrade",
        b"/usr/bin/dpkg\0--status-fd\x009\0--configure\0--pending",
        b"/usr/bin/python3\0/usr/bin/dnf\0-y\0upgrade",
        b"rpm\0--install\0/var/cache/zypp/packages/lab-hang.rpm",
        b"pacman\0-Syu",
        b"apk\0upgrade",
        b"cat\0/var/lib/dpkg/info/lab-hang.list",
    ],
)
def test_package_managers_are_not_package_scripts(command: bytes) -> None:
    assert not is_script(command)


@pytest.mark.parametrize(("trap", "status"), [("", b"143"), ("trap '' TERM", b"137")])
def test_only_the_package_script_and_its_children_are_ended(tmp_path: Path, trap: str, status: bytes) -> None:
    script = tmp_path / "var/lib/dpkg/info/lab-hang.postinst"
    script.parent.mkdir(parents=True)
    script.write_text(f"{trap}\nsleep 60 &\necho $! > {tmp_path}/sleeper\nwait\nwait\nexec sleep 60\n")  # it outlives what it started
    manager = f"/bin/sh {script}; echo script: $?; echo manager ends"
    with subprocess.Popen(["/bin/sh", "-c", manager], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        ender = ScriptKiller(process.pid, kill_after_s=0.2 if trap else 15.0)
        sleeper = tmp_path / "sleeper"
        wait_until(lambda: len(running_scripts(process.pid)) >= 2 and sleeper.exists() and sleeper.read_text().endswith("\n"))

        def ended() -> bool:
            ender.look()
            return process.poll() is not None

        wait_until(ended)
        out = some(process.stdout).read()
    assert ender.ended == 2
    assert out.splitlines() == [b"script: " + status, b"manager ends"]
    wait_until(lambda: is_gone(int(sleeper.read_text())))  # a process that ends closes its files first


def is_gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
