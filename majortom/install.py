"""Installs the agent on a server: runs a plan step by step, and rolls back if a step fails."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, NamedTuple

from majortom.errors import failure, one_line
from majortom.interfaces import DeployError, HostKey, Payload, Reporter, Target, VerifySession
from majortom.plan import InstallPlan, check_open, plan_install, upload_files, with_launcher
from majortom.probe import Probe, parse_probe, summary
from majortom.ssh import shell, upload
from majortom.ssh.connect import Connector, Limits
from majortom.ssh.login_steps import LoginContext, SetTimeLimit, Steps, await_shielded, log_in_again, log_in_as_root, prepare_login
from majortom.ssh.shell import ShellLogin
from spider.clock import Clock
from spider.logs import event

_log = logging.getLogger(__name__)

_OF_INIT: Final = re.compile(r"systemd|stardust-spider\.service: (?!Failed at)|(Started|Starting|Stopped|Stopping|Failed to start) ")
"""Log lines that the init system wrote about a unit, and not the unit itself."""
_NAMES_ERROR: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*(Error|Exception|Exit)(:|$)")
"""The line of a traceback that names the error. An interpreter that cannot start prints more lines after it."""
TAKEN_BACK: Final = "everything was taken back"
"""Begins the detail of a step in which a failed installation was rolled back completely."""

PayloadMaker = Callable[[Probe], Awaitable[Payload]]
"""Makes the node and its keys, after the probe has shown that the server allows an installation."""


class InstallOptions(NamedTuple):
    """The requested installation, known before the probe of the server."""

    hub_url: str
    """The URL that the server connects to, `ws://` or `wss://`."""
    tls_pinned: bool
    fleet: str
    install_python: bool
    name_of: Callable[[str], Awaitable[str | None]]
    """The name of the node with this id; None: the hub no longer has the node, so that its installation may be replaced."""
    node: str = ""
    """The node that is deployed again and replaces any agent on the server; empty: a new node."""
    proxy: str = ""
    """`http://host:port`, the proxy for the server's connection to the hub."""
    stopped: Callable[[], Awaitable[None]] | None = None
    """Called after the replaced agent has stopped: every later session belongs to the new agent."""
    finished: Callable[[HostKey], None] | None = None
    """Called with the server's key once the installation stays. Only the connection is closed after that; an error or a cancellation then
    undoes nothing."""


class InstallResult(NamedTuple):
    host_key: HostKey
    probe: Probe


class _Traces:
    """The changes of an installation on the server so far."""

    def __init__(self) -> None:
        self.folder: str | None = None
        """The upload folder."""
        self.begun = False
        """The rollback timer was armed, so the server has a journal."""
        self.replaces = False
        """The server has a previous installation, which is stashed for the new one."""
        self.stash_requested = False
        """The server was asked to stash the previous installation. Before that, it is still in its place."""
        self.verified = False
        """The new agent has completed a session."""


class Installation:
    """One installation."""

    def __init__(
        self, connector: Connector, limits: Limits, clock: Clock, target: Target, options: InstallOptions, reporter: Reporter
    ) -> None:
        self._connector = connector
        self._limits = limits
        self._clock = clock
        self._target = target
        self._options = options
        self.steps = Steps(reporter)
        self._lifecycle_script = shell.script("replace.sh") + shell.script("lifecycle.sh")
        self._traces = _Traces()
        self._left = ""
        """What the rollback could not undo; empty: nothing."""

    async def run(self, make_payload: PayloadMaker, verify: VerifySession, set_time_limit: SetTimeLimit) -> InstallResult:
        """Install the agent. On return the agent is verified, which means that it has completed a session.

        After an error the server is rolled back to its former state. But a verified agent that replaces another one stays.
        Raises: DeployError: its text also says what the rollback could not undo.
        """
        async with prepare_login(self._connector, self._target, self.steps, set_time_limit) as context:
            return await self._run_in(context, make_payload, verify)

    async def _run_in(self, context: LoginContext, make_payload: PayloadMaker, verify: VerifySession) -> InstallResult:
        try:
            async with self._log_in_alone(context) as login:
                try:
                    probe = await self._install(login, make_payload, verify)
                    await self._finish(context, login)
                    if self._options.finished is not None:
                        self._options.finished(context.reached.key)
                except BaseException as exc:
                    if await self._roll_back(context, login):
                        raise
                    raise self._incomplete_rollback(exc) from exc
        except ConnectionError:
            raise failure("connection_lost", self.steps.now) from None
        return InstallResult(context.reached.key, probe)

    @contextlib.asynccontextmanager
    async def _log_in_alone(self, context: LoginContext) -> AsyncIterator[ShellLogin]:
        with self._connector.alone(context.reached, self._target.port):
            async with log_in_as_root(self._connector, context, self.steps, self._limits) as login:
                yield login

    async def _install(self, login: ShellLogin, make_payload: PayloadMaker, verify: VerifySession) -> Probe:
        steps, limits = self.steps, self._limits
        async with steps.step("probe") as closing:
            probe = await self._probe(login)
            closing.append(summary(probe, self._clock.now()))
            plan, probe = await self._prepare(login, await self._plan(probe), probe)
            if plan.clean == "stash":
                closing.append(_replaces(probe, self._options))
        payload = await make_payload(probe)
        launcher = "yes" if with_launcher(payload.policy_conf) else "no"
        files = upload_files(payload, shell.units(), probe)
        async with steps.step("upload") as closing:
            await self._arm(login, limits.rollback_s, plan)
            folder = self._traces.folder = await upload.make_folder(login, limits.step_s)
            await shell.send(login, folder, files, "upload", limits.step_s)
            closing.append(f"{len(files)} files, {sum(map(len, files.values())) // 1024} KiB")
        async with steps.step("install") as closing:
            if plan.clean == "stash":
                await self._stash(login, plan)
            words = ["install", folder, _digest(files["manifest"]), payload.version, launcher, payload.replaced_policy]
            answer = await shell.run(login, self._lifecycle_script, words, "install", limits.step_s, receive_note=steps.detail)
            closing += ["with the launcher" if launcher == "yes" else "for watching only: no launcher", *answer.notes]
        async with steps.step("start"):
            await shell.run(login, self._lifecycle_script, ["start", launcher], "start", limits.step_s)
        async with steps.step("verify") as closing:
            began = self._clock.monotonic()
            try:
                await verify(limits.verify_s)
            except TimeoutError:
                raise await self._no_session(login) from None
            closing.append(f"Agent connected after {self._clock.monotonic() - began:.1f} s")
        self._traces.verified = True
        return probe

    async def _stash(self, login: ShellLogin, plan: InstallPlan) -> None:
        self._traces.stash_requested = True
        await shell.run(login, self._lifecycle_script, ["stash", *plan.kept_folders], "install", self._limits.step_s)
        if self._options.stopped is not None:
            await self._options.stopped()

    async def _arm(self, login: ShellLogin, seconds: float, plan: InstallPlan) -> None:
        """Start the rollback timer on the server, before the first change and before each longer wait. If no further step stops the timer,
        the server restores its former state by itself."""
        self._traces.begun = True
        self._traces.replaces = plan.clean == "stash"
        source, action = shell.with_own_text(self._lifecycle_script), "arm_replace" if self._traces.replaces else "arm"
        await shell.run(login, source, [action, f"{seconds:.0f}"], self.steps.now, self._limits.step_s)

    async def _finish(self, context: LoginContext, login: ShellLogin) -> None:
        """Tell the server to keep the installation.

        Without this message the server's timer decides: it keeps an installation whose agent has a session with the hub.
        Raises: DeployError: the server has rolled back already.
        """
        try:
            try:
                await shell.run(login, self._lifecycle_script, ["finish"], "verify", self._limits.step_s)
            except DeployError as exc:
                if exc.code not in ("connection_lost", "max_sessions"):
                    raise
                async with log_in_again(self._connector, context) as second_login:
                    await shell.run(second_login, self._lifecycle_script, ["finish"], "verify", self._limits.step_s)
        except (DeployError, ConnectionError, OSError) as exc:
            if isinstance(exc, DeployError) and exc.code == "rolled_back":
                raise
            event(_log, "not_disarmed", logging.WARNING, host=self._target.host, error=one_line(str(exc)))
            await self.steps.detail("the agent came back; the server closes the installation by itself within some minutes")

    async def _probe(self, login: ShellLogin) -> Probe:
        words = [self._options.hub_url, "pinned" if self._options.tls_pinned else "trusted", self._options.proxy]
        answer = await shell.run(login, shell.script("probe.sh"), words, self.steps.now, self._limits.step_s)
        return parse_probe(answer.lines, self.steps.now)

    async def _plan(self, probe: Probe) -> InstallPlan:
        existing = probe.existing
        ours = bool(existing.node) and existing.fleet == self._options.fleet
        name = await self._options.name_of(existing.node) if ours else None
        options = self._options
        return plan_install(
            probe,
            install_python=options.install_python,
            hub_url=options.hub_url,
            fleet=options.fleet,
            replaceable=ours and name is None,
            name=name or "",
            node=options.node,
        )

    async def _prepare(self, login: ShellLogin, plan: InstallPlan, probe: Probe) -> tuple[InstallPlan, Probe]:
        """Remove remains of an earlier installation, and install python3 if the user agreed. Returns: the plan and the probe after that."""
        limits, report_detail = self._limits, self.steps.detail
        if plan.clean in ("undo", "remove"):
            await report_detail("removing the rest of an earlier installation")
            action = "undo" if plan.clean == "undo" else "clear"
            answer = await shell.run(login, self._lifecycle_script, [action], "probe", limits.step_s, receive_note=report_detail)
            if answer.of("left"):
                raise failure("uninstall_failed", "probe", left=", ".join(answer.of("left")))
            probe = await self._probe(login)
            plan = await self._plan(probe)  # the undo of a failed replacement has restored the previous installation
        if plan.python_manager:
            await report_detail(f"installing python3 with {plan.python_manager}")
            await self._arm(login, limits.rollback_s + limits.python_s, plan)
            await shell.run(
                login, self._lifecycle_script, ["python", plan.python_manager], "probe", limits.python_s, receive_note=report_detail
            )
        if not plan.python_manager:
            return plan, probe
        probe = await self._probe(login)
        if not probe.python:
            raise failure("python3_install_failed", "probe", why="it is not usable afterwards")
        check_open(probe)
        if probe.reach not in ("", "ok"):
            raise failure("hub_unreachable", "probe", url=self._options.hub_url, why=probe.reach)
        return plan, probe

    async def _no_session(self, login: ShellLogin) -> DeployError:
        """Find out why the agent did not connect."""
        url, step = self._options.hub_url, self.steps.now
        try:
            probe = await self._probe(login)
            answer = await shell.run(login, self._lifecycle_script, ["diagnose"], step, self._limits.step_s)
        except DeployError as exc:
            return exc
        if probe.reach not in ("", "ok"):
            return failure("hub_unreachable", step, url=url, why=probe.reach)
        return failure("no_session", step, url=url, seconds=f"{self._limits.verify_s:g}", why=failure_reason(answer.of("log")))

    async def _roll_back(self, context: LoginContext, login: ShellLogin) -> bool:
        """Roll back the changes, over a new connection if the old one is lost. False: the rollback is incomplete."""
        traces = self._traces
        if traces.folder is None and not traces.begun:
            return True
        if traces.replaces and traces.verified:
            # The new agent has completed a session, and the previous agent may be defective.
            await self.steps.detail("the agent came back and stays; the server closes the installation by itself within some minutes")
            return True
        work = asyncio.create_task(self._undo(context, login), name="undo-installation")
        left = await await_shielded(work)
        if not left:
            await self.steps.detail(f"{TAKEN_BACK}: the server is as before")
        self._left = left
        return not left

    async def _undo(self, context: LoginContext, login: ShellLogin) -> str:
        try:
            async with asyncio.timeout(self._limits.undo_s):
                try:
                    return await self._undo_by(login)
                except DeployError as exc:
                    if exc.code not in ("connection_lost", "max_sessions"):
                        raise
                async with log_in_again(self._connector, context) as second_login:
                    return await self._undo_by(second_login)
        except (DeployError, TimeoutError, OSError) as exc:
            event(_log, "undo_failed", logging.WARNING, host=self._target.host, error=one_line(str(exc)))
            return one_line(str(exc)) or "it took too long"

    async def _undo_by(self, login: ShellLogin) -> str:
        left: list[str] = []
        if self._traces.begun:
            words = ["whole"] if self._traces.verified else ["unlaid"] if self._traces.replaces and not self._traces.stash_requested else []
            answer = await shell.run(login, self._lifecycle_script, ["undo", *words], "install", self._limits.undo_s)
            left = answer.of("left")
        if self._traces.folder is not None:
            await upload.drop(login, self._traces.folder, self._limits.step_s)
        return ", ".join(left)

    def _incomplete_rollback(self, exc: BaseException) -> DeployError:
        """The error for an incomplete rollback. Its text begins with the original error."""
        first = exc if isinstance(exc, DeployError) else failure("interrupted", self.steps.now)
        text = f"{first.message} Not everything could be undone ({self._left}): the server tries again by itself within some minutes, and Retry does so immediately."
        return DeployError(first.code, text, first.step)


def _replaces(probe: Probe, options: InstallOptions) -> str:
    existing = probe.existing
    if existing.node == options.node and existing.fleet == options.fleet:
        return "in the place of the agent that is there"
    return "in the place of an agent of another hub" if existing.node else "in the place of what is left of an agent there"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def failure_reason(lines: list[str]) -> str:
    """The reason of a failure, for people, from the agent's last log lines.

    Args: lines: JSON or text. The first line may be `state …`, the state of the agent's unit.
    """
    state, named, last_text = "", "", ""
    for line in reversed(lines):
        if line.startswith("state "):
            state = line[6:]
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            if _NAMES_ERROR.match(line):
                return one_line(line)
            if last_text and _OF_INIT.match(line):
                break
            if line.strip() and not _OF_INIT.match(line):
                last_text = last_text or line
            continue
        if last_text:
            break
        if not isinstance(entry, dict) or entry.get("level") not in ("warning", "error", "critical"):
            continue
        if entry.get("why"):
            return one_line(str(entry["why"]))
        named = named or str(entry.get("event", ""))
    return one_line(last_text or named or state) or "it says nothing"
