"""`/healthz` for the hub's operator and `/metrics` for Prometheus."""

from __future__ import annotations

import asyncio
import hmac
import os
import resource
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, Literal, NamedTuple

import msgspec
from aiohttp import web

from groundcontrol.access.store import OrganisationStore, UserStore
from groundcontrol.config import Secret
from groundcontrol.core.errors import HubError
from groundcontrol.web.admission import Admission, bearer_token
from groundcontrol.web.answer import HealthView
from spider.version import VERSION

PROBE_S: Final = 1.5
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ExportedMetric(NamedTuple):
    """One family of the hub's metrics: name without prefix, kind, help, and values by label (`""` = none)."""

    name: str
    kind: str
    help: str
    values: Mapping[str, float]


class HealthSources(NamedTuple):
    """The sources of `/healthz` and `/metrics`."""

    users: UserStore
    organisations: OrganisationStore
    trouble: Callable[[], str]
    """Empty: no error; `draining`; else the code of the database's error."""
    exported: Callable[[], Iterator[ExportedMetric]]
    exported_of: Callable[[int], Iterator[ExportedMetric]]
    """The metrics of one organisation."""


def healthz(sources: HealthSources) -> Handle:
    """The handler of `GET /healthz`: 200; or 503 while the hub stops, or its database does not answer or refuses writes."""

    async def handle(_request: web.Request) -> web.StreamResponse:
        trouble = sources.trouble()
        database = await _answers(sources.users)
        status: Literal["ok", "draining", "failing"] = (
            "draining" if trouble == "draining" else "failing" if trouble or not database else "ok"
        )
        view = HealthView(status=status, version=VERSION, database=database and trouble in ("", "draining"))
        return web.Response(body=msgspec.json.encode(view), status=200 if status == "ok" else 503, content_type="application/json")

    return handle


async def _answers(users: UserStore) -> bool:
    try:
        async with asyncio.timeout(PROBE_S):
            await users.set_up()
    except (HubError, TimeoutError):
        return False
    return True


def metrics(sources: HealthSources, gate: Admission, token: Secret | None) -> Handle:
    """The handler of `GET /metrics`. It admits the token of STARDUST_METRICS_TOKEN, and callers with the right `hub.read`.

    On a hub of several organisations such a caller sees the metrics of theirs only; the hub's own would tell how busy the others are.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        given = bearer_token(request)
        exported: Iterator[ExportedMetric] | None = None
        if token is None or given is None or not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.reveal().encode()):
            call = await gate.admit(request, "hub.read")
            if len(await sources.organisations.organisations()) > 1:
                exported = sources.exported_of(call.scope.org)
        text = "".join(_lines([_build_info(), *(exported or [*sources.exported(), *_process()])]))
        return web.Response(body=text.encode(), headers={"Content-Type": PROMETHEUS})

    return handle


def _build_info() -> ExportedMetric:
    return ExportedMetric("build_info", "gauge", "The version of the hub.", {f'version="{VERSION}"': 1.0})


def _process() -> Iterator[ExportedMetric]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield ExportedMetric("process_cpu_seconds_total", "counter", "CPU time of the hub.", {"": usage.ru_utime + usage.ru_stime})
    yield ExportedMetric("process_open_files", "gauge", "Open file descriptors.", {"": float(len(os.listdir("/proc/self/fd")))})
    with open("/proc/self/statm", "rb") as statm:
        pages = int(statm.read().split()[1])
    yield ExportedMetric("process_resident_bytes", "gauge", "Resident memory.", {"": float(pages * resource.getpagesize())})


def _lines(exported: list[ExportedMetric]) -> Iterator[str]:
    for metric in exported:
        name = "stardust_" + metric.name
        yield f"# HELP {name} {metric.help}\n# TYPE {name} {metric.kind}\n"
        for label, value in metric.values.items():
            yield f"{name}{{{label}}} {value!r}\n" if label else f"{name} {value!r}\n"
