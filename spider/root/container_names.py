"""Names of containers for Spider, which may not open the sockets of their engines: of those alone that the policy names."""

import os
from typing import Dict, List, Sequence, Tuple

from spider.container_list import RUNNING, Container, fetch, parse_containers
from spider.container_socket import EngineFailed
from spider.wire.containers import is_container_name, names_container

MAX_NAMED = 200
"""As many as the table `containers` has rows."""
MAX_ANSWER_BYTES = 2 * 1024 * 1024
"""About a thousand containers. Parsing as many bytes takes 32 MB of the launcher's 64 MB."""


def named_containers(patterns: Sequence[str], sockets: Sequence[Tuple[str, str]]) -> List[Container]:
    """The containers of all engines whose name fits one of these patterns; the running ones first.

    Raises: EngineFailed: no engine answers, although there is one.
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
    named = [one for one in found.values() if is_container_name(one.name) and names_container(patterns, one.name)]
    return sorted(named, key=lambda one: (one.state not in RUNNING, one.name, one.id))[:MAX_NAMED]
