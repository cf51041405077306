"""What the handler of a command wants to be committed: aggregates and events, in one commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple, TypeAlias
from uuid import UUID

from eventuali._engine.arguments import stream_name
from eventuali._engine.commit_builder import CommitBuilder, encode
from eventuali._engine.event_types import EventTypes
from eventuali._engine.inline_commit import Inline
from eventuali._engine.operation import Operation
from eventuali._engine.pending_commit import (
    Besides,
    Committed,
    Condition,
    PendingCommit,
    Record,
    adopting,
)
from eventuali._engine.write import checked_condition
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate, set_pending, set_savepoint
from eventuali.errors import InvalidEventError
from eventuali.event import Event
from eventuali.event._context import current
from eventuali.event._names import checked_text
from eventuali.event._slot import take_context, waits
from eventuali.expected import ANY, AppendCondition, several, wire

Stream: TypeAlias = tuple[str, str]


class Appended(NamedTuple):
    """Events for one stream, or for none."""

    expected: int | str
    events: list[Event]


class LastEvent(NamedTuple):
    """The last event of a commit; version 0 if it is not known before."""

    event_id: UUID
    aggregate_type: str
    aggregate_id: str
    version: int


class Work:
    """The aggregates and events of a unit of work, without a word about how to wait."""

    def __init__(self) -> None:
        self._aggregates: dict[Stream, Aggregate] = {}
        self._appended: dict[Stream, Appended] = {}
        self._conditions: list[Condition] = []

    def add(self, *aggregates: Aggregate) -> None:
        """Adds aggregates, whose new events are committed with the rest.

        What the unit of work has loaded need not be added.

        Raises:
            InvalidEventError: Another object of the same aggregate is in it already.
        """
        for aggregate in aggregates:
            if not isinstance(aggregate, Aggregate):
                raise TypeError(f"add takes aggregates, not {aggregate!r:.60}")
            stream = aggregate.__aggregate_type__, aggregate.id
            if self._aggregates.setdefault(stream, aggregate) is not aggregate:
                raise InvalidEventError(
                    f"{stream[0]} {stream[1]!r:.260} is in this unit of work already; "
                    "change the object that it loaded",
                    field="aggregate_id",
                )

    def append(
        self,
        events: Iterable[Event],
        *,
        stream: tuple[str, str] | None = None,
        expected: object = ANY,
        condition: AppendCondition | None = None,
    ) -> None:
        """Adds events of no aggregate, as `EventStore.append` takes them.

        Args:
            events: The events. `expected` and `condition` are checked even if it is empty.
            stream: `(aggregate_type, aggregate_id)`; None for events without a stream.
            expected: The version at which the stream must be before the first of its events.
            condition: The events that must not have been stored in the meantime.

        Raises:
            InvalidEventError: Another version of the stream was expected before.
        """
        if isinstance(events, Event | Aggregate):
            raise TypeError("append takes several events; aggregates are added with add(…)")
        listed = several(events)
        for event in listed:
            if not isinstance(event, Event):
                raise TypeError(f"append takes events, not {event!r:.60}")
        if condition is not None:
            self._conditions.append(checked_condition(condition))
        where = ("", "") if stream is None else stream_name(stream)
        wanted = wire(expected)
        known = self._appended.setdefault(where, Appended(wanted, []))
        if wanted not in (known.expected, "any"):
            raise InvalidEventError(
                f"events are added to {where[0]} {where[1]!r:.260} already, which is expected at "
                f"{known.expected!r}; say what you expect with the first of them",
                field="expected",
            )
        known.events.extend(listed)

    def commit(self, event_types: EventTypes) -> WorkCommit:
        """Returns what is to be committed; the aggregates keep it until the outcome is known.

        Raises:
            SerializationError: A value would not come back as it is. Nothing has changed.
            InvalidEventError: An event or aggregate waits to be saved elsewhere.
        """
        saved = [each for each in self._aggregates.values() if each._uncommitted]
        for aggregate in saved:
            if aggregate._pending is not None:
                raise InvalidEventError(
                    f"an earlier save of {aggregate.__aggregate_type__} {aggregate.id!r:.260} is "
                    "not settled; save it before it is added",
                    field="aggregates",
                )
            event_types.saves(aggregate.__aggregate_type__, aggregate._uncommitted, applied=True)
        for (kind, _), (_, events) in self._appended.items():
            for event in events:
                if waits(event):
                    text = f"this {type(event).__name__} was applied to an aggregate; add that"
                    raise InvalidEventError(text, field="event")
            event_types.saves(kind, events, applied=False)
        return WorkCommit(saved, self._appended, self._conditions)


class WorkCommit(PendingCommit):
    """The commit of a unit of work. Sending it again gives the same answer."""

    def __init__(
        self,
        aggregates: Sequence[Aggregate],
        appended: Mapping[Stream, Appended],
        conditions: Sequence[Condition],
    ) -> None:
        of_aggregates = [
            (
                (each.__aggregate_type__, checked_text("aggregate_id", each.id)),
                each.version - len(each._uncommitted),
                encode(each._uncommitted[:]),
            )
            for each in aggregates
        ]
        of_events = [
            (stream, expected, encode(events)) for stream, (expected, events) in appended.items()
        ]
        builder = CommitBuilder()
        loose = list(chain.from_iterable(each.events for each in appended.values()))
        with adopting():
            if current() is not None:
                for event in chain(*(each._uncommitted for each in aggregates), loose):
                    take_context(event)
            for stream, before, parts in of_aggregates:
                builder.add(stream, before, before, parts)
            builder.adopt(loose)
            first = len(builder.writes)
            for stream, expected, parts in of_events:
                builder.add(stream, expected, None, parts)
        events = [each.events for each in appended.values()]
        indexed = [(first + index, each) for index, each in enumerate(events) if each]
        super().__init__(builder, Besides(conditions), indexed)
        self._aggregates = aggregates
        for aggregate in aggregates:
            set_pending(aggregate, self)
            set_savepoint(aggregate, None)

    def send_with(
        self, store: Store, inline: Inline | None, records: Sequence[Record], id: UUID
    ) -> Operation[Committed]:
        """Commits it together with records; without events, the id tells a repetition.

        Raises:
            Exception: It was not answered; the aggregates know what that means for them.
        """
        writes, conditions = self.builder.writes, self.besides.conditions
        if not self.builder.count:
            if writes or conditions or records:
                yield store.commit(writes, conditions, records, id)
            return Committed()
        self._besides = Besides(conditions, records=records)
        try:
            if inline is None:
                answer = yield from self.send(partial(self.commit, store))
            else:
                answer = yield from inline.commit(self)
            return self.take(answer)
        finally:
            for aggregate in self._aggregates:
                self.settle(aggregate)

    def last_event(self) -> LastEvent | None:
        """Returns the last event; None without events."""
        written = [write for write in self.builder.writes if write[3]]
        if not written:
            return None
        kind, key, expected, runs = written[-1]
        first, times = runs[-1][1:3]
        version = 0
        if kind and isinstance(expected, int):
            version = expected + sum(len(run[2]) for run in runs)
        return LastEvent(UUID(int=int.from_bytes(first) + len(times) - 1), kind, key, version)
