"""`stardust rollout`: plan, start, watch, move and stop roll-outs, and try the rest again. Exit status 5: a gate stopped it."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from groundcontrol.cli.client import CliError, Hub, id_of, node_of, nodes_of, shown
from groundcontrol.cli.formatting import moment, table
from groundcontrol.cli.options import SELECTOR, add_act, add_acts
from groundcontrol.cli.pause import pause

ENDED: Final = ("succeeded", "stopped", "cancelled", "expired", "failed")
EXIT_GATE: Final = 5
LOOK_S: Final = 2.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    acts = add_acts(parser, "list")
    add_act(acts, "list", help="the newest roll-outs")
    plan = add_act(acts, "plan", help="make a one-off roll-out and plan each of its nodes; `start` begins it")
    plan.add_argument("action", choices=("upgrade", "security-upgrade", "full-upgrade"))
    plan.add_argument("--tag", action="append", default=[], metavar="TAG", help="nodes with this tag; may be repeated")
    plan.add_argument("--node", action="append", default=[], metavar="NODE", help=f"these nodes; may be repeated; {SELECTOR}")
    plan.add_argument("--all", action="store_true", help="every node")
    plan.add_argument("--package", action="append", default=[], metavar="PACKAGE", help="only this package; may be repeated")
    plan.add_argument("--name", default="", metavar="NAME")
    plan.add_argument("--reboot", choices=("never", "if_required", "always"), default="if_required")
    plan.add_argument("--canaries", type=int, metavar="N", help="how many nodes come first [1 of up to 4, else 2]")
    plan.add_argument("--at-once", type=int, default=10, metavar="N", help="how many nodes are changed at once [10]")
    plan.add_argument("--max-failed", type=int, default=0, metavar="N", help="how many nodes may fail before it stops [0]")
    plan.add_argument("--watch-minutes", type=int, default=15, metavar="N", help="how long each node is watched, 5 to 60 [15]")
    plan.add_argument("--observe", action="store_true", help="show what the gates say, and stop for failed jobs only")
    parsers = {}
    for name, about in (
        ("start", "confirm the plans and begin"), ("watch", "follow it to its end"), ("pause", "begin no further node"),
        ("resume", "go on with a paused roll-out"), ("take-over", "let it go on with your rights, such as one whose owner left; then resume it"), ("go-on", "let a wave that is held or paused go on in spite of a gate"),
        ("stop", "start nothing more; what runs goes to its end"),
        ("kill", "end by force what one node of a stopped roll-out still does; packages may stay half installed"),
        ("retry-rest", "a new roll-out of the nodes that did not pass"), ("show", "targets and gates"),
    ):  # fmt: skip
        parsers[name] = add_act(acts, name, help=about)
        parsers[name].add_argument("rollout", metavar="ROLLOUT", help="its id, or its name: of several, the one that has not ended")
    for name in ("start", "resume", "go-on", "retry-rest"):
        parsers[name].add_argument("--watch", action="store_true", help="follow it to its end; exit status as of `watch`")
    parsers["pause"].add_argument(
        "--after-wave", action="store_true", help="let the nodes of this wave begin, and pause before the next wave"
    )
    parsers["kill"].add_argument("--node", required=True, metavar="NODE", help="its name or id")
    parsers["kill"].add_argument("--confirm", required=True, metavar="NAME", help="the name of the node, once more")
    parsers["go-on"].add_argument("--gate", default="*", metavar="GATE", help="in spite of this gate alone [all of this wave]")
    parsers["go-on"].add_argument("--reason", required=True, metavar="TEXT", help="why; the audit log keeps it")


async def run(args: argparse.Namespace) -> int:
    """Make, move, show or watch roll-outs."""
    async with Hub(args) as hub:
        if args.act not in ("list", "plan"):
            args.rollout = await id_of(hub, args.rollout, "/rollouts", "rollouts", noun="roll-out", listed="rollout")
        match args.act:
            case "list":
                return await _list(hub, args)
            case "plan":
                return await _plan(hub, args)
            case "watch":
                return await _watch(hub, args)
            case "show":
                return await _show(hub, args)
            case _:
                one = await _move(hub, args)
        if not getattr(args, "watch", False):
            return _print(args, one)
        args.rollout = one["id"]
        return await _watch(hub, args)


async def _move(hub: Hub, args: argparse.Namespace) -> Any:
    """Start, pause, resume, stop … a roll-out. Returns: it, or the new one of `retry-rest`."""
    path = f"/rollouts/{args.rollout}/{args.act}"
    if args.act == "start":
        return await _start(hub, args.rollout)
    made = await hub.post(path, await _body(hub, args))
    if args.act != "retry-rest" or made["state"] != "planning":
        return made  # the rest of a patch policy has its limits confirmed already
    return await _start(hub, made["id"]) if args.watch else await _planned(hub, made["id"])


async def _body(hub: Hub, args: argparse.Namespace) -> Any:
    match args.act:
        case "pause":
            return {"when": "wave" if args.after_wave else "now"}
        case "go-on":
            return {"gate": args.gate, "reason": args.reason}
        case "kill":
            node = await node_of(hub, args.node)
            return {"node_id": node["id"], "confirm": args.confirm}
        case _:
            return None


async def _start(hub: Hub, rollout: str) -> Any:
    one = await _planned(hub, rollout)
    if one["state"] in ENDED:  # each node was up to date
        return one
    return await hub.post(f"/rollouts/{one['id']}/start", {"confirm": one["confirm"], "version": one["version"]})


def _print(args: argparse.Namespace, one: Any) -> int:
    print(json.dumps(one) if args.json else shown(_line(one)))
    return 0


def _line(one: Any) -> str:
    counts = one["targets"]
    parts = [f"{counts[name]} {name.replace('_', ' ')}" for name in counts if name != "total" and counts[name]]
    words = "; ".join(filter(None, (one["words"] or one["why"], one["remedy"] and f"what helps: {one['remedy']}")))
    ends = f"; it ends at {moment(one['close_at'])}" if one["waits"] and one["close_at"] is not None else ""
    return f"{one['name']} ({one['id']}): {_state(one)}{f': {words}' if words else ''}{ends}; {', '.join(parts)} of {counts['total']}"


def _state(one: Any) -> str:
    return "running, waits" if one["waits"] else str(one["state"])


async def _list(hub: Hub, args: argparse.Namespace) -> int:
    found = (await hub.get("/rollouts"))["rollouts"]
    if args.json:
        print(json.dumps({"rollouts": found}))
        return 0
    rows = [
        [one["id"], one["name"], _state(one), f"{one['targets']['passed']}/{one['targets']['total']}", one["owner"], one["words"]]
        for one in found
    ]
    print(table(("ROLLOUT", "NAME", "STATE", "PASSED", "OWNER", ""), rows))
    return 0


async def _plan(hub: Hub, args: argparse.Namespace) -> int:
    nodes = await nodes_of(hub, args.node) if args.node else []
    if args.tag or args.all:
        await nodes_of(hub, [f"tag:{tag}" for tag in args.tag] or ["*"])  # nothing is found: as for every other selection
    body = {
        "name": args.name, "action": args.action, "packages": args.package, "reboot": args.reboot, "max_failed": args.max_failed,
        "select": {"all": args.all, "tags": args.tag, "nodes": [one["id"] for one in nodes]},
        "order": {"canary": args.canaries, "at_once": args.at_once}, "watch_s": args.watch_minutes * 60,
        "gates": "observe" if args.observe else "stop",
    }  # fmt: skip
    made = await hub.post("/rollouts", body)
    return _print(args, await _planned(hub, made["id"]))


async def _planned(hub: Hub, rollout: str) -> Any:
    """A roll-out once all its nodes are planned. Raises: CliError: none could be."""
    one = await hub.get(f"/rollouts/{rollout}")
    while one["state"] == "planning":
        await pause(LOOK_S)
        one = await hub.get(f"/rollouts/{rollout}")
    if one["state"] == "failed":
        raise CliError(_line(one), "rollout.no_target")
    return one


async def _watch(hub: Hub, args: argparse.Namespace) -> int:
    """Print each change until the end. Returns: 0: it succeeded; 5: a gate stopped it; 1: it ended otherwise."""
    last = ""
    while True:
        one = await hub.get(f"/rollouts/{args.rollout}")
        line = _line(one)
        if line != last and not args.json:
            print(shown(line), flush=True)
        last = line
        if one["state"] in ENDED:
            if args.json:
                print(json.dumps(one))
            return 0 if one["state"] == "succeeded" else EXIT_GATE if one["stopped_by"] == "gate" else 1
        await pause(LOOK_S)


def _wave(index: int) -> str:
    """The name of a wave, as in the page."""
    return str(index) if index else "canary"


async def _show(hub: Hub, args: argparse.Namespace) -> int:
    one = await hub.get(f"/rollouts/{args.rollout}")
    targets = (await hub.get(f"/rollouts/{args.rollout}/targets"))["targets"]
    if args.json:
        print(json.dumps({"rollout": one, "targets": targets}))
        return 0
    print(shown(_line(one)))
    rows = [
        [_wave(each["wave"]), each["name"], each["state"].replace("_", " "), each["step"], each["words"], each["remedy"]]
        for each in targets
    ]
    print(table(("WAVE", "NODE", "STATE", "STEP", "WHY", "REMEDY"), rows))
    phases = [[phase["state"], _wave(phase["wave"]), moment(phase["from_at"]), moment(phase["to_at"])] for phase in one["phases"]]
    print(table(("STATE", "WAVE", "FROM", "TO"), phases))
    for each in targets:
        for gate in each["gates"]:
            clears = gate["clears"] and f"; {gate['clears']}"
            print(shown(f"{each['name']}: {gate['gate']} {gate['verdict'].replace('_', ' ')}: {gate['words']}{clears}"))
    return 0
