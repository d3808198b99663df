"""What a job is going to do, and what it leaves to be looked after, as its node told it."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.nodes.model import Tri

KeptReason = Literal["held", "phased", "pinned", "needs_new", "needs_removal", "unresolvable", "other"]

MAX_PARTS: Final = 16
MAX_STEPS: Final = 20_000
"""Of all parts together: more packages than any host has."""


class PlanStep(NamedTuple):
    """One package that would change."""

    package: str
    before: str
    """Empty = new."""
    after: str
    """Empty = removed."""
    security: Tri
    repository: str


class KeptBack(NamedTuple):
    """One package that stays as it is though a newer version is known."""

    package: str
    version: str
    """The one that it does not get."""
    reason: KeptReason


class PlanHead(NamedTuple):
    """What holds for a plan as a whole."""

    digest: str
    download_bytes: int | None
    installed_bytes: int | None
    """By how much the disk fills; negative = it frees room."""
    reboot: Tri
    reboot_why: str


class PlanPart(NamedTuple):
    part: int
    parts: int
    head: PlanHead
    steps: tuple[PlanStep, ...]
    kept: tuple[KeptBack, ...]


class Plan(NamedTuple):
    head: PlanHead
    complete: bool
    """All parts are held."""
    steps: tuple[PlanStep, ...]
    kept: tuple[KeptBack, ...]


class ConfigFile(NamedTuple):
    """A configuration file that was put beside the one in use."""

    path: str
    diff: str
    """Empty = not readable, or no text."""


class Report(NamedTuple):
    """What a job left to be looked after."""

    reboot: Tri
    reboot_why: str
    services: tuple[str, ...]
    """Units that still run code that was replaced."""
    config_files: tuple[ConfigFile, ...]
    failed_units: tuple[str, ...]
    """Units that failed since the job began."""
    notes: tuple[str, ...]
