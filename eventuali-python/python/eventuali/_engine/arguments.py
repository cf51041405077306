"""Arguments of callers, checked and converted for the extension."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from eventuali.aggregate import Aggregate
from eventuali.errors import InvalidEventError
from eventuali.event._envelope import since_epoch
from eventuali.event._names import checked_text
from eventuali.query import Item, Query, resolved

A = TypeVar("A", bound=Aggregate)


def query_items(query: object) -> Sequence[Item]:
    """Returns the items of a query.

    Raises:
        TypeError: It is not a query.
    """
    if not isinstance(query, Query):
        raise TypeError(f"a query must be a Query, not {query!r:.60}")
    return list(resolved(query)[0])


def aggregate_class(cls: type[A], verb: str) -> type[A]:
    """Returns a class of aggregates.

    Raises:
        TypeError: It is not one.
    """
    if not (isinstance(cls, type) and issubclass(cls, Aggregate) and cls is not Aggregate):
        raise TypeError(f"{verb} takes the class of an aggregate, not {cls!r:.60}")
    return cls


def type_name(aggregate_type: object) -> str:
    """Returns the wire name of an aggregate type that is given by name or class."""
    if isinstance(aggregate_type, type) and issubclass(aggregate_type, Aggregate):
        return aggregate_class(aggregate_type, "aggregate_type").__aggregate_type__
    return checked_text("aggregate_type", aggregate_type)


def stream_name(stream: object) -> tuple[str, str]:
    """Returns the type and the id of a stream."""
    if not (isinstance(stream, tuple) and len(stream) == 2):
        raise TypeError(f"a stream must be (aggregate_type, aggregate_id), not {stream!r:.60}")
    aggregate_type, aggregate_id = stream
    return type_name(aggregate_type), checked_text("aggregate_id", aggregate_id)


def microseconds(time: object, name: str) -> int:
    """Returns a time as µs since 1970.

    Raises:
        TypeError: It is not a datetime.
        InvalidEventError: It has no time zone.
    """
    if not isinstance(time, datetime):
        raise TypeError(f"{name} must be a datetime, not {time!r:.60}")
    found = since_epoch(time)
    if found is None:
        raise InvalidEventError(f"{name} {time} has no time zone", field=name)
    return found
