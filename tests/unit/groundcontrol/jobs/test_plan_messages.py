"""Plans and reports with arbitrary content from nodes."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.jobs.messages import MAX_DIFF, MAX_SENTENCE, clean_lines, read_plan, read_report
from groundcontrol.jobs.plans import MAX_PARTS
from spider.wire.arg_kinds import PACKAGE_NAME
from spider.wire.errors import ProtocolError
from spider.wire.job_messages import JobPlan, JobReport

TEXTS = st.lists(st.text(max_size=20), max_size=4)
HOSTILE = st.text(st.sampled_from("a +-\n\t\r\x1b\x07\x9b\u202e\u2066\u200b\ufeff\x00|"), max_size=60)


TURNING = "\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"


def acts(text: str) -> bool:
    """Whether something in a line moves a cursor, hides or turns round."""
    return any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in TURNING for char in text)


@given(HOSTILE)
def test_a_difference_keeps_its_lines_without_control_characters(text: str) -> None:
    cleaned = clean_lines(text)
    assert len(cleaned) <= MAX_DIFF
    assert cleaned.count("\n") == text.count("\n")
    assert not any(acts(line) for line in cleaned.split("\n"))
    for before, after in zip(text.split("\n"), cleaned.split("\n"), strict=True):
        if before[:1] in ("+", "-", " ", "a"):
            assert after[:1] == before[:1]


def test_a_valid_difference_is_unchanged() -> None:
    text = "--- /etc/a\n+++ /etc/a.dpkg-dist\n@@ -1,2 +1,2 @@\n same \n-old\n+new\n"
    assert clean_lines(text) == text


PLANS = st.builds(
    JobPlan,
    st.just("j" * 26), st.integers(-2, MAX_PARTS + 2), st.integers(-2, MAX_PARTS + 2), st.sampled_from(["a" * 64, "A" * 64, ""]),
    *([TEXTS] * 8), st.integers(-3, 1 << 52), st.one_of(st.none(), st.integers(-(1 << 52), 1 << 52)), HOSTILE, HOSTILE,
)  # fmt: skip
GOOD = st.lists(HOSTILE, min_size=2, max_size=2)
LIKELY = st.builds(
    JobPlan, st.just("j" * 26), st.just(0), st.just(1), st.just("a" * 64), *([GOOD] * 8), st.just(-1), st.none(), HOSTILE, HOSTILE
)
REPORTS = st.builds(
    JobReport,
    st.just("j" * 26),
    HOSTILE,
    HOSTILE,
    TEXTS,
    st.lists(HOSTILE, max_size=2),
    st.lists(HOSTILE, max_size=2),
    TEXTS,
    st.lists(HOSTILE),
)


@given(st.one_of(PLANS, LIKELY))
def test_a_plan_is_parsed_or_refused_and_contains_no_control_characters(message: JobPlan) -> None:
    try:
        part = read_plan(message)
    except ProtocolError:
        return
    assert 0 <= part.part < part.parts <= MAX_PARTS
    assert (len(part.steps), len(part.kept)) == (len(message.packages), len(message.kept_packages))
    texts = [text for step in (*part.steps, *part.kept) for text in step]
    assert not any(acts(text) for text in (*texts, part.head.reboot_why))
    assert len(part.head.reboot_why) <= MAX_SENTENCE


@given(REPORTS)
def test_a_report_is_parsed_or_refused_and_contains_no_control_characters(message: JobReport) -> None:
    try:
        report = read_report(message)
    except ProtocolError:
        assert len(message.config_paths) != len(message.config_diffs)
        return
    assert report.reboot in ("yes", "no", "unknown")
    lines = [line for file in report.config_files for line in (file.path, *file.diff.split("\n"))]
    assert not any(acts(line) for line in (*lines, *report.services, *report.failed_units, *report.notes, report.reboot_why))
    assert all((*report.services, *report.failed_units, *report.notes))


@given(st.text(max_size=200))
def test_a_package_name_cannot_be_an_option_pattern_path_or_removal(name: str) -> None:
    if re.fullmatch(PACKAGE_NAME, name):
        assert name[0].isalnum()
        assert not name.endswith("-")
        assert not set(name) & set("*?[]/\\ =\"'$`;|&<>(){}\n\t!#%^,")
        assert len(name.partition(":")[0]) <= 128
