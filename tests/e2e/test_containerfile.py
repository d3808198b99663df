"""The container file, as far as it can be checked without an engine: its instructions, its shell, and the hub started by its command."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from groundcontrol.settings import SETTINGS
from tests.support.eventually import wait_until
from tests.support.hub import PASSWORD, ROOT, SECRET, START_LIMIT_S, STOP_LIMIT_S
from tests.support.ports import free_port

WORDS = {"FROM", "RUN", "COPY", "ENV", "VOLUME", "EXPOSE", "USER", "WORKDIR", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
PLACE = "/var/lib/stardust-hub"
PROGRAMS = "/opt/stardust-hub/bin/"


def instructions() -> list[tuple[str, str]]:
    """Instruction and rest, continued lines joined."""
    lines = [line for line in (ROOT / "Containerfile").read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())]


def only(word: str) -> str:
    """The rest of an instruction that stands there once."""
    [rest] = [rest for name, rest in instructions() if name == word]
    return rest


def environment() -> dict[str, str]:
    return dict(part.split("=", 1) for part in shlex.split(only("ENV")))


def test_every_instruction_is_one_and_the_image_begins_with_the_system() -> None:
    words = [word for word, _ in instructions()]
    assert set(words) <= WORDS
    assert words[0] == "FROM"
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert only("USER") not in ("root", "0")


@pytest.mark.parametrize("step", [rest for word, rest in instructions() if word == "RUN"])
def test_a_step_is_a_shell_command_that_fails_when_a_part_of_it_does(step: str) -> None:
    assert subprocess.run(["sh", "-n", "-c", step], check=False).returncode == 0
    assert ";" not in step  # what stands before one may fail unseen


def test_the_image_copies_only_listed_files_and_installs_with_hashes() -> None:
    allowed = {line[1:] for line in (ROOT / ".containerignore").read_text().splitlines() if line.startswith("!")}
    assert set(only("COPY").split()[:-1]) == allowed
    installs = [command for word, rest in instructions() if word == "RUN" for command in rest.split("&&") if "pip install" in command]
    assert installs
    assert all("--require-hashes" in command or "--no-index" in command for command in installs)


def test_the_image_contains_no_build_tools() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["build"]
    tools = {re.split(r"[<>=]", tool)[0] for tool in build}
    assert tools
    locked = {line.split("==")[0] for line in (ROOT / "requirements-top.lock").read_text().splitlines() if "==" in line}
    assert not tools & locked


def test_the_settings_of_the_image_exist_and_hold_no_secret() -> None:
    known = {setting.env: setting.kind for setting in SETTINGS}
    ours = {name for name in environment() if name.startswith("STARDUST_")}
    files = {name for name in ours if name.endswith("_FILE") and known.get(name.removesuffix("_FILE")) == "secret"}
    assert files == {"STARDUST_SECRET_FILE"}
    assert {known[name] for name in ours - files} & {"secret"} == set()
    assert environment()["STARDUST_DATA_DIR"] == only("VOLUME") == only("WORKDIR") == PLACE
    assert environment()["STARDUST_PORT"] == only("EXPOSE")
    assert any(f"{PLACE}" in rest and only("USER") in rest for word, rest in instructions() if word == "RUN")


def _as_in_the_image(words: list[str]) -> list[str]:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    programs = {"python": [sys.executable]}
    programs |= {
        name: [sys.executable, "-c", f"import sys; from {of.partition(':')[0]} import main; sys.exit(main())"]
        for name, of in scripts.items()
    }
    name = words[0].removeprefix(PROGRAMS)
    assert words[0] == PROGRAMS + name
    return [*programs[name], *words[1:]]


def listens(port: str) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", int(port))) == 0


@pytest.mark.slow  # no engine runs here: the words of the commands and the settings are above, and other tests start hubs by them
def test_a_hub_started_like_the_image_is_healthy_until_it_stops(tmp_path: Path) -> None:
    port = str(free_port())
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "STARDUST_ADMIN_PASS": PASSWORD,
        "STARDUST_ALLOW_VOLATILE": "yes",
        **environment(),
    }
    env |= {"STARDUST_DATA_DIR": str(tmp_path / "data"), "STARDUST_SECRET_FILE": str(secret), "STARDUST_PORT": port}
    probe = _as_in_the_image(json.loads(only("HEALTHCHECK").partition("CMD ")[2]))

    def healthy() -> bool:
        return subprocess.run(probe, env=env, cwd=tmp_path, stderr=subprocess.DEVNULL, check=False, timeout=60).returncode == 0

    start = _as_in_the_image([*json.loads(only("ENTRYPOINT")), *json.loads(only("CMD"))])
    hub = subprocess.Popen(start, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: hub.poll() is not None or listens(port), START_LIMIT_S)
        wait_until(lambda: hub.poll() is not None or healthy(), START_LIMIT_S, poll_s=0.5)  # each look is a program of its own
        assert hub.poll() is None
        hub.send_signal(signal.Signals[only("STOPSIGNAL")])
        assert hub.wait(STOP_LIMIT_S) == 0
        assert not healthy()
    finally:
        hub.kill()
        hub.wait()


def _podman_runs() -> list[list[str]]:
    text = (ROOT / "docs/install.md").read_text().replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("podman run ")]


def _given(words: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(words) if name == option]


def test_documented_offline_commands_mount_the_secret_and_the_volume() -> None:
    """There is nothing to `exec` in then: the image's entry point takes the verb. A recovery alone refuses a folder that a hub has written."""
    [hub], once = ([run for run in _podman_runs() if ("--rm" in run) is rm] for rm in (False, True))
    assert _given(hub, "--volume") == [f"stardust-data:{PLACE}"]
    asked = set()
    for run in once:
        assert _given(run, "--secret") == _given(hub, "--secret")
        assert "--interactive" in run
        verb = run[run.index("stardust") + 1]
        data = [volume for volume in _given(run, "--volume") if volume.endswith(f":{PLACE}")]
        assert data == ([f"stardust-new:{PLACE}"] if verb == "recovery" else _given(hub, "--volume"))
        asked.add(verb)
    assert asked == {"restore", "rotate-secret", "recovery"}
