"""apt on real hosts of three releases: every verb, and every deliberately broken package of the lab."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.support import lab as labs
from tests.support.agent_host import JOBS, OUT
from tests.support.lab import named_host
from tests.support.packages import PackageHost, Step, for_flavours

pytestmark = pytest.mark.system

FLAVOURS = ("debian", "debian-old", "debian-new")
MAIN, SECURITY = "Stardust", "Debian-Security"
"""The first words of where a version comes from; the suite is the release's."""
UPGRADES = {
    "lab-conf": Step("1.0", "2.0", "no", MAIN),
    "lab-dep": Step("1.0", "2.0", "no", MAIN),
    "lab-extra": Step("", "2.0", "no", MAIN),
    "lab-hello": Step("1.0", "2.0", "no", MAIN),
    "lab-kernel": Step("1.0", "1.1", "yes", SECURITY),
    "lab-sec": Step("1.0", "1.1", "yes", SECURITY),
    "lab-slow": Step("1.0", "2.0", "no", MAIN),
    "lab-svc": Step("1.0", "2.0", "no", MAIN),
}
HELD = dict.fromkeys(("lab-fail", "lab-hang"), ("2.0", "held"))
RIVAL = """set -e
d=/srv/rival; mkdir -p $d/DEBIAN; r=/srv/lab-repo/apt/main
build() { printf 'Package: lab-rival\\nVersion: %s\\nArchitecture: all\\nMaintainer: lab <l@localhost>\\n%bDescription: x\\n' $1 "$3" >$d/DEBIAN/control; dpkg-deb --root-owner-group -b $d $2 >/dev/null; }
build 1.0 /srv/rival.deb ''; dpkg -i /srv/rival.deb >/dev/null
build 2.0 $r/lab-rival_2.0_all.deb 'Conflicts: lab-hello\\n'; cd $r
{ printf '\\n'; cat $d/DEBIAN/control; printf 'Filename: ./lab-rival_2.0_all.deb\\nSize: %s\\nSHA256: %s\\n' \\
  $(stat -c %s lab-rival_2.0_all.deb) $(sha256sum lab-rival_2.0_all.deb | cut -d' ' -f1); } >>Packages
sed -i '/^SHA256:/,$d' Release
printf 'SHA256:\\n %s %s Packages\\n' $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) >>Release
apt-get -q update >/dev/null
"""
"""A package whose newer version does not bear lab-hello beside it."""
AS_SPIDER = (
    "import json, sys; sys.path.insert(0, '/opt/stardust/current/spider.pyz')\n"
    "from spider.packages.detect import package_manager\n"
    "manager = package_manager()\n"
    "print(json.dumps([manager.name, *manager.available_updates()]))\n"
)


@pytest.fixture(scope="module", params=FLAVOURS)
def deb_host(request: pytest.FixtureRequest) -> Iterator[tuple[labs.Host, str]]:
    """A host of each release, one after the other; the named one only for its own flavour."""
    named = named_host()
    if named is not None:
        facts = next(facts for facts in json.loads(labs.lab("list")) if facts["name"] == named.name)
        if facts["flavour"] != request.param:
            pytest.skip(f"the named host is {facts['flavour']}")
        yield named, request.param
        return
    if request.param == "debian":
        yield request.getfixturevalue("lab_hosts")[1], "debian"
        return
    with labs.one(request.param) as host:
        yield host, request.param


def quick_on(*quick: str) -> pytest.MarkDecorator:
    """A test for every release, which is among the quick ones on some of them alone: the others' apt says the same there."""
    return for_flavours("deb_host", FLAVOURS, quick)


@pytest.fixture
def agent(deb_host: tuple[labs.Host, str]) -> PackageHost:
    """A host in factory state: it knows the lab's repositories alone, so that no mirror has a say."""
    host, flavour = deb_host
    host.reset()
    agent = PackageHost(host, flavour)
    agent.install()
    return agent


def updates(agent: PackageHost) -> tuple[str, int, int]:
    """What Spider counts without privileges: manager, packages, security."""
    done = agent.host.run("runuser", "-u", "stardust", "--", "python3", "-I", "-B", "-c", AS_SPIDER)
    name, total, security, checked_at_ms = json.loads(done.stdout)
    assert checked_at_ms > 0
    return name, total, security


def automatic(agent: PackageHost) -> set[str]:
    return set(agent.host.sh("apt-mark showauto 'lab-*'").split())


@quick_on("debian-new")  # what older releases print is in the unit tests, and the tests below compare plans and changes on debian
def test_a_plan_is_exact_and_its_upgrade_does_the_same(agent: PackageHost) -> None:
    assert updates(agent) == ("apt", 7, 2)
    plan = agent.plan("upgrade")
    assert {name: step._replace(repository=step.repository.split()[0]) for name, step in plan.steps.items()} == UPGRADES
    assert plan.kept == HELD
    assert (plan.download_bytes, plan.reboot) == (0, "yes")
    assert plan.installed_bytes is not None
    assert "lab-kernel" in plan.reboot_why
    check = agent.perform("check")
    assert b"7 packages can be upgraded, 2 of them for security." in check.output
    assert b"On hold: lab-fail, lab-hang" in check.output

    agent.host.sh("apt-mark -qq auto lab-sec")
    secure = agent.perform("security-upgrade")
    assert (secure.state, secure.error_code) == ("succeeded", ""), secure
    assert secure.changes == {"lab-kernel": ("1.0", "1.1"), "lab-sec": ("1.0", "1.1")}
    assert secure.report is not None
    assert (secure.report["reboot"], "lab-kernel" in secure.report["reboot_why"]) == ("yes", True)
    assert updates(agent)[1:] == (5, 0)

    service = agent.host.sh("systemctl show -p MainPID --value lab-svc.service")
    done = agent.perform_as_planned("upgrade")
    assert (done.state, done.exit_code, done.error_code) == ("succeeded", 0, ""), done
    assert agent.host.sh("systemctl show -p MainPID --value lab-svc.service") != service
    assert [int(step) for step in re.findall(rb"lab-slow: step (\d+)/100 \x1b\[32mok\x1b\[0m", done.output)] == list(range(1, 101))
    assert b"progress 57%\r" in done.output
    assert "naïve ünïcode ✓".encode() in done.output
    assert [phase for phase in done.phases if phase != "triggers"] == ["plan", "download", "commit", "check"]
    assert {line["package"] for line in done.progress} <= {"", *UPGRADES}
    assert done.progress[-1]["percent"] == 100
    assert all(line["output_at_ms"] > 0 for line in done.progress if line["phase"] == "commit")
    assert done.report is not None
    assert done.report["config_paths"] == ["/etc/lab-conf.conf.dpkg-dist"]
    assert "-# edited by the administrator" in done.report["config_diffs"][0]
    assert "+level = 2" in done.report["config_diffs"][0]
    assert b"edited by the administrator" in agent.host.read("/etc/lab-conf.conf")
    assert automatic(agent) == {"lab-sec", "lab-extra"}  # naming a package to apt-get makes nobody want it


@pytest.mark.holds("S-52")
@quick_on("debian")
def test_only_packages_with_exactly_matching_names_are_changed(agent: PackageHost) -> None:
    names = ["no-such-package", "lab-hell", "Lab-hello", "lab-extra", "lab-hello:i386", "lab.hello", "sudo+"]
    refused = agent.perform("upgrade", "lab-hello", *names)
    assert (refused.state, refused.error_code, refused.changes) == ("failed", "job.unknown_package", {}), refused
    assert refused.error_text.partition(": ")[2].split(", ") == names
    held = agent.perform("upgrade", "lab-hello", "lab-fail")
    assert (held.state, held.error_code, held.changes) == ("failed", "job.package_held", {})
    refused = agent.perform("install", "lab-hello", "mail-transport-agent", "no-such-package", "sudo+")
    assert (refused.error_code, refused.error_text.partition(": ")[2]) == (
        "job.unknown_package",
        "mail-transport-agent, no-such-package, sudo+",
    )

    chosen = agent.perform("upgrade", "lab-dep")
    assert chosen.changes == {"lab-dep": ("1.0", "2.0"), "lab-extra": ("", "2.0")}
    agent.host.sh("apt-get -q -y remove lab-dep >/dev/null")
    cleared = agent.perform("autoremove")
    assert cleared.changes == {"lab-extra": ("2.0", "")}
    back = agent.perform("install", "lab-dep")
    assert back.changes == {"lab-dep": ("", "2.0"), "lab-extra": ("", "2.0")}
    kept = agent.perform("remove", "dpkg", "python3-minimal", "lab-hello", "libc6")
    assert (kept.state, kept.error_code, kept.changes) == ("failed", "job.protected", {}), kept
    assert kept.error_text.endswith(" dpkg, python3-minimal, libc6")


@quick_on()  # tests/unit/spider/packages/test_neutral.py has their commands, the first test what a plan says of held packages
def test_a_package_is_held_and_released_and_the_cache_is_emptied(agent: PackageHost) -> None:
    assert agent.perform("hold", "lab-hello").state == "succeeded"
    plan = agent.plan("full-upgrade")
    assert plan.kept["lab-hello"] == ("2.0", "held")
    assert "lab-hello" not in plan.steps
    assert agent.perform("unhold", "lab-hello").state == "succeeded"
    assert "lab-hello" in agent.plan("full-upgrade").steps
    assert agent.perform("clean").state == "succeeded"


@pytest.mark.holds("SAFETY-57")
@quick_on("debian")
def test_a_plan_that_changed_stops_before_it_starts_and_shows_the_difference(agent: PackageHost) -> None:
    # After it was compared, when only apt-get itself can tell.
    agent.host.sh("printf 'Package: lab-slow\nPin: version 1.0\nPin-Priority: 1001\n' >/etc/apt/preferences.d/lab")
    seen = agent.plan("upgrade")
    assert seen.kept["lab-slow"] == ("2.0", "pinned")
    agent.meanwhile("apt-get", '*" Dpkg::Options::="*', "rm /etc/apt/preferences.d/lab")
    done = agent.perform("upgrade", plan=seen.digest)
    assert (done.state, done.error_code, done.changes) == ("failed", "job.plan_changed", {}), done
    assert done.plan is not None
    assert set(done.plan.steps) - set(seen.steps) == {"lab-slow"}
    assert "lab-slow\r\n    shown: unchanged\r\n    now:   1.0 -> 2.0" in done.output.decode()

    seen = agent.plan("upgrade")
    agent.host.sh("apt-mark hold lab-hello; dpkg --force-all -r lab-conf >/dev/null 2>&1")
    done = agent.perform("upgrade", plan=seen.digest)
    assert (done.state, done.error_code, done.changes) == ("failed", "job.plan_changed", {}), done
    assert done.plan is not None
    assert set(seen.steps) - set(done.plan.steps) == {"lab-hello", "lab-conf"}
    assert "lab-hello\r\n    shown: 1.0 -> 2.0\r\n    now:   unchanged" in done.output.decode()
    assert agent.version("lab-slow") == "1.0"


@quick_on("debian")
def test_an_upgrade_that_needs_a_removal_is_held_back_unless_approved(agent: PackageHost, deb_host: tuple[labs.Host, str]) -> None:
    agent.host.sh(RIVAL)
    kept = agent.plan("upgrade")
    if deb_host[1] == "debian-new":  # apt 3 removes no package in an upgrade that a user installed by name
        assert kept.kept["lab-rival"] == agent.plan("full-upgrade").kept["lab-rival"] == ("2.0", "unresolvable")
        refused = agent.perform("install", "lab-rival")
        assert (refused.state, refused.error_code, refused.changes) == ("failed", "job.would_remove", {}), refused
        done = agent.perform_as_planned("install", "lab-rival")
        assert (done.state, done.changes) == ("succeeded", {"lab-hello": ("1.0", ""), "lab-rival": ("1.0", "2.0")}), done
        return
    assert kept.kept["lab-rival"] == ("2.0", "needs_removal")
    assert "lab-rival" not in kept.steps
    chosen = agent.perform("upgrade", "lab-rival")
    assert (chosen.state, chosen.error_code, chosen.changes) == ("failed", "job.would_remove", {}), chosen
    assert "lab-hello" in chosen.error_text
    full = agent.plan("full-upgrade")
    assert (full.steps["lab-hello"].before, full.steps["lab-hello"].after) == ("1.0", "")
    assert "lab-rival" not in full.kept
    done = agent.perform("full-upgrade", plan=full.digest)
    assert (done.state, done.changes["lab-hello"], done.changes["lab-rival"]) == ("succeeded", ("1.0", ""), ("1.0", "2.0")), done


@quick_on()  # the test of a hanging script has the failure, that of an interrupted upgrade the repair, test_packages_rpm a failed script
def test_a_failed_script_is_named_with_a_remedy(agent: PackageHost) -> None:
    agent.unhold("lab-fail")
    done = agent.perform("upgrade", "lab-fail", "lab-hello")
    assert (done.state, done.exit_code, done.error_code) == ("failed", 100, "job.packages_broken"), done
    assert "lab-fail" in done.error_text
    assert done.changes["lab-hello"] == ("1.0", "2.0")
    refused = agent.perform("full-upgrade")
    assert (refused.error_code, refused.changes) == ("job.packages_broken", {}), refused
    repaired = agent.perform("repair")
    assert (repaired.state, repaired.error_code) == ("failed", "job.packages_broken"), repaired
    agent.host.sh("sed -i 's/exit 1/exit 0/' /var/lib/dpkg/info/lab-fail.postinst")
    repaired = agent.perform("repair")
    assert (repaired.state, repaired.error_code) == ("succeeded", ""), repaired
    assert agent.version("lab-fail") == "2.0"


@pytest.mark.holds("F-19")
@quick_on("debian")
def test_repair_completes_an_interrupted_upgrade(agent: PackageHost) -> None:
    agent.host.sh("dpkg --unpack /srv/lab-repo/apt/main/lab-hello_2.0_all.deb >/dev/null")
    refused = agent.perform("upgrade")
    assert (refused.error_code, "lab-hello" in refused.error_text) == ("job.packages_broken", True)
    # Removing a broken package is a way out, removing anything else is not.
    assert agent.perform("remove", "lab-slow").error_code == "job.packages_broken"
    assert agent.perform("repair").state == "succeeded"
    assert agent.version("lab-hello") == "2.0"
    agent.host.sh("dpkg --unpack --force-downgrade /srv/lab-repo/apt/main/lab-hello_2.0_all.deb >/dev/null")
    assert agent.perform("remove", "lab-hello").changes == {"lab-hello": ("2.0", "")}


@quick_on()  # an upgrade is stopped in the same way below
def test_a_stopped_repair_completes_the_package(agent: PackageHost) -> None:
    """The answer comes immediately, dpkg finishes, and its changes are reported."""
    agent.host.sh("dpkg --unpack /srv/lab-repo/apt/main/lab-slow_2.0_all.deb >/dev/null")
    agent.hold_scripts()
    job = agent.order("repair")
    agent.wait(f"grep -q 'lab-slow: step 1/' {JOBS}/{job}/log")
    agent.stop(job)
    agent.wait(f"grep -q after_package {OUT}/{job}.progress")
    agent.release_scripts()
    done = agent.finish(job)
    assert (done.state, done.error_code) == ("failed", "job.stopped"), done
    assert "completed by then: lab-slow" in done.error_text
    assert agent.version("lab-slow") == "2.0"


@pytest.mark.holds("SAFETY-96", "F-18")
@quick_on("debian")
def test_a_hanging_script_is_reported_and_ended_by_force(agent: PackageHost) -> None:
    agent.unhold("lab-hang")
    job = agent.order("upgrade", {"packages": ["lab-hang"]})
    agent.wait(f"grep -q 'waiting for something' {JOBS}/{job}/log")
    agent.stop(job)
    agent.wait(f"grep -q after_package {OUT}/{job}.progress")
    assert agent.host.sh("pgrep -f '[l]ab-hang.postinst'")
    busy = agent.order("check")
    agent.wait(f"grep -q busy {OUT}/{busy}.answer")
    agent.stop(job, force=True)
    done = agent.finish(job)
    assert (done.state, done.error_code) == ("failed", "job.packages_broken"), done
    assert any("script" in line["text"] and line["stop"] == "after_package" for line in done.progress)
    assert agent.host.sh("pgrep -f '[l]ab-hang.postinst' || true") == ""
    removed = agent.perform("remove", "lab-hang")
    assert (removed.state, agent.version("lab-hang")) == ("succeeded", ""), removed


@quick_on("debian")
def test_a_stop_before_the_commit_is_immediate_and_one_in_it_completes_the_package(agent: PackageHost) -> None:
    hold = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); open('/run/held', 'w'); time.sleep(600)"
    agent.put("/root/hold.py", hold.encode())
    agent.host.sh("systemd-run -q --collect --unit=holder python3 /root/hold.py")
    agent.wait("test -e /run/held")
    waiting = agent.order("upgrade")
    agent.wait(f"grep -q waiting_lock {OUT}/{waiting}.progress")
    agent.stop(waiting)
    stopped = agent.finish(waiting)
    assert (stopped.state, stopped.error_code, stopped.changes) == ("cancelled", "job.stopped", {}), stopped
    assert any("waiting for python3 (process" in line["text"] for line in stopped.progress)
    agent.host.sh("systemctl stop holder.service")

    agent.hold_scripts()
    job = agent.order("upgrade")
    agent.wait(f"grep -q 'lab-slow: step 1/' {JOBS}/{job}/log")
    agent.stop(job)
    agent.wait(f"grep -q after_package {OUT}/{job}.progress")
    agent.release_scripts()
    done = agent.finish(job)
    assert done.progress[-1]["stop"] == "after_package"
    assert (done.state, done.error_code) == ("failed", "job.stopped")
    assert agent.host.sh("dpkg --audit") == ""
    assert agent.version("lab-slow") == "2.0"
    planned = {name: (step.before, step.after) for name, step in UPGRADES.items()}
    assert done.changes["lab-slow"] == planned["lab-slow"]
    assert done.changes.items() <= planned.items()
