"""Major Tom: installs and removes the agent on many servers at the same time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TypeVar

import asyncssh

from majortom.errors import failure
from majortom.install import Installation, InstallOptions, InstallResult, PayloadMaker
from majortom.interfaces import HostKey, Reporter, Target, VerifySession
from majortom.remove import Removal
from majortom.ssh.connect import AddressRule, Connector, Limits
from majortom.ssh.login_steps import SetTimeLimit, Steps
from spider.clock import Clock

T = TypeVar("T")


class MajorTom:
    """The deployer. A hub has only one, because it limits the connections to each address.

    Args: rule: takes an IP address and returns why it is not allowed, or None.
    """

    def __init__(self, clock: Clock, rule: AddressRule, limits: Limits = Limits()) -> None:  # noqa: B008  # immutable
        asyncssh.set_log_level(logging.WARNING)  # it logs every channel, in a form that differs from ours
        self._clock = clock
        self._limits = limits
        self._connector = Connector(limits, rule)

    async def install(
        self, target: Target, options: InstallOptions, reporter: Reporter, make_payload: PayloadMaker, verify: VerifySession
    ) -> InstallResult:
        """Install the agent on a server, or restore the server's former state.

        Raises: DeployError.
        """
        work = Installation(self._connector, self._limits, self._clock, target, options, reporter)
        return await self._in_time(work.steps, lambda set_time_limit: work.run(make_payload, verify, set_time_limit))

    async def remove(self, target: Target, reporter: Reporter) -> HostKey:
        """Remove the agent from a server completely.

        Raises: DeployError.
        """
        work = Removal(self._connector, self._limits, target, reporter)
        return await self._in_time(work.steps, work.run)

    async def _in_time(self, steps: Steps, work: Callable[[SetTimeLimit], Coroutine[None, None, T]]) -> T:
        loop = asyncio.get_running_loop()
        try:
            # While a person compares the fingerprint, only the reporter's own limit counts. Afterwards the time starts anew.
            async with asyncio.timeout(self._limits.whole_s) as limit:

                def set_time_limit(*, on: bool) -> None:
                    limit.reschedule(loop.time() + self._limits.whole_s if on else None)

                return await work(set_time_limit)
        except TimeoutError:
            raise failure("deadline", steps.now, minutes=f"{self._limits.whole_s / 60:.0f}") from None
