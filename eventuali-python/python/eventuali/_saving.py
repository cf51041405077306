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
from eventuali.errors import (
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    OutcomeUnknownError,
    SerializationError,
)
from eventuali.event import Event, get_envelope, set_envelope

__all__ = ["Attempt", "Committed", "merged", "of_aggregates", "of_events"]

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
    """One commit: what is sent. Sending it again gives the same answer.

    An aggregate keeps the attempt at its save until it knows what became of it. Several aggregates
    can share one, and copies of an aggregate do.

    Attributes:
        writes: What the extension takes.
        answer: What the commit became, once that is known.
        failed: Whether it is certain that nothing was written.
    """

    __slots__ = ("_batch", "_counts", "_doubtful", "_events", "answer", "failed", "writes")

    def __init__(self, writes: list[Write], batch: Batch, events: Sequence[Event] = ()) -> None:
        self.writes = writes
        self.answer: Committed | None = None
        self.failed = False
        self._batch = batch
        self._events = events
        self._counts = {write[:2]: len(write[3]) for write in writes}
        self._doubtful = False

    def take(self, answer: Answer) -> Committed:
        """Notes that everything was written."""
        positions, versions, recorded_at = answer
        self._batch.positions = positions
        self._batch.recorded_at = recorded_at
        self.answer = Committed(tuple(positions), tuple(versions), utc(recorded_at))
        if self._events and versions[0]:
            self._bind(versions[0] - len(self._events))
        return self.answer

    def fail(self, error: BaseException) -> None:
        """Notes what an error says of the commit.

        Once an attempt was cut off, only a verdict on its content says that it was not written:
        that the store is closed or full now says nothing of the attempt before.
        """
        cut_off = not isinstance(error, Exception) or isinstance(error, OutcomeUnknownError)
        if cut_off:
            self._doubtful = True
        elif not self._doubtful or isinstance(error, _VERDICTS):
            self.failed = True
            self._release()

    def settle(self, aggregate: Aggregate) -> None:
        """Tells an aggregate that keeps this attempt what became of it."""
        if aggregate._pending is not self:
            return
        if self.answer is not None:
            committed(aggregate, self._counts.get((aggregate.__aggregate_type__, aggregate.id), 0))
        elif self.failed:
            set_pending(aggregate, None)

    def _bind(self, before: int) -> None:
        """Tells events that were appended without an aggregate their stream and versions."""
        aggregate_type, aggregate_id = self.writes[0][:2]
        for index, event in enumerate(self._events):
            place = (aggregate_type, aggregate_id, before + index + 1, self._batch, index)
            state = get_envelope(event)
            if type(state) is Envelope and state.batch is self._batch:
                state.bind(*place)
            elif type(state) is tuple and state[4] is self._batch:
                set_envelope(event, (state[0], *place))

    def _release(self) -> None:
        """Frees events that were not appended; they keep their ids."""
        for event in self._events:
            state = get_envelope(event)
            if type(state) is tuple and state[4] is self._batch:
                envelope = Envelope(state[0] // 1000)
                envelope.event_id = UUID(int=self._batch.first + state[5])
                set_envelope(event, envelope)
            elif type(state) is Envelope and state.batch is self._batch:
                state.bind("", "", 0, None, 0)


_VERDICTS = (
    OptimisticConcurrencyError,
    IdempotencyConflictError,
    InvalidEventError,
    SerializationError,
)


def of_aggregates(aggregates: Iterable[Aggregate]) -> Attempt | None:
    """Returns the commit of what the aggregates have not saved; None where that is nothing.

    The aggregates keep it from now on.

    Raises:
        SerializationError: A value would not come back as it is. Nothing has changed.
    """
    batch = Batch(_first_id())
    writes: list[Write] = []
    index = 0
    saved = [aggregate for aggregate in aggregates if aggregate._uncommitted]
    for aggregate in saved:
        events = aggregate._uncommitted[:]
        stream = (aggregate.__aggregate_type__, text("aggregate_id", aggregate.id))
        before = aggregate.version - len(events)
        prepared = _prepare(events, stream, before, batch, index)
        index += len(events)
        writes.append((*stream, before, prepared))
    if not writes:
        return None
    attempt = Attempt(writes, batch)
    for aggregate in saved:
        set_pending(aggregate, attempt)
    return attempt


def of_events(
    events: Sequence[Event], stream: tuple[str, str] | None, expected: int | str
) -> Attempt:
    """Returns the commit of events for one stream, or for none.

    Raises:
        SerializationError: A value would not come back as it is. Nothing has changed.
        InvalidEventError: An event waits in an aggregate to be saved.
    """
    for event in events:
        if _waits(event):
            name = type(event).__name__
            text = f"this {name} was applied to an aggregate; save the aggregate"
            raise InvalidEventError(text, field="event")
    batch = Batch(_first_id())
    aggregate_type, aggregate_id = stream or ("", "")
    prepared = _prepare(events, ("", ""), None, batch, 0)
    return Attempt([(aggregate_type, aggregate_id, expected, prepared)], batch, events)


def merged(answers: Sequence[Committed]) -> Committed:
    """Returns the answer to a save that took several commits."""
    if len(answers) == 1:
        return answers[0]
    positions = tuple(position for answer in answers for position in answer.positions)
    return Committed(positions, answers[-1].versions, answers[-1].recorded_at)


def _waits(event: Event) -> bool:
    state = getattr(event, "_envelope", None)
    if type(state) is tuple:
        version, batch = state[3], state[4]
    elif type(state) is Envelope:
        version, batch = state.version, state.batch
    else:
        return False
    return version != 0 and (batch is None or batch.positions is None)


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
            if kept is Envelope and (state.batch is None or state.batch.positions is None):
                state.event_id = state.event_id or (
                    state.fix_id() if state.batch else UUID(int=first + index)
                )
                state.bind(aggregate_type, aggregate_id, version, batch, index)
            elif kept is tuple and state[4].positions is None:
                # Sent before under another attempt, which failed: the id stays.
                state = _envelope_of(event.meta)
                state.bind(aggregate_type, aggregate_id, version, batch, index)
                set_envelope(event, state)
            else:  # stored: what it is stays as it is
                state = _envelope_of(event.meta)
            prepared.append((kind, state.timestamp, payload, state.event_id.bytes, _given(state)))
        index += 1
    return prepared


def _given(envelope: Envelope) -> Metadata | None:
    """Returns the metadata that was given with an event."""
    metadata: Metadata = (
        _wire_reference(envelope.correlation_id),
        _wire_reference(envelope.causation_id),
        envelope.user_id,
        list(envelope.headers.items()),
        list(envelope.tags),
    )
    return metadata if metadata != _NO_METADATA else None


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
