"""Installs keys of another generation, as root. At any moment `spider.conf` names a generation whose pair of keys is complete.

First, the new keys are written to files with the generation as suffix. Then one rename replaces `spider.conf`; from then on the new keys are
valid. Last, the new keys get the usual file names, and the bytes of the old keys are overwritten. Spider works after each of these steps,
so an interruption does no harm.

Replaced pairs stay in `former.keys` for seven days, readable by root only. An attacker who controls a hub for a minute can send keys that
the hub itself does not have. With `stardust-spider keys restore` root then returns to a former pair, in the same steps. No pair is
restored automatically.
"""

import hashlib
import json
import os
import re
import stat
import sys
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from spider.files import create_anew, create_once, remove, sync_folder, write_all
from spider.jobs.files import JOBS_DIR
from spider.packages.interfaces import Console, Outcome
from spider.root.job_lock import JobNotStarted, take_lock
from spider.root.trusted_files import Untrusted, read_trusted
from spider.selfcare.node_keys import key_file, node_of
from spider.wire.ids import made_at
from spider.wire.proof import KEY_BYTES, rekey_mask

FORMER = "former.keys"
FORMER_LIFETIME_S = 7 * 86_400.0
MAX_FORMER = 8
"""Maximum number of stored former pairs. With so many pairs a rekey order is refused: none of them may be lost."""
LAST_TIME_S = float(1 << 40)
"""Unix seconds. A later time in `former.keys` is an error."""
LOCK_LIMIT_S = 5.0
EXIT_FAILED, EXIT_USAGE, EXIT_BUSY, EXIT_NOT_ROOT = 1, 64, 75, 77
_USAGE = "usage: stardust-spider keys [restore [GENERATION]]\n"
_NUMBER = re.compile(r"[0-9]{1,10}\Z")
_GENERATION = re.compile(r"(?m)^([ \t]*generation[ \t]*=[ \t]*)([0-9]+)([ \t]*)$")


class RekeyPaths(NamedTuple):
    """The folder of a node's keys, and the required owner of files that only root may write."""

    etc: str = "/etc/stardust"
    owner: int = 0
    """uid"""


class Pair(NamedTuple):
    """Both keys of a generation."""

    generation: int
    session: bytes
    launch: bytes
    at: float
    """When the pair was replaced, Unix seconds by this node's clock."""
    made: Optional[float] = None
    """When the pair was replaced, Unix seconds by the hub's clock: the creation of the first order since then. None: no order came since."""


class NotCleanedUp(OSError):
    """The new keys are in place, but a later step failed, such as the overwriting of the old keys. The text says so."""


def _failure_text(error: Exception) -> str:
    return str(error) if isinstance(error, NotCleanedUp) else f"the keys were not changed: {error}"


def _nothing(_step: str) -> None:
    """Default for `reached`: does nothing."""


def rekey(job: str, args: Mapping[str, Any], console: Console, paths: RekeyPaths, reached: Callable[[str], None] = _nothing) -> Outcome:
    """Carry out the verb `rekey`.

    Args: job: id of the order, from which the mask of the new keys is derived. args: validated arguments. reached: called after each
          step (for tests).
    """
    console.progress("commit")
    try:
        outcome = _rekey(job, args, paths, reached)
    except (OSError, Untrusted, ValueError) as exc:
        text = _failure_text(exc)
        console.print_line(text)
        return Outcome("failed", None, 0, (), "job.rekey_failed", text)
    console.print_line(outcome)
    console.progress("check", 100)
    return Outcome("succeeded", 0, 0, ())


def _rekey(job: str, args: Mapping[str, Any], paths: RekeyPaths, reached: Callable[[str], None]) -> str:
    text, generation = _conf(paths)
    wanted = int(args["generation"])
    if wanted != generation + 1:
        raise ValueError(f"this node has generation {generation}, and {wanted} is not the next one")
    used, now = _in_use(paths, generation), time.time()
    masked = bytes.fromhex(args["keys"])
    keys = bytes(left ^ right for left, right in zip(masked, rekey_mask(used.launch, job)))
    if hashlib.sha256(keys).hexdigest() != args["digest"]:
        raise ValueError("the new keys do not open with the key of this node")
    former_pairs = [pair for pair in _unexpired(_former(paths), job) if pair.generation < generation]
    if len(former_pairs) >= MAX_FORMER:
        raise ValueError(f"the keys were changed {MAX_FORMER} times within seven days; if that is right, root removes {paths.etc}/{FORMER}")
    _save_former(paths, [*former_pairs, used._replace(at=now, made=float(made_at(job)))])
    reached("former")
    _switch(paths, text, generation, Pair(wanted, keys[:KEY_BYTES], keys[KEY_BYTES:], now), reached)
    return f"The keys of generation {wanted} are in place; Spider comes back with them."


def restore(paths: RekeyPaths, wanted: Optional[int] = None, reached: Callable[[str], None] = _nothing) -> str:
    """Return to a former pair, and store the present pair as a former pair. Returns a text for root.

    The seven days of all pairs start over, because root may need time to find the right pair.

    Args:   wanted: the generation; None: the latest before the present generation.
    Raises: Untrusted, ValueError, OSError: the keys in use are the same as before. NotCleanedUp: the former pair is in use.
    """
    (text, generation), now, former = _conf(paths), time.time(), _former(paths)
    there = [number for number in former if number != generation]
    fitting = [number for number in there if number == wanted or (wanted is None and number < generation)]
    if not fitting:
        others = f"; stored generations: {', '.join(map(str, sorted(there)))}" if there else ""
        raise ValueError(f"this node has no such keys{others}")
    pair, used = former[max(fitting)], _in_use(paths, generation)
    _save_former(paths, [one._replace(at=now, made=None) for one in {**former, generation: used}.values()])
    reached("former")
    _switch(paths, text, generation, pair, reached)
    return (
        f"The keys of generation {pair.generation} are in use again, and Spider comes back with them. A hub that has seen later keys of this node "
        f"does not answer them: `stardust-spider keys restore {generation}` goes back."
    )


def forget_expired(paths: RekeyPaths, job: str) -> None:
    """Remove the pairs that were replaced more than seven days ago. The caller holds the lock `LOCK` of this node's jobs.

    Args:   job: id of a job. The id contains its time of creation by the hub's clock.
    Raises: OSError, Untrusted, ValueError.
    """
    former = _former(paths)
    former_pairs = _unexpired(former, job)
    if former_pairs != list(former.values()):
        _save_former(paths, former_pairs)


def _unexpired(former: Mapping[int, Pair], job: str) -> List[Pair]:
    """The pairs that were replaced less than seven days ago by at least one clock: this node's or the hub's.

    So a wrong clock of this node, or a false time from the hub, cannot expire a pair alone. A time in the future is set to now, so that
    no pair is stored for years.
    """
    now, made = time.time(), float(made_at(job))
    pairs = [(pair, min(pair.at, now), made if pair.made is None else min(pair.made, made)) for pair in former.values()]
    return [pair._replace(at=at, made=since) for pair, at, since in pairs if min(now - at, made - since) <= FORMER_LIFETIME_S]


def _conf(paths: RekeyPaths) -> Tuple[str, int]:
    text = read_trusted(os.path.join(paths.etc, "spider.conf"), paths.owner).decode("utf-8")
    return text, node_of(text)[1]


def _in_use(paths: RekeyPaths, generation: int) -> Pair:
    session, launch = (key_file(os.path.join(paths.etc, name), generation) for name in ("session.key", "launch.key"))
    pair = Pair(generation, read_trusted(session, os.stat(session).st_uid), read_trusted(launch, paths.owner, private=True), 0.0)
    if {len(pair.session), len(pair.launch)} != {KEY_BYTES}:
        raise ValueError(f"a key of this node has not {KEY_BYTES} bytes")
    return pair


def _former(paths: RekeyPaths) -> Dict[int, Pair]:
    """The stored pairs by generation. After an interrupted change, the pair in use is also among them."""
    path = os.path.join(paths.etc, FORMER)
    if not os.path.lexists(path):
        return {}
    try:
        pairs = [_pair(row) for row in json.loads(read_trusted(path, paths.owner, private=True))]
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError) as exc:
        raise ValueError(f"{path} is damaged: {exc}") from exc
    return {pair.generation: pair for pair in pairs}


def _pair(row: List[Any]) -> Pair:
    """Decode a row of `former.keys`. Raises: ValueError, TypeError, LookupError, OverflowError: the row is invalid."""
    made = None if row[4] is None else float(row[4])
    pair = Pair(int(row[0]), bytes.fromhex(row[1]), bytes.fromhex(row[2]), float(row[3]), made)
    if {len(pair.session), len(pair.launch)} != {KEY_BYTES}:
        raise ValueError(f"a key has not {KEY_BYTES} bytes")
    if not all(0 <= at < LAST_TIME_S for at in (pair.at, made or 0.0)):
        raise ValueError("a time is none that a clock shows")
    return pair


def _save_former(paths: RekeyPaths, pairs: Iterable[Pair]) -> None:
    """Write `former.keys` durably, and overwrite the bytes of the file that it replaces."""
    path = os.path.join(paths.etc, FORMER)
    rows = [[pair.generation, pair.session.hex(), pair.launch.hex(), pair.at, pair.made] for pair in pairs]
    replaced = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC) if os.path.lexists(path) else -1
    try:
        remove(path + ".new")
        if rows:
            create_once(path + ".new", json.dumps(rows).encode(), 0o600)
            os.replace(path + ".new", path)
        elif replaced >= 0:
            os.unlink(path)
        sync_folder(paths.etc)
        if replaced >= 0:
            _overwrite(replaced)
    finally:
        if replaced >= 0:
            os.close(replaced)


def _switch(paths: RekeyPaths, text: str, generation: int, pair: Pair, reached: Callable[[str], None]) -> None:
    """Replace the pair of `generation` by `pair`.

    Args:   text: the content of `spider.conf`.
    Raises: OSError, ValueError: the pair of `generation` is still in use. NotCleanedUp.
    """
    conf, session, launch = (os.path.join(paths.etc, name) for name in ("spider.conf", "session.key", "launch.key"))
    new = _with_generation(text, pair.generation)
    owners = [os.stat(key_file(path, generation)) for path in (session, launch)]
    _clear(paths.etc, generation)
    for path, key, owner in ((session, pair.session, owners[0]), (launch, pair.launch, owners[1])):
        _put(f"{path}.{pair.generation}", key, 0o600, owner)
    reached("keys")
    _put(conf + ".new", new.encode("utf-8"), stat.S_IMODE(os.stat(conf).st_mode), os.stat(conf))
    reached("conf.new")
    os.replace(conf + ".new", conf)
    try:
        sync_folder(paths.etc)
        reached("conf")
        for path in (session, launch):
            _take_over(path, f"{path}.{pair.generation}", f"{path}.{generation}")
            reached(os.path.basename(path))
        sync_folder(paths.etc)
    except OSError as exc:
        raise NotCleanedUp(f"the keys of generation {pair.generation} are in place, but old ones may be left on the disk: {exc}") from exc


def _with_generation(text: str, generation: int) -> str:
    node = node_of(text)[0]
    new, count = _GENERATION.subn(lambda match: f"{match.group(1)}{generation}{match.group(3)}", text)
    if count != 1 or node_of(new) != (node, generation):
        raise ValueError("spider.conf does not say the generation in one line of its own")
    return new


def _put(path: str, content: bytes, mode: int, owner: os.stat_result) -> None:
    """Write a file durably, with its owner and mode. A file that an interrupted run left is removed first."""
    create_anew(path, content, 0o600)
    os.chown(path, owner.st_uid, owner.st_gid)
    os.chmod(path, mode)


def _clear(etc: str, generation: int) -> None:
    """Remove the key files that an interrupted run left, except those of `generation`."""
    for name in os.listdir(etc):
        stem, dot, number = name.rpartition(".")
        if dot and stem in ("session.key", "launch.key") and _NUMBER.match(number) and int(number) != generation:
            _burn(os.path.join(etc, name))
            os.unlink(os.path.join(etc, name))


def _take_over(path: str, newer: str, older: str) -> None:
    """Give the new key its usual file name. The bytes of the old key are overwritten once no name leads to them."""
    olds = [os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC) for name in (path, older) if os.path.lexists(name)]
    try:
        os.replace(newer, path)
        remove(older)
        for fd in olds:
            _overwrite(fd)
    finally:
        for fd in olds:
            os.close(fd)


def _burn(path: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _overwrite(fd)
    finally:
        os.close(fd)


def _overwrite(fd: int) -> None:
    write_all(fd, os.urandom(os.fstat(fd).st_size))
    os.fsync(fd)


def _describe_former(paths: RekeyPaths) -> str:
    generation, former = _conf(paths)[1], _former(paths)
    lines = [f"generation {generation} is in use"]
    for number, pair in sorted(former.items()):
        if number != generation:
            until = time.strftime("%Y-%m-%d %H:%M", time.localtime(min(pair.at, time.time()) + FORMER_LIFETIME_S))
            lines.append(f"generation {number} is kept until {until}")
    return "\n".join(lines)


def main(argv: Optional[List[str]] = None, paths: Optional[RekeyPaths] = None, jobs: str = JOBS_DIR, wait_s: float = LOCK_LIMIT_S) -> int:
    """`stardust-spider keys [restore [GENERATION]]`, for root. Returns the exit status."""
    words, where = argv or [], paths or RekeyPaths()
    if words and (words[0] != "restore" or len(words) > 2 or not all(map(_NUMBER.match, words[1:]))):
        sys.stderr.write(_USAGE)
        return EXIT_USAGE
    if os.geteuid() != where.owner:
        sys.stderr.write("keys is root's: run it with sudo\n")
        return EXIT_NOT_ROOT
    lock = -1
    try:
        if words and os.path.isdir(jobs):
            lock = take_lock(jobs, wait_s)
        sys.stdout.write((restore(where, int(words[1]) if words[1:] else None) if words else _describe_former(where)) + "\n")
    except JobNotStarted:
        sys.stderr.write("A job is running on this server: wait for its end, or cancel it, and try again.\n")
        return EXIT_BUSY
    except (OSError, Untrusted, ValueError) as exc:
        sys.stderr.write(_failure_text(exc) + "\n")
        return EXIT_FAILED
    finally:
        if lock >= 0:
            os.close(lock)
    return 0
