"""`stardust completion SHELL`: the function with which a shell completes verbs, flags and the names of nodes."""

from __future__ import annotations

import argparse
import json
import re
import signal
from collections.abc import Iterator, Sequence
from typing import Final

from groundcontrol.cli.client import CliError, Hub
from groundcontrol.cli.commands import ONLY_HERE, VERBS, WITHOUT_HUB, Command, find, parser_of
from groundcontrol.cli.options import Parser
from groundcontrol.cli.saved_login import use_saved_login

LIMIT_S: Final = 2.0
"""How long a shell waits for a hub."""
_PLAIN: Final = re.compile(r"[\w.@+=/-]+")
"""Names that need no quoting in any shell; others are not proposed."""

SCRIPTS: Final = {
    "bash": r"""# bash: stardust completion bash > /etc/bash_completion.d/stardust
_stardust() {
  local line=${COMP_LINE:0:COMP_POINT} words current IFS=$' \t\n'
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  current=${words[${#words[@]}-1]}
  IFS=$'\n'
  COMPREPLY=($(stardust complete "${words[@]:1}" 2>/dev/null))
  # bash takes the word after a colon as a word of its own
  [[ $current == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
}
complete -F _stardust stardust
""",
    "zsh": r"""#compdef stardust
# zsh: stardust completion zsh > a folder of $fpath/_stardust, then compinit
_stardust() {
  local -a found
  found=("${(@f)$(stardust complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  (( $#found )) && compadd -a found
}
if [[ $funcstack[1] == _stardust ]]; then _stardust "$@"; else compdef _stardust stardust; fi
""",
    "fish": r"""# fish: stardust completion fish > ~/.config/fish/completions/stardust.fish
complete -c stardust -f -a '(stardust complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
""",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(SCRIPTS))


async def run(args: argparse.Namespace) -> int:
    """Print the script. Its first lines say where to write it."""
    print(
        json.dumps({"shell": args.shell, "script": SCRIPTS[args.shell]}) if args.json else SCRIPTS[args.shell],
        end="\n" if args.json else "",
    )
    return 0


def complete(words: Sequence[str]) -> int:
    """Print the continuations of the last word, a line each. A hub that does not answer in time, or wrong words, give none."""
    before, current = list(words[:-1]), words[-1] if words else ""
    try:
        proposals = list(_proposals(before, current))
    except CliError:
        return 0  # a shell has no place for an error
    for word in dict.fromkeys(word for word in proposals if word.startswith(current)):
        print(word)
    return 0


def _proposals(before: list[str], current: str) -> Iterator[str]:
    if not before:
        yield from (verb.name for verb in VERBS)
        return
    verb = find(before[0])
    if verb is None:
        return
    parser = parser_of(verb)
    words = before[1:]
    acts = parser.acts if isinstance(parser, Parser) else {}
    act = next((word for word in words if word in acts), None)
    if act is not None:
        parser, words = acts[act], words[words.index(act) + 1 :]
    elif acts and parser.get_default("act") is not None and words:
        parser = acts[parser.get_default("act")]
    elif acts:
        yield from acts
    taken = {option: action for action in parser._actions for option in action.option_strings}  # noqa: SLF001  # it offers no other way
    option = taken.get(words[-1]) if words else None
    if option is not None and option.nargs != 0:  # the current word is its value
        yield from _values(verb, option, current)
        return
    if current.startswith("-"):
        yield from (name for name in taken if name.startswith("--"))
        return
    positional = [action for action in parser._actions if not action.option_strings and not isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    given = sum(1 for at, word in enumerate(words) if not word.startswith("-") and not _is_value(taken, words, at))
    if positional:
        yield from _values(verb, positional[min(given, len(positional) - 1)], current)


def _is_value(taken: dict[str, argparse.Action], words: list[str], at: int) -> bool:
    option = taken.get(words[at - 1]) if at else None
    return option is not None and option.nargs != 0


def _values(verb: Command, action: argparse.Action, current: str) -> Iterator[str]:
    metavar = str(action.metavar or action.dest).upper()
    if action.choices:
        yield from (str(choice) for choice in action.choices)
    elif verb.name == "help":
        yield from (other.name for other in VERBS)
    elif metavar.startswith("NODE") or (metavar == "NAME" and "--node" in action.option_strings):
        yield from _names(verb, current)
    elif metavar == "TAG":
        yield from (name.removeprefix("tag:") for name in _names(verb, "tag:"))


def _names(verb: Command, current: str) -> Iterator[str]:
    """Names of nodes as selectors, after the last comma of the current word."""
    done, comma, _ = current.rpartition(",")
    for name in _known(verb, tags=":" in current):
        yield f"{done}{comma}{name}"


def _known(verb: Command, *, tags: bool) -> list[str]:
    if verb.name in WITHOUT_HUB:
        return []
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)  # its signal ends this process, so that no shell waits for a hub
    args = argparse.Namespace(url=None, data_dir=None, tls_ca=None, tls_pin=None)
    if verb.name not in ONLY_HERE:
        use_saved_login(args)

    async def ask() -> list[str]:
        async with Hub(args) as hub:
            nodes = [node async for node in hub.every("/nodes", "nodes")]
        names = {f"tag:{tag}" for node in nodes for tag in node["tags"]} if tags else {node["name"] for node in nodes}
        return sorted(name for name in names if _PLAIN.fullmatch(name.removeprefix("tag:")))

    from groundcontrol.cli.main import to_its_end  # noqa: PLC0415  # it imports this module's caller

    return to_its_end(ask(), remote=args.url is not None)
