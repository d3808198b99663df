"""The report of a job on a terminal."""

from __future__ import annotations

from groundcontrol.cli.run import report_lines

REPORT = {
    "reboot": "yes",
    "reboot_why": "libc was replaced",
    "services": ["a.service"],
    "failed_units": ["b.service"],
    "config_files": [
        {
            "path": "/etc/a.conf.dpkg-dist",
            "diff": "--- /etc/a.conf\n+++ /etc/a.conf.dpkg-dist\n@@ -1 +1 @@\n-level\t= 1\n+level = \x1b]0;2\n",
        },
        {"path": "/etc/b.conf.rpmnew", "diff": ""},
    ],
    "notes": ["repository x is stale"],
}


def test_a_leftover_file_is_reported_with_an_escaped_difference() -> None:
    assert report_lines(REPORT) == [
        "reboot required: yes: libc was replaced",
        "still runs replaced code: a.service",
        "failed since: b.service",
        "new configuration file: /etc/a.conf.dpkg-dist",
        "    --- /etc/a.conf",
        "    +++ /etc/a.conf.dpkg-dist",
        "    @@ -1 +1 @@",
        "    -level  = 1",
        "    +level = \\x1b]0;2",
        "new configuration file: /etc/b.conf.rpmnew",
        "repository x is stale",
    ]


def test_an_unneeded_reboot_is_not_mentioned() -> None:
    nothing = {**REPORT, "reboot": "no", "services": [], "failed_units": [], "config_files": [], "notes": []}
    assert report_lines(nothing) == []
