"""Domain types of a package plan, and of the report on follow-up work after a job."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from groundcontrol.nodes.model import Tri

KeptReason = Literal["held", "phased", "pinned", "needs_new", "needs_removal", "unresolvable", "other"]

MAX_PARTS: Final = 16
MAX_STEPS: Final = 20_000
"""Steps of all parts together: more packages than any host has."""


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
    """One package that is not upgraded although a newer version is known."""

    package: str
    version: str
    """The newer version, which is not installed."""
    reason: KeptReason


class PlanHead(NamedTuple):
    """The fields of a plan as a whole."""

    digest: str
    download_bytes: int | None
    installed_bytes: int | None
    """Change of used disk space in bytes; negative = space is freed."""
    reboot: Tri
    reboot_why: str
    restarts: tuple[str, ...] = ()
    """Running services that will probably restart."""


class PlanPart(NamedTuple):
    part: int
    parts: int
    head: PlanHead
    steps: tuple[PlanStep, ...]
    kept: tuple[KeptBack, ...]


class Plan(NamedTuple):
    head: PlanHead
    complete: bool
    """Whether all parts are stored."""
    steps: tuple[PlanStep, ...]
    kept: tuple[KeptBack, ...]


class ConfigFile(NamedTuple):
    """A new configuration file that the package manager left beside the one in use."""

    path: str
    diff: str
    """Diff to the file in use. Empty = not readable, or not text."""


class Report(NamedTuple):
    """Follow-up work that a job left: reboot, restarts, configuration files, failed units."""

    reboot: Tri
    reboot_why: str
    services: tuple[str, ...]
    """Units that still run code that the job replaced."""
    config_files: tuple[ConfigFile, ...]
    failed_units: tuple[str, ...]
    """Units that failed after the job began."""
    notes: tuple[str, ...]
