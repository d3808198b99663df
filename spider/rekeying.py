"""Putting keys of the next generation in place, as root. At every instant the node holds one pair completely, which the hub takes.

The new keys come first, beside the old ones; replacing `spider.conf`, which is one rename, makes them the ones in use; then they take
the names of the old ones, whose bytes are overwritten. Whoever is cut off anywhere on the way leaves one of these states, and each works.
"""

import hashlib
import os
import re
import stat
from typing import Any, Callable, Mapping, NamedTuple

from spider.jobfiles import create_once, sync_folder, write_all
from spider.keyfiles import key_file, node_of
from spider.packages.base import Console, Outcome
from spider.trusted import Untrusted, read_trusted
from spider.wire.proof import KEY_BYTES, rekey_mask

_GENERATION = re.compile(r"(?m)^([ \t]*generation[ \t]*=[ \t]*)([0-9]+)([ \t]*)$")


class Places(NamedTuple):
    """Where a node's keys are, and who owns what only root may write."""

    etc: str = "/etc/stardust"
    owner: int = 0


def _nothing(_step: str) -> None:
    """Nobody waits at the steps."""


def rekey(job: str, args: Mapping[str, Any], console: Console, places: Places, reached: Callable[[str], None] = _nothing) -> Outcome:
    """Carry out the verb `rekey`.

    Args: job: the id of the order, which the keys are masked for; reached: told of each step that is done.
    """
    console.progress("commit")
    try:
        told = _rekey(job, args, places, reached)
    except (OSError, Untrusted, ValueError) as exc:
        console.say(f"The keys were not changed: {exc}")
        return Outcome("failed", None, 0, (), "job.rekey_failed", f"the keys were not changed: {exc}")
    console.say(told)
    console.progress("check", 100)
    return Outcome("succeeded", 0, 0, ())


def _rekey(job: str, args: Mapping[str, Any], places: Places, reached: Callable[[str], None]) -> str:
    conf, session, launch = (os.path.join(places.etc, name) for name in ("spider.conf", "session.key", "launch.key"))
    text = read_trusted(conf, places.owner).decode("utf-8")
    _, generation = node_of(text)
    wanted = int(args["generation"])
    if wanted <= generation:
        raise ValueError(f"this node has generation {generation} already")
    old = read_trusted(key_file(launch, generation), places.owner, private=True)
    masked = bytes.fromhex(args["keys"])
    keys = bytes(left ^ right for left, right in zip(masked, rekey_mask(old, job)))
    if hashlib.sha256(keys).hexdigest() != args["digest"]:
        raise ValueError("the new keys do not open with the key of this node")
    found = os.stat(key_file(session, generation))
    _clear(places.etc, generation)
    for path, key, owner in ((session, keys[:KEY_BYTES], found), (launch, keys[KEY_BYTES:], os.stat(key_file(launch, generation)))):
        _put(f"{path}.{wanted}", key, 0o600, owner)
    reached("keys")
    _put(conf + ".new", _with_generation(text, wanted).encode("utf-8"), stat.S_IMODE(os.stat(conf).st_mode), os.stat(conf))
    reached("conf.new")
    os.replace(conf + ".new", conf)
    sync_folder(places.etc)
    reached("conf")
    for path in (session, launch):
        _take_over(path, f"{path}.{wanted}", f"{path}.{generation}")
        reached(os.path.basename(path))
    sync_folder(places.etc)
    return f"The keys of generation {wanted} are in place; Spider comes back with them."


def _with_generation(text: str, generation: int) -> str:
    node = node_of(text)[0]
    new, count = _GENERATION.subn(lambda match: f"{match.group(1)}{generation}{match.group(3)}", text)
    if count != 1 or node_of(new) != (node, generation):
        raise ValueError("spider.conf does not say the generation in one line of its own")
    return new


def _put(path: str, content: bytes, mode: int, owner: os.stat_result) -> None:
    """A file with its owner, durably; what a run that was cut off left of it goes."""
    if os.path.lexists(path):
        os.unlink(path)
    create_once(path, content, 0o600)
    os.chown(path, owner.st_uid, owner.st_gid)
    os.chmod(path, mode)


def _clear(etc: str, generation: int) -> None:
    """Remove keys that an earlier run left beside those in use."""
    for name in os.listdir(etc):
        stem, dot, number = name.rpartition(".")
        if dot and stem in ("session.key", "launch.key") and number.isdigit() and int(number) != generation:
            _burn(os.path.join(etc, name))
            os.unlink(os.path.join(etc, name))


def _take_over(path: str, newer: str, older: str) -> None:
    """Give the key in use its usual name; the bytes of the one before are overwritten when nothing leads to them any more."""
    olds = [os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC) for name in (path, older) if os.path.lexists(name)]
    try:
        os.replace(newer, path)
        if os.path.lexists(older):
            os.unlink(older)
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
    write_all(fd, os.urandom(KEY_BYTES))
    os.fsync(fd)
