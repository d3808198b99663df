"""The settings of a package manager do not change the plans or the effects of its jobs, on real hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support import lab as labs
from tests.support.packages import Done, PackageHost

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]  # tests/unit/spider/packages/test_neutral.py has every call with all options

APT = """
quiet "3"; quiet::NoStatistic "true"; pager "true"; APT::Audit "true";
APT::Color "true"; APT::Output-Version "30"; APT::Status-Fd "1"; APT::Status-deb822-Fd "1";
APT::Get::List-Columns "true"; APT::Get::Show-Upgraded "false"; APT::Get::Show-Versions "true"; APT::Get::Print-URIs "true";
APT::Cache::AllNames "true"; APT::Cache::Installed "true"; APT::Cache::Generate "false";
Dpkg::Progress-Fancy "true"; Dpkg::Progress "true";
APT::Get::Assume-Yes "true"; APT::Get::Assume-No "true"; APT::Get::Trivial-Only "true";
APT::Get::Update::InteractiveReleaseInfoChanges "true"; APT::Update "true";
APT::Get::Simulate "true"; APT::Get::Download "false"; APT::Get::Download-Only "true"; APT::Mark::Simulate "true";
Debug::NoLocking "true"; Debug::pkgDPkgPM "true";
Debug::pkgDepCache::Marker "true"; Debug::pkgDepCache::AutoInstall "true"; Debug::pkgProblemResolver "true";
Debug::pkgProblemResolver::ShowScores "true"; Debug::pkgPolicy "true"; Debug::pkgAutoRemove "true"; Debug::pkgCacheGen "true";
Debug::pkgPackageManager "true"; Debug::pkgOrderList "true"; Debug::pkgInitConfig "true"; Debug::sourceList "true";
Debug::pkgAcquire "true"; Debug::RunScripts "true"; Debug::Phasing "true"; Debug::Locking "true";
APT::Get::CallResolver "false"; APT::Get::Autosolving "false"; Dir::State::status "/dev/null";
help "true"; version "true"; DPkg::ConfigurePending "false"; PackageManager::Configure "no";
APT::Ignore-Hold "true"; APT::Get::AutomaticRemove "true"; APT::Get::AutomaticRemove::Kernels "true";
APT::Get::Fix-Broken "true"; APT::Get::Fix-Missing "true"; APT::Get::Fix-Policy-Broken "true"; APT::Get::Mark-Auto "true";
APT::Get::Only-Upgrade "true"; APT::Get::ReInstall "true"; APT::Get::Remove "false"; APT::Get::Upgrade "false";
APT::Get::Force-Yes "true"; APT::Get::Allow-Downgrades "true"; APT::Get::Allow-Change-Held-Packages "true";
APT::Get::Allow-Remove-Essential "true"; APT::Get::Allow-Solver-Remove-Essential "true"; APT::Get::Upgrade-Allow-New "true";
Binary::apt-get::APT::Get::Show-Versions "true"; Binary::apt-get::upgrade::APT::Get::Simulate "true";
Dpkg::Options { "--force-confnew"; "--force-confask"; };
"""
DNF = """color=always
color_list_available_upgrade=red
assumeyes=1
assumeno=1
defaultyes=1
cacheonly=1
best=1
"""
DNF4 = DNF + "debuglevel=0\nerrorlevel=0\nrpmverbosity=debug\nstrict=0\ndestdir=/srv/elsewhere\n"
DNF5 = DNF.replace("cacheonly=1", "cacheonly=all") + (
    "skip_unavailable=1\nskip_broken=1\noptional_metadata_types=\ndebuglevel=0\nerrorlevel=0\nrpmverbosity=debug\n"
)
ALIASES = "[aliases]\nupgrade = upgrade --downloadonly\nrepoquery = repoquery --installed\ninstall = reinstall\n"
ZYPPER = """[main]
showAlias = yes
repoListColumns = Anr
[solver]
forceResolutionCommands = remove, install, update, patch
[commit]
autoAgreeWithLicenses = yes
psCheckAccessDeleted = no
[search]
runSearchPackages = always
[color]
useColors = always
pkglistHighlight = all
"""
PACMAN = "Color\\nVerbosePkgLists\\nILoveCandy\\nUseSyslog\\nNoProgressBar\\nCheckSpace"


class Manager(NamedTuple):
    """One flavour of lab hosts and its hostile settings."""

    flavour: str
    everything: str
    """Shell words that put all hostile settings in place."""
    alone: tuple[str, ...]
    """The same for each setting that people met."""
    settled: str = "true"
    """Shell words that make the host ready, before any plan."""
    chosen: bool = True
    """Whether it upgrades chosen packages, and those for security."""
    removes: str = "true"
    """Shell words that take back the setting with which the manager removes nothing for anybody."""
    autoremove: bool = False
    """Whether something is left to remove when what needed it is gone."""


def _file(path: str, content: str) -> str:
    return f"mkdir -p $(dirname {path}); cat >{path} <<'END'\n{content}\nEND\n"


def _dnf(lines: str) -> str:
    return f"cat >>/etc/dnf/dnf.conf <<'END'\n{lines}\nEND\n"


APT_ALONE = tuple(_file("/etc/apt/apt.conf.d/99alone", f'APT::Get::{name} "true";') for name in ("AutomaticRemove", "Show-Versions"))
ONLY_THE_LAB = "rm -f /etc/apt/sources.list /etc/apt/sources.list.d/debian*; apt-get -q update >/dev/null"
APT_EVERYTHING = _file("/etc/apt/apt.conf.d/99hostile", APT)
MANAGERS = {
    one.flavour: one
    for one in (
        Manager("debian", APT_EVERYTHING, APT_ALONE, ONLY_THE_LAB, autoremove=True),
        Manager("debian-new", APT_EVERYTHING, APT_ALONE, ONLY_THE_LAB, autoremove=True),
        Manager("fedora-like", _dnf(DNF4) + _file("/etc/dnf/aliases.d/hostile.conf", ALIASES), (_dnf("color=always"),)),
        Manager("dnf5-like", _dnf(DNF5), (_dnf("color=always"),)),
        Manager(
            "suse-like",
            _file("/etc/zypp/zypper.conf", ZYPPER) + _file("/etc/zypp/zypp.conf", "[main]\ncommit.downloadMode = DownloadOnly"),
            (_file("/etc/zypp/zypper.conf", "[color]\nuseColors = always"),),
            removes="rm /etc/zypp/zypp.conf",
        ),
        Manager(
            "arch-like",
            f"sed -i 's/^.options.$/&\\n{PACMAN}/' /etc/pacman.conf",
            ("sed -i 's/^.options.$/&\\nColor/' /etc/pacman.conf",),
            chosen=False,
            autoremove=True,
        ),
    )
}


@pytest.fixture(scope="module", params=MANAGERS)
def manager_host(request: pytest.FixtureRequest) -> Iterator[tuple[labs.Host, Manager]]:
    """A host of each flavour, one after the other."""
    reason = labs.unavailable()
    if reason:
        pytest.fail(f"this test needs lab hosts, and {reason}")
    manager = MANAGERS[request.param]
    before = {facts["name"] for facts in json.loads(labs.lab("list"))}
    labs.up(**{manager.flavour.replace("-", "_"): 1})
    facts = next(facts for facts in json.loads(labs.lab("list")) if facts["flavour"] == manager.flavour)
    yield labs.Host(facts), manager
    if facts["name"] not in before:
        labs.lab("down", facts["name"])


@pytest.fixture
def agent(manager_host: tuple[labs.Host, Manager]) -> PackageHost:
    """A host in factory state on which Stardust's units run."""
    host, manager = manager_host
    host.reset()
    agent = PackageHost(host, manager.flavour)
    agent.install()
    host.sh(manager.settled)
    return agent


def succeeded(done: Done) -> Done:
    assert (done.state, done.error_code) == ("succeeded", ""), (done, done.output[-2000:])
    return done


def test_settings_of_the_host_change_neither_plans_nor_upgrades(agent: PackageHost, manager_host: tuple[labs.Host, Manager]) -> None:
    manager = manager_host[1]
    full = agent.plan("full-upgrade")
    assert full.kept  # what is held is in the list where versions would be shown
    secure = agent.plan("security-upgrade") if manager.chosen else full

    chosen = ("lab-svc", "lab-hello")[: len(manager.alone)] if manager.chosen else ()
    for number, alone in enumerate(manager.alone):
        agent.host.sh(alone)
        for name in chosen[number : number + 1]:
            assert set(succeeded(agent.perform("upgrade", agent.name(name))).changes) == {name}
    if not chosen:
        assert b" can be upgraded" in succeeded(agent.perform("check")).output

    agent.host.sh(manager.everything)
    assert succeeded(agent.perform("refresh")).changes == {}
    left = agent.plan("full-upgrade")
    assert left.kept == full.kept
    assert left.steps == {name: step for name, step in full.steps.items() if name not in chosen}
    if manager.chosen:
        assert succeeded(agent.perform("security-upgrade", plan=secure.digest)).changes
    assert agent.name("lab-conf") in succeeded(agent.perform("upgrade")).changes
    assert b"edited by the administrator" in agent.host.read("/etc/lab-conf.conf")


def test_settings_of_the_host_break_no_other_verb(agent: PackageHost, manager_host: tuple[labs.Host, Manager]) -> None:
    manager = manager_host[1]
    agent.host.sh(manager.everything)
    agent.host.sh(manager.removes)
    succeeded(agent.perform("remove", agent.name("lab-dep")))
    assert agent.version("lab-dep") == ""
    if manager.autoremove:
        succeeded(agent.perform("autoremove"))
    succeeded(agent.perform("install", agent.name("lab-dep")))
    assert agent.version("lab-dep").startswith("2.0")
    succeeded(agent.perform("repair"))
    if manager.chosen:
        for verb in ("hold", "unhold"):
            succeeded(agent.perform(verb, agent.name("lab-dep")))
