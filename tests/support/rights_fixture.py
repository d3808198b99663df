"""A hub with objects on both sides of a permission boundary, and users who see one side: for attacks on rights."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from groundcontrol.web.routes import ROOT as API
from spider.wire.ids import new_random_id
from tests.support.hub import PASSWORD, Enrolled, HubProcess, Login, Reply
from tests.support.route_matrix import THINGS

PROXY = "127.0.0.9"
"""The one address from which a header may say who asks."""
Whose = Literal["own", "other", "none"]
SIDES: tuple[Whose, Whose] = ("own", "other")


@dataclass
class World:
    """Objects on both sides of a permission boundary, and users who see one side."""

    hub: HubProcess
    nodes: dict[Whose, Enrolled] = field(default_factory=dict)
    ids: dict[tuple[str, Whose], str] = field(default_factory=dict)
    people: dict[str, Login] = field(default_factory=dict)

    def local(self, method: str, path: str, body: object = None) -> Any:
        reply = self.hub.local(method, f"{API}/{path}", body)
        assert reply.status < 300, reply.body
        return reply.json if reply.body else None

    def person(self, name: str, role: str, *tags: str) -> Login:
        """A new user who has chosen a password."""
        grants = {"grants": {"tags": list(tags)}} if tags else {}
        given = self.local("POST", "users", {"username": name, "role": role, **grants})["password"]
        reply = self.hub.request(
            "POST", f"{API}/auth/password", {"current": given, "new": PASSWORD}, token=self.hub.login(name, given).token
        )
        assert reply.status == 200, reply.body
        cookies = "; ".join(header.partition(";")[0] for header in reply.headers.get_all("Set-Cookie", []))
        self.people[name] = Login(reply.json["token"], reply.json["csrf_token"], cookies)
        return self.people[name]

    def call(self, who: Login | str, method: str, path: str, body: object = None) -> Reply:
        token = who if isinstance(who, str) else who.token
        return self.hub.request(method, f"{API}/{path}", body, token=token)

    def token(self, who: Login, **body: object) -> str:
        reply = self.call(who, "POST", "tokens", {"name": new_random_id()[:8], **body})
        assert reply.status == 201, reply.body
        return str(reply.json["token"])


def a_world(hub: HubProcess) -> World:
    """Fill a hub that is empty."""
    made = World(hub)
    admin = made.people["admin"] = hub.login()
    for side in SIDES:
        [node] = hub.enrol(f"node-{side}")
        made.nodes[side] = node
        made.local("PATCH", f"nodes/{node.node_id}", {"tags": [side]})
        batch = made.local("POST", "jobs", {"action": "check", "nodes": [node.node_id]})
        invite = made.local("POST", "invites", {"kind": "node", "tags": [side]})
        window = made.local("POST", "maintenance", {"select": {"nodes": [node.node_id]}, "until_at": time.time() + 3600, "reason": side})
        expected = made.local(
            "POST",
            "expectations",
            {"name": side, "select": {"nodes": [node.node_id]}, "event": "backup_completed", "by": "05:00", "zone": "UTC"},
        )
        made.ids |= {("maintenance", side): window["id"], ("expectation", side): expected["id"]}
        made.ids |= {
            ("node", side): node.node_id, ("batch", side): batch["id"], ("job", side): batch["jobs"][0]["id"], ("invite", side): invite["info"]["id"],
        }  # fmt: skip
    made.person("limited-operator", "operator", "own")
    made.person("limited-viewer", "viewer", "own")
    # objects that belong to a user have two sides by their owner
    sessions = made.call(admin, "GET", "auth/sessions").json["sessions"]
    tokens = made.call(admin, "POST", "tokens", {"name": "of the admin"}).json
    deployment = made.call(admin, "POST", "deployments", {"host": "127.0.0.1", "port": 1, "username": "root", "password": "x"})
    made.ids |= {
        ("session", "other"): sessions[0]["id"], ("token", "other"): tokens["info"]["id"], ("user", "other"): "admin",
        ("deployment", "other"): deployment.json["id"],
    }  # fmt: skip
    channel = made.call(admin, "POST", "channels", {"kind": "webhook", "name": "ops", "target": {"url": "https://receiver.example/"}}).json
    made.ids |= {("channel", "other"): channel["id"], ("rule", "other"): "cpu.load"}
    for kind in {thing for thing, _ in THINGS.values()}:
        made.ids[kind, "none"] = new_random_id()
    for kind in ("alert", "incident", "delivery"):  # rules make them in minutes: the tests of the hub in this process have real ones
        made.ids[kind, "other"] = new_random_id()
    return made
