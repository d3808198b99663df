"""The command line against a real hub: its output and errors for programs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import select
import shlex
import signal
import subprocess
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from spider.wire.ids import is_id
from spider.wire.job_messages import JobDone, JobOutput, JobStart
from spider.wire.joining import read_invite
from tests.support.agent import TestAgent, agents
from tests.support.command import command, piped, said_by
from tests.support.fork_server import FORK_SERVER
from tests.support.hub import PASSWORD, ROOT, SECRET, HubProcess
from tests.support.job_messages import LINE, ended
from tests.support.left_rollout import OWNER, left_rollout

LIMIT_S = 60


def stardust(hub: HubProcess, *words: str) -> tuple[int, Any, Any]:
    """Exit status, and what stands on both outputs as JSON."""
    done = command(hub.folder, *words, "--json")
    return done.returncode, json.loads(done.stdout or "null"), json.loads(done.stderr or "null")


async def test_answers_go_to_stdout_and_errors_to_stderr(shared_hub: HubProcess) -> None:
    async def run(*words: str) -> tuple[int, Any, Any]:
        return await asyncio.to_thread(stardust, shared_hub, *words)

    status, listed, nothing = await run("logs", "--limit", "500")
    assert (status, nothing) == (0, None)
    assert isinstance(listed["events"], list)
    for words, code in (
        (("jobs", "--node", "nobody"), "selector.nothing"),
        (("user", "role", "nobody", "viewer"), "not_found"),
        (("user", "add", "x y\x1b[31m"), "request.invalid"),
        (("token", "new", "ci", "--days", "0"), "request.invalid"),
        (("logs", "--url", "https://hub.example"), "command.failed"),
    ):
        status, answer, told = await run(*words)
        assert (status, answer) == (3 if code == "selector.nothing" else 1, None), words
        assert told["error"]["code"] == code
        assert told["error"]["message"].isprintable()


def test_a_hub_that_cannot_start_says_so_in_json(shared_hub: HubProcess) -> None:
    status, answer, told = stardust(shared_hub, "serve", "--port", "0")
    assert (status, answer, told["error"]["code"]) == (78, None, "config.invalid")
    assert "STARDUST_SECRET" in told["error"]["message"]


def test_a_file_in_the_place_of_the_data_folder_is_reported_as_one(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    ended = command(tmp_path / "data", "serve", "--port", "0", env={"STARDUST_SECRET": SECRET, "STARDUST_ALLOW_VOLATILE": "yes"})
    assert (ended.returncode, ended.stderr) == (78, f"stardust: the data folder {tmp_path / 'data'} is not a folder\n")


def test_the_join_command_contains_the_invite_and_the_short_line_does_not(shared_hub: HubProcess) -> None:
    done = command(shared_hub.folder, "invite", "--name", "web-1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    pasted = [line for line in lines if not line.startswith("#")]
    assert pasted[-1] == "EOF", "the output as a whole can be pasted, or given to a shell"
    assert read_invite(pasted[-2]).urls
    assert subprocess.run(["sh", "-n"], input=done.stdout, text=True, timeout=30, check=False).returncode == 0
    words = shlex.split(lines[-1].removeprefix("# "))
    assert (words[:2], len(words), "stardust1." in lines[-1]) == (["sh", "-c"], 3, False)
    secret = command(shared_hub.folder, "invite", "--organisation", "--name", "cloud").stdout.splitlines()
    assert read_invite(secret[-1]).urls
    assert not any("install.sh" in line for line in secret if not line.startswith("#"))


def test_a_file_of_rules_is_checked_and_applied_as_a_whole(shared_hub: HubProcess, tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    _, exported, _ = stardust(shared_hub, "rules", "export")
    [load] = [rule for rule in exported["rules"] if rule["id"] == "cpu.load"]

    def applied(*given: dict[str, Any], dry_run: bool = False) -> subprocess.CompletedProcess[str]:
        rules.write_text(json.dumps({"rules": given}))
        return command(shared_hub.folder, "rules", "apply", str(rules), *(["--dry-run"] if dry_run else []))

    faulty = applied(load | {"for_s": 60}, {"id": "cpu.steal", "for_s": -1}, {"name": "new"}, dry_run=True)
    assert (faulty.returncode, faulty.stdout) == (1, "")
    said = faulty.stderr.splitlines()
    assert "nothing was changed" in said[0]
    assert [line.partition(": ")[2].partition(":")[0] for line in said[1:]] == ["rule 2 (cpu.steal)", "rule 3 (new)"]
    assert "would change cpu.load: for_s 0.0 -> 60" in applied(load | {"for_s": 60}, dry_run=True).stdout
    assert "0 added, 0 changed, 1 are the same" in applied(load).stdout
    assert stardust(shared_hub, "rules", "apply", str(rules))[1]["rules"][0]["act"] == "keep"


async def test_one_command_orders_many_nodes_and_shows_each_result(shared_hub: HubProcess) -> None:
    nodes = await asyncio.to_thread(shared_hub.enrol, "cli-a", "cli-b")
    for node in nodes:
        assert (await shared_hub.call("PATCH", f"/api/v1/nodes/{node.node_id}", {"tags": ["cli"]})).status == 200

    async def play(agent: TestAgent, state: str) -> None:
        start = await agent.expect(JobStart, LIMIT_S)
        await agent.say(JobOutput(start.job, 0, 0, LINE), ended(start.job, LINE, state=state, exit_code=int(state == "failed")))
        await agent.expect(JobDone)

    async with agents(shared_hub, *nodes) as joined:
        for agent in joined:
            await agent.join()
        played = [asyncio.create_task(play(agent, state)) for agent, state in zip(joined, ("succeeded", "failed"), strict=True)]
        status, batch, nothing = await asyncio.to_thread(stardust, shared_hub, "run", "check", "--tag", "cli")
        await asyncio.gather(*played)
    assert (status, nothing) == (5, None), "one of them failed"
    assert (batch["state"], batch["counts"]) == ("done", {"succeeded": 1, "failed": 1})
    job = next(job for job in batch["jobs"] if job["state"] == "succeeded")
    status, shown, _ = await asyncio.to_thread(stardust, shared_hub, "jobs", job["id"])
    assert (status, shown["output_bytes"], shown["plan_told"], shown["batch_id"]) == (0, len(LINE), None, batch["id"])
    status, _, told = await asyncio.to_thread(stardust, shared_hub, "cancel", job["id"])
    assert (status, told["error"]["code"]) == (6, "job.not_cancellable")
    status, waiting, _ = await asyncio.to_thread(stardust, shared_hub, "run", "check", "--node", "cli-a", "--node", "cli-b", "--no-wait")
    assert (status, waiting["counts"]) == (0, {"queued": 2})
    status, stopped, _ = await asyncio.to_thread(stardust, shared_hub, "cancel", waiting["id"])
    assert (status, stopped["counts"]) == (0, {"cancelled": 2})
    status, _, told = await asyncio.to_thread(stardust, shared_hub, "cancel", "nothing")
    assert (status, told["error"]) == (1, {"code": "not_found", "message": "there is neither a job nor a batch with this id"})
    for words in (("--tag", "nobody-has-this"), ("--node", "nobody")):
        status, _, told = await asyncio.to_thread(stardust, shared_hub, "run", "check", *words)
        assert (status, told["error"]["code"]) == (3, "selector.nothing")


def test_an_order_for_an_offline_node_says_that_it_waits(shared_hub: HubProcess) -> None:
    shared_hub.enrol("cli-away", "cli-gone")
    for node, words, action in (("cli-away", ("run", "check"), "check"), ("cli-gone", ("rekey",), "rekey")):
        told = command(shared_hub.folder, *words, node, "--no-wait")
        assert told.returncode == 0, told
        assert told.stderr.endswith(f": {action} on {node} (waits for {node}, which is not connected)\n")
        status, job, nothing = stardust(shared_hub, *words, node, "--no-wait")
        assert (status, job["action"], nothing) == (0, action, None)


def test_a_node_name_given_as_a_package_gets_a_hint(shared_hub: HubProcess) -> None:
    shared_hub.enrol("cli-mail", "cli-backup")
    for words in (("full-upgrade",), ("--for", "full-upgrade", "plan")):
        status, answer, told = stardust(shared_hub, "run", *words, "cli-mail", "cli-backup")
        assert (status, answer, told["error"]) == (
            1,
            None,
            {"code": "request.invalid", "message": "full-upgrade takes no packages: leave them out; name further nodes with --node"},
        )
    told = command(shared_hub.folder, "run", "upgrade", "cli-mail", "nginx", "cli-backup", "--no-wait")
    assert told.returncode == 0, told
    first, ordered = told.stderr.splitlines()
    assert first == "cli-backup counts as a package, although a node has this name: name further nodes with --node"
    assert "upgrade on cli-mail" in ordered


@pytest.mark.parametrize("how", ["killed", pytest.param("stopped", marks=pytest.mark.slow)])
async def test_a_job_is_followed_over_a_restart_of_the_hub(how: str, tmp_path: Path) -> None:
    """Every byte is shown once, and the command ends as the job does."""
    output = b"".join(b"line %06d of a long upgrade\r\n" % number for number in range(9000))
    half = len(output) // 2
    with HubProcess(tmp_path / "hub") as hub:
        [node] = await asyncio.to_thread(hub.enrol, "web-1")
        async with agents(hub, node) as [agent]:
            await agent.join()
            run, printed, errors = await asyncio.to_thread(piped, hub.folder, "run", "upgrade", "web-1")
            try:
                start = await agent.expect(JobStart, LIMIT_S)
                for at in range(0, half, 32_768):
                    await agent.say(JobOutput(start.job, at, 0, output[at : min(half, at + 32_768)]))
                shown = await asyncio.to_thread(printed.read, half - 20_000)
                await (hub.kill() if how == "killed" else hub.stop())
                status = await asyncio.to_thread(command, hub.folder, "status")
                assert (status.returncode, run.poll()) == (4, None)
                told = b""
                while b"trying again for up to 10 min" not in told:
                    line = await asyncio.to_thread(errors.readline)
                    assert line, told
                    told += line
                await hub.start()
            except BaseException:
                run.kill()
                raise
        async with agents(hub, node) as [agent]:
            agent.known_jobs = [start.job]
            await agent.join()
            held = len(await asyncio.to_thread(hub.job_output, start.job))
            for at in range(held, len(output), 32_768):
                await agent.say(JobOutput(start.job, at, 0, output[at : at + 32_768]))
            await agent.say(ended(start.job, output))
            await agent.expect(JobDone, LIMIT_S)
            rest = await asyncio.to_thread(printed.read)
            told += await asyncio.to_thread(errors.read)
            assert (run.wait(LIMIT_S), shown + rest) == (0, output), told
            printed.close()
            errors.close()
        assert b"the hub answers again" in told
        again = await asyncio.to_thread(command, hub.folder, "jobs", "follow", start.job)
        assert (again.returncode, again.stdout.encode()) == (0, output), again.stderr


async def test_a_job_ordered_without_waiting_can_be_followed_later(shared_hub: HubProcess) -> None:
    [node] = await asyncio.to_thread(shared_hub.enrol, "cli-later")

    async def run(*words: str) -> tuple[int, Any, Any]:
        return await asyncio.to_thread(stardust, shared_hub, *words)

    ordered = []
    for nodes in (["cli-later"], ["--node", "cli-later", "--node", node.node_id, "--node", node.node_id]):
        done = await asyncio.to_thread(command, shared_hub.folder, "run", "check", *nodes, "--no-wait")
        assert done.returncode == 0, done
        assert is_id(done.stdout.removesuffix("\n")), "the id alone, for $(…)"
        assert done.stderr, "progress stands apart"
        ordered.append(done.stdout.strip())
    async with agents(shared_hub, node) as [agent]:
        await agent.join()
        for _ in ordered:
            start = await agent.expect(JobStart, LIMIT_S)
            await agent.say(JobOutput(start.job, 0, 0, LINE), ended(start.job, LINE, state="failed", exit_code=1))
            await agent.expect(JobDone, LIMIT_S)
    job, batch = ordered
    status, followed, nothing = await run("jobs", "follow", job)
    assert (status, followed["id"], followed["state"], nothing) == (1, job, "failed", None)
    status, followed, nothing = await run("jobs", "follow", batch)
    assert (status, followed["id"], followed["counts"], nothing) == (5, batch, {"failed": 1}, None)
    for unknown in ("nothing", node.node_id):
        status, _, told = await run("jobs", "follow", unknown)
        assert (status, told["error"]["code"]) == (1, "not_found")


async def test_ctrl_c_ends_the_command_and_says_how_to_follow_the_job_again(shared_hub: HubProcess) -> None:
    await asyncio.to_thread(shared_hub.enrol, "cli-left")
    run, printed, errors = await asyncio.to_thread(piped, shared_hub.folder, "run", "check", "cli-left")
    with printed, errors:
        ordered = (await asyncio.to_thread(errors.readline)).decode()
        run.send_signal(signal.SIGINT)
        told = await asyncio.to_thread(errors.read)
    job = ordered.removeprefix("job ").partition(":")[0]
    assert run.wait(LIMIT_S) == 130
    assert told.decode() == f"stardust: what was ordered continues without this command; follow it again with: stardust jobs follow {job}\n"
    assert (await asyncio.to_thread(shared_hub.job, job))["state"] == "queued"


class Terminal:
    """The screen of a command that runs on a terminal of its own."""

    def __init__(self, hub: HubProcess, *words: str) -> None:
        self.shown = ""
        self._fd, theirs = pty.openpty()
        env = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        termios.tcsetwinsize(theirs, (24, 80))
        argv = [*words, "--data-dir", str(hub.folder)]
        self.process = FORK_SERVER.attach(argv, env=env, cwd=ROOT, standard=(theirs, theirs, theirs))
        os.close(theirs)

    def modes(self) -> list[Any]:
        """The settings of the terminal: echo, whole lines, signals …"""
        return termios.tcgetattr(self._fd)

    def until(self, text: str) -> None:
        """Read until this text has stood there after the last one."""
        at = len(self.shown)
        ends_at = time.monotonic() + LIMIT_S
        while text not in self.shown[at:]:
            assert time.monotonic() < ends_at, self.shown
            if select.select([self._fd], [], [], 1.0)[0]:
                self.shown += os.read(self._fd, 4096).decode(errors="replace")

    def type(self, text: bytes) -> None:
        os.write(self._fd, text)

    def end(self) -> int:
        """Wait for the end of the command."""
        with contextlib.suppress(OSError):  # EIO: it has ended
            while piece := os.read(self._fd, 4096):
                self.shown += piece.decode(errors="replace")
        os.close(self._fd)
        return self.process.wait(LIMIT_S)


async def test_a_command_that_is_ended_leaves_the_terminal_as_it_was(shared_hub: HubProcess) -> None:
    nodes = await asyncio.to_thread(shared_hub.enrol, "end-a", "end-b")
    async with agents(shared_hub, *nodes) as joined:
        for agent in joined:
            await agent.join()
        screen = Terminal(shared_hub, "run", "check", "end-*", "--yes")
        before = screen.modes()
        await asyncio.to_thread(screen.until, "Ctrl-C leave")
        assert screen.modes() != before
        screen.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(screen.process.wait, LIMIT_S) == 130
        assert screen.modes() == before
        assert await asyncio.to_thread(screen.end) == 130


async def test_the_output_of_many_nodes_scrolls_above_a_live_block_and_ctrl_c_leaves_twice(shared_hub: HubProcess) -> None:
    nodes = await asyncio.to_thread(shared_hub.enrol, "live-a", "live-bb")
    async with agents(shared_hub, *nodes) as joined:
        for agent in joined:
            await agent.join()
        screen = Terminal(shared_hub, "run", "check", "live-*", "--yes")
        for agent, line in zip(joined, (b"one\r\ntwo\rthree\r\n", b"\x1b]0;title\x07four\n"), strict=True):
            start = await agent.expect(JobStart, LIMIT_S)
            await agent.say(JobOutput(start.job, 0, 0, line))
        await asyncio.to_thread(screen.until, "Ctrl-C leave")
        for wanted in ("live-a   │ one", "live-a   │ three", "live-bb  │ four"):
            if wanted not in screen.shown:
                await asyncio.to_thread(screen.until, wanted)
        screen.process.send_signal(signal.SIGINT)
        await asyncio.to_thread(screen.until, "the jobs go on without this terminal")
        screen.process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(screen.end) == 130
    assert "title" not in screen.shown
    assert "follow it again with: stardust jobs follow" in screen.shown


async def test_a_node_is_deployed_again_by_one_command(shared_hub: HubProcess, tmp_path: Path) -> None:
    [node] = await asyncio.to_thread(shared_hub.enrol, "cli-again")
    status, answer, told = await asyncio.to_thread(stardust, shared_hub, "redeploy", "cli-again")
    assert (status, answer, told["error"]["code"]) == (6, None, "credentials_required")
    key = tmp_path / "key"
    key.write_text("no key at all\n")
    asked = ("--host", "127.0.0.1", "--port", "9", "--username", "root", "--key", str(key), "--forget-credentials")
    status, answer, told = await asyncio.to_thread(stardust, shared_hub, "redeploy", node.node_id, *asked)
    assert (status, told) == (1, None)
    assert (answer["state"], answer["again"], answer["node_id"], answer["error"]["code"]) == (
        "failed",
        True,
        node.node_id,
        "key_unreadable",
    )
    status, answer, told = await asyncio.to_thread(stardust, shared_hub, "redeploy", "cli-again", "--key", str(tmp_path / "none"))
    assert (status, answer, told["error"]["code"]) == (1, None, "command.failed")


def typed(hub: HubProcess, *words: str, answer: bytes) -> tuple[int, str]:
    """Run the command on a terminal, and answer its question. Returns: its status, and all that stood there."""
    screen = Terminal(hub, *words)
    screen.until("Type yes")
    screen.type(answer)
    return screen.end(), screen.shown


def test_a_node_is_removed_by_one_command_after_a_confirmation(shared_hub: HubProcess) -> None:
    nodes = shared_hub.enrol("cli-gone-a", "cli-gone-b", "cli-gone-c")

    def left() -> set[str]:
        return {node["name"] for node in shared_hub.local("GET", "/api/v1/nodes").json["nodes"] if node["name"].startswith("cli-gone-")}

    for words, told in (
        (("remove", "cli-gone-a", "--forget"), "without a terminal give --yes"),
        (("remove", "--yes"), "required: NODE"),
        (("remove", "cli-gone-a", "--yes", "--forget", "--username", "root"), "leave the flags for the log-in out"),
        (("remove", "cli-gone-a", "cli-gone-b", "--yes", "--username", "root"), "one node at a time"),
        (("remove", "--tag", "x", "cli-gone-a", "--yes"), "unrecognized arguments: --tag"),
        (("list", "--forget"), "unrecognized arguments: --forget"),
    ):
        status, answer, error = stardust(shared_hub, "nodes", *words)
        assert (status, answer, error["error"]["code"]) == (2, None, "command.usage"), words
        assert told in error["error"]["message"]
    status, _, error = stardust(shared_hub, "nodes", "remove", "cli-gone-a", "--yes")
    assert (status, error["error"]["code"]) == (1, "credentials_required"), "its server is not said to be clean when nobody was there"
    assert "--forget" in error["error"]["message"]
    status, answer, error = stardust(shared_hub, "nodes", "remove", "cli-gone-a", "cli-gone-b", "--yes")
    assert (status, error, answer["deployments"]) == (5, None, [])
    assert [(one["node_id"], one["code"]) for one in answer["refused"]] == [(node.node_id, "credentials_required") for node in nodes[:2]]
    status, screen = typed(shared_hub, "nodes", "remove", "cli-gone-a", "--forget", answer=b"no\n")
    assert (status, "nothing was removed" in screen, left()) == (1, True, {"cli-gone-a", "cli-gone-b", "cli-gone-c"})
    assert "Spider stays on its server" in screen
    status, screen = typed(shared_hub, "nodes", "remove", "cli-gone-a", "--forget", answer=b"yes\n")
    assert (status, left()) == (0, {"cli-gone-b", "cli-gone-c"}), screen
    assert "cli-gone-a: deleted" in screen
    status, answer, error = stardust(shared_hub, "nodes", "remove", "cli-gone-b", nodes[2].node_id, "--forget", "--yes")
    assert (status, error, left()) == (0, None, set())
    assert [(row["kind"], row["forced"], row["state"]) for row in answer["deployments"]] == [("remove", True, "succeeded")] * 2


def test_a_killed_hub_is_reported_as_not_running_despite_its_socket(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        hub.slay()
        assert (hub.folder / "control.sock").exists()
        ended = command(hub.folder, "status")
        assert ended.returncode == 4
        assert ended.stderr.startswith(f"stardust: no hub answers in the data folder {hub.folder}: it is stopped or starting:")
        assert "stardust serve" not in ended.stderr, "a second hub is not the remedy"


def test_the_command_line_shows_hub_nodes_and_jobs(hub: HubProcess) -> None:
    hub.enrol("web-1", "web-2")
    assert "ok" in said_by(hub, "status")
    assert json.loads(said_by(hub, "s", "--json"))["nodes"] == {"online": 0, "reconnecting": 0, "offline": 0, "pending": 2}
    listed = said_by(hub, "nodes")
    assert "web-1" in listed
    assert "pending" in listed
    assert [node["name"] for node in json.loads(said_by(hub, "n", "--json", "--state", "pending"))["nodes"]] == ["web-1", "web-2"]
    assert "there is no node" in said_by(hub, "run", "check", "web-9", status=3)
    job = json.loads(said_by(hub, "run", "--json", "--no-wait", "check", "web-1"))
    assert job["state"] == "queued"
    assert job["id"] in said_by(hub, "jobs")
    assert json.loads(said_by(hub, "jobs", "--json", "--node", "web-1"))["jobs"][0]["created_by"] == f"local:{os.geteuid()}"
    said_by(hub, "logs")


def test_nodes_are_selected_shown_and_changed(shared_hub: HubProcess) -> None:
    shared_hub.enrol("sel-web-1", "sel-web-2", "sel-db")

    def run(*words: str, status: int = 0) -> Any:
        ended, answer, error = stardust(shared_hub, *words)
        assert ended == status, (words, answer, error)
        return answer if answer is not None else error["error"]

    def listed(*selectors: str) -> list[str]:
        return sorted(node["name"] for node in run("nodes", *selectors)["nodes"] if node["name"].startswith("sel-"))

    assert listed("sel-web-*") == ["sel-web-1", "sel-web-2"]
    assert listed("sel-db,sel-web-1") == listed("list", "sel-db", "sel-web-[1]") == ["sel-db", "sel-web-1"]
    assert listed("*") == listed("state:pending") == ["sel-db", "sel-web-1", "sel-web-2"]
    run("nodes", "tag", "sel-web-*", "--add", "sel", "--add", "later")
    run("nodes", "tag", "tag:sel", "--remove", "later")
    assert listed("tag:sel") == ["sel-web-1", "sel-web-2"]
    run("nodes", "note", "sel-db", "--text", "in the cellar")
    [placed] = run("nodes", "location", "sel-db", "--text", "home")["nodes"]
    assert placed["location"] == {"location": "home", "by": "user"}
    [placed] = run("nodes", "location", "sel-db", "--text", "")["nodes"]
    assert placed["location"] is None
    run("nodes", "rename", "sel-db", "sel-store")
    [node] = run("nodes", "show", "sel-store")["nodes"]
    assert (node["name"], node["note"]) == ("sel-store", "in the cellar")
    assert "in the cellar" in said_by(shared_hub, "nodes", "show", "sel-store")
    for words, status, code in (
        (("nodes", "sel-x*"), 3, "selector.nothing"),
        (("nodes", ""), 2, "command.usage"),
        (("nodes", "show", "sel-store,"), 2, "command.usage"),
        (("run", "check", "sel-web-*"), 2, "command.usage"),
        (("nodes", "rename", "sel-web-*", "x"), 2, "command.usage"),
    ):
        assert run(*words, status=status)["code"] == code, words
    assert [job["state"] for job in run("run", "check", "sel-web-*", "--yes", "--no-wait")["jobs"]] == ["queued"] * 2

    window = run("maintenance", "start", "tag:sel", "--for", "30m", "--reason", "new disks")
    assert (window["select"]["tags"], window["active"]) == (["sel"], True)
    assert "new disks" in said_by(shared_hub, "maintenance")
    run("maintenance", "end", window["id"])
    run(
        "deadlines",
        "add",
        "sel backup",
        "sel-store",
        "--event",
        "backup_completed",
        "--by",
        "05:00",
        "--zone",
        "Europe/Budapest",
        "--day",
        "mon",
    )
    assert "05:00 Europe/Budapest" in said_by(shared_hub, "deadlines")
    assert "DATE" in said_by(shared_hub, "deadlines", "days", "sel backup")
    run("deadlines", "remove", "sel backup")
    assert "sel backup" not in said_by(shared_hub, "deadlines")


def test_a_lost_password_is_reset_on_the_hubs_machine(hub: HubProcess) -> None:
    before = hub.login()
    made = json.loads(said_by(hub, "user", "--json", "reset", "admin"))
    assert hub.request("GET", "/api/v1/auth/me", token=before.token).status == 401
    hub.login(password=made["password"])
    assert hub.request("POST", "/api/v1/auth/login", {"username": "admin", "password": PASSWORD}).status == 401
    assert "no user" in said_by(hub, "user", "reset", "nobody", status=1)


def test_without_a_hub_the_command_says_so(tmp_path: Path) -> None:
    nobody = HubProcess(tmp_path / "none")
    for verb in ("status", "nodes", "jobs", "logs"):
        told = said_by(nobody, verb, status=4)
        assert "no hub" in told
        assert "Traceback" not in told
    assert "no verb" in said_by(nobody, "launch", status=2)
    assert "serve" in said_by(nobody, "help")
    for verb in ("serve", "status", "nodes", "run", "jobs", "logs", "user"):
        assert "--" in said_by(nobody, "help", verb)
        assert said_by(nobody, verb, "--help")


async def test_events_are_followed_as_they_come(shared_hub: HubProcess) -> None:
    run, printed, errors = await asyncio.to_thread(piped, shared_hub.folder, "logs", "--follow", "--limit", "1")
    with printed, errors:
        try:
            latest = await asyncio.to_thread(printed.readline)
            assert latest.split()[2] in (b"info", b"warning", b"error")
            told = {"type": "backup_failed", "message": "a reading for cli-followed"}
            assert (await shared_hub.call("POST", "/api/v1/events", told)).status == 202
            lines = [await asyncio.to_thread(printed.readline)]
            while b"cli-followed" not in lines[-1]:
                lines.append(await asyncio.to_thread(printed.readline))
                assert lines[-1], errors.read()
            run.send_signal(signal.SIGINT)
            rest = await asyncio.to_thread(printed.read)
        except BaseException:
            run.kill()
            raise
        assert (run.wait(LIMIT_S), errors.read()) == (130, b"")
    assert sum(b"a reading for cli-followed" in line for line in [*lines, *rest.splitlines()]) == 1, "each event once"


def test_policies_roll_outs_and_the_patch_status_have_verbs(hub: HubProcess, tmp_path: Path) -> None:
    [node] = hub.enrol("patch-1")
    file, bad = tmp_path / "policies.json", tmp_path / "bad.json"
    wrong: list[dict[str, Any]] = []
    policy: dict[str, Any] = {
        "name": "nights",
        "select": {"all": True},
        "when": {"weekly": ["tue"]},
        "start": "02:30",
        "length_s": 7200,
        "zone": "UTC",
    }
    file.write_text(json.dumps({"policies": [policy]}))

    def run(*words: str, status: int = 0) -> Any:
        ended, answer, error = stardust(hub, *words)
        assert ended == status, (words, answer, error)
        return answer if answer is not None else error["error"]

    assert [one["act"] for one in run("policy", "apply", str(file))["policies"]] == ["add"]
    assert [one["name"] for one in run("policy", "list")["patch_policies"]] == ["nights"]
    file.write_text(json.dumps(run("policy", "export")))
    assert [one["act"] for one in run("policy", "apply", str(file), "--dry-run")["policies"]] == ["keep"]
    bad_fields: tuple[dict[str, Any], ...] = (
        {"select": {}}, {"zone": "Mars/Base"}, {"length_s": 900}, {"leave_out": ["a*"], "only": ["a*"]},
        {"leave_out": ["post*"], "only": ["postgresql"]}, {"before": [{"name": "../x"}]},
    )  # fmt: skip
    for fields in bad_fields:
        wrong.append({**policy, "name": f"wrong {len(wrong)}", **fields})
    bad.write_text(json.dumps({"policies": wrong}))
    assert run("policy", "apply", str(bad), "--dry-run", status=1)["code"] == "request.invalid"
    faults = command(hub.folder, "policy", "apply", str(bad)).stderr.splitlines()[-len(wrong) :]
    for fault, words in zip(
        faults, ("empty selection", "time zone", "nothing could ever start", "both name a*", "leaves no package", "not the name of an action"),
        strict=True,
    ):  # fmt: skip
        assert words in fault, faults
    assert [one["name"] for one in run("policy", "list")["patch_policies"]] == ["nights"], "nothing half-started"
    bad.write_text(json.dumps({"policies": [{**policy, "name": "gone", "select": {"tags": ["gone"]}, "only": ["nothing-*"]}]}))
    run("policy", "apply", str(bad))
    assert {"no_node"} <= {one["code"] for one in run("policy", "show", "gone")["warnings"]}
    assert run("policy", "show", "gone", "--node", "patch-1", status=3)["message"] == "gone does not select patch-1"
    assert run("policy", "run", "gone", status=1)["message"] == "this patch policy selects no server now"
    assert "no node 'tag:gone'" in run("rollout", "plan", "upgrade", "--tag", "gone", status=3)["message"]
    assert run("rollout", "plan", "upgrade", status=1)["code"] == "request.invalid"
    assert hub.local("DELETE", f"/api/v1/patch-policies/{run('policy', 'list')['patch_policies'][0]['id']}").status == 204
    assert [one["node_id"] for one in run("policy", "show", "nights")["held"]] == [node.node_id]
    assert "held: patch-1: " in said_by(hub, "policy", "show", "nights")
    assert run("policy", "show", "--node", "patch-1")["policies"] == ["nights"]
    assert [one["node_id"] for one in run("policy", "show", "nights", "--node", "patch-1")["held"]] == [node.node_id]
    assert run("policy", "run", "days", status=1)["code"] == "not_found"
    made = run("policy", "run", "nights")
    assert [one["id"] for one in run("rollout", "list")["rollouts"]] == [made["id"]]
    deadline = time.monotonic() + LIMIT_S
    while (target := run("rollout", "show", made["id"])["targets"][0])["state"] != "held":
        assert time.monotonic() < deadline, target
    assert (target["name"], target["why"]) == ("patch-1", "not_joined")
    assert f"({made['id']})" in said_by(hub, "rollout", "show", made["id"])
    assert run("rollout", "pause", made["id"])["state"] == "paused"
    assert run("rollout", "go-on", made["id"], "--reason", "the node joins later")["state"] == "running"
    assert run("rollout", "go-on", made["id"], status=2)["code"] == "command.usage"
    run("rollout", "stop", made["id"])
    assert run("rollout", "watch", made["id"], status=1)["state"] == "stopped"
    rest = run("rollout", "retry-rest", made["id"])
    assert (rest["parent_id"], rest["state"]) == (made["id"], "waiting")
    run("rollout", "stop", rest["id"])

    left = left_rollout(hub)
    assert "an admin takes it over" in said_by(hub, "rollout", "show", left)
    taken = run("rollout", "take-over", left)
    assert (taken["state"], taken["owner"] == OWNER) == ("paused", False), taken
    assert run("rollout", "resume", left)["state"] in ("waiting", "running")
    run("rollout", "stop", left)
    assert run("rollout", "take-over", left, status=6)["code"] == "conflict"

    assert run("policy", "take-over", "nights")["version"] == 2
    assert run("policy", "approve", "nights", status=6)["code"] == "conflict"

    frozen = run("window", "freeze", "--reason", "the shop burns")
    assert [(one["id"], one["kind"], one["open"]) for one in run("window", "list")["windows"]] == [(frozen["id"], "freeze", True)]
    assert "the shop burns" in said_by(hub, "window")
    assert run("run", "upgrade", "patch-1", "--no-wait", status=6)["code"] == "node.frozen"
    assert run("run", "upgrade", "patch-1", "--no-wait", "--override-freeze", "a hole in sshd")["state"] == "queued"
    assert run("window", "end", "freezes") == {"ended": [frozen["id"]]}
    assert run("window", "open", "patch-1", "--for", "2d", "--reason", "x", status=1)["code"] == "request.invalid"
    opened = run("window", "open", "patch-1", "--for", "30m", "--reason", "before the fair")
    assert (opened["until_at"] - opened["began_at"], opened["select"]["nodes"]) == (1800, [node.node_id])
    run("window", "end", opened["name"])
    assert [(one["name"], one["in_time"]) for one in run("patch-status", "--late")["nodes"]] == [("patch-1", "unknown")]
    assert "0 of 0 nodes with fresh lists are in time; 1 have none" in said_by(hub, "patch-status")
