"""The commit of a save, and its effect on the events once the answer comes or fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import NamedTuple, TypeAlias
from uuid import UUID

from eventuali._engine.commit_builder import CommitBuilder, Part, Write, encode
from eventuali._engine.operation import Operation
from eventuali._eventuali import Pending, Store
from eventuali.aggregate import Aggregate, committed, set_pending, set_savepoint
from eventuali.errors import (
    IdempotencyConflictError,
    InvalidEventError,
    OptimisticConcurrencyError,
    OutcomeUnknownError,
    SerializationError,
    TrackingConflictError,
)
from eventuali.event import Event
from eventuali.event._context import begun, current
from eventuali.event._envelope import utc
from eventuali.event._names import checked_text
from eventuali.event._slot import bind_appended, release, take_context, waits
from eventuali.query import Item

__all__ = [
    "Besides",
    "Committed",
    "PendingCommit",
    "Record",
    "StreamWrite",
    "merged",
    "of_aggregates",
    "of_parts",
]

Answer: TypeAlias = tuple[Sequence[int], list[int], int]
Condition: TypeAlias = tuple[list[Item], int]
"""(query, the position after which nothing may match it)"""
Record: TypeAlias = tuple[str, str, int | None, bytes | None, int | None]
"""(space, key, version that it must be at or None, bytes or None, when it is due in µs or None)"""
Appended: TypeAlias = tuple[int, Sequence[Event]]
"""Events that belong to no aggregate, and which write of the commit they are."""


class Besides(NamedTuple):
    """What belongs to a commit besides its events.

    Attributes:
        conditions: The conditions on which it is written.
        tracking: The position of another log that is stored with it: (name, position).
        records: Records that are written with it.
        id: By which a repetition is known if there is a record, and no event.
    """

    conditions: Sequence[Condition] = ()
    tracking: tuple[str, int] | None = None
    records: Sequence[Record] = ()
    id: UUID | None = None

    def commit(self, store: Store, writes: Sequence[Write]) -> Pending:
        """Commits it, with the events of streams."""
        return store.commit(writes, self.conditions, self.records, self.id, tracking=self.tracking)


class StreamWrite(NamedTuple):
    """Events that belong to no aggregate, for the end of one stream.

    Attributes:
        stream: Its type and id; empty for events without a stream.
        expected: The version that it must be at.
        events: The events; without any, only the version is checked.
    """

    stream: tuple[str, str]
    expected: int | str
    events: Sequence[Event]


NOTHING = Besides()


@dataclass(frozen=True, slots=True)
class Committed:
    """The result of a commit.

    Attributes:
        positions: The position of each event in the log, in the order of the commit.
        versions: The version of each stream after its last event, in the order of the commit. If a
            save also settles an earlier one, it has the streams of both, each once.
        recorded_at: The time of the commit by the store's clock, aware, UTC; None without events.
    """

    positions: tuple[int, ...] = ()
    versions: tuple[int, ...] = ()
    recorded_at: datetime | None = None

    @property
    def position(self) -> int | None:
        """The position of the last event; None without events."""
        return self.positions[-1] if self.positions else None


class PendingCommit:
    """A commit that was or will be sent. Sending it again gives the same answer.

    An aggregate keeps the commit of its save until the outcome is known. Several aggregates can
    share one, and copies of an aggregate do.

    Attributes:
        builder: The content.
        besides: What belongs to it besides the events.
        answer: The result, once it is known.
        failed: Whether it is certain that nothing was written.
    """

    __slots__ = ("_appended", "_besides", "_doubtful", "answer", "builder", "failed")

    def __init__(
        self,
        builder: CommitBuilder,
        besides: Besides = NOTHING,
        appended: Sequence[Appended] = (),
    ) -> None:
        self.builder = builder
        self._besides = besides
        self.answer: Committed | None = None
        self.failed = False
        self._appended = appended
        self._doubtful = False

    @property
    def besides(self) -> Besides:
        """What belongs to it besides the events."""
        return getattr(self, "_besides", NOTHING)  # a pickle of before has none

    @besides.setter
    def besides(self, besides: Besides) -> None:
        self._besides = besides

    def commit(self, store: Store) -> Pending:
        """Commits it, as `send` wants it."""
        return self.besides.commit(store, self.builder.writes)

    @property
    def streams(self) -> Iterator[tuple[str, str]]:
        """The streams that it writes to, in the order of the commit."""
        return ((kind, key) for kind, key, _, runs in self.builder.writes if runs)

    def send(self, send: Callable[[], Pending]) -> Operation[Answer]:
        """Sends it; `take` follows.

        Raises:
            Exception: It was not answered, as `fail` has noted.
        """
        self.begin()
        try:
            answer: Answer = yield send()
        except BaseException as error:
            self.fail(error)
            raise
        return answer

    def send_unless(
        self, send: Callable[[], Pending], stale: Callable[[OptimisticConcurrencyError], bool]
    ) -> Operation[Answer | None]:
        """Sends it; None if it was not written because of what was added to it.

        Raises:
            Exception: It was not answered, as `fail` has noted.
        """
        self.begin()
        try:
            answer: Answer | None = yield send()
        except BaseException as error:
            if not isinstance(error, OptimisticConcurrencyError) or not stale(error):
                self.fail(error)
                raise
            answer = None
        if answer is None:
            self._end()
            self._doubtful = False
        return answer

    def drop(self) -> None:
        """Notes that it is not sent now: it is not written, unless it may have been before."""
        if not self._doubtful:
            self.failed = True
            self._release()

    def begin(self) -> None:
        """Notes that it is sent; `take` or `fail` follows."""
        for ids in self.builder.ranges:
            ids.under_way += 1

    def _end(self) -> None:
        for ids in self.builder.ranges:
            ids.under_way -= 1

    def take(self, answer: Answer) -> Committed:
        """Notes that everything was written."""
        self._end()
        positions, versions, recorded_at = answer
        if len(positions) != self.builder.count:
            sent = self.builder.count
            raise RuntimeError(f"{sent} events were sent, and {len(positions)} were stored")
        self.builder.stored(positions, recorded_at)
        writes = self.builder.writes
        if len(writes) > 1:  # some of which may only check a version
            versions_written = zip(versions, writes, strict=True)
            written = tuple(version for version, write in versions_written if write[3])
        else:
            written = tuple(versions) if self.builder.count else ()
        self.answer = Committed(tuple(positions), written, utc(recorded_at))
        for index, events in self._appended:
            if versions[index]:
                self._bind(writes[index][:2], events, versions[index] - len(events))
        return self.answer

    def fail(self, error: BaseException) -> None:
        """Notes what an error means for the commit.

        After an unknown outcome, only an error about its content means that it was not written. A
        store that is closed or full now says nothing about what was sent before.
        """
        self._end()
        cut_off = not isinstance(error, Exception) or isinstance(error, OutcomeUnknownError)
        if cut_off:
            self._doubtful = True
        elif not self._doubtful or isinstance(error, _VERDICTS):
            self.failed = True
            self._release()

    def settle(self, aggregate: Aggregate) -> None:
        """Tells the outcome to an aggregate that keeps this commit."""
        if aggregate._pending is not self:
            return
        if self.answer is not None:
            stream = (aggregate.__aggregate_type__, aggregate.id)
            committed(aggregate, self.builder.counts.get(stream, 0))
        elif self.failed:
            set_pending(aggregate, None)

    def _bind(self, stream: tuple[str, str], events: Sequence[Event], before: int) -> None:
        """Tells events that were appended without an aggregate their stream and versions."""
        for version, event in enumerate(events, before + 1):
            bind_appended(event, stream, version, self.builder.ranges)

    def _release(self) -> None:
        """Releases events that were not appended; they keep their ids.

        Not if another commit of the same events is under way.
        """
        ranges = {ids for ids in self.builder.ranges if not ids.under_way}
        for _, events in self._appended:
            for event in events:
                release(event, ranges)


_VERDICTS = (
    OptimisticConcurrencyError,
    IdempotencyConflictError,
    InvalidEventError,
    SerializationError,
    TrackingConflictError,
)


def of_aggregates(
    aggregates: Iterable[Aggregate], besides: Besides = NOTHING
) -> PendingCommit | None:
    """Returns the commit of the unsaved events of the aggregates; None without any.

    The aggregates keep it from now on.

    Raises:
        SerializationError: A value would not come back as it is. Nothing has changed.
    """
    saved = [aggregate for aggregate in aggregates if aggregate._uncommitted]
    return of_parts(saved, (), besides) if saved else None


def of_parts(
    aggregates: Sequence[Aggregate],
    writes: Sequence[StreamWrite],
    besides: Besides = NOTHING,
) -> PendingCommit:
    """Returns the commit of the unsaved events of aggregates, and of events of no aggregate.

    The aggregates keep it from now on. Each of them has unsaved events.

    Raises:
        SerializationError: A value would not come back as it is. Nothing has changed.
        InvalidEventError: An event waits in an aggregate to be saved.
    """
    saved = []
    for aggregate in aggregates:
        events = aggregate._uncommitted[:]
        stream = (aggregate.__aggregate_type__, checked_text("aggregate_id", aggregate.id))
        saved.append((stream, aggregate.version - len(events), encode(events)))
    appended = [(*write, encode(_free(write.events))) for write in writes]
    if begun and current() is not None:
        for aggregate in aggregates:
            for event in aggregate._uncommitted:
                take_context(event)
    builder = CommitBuilder()
    for stream, before, parts in saved:
        builder.add(stream, before, before, parts)
    commit = PendingCommit(builder, besides, _add(builder, appended) if appended else ())
    for aggregate in aggregates:
        set_pending(aggregate, commit)
        set_savepoint(aggregate, None)  # what is applied from now on is no part of it
    return commit


def _free(events: Sequence[Event]) -> Sequence[Event]:
    """Returns events after checking that none of them waits in an aggregate."""
    for event in events:
        if waits(event):
            name = type(event).__name__
            text = f"this {name} was applied to an aggregate; save the aggregate"
            raise InvalidEventError(text, field="event")
    return events


def _add(
    builder: CommitBuilder,
    writes: Sequence[tuple[tuple[str, str], int | str, Sequence[Event], list[Part]]],
) -> list[Appended]:
    """Adds events of no aggregate to a commit; returns which write they are."""
    appended = []
    with _adopting:  # two threads may append the same events
        for stream, expected, events, parts in writes:
            for event in events if begun and current() is not None else ():
                take_context(event)
            builder.adopt(events)
            if events:
                appended.append((len(builder.writes), events))
            builder.add(stream, expected, None, parts)
    return appended


_adopting = Lock()


def _after_fork() -> None:
    """Lets a child append, whatever its parent's threads were doing."""
    global _adopting
    _adopting = Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def merged(commits: Sequence[PendingCommit]) -> Committed:
    """Returns the result of a save that took several commits."""
    if len(commits) == 1 and (answer := commits[0].answer) is not None:
        return answer
    answers = [commit.answer for commit in commits if commit.answer is not None]
    positions = tuple(position for answer in answers for position in answer.positions)
    versions: dict[tuple[str, str], int] = {}
    for commit, answer in zip(commits, answers, strict=True):
        versions |= zip(commit.streams, answer.versions, strict=True)
    return Committed(positions, tuple(versions.values()), answers[-1].recorded_at)
