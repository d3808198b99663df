"""Removes the agent from a server completely."""

from __future__ import annotations

from majortom.errors import failure
from majortom.interfaces import HostKey, Reporter, Target
from majortom.ssh import shell
from majortom.ssh.connect import Connector, Limits
from majortom.ssh.login_steps import LoginContext, SetTimeLimit, Steps, log_in_as_root, prepare_login


class Removal:
    """One removal."""

    def __init__(self, connector: Connector, limits: Limits, target: Target, reporter: Reporter) -> None:
        self._connector = connector
        self._limits = limits
        self._target = target
        self.steps = Steps(reporter)

    async def run(self, set_time_limit: SetTimeLimit) -> HostKey:
        """Stop and uninstall the agent. A repeat after a lost connection continues where the first run ended.

        Raises: DeployError.
        """
        async with prepare_login(self._connector, self._target, self.steps, set_time_limit) as context:
            with self._connector.alone(context.reached, self._target.port):
                await self._uninstall(context)
            return context.reached.key

    async def _uninstall(self, context: LoginContext) -> None:
        source = shell.script("lifecycle.sh")
        async with log_in_as_root(self._connector, context, self.steps, self._limits) as login:
            async with self.steps.step("stop"):
                await shell.run(login, source, ["stop"], "stop", self._limits.step_s)
            async with self.steps.step("uninstall"):
                await shell.run(login, source, ["remove"], "uninstall", self._limits.step_s, receive_note=self.steps.detail)
            async with self.steps.step("verify") as closing:
                answer = await shell.run(login, source, ["search"], "verify", self._limits.step_s)
                if answer.of("left"):
                    raise failure("uninstall_failed", "verify", left=", ".join(answer.of("left")))
                closing.append("nothing of Stardust is left on the server")
