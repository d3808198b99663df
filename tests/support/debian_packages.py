"""Debian packages on a lab host without a package manager."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any


def unpack(host: Any, folder: Path, *programs: str) -> None:
    """Lay programs on a host, unpacked from the packages of this machine's own mirror."""
    done = subprocess.run(["apt-get", "-q", "download", *programs], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"the mirror does not give {', '.join(programs)}: {done.stderr[-400:]}"
    for deb in sorted(folder.glob("*.deb")):
        host.run(
            "/bin/sh",
            "-euc",
            "cat > /root/it.deb; dpkg-deb --fsys-tarfile /root/it.deb | tar -x --keep-directory-symlink -C /; rm /root/it.deb",
            stdin=deb.read_bytes(),
        )
    host.sh("ldconfig")


DOAS = (
    "mv /usr/bin/sudo /usr/bin/sudo.real; echo '{rule}' > /etc/doas.conf; chmod 600 /etc/doas.conf;"
    " printf 'auth required pam_unix.so\naccount required pam_unix.so\n' > /etc/pam.d/doas"
)
"""doas in the place of sudo, with this rule."""
