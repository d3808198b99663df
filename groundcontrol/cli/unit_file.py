"""Reads the parts of the hub's systemd unit that set how the hub is started."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from groundcontrol.cli.file_permissions import described
from groundcontrol.cli.installed import SERVICE, UNIT_FOLDERS, InstalledService
from groundcontrol.core.errors import ConfigError
from groundcontrol.settings import SETTINGS, serve_parser

_MAX_BYTES: Final = 64 << 10
_PATHS: Final = {
    "STARDUST_CONFIG",
    *(item.env for item in SETTINGS if item.kind == "path"),
    *(f"{item.env}_FILE" for item in SETTINGS if item.kind == "secret"),
}
"""The variables whose values are paths."""
_SPECIFIERS: Final = {"%": "%", "S": "/var/lib", "E": "/etc", "C": "/var/cache", "L": "/var/log", "t": "/run", "N": SERVICE, "p": SERVICE}


class UnitFile:
    """Reads the parts of a unit and its drop-ins that set how the hub is started."""

    def __init__(self, root: Path, unit: Path) -> None:
        self._root = root
        self._unit = unit
        self._faults: list[str] = []
        self._exec = ""
        self._folder = "/"
        self._environment: list[str] = []
        self._files: list[str] = []
        self._credentials: dict[str, str] = {}

    def read(self) -> InstalledService | None:
        for path in (self._unit, *self._drop_ins()):
            for key, value in _service_lines(self._text(path)):
                self._take(key, value)
        environ = self._environ()
        flags = self._flags(environ)
        if flags is None and not self._faults:
            return None
        environ |= flags or {}
        for name, source in self._credentials.items():
            variable = f"STARDUST_{name.upper()}"
            if f"{variable}_FILE" in _PATHS and not environ.get(variable) and not environ.get(f"{variable}_FILE"):
                environ[f"{variable}_FILE"] = source
        environ = {name: self._at(value) if name in _PATHS else value for name, value in environ.items() if name.startswith("STARDUST_")}
        folder = self._data_dir(environ)
        if folder is not None:
            environ["STARDUST_DATA_DIR"] = str(folder)
        return InstalledService(self._unit, folder, environ, tuple(self._faults))

    def _drop_ins(self) -> list[Path]:
        # of files with the same name, the one in the first folder counts
        folders = [self._root / folder / f"{SERVICE}.service.d" for folder in reversed(UNIT_FOLDERS)]
        found = {path.name: path for folder in folders for path in folder.glob("*.conf")}
        return [found[name] for name in sorted(found)]

    def _text(self, path: Path, *, optional: bool = False) -> str:
        try:
            with path.open("rb") as file:
                return file.read(_MAX_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            if not optional:
                self._faults.append(f"{path} is not there, but the unit {self._unit} names it")
        except OSError as exc:
            self._faults.append(described(exc))
        return ""

    def _take(self, key: str, value: str) -> None:
        match key:
            case "ExecStart":
                self._exec = value or self._exec
            case "WorkingDirectory":
                self._folder = value or "/"
            case "Environment" | "EnvironmentFile":
                values = self._environment if key == "Environment" else self._files
                values[:] = [*values, value] if value else []
            case "LoadCredential":
                name, _, source = value.partition(":")
                self._credentials[name] = source or f"/etc/credstore/{name}"

    def _environ(self) -> dict[str, str]:
        environ: dict[str, str] = {}
        for line in self._environment:
            environ |= dict(word.split("=", 1) for word in self._words(line) if "=" in word)
        for name in self._files:
            path = Path(self._at(self._plain(name.removeprefix("-"))))
            for line in self._text(path, optional=name.startswith("-")).splitlines():
                variable, equals, value = line.strip().partition("=")
                if equals and not variable.startswith(("#", ";")):
                    environ[variable.strip()] = _unquoted(value.strip())
        return environ

    def _flags(self, environ: Mapping[str, str]) -> dict[str, str] | None:
        """The flags of `serve` as variables; None: the unit runs another command."""
        words = self._words(self._exec)
        if "serve" not in words[1:]:
            return None
        given = [re.sub(r"\$\{(\w+)\}", lambda found: environ.get(found[1], ""), word) for word in words[words.index("serve") + 1 :]]
        try:
            flags = vars(serve_parser().parse_args(given))
        except ConfigError as exc:
            self._faults.append(f"{self._unit}: {exc}")
            return {}
        names = {"config": "STARDUST_CONFIG", **{item.name: item.env for item in SETTINGS}}
        return {names[name]: value for name, value in flags.items() if value is not None}

    def _data_dir(self, environ: Mapping[str, str]) -> Path | None:
        named = environ.get("STARDUST_DATA_DIR")
        config = environ.get("STARDUST_CONFIG")
        if not named and config:
            try:
                data_dir = tomllib.loads(self._text(Path(config))).get("data_dir")
                named = self._at(data_dir) if isinstance(data_dir, str) else None
            except tomllib.TOMLDecodeError as exc:
                self._faults.append(f"the settings file {config} is not TOML: {exc}")
        if named:
            return Path(named)
        return None if self._faults else Path(self._at(self._folder)) / ".stardust"

    def _words(self, line: str) -> list[str]:
        try:
            return [self._plain(word) for word in shlex.split(line)]
        except ValueError as exc:
            self._faults.append(f"{self._unit}: {exc}")
            return []

    def _plain(self, text: str) -> str:
        """Replace systemd's specifiers in a text; `%d/NAME` becomes the source of the credential."""
        text = re.sub(r"%d/([\w.-]+)", lambda found: self._credentials.get(found[1], found[0]), text)
        return re.sub(r"%(.)", lambda found: _SPECIFIERS.get(found[1], found[0]), text)

    def _at(self, path: str) -> str:
        return str(self._root / path.lstrip("/")) if path.startswith("/") else path


def _service_lines(text: str) -> Iterator[tuple[str, str]]:
    """The assignments of [Service] as (key, value). A line that ends with a backslash continues on the next line that is no comment."""
    section, pending = "", ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        line, pending = pending + line, ""
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line:
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'" else value
