"""Deployments up to the first change of a server (that is tests/system/test_deploy.py)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import asyncssh
import pytest

from groundcontrol.core.audit import AuditEntry
from groundcontrol.core.errors import BadRequest, Conflict, Forbidden, IdempotencyMismatch, NotFound, StoreBusy, Unavailable
from groundcontrol.core.ids import NodeId
from groundcontrol.core.scope import hub_scope
from groundcontrol.deployments import credentials, transitions
from groundcontrol.deployments.errors import CredentialsRequired, HostKeyMismatch, TargetNotAllowed
from groundcontrol.deployments.model import (
    INSTALL_STEPS,
    REMOVE_STEPS,
    Deployment,
    DeploymentOptions,
    DeploymentOverrides,
    HostKey,
    JumpRequest,
)
from groundcontrol.deployments.progress import ProgressReporter
from groundcontrol.deployments.requests import check_request
from groundcontrol.nodes.model import NewNode
from majortom.ssh.connect import describe
from spider.clock import SystemClock
from spider.wire.ids import new_random_id
from tests.support.deployment_desk import ADMIN, KEY, LIMITS, VIEWER, Config, Desk, Hanging, Requests, hanging, node_with
from tests.support.some import some
from tests.support.ssh_server import serving
from tests.support.store_backend import replaced


def new_row(node: NodeId | None) -> Deployment:
    return transitions.new_deployment(
        ADMIN, "install", INSTALL_STEPS, host="h", port=22, username="u", name="n", options=DeploymentOptions(), node=node, at=1.0
    )


async def test_a_failed_deployment_says_why_and_leaves_no_node(desk: Desk, request_to: Requests, closed_port: int) -> None:
    async with desk.running() as service:
        row = await service.install(ADMIN, request_to(closed_port, name="web-1"), None)
        row = await desk.end_of(row.id)
        events = await desk.events("deployment_failed")
    assert row.state == "failed"
    assert row.error is not None
    assert (row.error.code, row.error.step) == ("port_closed", "connect")
    assert [step.state for step in row.steps] == ["failed"] + ["skipped"] * (len(INSTALL_STEPS) - 1)
    assert row.node_id is None
    assert (await desk.store.nodes.nodes(ADMIN, 10)).items == []
    assert [event.type for event in events] == ["deployment_failed"]
    assert row.error.message in events[0].message


async def test_a_host_key_waits_for_its_confirmation(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, seen), desk.running() as service:
        row = await service.install(ADMIN, request_to(port), None)
        row = await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        assert some(row.host_key).fingerprint == KEY.get_fingerprint()
        assert seen == []
        with pytest.raises(HostKeyMismatch):
            await service.confirm_host_key(ADMIN, row.id, "SHA256:" + "A" * 43)
        with pytest.raises(Forbidden):
            await service.confirm_host_key(VIEWER, row.id, KEY.get_fingerprint())
        assert seen == []
        assert (await service.confirm_host_key(ADMIN, row.id, KEY.get_fingerprint())).state == "running"
        row = await desk.end_of(row.id)
    assert some(row.error).code == "key_rejected"
    assert seen[0] == "begin root"
    actions = [entry.action for entry in (await desk.store.log.audit(ADMIN, 50)).items]
    assert "deployment.host_key" in actions
    assert await desk.store.log.verify_audit() is None


async def test_a_fingerprint_given_beforehand_confirms_without_asking(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, seen), desk.running() as service:
        row = await service.install(ADMIN, request_to(port, host_key=KEY.get_fingerprint()), None)
        row = await desk.end_of(row.id)
        assert row.error is not None
        assert row.error.code == "key_rejected"
        row = await service.install(ADMIN, request_to(port, host_key="SHA256:" + "A" * 43), None)
        seen.clear()
        row = await desk.end_of(row.id)
    assert some(row.error).code == "host_key_unexpected"
    assert seen == []


async def test_an_unconfirmed_host_key_times_out(desk: Desk) -> None:
    wanted = new_row(NodeId("n" * 26))
    row = await desk.store.deployments.create_deployment(ADMIN, wanted)
    progress = ProgressReporter(desk.store, desk.bus, SystemClock(), ADMIN, row, confirm_limit_s=0.05)
    await progress.started("connect")
    assert not await progress.confirm_host_key(describe(KEY))
    assert progress.row.state == "awaiting_host_key"
    assert not progress.row.host_key_confirmed
    assert progress.row.steps[0].waited_s >= 0.05


async def test_a_confirmation_counts_for_the_key_that_was_seen_and_no_other(desk: Desk) -> None:
    row = await desk.store.deployments.create_deployment(ADMIN, new_row(NodeId("n" * 26)))
    progress = ProgressReporter(desk.store, desk.bus, SystemClock(), ADMIN, row)
    await progress.started("connect")
    seen, shown = describe(KEY), describe(asyncssh.generate_private_key("ssh-ed25519"))
    waiting = asyncio.create_task(progress.confirm_host_key(shown))
    await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
    audit = AuditEntry(ADMIN.actor, "deployment.host_key", row.id, "done", {})
    assert await progress.confirm(HostKey(*seen), audit) is None
    assert (progress.row.state, progress.row.host_key_confirmed, waiting.done()) == ("awaiting_host_key", False, False)
    assert "deployment.host_key" not in [entry.action for entry in (await desk.store.log.audit(ADMIN, 50)).items]
    assert await progress.confirm(HostKey(*shown), audit) is not None
    async with asyncio.timeout(60):
        assert await waiting
    assert progress.row.host_key_confirmed
    assert progress.row.steps[0].waited_s > 0  # the page's clocks leave it out
    assert [step.waited_s for step in progress.row.steps[1:]] == [0.0] * (len(progress.row.steps) - 1)


async def test_cancelling_ends_a_deployment_that_waits(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, seen), desk.running() as service:
        row = await service.install(ADMIN, request_to(port), None)
        await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        assert (await service.cancel(ADMIN, row.id)).state == "cancelled"
        assert (await service.cancel(ADMIN, row.id)).state == "cancelled"
        with pytest.raises(Conflict):
            await service.confirm_host_key(ADMIN, row.id, KEY.get_fingerprint())
    assert seen == []


async def test_the_same_idempotency_key_gives_the_first_deployment(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, _), desk.running() as service:
        first = await service.install(ADMIN, request_to(port), "k1")
        second = await service.install(ADMIN, request_to(port), "k1")
        assert first.id == second.id
        with pytest.raises(Conflict):
            await service.install(ADMIN, request_to(port), None)


async def test_another_idempotency_key_does_not_bypass_the_checks(desk: Desk, request_to: Requests) -> None:
    await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "web-1", "h"))
    async with serving(KEY) as (port, _), desk.running() as service:
        first = await service.install(ADMIN, request_to(port, name="a"), "k1")
        with pytest.raises(Conflict, match="running already"):
            await service.install(ADMIN, request_to(port, name="b"), "k2")
        with pytest.raises(Conflict, match="web-1"):
            await service.install(ADMIN, request_to(port + 1 if port < 65535 else 1, name="web-1"), "k3")
        with pytest.raises(IdempotencyMismatch):
            await service.install(ADMIN, request_to(port, name="b"), "k1")
    assert [row.id for row in (await desk.store.deployments.deployments(ADMIN, 10)).items] == [first.id]


async def test_an_idempotency_key_returns_its_deployment_after_the_node_exists(desk: Desk, request_to: Requests, closed_port: int) -> None:
    async with desk.running() as service:
        first = await desk.end_of((await service.install(ADMIN, request_to(closed_port, name="a"), "k1")).id)
        await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "a", "h"))
        assert await service.install(ADMIN, request_to(closed_port, name="a"), "k1") == first


async def test_a_second_deployment_to_a_server_under_another_name_is_refused_there(desk: Desk, request_to: Requests) -> None:
    """By its address: otherwise the second would clear away what the first has begun."""
    async with serving(KEY) as (port, _), desk.running() as service:
        first = await service.install(ADMIN, request_to(port, host_key=KEY.get_fingerprint()), None)
        second = await service.install(ADMIN, request_to(port, host="localhost", host_key=KEY.get_fingerprint()), None)
        ends = [await desk.end_of(first.id), await desk.end_of(second.id)]
    assert all(row.error is not None and row.error.code in ("busy", "key_rejected") for row in ends)


@pytest.mark.parametrize(
    "bad",
    [
        {"host": ""}, {"host": "a b"}, {"host": "-oProxyCommand=x"}, {"host": "a/b"}, {"port": 0}, {"port": 70000},
        {"username": "-x"}, {"username": "a b"}, {"username": ""}, {"host_key": "MD5:aa:bb"}, {"name": ""}, {"name": "x" * 101}, {"name": new_random_id()},
        {"name": "a\x1bb"}, {"name": "<b>"}, {"tags": ("",)}, {"tags": ("a<b",)}, {"tags": ("t" * 65,)}, {"tags": tuple(map(str, range(40)))}, {"sudo_password": "a\nb"},
        {"private_key": "x" * 20000}, {"host": "10.0.0.1:2222"}, {"host": "[::1]:22"}, {"host": "[web-1]"}, {"host": "::1::2"},
    ],
)  # fmt: skip
def test_an_invalid_request_is_refused_with_its_field(request_to: Requests, bad: dict[str, object]) -> None:
    with pytest.raises(BadRequest) as caught:
        check_request(replace(request_to(22), **bad))  # type: ignore[arg-type]  # named as they are
    assert caught.value.detail["field"] == next(iter(bad))


@pytest.mark.parametrize(("written", "host"), [("[::1]", "::1"), (" ::1 ", "::1"), ("fe80::1%eth0", "fe80::1%eth0"), ("web-1.", "web-1.")])
def test_an_address_may_be_in_brackets(request_to: Requests, written: str, host: str) -> None:
    jump = JumpRequest(host=written)
    checked = check_request(replace(request_to(22), host=written, jump=jump))
    assert (checked.host, checked.jump) == (host, replace(jump, host=host))


def test_a_port_in_the_host_field_is_refused(request_to: Requests) -> None:
    with pytest.raises(BadRequest, match="the port has its own field"):
        check_request(replace(request_to(22), host="10.0.0.1:2222"))


async def test_a_bad_request_begins_nothing(desk: Desk, request_to: Requests) -> None:
    async with desk.running() as service:
        with pytest.raises(BadRequest):
            await service.install(ADMIN, request_to(0), None)
    assert (await desk.store.deployments.deployments(ADMIN, 10)).items == []


async def test_a_name_in_use_is_refused(desk: Desk, request_to: Requests) -> None:
    await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "Web-1", "h"))
    async with desk.running() as service:
        with pytest.raises(Conflict, match="web-1"):
            await service.install(ADMIN, request_to(22, name="web-1"), None)


async def test_viewers_may_not_deploy(desk: Desk, request_to: Requests) -> None:
    async with desk.running() as service:
        with pytest.raises(Forbidden):
            await service.install(VIEWER, request_to(22), None)


async def test_no_deployment_begins_before_the_start(desk: Desk, request_to: Requests) -> None:
    with pytest.raises(Unavailable):
        await desk.service.install(ADMIN, request_to(22), None)
    assert (await desk.store.deployments.deployments(ADMIN, 10)).items == []


async def test_without_server_url_only_this_machine_is_deployed_to(desk: Desk, request_to: Requests) -> None:
    async with desk.running() as service:
        with pytest.raises(TargetNotAllowed, match="--server-url"):
            await service.install(ADMIN, request_to(22, host="192.0.2.7"), None)


@pytest.mark.holds("SAFETY-40")
async def test_a_hub_that_listens_beyond_loopback_does_not_deploy_to_loopback(desk: Desk, request_to: Requests) -> None:
    service = desk.make(Config("wss://hub.example/ws", "wss://hub.example/ws", loopback_only=False))
    async with desk.running(service):
        for host in ("127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0"):
            with pytest.raises(TargetNotAllowed):
                await service.install(ADMIN, request_to(22, host=host), None)
        for host in ("2130706433", "0x7f.1", "127.1"):  # the resolver takes them for loopback
            with pytest.raises(BadRequest):
                await service.install(ADMIN, request_to(22, host=host), None)


# -- removal -----------------------------------------------------------------------------------


async def test_removal_without_credentials_asks_for_them(desk: Desk) -> None:
    node = await node_with(desk, None)
    async with desk.running() as service:
        with pytest.raises(CredentialsRequired, match="web-1"):
            await service.remove(ADMIN, node, None, force=False)
    assert (await desk.store.nodes.node(ADMIN, node)).name == "web-1"


async def test_a_lost_server_is_removed_by_force(desk: Desk, request_to: Requests) -> None:
    node = await node_with(desk, request_to(22))
    async with desk.running() as service:
        row = await service.remove(ADMIN, node, None, force=True)
    assert row.state == "succeeded"
    assert [step.state for step in row.steps] == ["skipped"] * (len(REMOVE_STEPS) - 1) + ["done"]
    assert "/opt/stardust" in row.steps[-1].detail
    assert desk.closed == [node]
    with pytest.raises(NotFound):
        await desk.store.nodes.node(ADMIN, node)
    assert await desk.store.secrets.credentials(node) == []


async def test_removal_uses_the_kept_credentials_and_the_pinned_host_key(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, seen), desk.running() as service:
        node = await node_with(desk, request_to(port, username="kept"))
        row = await desk.end_of((await service.remove(ADMIN, node, None, force=False)).id)
        assert row.error is not None
        assert (row.error.code, row.kind, row.node_id) == ("key_rejected", "remove", node)
        assert seen[0] == "begin kept"
    seen.clear()
    other = asyncssh.generate_private_key("ssh-ed25519")
    async with serving(other) as (changed, seen), desk.running(desk.make(Config())) as service:
        node2 = await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "web-2", "127.0.0.1"))
        await credentials.save(desk.store.secrets, desk.vault, ADMIN, node2.id, request_to(changed), HostKey(*describe(KEY)))
        row = await desk.end_of((await service.remove(ADMIN, node2.id, None, force=False)).id)
        assert some(row.error).code == "host_key_changed"
        assert seen == []
    assert (await desk.store.nodes.node(ADMIN, node2.id)).name == "web-2"


@pytest.mark.holds("SAFETY-67")
async def test_stored_credentials_are_sealed_and_can_be_opened(desk: Desk, request_to: Requests) -> None:
    request = request_to(2222, username="admin", sudo_password="canary-sudo", passphrase="canary-pass")
    node = await node_with(desk, request)
    records = await desk.store.secrets.credentials(node)
    assert {record.column for record in records} == {"way", "private_key", "passphrase", "sudo_password"}
    for record in records:
        assert b"canary" not in record.sealed
        assert b"PRIVATE KEY" not in record.sealed
    kept = some(await credentials.load(desk.store.secrets, desk.vault, node))
    assert (kept.request.port, kept.request.username, kept.request.sudo_password) == (2222, "admin", "canary-sudo")
    assert kept.request.private_key == request.private_key
    assert some(kept.host_key).fingerprint == KEY.get_fingerprint()


def test_requests_do_not_show_their_secrets(request_to: Requests) -> None:
    shown = repr(request_to(22, sudo_password="canary", password="canary", passphrase="canary"))
    assert "canary" not in shown
    assert "PRIVATE" not in shown


async def test_rows_events_and_audit_contain_no_secret(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, _), desk.running() as service:
        request = request_to(port, private_key=None, password="canary-1", sudo_password="canary-2", host_key=KEY.get_fingerprint())
        row = await desk.end_of((await service.install(ADMIN, request, None)).id)
    assert some(row.error).code == "password_rejected"
    everything = [row, (await desk.store.log.events(ADMIN, 50)).items, (await desk.store.log.audit(ADMIN, 50)).items]
    assert "canary" not in json.dumps(everything, default=repr)


# -- stopping and starting ---------------------------------------------------------------------


async def test_stopping_the_hub_fails_running_deployments_with_a_message(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, _):
        async with desk.running() as service:
            row = await service.install(ADMIN, request_to(port), None)
            await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        row = await desk.store.deployments.deployment(ADMIN, row.id)
    assert row.state == "failed"
    assert row.error is not None
    assert (row.error.code, row.error.step) == ("hub_stopped", "host_key")
    assert "before this had changed anything on the server" in row.error.message


async def test_a_deployment_stopped_with_the_hub_is_cancelled_once(desk: Desk, request_to: Requests) -> None:
    """It is asked once: a second time would break off what it writes down."""
    async with serving(KEY) as (port, _):
        async with desk.running() as service:
            row = await service.install(ADMIN, request_to(port), None)
            await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
            task = service._active[row.id].task
        assert task.cancelling() == 1


async def test_a_hanging_store_delays_the_end_only_up_to_its_limit(desk: Desk, request_to: Requests) -> None:
    made = Hanging(desk.store.deployments)
    desk.store = replaced(desk.store, deployments=made)
    service = desk.make(desk.config, LIMITS._replace(stop_s=0.2))
    async with asyncio.timeout(60), serving(KEY) as (port, _), desk.running(service):
        row = await service.install(ADMIN, request_to(port), None)
        await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
        made.commands.add("save_deployment")  # and it does not answer before the end


async def test_requests_behind_a_hanging_one_are_refused_and_not_executed_later(desk: Desk, request_to: Requests, closed_port: int) -> None:
    node, other = await node_with(desk, None), await node_with(desk, None, "web-2")
    async with asyncio.timeout(60), desk.running(desk.make(desk.config, LIMITS._replace(patience_s=0.2))) as service:
        failed = await desk.end_of((await service.install(ADMIN, request_to(closed_port), None)).id)
    made = hanging(desk, "deployments", "create_deployment")
    async with asyncio.timeout(60), desk.running(desk.make(desk.config, LIMITS._replace(patience_s=0.2))) as service:
        asking = asyncio.create_task(service.remove(ADMIN, node, None, force=True))
        await made.reached.wait()
        wanted = request_to(closed_port)
        for order in (
            service.remove(ADMIN, other, None, force=True),
            service.remove(ADMIN, other, DeploymentOverrides(password="x"), force=False),
            service.install(ADMIN, wanted, None),
            service.install_many(ADMIN, [wanted], None),
            service.redeploy(ADMIN, other, DeploymentOverrides(password="x")),
            service.retry(ADMIN, failed.id, DeploymentOverrides(password="x")),
        ):
            with pytest.raises(StoreBusy):
                await order
        made.answers.set()
        assert (await asking).state == "succeeded"
        assert (await desk.store.nodes.node(ADMIN, other)).id == other
        assert len((await desk.store.deployments.deployments(ADMIN, 10)).items) == 2
        assert (await service.remove(ADMIN, other, None, force=True)).state == "succeeded"


async def test_a_confirmation_behind_a_hanging_one_is_refused(desk: Desk) -> None:
    row = await desk.store.deployments.create_deployment(ADMIN, new_row(NodeId("n" * 26)))
    made = hanging(desk, "deployments")
    progress = ProgressReporter(desk.store, desk.bus, SystemClock(), ADMIN, row, patience_s=0.2)
    waiting = asyncio.create_task(progress.confirm_host_key(describe(KEY)))
    await desk.until(row.id, lambda row: row.state == "awaiting_host_key")
    audit = AuditEntry(ADMIN.actor, "deployment.host_key", row.id, "done", {})
    made.commands.add("save_deployment")
    async with asyncio.timeout(60):
        first = asyncio.create_task(progress.confirm(HostKey(*describe(KEY)), audit))
        await made.reached.wait()
        with pytest.raises(StoreBusy):
            await progress.confirm(HostKey(*describe(KEY)), audit)
        made.answers.set()
        assert await first is not None
        assert await waiting


async def test_deployments_of_a_killed_hub_fail_at_its_next_start(desk: Desk) -> None:
    node = await desk.store.nodes.create_node(ADMIN, NewNode(NodeId(new_random_id()), "half", "h"))
    wanted = new_row(node.id)
    wanted = transitions.step_started(
        transitions.step_done(transitions.step_started(wanted, "connect", 1.0), "connect", "", 2.0), "upload", 3.0
    )
    row = await desk.store.deployments.create_deployment(ADMIN, wanted)
    async with desk.running():
        row = await desk.end_of(row.id)
    assert row.error is not None
    assert (row.state, row.error.code, row.error.step, row.node_id) == ("failed", "hub_stopped", "upload", None)
    assert [step.state for step in row.steps].count("failed") == 1
    with pytest.raises(NotFound):
        await desk.store.nodes.node(ADMIN, node.id)


async def test_a_deployment_of_a_second_organisation_ends_there_after_a_killed_hub(desk: Desk) -> None:
    second = hub_scope(2)
    row = await desk.store.deployments.create_deployment(second, new_row(None)._replace(org=2))
    async with desk.running():
        row = await desk.end_of(row.id, second)
    assert (row.state, some(row.error).code) == ("failed", "hub_stopped")
    with pytest.raises(NotFound):
        await desk.store.deployments.deployment(ADMIN, row.id)


@pytest.mark.parametrize(
    ("step", "detail", "untouched"),
    [
        ("connect", "", True), ("host_key", "", True), ("authenticate", "", True), ("become_root", "", True), ("probe", "", True),
        ("probe", "installing python3 with apt-get", False), ("upload", "", False), ("verify", "", False),
    ],
)  # fmt: skip
async def test_a_deployment_of_a_killed_hub_states_whether_anything_changed(desk: Desk, step: str, detail: str, untouched: bool) -> None:
    wanted = new_row(None)
    for name in INSTALL_STEPS[: INSTALL_STEPS.index(step)]:
        wanted = transitions.step_done(transitions.step_started(wanted, name, 1.0), name, "done", 2.0)
    wanted = transitions.step_detail(transitions.step_started(wanted, step, 3.0), step, detail)
    row = await desk.store.deployments.create_deployment(ADMIN, wanted)
    async with desk.running():
        row = await desk.end_of(row.id)
    assert row.error is not None
    assert (row.error.code, row.error.step) == ("hub_stopped", step)
    assert ("before this had changed anything" in row.error.message) == untouched
    assert ("undoes the changes by itself" in row.error.message) != untouched


async def test_a_removal_is_retried_after_a_restart_with_stored_credentials(desk: Desk, request_to: Requests) -> None:
    async with serving(KEY) as (port, seen):
        node = await node_with(desk, request_to(port, username="kept"))
        for given, login in ((None, "begin kept"), (DeploymentOverrides(username="ops"), "begin ops")):
            async with desk.running(desk.make(Config())) as service:
                row = await desk.end_of((await service.remove(ADMIN, node, given, force=False)).id)
            async with desk.running(desk.make(Config())) as service:
                if given is not None:
                    with pytest.raises(CredentialsRequired):
                        await service.retry(ADMIN, row.id, None)
                seen.clear()
                await service.retry(ADMIN, row.id, given and DeploymentOverrides(password="x"))
                row = await desk.end_of(row.id)
            assert some(row.error).code in ("key_rejected", "password_rejected")
            assert seen[0] == login


async def test_overrides_are_validated_before_credentials_are_required(desk: Desk, request_to: Requests, closed_port: int) -> None:
    node = await node_with(desk, request_to(closed_port))
    async with desk.running() as service:
        row = await desk.end_of((await service.install(ADMIN, request_to(closed_port, name="a"), None)).id)
        for given in (DeploymentOverrides(host=""), DeploymentOverrides(host="\x1b[31m"), DeploymentOverrides(port=0)):
            field = "port" if given.host is None else "host"
            for asked in (
                service.retry(ADMIN, row.id, given),
                service.redeploy(ADMIN, node, given),
                service.remove(ADMIN, node, given, False),
            ):
                with pytest.raises(BadRequest) as caught:
                    await asked
                assert caught.value.detail["field"] == field
        with pytest.raises(CredentialsRequired, match="another server"):
            await service.retry(ADMIN, row.id, DeploymentOverrides(host="localhost"))


async def test_more_open_deployments_than_the_limit_are_refused(desk: Desk, request_to: Requests) -> None:
    small = desk.make(desk.config, LIMITS._replace(open=1))
    async with serving(KEY) as (port, _), serving(KEY) as (other, _), desk.running(small) as service:
        first = await service.install(ADMIN, request_to(port), "k1")
        with pytest.raises(Unavailable):
            await service.install(ADMIN, request_to(other, name="b"), None)
        assert (await service.install(ADMIN, request_to(port), "k1")).id == first.id
