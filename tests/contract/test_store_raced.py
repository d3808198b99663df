"""Every command of the store: called by twenty identical callers and once more, and by twenty different ones.

`ELSEWHERE` lists commands that are raced in another test; a writing method with neither fails here.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from groundcontrol.adapters.sqlite.control_store import SERVED
from groundcontrol.adapters.sqlite.stores import Store
from tests.support.case_files import case_files
from tests.support.race_cases import CALLERS, Case, Ground, Rows, check_answers, race_rivals
from tests.support.some import some
from tests.support.store_backend import Backend

CASES: Final[dict[str, Case]] = {name: case for each in case_files("race") for name, case in each.CASES.items()}
HERE: Final = Path(__file__).parent

READS: Final = {
    "jobs.unfinished",
    "metrics.hot_hours",
    "user_admin.auth_state",
    "organisations.organisation",
    "organisations.organisations",
    "tokens.token_auth_state",
}
"""They change nothing, which `is_read` cannot see: they ask by another method, or hand the writer on for a later command."""

ELSEWHERE: Final = {
    "batches.create_batch": "test_store_job_commands.py::test_a_batch_is_created_once_per_idempotency_key",
    "batches.stop_batch": "test_store_job_commands.py::test_a_whole_batch_is_cancelled",
    "deliveries.claim": "test_store_deliveries.py::test_of_twenty_senders_one_claims_a_delivery_and_one_ends_it",
    "deliveries.extend": "test_store_outbox.py::test_a_lease_that_is_extended_is_claimed_by_nobody_else",
    "deliveries.finish": "test_store_deliveries.py::test_of_twenty_senders_one_claims_a_delivery_and_one_ends_it",
    "deployments.save_deployment": "test_store_jobs.py::test_of_twenty_savers_of_one_version_one_wins",
    "tables.save_packages": "test_store_facts.py::test_of_twenty_equal_package_reports_one_changes_the_table",
    "factors.use_recovery_code": "test_store_access.py::test_of_twenty_equal_recovery_codes_one_counts",
    "factors.use_step": "test_store_access.py::test_of_twenty_equal_codes_one_counts_and_none_before_it",
    "hubs.lease": "test_store.py::test_a_lease_has_one_holder_and_its_token_grows",
    "invites.use_invite": "test_store_invites.py::test_of_twenty_callers_one_uses_an_invite",
    "jobs.advance": "test_store_jobs.py::test_of_twenty_concurrent_ends_one_is_written",
    "jobs.create_job": "test_store_jobs.py::test_of_twenty_equal_requests_one_creates_the_job",
    "jobs.save_plan": "test_store_job_commands.py::test_of_twenty_saves_of_a_plan_one_changes_the_job",
    "jobs.save_report": "test_store_job_commands.py::test_a_report_is_stored_and_updates_the_reboot_state_of_the_node",
    "jobs.stop_job": "test_store_job_commands.py::test_of_twenty_stops_of_a_waiting_job_one_cancels_it",
    "jobs.take": "test_store_jobs.py::test_of_twenty_dispatchers_one_wins",
    "jobs.cancel_unauthorized": "test_store_standing.py::test_a_job_whose_orderer_lost_the_right_is_not_dispatched",
    "metrics.append": "test_store_metrics.py::test_twenty_senders_of_one_pack_store_it_once",
    "metrics.compact": "test_store_compaction.py::test_twenty_concurrent_compactions_move_an_hour_once",
    "metrics.merge": "test_store_compaction.py::test_twenty_concurrent_merges_merge_a_span_once",
    "nodes.create_node": "test_store.py::test_of_twenty_creators_of_one_name_one_wins",
    "nodes.create_nodes": "test_store.py::test_of_twenty_bulk_creators_one_creates_all_nodes",
    "user_admin.create_user": "test_store_access.py::test_of_twenty_users_of_one_name_one_is_created",
    "secrets.create_keyring": "test_store_users.py::test_the_first_keyring_wins_together_with_its_fleet_key",
    "sessions.claim": "test_store.py::test_of_twenty_claims_each_has_its_own_epoch_and_the_last_owns",
    "users.create_first_admin": "test_store_users.py::test_of_twenty_first_admins_one_wins",
    "users.refresh_session": "test_store_users.py::test_of_twenty_refreshes_with_one_token_one_wins",
    "users.reserve_attempt": "test_store_users.py::test_attempts_are_counted_before_they_are_made",
}
"""Commands whose race is a test of its own."""


def methods() -> Iterator[str]:
    """All that the protocols of the store promise, by the part of the store that has it."""
    for part, served in SERVED.items():
        for name, value in inspect.getmembers(served.protocol):
            if inspect.isfunction(value) and not name.startswith("_"):
                yield f"{part}.{name}"


def is_read(store: Store, name: str) -> bool:
    """Whether a method reaches readers and never the one connection that writes: there is nothing to be raced for."""
    part, _, method = name.partition(".")
    source = inspect.getsource(getattr(getattr(store, part), method))
    if source.lstrip().startswith("@query"):
        return True
    return name in READS or ("_writer" not in source and ("_reader" in source or "_urgent" in source))


def test_every_command_of_the_store_is_repeated_and_raced(store: Store) -> None:
    raced = [*{name.partition(":")[0] for name in CASES}, *ELSEWHERE]
    assert sorted(raced) == sorted(name for name in methods() if not is_read(store, name))


def test_methods_declared_as_reads_never_use_the_writer(store: Store) -> None:
    parts = [(getattr(store, part), method) for part, _, method in (name.partition(".") for name in READS)]
    sources = [inspect.getsource(getattr(part, method)) for part, method in parts]
    assert [source for source in sources if "_writer." in source or "@command" in source] == []


@pytest.mark.parametrize("name", ELSEWHERE)
def test_the_races_named_in_other_files_exist(name: str) -> None:
    file, _, test = ELSEWHERE[name].partition("::")
    text = (HERE / file).read_text()
    [found] = [node for node in ast.parse(text).body if isinstance(node, ast.AsyncFunctionDef) and node.name == test]
    body = ast.get_source_segment(text, found) or ""
    assert "asyncio.gather(" in body
    assert f"range({CALLERS})" in body
    assert f"{name.partition('.')[2]}(" in text


@pytest.mark.parametrize("name", CASES)
async def test_of_twenty_concurrent_callers_and_one_that_asks_again_one_executes_the_command(backend: Backend, name: str) -> None:
    race = await CASES[name](Ground(backend))
    rows = await Rows.from_now(backend.store)
    answers = [*await asyncio.gather(*(race.act() for _ in range(CALLERS))), await race.act()]
    assert await rows.written() == race.rows * (len(answers) if race.each else 1)
    check_answers(race, answers)
    assert await race.held() == race.after
    assert await backend.store.log.verify_audit() is None


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "rivals=" in inspect.getsource(case)])
async def test_twenty_conflicting_callers_leave_the_state_of_their_answers(backend: Backend, name: str) -> None:
    race = await CASES[name](Ground(backend))
    await race_rivals(race, some(race.rivals), backend.store)
    assert await backend.store.log.verify_audit() is None
