"""The launcher and an order's arguments: which are valid, and which the policy allows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from spider.jobs.files import lock_of
from spider.root.job_lock import take_lock
from spider.root.launcher import LauncherPaths, OrderRefused, check_args
from spider.wire.ids import new_random_id
from tests.support.launcher import Systemd, order, submit


@pytest.mark.holds("F-21")
@pytest.mark.parametrize(
    ("over", "why"),
    [
        ({"node": new_random_id()}, "wrong-node"),
        ({"gen": 2}, "wrong-generation"),
        ({"exp": 10, "iat": 5}, "expired"),
        ({"job": "x"}, "bad-job"),
        ({"verb": "shell"}, "policy-verb"),
        ({"verb": "stop", "args": {"force": "yes"}}, "bad-args"),
        ({"verb": "reboot", "args": {"packages": ["a"]}}, "bad-args"),
        ({"verb": "uninstall", "args": {"packages": []}}, "bad-args"),
        ({"verb": "uninstall", "args": {}, "exp": 10, "iat": 5}, "expired"),
        ({"verb": "install", "args": {"packages": []}}, "bad-args"),
        ({"verb": "remove"}, "bad-args"),
        ({"verb": "full-upgrade", "args": {"packages": ["a"]}}, "bad-args"),
        ({"verb": "upgrade", "args": {"plan": "A" * 64}}, "bad-args"),
        ({"verb": "hold", "args": {"packages": ["a"], "plan": "a" * 64}}, "bad-args"),
        ({"verb": "upgrade", "args": {"for": "upgrade"}}, "bad-args"),
        ({"verb": "plan", "args": {"for": "reboot"}}, "bad-args"),
        ({"verb": "plan", "args": {"for": "install"}}, "bad-args"),
        ({"verb": "plan", "args": {"plan": "a" * 64}}, "bad-args"),
        ({"args": {"x": 1}}, "bad-args"),
        ({"args": {"packages": ["lab-hello"]}}, "bad-args"),
        ({"verb": "upgrade", "args": {"packages": "lab-hello"}}, "bad-args"),
        ({"verb": "upgrade", "args": {"reboot": True}}, "bad-args"),
    ],
)
def test_an_invalid_order_starts_nothing(paths: LauncherPaths, over: dict[str, Any], why: str) -> None:
    systemd = Systemd()
    assert submit(paths, order(**over), systemd) == ("refused", why)
    assert systemd.started == []
    assert os.listdir(paths.started) == []


@pytest.mark.holds("SAFETY-57", "S-52")
@pytest.mark.parametrize(
    "name",
    ["-y", "--allow-unauthenticated", "-oAPT::X=y", "lab-", "lab=1.0", "lab/sid", "./lab.deb", "/tmp/x.deb", "lab*", "^lab", "lab.*$", "a b", "", "@core", "lab\n", "~nlab", "?any", "lab;x", "lab<2"],
)  # fmt: skip
def test_an_invalid_package_name_is_refused(name: str) -> None:
    with pytest.raises(OrderRefused, match="bad-args"):
        check_args(order(verb="upgrade", args={"packages": [name]}))


def test_valid_package_names_are_accepted() -> None:
    check_args(order(verb="upgrade", args={"packages": ["g++", "libstdc++6", "python3.11", "libc6:i386", "0ad"], "reboot": False}))
    check_args(order(verb="install", args={"packages": ["R", "NetworkManager.x86_64", "gcc-c++", "perl-Data_x"], "plan": "0" * 64}))
    check_args(order(verb="plan", args={"for": "remove", "packages": ["lab-hello"]}))
    check_args(order(verb="plan", args={}))
    check_args(order(verb="reboot", args={}))


@pytest.mark.holds("SAFETY-57", "S-52")
@pytest.mark.parametrize(
    "name",
    [
        "", "nginx", "-nginx.service", "--force.service", "../nginx.service", "/etc/systemd/system/nginx.service", "nginx.service\n", "ngi nx.service",
        "nginx*.service", "ngin[x].service", "nginx?.service", "nginx@.service", "a@b@c.service", "@b.service", "nginx.target", "home.mount",
        "nginx.service;reboot", "$(reboot).service", "%n.service", "n\u0456ginx.service", "nginx.SERVICE", "x" * 250 + ".service", 7, None, ["nginx.service"],
    ],
)  # fmt: skip
def test_an_invalid_unit_name_is_refused(name: object) -> None:
    with pytest.raises(OrderRefused, match="bad-args"):
        check_args(order(verb="unit-restart", args={"units": [name]}))


def test_valid_unit_names_are_accepted_and_other_arguments_refused() -> None:
    check_args(order(verb="unit-stop", args={"units": ["ssh.socket", "getty@tty1.service", "a-b.timer", "dev-disk\\x2d1.service"]}))
    refused: list[dict[str, object]] = [
        {}, {"units": []}, {"units": "ssh.service"}, {"units": ["a.service"], "packages": []}, {"units": ["a.service"] * 2},
        {"units": [f"a{number}.service" for number in range(17)]},
    ]  # fmt: skip
    for args in refused:
        with pytest.raises(OrderRefused, match="bad-args"):
            check_args(order(verb="unit-stop", args=args))


@pytest.mark.holds("SAFETY-56")
def test_a_unit_order_needs_a_policy_that_names_the_unit(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="unit-restart", args={"units": ["nginx.service"]})
    for lines, why in (
        ("version = 1\nmode = managed", "policy-unit"),
        ("version = 2\nmode = managed\nunits = apache2.service", "policy-unit"),
        ("version = 2\nmode = readonly\nunits = nginx.service", "policy-readonly"),
        ("version = 2\nmode = managed\nunits = nginx.service; x", "policy-invalid"),
    ):
        Path(paths.policy).write_text(f"[policy]\n{lines}\n")
        assert submit(paths, wish, systemd) == ("refused", why)
    Path(paths.policy).write_text("[policy]\nversion = 2\nmode = managed\nunits = *\n")
    own = order(verb="unit-stop", args={"units": ["stardust-spider.service"]})
    assert submit(paths, own, systemd) == ("refused", "unit-protected")
    assert submit(paths, order(verb="unit-restart", args={"units": "nginx.service"}), systemd) == ("refused", "bad-args")
    assert (systemd.started, os.listdir(paths.started)) == ([], [])
    assert submit(paths, wish, systemd) == ("accepted", "")


@pytest.mark.holds("SAFETY-57", "S-52")
@pytest.mark.parametrize(
    "args",
    [
        {}, {"container": ""}, {"container": ["shop"]}, {"container": None}, {"container": "shop", "units": ["a.service"]}, {"units": ["a.service"]},
        *({"container": name} for name in ("../shop", "a/b", "-f", ".a", "shop\n", "a b", "a%2fb", "a?t=1", "a#b", "shop*", "sh\u043ep", "x" * 129)),
    ],
)  # fmt: skip
def test_an_invalid_container_argument_is_refused(args: dict[str, object]) -> None:
    with pytest.raises(OrderRefused, match="bad-args"):
        check_args(order(verb="container-restart", args=args))


@pytest.mark.holds("SAFETY-56")
def test_a_container_order_needs_a_policy_that_names_it_but_no_package_lock(paths: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="container-restart", args={"container": "shop-web_1.a"})
    packages = take_lock(paths.jobs)
    for lines, answer in (
        ("version = 1\nmode = managed", ("refused", "policy-container")),
        ("version = 2\nmode = managed\nunits = *\ncontainers = shop", ("refused", "policy-container")),
        ("version = 2\nmode = managed\ncontainers = shop-*", ("accepted", "")),
    ):
        Path(paths.policy).write_text(f"[policy]\n{lines}\n")
        assert submit(paths, wish, systemd) == answer
    os.close(packages)


def test_a_unit_job_runs_beside_a_package_job_but_not_another_unit_job(paths: LauncherPaths) -> None:
    Path(paths.policy).write_text("[policy]\nversion = 2\nmode = managed\nunits = *\n")
    systemd, args = Systemd(), {"units": ["nginx.service"]}
    packages = take_lock(paths.jobs)
    assert submit(paths, order(verb="upgrade"), systemd) == ("refused", "busy")
    assert submit(paths, order(verb="unit-restart", args=args), systemd) == ("accepted", "")
    os.close(packages)
    units = take_lock(paths.jobs, name=lock_of("unit-stop"))
    assert submit(paths, order(verb="unit-restart", args=args), systemd) == ("refused", "busy")
    assert submit(paths, order(verb="upgrade"), systemd) == ("accepted", "")
    os.close(units)
