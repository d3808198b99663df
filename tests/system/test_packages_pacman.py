"""Real pacman on a real host: every verb, every deliberately broken package, and the checks after a job."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from spider.packages.pacman.lists_copy import OWN_DATABASES
from tests.support import lab as labs
from tests.support.agent_host import JOBS, OUT
from tests.support.lab import named_host
from tests.support.packages import PackageHost

pytestmark = pytest.mark.system
FLAVOUR = "arch-like"
LAB_PACKAGES = {"lab-conf", "lab-dep", "lab-hello", "lab-kernel", "lab-sec", "lab-slow", "lab-svc"}
HELD = {"lab-fail", "lab-hang", "lab-post"}


@pytest.fixture(scope="module")
def arch_host() -> Iterator[labs.Host]:
    """One host for the whole module."""
    named = named_host()
    if named is not None:
        yield named
        return
    with labs.one(FLAVOUR) as host:
        yield host


@pytest.fixture
def arch(arch_host: labs.Host) -> PackageHost:
    """The host in factory state, with Stardust on it; lab-conf's file was edited."""
    arch_host.reset()
    host = PackageHost(arch_host, "arch-like")
    host.install()
    return host


def own_lists(host: PackageHost) -> str:
    return host.host.sh(f"ls -l --time-style=+%s {OWN_DATABASES}/sync 2>/dev/null || true")


def test_an_upgrade_matches_its_plan_and_has_a_report(arch: PackageHost) -> None:
    arch.host.sh("systemctl start lab-svc.service; pgrep -x sleep >/srv/before || true")
    system_lists = arch.host.sh("stat -c '%i %Y' /var/lib/pacman/sync/lab.db")
    told = arch.count_updates()
    assert (told["total"], told["security"]) == (7, -1)
    refreshed = arch.perform("refresh")
    assert (refreshed.state, refreshed.error_code) == ("succeeded", ""), refreshed
    assert "lab.db" in own_lists(arch)
    assert arch.host.sh("stat -c '%i %Y' /var/lib/pacman/sync/lab.db") == system_lists  # a refresh leaves the system's lists alone
    check = arch.perform("check")
    assert b"8 packages can be upgraded" not in check.output  # lab-extra is new, not upgraded
    assert b"7 packages can be upgraded; it is not known which are for security." in check.output
    assert check.changes == {}
    wanted = arch.plan("upgrade")
    assert set(wanted.steps) == LAB_PACKAGES | {"lab-extra"}
    assert (wanted.steps["lab-extra"].before, wanted.steps["lab-extra"].after) == ("", "2.0-1")
    assert {step.repository for step in wanted.steps.values()} == {"lab"}
    assert {step.security for step in wanted.steps.values()} == {"unknown"}
    assert wanted.kept == dict.fromkeys(HELD, ("2.0-1", "held"))
    assert wanted.download_bytes > 1000
    assert wanted.installed_bytes == 4096  # lab-extra
    assert wanted.reboot == "unknown"
    done = arch.perform("upgrade", plan=wanted.digest)
    assert (done.state, done.exit_code, done.error_code) == ("succeeded", 0, ""), done
    assert done.changes == {name: (step.before, step.after) for name, step in wanted.steps.items()}
    assert {arch.version(name) for name in HELD} == {"1.0"}
    steps = [int(step) for step in re.findall(rb"lab-slow: step (\d+)/100", done.output)]
    assert steps == list(range(1, 101))
    assert [phase for phase in done.phases if phase in ("plan", "download", "commit", "check")][-2:] == ["commit", "check"]
    percents = [line["percent"] for line in done.progress if line["phase"] == "commit" and line["percent"] >= 0]
    assert percents == sorted(percents)
    assert "lab-slow" in {line["package"] for line in done.progress}
    report = done.report
    assert report is not None
    assert (report["reboot"], report["reboot_why"]) == ("yes", "asked for by lab-kernel")
    assert report["config_paths"] == ["/etc/lab-conf.conf.pacnew"]
    assert "+level = 2" in report["config_diffs"][0]
    assert report["failed_units"] == []
    assert "lab-svc.service" not in report["services"]
    assert arch.host.sh("systemctl show -p Description --value lab-svc.service").strip() == "Lab service 2.0"


@pytest.mark.slow  # test_packages_rpm shows it, and test_packages_apt
def test_an_upgrade_that_changed_after_the_comparison_is_not_run(arch: PackageHost) -> None:
    wanted = arch.plan("upgrade")
    arch.meanwhile("pacman", '*" -Su --hookdir"*', "sed -i 's/ lab-post//' /etc/pacman.conf")
    done = arch.perform("upgrade", plan=wanted.digest)
    assert (done.state, done.error_code, done.changes) == ("failed", "job.plan_changed", {}), done
    assert "lab-post\r\n    shown: unchanged\r\n    now:   1.0-1 -> 2.0-1" in done.output.decode()
    assert not arch.host.sh("ls /var/lib/pacman/db.lck 2>/dev/null || true")
    wanted = arch.plan("remove", "lab-hello")
    arch.meanwhile("pacman", '*" -R --hookdir"*', "true")
    assert arch.perform("remove", "lab-hello", plan=wanted.digest).changes == {"lab-hello": ("1.0-1", "")}


def test_partial_upgrades_and_unsupported_verbs_are_refused_with_the_reason(arch: PackageHost) -> None:
    for verb, packages, word in (
        ("upgrade", ["lab-hello"], "whole upgrades only"),
        ("install", ["lab-extra"], "wait for their upgrade"),
        ("hold", ["lab-hello"], "IgnorePkg"),
    ):
        done = arch.perform(verb, *packages)
        assert (done.state, done.exit_code, done.error_code, done.changes) == ("failed", None, "job.not_supported", {}), done
        assert word in done.error_text
    assert {arch.version(name) for name in LAB_PACKAGES} == {"1.0"}


def test_a_repair_removes_only_locks_of_earlier_boots(arch: PackageHost) -> None:
    lock = "/var/lib/pacman/db.lck"
    arch.host.sh(f"touch {lock}")
    for verb in ("upgrade", "repair"):
        done = arch.perform(verb)
        assert (done.state, done.exit_code is None, done.error_code, done.changes) == (
            "failed",
            verb == "upgrade",
            "job.packages_broken",
            {},
        ), done
        assert "left behind since the last boot, and no process holds it" in done.error_text
    assert arch.host.run("test", "-e", lock, check=False).returncode == 0
    arch.host.sh(f"touch -d '1 year ago' {lock}")
    assert "when this server went down" in arch.perform("upgrade").error_text
    repaired = arch.perform("repair")
    assert (repaired.state, repaired.error_code, repaired.changes) == ("succeeded", "", {}), repaired
    assert f"It is removed: {lock} is older than this boot." in repaired.output.decode()
    assert arch.host.run("test", "-e", lock, check=False).returncode == 1
    assert arch.perform("remove", "lab-hello").state == "succeeded"


@pytest.mark.slow  # test_packages_apt shows it
def test_a_stopped_upgrade_ends_after_the_current_package(arch: PackageHost) -> None:
    arch.host.sh("sed -i 's/^IgnorePkg.*/& lab-conf lab-dep lab-hello lab-kernel lab-sec/' /etc/pacman.conf")
    arch.hold_scripts()
    job = arch.order("upgrade", {})
    arch.wait(f"grep -q 'step 1/' {JOBS}/{job}/log")
    arch.stop(job)
    arch.wait(f"grep -q after_package {OUT}/{job}.progress")
    arch.release_scripts()
    done = arch.finish(job)
    assert (done.state, done.error_code) == ("failed", "job.stopped"), done
    assert done.changes == {"lab-slow": ("1.0-1", "2.0-1")}
    assert "lab-svc" in done.error_text
    assert b"lab-slow: step 100/100" in done.output
    assert not arch.host.sh("ls /var/lib/pacman/db.lck 2>/dev/null || true")
    assert arch.perform("upgrade").changes == {"lab-svc": ("1.0-1", "2.0-1")}


@pytest.mark.slow  # test_packages_rpm has a failed script, tests/unit what pacman prints of one
def test_a_failed_script_and_a_conflict_are_named_failures(arch: PackageHost) -> None:
    arch.host.sh("sed -i 's/^IgnorePkg.*/IgnorePkg = lab-*/; s/lab-\\*/lab-[cdhks]* lab-fail/' /etc/pacman.conf")
    wanted = arch.plan("upgrade")
    assert set(wanted.steps) == {"lab-post"}
    assert wanted.kept["lab-hello"] == ("2.0-1", "held")  # by a pattern
    done = arch.perform_as_planned("upgrade")
    assert (done.state, done.exit_code, done.error_code) == ("failed", 0, "job.script_failed"), done
    assert done.changes == {"lab-post": ("1.0-1", "2.0-1")}
    arch.host.sh("sed -i 's/ lab-fail$//' /etc/pacman.conf; touch /etc/lab-owned-by-nobody")
    done = arch.perform_as_planned("upgrade")
    assert (done.state, done.exit_code, done.error_code, done.changes) == ("failed", 1, "job.package_manager", {}), done
    assert "/etc/lab-owned-by-nobody exists in filesystem" in done.error_text


@pytest.mark.slow
def test_a_held_lock_is_awaited_and_a_stale_one_is_reported(arch: PackageHost) -> None:
    hold = (
        "import os, time; os.open('/var/lib/pacman/db.lck', os.O_CREAT | os.O_EXCL)\n"
        "while not os.path.exists('/run/let-go'): time.sleep(0.05)\n"
        "os.unlink('/var/lib/pacman/db.lck')"
    )
    arch.host.sh(f'systemd-run -q --collect --unit=holder python3 -c "{hold}"; until test -e /var/lib/pacman/db.lck; do sleep 0.05; done')
    job = arch.order("remove", arch.args(["lab-sec"]))
    arch.wait(f"grep -q waiting_lock {OUT}/{job}.progress")
    arch.host.sh("touch /run/let-go")
    done = arch.finish(job)
    assert (done.state, done.changes) == ("succeeded", {"lab-sec": ("1.0-1", "")}), done
    assert "python3" in next(line["text"] for line in done.progress if line["phase"] == "waiting_lock")
    arch.host.sh("touch /var/lib/pacman/db.lck")
    done = arch.perform("upgrade")
    assert (done.state, done.exit_code, done.error_code) == ("failed", None, "job.packages_broken"), done
    assert "no process holds it" in done.error_text
    assert arch.host.sh("ls /var/lib/pacman/db.lck").strip() == "/var/lib/pacman/db.lck"


@pytest.mark.slow
def test_a_dead_repository_fails_and_one_without_lists_is_reported(arch: PackageHost) -> None:
    arch.host.sh("printf '\\n[dead]\\nServer = http://127.0.0.9:9/\\n' >> /etc/pacman.conf")
    done = arch.perform("check")
    assert (done.state, done.error_code) == ("failed", "job.lists_missing"), done
    assert "dead" in done.error_text
    done = arch.perform("refresh")
    assert (done.state, done.exit_code, done.error_code) == ("failed", 1, "job.repository_stale"), done
    assert "dead.db" in done.error_text
    assert arch.host.run("test", "-e", f"{JOBS}/.refreshed", check=False).returncode == 1


@pytest.mark.slow
def test_a_plan_that_changed_since_it_was_shown_is_not_run(arch: PackageHost) -> None:
    wanted = arch.plan("upgrade")
    arch.host.sh("sed -i 's/^IgnorePkg.*/& lab-slow/' /etc/pacman.conf")
    done = arch.perform("upgrade", plan=wanted.digest)
    assert (done.state, done.exit_code, done.error_code, done.changes) == ("failed", None, "job.plan_changed", {}), done
    assert b"lab-slow" in done.output
    assert arch.version("lab-hello") == "1.0"


_EDITING = """#!/bin/sh
if [ -w /root ]; then
  echo >>/root/asked
  if [ $(wc -l </root/asked) = $(cat /root/edit-at) ]; then
    sleep 1  # pacman, which was asked at the same moment, has read its settings by then
    sed -i 's/^IgnorePkg.*/& lab-slow/' /etc/pacman.conf
  fi
fi
exec /usr/bin/pacman-conf "$@"
"""


@pytest.mark.slow
def test_settings_changed_during_planning_do_not_affect_the_plan(arch: PackageHost) -> None:
    """The settings change each time pacman-conf is called: no plan is made of two states of them."""
    arch.put("/usr/local/sbin/pacman-conf", _EDITING.encode(), "0755")
    arch.host.sh("cp /etc/pacman.conf /root/pacman.conf; echo 0 >/root/edit-at; : >/root/asked")
    assert "lab-slow" in arch.plan("upgrade").steps
    asked = len(arch.host.read("/root/asked").splitlines())
    assert asked >= 3
    for at in range(1, asked + 1):
        arch.host.sh(f"cp /root/pacman.conf /etc/pacman.conf; echo {at} >/root/edit-at; : >/root/asked")
        plan = arch.plan("upgrade")
        assert "lab-slow" not in plan.steps, at
        assert ("lab-slow", ("2.0-1", "held")) in plan.kept.items(), at


@pytest.mark.slow
def test_a_hanging_script_is_ended_only_by_force(arch: PackageHost) -> None:
    arch.host.sh("sed -i 's/^IgnorePkg.*/IgnorePkg = lab-[cdfkps]*/' /etc/pacman.conf")
    job = arch.order("upgrade", {})
    arch.wait(f"grep -q 'lab-hang: waiting' {JOBS}/{job}/log")
    arch.stop(job)
    arch.wait(f"grep -q after_package {OUT}/{job}.progress")
    assert arch.host.sh("pgrep -x pacman")
    arch.stop(job, force=True)
    done = arch.finish(job)
    assert (done.state, done.error_code) == ("failed", "job.stopped"), done
    assert done.changes["lab-hang"] == ("1.0-1", "2.0-1")
    assert not arch.host.sh("ls /var/lib/pacman/db.lck 2>/dev/null || true")


@pytest.mark.slow
def test_packages_are_installed_and_removed_as_shown(arch: PackageHost) -> None:
    assert arch.perform("upgrade").state == "succeeded"
    removed = arch.perform_as_planned("remove", "lab-hello")
    assert removed.changes == {"lab-hello": ("1.0-1".replace("1.0", "2.0"), "")}
    for names, code in ((["lab-extra"], "job.unmet_dependencies"), (["lab-nothing"], "job.unknown_package"), (["lab-hello-"], "")):
        if not code:
            continue
        done = arch.perform("remove", *names)
        assert (done.state, done.error_code, done.changes) == ("failed", code, {}), done
    added = arch.perform_as_planned("install", "lab-hello")
    assert added.changes == {"lab-hello": ("", "2.0-1")}, added
    assert arch.perform("install", "base-devel").error_code == "job.unknown_package"
    arch.host.sh("pacman -D --asdeps lab-hello")
    assert arch.perform_as_planned("autoremove").changes == {"lab-hello": ("2.0-1", "")}
    assert arch.perform("autoremove").changes == {}
    cleaned = arch.perform("clean")
    assert (cleaned.state, cleaned.exit_code) == ("succeeded", 0), cleaned


@pytest.mark.slow
def test_a_newer_keyring_is_upgraded_first_and_replacements_are_shown(arch: PackageHost) -> None:
    arch.host.sh(EXTRA_PACKAGES)
    wanted = arch.plan("upgrade")
    assert (wanted.steps["lab-old"].before, wanted.steps["lab-old"].after) == ("1-1", "")
    assert (wanted.steps["lab-new"].before, wanted.steps["lab-new"].after) == ("", "1-1")
    refused = arch.perform("upgrade")
    assert (refused.state, refused.error_code) == ("failed", "job.would_remove"), refused
    done = arch.perform_as_planned("full-upgrade")
    assert (done.state, done.error_code) == ("succeeded", ""), done
    printed = done.output.decode(errors="replace")
    assert printed.index("upgrading lab-keyring") < printed.index("upgrading lab-hello")


EXTRA_PACKAGES = """
mk() {  # name version extra-lines folder
  d=$(mktemp -d); printf 'pkgname = %s\\npkgbase = %s\\npkgver = %s\\npkgdesc = x\\nurl = x\\nbuilddate = 1700000000\\npackager = x\\nsize = 1\\narch = any\\n%b' "$1" "$1" "$2" "$3" > $d/.PKGINFO
  mkdir -p $d/usr/share/lab; echo "$1 $2" > "$d/usr/share/lab/$1"
  (cd $d && tar -czf "$4/$1-$2-any.pkg.tar.gz" .PKGINFO usr)
}
mkdir -p /srv/old; mk lab-old 1-1 '' /srv/old; mk lab-keyring 1-1 '' /srv/old
pacman -U --noconfirm /srv/old/*.pkg.tar.gz >/dev/null
r=/srv/lab-repo/arch; mk lab-new 1-1 'replaces = lab-old<2\\nconflict = lab-old\\n' $r; mk lab-keyring 2-1 '' $r
python3 - $r <<'P'
import hashlib, os, sys, tarfile, io
repo = sys.argv[1]
old = tarfile.open(repo + "/lab.db")
new = tarfile.open(repo + "/lab.db.new", "w:gz")
for member in old.getmembers():
    new.addfile(member, old.extractfile(member) if member.isfile() else None)
for name, version, more in (("lab-new", "1-1", "%REPLACES%\\nlab-old<2\\n\\n%CONFLICTS%\\nlab-old\\n\\n"), ("lab-keyring", "2-1", "")):
    file = "%s-%s-any.pkg.tar.gz" % (name, version)
    data = open(os.path.join(repo, file), "rb").read()
    text = "%%FILENAME%%\\n%s\\n\\n%%NAME%%\\n%s\\n\\n%%BASE%%\\n%s\\n\\n%%VERSION%%\\n%s\\n\\n%%DESC%%\\nx\\n\\n%%CSIZE%%\\n%d\\n\\n%%ISIZE%%\\n1\\n\\n%%SHA256SUM%%\\n%s\\n\\n%%ARCH%%\\nany\\n\\n%s" % (
        file, name, name, version, len(data), hashlib.sha256(data).hexdigest(), more)
    info = tarfile.TarInfo("%s-%s/desc" % (name, version)); info.size = len(text); new.addfile(info, io.BytesIO(text.encode()))
new.close(); os.replace(repo + "/lab.db.new", repo + "/lab.db")
P
pacman -Sy >/dev/null
"""


@pytest.mark.slow
def test_an_image_based_system_names_the_tool_to_use_instead(arch: PackageHost) -> None:
    arch.host.sh("sed -i 's/^ID=.*/ID=steamos\\nID_LIKE=arch/' /usr/lib/os-release")
    done = arch.perform("upgrade")
    assert (done.state, done.exit_code, done.error_code) == ("failed", None, "job.not_this_way"), done
    assert "steamos-update" in done.error_text
    assert b"steamos-update" in done.output


@pytest.mark.slow
def test_after_a_power_cut_the_stale_lock_is_reported_and_only_repair_removes_it(arch: PackageHost) -> None:
    arch.hold_scripts()
    job = arch.order("upgrade", {})
    arch.wait(f"grep -q 'step 1/' {JOBS}/{job}/log")
    boot = arch.host.read("/proc/sys/kernel/random/boot_id")
    labs.lab("kill", arch.host.name)
    labs.lab("start", arch.host.name)
    arch.wait_for_boot_after(boot)
    ended = arch.wait_ended(job)
    assert (ended["state"], ended["error_code"]) == ("interrupted", "job.power_lost"), ended
    done = arch.perform("upgrade")
    assert (done.state, done.exit_code, done.error_code) == ("failed", None, "job.packages_broken"), done
    assert "db.lck was left behind" in done.error_text
    assert b"db.lck was left behind" in arch.perform("check").output
    assert arch.perform("repair").state == "succeeded"
    done = arch.perform_as_planned("upgrade")
    assert done.changes == {"lab-svc": ("1.0-1", "2.0-1")}, done


@pytest.mark.slow
def test_a_killed_runner_is_an_interruption_and_its_pacman_completes(arch: PackageHost) -> None:
    arch.hold_scripts()
    job = arch.order("upgrade", {})
    arch.wait(f"grep -q 'step 1/' {JOBS}/{job}/log")
    runner = json.loads(arch.host.read(f"{JOBS}/{job}/run"))["pid"]
    arch.host.sh(f"kill -KILL {runner}")
    arch.wait(f"grep -q 'runner was killed' {OUT}/{job}.progress")
    assert arch.hand_in(arch.seal("check")[1])["why"] == "busy"
    arch.release_scripts()
    ended = arch.wait_ended(job)
    assert (ended["state"], ended["error_code"]) == ("interrupted", "job.killed"), ended
    assert arch.version("lab-slow") == "2.0"
    assert not arch.host.sh("ls /var/lib/pacman/db.lck 2>/dev/null || true")
    assert arch.perform("check").state == "succeeded"
