"""The form of a race case: one command of the store, which `test_store_raced.py` repeats, and calls twenty times at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Literal, NamedTuple

from groundcontrol.access.model import LoginSession, User
from groundcontrol.adapters.sqlite.stores import Store
from groundcontrol.core.errors import Conflict, HubError
from groundcontrol.core.ids import NodeId
from groundcontrol.nodes.model import Node, Session
from spider.wire.ids import new_random_id
from tests.support.factories import SCOPE, connect, new_node, new_user, with_session
from tests.support.store_backend import Backend

AT_MS: Final = 1_790_000_000_000
"""When the samples of a case were measured."""
CALLERS: Final = 20

Mode = Literal["one", "all but one", "same", "last", "most"]
"""Which of twenty concurrent callers with different requests succeeds.

one: one does, the others are refused · all but one: only one is refused · same: one does, and all get its answer ·
last: all do, one after another, and the result is that of the last one · most: the result is that of the highest request, in any order.
"""


class Rivals(NamedTuple):
    """Twenty callers with different requests at the same time. Each caller has a number from 0."""

    mode: Mode
    call: Callable[[int], Awaitable[object]]
    shows: Callable[[int], object]
    """Number of a caller -> what `Race.held` returns if this caller's request is the result."""
    refusal: type[HubError] = Conflict
    writes: bool = True
    """Whether each caller that succeeds writes the rows of the audit log. If not, a request that changes nothing may write none."""


class Race(NamedTuple):
    """What must be true of one command, after any number of calls at the same time or in a row."""

    act: Callable[[], Awaitable[object]]
    """Calls the command, always with equal arguments."""
    held: Callable[[], Awaitable[object]]
    """Reads everything that the command changes."""
    after: object
    """What `held` returns after one call, and after any number of calls."""
    rows: tuple[str, ...] = ()
    """The actions of the rows that one call adds to the audit log. Further calls add none, unless `each`."""
    alone: tuple[object, object] | None = None
    """The answer to the call that changed something, and the answer to all others; None: all answers are equal."""
    each: bool = False
    """Whether each call adds its rows to the audit log."""
    rivals: Rivals | None = None


class Ground:
    """Makes the preconditions of a command. Each call makes a new node, session or user."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.store: Store = backend.store
        self.clock = backend.clock

    @property
    def now(self) -> float:
        return self.clock.now()

    async def node(self, tags: tuple[str, ...] = ("web",)) -> Node:
        return await self.store.nodes.create_node(SCOPE, new_node(new_random_id(), tags=tags))

    async def session(self) -> Session:
        return await connect(self.store, (await self.node()).id)

    async def user(self, name: str = "") -> User:
        return await self.store.user_admin.create_user(SCOPE, new_user(name or new_random_id())._replace(must_change_password=False))

    async def login(self, user: User) -> LoginSession:
        return await with_session(self.store, self.clock, user)

    async def stored_node(self, node: NodeId) -> Node:
        return await self.store.nodes.node(SCOPE, node)

    async def stored_rows(self, no: int) -> int:
        """The number of stored rows of the family pulse of a node."""
        return sum([len(rows) async for _, rows in self.store.metrics.read(no, 0, AT_MS / 500, ["pulse"])])


Case = Callable[[Ground], Awaitable[Race]]


class RecordCase(NamedTuple):
    """How tests make and change a declared record (`core.records`)."""

    make: Callable[[float, str], Any]
    """(time, name) -> a new record."""
    edit: Callable[[Any, int], Any]
    """Changes a record in a way that differs for each number."""


RECORD_CASES: Final[dict[str, RecordCase]] = {}
"""By the part of the store that has the records."""


class Cases(dict[str, Case]):
    """Cases by the name of their command: `nodes.edit_node`. A second case of a command has its subject after a colon."""

    def of(self, name: str) -> Callable[[Case], Case]:
        """Register a function as the case of a command."""

        def add(made: Case) -> Case:
            assert name not in self, name
            self[name] = made
            return made

        return add

    def of_record(
        self,
        part: str,
        noun: str,
        make: Callable[[float, str], Any],
        edit: Callable[[Any, int], Any],
        actions: Sequence[str] = ("create", "edit", "delete"),
    ) -> None:
        """Register the cases of a declared record: creation of one name (or id), changes of one version, deletion. Args: as in `RecordCase`."""
        RECORD_CASES[part] = RecordCase(make, edit)
        rows = [f"{noun}.{action}" for action in actions]

        @self.of(f"{part}.create")
        async def _create(ground: Ground) -> Race:
            store, made = getattr(ground.store, part), make(ground.now, "one")
            two = make(ground.now, "two")
            others = [edit(make(ground.now, "two") if store.form.declared.unique else two, at) for at in range(CALLERS)]
            return Race(
                lambda: store.create(SCOPE, made), lambda: store.all(SCOPE), [made._replace(version=1)], (rows[0],),
                rivals=Rivals("one", lambda at: store.create(SCOPE, others[at]), lambda at: [others[at]._replace(version=1)]),
            )  # fmt: skip

        @self.of(f"{part}.save")
        async def _save(ground: Ground) -> Race:
            store = getattr(ground.store, part)
            made = await store.create(SCOPE, make(ground.now, "one"))

            def after(at: int) -> list[Any]:
                return [edit(made, at)._replace(version=2)]

            return Race(
                lambda: store.save(SCOPE, edit(made, 0)), lambda: store.all(SCOPE), after(0), (rows[1],),
                rivals=Rivals("one", lambda at: store.save(SCOPE, edit(made, at)), after),
            )  # fmt: skip

        @self.of(f"{part}.save_all")
        async def _save_all(ground: Ground) -> Race:
            store = getattr(ground.store, part)
            made, other = [await store.create(SCOPE, make(ground.now, name)) for name in ("one", "two")]

            async def held() -> object:
                return {record.id: record for record in await store.all(SCOPE)}

            def after(at: int) -> object:
                return {record.id: edit(record, at)._replace(version=2) for record in (made, other)}

            def save(at: int) -> Awaitable[object]:
                return store.save_all(SCOPE, [edit(made, at), edit(other, at)])  # type: ignore[no-any-return]

            return Race(lambda: save(0), held, after(0), (rows[1],) * 2, rivals=Rivals("one", save, after))

        @self.of(f"{part}.delete")
        async def _delete(ground: Ground) -> Race:
            store = getattr(ground.store, part)
            made = await store.create(SCOPE, make(ground.now, "one"))
            return Race(lambda: store.delete(SCOPE, made.id), lambda: store.all(SCOPE), [], (rows[2],))


class Rows:
    """Counts the rows that commands add to the audit log from now on."""

    def __init__(self, store: Store, before: int) -> None:
        self._store = store
        self._before = before

    @classmethod
    async def from_now(cls, store: Store) -> Rows:
        return cls(store, max([head.n for head in await store.log.audit_heads()], default=0))  # the first row begins the chain itself

    async def written(self) -> tuple[str, ...]:
        """The actions of the new rows in the order of their numbers, since a test may set the clock back."""
        rows = sorted((row.n, row.action) for row in (await self._store.log.audit(SCOPE, 1000)).items if row.chain)
        return tuple(action for n, action in rows if n > self._before)


def check_answers(race: Race, answers: Sequence[object]) -> None:
    """Check the answers to equal calls."""
    if race.alone is None:
        assert all(answer == answers[0] for answer in answers), answers
        return
    first, rest = race.alone
    assert [answer for answer in answers if answer == first] == [first], answers
    assert [answer for answer in answers if answer != first] == [rest] * (len(answers) - 1), answers


async def race_rivals(race: Race, rivals: Rivals, store: Store) -> None:
    """Run twenty different calls at once, and compare the result with their answers."""
    rows = await Rows.from_now(store)
    answers = await asyncio.gather(*(rivals.call(at) for at in range(CALLERS)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert all(isinstance(answer, rivals.refusal) for answer in refused), refused
    got = [at for at, answer in enumerate(answers) if not isinstance(answer, BaseException)]
    written = await rows.written()
    held = await race.held()
    if rivals.mode == "one":
        assert len(got) == 1, answers
        assert held == rivals.shows(got[0])
    elif rivals.mode == "all but one":
        assert len(got) == CALLERS - 1, answers
        assert held == rivals.shows(next(at for at in range(CALLERS) if at not in got))
    elif rivals.mode == "most":
        assert CALLERS - 1 in got
        assert held == rivals.shows(CALLERS - 1)
    else:
        assert not refused, refused
        assert held in [rivals.shows(at) for at in range(CALLERS)]
        if rivals.mode == "same":
            assert all(answer == answers[0] for answer in answers), answers
    done = {"one": 1, "all but one": CALLERS - 1, "same": 1, "last": CALLERS, "most": None}[rivals.mode] if rivals.writes else None
    if done is None:
        assert set(written) == set(race.rows)
        assert len(race.rows) <= len(written) <= CALLERS * len(race.rows)
    else:
        assert written == race.rows * done
