"""Writing: what the new events of aggregates become, and events of no aggregate.

Each verb is an operation without a word about how to wait. The two stores differ only in that: one
awaits, the other blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from itertools import islice
from typing import TypeAlias

from eventuali._engine.arguments import query_items, stream_name
from eventuali._engine.commit_builder import Write
from eventuali._engine.event_types import EventTypes
from eventuali._engine.operation import Steps
from eventuali._engine.pending_commit import Attempt, Committed, merged, of_aggregates, of_events
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.errors import InvalidEventError
from eventuali.event import Event
from eventuali.expected import AppendCondition, wire
from eventuali.expected import position as checked
from eventuali.query import Item

Condition: TypeAlias = tuple[list[Item], int]

COMMIT = 10_000
"""The most events that a commit holds."""


def save(store: Store, classes: EventTypes, aggregates: Sequence[Aggregate]) -> Steps[Committed]:
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
    classes: EventTypes,
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
    where = None if stream is None else stream_name(stream)
    if not listed:
        return (yield from _nothing(store, [(*(where or ("", "")), wanted, [])], conditions))
    classes.saves("" if where is None else where[0], listed, applied=False)
    attempt = of_events(listed, where, wanted)
    return (yield from _send(store, attempt, (), conditions))


def several(events: Iterable[Event]) -> list[Event]:
    """Returns the events of a commit; where there may be no end, no more than are refused."""
    return list(events if isinstance(events, Sized) else islice(events, COMMIT + 1))


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
