"""The package inventory, sent as differences."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundcontrol.core.text import clean
from spider.reports import package_sync
from spider.reports.package_database import parse_rpm
from spider.reports.package_sync import PART_ITEMS, PackageSync, changes_between, digest_of, messages, pack, unpack
from spider.wire.codec import HUB_CODEC, NODE_CODEC
from spider.wire.report_messages import InstalledPackages, PackagesHeld
from tests.support.background import in_background
from tests.support.scripted_hub import ScriptedHub

names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20)
states = st.dictionaries(names, names, max_size=30)


@given(st.text(min_size=1))
def test_the_hub_refuses_no_name_or_version_of_a_package(text: str) -> None:
    for name, version in parse_rpm([f"{text}\t{text}"]).items():
        assert (name, version) == (clean(name, 200), clean(version, 200))


def held(hub: ScriptedHub) -> dict[str, str]:
    """The packages that a hub holds after all differences."""
    packages: dict[str, str] = {}
    for message in hub.of(InstalledPackages):
        if message.part == 0 and not message.since:
            packages = {}
        packages.update(zip(message.names, message.versions, strict=True))
    return {name: version for name, version in packages.items() if version}


def alpine(root: Path, packages: dict[str, str]) -> None:
    target = root / "lib/apk/db/installed"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("".join(f"P:{name}\nV:{version}\n\n" for name, version in packages.items()))


async def with_inventory(root: Path, hub: ScriptedHub, scenario: Callable[[PackageSync], Awaitable[None]]) -> None:
    inventory = PackageSync(hub.send, str(root))
    async with in_background(inventory.run()):
        async with asyncio.timeout(60):
            await scenario(inventory)


@given(states, states)
def test_changes_lead_from_one_state_to_the_other(before: dict[str, str], after: dict[str, str]) -> None:
    applied = {**before, **dict(changes_between(before, after))}
    assert {name: version for name, version in applied.items() if version} == after


@given(states)
def test_packed_packages_unpack_unchanged(packages: dict[str, str]) -> None:
    assert unpack(pack(packages)) == packages


def test_packed_packages_take_a_tenth_of_the_memory() -> None:
    packages = {f"package-{number}": f"1.{number}.0-1" for number in range(2000)}
    assert len(pack(packages)) < sum(sys.getsizeof(text) for pair in packages.items() for text in pair) / 10


def test_many_changes_fit_into_frames_in_order() -> None:
    changes = [(f"package-{number:05}-" + "x" * (number % 150), str(number)) for number in range(3 * PART_ITEMS)]
    parts = messages("", "0" * 32, changes)
    for part in parts:
        frame = NODE_CODEC.encode(part)
        assert HUB_CODEC.decode(frame) == part
    assert [part.part for part in parts] == list(range(len(parts)))
    assert {part.parts for part in parts} == {len(parts)}
    assert [pair for part in parts for pair in zip(part.names, part.versions, strict=True)] == changes


async def test_the_whole_inventory_is_sent_once_and_then_only_changes(tmp_path: Path) -> None:
    first, hub = {"musl": "1.2.4", "busybox": "1.36"}, ScriptedHub()
    alpine(tmp_path, first)

    async def scenario(inventory: PackageSync) -> None:
        inventory.acknowledge(PackagesHeld(""))
        await hub.until(lambda: held(hub) == first)
        inventory.acknowledge(PackagesHeld(digest_of(first)))
        second = {"musl": "1.2.5", "curl": "8.0"}
        alpine(tmp_path, second)
        inventory.check_now()
        await hub.until(lambda: held(hub) == second)
        assert hub.of(InstalledPackages)[1:] == [
            InstalledPackages(digest_of(first), digest_of(second), 0, 1, ["busybox", "curl", "musl"], ["", "8.0", "1.2.5"])
        ]

    await with_inventory(tmp_path, hub, scenario)


async def test_a_hub_with_the_same_digest_is_sent_nothing_and_with_another_everything(tmp_path: Path) -> None:
    packages, hub = {"musl": "1.2.4"}, ScriptedHub()
    alpine(tmp_path, packages)

    async def scenario(inventory: PackageSync) -> None:
        inventory.acknowledge(PackagesHeld(digest_of(packages)))
        inventory.joined()
        inventory.acknowledge(PackagesHeld("f" * 32))
        await hub.until(lambda: hub.heard)
        assert hub.heard == [InstalledPackages("", digest_of(packages), 0, 1, ["musl"], ["1.2.4"])]

    await with_inventory(tmp_path, hub, scenario)


async def test_updates_are_due_once_the_database_has_changed_and_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row: the database before a look, whether a whole interval has passed before it, and how often the updates were due after it."""
    rows = [
        ("1", True, 0), ("1", True, 0), ("2.0", True, 0), ("3.00", True, 0), ("3.00", False, 0), ("3.00", True, 1), ("3.00", True, 1),
        ("4.000", False, 1), ("4.000", True, 2),
    ]  # fmt: skip
    due: list[bool] = []
    seen: list[int] = []

    async def next_look(_limit_s: float, work: Coroutine[None, None, None]) -> None:
        work.close()
        seen.append(len(due))
        if len(seen) == len(rows):
            raise EOFError
        version, rested, _ = rows[len(seen)]
        if version != rows[len(seen) - 1][0]:
            alpine(tmp_path, {"musl": version})
        if rested:
            raise TimeoutError

    alpine(tmp_path, {"musl": rows[0][0]})
    monkeypatch.setattr(package_sync, "wait_for", next_look)
    with pytest.raises(EOFError):
        await PackageSync(ScriptedHub().send, str(tmp_path), lambda: due.append(True)).run()
    assert seen == [count for _, _, count in rows]
