"""Common to all commands: --help, --json, and errors in the requested form."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from groundcontrol.cli.commands import VERBS, WITHOUT_HUB, find, parser_of
from groundcontrol.cli.main import main
from groundcontrol.cli.options import FLAGS, field_words, parse
from tests.support.some import some

LIMIT_S = 60
ANSWER_WITHOUT_A_HUB = ("example", "help", "secret new", "doctor", "version", "completion", "stop", "login")
AND_ONE_OF = {
    "nodes tag": ("--add", "web"), "nodes remove": ("--yes",), "uninstall": ("--name", "x"), "login": ("--forget",), "run": ("--node", "x"),
    "update": ("--outdated",), "restore": ("--before-upgrade",),
}  # fmt: skip
"""Flags of which a command takes none alone."""
OF_ITS_OWN_PROCESS = {"serve": {"--help"}, "rotate-secret": {"--help", "--no-such-flag"}}
"""Commands that change limits and environment of the process, and the flags with which they end before that."""
STARTS_A_HUB = ("start",)
OTHER_ENDS = ("serve", "register")
"""They become the hub, or an installer, whose exit status is theirs."""


def test_an_error_names_a_field_by_its_flag_or_in_words() -> None:
    nodes, rollout, sso, user, window = (parser_of(some(find(name))) for name in ("nodes", "rollout", "sso", "user", "window"))
    for text, field, said in (
        ("max_failed: 0 to 1000", "max_failed", "--max-failed: 0 to 1000"),
        ("order.at_once: 1 to 100", "order", "--at-once: 1 to 100"),
        ("order.canary: 0 to 10", "order", "--canaries: 0 to 10"),
        ("watch_s: 300 to 3600 seconds (5 to 60 minutes)", "watch_s", "--watch-minutes: 300 to 3600 seconds (5 to 60 minutes)"),
        ("length_s: 900 to 86400 seconds", "length_s", "length: 900 to 86400 seconds"),
        ("name must have 1 to 100 characters", "name", "--name must have 1 to 100 characters"),
        ("db: it is away", None, "db: it is away"),
    ):
        assert field_words(rollout, "plan", text, field) == said
    assert field_words(nodes, "rename", "name must not be empty", "name") == "name must not be empty"
    assert field_words(window, "open", "length_s: 60 to 86400 seconds", "length_s") == "--for: 60 to 86400 seconds"
    assert field_words(sso, "add", "name: 1 to 32 of a-z, 0-9 and -", "name") == "name: 1 to 32 of a-z, 0-9 and -"
    both = "give `grants` or all_nodes, not both"
    assert field_words(user, "role", both, "grants") == "give --node and --tag or --all-nodes, not both"
    assert field_words(user, "list", both, "grants") == both


def test_each_flag_that_stands_for_a_field_is_one_of_a_command() -> None:
    parsers = [one for verb in VERBS for one in (parser_of(verb), *getattr(parser_of(verb), "acts", {}).values())]
    known = {flag for one in parsers for flag in one._option_string_actions}  # argparse offers no other way
    assert {word for flags in FLAGS.values() for word in flags.split(" and ")} <= known


class Command(NamedTuple):
    path: tuple[str, ...]
    needed: tuple[str, ...]
    """Its arguments, as few as it takes."""

    @property
    def name(self) -> str:
        return " ".join(self.path)


def commands() -> Iterator[Command]:
    """Every verb, or each of its acts where it has some."""
    for verb in VERBS:
        parser = parser_of(verb)
        acts = next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)
        if acts is None:
            yield Command((verb.name,), needed(parser))
        else:
            yield from (Command((verb.name, name), needed(act)) for name, act in acts.choices.items())


def needed(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    positional = [action for action in parser._actions if not action.option_strings and action.nargs not in ("?", "*")]
    required = [word for action in parser._actions if action.option_strings and action.required for word in (action.option_strings[0], "x")]
    words = [str(next(iter(action.choices))) if action.choices else "something" for action in positional]
    return (*words, *required, *AND_ONE_OF.get(parser.prog.removeprefix("stardust "), ()))


COMMANDS = list(commands())
every_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)


class Done(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def error(self) -> Any:
        [line] = self.err.splitlines()
        told = json.loads(line)
        assert set(told) == {"error"}
        assert set(told["error"]) == {"code", "message"}
        return told["error"]


class Console:
    """Runs commands where no hub is."""

    def __init__(self, folder: Path, caught: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._caught = caught

    def run(self, command: Command, *words: str) -> Done:
        argv = [*command.path, *words]
        if command.name in OF_ITS_OWN_PROCESS and not OF_ITS_OWN_PROCESS[command.name] & {*words}:
            environ = {name: value for name, value in os.environ.items() if not name.startswith("STARDUST_")}
            line = [sys.executable, "-m", "groundcontrol", *argv]
            done = subprocess.run(line, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False)
            return Done(done.returncode, done.stdout, done.stderr)
        try:
            status = main(argv)
        except SystemExit as exc:  # argparse has shown the help
            status = int(exc.code or 0)
        return Done(status, *self._caught.readouterr())

    def place(self, command: Command) -> tuple[str, ...]:
        return () if command.path[0] in WITHOUT_HUB else ("--data-dir", str(self._folder))


@pytest.fixture
def console(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Console:
    for name in [name for name in os.environ if name.startswith("STARDUST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))  # so that no login of this user counts
    monkeypatch.setenv("STARDUST_SECRET", "")  # `doctor` and `audit` set it for themselves; this takes it back
    return Console(tmp_path / "nowhere", capsys)


def test_verbs_and_actions_are_found_in_the_package() -> None:
    names = {command.name for command in COMMANDS}
    assert {"serve", "nodes list", "user reset", "token list", "audit export", "secret new", "help"} <= names
    assert {name.partition(" ")[0] for name in names} == {verb.name for verb in VERBS}


@every_command
def test_every_command_has_help(console: Console, command: Command) -> None:
    done = console.run(command, "--help")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"usage: stardust {command.name}")
    assert "--json" in done.out
    assert command.path[0] not in WITHOUT_HUB or "--url" not in done.out
    assert (
        "4 no hub answers" in " ".join(done.out.split()) or command.name not in (verb.name for verb in VERBS) or command.name in OTHER_ENDS
    )


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.name not in STARTS_A_HUB], ids=lambda command: command.name)
def test_every_command_supports_json(console: Console, command: Command) -> None:
    done = console.run(command, *command.needed, "--json", *console.place(command))
    if command.name in ANSWER_WITHOUT_A_HUB:
        assert done.err == ""
        assert json.loads(done.out)
        return
    assert done.out == ""
    assert done.error["code"] in ("hub.unreachable", "config.invalid", "command.failed")
    assert done.status == (78 if command.name == "serve" else 4 if done.error["code"] == "hub.unreachable" else 1)
    assert done.error["message"]


@every_command
def test_a_usage_error_is_json_where_json_was_requested(console: Console, command: Command) -> None:
    done = console.run(command, "--no-such-flag", "--json")
    assert done.out == ""
    assert (done.status, done.error["code"]) == ((78, "config.invalid") if command.name == "serve" else (2, "command.usage"))
    assert "--json" not in done.error["message"]
    if command.name == "serve":
        return  # the same parser; a process takes a second
    prose = console.run(command, "--no-such-flag")
    assert prose.status == done.status
    assert "stardust: " in prose.err
    assert '"error"' not in prose.err


@pytest.mark.parametrize("command", [command for command in COMMANDS if len(command.path) == 2], ids=lambda command: command.name)
def test_options_may_precede_the_action(console: Console, command: Command) -> None:
    verb, act = command.path
    before = main([verb, "--json", *console.place(command), act, *command.needed])
    first = Done(before, *console._caught.readouterr())
    second = console.run(command, *command.needed, "--json", *console.place(command))
    assert first.status == second.status
    assert first.err == second.err


@pytest.mark.parametrize("words", [["nonsense", "--json"], ["help", "nonsense", "--json"], ["--json"]])
def test_an_unknown_verb_is_reported_as_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    status = main(words)
    assert Done(status, *capsys.readouterr()).error["code"] == "command.usage"
    assert status == 2


@pytest.mark.parametrize("words", [["run", "upgrade"], ["update"], ["restore"], ["login"], ["nodes", "tag", "web-1"], ["completion"]])
def test_a_command_that_lacks_a_word_is_wrong(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--json"]) == 2
    assert Done(2, *capsys.readouterr()).error["code"] == "command.usage"


@pytest.mark.parametrize("verb", [["logs"], ["jobs"], ["audit", "list"]])
@pytest.mark.parametrize("limit", ["-1", "0", "501", "x", "1.5", "٣", "9" * 5000])
def test_the_limit_option_accepts_only_positive_numbers(verb: list[str], limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*verb, f"--limit={limit}", "--json"]) == 2
    assert "whole number from 1 to 500" in Done(2, *capsys.readouterr()).error["message"]


def test_help_in_json_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told["verbs"]] == [verb.name for verb in VERBS]
    for verb in VERBS:
        assert main(["help", verb.name, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["verbs"] == [{**verb._asdict(), "aliases": list(verb.aliases)}]


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("nodes", ["remove", "--yes", "web-1"]),
        ("jobs", ["follow", "--json", "01m8a2mqvjf8jv3af86w2ef84b"]),
        ("run", ["upgrade", "--json", "web-1", "--no-wait", "nginx"]),
        ("update", ["--json", "web-1", "--canaries", "2", "web-2"]),
    ],
)
def test_flags_may_be_placed_between_names(verb: str, words: list[str]) -> None:
    meant = some(find(verb))
    flags = [word for word in words if word.startswith("--") or word == "2"]
    sorted_out = [word for word in words if word not in flags] + flags
    assert parse(parser_of(meant), words) == parse(parser_of(meant), sorted_out)


@pytest.mark.parametrize("word", ["--data-dir", "--data-dir=/srv/hub", "--url"])
def test_an_option_before_the_verb_is_refused_with_its_right_position(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word, "nodes"]) == 2
    assert f"the verb comes first, and '{word.partition('=')[0]}' after it" in capsys.readouterr().err


_HEAVY = ("asyncio", "aiohttp", "msgspec", "psutil", "sqlite3", "cryptography", "textual", "rich")
_IMPORTS = f"""
import sys
from groundcontrol.cli.main import main
for words in (
    ["help"], ["status"], ["nodes"], ["alerts"], ["rules"], ["invite", "--list"], ["user", "list"], ["jobs"], ["logs"], ["policy"], ["rollout"],
    ["window"], ["patch-status"], ["channels"], ["org"], ["member", "list"], ["sso"], ["token", "list"],
):
    main([*words, *(["--data-dir", "/none"] if words != ["help"] else [])])
    print(words, [name for name in {_HEAVY} if name in sys.modules], file=sys.stdout)
"""


def test_a_verb_that_asks_once_imports_nothing_that_takes_long() -> None:
    """Start-up is 315 ms with them, and 55 ms without."""
    done = subprocess.run([sys.executable, "-c", _IMPORTS], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert [line.partition("] ")[2] for line in done.stdout.splitlines() if line.startswith("['")] == ["[]"] * 18, done.stdout


@pytest.mark.parametrize(("word", "meant"), [("ndoes", "nodes"), ("upgrad", "run upgrade"), ("stats", "status")])
def test_a_misspelt_verb_gets_a_proposal(word: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    assert f"did you mean {meant!r}?" in capsys.readouterr().err
