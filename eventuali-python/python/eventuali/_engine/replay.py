"""An aggregate from its stored events: all at once, or event by event.

Event by event, each state is a copy, and one page is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from eventuali._engine.arguments import aggregate_class
from eventuali._engine.bounds import NO_BOUND
from eventuali._engine.decode import (
    Columns,
    Decode,
    Decoders,
    Found,
    Slow,
    TypeKey,
    decode,
    decoder,
)
from eventuali._engine.event_types import EventTypes
from eventuali._engine.parts import parts
from eventuali._engine.read import Reading
from eventuali._engine.upcast import Becoming, Nothing, becoming, stored_kind
from eventuali._eventuali import Pending, Row, Store
from eventuali.aggregate import Aggregate, replay
from eventuali.aggregate._copies import Handler
from eventuali.aggregate._handlers import returned_value
from eventuali.aggregate._rollback import copied
from eventuali.errors import InvalidEventError, UnknownEventTypeError
from eventuali.event import Event
from eventuali.event._names import checked_text
from eventuali.event._slot import set_stored
from eventuali.expected import at_least, checked_position
from eventuali.history import Change, Step
from eventuali.query import Item

A = TypeVar("A", bound=Aggregate)

_NOT_STATE = {"id", "version"}


class Replay:
    """Applies the stored events of one aggregate."""

    def __init__(self, cls: type[Aggregate]) -> None:
        self._cls = cls
        self._ignored = cls.__ignored_names__()
        self._table: dict[TypeKey, tuple[Decode, Slow, Any] | None] = {}
        self._becoming: dict[TypeKey, Becoming | Nothing] = {}

    def apply(self, aggregate: Aggregate, columns: Columns) -> None:
        """Applies a page to `aggregate` and sets its version."""
        table = self._table
        row = None
        for name, payload, row in zip(*columns, strict=True):
            try:
                found = table[name]
            except KeyError:
                found = table[name] = self._fast(name, row)
            if found is None:  # ignored, or of a retired class
                if name in self._becoming:
                    self._apply_parts(aggregate, self._becoming[name], payload, row)
                continue
            validate, codec, handler = found
            try:
                event = validate(payload)
            except Exception as failure:
                event = decode(codec, payload, row, failure)
            set_stored(event, row)
            if (returned := handler(aggregate, event)) is not None:
                raise returned_value(aggregate, event, returned)
        if row is not None:
            aggregate.__dict__["version"] = row.version

    def _apply_parts(
        self, aggregate: Aggregate, found: Becoming | Nothing, payload: bytes, row: Row
    ) -> None:
        """Applies what an event of a retired class has become."""
        for event in parts(found, payload, row):
            handler = self.handler_of_part(event, row)
            if (returned := handler(aggregate, event)) is not None:
                raise returned_value(aggregate, event, returned)

    def handler_of_part(self, event: Event, row: Row) -> Handler:
        """Returns the handler of what an event of a retired class has become.

        Raises:
            UnknownEventTypeError: The aggregate has none.
        """
        try:
            return self._cls.__dispatch__[type(event)]
        except InvalidEventError as error:
            text = self._cannot(row, f", which has become {type(event).__name__}: {error}")
            raise UnknownEventTypeError(text, event_type=row.event_type) from error

    def _cannot(self, row: Row, why: str) -> str:
        version, key, name = row.version, row.meta().aggregate_id, row.event_type
        return f"{self._cls.__name__} can't replay version {version} of {key!r}, a {name!r}{why}"

    def _fast(self, key: TypeKey, row: Row) -> tuple[Decode, Slow, Any] | None:
        found = self.find(key, row)
        if isinstance(found, Becoming | Nothing):
            self._becoming[key] = found
            return None
        return found

    def find(self, key: TypeKey, row: Row) -> tuple[Decode, Slow, Any] | Becoming | Nothing | None:
        """Returns how the events of a kind are decoded and handled; None if they are ignored.

        Raises:
            SerializationError: They are not JSON.
            UnknownEventTypeError: The aggregate has no handler for them, or they are too new.
            UpcastError: Their class has no step from their version.
        """
        kind = stored_kind(key, row.position)
        name = kind.name
        if name in self._ignored:
            return None
        try:
            cls = self._cls.__event_classes__()[name]
        except UnknownEventTypeError as error:
            raise UnknownEventTypeError(self._cannot(row, f": {error}"), event_type=name) from error
        if cls.__becomes__ is not None:
            return becoming(cls, kind, row.position)
        return *decoder(cls, kind, row.position), self._cls.__dispatch__[cls]


class OwnEvents(Decoders):
    """Turns pages of one aggregate into events of the classes that its handlers take."""

    def __init__(self, cls: type[Aggregate], event_types: EventTypes) -> None:
        super().__init__(event_types, raw=True)
        self._replay = Replay(cls)
        self._ignored = cls.__ignored_names__()

    def _steps_over(self, row: Row) -> bool:
        return row.event_type in self._ignored  # all others are applied

    def _keeps(self, name: str) -> bool:
        return name in self._ignored

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Slow] | None:
        found = self._replay.find(key, row)
        if found is None:
            return super()._find(key, row)
        return found[:2] if isinstance(found, tuple) else None

    def _find_in(self, key: TypeKey, row: Row) -> Found:
        found = self._replay.find(key, row)
        return found if isinstance(found, Becoming | Nothing) else super()._find_in(key, row)

    def _parts(self, found: Becoming | Nothing, payload: bytes, row: Row) -> Sequence[Event]:
        made = super()._parts(found, payload, row)
        for event in made:
            self._replay.handler_of_part(event, row)
        return made


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
        self._first = max(checked_position(from_version, "from_version"), 1)
        last = None if limit is None else self._first - 1 + at_least(0, limit, "limit")
        cls = aggregate_class(cls, "history")
        self._aggregate = cls(id=checked_text("aggregate_id", aggregate_id))
        item: Item = (cls.__aggregate_type__, aggregate_id, (), (), (), None)
        decoders = OwnEvents(cls, event_types)
        self._reading = Reading(
            store,
            decoders,
            [item],
            to_version=None if last is None else min(last, NO_BOUND),
            limit=limit if limit == 0 else None,
        )
        self._fields = cls.__pydantic_fields__.keys() - _NOT_STATE
        self._ignored = cls.__ignored_names__()

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
