"""Writing: saving the new events of aggregates, and appending events of no aggregate.

Each function is an operation that leaves open how to wait. The two stores differ only in that: one
awaits, the other blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from itertools import islice
from typing import TypeAlias

from eventuali._engine.arguments import query_items, stream_name
from eventuali._engine.commit_builder import Write
from eventuali._engine.event_types import EventTypes
from eventuali._engine.inline_commit import Inline
from eventuali._engine.operation import Operation
from eventuali._engine.pending_commit import (
    Committed,
    PendingCommit,
    merged,
    of_aggregates,
    of_events,
)
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.errors import InvalidEventError
from eventuali.event import Event
from eventuali.expected import AppendCondition, checked_position, wire
from eventuali.query import Item
from eventuali.tracking import Tracking, wire_tracking

Condition: TypeAlias = tuple[list[Item], int]

COMMIT = 10_000
"""The most events that a commit holds."""


def save(
    store: Store,
    event_types: EventTypes,
    aggregates: Sequence[Aggregate],
    inline: Inline | None = None,
    tracking: Tracking | None = None,
) -> Operation[Committed]:
    """Settles what an earlier save left open, then commits the unsaved events of the aggregates."""
    for aggregate in aggregates:
        if not isinstance(aggregate, Aggregate):
            raise TypeError(f"save takes aggregates, not {aggregate!r:.60}")
        event_types.saves(aggregate.__aggregate_type__, aggregate._uncommitted, applied=True)
    if len(aggregates) > 1 and len(set(map(id, aggregates))) < len(aggregates):
        raise InvalidEventError("an aggregate is given twice in one save", field="aggregates")
    tracked = wire_tracking(tracking)
    untracked = tracked is not None
    commits = []
    while (commit := _open_commit(aggregates, tracked)) is not None:
        if not commit.failed:
            if commit.answer is None:
                yield from _send(store, commit, aggregates, (), inline)
            commits.append(commit)
            untracked = untracked and commit.tracking != tracked
        for aggregate in aggregates:
            commit.settle(aggregate)
    if untracked or not commits:
        nothing = yield from _nothing(store, tracking=tracked)
    return merged(commits) if commits else nothing


def _open_commit(
    aggregates: Sequence[Aggregate], tracked: tuple[str, int] | None
) -> PendingCommit | None:
    """Returns a commit that an earlier or concurrent save left open, else one of the new events.

    New events are sent only when nothing is open: two commits at once could overtake each other.
    """
    for aggregate in aggregates:
        if aggregate._pending is not None:
            pending: PendingCommit = aggregate._pending
            return pending
    return of_aggregates(aggregates, tracked)


def _nothing(
    store: Store,
    writes: Sequence[Write] = (),
    conditions: Sequence[Condition] = (),
    tracking: tuple[str, int] | None = None,
) -> Operation[Committed]:
    """Commits no events: checks that the store is open and that the expectations hold."""
    yield store.commit(writes, conditions, tracking=tracking)
    return Committed()


def append(
    store: Store,
    event_types: EventTypes,
    events: Iterable[Event],
    stream: tuple[str, str] | None,
    expected: object,
    condition: AppendCondition | None,
    inline: Inline | None = None,
    tracking: Tracking | None = None,
) -> Operation[Committed]:
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
        raise InvalidEventError("an event is given twice in one commit", field="event_id")
    wanted = wire(expected)
    conditions: list[Condition] = []
    if condition is not None:
        if not isinstance(condition, AppendCondition):
            raise TypeError(f"a condition must be an AppendCondition, not {condition!r:.60}")
        query_items(condition.query)
        after = checked_position(condition.after, "after")
        conditions.append((list(condition.query.items), after))
    where = None if stream is None else stream_name(stream)
    tracked = wire_tracking(tracking)
    if not listed:
        write: Write = (*(where or ("", "")), wanted, [])
        return (yield from _nothing(store, [write], conditions, tracked))
    event_types.saves("" if where is None else where[0], listed, applied=False)
    commit = of_events(listed, where, wanted, tracked)
    return (yield from _send(store, commit, (), conditions, inline))


def several(events: Iterable[Event]) -> list[Event]:
    """Returns the events of a commit; of an endless iterable, one more than the limit."""
    return list(events if isinstance(events, Sized) else islice(events, COMMIT + 1))


def _send(
    store: Store,
    commit: PendingCommit,
    aggregates: Sequence[Aggregate] = (),
    conditions: Sequence[Condition] = (),
    inline: Inline | None = None,
) -> Operation[Committed]:
    try:
        if inline is None:
            answer = yield from commit.send(
                lambda: store.commit(commit.builder.writes, conditions, tracking=commit.tracking)
            )
        else:
            answer = yield from inline.commit(commit, conditions)
    except BaseException:
        for aggregate in aggregates:
            commit.settle(aggregate)
        raise
    return commit.take(answer)
