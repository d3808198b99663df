"""What the documents name exists: tests, error codes, files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundcontrol.errors import HubError
from groundcontrol.jobs.evidence import _WORDS as JOB_WORDS
from groundcontrol.web.live.connection import ACTIONS, MAX_TOPICS
from groundcontrol.web.live.feeds import KEPT_BYTES, KEPT_FLEET_BYTES, RECENT_EVENTS
from groundcontrol.web.live.kept import FIRST_BELOW, KEPT_MOST
from majortom.errors import MESSAGES
from scripts.bench import BENCHES, LONG

ROOT = Path(__file__).resolve().parents[1]
DOCS = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
RULES = [*range(1, 99)]
"""The numbers of the rules, in the order in which the page has them."""
JOURNEYS = list(range(1, 21))
NOT_YET = {12}
"""The journey that is about alerts."""
ATTACKS = [f"S-{number:02}" for number in (*range(1, 41), 43, 44, 45, 47, 48, 51, 57, 59, 60)]
FAULTS = [f"F-{number:02}" for number in range(1, 41)]
OUTSIDE = ("http://", "https://", "mailto:", "#")


def kinds(kind: type[HubError] = HubError) -> Iterator[type[HubError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


def known_tests() -> set[str]:
    """Every test function and every test file there is."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    named = {name for path in files for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)}
    return named | {path.stem for path in files}


def test_no_sentence_about_a_server_speaks_of_systemd_alone() -> None:
    """OpenRC runs servers, too: what is said of one has to be true there, or to say what is different."""
    rows = rows_of("errors.md")
    assert any("OpenRC" in " ".join(row) for row in rows)
    tools = re.compile(r"systemd|systemctl|journalctl|\bunits?\b")
    alone = [row[0] for row in rows if tools.search(" ".join(row[1:])) and "OpenRC" not in " ".join(row[1:])]
    assert alone == ["`systemd_old`"]
    assert [why for why, words in JOB_WORDS.items() if tools.search(words) and "OpenRC" not in words] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_is_named_exists(path: Path) -> None:
    assert set(re.findall(r"\btest_\w+", path.read_text())) - known_tests() == set()


def test_every_control_of_the_threat_model_names_what_holds_it() -> None:
    """A row of a table with an id (S-nn) has a test, or the file that has it, in its last column."""
    rows = [line for line in (ROOT / "docs" / "threat-model.md").read_text().splitlines() if re.match(r"\| S-\d\d", line)]
    assert len(rows) > 40
    unheld = [row for row in rows if not re.search(r"`test_\w+`|`capsule/[\w/.]+`", row.rstrip("| ").rpartition("|")[2])]
    assert unheld == []


def rows_of(page: str) -> list[list[str]]:
    """The cells of every row of every table of a page."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("| ")]


def held_by(row: list[str]) -> list[tuple[str, str]]:
    """The tests that a row names in its last cell, each of which is where the row says."""
    held = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[-1])
    for file, name in held:
        assert re.search(rf"^(?:async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{row[0]}: {file} has no {name}"
    return held


def test_every_journey_has_its_rows_and_each_clause_a_test_or_a_reason() -> None:
    rows = rows_of("journeys.md")[1:]
    assert sorted({int(row[0].split(" ")[0]) for row in rows}) == JOURNEYS
    benches = (ROOT / "scripts" / "bench").read_text()
    for row in rows:
        measured = re.findall(r"`scripts/bench ([\w.]+)`", row[-1])
        assert all(re.search(rf"^  {re.escape(name)} ", benches, re.MULTILINE) for name in measured), row
        assert held_by(row) or measured or row[-1].startswith("not held: "), row
    for number in JOURNEYS:
        held = [row for row in rows if row[0].startswith(f"{number} ") and held_by(row)]
        assert held or number in NOT_YET, f"nothing holds journey {number}"


def test_every_rule_has_its_row_and_each_row_a_test_that_is_there() -> None:
    rows = [row for row in rows_of("rules.md") if re.fullmatch(r"\d+|S-\d\d", row[0])]
    assert [int(row[0]) for row in rows if row[0].isdecimal()] == RULES
    assert len({row[0] for row in rows}) == len(rows)
    for row in rows:
        assert held_by(row), row


def test_every_attack_on_the_hub_is_tried_against_a_running_one() -> None:
    """By a test that starts the hub as a process of its own, and stands in the threat model with what stops it."""
    rows = {row[0]: row[-1] for row in rows_of("rules.md") if row[0].startswith("S-")}
    explained = {row[0] for row in rows_of("threat-model.md")}
    assert [name for name in ATTACKS if name not in rows or name not in explained] == []
    assert [name for name, tests in rows.items() if not re.search(r"`tests/(?:e2e|browser|system)/", tests)] == []


def only_slow(file: str, name: str) -> bool | None:
    """Whether a test runs with --slow alone; None: with other numbers then, or not otherwise at all."""
    functions = ast.walk(ast.parse((ROOT / file).read_text()))
    found = next(one for one in functions if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == name)
    marks = [ast.unparse(one) for one in found.decorator_list]
    return True if "pytest.mark.slow" in marks else None if any("pytest.mark.slow" in mark for mark in marks) else False


def test_every_fault_has_its_row_with_what_tries_it_quickly_and_in_full() -> None:
    rows = {row[0]: row for row in rows_of("faults.md") if re.fullmatch(r"F-\d\d", row[0])}
    assert list(rows) == FAULTS
    for name, row in rows.items():
        assert len(row) == 4, row
        quick, full = ([tuple(found) for found in re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", cell)] for cell in row[2:])
        assert quick, f"nothing tries {name} on each push"
        assert [test for test in quick if only_slow(*test)] == [], f"{name}: with --slow alone"
        assert [test for test in full if only_slow(*test) is False] == [], f"{name}: no more with --slow than without"
        assert [test for test in quick if only_slow(*test) is None and test not in full] == [], (
            f"{name}: more with --slow, and it is not said"
        )


def test_every_error_code_stands_in_the_docs() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    codes = {kind.code for kind in kinds() if kind.__module__.startswith("groundcontrol")}
    assert {code for code in codes if f"| `{code}` |" not in text} == set()


def test_every_way_that_a_deployment_fails_stands_in_the_docs() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    part = text[text.index("## How deployments fail") : text.index("## How jobs end")]
    table = dict(re.findall(r"^\| `([a-z0-9_]+)` \| (.+) \|$", part, re.MULTILINE))
    assert table == MESSAGES
    sources = [(ROOT / "groundcontrol" / "deployments" / name).read_text() for name in ("updates.py", "work.py")]
    raised = re.findall(r'(?:_Failed|DeploymentError|DeployError)\(\s*"([a-z_.]+)"', "".join(sources))
    assert set(raised) == set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", part, re.MULTILINE))


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    broken = [link for link in links if not link.startswith(OUTSIDE) and not (path.parent / link.partition("#")[0]).exists()]
    assert broken == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_with_its_package_exists(path: Path) -> None:
    named = re.findall(
        r"`((?:groundcontrol|majortom|spider|capsule/src|tests|scripts|docs)/[\w/.@-]+\.(?:py|ts|tsx|md|sh|service|socket|conf))`",
        path.read_text(),
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_page_knows_how_many_events_the_hub_tells_of_first() -> None:
    """It concludes from fewer that there are no more. Generated with the schema it would bring that along to where every byte counts."""
    found = re.findall(r"const RECENT_EVENTS = (\d+);", (ROOT / "capsule" / "src" / "core" / "gone.ts").read_text())
    assert found == [str(RECENT_EVENTS)]


def test_the_page_of_the_live_socket_names_every_topic_and_what_is_kept() -> None:
    rows = [row for row in rows_of("live.md") if row[0].startswith("`")]
    assert {row[0].strip("`").partition(":")[0]: row[1].strip("`") for row in rows} == ACTIONS
    text = (ROOT / "docs" / "live.md").read_text()
    kept = f"({KEPT_MOST:,} changes, {KEPT_BYTES >> 10} KiB, or {KEPT_FLEET_BYTES >> 20} MiB of `fleet`)"
    assert all(said in text for said in (kept, f"{MAX_TOPICS} topics at most", f"2<sup>{FIRST_BELOW.bit_length() - 1}</sup>"))


def test_every_benchmark_stands_in_the_help_and_each_that_a_page_names_is_one() -> None:
    helped = re.findall(r"^  ([a-z]+(?:\.[a-z_0-9]+)?) ", (ROOT / "scripts/bench").read_text(), re.MULTILINE)
    assert sorted(helped) == sorted(BENCHES | LONG)
    named = {
        name
        for path in DOCS
        for names in re.findall(r"scripts/bench((?: [a-z]+(?:\.[a-z_0-9]+)?)+)`", path.read_text())
        for name in names.split()
    }
    assert len(named) > 25
    assert named - set(BENCHES | LONG) == set()


def test_the_page_makes_no_markup_of_texts() -> None:
    banned = re.compile(
        r"\b(?:inner|outer)HTML\b|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|\beval\(|new Function\(|srcdoc\b"
    )
    sources = [path for kind in ("ts", "tsx") for path in sorted((ROOT / "capsule" / "src").rglob(f"*.{kind}"))]
    found = [f"{path.relative_to(ROOT)}: {banned.findall(path.read_text())}" for path in sources if banned.search(path.read_text())]
    assert sources
    assert found == []
