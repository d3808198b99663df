"""Names of containers that root's launcher lists for Spider, as far as the owner's policy names them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from spider.container_list import Container
from spider.container_socket import answer_of
from spider.root.container_names import MAX_ANSWER_BYTES, MAX_NAMED
from spider.root.launcher import LauncherPaths, serve
from spider.sampling.collectors.cgroup import Group
from spider.sampling.collectors.container_engines import Names
from spider.sampling.collectors.listed_containers import LISTED_S, ListedContainers
from spider.wire.orders import CONTAINER_LIST
from spider.wire.tables import BY_NAME
from tests.support.container_engine import engine, served
from tests.support.launcher import BOOT, Systemd

WEB, MAIL, OTHER, GONE = ("0a" * 32, "0b" * 32, "0c" * 32, "0d" * 32)
POLICY = "[policy]\nversion = 2\nmode = managed\n"


def row(id_: str, name: str, state: str = "running", **more: object) -> dict[str, object]:
    """As Docker 26 and Podman 4 list a container, in part."""
    return {"Id": id_, "Names": ["/" + name], "State": state, "Image": f"{name}:1", "Status": "Up 2 hours", "Labels": {}, **more}


ROWS = [
    row(GONE, "mail-old", "exited"),
    row(OTHER, "secret"),
    row(MAIL, "mail-1", Names=["/shop/mail", "/mail-1"]),
    row(WEB, "web", "paused"),
]


def body(*rows: object) -> bytes:
    return json.dumps(rows).encode()


def ask(paths: LauncherPaths) -> dict[str, Any]:
    """The launcher's answer to an empty frame."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(CONTAINER_LIST)
        serve(theirs, paths, Systemd().unit, BOOT)
        theirs.close()
        answer = b"".join(iter(lambda: ours.recv(65536), b""))
    assert answer.endswith(b"\n")
    document: dict[str, Any] = json.loads(answer)
    return document


def allow(paths: LauncherPaths, lines: str) -> None:
    Path(paths.policy).write_text(POLICY + lines + "\n")


@pytest.mark.holds("SAFETY-56", "S-50")
def test_only_containers_that_the_policy_names_are_listed_and_a_refusal_asks_no_engine(paths: LauncherPaths, tmp_path: Path) -> None:
    paths = paths._replace(engines=[("docker", str(tmp_path / "docker.sock")), ("podman", "/none")])
    for text, why in (
        ("[policy]\nversion = 1\nmode = managed\n", "policy-container"),
        (POLICY + "units = *\n", "policy-container"),
        (POLICY + "containers = *\nverbs = check\n", "policy-verb"),
        (POLICY.replace("managed", "readonly") + "containers = *\n", "policy-readonly"),
        (POLICY.replace("managed", "monitor") + "containers = *\n", "policy-monitor"),
        (POLICY + "containers = web; mail\n", "policy-invalid"),
    ):
        Path(paths.policy).write_text(text)
        with engine(tmp_path / "docker.sock", b"", refuses=lambda line: pytest.fail(f"asked: {line!r}")):
            answer = ask(paths)
        (tmp_path / "docker.sock").unlink()
        assert (answer["answer"], answer["why"], set(answer)) == ("refused", why, {"answer", "why", "clock"}), text
    allow(paths, "containers = web, mail-*")
    with engine(tmp_path / "docker.sock", body(*ROWS)):
        answer = ask(paths)
    assert (answer["answer"], answer["why"]) == ("listed", "")
    assert answer["containers"] == [
        ["docker", MAIL, "mail-1", "running", "mail-1:1"],
        ["docker", WEB, "web", "frozen", "web:1"],
        ["docker", GONE, "mail-old", "exited", "mail-old:1"],
    ]
    assert os.listdir(paths.started) == os.listdir(paths.jobs) == []


@pytest.mark.holds("S-49")
@pytest.mark.parametrize(
    "hostile",
    [
        b"x", b"{}", b"[1]", b'[{"Id": 1}]', b"", b"[" * 100_000, b"\xff" * 10, body(row(WEB, "web"))[:-1],
        b"[" + b" " * MAX_ANSWER_BYTES + b"]",
    ],
    ids=["no JSON", "no list", "no row", "no id", "nothing", "deep", "no text", "cut", "long"],
)  # fmt: skip
def test_an_engine_that_talks_nonsense_names_nothing_and_spoils_no_other_s_names(
    paths: LauncherPaths, tmp_path: Path, hostile: bytes
) -> None:
    paths = paths._replace(engines=[("docker", str(tmp_path / "docker.sock")), ("podman", str(tmp_path / "podman.sock"))])
    allow(paths, "containers = *")
    with engine(tmp_path / "docker.sock", hostile):
        failed = ask(paths)
        with engine(tmp_path / "podman.sock", body(row(WEB, "web"))):
            listed = ask(paths)
    assert (failed["answer"], failed["why"], "containers" in failed) == ("failed", "engine", False)
    assert [found[:3] for found in listed["containers"]] == [["podman", WEB, "web"]]


@pytest.mark.holds("S-49")
def test_odd_rows_are_left_out_or_made_harmless_and_thousands_are_cut(paths: LauncherPaths, tmp_path: Path) -> None:
    paths = paths._replace(engines=[("docker", str(tmp_path / "docker.sock"))])
    allow(paths, "containers = *")
    odd = [row(WEB, name) for name in ("a\x1b[2J", "../x", "-f", "s\u043fop", "a b", "x" * 129, "")]
    odd += [row("0e" * 32, "web", Names=None), row("0f" * 32, "x", Names={"a": 1})]
    shown = row(MAIL, "web", "ru\nnning" * 9, Image="a\u202eb\ud800" * 400)
    with engine(tmp_path / "docker.sock", body(*odd, shown)):
        (found,) = ask(paths)["containers"]
    assert (found[1:3], len(found[3]), len(found[4])) == ([MAIL, "web"], 16, 200)
    assert all(character.isprintable() for text in found for character in text)
    (tmp_path / "docker.sock").unlink()
    many = [row(f"{number:064x}", f"web-{number}", "exited" if number < 1000 else "running") for number in range(5000)]
    with engine(tmp_path / "docker.sock", body(*many)):
        listed = ask(paths)["containers"]
    assert len(listed) == MAX_NAMED == BY_NAME["containers"].max_rows
    assert {found[3] for found in listed} == {"running"}


class Launcher:
    """The launcher's own decision behind a socket, which counts its connections."""

    def __init__(self, paths: LauncherPaths, folder: Path) -> None:
        self.paths = paths
        self.path = folder / "launcher.sock"
        self.connections = 0
        self.says: bytes | None = None
        """What it answers instead."""

    def _answer(self, client: socket.socket) -> None:
        self.connections += 1
        if self.says is None:
            serve(client, self.paths, Systemd().unit, BOOT)
        else:
            client.recv(4096)
            client.sendall(self.says)

    @contextmanager
    def running(self) -> Iterator[ListedContainers]:
        with served(self.path, self._answer):
            yield ListedContainers(str(self.path), self.paths.policy, self.paths.owner)


def test_spider_asks_when_other_containers_run_and_else_every_ten_minutes(paths: LauncherPaths, tmp_path: Path) -> None:
    launcher = Launcher(paths._replace(engines=[("docker", str(tmp_path / "docker.sock"))]), tmp_path)
    web, both = frozenset([WEB]), frozenset([WEB, OTHER])
    with engine(tmp_path / "docker.sock", body(*ROWS)), launcher.running() as listed:
        assert listed.containers(web, 0.0) == []
        assert launcher.connections == 0  # the policy has no such line
        allow(paths, "containers = web")
        for now, running, connections in ((0.0, web, 1), (60.0, web, 1), (120.0, both, 2), (180.0, both, 2), (120.0 + LISTED_S, both, 3)):
            assert listed.containers(running, now) == [Container("docker", WEB, "web", "frozen", "web:1")]
            assert launcher.connections == connections
        allow(paths, "")
        assert listed.containers(web, 1000.0) == []
    assert launcher.connections == 3


def test_a_failure_is_logged_once_and_an_older_launcher_not_at_all(
    paths: LauncherPaths, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    launcher = Launcher(paths._replace(engines=[("docker", str(tmp_path / "docker.sock"))]), tmp_path)
    allow(paths, "containers = *")
    with engine(tmp_path / "docker.sock", body(*ROWS)), launcher.running() as listed:
        assert len(listed.containers(frozenset([WEB]), 0.0)) == 4
        caplog.clear()
        nonsense = (b"", b"no\n", b'{"answer": "failed", "why": "engine"}\n', b'{"answer": "listed", "containers": [[1]]}', b"[]")
        for number, launcher.says in enumerate(nonsense):
            kept = listed.containers(frozenset([WEB, str(number)]), number + 1.0)
            assert [found.name for found in kept] == ["web"]  # it runs, so it is still called that; of the others it is unknown
        assert [record.message for record in caplog.records] == ["containers_unnamed"]
        launcher.says = b'{"answer": "refused", "why": "bad-length", "clock": 1.5}\n'
        assert ListedContainers(str(launcher.path), paths.policy, paths.owner).containers(frozenset(), 0.0) == []
    assert len(caplog.records) == 1
    assert listed.containers(frozenset(), 99.0) == []  # the socket is gone


@contextmanager
def as_nobody() -> Iterator[None]:
    """The real user of this process, by whom access is decided, is one without rights."""
    user = os.getuid()
    os.setresuid(65534, -1, -1)
    try:
        yield
    finally:
        os.setresuid(user, -1, -1)


@pytest.mark.skipif(os.geteuid() != 0, reason="root may open every socket, and nobody else may become another user")
@pytest.mark.parametrize("closed", ["socket", "folder", ""])
def test_the_launcher_is_asked_only_where_spider_may_not_open_a_socket_itself(paths: LauncherPaths, tmp_path: Path, closed: str) -> None:
    allow(paths, "containers = *")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp())  # every user may enter its parents
        stack.callback(shutil.rmtree, folder)
        folder.chmod(0o700 if closed == "folder" else 0o755)
        path = folder / "docker.sock"
        stack.enter_context(engine(path, body(*ROWS)))
        path.chmod(0o600 if closed == "socket" else 0o666)
        sockets = [("docker", str(path)), ("podman", str(folder / "none" / "podman.sock"))]
        launcher = Launcher(paths._replace(engines=sockets), tmp_path)
        names = Names(sockets, listed=stack.enter_context(launcher.running()))
        group = Group("docker", WEB, "/docker/" + WEB, 1)
        with as_nobody():
            assert names.of([group]) == {group: "web"}
            assert len(names.containers([group])) == 4
    assert launcher.connections == (1 if closed else 0)


def test_one_more_byte_than_an_empty_frame_is_an_order_as_before(paths: LauncherPaths, tmp_path: Path) -> None:
    launcher = Launcher(paths, tmp_path)
    with launcher.running():
        answer = json.loads(answer_of(str(launcher.path), CONTAINER_LIST[:-1] + b"\x01", 10.0))
    assert (answer["answer"], answer["why"]) == ("refused", "bad-length")
