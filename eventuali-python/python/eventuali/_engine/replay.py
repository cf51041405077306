"""An aggregate from its stored events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from eventuali._engine.upcast import Becoming, Nothing, becoming, stored_kind
from eventuali._eventuali import Row
from eventuali.aggregate import Aggregate
from eventuali.aggregate._copies import Handler
from eventuali.aggregate._handlers import returned_value
from eventuali.errors import InvalidEventError, UnknownEventTypeError
from eventuali.event import Event
from eventuali.event._slot import set_stored


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
