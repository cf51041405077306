"""A history: an aggregate event by event.

Each state is a copy, and one page is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Generic, TypeVar

from eventuali._engine.arguments import aggregate_class
from eventuali._engine.bounds import NO_BOUND
from eventuali._engine.event_types import EventTypes
from eventuali._engine.operation import Operation
from eventuali._engine.read import Reading
from eventuali._engine.replay import OwnEvents
from eventuali._engine.snapshot_load import loading
from eventuali._engine.snapshot_record import Taken
from eventuali._engine.snapshots import Snapshots
from eventuali._eventuali import Pending, Store
from eventuali.aggregate import Aggregate, replay
from eventuali.aggregate._rollback import copied
from eventuali.event import Event
from eventuali.event._names import checked_text
from eventuali.expected import at_least, checked_position
from eventuali.history import Change, Step
from eventuali.query import Item

A = TypeVar("A", bound=Aggregate)

_NOT_STATE = {"id", "version"}


class History(Generic[A]):
    """A history in progress: `pending` is the requested page, None at the end."""

    def __init__(
        self,
        store: Store,
        event_types: EventTypes,
        cls: type[A],
        aggregate_id: str,
        from_version: int = 0,
        limit: int | None = None,
    ) -> None:
        """Checks the arguments; the first access to `pending` begins to read.

        Raises:
            TypeError: `cls` is not a class of aggregates, the id not a str, or a number not an int.
            InvalidEventError: A number is out of range.
        """
        self._store = store
        self._first = max(checked_position(from_version, "from_version"), 1)
        last = None if limit is None else self._first - 1 + at_least(0, limit, "limit")
        cls = aggregate_class(cls, "history")
        self._aggregate = cls(id=checked_text("aggregate_id", aggregate_id))
        item: Item = (cls.__aggregate_type__, aggregate_id, (), (), (), None)
        self._read = partial(
            Reading,
            store,
            OwnEvents(cls, event_types),
            [item],
            to_version=None if last is None else min(last, NO_BOUND),
            limit=limit if limit == 0 else None,
        )
        self._reading = self._read()
        self._fields = cls.__pydantic_fields__.keys() - _NOT_STATE
        self._ignored = cls.__ignored_names__()

    def skip(self, snapshots: Snapshots | None) -> Operation[None]:
        """Begins with the best snapshot below the first version, if there is one."""
        before = self._first - 1
        if not before:
            return
        loads = loading(snapshots, self._store, type(self._aggregate), {"until_version": before})
        if loads is None:
            return
        found = yield from loads.found(self._aggregate.id)
        if not isinstance(found, Taken):
            return
        aggregate, _ = yield from loads.made(self._aggregate.id, found)
        if aggregate is not None:
            self._aggregate = aggregate
            self._reading = self._read(from_version=self._first)

    @property
    def pending(self) -> Pending | None:
        """The requested page; None at the end."""
        return self._reading.pending

    def take(self, answer: Any) -> Iterator[Step[A]]:
        """Requests the next page, and yields the steps of the one that has arrived."""
        for event in self._reading.take(answer):
            if (event.meta.aggregate_version or 0) < self._first:
                self._fold(event)
            else:
                yield self._step(event)

    def _fold(self, event: Event) -> None:
        """Applies an event of which no step is wanted."""
        meta = event.meta
        if meta.event_type not in self._ignored:
            replay(self._aggregate, event)
        self._aggregate.__dict__["version"] = meta.aggregate_version

    def _step(self, event: Event) -> Step[A]:
        aggregate = self._aggregate
        before = copied(aggregate)
        self._fold(event)
        after = copied(aggregate)
        old, new = before.__dict__, after.__dict__
        changes = {
            name: Change(old[name], new[name])
            for name in type(aggregate).__pydantic_fields__
            if name in self._fields and not _same(old[name], new[name])
        }
        return Step(event, after, changes)


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return type(one) is type(other) and bool(one == other)
    except Exception:  # An equality that fails proves nothing.
        return False
