"""docs/performance.md says what one node, user, address or local program can take: its numbers are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from groundcontrol.access import rate_limits
from groundcontrol.adapters.sqlite import alerts, events, node_logs
from groundcontrol.agents import handshake_slots, quota, session
from groundcontrol.alerts import expression, families, health
from groundcontrol.web import connections, costs, limits, request
from groundcontrol.web.live import hub
from spider.reports import event_queue, event_reports
from spider.root import launcher
from spider.sampling import statsd

ROOT: Final = Path(__file__).resolve().parents[2]
TAKES: Final[dict[str, tuple[str, ...]]] = {
    "events that the hub makes about a node": (f"{events.MOST_OF_NODE_A_MINUTE} a minute",),
    "events that a sender reports about a node": (f"{events.MOST_A_MINUTE} a minute",),
    "stored events": (f"{events.MOST_OF_NODE:,} of a node", f"{events.MOST_EVENTS:,} of all"),
    "objects of a rule on a node": (f"{families.MOST_OBJECTS} with",),
    "new alerts of a node": (f"{families.MOST_AN_HOUR:.0f} of each level at once", f"{families.MOST_AN_HOUR:.0f} more an hour"),
    "stored alerts": (f"{alerts.MOST_OF_NODE:,} of a node",),
    "findings in lists": (f"{health.MOST_FINDINGS} of a node",),
    "expressions of rules": (f"{expression.MOST_TEXT} characters",),
    "rows of the audit log": (f"{costs.MOST_CHANGES:,} changes of a user at once", f"{costs.CHANGES_PER_S:.0f} a second"),
    "requests whose body is arriving": (
        f"{connections.MAX_BODIES_OF_AN_ADDRESS} of an address", f"{connections.MAX_BODIES} of all",
        f"{request.LEAST_BYTES_PER_S // 1024} KiB/s", "after three of ten seconds",
    ),
    "the hub's senders of jobs and heartbeats": (f"{session.CONGESTED_BYTES // 1024} KiB",),
    "messages of a channel": ("half of the channel's limits",),
    "frames of a node": (f"{quota.FRAMES_PER_S:.0f} a second", f"{quota.BYTES_PER_S / 2**20:.0f} MiB/s", f"bursts of {quota.BURST_S:.0f} s"),
    "sessions of a node": (f"{quota.OPENINGS:.0f} at once", f"{quota.OPENINGS_PER_S * 60:.0f} a minute"),
    "openings without a proof yet": (f"{handshake_slots.MAX_OPENINGS_PER_ADDRESS} of an address", f"{handshake_slots.MAX_OPENINGS} of all"),
    "stored lines of Spider's log": (f"{node_logs.MAX_STORED_LINES:,} of a node",),
    "bad log-ins": (
        "{} a minute".format(*rate_limits.ADDRESS[0]), f"{rate_limits.ADDRESS_LONG[0][0]} in {rate_limits.ADDRESS_LONG[0][1] / 60:.0f} minutes",
        f"{rate_limits.IN_A_ROW['elsewhere']} in a row",
    ),
    "idle connections": (f"{connections.MAX_IDLE_OF_AN_ADDRESS} of an address", f"{connections.MAX_IDLE} of all"),
    "live pages": (f"{hub.MAX_OF_A_USER} of a user", f"{limits.LiveLimits().of_an_address} of an address", f"{hub.MAX_CONNECTIONS} of all"),
    "the node's event socket": (f"{event_reports.MAX_CALLERS_OF_A_USER} connections of a user", f"{event_reports.MAX_CALLERS} of all users"),
    "waiting events on a node": (f"{event_queue.MAX_WAITING:,} or", f"{event_queue.MAX_WAITING_BYTES // 2**20} MiB"),
    "numbers of local programs": (f"{statsd.MAX_NAMES} names", f"{statsd.LINES_PER_MINUTE:,} lines a minute"),
    "root's records of used orders": ("a year" * (365 * 86_400 <= launcher.KEEP_USED_S <= 367 * 86_400),),
}  # fmt: skip
"""Row of the table -> what its second column says, made of the constants."""


def rows() -> dict[str, list[str]]:
    text = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    table = text.partition("### What one of them can take")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")][2:]
    return {line[0].strip(): [cell.strip() for cell in line[1:]] for line in lines}


def test_the_table_of_shares_has_the_numbers_of_the_code() -> None:
    found = rows()
    assert found.keys() == TAKES.keys()
    assert [(name, words) for name, said in TAKES.items() for words in said if not words or words not in found[name][0]] == []
    assert (session.STUCK_LIMIT_S, f"{session.MAX_OUTBOX:,} messages" in found["the hub's senders of jobs and heartbeats"][1]) == (
        10.0,
        True,
    )
    assert (request.GRACE_SHARE * limits.WebLimits().body_s, limits.WebLimits().body_s) == (3.0, 10.0)


def test_each_share_has_a_test_that_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    for name, cells in rows().items():
        named = re.fullmatch(r"`(?:(test_\w+)|(tests/[\w/]+\.py))`", cells[-1])
        assert named is not None, name
        assert f"def {named[1]}(" in tests if named[1] else (ROOT / named[2]).is_file(), name
