"""What a save sends, and what becomes of the events when its answer comes, or doesn't."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import time_ns
from typing import Any, TypeAlias
from uuid import UUID

from eventuali._decode import encode
from eventuali._envelope import Batch, Envelope, EventMeta, utc, uuid7
from eventuali._eventuali import Kind
from eventuali._names import text
from eventuali.aggregate import Aggregate, committed, set_pending
from eventuali.event import Event, get_envelope, set_envelope

__all__ = ["Attempt", "Committed", "of_aggregates", "of_events"]

Metadata: TypeAlias = tuple[
    bytes | str | None, bytes | str | None, str | None, list[tuple[str, str]], list[str]
]
WireEvent: TypeAlias = tuple[Kind, int, bytes, bytes, Metadata | None]
Write: TypeAlias = tuple[str, str, Any, list[WireEvent]]
Answer: TypeAlias = tuple[list[int], list[int], int]


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit became.

    Attributes:
        positions: The position of each event in the log, in the order of the commit.
        versions: The version of each stream after its last event, in the order of the commit.
        recorded_at: The store's time of the commit, aware, UTC; None where there were no events.
    """

    positions: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    recorded_at: datetime | None = None

    @property
    def position(self) -> int | None:
        """The position of the last event; None where there were no events."""
        return self.positions[-1] if self.positions else None


class Attempt:
    """One commit: what is sent, and for whom. Sending it again gives the same answer.

    Attributes:
        writes: What the extension takes.
        aggregates: Those whose events these are, with how many of them.
    """

    __slots__ = ("_batch", "_events", "_settled", "aggregates", "writes")

    def __init__(
        self,
        writes: list[Write],
        batch: Batch,
        aggregates: Sequence[tuple[Aggregate, int]],
        events: Sequence[Event] = (),
    ) -> None:
        self.writes = writes
        self.aggregates = aggregates
        self._batch = batch
        self._events = events
        self._settled = False

    def begin(self) -> None:
        """Marks the aggregates: until there is an answer, this is what a save repeats."""
        for aggregate, _ in self.aggregates:
            set_pending(aggregate, self)

    def fail(self) -> None:
        """Notes that nothing was written, for certain."""
        for aggregate, _ in self.aggregates:
            if aggregate._pending is self:
                set_pending(aggregate, None)

    def settle(self, answer: Answer) -> Committed:
        """Notes that everything was written."""
        positions, versions, recorded_at = answer
        self._batch.positions = positions
        self._batch.recorded_at = recorded_at
        if not self._settled:
            self._settled = True
            for aggregate, count in self.aggregates:
                committed(aggregate, count)
            if self._events and versions[0]:
                self._number(versions[0] - len(self._events))
        return Committed(tuple(positions), tuple(versions), utc(recorded_at))

    def _number(self, before: int) -> None:
        """Tells events that were appended without an aggregate their versions."""
        aggregate_type, aggregate_id = self.writes[0][:2]
        for index, event in enumerate(self._events):
            state = get_envelope(event)
            if type(state) is Envelope and state.batch is self._batch:
                state.bind(aggregate_type, aggregate_id, before + index + 1, self._batch, index)
            elif type(state) is tuple and state[4] is self._batch:
                bound = (state[0], aggregate_type, aggregate_id, before + index + 1, *state[4:])
                set_envelope(event, bound)


def of_aggregates(aggregates: Iterable[Aggregate]) -> Attempt | None:
    """Returns the commit of what the aggregates have not saved; None where that is nothing.

    Raises:
        SerializationError: A value would not come back as it is. Nothing has changed.
    """
    batch = Batch(_first_id())
    writes: list[Write] = []
    saved = []
    index = 0
    for aggregate in aggregates:
        events = aggregate._uncommitted[:]
        if not events:
            continue
        stream = (aggregate.__aggregate_type__, text("aggregate_id", aggregate.id))
        before = aggregate.version - len(events)
        prepared = _prepare(events, stream, before, batch, index)
        index += len(events)
        writes.append((*stream, before, prepared))
        saved.append((aggregate, len(events)))
    return Attempt(writes, batch, saved) if writes else None


def of_events(
    events: Sequence[Event], stream: tuple[str, str] | None, expected: int | str
) -> Attempt:
    """Returns the commit of events for one stream, or for none.

    Raises:
        SerializationError: A value would not come back as it is. Nothing has changed.
    """
    batch = Batch(_first_id())
    aggregate_type, aggregate_id = stream or ("", "")
    prepared = _prepare(events, (aggregate_type, aggregate_id), None, batch, 0)
    write = (aggregate_type, aggregate_id, expected, prepared)
    return Attempt([write], batch, (), events)


def _first_id() -> int:
    # With one bit clear, the ids that follow stay within the random part of a UUIDv7.
    return uuid7(time_ns()).int & ~(1 << 61)


def _prepare(
    events: Sequence[Event],
    stream: tuple[str, str],
    before: int | None,
    batch: Batch,
    index: int,
) -> list[WireEvent]:
    encoded = [encode(event) for event in events]
    prepared: list[WireEvent] = []
    aggregate_type, aggregate_id = stream
    first = batch.first
    version = before or 0
    step = 0 if before is None else 1
    for event, (kind, payload) in zip(events, encoded, strict=True):
        version += step
        try:
            state = get_envelope(event)
        except AttributeError:  # made by pydantic, inside of another model
            state = time_ns()
        kept = type(state)
        if kept is int or (kept is tuple and state[4] is None):
            ns = state if kept is int else state[0]
            set_envelope(event, (ns, aggregate_type, aggregate_id, version, batch, index))
            prepared.append((kind, ns // 1000, payload, (first + index).to_bytes(16), None))
        else:
            bound = _bound(event, state, stream, version, batch, index)
            prepared.append((kind, *bound[:1], payload, *bound[1:]))
        index += 1
    return prepared


def _bound(
    event: Event, state: Any, stream: tuple[str, str], version: int, batch: Batch, index: int
) -> tuple[int, bytes, Metadata | None]:
    """Binds an event that has an id or metadata; returns its time in µs, its id and the rest."""
    if type(state) is not Envelope:
        state = _envelope_of(event.meta)
        set_envelope(event, state)
    if state.event_id is None:
        state.event_id = UUID(int=batch.first + index) if state.batch is None else state.fix_id()
    state.bind(*stream, version, batch, index)
    metadata: Metadata = (
        _wire_reference(state.correlation_id),
        _wire_reference(state.causation_id),
        state.user_id,
        list(state.headers.items()),
        list(state.tags),
    )
    given = metadata if metadata != _NO_METADATA else None
    return state.timestamp, state.event_id.bytes, given


_NO_METADATA: Metadata = (None, None, None, [], [])


def _envelope_of(meta: EventMeta) -> Envelope:
    """Returns what an event that was stored or tried before takes along."""
    epoch = utc(0)
    since = meta.timestamp - epoch
    envelope = Envelope((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds)
    envelope.event_id = meta.event_id
    envelope.correlation_id = meta.correlation_id
    envelope.causation_id = meta.causation_id
    envelope.user_id = meta.user_id
    envelope.headers = meta.headers  # type: ignore[assignment]
    envelope.tags = meta.tags
    return envelope


def _wire_reference(reference: UUID | str | None) -> bytes | str | None:
    return reference.bytes if isinstance(reference, UUID) else reference
