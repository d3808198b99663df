"""A hook that apt-get and pacman run directly before the first change. It compares their transaction with the approved plan.

The manager holds its lock then, so no other program can change the transaction afterwards. The manager passes the names of all packages
that will change. If the hook exits with a status other than 0, the manager ends without a change. An upgrade may replace Spider, so a copy
of this file runs. It needs Python alone.

    transaction_hook.py apt FOLDER
    transaction_hook.py pacman FOLDER part|whole

`part`: the transaction may have only some of the steps. FOLDER has the files `wanted` (the approved plan) and `verdict` (the result).
"""

import hashlib
import json
import os
import subprocess
import sys
from typing import Any, Dict, List, Mapping, Set

WANTED, VERDICT, PASSED = "wanted", "verdict", "passed"
REPOSITORIES = ("pacman-conf", "--repo-list")
_READ_BYTES = 1 << 20


def read_apt(text: str, native: str) -> Dict[str, str]:
    """Parse the input of apt's hook protocol 3: package to version; empty = removed.

    Args:   native: the architecture whose packages have no suffix.
    Source: apt.conf(5), `DPkg::Pre-Install-Pkgs`.
    Raises: ValueError: another protocol, or an unknown line.
    """
    head, found, body = text.partition("\n\n")
    if not found or head.split("\n")[0] != "VERSION 3":
        raise ValueError("apt-get uses another protocol for its hooks")
    does: Dict[str, str] = {}
    for line in body.split("\n"):
        if not line:
            continue
        fields = line.split(" ", 8)
        if len(fields) != 9:
            raise ValueError("not understood: " + line[:200])
        name, _, old_arch, _, _, version, arch, _, action = fields
        if action == "**CONFIGURE**":
            continue  # configuration of an unpacked package, which has its own line
        removed = action == "**REMOVE**"
        arch = old_arch if removed else arch
        does[name if arch in ("all", native) else f"{name}:{arch}"] = "" if removed else version
    return does


def hash_lists(folder: str) -> Dict[str, str]:
    """Hex SHA-256 of each of pacman's lists, by file name. Raises: OSError."""
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".db"):
            digest = hashlib.sha256()
            with open(os.path.join(folder, name), "rb") as file:
                for block in iter(lambda: file.read(_READ_BYTES), b""):
                    digest.update(block)
            found[name] = digest.hexdigest()
    return found


def read_repositories() -> List[str]:
    """The repositories of pacman in their order."""
    return subprocess.run(REPOSITORIES, stdout=subprocess.PIPE, check=False).stdout.decode("utf-8", "replace").split()


def _apt(text: str, wanted: Mapping[str, Any]) -> List[str]:
    shown = {str(name): str(version) for name, version in wanted["steps"]}
    does = read_apt(text, str(wanted["native"]))
    return sorted(name for name in {*shown, *does} if shown.get(name) != does.get(name))


def _pacman(text: str, wanted: Mapping[str, Any], folder: str, *, whole: bool) -> List[str]:
    """The packages that differ. pacman passes names only. Its lists decide the versions, and they cannot change while pacman holds its lock."""
    shown: Set[str] = {str(name) for name, _ in wanted["steps"]}
    does = set(text.split())
    passed: Set[str] = set()
    if os.path.exists(os.path.join(folder, PASSED)):
        with open(os.path.join(folder, PASSED), encoding="utf-8") as file:
            passed = set(file.read().split())
    lists, names = wanted["lists"], wanted["repositories"]
    if lists is not None:
        now = hash_lists(wanted["lists_at"])  # pacman keeps the list of a repository that is no longer enabled, and does not read it
        if any(now.get(f"{name}.db") != lists.get(f"{name}.db") for name in names) or read_repositories() != names:
            raise ValueError("the package lists or the repositories have changed since the plan was made")
    with open(os.path.join(folder, PASSED), "w", encoding="utf-8") as file:
        file.write("\n".join(sorted(does | passed)))
    return sorted((does | passed) ^ shown if whole else does - shown)


def main(words: List[str]) -> int:
    """Write the verdict. Returns the exit status: 0 = the transaction equals the plan."""
    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    kind, folder = words[0], words[1]
    try:
        with open(os.path.join(folder, WANTED), encoding="utf-8") as file:
            wanted = json.load(file)
        differs = _apt(text, wanted) if kind == "apt" else _pacman(text, wanted, folder, whole=words[2] == "whole")
        why = ""
    except (ValueError, OSError, KeyError, TypeError) as exc:  # an ambiguous transaction is refused
        differs, why = [], str(exc) or type(exc).__name__
    agrees = not differs and not why
    with open(os.path.join(folder, VERDICT), "w", encoding="utf-8") as file:
        json.dump({"agrees": agrees, "differs": differs, "why": why}, file)
    if not agrees:
        print("Stardust: this is not what was shown:", why or ", ".join(differs), flush=True)  # noqa: T201  # on the job's terminal
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
