"""The verbs of a store, without a word about how to wait.

Each verb is work in steps. The two stores differ only in how they wait: one awaits, the other
blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar

from eventuali._engine.commit_builder import Write
from eventuali._engine.decode import Columns, Decoders, EventClasses, Replay
from eventuali._engine.operation import Steps
from eventuali._engine.pending_commit import Attempt, Committed, merged, of_aggregates, of_events
from eventuali._eventuali import Page, Pending, Store
from eventuali.aggregate import Aggregate, check_replayed
from eventuali.errors import AggregateNotFoundError, InvalidEventError
from eventuali.event import Event
from eventuali.event._envelope import since_epoch
from eventuali.event._names import text
from eventuali.expected import AppendCondition, at_least, wire
from eventuali.expected import position as checked
from eventuali.query import Item, Query

A = TypeVar("A", bound=Aggregate)

Condition: TypeAlias = tuple[list[Item], int]

COMMIT = 10_000
"""The most events that a commit holds."""
PAGE = 1000
"""Events a page: large enough to hide the hand-over, small enough to stay in the cache."""
_NO_BOUND = 2**63 - 1


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """A stream as the store knows it.

    Attributes:
        aggregate_type: Its type.
        aggregate_id: Its id.
        version: The version of its last event.
        last_position: The position of its last event.
    """

    aggregate_type: str
    aggregate_id: str
    version: int
    last_position: int


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far the log is settled, and who holds its readers back.

    On PostgreSQL, readers of the whole log wait for writers that have begun below what they would
    read next. Where that takes long, somebody writes and does not come to an end.

    Attributes:
        position: Whoever reads the whole log sees everything up to here, and nothing above.
        last_position: The last event that is stored. What lies between the two is not read yet.
        writers: How many transactions are writing now; in memory and on SQLite always 0, where no
            reader waits for a writer.
        open_for: How long the oldest of them has been open, by the server's clock; None where there
            is none, or where it is another user's, whose sessions PostgreSQL does not show.
    """

    position: int
    last_position: int
    writers: int
    open_for: timedelta | None


def horizon(store: Store) -> Steps[Horizon]:
    """Looks how far the log is settled."""
    position, last_position, writers, micros = yield store.horizon()
    open_for = None if micros is None else timedelta(microseconds=micros)
    return Horizon(position, last_position, writers, open_for)


def save(store: Store, classes: EventClasses, aggregates: Sequence[Aggregate]) -> Steps[Committed]:
    """Commits what the aggregates have not saved, after what an earlier save left open."""
    for aggregate in aggregates:
        if not isinstance(aggregate, Aggregate):
            raise TypeError(f"save takes aggregates, not {aggregate!r:.60}")
        classes.saves(aggregate.__aggregate_type__, aggregate._uncommitted, applied=True)
    if len(aggregates) > 1 and len(set(map(id, aggregates))) < len(aggregates):
        raise InvalidEventError("an aggregate stands twice in one save", field="aggregates")
    attempts = []
    while (attempt := _attempt(aggregates)) is not None:
        if not attempt.failed:
            if attempt.answer is None:
                yield from _send(store, attempt, aggregates)
            attempts.append(attempt)
        for aggregate in aggregates:
            attempt.settle(aggregate)
    return merged(attempts) if attempts else (yield from _nothing(store))


def _attempt(aggregates: Sequence[Aggregate]) -> Attempt | None:
    """Returns what an earlier save left open, or another task's save has begun; else what is new.

    New events are sent only when nothing is open: two commits at once could overtake each other.
    """
    for aggregate in aggregates:
        if aggregate._pending is not None:
            pending: Attempt = aggregate._pending
            return pending
    return of_aggregates(aggregates)


def _nothing(
    store: Store, writes: Sequence[Write] = (), conditions: Sequence[Condition] = ()
) -> Steps[Committed]:
    """Commits no events, which a closed store refuses all the same, and whatever does not hold."""
    yield store.commit(writes, conditions)
    return Committed()


def append(
    store: Store,
    classes: EventClasses,
    events: Iterable[Event],
    stream: tuple[str, str] | None,
    expected: object,
    condition: AppendCondition | None,
) -> Steps[Committed]:
    """Commits events of no aggregate."""
    if isinstance(events, Event):
        raise TypeError(f"append takes several events; write append([{type(events).__name__}(…)])")
    if isinstance(events, Aggregate):  # which is iterable, as any pydantic model
        raise TypeError(f"append takes events; write save(…) for the {type(events).__name__}")
    listed = several(events)
    for event in listed:
        if not isinstance(event, Event):
            raise TypeError(f"append takes events, not {event!r:.60}")
    if len({id(event) for event in listed}) < len(listed):
        raise InvalidEventError("an event stands twice in one commit", field="event_id")
    wanted = wire(expected)
    conditions: list[Condition] = []
    if condition is not None:
        if not isinstance(condition, AppendCondition):
            raise TypeError(f"a condition is an AppendCondition, not {condition!r:.60}")
        query_items(condition.query)
        after = checked(condition.after, "after")
        conditions.append((list(condition.query.items), after))
    where = None if stream is None else _stream(stream)
    if not listed:
        return (yield from _nothing(store, [(*(where or ("", "")), wanted, [])], conditions))
    classes.saves("" if where is None else where[0], listed, applied=False)
    attempt = of_events(listed, where, wanted)
    return (yield from _send(store, attempt, (), conditions))


def several(events: Iterable[Event]) -> list[Event]:
    """Returns the events of a commit; where there may be no end, no more than are refused."""
    return list(events if isinstance(events, Sized) else islice(events, COMMIT + 1))


def _stream(stream: object) -> tuple[str, str]:
    if not (isinstance(stream, tuple) and len(stream) == 2):
        raise TypeError(f"a stream is (aggregate_type, aggregate_id), not {stream!r:.60}")
    aggregate_type, aggregate_id = stream
    return type_name(aggregate_type), text("aggregate_id", aggregate_id)


def _send(
    store: Store,
    attempt: Attempt,
    aggregates: Sequence[Aggregate] = (),
    conditions: Sequence[Condition] = (),
) -> Steps[Committed]:
    attempt.begin()
    try:
        answer = yield store.commit(attempt.outgoing.writes, conditions)
    except BaseException as error:
        attempt.fail(error)
        for aggregate in aggregates:
            attempt.settle(aggregate)
        raise
    return attempt.take(answer)


class _Bounds(TypedDict, total=False):
    until_version: int
    recorded_until: int


class _Times(TypedDict, total=False):
    recorded_from: int
    recorded_until: int


def load(
    store: Store,
    cls: type[A],
    aggregate_id: str,
    at_version: int | None,
    at_time: datetime | None,
    by: Literal["recorded_at", "timestamp"],
) -> Steps[A | None]:
    """Rebuilds an aggregate from its events; None where nothing was ever stored."""
    aggregate_class(cls, "load")
    bounds: _Bounds = {}
    happened_until = None
    if by not in ("recorded_at", "timestamp"):
        raise InvalidEventError(f"by is 'recorded_at' or 'timestamp', not {by!r:.60}", field="by")
    if at_version is not None and at_time is not None:
        raise TypeError("an earlier state is that at a version or at a time, not both")
    if at_version is not None:
        bounds["until_version"] = checked(at_version, "at_version")
    if at_time is not None:
        until = _microseconds(at_time, "at_time")
        if by == "recorded_at":
            bounds["recorded_until"] = until
        else:
            happened_until = until
    name = cls.__aggregate_type__
    key = text("aggregate_id", aggregate_id)
    item: Item = (name, key, (), (), (), None)
    pending: Pending | None = store.read([item], limit=PAGE, **bounds)
    replay = Replay(cls)
    aggregate: A | None = None
    seen = 0
    while pending is not None:
        page: Page = yield pending
        seen = page.last_version or seen
        # The next page is read while this one is decoded.
        pending = None
        if not page.end:
            pending = store.read(
                [item],
                after=page.looked_to,
                after_version=seen,
                limit=PAGE,
                **bounds,
            )
        if len(page):
            aggregate = aggregate or cls(id=key)
            columns = page.columns()
            if happened_until is not None and _cut(columns, happened_until):
                pending = None
            replay.apply(aggregate, columns)
            check_replayed(aggregate)
    if aggregate is not None and at_version is not None and aggregate.version < at_version:
        raise InvalidEventError(
            f"{name} {key!r:.260} is at version {aggregate.version}, and at_version={at_version} "
            "is exact",
            field="at_version",
        )
    if aggregate is None and (at_version is not None or at_time is not None):
        streams, _ = yield store.streams(name, key, None, 1)
        return cls(id=key) if streams else None
    return aggregate


def _cut(columns: Columns, until: int) -> bool:
    """Drops what follows the first event that happened later; whether there was one."""
    for index, row in enumerate(columns[2]):
        if row.timestamp > until:
            for column in columns:
                del column[index:]
            return True
    return False


def load_one(store: Store, cls: type[A], aggregate_id: str, *bounds: Any) -> Steps[A]:
    """Like `load`, but an aggregate that was never stored is an error."""
    aggregate = yield from load(store, cls, aggregate_id, *bounds)
    if aggregate is None:
        name = cls.__aggregate_type__
        raise AggregateNotFoundError(
            f"nothing is stored of {name} {aggregate_id!r:.260}",
            aggregate_type=name,
            aggregate_id=aggregate_id,
        )
    return aggregate


class Reading:
    """A reading in progress: `pending` is the page that is on its way, None at the end.

    Attributes:
        last: The last event of the page at hand that was given out; whoever gives them sets it.
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
        backwards: bool = False,
        after_version: int = 0,
    ) -> None:
        """Checks what is asked for; the first look at `pending` begins to read.

        Raises:
            TypeError: A number is no int, or a time no datetime.
            InvalidEventError: A number is out of range, or a time has no time zone.
        """
        self._store = store
        self._decoders = decoders
        self._items = items
        self._backwards = backwards
        self._left = None if limit is None else at_least(0, limit, "limit")
        last = _NO_BOUND if before is None else checked(before, "before") - 1
        self._after, self._until = checked(after, "after"), last
        self._after_version = after_version
        self._times: _Times = {}
        if since is not None:
            self._times["recorded_from"] = _microseconds(since, "since")
        if until is not None:
            self._times["recorded_until"] = _microseconds(until, "until") - 1
        self._begun = False
        self._bounded = backwards
        self._first: Page | None = None  # until it is known where the log ends
        self._given: Page | None = None
        self._pending: Pending | None = None
        self._looked_to = min(last + 1, _NO_BOUND) if backwards else self._after
        self.last: Event | None = None

    @property
    def pending(self) -> Pending | None:
        """The page that is on its way; None at the end."""
        if not self._begun:
            self._begun = True
            self._pending = self._begin()
        return self._pending

    @property
    def position(self) -> int:
        """How far the reading has looked: what matches up to here, or down to here, was given."""
        last = None if self.last is None else self.last.meta.position
        return self._looked_to if last is None else last

    def _begin(self) -> Pending | None:
        if self._left == 0 or self._until <= self._after:
            return None
        return self._store.read(
            self._items,
            after=self._after,
            until=self._until,
            after_version=self._after_version,
            backwards=self._backwards,
            limit=PAGE if self._left is None else min(PAGE, self._left),
            **self._times,
        )

    def take(self, answer: Any) -> Iterator[Event]:
        """Sends for the next page, and returns the events of the one that has arrived.

        Where the first page is not the last, nothing is given before it is known where the log
        ends: what is appended while its events are handled lies behind that.
        """
        page: Page = answer
        if self._first is not None:
            page, self._first = self._first, None
            self._until = min(self._until, answer[1])
        elif not self._bounded and not page.end:
            self._first, self._bounded = page, True
            self._pending = self._store.horizon()
            return iter(())
        if self._left is not None:
            self._left -= len(page)
        if self._backwards:
            self._until = page.looked_to - 1
        else:
            self._after = page.looked_to
        self._given = page
        self._pending = None if page.end else self._begin()
        return self._decoders.events(page.columns())

    def done(self) -> None:
        """Notes that every event that `take` returned was given out."""
        if self._given is not None:
            self.last, self._looked_to, self._given = None, self._given.looked_to, None


def load_events(
    store: Store,
    classes: EventClasses,
    aggregate_id: str,
    aggregate_type: str | type[Aggregate] | None,
    from_version: int,
) -> Steps[list[Event]]:
    """Returns the events of one aggregate."""
    first = checked(from_version, "from_version")
    name = yield from _type_of(store, aggregate_id, aggregate_type)
    if name is None:
        return []
    item: Item = (name, aggregate_id, (), (), (), None)
    reading = Reading(
        store,
        classes.decoders(raw=False),
        [item],
        after_version=max(first - 1, 0),
    )
    return (yield from _all(reading))


def load_events_by_type(
    store: Store, classes: EventClasses, aggregate_type: str | type[Aggregate]
) -> Steps[list[Event]]:
    """Returns the events of all aggregates of a type."""
    item: Item = (type_name(aggregate_type), None, (), (), (), None)
    decoders = classes.decoders(raw=False)
    reading = Reading(store, decoders, [item])
    return (yield from _all(reading))


def _all(reading: Reading) -> Steps[list[Event]]:
    events: list[Event] = []
    while (pending := reading.pending) is not None:
        events += reading.take((yield pending))
    return events


def version(
    store: Store, aggregate_id: str, aggregate_type: str | type[Aggregate] | None
) -> Steps[int | None]:
    """Returns the version of an aggregate; None where nothing was ever stored."""
    name = yield from _type_of(store, aggregate_id, aggregate_type)
    if name is None:
        return None
    streams, _ = yield store.streams(name, aggregate_id, None, 1)
    return streams[0][2] if streams else None


def _type_of(
    store: Store, aggregate_id: str, aggregate_type: str | type[Aggregate] | None
) -> Steps[str | None]:
    """Returns the one type that has an aggregate of this id."""
    key = text("aggregate_id", aggregate_id)
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
    """A listing of streams in progress: `pending` is what is on its way, None at the end.

    It ends where the log ended when it began: streams that come meanwhile are left out.
    """

    def __init__(self, store: Store, aggregate_type: str | type[Aggregate] | None) -> None:
        self._store = store
        self._type = None if aggregate_type is None else type_name(aggregate_type)
        self._end: int | None = None
        self._streams: list[Any] | None = None
        self._next: tuple[str, str] | None = None
        self._late: list[Any] = []  # of these streams, the first event may come after the end
        self.pending: Pending | None = self._begin(None)

    def _begin(self, after: tuple[str, str] | None) -> Pending:
        return self._store.streams(self._type, None, after, PAGE)

    def take(self, answer: Any) -> Iterator[StreamInfo]:
        """Returns the streams that are known to be listed, and sends for what comes next."""
        if self._streams is None:
            self._streams, self._next = answer
            if self._end is None and self._next is not None:
                self.pending = self._store.horizon()
                return iter(())
            end = _NO_BOUND if self._end is None else self._end
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


def query_items(query: object) -> Sequence[Item]:
    """Returns the items of a query."""
    if not isinstance(query, Query):
        raise TypeError(f"a query is a Query, not {query!r:.60}")
    return list(query.items)


def aggregate_class(cls: type[A], verb: str) -> type[A]:
    """Returns a class of aggregates.

    Raises:
        TypeError: It is none.
    """
    if not (isinstance(cls, type) and issubclass(cls, Aggregate) and cls is not Aggregate):
        raise TypeError(f"{verb} takes the class of an aggregate, not {cls!r:.60}")
    return cls


def type_name(aggregate_type: object) -> str:
    """Returns the wire name of an aggregate type that is given by name or class."""
    if isinstance(aggregate_type, type) and issubclass(aggregate_type, Aggregate):
        return aggregate_class(aggregate_type, "aggregate_type").__aggregate_type__
    return text("aggregate_type", aggregate_type)


def _microseconds(time: object, name: str) -> int:
    if not isinstance(time, datetime):
        raise TypeError(f"{name} is a datetime, not {time!r:.60}")
    microseconds = since_epoch(time)
    if microseconds is None:
        raise InvalidEventError(f"{name} {time} has no time zone", field=name)
    return microseconds
