"""Stored events one by one, each with what the code makes of it, for a check of the code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from eventuali._engine.decode import Columns, Decoders
from eventuali._engine.event_types import EventTypes
from eventuali._engine.operation import Operation
from eventuali._engine.read import PAGE
from eventuali._eventuali import Page, Row, Store
from eventuali.errors import SerializationError
from eventuali.query import Item


class Probed(NamedTuple):
    """A stored event.

    Attributes:
        row: What is stored beside the payload.
        payload: The payload.
        error: Why a reader does not get it; None if it does.
    """

    row: Row
    payload: bytes
    error: SerializationError | None


class Probe:
    """Decodes pages as a store does, and goes on after an event that can't be read.

    Attributes:
        position: How far it has looked.
        end: Whether nothing is left up to the end.
    """

    def __init__(
        self, store: Store, event_types: EventTypes, items: Sequence[Item], *, until: int
    ) -> None:
        """Describes a read.

        Args:
            store: The store.
            event_types: Which classes the events have.
            items: What to read.
            until: The last position to read.
        """
        self._store = store
        self._decoders = Decoders(event_types, raw=False)
        self._items = items
        self._until = until
        self.position = 0
        self.end = until == 0

    def page(self, limit: int = PAGE) -> Operation[list[Probed]]:
        """Reads what comes next."""
        page: Page = yield self._store.read(
            self._items, after=self.position, until=self._until, limit=limit
        )
        self.position = page.looked_to
        self.end = page.end or page.looked_to >= self._until
        return list(self._probed(page.columns()))

    def seek(self, position: int) -> None:
        """Goes on behind a position."""
        self.position = position
        self.end = position >= self._until

    def _probed(self, columns: Columns) -> Iterator[Probed]:
        for name, payload, row in zip(*columns, strict=True):
            error = None
            try:
                for _ in self._decoders.events(([name], [payload], [row])):
                    pass
            except SerializationError as refused:
                error = refused
            yield Probed(row, payload, error)
