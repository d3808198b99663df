"""The verbs of the `stardust` command."""

from __future__ import annotations

import argparse
import importlib
import textwrap
from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, Protocol, cast

from groundcontrol.cli.client import DEFAULT_FOLDER
from groundcontrol.cli.options import EXIT_STATUS, Parser, add_json, add_location_flags

WIDTH: Final = 120
"""The width of the overview's last paragraph."""
WITHOUT_HUB: Final = ("help", "example", "secret", "version", "completion")
"""Verbs that contact no hub and read no data folder."""
ONLY_HERE: Final = (
    "start", "stop", "uninstall", "register", "invite", "user", "org", "member", "sso", "token", "audit", "clock", "backup", "restore", "addresses", "doctor",
    "recovery", "rotate-secret", "login",
)  # fmt: skip
"""Verbs that a login at a hub on another machine does not change."""


class Command(NamedTuple):
    name: str
    aliases: tuple[str, ...]
    about: str


VERBS: Final = (
    Command("serve", (), "run Ground Control, the hub"),
    Command("start", (), "start the hub in the background"),
    Command("stop", (), "stop the hub"),
    Command("status", ("s",), "the hub's health, and the number of its nodes"),
    Command("nodes", ("n",), "the servers of the fleet: list, show, tag, rename, note, location, never, approve, reject, remove"),
    Command("invite", ("i",), "let one server join by a command, or many by an organisation secret"),
    Command("register", (), "join this machine to a hub, with an invite on standard input"),
    Command("run", ("r",), "run a job on one node or on many, and watch it"),
    Command("jobs", ("j",), "the latest jobs, or one with all details; follow a running job"),
    Command("cancel", ("c",), "cancel a queued job, or stop a running one as far as its phase allows"),
    Command("logs", ("l",), "the latest events; follow new ones"),
    Command("alerts", (), "alerts; acknowledge, snooze, and explain who was notified"),
    Command("rules", (), "the rules of alerts: list, export, apply"),
    Command("policy", (), "patch policies: list, show, export, apply, run, skip, approve, take-over, resume"),
    Command("rollout", (), "roll-outs: list, plan, start, watch, show, pause, resume, go-on, stop, kill, retry-rest"),
    Command("window", (), "windows and freezes of patching: list, freeze (all now), open (now), end"),
    Command("patch-status", (), "how each node stands with its security updates"),
    Command("top", (), "the fleet on this terminal, live"),
    Command("maintenance", ("m",), "windows in which alerts are shown but not sent: list, start, end"),
    Command("deadlines", (), "events that nodes must report in time, such as a backup: list, add, remove, days"),
    Command("channels", (), "where messages about alerts go; test one"),
    Command("update", (), "update nodes to the Spider that this hub ships"),
    Command("redeploy", (), "install Spider again on a node's server, by SSH; id, history and settings stay"),
    Command("retry", (), "try failed deployments of servers again, with one log-in for all; without an id, list them"),
    Command("rekey", (), "give a node the next generation of its keys"),
    Command("ssh-key", (), "the hub's own SSH key: show, new, replace, remove"),
    Command("user", ("u",), "users: list, add, passwd, reset, role, disable, enable, totp-reset"),
    Command("org", (), "organisations and admins of the hub: list, create, edit, suspend, resume, remove-agents, delete, admins, audit"),
    Command("member", (), "members of an organisation: list, add, role, remove"),
    Command("sso", (), "single sign-on: list, add, set, map, unmap, check, attempts, only, remove"),
    Command("token", ("t",), "API tokens: list, new, revoke"),
    Command("audit", ("a",), "list, verify and export the audit log"),
    Command("clock", (), "accept a clock that is behind the audit log, so that users can log in"),
    Command("backup", ("b",), "copy all data of the hub into one checked file"),
    Command("restore", (), "make a data folder from a backup, while the hub is stopped"),
    Command("addresses", (), "show or change the addresses of a hub with its own certificate (--lan)"),
    Command("doctor", ("d",), "find problems of this hub, and their remedies"),
    Command("secret", (), "make a secret for a hub"),
    Command("example", (), "print units, proxy configurations and other files for a hub"),
    Command("recovery", (), "the printed key that brings all nodes back to a rebuilt hub"),
    Command("rotate-secret", (), "seal all secrets again under a new secret, while the hub is stopped"),
    Command("login", (), "remember a hub on another machine, and an API token"),
    Command("uninstall", (), "take the hub off this machine"),
    Command("completion", (), "print the completion of bash, zsh or fish"),
    Command("version", (), "the version of this program"),
    Command("help", ("h",), "this list, or the help of a verb"),
)
"""The module of a verb is `groundcontrol.cli.<verb>`, with _ for -; that of `serve` is `groundcontrol.app`."""


class VerbModule(Protocol):
    """The interface of a verb's module."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, args: argparse.Namespace) -> Coroutine[Any, Any, int]: ...


def find(word: str) -> Command | None:
    """The verb with this name or alias."""
    return next((verb for verb in VERBS if word == verb.name or word in verb.aliases), None)


def nearest(word: str) -> str:
    """A proposal for a misspelt verb, as a part of a sentence; empty: none is near."""
    import difflib  # noqa: PLC0415  # for errors alone

    from groundcontrol.core.verbs import JOBS  # noqa: PLC0415

    meant = {**{action: f"run {action}" for action in JOBS}, **{verb.name: verb.name for verb in VERBS}}
    near = difflib.get_close_matches(word, meant, 1)
    return f", did you mean {meant[near[0]]!r}?" if near else ""


def module_of(verb: Command) -> VerbModule:
    """Import the module of a verb. No verb waits for the imports of another."""
    return cast("VerbModule", importlib.import_module(f"groundcontrol.cli.{verb.name.replace('-', '_')}"))


def parser_of(verb: Command) -> argparse.ArgumentParser:
    """The parser of a verb's arguments."""
    if verb.name == "serve":
        from groundcontrol.settings import serve_parser  # noqa: PLC0415  # other verbs must not wait for what the hub needs

        return serve_parser()
    parser = Parser(prog=f"stardust {verb.name}", description=verb.about, epilog=EXIT_STATUS)
    add_json(parser)
    if verb.name not in WITHOUT_HUB:
        add_location_flags(parser)
    module_of(verb).add_arguments(parser)
    return parser


def overview() -> str:
    """The text of `stardust help`."""
    width = max(len(_label(verb)) for verb in VERBS)
    verbs = "\n".join(f"  {_label(verb):{width}}  {verb.about}" for verb in VERBS)
    return (
        f"usage: stardust VERB [OPTION ...]\n\n{verbs}\n\n"
        "On the hub's machine the command uses control.sock in the data folder"
        f" (--data-dir, STARDUST_DATA_DIR, that\nof the installed service, or {DEFAULT_FOLDER}); "
        "on other machines --url https://hub and a token in STARDUST_TOKEN.\n"
        "Every verb has --help, and --json for programs: the answer on standard output; an error as one object on standard error,\n"
        '{"error": {"code": …, "message": …}}, with the exit status it has without --json.\n'
        f"{textwrap.fill(EXIT_STATUS, WIDTH)}\n"
    )


def _label(verb: Command) -> str:
    return ", ".join((verb.name, *verb.aliases))
