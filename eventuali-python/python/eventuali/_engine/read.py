"""Reading: the events that match, page by page, and what the store knows of its streams.

Each function is an operation that leaves open how to wait, as in `write`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from eventuali._engine.arguments import query_items, type_name
from eventuali._engine.bounds import NO_BOUND, By, positions, times, versions
from eventuali._engine.decode import Decoders
from eventuali._engine.event_types import EventTypes
from eventuali._engine.operation import Operation
from eventuali._engine.parts import is_last
from eventuali._eventuali import Page, Pending, Store
from eventuali.aggregate import Aggregate
from eventuali.errors import InvalidEventError
from eventuali.event import Event
from eventuali.event._names import checked_text
from eventuali.expected import at_least, checked_position
from eventuali.query import Item, Query

PAGE = 1000
"""Events in a page: enough to hide the cost of a request, few enough to stay in the cache."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream in the store.

    Attributes:
        aggregate_type: The type of the stream.
        aggregate_id: The id of the stream.
        version: The version of its last event.
        last_position: The position of its last event.
    """

    aggregate_type: str
    aggregate_id: str
    version: int
    last_position: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far the log is settled, and which writers hold its readers back.

    On PostgreSQL, readers of the whole log wait for writers that may still commit below the next
    position to read. If that takes long, a writer is stuck.

    Attributes:
        position: Readers of the whole log see everything up to here, and nothing above.
        last_position: The last stored event. The events between the two wait.
        writers: The number of transactions that are writing now; always 0 in memory and on SQLite,
            where no reader waits for a writer.
        open_for: How long the oldest of them has been open, by the server's clock; None if there is
            none, or if it belongs to another user, whose sessions PostgreSQL does not show.
    """

    position: int
    last_position: int
    writers: int
    open_for: timedelta | None


def horizon(store: Store) -> Operation[Horizon]:
    """Looks how far the log is settled."""
    position, last_position, writers, micros = yield store.horizon()
    open_for = None if micros is None else timedelta(microseconds=micros)
    return Horizon(position, last_position, writers, open_for)


class Reading:
    """A read in progress: `pending` is the requested page, None at the end.

    Attributes:
        last: The last event of the current page that was returned; set by the caller.
    """

    def __init__(
        self,
        store: Store,
        decoders: Decoders,
        items: Sequence[Item],
        *,
        after: int = 0,
        before: int | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        by: By = "recorded_at",
        from_version: int | None = None,
        to_version: int | None = None,
        backwards: bool = False,
    ) -> None:
        """Checks the arguments; the first access to `pending` begins to read.

        Raises:
            TypeError: A number is not an int, or a time not a datetime.
            InvalidEventError: A number is out of range, a time has no time zone, or versions are
                given for more than one stream.
        """
        self._store = store
        self._decoders = decoders
        self._items = items
        self._backwards = backwards
        self._left = None if limit is None else at_least(0, limit, "limit")
        self._passed = 0  # events that have become nothing, and count again
        self._size = 0  # what is requested beyond the limit, while all become nothing
        self._count = 0  # events of the current page
        self._cut_at: int | None = None  # the last of the limit, if its page has more
        decoders.backwards = backwards
        self._after, self._until = positions(after, before)
        self._times = times(since, until, by)
        self._versions = versions(items, from_version, to_version)
        self._begun = self._ended = False
        self._bounded = backwards
        self._first: Page | None = None  # until it is known where the log ends
        self._given: Page | None = None
        self._pending: Pending | None = None
        self._looked_to = min(self._until + 1, NO_BOUND) if backwards else self._after
        self.last: Event | None = None

    @property
    def pending(self) -> Pending | None:
        """The requested page; None at the end."""
        if not self._begun:
            self._begun = True
            self._pending = self._begin()
        elif self._left is not None and self._pending is None and self._first is None:
            self._ask_for_more(self._left)
        return self._pending

    @property
    def position(self) -> int:
        """How far it has looked: every match up to here, or down to here, was returned."""
        last = None if self.last is None else self.last.meta.position
        if self.last is None or last is None:
            return self._looked_to
        if is_last(self.last):
            return last
        return last + 1 if self._backwards else last - 1

    def _begin(self) -> Pending | None:
        if self._left == 0 or self._until <= self._after:
            return None
        return self._store.read(
            self._items,
            after=self._after,
            until=self._until,
            backwards=self._backwards,
            limit=PAGE if self._left is None else min(PAGE, max(self._left, self._size)),
            **self._times,
            **self._versions,
        )

    def _ask_for_more(self, left: int) -> None:
        """Requests as many events as have become nothing: a limit is of those that have not.

        If all have, twice as many as before, or a read would be a request for each of them.
        """
        passed, self._passed = self._decoders.passed - self._passed, self._decoders.passed
        self._left = left = left if self._size else left + passed
        self._size = min(PAGE, 2 * self._count) if passed == self._count else 0
        if left and not self._ended:
            self._pending = self._begin()

    def take(self, answer: Any) -> Iterator[Event]:
        """Requests the next page, and returns the events of the one that has arrived.

        If the first page is not the last, no event is returned before the end of the log is known:
        events that are appended while the caller handles others are after it, and not read.
        """
        page: Page = answer
        if self._first is not None:
            page, self._first = self._first, None
            self._until = min(self._until, answer[1])
        elif not self._bounded and not page.end:
            self._first, self._bounded = page, True
            self._pending = self._store.horizon()
            return iter(())
        if self._left is not None and not self._size:
            self._left -= len(page)
        if self._backwards:
            self._until = page.looked_to - 1
        else:
            self._after = page.looked_to
        self._given, self._ended, self._count = page, page.end, len(page)
        events = self._decoders.events(page.columns())
        if self._size:
            self._pending = None
            return self._within_limit(events)
        self._pending = None if page.end else self._begin()
        return events

    def _within_limit(self, events: Iterator[Event]) -> Iterator[Event]:
        """Yields the events of a page that may have more than the limit allows."""
        for event in events:
            yield event
            if is_last(event) and self._left is not None:
                self._left -= 1
                if not self._left:
                    self._cut_at = event.meta.position
                    return

    def tenants(self) -> dict[int, str]:
        """Returns whose the events of the current page are, by position."""
        return {} if self._given is None else self._given.tenants()

    def done(self) -> None:
        """Notes that the caller has returned every event of `take`."""
        if self._given is not None:
            end = self._given.looked_to if self._cut_at is None else self._cut_at
            self.last, self._looked_to, self._given = None, end, None


def load_events(
    store: Store,
    event_types: EventTypes,
    aggregate_id: str,
    aggregate_type: str | type[Aggregate] | None,
    from_version: int,
    to_version: int | None = None,
    limit: int | None = None,
    *,
    backwards: bool = False,
) -> Operation[list[Event]]:
    """Returns the events of one aggregate."""
    _check_bounds(from_version, to_version, limit)
    name = yield from type_of(store, aggregate_id, aggregate_type)
    if name is None:
        return []
    item: Item = (name, aggregate_id, (), (), (), None)
    reading = Reading(
        store,
        Decoders(event_types, raw=False),
        [item],
        from_version=from_version,
        to_version=to_version,
        limit=limit,
        backwards=backwards,
    )
    return (yield from _all(reading))


def _check_bounds(from_version: int, to_version: int | None, limit: int | None) -> None:
    checked_position(from_version, "from_version")
    if to_version is not None:
        checked_position(to_version, "to_version")
    if limit is not None:
        at_least(0, limit, "limit")


def count(
    store: Store,
    query: Query,
    after: int = 0,
    before: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    by: By = "recorded_at",
) -> Operation[int]:
    """Returns how many events match."""
    items = query_items(query)
    first, last = positions(after, before)
    within = times(since, until, by)
    found: int = yield store.count(items, after=first, until=max(last, 0), **within)
    return found


def load_events_by_type(
    store: Store, event_types: EventTypes, aggregate_type: str | type[Aggregate]
) -> Operation[list[Event]]:
    """Returns the events of all aggregates of a type."""
    item: Item = (type_name(aggregate_type), None, (), (), (), None)
    decoders = Decoders(event_types, raw=False)
    reading = Reading(store, decoders, [item])
    return (yield from _all(reading))


def _all(reading: Reading) -> Operation[list[Event]]:
    events: list[Event] = []
    while (pending := reading.pending) is not None:
        events += reading.take((yield pending))
    return events


def version(
    store: Store, aggregate_id: str, aggregate_type: str | type[Aggregate] | None
) -> Operation[int | None]:
    """Returns the version of an aggregate; None if nothing was ever stored."""
    name = yield from type_of(store, aggregate_id, aggregate_type)
    if name is None:
        return None
    streams, _ = yield store.streams(name, aggregate_id, None, 1)
    return streams[0][2] if streams else None


def type_of(
    store: Store, aggregate_id: str, aggregate_type: str | type[Aggregate] | None
) -> Operation[str | None]:
    """Returns the one type that has an aggregate of this id."""
    key = checked_text("aggregate_id", aggregate_id)
    if aggregate_type is not None:
        return type_name(aggregate_type)
    streams, _ = yield store.streams(None, key, None, 2)
    if len(streams) > 1:
        names = " and ".join(stream[0] for stream in streams)
        raise InvalidEventError(
            f"{key!r} is an id of {names}; say which with aggregate_type", field="aggregate_type"
        )
    return streams[0][0] if streams else None


class Listing:
    """A listing of streams in progress: `pending` is the requested answer, None at the end.

    It ends where the log ended at its beginning: streams that are added meanwhile are left out.
    """

    def __init__(self, store: Store, aggregate_type: str | type[Aggregate] | None) -> None:
        self._store = store
        self._type = None if aggregate_type is None else type_name(aggregate_type)
        self._end: int | None = None
        self._streams: list[Any] | None = None
        self._next: tuple[str, str] | None = None
        self._late: list[Any] = []  # of these streams, the first event may be after the end
        self.pending: Pending | None = self._begin(None)

    def _begin(self, after: tuple[str, str] | None) -> Pending:
        return self._store.streams(self._type, None, after, PAGE)

    def take(self, answer: Any) -> Iterator[StreamInfo]:
        """Returns the streams that belong to the list, and requests what comes next."""
        if self._streams is None:
            self._streams, self._next = answer
            if self._end is None and self._next is not None:
                self.pending = self._store.horizon()
                return iter(())
            end = NO_BOUND if self._end is None else self._end
            self._late = [stream for stream in self._streams if stream[3] > end]
        elif self._end is None:
            _, self._end, _, _ = answer
        elif not len(answer):
            self._streams.remove(self._late.pop())
        else:
            self._late.pop()
        if self._late:
            aggregate_type, aggregate_id, _, _ = self._late[-1]
            item: Item = (aggregate_type, aggregate_id, (), (), (), None)
            self.pending = self._store.read([item], until=self._end or 0, limit=1)
            return iter(())
        streams, self._streams = self._streams, None
        self.pending = None if self._next is None else self._begin(self._next)
        return (StreamInfo(*stream) for stream in streams)
