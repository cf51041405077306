"""Writing: saving the new events of aggregates, and appending events of no aggregate.

Each function is an operation that leaves open how to wait. The two stores differ only in that: one
awaits, the other blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from eventuali._engine.arguments import query_items, stream_name
from eventuali._engine.commit_builder import Write
from eventuali._engine.event_types import EventTypes
from eventuali._engine.inline_commit import Inline
from eventuali._engine.operation import Operation
from eventuali._engine.pending_commit import (
    NOTHING,
    Besides,
    Committed,
    Condition,
    PendingCommit,
    StreamWrite,
    merged,
    of_aggregates,
    of_parts,
)
from eventuali._engine.read import type_of
from eventuali._engine.snapshot_writing import saved
from eventuali._engine.snapshots import Snapshots
from eventuali._engine.tickets import Tickets, within
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.errors import InvalidEventError
from eventuali.event import Event
from eventuali.expected import (
    AppendCondition,
    StreamEvents,
    checked_position,
    several,
    wire,
)
from eventuali.tracking import Tracking, wire_tracking

PLAIN_STREAM = "Stream"
"""The type of a stream that was made without saying one."""
NO_STREAM = ("", "")
"""The stream of events that belong to none."""


def save(
    store: Store,
    event_types: EventTypes,
    aggregates: Sequence[Aggregate],
    inline: Inline | None = None,
    condition: AppendCondition | None = None,
    tracking: Tracking | None = None,
    tickets: Tickets | None = None,
    snapshots: Snapshots | None = None,
) -> Operation[Committed]:
    """Settles what an earlier save left open, then commits the unsaved events of the aggregates."""
    for aggregate in aggregates:
        if not isinstance(aggregate, Aggregate):
            raise TypeError(f"save takes aggregates, not {aggregate!r:.60}")
        event_types.saves(aggregate.__aggregate_type__, aggregate._uncommitted, applied=True)
    if len(aggregates) > 1 and len(set(map(id, aggregates))) < len(aggregates):
        raise given_twice(enumerate(aggregates, 1), "save")
    if tickets is not None and within() is not None:
        changed = (each for each in aggregates if each._uncommitted)
        streams = ((each.__aggregate_type__, each.id) for each in changed)
        tickets.check(store.tenant, streams, "save")
    besides = _besides(condition, tracking)
    untracked = besides.tracking is not None
    commits = []
    while (commit := _open_commit(aggregates, besides)) is not None:
        if not commit.failed:
            if commit.answer is None:
                yield from send(store, commit, aggregates, inline)
            commits.append(commit)
            untracked = untracked and commit.besides.tracking != besides.tracking
        for aggregate in aggregates:
            commit.settle(aggregate)
            if snapshots is not None and (snapshots.every or aggregate.__snapshot_every__):
                saved(snapshots, store, commit, aggregate)
    if untracked or not commits:
        nothing = yield from _nothing(store, (), besides)
    return merged(commits) if commits else nothing


def _open_commit(aggregates: Sequence[Aggregate], besides: Besides) -> PendingCommit | None:
    """Returns a commit that an earlier or concurrent save left open, else one of the new events.

    New events are sent only when nothing is open: two commits at once could overtake each other.
    """
    for aggregate in aggregates:
        if aggregate._pending is not None:
            pending: PendingCommit = aggregate._pending
            return pending
    return of_aggregates(aggregates, besides)


def _nothing(store: Store, writes: Sequence[Write], besides: Besides) -> Operation[Committed]:
    """Commits no events: checks that the store is open and that the expectations hold."""
    yield besides.commit(store, writes)
    return Committed()


def append(
    store: Store,
    event_types: EventTypes,
    events: Iterable[Event | StreamEvents],
    stream: tuple[str, str] | None,
    expected: object,
    condition: AppendCondition | None,
    inline: Inline | None = None,
    tracking: Tracking | None = None,
    tickets: Tickets | None = None,
) -> Operation[Committed]:
    """Commits events of no aggregate."""
    if isinstance(events, Event):
        raise TypeError(f"append takes several events; write append([{type(events).__name__}(…)])")
    if isinstance(events, StreamEvents):
        raise TypeError("append takes a list; write append([StreamEvents(…)])")
    if isinstance(events, Aggregate):  # which is iterable, as any pydantic model
        raise TypeError(f"append takes events; write save(…) for the {type(events).__name__}")
    alone, writes = _apart(several(events))
    wanted = wire(expected)
    where = NO_STREAM if stream is None else stream_name(stream)
    if alone or stream is not None or not writes:
        writes.insert(0, StreamWrite(where, wanted, alone))
    elif wanted != "any":
        raise InvalidEventError("expected= is for the events of stream=", field="expected")
    besides = _besides(condition, tracking)
    check_writes(event_types, writes)
    if tickets is not None and within() is not None:
        streams = (each.stream for each in writes if each.events)
        tickets.check(store.tenant, streams, "write")
    if not any(write.events for write in writes):
        return (yield from _nothing(store, [(*each[0], each[1], []) for each in writes], besides))
    return (yield from send(store, of_parts((), writes, besides), (), inline))


def append_events(
    store: Store,
    event_types: EventTypes,
    aggregate_id: str,
    events: Iterable[Event],
    aggregate_type: str | type[Aggregate] | None,
    expected: object,
    inline: Inline | None = None,
    tickets: Tickets | None = None,
) -> Operation[Committed]:
    """Commits events for the stream of an id."""
    name = (yield from type_of(store, aggregate_id, aggregate_type)) or PLAIN_STREAM
    stream = (name, aggregate_id)
    appending = append(store, event_types, events, stream, expected, None, inline, tickets=tickets)
    return (yield from appending)


def _apart(given: Sequence[Event | StreamEvents]) -> tuple[list[Event], list[StreamWrite]]:
    """Returns events that stand alone, and those that say their stream."""
    alone: list[Event] = []
    writes: list[StreamWrite] = []
    for one in given:
        if isinstance(one, Event):
            alone.append(one)
        elif isinstance(one, StreamEvents):
            writes.append(stream_write(one))
        else:
            raise TypeError(f"append takes events, not {one!r:.60}")
    return alone, writes


def stream_write(given: StreamEvents) -> StreamWrite:
    """Returns events of a stream as they are sent."""
    return StreamWrite(stream_name(given.stream), wire(given.expected), given.events)


def check_writes(event_types: EventTypes, writes: Sequence[StreamWrite]) -> None:
    """Checks that every event stands once among writes, and what its class is."""
    seen: set[int] = set()
    for (aggregate_type, _), _, events in writes:
        count = len(seen) + len(events)
        seen.update(map(id, events))
        if len(seen) < count:
            raise _event_twice(writes)
        event_types.saves(aggregate_type, events, applied=False)


def given_twice(aggregates: Iterable[tuple[int, Aggregate]], what: str) -> InvalidEventError:
    """Returns the error for one of numbered aggregates that stands twice in a save or commit."""
    seen: dict[int, int] = {}
    for number, each in aggregates:
        first = seen.setdefault(id(each), number)
        if first != number:
            text = (
                f"the {type(each).__name__} {each.id!r:.260} is given twice in one {what}, as "
                f"aggregate {first} and as {number}; give it once"
            )
            return InvalidEventError(text, field="aggregates")
    raise AssertionError("no aggregate is given twice")


def _event_twice(writes: Sequence[StreamWrite]) -> InvalidEventError:
    """Returns the error for an event that stands twice in one commit, which says where."""
    places: dict[int, str] = {}
    for (kind, key), _, events in writes:
        for number, event in enumerate(events, 1):
            stream = f"of the {kind} {key!r:.260}" if kind else "of no stream"
            place = f"event {number} {stream}"
            other = places.setdefault(id(event), place)
            if other is not place:
                text = (
                    f"a {type(event).__name__} is given twice in one commit, as {other} and as "
                    f"{place}; make two events"
                )
                return InvalidEventError(text, field="event_id")
    raise AssertionError("no event is given twice")


def _besides(condition: AppendCondition | None, tracking: Tracking | None) -> Besides:
    """Returns what a caller wants besides the events."""
    if condition is None and tracking is None:
        return NOTHING
    conditions = () if condition is None else (checked_condition(condition),)
    return Besides(conditions, wire_tracking(tracking))


def checked_condition(condition: object) -> Condition:
    """Returns a condition as it is sent.

    Raises:
        TypeError: It is not a condition.
        InvalidEventError: Its position is out of range.
    """
    if not isinstance(condition, AppendCondition):
        raise TypeError(f"a condition must be an AppendCondition, not {condition!r:.60}")
    items = query_items(condition.query)
    return list(items), checked_position(condition.after, "after")


def send(
    store: Store,
    commit: PendingCommit,
    aggregates: Sequence[Aggregate] = (),
    inline: Inline | None = None,
) -> Operation[Committed]:
    """Sends a commit, and tells an error to the aggregates that keep it."""
    try:
        if inline is None:
            answer = yield from commit.send(partial(commit.commit, store))
        else:
            answer = yield from inline.commit(commit)
    except BaseException:
        for aggregate in aggregates:
            commit.settle(aggregate)
        raise
    return commit.take(answer)
