"""A hub for each module, and agents for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub import HubProcess


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A fresh hub of this test's own."""
    process = HubProcess(tmp_path / "hub")
    with process:
        yield process


@pytest.fixture(scope="module")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub for all tests of a module that leave it as they found it."""
    process = HubProcess(tmp_path_factory.mktemp("shared") / "hub")
    with process:
        yield process
