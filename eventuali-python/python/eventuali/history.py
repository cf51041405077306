"""What `EventStore.history` yields: an aggregate, event by event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from eventuali.aggregate import Aggregate
from eventuali.event import Event

__all__ = ["Change", "Step"]

A = TypeVar("A", bound=Aggregate)


class Change(NamedTuple):
    """The change of a field by an event.

    Attributes:
        before: The value before the event; at the first event, the default of the field.
        after: The value after the event.
    """

    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step(Generic[A]):
    """An event of an aggregate and its effect. No two steps share a mutable value.

    Attributes:
        event: The event; an `UnknownEvent` if the aggregate ignores it and its class is unknown.
        state: The aggregate after the event, as `load(at_version=...)` returns it.
        changes: The fields whose value or type changed, by name, without `version`.
    """

    event: Event
    state: A
    changes: Mapping[str, Change]
