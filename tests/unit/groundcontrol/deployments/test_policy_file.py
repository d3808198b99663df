"""The policy file of a server is its owner's: a found one stays, and only a difference that somebody has seen is written."""

from __future__ import annotations

import pytest

from groundcontrol.core.errors import BadRequest
from groundcontrol.deployments.errors import CredentialsRequired
from groundcontrol.deployments.model import DeploymentOverrides, DeploymentRequest, PolicyLines
from groundcontrol.deployments.policy_file import check_lines, difference_digest, edited, plan_policy, policy_conf
from groundcontrol.deployments.requests import with_typed_credentials
from groundcontrol.nodes.model import NodePolicy
from spider.root.policy import parse_policy
from spider.wire.arg_kinds import ACTION, UNITS

OWNERS = "# mine\n[policy]\nversion = 1\nmode = monitor\nverbs = refresh, check\n"
WIDER = PolicyLines(mode="managed", units=("nginx.service", "php*"), journal="warning", events=("backup",))


def plan(there: str | None, wish: PolicyLines | None, *, seen: str | None = None, last: NodePolicy | None = None, exists: bool = True):  # type: ignore[no-untyped-def]
    return plan_policy(there, exists, mode="managed", wish=wish, last=last, seen=seen)


def test_a_found_file_stays_and_only_the_seen_difference_is_written() -> None:
    assert plan(OWNERS, None) == (OWNERS, "", None)
    refused = plan(OWNERS, WIDER)
    assert (refused.text, refused.replaced, refused.found.outcome) == (OWNERS, "", "differs")
    assert plan(OWNERS, WIDER, seen="0" * 64).replaced == ""
    written = plan(OWNERS, WIDER, seen=refused.found.digest)
    assert (written.found.outcome, written.text, len(written.replaced)) == ("written", refused.found.wanted, 64)
    # The owner writes once more: what was seen then is no longer the difference.
    assert plan(OWNERS + "# later\n", WIDER, seen=refused.found.digest).replaced == ""
    # Another wish is another difference.
    assert plan(OWNERS, WIDER._replace(units=("*",)), seen=refused.found.digest).replaced == ""
    assert difference_digest("a", "b") != difference_digest("b", "a")


def test_the_wish_changes_its_own_lines_and_no_others() -> None:
    text = edited(OWNERS, WIDER)
    assert text.startswith("# mine\n")
    policy = parse_policy(text)
    assert (policy.mode, policy.named(UNITS), policy.journal, policy.events) == (
        "managed",
        ("nginx.service", "php*"),
        "warning",
        ("backup",),
    )
    assert "upgrade" not in policy.verbs, "the owner's verbs stay"
    assert parse_policy(edited(text, PolicyLines(units=(), journal="off"))) == parse_policy(text)._replace(
        lines=(), journal="off", verbs=tuple(verb for verb in policy.verbs if not verb.startswith("unit-"))
    )
    assert plan(text, PolicyLines(mode="managed", units=("nginx.service", "php*"))).found is None


@pytest.mark.parametrize(
    "there", ["no file of ours", "[policy]\nmode = monitor\n  more\nversion = 2\n", "[policy]\nMODE = monitor\nversion = 2"]
)
def test_odd_files_are_shown_and_replaced_as_a_whole(there: str) -> None:
    refused = plan(there, WIDER)
    assert refused.text == there
    assert parse_policy(refused.found.wanted).mode == "managed"


def test_a_file_that_cannot_be_read_stays_and_a_missing_one_is_not_wider_than_before() -> None:
    unreadable = plan(None, WIDER, seen="")
    assert (unreadable.replaced, unreadable.found.digest) == ("", "")
    assert parse_policy(plan(None, None, exists=False, last=NodePolicy("monitor")).text).mode == "monitor"
    assert parse_policy(plan(None, None, exists=False, last=NodePolicy("invalid")).text).mode == "monitor"
    assert parse_policy(plan(None, None, exists=False).text).mode == "managed"
    assert parse_policy(policy_conf("managed", ("refresh", "rekey"), WIDER)).named(UNITS) == WIDER.units


def test_names_that_would_make_the_file_invalid_are_refused() -> None:
    check_lines(WIDER)
    for wrong in (PolicyLines(units=("a b",)), PolicyLines(events=("x\nmode = managed",)), PolicyLines(containers=("x",) * 65)):
        with pytest.raises(BadRequest):
            check_lines(wrong)


def test_kept_secrets_and_the_hubs_key_never_reach_a_change_of_the_policy() -> None:
    kept = DeploymentRequest(
        host="a", username="ops", private_key="kept", passphrase="kept", password="kept", sudo_password="kept", use_hub_key=True
    )
    for given in (
        None,
        DeploymentOverrides(policy="managed"),
        DeploymentOverrides(sudo_password="typed"),
        DeploymentOverrides(use_hub_key=True),
    ):
        with pytest.raises(CredentialsRequired):
            with_typed_credentials(kept, given)
    typed = with_typed_credentials(kept, DeploymentOverrides(private_key="any key of my own"))
    assert (typed.private_key, typed.passphrase, typed.password, typed.sudo_password, typed.use_hub_key) == (
        "any key of my own", None, None, None, False,
    )  # fmt: skip


def test_a_file_of_version_3_keeps_its_version_and_its_actions() -> None:
    owners = "[policy]\nversion = 3\nmode = managed\nactions = drain\n"
    policy = parse_policy(edited(owners, PolicyLines(units=("nginx.service",))))
    assert (policy.named(ACTION), policy.named(UNITS)) == (("drain",), ("nginx.service",))
    assert "action-run" in parse_policy(policy_conf("managed", ("check", "action-run")) + "actions = drain\n").verbs
