"""Lists of containers, as the engines give them."""

import json
from typing import Any, Dict, List, NamedTuple

from spider.container_socket import MAX_ANSWER_BYTES, call_engine, status_of
from spider.wire.text import plain

LIMIT_S = 3.0
"""How long to wait for one answer of an engine."""
_WORDS = {"paused": "frozen"}
RUNNING = frozenset({"running", "frozen", "unhealthy"})
"""States of containers that have processes."""


class Container(NamedTuple):
    """An engine's description of one of its containers, as harmless text."""

    engine: str
    id: str
    name: str
    """Empty: it has none."""
    state: str
    """The engine's word, but frozen for paused, and unhealthy for a running one with a failed health check."""
    image: str


def parse_containers(engine: str, answer: bytes) -> List[Container]:
    """Parse the answer to GET /containers/json.

    Raises: ValueError: not such an answer.
    Source: Docker Engine API 1.24 to 1.52, which Podman answers, too: `Id`, `Names` (with a slash), `State`, `Status`, `Health`, `Image`.
    """
    head, _, body = answer.partition(b"\r\n\r\n")
    if status_of(answer) != b"200":
        raise ValueError(f"{engine} answers {plain(head[:60])}: {plain(body[:200])}")
    try:
        rows = json.loads(body)
    except RecursionError:
        raise ValueError(f"{engine} answers too deeply nested") from None
    if not isinstance(rows, list):
        raise ValueError(f"{engine} gives no list")
    found: List[Container] = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("Id"), str):
            raise ValueError(f"{engine} gives a container without an id")
        state = str(row.get("State", ""))
        if state == "running" and _is_unhealthy(row):
            state = "unhealthy"
        found.append(
            Container(
                engine,
                plain(row["Id"], 64),
                plain(_own_name(row.get("Names"))),
                plain(_WORDS.get(state, state), 16),
                plain(str(row.get("Image", ""))),
            )
        )
    return found


def _is_unhealthy(row: Dict[str, Any]) -> bool:
    """Whether the health check of a running container fails. Docker 29 and later has a field for it, others have a word in `Status`."""
    health = row.get("Health")
    return (health.get("Status") == "unhealthy") if isinstance(health, dict) else "(unhealthy)" in str(row.get("Status", ""))


def _own_name(names: object) -> str:
    """The name of the container itself: Docker also lists the names that others have for it, as `/other/alias`."""
    own = [str(name).lstrip("/") for name in names] if isinstance(names, list) else []
    return next((name for name in own if "/" not in name), "")


def fetch(path: str, most_bytes: int = MAX_ANSWER_BYTES) -> bytes:
    """Request the list of all containers. Returns: the whole answer, for `parse_containers`.

    Args:   path: the engine's socket.
    Raises: OSError: no socket, no permission, no answer in time, or one that is too long.
    """
    return call_engine(path, "GET", "/containers/json?all=true", LIMIT_S, most_bytes)
