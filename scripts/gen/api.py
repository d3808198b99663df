#!/usr/bin/env python3
"""Writes docs/api.md from the calls and live topics that the slices of the hub declare, and the list of slices in docs/architecture.md.

scripts/gen/api.py           write the files
scripts/gen/api.py --check   change nothing; exit 1 when a file is not current
"""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from groundcontrol.core.permissions import FOR_TOKENS, OF_INSTANCE, PERMISSIONS, Action  # noqa: E402
from groundcontrol.slices import ORDER, SLICES  # noqa: E402
from groundcontrol.web.declare import LiveTopic, Slice  # noqa: E402
from groundcontrol.web.routes import Route  # noqa: E402
from scripts.gen import target  # noqa: E402

TARGET, ARCHITECTURE = ROOT / "docs" / "api.md", ROOT / "docs" / "architecture.md"
HEAD = """# REST and live topics

Every call below `/api/v1`, by slice. `scripts/gen/api.py` writes this page from the declarations in `groundcontrol/*/slice.py`; a test
holds it current. `GET /api/v1/openapi.json` describes each body and answer in full, and [live.md](live.md) the live socket.

- **roles**: who may do it at all: `all` (admin, operator, viewer), `acting` (admin, operator), `admin`, or `admin of the hub`. With `+ token`, an API token may,
  too. Grants limit each role to some nodes.
- **whose**: whose objects it reaches; all others look like missing ones. `granted`: those within the caller's grants. `caller`: the
  caller's own, whatever the role. `person`: the caller's own, for an admin also those of other users. `organisation`: all of the
  caller's organisation. `hub`: the hub's own, which all organisations share.
- **cost**: the class whose limits apply (`groundcontrol/web/costs.py`).
- **also**: `password`: the password must have been given within the last minutes. `key`: it takes an `Idempotency-Key`. `new password` and
  `new factor`: open also to a session that must first change its password, or set up a second factor.
"""
_ROLES = {frozenset({"admin", "operator", "viewer"}): "all", frozenset({"admin", "operator"}): "acting", frozenset({"admin"}): "admin"}


def roles(action: Action | None) -> str:
    """The roles that have the right of an action, and its name."""
    if action is None:
        return "anybody"
    if action in OF_INSTANCE:
        return f"admin of the hub (`{action}`)"
    return f"{_ROLES[PERMISSIONS[action]]}{' + token' if action in FOR_TOKENS else ''} (`{action}`)"


def call(route: Route) -> str:
    """The table row of one call."""
    query = "&".join(parameter.name for parameter in route.query)
    path = f"`{route.method} {route.path}{'?' + query if query else ''}`"
    body = "" if route.body is None else f"`{route.body.__name__}`{' or none' if route.optional_body else ''}"
    answers = [*([f"`{route.answer.__name__}`"] if route.answer is not None else []), *route.answers]
    also = {"password": route.step_up, "key": route.keyed, "new password": route.pending, "new factor": route.enrolling}
    summary = (inspect.getdoc(route.handler) or "").partition("\n")[0]
    answer = f"{route.status} {', '.join(answers)}".rstrip()
    whose = "" if route.action is None else route.whose
    cells = (path, roles(route.action), whose, route.cost, body, answer, ", ".join(filter(also.get, also)), summary)
    return f"| {' | '.join(cells)} |"


def topic(row: LiveTopic) -> str:
    """The table row of one kind of topic."""
    sends = (inspect.getdoc(row.feed or row.stream) or "").partition("\n")[0]
    return f"| `{row.kind}{':<id>' if row.find else ''}` | {roles(row.action)} | {row.cost} | {sends} |"


def section(each: Slice) -> str:
    """The tables of one slice."""
    lines = [
        f"## {each.name}",
        "",
        "| call | roles (right) | whose | cost | body | answer | also | what it does |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += map(call, each.routes)
    if each.topics:
        lines += [
            "",
            "| live topic | roles (right) | cost of the first message | what it sends |",
            "|---|---|---|---|",
            *map(topic, each.topics),
        ]
    return "\n".join(lines) + "\n"


def generate() -> str:
    """The whole of docs/api.md."""
    return "\n".join([HEAD, *(section(each) for each in SLICES if each.routes or each.topics)])


def architecture() -> str:
    """The whole of docs/architecture.md, with a list of slices from the docstrings of their packages."""
    rows = [
        f"| `groundcontrol/{name}/` | {target.cell(import_module(f'groundcontrol.{name}').__doc__ or '')} |" for name in ("core", *ORDER)
    ]
    return target.with_tables(ARCHITECTURE.read_text(encoding="utf-8"), "\n".join(["| slice | subject |", "|---|---|", *rows, ""]))


if __name__ == "__main__":
    raise SystemExit(target.main({TARGET: generate(), ARCHITECTURE: architecture()}, "scripts/gen/api.py", __doc__))
