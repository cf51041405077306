"""The content of a commit: runs of events that share a kind, metadata and a sequence of ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias
from uuid import UUID

from eventuali._engine.encode import Wire, as_stored, encoded, wire
from eventuali._eventuali import Kind, applied_in_order
from eventuali.event import Event, UnknownEvent
from eventuali.event._envelope import Envelope, EventMeta, IdRange, utc
from eventuali.event._slot import adopt, content, in_range, part_of_commit, take_own_tags

Metadata: TypeAlias = tuple[
    bytes | str | None, bytes | str | None, str | None, list[tuple[str, str]], list[str]
]
Run: TypeAlias = tuple[Kind, bytes, list[int], list[bytes], Metadata | None]
"""(kind, id of the first event, times in µs, payloads, metadata of each)"""
Write: TypeAlias = tuple[str, str, int | str, list[Run]]
"""(aggregate type, aggregate id, expected version, runs)"""
Place: TypeAlias = tuple[str, str, int]
"""(aggregate type, aggregate id, version)"""


class LastEvent(NamedTuple):
    """The last event of a commit; version 0 if it is not known before."""

    event_id: UUID
    aggregate_type: str
    aggregate_id: str
    version: int


class Part(NamedTuple):
    """Events of one class that follow one another, encoded."""

    kind: Kind
    events: Sequence[Event]
    payloads: list[bytes]


def encode(events: Sequence[Event]) -> list[Part]:
    """Encodes events; changes nothing but the tags that their classes add.

    Raises:
        SerializationError: A value would not come back as it is; `path` says which.
        InvalidEventError: A class adds a tag that is not a valid name.
    """
    if len(set(map(type, events))) == 1:
        return _parts(type(events[0]), events)
    return [part for cls, same in groupby(events, type) for part in _parts(cls, list(same))]


def _parts(cls: type[Event], events: Sequence[Event]) -> list[Part]:
    if issubclass(cls, UnknownEvent):
        return [Part(*as_stored(event)) for event in events if isinstance(event, UnknownEvent)]
    how: Wire = cls.__codec__ or wire(cls)
    if cls.__says_tags__:
        for event in events:
            take_own_tags(event)
    return [Part(how.kind, events, encoded(how, events))]


class CommitBuilder:
    """The events of one commit.

    Attributes:
        writes: The arguments for the extension.
        ids: The ids of events that are in no other range, numbered as in the commit.
        ranges: All ranges of ids with events in the commit.
        count: The number of events.
        counts: The number of events for each stream.
        events: For each write, its events, in parts.
    """

    __slots__ = ("_spans", "count", "counts", "events", "ids", "ranges", "writes")

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.ids = IdRange()
        self.ranges: dict[IdRange, None] = {}
        self.count = 0
        self.counts: dict[tuple[str, str], int] = {}
        self.events: list[list[Part]] = []
        # Range, index of an event there, its place in the commit, how many follow in both.
        self._spans: list[tuple[IdRange, int, int, int]] = []

    def adopt(self, events: Iterable[Event]) -> None:
        """Gives ids to new events that were not applied to an aggregate."""
        adopt(events, self.ids, self.count)

    def add(
        self, stream: tuple[str, str], expected: int | str, before: int | None, parts: list[Part]
    ) -> None:
        """Adds the events for one stream.

        Args:
            stream: Its type and id.
            expected: The version that it must be at.
            before: The version of the aggregate before them; None if they were not applied.
            parts: The events.
        """
        start = self.count
        runs: list[Run] = []
        for part in parts:
            run = self._run(part)
            if run is not None:
                runs.append(run)
                self.count += len(part.events)
                continue
            for event, payload in zip(part.events, part.payloads, strict=True):
                version = before + 1 + self.count - start if before is not None else 0
                place = (*(stream if version else ("", "")), version)
                runs.append(self._single(event, part.kind, payload, place))
                self.count += 1
        self.writes.append((*stream, expected, runs))
        self.counts[stream] = self.count - start
        self.events.append(parts)

    def _run(self, part: Part) -> Run | None:
        """Returns all events of a part as one run if their ids are consecutive.

        None if they are not, if one has other metadata than its time, or if an event of their range
        is stored.
        """
        # Every slot is set: these events were applied, adopted or stored.
        found = applied_in_order(list(map(content, part.events)))
        if found is None:
            return None
        ids, first, times = found
        if not ids.untouched:
            return None
        return part.kind, self._id(ids, first, len(times)), times, part.payloads, None

    def _single(self, event: Event, kind: Kind, payload: bytes, place: Place) -> Run:
        found = in_range(event)
        if found is not None:
            ids, index, time = found
            return kind, self._id(ids, index), [time], [payload], None
        envelope = part_of_commit(event, place, self.ids, self.count)
        if envelope is not None:
            made = self._id(envelope.ids or self.ids, envelope.index)
            envelope.event_id = envelope.event_id or UUID(bytes=made)
        else:  # stored: what it is stays as it is
            envelope = _envelope_of(event.meta)
        return kind, envelope.fix_id().bytes, [envelope.timestamp], [payload], _given(envelope)

    def _id(self, ids: IdRange, index: int, events: int = 1) -> bytes:
        """Returns the id of an event of a range, and adds it and those after it to the commit."""
        if self._spans:
            last, start, place, many = self._spans[-1]
            if last is ids and start + many == index and place + many == self.count:
                self._spans[-1] = last, start, place, many + events
                return (ids.first + index).to_bytes(16)
        self._spans.append((ids, index, self.count, events))
        self.ranges[ids] = None
        return (ids.fix_first() + index).to_bytes(16)

    def last_event(self, stream: tuple[str, str] | None = None) -> LastEvent | None:
        """Returns the last event, or the last one of a stream; None without events."""
        written = [write for write in self.writes if write[3] and stream in (None, write[:2])]
        if not written:
            return None
        kind, key, expected, runs = written[-1]
        first, times = runs[-1][1:3]
        version = 0
        if kind and isinstance(expected, int):
            version = expected + self.counts[kind, key]
        return LastEvent(UUID(int=int.from_bytes(first) + len(times) - 1), kind, key, version)

    def place_of(self, stream: tuple[str, str]) -> int:
        """Returns the place in the commit of the last event of a stream."""
        place = -1
        for kind, key, _, runs in self.writes:
            place += sum(len(run[2]) for run in runs)
            if (kind, key) == stream:
                break
        return place

    def stored(self, positions: Sequence[int], recorded_at: int) -> None:
        """Notes the positions of the events and the time of the commit."""
        for ids, index, place, many in self._spans:
            whole = place == 0 and many == len(positions)
            found = positions if whole else positions[place : place + many]
            ids.note(index, found, recorded_at)


def as_is(stream: tuple[str, str], expected: int, events: Sequence[Event]) -> Write:
    """Returns a write of events that were stored elsewhere, with all their metadata."""
    builder = CommitBuilder()
    builder.add(stream, expected, None, encode(events))
    (write,) = builder.writes
    return write


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
    """Returns the metadata that a stored event keeps in another commit."""
    since = meta.timestamp - utc(0)
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
