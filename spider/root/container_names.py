"""Lists the containers that the policy names. Root's launcher does it for Spider, which may not open the engines' sockets."""

import os
from typing import Dict, List, Sequence, Tuple

from spider.container_list import RUNNING, Container, fetch, parse_containers
from spider.container_socket import EngineFailed
from spider.wire.arg_kinds import CONTAINER

MAX_NAMED = 200
"""The limit of containers, equal to that of the rows of the table `containers`."""
MAX_ANSWER_BYTES = 2 * 1024 * 1024
"""Enough for about a thousand containers. Parsing so many bytes takes 32 MB of the launcher's 64 MB."""


def named_containers(patterns: Sequence[str], sockets: Sequence[Tuple[str, str]]) -> List[Container]:
    """The containers of all engines whose name fits one of these patterns, at most MAX_NAMED. Running containers come first.

    Args:   sockets: each engine and its socket.
    Raises: EngineFailed: a socket exists, but no engine answers.
    """
    found: Dict[str, Container] = {}
    failures: List[str] = []
    for engine, path in sockets:
        if os.path.exists(path):
            try:
                listed = parse_containers(engine, fetch(path, MAX_ANSWER_BYTES))
            except (OSError, ValueError) as exc:
                failures.append(f"{engine}: {exc}")
            else:
                found.update((one.id, one) for one in listed)  # podman-docker makes Docker's socket a link to Podman's
    if failures and not found:
        raise EngineFailed("; ".join(failures))
    named = [one for one in found.values() if CONTAINER.is_name(one.name) and CONTAINER.names(patterns, one.name)]
    return sorted(named, key=lambda one: (one.state not in RUNNING, one.name, one.id))[:MAX_NAMED]
