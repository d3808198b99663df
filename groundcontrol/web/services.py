"""What the web side is given. It is built in `app.py`; nothing here knows how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from groundcontrol.access.service import AuthService
from groundcontrol.agents.corruption import CorruptionReporter
from groundcontrol.agents.node_tables import NodeTables
from groundcontrol.agents.registry import Registry
from groundcontrol.config import Config
from groundcontrol.core.bus import Bus
from groundcontrol.core.ids import HubId
from groundcontrol.deployments.agent_updates import UpdateService
from groundcontrol.deployments.install_script import Invitations
from groundcontrol.deployments.service import DeploymentService
from groundcontrol.events.refusals import Refusals
from groundcontrol.jobs.service import JobService
from groundcontrol.stores import Store
from groundcontrol.web.concurrency import BudgetLimiter, SlotLimiter
from groundcontrol.web.costs import Costs
from spider.clock import Clock

MAX_EXPORTS: Final = 8
"""Each holds an hour of rows, 10 MB and more, until its reader has taken them."""
MAX_EXPORTS_OF_A_USER: Final = 4
MAX_OUTPUTS: Final = 16
"""Outputs of jobs that are sent at once: each holds up to 1 MiB until its reader has taken it."""
MAX_OUTPUTS_OF_A_USER: Final = 4
MAX_HISTORY_VALUES: Final = 400_000
"""Points times lines of the histories that are worked out at once: each takes up to 250 bytes meanwhile."""
MAX_HISTORY_VALUES_OF_A_USER: Final = 200_000
"""And of one answer: of many lines there are fewer points."""
HISTORY_PATIENCE_S: Final = 10.0
"""Less than the fifteen seconds of a page, which is told why then."""


@dataclass(frozen=True)
class Services:
    """Everything that a handler may use."""

    config: Config
    clock: Clock
    store: Store
    bus: Bus
    registry: Registry
    facts: NodeTables
    damage: CorruptionReporter
    jobs: JobService
    deployments: DeploymentService
    invites: Invitations
    updates: UpdateService
    auth: AuthService
    refusals: Refusals
    hub_id: HubId
    build: str
    """Of the hub; the page has its own."""
    costs: Costs
    exports: SlotLimiter = field(default_factory=lambda: SlotLimiter("exports", MAX_EXPORTS, MAX_EXPORTS_OF_A_USER))
    outputs: SlotLimiter = field(default_factory=lambda: SlotLimiter("outputs of jobs", MAX_OUTPUTS, MAX_OUTPUTS_OF_A_USER))
    histories: BudgetLimiter = field(
        default_factory=lambda: BudgetLimiter(
            "more history is asked for than this hub works out at once: ask for fewer series or points, or for one thing after the other",
            MAX_HISTORY_VALUES,
            MAX_HISTORY_VALUES_OF_A_USER,
            HISTORY_PATIENCE_S,
        )
    )
