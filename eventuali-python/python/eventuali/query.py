"""Which events: queries for reading and for append conditions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from eventuali._names import text
from eventuali.aggregate import Aggregate
from eventuali.errors import InvalidEventError
from eventuali.event import Event

__all__ = ["ALL", "Query"]

Item: TypeAlias = tuple[
    str | None, str | None, list[str], list[str], list[bytes], bytes | str | None
]
"""An item as the core takes it: type, id, event types, tags, event ids, correlation id."""


@dataclass(frozen=True, slots=True, init=False)
class Query:
    """Events that match every part that is given; `a | b` matches what either does.

    Query(event_types=[Deposited, Withdrawn], tags=["region:eu"])
    Query(aggregate_type=Account, aggregate_id="acc-1") | Query(tags=["audit"])
    """

    items: tuple[Item, ...]

    def __init__(
        self,
        *,
        aggregate_type: str | type[Aggregate] | None = None,
        aggregate_id: str | None = None,
        event_types: Iterable[str | type[Event]] | None = None,
        tags: Iterable[str] | None = None,
        event_ids: Iterable[UUID] | None = None,
        correlation_id: UUID | str | None = None,
    ) -> None:
        """Makes a query; without arguments it matches every event.

        Args:
            aggregate_type: The type of the event's stream, by wire name or class.
            aggregate_id: The id of the event's stream.
            event_types: The event is of one of these types, by wire name or class.
            tags: The event has all of these tags.
            event_ids: The event has one of these ids.
            correlation_id: The event has this correlation id; a UUID and its text are the same.

        Raises:
            TypeError: An argument has another type.
            InvalidEventError: An iterable is empty, which would match nothing.
        """
        item: Item = (
            _aggregate_type(aggregate_type),
            _text(aggregate_id, "aggregate_id"),
            [_event_type(kind) for kind in _several(event_types, "event_types")],
            [text("tags", tag) for tag in _several(tags, "tags")],
            [_id(one) for one in _several(event_ids, "event_ids")],
            correlation_id.bytes
            if isinstance(correlation_id, UUID)
            else _text(correlation_id, "correlation_id"),
        )
        given = any(part is not None and part != [] for part in item)
        object.__setattr__(self, "items", (item,) if given else ())

    def __or__(self, other: Query) -> Query:
        """Matches what either of two queries does."""
        if not isinstance(other, Query):
            return NotImplemented
        both = Query()
        everything = not self.items or not other.items
        object.__setattr__(both, "items", () if everything else self.items + other.items)
        return both


def _several(given: Iterable[object] | None, field: str) -> list[object]:
    if given is None:
        return []
    if isinstance(given, str | bytes | type) or not isinstance(given, Iterable):
        raise TypeError(f"{field} takes several values, not {given!r:.60}")
    values = list(given)
    if not values:
        raise InvalidEventError(f"{field} is empty and would match nothing", field=field)
    return values


def _aggregate_type(kind: object) -> str | None:
    if isinstance(kind, type) and issubclass(kind, Aggregate):
        return kind.__aggregate_type__
    return _text(kind, "aggregate_type")


def _event_type(kind: object) -> str:
    if isinstance(kind, type) and issubclass(kind, Event):
        return kind.__event_type__
    return text("event_types", kind)


def _id(given: object) -> bytes:
    if not isinstance(given, UUID):
        raise TypeError(f"event_ids takes UUIDs, not {given!r:.60}")
    return given.bytes


def _text(given: object, field: str) -> str | None:
    return None if given is None else text(field, given)


ALL: Final = Query()
"""Every event."""
