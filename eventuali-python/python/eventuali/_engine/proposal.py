"""What a decision or a unit of work wants stored: one commit, sent until its outcome is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias
from uuid import UUID, uuid4

from pydantic import BaseModel

from eventuali._engine.commit_builder import LastEvent
from eventuali._engine.event_types import EventTypes
from eventuali._engine.inline_commit import Inline
from eventuali._engine.operation import Operation
from eventuali._engine.pace import Key
from eventuali._engine.pending_commit import (
    Besides,
    Committed,
    Condition,
    PendingCommit,
    Record,
    StreamWrite,
    of_parts,
)
from eventuali._engine.snapshot_writing import saved
from eventuali._engine.snapshots import Snapshots
from eventuali._engine.write import NO_STREAM, check_writes, given_twice, send, stream_write
from eventuali._eventuali import Store
from eventuali.aggregate import Aggregate
from eventuali.errors import InvalidEventError
from eventuali.event import Event
from eventuali.expected import COMMIT, StreamEvents

Part: TypeAlias = Event | Aggregate | StreamEvents
Proposed: TypeAlias = Part | Iterable[Part] | None
"""What is to be stored."""
Recording: TypeAlias = Callable[[LastEvent | None], Record]
"""Makes the record of an answer, which says what the last event of its commit is."""


class Proposal:
    """The new events of aggregates, and events of none, for one commit.

    Attributes:
        aggregates: The aggregates that have new events.
        writes: The events of no aggregate.
        conditions: The conditions on which all of it is stored.
    """

    def __init__(
        self,
        aggregates: Sequence[Aggregate],
        writes: Sequence[StreamWrite],
        conditions: Sequence[Condition],
        recording: Recording | None = None,
        *,
        checked: bool = False,
    ) -> None:
        """Takes the parts.

        Args:
            aggregates: Aggregates, with new events or without.
            writes: Events of no aggregate.
            conditions: The conditions on which all of it is stored.
            recording: Makes a record that is stored with it.
            checked: Whether conditions and versions are to be checked if there is nothing to store.

        Raises:
            InvalidEventError: An aggregate occurs twice, or its last save is still open.
        """
        self.aggregates = [each for each in aggregates if each._uncommitted]
        self.writes = writes
        self.conditions = conditions
        self._recording = recording
        self._checked = checked
        self._commit: PendingCommit | None = None
        if len(set(map(id, self.aggregates))) < len(self.aggregates):
            numbered = ((n, each) for n, each in enumerate(aggregates, 1) if each._uncommitted)
            raise given_twice(numbered, "commit")
        for each in self.aggregates:
            if each._pending is not None:
                text = (
                    f"the outcome of an earlier save of the {type(each).__name__} {each.id!r:.260} "
                    "is unknown; save it again first"
                )
                raise InvalidEventError(text, field="aggregates")

    @property
    def empty(self) -> bool:
        """Whether there is nothing to store, and nothing to check."""
        return not (self._checked or self._recording or self._has_events)

    @property
    def _has_events(self) -> bool:
        return bool(self.aggregates) or any(write.events for write in self.writes)

    def send(
        self,
        store: Store,
        event_types: EventTypes,
        inline: Inline | None,
        snapshots: Snapshots,
    ) -> Operation[Committed]:
        """Sends it, or sends the same again; nothing is stored twice."""
        commit = self._commit
        if commit is None or commit.failed:
            commit = self._commit = self._made(event_types)
        if not commit.builder.count:
            yield commit.commit(store)
            return Committed()
        committed = yield from send(store, commit, self.aggregates, inline)
        for each in self.aggregates:
            commit.settle(each)
            if snapshots.every or each.__snapshot_every__:
                saved(snapshots, store, commit, each)
        return committed

    def _made(self, event_types: EventTypes) -> PendingCommit:
        for each in self.aggregates:
            event_types.saves(each.__aggregate_type__, each._uncommitted, applied=True)
        check_writes(event_types, self.writes)
        besides = Besides(self.conditions, id=None if self._has_events else uuid4())
        commit = of_parts(self.aggregates, self.writes, besides)
        if self._recording is not None:
            record = self._recording(commit.builder.last_event())
            commit.besides = besides._replace(records=[record])
        return commit

    def keys(self, tenant: str) -> set[Key]:
        """Returns the lines of the streams for which it has events."""
        changed = {(tenant, each.__aggregate_type__, each.id) for each in self.aggregates}
        streams = (write.stream for write in self.writes if write.events)
        return changed | {(tenant, *stream) for stream in streams if stream != NO_STREAM}

    def event_ids(self) -> list[UUID]:
        """Returns the ids of its events, in the order of the commit."""
        return [event.meta.event_id for event in self.events()]

    def events(self) -> Iterator[Event]:
        """Yields its events, in the order of the commit."""
        for each in self.aggregates:
            yield from each._uncommitted
        for write in self.writes:
            yield from write.events


def proposed(given: Proposed, conditions: Sequence[Condition]) -> Proposal:
    """Returns what a decision wants stored.

    Raises:
        TypeError: It is something else.
        InvalidEventError: An aggregate is in it twice, or its last save is still open.
    """
    if given is None:
        parts: list[Part] = []
    elif isinstance(given, Event | Aggregate | StreamEvents):  # some of which are iterable
        parts = [given]
    elif isinstance(given, Iterable) and not isinstance(given, str | bytes | BaseModel):
        parts = list(islice(given, COMMIT + 1))
    else:
        raise TypeError(f"a decision must return events, aggregates or None, not {given!r:.60}")
    alone = [part for part in parts if isinstance(part, Event)]
    aggregates = [part for part in parts if isinstance(part, Aggregate)]
    streams = [stream_write(part) for part in parts if isinstance(part, StreamEvents)]
    if len(alone) + len(aggregates) + len(streams) < len(parts):
        others = (part for part in parts if not isinstance(part, Event | Aggregate | StreamEvents))
        raise TypeError(
            f"a decision must return events, aggregates or None, not {next(others)!r:.60}"
        )
    writes = [StreamWrite(NO_STREAM, "any", alone), *streams] if alone else streams
    return Proposal(aggregates, writes, conditions)
