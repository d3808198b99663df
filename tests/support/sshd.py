"""A second sshd on a lab host with its own settings; the host's real one is unchanged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.support.lab import Host
from tests.support.ports import free_port

START_LIMIT_S = 60


@contextlib.contextmanager
def sshd(host: Host, *settings: str) -> Iterator[int]:
    """Run it until the end, over the host's keys and accounts; gives its port."""
    port = free_port()
    name = f"/run/sshd-{port}"
    lines = [f"ListenAddress {host.address}", f"Port {port}", f"PidFile {name}.pid", "UseDNS no"]
    lines += [
        "HostKey /etc/ssh/ssh_host_ed25519_key",
        "HostKey /etc/ssh/ssh_host_ecdsa_key",
        "HostKey /etc/ssh/ssh_host_rsa_key",
        *settings,
    ]
    text = "".join(f"{line}\n" for line in lines)
    begin = f"mkdir -p /run/sshd; cat > {name}; /usr/sbin/sshd -f {name} -E {name}.log; until [ -s {name}.pid ]; do sleep 0.02; done"
    host.run("/bin/sh", "-euc", begin, stdin=text, timeout_s=START_LIMIT_S)
    try:
        yield port
    finally:
        host.sh(f"kill $(cat {name}.pid) && rm -f {name} {name}.log", check=False)
