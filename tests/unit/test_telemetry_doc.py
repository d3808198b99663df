"""docs/telemetry.md agrees with the catalogue."""

from __future__ import annotations

from scripts.gen import telemetry
from spider.sampling.collectors import linux
from spider.wire.metrics import CATALOGUE, INTERVAL_S, METRICS, NOT_IN_LABELS


def test_the_document_matches_the_catalogue() -> None:
    text = telemetry.TARGET.read_text(encoding="utf-8")
    assert telemetry.generate(text) == text, "run scripts/gen/telemetry.py"


def test_each_metric_has_a_description_and_a_source() -> None:
    assert len(METRICS) == len(CATALOGUE), "a name is used once"
    for metric in CATALOGUE:
        assert metric.about, metric.name
        assert metric.source, metric.name
        assert metric.unit or metric.family == "custom", metric.name  # there the program says its unit
        assert metric.family in INTERVAL_S
        assert metric.kind in {"gauge", "counter"}
        assert metric.scale >= 1
        assert len(metric.labels) <= 1
    assert NOT_IN_LABELS


def test_each_file_of_the_catalogue_is_in_it() -> None:
    listed = [metric for module in telemetry.subjects() for metric in module.METRICS]
    assert listed == CATALOGUE


def test_each_collector_has_a_docstring() -> None:
    for collector in linux.linux_collectors():
        assert type(collector).__doc__
        collector.close()
