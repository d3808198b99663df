"""The `stardust` command: runs a verb, and turns an error into a message (or one JSON object) and an exit status."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from groundcontrol.cli.client import UNREACHABLE, CliError
from groundcontrol.cli.commands import Command, find, module_of, parser_of
from groundcontrol.cli.file_permissions import described
from groundcontrol.cli.options import UsageError, complain, parse, wants_json
from groundcontrol.core.errors import ConfigError, HubError
from spider.version import VERSION

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NO_HUB: Final = 4
EXIT_INTERRUPTED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns: the exit status, as `options.EXIT_STATUS` lists them; for `serve` that of `groundcontrol.app.serve`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if words and words[0] in ("-V", "--version"):
        print(f"stardust {VERSION}")
        return 0
    if not words or words[0] in ("-h", "--help"):
        words = ["help", *words[1:]]
    as_json = wants_json(words)
    verb = find(words[0])
    if verb is None:
        option = words[0].startswith("-")
        why = f"the verb comes first, and {words[0].partition('=')[0]!r} after it" if option else f"there is no verb {words[0]!r}"
        complain("command.usage", f"{why}; `stardust help` lists the verbs", as_json=as_json)
        return EXIT_USAGE
    return _serve(words[1:], as_json=as_json) if verb.name == "serve" else _run(verb, words[1:], as_json=as_json)


def _serve(words: Sequence[str], *, as_json: bool) -> int:
    if "-h" in words or "--help" in words:
        from groundcontrol.settings import serve_parser  # noqa: PLC0415  # other verbs must not wait for what the hub needs

        serve_parser().print_help()
        return 0
    from groundcontrol.app import serve  # noqa: PLC0415  # as above: it costs most of a second

    return serve(os.environ, words, partial(complain, as_json=as_json))


def _run(verb: Command, words: Sequence[str], *, as_json: bool) -> int:
    report = partial(complain, as_json=as_json)
    try:
        args = parse(parser_of(verb), list(words))
        with asyncio.Runner() as runner:
            return runner.run(module_of(verb).run(args))
    except UsageError as exc:
        if not as_json:
            print(exc.usage, end="", file=sys.stderr)
        report("command.usage", str(exc))
        return EXIT_USAGE
    except (CliError, HubError) as exc:
        report(exc.code, str(exc))
        return EXIT_NO_HUB if exc.code == UNREACHABLE else EXIT_FAILED
    except ConfigError as exc:
        report("config.invalid", str(exc))
        return EXIT_FAILED
    except KeyboardInterrupt:
        if as_json:
            report("command.interrupted", "the command was interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader of the output has ended; Python must not report that again at exit
    except OSError as exc:  # the boundary: an error of the operating system also becomes a sentence
        report("command.failed", described(exc))
    return EXIT_FAILED
