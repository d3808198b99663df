"""The checks after a job on a real Debian host: services, failed units, configuration files, and whether a reboot is needed."""

from __future__ import annotations

import json

import pytest

from tests.support.lab import named_host
from tests.support.packages import PackageHost

pytestmark = pytest.mark.system

MAPPER = """set -e
mkdir -p /usr/local/lib/lab; cp /usr/lib/x86_64-linux-gnu/libz.so.1 /usr/local/lib/lab/libmapped.so
cat > /usr/local/lib/lab/mapper.py <<'P'
import ctypes, time
ctypes.CDLL("/usr/local/lib/lab/libmapped.so")
open("/run/mapper-ready", "w").close()
time.sleep(3600)
P
cat > /etc/systemd/system/mapper.service <<'U'
[Service]
ExecStart=/usr/bin/python3 /usr/local/lib/lab/mapper.py
PrivateTmp=yes
ProtectSystem=full
U
systemctl daemon-reload
systemctl start mapper.service
until test -e /run/mapper-ready; do sleep 0.05; done
rm /usr/local/lib/lab/libmapped.so
"""
"""A service, in a sandbox, that still maps a library which is gone."""

HIDDEN = """set -e
d=/srv/hidden; mkdir -p $d/DEBIAN $d/etc/lab-hidden
printf 'token = %s\\n' 1111 > $d/etc/lab-hidden/open.conf; chmod 644 $d/etc/lab-hidden/open.conf
cp $d/etc/lab-hidden/open.conf $d/etc/lab-hidden/closed.conf; chmod 640 $d/etc/lab-hidden/closed.conf
printf '/etc/lab-hidden/open.conf\\n/etc/lab-hidden/closed.conf\\n' > $d/DEBIAN/conffiles
build() { printf 'Package: lab-hidden\\nVersion: %s\\nArchitecture: all\\nMaintainer: lab <l@localhost>\\nDescription: x\\n' $1 > $d/DEBIAN/control; dpkg-deb --root-owner-group -b $d $2 >/dev/null; }
build 1.0 /srv/h1.deb; dpkg -i /srv/h1.deb >/dev/null
for f in open closed; do echo 'mine = hunter2' >> /etc/lab-hidden/$f.conf; echo 'level = 2' >> $d/etc/lab-hidden/$f.conf; done
r=/srv/lab-repo/apt/main; build 2.0 $r/lab-hidden_2.0_all.deb; cd $r
{ printf '\\n'; cat $d/DEBIAN/control; printf 'Filename: ./lab-hidden_2.0_all.deb\\nSize: %s\\nSHA256: %s\\n' \
  $(stat -c %s lab-hidden_2.0_all.deb) $(sha256sum lab-hidden_2.0_all.deb | cut -d' ' -f1); } >> Packages
sed -i '/^SHA256:/,$d' Release
printf 'SHA256:\\n %s %s Packages\\n' $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) >> Release
apt-get -q update >/dev/null
"""
"""A package with two configuration files, both changed by somebody; one is not for everybody to read."""


@pytest.fixture
def debian(request: pytest.FixtureRequest) -> PackageHost:
    """A Debian host in factory state with Stardust on it."""
    host = named_host() or request.getfixturevalue("lab_hosts")[0]
    host.reset()
    agent = PackageHost(host, "debian")
    agent.install()
    return agent


def test_services_units_and_configuration_that_a_job_leaves_are_reported(debian: PackageHost) -> None:
    debian.host.sh(MAPPER)
    debian.host.sh(HIDDEN)
    debian.host.sh("printf '[Service]\\nExecStart=/bin/false\\n' > /etc/systemd/system/broken-before.service; systemctl daemon-reload")
    debian.host.sh("systemctl start broken-before.service || true; touch /etc/old.conf.dpkg-dist")
    # lab-svc comes back broken from its upgrade: this drop-in takes hold with the restart
    debian.host.sh("systemctl start lab-svc.service; mkdir -p /etc/systemd/system/lab-svc.service.d")
    debian.host.sh("printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' > /etc/systemd/system/lab-svc.service.d/x.conf")
    done = debian.perform("upgrade", "lab-conf", "lab-hidden", "lab-hello", "lab-kernel", "lab-svc")
    assert (done.state, done.error_code) == ("succeeded", ""), done
    report = done.report
    assert report is not None
    assert report["services"] == ["mapper.service"]
    assert report["failed_units"] == ["lab-svc.service"]
    shown = dict(zip(report["config_paths"], report["config_diffs"], strict=True))
    assert set(shown) == {"/etc/lab-conf.conf.dpkg-dist", "/etc/lab-hidden/open.conf.dpkg-dist", "/etc/lab-hidden/closed.conf.dpkg-dist"}
    assert "+level = 2" in shown["/etc/lab-conf.conf.dpkg-dist"]
    assert "+level = 2" in shown["/etc/lab-hidden/open.conf.dpkg-dist"]
    assert "1111" not in shown["/etc/lab-hidden/open.conf.dpkg-dist"]  # behind the word token
    assert shown["/etc/lab-hidden/closed.conf.dpkg-dist"] == ""
    assert any("/etc/old.conf.dpkg-dist" in note for note in report["notes"])
    assert report["reboot"] == "yes"
    assert "lab-kernel" in report["reboot_why"]
    remembered = json.loads(debian.host.read("/var/lib/stardust/jobs/.reboot"))
    assert remembered["required"] == "yes"
    assert debian.host.sh("stat -c '%a %G' /var/lib/stardust/jobs/.reboot").split() == ["640", "stardust"]


@pytest.mark.slow
def test_services_that_run_replaced_libraries_after_real_upgrades_are_named(debian: PackageHost) -> None:
    """The security upgrades of a plain point release replace libraries under systemd, dbus and sshd."""
    done = debian.perform("full-upgrade", limit_s=300)
    assert (done.state, done.error_code) == ("succeeded", ""), done
    report = done.report
    assert report is not None
    told = {*report["services"]}
    deleted = debian.host.sh(
        "for p in $(grep -l 'r-xp.*/usr/.*(deleted)' /proc/[0-9]*/maps 2>/dev/null | cut -d/ -f3); do cat /proc/$p/cgroup; done"
    )
    for service in told:
        assert service in deleted, service
    assert told or not deleted
