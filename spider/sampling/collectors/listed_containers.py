"""Asks root's launcher for the containers that the owner's policy names, because Spider may not open the sockets of the engines."""

import json
import logging
from typing import FrozenSet, List, Optional

from spider.container_list import Container
from spider.container_socket import answer_of
from spider.logs import event
from spider.root.policy import PolicyRefused, read_policy
from spider.wire.orders import CONTAINER_LIST
from spider.wire.text import plain
from spider.wire.verbs import CONTAINER_RESTART

LISTED_S = 600.0
"""How long a list is used while the same containers run."""
ASK_LIMIT_S = 8.0
"""How long to wait for the launcher's answer."""

log = logging.getLogger(__name__)


def parse_listed(answer: bytes) -> List[Container]:
    """Parse the launcher's answer. A refusal counts as an empty list, because an older launcher refuses this request.

    Raises: ValueError: the answer is neither a list nor a refusal.
    """
    document = json.loads(answer)
    word = document.get("answer") if isinstance(document, dict) else None
    if word == "refused":
        return []
    rows = document.get("containers") if word == "listed" else None
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(Container._fields) for row in rows):
        raise ValueError(f"the launcher answers {plain(answer[:200])}")
    return [Container(*(str(cell) for cell in row)) for row in rows]


class ListedContainers:
    """The launcher's list. Each request starts a process of root. So the list is requested again only if the running containers have changed,
    or after `LISTED_S`."""

    def __init__(self, launcher_path: str, policy_path: str, policy_owner: int = 0) -> None:
        self._launcher_path = launcher_path
        self._policy_path = policy_path
        self._policy_owner = policy_owner
        self._listed: List[Container] = []
        self._running: Optional[FrozenSet[str]] = None
        self._asked_at = 0.0
        self._failing = False

    def containers(self, running: FrozenSet[str], now: float) -> List[Container]:
        """The containers that the policy names. Empty: the policy names none, or the launcher refuses. May block for `ASK_LIMIT_S`.

        If the launcher does not answer, the result has those containers of the last list that still run.

        Args: running: ids of the containers that have a cgroup. now: monotonic seconds.
        """
        if not self._is_allowed():
            self._listed, self._running = [], None
        elif running != self._running or now - self._asked_at >= LISTED_S:
            self._running, self._asked_at = running, now
            try:
                self._listed = parse_listed(answer_of(self._launcher_path, CONTAINER_LIST, ASK_LIMIT_S))
                self._failing = False
            except (OSError, ValueError) as error:
                self._listed = [one for one in self._listed if one.id in running]  # the names of running containers are still right
                if not self._failing:
                    event(log, "containers_unnamed", logging.WARNING, engine="launcher", why=str(error))
                self._failing = True
        return self._listed

    def _is_allowed(self) -> bool:
        """Whether the policy lets the hub restart any container. If not, the launcher would refuse."""
        try:
            return CONTAINER_RESTART in read_policy(self._policy_path, self._policy_owner).verbs
        except PolicyRefused:
            return False
