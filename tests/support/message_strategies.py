"""Hypothesis strategies for messages, and for bytes that are nearly messages."""

from __future__ import annotations

import random
from typing import Any

import msgpack
from hypothesis import strategies as st

from spider.wire.codec import INT_MAX, INT_MIN, pack
from spider.wire.frames import KINDS_TO_HUB, KINDS_TO_NODE
from spider.wire.job_messages import JobEnded
from spider.wire.report_messages import Table
from spider.wire.sample_messages import Row

ints = st.integers(INT_MIN, INT_MAX)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_OPTIONAL: Any = JobEnded.__annotations__["exit_code"]
_CELL: Any = Table.__annotations__["cells"].__args__[0]
FIELDS: dict[Any, st.SearchStrategy[Any]] = {
    int: ints,
    str: texts,
    bytes: st.binary(max_size=40),
    _OPTIONAL: st.none() | ints,
    list[int]: st.lists(ints, max_size=8),
    list[str]: st.lists(texts, max_size=8),
    list[_OPTIONAL]: st.lists(st.none() | ints, max_size=8),
    list[_CELL]: st.lists(st.none() | ints | texts, max_size=8),
}


def of(cls: type[tuple[object, ...]]) -> st.SearchStrategy[Any]:
    """Any instance of one NamedTuple."""
    return st.builds(cls, *(FIELDS[_plain(annotation)] for annotation in cls.__annotations__.values()))


def _plain(annotation: Any) -> Any:
    return list[annotation.__args__[0]] if getattr(annotation, "__origin__", None) is list else annotation


to_hub = st.one_of(*(of(cls) for cls in KINDS_TO_HUB.values()))
to_node = st.one_of(*(of(cls) for cls in KINDS_TO_NODE.values()))
rows = st.lists(of(Row), max_size=12)

_ODD: list[Any] = [
    0, 1, -1, 127, 128, 255, 256, -33, -129, INT_MAX, INT_MIN, INT_MAX + 1, (1 << 64) - 1, True, False, None, 1.0, 0.5, float("nan"),
    "", "a", "é", "x" * 40, b"", b"12345678", b"x" * 300, [], [1], ["a"], [None], [[]], [b""], {}, {"a": 1}, msgpack.ExtType(5, b"ab"),
    msgpack.Timestamp(1),
]  # fmt: skip


def odd_value(dice: random.Random, depth: int = 0) -> Any:
    """Something that MessagePack can say."""
    if depth < 3 and dice.random() < 0.3:
        return [odd_value(dice, depth + 1) for _ in range(dice.randrange(6))]
    return dice.choice(_ODD)


def near_payload(dice: random.Random, kinds: dict[int, type[tuple[object, ...]]], right: dict[int, tuple[object, ...]]) -> bytes:
    """A payload with a few things wrong, or none."""
    kind = dice.choice([*kinds, 0, 5, 99, 127, 128, 300, 70000])
    body: list[Any] = list(right.get(kind, ()))
    for _ in range(dice.randrange(3)):
        what = dice.randrange(4)
        if what == 0 and body:
            body[dice.randrange(len(body))] = odd_value(dice)
        elif what == 1 and body:
            body.pop()
        elif what == 2:
            body.append(odd_value(dice))
        elif body:
            index = dice.randrange(len(body))
            if isinstance(body[index], (list, tuple)):
                body[index] = [*body[index], odd_value(dice)]
    data = bytearray(msgpack.packb([kind, body]))
    for _ in range(dice.choice([0, 0, 0, 1, 1, 2, 5])):
        where = dice.randrange(len(data) + 1)
        act = dice.randrange(4)
        if act == 0 and where < len(data):
            data[where] = dice.randrange(256)
        elif act == 1:
            data[where:where] = dice.randbytes(dice.randrange(1, 4))
        elif act == 2:
            del data[where : where + dice.randrange(1, 4)]
        else:
            del data[where:]
        if not data:
            break
    return bytes(data)


def examples(kinds: dict[int, type[tuple[object, ...]]]) -> dict[int, tuple[object, ...]]:
    """One right message of each kind."""
    values: dict[Any, Any] = {
        int: 7, str: "text", bytes: b"12345678", _OPTIONAL: None, list[int]: [1, 2], list[str]: ["a", "b"], list[_OPTIONAL]: [1, None],
        list[_CELL]: ["a", 1, None, 2],
    }  # fmt: skip
    made = {kind: cls(*(values[_plain(annotation)] for annotation in cls.__annotations__.values())) for kind, cls in kinds.items()}
    assert all(pack(message) for message in made.values())
    return made
