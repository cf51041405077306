"""An aggregate, event by event: each state is a copy, and one page is in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from eventuali._engine.decode import EventClasses, OwnEvents
from eventuali._engine.verbs import Reading, aggregate_class
from eventuali._eventuali import Pending, Store
from eventuali.aggregate import Aggregate, replay
from eventuali.aggregate._rollback import copied
from eventuali.event import Event
from eventuali.event._names import text
from eventuali.history import Change, Step
from eventuali.query import Item

A = TypeVar("A", bound=Aggregate)

_NOT_STATE = {"id", "version"}


class Past(Generic[A]):
    """A history in progress: `pending` is the page that is on its way, None at the end."""

    def __init__(
        self, store: Store, classes: EventClasses, cls: type[A], aggregate_id: str
    ) -> None:
        """Checks what is asked for; the first look at `pending` begins to read.

        Raises:
            TypeError: `cls` is no class of aggregates, or the id no text.
        """
        cls = aggregate_class(cls, "history")
        self._aggregate = cls(id=text("aggregate_id", aggregate_id))
        item: Item = (cls.__aggregate_type__, aggregate_id, (), (), (), None)
        self._reading = Reading(store, OwnEvents(cls, classes), [item])
        self._fields = cls.__pydantic_fields__.keys() - _NOT_STATE
        self._ignored = cls.__ignored_names__()

    @property
    def pending(self) -> Pending | None:
        """The page that is on its way; None at the end."""
        return self._reading.pending

    def take(self, answer: Any) -> Iterator[Step[A]]:
        """Sends for the next page, and yields the steps of the one that has arrived."""
        return map(self._step, self._reading.take(answer))

    def _step(self, event: Event) -> Step[A]:
        aggregate = self._aggregate
        before = copied(aggregate)
        meta = event.meta
        if meta.event_type not in self._ignored:
            replay(aggregate, event)
        aggregate.__dict__["version"] = meta.aggregate_version
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
