"""The dead man's switch: stages of silence, without counting the hub's downtime and independent of the wall clock."""

from __future__ import annotations

import pytest

from groundcontrol.core.ids import NodeId
from groundcontrol.schedules.silence import NOTICED_S, START_S, Absence, KnownNode, Silences, Stage, silence_before, stages

WEB = NodeId("web-1")


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(0, ()), (29 + 59 / 60, ()), (30, ("stale",)), (59.9, ("stale",)), (60, ("stale", "down")), (9e6, ("stale", "down"))],
)
def test_a_silence_has_stages(minutes: float, expected: tuple[Stage, ...]) -> None:
    assert stages(minutes * 60) == expected


def test_an_absent_hub_does_not_count_as_node_silence() -> None:
    assert silence_before(1000.0, [Absence(1010.0, 3400.0)]) == 0.0
    assert silence_before(1000.0, [Absence(2000.0, 9000.0)]) == 1000.0
    assert silence_before(1000.0, [Absence(2000.0, 9000.0), Absence(9500.0, 10_000.0)]) == 1500.0
    assert silence_before(9100.0, [Absence(2000.0, 9000.0), Absence(9500.0, 10_000.0)]) == 400.0
    assert silence_before(9100.0, []) == 0.0
    assert silence_before(5000.0, [Absence(5010.0, 5010.0 - 86_400)]) == 0.0  # the clock was set back meanwhile


class Presence:
    def __init__(self, online: bool) -> None:
        self.is_online = online

    def __call__(self, _node: NodeId) -> bool:
        return self.is_online


def test_silence_is_measured_on_the_monotonic_clock_since_the_last_frame() -> None:
    node, presence = KnownNode(WEB, 1000.0, epoch=7), Presence(True)
    silences = Silences([node], [], 0.0)
    silences.look([WEB], presence, lambda _node: 0.0, 100.0)
    assert silences.of(WEB, 100.0) is None

    presence.is_online = False
    silences.look([WEB], presence, lambda _node: 86_400.0, 105.0)  # the wall clock has jumped
    assert silences.of(WEB, 105.0) == NOTICED_S
    silences.look([WEB], presence, lambda _node: -86_400.0, 110.0)
    assert silences.of(WEB, 110.0) == NOTICED_S + 5

    assert silences.due([node], 105.0 - NOTICED_S + 1799) == []
    assert [stage for _, stage, _ in silences.due([node], 105.0 - NOTICED_S + 1800)] == ["stale"]
    recorded = node._replace(stage="stale", stage_epoch=7)
    assert silences.due([recorded], 105.0 - NOTICED_S + 3599) == []
    assert [stage for _, stage, _ in silences.due([recorded], 105.0 - NOTICED_S + 3600)] == ["down"]
    assert silences.due([recorded._replace(stage="down")], 1e6) == []
    later = recorded._replace(stage="down", epoch=8)
    assert [stage for _, stage, _ in silences.due([later], 105.0 - NOTICED_S + 1800)] == ["stale"]


def test_no_silence_is_reported_in_the_first_90_seconds_of_a_hub() -> None:
    node = KnownNode(WEB, 0.0, epoch=7)
    silences = Silences([node], [Absence(7200.0, 9000.0)], 50.0)
    silences.look([WEB], Presence(False), lambda _node: 0.0, 50.0)
    assert silences.of(WEB, 50.0) == 7200.0
    assert silences.due([node], 50.0 + START_S - 1) == []
    assert [stage for _, stage, _ in silences.due([node], 50.0 + START_S)] == ["down"]


def test_a_node_that_was_removed_is_forgotten() -> None:
    silences = Silences([KnownNode(WEB, 0.0, epoch=7)], [], 0.0)
    silences.look([], Presence(False), lambda _node: 0.0, 5.0)
    assert silences.of(WEB, 5.0) is None
