"""The addresses of a hub that terminates TLS itself (`--lan`): set by the owner, or found at the first start. The data folder stores them."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from groundcontrol.core import addresses as address_policy
from groundcontrol.core.errors import ConfigError

MOST_ADDRESSES: Final = 8
"""The most addresses that an invite can hold."""
LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
"""Names under which the hub's own machine always reaches the hub."""
HOW_TO_CHANGE: Final = "`stardust addresses set ADDRESS …` changes the addresses"
FIND: Final = "auto"
"""The value of the setting that means: find the addresses of this machine."""
_OFF: Final = frozenset({"", "0", "no", "false", "off"})
_FIND: Final = frozenset({FIND, "1", "yes", "true", "on"})
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_FILE: Final = "lan-addresses"
_ELSEWHERE: Final = ("192.0.2.1", 9)
"""An address of no network (RFC 5737). Nothing is sent to it."""


def parse_setting(text: str) -> tuple[str, ...] | None:
    """Parse the setting `lan`.

    Returns: the named addresses; empty: stored or found addresses apply; None: this hub does not terminate TLS.
    Raises:  ValueError: the text is for users.
    """
    word = text.strip().lower()
    if word in _OFF:
        return None
    return () if word in _FIND else parse_addresses(re.split(r"[\s,]+", text.strip()))


def parse_addresses(words: Sequence[str]) -> tuple[str, ...]:
    """Check addresses and host names, and normalise them. New nodes dial the first one.

    Raises: ValueError: the text is for users.
    """
    found = tuple(dict.fromkeys(_parse(word) for word in words if word))
    if not found:
        raise ValueError("no address is named")
    if len(found) > MOST_ADDRESSES:
        raise ValueError(f"at most {MOST_ADDRESSES} addresses can be named")
    return found


def _parse(word: str) -> str:
    name = word.lower().strip("[]").rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if not _NAME.fullmatch(name) or name.rpartition(".")[2].isdigit():
            raise ValueError(f"{word[:80]!r} is neither an IP address nor a host name") from None
        if name == "localhost":
            raise ValueError("localhost is this machine alone: name an address at which others reach it") from None
        return name
    scope = getattr(address, "scope_id", None)  # an interface of this machine; certificates have no place for it
    if scope or address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
        raise ValueError(f"{word[:80]!r} is no address at which other machines reach this one")
    return str(address)


def is_own(address: str) -> bool:
    """Whether this machine has the address now. For a host name always True: it is not resolved."""
    return not address_policy.is_address(address) or address_policy.is_own(address)


def find_addresses() -> tuple[str, ...]:
    """The address from which this machine reaches other networks; without a route to them, the addresses of its interfaces."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError, ValueError):
        probe.connect(_ELSEWHERE)
        return parse_addresses([probe.getsockname()[0]])
    try:
        import psutil  # noqa: PLC0415  # commands read the other functions of this module, and must not wait

        interfaces = psutil.net_if_addrs()
    except OSError:  # a sandbox may hide the interfaces
        return ()
    found: list[str] = []
    for family in (socket.AF_INET, socket.AF_INET6):
        for interface in (address for addresses in interfaces.values() for address in addresses if address.family == family):
            with contextlib.suppress(ValueError):
                found.append(_parse(interface.address))
    return tuple(dict.fromkeys(found))[:MOST_ADDRESSES]


def stored_addresses(data_dir: Path) -> tuple[str, ...]:
    """The addresses that an earlier start or `stardust addresses set` stored; empty: there are none.

    Raises: ConfigError: the file is unusable.
    """
    path = data_dir / _FILE
    try:
        return parse_addresses(path.read_text(encoding="utf-8").split())
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigError(f"{path}: {exc}; correct the file, or delete it: the next start then finds this machine's addresses") from exc


def store_addresses(data_dir: Path, addresses: Sequence[str]) -> None:
    """Store the addresses for later starts.

    Raises: OSError.
    """
    write_private(data_dir / _FILE, "\n".join((*addresses, "")).encode())


def fixed_addresses(data_dir: Path, named: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses of this start: the named addresses, else the stored ones, else those of this machine.

    Raises: ConfigError: there are none.
    """
    found = named or stored_addresses(data_dir) or find_addresses()
    if not found:
        raise ConfigError("--lan found no address of this machine at which others reach it: name one (--lan ADDRESS)")
    return found


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by one with mode 0600, atomically: a reader sees the old content or the new content.

    Raises: OSError.
    """
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
