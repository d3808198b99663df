"""What a policy takes, and which plans go beyond it: any list, any plan, any limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.jobs.plans import Plan, PlanHead, PlanStep
from groundcontrol.policies.calendar import Times, When
from groundcontrol.policies.choosing import DAY_S, Update, choose, plan_fault, unwanted_name, verb_of
from groundcontrol.policies.model import MinAge, Pair, PatchPolicy, PolicyId, PolicySelect, check_policy
from groundcontrol.schedules.model import Selector

NOW = 1_800_000_000.0
NAMES = st.sampled_from(["nginx", "nginx:i386", "postgresql-15", "linux-image-6.1.0", "libc6", "shop"])
VERSIONS = st.sampled_from(["1", "2", "3"])
SECURITY: Any = st.sampled_from(["yes", "no", "unknown"])


def a_policy(**fields: Any) -> PatchPolicy:
    return PatchPolicy(
        PolicyId("p"), 1, "p", PolicySelect(Selector(all=True)), Times(When(weekly=("tue",)), "02:30", 7200, "UTC")
    )._replace(**fields)


def a_plan(*steps: PlanStep) -> Plan:
    return Plan(PlanHead("d", None, None, "no", ""), True, steps, ())


updates = st.lists(
    st.builds(Update, NAMES, st.just("0"), VERSIONS, SECURITY, st.just("debian"), st.booleans()),
    max_size=5,
    unique_by=lambda one: one.package,
)
policies = st.builds(
    a_policy, what=st.sampled_from(["security", "all"]), leave_out=st.sampled_from([(), ("postgresql-*",), ("libc*",)]),
    only=st.sampled_from([(), ("nginx*", "libc6")]), kernel=st.booleans(), min_age=st.builds(MinAge, st.sampled_from([0, 3]), st.sampled_from([0, 7])),
    approval=st.sampled_from(["none", "person"]),
)  # fmt: skip
ages = st.dictionaries(st.tuples(st.just("debian"), NAMES, VERSIONS), st.sampled_from([0.0, 1.0, 4.0, 8.0]))
plans = st.lists(
    st.builds(PlanStep, NAMES, st.sampled_from(["", "0"]), st.sampled_from(["", "1", "2", "3"]), SECURITY, st.just("debian")), max_size=4
)


@pytest.mark.holds("SAFETY-106")
@given(policies, updates, ages, plans, st.sampled_from(["apt", "dnf", "pacman"]))
def test_nothing_is_installed_but_what_the_limits_allow_whatever_the_lists_and_plans_say(
    policy: PatchPolicy, listed: list[Update], days: dict[tuple[str, str, str], float], steps: list[PlanStep], manager: str
) -> None:
    check_policy(policy)
    seen = {key: NOW - age * DAY_S for key, age in days.items()}
    approved = [Pair(one.package, one.after) for one in listed[::2]]
    choice = choose(policy, manager, listed, seen, NOW, approved if policy.approval != "none" else None)
    for one in choice.take:
        needed = policy.min_age.security if one.security == "yes" else policy.min_age.other
        assert not one.kept
        assert policy.what == "all" or one.security == "yes"
        assert not unwanted_name(policy, one.package)
        assert not needed or days.get((one.repository, one.package, one.after), 0.0) >= needed, "unknown age is new"
        assert policy.approval == "none" or Pair(one.package, one.after) in approved
    assert sorted((*choice.take, *choice.waiting, *choice.left_out)) == sorted(listed), "each is named once"
    verb, packages = verb_of(policy, choice)
    assert choice.whole or set(packages) == {one.package for one in choice.take}
    assert verb in ("upgrade", "security-upgrade")
    if plan_fault(policy, choice, a_plan(*steps)) or not steps:
        return
    taken = {(one.package.partition(":")[0], one.after) for one in choice.take}
    for step in steps:
        assert step.after, "a policy removes nothing"
        if not policy.filters:
            continue  # the whole verb, without limits on packages
        assert not unwanted_name(policy if step.before else policy._replace(only=()), step.package)
        known = (step.package.partition(":")[0], step.after) in taken
        assert known or not step.before or choice.whole
        assert known or not (policy.min_age.security if step.security == "yes" else policy.min_age.other), "unknown age is new"
        assert known or policy.approval == "none" or not step.before, "what was not approved waits"


def test_a_version_that_appeared_after_the_list_waits_for_its_age_also_in_a_whole_upgrade() -> None:
    policy = a_policy(what="all", min_age=MinAge(0, 7))
    old = Update("nginx", "1", "2", "no", "debian")
    choice = choose(policy, "apt", [old], {("debian", "nginx", "2"): NOW - 9 * DAY_S}, NOW)
    assert (choice.whole, verb_of(policy, choice)) == (True, ("upgrade", ()))
    planned = PlanStep("nginx", "1", "2", "no", "debian")
    assert plan_fault(policy, choice, a_plan(planned)) == ""
    assert "age is not known" in plan_fault(policy, choice, a_plan(planned, PlanStep("shop", "1", "9", "no", "debian")))
    assert "is 3 by now" in plan_fault(policy, choice, a_plan(planned._replace(after="3")))
    assert plan_fault(policy, choice, a_plan(planned, PlanStep("shop", "1", "9", "yes", "debian"))) == "", (
        "security updates wait for nothing"
    )
