"""The launcher's decision: the right order starts one unit, everything else starts nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spider.jobs.files import lock_of, read_plan
from spider.root import launcher
from spider.root.launcher import JobUnit, LauncherPaths, OrderRefused, check_args, decide, orders, prune, receive_frame, serve
from spider.root.runner import take_lock
from spider.wire.ids import new_random_id, new_time_id
from spider.wire.orders import MAGIC, OrderError, SignedOrder, seal_order

KEY = bytes(range(32))
NODE = new_random_id()
BOOT = "c" * 32


class Systemd:
    """Stands where systemd does, and counts."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.down = False
        self.answer: bool | None = True

    def start(self, name: str) -> bool:
        self.started.append(name)
        if self.answer is None:
            raise TimeoutError(name)
        return self.answer

    @property
    def unit(self) -> JobUnit:
        return JobUnit(self.start, lambda: self.down)


@pytest.fixture
def places(tmp_path: Path) -> LauncherPaths:
    def put(name: str, content: bytes, mode: int) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        path.chmod(mode)
        return str(path)

    (tmp_path / "jobs").mkdir()
    (tmp_path / "started").mkdir()
    return LauncherPaths(
        put("launch.key", KEY, 0o600),
        put("spider.conf", f"[hub]\nurl = x\n[node]\nid = {NODE}\ngeneration = 3\nname = web % 1\n".encode(), 0o644),
        put("policy.conf", b"[policy]\nversion = 1\nmode = managed\n", 0o644),
        str(tmp_path / "jobs"),
        str(tmp_path / "started"),
        os.geteuid(),
        (str(tmp_path),),
    )


def order(**over: Any) -> SignedOrder:
    now = int(time.time())
    return SignedOrder(NODE, 3, new_time_id(), "check", {}, now, now + 300)._replace(**over)


def put_to(places: LauncherPaths, what: SignedOrder | bytes, systemd: Systemd) -> tuple[str, str]:
    frame = what if isinstance(what, bytes) else seal_order(KEY, what)
    answer, _ = decide(frame, places, time.time(), BOOT, systemd.unit)
    return answer.answer, answer.why


def test_a_good_order_is_recorded_planned_and_started_once(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade", args={"packages": ["g++", "libc6:i386"]})
    assert put_to(places, wish, systemd) == ("accepted", "")
    assert systemd.started == [f"stardust-job@{wish.job}.service"]
    plan = read_plan(os.path.join(places.jobs, wish.job))
    assert plan == (wish.job, "upgrade", {"packages": ["g++", "libc6:i386"]})
    record = json.loads(Path(places.started, wish.job).read_text())
    assert (record["job"], record["verb"], record["boot"]) == (wish.job, "upgrade", BOOT)
    assert os.stat(os.path.join(places.started, wish.job)).st_mode & 0o777 == 0o600
    assert put_to(places, wish, systemd) == ("refused", "replay")
    assert len(systemd.started) == 1


@pytest.mark.holds("S-43")
def test_an_order_to_uninstall_is_taken_once_and_only_where_the_policy_lists_it(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="uninstall")
    for lines, why in (
        ("mode = monitor", "policy-monitor"),
        ("mode = readonly", "policy-readonly"),
        ("mode = managed\nverbs = refresh, update", "policy-verb"),
        ("mode = manged", "policy-invalid"),
    ):
        Path(places.policy).write_text(f"[policy]\nversion = 1\n{lines}\n")
        assert put_to(places, wish, systemd) == ("refused", why)
    for lines in ("mode = managed", "mode = managed\nverbs = uninstall"):
        Path(places.policy).write_text(f"[policy]\nversion = 1\n{lines}\n")
        wish = order(verb="uninstall")
        forged = seal_order(bytes(32), wish)
        assert put_to(places, forged, systemd) == ("refused", "bad-mac")
        assert put_to(places, wish, systemd) == ("accepted", "")
        assert put_to(places, wish, systemd) == ("refused", "replay")
    assert len(systemd.started) == 2


@pytest.mark.holds("S-60", "S-50")
def test_new_keys_are_refused_where_the_owner_only_watches(places: LauncherPaths) -> None:
    keys = {"generation": 4, "keys": "0" * 128, "digest": "0" * 64}
    for lines, answer in (
        ("mode = monitor", ("refused", "policy-monitor")),
        ("mode = readonly", ("refused", "policy-readonly")),
        ("mode = manged", ("refused", "policy-invalid")),
        ("mode = managed\nrekey = no", ("refused", "policy-verb")),
        ("mode = managed\nverbs = check", ("accepted", "")),
        ("mode = readonly\nrekey = yes", ("accepted", "")),
    ):
        Path(places.policy).write_text(f"[policy]\nversion = 1\n{lines}\n")
        assert put_to(places, order(verb="rekey", args=keys), Systemd()) == answer, lines


YEARS = 4 * 365 * 86_400
NOW = 1_795_000_000


def issued(at: int, *, node_clock: int | None = None, said: bool = True, verb: str = "check", job: str = "") -> SignedOrder:
    """An order that the hub issues at this time of its own clock, for a node whose clock it knows."""
    iat = at if node_clock is None else node_clock
    return order(job=job or new_time_id(at), iat=iat, exp=iat + 600, at=at if said else None, verb=verb)


def put_at(places: LauncherPaths, now: int, what: SignedOrder) -> tuple[str, str]:
    answer, _ = decide(seal_order(KEY, what), places, now, BOOT, Systemd().unit)
    return answer.answer, answer.why


@pytest.mark.holds("SAFETY-55", "S-42")
@pytest.mark.parametrize("said", [True, False], ids=["a hub that says its time", "an older hub"])
def test_an_order_that_was_kept_back_never_runs_after_a_later_one(places: LauncherPaths, said: bool) -> None:
    kept, later = issued(NOW, said=said), issued(NOW + 3600, said=said)
    assert put_at(places, NOW + 3600, later) == ("accepted", "")
    assert put_at(places, NOW + 5, kept) == ("refused", "outdated")  # the clock was set back
    assert not os.path.lexists(os.path.join(places.started, kept.job))  # its id is not used up
    assert put_at(places, NOW + 3600, issued(NOW + 3600, said=said)) == ("accepted", "")  # an equal time is not earlier


@pytest.mark.holds("S-42")
def test_an_order_for_a_time_that_the_node_s_clock_never_showed_is_kept_back_for_nothing(places: LauncherPaths) -> None:
    """A Spider that was taken over may lie about the node's clock, and gets an order for the time that it names."""
    for said in (True, False):
        postdated = issued(NOW, node_clock=NOW + YEARS, said=said)
        assert put_at(places, NOW + 60, issued(NOW + 60)) == ("accepted", "")
        assert put_at(places, NOW + YEARS + 1, postdated) == ("refused", "outdated")


@pytest.mark.holds("SAFETY-84", "S-42")
@pytest.mark.parametrize("said", [True, False], ids=["a hub that says its time", "an older hub"])
def test_a_clock_that_ran_ahead_and_was_corrected_locks_nobody_out(places: LauncherPaths, said: bool) -> None:
    ahead = NOW + YEARS
    assert put_at(places, ahead, issued(NOW, node_clock=ahead, said=said)) == ("accepted", "")  # the node's
    assert put_at(places, NOW + 1, issued(NOW + 1, said=said)) == ("accepted", "")
    assert put_at(places, NOW + 2, issued(ahead, node_clock=NOW + 2, said=said)) == ("accepted", "")  # the hub's
    assert put_at(places, NOW + 70, issued(NOW + 70, said=said)) == ("accepted", "")
    assert put_at(places, 0, issued(NOW + 80, node_clock=0, said=said)) == ("accepted", "")  # the node's is at its beginning
    assert put_at(places, ahead, issued(ahead, said=said)) == ("accepted", "")  # both, and nothing here can tell
    assert put_at(places, NOW + 90, issued(NOW + 90, said=said)) == ("refused", "outdated")


def test_root_lets_a_node_take_orders_again_after_both_clocks_ran_ahead(places: LauncherPaths, capsys: pytest.CaptureFixture[str]) -> None:
    assert put_at(places, NOW + YEARS, issued(NOW + YEARS)) == ("accepted", "")
    assert put_at(places, NOW, issued(NOW)) == ("refused", "outdated")
    assert orders(["reset", "now"], places) == orders(None, places) == 64
    assert orders(["reset"], places._replace(owner=os.geteuid() + 1)) == 77
    assert orders(["reset"], places) == 0
    assert put_at(places, NOW, issued(NOW)) == ("accepted", "")
    assert orders(["reset"], places) == orders(["reset"], places) == 0
    assert "No time" in capsys.readouterr().out


def test_a_stop_is_taken_whenever_it_was_issued(places: LauncherPaths) -> None:
    first = issued(NOW)
    assert put_at(places, NOW, first) == ("accepted", "")
    assert put_at(places, NOW + 60, issued(NOW + 60)) == ("accepted", "")
    assert put_at(places, NOW, issued(NOW, verb="stop", job=first.job)) == ("accepted", "")


def test_the_time_of_the_latest_order_is_durable_before_the_id_is_used_up(places: LauncherPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    wish = issued(NOW)
    with monkeypatch.context() as patched:
        patched.setattr(launcher, "_use_up", lambda *_: os.abort())
        child = os.fork()
        if child == 0:
            put_at(places, NOW, wish)
        assert os.waitpid(child, 0)[1]
    assert put_at(places, NOW, issued(NOW - 1)) == ("refused", "outdated")
    assert put_at(places, NOW, wish) == ("accepted", "")


@pytest.mark.parametrize(
    "content", ['{"at": "soon"}', '{"at": null}', '{"at": -5}', '{"at": true}', '{"at": 1.5}', "{}", "[]", '{"at": 1', "", "\0"]
)
def test_a_damaged_time_of_the_latest_order_allows_nothing_until_root_resets_it(places: LauncherPaths, content: str) -> None:
    path = Path(places.started, ".latest")
    path.write_text(content)
    assert put_at(places, NOW, issued(NOW)) == ("refused", "latest-damaged")
    assert path.read_text() == content
    assert orders(["reset"], places) == 0
    assert put_at(places, NOW, issued(NOW)) == ("accepted", "")


@pytest.mark.holds("F-04")
def test_the_record_outlives_everything_else_of_the_job(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order()
    Path(places.started, wish.job).touch()  # of a job whose files were cleared away
    assert put_to(places, wish, systemd) == ("refused", "replay")
    assert systemd.started == []
    assert os.listdir(places.jobs) == []


def test_a_launcher_that_dies_on_the_way_never_leaves_a_record_alone(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order()
    folder = Path(places.jobs, wish.job)
    folder.touch()  # so that its files cannot be made
    assert put_to(places, wish, systemd)[0] == "error"
    assert os.listdir(places.started) == []
    folder.unlink()
    folder.mkdir()
    (folder / "plan").write_bytes(b'{"job": "')  # of one that was killed while it wrote
    assert put_to(places, wish, systemd) == ("accepted", "")
    assert read_plan(str(folder)) == (wish.job, "check", {})
    assert put_to(places, wish, systemd) == ("refused", "replay")
    assert len(systemd.started) == 1


def test_many_copies_at_once_start_one_unit(places: LauncherPaths) -> None:
    systemd, frame = Systemd(), seal_order(KEY, order())
    said: list[tuple[str, str]] = []
    threads = [threading.Thread(target=lambda: said.append(put_to(places, frame, systemd))) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer for answer, _ in said].count("accepted") == 1
    assert {why for answer, why in said if answer == "refused"} <= {"replay", "busy"}
    assert len(systemd.started) == 1


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
def test_what_is_not_exactly_right_starts_nothing(places: LauncherPaths, over: dict[str, Any], why: str) -> None:
    systemd = Systemd()
    assert put_to(places, order(**over), systemd) == ("refused", why)
    assert systemd.started == []
    assert os.listdir(places.started) == []


@pytest.mark.holds("SAFETY-57", "S-52")
@pytest.mark.parametrize(
    "name",
    ["-y", "--allow-unauthenticated", "-oAPT::X=y", "lab-", "lab=1.0", "lab/sid", "./lab.deb", "/tmp/x.deb", "lab*", "^lab", "lab.*$", "a b", "", "@core", "lab\n", "~nlab", "?any", "lab;x", "lab<2"],
)  # fmt: skip
def test_a_name_that_apt_would_take_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(OrderRefused, match="bad-args"):
        check_args(order(verb="upgrade", args={"packages": [name]}))


def test_names_of_packages_are_taken() -> None:
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
def test_a_unit_name_that_is_not_one_plain_unit_is_refused(name: object) -> None:
    with pytest.raises(OrderRefused, match="bad-args"):
        check_args(order(verb="unit-restart", args={"units": [name]}))


def test_names_of_units_are_taken_and_nothing_beside_them() -> None:
    check_args(order(verb="unit-stop", args={"units": ["ssh.socket", "getty@tty1.service", "a-b.timer", "dev-disk\\x2d1.service"]}))
    refused: list[dict[str, object]] = [
        {}, {"units": []}, {"units": "ssh.service"}, {"units": ["a.service"], "packages": []}, {"units": ["a.service"] * 2},
        {"units": [f"a{number}.service" for number in range(17)]},
    ]  # fmt: skip
    for args in refused:
        with pytest.raises(OrderRefused, match="bad-args"):
            check_args(order(verb="unit-stop", args=args))


@pytest.mark.holds("SAFETY-56")
def test_an_order_for_a_unit_runs_only_where_the_policy_names_the_unit(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="unit-restart", args={"units": ["nginx.service"]})
    for lines, why in (
        ("version = 1\nmode = managed", "policy-unit"),
        ("version = 2\nmode = managed\nunits = apache2.service", "policy-unit"),
        ("version = 2\nmode = readonly\nunits = nginx.service", "policy-readonly"),
        ("version = 2\nmode = managed\nunits = nginx.service; x", "policy-invalid"),
    ):
        Path(places.policy).write_text(f"[policy]\n{lines}\n")
        assert put_to(places, wish, systemd) == ("refused", why)
    Path(places.policy).write_text("[policy]\nversion = 2\nmode = managed\nunits = *\n")
    own = order(verb="unit-stop", args={"units": ["stardust-spider.service"]})
    assert put_to(places, own, systemd) == ("refused", "unit-protected")
    assert put_to(places, order(verb="unit-restart", args={"units": "nginx.service"}), systemd) == ("refused", "bad-args")
    assert (systemd.started, os.listdir(places.started)) == ([], [])
    assert put_to(places, wish, systemd) == ("accepted", "")


@pytest.mark.holds("SAFETY-57", "S-52")
@pytest.mark.parametrize(
    "args",
    [
        {}, {"container": ""}, {"container": ["shop"]}, {"container": None}, {"container": "shop", "units": ["a.service"]}, {"units": ["a.service"]},
        *({"container": name} for name in ("../shop", "a/b", "-f", ".a", "shop\n", "a b", "a%2fb", "a?t=1", "a#b", "shop*", "sh\u043ep", "x" * 129)),
    ],
)  # fmt: skip
def test_a_container_is_one_plain_name_and_nothing_beside_it(args: dict[str, object]) -> None:
    with pytest.raises(OrderRefused, match="bad-args"):
        check_args(order(verb="container-restart", args=args))


@pytest.mark.holds("SAFETY-56")
def test_a_container_is_restarted_beside_a_job_of_packages_only_where_the_policy_names_it(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="container-restart", args={"container": "shop-web_1.a"})
    packages = take_lock(places.jobs)
    for lines, answer in (
        ("version = 1\nmode = managed", ("refused", "policy-container")),
        ("version = 2\nmode = managed\nunits = *\ncontainers = shop", ("refused", "policy-container")),
        ("version = 2\nmode = managed\ncontainers = shop-*", ("accepted", "")),
    ):
        Path(places.policy).write_text(f"[policy]\n{lines}\n")
        assert put_to(places, wish, systemd) == answer
    os.close(packages)


def test_a_unit_is_restarted_beside_a_job_of_packages_and_not_beside_another_of_units(places: LauncherPaths) -> None:
    Path(places.policy).write_text("[policy]\nversion = 2\nmode = managed\nunits = *\n")
    systemd, args = Systemd(), {"units": ["nginx.service"]}
    packages = take_lock(places.jobs)
    assert put_to(places, order(verb="upgrade"), systemd) == ("refused", "busy")
    assert put_to(places, order(verb="unit-restart", args=args), systemd) == ("accepted", "")
    os.close(packages)
    units = take_lock(places.jobs, name=lock_of("unit-stop"))
    assert put_to(places, order(verb="unit-restart", args=args), systemd) == ("refused", "busy")
    assert put_to(places, order(verb="upgrade"), systemd) == ("accepted", "")
    os.close(units)


def test_a_stop_leaves_a_wish_beside_the_job_as_often_as_it_comes(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    assert put_to(places, wish, systemd) == ("accepted", "")
    folder = Path(places.jobs, wish.job)
    stop = seal_order(KEY, wish._replace(verb="stop"))
    Path(places.policy).write_text("[policy]\nversion = 1\nmode = monitor\n")  # what ran may be stopped
    for _ in range(3):
        assert put_to(places, stop, systemd) == ("accepted", "")
    assert (folder / "stop").exists()
    assert not (folder / "force").exists()
    assert put_to(places, wish._replace(verb="stop", args={"force": True}), systemd) == ("accepted", "")
    assert (folder / "force").exists()
    assert len(systemd.started) == 1
    assert sorted(os.listdir(places.started)) == [".latest", wish.job]
    (folder / "result").touch()
    assert put_to(places, stop, systemd) == ("refused", "ended")


def test_a_job_that_was_stopped_before_it_began_never_begins(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    stop = wish._replace(verb="stop")
    for _ in range(2):
        assert put_to(places, stop, systemd) == ("refused", "no-such-job")
    assert put_to(places, wish, systemd) == ("refused", "replay")
    assert systemd.started == []
    assert not Path(places.jobs, wish.job).exists()


def test_between_its_files_and_its_record_a_job_can_be_stopped_for_good(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    folder = Path(places.jobs, wish.job)
    folder.mkdir()
    (folder / "plan").touch()  # of a launcher that died here, or is about to write the record
    assert put_to(places, wish._replace(verb="stop"), systemd) == ("refused", "no-such-job")
    assert not folder.exists()
    folder.mkdir()
    (folder / "plan").touch()
    assert put_to(places, wish, systemd) == ("refused", "replay")
    assert systemd.started == []


def test_a_stop_of_what_is_long_over_is_told_so(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    put_to(places, wish, systemd)
    shutil.rmtree(Path(places.jobs, wish.job))
    assert put_to(places, wish._replace(verb="stop"), systemd) == ("refused", "ended")


def test_a_stop_is_checked_as_every_order(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    put_to(places, wish, systemd)
    stop = wish._replace(verb="stop")
    for frame, why in [
        (seal_order(bytes(32), stop), "bad-mac"),
        (seal_order(KEY, stop._replace(node=new_random_id())), "wrong-node"),
        (seal_order(KEY, stop._replace(gen=2)), "wrong-generation"),
        (seal_order(KEY, stop._replace(iat=5, exp=10)), "expired"),
        (seal_order(KEY, stop._replace(job=new_time_id())), "no-such-job"),
        (seal_order(KEY, stop._replace(args={"packages": []})), "bad-args"),
    ]:
        assert put_to(places, frame, systemd) == ("refused", why)
    assert not Path(places.jobs, wish.job, "stop").exists()


@pytest.mark.holds("SAFETY-55", "S-41")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_no_altered_or_made_up_frame_starts_anything(places: LauncherPaths, data: st.DataObject) -> None:
    systemd = Systemd()
    frame = bytearray(seal_order(KEY, order()))
    if data.draw(st.booleans()):
        frame[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    else:
        frame = bytearray(data.draw(st.binary(max_size=200)))
    answer, why = put_to(places, bytes(frame), systemd)
    assert answer == "refused"
    assert why in ("bad-mac", "bad-magic", "bad-length")
    assert systemd.started == []


@pytest.mark.holds("SAFETY-95", "F-12")
def test_a_host_that_goes_down_or_has_no_room_refuses_and_the_id_stays_free(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order(verb="upgrade")
    systemd.down = True
    assert put_to(places, wish, systemd) == ("refused", "host-stopping")
    systemd.down = False
    full = places._replace(roomy=("/proc",))
    assert put_to(full, wish, systemd) == ("refused", "no-space")
    assert os.listdir(places.started) == []
    assert put_to(full, order(verb="clean", iat=wish.iat), systemd) == ("accepted", "")  # what makes room is let through
    assert put_to(places, wish, systemd) == ("accepted", "")


def test_a_unit_that_does_not_start_is_told_and_one_that_waits_is_accepted(places: LauncherPaths) -> None:
    systemd = Systemd()
    systemd.answer = False
    assert put_to(places, order(), systemd) == ("failed", "not-started")
    systemd.answer = None
    assert put_to(places, order(), systemd) == ("accepted", "starting")


def test_without_a_key_that_is_root_s_alone_nothing_is_checked(places: LauncherPaths) -> None:
    systemd = Systemd()
    os.chmod(places.launch_key, 0o640)
    assert put_to(places, order(), systemd) == ("refused", "no-key")
    os.chmod(places.launch_key, 0o600)
    Path(places.launch_key).write_bytes(KEY[:31])
    assert put_to(places, order(), systemd) == ("refused", "no-key")


def test_the_answer_is_one_line_with_the_node_s_clock(places: LauncherPaths) -> None:
    systemd, wish = Systemd(), order()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(seal_order(KEY, wish))
        serve(theirs, places, systemd.unit, BOOT)
        line = json.loads(ours.recv(4096))
    assert set(line) == {"answer", "why", "clock"}
    assert line["answer"] == "accepted"
    assert abs(line["clock"] - time.time()) < 5


def test_a_frame_has_one_deadline_however_it_trickles(places: LauncherPaths) -> None:
    frame = seal_order(KEY, order())
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def trickle() -> None:
        for byte in frame:
            if stop.wait(0.02):
                return
            ours.send(bytes([byte]))

    thread = threading.Thread(target=trickle)
    with ours, theirs:
        thread.start()
        # Its bytes come well within the limit each, and all of them do come: only a deadline for the whole refuses it.
        with pytest.raises(OrderRefused, match="slow-frame"):
            receive_frame(theirs, limit_s=0.3)
        stop.set()
        thread.join()


def test_a_frame_is_taken_in_any_cut_and_a_false_length_is_not_waited_for() -> None:
    frame = seal_order(KEY, order())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        thread = threading.Thread(target=lambda: [ours.send(frame[at : at + 9]) for at in range(0, len(frame), 9)])
        thread.start()
        assert receive_frame(theirs) == frame
        thread.join()
    for head in (MAGIC + b"\xff\xff\xff\xff", b"GET / HT"):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(head)
            with pytest.raises(OrderError):
                receive_frame(theirs)
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(frame[:20])
        ours.close()
        with pytest.raises(OrderRefused, match="short-frame"):
            receive_frame(theirs)


def test_old_ended_jobs_are_cleared_away_and_open_ones_stay(tmp_path: Path) -> None:
    jobs = [new_time_id(1000.0 + number) for number in range(8)]
    for job in jobs:
        (tmp_path / job).mkdir()
        (tmp_path / job / "plan").touch()
        (tmp_path / job / "log").touch()
    for job in jobs[1:]:
        (tmp_path / job / random.Random(job).choice(["result", "stopped"])).touch()
    (tmp_path / ".lock").touch()
    prune(str(tmp_path), most=3)
    assert sorted(os.listdir(tmp_path)) == sorted([".lock", jobs[0], *jobs[5:]])
