"""Hubs and simulated nodes that all tests of a file share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.hub import HubProcess
from tests.support.stage import Stage


def hub_of_the_file(**options: Any) -> Callable[[pytest.TempPathFactory], Iterator[HubProcess]]:
    """A fixture, to be bound to the name `hub`: one hub for all tests of a file."""

    @pytest.fixture(name="hub", scope="module")
    def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
        with HubProcess(tmp_path_factory.mktemp("of-the-file") / "hub", **options) as hub:
            yield hub

    return made


def stage_of_the_file(*names: str) -> Callable[[HubProcess], Iterator[Stage]]:
    """A fixture, to be bound to the name `stage`: these simulated nodes at the hub of the file, for all of its tests."""

    @pytest.fixture(name="stage", scope="module")
    def made(hub: HubProcess) -> Iterator[Stage]:
        with Stage(hub, only=names) as stage:
            yield stage

    return made
