"""Installs made-up packages on a lab host, and offers newer versions among many other packages. `plan.py` sends this program.

No package is held, as on most servers. Packages are never fetched, so new packages are only entries in lists. Installed packages are
entries in the manager's database. Run as `python3 - MANAGER INSTALLED OTHERS`; needs only Python and the manager.
"""

import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

SHELF = Path("/srv/bench-repo")
SECURITY_EVERY = 3
"""Every third upgrade is a security update, if the format of the lists can say so."""


def names(installed: int, others: int) -> Iterator[tuple[str, str]]:
    """Names and versions of the packages in the lists."""
    for number in range(installed):
        yield f"bench-{number:03}", "2.0"
    for number in range(others):
        yield f"other-{number:05}", "1.0"


def needed(name: str) -> str:
    """The package that this package needs; empty: none."""
    stem, _, number = name.rpartition("-")
    return f"{stem}-{int(number) - 1:0{len(number)}}" if int(number) % 10 else ""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def rpm_lists(installed: int, others: int) -> None:
    """Write an rpm-md repository with advisories, for dnf and zypper."""
    rows = []
    for name, version in names(installed, others):
        needs = f'<rpm:requires><rpm:entry name="{needed(name)}"/></rpm:requires>' if needed(name) else ""
        rows.append(
            f'<package type="rpm"><name>{name}</name><arch>noarch</arch><version epoch="0" ver="{version}" rel="1"/>'
            f'<checksum type="sha256" pkgid="YES">{sha256((name + version).encode())}</checksum><summary>{name} of the benchmark</summary>'
            f"<description>It is here to be planned, and to be read.</description><packager/><url/>"
            f'<time file="1700000000" build="1700000000"/><size package="40000" installed="120000" archive="121000"/>'
            f'<location href="{name}-{version}-1.noarch.rpm"/><format><rpm:license>MIT</rpm:license><rpm:vendor/><rpm:group>Unspecified</rpm:group>'
            f"<rpm:buildhost>bench</rpm:buildhost><rpm:sourcerpm>{name}-{version}-1.src.rpm</rpm:sourcerpm>"
            f'<rpm:header-range start="4504" end="6000"/><rpm:provides><rpm:entry name="{name}" flags="EQ" epoch="0" ver="{version}" rel="1"/>'
            f"</rpm:provides>{needs}<file>/usr/bin/{name}</file></format></package>"
        )
    space = 'xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"'
    head = '<?xml version="1.0" encoding="UTF-8"?>\n'
    many = f'packages="{len(rows)}"'
    advisories = [
        f'<update from="bench" status="stable" type="{"security" if number % SECURITY_EVERY == 0 else "bugfix"}" version="1">'
        f"<id>BENCH-{number:04}</id><title>bench-{number:03}</title><severity>Important</severity><release>1</release>"
        f'<issued date="2026-01-01 00:00:00"/><updated date="2026-01-01 00:00:00"/><references/><description>bench</description>'
        f'<pkglist><collection short="b"><name>b</name><package name="bench-{number:03}" version="2.0" release="1" epoch="0" arch="noarch" src="b.src.rpm">'
        f"<filename>bench-{number:03}-2.0-1.noarch.rpm</filename></package></collection></pkglist></update>"
        for number in range(installed)
    ]
    files = {
        "primary": f"{head}<metadata {space} {many}>\n" + "\n".join(rows) + "\n</metadata>\n",
        "filelists": f'{head}<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="0"></filelists>\n',
        "other": f'{head}<otherdata xmlns="http://linux.duke.edu/metadata/other" packages="0"></otherdata>\n',
        "updateinfo": f"{head}<updates>\n" + "\n".join(advisories) + "\n</updates>\n",
    }
    folder = SHELF / "repodata"
    folder.mkdir(parents=True)
    index = [f'{head}<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>']
    for kind, text in files.items():
        packed = gzip.compress(text.encode(), 1)
        (folder / f"{kind}.xml.gz").write_bytes(packed)
        index.append(
            f'<data type="{kind}"><checksum type="sha256">{sha256(packed)}</checksum><open-checksum type="sha256">{sha256(text.encode())}</open-checksum>'
            f'<location href="repodata/{kind}.xml.gz"/><timestamp>1700000000</timestamp><size>{len(packed)}</size><open-size>{len(text.encode())}</open-size></data>'
        )
    (folder / "repomd.xml").write_text("\n".join([*index, "</repomd>\n"]))


def rpm_installed(installed: int) -> None:
    """Build packages without files by one run of rpmbuild, and install them."""
    head = "Name: bench\nVersion: 1.0\nRelease: 1\nSummary: b\nLicense: MIT\nBuildArch: noarch\n%description\nb\n"
    parts = [
        f"%package -n bench-{number:03}\nSummary: b\n{'Requires: ' + needed(f'bench-{number:03}') if number % 10 else ''}\n"
        f"%description -n bench-{number:03}\nb\n%files -n bench-{number:03}\n"
        for number in range(installed)
    ]
    spec = Path("/tmp/bench.spec")
    spec.write_text(head + "\n".join(parts))
    subprocess.run(["rpmbuild", "-bb", "--quiet", "--define", "_topdir /tmp/bench-rpm", str(spec)], check=True, timeout=300)
    packages = sorted(str(path) for path in Path("/tmp/bench-rpm/RPMS/noarch").glob("bench-*.rpm"))
    subprocess.run(["rpm", "-i", *packages], check=True, timeout=300)


def dnf(installed: int, others: int) -> None:
    rpm_installed(installed)
    rpm_lists(installed, others)
    settings = Path("/etc/dnf/dnf.conf")
    settings.write_text("".join(line for line in settings.open() if not line.startswith("exclude")))
    Path("/etc/yum.repos.d/bench.repo").write_text(f"[bench]\nname=bench\nbaseurl=file://{SHELF}\nenabled=1\ngpgcheck=0\n")
    subprocess.run(["dnf", "-q", "-y", "--refresh", "makecache"], check=True, timeout=300)


def zypper(installed: int, others: int) -> None:
    rpm_installed(installed)
    rpm_lists(installed, others)
    text = f"[bench]\nname=bench\nbaseurl=file://{SHELF}\nenabled=1\ngpgcheck=0\nautorefresh=0\ntype=rpm-md\n"
    Path("/etc/zypp/repos.d/bench.repo").write_text(text)
    Path("/etc/zypp/locks").unlink()
    subprocess.run(["zypper", "-q", "--non-interactive", "refresh"], check=True, timeout=300)


def apt(installed: int, others: int) -> None:
    """Write entries into dpkg's status file, and a flat repository."""
    with open("/var/lib/dpkg/status", "a", encoding="utf-8") as status:
        for number in range(installed):
            name = f"bench-{number:03}"
            needs = f"Depends: {needed(name)}\n" if needed(name) else ""
            Path(f"/var/lib/dpkg/info/{name}.list").write_text("/.\n")
            status.write(
                f"\nPackage: {name}\nStatus: install ok installed\nPriority: optional\nSection: misc\nInstalled-Size: 100\n"
                f"Maintainer: b <b@localhost>\nArchitecture: all\nVersion: 1.0\n{needs}Description: of the benchmark\n"
            )
    SHELF.mkdir(parents=True)
    rows = []
    for name, version in names(installed, others):
        needs = f"Depends: {needed(name)}\n" if needed(name) else ""
        rows.append(
            f"Package: {name}\nVersion: {version}\nPriority: optional\nSection: misc\nInstalled-Size: 120\nMaintainer: b <b@localhost>\nArchitecture: all\n"
            f"{needs}Filename: ./{name}_{version}_all.deb\nSize: 40000\nSHA256: {sha256((name + version).encode())}\nDescription: of the benchmark\n"
        )
    (SHELF / "Packages").write_text("\n".join(rows))
    for path in Path("/etc/apt/sources.list.d").glob("*debian*"):
        path.unlink()
    Path("/etc/apt/sources.list.d/bench.list").write_text(f"deb [trusted=yes] file:{SHELF} ./\n")
    held = subprocess.run(["apt-mark", "showhold"], check=True, capture_output=True, text=True, timeout=60).stdout.split()
    subprocess.run(["apt-mark", "-q", "unhold", *held], check=True, timeout=60)
    subprocess.run(["apt-get", "-q", "update"], check=True, timeout=300)


def pacman(installed: int, others: int) -> None:
    """Write entries into pacman's database, and a repository of one tar file."""
    for number in range(installed):
        folder = Path(f"/var/lib/pacman/local/bench-{number:03}-1.0-1")
        folder.mkdir()
        (folder / "desc").write_text(_pacman_entry(f"bench-{number:03}", "1.0-1") + "%VALIDATION%\nnone\n\n")
        (folder / "files").write_text("%FILES%\n")
    SHELF.mkdir(parents=True)
    with tarfile.open(SHELF / "bench.db", "w:gz", compresslevel=1) as archive:
        for name, version in names(installed, others):
            entry = f"%FILENAME%\n{name}-{version}-1-any.pkg.tar.gz\n\n%CSIZE%\n40000\n\n" + _pacman_entry(name, version + "-1")
            content = entry.encode()
            member = tarfile.TarInfo(f"{name}-{version}-1/desc")
            member.size, member.mtime = len(content), int(time.time())
            archive.addfile(member, io.BytesIO(content))
    settings = Path("/etc/pacman.conf")
    kept = "".join(line for line in settings.open() if not line.startswith("IgnorePkg"))
    settings.write_text(f"{kept}\n[bench]\nServer = file://{SHELF}\n")
    subprocess.run(["pacman", "-Sy"], check=True, timeout=300)


def _pacman_entry(name: str, version: str) -> str:
    needs = f"%DEPENDS%\n{needed(name)}\n\n" if needed(name) else ""
    size = "%SIZE%" if version == "1.0-1" and name.startswith("bench") else "%ISIZE%"
    return (
        f"%NAME%\n{name}\n\n%BASE%\n{name}\n\n%VERSION%\n{version}\n\n%DESC%\nof the benchmark\n\n%ARCH%\nany\n\n%BUILDDATE%\n1700000000\n\n"
        f"{size}\n120000\n\n{needs}"
    )


if __name__ == "__main__":
    {"apt": apt, "dnf": dnf, "dnf5": dnf, "zypper": zypper, "pacman": pacman}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
