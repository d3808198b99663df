"""The `stardust` command: runs a verb, and turns an error into a message (or one JSON object) and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeVar, cast

from groundcontrol.cli.client import UNREACHABLE, CliError, RefusedByHub
from groundcontrol.cli.commands import ONLY_HERE, WITHOUT_HUB, Command, find, module_of, nearest, parser_of
from groundcontrol.cli.file_permissions import described
from groundcontrol.cli.options import UsageError, complain, field_words, parse, wants_json
from groundcontrol.cli.saved_login import use_saved_login
from groundcontrol.core.errors import ConfigError, HubError

T = TypeVar("T")
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_NOTHING_FOUND: Final = 3
EXIT_NO_HUB: Final = 4
EXIT_REFUSED: Final = 6
EXIT_INTERRUPTED: Final = 130
_STATUS: Final = {
    UNREACHABLE: EXIT_NO_HUB,
    "selector.nothing": EXIT_NOTHING_FOUND,
    "command.usage": EXIT_USAGE,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command. Without words it shows the hub's status.

    Returns: the exit status, as `options.EXIT_STATUS` lists them; for `serve` that of `groundcontrol.app.serve`.
    """
    words = list(sys.argv[1:] if argv is None else argv) or ["status"]
    if words[0] in ("-V", "--version"):
        words[0] = "version"
    if words[0] in ("-h", "--help"):
        words[0] = "help"
    if words[0] == "complete":  # the shells' functions of `stardust completion` call it
        from groundcontrol.cli.completion import complete  # noqa: PLC0415  # for completion alone

        return complete(words[1:])
    as_json = wants_json(words)
    verb = find(words[0])
    if verb is None:
        option = words[0].startswith("-")
        why = f"the verb comes first, and {words[0].partition('=')[0]!r} after it" if option else f"there is no verb {words[0]!r}"
        complain("command.usage", f"{why}{nearest(words[0])}; `stardust help` lists the verbs", as_json=as_json)
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
    act: str | None = None
    try:
        parser = parser_of(verb)
        args = parse(parser, list(words))
        act = getattr(args, "act", None)
        if verb.name not in (*WITHOUT_HUB, *ONLY_HERE):
            use_saved_login(args)
        return to_its_end(module_of(verb).run(args), remote=getattr(args, "url", None) is not None)
    except UsageError as exc:
        if not as_json:
            print(exc.usage, end="", file=sys.stderr)
        report("command.usage", str(exc))
        return EXIT_USAGE
    except (CliError, HubError) as exc:
        report(exc.code, field_words(parser, act, str(exc), exc.facts.get("field")) if isinstance(exc, CliError) else str(exc))
        return _STATUS.get(exc.code, EXIT_REFUSED if isinstance(exc, RefusedByHub) else EXIT_FAILED)
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


def to_its_end(work: Coroutine[Any, Any, T], *, remote: bool) -> T:
    """Run a verb. One that only asks over the local socket never suspends, so it runs without an event loop, whose import takes 40 ms."""
    if remote or "asyncio" in sys.modules:
        import asyncio  # noqa: PLC0415  # see above

        with asyncio.Runner() as runner:
            return runner.run(work)
    try:
        work.send(None)
    except StopIteration as done:
        return cast("T", done.value)
    work.close()
    raise RuntimeError("this verb waits for an event loop, but nothing has imported asyncio")
