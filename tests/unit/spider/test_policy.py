"""The owner's policy: parsed completely, or nothing is allowed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.root.policy import LISTED, MODES, PolicyRefused, parse_policy, read_policy
from spider.wire.verbs import VERBS


def test_each_mode_allows_its_verbs() -> None:
    assert parse_policy("[policy]\nversion=1\nmode=monitor\n").verbs == ()
    assert parse_policy("[policy]\nversion = 1\nmode = readonly\n").verbs == ("refresh", "check", "plan")
    assert parse_policy("[policy]\nversion = 1\nmode = managed\n").verbs == (*LISTED, "rekey")
    narrow = parse_policy("# mine\n[policy]\nversion = 1\nmode = managed\nverbs = check, upgrade\n")
    assert narrow.verbs == ("check", "upgrade", "rekey")
    assert narrow.refusal("upgrade") is None
    assert narrow.refusal("full-upgrade") == "policy-verb"
    assert narrow.refusal("stop") == "policy-verb"


@pytest.mark.holds("SAFETY-56", "S-60")
def test_rekey_is_allowed_in_managed_mode_or_by_its_own_line() -> None:
    for lines, why in (
        ("mode = managed", None),
        ("mode = managed\nverbs = check", None),  # written when no list could name it
        ("mode = readonly", "policy-readonly"),
        ("mode = monitor", "policy-monitor"),
        ("mode = monitor\nrekey = yes", None),
        ("mode = readonly\nrekey = yes", None),
        ("mode = managed\nrekey = no", "policy-verb"),
    ):
        policy = parse_policy(f"[policy]\nversion = 1\n{lines}\n")
        assert policy.refusal("rekey") == why, lines
        assert ("rekey" in policy.allowed_verbs) == (why is None and policy.mode != "managed")  # hubs write received text into policy files
    assert parse_policy("[policy]\nversion = 1\nmode = monitor\nrekey = yes\n").verbs == ("rekey",)


@pytest.mark.holds("SAFETY-56")
def test_version_2_adds_event_reporters_and_nothing_to_version_1() -> None:
    for lines in ("mode = managed", "mode = readonly", "mode = managed\nverbs = check", "mode = monitor\nrekey = yes"):
        one, two = (parse_policy(f"[policy]\nversion = {version}\n{lines}\n") for version in (1, 2))
        assert one == two
        assert two.events == ()
    whole = parse_policy(
        "[policy]\nversion = 2\nmode = monitor\nevents = backup, web-data\nunits = nginx.service, php*\ncontainers = shop\njournal = warning\n"
    )
    assert (whole.events, whole.verbs) == (("backup", "web-data"), ())


@pytest.mark.holds("SAFETY-56")
@pytest.mark.parametrize(
    ("lines", "verb", "why"),
    [
        ("mode = managed", "unit-restart", "policy-unit"),
        ("mode = managed\nunits = nginx.service", "unit-restart", None),
        ("mode = managed\nunits = nginx.service", "unit-stop", None),
        ("mode = managed\nverbs = check, unit-reload\nunits = nginx.service", "unit-reload", None),
        ("mode = managed\nverbs = check, unit-reload\nunits = nginx.service", "unit-stop", "policy-verb"),
        ("mode = managed\nverbs = check, unit-reload", "unit-reload", "policy-unit"),
        ("mode = readonly\nunits = nginx.service", "unit-restart", "policy-readonly"),
        ("mode = monitor\nunits = nginx.service", "unit-restart", "policy-monitor"),
    ],
)
def test_verbs_of_units_need_the_line_that_names_units(lines: str, verb: str, why: str | None) -> None:
    policy = parse_policy(f"[policy]\nversion = 2\n{lines}\n")
    assert policy.refusal(verb) == why
    assert (verb in policy.allowed_verbs) == (why is None)


@pytest.mark.holds("SAFETY-56")
def test_version_1_knows_no_verb_of_units() -> None:
    assert parse_policy("[policy]\nversion = 1\nmode = managed\n").refusal("unit-restart") == "policy-unit"
    with pytest.raises(PolicyRefused, match="unknown verb 'unit-restart'"):
        parse_policy("[policy]\nversion = 1\nmode = managed\nverbs = unit-restart\n")
    with pytest.raises(PolicyRefused, match="unknown verb 'container-restart'"):
        parse_policy("[policy]\nversion = 1\nmode = managed\nverbs = container-restart\n")


@pytest.mark.holds("SAFETY-56", "SAFETY-57")
@pytest.mark.parametrize(
    ("lines", "name", "verb_why", "name_why"),
    [
        ("version = 1\nmode = managed", "shop", "policy-container", "policy-container"),
        ("version = 2\nmode = managed\nunits = *", "shop", "policy-container", "policy-container"),
        ("version = 2\nmode = managed\ncontainers = shop, mail-*", "shop", None, None),
        ("version = 2\nmode = managed\ncontainers = shop, mail-*", "mail-1", None, None),
        ("version = 2\nmode = managed\ncontainers = shop, mail-*", "shop2", None, "policy-container"),
        ("version = 2\nmode = managed\ncontainers = shop\nverbs = check, unit-stop", "shop", "policy-verb", None),
        ("version = 2\nmode = managed\ncontainers = shop\nverbs = container-restart", "shop", None, None),
        ("version = 2\nmode = readonly\ncontainers = *", "shop", "policy-readonly", None),
        ("version = 2\nmode = monitor\ncontainers = *", "shop", "policy-monitor", None),
    ],
)
def test_containers_are_restarted_only_where_the_policy_names_them(
    lines: str, name: str, verb_why: str | None, name_why: str | None
) -> None:
    policy = parse_policy(f"[policy]\n{lines}\n")
    assert policy.refusal("container-restart") == verb_why
    assert ("container-restart" in policy.allowed_verbs) == (verb_why is None)
    assert policy.name_refusal(VERBS["container-restart"], {"container": name}) == name_why


@pytest.mark.holds("SAFETY-57")
def test_only_units_that_the_policy_names_are_allowed_and_never_those_that_no_policy_allows() -> None:
    policy = parse_policy("[policy]\nversion = 2\nmode = managed\nunits = nginx, php*-fpm.service, backup.timer, app@*\n")
    for name in ("nginx.service", "php8.2-fpm.service", "php-fpm.service", "backup.timer", "app@one.service"):
        assert policy.name_refusal(VERBS["unit-stop"], {"units": [name]}) is None, name
    for name in ("nginx.socket", "php8.2.service", "backup.service", "app.service", "xnginx.service", "nginx.service.service"):
        assert policy.name_refusal(VERBS["unit-stop"], {"units": ["nginx.service", name]}) == "policy-unit", name
    everything = parse_policy("[policy]\nversion = 2\nmode = managed\nunits = *\n")
    assert everything.name_refusal(VERBS["unit-stop"], {"units": ["ssh.service"]}) is None
    for name in (
        "stardust-spider.service", "stardust-launcher.socket", "stardust-launcher@1-2-3.service", "stardust-job@x.service", "stardust-hub.service",
        "debug-shell.service", "rescue.service", "emergency.service", "systemd-poweroff.service", "systemd-reboot.service",
        "systemd-suspend-then-hibernate.service", "systemd-initctl.socket", "stardust-rollback.timer",
    ):  # fmt: skip
        assert everything.name_refusal(VERBS["unit-stop"], {"units": [name]}) == "unit-protected", name


@pytest.mark.holds("SAFETY-56")
def test_a_list_of_verbs_never_widens_a_mode() -> None:
    assert parse_policy("[policy]\nversion = 1\nmode = readonly\nverbs = check, upgrade\n").verbs == ("check",)
    monitor = parse_policy("[policy]\nversion = 1\nmode = monitor\nverbs = check\n")
    assert monitor.verbs == ()
    assert monitor.refusal("check") == "policy-monitor"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mode = managed\n",
        "[policy]\nversion = 1\n",
        "[policy]\nmode = managed\n",
        "[policy]\nversion = 4\nmode = managed\n",
        "[policy]\nversion = 1\nmode = managed\nevents = backup\n",
        "[policy]\nversion = 2\nmode = managed\nevents =\n",
        "[policy]\nversion = 2\nmode = managed\nevents = backup, no body\n",
        "[policy]\nversion = 2\nmode = managed\nunits = nginx; rm\n",
        "[policy]\nversion = 2\nmode = managed\njournal = debug\n",
        "[policy]\nversion = 2\nmode = managed\nfiles = all\n",
        "[policy]\nversion = 1\nmode = everything\n",
        "[policy]\nversion = 1\nmode = managed # for now\n",
        "[policy]\nversion = 1\nmode = managed\nmode = monitor\n",
        "[policy]\nversion = 1\nmode = managed\nverb = check\n",
        "[policy]\nversion = 1\nmode = managed\nverbs = check, shell\n",
        "[policy]\nversion = 1\nmode = managed\nverbs =\n",
        "[policy]\nversion = 1\nmode = managed\nverbs = check, rekey\n",
        "[policy]\nversion = 1\nmode = managed\nrekey = maybe\n",
        "[policy]\nversion = 1\nmode = managed\n[policy]\n",
        "[policy]\nversion = 1\nmode = managed\n[more]\n",
        "[DEFAULT]\nmode = managed\n[policy]\nversion = 1\nmode = managed\n",
        "[policy]\nversion = 1\nmode: managed\n",
        "[policy]\nversion = 1\nmode = %(x)s\n",
        "[policy]\nversion = 1\nmode = managed\nverbs = check\n  upgrade\n",
    ],
)
def test_a_policy_with_an_unknown_line_is_refused_as_a_whole(text: str) -> None:
    with pytest.raises(PolicyRefused):
        parse_policy(text)


@given(st.text(max_size=200))
def test_arbitrary_text_raises_only_policyrefused(text: str) -> None:
    for candidate in (text, "[policy]\nversion = 1\n" + text, "[policy]\nversion = 2\n" + text):
        try:
            assert parse_policy(candidate).mode in MODES
        except PolicyRefused:
            continue


def test_a_file_that_others_could_have_written_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "policy.conf"
    owner = os.geteuid()
    with pytest.raises(PolicyRefused, match="No such file"):
        read_policy(str(path), owner)
    path.write_text("[policy]\nversion = 1\nmode = managed\n")
    path.chmod(0o644)
    assert read_policy(str(path), owner).mode == "managed"
    for mode in (0o664, 0o646, 0o666):
        path.chmod(mode)
        with pytest.raises(PolicyRefused, match="lets others in"):
            read_policy(str(path), owner)
    path.chmod(0o644)
    with pytest.raises(PolicyRefused, match="owned by"):
        read_policy(str(path), owner + 1)
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(PolicyRefused):
        read_policy(str(link), owner)
    with pytest.raises(PolicyRefused):
        read_policy(str(tmp_path), owner)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o644)
    with pytest.raises(PolicyRefused, match="not a plain file"):
        read_policy(str(fifo), owner)
    path.write_bytes(b"[policy]\n" + b"#" * 70_000)
    with pytest.raises(PolicyRefused, match="larger"):
        read_policy(str(path), owner)


EFFECTS = (
    "systemd-storagetm", "systemd-factory-reset-reboot", "systemd-factory-reset-request", "systemd-bsod", "systemd-tpm2-clear",
    "packagekit-offline-update", "fwupd-offline-update", "system-update-cleanup", "dnf-system-upgrade", "dnf5-offline-transaction",
    "systemd-poweroff", "systemd-sysupdate-reboot",
)  # fmt: skip


@pytest.mark.holds("S-50")
@pytest.mark.parametrize("name", EFFECTS)
def test_units_that_export_disks_reset_or_update_offline_are_refused_even_by_name(name: str) -> None:
    policy = parse_policy(f"[policy]\nversion = 2\nmode = managed\nunits = *, {name}.service\n")
    restart = VERBS["unit-restart"]
    assert policy.name_refusal(restart, {"units": [f"{name}.service"]}) == "unit-protected"


@pytest.mark.holds("S-50")
@pytest.mark.parametrize("name", ["apt-daily-upgrade.service", "apt-daily.timer", "unattended-upgrades.service", "flatpak-system-update.timer", "dnf-automatic-install.timer", "packagekit.service", "fwupd.service", "podman-auto-update.timer", "zincati.service", "locksmithd.service", "cron-apt.timer", "aptd.service", "rauc.service", "rauc-hawkbit-updater.service", "mender-updated.service", "transactional-update.timer", "rpm-ostreed-automatic.timer", "ostree-finalize-staged.service", "bootc-fetch-apply-updates.timer", "snapd.service", "zypp-refresh.timer", "os-update.timer", "mintupdate-automation-upgrade.timer", "swupd-update.timer", "puppet.service", "cloud-final.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service", "dbus-org.projectatomic.rpmostree1.service"])  # fmt: skip
def test_a_pattern_never_stands_for_a_unit_that_installs_packages(name: str) -> None:
    """A hub that may restart services must not upgrade packages that way."""
    start = VERBS["unit-start"]
    for line, refusal in (("*", "policy-unit"), (f"{name[:5]}*", "policy-unit"), (name, None)):
        policy = parse_policy(f"[policy]\nversion = 2\nmode = managed\nverbs = unit-start\nunits = {line}\n")
        assert policy.name_refusal(start, {"units": [name]}) == refusal, line


def test_a_pattern_never_stands_for_the_systems_own_units() -> None:
    policy = parse_policy("[policy]\nversion = 2\nmode = managed\nunits = *, systemd-timesyncd, sys*\n")
    restart = VERBS["unit-restart"]
    found = {
        name: policy.name_refusal(restart, {"units": [name]})
        for name in (
            "nginx.service",
            "systemd-timesyncd.service",
            "systemd-resolved.service",
            "sysstat.service",
            "dbus-org.freedesktop.login1.service",
            "dbus-broker.service",
            "cloudflared.service",
            "snap.nextcloud.apache.service",
        )
    }
    assert found == {
        "nginx.service": None, "systemd-timesyncd.service": None, "systemd-resolved.service": "policy-unit", "sysstat.service": None,
        "dbus-org.freedesktop.login1.service": "policy-unit", "dbus-broker.service": None, "cloudflared.service": None,
        "snap.nextcloud.apache.service": None,
    }  # fmt: skip
