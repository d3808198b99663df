"""`stardust jobs ID`: the state of a job in one line."""

from __future__ import annotations

import pytest

from groundcontrol.cli.jobs import phase_line


@pytest.mark.parametrize(
    ("percent", "package", "note", "line"),
    [
        (62, "linux-image-amd64", "", "phase commit 62 % linux-image-amd64"),
        (0, "", "", "phase commit 0 %"),
        (None, "", "waits for apt-get (4711)", "phase commit waits for apt-get (4711)"),
    ],
)
def test_only_reported_progress_is_shown(percent: int | None, package: str, note: str, line: str) -> None:
    assert phase_line({"phase": "commit", "progress_percent": percent, "package": package, "note": note}) == line
