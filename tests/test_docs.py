"""The documents' references exist: tests, error codes, files; and their promises have tests."""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from groundcontrol.core.errors import HubError
from groundcontrol.events.feed import RECENT_EVENTS
from groundcontrol.jobs.messages import _WORDS as JOB_WORDS
from groundcontrol.nodes.feed import FLEET_REPLAY_BYTES
from groundcontrol.slices import ROUTES
from groundcontrol.web.limits import LiveLimits
from groundcontrol.web.live.connection import MAX_TOPICS
from groundcontrol.web.live.topics import FIRST_BELOW, REPLAY_BYTES
from groundcontrol.web.openapi import document
from majortom.errors import MESSAGES
from scripts.benches.main import BENCHES, LONG
from spider.wire.sentences import SENTENCES
from tests.support.promises import PAGES, SAFETY_RULES, Holder, carried, holders, promised, rows_of

ROOT = Path(__file__).resolve().parents[1]
DOCS = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
AT_THE_DEPLOYER = {"S-54", "S-55", "S-56"}
"""Attacks of a server on the deployer, which is tried against a hostile sshd without a hub."""
TO_READ = re.search(r"^## For operators\n(.*?)^\*\*Reference\*\*", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
OPERATORS = [ROOT / "README.md", *(ROOT / name for name in dict.fromkeys(re.findall(r"\]\((docs/\w+\.md)", TO_READ[1] if TO_READ else "")))]
"""Every page that the README gives an operator to read; what is to be looked up stands there as reference."""
OPERATORS_WORDS = 12_000
ANYWHERE = {"--json", "--help", "--url", "--data-dir", "--tls-ca", "--tls-pin"}
OUTSIDE = ("http://", "https://", "mailto:", "#")


def kinds(kind: type[HubError] = HubError) -> Iterator[type[HubError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


@functools.cache
def known_tests() -> set[str]:
    """Every test function and every test file there is."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    named = {name for path in files for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)}
    return named | {path.stem for path in files}


def test_no_sentence_about_a_server_speaks_of_systemd_alone() -> None:
    """OpenRC runs servers, too: a statement about servers has to be true there, or to name the difference."""
    rows = rows_of("errors.md")
    assert any("OpenRC" in " ".join(row) for row in rows)
    tools = re.compile(r"systemd|systemctl|journalctl|\bunits?\b")
    alone = [row[0] for row in rows if tools.search(" ".join(row[1:])) and "OpenRC" not in " ".join(row[1:])]
    assert alone == ["`systemd_old`", "`report.more_failed_units`", "`stop.unit_at_work`"], "OpenRC has no units"
    assert [why for why, words in JOB_WORDS.items() if tools.search(words) and "OpenRC" not in words] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_test_that_is_named_exists(path: Path) -> None:
    assert set(re.findall(r"\btest_\w+", path.read_text())) - known_tests() == set()


@pytest.mark.parametrize("kind", PAGES)
def test_the_ids_of_a_document_are_numbered_without_gaps(kind: str) -> None:
    numbers = sorted(int(name.rpartition("-")[2]) for name in promised(kind))
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 20


def test_every_documented_id_has_a_test_and_every_tests_id_is_documented() -> None:
    """Where all that a row promises is not there yet, the row says so (`not held: `), and nothing carries its id."""
    held = {name for kind in PAGES for name, rows in promised(kind).items() if not all("not held: " in row for row in rows)}
    held |= {f"SAFETY-{number}" for number in range(1, SAFETY_RULES + 1)}
    assert held - set(carried()) == set(), "nothing holds these"
    assert set(carried()) - held == set(), "no page promises these"


HOLDS = '@pytest.mark.holds("F-01", "F-02")'


def test_each_test_named_beside_an_id_carries_it() -> None:
    module = f"pytestmark = [pytest.mark.system, pytest.mark.slow]\n{HOLDS}\ndef test_it(): pass\n"
    assert holders(module, "x.py") == [
        ("F-01", Holder("x.py", "test_it", only_slow=True)),
        ("F-02", Holder("x.py", "test_it", only_slow=True)),
    ]
    assert holders(f'@pytest.mark.skipif(True, reason="here")\n{HOLDS}\nasync def test_it(): pass\n', "x.py") != []


@pytest.mark.parametrize(
    "source",
    [
        f"{HOLDS}\ndef helper(): pass",
        f"{HOLDS}\n@pytest.mark.skip\ndef test_it(): pass",
        f'{HOLDS}\n@pytest.mark.xfail(reason="later")\ndef test_it(): pass',
        f'pytestmark = pytest.mark.skip(reason="later")\n{HOLDS}\ndef test_it(): pass',
        f"class TestIt:\n    {HOLDS}\n    def test_it(self): pass",
        f"{HOLDS}\nclass TestIt: pass",
        f"pytestmark = {HOLDS[1:]}\ndef test_it(): pass",
        f'@pytest.mark.parametrize("a", [pytest.param(1, marks={HOLDS[1:]})])\ndef test_it(a): pass',
    ],
    ids=["no test", "skipped", "fails", "skipped module", "in a class", "a class", "a module", "a parameter"],
)
def test_an_id_without_a_test_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="no test that runs"):
        holders(source, "x.py")


def test_every_attack_is_tried_against_a_running_hub_a_browser_or_a_host() -> None:
    untried = {
        name
        for name in promised("S")
        if not any(test.file.startswith(("tests/e2e/", "tests/browser/", "tests/system/")) for test in carried().get(name, ()))
    }
    assert untried == AT_THE_DEPLOYER


def test_every_fault_is_caused_on_each_push() -> None:
    assert [name for name in promised("F") if all(test.only_slow for test in carried().get(name, ()))] == []


def test_every_error_code_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    codes = {kind.code for kind in kinds() if kind.__module__.startswith("groundcontrol")}
    assert {code for code in codes if f"| `{code}` |" not in text} == set()


def test_every_deployment_error_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    part = text[text.index("## How deployments fail") : text.index("## How jobs end")]
    table = dict(re.findall(r"^\| `([a-z0-9_]+)` \| (.+) \|$", part, re.MULTILINE))
    assert table == MESSAGES
    sources = [(ROOT / "groundcontrol" / "deployments" / name).read_text() for name in ("agent_updates.py", "run.py")]
    raised = re.findall(r'(?:_Failed|DeploymentError|DeployError)\(\s*"([a-z_.]+)"', "".join(sources))
    assert set(raised) == set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", part, re.MULTILINE))


def test_every_sentence_of_an_agent_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    part = text[text.index("## What a node says of a job") : text.index("## The command line")]
    assert dict(re.findall(r"^\| `([a-z.0-9_]+)` \| (.+) \|$", part, re.MULTILINE)) == SENTENCES


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_a_file(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    broken = [link for link in links if not link.startswith(OUTSIDE) and not (path.parent / link.partition("#")[0]).exists()]
    assert broken == []


def test_every_link_to_a_heading_leads_to_one() -> None:
    headings = {path: {_anchor(text) for text in re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)} for path in DOCS}
    broken = []
    for path in DOCS:
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
            file, _, anchor = link.partition("#")
            page = (path.parent / file).resolve() if file else path
            if anchor and page in headings and anchor not in headings[page]:
                broken.append(f"{path.name}: {link}")
    assert broken == []


def _anchor(heading: str) -> str:
    """The name under which GitHub links to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def test_every_command_that_an_operators_page_shows_exists_with_its_flags() -> None:
    """Of `stardust VERB …`, in code. docs/cli.md is written from the parser."""
    parts = re.split(r"^##+ ([^\n]+)\n", (ROOT / "docs" / "cli.md").read_text(), flags=re.MULTILINE)
    flags = {verb: set(re.findall(r"--[a-z-]+", text)) | ANYWHERE for verb, text in zip(parts[1::2], parts[2::2], strict=True)}
    flags["serve"] |= set(re.findall(r"`(--[a-z-]+)`", (ROOT / "docs" / "settings.md").read_text()))
    seen = 0
    wrong: list[str] = []
    for path in OPERATORS:
        text = path.read_text()
        lines = [*re.findall(r"`([^`\n]+)`", text), *"".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)).splitlines()]
        code = [line for line in lines if "podman" not in line]  # it has a secret of this name
        for verb, rest in re.findall(r"(?<![\w/.-])stardust ([a-z][\w-]*)([^|&;#\n]*)", "\n".join(code)):
            words = rest.split()
            command = f"{verb} {words[0]}" if words and f"{verb} {words[0]}" in flags else verb
            seen += 1
            known = flags.get(command, set())
            wrong += [f"{path.name}: {command} {flag}" for flag in re.findall(r"--[a-z-]+", rest) if flag not in known]
            wrong += [f"{path.name}: {command}"] * (command not in flags)
    assert seen > 80
    assert wrong == []


def test_every_call_of_curl_that_a_page_shows_is_described_with_its_fields() -> None:
    described = document(ROUTES)
    paths = {re.compile(re.sub(r"{\w+}", "[^/]+", path) + r"\Z"): methods for path, methods in described["paths"].items()}
    seen = 0
    for path in DOCS:
        for line in re.findall(r"^curl (.*/api/v1/.*)$", path.read_text(), re.MULTILINE):
            words = shlex.split(line)
            [url] = [urlsplit(word) for word in words if word.startswith("https://")]
            body = json.loads(words[words.index("--json") + 1]) if "--json" in words else None
            [methods] = [found for pattern, found in paths.items() if pattern.match(url.path)] or [{}]
            operation = methods.get("get" if body is None else "post", {})
            assert operation, line
            known = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
            assert set(parse_qs(url.query)) <= known, line
            if body is not None:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                assert set(body) <= set(described["components"]["schemas"][reference.rpartition("/")[2]]["properties"]), line
            seen += 1
    assert seen >= 4


def test_the_operators_pages_are_short_enough_to_be_read() -> None:
    """Tables that are written from the program are looked up in, not read."""
    assert len(OPERATORS) > 10
    written = [re.sub(r"<!-- tables -->.*<!-- end of tables -->", "", path.read_text(), flags=re.DOTALL) for path in OPERATORS]
    assert sum(1 for text in written for word in text.split() if re.search(r"\w", word)) <= OPERATORS_WORDS


@pytest.mark.parametrize("path", DOCS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_that_is_named_with_its_package_exists(path: Path) -> None:
    named = re.findall(
        r"`((?:groundcontrol|majortom|spider|capsule/src|tests|scripts|docs)/[\w/.@-]+\.(?:py|ts|tsx|md|sh|service|socket|conf))`",
        path.read_text(),
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_path_in_the_architecture_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = re.findall(r"`(\w[\w@.-]*/(?:[\w@./-]*(?:/|\.(?:py|tsx?|sh)))?)`", text)
    assert len(named) > 100
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_page_knows_the_size_of_the_hubs_first_event_list() -> None:
    """It concludes from fewer that there are no more. Generated with the schema it would bring that along to where every byte counts."""
    found = re.findall(r"const RECENT_EVENTS = (\d+);", (ROOT / "capsule" / "src" / "core" / "nodes" / "offline-reason.ts").read_text())
    assert found == [str(RECENT_EVENTS)]


def test_the_live_document_tells_the_replay_limits() -> None:
    text = (ROOT / "docs" / "live.md").read_text()
    kept = f"({LiveLimits().replay_messages:,} changes, {REPLAY_BYTES >> 10} KiB, or {FLEET_REPLAY_BYTES >> 20} MiB of `fleet`)"
    assert all(said in text for said in (kept, f"{MAX_TOPICS} topics at most", f"2<sup>{FIRST_BELOW.bit_length() - 1}</sup>"))


def test_each_benchmark_that_a_page_names_is_one() -> None:
    named = {
        name
        for path in DOCS
        for names in re.findall(r"scripts/bench((?: [a-z]+(?:\.[a-z_0-9]+)?)+)`", path.read_text())
        for name in names.split()
    }
    assert len(named) > 25
    assert named - set(BENCHES | LONG) == set()


@pytest.mark.holds("SAFETY-29", "S-16")
def test_the_page_never_turns_text_into_markup() -> None:
    banned = re.compile(
        r"\b(?:inner|outer)HTML\b|insertAdjacentHTML|document\.write|dangerouslySetInnerHTML|\beval\(|new Function\(|srcdoc\b"
    )
    sources = [path for kind in ("ts", "tsx") for path in sorted((ROOT / "capsule" / "src").rglob(f"*.{kind}"))]
    found = [f"{path.relative_to(ROOT)}: {banned.findall(path.read_text())}" for path in sources if banned.search(path.read_text())]
    assert sources
    assert found == []
