"""What `EventStore.history` gives: an aggregate, event by event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from eventuali.aggregate import Aggregate
from eventuali.event import Event

__all__ = ["Change", "Step"]

A = TypeVar("A", bound=Aggregate)


class Change(NamedTuple):
    """What an event did to a field.

    Attributes:
        before: Its value before the event; at the first event, the default of the field.
        after: Its value after the event.
    """

    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step(Generic[A]):
    """An event of an aggregate and what it did. No two steps share anything that can change.

    Attributes:
        event: What happened; an `UnknownEvent` where it is ignored and no class is known.
        state: The aggregate after the event, as `load(at_version=...)` gives it.
        changes: The fields with another value or type than before, by name; `version` aside.
    """

    event: Event
    state: A
    changes: Mapping[str, Change]
