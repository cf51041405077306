"""Projections and groups that are broken on purpose, by patches: what a scenario must find."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import partial
from time import sleep
from typing import Any
from weakref import WeakKeyDictionary

from eventuali._engine import folding
from eventuali._engine.consuming import Consuming, Step
from eventuali._engine.dead_letters import position_of, with_payload
from eventuali._engine.folding import Owned, Store, Stored
from eventuali._engine.inline import State, Steps
from eventuali._engine.inline_commit import Changes, Inline, _Saving
from eventuali._engine.inline_folding import InlineFolding
from eventuali._engine.limit import Limit
from eventuali._engine.membership import Held
from eventuali._engine.operation import Operation
from eventuali._engine.own_tables import InOwnTables
from eventuali._engine.pending_commit import Answer, PendingCommit
from eventuali._engine.places import Cursor, Pause, Work
from eventuali._engine.read import PAGE
from eventuali.errors import OptimisticConcurrencyError
from eventuali.projection import AsyncOwnTables
from eventuali.query import Item

REBUILDS = ("early-swap", "swap-at-the-head")
"""Those of rebuilds, so that there is nothing else in a run."""
_BETWEEN_S = 0.01
"""The pause between two commits that should be one, so that few kills are needed."""
_LATE_S = 0.1
"""The pause before a cursor is moved to the head, so that something is appended meanwhile."""


def break_projections(fault: str) -> None:
    """Breaks them.

    - `documents-first`: documents and cursor are two commits;
    - `cursor-first`: the same, in the other order;
    - `early-swap`: what is built takes the place of what is live before it is full;
    - `swap-at-the-head`: what is built is taken to be as far as the log is then;
    - `keep-documents`: all documents are kept from page to page.

    Of those that are inline:

    - `count-twice`: who runs one applies events that a document has;
    - `old-generation`: who saves writes to the live generation alone;
    - `documents-apart`: a save commits the events, and after that the documents.
    """
    match fault:
        case "documents-first" | "cursor-first":
            _apart(fault)
            _apart_in_own_tables(fault)
        case "early-swap":
            _swap_early()
        case "swap-at-the-head":
            _swap_at_the_head()
        case "keep-documents":
            folding.CACHE = 1 << 60
        case "count-twice":
            _count_twice()
        case "old-generation":
            _write_to_the_live_one()
        case "documents-apart":
            _commit_documents_apart()


def _apart(fault: str) -> None:
    def write(self: Owned, to: Cursor) -> Work:
        changes = self._changes()
        core, number, cursor = self._core, self.number, self.cursor
        if not changes:
            self._sent = core.advance(number, cursor, to, [], [])
        elif fault == "documents-first":
            cursor = yield core.advance(number, cursor, cursor, changes, [])
            yield Pause(Limit(_BETWEEN_S))
            self._sent = core.advance(number, cursor, to, [], [])
        else:
            cursor = yield core.advance(number, cursor, to, [], [])
            yield Pause(Limit(_BETWEEN_S))
            self._sent = core.advance(number, cursor, to, changes, [])

    Owned.write = write  # type: ignore[method-assign]


def _apart_in_own_tables(fault: str) -> None:
    original = InOwnTables.write

    def handlers(self: InOwnTables, to: Cursor) -> Work:
        """Calls the handlers, and leaves the checkpoint where it is."""
        tables: Any = self._tables
        move = tables.move
        tables.move = _stay_async if isinstance(tables, AsyncOwnTables) else _stay
        try:
            yield from original(self, to)
        finally:
            tables.move = move

    def cursor(self: InOwnTables, to: Cursor) -> Work:
        """Moves the checkpoint, and calls no handler."""
        taken, self._taken = self._taken, []
        yield from original(self, to)
        self._taken = taken

    def write(self: InOwnTables, to: Cursor) -> Work:
        before = self.cursor
        if not self._taken:
            yield from original(self, to)
        elif fault == "documents-first":
            yield from handlers(self, to)
            self.cursor = before
            yield Pause(Limit(_BETWEEN_S))
            yield from cursor(self, to)
        else:
            yield from cursor(self, to)
            yield Pause(Limit(_BETWEEN_S))
            after, self.cursor = self.cursor, before
            yield from handlers(self, to)
            self.cursor = after

    InOwnTables.write = write  # type: ignore[method-assign]


def _swap_early() -> None:
    original = Stored.begin

    def begin(self: Stored, *, rebuild: bool) -> Work:
        yield from original(self, rebuild=rebuild)
        if not self.is_live:
            yield from self.swap(behind=True)

    Stored.begin = begin  # type: ignore[method-assign]


def _swap_at_the_head() -> None:
    make, original = Stored.__init__, Stored.swap
    stores: WeakKeyDictionary[Stored, Store] = WeakKeyDictionary()

    def made(self: Stored, store: Store, *words: Any) -> None:
        make(self, store, *words)
        stores[self] = store

    def swap(self: Stored, *, behind: bool) -> Generator[Any, Any, bool]:
        yield Pause(Limit(_LATE_S))
        everything: list[Item] = [(None, None, (), (), (), None)]
        page = yield stores[self].read(everything, after=self.cursor[0], limit=PAGE)
        if len(page):
            row = page.columns()[2][-1]
            to = (row.position, (row.position, row.event_id), 0, 0)
            self.cursor = yield self._core.advance(self.number, self.cursor, to, [], [])
        return (yield from original(self, behind=behind))

    Stored.__init__ = made  # type: ignore[method-assign,assignment]
    Stored.swap = swap  # type: ignore[method-assign]


def _stay(*_: object) -> bool:
    return True


async def _stay_async(*_: object) -> bool:
    return True


def _count_twice() -> None:
    make = InlineFolding.__init__

    def made(self: InlineFolding, *words: Any) -> None:
        make(self, *words)
        original = self._fold.known

        def known(number: int, streams: Sequence[tuple[str, str]]) -> Steps[dict[str, State]]:
            found = yield from original(number, streams)
            for state in found.values():
                state.version = -1 if state.version else 0
            return found

        self._fold.known = known  # type: ignore[method-assign]

    InlineFolding.__init__ = made  # type: ignore[method-assign,assignment]


def _write_to_the_live_one() -> None:
    original, swap = _Saving.changes, Stored.swap

    def changes(self: _Saving, *words: Any) -> Operation[Changes | None]:
        fold = self._fold
        found = self._at or (yield fold.core.at_work(fold.model.__model_name__))
        self._at = found and (found[0][:1], found[1])
        return (yield from original(self, *words))

    def late(self: Stored, *, behind: bool) -> Generator[Any, Any, bool]:
        yield Pause(Limit(_LATE_S))
        return (yield from swap(self, behind=behind))

    _Saving.changes = changes  # type: ignore[method-assign,assignment]
    Stored.swap = late  # type: ignore[method-assign]


def _commit_documents_apart() -> None:
    def commit(self: Inline, commit: PendingCommit) -> Operation[Answer]:
        writes = commit.builder.writes
        answer = yield from commit.send(partial(commit.commit, self._store))
        sleep(_BETWEEN_S)
        for saving in self._all:
            yield from documents(saving, [write[:2] for write in writes])
        return answer

    def documents(saving: _Saving, streams: Sequence[tuple[str, str]]) -> Operation[None]:
        fold = saving._fold
        while True:
            numbers, _ = yield fold.core.at_work(fold.model.__model_name__)
            states = yield from fold.known(numbers[0], streams)
            cursor = yield fold.core.cursor(numbers[0])
            changes = []
            for stream in streams:
                state = states[stream[1]]
                yield from fold.catch_up(state, stream)
                changes.append(fold.change(numbers[0], stream[1], state, stream))
            made = [change for change in changes if change is not None]
            try:
                yield fold.core.advance_inline(numbers[0], cursor, cursor, made, [])
            except OptimisticConcurrencyError:
                continue  # somebody else has changed them meanwhile
            return

    Inline.commit = commit  # type: ignore[method-assign]


def break_groups(fault: str) -> None:
    """Breaks them.

    - `not-careful`: nobody counts how many processes an event has ended;
    - `no-holding-back`: events are handled whose stream has one before them that is parked;
    - `settle-first`: a dead letter goes before its event is handled again.
    """
    match fault:
        case "not-careful":
            _count_no_attempts()
        case "no-holding-back":
            _hold_nothing_back()
        case "settle-first":
            _settle_first()


def _count_no_attempts() -> None:
    make = Consuming.__init__

    def made(self: Consuming, *words: Any) -> None:
        make(self, *words)
        self._careful = 0

    Consuming.__init__ = made  # type: ignore[method-assign,assignment]


def _hold_nothing_back() -> None:
    def is_behind(self: Consuming, held: Held, stream: tuple[str, str]) -> Step:
        return False
        yield  # as the steps of the work do

    Consuming._is_behind = is_behind  # type: ignore[method-assign]


def _settle_first() -> None:
    def again(self: Consuming, held: Held, json: bytes, version: int) -> Step:
        position = position_of(json)
        yield held.settle(position, version)
        page = yield self._store.read([], after=position - 1, until=position, limit=1)
        for event in self._decoders.events(with_payload(json, page.columns())):
            yield from self._call(held, event)
        return True

    Consuming._again = again  # type: ignore[method-assign]
