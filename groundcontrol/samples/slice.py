"""The declarations of the samples slice: routes of metrics and their history."""

from __future__ import annotations

from typing import Final

from groundcontrol.nodes.store import NodeStore
from groundcontrol.samples import api as samples_api
from groundcontrol.samples import export_api
from groundcontrol.samples.api import Histories
from groundcontrol.samples.checker import ChunkChecker, reporter
from groundcontrol.samples.export_api import Exports
from groundcontrol.samples.store import DamageReports, MetricStore
from groundcontrol.web.declare import Slice
from groundcontrol.web.routes import Parameter, Route
from groundcontrol.web.services import provide

ROUTES: Final = (
    Route("GET", "/settings", "settings.manage", samples_api.get_settings, whose="hub"),
    Route("PATCH", "/settings", "settings.manage", samples_api.edit_settings, step_up=True, whose="hub"),
    Route("GET", "/metrics", "metric.read", samples_api.list_metrics, whose="hub"),
    Route(
        "GET", "/nodes/{id}/history", "history.read", samples_api.get_history, cost="history",
        query=(
            Parameter("metric", "a series such as `disk.read{device=sda}`; up to 50", required=True, many=True),
            Parameter("from", "Unix seconds; without it an hour before `to`"),
            Parameter("to", "Unix seconds; without it now"),
            Parameter("points", "at most this many steps, 1 to 4000 (600); a single one becomes two across midnight, and steps of minutes and hours reach to whole ones", "integer"),
        ),
        answers=("application/msgpack", "text/csv"),
    ),
    Route(
        "GET", "/nodes/{id}/export", "history.read", export_api.export_node, cost="history",
        query=(
            Parameter("from", "Unix seconds; without it all that is kept"),
            Parameter("to", "Unix seconds; without it all that is kept, also what a clock that is ahead has dated later than now"),
            Parameter("tier", "1s (as it was measured), 1m or 1h (1s)"),
        ),
        answers=("application/x-ndjson", "text/csv"),
    ),
    Route(
        "GET", "/history", "history.read", samples_api.get_histories, cost="history",
        query=(
            Parameter("node", "the id of a node; up to 50", required=True, many=True),
            Parameter("metric", "a series such as `disk.read{device=sda}`; up to 200 lines with all nodes", required=True, many=True),
            Parameter("from", "Unix seconds; without it an hour before `to`"),
            Parameter("to", "Unix seconds; without it now"),
            Parameter("points", "at most this many steps, 1 to 4000 (600); fewer where they would be more than 200,000 with all lines", "integer"),
        ),
        answers=("application/msgpack", "text/csv"),
    ),
)  # fmt: skip

SLICE: Final = Slice(
    "samples",
    ROUTES,
    provides=(
        provide(Histories)(lambda _: Histories()),
        provide(Exports)(lambda _: Exports()),
        provide(ChunkChecker)(
            lambda services: ChunkChecker(services[MetricStore], services.clock, reporter(services[NodeStore], services[DamageReports]))
        ),
    ),
    tasks=(ChunkChecker,),
)
