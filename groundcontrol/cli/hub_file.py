"""`export` and `apply` of verbs whose objects people also keep in a file, such as rules and patch policies."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from groundcontrol.cli.client import CliError, Hub, shown
from groundcontrol.cli.options import add_act, file_path


class HubFile(NamedTuple):
    """A kind of file."""

    verb: str
    """The verb of the command, such as `rules`."""
    path: str
    """The path of the API, below which `/apply` is."""
    key: str
    """The name of the list in the file and in the answer of the hub."""
    noun: str
    """The name of one object in the answer about errors."""
    words: str
    """The objects in texts."""
    lines: Callable[[Any, str], Iterable[str]]
    """(an object of the answer, `would ` or empty) -> the lines that tell its changes; none: it stays as it is."""

    def add_acts(self, acts: Any) -> None:
        """Add `export` and `apply` to the acts of the verb."""
        add_act(acts, "export", help=f"all {self.words} as JSON, for `apply`")
        apply = add_act(acts, "apply", help=f"apply the {self.words} of a file, all or none; other {self.words} of the hub stay")
        apply.add_argument("file", type=file_path, metavar="FILE")
        apply.add_argument("--dry-run", action="store_true", help="check the file and print what it would change; change nothing")

    def export(self, items: Sequence[Any]) -> int:
        print(json.dumps({self.key: items}, indent=2, ensure_ascii=False))
        return 0

    async def apply(self, hub: Hub, args: argparse.Namespace) -> int:
        """Apply the file of the arguments, and print the changes. Raises: CliError: all errors of the file, a line each."""
        try:
            answer = await hub.post(f"{self.path}/apply", {self.key: self._read(args.file), "dry_run": args.dry_run})
        except CliError as exc:
            faults = exc.facts.get("faults")
            if args.json or not faults:
                raise
            lines = [shown(f"{self.noun} {fault['number']} ({fault[self.noun]}): {fault['fault']}") for fault in faults]
            raise CliError("\n".join([f"{args.file} was not applied, and nothing was changed:", *lines]), exc.code) from exc
        if args.json:
            print(json.dumps(answer))
            return 0
        for item in answer[self.key]:
            for line in self.lines(item, "would " if args.dry_run else ""):
                print(shown(line))
        acts = Counter(item["act"] for item in answer[self.key])
        would = "would be " if args.dry_run else ""
        print(
            f"{acts['add']} {would}added, {acts['change']} {would}changed, {acts['keep']} are the same;"
            f" {len(answer['left'])} {self.words} of the hub are not in the file and stay"
        )
        return 0

    def _read(self, path: Path) -> list[dict[str, Any]]:
        try:
            found = json.loads(path.read_text("utf-8"))
        except OSError as exc:
            raise CliError(f"{path} cannot be read: {exc.strerror}") from exc
        except ValueError as exc:
            raise CliError(
                f"{path} is no JSON, and neither YAML nor another form is read: {exc}; `stardust {self.verb} export` prints such a file"
            ) from exc
        items = found.get(self.key) if isinstance(found, dict) else None
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise CliError(f'{path} contains no {self.words}: it must be {{"{self.key}": [...]}}, as `stardust {self.verb} export` prints')
        return items
