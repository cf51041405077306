"""The parts of a stored event that has become several: they share its row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid5

from eventuali._engine.upcast import Becoming, Nothing, StepError
from eventuali._eventuali import Row
from eventuali.errors import UpcastError
from eventuali.event import Event
from eventuali.event._envelope import DetachedMeta, EventMeta
from eventuali.event._slot import content, set_stored


class PartRow:
    """The row of a stored event, for one of the events that it has become.

    Attributes:
        row: That row.
        is_last: Whether no other part of it follows.
    """

    __slots__ = ("_place", "is_last", "row")

    def __init__(self, row: Row, place: int) -> None:
        self.row = row
        self.is_last = False
        self._place = place  # 0 for the one that has the id of the stored event

    def meta(self) -> EventMeta:
        """Returns what is stored, with an id of its own for each part but the first."""
        return part_meta(self.row.meta(), self._place)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.row, name)


def part_meta(meta: EventMeta, place: int) -> EventMeta:
    """Returns the metadata of a part: always the same id for the same place."""
    return replace(meta, event_id=uuid5(meta.event_id, str(place))) if place else meta


def parts(found: Becoming | Nothing, payload: bytes, row: Row) -> list[Event]:
    """Returns what a stored event has become.

    Raises:
        UpcastError: A step failed, or what it returned does not fit a class.
    """
    try:
        made = found.decode(payload)
    except StepError as error:
        raise upcast_error(error, row) from error.__cause__
    for number, (place, event) in enumerate(made):
        set_stored(event, PartRow(row, place if number else 0))
    return [event for _, event in made]


def as_part(event: Event, stored: Event, place: int) -> None:
    """Gives an event the type of the stored one that it is read from, and its id as a part."""
    kind = stored.meta
    meta = replace(event.meta, event_type=kind.event_type, event_version=kind.event_version)
    set_stored(event, DetachedMeta(part_meta(meta, place)))


def in_order(events: Sequence[Event]) -> Sequence[Event]:
    """Tells parts of a stored event, in the order in which they are returned, which is the last."""
    for event in events:
        content(event).is_last = event is events[-1]
    return events


def row_of(event: Event) -> tuple[Row, bool]:
    """Returns the row of an event that was read, and whether no part of that row follows."""
    row = content(event)
    return (row.row, row.is_last) if type(row) is PartRow else (row, True)


def is_last(event: Event) -> bool:
    """Whether no other part of the stored event follows an event."""
    row = content(event)
    return type(row) is not PartRow or row.is_last


def upcast_error(error: StepError, row: Row) -> UpcastError:
    """Returns the error of a step, with the event at which it failed."""
    name, version, position = row.event_type, row.event_version, row.position
    text = (
        f"the {name} at position {position}, stored in version {version}: {error}; mend the step, "
        "or read with raw=True to get the event as it is stored"
    )
    return UpcastError(
        text,
        path=error.path or None,
        event_type=name,
        event_version=version,
        position=position,
    )
