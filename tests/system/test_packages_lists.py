"""`Nothing to do` is only reported when every repository is known: missing lists, refused repositories and dead mirrors, on real hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support import lab as labs
from tests.support.packages import PackageHost

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]


class Manager(NamedTuple):
    """One flavour of lab hosts, in shell words."""

    flavour: str
    nothing: str
    """Nothing can be upgraded."""
    gone: str
    """The lists of one repository are gone, or were never there."""
    back: str
    """That repository is no more."""
    refused: str
    """The next refresh does not take the lab's repository."""
    accepted: str
    """It does again."""


REPO = "/srv/lab-repo"
DEAD = "'[dead]\\nname=Dead\\nbaseurl=http://127.0.0.1:9/x\\nenabled=1\\ngpgcheck=0\\nskip_if_unavailable=True\\nautorefresh=1\\n'"
AWAY = (f"mv {REPO}/rpm/repodata {REPO}/rpm/away", f"mv {REPO}/rpm/away {REPO}/rpm/repodata")
MANAGERS = {
    one.flavour: one
    for one in (
        Manager(
            "debian",
            "apt-mark -q hold 'lab-*' >/dev/null",
            "rm /var/lib/apt/lists/*apt_security*; echo 'deb http://127.0.0.1:9/dead bookworm main' >/etc/apt/sources.list.d/dead.list",
            "rm /etc/apt/sources.list.d/dead.list; apt-get -q update >/dev/null",
            f"sed -i 's/^Label: .*/Label: Another/' {REPO}/apt/main/Release",
            "apt-get -q update --allow-releaseinfo-change >/dev/null",
        ),
        Manager(
            "fedora-like",
            "sed -i 's/^excludepkgs=.*/excludepkgs=lab-*,linux-firmware/' /etc/dnf/dnf.conf",
            f"printf {DEAD} >/etc/yum.repos.d/dead.repo",
            "rm /etc/yum.repos.d/dead.repo",
            *AWAY,
        ),
        Manager(
            "dnf5-like",
            "sed -i 's/^excludepkgs=.*/excludepkgs=lab-*,linux-firmware/' /etc/dnf/dnf.conf",
            f"printf {DEAD} >/etc/yum.repos.d/dead.repo",
            "rm /etc/yum.repos.d/dead.repo",
            *AWAY,
        ),
        Manager(
            "suse-like",
            "zypper -q addlock 'lab-*' linux-firmware",
            f"printf {DEAD} >/etc/zypp/repos.d/dead.repo",
            "rm /etc/zypp/repos.d/dead.repo",
            *AWAY,
        ),
        Manager(
            "arch-like",
            "sed -i 's/^IgnorePkg.*/IgnorePkg = lab-*/' /etc/pacman.conf",
            "printf '[dead]\\nServer = http://127.0.0.1:9/x\\n' >>/etc/pacman.conf",
            "sed -i '/^.dead.$/,$d' /etc/pacman.conf",
            f"mv {REPO}/arch {REPO}/away",
            f"mv {REPO}/away {REPO}/arch",
        ),
    )
}


QUICK = frozenset({"debian"})
"""Of dnf, `test_packages_rpm` shows the same of a repository that does not answer."""


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in MANAGERS])
def managed(request: pytest.FixtureRequest) -> Iterator[tuple[PackageHost, Manager]]:
    """A host of each flavour in factory state, one after the other."""
    reason = labs.unavailable()
    if reason:
        pytest.fail(f"this test needs lab hosts, and {reason}")
    manager = MANAGERS[request.param]
    before = {facts["name"] for facts in json.loads(labs.lab("list"))}
    labs.up(**{manager.flavour.replace("-", "_"): 1})
    facts = next(facts for facts in json.loads(labs.lab("list")) if facts["flavour"] == manager.flavour)
    host = labs.Host(facts)
    host.reset()
    agent = PackageHost(host, manager.flavour)
    agent.install()
    yield agent, manager
    if facts["name"] not in before:
        labs.lab("down", facts["name"])


def test_nothing_to_do_is_reported_only_with_known_lists(managed: tuple[PackageHost, Manager]) -> None:
    agent, manager = managed
    agent.host.sh(manager.nothing)

    agent.host.sh(manager.gone)
    for verb in ("check", "upgrade"):
        unknown = agent.perform(verb)
        assert (unknown.state, unknown.changes) == ("failed", {}), unknown
        # pacman itself makes no plan without a list
        assert unknown.error_code == ("job.lists_missing" if manager.flavour == "arch-like" else "job.repository_stale"), unknown
        assert "dead" in unknown.error_text, unknown
        assert manager.flavour != "debian" or "apt/security" in unknown.error_text, unknown
    total, _, checked_at, *_ = agent.counted()
    assert (total in (0, -1), checked_at) == (True, 0)

    agent.host.sh(manager.back)
    known = agent.perform("check")
    assert (known.state, b"0 packages can be upgraded" in known.output) == ("succeeded", True), known
    total, _, checked_at, *_ = agent.counted()
    assert (total, checked_at > 0) == (0, True)

    agent.host.sh(manager.refused)
    refused = agent.perform("refresh")
    assert refused.state == "failed", refused
    stale = agent.perform("check")
    # zypper forgets what it had of a repository that it cannot read any more, and here there is no other
    assert (stale.state, stale.error_code) == (
        "failed",
        "job.lists_missing" if manager.flavour == "suse-like" else "job.repository_stale",
    ), stale
    assert agent.counted()[2] == 0

    agent.host.sh(manager.accepted)
    assert agent.perform("refresh").state == "succeeded"
    assert agent.counted()[2] > 0
