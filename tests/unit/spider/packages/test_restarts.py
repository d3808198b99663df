"""Which services a plan will probably restart."""

from __future__ import annotations

from pathlib import Path

from groundcontrol.jobs.messages import read_plan
from spider.packages.plan import Plan, Planned
from spider.packages.plan_file import plan_from_document, plan_messages, plan_to_document
from spider.packages.restarts import MAX_NAMED, unit_names, will_restart

PLAN = Plan((Planned("nginx", "1", "2"), Planned("postgresql-15", "1", "2"), Planned("new", "", "1")))
FILES = "/lib/systemd/system/nginx.service\n/usr/lib/systemd/system/postgresql@.service\n/usr/lib/systemd/system/idle.service\n/usr/share/doc/x\n"


def proc_of(folder: Path, *cgroups: str) -> str:
    for pid, cgroup in enumerate(cgroups, 1):
        (folder / str(pid)).mkdir()
        (folder / f"{pid}/cgroup").write_text(f"0::{cgroup}\n")
    return str(folder)


def test_running_services_of_changed_packages_are_listed_as_restarting(tmp_path: Path) -> None:
    proc = proc_of(
        tmp_path, "/init.scope", "/system.slice/nginx.service", "/system.slice/nginx.service", "/system.slice/ssh.service",
        "/system.slice/system-postgresql.slice/postgresql@15-main.service", "/user.slice/user-0.slice/session-1.scope",
    )  # fmt: skip
    assert will_restart(PLAN, ("printf", "%s", FILES), {}, proc) == ("nginx.service", "postgresql@15-main.service")
    assert will_restart(PLAN, ("printf", "%s", ""), {}, proc) == ()
    assert will_restart(PLAN, (), {}, proc) == will_restart(PLAN, ("/no/such/program",), {}, proc) == ()
    assert will_restart(Plan(PLAN.steps[2:]), ("printf", "%s", FILES), {}, proc) == ()  # new packages run nowhere


def test_scripts_of_init_are_services_too() -> None:
    assert unit_names(["/etc/init.d/sshd", "/etc/init.d/x/y", "/lib/systemd/system/a.socket"]) == {"sshd"}


def test_the_hub_gets_as_many_names_as_fit() -> None:
    plan = PLAN._replace(restarts=("nginx.service", "postgresql@15-main.service"))
    assert plan_from_document(plan_to_document(plan)) == plan
    assert read_plan(plan_messages("j", plan)[0]).head.restarts == plan.restarts
    many = tuple(f"a-service-with-a-long-name-{place}.service" for place in range(MAX_NAMED))
    got = read_plan(plan_messages("j", plan._replace(restarts=many))[0]).head.restarts
    assert got == many[: len(got)]
    assert len(got) > 5
