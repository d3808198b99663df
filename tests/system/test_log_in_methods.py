"""Every way to log in to a server, on real hosts: each ends connected and removed, or unchanged with an error."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from majortom.deployer import MajorTom
from majortom.interfaces import DeployError, Secret, Target
from majortom.ssh.connect import Limits
from spider.clock import SystemClock
from tests.support import fsdiff
from tests.support.addresses import any_address
from tests.support.debian_packages import DOAS, unpack
from tests.support.deploy_client import any_host
from tests.support.deployer_trial import Notes, Trial, at_once, listening

pytestmark = pytest.mark.system

PASSWORDS = {"admin": "lab-admin-pw", "ops": "lab-ops-pw", "plain": "lab-plain-pw"}
AUTHORISED = "~root/.ssh/authorized_keys"
CLOUD = (
    'no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command="echo Please login as the user \\\\"ops\\\\" rather than the user'
    ' \\\\"root\\\\".;echo;sleep 10;exit 142" '
)


class Way(NamedTuple):
    """One way in, and how it ends."""

    name: str
    user: str = "root"
    spoil: str = ""
    """Done on the host before."""
    mend: str = ""
    """Takes that back."""
    code: str = ""
    """Of the error; empty: connected."""
    says: str = ""
    """A piece of the sentence, or of the notes."""
    key: str = "id_ed25519"
    given: tuple[tuple[str, Any], ...] = ()
    slow: bool = False


def shell_of(user: str, shell: str) -> str:
    return f"usermod -s {shell} {user}"


WAYS = (
    Way("root over IPv6", given=(("host", "::1"),), spoil="printf 'ListenAddress ::1\\nPort 2222\\n' > /etc/ssh/sshd_config.d/six.conf; mkdir -p /run/sshd; /usr/sbin/sshd -o PidFile=/run/six.pid -o ListenAddress=[::1]:2022", mend="kill $(cat /run/six.pid); rm -f /etc/ssh/sshd_config.d/six.conf", slow=True),
    Way("a certificate", given=(("certificate", "admin"),), user="admin", slow=True),  # test_sshd_settings logs in with one
    Way("an ECDSA key", key="ecdsa", slow=True),
    Way("an RSA key", key="id_rsa", slow=True),
    Way("an RSA key in PEM, encrypted", key="pem", given=(("passphrase", "lab pem"),), slow=True),
    Way("a shell that talks", user="admin", spoil="printf 'echo welcome; echo; date; printf \"no newline\"\\necho to stderr >&2\\n' > ~admin/.bashrc; printf 'Banner /etc/banner\\n' > /etc/ssh/sshd_config.d/banner.conf; seq 300 > /etc/banner; seq 300 > /etc/motd; systemctl reload ssh", mend="cp /etc/skel/.bashrc ~admin/.bashrc; rm -f /etc/ssh/sshd_config.d/banner.conf /etc/banner; : > /etc/motd; systemctl reload ssh", slow=True),
    Way("no SFTP", user="ops", spoil="sed -i 's/^Subsystem/#Subsystem/' /etc/ssh/sshd_config && systemctl reload ssh", mend="sed -i 's/^#Subsystem/Subsystem/' /etc/ssh/sshd_config && systemctl reload ssh", slow=True),
    Way("dash as the log-in shell", user="admin", spoil=shell_of("admin", "/bin/dash"), mend=shell_of("admin", "/bin/bash"), slow=True),
    Way("a restricted shell", user="ops", spoil="ln -sf bash /bin/rbash; " + shell_of("ops", "/bin/rbash"), mend=shell_of("ops", "/bin/bash"), slow=True),
    Way("a cloud image that refuses root", code="login_as", says="give ops as the user name", spoil=f"cp {AUTHORISED} /root/kept; sed 's|^ssh-ed25519|{CLOUD}&|' /root/kept > {AUTHORISED}", mend=f"mv /root/kept {AUTHORISED}"),
    Way("sudo that says nothing but lies", user="ops", code="sudo_failed", spoil="mv /usr/bin/sudo /usr/bin/sudo.real; printf '#!/bin/sh\\necho \"Password:\" >&2; echo \"[sudo] password for ops:\" >&2; exit 1\\n' > /usr/bin/sudo; chmod 755 /usr/bin/sudo", mend="mv /usr/bin/sudo.real /usr/bin/sudo"),
    Way("/tmp where nothing may be executed", user="admin", spoil="mount -t tmpfs -o noexec,nosuid,nodev,mode=1777 tmpfs /tmp", mend="umount /tmp", slow=True),
    Way("a full /tmp", code="no_space", says="/tmp", spoil="mount -t tmpfs -o size=1m,mode=1777 tmpfs /tmp", mend="umount /tmp", slow=True),
    Way("a full /opt", code="no_space", says="/opt", spoil="mount -t tmpfs -o size=4m tmpfs /opt", mend="umount /opt", slow=True),
    Way("a /tmp that takes no more files", code="upload_failed", says="/tmp", spoil="mount -t tmpfs -o nr_inodes=4,mode=1777 tmpfs /tmp", mend="umount /tmp"),
    Way("an /opt that takes no more files", code="install_failed", says="/opt/stardust", spoil="mount -t tmpfs -o nr_inodes=2 tmpfs /opt", mend="umount /opt", slow=True),
    Way("a full /var/lib", code="no_space", says="/var/lib", spoil="mount -t tmpfs -o size=4m tmpfs /var/lib", mend="umount /var/lib", slow=True),
    Way("/usr that is read-only", spoil="mount --bind /usr /usr; mount -o remount,bind,ro /usr", mend="umount -l /usr", slow=True),
    Way("/opt that is read-only", code="read_only", says="/opt", spoil="mount -t tmpfs -o ro tmpfs /opt", mend="umount /opt", slow=True),
    Way("a python that is too old", code="python3_old", says="3.7.3", spoil="mkdir /root/py; mv /usr/bin/python3* /root/py/; printf '#!/bin/sh\\necho 3.7.3\\n' > /usr/bin/python3; chmod 755 /usr/bin/python3", mend="rm /usr/bin/python3; mv /root/py/* /usr/bin/; rmdir /root/py", slow=True),
)  # fmt: skip


class Waying(Trial):
    """Installs by one of the ways, and takes it off again."""

    def way_target(self, way: Way, folder: Path) -> Target:
        given = dict(way.given)
        text = self._key(way.key, folder)
        host = given.get("host", self.host.address)
        port = 2022 if host == "::1" else self.host.port
        passphrase = Secret(given["passphrase"]) if "passphrase" in given else None
        certificate = None
        if "certificate" in given:
            text, certificate = self._certified(given["certificate"], folder)
        password = given.get("sudo_password", PASSWORDS.get(way.user))
        sudo = Secret(password) if password else None
        return Target(host, port, way.user, Secret(text), passphrase, None, sudo, None, None, certificate)

    def _key(self, name: str, folder: Path) -> str:
        if name.startswith("id_"):
            return self.host.private_key(name)
        path = folder / name
        words = ["-t", "ecdsa", "-N", ""] if name == "ecdsa" else ["-t", "rsa", "-b", "3072", "-m", "PEM", "-N", "lab pem"]
        subprocess.run(["ssh-keygen", "-q", *words, "-f", str(path)], check=True)
        public = path.with_suffix(".pub").read_text().strip()
        self.host.sh(f"grep -q -F '{public}' {AUTHORISED} || echo '{public}' >> {AUTHORISED}")
        return path.read_text()

    def _certified(self, user: str, folder: Path) -> tuple[str, str]:
        """A key that no file of the host names, only the authority that signed it."""
        for name in ("authority", "mine"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-s", str(folder / "authority"), "-I", "lab", "-n", user, "-V", "+1h", str(folder / "mine.pub")],
            check=True,
        )
        authority = (folder / "authority.pub").read_text().strip()
        self.host.sh(
            f"echo '{authority}' > /etc/ssh/authority.pub;"
            " echo 'TrustedUserCAKeys /etc/ssh/authority.pub' > /etc/ssh/sshd_config.d/ca.conf; systemctl reload ssh"
        )
        return (folder / "mine").read_text(), (folder / "mine-cert.pub").read_text()

    async def walk(self, way: Way, folder: Path) -> None:
        """Log in this way, with the expected outcome."""
        target = await asyncio.to_thread(self.way_target, way, folder)
        if way.spoil:
            await asyncio.to_thread(self.host.sh, way.spoil)
        before = await self.look()
        self.notes = Notes()
        self.major = MajorTom(SystemClock(), any_address, Limits())
        try:
            if way.code:
                with pytest.raises(DeployError) as caught:
                    await self.install(at_once, target)
                assert caught.value.code == way.code, caught.value.message
                assert way.says in caught.value.message
            else:
                await self.install(at_once, target)
                await self.major.remove(target, Notes())
            assert fsdiff.difference(before, await self.look()) == []
        finally:
            if way.mend:
                await asyncio.to_thread(self.host.sh, way.mend)


@pytest.fixture(scope="module")
def module_host(request: pytest.FixtureRequest) -> Any:
    host = any_host(lambda: request.getfixturevalue("lab_hosts")[0])
    host.reset()
    return host


@pytest.fixture
async def waying(module_host: Any) -> AsyncIterator[Waying]:
    async with listening() as url:
        yield Waying(module_host, url)


@pytest.mark.holds("F-23")
@pytest.mark.parametrize("way", [pytest.param(way, id=way.name, marks=pytest.mark.slow if way.slow else ()) for way in WAYS])
async def test_each_log_in_method_connects_or_changes_nothing(waying: Waying, way: Way, tmp_path: Path) -> None:
    await waying.walk(way, tmp_path)


PROGRAMS = ("opendoas", "tcsh", "zsh", "zsh-common", "fish", "fish-common", "libpcre2-32-0")


@pytest.fixture(scope="module")
def with_programs(module_host: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The host with doas and with other shells."""
    unpack(module_host, tmp_path_factory.mktemp("packages"), *PROGRAMS)
    return module_host


OTHERS = (
    *(Way(f"{shell} as the log-in shell", user="admin", spoil=f"runuser -u admin -- {shell} -c true; " + shell_of("admin", f"/usr/bin/{shell}"), mend=shell_of("admin", "/bin/bash")) for shell in ("tcsh", "zsh", "fish")),
    *(
        Way(f"doas {name}", user="admin", code=code, says="by doas" if not code else "", given=given,
            spoil=DOAS.format(rule=rule), mend="mv /usr/bin/sudo.real /usr/bin/sudo; rm /etc/doas.conf /etc/pam.d/doas")
        for name, rule, code, given in (
            ("without a password", "permit nopass admin", "", ()),
            ("with a password", "permit admin", "", ()),
            ("with a wrong password", "permit admin", "doas_password_wrong", (("sudo_password", "wrong"),)),
            ("that needs a password and has none", "permit admin", "doas_password_required", (("sudo_password", None),)),
            ("that does not permit", "permit ops", "doas_refused", ()),
        )
    ),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("way", [pytest.param(way, id=way.name) for way in OTHERS])
async def test_doas_and_other_shells_connect_or_change_nothing(with_programs: Any, waying: Waying, way: Way, tmp_path: Path) -> None:
    await waying.walk(way, tmp_path)
