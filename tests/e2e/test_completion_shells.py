"""Completion at the prompt of a real bash, zsh and fish, with a real hub that names the nodes."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundcontrol.cli.completion import SCRIPTS
from tests.support.hub import ROOT, HubProcess

LIMIT_S = 60
ESCAPES = re.compile(r"\x1b(\[[0-9;?>=]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[()].|[=>])")


class Prompt:
    """A shell on a terminal of its own."""

    def __init__(self, argv: list[str], env: dict[str, str]) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execve(argv[0], argv, env)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def until(self, wanted: str) -> None:
        """Wait until the terminal has shown this since the last call."""
        until = time.monotonic() + LIMIT_S
        while wanted not in ESCAPES.sub("", self.seen):
            assert time.monotonic() < until, repr(self.seen)
            if select.select([self.terminal], [], [], 1)[0]:
                self.seen += os.read(self.terminal, 65536).decode(errors="replace")
        self.seen = ""

    def close(self) -> None:
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("fleet") / "hub") as hub:
        hub.enrol("web-1", "web-2", "database-7")
        yield hub


def shell(name: str, folder: Path, hub: HubProcess) -> Prompt:
    """The prompt of a shell with our completion, as its first lines say to install it."""
    tools = folder / "bin"
    tools.mkdir()
    (tools / "stardust").write_text(
        f'#!/bin/sh\nexec {sys.executable} -IB -c "import sys; sys.path.insert(0, {str(ROOT)!r}); from groundcontrol.cli.main import main; sys.exit(main())" "$@"\n'
    )
    (tools / "stardust").chmod(0o755)
    env = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "HOME": str(folder),
        "TERM": "xterm",
        "LC_ALL": "C.UTF-8",
        "STARDUST_DATA_DIR": str(hub.folder),
    }
    if name == "bash":
        (folder / ".bashrc").write_text("PS1='ready> '\n" + SCRIPTS["bash"])
        return Prompt(["/bin/bash", "--noprofile", "-i"], env)
    root = folder / "root"
    programs = {"zsh": ("zsh", "zsh-common"), "fish": ("fish", "fish-common", "libpcre2-32-0")}[name]
    done = subprocess.run(["apt-get", "-q", "download", *programs], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-400:]
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(root)], timeout=300, check=True)
    [library] = [path for path in (root / "usr/lib").iterdir() if path.name.endswith("-gnu")]
    if name == "zsh":
        functions = " ".join(
            str(path) for path in [root / "usr/share/zsh/functions", *(root / "usr/share/zsh/functions").rglob("*")] if path.is_dir()
        )
        (folder / "own").mkdir()
        (folder / "own/_stardust").write_text(SCRIPTS["zsh"])
        (folder / ".zshrc").write_text(
            f"module_path=({library}/zsh/5.9)\nfpath=({folder}/own {functions})\nautoload -Uz compinit && compinit -u\nPS1='ready> '\n"
        )
        return Prompt([str(next((root / "bin").glob("zsh"), root / "usr/bin/zsh")), "-i"], env)
    (root / "usr/etc").mkdir()
    shutil.copytree(root / "etc/fish", root / "usr/etc/fish")
    own = folder / ".config/fish"
    (own / "completions").mkdir(parents=True)
    (own / "completions/stardust.fish").write_text(SCRIPTS["fish"])
    (own / "config.fish").write_text(
        "function fish_prompt; echo 'ready> '; end\nset -g fish_greeting\nset -g fish_autosuggestion_enabled 0\n"
    )
    return Prompt([str(root / "usr/bin/fish"), "-i"], {**env, "LD_LIBRARY_PATH": str(library)})


@pytest.mark.parametrize("name", ["bash", pytest.param("zsh", marks=pytest.mark.slow), pytest.param("fish", marks=pytest.mark.slow)])
def test_a_shell_completes_verbs_and_the_names_of_nodes(name: str, fleet: HubProcess, tmp_path: Path) -> None:
    prompt = shell(name, tmp_path, fleet)
    try:
        prompt.until("ready> ")
        prompt.type("stardust compl\t")
        prompt.until("completion")
        prompt.type("\x15stardust nodes show dat\t")
        prompt.until("database-7")
        prompt.type("\x15stardust nodes show we\t\t\t")
        prompt.until("web-2")
    finally:
        prompt.close()
