"""`stardust-spider event TYPE [MESSAGE]`: reports an event to the hub through the agent of this server."""

import contextlib
import datetime
import json
import math
import os
import socket
import sys
import time
from typing import Any, Dict, List, Optional, Tuple, Union

from spider.reports.event_queue import MAX_NUMBER, EventRefused, make_event
from spider.reports.event_socket import root_socket
from spider.wire.events import REPORTED

EVENTS_SOCKET = "/run/stardust-spider/events.sock"
LIMIT_S = 10.0
"""Limit of each step: connecting, sending, and each part of the answer."""
RESTART_S = 10.0
"""How long to wait for the socket of an agent that is being restarted, such as by an update."""
MAX_ANSWER_BYTES = 4096
USAGE_STATUS, AWAY, DISK, LATER, FORBIDDEN = 64, 69, 73, 75, 77
"""Exit statuses, as sysexits.h has them: a wrong call, no agent, no room, try again later, not allowed."""
STATUSES = {"accepted": 0, "type": USAGE_STATUS, "user": FORBIDDEN, "rate": LATER, "busy": LATER, "disk": DISK}
USAGE = f"""usage: stardust-spider event TYPE [MESSAGE] [--detail KEY=VALUE]... [--at TIME] [--id ID]

Reports an event of this server to the hub, for root and for the users that the line 'events' in /etc/stardust/policy.conf names.

TYPE           {", ".join(REPORTED)}
MESSAGE        one line
--detail       a short text or a whole number; the type custom needs --detail name=NAME
--at           when it happened: Unix seconds, or 2026-11-26T05:00:00+01:00 (default: now)
--id           the same id is reported once (default: a new id); a script that retries passes the same id

The event is stored on this server until the hub has stored it.
Exit status: 0 stored, 64 wrong call, 69 the agent does not run (10 s long), 73 no room on the disk, 75 too many, try again later, 77 not allowed.
"""


def main(argv: List[str], wait_s: float = RESTART_S) -> int:
    """Report the event of a command line. Args: argv: the words after `event`. wait_s: as for `report`. Returns: the exit status."""
    if argv in (["--help"], ["-h"]):
        sys.stdout.write(USAGE)
        return 0
    try:
        raw, path = parse_words(argv)
        make_event(raw, int(time.time() * 1000))
    except EventRefused as error:
        sys.stderr.write(f"stardust-spider: {error}\n")
        return USAGE_STATUS
    code, text = report(raw, path, wait_s)
    if code != "accepted":
        sys.stderr.write(f"stardust-spider: the event was not reported: {text}\n")
    return STATUSES.get(code, AWAY)


def parse_words(words: List[str]) -> Tuple[Dict[str, Any], str]:
    """Read the command line.

    Returns: the event to send, not checked yet, and the path of the agent's socket (`--socket`, for an agent with another one).
    Raises:  EventRefused: an unknown option, one without a value, or a wrong number of words.
    """
    plain: List[str] = []
    details: Dict[str, Union[str, int]] = {}
    given: Dict[str, str] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            plain += left
            break
        if not word.startswith("--"):
            plain.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in ("--detail", "--at", "--id", "--socket"):
            raise EventRefused(f"{name[:40]}: no such option; see 'stardust-spider event --help'")
        if not equals:
            if not left:
                raise EventRefused(f"{name} needs a value")
            value = left.pop(0)
        if name == "--detail":
            key, _, text = value.partition("=")
            details[key] = int(text) if text.isdecimal() and text.isascii() and str(min(int(text[:16]), MAX_NUMBER)) == text else text
        else:
            given[name] = value
    if not 1 <= len(plain) <= 2:
        raise EventRefused("a type is expected, and a message in one word (quote it); see 'stardust-spider event --help'")
    at_ms = parse_time(given["--at"]) if "--at" in given else None
    message = plain[1] if len(plain) > 1 else ""
    sent = {"id": given.get("--id", os.urandom(16).hex()), "type": plain[0], "at_ms": at_ms, "message": message, "details": details}
    return sent, given.get("--socket", EVENTS_SOCKET)


def parse_time(text: str) -> int:
    """A time as Unix milliseconds.

    Raises: EventRefused: neither Unix seconds nor a date with its offset.
    """
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
        except ValueError:
            raise EventRefused(f"{text[:40]!r} is no time: Unix seconds, or as 2026-11-26T05:00:00+01:00") from None
        if moment.tzinfo is None:
            raise EventRefused(f"{text[:40]!r} does not say its offset, as 2026-11-26T05:00:00+01:00 does") from None
        seconds = moment.timestamp()
    if not math.isfinite(seconds * 1000):
        raise EventRefused(f"{text[:40]!r} is no time")
    return int(seconds * 1000)


def _connect(path: str, wait_s: float) -> socket.socket:
    """Connect to the agent. Raises: OSError: nobody listens within `wait_s`, or another error."""
    ends_at = time.monotonic() + wait_s
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.settimeout(LIMIT_S)
        try:
            sock.connect(root_socket(path) if os.geteuid() == 0 and os.path.exists(root_socket(path)) else path)
            return sock
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            if time.monotonic() >= ends_at:
                raise
            time.sleep(0.1)
        except OSError:
            sock.close()
            raise


def report(raw: Dict[str, Any], path: str, wait_s: float) -> Tuple[str, str]:
    """Hand the event to the agent at the socket `path`.

    Args:    wait_s: how long to wait until an agent listens there.
    Returns: the code and the text of the agent's answer. The code `away`: there was no answer.
    """
    answer = b""
    try:
        with _connect(path, wait_s) as sock:
            with contextlib.suppress(BrokenPipeError):  # the agent refused before it read the event; its answer can be read
                sock.sendall(json.dumps(raw).encode() + b"\n")
            while not answer.endswith(b"\n") and len(answer) < MAX_ANSWER_BYTES:
                part = sock.recv(MAX_ANSWER_BYTES)
                if not part:
                    break
                answer += part
        code, text = json.loads(answer)
    except (OSError, ValueError, TypeError) as error:
        why: Optional[str] = getattr(error, "strerror", None)
        return "away", f"the agent does not answer at {path}: {why or error}"
    return str(code), str(text)[:300]
