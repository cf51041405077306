"""The events of a page, each with the handler that takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventuali._engine.decode import Columns, Decode, Slow, TypeKey, decode, decoder
from eventuali._engine.parts import parts
from eventuali._engine.places import Failed, Taken
from eventuali._engine.upcast import Becoming, Nothing, StoredKind, becoming, stored_kind
from eventuali._eventuali import Row
from eventuali.event import Event, UnknownEvent, _registry
from eventuali.event._slot import set_stored
from eventuali.projection._handlers import Handler, handler_of


class Taking:
    """Decodes pages of the events that a projection handles.

    Attributes:
        handlers: The handlers by class.
        event_types: The wire names of these classes, and of retired ones that become such.
    """

    def __init__(self, handlers: Mapping[type[Event], Handler]) -> None:
        self.handlers = handlers
        self._generation = _registry.generation
        self._classes = {name: event for event in handlers for name in _registry.names(event)}
        for name, source in self._sources():
            self._classes.setdefault(name, source)
        self.event_types = tuple(self._classes)
        self._table: dict[TypeKey, tuple[Decode, Slow, Handler] | Becoming | Nothing] = {}
        self._current: dict[type[Event], tuple[Decode, Slow, Handler]] = {}
        self._of_parts: dict[type[Event], Handler | None] = {}

    def _sources(self) -> list[tuple[str, type[Event]]]:
        """Returns the retired classes that become handled ones, with each of their names."""
        sources = (each for event in self.handlers for each in _registry.sources(event))
        return [(name, source) for source in sources for name in _registry.names(source)]

    def late(self) -> type[Event] | None:
        """Returns a retired class that becomes a handled one and was defined since; or None."""
        if self._generation is _registry.generation:
            return None
        self._generation = _registry.generation
        return next((cls for name, cls in self._sources() if name not in self._classes), None)

    def taken(self, columns: Columns) -> Sequence[Taken]:
        """Returns the events of a page.

        Raises:
            Failed: An event can't be decoded.
        """
        table = self._table
        taken = []
        for name, payload, row in zip(*columns, strict=True):
            try:
                found = table.get(name) or self._find(name, row)
                if not isinstance(found, tuple):
                    taken += self._parts(found, payload, row)
                    continue
                validate, codec, handler = found
                try:
                    event = validate(payload)
                except Exception as failure:
                    event = decode(codec, payload, row, failure)
            except Exception as error:
                raise Failed(row, error) from error
            set_stored(event, row)
            taken.append((event, handler, row))
        return taken

    def _parts(self, found: Becoming | Nothing, payload: bytes, row: Row) -> list[Taken]:
        """Returns what a stored event has become, as far as it is handled."""
        return [
            (event, handler, row)
            for event in parts(found, payload, row)
            if (handler := self._handler_of_part(type(event))) is not None
        ]

    def _handler_of_part(self, cls: type[Event]) -> Handler | None:
        if cls not in self._of_parts:
            self._of_parts[cls] = handler_of(self.handlers, cls)
        return self._of_parts[cls]

    def decoded(self, event: Event, payload: bytes) -> list[tuple[Event, Handler, int]]:
        """Returns what is read of an event that is about to be stored, as far as it is handled.

        Each with its handler and its place among the parts of the event.

        Raises:
            Exception: It can't be decoded.
        """
        cls = type(event)
        try:
            validate, codec, handler = self._current[cls]
        except KeyError:
            return self._decoded(event, payload)
        try:
            return [(validate(payload), handler, 0)]
        except Exception:
            return [(codec.decode(payload), handler, 0)]

    def _decoded(self, event: Event, payload: bytes) -> list[tuple[Event, Handler, int]]:
        cls = type(event)
        kind = StoredKind(cls.__event_type__, cls.__event_version__)
        if isinstance(event, UnknownEvent):
            meta = event.meta
            kind = StoredKind(meta.event_type, meta.event_version, event.readable_by)
        found = self._classes.get(kind.name)
        if found is None:
            return []
        if found.__becomes__ is None:
            validate, codec = decoder(found, kind, 0)
            handler = self.handlers[found]
            if not isinstance(event, UnknownEvent):
                self._current[cls] = validate, codec, handler
            return [(codec.decode(payload), handler, 0)]
        made = becoming(found, kind, 0).decode(payload)
        return [
            (part, taking, place if number else 0)
            for number, (place, part) in enumerate(made)
            if (taking := self._handler_of_part(type(part))) is not None
        ]

    def handled(self, columns: Columns) -> Columns:
        """Returns the columns of a page of any events without those that are not handled."""
        chosen = [
            each
            for each in zip(*columns, strict=True)
            if each[0].partition("\0")[0] in self._classes
        ]
        names, payloads, rows = zip(*chosen, strict=True) if chosen else ((), (), ())
        return list(names), list(payloads), list(rows)

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Slow, Handler] | Becoming | Nothing:
        kind = stored_kind(key, row.position)
        cls = self._classes[kind.name]
        found: tuple[Decode, Slow, Handler] | Becoming | Nothing
        if cls.__becomes__ is not None:
            found = becoming(cls, kind, row.position)
        else:
            found = *decoder(cls, kind, row.position), self.handlers[cls]
        self._table[key] = found
        return found
