"""Commands about alerts: what each needs, does and leaves (`race_cases.py`)."""

from __future__ import annotations

import asyncio

from groundcontrol.alerts.maintenance import MOST_WINDOWS, Window
from groundcontrol.alerts.model import MaintenanceId, Selector
from groundcontrol.core.errors import Conflict
from spider.wire.ids import new_time_id
from tests.support.factories import SCOPE, running_job
from tests.support.race_cases import CALLERS, Cases, Ground, Race, Rivals

CASES = Cases()


def a_window(now: float, select: Selector | None = None, reason: str = "") -> Window:
    return Window(MaintenanceId(new_time_id(now)), 1, select or Selector(all=True), now, now + 3600, reason, "user", "local:1000", now)


# -- maintenance -------------------------------------------------------------------------------------------


@CASES.of("maintenance.create_window")
async def _create_window(ground: Ground) -> Race:
    """Twenty want the last window that there is room for."""
    store, made = ground.store.maintenance, a_window(ground.now)
    await asyncio.gather(*(store.create_window(SCOPE, a_window(ground.now)) for _ in range(MOST_WINDOWS - 1)))
    rivals = [a_window(ground.now, reason=f"{at}") for at in range(CALLERS)]

    async def held() -> object:
        return {window for window in await store.windows(SCOPE) if window in (made, *rivals)}

    return Race(
        lambda: store.create_window(SCOPE, made),
        held,
        {made},
        ("maintenance.create",),
        rivals=Rivals("one", lambda at: store.create_window(SCOPE, rivals[at]), lambda at: {rivals[at]}, Conflict),
    )


@CASES.of("maintenance.end_window")
async def _end_window(ground: Ground) -> Race:
    store = ground.store.maintenance
    window = await store.create_window(SCOPE, a_window(ground.now))

    async def held() -> object:
        return (await store.window(SCOPE, window.id)).closed_at, await store.open_windows()

    return Race(lambda: store.end_window(SCOPE, window.id), held, (ground.now, []), ("maintenance.end",))


@CASES.of("maintenance.end_automatic")
async def _end_automatic(ground: Ground) -> Race:
    store = ground.store.maintenance
    await running_job(ground.store, ground.now)
    (one,) = await store.automatic()

    async def held() -> object:
        events = await ground.store.log.events(SCOPE, 10)
        return await store.automatic(), [event.type for event in events.items]

    return Race(
        lambda: store.end_automatic(1, one.window.id, overran=True),
        held,
        ([], ["maintenance_overran"]),
        alone=(True, False),
    )
