"""Installing python3 with every package manager of the lab, with prior consent: undone after a failure, kept where it is used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import pytest

from majortom.interfaces import DeployError
from tests.support import fsdiff
from tests.support import lab as labs
from tests.support.deployer_trial import Notes, Trial, at_once, listening, nobody_comes

pytestmark = pytest.mark.system


FLAVOUR = "debian-nopython"


class Manager(NamedTuple):
    """A package manager, and the host that has it."""

    flavour: str
    command: str
    prepare: str
    listed: str


HIDE = """
cd /usr/bin; mkdir /usr/lib/lab-python; real=$(readlink -f python3)
mv "$real" /usr/lib/lab-python/python3; rm -f python3 python3.*
for script in dnf dnf-3; do
    [ "$(head -c 17 $script 2>/dev/null | tr -d '\\0')" != '#!/usr/bin/python' ] || sed -i '1s|.*|#!/usr/lib/lab-python/python3|' "$(readlink -f $script)"
done
! command -v python3
"""
"""The interpreter goes where nobody looks for one; a package manager that is written in Python finds it there."""

RPM = """
mkdir -p /srv/python/repodata /root/build; cd /root/build
spec() {
    printf '%s\\n' '%define debug_package %{nil}' 'Name: lab-python-made' 'Version: 1' 'Release: 1' 'Summary: lab' 'License: MIT' 'BuildArch: noarch' \\
        '%description' lab '%install' 'mkdir -p %{buildroot}/usr/bin %{buildroot}/usr/share/lab; ln -s ../lib/lab-python/python3 %{buildroot}/usr/bin/python3' \\
        "echo $1 >%{buildroot}/usr/share/lab/python-base; echo $1 >%{buildroot}/usr/share/lab/python-libs" \\
        '%package -n python3' 'Summary: lab' 'AutoReqProv: no' 'Requires: lab-python-libs' 'Requires: lab-python-base >= 2' '%description -n python3' lab '%files -n python3' /usr/bin/python3 \\
        '%package -n lab-python-libs' 'Summary: lab' 'AutoReqProv: no' '%description -n lab-python-libs' lab '%files -n lab-python-libs' /usr/share/lab/python-libs \\
        '%package -n lab-python-base' "Version: $1" 'Summary: lab' 'AutoReqProv: no' '%description -n lab-python-base' lab '%files -n lab-python-base' /usr/share/lab/python-base
}
for version in 1 2; do spec $version >it.spec; rpmbuild -bb --quiet --define "_topdir /root/build" it.spec; done
mv RPMS/noarch/lab-python-base-1-1.noarch.rpm /root/build/
rpm -i /root/build/lab-python-base-1-1.noarch.rpm
mv RPMS/noarch/python3-* RPMS/noarch/lab-python-libs-* RPMS/noarch/lab-python-base-* /srv/python/
cd /srv/python
{
    echo '<?xml version="1.0" encoding="UTF-8"?><metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="3">'
    for file in *.rpm; do
        set -- $(rpm -qp --qf '%{NAME} %{VERSION} %{RELEASE}' $file)
        needs=''
        [ $1 != python3 ] || needs='<rpm:requires><rpm:entry name="lab-python-libs"/><rpm:entry name="lab-python-base" flags="GE" epoch="0" ver="2"/></rpm:requires>'
        printf '<package type="rpm"><name>%s</name><arch>noarch</arch><version epoch="0" ver="%s" rel="%s"/><checksum type="sha256" pkgid="YES">%s</checksum>' \\
            $1 $2 $3 $(sha256sum <$file | cut -d' ' -f1)
        printf '<summary>lab</summary><description>lab</description><packager/><url/><time file="1" build="1"/><size package="%s" installed="10" archive="10"/>' $(stat -c %s $file)
        printf '<location href="%s"/><format><rpm:license>MIT</rpm:license><rpm:vendor/><rpm:group/><rpm:buildhost>lab</rpm:buildhost><rpm:sourcerpm/>' $file
        printf '<rpm:header-range start="0" end="0"/><rpm:provides><rpm:entry name="%s" flags="EQ" epoch="0" ver="%s" rel="%s"/></rpm:provides>%s</format></package>' $1 $2 $3 "$needs"
    done
    echo '</metadata>'
} >repodata/primary.xml
printf '%s' '<?xml version="1.0" encoding="UTF-8"?><repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision><data type="primary"><checksum type="sha256">' \\
    $(sha256sum <repodata/primary.xml | cut -d' ' -f1) '</checksum><location href="repodata/primary.xml"/><timestamp>1</timestamp><size>' \\
    $(stat -c %s repodata/primary.xml) '</size></data></repomd>' >repodata/repomd.xml
rm -rf /root/build
folder=/etc/yum.repos.d; [ -d $folder ] || folder=/etc/zypp/repos.d
printf '%s\\n' '[python]' name=Python baseurl=file:///srv/python enabled=1 gpgcheck=0 type=rpm-md >$folder/python.repo
"""
"""Three packages, one of which is there in an earlier version."""

PACMAN = """
mkdir -p /srv/python /root/build; cd /root/build
make() { # NAME VERSION DEPENDS...
    name=$1 version=$2; shift 2
    rm -rf tree; mkdir -p tree/usr/share/lab tree/usr/bin
    if [ $name = python ]; then ln -s ../lib/lab-python/python3 tree/usr/bin/python3; else echo $version >tree/usr/share/lab/$name; fi
    { printf '%s\\n' "pkgname = $name" "pkgbase = $name" "pkgver = $version-1" 'pkgdesc = lab' 'url = file:///dev/null' 'builddate = 1' 'packager = lab' \\
        'size = 10' 'arch = any' 'license = MIT'; for need; do echo "depend = $need"; done; } >tree/.PKGINFO
    file=$name-$version-1-any.pkg.tar.gz
    (cd tree; tar --owner=0 --group=0 -czf ../$file .PKGINFO usr)
    mkdir -p db/$name-$version-1
    { printf '%%%s%%\\n%s\\n\\n' FILENAME $file NAME $name BASE $name VERSION $version-1 DESC lab CSIZE $(stat -c %s $file) ISIZE 10 \\
        SHA256SUM $(sha256sum <$file | cut -d' ' -f1) ARCH any BUILDDATE 1 PACKAGER lab; [ $# = 0 ] || { echo %DEPENDS%; printf '%s\\n' "$@"; }; } >db/$name-$version-1/desc
}
make lab-python-base 1
pacman -U --noconfirm lab-python-base-1-1-any.pkg.tar.gz
rm -rf db *.tar.gz
make lab-python-base 2
make lab-python-libs 1
make python 1 lab-python-libs 'lab-python-base>=2'
mv *.pkg.tar.gz /srv/python/
(cd db; tar -czf /srv/python/python.db *)
rm -rf /root/build
printf '%s\\n' '' '[python]' 'Server = file:///srv/python' >>/etc/pacman.conf
"""

RPM_LIST = "rpm -qa --qf '%{NAME}\\n' | sort"
MANAGERS = (
    Manager("rocky-like", "dnf", RPM, RPM_LIST),
    Manager("dnf5-like", "dnf", RPM, RPM_LIST),
    Manager("suse-like", "zypper", RPM, RPM_LIST),
    Manager("arch-like", "pacman", PACMAN, "pacman -Qq | sort"),
)
BOOKS = ("/run/dnf", "/run/zypp", "/var/cache/", "/var/lib/dnf", "/var/lib/rpm", "/var/lib/zypp", "/var/lib/pacman", "/usr/lib/sysimage", "/usr/share/lab/lab-python-base",
         "/usr/share/lab/python-base")  # fmt: skip
"""What package managers write down of what they did, and the package that was brought up to date."""


@pytest.fixture(params=MANAGERS, ids=lambda manager: manager.flavour)
def manager(request: pytest.FixtureRequest) -> Manager:
    found: Manager = request.param
    return found


@pytest.fixture
async def bare_trial() -> AsyncIterator[Trial]:
    """On a host without any python."""
    with labs.one(FLAVOUR) as host:
        async with listening() as url:
            yield Trial(host, url)


async def test_python_is_installed_only_if_agreed_and_removed_after_a_failure(bare_trial: Trial) -> None:
    before = await bare_trial.look(packages=True)
    with pytest.raises(DeployError, match="install_python") as caught:
        await bare_trial.install(at_once)
    assert (caught.value.code, caught.value.step) == ("no_python3", "probe")
    assert fsdiff.difference(before, await bare_trial.look(packages=True)) == []

    bare_trial.install_python = True
    packages = await bare_trial.sh("dpkg-query -W")
    with pytest.raises(DeployError) as caught:
        await bare_trial.install(nobody_comes)
    assert caught.value.code == "no_session"
    assert await bare_trial.sh("dpkg-query -W") == packages
    assert fsdiff.difference(before, await bare_trial.look(packages=True)) == []


@pytest.mark.slow  # the test above installs it, too
async def test_python_that_was_installed_stays_after_a_removal(bare_trial: Trial) -> None:
    before = await bare_trial.look(packages=True)
    bare_trial.install_python = True
    await bare_trial.install(at_once)
    assert "3." in await bare_trial.sh("python3 --version")
    notes = Notes()
    await bare_trial.major.remove(bare_trial.target(), notes)
    assert any("python3 was installed for Stardust and stays" in line for line in notes.lines)
    left = fsdiff.difference(before, await bare_trial.look(packages=True))
    assert [line for line in left if "stardust" in line.lower()] == []


@pytest.fixture
def flavoured_host(manager: Manager) -> Iterator[labs.Host]:
    """A host without any python3, and with a repository that has one."""
    with labs.one(manager.flavour) as host:
        host.sh(HIDE + manager.prepare)
        yield host


@pytest.fixture
async def python_trial(flavoured_host: labs.Host) -> AsyncIterator[Trial]:
    async with listening() as url:
        trial = Trial(flavoured_host, url)
        trial.install_python = True
        yield trial


@pytest.mark.slow
async def test_each_package_manager_installs_python_and_removes_it_after_a_failure(python_trial: Trial, manager: Manager) -> None:
    before, packages = await python_trial.look(), await python_trial.sh(manager.listed)
    assert "lab-python-base" in packages
    with pytest.raises(DeployError) as caught:
        await python_trial.install(nobody_comes)
    assert caught.value.code == "no_session", caught.value.message
    assert f"  probe: installing python3 with {manager.command}" in python_trial.notes.lines
    assert "  probe: installed 2 packages for python3" in python_trial.notes.lines
    assert python_trial.notes.lines[-1].endswith("everything was taken back: the server is as before")
    assert await python_trial.sh(manager.listed) == packages
    changed = fsdiff.difference(before, await python_trial.look())
    assert [line for line in changed if not line.split(" ", 1)[1].startswith(BOOKS)] == []

    await python_trial.install(at_once)
    assert "3." in await python_trial.sh("python3 --version")
    notes = Notes()
    await python_trial.major.remove(python_trial.target(), notes)
    assert any("python3 was installed for Stardust and stays" in line for line in notes.lines)
    assert "3." in await python_trial.sh("python3 --version")
    left = fsdiff.difference(before, await python_trial.look())
    assert [line for line in left if "stardust" in line.lower()] == []
