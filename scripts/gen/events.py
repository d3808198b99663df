#!/usr/bin/env python3
"""Writes docs/events.md from the catalogue of events.

scripts/gen/events.py           write the file
scripts/gen/events.py --check   change nothing; exit 1 when the file is not current
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from groundcontrol.adapters.sqlite.events import MOST_A_MINUTE  # noqa: E402
from groundcontrol.events.catalogue import GROUPS, KEEP_S, ROWS, EventType  # noqa: E402
from scripts.gen import target  # noqa: E402
from spider.wire.report_messages import EPHEMERAL_PORT  # noqa: E402

TARGET = ROOT / "docs" / "events.md"
DAY_S = 86_400
HEAD = f"""# Events

An event is a fact with a time: a node went offline, a job failed, a backup completed. `GET events` lists events, `GET events/summary`
counts those of this hour and the 23 before it, and the live topic `events` sends each as it is stored ([api.md](api.md)). The hub stores an event in the same
transaction as its cause. `scripts/gen/events.py` writes this page from `groundcontrol/events/catalogue.py`.

The list of types is closed: another type is refused with `event.type_unknown`. A program that has none of its own here uses `custom` with a
name in the detail `name` (1 to 64 of `a-z 0-9 _ . -`). `expected_<type>_missed` stands for one type of each reported type and name.

## Report one

```
curl --fail-with-body -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\
  -d '{{"type": "backup_completed", "message": "nightly backup, 12 GB", "details": {{"repository": "nas"}}, "event_id": "nightly-2026-11-26"}}' \\
  https://hub.example.org/api/v1/nodes/NODE_ID/events
```

The token needs the role operator. On the node itself, `stardust-spider event backup_completed "nightly backup, 12 GB"` does the same without
a token, also while the hub is away. What is sent again with the same `event_id` is stored once. `at` may name an earlier time.

## Rules

- **Repeats.** Equal events of a node and object share a row while each comes less than ten minutes after the last one: `count` rises, and
  `last_at` is the time of the newest. A row holds the events of one day at most. The filters `from` and `to` match rows from `at` to `last_at`.
- **Limits.** A node, user or token stores at most {MOST_A_MINUTE} events a minute about each node. One `events_throttled` counts the others.
- **Times.** `at` is when it happened, `received_at` when the hub learned of it. `retro` marks what was reported more than two minutes late.
- **Found by the agent.** From two minutes after its start the agent looks once a minute for units that failed, run again or were restarted (systemd),
  TCP ports below {EPHEMERAL_PORT}, file systems that became read-only, and processes killed for want of memory. At most 30 events a look, and 6 an hour of
  one type about one thing. Left out: what its first look shows or a look cannot read, transient units and sessions, units that were started or stopped, UDP, and
  ports without a known owner or that only one look shows or misses.
- **Kept.** {", ".join(f"{severity}: {kept / DAY_S:.0f} days" for severity, kept in KEEP_S.items())}, and at most two million events.
"""


def row(each: EventType) -> str:
    """The table row of one type. `once` in the column of repeats: each event has a separate row."""
    key = "once" if not each.window_s else ", ".join(f"`{name}`" for name in each.key) or "the node"
    return f"| `{each.name}` | {each.severity} | {', '.join(each.sources)} | {key} | {each.text} |"


def generate() -> str:
    """The whole of docs/events.md."""
    parts = [HEAD]
    for group, title in GROUPS.items():
        lines = [f"## {title} (`group={group}`)", "", "| type | severity | reported by | repeats of | message |", "|---|---|---|---|---|"]
        parts.append("\n".join([*lines, *(row(each) for each in ROWS if each.group == group)]) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    raise SystemExit(target.main({TARGET: generate()}, "scripts/gen/events.py", __doc__))
