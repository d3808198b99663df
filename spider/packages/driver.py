"""Runs each verb in the same steps on every package manager: check, plan, show, compare, execute, verify."""

import contextlib
import re
import time
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from spider.jobs.files import JOBS_DIR
from spider.packages.backend import STOP_AFTER_STEP, STOP_TOO_LATE, Backend, Command, Failure, OwnStep, PackageError, PackageList, Replan
from spider.packages.hook_install import PLAN_CHANGED
from spider.packages.interfaces import Console, Outcome, PackageCondition, PackagesUnreadable, Task
from spider.packages.outcome import Ran, decide, decide_unplanned
from spider.packages.plan import Inventory, Plan, Planned, compare_inventories, unplanned
from spider.packages.plan_text import print_difference, print_kept_back, print_plan, print_sizes
from spider.packages.preconditions import (
    LOCK_LIMIT_S,
    JobStopped,
    check_database,
    check_held,
    check_names,
    check_removals,
    check_room,
    check_stop,
    join_names,
    wait_for_lock,
)
from spider.packages.refresh_marks import RefreshMarks
from spider.packages.report import AfterCare, Report
from spider.packages.restarts import will_restart
from spider.root.terminal import StopRule
from spider.wire.report_messages import Updates
from spider.wire.sentences import name_list, sentence
from spider.wire.verbs import PLAN, VERBS

LISTS_LOCK_POLL_S = 5.0
OLD_LISTS_S = 7 * 86400


class _ChangesUnknown(PackagesUnreadable):
    """Commands ran, but the inventory cannot be read afterwards."""


class Driver:
    """The `PackageManager` of one backend."""

    def __init__(self, backend: Backend, care: Optional[AfterCare] = None, jobs_dir: str = JOBS_DIR) -> None:
        self.name = backend.name
        self._backend = backend
        self._care = care
        self._marks = RefreshMarks(jobs_dir)

    @property
    def newer(self) -> Sequence[Planned]:
        return self._backend.newer

    def held(self) -> Sequence[Tuple[str, str, str]]:
        deferred = frozenset(self._backend.deferred)
        packages = self._backend.inventory().items()
        return sorted((name, one.version, "held" if one.held else "phased") for name, one in packages if one.held or name in deferred)

    def condition(self) -> PackageCondition:
        """Package faults and the state of each list. The faults are unknown while another program changes packages."""
        faults: Optional[List[Tuple[str, str]]] = None
        repositories: Optional[List[Tuple[str, float, str]]] = None
        with contextlib.suppress(PackagesUnreadable, PackageError):
            faults = self._faults()
        with contextlib.suppress(PackagesUnreadable, PackageError):
            lists = self._backend.lists()
            repositories = None if lists is None else [(one.name, *self._list_state(one)) for one in lists]
        return PackageCondition(faults, repositories)

    def _faults(self) -> Optional[List[Tuple[str, str]]]:
        if self._backend.lock() is not None:
            return None
        inventory = self._backend.inventory()
        whole = self._backend.broken(inventory)
        if self._backend.lock() is not None:
            return None
        faults = [(name, "incomplete") for name, package in sorted(inventory.items()) if package.broken]
        return faults or ([("", whole)] if whole else [])

    def _list_state(self, one: PackageList) -> Tuple[float, str]:
        """The time of the last refresh, and the state of the list."""
        if not one.refreshed_at:
            return 0.0, "missing"
        refused = self._marks.refusal()
        if refused is None:
            return max(one.refreshed_at, self._marks.refreshed_at()), "expired" if one.expired else "current"
        return one.refreshed_at, "refused" if _mentions(refused, one.name) else "expired" if one.expired else "unknown"

    def available_updates(self) -> Updates:
        """Count the available upgrades. If lists are incomplete, the time of the check is 0 (unknown).

        Raises: PackagesUnreadable: the query failed although the lists are complete. Otherwise the counts are then -1 (unknown).
        """
        incomplete = ""
        try:
            incomplete = self._incomplete()
            updates = self._backend.available_updates()
        except (PackagesUnreadable, PackageError) as exc:
            if not incomplete:
                raise PackagesUnreadable(str(exc)) from exc
            return Updates(-1, -1, 0)
        if incomplete or not updates.checked_at_ms:
            return updates._replace(checked_at_ms=0)
        return updates._replace(checked_at_ms=max(updates.checked_at_ms, int(self._marks.refreshed_at() * 1000)))

    def perform(self, task: Task, console: Console) -> Outcome:
        try:
            check_stop(console)
            return self._perform(task, console)
        except JobStopped:
            console.print_line("Stopped before anything was changed.")
            return Outcome("cancelled", None, 0, (), "job.stopped", "it was stopped before anything was changed")
        except PackageError as trouble:
            console.print_line(trouble.text)
            return Outcome("failed", None, 0, (), trouble.code, trouble.text)
        except PackagesUnreadable as exc:
            console.print_line(str(exc))
            return Outcome("unknown" if isinstance(exc, _ChangesUnknown) else "failed", None, 0, (), "job.package_manager", str(exc))

    def wait_free(self, console: Console) -> Optional[Outcome]:
        try:
            wait_for_lock(self._backend, console)
        except JobStopped:
            return Outcome("cancelled", None, 0, (), "job.stopped", "it was stopped before anything was changed")
        except PackageError as trouble:
            console.print_line(trouble.text)
            return Outcome("failed", None, 0, (), trouble.code, trouble.text)
        return None

    def _perform(self, task: Task, console: Console) -> Outcome:
        verb = task.target if task.verb == PLAN else task.verb
        refusal = self._backend.cannot(verb, task.packages)
        if refusal:
            raise PackageError("job.not_supported", refusal)
        if task.verb == "check":
            return self._check(console)
        if task.verb == PLAN:
            return self._plan(task, console)
        if VERBS[task.verb].planned:
            return self._change(task, console)
        return self._run_unplanned(task, console)

    # -- verbs without a plan ----------------------------------------------------------------

    def _run_unplanned(self, task: Task, console: Console) -> Outcome:
        """refresh, hold, unhold, clean and repair."""
        verb, before = task.verb, {}  # type: Tuple[str, Inventory]
        if verb != "refresh":
            before = self._backend.inventory()
            check_names(self._backend, verb, task.packages, before)
            if wait_for_lock(self._backend, console):
                before = self._backend.inventory()
        if verb == "repair":
            broken_text = self._backend.broken(before)
            console.print_line(broken_text or "Nothing is broken.")
        runs = self._run(verb, task.packages, Plan(), console)
        ends_at = time.monotonic() + LOCK_LIMIT_S
        while verb == "refresh" and _locked_out(runs) and time.monotonic() < ends_at:
            console.progress("waiting_lock", text=str(runs[-1].reader.lock or sentence("phase.waits_for_lists")))
            console.wait(LISTS_LOCK_POLL_S)  # no package manager waits for this lock itself
            check_stop(console)
            runs = self._run(verb, task.packages, Plan(), console)
        console.progress("check")
        outcome = decide_unplanned(runs, self.name) if verb in ("refresh", "clean") else self._outcome_unplanned(task, runs, before)
        notes = _notes(runs)
        if notes:
            console.reported(Report(notes=notes))
        if outcome.state == "succeeded":
            console.progress("check", 100)
        if verb == "refresh":
            if outcome.state == "succeeded":
                self._backend.missing()  # raises if no repository is enabled: nothing was refreshed
            self._marks.save(outcome)
        return outcome

    def _outcome_unplanned(self, task: Task, runs: Sequence[Ran], before: Inventory) -> Outcome:
        after = self._inventory_after()
        outcome = decide_unplanned(runs, self.name)._replace(changes=compare_inventories(before, after))
        if outcome.error_code == "job.stopped" and (outcome.state != "cancelled" or len(runs) > 1 or before != after):
            mended = [name for name, package in sorted(before.items()) if package.broken and name in after and not after[name].broken]
            text = f"completed by then: {join_names(mended)}" if mended else "earlier changes stay"
            outcome = outcome._replace(state="failed", error_text=f"it was stopped before it was complete; {text}")
        broken = self._backend.broken(after) if task.verb == "repair" and outcome.state != "cancelled" else ""
        if broken:
            text = f"{broken}. {outcome.error_text}" if outcome.error_text else broken
            return outcome._replace(state="failed", error_code="job.packages_broken", error_text=text)
        if task.verb == "repair" or outcome.state != "succeeded":
            return outcome
        wrong = [name for name in task.packages if (name in after and after[name].held) != (task.verb == "hold")]
        if wrong:
            text = f"{self.name} did not {task.verb} {join_names(wrong)}"
            return outcome._replace(state="failed", error_code="job.incomplete", error_text=text)
        return outcome

    # -- looking -------------------------------------------------------------------------------

    def _check(self, console: Console) -> Outcome:
        console.progress("plan")
        refreshed_at = self._refreshed_at()
        inventory = self._backend.inventory()
        full = self._simulate("full-upgrade", ())
        safe = full if self._backend.cannot("upgrade", ()) else self._backend.simulate("upgrade", ())
        check_stop(console)
        age_s = max(0.0, time.time() - refreshed_at)
        console.print_line(
            f"The package lists were refreshed {_age(age_s)} ago.{' Refresh them: they are old.' if age_s > OLD_LISTS_S else ''}"
        )
        counts = _count_updates(full)
        console.print_line(counts)
        incomplete = self._incomplete()
        if incomplete:
            console.print_line(f"There may be more: {incomplete}. Refresh the package lists.")
        console.print_line("")
        print_plan(console, "upgrade would do:", safe)
        print_plan(console, "full-upgrade would do besides:", full, known=safe)
        print_kept_back(console, full)
        held = [name for name, package in sorted(inventory.items()) if package.held]
        if held:
            console.print_line("On hold: " + ", ".join(held))
        broken = self._backend.broken(inventory)
        if broken:
            console.print_line(f"{broken}. Nothing can be upgraded before that is repaired.")
        console.progress("check", 100, "", counts)
        return Outcome("succeeded", 0, 0, ())

    def _plan(self, task: Task, console: Console) -> Outcome:
        console.progress("plan")
        self._refreshed_at()
        if wait_for_lock(self._backend, console):  # what its holder changes would outdate the plan
            console.progress("plan")
        inventory = self._backend.inventory()
        check_names(self._backend, task.target, task.packages, inventory)
        plan = self._simulate(task.target, task.packages)
        check_stop(console)
        plan = plan._replace(restarts=will_restart(plan, self._backend.list_files, self._backend.environment))
        _publish(plan, console)
        print_plan(console, f"{task.target} would do:", plan)
        print_kept_back(console, plan)
        print_sizes(console, plan)
        if not plan.steps:
            console.print_line("There is nothing to do.")
        # the plan is shown anyway
        check_held(task.target, plan, inventory)
        check_database(self._backend, inventory, task.packages if task.target == "remove" else ())
        if plan.steps:
            check_room(self._backend, plan)
        console.progress("check", 100, "", sentence("phase.planned", count=len(plan.steps)))
        return Outcome("succeeded", 0, 0, ())

    def _simulate(self, verb: str, packages: Sequence[str]) -> Plan:
        """Make a plan. An upgrade may have an empty plan only if the lists of all repositories are known.

        Raises: PackageError; PackagesUnreadable.
        """
        plan = self._backend.simulate(verb, packages)
        incomplete = "" if plan.steps or not VERBS[verb].upgrades else self._incomplete()
        if incomplete:
            raise PackageError(
                "job.repository_stale", f"whether there is something to do is unknown: {incomplete}; refresh the package lists first"
            )
        return plan

    def _refreshed_at(self) -> float:
        """When the package lists were last refreshed.

        Raises: PackageError: they were never refreshed. PackagesUnreadable.
        """
        refreshed_at = max(self._backend.lists_refreshed_at(), self._marks.refreshed_at())
        if not refreshed_at:
            self._backend.missing()  # raises if no repository is enabled: a refresh cannot help then
            raise PackageError(
                "job.lists_missing", "this node has no package lists yet, so nothing is known of updates: refresh them first"
            )
        return refreshed_at

    def _incomplete(self) -> str:
        """Why the lists are not complete, as a part of a sentence; empty = they are complete.

        Raises: PackagesUnreadable. PackageError: no repository is enabled.
        """
        missing = self._backend.missing()
        if missing:
            return f"nothing is known of {join_names(missing)}"
        refused = self._marks.refusal()
        return "" if refused is None else f"the last refresh failed ({refused})" if refused else "the last refresh failed"

    # -- changing ------------------------------------------------------------------------------

    def _change(self, task: Task, console: Console) -> Outcome:
        ends_at = time.monotonic() + LOCK_LIMIT_S
        begun = False
        while True:
            before, plan = self._prepare(task, console)
            if not plan.steps:
                console.print_line("There is nothing to do.")
                print_kept_back(console, plan)
                return Outcome("succeeded", 0, 0, ())
            if self._care is not None and not begun:
                self._care.begin()
            begun = True
            runs = self._run(task.verb, task.packages, plan, console)
            if not _locked_out(runs) or _may_have_changed(runs) or time.monotonic() >= ends_at:
                break
            # another program took the lock first and may change the plan; this job has changed nothing
            wait_for_lock(self._backend, console)
            check_stop(console)
        console.progress("check")
        after = self._final_inventory(runs, before, console)
        if _refused(runs) and not compare_inventories(before, after):
            raise self._plan_changed(task.verb, task.packages, plan, console)
        outcome = decide(runs, plan, before, after, self.name)
        self._report(runs, plan, outcome, console)
        if outcome.state == "succeeded":
            console.progress("check", 100)
        return outcome

    def _prepare(self, task: Task, console: Console) -> Tuple[Inventory, Plan]:
        """The inventory and the plan, after all checks. The plan is shown, and compared with the approved plan.

        Raises: PackageError; PackagesUnreadable; JobStopped.
        """
        before = self._check_inventory(task, console)
        if wait_for_lock(self._backend, console):
            before = self._check_inventory(task, console)
        plan = self._simulate(task.verb, task.packages)
        _publish(plan, console)
        self._compare(task, plan, console)
        check_held(task.verb, plan, before)
        check_removals(self._backend, task.verb, plan, shown=bool(task.plan))
        if plan.steps:
            check_room(self._backend, plan)
            check_stop(console)
            print_plan(console, f"{task.verb}:", plan)
            print_kept_back(console, plan)
            print_sizes(console, plan)
        return before, plan

    def _final_inventory(self, runs: List[Ran], before: Inventory, console: Console) -> Inventory:
        """The inventory now. First, packages that a stop left half-configured are completed."""
        after = self._inventory_after()
        stopped = any(ran.ended.stopped == "after_package" for ran in runs)
        half_way = [name for name, package in after.items() if package.broken and not (name in before and before[name].broken)]
        if not stopped or not half_way:
            return after
        console.print_line(f"Stopped. The installation that was begun is completed: {join_names(half_way)}.")
        self._run("repair", (), Plan(), console, to_the_end=True)
        console.progress("check")
        return self._inventory_after()

    def _inventory_after(self) -> Inventory:
        """The inventory after commands ran. Raises: _ChangesUnknown."""
        try:
            return self._backend.inventory()
        except PackagesUnreadable as exc:
            raise _ChangesUnknown(f"{exc}; what was changed is not known") from exc

    def _check_inventory(self, task: Task, console: Console) -> Inventory:
        """Read the inventory, and check that no package is broken and the named packages exist."""
        console.progress("plan")
        inventory = self._backend.inventory()
        check_database(self._backend, inventory, task.packages if task.verb == "remove" else ())
        check_names(self._backend, task.verb, task.packages, inventory)
        return inventory

    def _compare(self, task: Task, plan: Plan, console: Console) -> None:
        """Check that the plan equals the approved one.

        Raises: PackageError.
        """
        if not task.plan or task.plan == plan.digest:
            return
        seen = console.seen_plan(task.plan)
        if seen is None:
            print_plan(console, "Now it would do:", plan)
        else:
            print_difference(console, seen, plan)
        raise PackageError("job.plan_changed", PLAN_CHANGED)

    def _plan_changed(self, verb: str, packages: Sequence[str], plan: Plan, console: Console) -> PackageError:
        """The error for a plan that differs from the shown plan. The difference is in the job's log."""
        try:
            now = self._backend.simulate(verb, packages)
        except (PackagesUnreadable, PackageError) as exc:
            console.print_line(str(exc))
        else:
            if now.digest != plan.digest:
                _publish(now, console)
                print_difference(console, plan, now)
        return PackageError("job.plan_changed", PLAN_CHANGED)

    def _report(self, runs: Sequence[Ran], plan: Plan, outcome: Outcome, console: Console) -> None:
        notes = list(_notes(runs))
        extra = unplanned(plan, outcome.changes)
        if extra:
            notes.append(sentence("report.unplanned", names=name_list([name for name, _, _ in extra], 20)))
        native = self._backend.reboot_required()
        care = self._care
        report = Report(native.required, native.why) if care is None else care.report((native.required, native.why), outcome.changes)
        console.reported(report._replace(notes=(*report.notes, *notes)))

    # -- running -------------------------------------------------------------------------------

    def _run(self, verb: str, packages: Sequence[str], plan: Plan, console: Console, *, to_the_end: bool = False) -> List[Ran]:
        """Run the steps of a verb in order, until a required step fails or a stop is requested."""
        runs: List[Ran] = []
        over = False
        work = self._backend.work(verb, packages, plan)
        for index, action in enumerate(work):
            if isinstance(action, OwnStep):
                if not over:
                    self._call(action, console)
            elif isinstance(action, Replan):
                if not over:
                    self._check_replan(action, verb, packages, plan, console)
            elif not over or action.always:
                answered = any(ran.ended.stopped for ran in runs)
                last = not any(isinstance(later, Command) and not later.always for later in work[index + 1 :])
                rule = None if to_the_end else self._stop_rule(action, answered=answered, last=last)
                ran = self._run_command(verb, action, console, rule)
                runs.append(ran)
                failed = ran.failure is not None or ran.ended.rc is None or bool(ran.ended.overran)
                over = over or (action.stops_on_failure and failed) or (not to_the_end and ran.ended.stopped in ("now", "after_package"))
        return runs

    @staticmethod
    def _call(step: OwnStep, console: Console) -> None:
        if step.log_line:
            console.print_line(step.log_line)
        try:
            step.do()
        except OSError as exc:
            raise PackageError("job.package_manager", f"{exc.filename or step.log_line}: {exc.strerror or exc}") from exc

    def _check_replan(self, replan: Replan, verb: str, packages: Sequence[str], plan: Plan, console: Console) -> None:
        """Raises: PackageError: the plan has changed. JobStopped."""
        wait_for_lock(self._backend, console)
        now = replan.plan()
        check_stop(console)
        if now.digest != plan.digest:
            raise self._plan_changed(verb, packages, plan, console)

    def _stop_rule(self, command: Command, *, answered: bool, last: bool) -> Optional[Callable[[str], StopRule]]:
        """The stop rule of a command. None: the command reports nothing, since an earlier one has reported the request (`answered`).

        A command that cannot be stopped still reports the request: as too late if no required command follows (`last`), or as obeyed after
        this step.
        """
        if command.stoppable:
            return command.stop_rule or self._backend.stop_rule
        return None if answered else lambda _phase: STOP_TOO_LATE if last else STOP_AFTER_STEP

    def _run_command(self, verb: str, command: Command, console: Console, stop_rule: Optional[Callable[[str], StopRule]]) -> Ran:
        reader = self._backend.reader(verb, console)
        env: Dict[str, str] = {**self._backend.environment, **command.env}
        console.progress(command.phase)
        has_status = any("{fd}" in word for word in command.argv)
        ended = console.run(
            command.argv,
            env,
            reader.line,
            reader.status if has_status else None,
            command.limits_s,
            command.signals,
            stop_rule,
        )
        failure: Optional[Failure] = None if ended.rc is None else self._backend.failure(verb, ended, reader)
        return Ran(command, ended, reader, failure)


def _mentions(text: str, name: str) -> bool:
    """Whether a text has every word of a repository's name as a whole word: `main` is not a part of `domain` or `main-debug`."""
    return all(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in name.split())


def _publish(plan: Plan, console: Console) -> None:
    """Publish the plan. Raises: PackageError: it cannot be written, so the job ends."""
    try:
        console.planned(plan)
    except OSError as exc:
        raise PackageError("job.no_space", f"the plan could not be written: {exc.strerror}") from exc


def _locked_out(runs: Sequence[Ran]) -> bool:
    return any(ran.failure is not None and ran.failure.code == "job.lock_busy" for ran in runs)


def _may_have_changed(runs: Sequence[Ran]) -> bool:
    """Whether a command that changes packages ran without a failure, such as the upgrade of pacman's keyring before all others."""
    return any(ran.failure is None and not ran.command.always and ran.command.phase != "download" for ran in runs)


def _refused(runs: Sequence[Ran]) -> bool:
    return any(ran.failure is not None and ran.failure.code == "job.plan_changed" for ran in runs)


def _notes(runs: Sequence[Ran]) -> Tuple[str, ...]:
    return tuple(dict.fromkeys(note for ran in runs for note in ran.reader.notes))


def _count_updates(plan: Plan) -> str:
    steps = plan.upgrades
    if any(step.security == "unknown" for step in steps):
        return sentence("phase.updates_unclear", count=len(steps))
    return sentence("phase.updates", count=len(steps), security=sum(step.security == "yes" for step in steps))


def _age(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return "a minute"
