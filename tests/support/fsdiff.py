"""Snapshots of a host's file system and their difference, to test that a server is as before.

Compared: path, type, mode, owner, group, target of a link, the size of everything but folders, and for files below 2 MiB under /etc, /opt,
/usr/local and /run the SHA-256. Also accounts, groups, and Stardust's units.
Not compared, because they change on a host that nobody touches, or belong to the tools that every administrator uses:

* /proc, /sys, /dev: not files.
* /run/systemd, /run/user, /run/log, /run/udev, /run/sudo, /run/utmp, /run/lock, /run/mount, /run/dbus, /run/host: state of the system and of log-ins.
* /var/log, /var/lib/systemd, /var/tmp/systemd-private-*, /tmp/systemd-private-*, /tmp/namespace-dev-*: journal, time stamps, sandboxes of other services.
  systemd leaves the last one of a service that it stops while it makes the service's own /dev.
* /var/lib/sudo, /home/*/.sudo_as_admin_successful: written when sudo first warns a user, and first lets one be root. /run/motd.dynamic: written
  at a log-in.
* /home/*/.cache, /root/.cache: shells and package managers.
* /etc/passwd-, /etc/group-, /etc/shadow-, /etc/gshadow-, /etc/subuid-, /etc/subgid-, /etc/.pwd.lock: copies and lock of the shadow
  tools, which useradd and userdel write for every user.
* /usr/lib/rc/cache: OpenRC's cache of all services, written when the host goes down.
* With `packages=True` also PRUNED_WITH_PACKAGES: caches and copies of the package manager, for tests that install and remove python3.
"""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[[str], str]
"""Runs a shell script as root on the host; returns what it printed."""

PRUNED = (
    "/proc", "/sys", "/dev",
    "/run/systemd", "/run/user", "/run/log", "/run/udev", "/run/sudo", "/run/utmp", "/run/lock", "/run/mount", "/run/dbus", "/run/host",
    "/var/log", "/var/lib/systemd", "/var/lib/sudo", "/home/*/.sudo_as_admin_successful", "/run/motd.dynamic", "/root/.cache", "/home/*/.cache",
    "/usr/lib/rc/cache", "/var/tmp/systemd-private-*", "/tmp/systemd-private-*", "/tmp/namespace-dev-*",
    "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock",
)  # fmt: skip
PRUNED_WITH_PACKAGES = (
    "/var/lib/apt/lists", "/var/lib/apt/extended_states", "/var/cache/apt", "/var/cache/ldconfig", "/var/cache/debconf",
    "/var/lib/dpkg/*-old", "/var/lib/dpkg/lock*", "/var/lib/dpkg/triggers", "/etc/ld.so.cache", "/var/cache/man",
)  # fmt: skip
NEXT = "===next==="
HASHED = ("/etc", "/opt", "/usr/local", "/run")


def look(run: Run, *, packages: bool = False) -> dict[str, str]:
    """A snapshot of a host: path -> facts. Accounts, groups and units are paths that begin with `account `, without facts."""
    pruned = PRUNED + (PRUNED_WITH_PACKAGES if packages else ())
    skip = " -o ".join(f"-path '{path}'" for path in pruned)
    # The size of a folder depends on the file system, not on its content. With bytes for letters, find compares paths in half the time.
    scripts = (
        f"LC_ALL=C find / \\( {skip} \\) -prune -o \\( -type d -printf '%p\\t%y %m %U:%G\\n' \\) -o \\( ! -type d -printf '%p\\t%y %m %U:%G %s %l\\n' \\) || true",
        f"find {' '.join(HASHED)} \\( {skip} \\) -prune -o -type f -size -2048k -exec sha256sum {{}} + 2>/dev/null || true",
        "getent passwd; getent group; systemctl list-units --all --no-legend --plain 'stardust*' | sed 's/^/unit /'",
    )
    listing, hashes, accounts = run(f"; echo {NEXT}; ".join(scripts)).split(f"{NEXT}\n")  # one call to the host, since each costs
    entries = dict(line.split("\t", 1) for line in listing.splitlines() if "\t" in line)
    for line in hashes.splitlines():
        digest, _, path = line.partition("  ")
        if path in entries:
            entries[path] += f" {digest}"
    entries.update({f"account {line}": "" for line in accounts.splitlines()})
    return entries


def difference(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Lines `+ path`, `- path`, `~ path: facts -> facts`; empty = the same."""
    lines = [f"+ {path} {after[path]}" for path in after if path not in before]
    lines += [f"- {path} {before[path]}" for path in before if path not in after]
    lines += [f"~ {path}: {before[path]} -> {after[path]}" for path in before if path in after and before[path] != after[path]]
    return sorted(lines)
