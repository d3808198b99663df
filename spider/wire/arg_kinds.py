"""Kinds of arguments that verbs take: packages, units, containers. Hub, node and page check names by the same rows. Pure.

A new kind needs one row here, a verb that takes it (`spider/wire/verbs.py`, with its row in `groundcontrol/core/verbs.py`), its fields in
`groundcontrol/jobs/views.py` and `groundcontrol/nodes/views.py`, and the program that does the work.
"""

import re
from typing import Callable, Iterable, List, NamedTuple, Pattern, Tuple

from spider.wire.policy_names import PATTERN
from spider.wire.units import ONLY_BY_NAME, PROTECTED, UNIT_NAME, fits, full_name

MAX_ACTION_S = 3600
"""Longest time limit of a named action."""
MAIN_LANE, SIDE_LANE = "main", "side"
"""A node runs one job of each lane at a time. MAIN_LANE: jobs that change packages or the agent. SIDE_LANE: jobs that print little and may
run beside such a job, even if a disk is full."""
PACKAGE_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9@._+-]{0,126}[A-Za-z0-9@._+])?(?::[a-z0-9-]{1,30})?"
"""Pattern of a package name, which may end with a colon and an architecture. It excludes options, paths, globs, versions, suites, and a
trailing `-`: to apt that means removal."""
CONTAINER_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}"
"""Pattern of a name, as Docker and Podman give them. It excludes options, paths and globs."""
MAX_NAME = 255
"""Most characters of a name."""


class ArgKind(NamedTuple):
    """One kind of argument: names of one sort of thing."""

    name: str
    """Its key in orders and in REST."""
    noun: str
    """One such thing, in sentences and in codes of refusals."""
    form: str
    """Regular expression of a whole name."""
    describes: str
    """What a valid name is, in sentences."""
    example: str
    most: int = 1
    """Most names of one order."""
    single: bool = False
    """Whether its value is one name instead of a list."""
    line: str = ""
    """The line of `policy.conf` that must name what a verb may touch. Empty: verbs of this kind need no such line."""
    globs: bool = True
    """Whether this line may hold patterns (`*`)."""
    lane: str = MAIN_LANE
    protected: str = ""
    """Regular expression of whole names that no policy allows. Empty: there are none."""
    only_by_name: str = ""
    """Regular expression of names that a pattern (`*`) of the line never stands for: the line must have the name itself."""
    complete: Callable[[str], str] = str
    """Completes a name that a person typed, in `policy.conf` or in a command."""

    @property
    def one(self) -> str:
        """One such thing, with its article."""
        return f"{'an' if self.noun[0] in 'aeio' else 'a'} {self.noun}"

    @property
    def line_form(self) -> Pattern[str]:
        """What a word of the policy's line may be. It is used with `match`."""
        return PATTERN if self.globs else re.compile(self.form + r"\Z")

    def is_name(self, name: object) -> bool:
        """Whether this is a valid name."""
        return type(name) is str and len(name) <= MAX_NAME and re.fullmatch(self.form, name) is not None

    def is_protected(self, name: str) -> bool:
        """Whether no policy allows verbs on this."""
        return bool(self.protected) and re.fullmatch(self.protected, name) is not None

    def names(self, patterns: Iterable[str], name: str) -> bool:
        """Whether one of these words of the policy's line names this. `*` stands for any characters, where the line may hold patterns."""
        literal = not self.globs or (bool(self.only_by_name) and re.fullmatch(self.only_by_name, name) is not None)
        return any(self.complete(word) == name if literal else fits(self.complete(word), name) for word in patterns)

    def from_order(self, value: object) -> Tuple[str, ...]:
        """The names in an order's value, or nothing if it is invalid or empty: unknown type or name, too many, one twice."""
        names: List[object] = value if type(value) is list and not self.single else [value] if self.single else []
        valid = [name for name in names if isinstance(name, str) and self.is_name(name)]
        return tuple(valid) if 0 < len(valid) == len(names) == len(set(valid)) <= self.most else ()


PACKAGES = ArgKind("packages", "package", PACKAGE_NAME, "the name of a package", "nginx", 512)
UNITS = ArgKind(
    "units", "unit", UNIT_NAME, "the full name of a service, socket or timer of systemd, such as nginx.service", "nginx.service", 16,
    line="units", lane=SIDE_LANE, protected=PROTECTED, only_by_name=ONLY_BY_NAME, complete=full_name,
)  # fmt: skip
CONTAINER = ArgKind(
    "container", "container", CONTAINER_NAME, "the name of a container", "shop", single=True, line="containers", lane=SIDE_LANE
)
ACTION = ArgKind(
    "named_action", "action", r"[a-z0-9][a-z0-9_-]{0,63}", "the name of an action: small letters, digits, - and _", "drain", single=True,
    line="actions", globs=False,
)  # fmt: skip
ARG_KINDS: Tuple[ArgKind, ...] = (PACKAGES, UNITS, CONTAINER, ACTION)
