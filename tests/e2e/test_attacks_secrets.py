"""Secrets are planted in every field that takes one; then everything readable by others is searched for them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sqlite3
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from groundcontrol.access import totp
from groundcontrol.adapters.sqlite.database import open_database
from groundcontrol.core.scope import DEFAULT_ORG
from groundcontrol.deployments.hub_key import load_hub_key
from spider.clock import SystemClock
from tests.support.command import stardust
from tests.support.eventually import eventually
from tests.support.hub import PASSWORD, HubFailed, HubProcess, Reply
from tests.support.keys import hub_vault_of
from tests.support.ssh_server import serving

API = "/api/v1"


class Watch:
    """Reads command lines and environments of a process and all its children, again and again, until it is closed."""

    def __init__(self, pid: int) -> None:
        self.seen: set[bytes] = set()
        self.processes: set[int] = set()
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            for pid in self._family():
                self.processes.add(pid)
                for name in ("cmdline", "environ"):
                    with contextlib.suppress(OSError):
                        self.seen.add(Path(f"/proc/{pid}/{name}").read_bytes())

    def _family(self) -> Iterator[int]:
        waiting = [self._pid]
        while waiting:
            pid = waiting.pop()
            yield pid
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (task / "children").read_text().split())

    def close(self) -> None:
        self._over.set()
        self._thread.join()


def forms(secret: str) -> list[bytes]:
    """A secret as it may stand somewhere."""
    raw = secret.encode()
    return [
        raw,
        base64.b64encode(raw).rstrip(b"=")[:-1],
        raw.hex().encode(),
        json.dumps(secret).encode().strip(b'"'),
        raw.decode().encode("utf-16-le"),
    ]


def found(canaries: dict[str, str], where: bytes) -> list[str]:
    """Which of the planted secrets stand there."""
    return [name for name, secret in canaries.items() if any(form in where for form in forms(secret))]


async def deployed(hub: HubProcess, token: str, body: dict[str, Any], state: str = "failed") -> Any:
    """Ask for a deployment and see it through to its end."""
    reply = await hub.call("POST", f"{API}/deployments", body, token=token)
    assert reply.status == 202, reply.body
    path = f"{API}/deployments/{reply.json['id']}"

    def ended() -> bool:
        shown = hub.request("GET", path, token=token).json
        if shown["state"] == "awaiting_host_key":
            hub.request("POST", f"{path}/host-key", {"fingerprint": shown["host_key"]["fingerprint"]}, token=token)
        return bool(shown["state"] == state)

    await eventually(ended, 30, f"the deployment is not {state}")
    return (await hub.call("GET", path, token=token)).json


async def own_key(folder: Path, secret: str) -> str:
    """The private half of the hub's own SSH key, as only the secret opens it."""
    database = await open_database(folder, clock=SystemClock())
    try:
        key = await load_hub_key(database.secrets, await hub_vault_of(database, secret), DEFAULT_ORG)
    finally:
        await database.close()
    assert key is not None
    return key.private


@pytest.mark.holds("SAFETY-2", "SAFETY-7", "S-32", "S-35", "S-37")
async def test_no_planted_secret_is_found_anywhere(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    canaries = {
        "secret": "Canary-of-the-hub-9Qx2!v",
        "admin password": "canary of the admin 7613",
        "new password": "canary of the next admin 8824",
        "metrics token": "Canary-of-metrics-Q8s5xV2",
        "wrong password": "canary that was typed wrong",
        "wrong proof": "canary of a wrong proof",
        "weak password": "stardust-spider-7781",
        "passphrase": "canary of the key file 2231",
        "wrong passphrase": "canary of no key file 1171",
        "ssh password": "canary of the account 5519",
        "sudo password": "canary of sudo 6627",
    }
    locked = key.export_private_key("openssh", canaries["passphrase"], rounds=1, ignore_few_rounds=True).decode()  # each one takes time
    open_key = key.export_private_key("openssh").decode()
    canaries["private key"] = locked.splitlines()[3]
    canaries["open private key"] = open_key.splitlines()[3]
    junk = "-----BEGIN OPENSSH PRIVATE KEY-----\nCanaryOfJunk0123456789abcdefghijk\n-----END OPENSSH PRIVATE KEY-----\n"
    canaries["junk key"] = "CanaryOfJunk0123456789abcdefghijk"
    hub = HubProcess(
        tmp_path / "hub",
        secret=canaries["secret"],
        env={"STARDUST_ADMIN_PASS": canaries["admin password"], "STARDUST_METRICS_TOKEN": canaries["metrics token"]},
        forked=False,
    )
    answers: list[bytes] = []
    await hub.start()
    watch = Watch(hub.pid)
    try:
        with_hub = await asyncio.to_thread(hub.login, password=canaries["admin password"])
        canaries |= {"session token": with_hub.token.rpartition(".")[2], "cookies": with_hub.cookie.rpartition("=")[2]}
        token = with_hub.token
        [node] = await asyncio.to_thread(hub.enrol, "canary")
        canaries |= {"session key": node.session_key.hex(), "launch key": node.launch_key.hex()}
        for path, body in (
            ("auth/login", {"username": "admin", "password": canaries["wrong password"]}),
            ("auth/step-up", {"password": canaries["wrong proof"]}),
            ("auth/password", {"current": canaries["admin password"], "new": canaries["weak password"]}),
            ("auth/password", {"current": canaries["admin password"], "new": 4711}),
            ("auth/login", {"username": "admin", "password": [canaries["wrong password"]]}),
            ("auth/login", {"username": "admin", canaries["admin password"]: 1}),
        ):
            reply = await hub.call("POST", f"{API}/{path}", body, token=token if path != "auth/login" else None)
            assert reply.status in (400, 401)
            answers += [reply.body] if canaries["admin password"] not in body else []
        assert (await asyncio.to_thread(hub.request, "GET", "/metrics", token=canaries["metrics token"])).status == 200
        wish = {"username": "root", "password": canaries["ssh password"], "sudo_password": canaries["sudo password"], "port": 1}
        made = await hub.call("POST", f"{API}/hub-key", token=token)
        assert made.status == 201
        answers.append(made.body)
        async with serving(asyncssh.generate_private_key("ssh-ed25519")) as (port, tried):
            wishes: list[dict[str, Any]] = [
                {"private_key": locked, "passphrase": canaries["passphrase"]},
                {"private_key": locked, "passphrase": canaries["passphrase"], "port": port},
                {"private_key": locked, "passphrase": canaries["wrong passphrase"], "port": port},
                {"private_key": open_key, "port": port},
                {"private_key": junk, "port": port},
                {"port": port},
                {"port": port, "password": None, "use_hub_key": True},
            ]
            for more in wishes:
                shown = await deployed(hub, token, {"host": "127.0.0.1", **wish, **more})
                answers.append(json.dumps(shown).encode())
            assert any(line.startswith("password") for line in tried), tried
            assert any(line.startswith("key") for line in tried), tried
            assert f"key root {made.json['key']['fingerprint']}" in tried
        changed = await hub.call(
            "POST", f"{API}/auth/password", {"current": canaries["admin password"], "new": canaries["new password"]}, token=token
        )
        assert changed.status == 200
        canaries["second session token"] = changed.json["token"].rpartition(".")[2]
        token = changed.json["token"]
        for path in ("nodes", f"nodes/{node.node_id}", "deployments", "events", "audit", "jobs", "auth/me", "hub-key", "openapi.json"):
            reply = await hub.call("GET", f"{API}/{path}", token=token)
            assert reply.status == 200
            answers.append(reply.body)
        answers.append((await hub.call("GET", "/metrics")).body)
        kept_open = b"".join(path.read_bytes() for path in hub.folder.iterdir() if path.is_file())
        await asyncio.to_thread(stardust, hub.folder, "backup", str(tmp_path / "backup"))
        with zipfile.ZipFile(tmp_path / "backup") as archive:
            backed_up = b"".join(archive.read(name) for name in archive.namelist())
    finally:
        watch.close()
        await hub.stop()
    canaries["the hub's own key"] = (await own_key(hub.folder, canaries["secret"])).splitlines()[3]
    kept = b"".join(path.read_bytes() for path in hub.folder.iterdir() if path.is_file())
    assert len(watch.processes) > 1, "no process that opens keys was seen"
    assert len(watch.seen) > 2
    for where, text in {
        "command lines and environments": b"\n".join(watch.seen),
        "the log": hub.output.encode(),
        "the data folder of a running hub": kept_open,
        "the data folder": kept,
        "a backup": backed_up,
        "answers": b"\n".join(answers),
    }.items():
        assert found(canaries, text) == [], where
        assert text
    assert not [kind for kind in (node.session_key, node.launch_key) if kind in kept + kept_open + backed_up]
    assert b"STARDUST_SECRET=" + b"\0" in b"\n".join(watch.seen)


@pytest.mark.holds("S-33")
def test_a_hub_with_an_altered_keyring_does_not_start(tmp_path: Path) -> None:
    hub = HubProcess(tmp_path / "hub")
    with hub:
        pass
    with contextlib.closing(sqlite3.connect(hub.folder / "stardust.db")) as database, database:
        [(body,)] = database.execute("SELECT body FROM keyring").fetchall()
        altered = [body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] for at in (0, len(body) // 2, len(body) - 1)]
    for one in altered:
        with contextlib.closing(sqlite3.connect(hub.folder / "stardust.db")) as database, database:
            database.execute("UPDATE keyring SET body = ?", (one,))
        with pytest.raises(HubFailed) as failed:
            hub.launch()
        assert failed.value.status == 78
        assert "Traceback" not in failed.value.output
        hub.close()


@pytest.mark.holds("SAFETY-4", "SAFETY-5", "S-33")
def test_a_sealed_value_moved_to_another_row_does_not_open(shared_hub: HubProcess) -> None:
    """An attacker who can write the database replaces another user's authenticator seed with their own."""
    seeds: dict[str, bytes] = {}
    for name in ("moved-victim", "moved-thief"):
        given = shared_hub.local("POST", f"{API}/users", {"username": name, "role": "admin"}).json["password"]
        token = shared_hub.login(name, given).token
        changed = shared_hub.request("POST", f"{API}/auth/password", {"current": given, "new": PASSWORD}, token=token)
        token = changed.json["token"]
        seeds[name] = base64.b32decode(shared_hub.request("POST", f"{API}/auth/totp", token=token).json["secret"])
        code = {"code": totp.code_of(seeds[name], int(time.time() // 30))}
        assert shared_hub.request("POST", f"{API}/auth/totp/confirm", code, token=token).status == 200

    def log_in(name: str, seed: bytes) -> Reply:
        code = totp.code_of(seed, int(time.time() // 30) + 1)
        return shared_hub.request("POST", f"{API}/auth/login", {"username": name, "password": PASSWORD, "totp": code})

    with contextlib.closing(sqlite3.connect(shared_hub.folder / "stardust.db", timeout=10)) as database, database:
        ids = dict(database.execute("SELECT username, id FROM account").fetchall())
        sealed = {
            name: database.execute("SELECT * FROM secret WHERE kind = 'totp' AND record = ?", (ids[name],)).fetchone() for name in seeds
        }
        columns = [
            row[1] for row in database.execute("PRAGMA table_info(secret)") if row[1] not in ("no", "org", "kind", "record", "field")
        ]
        names = [row[1] for row in database.execute("PRAGMA table_info(secret)")]
        moved = [sealed["moved-thief"][names.index(column)] for column in columns]
        database.execute(
            f"UPDATE secret SET {', '.join(f'{column} = ?' for column in columns)} WHERE kind = 'totp' AND record = ?",
            (*moved, ids["moved-victim"]),
        )
    for seed in seeds.values():
        refused = log_in("moved-victim", seed)
        assert (refused.status, refused.json["code"]) == (500, "vault.not_opened")
        assert "token" not in refused.json
    assert log_in("moved-thief", seeds["moved-thief"]).status == 200


@pytest.mark.holds("S-35")
def test_a_hub_writes_no_core_file_and_is_not_readable_by_other_processes(shared_hub: HubProcess) -> None:
    limits = Path(f"/proc/{shared_hub.pid}/limits").read_text()
    assert next(line for line in limits.splitlines() if line.startswith("Max core file size")).split()[4:6] == ["0", "0"]
    assert Path(f"/proc/{shared_hub.pid}/environ").stat().st_uid == 0  # the kernel gives it to root when a process is not dumpable
