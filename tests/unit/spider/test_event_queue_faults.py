"""A disk that fails for a moment costs no event that waits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from spider.reports import event_queue
from spider.reports.event_queue import EventQueue, ReportedEvent


def new(name: str) -> ReportedEvent:
    return ReportedEvent(name, "backup_failed", 1_790_000_000_000, "", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    queue = EventQueue(str(tmp_path / "events"))
    for name in ("a", "b", "c"):
        queue.add(new(name))
    return tmp_path / "events"


def test_a_file_that_cannot_be_read_at_present_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = EventQueue(str(folder))
    queue.load()

    def refuse(*_words: object, **_more: object) -> object:
        raise OSError(24, "too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(event_queue, "open", refuse, raising=False)
        for work in (queue.batch, queue.load):
            with pytest.raises(OSError, match="too many"):
                work()
    queue.load()
    assert [one.id for one in queue.batch()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "content",
    [
        '["x","backup_failed",Infinity,"",""]',
        "[" * 30_000,
        "\x00",
        '{"id":1}',
        '["x","backup_failed",9790000000000,"",""]',
        '["x y","backup_failed",1790000000000,"",""]',
        '["x","backup_failed",1790000000000,"","{!"]',
    ],
)
def test_a_file_whose_content_is_no_event_is_removed(folder: Path, content: str) -> None:
    (folder / "0000000000000002").write_text(content)
    queue = EventQueue(str(folder))
    queue.load()
    assert [one.id for one in queue.batch()] == ["a", "c"]
    assert sorted(os.listdir(folder)) == ["0000000000000001", "0000000000000003"]


def test_a_new_event_never_takes_the_place_of_another(folder: Path) -> None:
    queue = EventQueue(str(folder))  # it has not read what is there
    queue.add(new("d"))
    assert [json.loads((folder / name).read_text())[0] for name in sorted(os.listdir(folder))] == ["a", "b", "c", "d"]
