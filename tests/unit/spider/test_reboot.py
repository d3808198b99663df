"""A reboot is reported by its evidence: the request, its boot id, and what is missing after the next boot."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spider.jobs.files import Run, StopRecord
from spider.jobs.status import REBOOT_MISSING, REBOOTED, JobSnapshot, classify, ending
from spider.mountinfo import parse_mounts
from spider.root import reboot
from spider.root.reboot import (
    REBOOT_LIMIT_S,
    RebootRequest,
    RebootState,
    compare,
    from_document,
    lasting,
    parse_by_hand,
    parse_inhibitors,
    parse_ports,
    parse_units,
    read_reboot_state,
    to_document,
)
from spider.wire.ids import new_time_id

BEFORE, AFTER = "a" * 32, "b" * 32
STATE = RebootState(("a.service", "b.service"), ("old.service",), ("tcp 22", "udp 53"), ("/data",))
ASKED = RebootRequest(BEFORE, 1000.0, STATE, 10, "c" * 64, 0)
SEEN = JobSnapshot(Run(7, BEFORE, 990.0), None, StopRecord("success", "exited", "0"), None, 10, b"", alive=False, reboot_request=ASKED)
# systemd 252 on a booted host; tcp and mountinfo of Debian 12.
UNITS = """cron.service             loaded active running Regular background program processing daemon
● lab-gone.service       loaded failed failed  Runs in one boot only
stardust-job@01.service  loaded active running Stardust job 01
user@1000.service        loaded active running User Manager for UID 1000
run-r5b1.service         loaded active running /bin/sleep 300
"""
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0
   1: 0100007F:A1B2 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1
"""
MOUNTS = r"""22 28 0:20 / /proc rw,nosuid shared:5 - proc proc rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 28 254:16 / /srv/my\040data rw,relatime shared:9 - xfs /dev/vdb rw
41 28 0:40 / /run/user/0 rw shared:10 - tmpfs tmpfs rw
44 28 8:17 / /run/media/anna/STICK rw shared:11 - vfat /dev/sdb1 rw
45 28 0:41 / /srv/nightly rw shared:12 - autofs systemd-1 rw,direct
46 45 8:33 / /srv/nightly rw shared:13 - ext4 /dev/sdc1 rw
47 28 0:42 / /home rw shared:14 - autofs auto.home rw,indirect
48 47 0:43 / /home/anna rw shared:15 - nfs4 nas:/home/anna rw
"""
INHIBITORS = """backup  0 root 4711 systemd-inhibit shutdown:sleep       runs            block
NetworkManager 0 root 300 NetworkManager sleep      NetworkManager needs to turn off networks delay
unattended-upgrades 0 root 301 unattended-upgr shutdown Stop ongoing upgrades or perform upgrades before shutdown delay
recorder 1000 anna 302 rec sleep:idle Recording until shutdown block
"""


ROUTE = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
ROUTE6 = """fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
"""


def test_default_routes_are_evidence_of_a_reboot() -> None:
    assert reboot.parse_routes(ROUTE, ROUTE6) == ("IPv4",)
    assert reboot.parse_routes("", ROUTE6.replace("       lo", "     eth0")) == ("IPv6",)
    notes = compare(STATE._replace(routes=("IPv4", "IPv6")), STATE._replace(routes=("IPv4",)))
    assert [note for note in notes if "efault routes" in note or "reboot.routes" in note]
    older = to_document(ASKED)
    del older["state"]["routes"], older["state"]["by_hand"]
    assert from_document(json.loads(json.dumps(older))) == ASKED, "a request that the Spider before an update has written"


def test_what_nothing_brings_back_is_said_before_the_reboot() -> None:
    fstab = "# <file system>\nUUID=1 / ext4 defaults 0 1\n/dev/vdc /srv/named xfs defaults 0 2\n"
    mounts = MOUNTS + "42 28 254:32 / /srv/named rw - xfs /dev/vdc rw\n43 28 0:50 / /tank rw - zfs tank rw\n"
    found = reboot.not_coming_back(STATE._replace(by_hand=("worker.service",)), mounts, fstab)
    assert found == [
        "These services run now and do not start at boot: worker.service.",
        "These file systems are mounted now and are not in /etc/fstab: /srv/my data.",
    ]
    assert reboot.not_coming_back(STATE, mounts, fstab + "/dev/vdb /srv/my\\040data xfs defaults 0 2\n") == []


def test_running_units_ports_mounts_and_inhibitors_are_parsed() -> None:
    assert parse_units(UNITS) == {"cron.service", "lab-gone.service"}
    assert parse_ports(TCP, "tcp", "0A") == {"tcp 22"}
    assert lasting(parse_mounts(MOUNTS)) == {"/", "/srv/my data"}, "a stick below /run and what is mounted when it is used need not be back"
    assert parse_inhibitors(INHIBITORS) == ["backup 0 root 4711 systemd-inhibit shutdown:sleep runs"]


# `systemctl show --property=Id,UnitFileState,TriggeredBy,BusName -- …` of systemd 252
SHOWN = """Id=by-hand.service
UnitFileState=disabled
TriggeredBy=
BusName=

Id=ssh.service
UnitFileState=disabled
TriggeredBy=ssh.socket
BusName=

BusName=org.freedesktop.hostname1
Id=systemd-hostnamed.service
UnitFileState=static
TriggeredBy=

BusName=org.example.asked
Id=asked.service
UnitFileState=disabled

Id=scratch.service
UnitFileState=transient
TriggeredBy=
"""


def test_units_started_by_hand_count_and_socket_activated_ones_do_not() -> None:
    assert parse_by_hand(SHOWN) == {"by-hand.service"}
    assert parse_by_hand("") == frozenset()


@given(st.text(max_size=300))
def test_no_text_upsets_the_readers(junk: str) -> None:
    parse_units(junk)
    parse_by_hand("Id=a\n" + junk)
    parse_ports("head\n" + junk, "tcp", "0A")
    lasting(parse_mounts(junk + " - " + junk))
    parse_inhibitors(junk + " block")


def test_the_state_of_this_machine_is_read() -> None:
    assert all(port.split(" ")[0] in ("tcp", "udp") for port in read_reboot_state().ports)


def test_restored_and_missing_services_are_listed_and_earlier_failures_are_not() -> None:
    assert compare(STATE, STATE) == ["As before the reboot: services 2, ports 2, file systems 1."]
    assert compare(RebootState((), (), (), ()), RebootState((), (), (), ())) == []
    kernel = STATE._replace(kernel=("6.1.0-28-amd64",))
    assert compare(kernel, kernel._replace(kernel=("6.1.0-30-amd64",)))[1:] == [
        "The kernel was 6.1.0-28-amd64 before the reboot and is 6.1.0-30-amd64 now."
    ]
    assert compare(STATE, kernel) == compare(STATE, STATE), "an older version had not recorded it"
    old = kernel._replace(passed_over=("6.1.0-30-amd64",))
    assert compare(kernel, old)[2:] == ["The kernel is older than expected: the reboot did not start the installed 6.1.0-30-amd64."]
    assert compare(old, old)[2:] == [], "somebody chose the older one before"
    unread = STATE._replace(running=())  # systemctl did not answer
    assert compare(STATE, unread) == ["As before the reboot: services 0, ports 2, file systems 1."]
    after = RebootState(("a.service", "new.service"), ("old.service", "x.service"), ("tcp 22",), ())
    assert compare(STATE, after) == [
        "As before the reboot: services 1, ports 1, file systems 0.",
        "Services that ran before the reboot and do not now: b.service.",
        "Ports that were open before the reboot and are not now: udp 53.",
        "File systems that were mounted before the reboot and are not now: /data.",
        "Units that failed since the reboot: x.service.",
    ]


def test_in_a_container_a_boot_begins_with_its_process_1() -> None:
    init = "1 (systemd) of ) S 0 1 1 0 -1 4194560 " + "7 " * 12 + "2500 9 9"
    assert reboot.parse_uptime("1000.25 3000.00\n", init, 100) == 975.25
    assert reboot.parse_uptime("12.50 3.00\n", init, 100) == 12.5, "its own uptime (lxcfs), the ticks of the machine"
    assert reboot.parse_uptime("12.50 3.00\n", "", 100) == 12.5
    with pytest.raises(ValueError, match="float"):
        reboot.parse_uptime("", init, 100)


def test_the_evidence_says_why_it_was_rebooted_and_proves_that_it_was() -> None:
    asked = ASKED._replace(need="yes", need_why="kernel 6.1.0-30 is installed, but 6.1.0-28 is running")
    assert reboot.evidence(asked, AFTER, 1042.4) == [
        "It was needed: kernel 6.1.0-30 is installed, but 6.1.0-28 is running.",
        f"The boot id was {BEFORE} before the reboot and is {AFTER} now.",
        "Its services had started 42 s after the order.",
    ]
    assert reboot.evidence(asked._replace(need="no", need_why="only removals"), "", 900.0) == ["It was not needed: only removals."]
    older = to_document(ASKED)
    del older["need"], older["need_why"]
    assert from_document(json.loads(json.dumps(older))) == ASKED, "a request that the Spider before an update has written"
    assert len(reboot.evidence(ASKED, AFTER, 1042.4)) == 2


def test_file_systems_are_found_although_process_1_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """With hidepid only root reads its file. Root's list before the reboot would be compared with nothing: all would seem missing."""
    own = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n23 22 8:2 / /data ro - xfs /dev/sda2 rw\n"
    monkeypatch.setattr(reboot, "read_file", lambda path: own if path == "/proc/self/mountinfo" else "")
    monkeypatch.setattr(reboot, "_systemctl", lambda *_words: "")
    assert read_reboot_state().mounts == ("/", "/data")


def test_a_changed_boot_id_proves_the_reboot() -> None:
    assert classify(SEEN, AFTER, 0.0, 1060.0) == (True, REBOOTED)
    ended = ending(new_time_id(), SEEN, REBOOTED, "", 1060.0)
    assert (ended.state, ended.exit_code, ended.output_bytes, ended.output_sha256) == ("succeeded", 0, 10, "c" * 64)


def test_a_reboot_that_does_not_happen_fails_after_its_time_limit() -> None:
    assert not classify(SEEN, BEFORE, 500.0, 1000.0 + REBOOT_LIMIT_S - 1).ended
    assert classify(SEEN, BEFORE, 500.0, 1000.0 + REBOOT_LIMIT_S) == (True, REBOOT_MISSING)
    ended = ending(new_time_id(), SEEN, REBOOT_MISSING, "", 5000.0)
    assert (ended.state, ended.exit_code, ended.error_code) == ("failed", None, REBOOT_MISSING)


def test_a_stored_reboot_order_is_read_back() -> None:
    assert from_document(json.loads(json.dumps(to_document(ASKED)))) == ASKED
    assert from_document({"boot": BEFORE}) is None
