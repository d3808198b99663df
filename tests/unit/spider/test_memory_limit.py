"""Spider's own memory limit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from spider.memory_limit import CEILING_BYTES, MemoryLimit, resident_bytes
from tests.support.clock import RunningClock
from tests.support.eventually import eventually
from tests.support.some import some


def test_resident_memory_matches_the_system_value() -> None:
    found = some(resident_bytes())
    assert abs(found - psutil.Process().memory_info().rss) < 16 << 20
    assert resident_bytes("/nonexistent") is None


@pytest.mark.parametrize("bytes_", [CEILING_BYTES - 4096, CEILING_BYTES + 4096])
async def test_only_a_process_over_its_memory_limit_ends_itself(tmp_path: Path, bytes_: int) -> None:
    statm = tmp_path / "statm"
    statm.write_text(f"99999 {bytes_ // 4096} 3 4 5 6 7\n")
    left = asyncio.Event()
    clock = RunningClock(1000)
    ceiling = MemoryLimit(clock, left.set, statm=str(statm))
    task = asyncio.create_task(ceiling.run())
    began = clock.monotonic()
    await eventually(lambda: left.is_set() if bytes_ > CEILING_BYTES else clock.monotonic() - began > 300)
    assert left.is_set() == ceiling.over == (bytes_ > CEILING_BYTES)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
