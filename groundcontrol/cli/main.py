"""The `stardust` command: finds the verb, and turns what goes wrong into one sentence and an exit status."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, Protocol, cast

from groundcontrol.cli.client import DEFAULT_FOLDER, CliError
from groundcontrol.errors import ConfigError, HubError
from spider.version import VERSION

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130


class Verb(NamedTuple):
    name: str
    aliases: tuple[str, ...]
    about: str


VERBS: Final = (
    Verb("serve", (), "run Ground Control, the hub"),
    Verb("status", ("s",), "how the hub is, and how many nodes it sees"),
    Verb("nodes", ("n",), "the servers of the fleet"),
    Verb("run", ("r",), "run a package job on a node and watch it"),
    Verb("jobs", ("j",), "the latest jobs"),
    Verb("logs", ("l",), "the latest events"),
    Verb("user", ("u",), "people: list, add, passwd, role, disable, enable, totp-reset"),
    Verb("token", ("t",), "tokens of programs: list, new, revoke"),
    Verb("audit", ("a",), "list, verify and export the audit log"),
    Verb("doctor", ("d",), "what is wrong with this hub, and what to do"),
    Verb("secret", (), "make a secret for a hub"),
    Verb("rotate-secret", (), "seal everything anew under a new secret, while the hub is stopped"),
    Verb("help", ("h",), "this list, or the help of a verb"),
)
"""One module each, of the verb's name (with _ for -), below `groundcontrol.cli`."""


class VerbModule(Protocol):
    """What a verb's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    async def run(self, args: argparse.Namespace) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point.

    Returns: the exit status: 0 done, 1 it failed, 2 the command was wrong, 78 the hub must not start like this.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in ("-V", "--version"):
        print(f"stardust {VERSION}")
        return 0
    verb = find(words[0]) if words and not words[0].startswith("-") else None
    if words and verb is None and words[0] not in ("-h", "--help"):
        print(f"stardust: there is no verb {words[0]!r}; `stardust help` lists them", file=sys.stderr)
        return EXIT_USAGE
    if verb is None or verb.name == "help":
        return _help(words[1:] if verb else [])
    if verb.name == "serve":
        return _serve(words[1:])
    return _run(verb, words[1:])


def find(word: str) -> Verb | None:
    """The verb of this name or alias."""
    return next((verb for verb in VERBS if word == verb.name or word in verb.aliases), None)


def overview() -> str:
    """What `stardust help` says."""
    width = max(len(_label(verb)) for verb in VERBS)
    verbs = "\n".join(f"  {_label(verb):{width}}  {verb.about}" for verb in VERBS)
    return (
        f"usage: stardust VERB [OPTION ...]\n\n{verbs}\n\n"
        "On the hub's machine it speaks through control.sock in the data folder"
        f" (--data-dir, STARDUST_DATA_DIR, or {DEFAULT_FOLDER});\n"
        "from elsewhere with --url https://hub and a token in STARDUST_TOKEN.\n"
        "Every verb has --help, and --json for programs.\n"
    )


def _label(verb: Verb) -> str:
    return ", ".join((verb.name, *verb.aliases))


def _help(words: Sequence[str]) -> int:
    verb = find(words[0]) if words else None
    if words and verb is None:
        print(f"stardust: there is no verb {words[0]!r}", file=sys.stderr)
        return EXIT_USAGE
    if verb is None or verb.name == "help":
        print(overview(), end="")
        return 0
    return main([verb.name, "--help"])


def _serve(words: Sequence[str]) -> int:
    if "-h" in words or "--help" in words:
        from groundcontrol.config import serve_parser  # noqa: PLC0415  # other verbs must not wait for what the hub needs

        serve_parser().print_help()
        return 0
    from groundcontrol.app import serve  # noqa: PLC0415  # as above: it costs most of a second

    return serve(os.environ, words)


def _run(verb: Verb, words: Sequence[str]) -> int:
    module = cast("VerbModule", importlib.import_module(f"groundcontrol.cli.{verb.name.replace('-', '_')}"))
    parser = argparse.ArgumentParser(prog=f"stardust {verb.name}", description=verb.about, allow_abbrev=False)
    parser.add_argument("--json", action="store_true", help="the answer as JSON, for programs")
    place = parser.add_argument_group("where the hub is")
    folder = os.environ.get("STARDUST_DATA_DIR") or DEFAULT_FOLDER
    place.add_argument("--data-dir", default=folder, metavar="DIR", help=f"data folder of the hub on this machine [{folder}]")
    place.add_argument("--url", default=None, metavar="URL", help="https://… of a hub elsewhere; the token stands in STARDUST_TOKEN")
    module.add_arguments(parser)
    args = parser.parse_args(list(words))
    work: Callable[[argparse.Namespace], Awaitable[int]] = module.run
    try:
        return asyncio.run(_awaited(work(args)))
    except (CliError, ConfigError, HubError) as exc:
        for line in str(exc).splitlines():
            print(f"stardust: {line}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on: so be it
        return EXIT_FAILED


async def _awaited(work: Awaitable[int]) -> int:
    return await work
