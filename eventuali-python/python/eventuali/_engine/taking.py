"""The events of a page, each with the handler that takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventuali._engine.decode import Columns, Decode, TypeKey, decode, decoder, readable
from eventuali._engine.places import Failed, Taken
from eventuali._eventuali import Row
from eventuali.codec.json import Codec
from eventuali.event import Event
from eventuali.event._slot import set_stored
from eventuali.projection._handlers import Handler


class Taking:
    """Decodes pages of the events that a projection handles.

    Attributes:
        handlers: The handlers by class.
        event_types: The wire names of these classes.
    """

    def __init__(self, handlers: Mapping[type[Event], Handler]) -> None:
        self.handlers = handlers
        self._classes = {event.__event_type__: event for event in handlers}
        self.event_types = tuple(self._classes)
        self._table: dict[TypeKey, tuple[Decode, Codec[Any], Handler]] = {}

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
                validate, codec, handler = found
                try:
                    event = validate(payload)
                except Exception:
                    event = decode(codec, payload, row)
            except Exception as error:
                raise Failed(row, error) from error
            set_stored(event, row)
            taken.append((event, handler, row))
        return taken

    def decoded(self, name: str, payload: bytes) -> tuple[Event, Handler] | None:
        """Returns an event that is about to be stored, with its handler; None if there is none.

        Raises:
            Exception: It can't be decoded.
        """
        cls = self._classes.get(name)
        if cls is None:
            return None
        validate, codec = decoder(cls)
        try:
            return validate(payload), self.handlers[cls]
        except Exception:
            event: Event = codec.decode(payload)
            return event, self.handlers[cls]

    def handled(self, columns: Columns) -> Columns:
        """Returns the columns of a page of any events without those that are not handled."""
        chosen = [
            each
            for each in zip(*columns, strict=True)
            if (each[0] if isinstance(each[0], str) else each[0][0]) in self._classes
        ]
        names, payloads, rows = zip(*chosen, strict=True) if chosen else ((), (), ())
        return list(names), list(payloads), list(rows)

    def _find(self, key: TypeKey, row: Row) -> tuple[Decode, Codec[Any], Handler]:
        cls = self._classes[readable(key, row)]
        found = *decoder(cls), self.handlers[cls]
        self._table[key] = found
        return found
