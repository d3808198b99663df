"""Wrong clocks of nodes: one event when a clock becomes wrong, and one when it is right again."""

from __future__ import annotations

import pytest

from groundcontrol.agents.clock_skew import SkewTracker, in_words, skew_of
from groundcontrol.core.ids import NodeId
from groundcontrol.samples.model import SeriesSchema
from spider.wire.metrics import METRICS
from spider.wire.sample_messages import Row

NODE = NodeId("node")
BREATHE = SeriesSchema(b"b" * 8, "breathe", 60, ("system.uptime", "clock.skew"))


def row(skew_ms: int | None) -> Row:
    return Row(0, [1, skew_ms])


def test_the_skew_metric_has_the_unit_and_scale_of_nodes() -> None:
    metric = METRICS["clock.skew"]
    assert (metric.unit, metric.scale, metric.family) == ("milliseconds", 1, "breathe")


def test_a_skew_is_reported_at_its_begin_and_end() -> None:
    skews = SkewTracker()
    told = []
    for skew_ms in (0, 29_000, 31_000, None, 90_000, 25_000, -31_000, 19_000, 25_000, 0):
        skews.note(NODE, BREATHE, row(skew_ms))
        told.append(skews.pop_change(NODE))
    assert [one for one in told if one] == [(31.0, True), (19.0, False)]


def test_a_skew_that_ended_before_it_was_reported_is_not_reported() -> None:
    skews = SkewTracker()
    for skew_ms in (40_000, 0):
        skews.note(NODE, BREATHE, row(skew_ms))
    assert skews.pop_change(NODE) is None


def test_a_restarted_hub_reports_only_the_end_of_a_known_skew() -> None:
    skews = SkewTracker()
    skews.restore(NODE, BREATHE, row(-70_000))
    skews.note(NODE, BREATHE, row(-70_000))
    assert skews.pop_change(NODE) is None
    skews.note(NODE, BREATHE, row(0))
    assert skews.pop_change(NODE) == (0.0, False)


def test_samples_without_the_skew_series_have_no_skew() -> None:
    assert skew_of(BREATHE._replace(series=("system.uptime", "system.entropy")), row(40_000)) is None
    assert skew_of(BREATHE._replace(family="pulse"), row(40_000)) is None
    assert skew_of(BREATHE, row(None)) is None


@pytest.mark.parametrize(
    ("skew_s", "words"),
    [
        (40.4, "40 seconds ahead of"),
        (-119, "119 seconds behind"),
        (-180, "3 minutes behind"),
        (7300, "2 hours ahead of"),
        (1.8e9, "20833 days ahead of"),
    ],
)
def test_a_clock_skew_has_a_text_description(skew_s: float, words: str) -> None:
    assert in_words(skew_s) == words
