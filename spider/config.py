"""Spider's settings: flags, environment and spider.conf, read once and validated together. No other module reads the environment."""

import os
import re
import socket
import stat
import sys
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from spider.files import read_text
from spider.ini_reader import read_ini
from spider.selfcare.node_keys import key_file
from spider.version import VERSION
from spider.wire.certificates import read_pins
from spider.wire.ids import is_id
from spider.wire.proof import KEY_BYTES

EXIT_CONFIG = 78
_MAX_CONF_BYTES = 64 * 1024
_SECTIONS = {
    "hub": {"url", "fleet", "tls_pin", "proxy"},
    "node": {"id", "generation", "name"},
    "spool": {"hours", "mebibytes"},
    "logs": {"journal"},
    "statsd": {"listen"},
    "sensors": {"leave_out"},
}
_OPTIONAL = {"tls_pin", "proxy", "name", "hours", "mebibytes", "journal", "listen", "leave_out"}
ADDRESS_FILE = "hub-address"
"""Name of a file in the state folder. Its first line is the url of spider.conf. The other lines are hosts to dial before the host of this url:
the host that the hub named last, and the host at which the hub answered when it named it."""
SPOOL_HOURS = 72
SPOOL_MEBIBYTES = 64
"""Longest time span and largest size of the samples on disk while the hub is away. spider.conf may lower both; with 0, samples stay in
memory."""
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info")
"""Priorities of log lines, numbered as in syslog(3). Debug is left out, because it is too much for a fleet."""
_URL = re.compile(
    r"(?P<scheme>wss?)://(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9.-]{0,252}))(?::(?P<port>[0-9]{1,5}))?(?P<path>/[!-~]*)?\Z",
    re.IGNORECASE | re.ASCII,
)
_PROXY = re.compile(
    r"http://(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9.-]{0,252})):(?P<port>[0-9]{1,5})/?\Z", re.IGNORECASE | re.ASCII
)
_LOOPBACK = re.compile(r"localhost|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\]")
_STATSD = re.compile(r"(?:off|[1-9][0-9]{0,4}|/[!-~]{1,100})\Z")
_SENSORS = re.compile(r"[^\x00-\x1f\x7f]{1,2000}\Z")
MOST_SENSORS = 32
"""Most patterns of sensors that are left out."""
_BOOT = re.compile(r"[0-9a-f]{32}\Z")
_EDITION = re.compile(r"[1-9][0-9]{0,5}\Z")
_BOOT_FILE = "/proc/sys/kernel/random/boot_id"


class ConfigError(Exception):
    """The settings are invalid; `faults` lists the errors, one line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = list(faults)


class Url(NamedTuple):
    """The URL of the hub."""

    secure: bool
    host: str
    """The host, without brackets."""
    port: int
    path: str
    authority: str
    """Host and port in lower case: an IPv6 address in brackets, the default port left out."""

    @property
    def text(self) -> str:
        """The URL as one text."""
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}"

    def at(self, address: str) -> "Url":
        """This URL with another host: an IP address without brackets, or a host name in lower case.

        Raises: ValueError: `address` is neither an IP address nor a host name, or this URL is not `wss://`.
        """
        try:
            name = f"[{address}]" if ":" in address and socket.inet_pton(socket.AF_INET6, address) else address
        except OSError as error:
            raise ValueError(f"{address[:100]!r} is no address of a hub") from error
        moved = parse_url(f"wss://{name}:{self.port}{self.path}")
        if moved._replace(host="", authority="") != self._replace(host="", authority="") or moved.host != address:
            raise ValueError(f"{address[:100]!r} is no address of a hub")
        return moved


class Proxy(NamedTuple):
    """An HTTP proxy between this node and the hub."""

    host: str
    """The host, without brackets."""
    port: int


class Flag(NamedTuple):
    """A flag of the command line that takes a value."""

    name: str
    default: str
    help: str


FLAGS = (
    Flag("--config", "/etc/stardust/spider.conf", "where the hub is and who this node is; a path or fd:N"),
    Flag("--key", "/etc/stardust/session.key", "the session key, 32 bytes; a path or fd:N"),
    Flag("--policy", "/etc/stardust/policy.conf", "what the owner of this node allows"),
    Flag("--state", "/var/lib/stardust/spider", "folder of Spider's own state"),
    Flag("--jobs", "/var/lib/stardust/jobs", "folder of the jobs that root runs"),
    Flag("--metrics", "/etc/stardust/metrics.d", "folder of the owner's programs that print numbers"),
    Flag("--launcher", "/run/stardust/launcher.sock", "socket that orders to root go through"),
    Flag("--events", "/run/stardust-spider/events.sock", "socket on which programs of this host report events"),
)

USAGE = """usage: spider.pyz [flags]      the agent
       spider.pyz launch       check one order from the socket on descriptor 3 (as root, started by systemd)
       spider.pyz listen       hold that socket where there is no systemd (as root, started by OpenRC)
       spider.pyz run JOB      run one job (as root, started by systemd)
       spider.pyz event TYPE   report an event (see spider.pyz event --help)
       spider.pyz rollback     end an update that was cut off (as root, started by systemd)
       spider.pyz --version

{flags}

STARDUST_BOOT   32 hex digits that name this boot (default: {boot_file})
STARDUST_UNITS  the edition of the unit files that started this (default: 0, not known)
""".format(flags="\n".join(f"{flag.name + ' VALUE':18} {flag.help} (default: {flag.default})" for flag in FLAGS), boot_file=_BOOT_FILE)


@dataclass(frozen=True)
class Config:
    """All validated settings."""

    url: Url
    fleet: str
    tls_pin: Optional[bytes]
    """SHA-256 of the hub's public key (SubjectPublicKeyInfo); of several allowed keys: concatenated. It is set for a hub whose certificate no
    authority has signed. None: an authority must have signed the certificate."""
    node: str
    """Id of this node, 26 characters."""
    generation: int
    """Number of the session key, from 1; each new key has the next one."""
    name: str
    """The node's name for people; empty = none."""
    boot: str
    """Id of this boot, 32 hex digits."""
    policy_path: str
    state_dir: str
    jobs_dir: str
    launcher_path: str
    key: bytes = field(repr=False)
    version: str = VERSION
    spool_hours: int = SPOOL_HOURS
    spool_mebibytes: int = SPOOL_MEBIBYTES
    journal: str = ""
    """Least urgent log lines that are sent to the hub, one of `LEVELS`; empty = none."""
    statsd: str = ""
    """Where the statsd socket listens: a port of 127.0.0.1, or a path; empty = nowhere."""
    config_path: str = ""
    """The value of `--config`: the path of `spider.conf`, or fd:N."""
    metrics_dir: str = ""
    """Folder of programs whose output is measured; empty = none is run."""
    proxy: Optional[Proxy] = None
    events_path: str = ""
    """Path of the socket on which programs report events; empty = none."""
    units: int = 0
    """Edition of the unit files that started this program; 0 = unknown."""
    kept: Tuple[Url, ...] = ()
    """Further URLs of a hub with a pinned key, from `ADDRESS_FILE`. The URL that the hub named last comes first."""

    sensors_refused: Tuple[str, ...] = ()
    """Patterns of the names of sensors that are not measured."""

    @property
    def urls(self) -> Tuple[Url, ...]:
        """The URLs of the hub, in the order to dial."""
        return (*self.kept, self.url)

    @classmethod
    def from_env(cls, environ: Mapping[str, str], argv: Sequence[str]) -> "Config":
        """Read flags, environment and files.

        Raises: ConfigError: flags are wrong; or, with right flags, the environment or the files are. It lists all these faults.
        """
        flags = parse_flags(argv)
        faults: List[str] = []
        conf: Dict[str, str] = {}
        key = b""
        try:
            conf = parse_conf(_read(flags["--config"], private=False).decode("utf-8"))
        except ConfigError as error:
            faults += [f"{flags['--config']}: {fault}" for fault in error.faults]
        except (OSError, ValueError) as error:
            faults.append(f"{flags['--config']}: {_words(error)}")
        try:
            key = _read(key_file(flags["--key"], int(conf.get("generation", 1))), private=True)
            if len(key) != KEY_BYTES:
                faults.append(f"{flags['--key']}: a session key has {KEY_BYTES} bytes, this file has {len(key)}")
        except (OSError, ValueError) as error:
            faults.append(f"{flags['--key']}: {_words(error)}")
        boot = environ.get("STARDUST_BOOT") or kernel_boot()
        if not _BOOT.match(boot):
            faults.append(f"STARDUST_BOOT: 32 hex digits are expected, not {boot[:80]!r}")
        units = environ.get("STARDUST_UNITS", "")
        if faults:
            raise ConfigError(faults)
        url = parse_url(conf["url"])
        return cls(
            url=url,
            fleet=conf["fleet"],
            tls_pin=read_pins(conf["tls_pin"]) if conf.get("tls_pin") else None,
            kept=_read_kept(flags["--state"], url) if conf.get("tls_pin") else (),
            proxy=parse_proxy(conf["proxy"]) if conf.get("proxy") else None,
            node=conf["id"],
            generation=int(conf["generation"]),
            name=conf.get("name", ""),
            boot=boot,
            policy_path=flags["--policy"],
            state_dir=flags["--state"],
            jobs_dir=flags["--jobs"],
            launcher_path=flags["--launcher"],
            events_path=flags["--events"],
            key=key,
            spool_hours=int(conf.get("hours", SPOOL_HOURS)),
            spool_mebibytes=int(conf.get("mebibytes", SPOOL_MEBIBYTES)),
            journal="" if conf.get("journal", "off") == "off" else conf["journal"],
            statsd="" if conf.get("listen", "off") == "off" else conf["listen"],
            sensors_refused=parse_sensors(conf.get("leave_out", "")),
            config_path=flags["--config"],
            metrics_dir=flags["--metrics"],
            units=int(units) if _EDITION.match(units) else 0,
        )


def parse_flags(argv: Sequence[str]) -> Dict[str, str]:
    """Parse `--name value` and `--name=value`. Returns: the value of each flag of `FLAGS`, by name.

    Raises: ConfigError: an unknown flag, one without a value, or one that was given twice.
    """
    values = {flag.name: flag.default for flag in FLAGS}
    seen = set()
    faults: List[str] = []
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if name not in values:
            faults.append(f"{word}: no such flag; see --help")
            continue
        if not equals:
            value = words.pop(0) if words else ""
        if not value or name in seen:
            faults.append(f"{name}: one value is expected")
        seen.add(name)
        values[name] = value
    if faults:
        raise ConfigError(faults)
    return values


def parse_url(text: str) -> Url:
    """Parse the address of a hub.

    Raises: ValueError: not `wss://host[:port]/path`, or `ws://` to another machine.
    """
    match = _URL.match(text)
    if match is None:
        raise ValueError("wss://host/ws is expected (ASCII, without user name)")
    secure = match.group("scheme").lower() == "wss"
    host = match.group("host").lower()
    usual = 443 if secure else 80
    port = int(match.group("port") or usual)
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port")
    if not secure and not _LOOPBACK.fullmatch(host):
        raise ValueError("ws:// is allowed to this machine only; use wss://")
    authority = host if port == usual else f"{host}:{port}"
    return Url(secure, host.strip("[]"), port, match.group("path") or "/ws", authority)


def parse_proxy(text: str) -> Proxy:
    """Parse the address of an HTTP proxy. It must not contain a user name or password, since spider.conf is not secret.

    Raises: ValueError: not `http://host:port`.
    """
    match = _PROXY.match(text)
    if match is None or not 0 < int(match.group("port")) < 65536:
        raise ValueError("http://host:port is expected (ASCII, without user name)")
    return Proxy(match.group("host").strip("[]"), int(match.group("port")))


def parse_sensors(text: str) -> Tuple[str, ...]:
    """Parse a list of patterns, such as `nct6775 AUXTIN*, it87 temp3`.

    Raises: ValueError: more than `MOST_SENSORS` patterns, or a character that is no part of a name.
    """
    patterns = tuple(word.strip() for word in text.split(",") if word.strip())
    if len(patterns) > MOST_SENSORS or (patterns and not _SENSORS.match(text)):
        raise ValueError(f"at most {MOST_SENSORS} names of sensors, separated by commas, are expected")
    return patterns


def parse_conf(text: str) -> Dict[str, str]:
    """Parse the text of spider.conf. Returns: the validated values by key, of all sections together.

    Raises: ConfigError: an unknown, missing, duplicate or invalid entry.
    """
    try:
        sections = read_ini(text)
    except ValueError as error:
        raise ConfigError([str(error)]) from error
    faults = [f"unknown section [{section}]" for section in sections if section not in _SECTIONS]
    values: Dict[str, str] = {}
    for section, keys in _SECTIONS.items():
        found = sections.get(section, {})
        faults += [f"unknown key {key!r} in [{section}]" for key in sorted(set(found) - keys)]
        faults += [f"{key!r} is missing in [{section}]" for key in sorted(keys - set(found) - _OPTIONAL)]
        values.update(found)
    faults += _wrong_values(values)
    if faults:
        raise ConfigError(faults)
    return values


def _wrong_values(values: Mapping[str, str]) -> List[str]:
    faults: List[str] = []
    if "url" in values:
        try:
            parse_url(values["url"])
        except ValueError as error:
            faults.append(f"url: {error}")
    if values.get("proxy"):
        try:
            parse_proxy(values["proxy"])
        except ValueError as error:
            faults.append(f"proxy: {error}")
    try:
        parse_sensors(values.get("leave_out", ""))
    except ValueError as error:
        faults.append(f"leave_out: {error}")
    faults += [f"{key}: 26 characters of an id are expected" for key in ("fleet", "id") if key in values and not is_id(values[key])]
    generation = values.get("generation", "1")
    if not re.match(r"[1-9][0-9]{0,9}\Z", generation) or int(generation) >= 1 << 32:
        faults.append("generation: a number from 1 on is expected")
    if values.get("tls_pin"):
        try:
            read_pins(values["tls_pin"])
        except ValueError as error:
            faults.append(f"tls_pin: {error}")
    for key, most in (("hours", SPOOL_HOURS), ("mebibytes", SPOOL_MEBIBYTES)):
        if key in values and not (re.match(r"[0-9]{1,4}\Z", values[key]) and int(values[key]) <= most):
            faults.append(f"{key}: a number from 0 to {most} is expected")
    if values.get("journal", "off") not in ("off", *LEVELS):
        faults.append(f"journal: off or one of {', '.join(LEVELS)} is expected")
    if not _STATSD.match(values.get("listen", "off")):
        faults.append("listen: off, a port of 127.0.0.1, or the path of a socket is expected")
    return faults


def _read_kept(state_dir: str, url: Url) -> Tuple[Url, ...]:
    """The URLs to dial before the url of spider.conf. Empty: none are stored, or that url has changed since they were stored."""
    first, *addresses = read_text(os.path.join(state_dir, ADDRESS_FILE), 1024).split("\n")
    try:
        return tuple(map(url.at, addresses[:2])) if first == url.text else ()
    except ValueError:
        return ()


def kernel_boot(boot_file: str = _BOOT_FILE) -> str:
    """The kernel's id of this boot, 32 hex digits; empty: unknown. Source: proc_sys_kernel(5), on macOS sysctl(3)."""
    found = read_text(boot_file, 64)
    if not found and sys.platform == "darwin":
        from spider.sysctl import sysctl_text  # noqa: PLC0415 - it needs ctypes, which a Python of Linux may lack

        found = sysctl_text("kern.bootsessionuuid")
    return found.replace("-", "").lower()


def _read(where: str, *, private: bool) -> bytes:
    """Read a small file that only this user or root can write (if private: also read). `fd:N` is closed afterwards."""
    if where.startswith("fd:"):
        if not (where[3:].isascii() and where[3:].isdigit()):
            raise ValueError("fd:N is expected, with the number of an open descriptor")
        handle = int(where[3:])
    else:
        handle = os.open(where, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise ValueError("not a plain file")
        if info.st_uid not in (0, os.geteuid()):
            raise ValueError(f"owned by uid {info.st_uid}, which is neither root nor this user")
        if info.st_mode & (0o077 if private else 0o022):
            raise ValueError(f"mode {stat.S_IMODE(info.st_mode):04o} lets others in")
        os.lseek(handle, 0, os.SEEK_SET)
        data = os.read(handle, _MAX_CONF_BYTES + 1)
        if len(data) > _MAX_CONF_BYTES:
            raise ValueError("too big")
        return data
    finally:
        os.close(handle)


def _words(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
