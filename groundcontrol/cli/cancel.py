"""`stardust cancel`: cancels a queued job, or stops a running one as far as its phase allows."""

from __future__ import annotations

import argparse

from groundcontrol.cli.answers import print_answer
from groundcontrol.cli.client import CliError, Hub, shown

_MEANING = {
    "asked": "the node was asked to stop it",
    "now": "it ends immediately",
    "after_package": "it ends after the current package",
    "too_late": "it cannot be stopped any more",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", help="id of a job or a batch")
    parser.add_argument("--force", action="store_true", help="kill a job that did not stop after an earlier cancel: leaves work half done")


async def run(args: argparse.Namespace) -> int:
    """Exit status 1 if nothing could be stopped."""
    async with Hub(args) as hub:
        try:
            job = await hub.post(f"/jobs/{args.id}/cancel", {"force": True} if args.force else None)
        except CliError as exc:
            if exc.code != "not_found" or args.force:
                raise
            return await _batch(hub, args)
    stop = job["stop"]
    what = "it had not started" if stop is None else _MEANING[stop["state"]] + (f": {stop['why']}" if stop["why"] else "")
    return print_answer(args, job, shown(f"the job is {job['state']}: {what}"))


async def _batch(hub: Hub, args: argparse.Namespace) -> int:
    try:
        batch = await hub.post(f"/batches/{args.id}/cancel", None)
    except CliError as exc:
        raise (CliError("there is neither a job nor a batch with this id", exc.code) if exc.code == "not_found" else exc) from exc
    counts = ", ".join(f"{count} {state}" for state, count in sorted(batch["counts"].items()))
    return print_answer(args, batch, counts or "the batch has no job")
