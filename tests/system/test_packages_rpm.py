"""dnf 4, dnf 5 and zypper on real hosts, with the lab's deliberately broken packages."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

import pytest

from tests.support import lab as labs
from tests.support.agent_host import JOBS, OUT
from tests.support.packages import PackageHost, Step, for_flavours
from tests.support.slow_repository import SlowRepository
from tests.support.some import some

pytestmark = pytest.mark.system

FLAVOURS = ("fedora-like", "dnf5-like", "suse-like")
COUNT = (
    "sed -e 's#^ExecStart=.*#ExecStart=/usr/bin/python3 -I -B /opt/stardust/count.py#' -e 's/^Type=.*/Type=oneshot/' -e '/^Restart/d'"
    " /etc/systemd/system/stardust-spider.service > /run/systemd/system/count.service; rm -f /root/count.*;"
    "printf '[Service]\\nStandardOutput=file:/root/count.out\\nStandardError=file:/root/count.err\\n' >> /run/systemd/system/count.service;"
    "systemctl daemon-reload; systemctl start count.service || true"
)


UPGRADES = {
    "lab-conf": Step("1.0-1.lab", "2.0-1.lab", "no", "lab"),
    "lab-dep": Step("1.0-1.lab", "2.0-1.lab", "no", "lab"),
    "lab-extra": Step("", "2.0-1.lab", "no", "lab"),
    "lab-hello": Step("1.0-1.lab", "2.0-1.lab", "no", "lab"),
    "lab-sec": Step("1.0-1.lab", "1.1-1.lab", "yes", "lab"),
    "lab-slow": Step("1.0-1.lab", "2.0-1.lab", "no", "lab"),
    "lab-svc": Step("1.0-1.lab", "2.0-1.lab", "no", "lab"),
    "linux-firmware": Step("1.0-1.lab", "1.1-1.lab", "yes", "lab"),
}
HELD = dict.fromkeys(("lab-fail", "lab-hang", "lab-post"), ("2.0-1.lab", "held"))
NO_NAMES = (
    "-y",
    "--all",
    "@core",
    "lab-*",
    "lab-hell?",
    "/bin/sh",
    "/srv/lab-repo/rpm/lab-hello-2.0-1.lab.noarch.rpm",
    "lab-hello-2.0",
    "lab-hello-",
)
"""What a manager would take for an option, a group, a pattern, a file, a version, a provided name or a removal."""
DEAD = "[dead]\nname=Dead\nbaseurl=http://127.0.0.1:9/x\nenabled=1\ngpgcheck=0\nskip_if_unavailable=True\nautorefresh=1\n"
AS_SPIDER = (
    "import json, sys; sys.path.insert(0, '/opt/stardust/current/spider.pyz')\n"
    "from spider.packages.detect import updates_manager\n"
    "manager = updates_manager()\n"
    "print(json.dumps([manager.name, *manager.available_updates(), *{step.repository for step in manager.newer}]))\n"
)


def quick_on(*quick: str) -> pytest.MarkDecorator:
    """A test for every flavour, which is among the quick ones on some of them alone: there are few seconds for each."""
    return for_flavours("rpm_host", FLAVOURS, quick)


def updates(agent: PackageHost) -> tuple[str, int, int]:
    """What Spider counts in its own sandbox: manager, packages, security."""
    name, total, security, checked_at_ms, *repositories = json.loads(in_the_sandbox(agent))
    assert checked_at_ms > 0
    assert repositories == ["lab"] * bool(total)
    return name, total, security


def in_the_sandbox(agent: PackageHost) -> str:
    """What the count says in a unit that has all restrictions of Spider's own; its last line of trouble when it fails."""
    agent.put("/opt/stardust/count.py", AS_SPIDER.encode())
    agent.host.sh(COUNT)
    return agent.host.sh("cat /root/count.out; tail -n 1 /root/count.err")


def repositories(agent: PackageHost) -> str:
    return "/etc/zypp/repos.d" if agent.flavour.manager == "zypper" else "/etc/yum.repos.d"


@pytest.fixture(scope="module", params=FLAVOURS)
def rpm_host(request: pytest.FixtureRequest) -> Iterator[tuple[labs.Host, str]]:
    """A host of each flavour, one after the other."""
    with labs.one(request.param) as host:
        yield host, request.param


@pytest.fixture
def agent(rpm_host: tuple[labs.Host, str]) -> PackageHost:
    """A host in factory state on which Stardust's units run."""
    host, flavour = rpm_host
    host.reset()
    agent = PackageHost(host, flavour)
    agent.install()
    return agent


@quick_on()  # a plan that takes more is as right, and slower
def test_a_plan_takes_two_concurrent_queries(agent: PackageHost) -> None:
    program = agent.flavour.manager
    agent.put(f"/usr/local/sbin/{program}", f'#!/bin/sh\necho "$@" >>/root/asked\nexec /usr/bin/{program} "$@"\n'.encode(), "0755")
    plan = agent.plan("full-upgrade")
    assert any(step.security == "yes" for step in plan.steps.values())
    assert "held" in {reason for _, reason in plan.kept.values()}
    asked = agent.host.sh("grep . /root/asked").splitlines()  # the output of dnf5 ends with an empty line
    beside = {"dnf5": ["advisory list", "repoquery"], "zypper": ["list-updates"]}.get(program, ["shell"])
    assert len(asked) == 1 + len(beside), asked
    assert all(sum(word in line for line in asked) == 1 for word in beside), asked
    if program == "zypper":  # advisories in a packing that Python does not know: it asks, and comes to the same
        agent.host.sh("for file in /var/cache/zypp/raw/*/repodata/*updateinfo*; do echo packed in another way >$file; done")
        assert agent.plan("full-upgrade") == plan
        assert "patch-info" in agent.host.sh("cat /root/asked")


@quick_on("dnf5-like", "suse-like")  # dnf 4 upgrades what was planned in test_no_other_package_comes_in_the_moment_before_the_commit
def test_a_plan_is_exact_and_its_upgrade_does_the_same(agent: PackageHost) -> None:
    assert updates(agent) == (agent.flavour.manager, 7, 2)
    plan = agent.plan("upgrade")
    assert plan.steps == UPGRADES
    assert plan.kept == HELD
    assert 48_000 < plan.download_bytes < 52_000
    assert plan.installed_bytes == 14
    assert (plan.reboot, plan.reboot_why) == ("yes", "linux-firmware")

    secure = agent.perform("security-upgrade")
    assert (secure.state, secure.error_code) == ("succeeded", ""), secure
    assert secure.changes == {"lab-sec": ("1.0-1.lab", "1.1-1.lab"), "linux-firmware": ("1.0-1.lab", "1.1-1.lab")}
    assert secure.report is not None
    assert secure.report["reboot"] == "yes"

    service = agent.host.sh("systemctl show -p MainPID --value lab-svc.service")
    done = agent.perform("upgrade")
    assert (done.state, done.exit_code, done.error_code) == ("succeeded", 0, ""), done
    rest = {name: (step.before, step.after) for name, step in UPGRADES.items() if name not in secure.changes}
    assert done.changes == rest
    assert {name: (step.before, step.after) for name, step in some(done.plan).steps.items()} == rest
    assert some(done.plan).kept == HELD
    assert agent.host.sh("systemctl show -p MainPID --value lab-svc.service") != service
    steps = [int(step) for step in re.findall(rb"lab-slow: step (\d+)/100", done.output)]
    assert list(dict.fromkeys(steps)) == list(range(1, 101))
    assert len(steps) == 100 * (2 if agent.flavour.manager == "dnf5" else 1)  # dnf 5 draws a script's output twice, one over the other
    assert done.phases[0] in ("plan", "download")  # a short plan may be over before it is reported
    assert [phase for phase in done.phases if phase in ("download", "commit", "check")] == ["download", "commit", "check"]
    assert max(line["percent"] for line in done.progress if line["phase"] == "commit") > 25
    assert {line["package"] for line in done.progress} <= {"", *UPGRADES}
    assert done.report is not None
    assert any(path.endswith("/lab-conf.conf.rpmnew") for path in done.report["config_paths"])
    assert "+level = 2" in done.report["config_diffs"][0]


@quick_on("fedora-like")
def test_a_failed_script_is_a_failure_whatever_the_status(agent: PackageHost) -> None:
    agent.unhold("lab-post")
    post = agent.perform("upgrade", "lab-post")
    assert (post.state, post.error_code) == ("failed", "job.script_failed"), post
    assert post.exit_code == {"dnf": 0, "dnf5": 1, "zypper": 107}[agent.flavour.manager]
    assert post.changes == {"lab-post": ("1.0-1.lab", "2.0-1.lab")}
    assert "lab-post" in post.error_text


@quick_on()  # tests/unit/spider/packages has what each manager prints of it
def test_a_failed_script_before_the_installation_changes_nothing(agent: PackageHost) -> None:
    agent.unhold("lab-fail")
    pre = agent.perform("upgrade", "lab-fail")
    assert (pre.state, pre.error_code, pre.changes) == ("failed", "job.script_failed", {}), pre
    assert "lab-fail" in pre.error_text
    assert agent.version("lab-fail") == "1.0"


def holding(agent: PackageHost) -> tuple[str, str]:
    """How lab-hello is held without Stardust, and released."""
    if agent.flavour.manager == "zypper":
        return "zypper -q addlock lab-hello", "zypper -q removelock lab-hello"
    return "sed -i 's/^excludepkgs=/&lab-hello,/' /etc/dnf/dnf.conf", "sed -i 's/=lab-hello,/=/' /etc/dnf/dnf.conf"


@quick_on()  # test_packages_apt shows it
def test_an_upgrade_that_changed_after_the_comparison_is_not_run(agent: PackageHost) -> None:
    program, (hold, unhold) = agent.flavour.manager, holding(agent)
    agent.host.sh(hold)
    seen = agent.plan("upgrade")
    assert seen.kept["lab-hello"] == ("2.0-1.lab", "held")
    agent.meanwhile(program, "*download*only*", unhold)
    done = agent.perform("upgrade", plan=seen.digest)
    assert (done.state, done.error_code, done.changes) == ("failed", "job.plan_changed", {}), done
    assert "lab-hello\r\n    shown: unchanged\r\n    now:   1.0-1.lab -> 2.0-1.lab" in done.output.decode()
    assert "commit" not in done.phases


@quick_on("fedora-like")
def test_no_other_package_comes_in_the_moment_before_the_commit(agent: PackageHost) -> None:
    """With zypper it can come, and is reported."""
    program, (hold, unhold) = agent.flavour.manager, holding(agent)
    agent.host.sh(hold)
    seen = agent.plan("upgrade")
    assert seen.kept["lab-hello"] == ("2.0-1.lab", "held")
    agent.meanwhile(program, {"zypper": '*" --download in-advance "*'}.get(program, '*" -C -y "*'), unhold)
    done = agent.perform("upgrade", plan=seen.digest)
    assert done.state == "succeeded", done
    assert done.report is not None
    extra = {"lab-hello"} if program == "zypper" else set()
    assert set(done.changes) == {*seen.steps, *extra}
    assert done.report["notes"][-1:] == (["Changed, but not in the plan: lab-hello."] if extra else [])


@quick_on("fedora-like")
def test_a_job_that_installs_is_not_stopped_and_says_why(agent: PackageHost) -> None:
    agent.unhold("lab-hang")
    job = agent.order("upgrade", agent.args(["lab-hang"]))
    agent.wait("pgrep -f 'sleep 90[0]'", 60)
    agent.stop(job)
    agent.wait(f"grep -q too_late {JOBS}/{job}/progress")
    agent.wait(f"grep -q 'two versions' {OUT}/{job}.progress")  # reported a moment later, to viewers
    # Another job waits meanwhile, and is told for which one.
    holder = {"dnf": "dnf", "dnf5": "dnf5", "zypper": "zypper"}[agent.flavour.manager]
    script = "import sys; sys.path.insert(0, '/opt/stardust/current/spider.pyz')\nfrom spider.packages.detect import load_backend\nprint(load_backend(sys.argv[1]).lock())"
    told = agent.host.run("python3", "-I", "-B", "-c", script, agent.flavour.manager).stdout
    assert re.search(rf"waiting for {holder} \(process \d+\)", told), told
    agent.host.sh("pkill -f 'sleep 90[0]'")
    done = agent.finish(job)
    assert done.changes == {"lab-hang": ("1.0-1.lab", "2.0-1.lab")}
    assert agent.host.sh("rpm -q lab-hang") == "lab-hang-2.0-1.lab.noarch\n"


@quick_on("suse-like")
def test_a_stop_during_the_download_is_immediate_and_changes_nothing(agent: PackageHost) -> None:
    archive = agent.host.sh("tar c -C /srv/lab-repo/rpm . | base64")
    with SlowRepository(base64.b64decode(archive)) as repository:
        agent.host.sh(f"sed -i 's#^baseurl=.*#baseurl={repository.url}#' {repositories(agent)}/lab.repo")
        assert agent.perform("refresh").state == "succeeded"
        job = agent.order("upgrade", agent.args(["lab-hello", "lab-dep"]))
        assert repository.asked.wait(60)
        agent.stop(job)
        stopped = agent.finish(job)
        assert (stopped.state, stopped.error_code, stopped.changes) == ("cancelled", "job.stopped", {}), stopped
        assert "commit" not in stopped.phases
        assert agent.version("lab-hello") == "1.0"


@pytest.mark.holds("S-52")
@quick_on()  # test_packages_apt has it, tests/unit/spider/packages/test_driver.py the names that no list has
def test_package_names_come_only_from_the_nodes_lists(agent: PackageHost) -> None:
    for verb, names in (("install", NO_NAMES), ("upgrade", NO_NAMES[::4]), ("remove", NO_NAMES[::4])):
        for name in names:
            job, frame = agent.seal(verb, {"packages": [name]})
            if agent.hand_in(frame)["answer"] == "refused":
                continue
            agent.wait(f"test -s {JOBS}/{job}/result")
            result = agent.result(job)
            assert (result["state"], result["error_code"], result["changes"]) == ("failed", "job.unknown_package", []), (verb, name, result)
    assert agent.version("lab-hello") == "1.0"


@quick_on()  # test_packages_apt has all verbs, tests/unit/spider/packages/test_neutral.py the commands of each manager
def test_other_package_verbs_work(agent: PackageHost) -> None:
    installed = agent.perform("install", "lab-extra")
    assert (installed.state, installed.changes) == ("succeeded", {"lab-extra": ("", "2.0-1.lab")}), installed
    upgraded = agent.perform("upgrade", "lab-dep")
    assert upgraded.changes == {"lab-dep": ("1.0-1.lab", "2.0-1.lab")}
    removed = agent.perform_as_planned("remove", "lab-extra")
    assert removed.changes == {"lab-extra": ("2.0-1.lab", ""), "lab-dep": ("2.0-1.lab", "")}, removed
    protected = agent.perform("remove", "bash")
    assert (protected.error_code, protected.changes) == ("job.protected", {})
    held = agent.perform("upgrade", "lab-fail")
    assert (held.error_code, held.changes) == ("job.package_held", {})

    assert agent.perform("hold", "lab-hello").state == "succeeded"
    assert agent.plan("upgrade").kept["lab-hello"] == ("2.0-1.lab", "held")
    assert agent.perform("unhold", "lab-hello").state == "succeeded"
    excluded = agent.perform("unhold", "lab-fail")
    if agent.flavour.manager == "zypper":
        assert excluded.state == "succeeded"
    else:
        assert excluded.error_code == "job.not_supported"
    autoremove = agent.perform("autoremove")
    assert (autoremove.state, autoremove.error_code) == (
        ("failed", "job.not_supported") if agent.flavour.manager == "zypper" else ("succeeded", "")
    )
    assert agent.perform("clean").state == "succeeded"
    assert "lab-hello" in agent.plan("upgrade").steps, "neither held nor forgotten"


@quick_on("dnf5-like")
def test_an_unreachable_repository_is_not_reported_as_up_to_date(agent: PackageHost) -> None:
    agent.host.sh(f"printf '{DEAD}' > {repositories(agent)}/dead.repo".replace("\n", "\\n"))
    stale = agent.perform("refresh")
    assert (stale.state, stale.error_code) == ("failed", "job.repository_stale"), stale
    assert "dead" in stale.error_text.lower()
    # Nothing at all is known: which is not that there is nothing to do.
    agent.host.sh(f"mv {repositories(agent)}/lab.repo /root/; rm -rf /var/cache/dnf/* /var/cache/libdnf5/* /var/cache/zypp/*")
    done = agent.perform("upgrade")
    assert (done.state, done.error_code) == ("failed", "job.lists_missing"), done
    assert agent.counted()[:3] == [-1, -1, 0]


@quick_on("fedora-like")
def test_two_versions_of_a_package_are_found_and_repaired(agent: PackageHost) -> None:
    agent.host.sh("rpm --force-debian -i --oldpackage --replacefiles --noscripts --nodeps --force /srv/lab-repo/rpm/lab-hello-2.0-1.lab.noarch.rpm 2>&1 || "
                  "rpm -i --replacefiles --noscripts --nodeps --force /srv/lab-repo/rpm/lab-hello-2.0-1.lab.noarch.rpm")  # fmt: skip
    assert agent.host.sh("rpm -q lab-hello | wc -l").strip() == "2"
    refused = agent.perform("upgrade", "lab-svc")
    assert (refused.error_code, refused.changes) == ("job.packages_broken", {})
    assert "lab-hello" in refused.error_text
    repaired = agent.perform("repair")
    assert (repaired.state, repaired.error_code) == ("succeeded", ""), repaired
    assert agent.host.sh("rpm -q lab-hello") == "lab-hello-2.0-1.lab.noarch\n"
    assert agent.host.sh("cat /usr/share/lab/lab-hello.txt") == "lab-hello 2.0\n"


@quick_on()  # test_jobs_on_a_host shows it with apt
def test_a_job_waits_for_another_program_and_says_for_which(agent: PackageHost) -> None:
    program = {"dnf": "dnf -y", "dnf5": "dnf5 -y", "zypper": "zypper --non-interactive"}[agent.flavour.manager]
    agent.hold_scripts()
    agent.host.sh(f"systemd-run -q --unit=other --setenv=SYSTEMD_PAGER=cat {program} update lab-slow")
    agent.wait("pgrep -f rpm-tmp")
    job = agent.order("upgrade", agent.args(["lab-hello"]))
    agent.wait(f"grep -q waiting_lock {OUT}/{job}.progress")
    agent.release_scripts()
    done = agent.finish(job)
    assert (done.state, done.changes) == ("succeeded", {"lab-hello": ("1.0-1.lab", "2.0-1.lab")}), done
    waits = [line["text"] for line in done.progress if line["phase"] == "waiting_lock"]
    assert any(re.search(rf"waiting for {agent.flavour.manager} \(process \d+\)", text) for text in waits), done.progress
    assert agent.version("lab-slow") == "2.0"


@pytest.mark.slow  # test_flavours runs jobs on it
@pytest.mark.parametrize("rpm_host", ["rocky-like"], indirect=True, scope="module")
def test_a_yum_that_is_dnf_is_driven_as_dnf(agent: PackageHost) -> None:
    assert agent.host.sh("readlink -f /usr/bin/yum") == agent.host.sh("readlink -f /usr/bin/dnf")
    assert updates(agent) == ("dnf", 7, 2)
    done = agent.perform_as_planned("upgrade", "lab-dep")
    assert done.changes == {"lab-dep": ("1.0-1.lab", "2.0-1.lab"), "lab-extra": ("", "2.0-1.lab")}
