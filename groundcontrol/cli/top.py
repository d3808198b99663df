"""`stardust top`: the fleet on the terminal, the worst first; one node, jobs side by side, alerts and events."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from groundcontrol.cli.client import CliError, Hub
from groundcontrol.cli.dashboard import frames
from groundcontrol.cli.dashboard.state import Fleet, ask, ask_outputs
from groundcontrol.cli.updating import how_installed

if TYPE_CHECKING:
    from groundcontrol.cli.dashboard.feed import Feed

MOST_S: Final = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="print one frame and end, as without a terminal")
    parser.add_argument("--interval", type=_interval, default=1, metavar="SECONDS", help=f"between two frames: 1 to {MOST_S} [1]")


def _interval(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST_S):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MOST_S}")
    return int(text)


async def run(args: argparse.Namespace) -> int:
    """Show the dashboard until `q`, or print one frame."""
    fleet = Fleet()
    async with Hub(args) as hub:
        if args.once or args.json or not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
            await ask(hub, fleet, tiles=False, node=None)
            if fleet.trouble:
                raise CliError(fleet.trouble, "hub.unreachable")
            print(json.dumps(_document(fleet)) if args.json else frames.once(fleet, shutil.get_terminal_size((120, 24)).columns))
            return 0
        try:
            from groundcontrol.cli.dashboard.app import Dashboard  # noqa: PLC0415  # one frame needs no Textual
        except ImportError as exc:
            raise CliError(f"the dashboard needs Textual ({exc.name} is not there): {how_installed().add_top}") from exc

        feed: Feed | None = None

        async def follow() -> None:
            nonlocal feed
            from groundcontrol.cli.dashboard.feed import Feed  # noqa: PLC0415  # after the first frame

            feed = Feed(args, fleet)
            await feed.run()

        async def fill(*, tiles: bool, node: str | None) -> None:
            if feed is not None and feed.is_live:
                await feed.open_node(node or "")
                fleet.tick()
                if not tiles:
                    return
            live = feed is not None and feed.is_live
            # a request over the local socket blocks, and the screen must not wait for the hub
            await asyncio.to_thread(lambda: asyncio.run(_fill(args, fleet, tiles=tiles, node=node, live=live)))

        async def upgrade(node: str) -> str:
            try:
                job = await hub.post(f"/nodes/{node}/jobs", {"action": "upgrade"})
            except CliError as exc:
                return str(exc)
            return f"job {job['id']} is ordered; l: show it"

        dashboard = Dashboard(fleet, fill, upgrade, args.interval, follow)
        for number in (signal.SIGTERM, signal.SIGHUP):  # the screen from before must come back
            asyncio.get_running_loop().add_signal_handler(number, dashboard.exit)
        await dashboard.run_async()
    return 0


async def _fill(args: argparse.Namespace, fleet: Fleet, *, tiles: bool, node: str | None, live: bool) -> None:
    try:
        async with Hub(args) as hub:
            if live:
                await ask_outputs(hub, fleet)
                return
            await ask(hub, fleet, tiles=tiles, node=node)
    except CliError as exc:  # the hub has gone; the last answer stays on the screen
        fleet.trouble = str(exc)


def _document(fleet: Fleet) -> dict[str, Any]:
    return {"nodes": fleet.rows(""), "alerts": fleet.alerts, "jobs": fleet.jobs, "at": fleet.answered_at}
