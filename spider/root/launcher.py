"""The launcher, root's side of Spider. For each connection a short-lived process checks one order and starts its job's unit.

All input may come from an attacker. So nothing is parsed before its MAC is verified, and no order is accepted twice. One request has no
MAC, and no content either: it asks for the list of the containers that the owner's policy names. The launcher's own unit gives this
process root's uid, no capabilities, no network and two writable folders.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from spider import logs
from spider.container_list import Container
from spider.container_socket import SOCKETS, EngineFailed
from spider.files import create_once, sync_folder
from spider.jobs.files import FORCE, JOBS_DIR, PLAN, RESULT, RUN, STOPPED, lock_of, read_document, read_plan, write_document
from spider.jobs.files import STOP as JOB_STOP
from spider.root import systemctl_shim
from spider.root.cgroups import busy_jobs, job_processes, unit_name
from spider.root.container_names import named_containers
from spider.root.named_actions import ACTIONS_DIR, ActionRefused, check_action
from spider.root.order_args import validate_args
from spider.root.policy import POLICY_PATH, Policy, PolicyRefused, read_policy
from spider.root.systemd_programs import systemd_program
from spider.root.trusted_files import Untrusted, owner_or_root, read_trusted
from spider.selfcare.node_keys import key_file, node_of
from spider.wire.arg_kinds import ACTION, CONTAINER, SIDE_LANE
from spider.wire.ids import is_id, made_at
from spider.wire.orders import (
    CONTAINER_LIST,
    HEAD_BYTES,
    OrderError,
    SignedOrder,
    check_order,
    frame_length,
    issue_time,
    latest_known,
    order_body,
    parse_order,
)
from spider.wire.verbs import CONTAINER_RESTART, STOP, VERBS

CONNECTION_FD = 3
FRAME_DEADLINE_S = 5.0
STOPPING_DEADLINE_S = 5.0
START_DEADLINE_S = 15.0
"""The four limits of an order (its frame, the query whether the host stops, the start, the answer) are 30 s together. systemd ends the
launcher's unit after 35 s."""
NODE_FREE_BYTES = 100 * 1000 * 1000
SPOOL_FREE_BYTES = 10 * 1000 * 1000
LATEST = ".latest"
KEEP_USED_S = 366 * 86_400
"""How long the record of a used id stays after the latest accepted order."""
MAX_PRUNED = 500
"""Most records that one start looks at."""
"""A file beside the records of used ids. It has the latest time of issue of all accepted orders."""
MAX_STORED_JOBS = 32
"""Number of ended jobs whose files are stored. The files of older jobs are removed when a job starts."""
_log = logging.getLogger("spider.root.launcher")


class LauncherAnswer(NamedTuple):
    """The answer to the client. `refused` means that nothing runs for this order, now or later.

    `why` is a stable word. The codes of `OrderError` are possible, too.

    | why | meaning |
    |---|---|
    | slow-frame, short-frame | the order did not arrive in time, or not completely |
    | bad-args | the arguments are invalid |
    | policy-invalid, -monitor, -readonly, -verb | the node's policy is invalid, or forbids the verb |
    | policy-unit, policy-container | the node's policy does not name this: `policy-` and the noun of its `ArgKind` |
    | unit-protected | no policy allows this unit |
    | action-missing, -kind, -owner, -writable, -mode | the file of this action is absent, no plain file, not root's, writable by others, not executable |
    | action-folder-missing, -kind, -owner, -writable | the same of the folder of actions, or of the folder above |
    | no-such-job, ended | the job to stop never begins, or has ended |
    | replay | an order with this id was accepted before |
    | outdated | an order with a later time of issue was accepted; the id stays unused |
    | latest-damaged | the stored time of issue is not readable |
    | host-stopping | the host shuts down |
    | no-space | the disk is too full |
    | busy | another job runs; the id stays unused |
    | not-started | the unit could not be started |
    | starting | accepted: systemd has queued the start |
    | no-key | the launch key or `spider.conf` is missing, or another user could have written or read it |
    | engine | no container engine answers |
    """

    answer: str
    """accepted, listed, refused, failed, or error (an error of this program: `why` is the name of the exception)."""
    why: str = ""
    containers: Sequence[Container] = ()
    """The containers of the answer `listed`."""


class OrderRefused(Exception):
    """The order is refused; the text is one of the reasons of `LauncherAnswer`."""


class LauncherPaths(NamedTuple):
    """Paths on this node, and the required owner of trusted files."""

    launch_key: str = "/etc/stardust/launch.key"
    spider_conf: str = "/etc/stardust/spider.conf"
    policy: str = POLICY_PATH
    jobs: str = JOBS_DIR
    started: str = "/var/lib/stardust/started"
    owner: int = 0
    roomy: Tuple[str, ...] = ("/", "/var")
    """File systems that need free space for verbs that fill the disk (`Verb.fills`)."""
    engines: Sequence[Tuple[str, str]] = SOCKETS
    actions: str = ACTIONS_DIR
    policy_owner: Optional[int] = None
    """The required owner of the policy and the actions, where it is another one."""
    only_actions: bool = False
    """Whether this launcher starts nothing but the owner's actions: it serves one user, and is not root's."""

    @property
    def owner_of_policy(self) -> int:
        return self.owner if self.policy_owner is None else self.policy_owner


def paths_of_user(etc: str, state: str, policy: str, actions: str) -> LauncherPaths:
    """The paths of a launcher that serves the user who started it; it makes the folders of the jobs.

    Policy and actions are this user's, or root's, such as those in the store of Nix.
    """
    jobs, started = os.path.join(state, "jobs"), os.path.join(state, "started")
    for folder in (jobs, started):
        os.makedirs(folder, 0o700, exist_ok=True)
    return LauncherPaths(
        os.path.join(etc, "launch.key"), os.path.join(etc, "spider.conf"), policy, jobs, started, os.geteuid(), (), (), actions,
        policy_owner=owner_or_root(policy), only_actions=True,
    )  # fmt: skip


class JobUnit(NamedTuple):
    """Functions that start the unit of a job: through systemd, or directly on a host without systemd."""

    start: Callable[[str], bool]
    """Start a unit. False: the start was refused or failed. Raises TimeoutError: the start is still queued."""
    stopping: Callable[[], bool]
    """Whether the host is shutting down."""


def _systemctl(*words: str, limit_s: float) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [systemd_program("systemctl"), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False
    )


def start_unit(name: str, manager: str = "--system") -> bool:
    """Start a unit and wait until its program runs. False: the start was refused or failed. Raises: TimeoutError."""
    try:
        done = _systemctl(manager, "--no-ask-password", "start", name, limit_s=START_DEADLINE_S)
    except subprocess.TimeoutExpired as exc:
        raise TimeoutError(name) from exc
    if done.returncode:
        logs.event(_log, "unit_not_started", level=logging.ERROR, unit=name, said=done.stderr[-500:])
    return done.returncode == 0


def host_is_stopping(manager: str = "--system") -> bool:
    """Whether the host is shutting down. Maintainer scripts cannot restart services then, so no job is started."""
    try:
        return _systemctl(manager, "is-system-running", limit_s=STOPPING_DEADLINE_S).stdout.strip() == "stopping"
    except subprocess.TimeoutExpired:
        return False


SYSTEMD = JobUnit(start_unit, host_is_stopping)
OF_USER = JobUnit(lambda name: start_unit(name, "--user"), lambda: host_is_stopping("--user"))
OPENRC = JobUnit(systemctl_shim.start_job, systemctl_shim.is_going_down)


def receive_frame(client: socket.socket, limit_s: float = FRAME_DEADLINE_S) -> bytes:
    """Read one order, or the request for the list of containers. One deadline covers the whole frame.

    Raises: OrderRefused: the frame is too slow, or ends too early. OrderError: it cannot be an order. OSError.
    """
    ends_at = time.monotonic() + limit_s

    def take(count: int) -> bytes:
        got = b""
        while len(got) < count:
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                raise OrderRefused("slow-frame")
            client.settimeout(left_s)
            try:
                chunk = client.recv(count - len(got))
            except socket.timeout:  # not yet TimeoutError in Python 3.9
                raise OrderRefused("slow-frame") from None
            if not chunk:
                raise OrderRefused("short-frame")
            got += chunk
        return got

    head = take(HEAD_BYTES)
    return head if head == CONTAINER_LIST else head + take(frame_length(head))


def check_args(order: SignedOrder) -> None:
    """Refuse invalid arguments. Raises: OrderRefused."""
    if not validate_args(order.verb, order.args):
        raise OrderRefused("bad-args")


def _policy_for(verb: str, paths: LauncherPaths) -> Policy:
    """The owner's policy, if it allows this verb. Raises: OrderRefused."""
    try:
        policy = read_policy(paths.policy, paths.owner_of_policy)
    except PolicyRefused as exc:
        logs.event(_log, "policy_refused", level=logging.ERROR, why=str(exc))
        raise OrderRefused("policy-invalid") from exc
    refusal = policy.refusal(verb)
    if refusal:
        raise OrderRefused(refusal)
    if paths.only_actions and VERBS[verb].kind is not ACTION:
        raise OrderRefused("policy-verb")
    return policy


def check_policy(order: SignedOrder, paths: LauncherPaths) -> None:
    """Check the order's verb, arguments and names against the owner's policy.

    Raises: OrderRefused.
    """
    policy = _policy_for(order.verb, paths)
    check_args(order)
    refusal = policy.name_refusal(VERBS[order.verb], order.args)
    if refusal:
        raise OrderRefused(refusal)
    if VERBS[order.verb].kind is ACTION:
        try:
            check_action(order.args[ACTION.name], paths.actions, paths.owner_of_policy)
        except ActionRefused as exc:
            logs.event(_log, "action_refused", level=logging.ERROR, why=str(exc))
            raise OrderRefused(exc.cause) from exc


def check_room(paths: LauncherPaths, verb: str) -> None:
    """Refuse a job if a disk is too full for it.

    A verb that fills the disk needs NODE_FREE_BYTES in each folder of `roomy`. Every job needs SPOOL_FREE_BYTES for its own files, except
    those of the side lane: they print little, and a full disk may be the reason for them.

    Raises: OrderRefused. OSError.
    """
    roomy = paths.roomy if VERBS[verb].fills else ()
    spool = () if VERBS[verb].lane == SIDE_LANE else ((paths.jobs, SPOOL_FREE_BYTES),)
    for path, least in [*((path, NODE_FREE_BYTES) for path in roomy), *spool]:
        space = os.statvfs(path)
        if space.f_bavail * space.f_frsize < least:
            raise OrderRefused("no-space")


@contextlib.contextmanager
def only_one(jobs: str, verb: str) -> Iterator[None]:
    """Hold the lock under which a job is started. A runner holds it until it ends. Each lane has its own lock.

    Raises: OrderRefused: another job runs, or processes that a killed runner left behind.
    """
    fd = os.open(os.path.join(jobs, lock_of(verb)), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OrderRefused("busy") from None
        if any(_blocks(os.path.join(jobs, job), verb) for job in busy_jobs()):
            raise OrderRefused("busy")
        yield
    finally:
        os.close(fd)


def _blocks(folder: str, verb: str) -> bool:
    """Whether a job that still has processes prevents this verb: it has no result, and uses the same lock."""
    plan = read_plan(folder)
    return not os.path.exists(os.path.join(folder, RESULT)) and (plan is None or lock_of(plan.verb) == lock_of(verb))


def prune(jobs: str, most: int = MAX_STORED_JOBS) -> None:
    """Remove the files of the oldest ended jobs beyond `most`. The records of used ids stay (`prune_started`).

    `plan` goes first, because Spider reports no folder without it. What marks the job as ended goes last, so that an interrupted removal is
    continued by the next one.

    Raises: OSError.
    """
    ended = [
        name
        for name in sorted(os.listdir(jobs))
        if is_id(name) and any(os.path.exists(os.path.join(jobs, name, end)) for end in (RESULT, STOPPED)) and not job_processes(name)
    ]
    for name in ended[: max(0, len(ended) - most)]:
        folder = os.path.join(jobs, name)
        for file in sorted(os.listdir(folder), key=lambda file: (file != PLAN) + (file in (RESULT, STOPPED))):
            os.unlink(os.path.join(folder, file))
        os.rmdir(folder)


def _use_up(order: SignedOrder, paths: LauncherPaths, now: float, boot: str, body: bytes) -> None:
    """Record durably that an order was accepted. An id can be used only once.

    Raises: FileExistsError: the id was used before.
    """
    record = {"job": order.job, "verb": order.verb, "at": now, "boot": boot, "sha256": hashlib.sha256(body).hexdigest()}
    create_once(os.path.join(paths.started, order.job), json.dumps(record).encode() + b"\n", 0o600)


def _latest(paths: LauncherPaths) -> int:
    """The latest time of issue of the accepted orders; 0: no order was accepted.

    Raises: OrderRefused: the file is damaged. With 0 instead, orders that an attacker withheld would be accepted.
    """
    if not os.path.lexists(os.path.join(paths.started, LATEST)):
        return 0
    at = (read_document(paths.started, LATEST) or {}).get("at")
    if type(at) is not int or at < 0:
        raise OrderRefused("latest-damaged")
    return at


def prune_started(paths: LauncherPaths, now: float, looked_at: int = MAX_PRUNED) -> None:
    """Remove the oldest records of ids that were used more than `KEEP_USED_S` before the latest accepted order.

    Such an order is refused as outdated even without its record. Raises: OSError, OrderRefused.
    """
    before = min(_latest(paths), now) - KEEP_USED_S
    for name in sorted(name for name in os.listdir(paths.started) if is_id(name))[:looked_at]:
        path = os.path.join(paths.started, name)
        if made_at(name) < before and os.lstat(path).st_mtime < before:
            os.unlink(path)


def _was_stopped_first(order: SignedOrder, paths: LauncherPaths) -> bool:
    """Whether a stop request has used up the id before the job could begin."""
    with open(os.path.join(paths.started, order.job), "rb") as file:
        text = file.read()
    try:
        return bool(json.loads(text)["verb"] == STOP)
    except (ValueError, KeyError, TypeError):
        return False  # the record is still being written


def _begin(order: SignedOrder, body: bytes, paths: LauncherPaths, now: float, boot: str, unit: JobUnit) -> LauncherAnswer:
    """Write the files of the job, then durably the record that uses up the id, then start the unit.

    An order that was issued before an accepted order is refused. Orders come through Spider's user, who may have withheld it until the clock
    was set back. (`_stop` accepts such an order: it only ends a job that the policy allowed.)

    A crash between the steps leaves one of two states. Either the id is unused, and its files are ignored. Or the record and the files
    exist, and Spider reports that the job never began. A record without files, of which Spider could report nothing, is impossible.
    """
    if os.path.lexists(os.path.join(paths.started, order.job)):
        raise OrderRefused("replay")  # another launcher accepted this order after the first check, and its files are in use
    latest = _latest(paths)
    if issue_time(order) < latest:
        raise OrderRefused("outdated")
    folder = os.path.join(paths.jobs, order.job)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o750)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, PLAN))  # a launcher that died left this file, which may be incomplete
    create_once(os.path.join(folder, PLAN), body, 0o640)
    sync_folder(paths.jobs)
    if latest_known(order, now) > latest:
        write_document(paths.started, LATEST, {"at": latest_known(order, now)}, durable=True)
    try:
        _use_up(order, paths, now, boot, body)
    except FileExistsError:
        if _was_stopped_first(order, paths):
            _clear(folder)
        raise OrderRefused("replay") from None
    try:
        if unit.start(unit_name(order.job)):
            return LauncherAnswer("accepted")
    except TimeoutError:
        return LauncherAnswer("accepted", "starting")
    if os.path.exists(os.path.join(folder, RUN)) or job_processes(order.job):
        return LauncherAnswer("accepted")  # systemctl failed, but the job runs
    return LauncherAnswer("failed", "not-started")


def _clear(folder: str) -> None:
    """Remove the files of a job that never began."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(folder, PLAN))
        os.rmdir(folder)


def _stop(order: SignedOrder, body: bytes, paths: LauncherPaths, now: float, boot: str) -> LauncherAnswer:
    """Write the stop request that the job's runner reads. The runner obeys as far as its phase allows. A second request changes nothing.

    If the job has not begun, its id is used up: an order in transit cannot start it any more. The policy is not checked: a job that it
    allowed may be stopped even if the policy has changed.
    """
    check_args(order)
    folder = os.path.join(paths.jobs, order.job)
    try:
        _use_up(order, paths, now, boot, body)
    except FileExistsError:
        if _was_stopped_first(order, paths):
            raise OrderRefused("no-such-job") from None
    else:
        _clear(folder)
        raise OrderRefused("no-such-job")
    if os.path.exists(os.path.join(folder, RESULT)) or not os.path.exists(os.path.join(folder, PLAN)):
        raise OrderRefused("ended")
    for name in (JOB_STOP, FORCE) if order.args.get("force") else (JOB_STOP,):
        with contextlib.suppress(FileExistsError):
            create_once(os.path.join(folder, name), b"", 0o640)
    return LauncherAnswer("accepted")


def decide(frame: bytes, paths: LauncherPaths, now: float, boot: str, unit: JobUnit) -> Tuple[LauncherAnswer, Optional[SignedOrder]]:
    """Check one order and start its job; every error becomes an answer. The MAC is checked before the order is parsed.

    Args:    now: Unix seconds of this node. boot: id of this boot, for the record.
    Returns: the answer, and the order if its MAC is valid.
    """
    order: Optional[SignedOrder] = None
    try:
        node, generation = node_of(read_trusted(paths.spider_conf, paths.owner).decode("utf-8"))
        key = read_trusted(key_file(paths.launch_key, generation), paths.owner, private=True)
        if len(key) != 32:
            raise Untrusted("the launch key has not 32 bytes")
        body = order_body(key, frame)
        order = parse_order(body)
        check_order(order, node, generation, now)
        if order.verb == STOP:
            return _stop(order, body, paths, now, boot), order
        check_policy(order, paths)
        if os.path.lexists(os.path.join(paths.started, order.job)):
            raise OrderRefused("replay")
        if unit.stopping():
            raise OrderRefused("host-stopping")
        check_room(paths, order.verb)
        with only_one(paths.jobs, order.verb):
            return _begin(order, body, paths, now, boot, unit), order
    except OrderError as exc:
        return LauncherAnswer("refused", exc.why), order
    except OrderRefused as exc:
        return LauncherAnswer("refused", str(exc)), order
    except Untrusted as exc:
        logs.event(_log, "not_trustworthy", level=logging.ERROR, why=str(exc))
        return LauncherAnswer("refused", "no-key"), order
    except Exception as exc:
        logs.event(_log, "order_failed", level=logging.ERROR, exc_info=True)
        return LauncherAnswer("error", type(exc).__name__), order


def list_containers(paths: LauncherPaths) -> LauncherAnswer:
    """List the containers that the policy allows the hub to restart."""
    try:
        return LauncherAnswer("listed", "", named_containers(_policy_for(CONTAINER_RESTART, paths).named(CONTAINER), paths.engines))
    except OrderRefused as exc:
        return LauncherAnswer("refused", str(exc))
    except EngineFailed as exc:
        logs.event(_log, "containers_unnamed", level=logging.WARNING, why=str(exc))
        return LauncherAnswer("failed", "engine")


def serve(client: socket.socket, paths: LauncherPaths, unit: JobUnit, boot: str) -> LauncherAnswer:
    """Read one order or request from a client, and answer with one JSON line."""
    order: Optional[SignedOrder] = None
    try:
        frame = receive_frame(client)
    except OrderError as exc:
        answer = LauncherAnswer("refused", exc.why)
    except OrderRefused as exc:
        answer = LauncherAnswer("refused", str(exc))
    except OSError as exc:
        answer = LauncherAnswer("error", type(exc).__name__)
    else:
        answer, order = (list_containers(paths), None) if frame == CONTAINER_LIST else decide(frame, paths, time.time(), boot, unit)
    fields: Dict[str, Any] = {} if order is None else {"job": order.job, "verb": order.verb}
    logs.event(_log, "order_answered", answer=answer.answer, why=answer.why, **fields)
    listed = {"containers": answer.containers} if answer.answer == "listed" else {}
    line = json.dumps({"answer": answer.answer, "why": answer.why, "clock": time.time(), **listed}, ensure_ascii=False) + "\n"
    try:
        client.settimeout(FRAME_DEADLINE_S)
        client.sendall(line.encode())
    except OSError as exc:
        logs.event(_log, "client_gone", level=logging.WARNING, why=str(exc))
    return answer


def main(argv: Optional[List[str]] = None) -> int:
    """`spider.pyz launch`. Returns the exit status.

    systemd's socket or `spider.pyz listen` starts it with the connection to one client as descriptor 3. For a Spider that serves one user
    it gets four words: the folders of keys and of state, the policy, and the folder of actions.
    """
    words = argv or []
    if len(words) not in (0, 4):
        print("launch takes no words, or four", file=sys.stderr)  # noqa: T201  # for the person who typed this
        return 64
    logs.set_up(style="json")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        print("launch is started by stardust-launcher.socket, not by hand", file=sys.stderr)  # noqa: T201  # for the person who typed this
        return 64
    paths = paths_of_user(*words) if words else LauncherPaths()
    unit = OF_USER if words else OPENRC if systemctl_shim.is_here() else SYSTEMD
    with socket.socket(fileno=CONNECTION_FD) as client:
        answer = serve(client, paths, unit, os.environ.get("STARDUST_BOOT", ""))
    if answer.answer == "accepted":
        try:
            prune(paths.jobs)
            prune_started(paths, time.time())
        except (OSError, OrderRefused) as exc:
            logs.event(_log, "prune_failed", level=logging.WARNING, why=str(exc))
    return 0


def orders(argv: Optional[List[str]] = None, paths: Optional[LauncherPaths] = None) -> int:
    """`stardust-spider orders reset`: forget the latest time of issue. Returns the exit status.

    Root needs it after the clocks of hub and node were both ahead: later orders would be refused as outdated.
    """
    if argv != ["reset"]:
        sys.stderr.write("usage: stardust-spider orders reset\n")
        return 64
    where = paths or LauncherPaths()
    if os.geteuid() != where.owner:
        sys.stderr.write("orders is root's: run it with sudo\n")
        return 77
    try:
        os.unlink(os.path.join(where.started, LATEST))
        sync_folder(where.started)
    except FileNotFoundError:
        sys.stdout.write("No time of an order is kept here.\n")
        return 0
    except OSError as exc:
        sys.stderr.write(f"the time of the latest order is still kept: {exc}\n")
        return 1
    sys.stdout.write("The time of the latest order is forgotten: the next order sets it anew.\n")
    return 0
