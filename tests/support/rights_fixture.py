"""A hub with objects on both sides of a permission boundary, and users who see one side: for attacks on rights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from groundcontrol.web.routes import ROOT as API
from spider.wire.ids import new_random_id
from tests.support.hub import PASSWORD, Enrolled, HubProcess, Login, Reply
from tests.support.rights_cases import MAKERS, Making, Side
from tests.support.route_matrix import WHOSE

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

    def make(self, who: Login, making: Making) -> str:
        """Make an object. Returns: its id."""
        reply = self.call(who, "POST", making.path, making.body)
        assert reply.status < 300, reply.body
        return making.id_of(reply.json)

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
        made.ids |= {("node", side): node.node_id, ("batch", side): batch["id"], ("job", side): batch["jobs"][0]["id"]}
        for kind, maker in MAKERS.items():
            if WHOSE[kind] == "granted":
                made.ids[kind, side] = made.make(admin, maker(Side(node.node_id, side)))
    made.person("limited-operator", "operator", "own")
    made.person("limited-viewer", "viewer", "own")
    # objects that belong to a user have two sides by their owner
    for kind, maker in MAKERS.items():
        if WHOSE[kind] in ("caller", "person"):
            made.ids[kind, "other"] = made.make(admin, maker(Side("", "other")))
    made.ids["session", "other"] = made.call(admin, "GET", "auth/sessions").json["sessions"][0]["id"]
    deployment = made.call(admin, "POST", "deployments", {"host": "127.0.0.1", "port": 1, "username": "root", "password": "x"})
    made.ids["deployment", "other"] = deployment.json["id"]
    for kind in WHOSE:
        made.ids[kind, "none"] = new_random_id()
        # Rules make alerts, incidents and deliveries in minutes: the tests of the hub in this process have real ones.
        made.ids.setdefault((kind, "other"), new_random_id())
    return made
