"""What a unit of work has loaded, read and added, without a word about how to wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any, NamedTuple, TypeAlias, TypeVar

from eventuali._engine.arguments import aggregate_class, query_items, stream_name
from eventuali._engine.bounds import By
from eventuali._engine.decode import Decoders
from eventuali._engine.event_types import EventTypes
from eventuali._engine.load import catch_up, checked_ids, load, load_many
from eventuali._engine.operation import Operation
from eventuali._engine.pace import Key, Paces, query_line
from eventuali._engine.pending_commit import Condition, StreamWrite
from eventuali._engine.proposal import Proposal, Recording
from eventuali._engine.read import Reading
from eventuali._engine.snapshots import Snapshots
from eventuali._engine.tickets import Ticket
from eventuali._engine.write import NO_STREAM, checked_condition
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.errors import InvalidEventError, OptimisticConcurrencyError
from eventuali.event import Event
from eventuali.expected import AppendCondition, several, wire
from eventuali.query import E, Query

A = TypeVar("A", bound=Aggregate)
Stream: TypeAlias = tuple[str, str]

_NOW: tuple[None, None, By] = (None, None, "recorded_at")
"""Loads an aggregate as it is."""


class Appended(NamedTuple):
    """Events for one stream, or for none, and the version that was expected with the first."""

    expected: int | str
    events: list[Event]


class Unit:
    """What one attempt has loaded, read and added.

    Attributes:
        store: The store that it reads.
        begun: When it began to load or read, by the monotonic clock.
        recording: Makes a record that is stored with it; None without.
    """

    def __init__(
        self,
        store: Store,
        event_types: EventTypes,
        ticket: Ticket,
        snapshots: Snapshots,
        *,
        contended: bool,
    ) -> None:
        self.begun = monotonic()
        self.recording: Recording | None = None
        self._contended = contended
        self.store = store
        self._event_types = event_types
        self._ticket = ticket
        self._snapshots = snapshots
        self._aggregates: dict[Stream, Aggregate | None] = {}
        self._new: dict[Stream, Aggregate] = {}
        self._noted: list[Aggregate] = []
        self._absent: set[Stream] = set()
        self._appended: dict[Stream, Appended] = {}
        self._conditions: list[Condition] = []
        self._loaded: set[Stream] = set()
        self._queries: set[Key] = set()
        self._checked = False
        self._ended = False

    def end(self) -> None:
        """Takes no more calls: what they add would not be stored."""
        self._ended = True

    def _check(self) -> None:
        if self._ended:
            raise RuntimeError(
                "this unit of work has ended; a function must await all that it begins, and a task "
                "that outlives it needs a transaction of its own"
            )

    def load(self, cls: type[A], aggregate_id: str) -> Operation[A | None]:
        """Loads an aggregate, once."""
        (found,) = (yield from self.load_many(cls, [aggregate_id])).values() or (None,)
        return found

    def load_many(self, cls: type[A], ids: Iterable[str]) -> Operation[dict[str, A]]:
        """Loads several aggregates, each once."""
        self._check()
        name = aggregate_class(cls, "load").__aggregate_type__
        wanted = checked_ids(ids)
        new = [key for key in wanted if (name, key) not in self._aggregates]
        if new:
            keys = [self._key((name, key)) for key in new]
            yield from self._ticket.take(keys)
            if not self._contended:
                yield from self._ticket.pause(keys)
            self._check()
            self._begin()
            if len(new) == 1:
                found = {new[0]: (yield from self._load(cls, new[0]))}
            else:
                found = dict((yield from load_many(self.store, cls, new, self._snapshots)))
            self._check()
            for key in new:  # which somebody else may have loaded meanwhile
                self._take((name, key), found.get(key))
        known = {key: self._aggregates[name, key] for key in wanted}
        return {key: self._of(cls, one) for key, one in known.items() if one is not None}

    def load_or_new(self, cls: type[A], aggregate_id: str) -> Operation[A]:
        """Loads an aggregate, once, or adds a new one of which nothing may be stored then."""
        found = yield from self.load(cls, aggregate_id)
        if found is not None:
            return found
        # Somebody else may be here, too, in another thread.
        new = self._new.setdefault((cls.__aggregate_type__, aggregate_id), cls(id=aggregate_id))
        self.add([new])
        return self._of(cls, new)

    def _begin(self) -> None:
        """Notes the time of the first read; what it waited for before that does not count."""
        if not self._aggregates and not self._conditions:
            self.begun = monotonic()

    def _load(self, cls: type[A], aggregate_id: str) -> Operation[A | None]:
        """Loads one aggregate; where others want it, too, only what is new."""
        key = self._key((cls.__aggregate_type__, aggregate_id))
        tickets = self._ticket.tickets
        found, last = tickets.loaded(key, cls)
        while True:
            if found is not None:
                # The shorter the time from the last read to the commit, the fewer conflicts.
                last = yield from catch_up(self.store, found, last)
                if last is not None:
                    tickets.keep(key, found, last)
                    return found
            loading = load(self.store, cls, aggregate_id, *_NOW, self._snapshots)
            found, last = (yield from loading), None
            if found is None or not (self._contended or tickets.waited_for(key)):
                return found

    def _take(self, stream: Stream, found: Aggregate | None) -> None:
        self._aggregates.setdefault(stream, found)
        self._loaded.add(stream)
        if found is None:
            self._absent.add(stream)
        else:
            self._ticket.tickets.paces.loaded(self._key(stream), found.version)

    def read(self, query: Query[E]) -> Operation[list[E]]:
        """Reads the events that match, and makes it a condition that no more do."""
        self._check()
        self._begin()
        decoders = Decoders(self._event_types, raw=False, query=query)
        reading = Reading(self.store, decoders, query_items(query))
        events: list[Any] = []
        while (pending := reading.pending) is not None:
            events += reading.take((yield pending))
            reading.done()
        self._check()
        condition = AppendCondition(query, after=reading.position)
        self._queries.add(query_line(self.store.tenant, query))
        self._conditions.append(checked_condition(condition))
        return events

    def add(self, aggregates: Sequence[Aggregate]) -> None:
        """Adds aggregates that were not loaded here.

        Raises:
            TypeError: It is no aggregate.
            InvalidEventError: Another object stands for the same stream.
            RuntimeError: It has ended.
        """
        self._check()
        for one in aggregates:
            if not isinstance(one, Aggregate):
                raise TypeError(f"add takes aggregates, not {one!r:.60}")
            stream = (one.__aggregate_type__, one.id)
            other = self._aggregates.get(stream)
            if other is not None and other is not one:
                text = f"the {stream[0]} {stream[1]!r:.260} is loaded or added already; change that"
                raise InvalidEventError(text, field="aggregates")
            self._aggregates[stream] = one

    def note(self, aggregate: Aggregate) -> None:
        """Notes an aggregate that is about to change, unless another one is part of the unit.

        If its stream is not there when it is loaded, before or after that, its events are meant to
        be stored. Others may be made for a computation.
        """
        if not self._ended and self._aggregates.get(_stream_of(aggregate)) is None:
            self._noted.append(aggregate)

    def not_added(self) -> list[Aggregate]:
        """Returns the aggregates that have changed and have new events, which it does not store."""
        return [
            one
            for one in self._noted
            if one._uncommitted and self._aggregates.get(_stream_of(one)) is not one
        ]

    def _check_noted(self) -> None:
        for one in self.not_added():
            stream = _stream_of(one)
            if stream in self._absent:
                raise RuntimeError(
                    f"the {stream[0]} {stream[1]!r:.260} has new events, which would be lost: it "
                    "was not there when it was loaded, and the one that was made is no part of the "
                    "unit of work; load it with load_or_new(…), or add it with work.add(…); if its "
                    "events are not to be stored, call its mark_events_as_committed()"
                )

    def append(
        self,
        events: Iterable[Event],
        stream: tuple[str, str] | None,
        expected: object,
        condition: AppendCondition | None,
    ) -> None:
        """Adds events of no aggregate.

        Raises:
            TypeError: They are not events.
            InvalidEventError: Another version of the stream was expected before.
            RuntimeError: It has ended.
        """
        self._check()
        if isinstance(events, Event | Aggregate):
            raise TypeError("append takes several events; aggregates are added with add(…)")
        listed = several(events)
        for event in listed:
            if not isinstance(event, Event):
                raise TypeError(f"append takes events, not {event!r:.60}")
        where = NO_STREAM if stream is None else stream_name(stream)
        wanted = wire(expected)
        if stream is None and wanted != "any":
            raise InvalidEventError("expected= is for the events of stream=", field="expected")
        given = () if condition is None else (checked_condition(condition),)
        known = self._appended.setdefault(where, Appended(wanted, []))
        if wanted not in (known.expected, "any"):
            raise InvalidEventError(
                f"events are added to {where[0]} {where[1]!r:.260} already, which is expected at "
                f"{known.expected!r}; say what you expect with the first of them",
                field="expected",
            )
        known.events.extend(listed)
        self._conditions += given
        self._checked = self._checked or bool(given) or wanted != "any"

    def lines(self) -> set[Key]:
        """Returns the lines of its streams and of its queries."""
        return self.keys() | self._queries

    def keys(self) -> set[Key]:
        """Returns the lines of all streams that must be at a version."""
        expected = (stream for stream, one in list(self._appended.items()) if one.expected != "any")
        return set(map(self._key, (*self._aggregates, *expected)))

    def proposal(self) -> Proposal:
        """Returns the new events, on condition that all that was loaded is as it was.

        Raises:
            InvalidEventError: Events are added to the stream of an aggregate that has its own.
            OptimisticConcurrencyError: A stream was loaded at another version than is expected.
            RuntimeError: An aggregate that was not there was made, and not added.
        """
        self._check_noted()
        loaded = [one for one in self._aggregates.values() if one is not None]
        writes = {
            stream: StreamWrite(stream, 0 if one is None else one.version, ())
            for stream, one in self._aggregates.items()
            if one is None or not one._uncommitted
        }
        for stream, (expected, events) in self._appended.items():
            if stream in writes:
                expected = _agreed(stream, expected, writes[stream].expected)
            elif stream in self._aggregates:
                text = f"the {stream[0]} {stream[1]!r:.260} has new events; apply these to it, too"
                raise InvalidEventError(text, field="stream")
            writes[stream] = StreamWrite(stream, expected, events)
        parts = (loaded, list(writes.values()), self._conditions)
        return Proposal(*parts, self.recording, checked=self._checked)

    def stored(self, paces: Paces) -> None:
        """Notes the commit, for the next ones of the same streams."""
        seconds = monotonic() - self.begun
        for stream, one in self._aggregates.items():
            if one is not None and stream in self._loaded:
                paces.stored(self._key(stream), one.version, seconds)

    def _key(self, stream: Stream) -> Key:
        return (self.store.tenant, *stream)

    def _of(self, cls: type[A], found: Aggregate) -> A:
        if not isinstance(found, cls):
            text = f"{found.id!r:.260} is loaded as {type(found).__name__}, not as {cls.__name__}"
            raise InvalidEventError(text, field="aggregates")
        return found


def _stream_of(aggregate: Aggregate) -> Stream:
    return aggregate.__aggregate_type__, aggregate.id


def _agreed(stream: Stream, expected: int | str, loaded: int | str) -> int | str:
    """Returns the version at which a stream was loaded, which must be as expected."""
    holds = {"any": True, "no_stream": loaded == 0, "stream_exists": loaded != 0}
    if not holds.get(str(expected), expected == loaded):
        raise OptimisticConcurrencyError(
            f"{stream[0]} {stream[1]!r:.260} is at version {loaded}, not at {expected!r}",
            stream=stream,
            expected_version=expected,
            actual_version=int(loaded),
        )
    return loaded
