"""Names of containers in orders, and the patterns of `containers` in a policy. Hub and node use the same rules. Pure."""

import re
from typing import Iterable

from spider.wire.units import fits

CONTAINER_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
"""Pattern of a name, as Docker and Podman give them. It excludes options, paths and globs."""
_NAME = re.compile(CONTAINER_NAME + r"\Z")


def is_container_name(name: object) -> bool:
    return type(name) is str and _NAME.match(name) is not None


def names_container(patterns: Iterable[str], name: str) -> bool:
    """Whether one of these patterns is the name of the container. `*` stands for any characters."""
    return any(fits(pattern, name) for pattern in patterns)
