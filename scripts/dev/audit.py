"""The program of scripts/audit: runs bandit over the sources and wapiti against a separate hub, on a machine with loopback only."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support.hub import ROOT, HubProcess, Login

SOURCES: Final = ("groundcontrol", "majortom", "spider")
LEVELS: Final = ("high", "medium", "low")
BANDIT_LIMIT_S: Final = 300.0
WAPITI_LIMIT_S: Final = 540.0
"""Below the ten minutes of a session."""
CRAWL_S, MODULE_S, REQUEST_S = 120, 60, 10
MODULES: Final = (
    "backup", "blindsql", "cookieflags", "crlf", "csp", "csrf", "exec", "file", "htaccess", "http_headers", "methods", "permanentxss",
    "redirect", "shellshock", "sql", "xss",
)  # fmt: skip
"""Wapiti's modules, without those that need another host (ssrf, xxe) or fetch lists from one."""
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 1


class AuditError(Exception):
    """A tool failed, so there is no result; the text says why."""


class Finding(NamedTuple):
    """One fault that a tool reports."""

    tool: str
    level: str
    """high, medium or low."""
    name: str
    place: str


def bandit_findings(text: str) -> list[Finding]:
    """The findings in bandit's JSON.

    Raises: AuditError: this is not bandit's JSON, or bandit could not read a file, or read none.
    """
    try:
        answer = json.loads(text)
        faults, lines = answer["errors"], answer["metrics"]["_totals"]["loc"]
        found = [
            Finding(
                "bandit", one["issue_severity"].lower(), f"{one['test_id']} {one['test_name']}", f"{one['filename']}:{one['line_number']}"
            )
            for one in answer["results"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise AuditError(f"bandit's answer has another form than expected: {exc!r}") from exc
    if faults or not lines:
        raise AuditError(f"bandit did not read everything ({lines} lines): {faults}")
    return _of_known_levels(found)


def wapiti_findings(text: str) -> list[Finding]:
    """The findings in wapiti's JSON: vulnerabilities, and anomalies such as an answer of 500 or a timeout.

    Raises: AuditError: this is not wapiti's JSON.
    """
    levels = {0: "low", 1: "low", 2: "medium", 3: "high", 4: "high"}
    try:
        answer = json.loads(text)
        found = [
            Finding("wapiti", levels[int(one["level"])], category, f"{one['method']} {one['path']}: {one['info']}")
            for part in ("vulnerabilities", "anomalies")
            for category, ones in answer[part].items()
            for one in ones
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise AuditError(f"wapiti's report has another form than expected: {exc!r}") from exc
    return _of_known_levels(found)


def _of_known_levels(found: list[Finding]) -> list[Finding]:
    strange = {finding.level for finding in found} - set(LEVELS)
    if strange:
        raise AuditError(f"unknown levels: {', '.join(sorted(strange))}")
    return found


def report(found: Iterable[Finding]) -> list[str]:
    """The report's lines by level, the worst first. Each high finding has a line; others have a line for each kind, with their count."""
    kinds: dict[Finding, list[str]] = {}
    for finding in found:
        place = finding.place if finding.level == "high" else ""
        kinds.setdefault(finding._replace(place=place), []).append(finding.place)
    lines = []
    for level in LEVELS:
        of_level = {kind: places for kind, places in kinds.items() if kind.level == level}
        lines.append(f"{level}: {sum(map(len, of_level.values()))}")
        lines += [f"  {len(places):3} {kind.tool} {kind.name}  {places[0]}" for kind, places in sorted(of_level.items())]
    return lines


def run(argv: Sequence[str], limit_s: float, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a tool to its end. Returns: exit status, output, errors. Raises: AuditError: it took longer than the limit."""
    try:
        done = subprocess.run(
            argv,
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise AuditError(f"{argv[0]} was not done within {limit_s:.0f} s") from None
    return done.returncode, done.stdout, done.stderr


def bandit() -> list[Finding]:
    """Bandit's findings in the sources. Raises: AuditError."""
    status, out, err = run([sys.executable, "-m", "bandit", "-q", "-r", "-f", "json", *SOURCES], BANDIT_LIMIT_S)
    if status not in (0, 1):  # 1: there are findings
        raise AuditError(f"bandit ended with {status}: {err[-1000:]}")
    return bandit_findings(out)


def addresses(document: dict[str, Any], ids: Mapping[str, str]) -> dict[str, list[str]]:
    """Every address of the API that answers to GET, with the names in its query.

    Args: document: the OpenAPI document. ids: name of a placeholder -> its value; an address with another placeholder is left out.
    """
    found = {}
    for template, calls in sorted(document["paths"].items()):
        path = template
        for name, value in ids.items():
            path = path.replace("{" + name + "}", value)
        if "get" in calls and "{" not in path and not path.endswith("/live"):
            found[path] = [one["name"] for one in calls["get"].get("parameters", []) if one["in"] == "query"]
    return found


def good_address(path: str, names: Sequence[str], answers: Callable[[str], bool]) -> str | None:
    """The address with as many of these names as it accepts together. With more names, an attack would only reach their validation.

    Returns: None if it answers with an error even without a query.
    """
    if not answers(path):
        return None
    good = path
    for name in names:
        longer = f"{good}{'&' if '?' in good else '?'}{name}=1"
        good = longer if answers(longer) else good
    return good


def wapiti(folder: Path) -> list[Finding]:
    """Wapiti's findings on a separate hub, as a logged-in admin; also the errors that the hub logged. Raises: AuditError."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    with HubProcess(data, prefix=["setpriv", "--pdeathsig", "KILL"]) as hub:
        node = hub.enrol("audited", simulated=True)[0]
        login = hub.login()
        document = hub.request("GET", "/api/v1/openapi.json", token=login.token).json
        known = addresses(document, {"id": node.node_id})
        found_good = [
            good_address(path, names, lambda asked: hub.request("GET", asked, token=login.token).status == 200)
            for path, names in known.items()
        ]
        good = [path for path in found_good if path]
        whole = [path + "?" + "&".join(f"{name}=1" for name in names) if names else path for path, names in known.items()]
        asked = sorted({*good, *whole})
        print(f"wapiti: the page and {len(asked)} addresses of the API, {len(good)} of them with an answer", file=sys.stderr)
        cookies, out = _cookie_file(folder, login), folder / "wapiti.json"
        status, said, err = run(
            [
                "wapiti", "-u", hub.url + "/", *(word for path in asked for word in ("-s", hub.url + path)), "-c", str(cookies),
                "-m", ",".join(MODULES), "--scope", "folder", "-t", str(REQUEST_S), "--max-scan-time", str(CRAWL_S),
                "--max-attack-time", str(MODULE_S), "--max-links-per-page", "50", "-f", "json", "-o", str(out), "--no-bugreport",
                "--store-session", str(folder / "session"), "--store-config", str(folder / "config"), "-v", "0",
            ],
            WAPITI_LIMIT_S, {**os.environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        if status or not out.exists():
            raise AuditError(f"wapiti ended with {status}: {(said + err)[-1000:]}")
        if not hub.running or hub.request("GET", "/api/v1/auth/me", token=login.token).status != 200:
            raise AuditError("the hub or the session ended during the scan")
        _was_inside(folder, hub, good)
        faults = [entry for entry in hub.events if entry.get("level") in ("ERROR", "error")]
    found = wapiti_findings(out.read_text())
    return found + [Finding("hub", "high", f"fault {entry['event']}", str(entry)[:300]) for entry in faults]


def _was_inside(folder: Path, hub: HubProcess, good: Sequence[str]) -> None:
    """Raises: AuditError: addresses that answer this session did not answer wapiti, so it was not logged in."""
    [store] = (folder / "session").glob("*.db")
    with contextlib.closing(sqlite3.connect(store)) as database:
        seen = {path for (path,) in database.execute("SELECT path FROM paths WHERE http_status = 200")}
    missing = {hub.url + path.partition("?")[0] for path in good} - seen
    if missing or not good:
        raise AuditError(f"wapiti did not get in: {len(missing)} of {len(good)} addresses, {sorted(missing)[:3]}")


def _cookie_file(folder: Path, login: Login) -> Path:
    """Write the session's cookie in the form that wapiti reads. Wapiti takes no cookie as an argument."""
    pairs = [part.partition("=")[::2] for part in login.cookie.split("; ")]
    fields = {"secure": False, "port": None, "version": 0, "expires": None}
    path = folder / "cookies.json"
    path.write_text(json.dumps({"127.0.0.1": {"/": {name: {"value": value, **fields} for name, value in pairs if value == login.token}}}))
    return path


def only_loopback() -> None:
    """Switch loopback on. Raises: AuditError: there is another network interface."""
    names = [name for _, name in socket.if_nameindex()]
    if names != ["lo"]:
        raise AuditError(f"this could reach other machines, through {', '.join(names)}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


def main(words: Sequence[str]) -> int:
    """Returns: 0: no finding is high; 1: a finding is high; 2: a tool failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.umask(0o077)
    try:
        only_loopback()
        found = bandit() if "wapiti" not in words else []
        if "bandit" not in words:
            with tempfile.TemporaryDirectory(prefix="stardust-audit-") as folder:
                found += wapiti(Path(folder))
    except (AuditError, OSError) as exc:
        print(f"audit: {exc}", file=sys.stderr)
        return 2
    print("\n".join(report(found)))
    return int(Counter(finding.level for finding in found)["high"] > 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
