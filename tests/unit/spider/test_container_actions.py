"""Jobs of containers, with a socket that answers as Docker and Podman do."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from spider.root.container_actions import ContainerActions, parse_state
from tests.support.null_console import NullConsole
from tests.support.some import some

ID, OTHER = "0a" * 32, "0b" * 32
OK, GONE, REFUSED = "200 OK", "404 Not Found", "500 Internal Server Error"
DONE = ("204 No Content", None)


def inspected(status: str = "running", *, name: str = "/web", id_: str = ID, code: int = 0, restarts: int = 0) -> tuple[str, Any]:
    """As Docker 26 and Podman 4 answer to GET /containers/web/json, in part."""
    state = {"Status": status, "Running": status == "running", "ExitCode": code, "StartedAt": "2026-11-26T13:00:00.123456789Z"}
    return OK, {"Id": id_, "Name": name, "State": state, "RestartCount": restarts, "Image": "sha256:" + ID}


NO_SUCH = (GONE, {"message": "No such container: web"})
PODMAN_NO_SUCH = (
    GONE,
    {"cause": "no such container", "message": 'no container with name or ID "web" found: no such container', "response": 404},
)


@contextmanager
def engine(path: Path, *answers: tuple[str, Any]) -> Iterator[list[str]]:
    """A socket that gives these answers in turn, then the last one again. Yields the first lines of the requests.

    A 404 is asked for twice, with a version the second time: it is given both times.
    """
    left, asked = list(answers), list[str]()

    def serve(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                with listener.accept()[0] as client:
                    asked.append(client.recv(4096).split(b" HTTP/")[0].decode())
                    versioned = len(asked) > 1 and "/v1.24" in asked[-1]
                    status, body = given[-1] if versioned else left.pop(0) if len(left) > 1 else left[0]
                    given.append((status, body))
                    if status:
                        text = b"" if body is None else json.dumps(body).encode()
                        client.sendall(f"HTTP/1.0 {status}\r\nContent-Type: application/json\r\n\r\n".encode() + text)
                    else:
                        silent.wait(10)

    given, silent = list[tuple[str, Any]](), threading.Event()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield asked
        finally:
            silent.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


class Console(NullConsole):
    def __init__(self, *, stop: bool = False) -> None:
        super().__init__()
        self._stop = stop

    def stop_wanted(self) -> bool:
        return self._stop


@pytest.mark.holds("SAFETY-57")
def test_a_container_is_restarted_by_its_id_and_its_state_is_shown_before_and_after(tmp_path: Path) -> None:
    console, path = Console(), tmp_path / "docker.sock"
    with engine(path, inspected("exited", code=137), DONE, inspected()) as asked:
        outcome = ContainerActions(console, [("docker", str(path)), ("podman", "/none")], settle_s=0.0).restart("web")
    assert (outcome.state, outcome.exit_code) == ("succeeded", 0)
    assert asked == ["GET /containers/web/json", f"POST /containers/{ID}/restart", *[f"GET /containers/{ID}/json"] * 2]
    assert console.said == [f"web (docker {ID[:12]}): exited, exit status 137", "docker: restart web", "web: running"]
    assert [phase for phase, *_ in console.told] == ["plan", "commit", "check"]


@pytest.mark.holds("SAFETY-57", "S-49")
@pytest.mark.parametrize(
    ("answers", "code", "word"),
    [
        ([NO_SUCH], "job.no_such_container", "podman has no container that is called web"),
        ([PODMAN_NO_SUCH], "job.no_such_container", "podman has no container that is called web"),
        ([inspected(name="/shop", id_=ID)], "job.no_such_container", "called web"),  # found by the start of its id
        ([(REFUSED, {"message": "database is locked\x1b[2J"})], "job.container_unknown", "database is locked [2J"),
        ([(OK, [])], "job.container_unknown", "HTTP status 200"),
        ([(OK, {"Id": "../../x", "Name": "/web", "State": {}})], "job.container_unknown", "does not say"),
        ([inspected(), (REFUSED, {"message": "Cannot restart container web: port is already allocated"})], "job.container_failed", "port is already allocated"),
        ([inspected(), NO_SUCH], "job.no_such_container", "No such container: web"),
        ([inspected(), DONE, inspected("exited", code=1)], "job.container_failed", "it is exited, exit status 1"),
        ([inspected(), DONE, inspected(), inspected("restarting", code=1)], "job.container_failed", "it is restarting"),
        ([inspected(), DONE, inspected(), inspected(restarts=1)], "job.container_failed", "started again by its engine"),
        ([inspected(), DONE, NO_SUCH], "job.container_failed", "removed when it ended"),
        ([inspected(), DONE, (REFUSED, {"message": "busy"})], "job.container_unknown", "podman restarted it, but its state afterwards is not known"),
        ([inspected(), DONE, inspected("exited")], "", ""),  # it did its one thing
    ],
)  # fmt: skip
def test_the_state_afterwards_decides_and_a_refusal_has_the_engines_sentence(
    tmp_path: Path, answers: list[tuple[str, Any]], code: str, word: str
) -> None:
    console, path = Console(), tmp_path / "podman.sock"
    with engine(path, *answers) as asked:
        outcome = ContainerActions(console, [("podman", str(path))], settle_s=0.0).restart("web")
    assert (outcome.state, outcome.error_code) == ("failed" if code else "succeeded", code)
    assert word in outcome.error_text
    assert any(line.startswith("POST ") for line in asked) == (len(answers) > 1)
    assert not code or console.said[-1] == outcome.error_text


def test_one_name_in_two_engines_is_refused_and_one_container_behind_two_sockets_is_not(tmp_path: Path) -> None:
    docker, podman = tmp_path / "docker.sock", tmp_path / "podman.sock"
    sockets = [("docker", str(docker)), ("podman", str(podman))]
    with engine(docker, inspected(id_=OTHER)) as first, engine(podman, inspected()) as second:
        assert ContainerActions(Console(), sockets, settle_s=0.0).restart("web").error_code == "job.container_unknown"
    assert [*first, *second] == ["GET /containers/web/json"] * 2
    docker.unlink()
    podman.unlink()
    docker.symlink_to(podman)
    with engine(podman, inspected(), inspected(), DONE, inspected()):
        assert ContainerActions(Console(), sockets, settle_s=0.0).restart("web").state == "succeeded"


def test_a_restart_needs_an_engine_no_stop_and_an_answer_in_time(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    assert ContainerActions(Console(), [("docker", str(path))], settle_s=0.0).restart("web").error_code == "job.no_container_engine"
    with engine(path, inspected()) as asked:
        assert ContainerActions(Console(stop=True), [("docker", str(path))], settle_s=0.0).restart("web").state == "cancelled"
    assert len(asked) == 1
    path.unlink()
    with engine(path, inspected(), ("", None)):
        outcome = ContainerActions(Console(), [("docker", str(path))], work_limit_s=0.2, settle_s=0.0).restart("web")
    assert (outcome.state, outcome.error_code) == ("failed", "job.timed_out")


@pytest.mark.holds("S-49")
def test_invalid_values_of_an_engine_are_ignored() -> None:
    body = json.dumps({"Id": ID, "Name": None, "State": {"ExitCode": "1", "Status": "run\nning" * 100}, "RestartCount": True}).encode()
    state = some(parse_state("docker", "/x", b"HTTP/1.0 200 OK\r\n\r\n" + body))
    assert (state.exit_code, state.restarts, state.name) == (0, 0, "None")
    assert (len(state.status) <= 300, "\n" in state.status) == (True, False)
