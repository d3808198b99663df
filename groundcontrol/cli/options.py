"""Options that verbs share, and reports of progress and errors."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from groundcontrol.cli.client import DEFAULT_FOLDER

MAX_COUNT: Final = 500
EXIT_SOME_FAILED: Final = 5
EXIT_STATUS: Final = (
    "Exit status: 0 done; 1 the command, or the one job that it ordered, failed; 2 the command is wrong; 3 no node matches a selector;"
    " 4 no hub answers, or the hub stopped answering: what was ordered may continue; 5 of several nodes some failed, or a gate stopped the"
    " roll-out; 6 the hub refused it: a right, a policy or the present state; 78 a setting is wrong"
    " or unsafe; 130 Ctrl-C."
)


SELECTOR: Final = "name, id, 'web-*', tag:TAG, state:STATE or health:LEVEL; several separated by commas; '*' is every node"


POLICY_LINES: Final = ("units", "containers", "journal", "events")
"""The flags of `add_policy_lines`."""


def add_policy_lines(parser: Any) -> None:
    """Add the lines of a policy file, but its mode, to a parser or a group of it."""
    parser.add_argument(
        "--units", action="append", metavar="NAME", help="a unit of systemd, or a pattern (*), that may be restarted; repeatable"
    )
    parser.add_argument("--containers", action="append", metavar="NAME", help="a container that may be restarted; repeatable")
    parser.add_argument("--journal", choices=("off", "warning", "all"), help="lines of the journal on demand")
    parser.add_argument("--events", action="append", metavar="USER", help="an account that may report events; repeatable")


class UsageError(Exception):
    """The command is wrong; the text names the error."""

    def __init__(self, message: str, usage: str = "") -> None:
        super().__init__(message)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """The parser of a verb or an act. Flags are not abbreviated, and may stand between names (`nodes remove --yes web-1`).

    An error raises `UsageError`, which the caller reports.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"allow_abbrev": False, **kwargs})
        self._is_between = False

    @property
    def acts(self) -> Mapping[str, argparse.ArgumentParser]:
        """The parsers of the acts by name; empty for a verb without acts."""
        found = (action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001  # it offers no other way
        return next(found, {})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._is_between or self.acts:
            return super().parse_known_args(args, namespace)
        self._is_between = True  # argparse's own parser of such words calls this method
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_between = False

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog.removeprefix('stardust ')}: {message}", self.format_usage())


FLAGS: Final[Mapping[str, str]] = {
    "canary": "--canaries", "watch_s": "--watch-minutes", "length_s": "--for", "until_at": "--for", "grants": "--node and --tag", "tags": "--tag",
    "nodes": "--node", "packages": "--package", "name": "--title", "node_quota": "--quota", "first_admin": "--admin",
    "client_secret": "--secret-file", "ca_pem": "--ca-file", "scopes": "--scope", "lines": "--limit", "days": "--day",
}  # fmt: skip
"""Field of the API -> the flag with another name that gives it, in each act that has this flag."""
_FIELD: Final = re.compile(r"`([a-z_.]+)`|\b([a-z]+(?:_[a-z]+)+)\b")
"""A field in the middle of an error of the hub."""


def field_words(parser: argparse.ArgumentParser, act: str | None, text: str, field: object) -> str:
    """An error of the hub, with the flags of the act in place of fields. The path of a field in front gets plain words if no flag gives it.

    Args: field: the path that the hub names beside the text; None: the error is about no field.
    """
    if not isinstance(field, str):
        return text
    shown = parser.acts.get(act or "", parser) if isinstance(parser, Parser) else parser
    known = shown._option_string_actions  # noqa: SLF001  # argparse offers no other way
    positional = {action.dest for action in shown._actions if not action.option_strings}  # noqa: SLF001

    def flag_of(path: str) -> str | None:
        name = path.rpartition(".")[2]
        found = (f"--{name.replace('_', '-')}", "" if name in positional else FLAGS.get(name, ""))
        return next((one for one in found if one.partition(" ")[0] in known), None)

    found = re.match(r"[a-z_.]+(?=: )", text)
    path = field if text.startswith(f"{field} ") else found[0] if found else ""
    rest = _FIELD.sub(lambda named: flag_of(named[1] or named[2]) or named[0], text.removeprefix(path))
    return (flag_of(path) or path.rpartition(".")[2].removesuffix("_s").replace("_", " ")) + rest


def parse(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of a verb. If they name none of its acts, its default act is meant.

    Raises: UsageError.
    """
    default = parser.get_default("act")
    if isinstance(parser, Parser) and default is not None and not any(word in (*parser.acts, "-h", "--help") for word in words):
        words = [default, *words]
    return parser.parse_args(words)


def add_json(parser: argparse.ArgumentParser, *, after_act: bool = False) -> None:
    """Add `--json`. `after_act`: the parser is that of an act. Then the flag gets no default, so that it does not reset a flag before the
    act."""
    default = argparse.SUPPRESS if after_act else False
    parser.add_argument("--json", action="store_true", default=default, help="the answer, or the error, as JSON for programs")


def add_location_flags(parser: argparse.ArgumentParser, *, after_act: bool = False) -> None:
    """Add the flags for the hub's location. `after_act`: as in `add_json`."""
    group = parser.add_argument_group("location of the hub")
    group.add_argument(
        "--data-dir",
        default=argparse.SUPPRESS if after_act else None,
        metavar="DIR",
        help=f"data folder of the hub on this machine [STARDUST_DATA_DIR, else that of the installed service, else {DEFAULT_FOLDER}]",
    )
    group.add_argument(
        "--url",
        default=argparse.SUPPRESS if after_act else None,
        metavar="URL",
        help="https://… of a hub on another machine; the token is in STARDUST_TOKEN",
    )
    group.add_argument(
        "--org",
        dest="org_slug",
        default=argparse.SUPPRESS if after_act else None,
        metavar="NAME",
        help="short name of the organisation to work in, if the hub has several [STARDUST_ORGANISATION]",
    )
    trust = group.add_mutually_exclusive_group()
    trust.add_argument(
        "--tls-ca",
        default=argparse.SUPPRESS if after_act else None,
        metavar="FILE",
        help="with --url: the authority (PEM) that signed the hub's certificate, if this system does not trust it",
    )
    trust.add_argument(
        "--tls-pin",
        default=argparse.SUPPRESS if after_act else None,
        metavar="SHA256",
        help="with --url: the hub's public key, if no authority has signed its certificate; several separated by commas",
    )


def add_settings(parser: argparse.ArgumentParser, *, after_act: bool = False) -> None:
    """Add the flags of `stardust serve` for the database and the settings file. `after_act`: as in `add_json`."""
    default = argparse.SUPPRESS if after_act else None
    parser.add_argument("--db", default=default, metavar="FILE", help="control database, if it is not stardust.db in the data folder")
    parser.add_argument("--config", default=default, metavar="FILE", help="stardust.toml to read (default: the data folder's)")


def add_acts(parser: argparse.ArgumentParser, default: str | None = None) -> Any:
    """Add the choice of a verb's acts (its subcommands). `default`: the act if none is named."""
    acts = parser.add_subparsers(dest="act", required=default is None, metavar="ACT", parser_class=Parser)
    parser.set_defaults(act=default)
    return acts


def add_act(
    acts: Any,
    name: str,
    *,
    help: str,  # noqa: A002  # argparse's own word
    description: str | None = None,
    hub: bool = True,
) -> argparse.ArgumentParser:
    """Add one act of a verb. `hub`: whether the act has the flags for the hub's location."""
    parser: argparse.ArgumentParser = acts.add_parser(name, help=help, description=description or help, epilog=EXIT_STATUS)
    add_json(parser, after_act=True)
    if hub:
        add_location_flags(parser, after_act=True)
    return parser


def add_nodes(parser: argparse.ArgumentParser, dest: str = "nodes", *, nargs: str | None = "+") -> None:
    """Add the argument that selects nodes."""
    parser.add_argument(dest, nargs=nargs, metavar="NODE", help=SELECTOR)


def count(text: str) -> int:
    """Parse a whole number from 1 to `MAX_COUNT`, for `type=`."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_COUNT)) and 1 <= int(text) <= MAX_COUNT):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {MAX_COUNT}")
    return int(text)


def file_path(text: str) -> Path:
    """Parse a path into an absolute one, for `type=`."""
    return Path(text).absolute()


def wants_json(words: Sequence[str]) -> bool:
    """Whether `--json` was given. This reads the words before they are parsed, to report errors of the parser in the wanted form."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def progress_printer(*, as_json: bool) -> Callable[[str], None]:
    """A function that prints progress on standard error; with `--json` it prints nothing."""

    def report(text: str) -> None:
        if not as_json:
            print(f"stardust: {text} …", file=sys.stderr, flush=True)

    return report


def complain(code: str, message: str, *, as_json: bool) -> None:
    """Report an error on standard error: a line for each reason, or one JSON object."""
    if as_json:
        lines = [json.dumps({"error": {"code": code, "message": message}})]
    else:
        lines = [f"stardust: {line}" for line in message.splitlines()]
    print("\n".join(lines), file=sys.stderr, flush=True)
