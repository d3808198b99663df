"""Expressions: which are accepted, and the error messages of all others."""

from __future__ import annotations

import time

import pytest

from groundcontrol.alerts.defaults import DEFAULT_RULES
from groundcontrol.alerts.expression import Detector, EventOf, Expression, MetricWindow, State, parse
from groundcontrol.alerts.ruleset import RuleBook
from groundcontrol.core.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("avg(cpu.total, 10m)", MetricWindow("avg", "cpu.total", "", 600)),
        ("  max( disk.busy{device=sda} , 30s )", MetricWindow("max", "disk.busy", "sda", 30)),
        ("min(filesystem.free{mount=/srv/a b, (c)}, 24h)", MetricWindow("min", "filesystem.free", "/srv/a b, (c)", 86_400)),
        ("last(filesystem.used_percent)", MetricWindow("last", "filesystem.used_percent", "", 0)),
        ("rate(memory.oom_kills, 5m)", MetricWindow("rate", "memory.oom_kills", "", 300)),
        ("state(unit_failed)", State("unit_failed")),
        ("event(node_cloned)", EventOf("node_cloned")),
        ("event(custom{name=rotate-keys})", EventOf("custom", "rotate-keys")),
        ("detector(filesystem_space)", Detector("filesystem_space")),
        ("detector(filesystem_space, warning_free_gib=50)", Detector("filesystem_space", (("warning_free_gib", 50.0),))),
    ],
)
def test_an_expression_is_parsed_into_its_parts(text: str, expected: Expression) -> None:
    assert parse(text, {"node_cloned"}) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("cpu.total > 95", "the form avg(cpu.total, 10m)"),
        ("avg(cpu.total, 10m) > 95", "the form avg(cpu.total, 10m)"),
        ("mean(cpu.total, 10m)", "no function 'mean'"),
        ("evg(cpu.total, 10m)", "did you mean avg?"),
        ("avg(cpu.totl, 10m)", "did you mean cpu.total?"),
        ("avg(cpu.total{core=1}, 10m)", "cpu.total has no label, not core"),
        ("avg(disk.busy{disk=sda}, 10m)", "disk.busy has the label device, not disk"),
        ("avg(cpu.total)", "avg needs a window, such as avg(cpu.total, 10m)"),
        ("avg(cpu.total, 10 minutes)", "'10 minutes' is not a window"),
        ("avg(cpu.total, 5s)", "from 10 s to 24 h"),
        ("avg(cpu.total, 25h)", "from 10 s to 24 h"),
        ("avg(memory.oom_kills, 5m)", "use rate instead of avg"),
        ("rate(cpu.total, 5m)", "use avg instead of rate"),
        ("state(ofline)", "did you mean offline?"),
        ("event(custom{name=Rotate Keys})", "no event"),
        ("event(node_clone)", "did you mean node_cloned?"),
        ("detector(filesystem_spce)", "did you mean filesystem_space?"),
        ("detector(filesystem_space, free=5)", "its numbers are: warning_free_gib=20, critical_free_gib=5"),
        ("avg(__import__('os'), 10m)", "avg takes a metric and a window"),
        ("avg(cpu.total, 10m)" + " " * 400, "an expression has the form"),
    ],
)
def test_a_refusal_states_the_fault_and_the_remedy(text: str, says: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(text, {"node_cloned"})
    assert says in refused.value.message
    assert refused.value.detail == {"field": "expr"}


def test_every_default_rule_can_be_read() -> None:
    assert not RuleBook(DEFAULT_RULES).faults
    assert len({rule.id for rule in DEFAULT_RULES}) == len(DEFAULT_RULES)


def test_hostile_expressions_are_parsed_in_linear_time() -> None:
    """A pattern took a blank twice around a lazy group: one such text took 0.3 s, a thousand in one request held the hub for minutes."""
    hostile = [
        "avg(" + "cpu.total{core=" + " " * 370 + "x",
        "avg(cpu.total{core=" + " x" * 180 + ")",
        "avg(cpu.total," + " " * 380 + ",)",
        "avg(" + "(" * 390 + ")",
        "avg" + " " * 390 + ")",
        "avg(" + ") " * 195,
    ]
    began = time.process_time()
    for _ in range(200):
        for text in hostile:
            with pytest.raises(BadRequest):
                parse(text)
    assert time.process_time() - began < 5.0, "1,200 texts; before, six of them took longer"
