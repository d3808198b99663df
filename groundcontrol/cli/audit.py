"""`stardust audit`: shows and verifies the audit log. Without `--url` it reads the database itself, whether or not a hub runs."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final, TextIO

from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.data_dir import become_owner, only_here, read_settings, valid_config
from groundcontrol.cli.formatting import moment, table
from groundcontrol.cli.options import add_act, add_acts, add_settings, count
from groundcontrol.core.audit import AuditHead, AuditRow
from groundcontrol.offline import Inspection, open_vault_of

_EVENT: Final = "audit_head"
_AS_TEXT: Final = re.compile(rf"\b{_EVENT}\b.*\bchain=([0-9a-z]+) n=([0-9]+) hash=([0-9a-f]{{64}})")
_EXPECTED: Final = re.compile(r"(?:([0-9a-z]+):)?([0-9]{1,18}):([0-9a-f]{64})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser)
    listed = add_act(acts, "list", help="the latest rows, the newest last")
    listed.add_argument("--limit", type=count, default=50, help="how many [50]")
    verify = add_act(
        acts,
        "verify",
        help="check every chain; name the first row that was changed, moved or removed, with the exit status 1",
        description="Needs the secret of the hub (STARDUST_SECRET_FILE or STARDUST_SECRET).",
    )
    verify.add_argument(
        "--head",
        action="append",
        default=[],
        metavar="FILE",
        help="log of the hub with lines of the event audit_head (- = standard input); the database must still have these heads",
    )
    verify.add_argument("--expect", action="append", default=[], metavar="[CHAIN:]N:HASH", help="a head that you have stored elsewhere")
    export = add_act(acts, "export", help="every row as a line of JSON, the oldest first")
    for act in (listed, verify, export):
        add_settings(act, after_act=True)
    add_settings(parser)


async def run(args: argparse.Namespace) -> int:
    """Exit status of `verify`: 0: every chain is valid, 1: one is not."""
    if args.act == "list":
        return await _list(args)
    only_here(args, f"the audit log is {'verified' if args.act == 'verify' else 'exported'}")
    return await (_verify(args) if args.act == "verify" else _export(args))


async def _list(args: argparse.Namespace) -> int:
    if args.url is not None:
        async with Hub(args) as hub:
            found = list(reversed((await hub.get("/audit", {"limit": str(args.limit)}))["audit"]))
    else:
        async with await _open(args) as inspection:
            found = [row_object(row) for row in await inspection.newest_audit(args.limit)]
    if args.json:
        print(_json({"audit": found}))
        return 0
    rows = [
        [moment(row["at"]), row["actor"], row["address"], row["action"], row["target"], row["result"], _json(row["detail"])]
        for row in found
    ]
    print(table(("AT", "ACTOR", "FROM", "ACTION", "TARGET", "RESULT", "DETAIL"), rows))
    return 0


async def _export(args: argparse.Namespace) -> int:
    async with await _open(args) as inspection:
        async for row in inspection.audit_rows():
            print(_json(row_object(row)))
    return 0


async def _verify(args: argparse.Namespace) -> int:
    known = [*(_read_expected(text) for text in args.expect), *(head for name in args.head for head in _read_log(name))]
    config = valid_config(read_settings(args))
    become_owner(config.data_dir)
    async with await Inspection.open(config.control_db) as inspection:
        vault = await open_vault_of(config.secret, inspection)
        fault = await inspection.verify_audit((vault.audit_key, *vault.earlier_audit_keys), known)
        heads = () if fault is not None else await inspection.audit_heads()
    if args.json:
        print(_json({"holds": fault is None, "fault": fault, "known_heads": len(known), "heads": [head._asdict() for head in heads]}))
    elif fault is not None:
        print(f"stardust: the audit log does not hold: {shown(fault)}", file=sys.stderr)
    else:
        witnessed = f", and {len(known)} known {'head is' if len(known) == 1 else 'heads are'} in place" if known else ""
        print(f"the audit log holds{witnessed}")
        for head in heads:
            print(f"head: {shown(head.chain)}:{head.n}:{head.hash}")
    return 0 if fault is None else 1


async def _open(args: argparse.Namespace) -> Inspection:
    settings = read_settings(args)
    if settings.config is not None:
        become_owner(settings.config.data_dir)
    return await Inspection.open(settings.control_db)


def row_object(row: AuditRow) -> dict[str, Any]:
    """A row as a JSON object."""
    return {**row._asdict(), "prev": row.prev.hex(), "hash": row.hash.hex()}


def read_heads(lines: TextIO) -> Iterator[AuditHead]:
    """Find the chain heads in a hub's log, as JSON or as text. A journal may have put a prefix before each line."""
    for line in lines:
        if _EVENT not in line:
            continue
        try:
            answer = json.loads(line[line.index("{") :])
            if answer["event"] == _EVENT:
                yield AuditHead(str(answer["chain"]), int(answer["n"]), str(answer["hash"]))
        except (ValueError, KeyError, TypeError):
            found = _AS_TEXT.search(line)
            if found is not None:
                yield AuditHead(found[1], int(found[2]), found[3])


def _read_log(name: str) -> Sequence[AuditHead]:
    try:
        with open(0 if name == "-" else name, encoding="utf-8", errors="replace", closefd=name != "-") as lines:
            found = list(read_heads(lines))
    except OSError as exc:
        raise CliError(f"{name} cannot be read: {exc.strerror}") from exc
    if not found:
        raise CliError(
            f"{'standard input' if name == '-' else name} has no line of the event {_EVENT}: there is nothing to compare the log with"
        )
    return found


def _read_expected(text: str) -> AuditHead:
    found = _EXPECTED.fullmatch(text.strip().lower())
    if found is None:
        raise CliError(f"--expect {shown(text[:120])!r}: give N:HASH or CHAIN:N:HASH, as `audit verify` and the event {_EVENT} show it")
    return AuditHead(found[1] or "", int(found[2]), found[3])


def _json(value: object) -> str:
    """JSON without terminal control characters: everything but plain ASCII is escaped."""
    return json.dumps(value, ensure_ascii=True).replace("\x7f", "\\u007f")
