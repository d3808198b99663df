"""Reads the hub's configuration from flags, environment and file. One wrong or unsafe setting refuses the whole configuration."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from groundcontrol.access.addresses import Network
from groundcontrol.access.model import TOTP_RULES, TotpRule
from groundcontrol.config import ANY_ADDRESS, Config, Secret, authority_of, is_loopback_name
from groundcontrol.core.addresses import plain
from groundcontrol.core.errors import ConfigError
from groundcontrol.lan import parse_setting
from groundcontrol.nodes.locations import MAX_LOCATION_CHARS
from groundcontrol.samples.model import Retention, fault_of
from groundcontrol.settings import SETTINGS, Setting, serve_parser
from groundcontrol.vault import check_secret
from spider.wire.certificates import read_pins

MOST_SECRET_BYTES: Final = 4096
"""Size limit of a file with a secret."""
WIDEST_PROXY_NETWORK: Final = {4: 8, 6: 7}
"""IP version -> shortest allowed prefix in bits. A shorter prefix trusts half the internet, like a wildcard."""
_NOT_SERVED: Final = {
    "STARDUST_DATABASE_URL": "this version serves SQLite only: unset it and use --db",
    "STARDUST_NATS_URL": "this version runs as a single hub on SQLite only: unset it",
}
_NOT_WITH_LAN: Final = {
    "server_url": "behind a TLS proxy, keep --server-url alone; without one, --lan alone",
    "tls_pin": "with --lan the hub makes its certificate and its pin itself",
    "trusted_proxies": "with --lan the hub terminates TLS itself, so no proxy is in front of it",
}
_OFF: Final = frozenset({"", "0", "no", "false", "off"})
_VARIABLES: Final = frozenset(
    {"STARDUST_CONFIG", *_NOT_SERVED, *(item.env for item in SETTINGS), *(f"{item.env}_FILE" for item in SETTINGS if item.kind == "secret")}
)
MISSPELT: Final = 0.8
"""Similarity (0 to 1) from which an unknown variable counts as a misspelt setting. The variables that only the command line and the tests
use are less similar to one."""


def read_config(environ: MutableMapping[str, str], argv: Sequence[str]) -> Config:
    """Read flags, environment and file, in this order of precedence, and remove the secrets from `environ`.

    Raises: ConfigError: every fault, one line each.
    """
    return _Reader(environ, argv).read()


def _misspelt(environ: Mapping[str, str]) -> list[str]:
    """Faults for unknown variables whose names resemble a setting: a misspelt restriction would silently not apply."""
    faults = []
    for name in sorted(environ):
        if name.startswith("STARDUST_") and name not in _VARIABLES and environ[name]:
            meant = difflib.get_close_matches(
                name.removeprefix("STARDUST_"), (known.removeprefix("STARDUST_") for known in _VARIABLES), 1, MISSPELT
            )
            faults += [f"{name} is set, but there is no such setting; did you mean STARDUST_{known}?" for known in meant]
    return faults


class _Reader:
    """Collects settings and faults; it decides only after it has read every source."""

    def __init__(self, environ: MutableMapping[str, str], argv: Sequence[str]) -> None:
        self._environ = environ
        self._argv = argv
        self._faults: list[str] = []
        self._raw: dict[str, tuple[str, str]] = {}
        """Setting -> (text, its source)."""
        self._unread: set[str] = set()
        """Secrets that were given but are unusable; each has its fault in `_faults`."""
        self._secret_sources: dict[str, str] = {}
        """Variable of a secret -> the file or credential that gave it."""

    def read(self) -> Config:
        secrets = {item.name: self._secret(item) for item in SETTINGS if item.kind == "secret"}
        flags = vars(serve_parser().parse_args(list(self._argv)))
        for name, why in _NOT_SERVED.items():
            if self._environ.get(name, "").strip().lower() not in _OFF:
                self._faults.append(f"{name} is set, but {why}")
        self._faults += _misspelt(self._environ)
        file = self._file(flags)
        for item in SETTINGS:
            if item.kind != "secret":
                self._raw[item.name] = self._find(item, flags, file)
        config = self._checked(secrets)
        if self._faults:
            raise ConfigError("\n".join(self._faults))
        return config

    def _find(self, item: Setting, flags: Mapping[str, str | None], file: Mapping[str, str]) -> tuple[str, str]:
        given = flags.get(item.name)
        if given is not None:
            return given, item.flags[0]
        env = self._environ.get(item.env, "")
        if env:
            return env, item.env
        if item.name in file:
            return file[item.name], f"{item.name} in stardust.toml"
        return item.default, item.env

    def _file(self, flags: Mapping[str, str | None]) -> dict[str, str]:
        named = flags.get("config") or self._environ.get("STARDUST_CONFIG") or None
        folder = flags.get("data_dir") or self._environ.get("STARDUST_DATA_DIR") or ".stardust"
        path = Path(named) if named else Path(folder) / "stardust.toml"
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):  # the data folder itself is checked where it is used
            if named:
                self._faults.append(f"the settings file {path} is not there")
            return {}
        except (OSError, UnicodeError) as exc:
            self._faults.append(f"the settings file {path} cannot be read: {exc}")
            return {}
        except tomllib.TOMLDecodeError as exc:
            self._faults.append(f"the settings file {path} is not TOML: {exc}")
            return {}
        return self._file_settings(path, content, implicit=not named)

    def _file_settings(self, path: Path, content: Mapping[str, object], *, implicit: bool) -> dict[str, str]:
        known = {item.name: item for item in SETTINGS}
        found: dict[str, str] = {}
        for key, value in _flat(content):
            name = key.replace("-", "_")
            if name not in known:
                self._faults.append(f"{path}: there is no setting {key!r}")
            elif known[name].kind == "secret":
                self._faults.append(f"{path}: {key} is a secret and must not be in this file; use {known[name].env}_FILE")
            elif name == "data_dir" and implicit:
                self._faults.append(f"{path}: data_dir cannot be set by the file in the data folder; use --config for such a file")
            elif (
                isinstance(value, list)
                and known[name].kind in ("networks", "receivers", "addresses")
                and all(isinstance(part, str) for part in value)
            ):
                found[name] = ",".join(value)
            elif isinstance(value, (str, int)) and not isinstance(value, bool):
                found[name] = str(value)
            else:
                self._faults.append(f"{path}: {key} must be a text or a number")
        return found

    def _secret(self, item: Setting) -> str | None:
        """Take a secret from the environment, a file or a systemd credential, and remove its variable."""
        direct = self._environ.pop(item.env, None)
        file = self._environ.pop(item.env + "_FILE", None)
        try:
            if direct and file:
                raise ConfigError(f"{item.env} and {item.env}_FILE are both set; keep one")
            text = direct or self._stored_secret(item, file)
            secret = None if text is None else _normalised(text)
            if secret is not None and not secret.strip():  # an empty secret is more likely a lost one than a request for the default
                raise ConfigError(
                    f"{self._secret_sources.get(item.env, item.env)} is empty: write the secret into it, or do not give it at all"
                )
        except ConfigError as exc:
            self._unread.add(item.name)
            if str(exc) not in self._faults:  # several files may fail because of the same folder
                self._faults.append(str(exc))
            return None
        return secret

    def _stored_secret(self, item: Setting, file: str | None) -> str | None:
        """The content of a file or a credential; None: neither exists.

        Raises: ConfigError: the content is unusable.
        """
        path = Path(file) if file else self._credential(item)
        if path is None:
            return None
        where = self._secret_sources[item.env] = f"{item.env}_FILE ({path})" if file else f"the credential {item.name} ({path})"
        try:
            if path.stat().st_size > MOST_SECRET_BYTES:
                raise ConfigError(f"{where} is longer than {MOST_SECRET_BYTES} bytes")
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as exc:
            raise ConfigError(f"{where} is not a UTF-8 text") from exc
        except OSError as exc:
            raise ConfigError(f"{where} cannot be read: {exc.strerror}") from exc

    def _credential(self, item: Setting) -> Path | None:
        """The path of systemd's credential; None: there is none.

        Raises: ConfigError: the folder of credentials cannot be read.
        """
        folder = self._environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            return None
        path = Path(folder) / item.name
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            raise ConfigError(f"CREDENTIALS_DIRECTORY: {folder} cannot be examined: {exc.strerror}") from exc
        return path

    def _checked(self, secrets: Mapping[str, str | None]) -> Config:
        data_dir = Path(self._raw["data_dir"][0]).absolute()
        control = self._control_db() or data_dir / "stardust.db"
        bind, server_url, proxies = self._bind(), self._server_url(), self._proxies()
        lan = self._lan()
        if lan is not None:
            bind = self._lan_bind(bind)
        elif bind is not None and not ipaddress.ip_address(bind).is_loopback:
            if server_url is None:
                self._faults.append(
                    f"--bind {bind} lets other machines in: say with --server-url wss://host/ws how they reach this hub, or start it with --lan"
                )
            elif not server_url.startswith("wss://"):
                self._faults.append(f"--bind {bind} lets other machines in, but --server-url is ws://: nodes and browsers need wss://")
            if not proxies:
                self._faults.append(
                    f"--bind {bind} lets other machines in without TLS: name the proxy that terminates TLS in STARDUST_TRUSTED_PROXIES, or bind 127.0.0.1"
                )
        secret = secrets["secret"]
        if secret is None and "secret" not in self._unread and os.path.exists(control):  # another secret would not open the database
            self._faults.append(
                f"STARDUST_SECRET is not set, and the database {control} already exists: give the secret that belongs to it, by"
                " STARDUST_SECRET_FILE (or STARDUST_SECRET)"
            )
        elif "secret" not in self._unread:
            self._check_secret("STARDUST_SECRET", secret)
        token = secrets["metrics_token"]
        if token is not None:
            self._check_secret("STARDUST_METRICS_TOKEN", token)
        password = secrets["admin_pass"]
        return Config(
            port=self._port(),
            bind=bind or "127.0.0.1",
            data_dir=data_dir,
            control_db=control,
            allow_volatile=self._choice("allow_volatile", ("no", "yes")) == "yes",
            agent_bundle=self._bundle(),
            server_url=server_url,
            tls_pin=None if lan is not None else self._tls_pin(server_url),
            log_format=self._choice("log_format", ("auto", "json", "text")),
            trusted_proxies=proxies,
            jobs_at_once=self._count("jobs_at_once", 1, 1000),
            pack_seconds=self._count("pack_seconds", 1, 60),
            admin_user=self._admin_user(),
            require_totp=self._require_totp(),
            retention=self._retention(),
            admin_pass=None if password is None else Secret(password),
            metrics_token=None if token is None else Secret(token),
            secret=Secret(secret or ""),
            notify_allow=self._notify_allow(),
            notify_proxy=self._notify_proxy(),
            notify_direct=self._notify_direct(),
            locations=self._locations(),
            heartbeat_url=self._heartbeat_url(secrets["heartbeat_url"]),
            lan=lan,
        )

    def _check_secret(self, name: str, secret: str | None) -> None:
        try:
            check_secret(secret)
        except ConfigError as exc:
            self._faults.append(str(exc).replace("STARDUST_SECRET", self._secret_sources.get(name, name)))

    def _port(self) -> int:
        text, where = self._raw["port"]
        if re.fullmatch(r"[0-9]{1,5}", text) and int(text) <= 65535:
            return int(text)
        self._faults.append(f"{where} is {text!r}, but a port is a number from 0 to 65535")
        return 0

    def _count(self, name: str, least: int = 1, most: int = 999_999) -> int:
        text, where = self._raw[name]
        if re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= most:
            return int(text)
        self._faults.append(f"{where} is {text[:80]!r}, but must be a whole number from {least} to {most}")
        return least

    def _bind(self) -> str | None:
        text, where = self._raw["bind"]
        name = "127.0.0.1" if text == "localhost" else text
        try:
            return str(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            self._faults.append(f"{where} is {text!r}, but it must be an IP address of this machine, for instance 127.0.0.1")
            return None

    def _lan(self) -> tuple[str, ...] | None:
        """The setting `lan`. With it, settings for a proxy are faults."""
        text, where = self._raw["lan"]
        try:
            lan = parse_setting(text)
        except ValueError as exc:
            self._faults.append(f"{where}: {exc}")
            return None
        if lan is None:
            return None
        for name, why in _NOT_WITH_LAN.items():
            other, there = self._raw[name]
            if other:
                self._faults.append(f"{where} and {there} are both set: {why}")
        return lan

    def _lan_bind(self, bind: str | None) -> str | None:
        """The address to listen on with `--lan`: every address, unless `bind` is set."""
        item = next(item for item in SETTINGS if item.name == "bind")
        if self._raw["bind"] == (item.default, item.env) and not self._environ.get(item.env):
            return str(ANY_ADDRESS)
        if bind is not None and ipaddress.ip_address(bind).is_loopback:
            self._faults.append(f"--lan lets other machines in, but {self._raw['bind'][1]} is {bind}, which no other machine reaches")
        return bind

    def _heartbeat_url(self, text: str | None) -> Secret | None:
        """Check the URL. No fault shows it, since anybody who knows the URL can fake the heartbeat."""
        if text is None:
            return None
        where = self._secret_sources.get("STARDUST_HEARTBEAT_URL", "STARDUST_HEARTBEAT_URL")
        try:
            parts = urlsplit(text.strip())
            fits = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
        except ValueError:
            fits = False
        if not fits or not text.strip().isprintable() or " " in text.strip():
            self._faults.append(f"{where} must be a URL such as https://host/path, without a user name or password")
        return Secret(text.strip())

    def _notify_allow(self) -> frozenset[tuple[str, int]]:
        text, where = self._raw["notify_allow"]
        found: set[tuple[str, int]] = set()
        for part in re.split(r"[\s,]+", text.strip()):
            host, _, port = part.rpartition(":")
            names = ("127.0.0.1", "::1") if host.lower() == "localhost" else (host.strip("[]"),)
            try:
                addresses = [plain(str(ipaddress.ip_address(name))) for name in names]
                is_port = re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) <= 65535
            except ValueError:
                is_port = None
            if is_port:
                found.update((address, int(port)) for address in addresses)
            elif part:
                self._faults.append(f"{where}: {part[:80]!r} is not an address with a port such as 127.0.0.1:25")
        return frozenset(found)

    def _notify_proxy(self) -> str | None:
        text, where = self._raw["notify_proxy"]
        try:
            parts = urlsplit(text.strip())
            fits = (
                parts.scheme == "http" and bool(parts.hostname) and bool(parts.port) and parts.path in ("", "/") and "@" not in parts.netloc
            )
        except ValueError:
            fits = False
        if text.strip() and (not fits or parts.query or parts.fragment):
            self._faults.append(f"{where} must be http://host:port, without a user name and password")
        return f"http://{parts.netloc}" if text.strip() and fits else None

    def _notify_direct(self) -> tuple[str, ...]:
        text, where = self._raw["notify_direct"]
        found: list[str] = []
        for part in re.split(r"[\s,]+", text.strip().lower()):
            try:
                found += [str(ipaddress.ip_network(part))] if part else []
            except ValueError:
                if re.fullmatch(r"\.?([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}", part) and not part.replace(".", "").isdigit():
                    found.append(part.lstrip("."))
                else:
                    self._faults.append(f"{where}: {part[:80]!r} is no address, network or domain")
        return tuple(found)

    def _locations(self) -> tuple[tuple[str, str], ...]:
        text, where = self._raw["locations"]
        found: list[tuple[str, str]] = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            pattern, equals, location = (word.strip() for word in part.partition("="))
            if pattern and equals and 0 < len(location) <= MAX_LOCATION_CHARS and location.isprintable():
                found.append((pattern.lower(), location))
            else:
                self._faults.append(f"{where}: {part[:80]!r} is not a pattern of names with its location, such as web-*=cloud")
        return tuple(found)

    def _choice(self, name: str, choices: tuple[str, ...]) -> str:
        text, where = self._raw[name]
        if text not in choices:
            self._faults.append(f"{where} is {text!r}, but must be one of {', '.join(choices)}")
        return text

    def _require_totp(self) -> TotpRule:
        """Read the rule. An invalid word is a fault, since the owner meant it as a restriction."""
        text, where = self._raw["require_totp"]
        if self._environ.get(where) == "":
            text = ""  # an empty value is more likely a lost word than a request for the default
        for rule in TOTP_RULES:
            if text == rule:
                return rule
        self._faults.append(f"{where} is {text[:80]!r}, but must be one of {', '.join(TOTP_RULES)}")
        return "all"

    def _retention(self) -> Retention:
        faults_before = len(self._faults)
        hours, minutes, longest = (self._count(name) for name in ("keep_seconds_hours", "keep_minutes_days", "keep_hours_days"))
        retention = Retention(hours * 3600, minutes * 86_400, longest * 86_400)
        fault = fault_of(retention)
        if fault and len(self._faults) == faults_before:
            self._faults.append(f"STARDUST_KEEP_SECONDS_HOURS, STARDUST_KEEP_MINUTES_DAYS, STARDUST_KEEP_HOURS_DAYS: {fault}")
        return retention

    def _control_db(self) -> Path | None:
        text, where = self._raw["db"]
        if not text:
            return None
        path = Path(text).absolute()
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            pass  # the folder will be created, or its absence has been reported
        except OSError as exc:
            self._faults.append(f"{where}: {path} cannot be examined: {exc.strerror}")
        return path

    def _bundle(self) -> Path | None:
        text, where = self._raw["agent_bundle"]
        if not text:
            return None
        path = Path(text).absolute()
        if not os.access(path, os.R_OK) or not path.is_file():  # in this order: for a folder without access `is_file` raises
            self._faults.append(f"{where}: there is no readable file {path}")
        return path

    def _admin_user(self) -> str:
        text, where = self._raw["admin_user"]
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}", text):
            self._faults.append(f"{where} is {text[:80]!r}, but a user name has 1 to 64 of a-z, A-Z, 0-9 and . _ @ + -")
        return text

    def _server_url(self) -> str | None:
        text, where = self._raw["server_url"]
        if not text:
            return None
        hint = "it must look like wss://stardust.example.com/ws"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            self._faults.append(f"{where} is {text!r}, which is no address; {hint}")
            return None
        host = parts.hostname or ""
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        named = re.fullmatch(r"[a-z0-9]([a-z0-9._-]{0,251}[a-z0-9])?|[0-9a-f:.]+", host.lower())
        if parts.scheme not in ("ws", "wss") or not named or port == 0 or parts.path != "/ws" or not plain:
            self._faults.append(f"{where} is {text!r}, but {hint}")
            return None
        if parts.scheme == "ws" and not is_loopback_name(host):
            self._faults.append(f"{where} is {text!r}: ws:// sends everything unencrypted and is for this machine only; use wss://")
            return None
        scheme, authority = authority_of(text)
        return f"{scheme}://{authority}/ws"

    def _tls_pin(self, server_url: str | None) -> str | None:
        text, where = self._raw["tls_pin"]
        if not text:
            return None
        pin = ", ".join(re.split(r"[\s,]+", text.replace(":", "").lower().strip()))
        try:
            read_pins(pin)
        except ValueError as exc:
            self._faults.append(f"{where} is {text[:80]!r}, but {exc}; docs/install.md says how to get it")
            return pin
        if server_url is None or not server_url.startswith("wss://"):
            self._faults.append(f"{where} names the key of a TLS address, but --server-url names none: give it as wss://host/ws")
        return pin

    def _proxies(self) -> tuple[Network, ...]:
        text, where = self._raw["trusted_proxies"]
        networks: list[Network] = []
        for part in re.split(r"[\s,]+", text.strip()):
            if not part:
                continue
            try:
                network = ipaddress.ip_network(part)
            except ValueError:
                self._faults.append(f"{where}: {part!r} is neither an address nor a network such as 10.0.0.0/24")
                continue
            if network.prefixlen < WIDEST_PROXY_NETWORK[network.version]:
                self._faults.append(f"{where}: {part} trusts (nearly) everybody to say who they are; name the proxy's own address")
            networks.append(network)
        return tuple(networks)


def _flat(content: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """The settings of the file: `allow` in the table `[notify]` is `notify_allow`."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from ((f"{key}_{inner}", part) for inner, part in value.items())
        else:
            yield key, value


def _normalised(text: str) -> str:
    """The text in NFC, without the line end that editors put at the end of a file."""
    return unicodedata.normalize("NFC", text.removesuffix("\n").removesuffix("\r"))
