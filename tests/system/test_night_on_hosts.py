"""A night on call with a real hub, three real servers, a mail server and a webhook. The transcript has each message with what was true then.

The short form, with forty servers and a clock that the test moves alone, is `tests/e2e/test_night_on_call.py`.
"""

from __future__ import annotations

import email
import email.policy
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import exim
from tests.support import lab as labs
from tests.support.deployed_host import DeployedHost
from tests.support.eventually import wait_until
from tests.support.exim import Exim
from tests.support.faketime import MovedClock
from tests.support.hub import HubProcess

pytestmark = [pytest.mark.system, pytest.mark.slow]

PATIENCE_S = 900.0
STORM = 200
GRACE_S = 240.0
"""How long a message may still say what has just ended: a rule waits before it believes an end."""
RULES = {
    "Server does not answer": "silent", "Service failed": "unit", "Backup failed": "backup", "Database dump failed": "dump",
    "A program reports a problem": "storm", "Ground Control's clock jumped": "clock",
}  # fmt: skip
"""Rules whose truth the test knows. Others tell of this machine, whose load the hosts share, and stand in the transcript alone."""


class Trouble(NamedTuple):
    """Something that is wrong from a time on, by the monotonic clock."""

    node: str
    what: str
    since: float
    until: float | None = None


class Got(NamedTuple):
    """One message that the webhook took."""

    at: float
    body: Any


class Night:
    """What the test has done, and what came of it."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.troubles: list[Trouble] = []
        self.got: list[Got] = []
        self.statuses: list[int] = []
        """Of the next answers of the webhook, in turn; 200 when none is left."""
        self.notes: list[tuple[float, str]] = []

    def note(self, text: str) -> None:
        self.notes.append((time.monotonic(), text))

    def begin(self, node: str, what: str) -> None:
        self.note(f"[{node}: {what} begins]")
        self.troubles.append(Trouble(node, what, time.monotonic()))

    def over(self, node: str, what: str) -> None:
        self.note(f"[{node}: {what} is over]")
        now = time.monotonic()
        self.troubles = [
            one._replace(until=now) if (one.node, one.what) == (node, what) and one.until is None else one for one in self.troubles
        ]

    def is_true(self, node: str, what: str, at: float) -> bool:
        return any(
            one.node == node and one.what == what and one.since <= at and (one.until is None or at < one.until + GRACE_S)
            for one in self.troubles
        )

    def lasts(self, node: str, what: str, at: float) -> bool:
        """Whether it is wrong at that time without doubt."""
        return any(
            one.node == node and one.what == what and one.since <= at and (one.until is None or at < one.until) for one in self.troubles
        )

    def untrue(self, one: Got) -> Iterator[str]:
        """What a message says that is not so."""
        for alert in one.body["alerts"]:
            what = RULES.get(alert["rule_name"])
            if what is None:
                continue
            node = alert["node_name"]
            if alert["state"] == "firing" and not self.is_true(node, what, one.at):
                yield f"says that {node} has {what}"
            if alert["state"] == "resolved" and what in ("silent", "unit") and self.lasts(node, what, one.at):
                yield f"says that {what} of {node} is over"

    def told(self, node: str, what: str, kind: str = "firing") -> bool:
        return any(
            alert["node_name"] == node and RULES.get(alert["rule_name"]) == what and alert["state"] == kind
            for one in self.got
            for alert in one.body["alerts"]
        )

    def transcript(self) -> str:
        lines = [(at, text) for at, text in self.notes]
        for one in self.got:
            facts = "; ".join(
                f"{alert['node_name']}: {alert['rule_name']} ({alert['object']}) {alert['state']}" for alert in one.body["alerts"][:4]
            )
            wrong = "".join(f"  UNTRUE: {text}" for text in self.untrue(one))
            lines.append((one.at, f"{one.body['kind']:8} {one.body['title']}  | {facts}{wrong}"))
        return "\n".join(f"{(at - self.began) / 60:6.2f} min  {text}" for at, text in sorted(lines, key=lambda line: line[0]))


@pytest.fixture
def night() -> Night:
    return Night()


@pytest.fixture
def hook(night: Night) -> Iterator[int]:
    """A webhook on loopback. Gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = night.statuses.pop(0) if night.statuses else 200
            if status == 200:
                night.got.append(Got(time.monotonic(), body))
            else:
                night.note(f"the receiver answers {status} to: {body['title']}")
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_words: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exim]:
    with exim.running(tmp_path_factory.mktemp("exim")) as made:
        yield made


@pytest.fixture
def three() -> Iterator[list[labs.Host]]:
    reason = labs.unavailable()
    if reason:
        pytest.fail(f"this test needs lab hosts, and {reason}")
    yield labs.up(debian=3)
    labs.down()


def mails(server: Exim) -> list[str]:
    """Subject and plain text of each mail, oldest first."""
    found = []
    for path in sorted((server.folder / "spool" / "input").glob("*-H"), key=lambda path: path.stat().st_mtime_ns):
        head = "".join(re.sub(r"^\d{3}[A-Z* ] ", "", line) for line in path.read_text().partition("\n\n")[2].splitlines(keepends=True))
        body = path.with_name(path.name.replace("-H", "-D")).read_text().partition("\n")[2]
        message: Any = email.message_from_string(head + "\n" + body, policy=email.policy.default)
        found.append(f"{message['Subject']}\n{message.get_body(('plain',)).get_content()}")
    return found


def waiting(night: Night, condition: Callable[[], object], what: str) -> None:
    wait_until(condition, PATIENCE_S, lambda: f"{what}\n{night.transcript()}", poll_s=1.0)


@pytest.mark.timeout(3600)
@pytest.mark.holds("SAFETY-99", "SAFETY-100")
def test_a_night_on_call_with_three_servers_has_no_untrue_message(
    night: Night, hook: int, mail: Exim, three: list[labs.Host], tmp_path: Path
) -> None:
    clock = MovedClock(tmp_path)
    allowed = f"127.0.0.1:{hook},127.0.0.1:{mail.plain}"
    with HubProcess(tmp_path / "hub", forked=False, env={**clock.env, "STARDUST_NOTIFY_ALLOW": allowed}) as hub:
        hosts = []
        for host in three:
            one = DeployedHost(host, hub)
            one.deploy()
            hosts.append(one)
        first, second, third = hosts
        names = [f"lab {host.name}" for host in three]

        def post(path: str, body: object) -> Any:
            reply = hub.local("POST", f"/api/v1/{path}", body)
            assert reply.status < 300, reply.body
            return reply.json

        relay = {"host": "127.0.0.1", "port": mail.plain, "tls": "none"}
        post("channels", {"kind": "email", "name": "mail", "target": {"smtp": relay, "from": "hub@example.com", "to": ["ops@example.com"]}})
        post("channels", {"kind": "webhook", "name": "hook", "target": {"url": f"http://127.0.0.1:{hook}/"}})

        # a oneshot that fails each minute, and a receiver whose proxy restarts
        night.statuses = [404]
        first.host.sh(
            "printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c \"sleep 5; exit 1\"\\n' > /etc/systemd/system/nightly.service;"
            " printf '[Timer]\\nOnActiveSec=1\\nOnUnitInactiveSec=55\\nAccuracySec=1\\n[Install]\\nWantedBy=timers.target\\n'"
            " > /etc/systemd/system/nightly.timer; systemctl daemon-reload; systemctl start nightly.timer"
        )
        night.begin(names[0], "unit")
        waiting(night, lambda: any("nightly.service" in text for text in mails(mail)), "a mail names the failed service")

        # a storm of one server, and one critical report of another
        night.begin(names[1], "storm")
        for number in range(STORM):
            hub.local("POST", f"/api/v1/nodes/{second.node}/events", {"type": "custom", "severity": "error", "message": f"storm {number}", "details": {"name": f"storm{number}"}})  # fmt: skip
        night.begin(names[2], "backup")
        post(f"nodes/{third.node}/events", {"type": "backup_failed", "severity": "error", "message": "no space left"})
        waiting(night, lambda: night.told(names[2], "backup"), "the webhook names the backup")
        waiting(night, lambda: any(f"{names[2]}: Backup failed" in text for text in mails(mail)), "a mail names the backup")

        night.note("the hub restarts")
        assert hub.end() == 0
        hub.launch()

        # two servers lose their network
        for host, name in zip(three[1:], names[1:], strict=True):
            night.begin(name, "silent")
            host.net("drop")
        waiting(night, lambda: all(night.told(name, "silent") for name in names[1:]), "the webhook names both silent servers")
        for host, name in zip(three[1:], names[1:], strict=True):
            host.net("restore")
            night.over(name, "silent")
        waiting(night, lambda: all(night.told(name, "silent", "resolved") for name in names[1:]), "both are told to answer again")

        night.note("the hub restarts with a clock that is three hours ahead")
        assert hub.end() == 0
        night.begin("", "clock")
        clock.move(3 * 3600)
        hub.launch()
        waiting(night, lambda: all(node["state"] == "online" for node in hub.local("GET", "/api/v1/nodes").json["nodes"]), "all are back")
        clock.move(0)
        night.note("the clock is put right")
        night.begin(names[0], "dump")
        post(f"nodes/{first.node}/events", {"type": "dbdump_failed", "severity": "error", "message": "no connection"})
        waiting(night, lambda: night.told(names[0], "dump"), "the webhook names the dump, and not three hours later")
        waiting(night, lambda: any(f"{names[0]}: Database dump failed" in text for text in mails(mail)), "a mail names the dump")

        night.note("the hub is killed")
        hub.slay()
        hub.launch()
        first.host.sh("systemctl stop nightly.timer nightly.service; systemctl reset-failed nightly.service")
        night.over(names[0], "unit")
        # its incident goes on with the dump, so that no message of its own follows
        ended = "/api/v1/alerts?state=resolved&limit=500"
        waiting(
            night, lambda: "unit.failed" in {one["rule_id"] for one in hub.local("GET", ended).json["alerts"]}, "the service is well again"
        )

        text = night.transcript()
        (tmp_path / "transcript.txt").write_text(text)
        print(text)
        assert not [line for line in text.splitlines() if "UNTRUE" in line], text
        assert "the receiver answers 404" in text
        for name, what in ((names[0], "unit"), (names[2], "backup"), (names[1], "silent"), (names[2], "silent"), (names[0], "dump")):
            assert night.told(name, what), (name, what, text)
