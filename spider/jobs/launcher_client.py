"""Client of the launcher's socket. The launcher alone decides about an order."""

import asyncio
import json
import random
from typing import Callable, NamedTuple, Optional

from spider.clock import Clock
from spider.root.policy import PolicyRefused, read_policy
from spider.timeouts import wait_for

ANSWER_LIMIT_S = 40.0
"""systemd ends the launcher's unit after 35 s."""
RETRY_LIMIT_S = 15.0
BUSY_RETRY_LIMIT_S = 3.0
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 2.0
MAX_ANSWER_BYTES = 4096
ANSWERS = ("accepted", "refused", "failed", "error")


class SubmitReply(NamedTuple):
    """The launcher's answer."""

    answer: str
    """One of `ANSWERS`, or `unreachable`."""
    why: str
    clock: float
    """The time of the answer, Unix seconds by this host's clock."""


class LauncherClient:
    """Connects to the launcher's socket as an unprivileged user."""

    def __init__(self, path: str, clock: Clock, policy_path: str = "", policy_owner: int = 0) -> None:
        """Args:
        policy_path: the policy. Where it allows no job at all, Spider refuses orders itself; the launcher decides all other cases.
        """
        self._path = path
        self._clock = clock
        self._policy_path = policy_path
        self._policy_owner = policy_owner

    def refusal(self) -> str:
        """Why this node allows no job at all. Empty: ask the launcher. Blocks on a file."""
        if not self._policy_path:
            return ""
        try:
            policy = read_policy(self._policy_path, self._policy_owner)
            return "policy-monitor" if policy.mode == "monitor" and not policy.verbs else ""
        except PolicyRefused:
            return "policy-invalid"

    async def submit(self, order: bytes, begun: Callable[[], bool]) -> SubmitReply:
        """Submit an order. Retry for `RETRY_LIMIT_S` if the launcher does not answer, and for `BUSY_RETRY_LIMIT_S` if it is busy.

        Args: begun: whether the launcher has taken the order, although no answer arrived.
        """
        began_at = self._clock.monotonic()
        pause_s = RETRY_FIRST_S
        while True:
            try:
                reply: Optional[SubmitReply] = await wait_for(ANSWER_LIMIT_S, self._exchange(order))
                why = reply.why if reply else ""
            except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError) as exc:
                reply, why = None, type(exc).__name__
            waited_s = self._clock.monotonic() - began_at
            if reply is not None and not (why == "busy" and waited_s < BUSY_RETRY_LIMIT_S):
                return reply
            if begun() or waited_s >= RETRY_LIMIT_S:
                return reply or SubmitReply("unreachable", f"the launcher did not answer: {why}", self._clock.now())
            await self._clock.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(RETRY_MOST_S, pause_s * 2)

    async def _exchange(self, order: bytes) -> SubmitReply:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=MAX_ANSWER_BYTES)
        try:
            writer.write(order)
            await writer.drain()
            answer = json.loads(await reader.readuntil(b"\n"))
            reply = SubmitReply(str(answer["answer"])[:20], str(answer["why"])[:200], float(answer["clock"]))
        except (KeyError, TypeError) as exc:
            raise ValueError("not an answer") from exc
        finally:
            writer.close()
        if reply.answer not in ANSWERS:
            raise ValueError("not an answer")
        return reply
