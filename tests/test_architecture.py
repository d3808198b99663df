"""Rules about the source tree that no other tool checks."""

from __future__ import annotations

import ast
import builtins
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from groundcontrol.adapters.sqlite.control_store import SERVED
from groundcontrol.adapters.sqlite.json_columns import RECORDS
from groundcontrol.slices import TASKS, TOPICS
from majortom.build.bundle import MAX_BUNDLE_BYTES, build_bundle
from spider.version import VERSION
from tests.support.bundles import shipped_bundle

ROOT = Path(__file__).resolve().parents[1]


def tracked(*patterns: str) -> list[Path]:
    """Files of the project, as git has them."""
    done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def _loaded(modules: str) -> list[str]:
    code = f"import {modules}, sys; print(*sys.modules)"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def test_measuring_modules_are_not_loaded_before_the_session_opens() -> None:
    first, all_of_it = _loaded("spider.__main__, spider.agent"), _loaded("spider.agent, spider.sampling.measurement")
    measuring = (
        "spider.sampling.collectors.",
        "spider.sampling.sampler",
        "spider.reports.host_reports",
        "spider.reports.package_sync",
        "spider.reports.table_reporter",
    )
    assert not [name for name in first if name.startswith(measuring)]
    assert all(any(name.startswith(start) for name in all_of_it) for start in measuring)


def test_the_agent_loads_nothing_heavy() -> None:
    loaded = _loaded("spider.agent, spider.sampling.measurement")
    heavy = {"aiohttp", "asyncssh", "sqlite3", "msgspec", "psutil", "groundcontrol", "majortom"}
    assert not {name.partition(".")[0] for name in loaded} & heavy


@pytest.mark.holds("S-36")
def test_the_bundle_is_small_and_the_same_each_time() -> None:
    first, second = shipped_bundle(), build_bundle()
    assert first == second
    assert len(first) <= MAX_BUNDLE_BYTES


def test_the_bundle_runs_by_itself(tmp_path: Path) -> None:
    bundle = tmp_path / "spider.pyz"
    bundle.write_bytes(shipped_bundle())
    done = subprocess.run(["/usr/bin/env", "-i", "python3", "-I", "-S", "-B", str(bundle), "--version"], cwd="/", capture_output=True, text=True, check=True)  # fmt: skip
    assert VERSION in done.stdout


def test_there_is_no_utilities_module() -> None:
    names = {path.name for path in tracked("*.py", "*.ts", "*.tsx")}
    assert not names & {"utils.py", "helpers.py", "common.py", "manager.py", "utils.ts", "helpers.ts"}


PURE = {
    "model.py",
    "plans.py",
    "summary.py",
    "updates.py",
    "tables.py",
    "tiers.py",
    "query.py",
    "scope.py",
    "permissions.py",
    "text.py",
    "views.py",
    "verbs.py",
}
"""Names of modules of the hub that only compute."""
CLOCK_BY_DEFAULT = {("spider/wire/ids.py", "time.time(")}
"""Read only when the caller gives no `now`: an id that is made without one is made at that moment."""


def test_pure_code_awaits_nothing_and_reads_no_clock() -> None:
    pure = [path for path in tracked("groundcontrol/*.py") if path.name in PURE] + [
        *tracked("groundcontrol/samples/chunks/*.py"),
        *tracked("spider/wire/*.py"),
    ]
    assert pure
    clocks = r"\b(?:time\.(?:time|monotonic|perf_counter|process_time)(?:_ns)?|(?:datetime|date)\.(?:now|utcnow|today))\("
    banned = re.compile(rf"^\s*(?:async def|await |import (?:socket|asyncio)\b|from time import)|{clocks}|os\.environ", re.MULTILINE)
    found = {(str(path.relative_to(ROOT)), match.group(0)) for path in pure for match in banned.finditer(path.read_text())}
    assert found == CLOCK_BY_DEFAULT


@pytest.mark.holds("SAFETY-39", "S-25", "S-51")
def test_dangerous_functions_are_not_used() -> None:
    banned = re.compile(r"\b(?:pickle|marshal|shelve)\b\s*(?:\.|import)|\byaml\.load\(|\beval\(|\bexec\(|shell=True|os\.system\(")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in [*tracked("spider/*.py"), *tracked("groundcontrol/*.py"), *tracked("majortom/*.py")]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if banned.search(line)
    ]
    assert not found


def test_tests_import_helpers_only_from_their_support() -> None:
    named = [path for path in tracked("tests/*.py") if re.search(r"^ *from (?:\.|tests\b(?!\.support\b))", path.read_text(), re.MULTILINE)]
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.module}"
        for path in named  # programs in texts are none; to parse all files takes seconds
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.level or re.match(r"tests(?!\.support\b)", node.module or ""))
    ]
    assert not found


CONSTANT = re.compile(
    r"""(?:setattr|patch|patch\.object)\(\s*(?:[^"',]+,\s*)?["'](?:[\w.]+\.)?_?[A-Z][A-Z0-9_]+["']|^\s+[\w.]+\.[A-Z][A-Z0-9_]+ = """,
    re.MULTILINE,
)
"""A test that changes a constant, where it should give an argument."""


def test_tests_change_no_constants() -> None:
    assert CONSTANT.search('monkeypatch.setattr(\n        module, "LIMIT_S", 1.0)')
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked("tests/*.py")
        if path != Path(__file__)
        for match in CONSTANT.finditer(path.read_text())
    ]
    assert not found


def test_the_hub_provides_just_the_services_that_handlers_ask_for() -> None:
    """mypy checks the type of what is provided, not that anything is."""
    hub = ROOT / "groundcontrol"
    asked = {name for path in hub.rglob("*.py") for name in re.findall(r"services(?:\.of\([\w.]+\))?\[([A-Z]\w+)\]", path.read_text())}
    asked |= {task.__name__ for task in TASKS}
    provided = {name for path in hub.rglob("*.py") for name in re.findall(r"provide\((\w+)\)", path.read_text())}
    assert provided == asked - {served.protocol.__name__ for served in SERVED.values()}


def test_docstrings_name_only_exceptions_that_exist() -> None:
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in tracked("groundcontrol/*.py", "spider/*.py", "majortom/*.py")}
    whole = "\n".join(texts.values())
    known = {*dir(builtins), *re.findall(r"^\s*class (\w+)", whole, re.MULTILINE), *re.findall(r"\b\w+\.(\w+)", whole)}
    said = {
        (path, name)
        for path, text in texts.items()
        for part in re.findall(r"Raises:(.*?)(?:\n\n|\"\"\")", text, re.DOTALL)
        for name in re.findall(r"(?:^|[;,.] )\s*([A-Z][A-Za-z]+)(?=[:;,.]|\s*$)", part, re.MULTILINE)
    }
    assert len(said) > 300
    assert {(path, name) for path, name in said if name not in known} == set()


@pytest.mark.parametrize("extra", [(), ("top",)], ids=["hub", "with top"])
def test_the_hub_imports_only_what_it_depends_on(extra: tuple[str, ...]) -> None:
    """The environment of the tests has more packages than one that runs the hub. The dashboard alone needs an extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *(one for name in extra for one in project["optional-dependencies"][name])]
    needed = {re.split(r"[^A-Za-z0-9._-]", one)[0].lower().replace("_", "-") for one in listed}
    distributions = packages_distributions()
    dashboard = ROOT / "groundcontrol/cli/dashboard/app.py"
    text = "\n".join(path.read_text() for path in tracked("groundcontrol/*.py", "majortom/*.py") if extra or path != dashboard)
    modules = set(re.findall(r"^\s*(?:import|from) (\w+)", text, re.MULTILINE)) - {"groundcontrol", "majortom", "spider"}
    others = {name for name in modules if name not in sys.stdlib_module_names and name in distributions}
    assert {"aiohttp", "asyncssh", "psutil"} <= others
    assert {name for name in others if not {one.lower().replace("_", "-") for one in distributions[name]} & needed} == set()


def test_every_kind_of_change_is_declared_by_a_topic_and_published() -> None:
    published = {
        ast.literal_eval(node.args[0])
        for path in tracked("groundcontrol/*.py")
        if "Changed(" in (text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Changed"
        and isinstance(node.args[0], ast.Constant)
    }
    published |= {changed for records in RECORDS if (changed := records.form.declared.changed)}
    assert published == {topic.changes for topic in TOPICS.values() if topic.changes}


ACT_FOR_THE_INSTANCE = {
    "DEFAULT_ORG": {
        "core/scope.py": "says what it is",
        "access/model.py": "the first organisation, which stays",
        "adapters/sqlite/users.py": "accounts, which belong to the instance",
        "adapters/sqlite/oidc.py": "accounts, which belong to the instance",
        "web/services.py": "the services of the process",
        "adapters/sqlite/audit.py": "the chain with the process's own name",
        "access/first_log_in.py": "the first start",
        "cli/restore.py": "an offline command",
        "cli/rotate_secret.py": "an offline command",
        "adapters/sqlite/secrets.py": "the instance's own secrets",
        "adapters/sqlite/events.py": "refusals of callers that nobody knows",
        "events/making.py": "events of the hub itself",
        "alerts/hub_facts.py": "alerts about the hub itself",
    },
    "SYSTEM": {
        "core/scope.py": "says what it is",
        "nodes/enrolment.py": "a node that proves the instance's own key",
        "adapters/sqlite/events.py": "the summary of refusals",
    },
}
"""Who may act in the organisation of the instance without asking for that of an object, and why. The lists may only shrink."""


@pytest.mark.holds("SAFETY-108")
@pytest.mark.parametrize("name", ACT_FOR_THE_INSTANCE)
def test_only_these_files_act_for_the_organisation_of_the_instance(name: str) -> None:
    found = {
        path.relative_to("groundcontrol").as_posix()
        for path in Path("groundcontrol").rglob("*.py")
        if name in (source := path.read_text())
        for node in ast.walk(ast.parse(source))
        if name in _names_in(node)
    }
    assert found == set(ACT_FOR_THE_INSTANCE[name])


def _names_in(node: ast.AST) -> set[str]:
    """The names that a node uses: as they are, of a module, or imported under another name."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {name}
        case ast.ImportFrom(names=aliases):
            return {one.name for one in aliases if one.asname is not None}
        case _:
            return set()


@pytest.mark.holds("SAFETY-108")
def test_no_organisation_is_named_by_its_number() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in tracked("groundcontrol/*.py")
        if "hub_scope(" in (source := path.read_text())
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith("hub_scope")
        and any(isinstance(one, ast.Constant) for one in node.args)
    ]
    assert found == []
