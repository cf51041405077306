"""Importing an older store, which keeps its events in one table in SQLite or PostgreSQL.

    from eventuali import sync
    from eventuali.importing import import_events

    with sync.EventStore.create("postgresql://app@db/shop") as store:
        print(import_events("old.db", store))

The older table has one row per event, with the columns `id, aggregate_id, aggregate_type,
event_type, event_version, aggregate_version, event_data, event_data_type, metadata, timestamp`.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from eventuali._engine.commit_builder import Write, as_is
from eventuali._engine.lifecycle import refuse_in_loop
from eventuali._engine.read import PAGE
from eventuali.errors import (
    ConfigurationError,
    EventualiError,
    OptimisticConcurrencyError,
    StorageUnavailableError,
)
from eventuali.event._envelope import EventMeta
from eventuali.importing._row import LegacyEvent, checked
from eventuali.importing._source import LegacyTable
from eventuali.importing._staging import StagedStream, StagingTable
from eventuali.query import Item
from eventuali.sync import EventStore

__all__ = ["Imported", "import_events"]

Progress: TypeAlias = Callable[[str, int, int | None], object]
"""Called with a step (`checked`, `stored`, `compared`), the number of events so far, and the total;
None while the total is not known."""

_COMMIT = (1000, 8 << 20)
"""Events and bytes of a commit, at the most; half of the bytes that a store takes."""
_UNDER_WAY = (64, 16 << 20)
"""Commits that are on their way at the same time, and their bytes."""
_READS = 16
"""Streams that are read at the same time."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The result of an import.

    Attributes:
        events: The number of events in the older table; all of them are in the store.
        streams: The number of their streams.
        stored: The number of events that this import stored.
        found: The number of events that were in the store before.
    """

    events: int
    streams: int
    stored: int
    found: int


def import_events(
    source: str | PathLike[str],
    store: EventStore,
    *,
    table_name: str = "events",
    schema: str | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Copies every event of an older table into a store, then compares the two.

    Every row is read and checked before the first event is stored. The import keeps ids, types,
    versions, times, metadata and the bytes of the payloads, and needs no event classes. Events are
    imported in the order of `(timestamp, id)`, except that an event older than its predecessor in
    the stream follows that predecessor. Stop other writers to the older table, and to its streams
    in the store, during the import.

    Repeating an import stores nothing twice, and an interrupted import resumes where it stopped.
    The streams may have got new events in the store since.

    A copy of the table is kept in a temporary file until the end. The call blocks: in a program
    with an event loop, run it in a thread, with a store of its own.

    Args:
        source: A SQLite file, by its path or `sqlite://…`, or `postgresql://…`, which needs
            `eventuali[import]`. It is only read.
        store: The store to import into; a store from `for_tenant` imports for that tenant.
        table_name: The name of the older table.
        schema: The schema of the older table in PostgreSQL; by default `public`.
        progress: Called after every step.

    Raises:
        ConfigurationError: There is no such table, or it has other columns.
        StorageUnavailableError: The source can't be read.
        InvalidEventError: A row has a value that no store accepts, or a stream has a gap, or an id
            or a version is duplicate. The message names the row. Nothing was stored.
        SerializationError: The payload of a row is not JSON. The message names the row. Nothing was
            stored.
        OptimisticConcurrencyError: The store has other events in a stream of the older table.
        IdempotencyConflictError: The store has an event with such an id in another place. The
            events before it may be stored.
    """
    refuse_in_loop()
    table = LegacyTable.at(source, table_name, schema)
    _refuse_itself(table, store)
    tell = progress or _silent
    try:
        with closing(StagingTable()) as staged:
            return _import(table, store, staged, tell)
    except sqlite3.Error as error:
        text = f"the temporary copy of the older table failed: {error}"
        raise StorageUnavailableError(text) from error


def _import(
    table: LegacyTable, store: EventStore, staged: StagingTable, tell: Progress
) -> Imported:
    with closing(table.rows()) as rows:
        for done in staged.fill(map(checked, rows)):
            if done % _COMMIT[0] == 0:
                tell("checked", done, None)
    events = staged.events
    tell("checked", events, events)
    for known in store.streams():
        staged.note(known.aggregate_type, known.aggregate_id, known.version)
    found = sum(stream.stored for stream in staged.streams(stored=True))
    for _ in _compared(store, staged, staged.streams(stored=True)):
        pass  # a difference is told before anything is stored
    stored = 0
    for count in _stored(store, staged):
        stored += count
        tell("stored", found + stored, events)
    compared = streams = 0
    whole = (stream._replace(stored=stream.events) for stream in staged.streams())
    for count in _compared(store, staged, whole):
        compared += count
        streams += 1
        tell("compared", compared, events)
    return Imported(events=compared, streams=streams, stored=stored, found=found)


class _Commit(NamedTuple):
    """Events that are stored together.

    Attributes:
        streams: The events of each stream; each stream once.
        size: The approximate number of bytes.
        follows: Whether a stream of the commit before continues in this one. If so, this commit is
            refused unless that one was stored.
    """

    streams: dict[tuple[str, str], list[LegacyEvent]]
    size: int
    follows: bool

    def writes(self) -> list[Write]:
        """Returns what is sent."""
        return [
            as_is(stream, events[0].aggregate_version - 1, [event.event() for event in events])
            for stream, events in self.streams.items()
        ]


def _commits(log: Iterable[LegacyEvent]) -> Iterator[_Commit]:
    """Cuts the log into commits."""
    streams: dict[tuple[str, str], list[LegacyEvent]] = {}
    last, count, size, follows = None, 0, 0, False
    for event in log:
        stream = (event.aggregate_type, event.aggregate_id)
        comes_back = stream in streams and stream != last
        if comes_back or count == _COMMIT[0] or (count and size + event.size > _COMMIT[1]):
            yield _Commit(streams, size, follows)
            streams, count, size, follows = {}, 0, 0, comes_back
        streams.setdefault(stream, []).append(event)
        last, count, size = stream, count + 1, size + event.size
    if streams:
        yield _Commit(streams, size, follows)


def _stored(store: EventStore, staged: StagingTable) -> Iterator[int]:
    """Stores what is missing in the order of the log; yields the number of events of each commit.

    A commit that continues a stream of the one before does not wait for its answer: it can't
    overtake it.
    """
    sender = store._store.blocking(False)
    under_way: deque[tuple[Any, int]] = deque()
    try:
        for commit in _commits(staged.log()):
            while under_way and not (
                commit.follows
                and len(under_way) < _UNDER_WAY[0]
                and sum(size for _, size in under_way) + commit.size <= _UNDER_WAY[1]
            ):
                yield _answered(under_way.popleft())
            under_way.append((sender.commit(commit.writes(), []), commit.size))
        while under_way:
            yield _answered(under_way.popleft())
    finally:
        # Whoever repeats the import is not to meet these on their way.
        for sent in under_way:
            with suppress(EventualiError):
                _answered(sent)


def _answered(sent: tuple[Any, int]) -> int:
    positions, _, _ = sent[0].wait()
    return len(positions)


def _compared(
    store: EventStore, staged: StagingTable, streams: Iterable[StagedStream]
) -> Iterator[int]:
    """Compares the first `stored` events of streams with the store; yields how many each has."""
    left = iter(streams)
    while some := list(islice(left, _READS)):
        # Several at a time are on their way.
        for stream, rows in [(stream, _Rows(store, stream)) for stream in some]:
            _compare(stream, staged.stream(stream, stream.stored), rows.take())
            yield stream.stored


class _Rows:
    """The first `stored` events of a stream in the store, requested page by page."""

    def __init__(self, store: EventStore, stream: StagedStream) -> None:
        self._store = store._store
        self._item: Item = (stream.aggregate_type, stream.aggregate_id, (), (), (), None)
        self._until = stream.stored
        self._pending = self._begin()

    def _begin(self, after: int = 0, after_version: int = 0) -> Any:
        return self._store.read(
            [self._item],
            after=after,
            after_version=after_version,
            until_version=self._until,
            limit=PAGE,
        )

    def take(self) -> Iterator[tuple[bytes, Any]]:
        """Yields payloads and rows as they come."""
        version = 0
        while self._pending is not None:
            page = self._pending.wait()
            version = page.last_version or version
            self._pending = None if page.end else self._begin(page.looked_to, version)
            _, payloads, rows = page.columns()
            yield from zip(payloads, rows, strict=True)


def _compare(
    stream: StagedStream, events: Iterable[LegacyEvent], stored: Iterator[tuple[bytes, Any]]
) -> None:
    for event in events:
        payload, row = next(stored, (b"", None))
        if row is None or payload != event.payload or _own(row.meta()) != event.meta():
            name = (stream.aggregate_type, stream.aggregate_id)
            text = f"{event}: the store has another event at this version of the stream"
            raise OptimisticConcurrencyError(
                text, stream=name, expected_version=event.aggregate_version
            )


def _own(meta: EventMeta) -> EventMeta:
    """Returns the metadata without what the store sets."""
    return replace(meta, position=None, recorded_at=None)


def _refuse_itself(table: LegacyTable, store: EventStore) -> None:
    """Refuses the file that the store has open: two SQLite libraries undo each other's locks."""
    own = store._store.file
    if table.path is None or own is None:
        return
    if Path(own).exists() and table.path.exists() and table.path.samefile(own):
        raise ConfigurationError("a store can't be imported from the file that it has open")


def _silent(step: str, done: int, total: int | None) -> None:
    """Reports no progress."""
