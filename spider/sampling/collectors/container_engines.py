"""Names of containers, from the sockets of their engines or from root's launcher; and the `containers` table."""

import logging
import os
import threading
import time
from typing import Dict, FrozenSet, Iterable, List, Optional, Sequence, Set, Tuple

from spider.container_list import RUNNING, Container, fetch, parse_containers
from spider.container_socket import SOCKETS
from spider.files import read_file, read_text
from spider.logs import event
from spider.sampling.collectors.cgroup import ROOT, SERVICE, Group, Hierarchies, groups
from spider.sampling.collectors.listed_containers import ListedContainers
from spider.sampling.collectors.processes import parse_stat
from spider.sampling.collectors.table_reader import Reading
from spider.wire.report_messages import Cell

VALID_S = 60.0
"""Interval of requests for names."""
NEW_S = 15.0
"""Interval of requests while a container runs that is not in the last answer: it may have just started."""
STOPPED_S = 3600.0
"""How long a stopped container stays in the table."""
LASTING_S = 600.0
"""A container that ran for less time is not shown as stopped: it may be a task that was meant to end."""
MOST_SEEN = 400
"""Most stopped or running containers that are remembered."""
MOST_FOLDERS = 32
"""Most cgroups of one container that are searched for its processes."""
MOST_PIDS = 64
HERTZ = os.sysconf("SC_CLK_TCK")

log = logging.getLogger(__name__)


class Names:
    """Requests the names of containers from the sockets of the engines. If Spider may not open a socket, it requests them from root's launcher.

    Whoever may open such a socket can become root, so Spider seldom may open one. Several threads may use a `Names`.
    """

    def __init__(
        self, sockets: Sequence[Tuple[str, str]] = SOCKETS, valid_s: float = VALID_S, listed: Optional[ListedContainers] = None
    ) -> None:
        """Args: sockets: name and socket of each engine. valid_s: interval of requests. listed: asks the launcher; None: it is not asked."""
        self._sockets = sockets
        self._valid_s = valid_s
        self._listed = listed
        self.complete: FrozenSet[str] = frozenset()
        """Engines that answered the last request. They list all their containers, so a container that is not listed was removed."""
        self._known: List[Container] = []
        self._queried_at = float("-inf")
        self._failing: Set[str] = set()
        self._lock = threading.Lock()

    def containers(self, found: Iterable[Group] = ()) -> List[Container]:
        """All containers of the last answers, including stopped ones. A new request blocks as long as engines and launcher take.

        Args: found: the cgroups of the containers that run on this host.
        """
        with self._lock:
            now = time.monotonic()
            engines = {engine for engine, _ in self._sockets}
            known = {container.id for container in self._known}
            is_new = any(group.kind in engines and group.name not in known for group in found)
            if now - self._queried_at >= (min(NEW_S, self._valid_s) if is_new else self._valid_s):
                self._queried_at = now
                self._known = [*self._from_launcher(found, now), *self._from_engines()]
            return self._known

    def _from_engines(self) -> List[Container]:
        known: List[Container] = []
        answered: Set[str] = set()
        for engine, path in self._sockets:
            if os.access(path, os.R_OK | os.W_OK):
                try:
                    known += parse_containers(engine, fetch(path))
                    answered.add(engine)
                    self._failing.discard(engine)
                except (OSError, ValueError) as error:  # short ids are used until the engine answers
                    self._log_once(engine, str(error))
        self.complete = frozenset(answered)
        return known

    def _from_launcher(self, found: Iterable[Group], now: float) -> List[Container]:
        if self._listed is None or not any(is_closed(path) for _, path in self._sockets):
            return []
        engines = {engine for engine, _ in self._sockets}
        return self._listed.containers(frozenset(group.name for group in found if group.kind in engines), now)

    def _log_once(self, engine: str, why: str) -> None:
        """Log a failure once, until the engine answers."""
        if engine not in self._failing:
            event(log, "containers_unnamed", logging.WARNING, engine=engine, why=why)
        self._failing.add(engine)

    def of(self, found: Iterable[Group]) -> Dict[Group, str]:
        """A name for each container: the engine's name for it, else the short id. A name that occurs again gets the engine and a number."""
        found = list(found)
        given = {container.id: container.name for container in self.containers(found) if container.name}
        names: Dict[Group, str] = {}
        taken: Dict[str, int] = {}
        for group in sorted(found, key=lambda group: (group.kind, group.name, group.path)):
            name = given.get(group.name) or short_id(group)
            taken[name] = taken.get(name, 0) + 1
            names[group] = name if taken[name] == 1 else f"{name} ({group.kind} {taken[name]})"
        return names


def is_closed(path: str) -> bool:
    """Whether this user may not open the socket, or may not enter its folder to look for one."""
    folder = os.path.dirname(path)
    return not os.access(path, os.R_OK | os.W_OK) and (os.path.exists(path) or (os.path.exists(folder) and not os.access(folder, os.X_OK)))


def short_id(group: Group) -> str:
    """The first twelve digits of a full id. Some engines use names as ids; these are not cut."""
    return group.name[:12] if len(group.name) == 64 else group.name


def is_frozen(hierarchies: Hierarchies, path: str) -> bool:
    """Whether the processes of a cgroup are frozen. Source: cgroup-v2.rst (cgroup.events), freezer-subsystem.rst (freezer.state)."""
    if hierarchies.unified and "\nfrozen 1" in "\n" + read_text(f"{hierarchies.unified}{path}/cgroup.events", 256):
        return True
    freezer = hierarchies.controllers.get("freezer")
    return freezer is not None and read_text(f"{freezer}{path}/freezer.state", 32) in ("FROZEN", "FREEZING")


def oom_kills(hierarchies: Hierarchies, path: str) -> Optional[int]:
    """How many processes of a container the kernel has killed for lack of memory since the container started. None: this host does not count
    them.

    Source: cgroup-v2.rst (memory.events); cgroup-v1/memory.rst (memory.oom_control, kernel 4.13 and newer).
    """
    for base, name in ((hierarchies.unified, "memory.events"), (hierarchies.controllers.get("memory", ""), "memory.oom_control")):
        for line in read_text(f"{base}{path}/{name}", 1024).split("\n") if base else ():
            key, _, value = line.partition(" ")
            if key == "oom_kill" and value.isdecimal():
                return int(value)
    return None


def started_at_ms(hierarchies: Hierarchies, path: str, proc: str = "/proc") -> Optional[int]:
    """When the oldest process of a container started, Unix milliseconds by the host's present clock. None: no process is visible."""
    waiting, visited = [hierarchies.tree + path], 0
    started: List[int] = []
    while waiting and visited < MOST_FOLDERS:
        folder, visited = waiting.pop(0), visited + 1
        started += [ticks for pid in read_text(folder + "/cgroup.procs").split()[:MOST_PIDS] for ticks in _start_ticks(proc, pid)]
        try:
            with os.scandir(folder) as entries:
                waiting += sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
    return round((time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + min(started) / HERTZ) * 1000) if started else None


def _start_ticks(proc: str, pid: str) -> List[int]:
    """The start of a process after boot, in USER_HZ. Empty: the process has ended."""
    try:
        return [parse_stat(read_file(f"{proc}/{pid}/stat").encode("utf-8", "replace")).started]
    except ValueError:
        return []


class _Seen:
    """The state of a container over several readings. Times are monotonic seconds unless their name says otherwise."""

    def __init__(self, inode: int, now: float) -> None:
        self.inode = inode
        self.restarts = 0
        self.first_at = self.last_at = now
        self.started_at_ms: Optional[int] = None
        self.row: Tuple[Cell, ...] = ()


class Containers:
    """The `containers` table: running containers, and stopped ones as far as they are known. A host without containers sends no table."""

    subject = "containers"

    def __init__(self, root: str = ROOT, proc: str = "/proc", names: Optional[Names] = None) -> None:
        self._root = root
        self._proc = proc
        self._names = names or Names()
        self._seen: Dict[Tuple[str, str], _Seen] = {}

    def read(self, now: float) -> Optional[Reading]:
        hierarchies, found = groups(self._root, self._proc)
        running = [group for group in found if group.kind != SERVICE]
        named = {container.id: container for container in self._names.containers(running)}
        rows: List[Tuple[Cell, ...]] = []
        for group, name in self._names.of(running).items():
            known = named.pop(group.name, None)
            state = "frozen" if hierarchies is not None and is_frozen(hierarchies, group.path) else "running"
            if state == "running" and known is not None and known.state == "unhealthy":
                state = known.state
            killed = oom_kills(hierarchies, group.path) if hierarchies is not None else None
            seen = self._see(group, now)
            if seen.started_at_ms is None and hierarchies is not None:
                seen.started_at_ms = started_at_ms(hierarchies, group.path, self._proc)
            image = known.image if known is not None else None
            seen.row = (group.kind, short_id(group), name, state, image, seen.restarts, killed, seen.started_at_ms)
            rows.append(seen.row)
        rows += self._stopped(now, named)
        rows += [
            (rest.engine, rest.id[:12], rest.name or rest.id[:12], self._state(rest), rest.image, None, None, None)
            for rest in named.values()
        ]
        rows.sort(key=lambda row: (str(row[3]) not in RUNNING, str(row[0]), str(row[2])))
        return Reading(rows, len(rows)) if rows else None

    def _state(self, rest: Container) -> str:
        """The state of a container that does not run: stopped, if it was seen to run for a while; else its engine's word."""
        seen = self._seen.get((rest.engine, rest.id))
        lasted = seen is not None and seen.last_at - seen.first_at >= LASTING_S
        return "stopped" if lasted and rest.state == "exited" else rest.state

    def _see(self, group: Group, now: float) -> _Seen:
        seen = self._seen.setdefault((group.kind, group.name), _Seen(group.inode, now))
        if seen.inode != group.inode:  # a start makes a new cgroup
            seen.inode, seen.restarts, seen.started_at_ms = group.inode, seen.restarts + 1, None
        seen.last_at = now
        return seen

    def _stopped(self, now: float, named: Dict[str, Container]) -> List[Tuple[Cell, ...]]:
        """Rows of containers that ran for a while and stopped within the last hour, of engines that do not list stopped containers."""
        lasting = sorted(self._seen.items(), key=lambda item: -item[1].last_at)[:MOST_SEEN]
        self._seen = {key: seen for key, seen in lasting if now - seen.last_at < STOPPED_S or key[1] in named}
        gone = [
            (key, seen)
            for key, seen in self._seen.items()
            if seen.last_at < now and key[0] not in self._names.complete and key[1] not in named
        ]
        return [(*seen.row[:3], "stopped", *seen.row[4:7], None) for _, seen in gone if seen.last_at - seen.first_at >= LASTING_S]
