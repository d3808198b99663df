"""/proc/loadavg."""

from __future__ import annotations

from pathlib import Path

import pytest

from spider.sampling.collectors.load import Load, parse_loadavg
from tests.support.recordings import captured, write


def test_the_machine_is_read_by_value() -> None:
    assert parse_loadavg(captured("machine", "loadavg")) == (0.80, 1.22, 1.37)


@pytest.mark.parametrize("text", [b"", b"0.1 0.2", b"a b c", b"nan 0 0 1/1 1", b"-1 0 0", b"inf 0 0", b"1e30 0 0"])
def test_malformed_load_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_loadavg(text)


def test_values_are_hundredths(tmp_path: Path) -> None:
    load = Load(str(write(tmp_path, {"loadavg": captured("machine", "loadavg")})))
    assert load.read(0.0) == [80, 122, 137]
    assert load.series() == ["load.1", "load.5", "load.15"]
    load.close()
