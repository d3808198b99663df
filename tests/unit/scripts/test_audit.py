"""The audit's parsing of its tools' reports: every finding is kept, and an unfinished report is an error."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from scripts.dev.audit import AuditError, Finding, addresses, bandit_findings, good_address, main, only_loopback, report, wapiti_findings


def bandit_says(*levels: str, errors: list[Any] | None = None, lines: int = 12) -> str:
    results = [
        {"issue_severity": level, "test_id": "B324", "test_name": "hashlib", "filename": "spider/a.py", "line_number": at}
        for at, level in enumerate(levels, 1)
    ]
    return json.dumps({"errors": errors or [], "metrics": {"_totals": {"loc": lines}}, "results": results})


def wapiti_says(part: str, level: int) -> str:
    one = {"method": "GET", "path": "/api/v1/nodes?limit=1", "info": "it sleeps", "level": level, "parameter": "limit"}
    empty: dict[str, Any] = {"vulnerabilities": {"SQL Injection": []}, "anomalies": {}, "additionals": {}, "infos": {}}
    return json.dumps(empty | {part: {"Blind SQL Injection": [one]}})


def test_bandit_s_findings_keep_their_level_and_place() -> None:
    assert bandit_findings(bandit_says("HIGH", "LOW")) == [
        Finding("bandit", "high", "B324 hashlib", "spider/a.py:1"),
        Finding("bandit", "low", "B324 hashlib", "spider/a.py:2"),
    ]
    assert bandit_findings(bandit_says()) == []


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}",
        bandit_says(errors=[{"filename": "spider/a.py", "reason": "syntax error"}]),
        bandit_says(lines=0),
        bandit_says("UNDEFINED"),
    ],
)  # fmt: skip
def test_files_that_bandit_could_not_read_are_an_error(text: str) -> None:
    with pytest.raises(AuditError):
        bandit_findings(text)


@pytest.mark.parametrize("part", ["vulnerabilities", "anomalies"])
@pytest.mark.parametrize(("level", "called"), [(0, "low"), (1, "low"), (2, "medium"), (3, "high"), (4, "high")])
def test_wapiti_s_findings_keep_their_level_and_place(part: str, level: int, called: str) -> None:
    [finding] = wapiti_findings(wapiti_says(part, level))
    assert finding == Finding("wapiti", called, "Blind SQL Injection", "GET /api/v1/nodes?limit=1: it sleeps")


@pytest.mark.parametrize("text", ["", "[]", '{"vulnerabilities": {}}', wapiti_says("vulnerabilities", 5)])
def test_an_unfinished_wapiti_report_is_an_error(text: str) -> None:
    with pytest.raises(AuditError):
        wapiti_findings(text)


def test_the_worst_findings_come_first_and_high_ones_with_their_location() -> None:
    found = [Finding("bandit", level, "B1 x", f"a.py:{at}") for at, level in enumerate(["low", "medium", "low", "high", "high"], 1)]
    assert report(found) == [
        "high: 2", "    1 bandit B1 x  a.py:4", "    1 bandit B1 x  a.py:5",
        "medium: 1", "    1 bandit B1 x  a.py:2",
        "low: 2", "    2 bandit B1 x  a.py:1",
    ]  # fmt: skip
    assert report([]) == ["high: 0", "medium: 0", "low: 0"]


def test_every_address_that_can_be_filled_in_is_attacked() -> None:
    query = [{"name": "limit", "in": "query"}, {"name": "cursor", "in": "query"}]
    document: dict[str, Any] = {
        "paths": {
            "/api/v1/nodes": {"get": {"parameters": query}, "post": {}},
            "/api/v1/nodes/{id}": {"get": {"parameters": [{"name": "id", "in": "path"}]}},
            "/api/v1/other/{what}": {"get": {}},
            "/api/v1/jobs": {"post": {}},
            "/api/v1/live": {"get": {}},
        }
    }
    assert addresses(document, {"id": "n1"}) == {"/api/v1/nodes": ["limit", "cursor"], "/api/v1/nodes/n1": []}


def test_an_address_keeps_the_names_that_it_takes() -> None:
    assert good_address("/n", ["limit", "cursor", "tag"], lambda asked: "cursor" not in asked) == "/n?limit=1&tag=1"
    assert good_address("/n", ["limit"], lambda _asked: False) is None


def test_the_audit_does_not_start_if_other_machines_are_reachable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0")])
    with pytest.raises(AuditError, match="eth0"):
        only_loopback()
    assert main([]) == 2
    assert "eth0" in capsys.readouterr().err
