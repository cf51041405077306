"""The older table, checked, in a temporary file that can be read in several orders."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from uuid import UUID

from eventuali.errors import InvalidEventError
from eventuali.importing._row import LegacyEvent, told

_MAKE = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE streams (
    number INTEGER PRIMARY KEY,
    aggregate_type TEXT NOT NULL,
    aggregate_id TEXT NOT NULL,
    events INTEGER NOT NULL DEFAULT 0,
    stored INTEGER NOT NULL DEFAULT 0
);
-- turn and turn_id order the log: the latest (timestamp, id) of the stream so far.
CREATE TABLE events (
    stream INTEGER NOT NULL,
    version INTEGER NOT NULL,
    id BLOB NOT NULL,
    turn INTEGER NOT NULL,
    turn_id BLOB NOT NULL,
    event_type TEXT NOT NULL,
    event_version INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    payload BLOB NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (stream, version)
);
"""
_INDEXES = """
CREATE UNIQUE INDEX names ON streams (aggregate_type, aggregate_id);
CREATE INDEX log ON events (turn, turn_id, version);
"""
_SELECT = """
SELECT e.id, s.aggregate_type, s.aggregate_id, e.version, e.event_type, e.event_version,
    e.timestamp, e.payload, e.metadata
FROM events AS e CROSS JOIN streams AS s ON s.number = e.stream
"""
_IN_LOG = f"{_SELECT} WHERE e.version > s.stored ORDER BY e.turn, e.turn_id, e.version"
_OF_STREAM = f"{_SELECT} WHERE e.stream = ? AND e.version <= ? ORDER BY e.version"


class StagedStream(NamedTuple):
    """A stream of the older table.

    Attributes:
        number: Its number here.
        aggregate_type: Its type.
        aggregate_id: Its id.
        events: How many events it has.
        stored: How many of them were in the store before the import.
    """

    number: int
    aggregate_type: str
    aggregate_id: str
    events: int
    stored: int


class StagingTable:
    """Rows of an older table in a temporary file, which is deleted when this is closed."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a file of SQLite's own
        self._db.executescript(_MAKE)

    def close(self) -> None:
        """Removes the file."""
        self._db.close()

    def fill(self, events: Iterable[LegacyEvent]) -> Iterator[int]:
        """Takes events, stream by stream and each in its order; yields how many there are so far.

        Raises:
            InvalidEventError: A stream has a gap, or a version or an id is duplicate.
        """
        self._db.execute("BEGIN")
        last: LegacyEvent | None = None
        number = done = 0
        turn = (0, b"")
        for done, event in enumerate(events, 1):
            if last is None or _stream(last) != _stream(event):
                number += 1
                last, turn = None, (event.timestamp, event.event_id.bytes)
                names = (number, *_stream(event))
                self._db.execute(
                    "INSERT INTO streams (number, aggregate_type, aggregate_id) VALUES (?, ?, ?)",
                    names,
                )
            _check_version(event, last)
            turn = max(turn, (event.timestamp, event.event_id.bytes))
            self._add(number, turn, event)
            last = event
            yield done
        self._db.execute(
            "UPDATE streams SET events = "
            "(SELECT max(e.version) FROM events AS e WHERE e.stream = number)"
        )
        self._db.execute("COMMIT")
        self._db.executescript(_INDEXES)
        self._check_ids()

    def _add(self, number: int, turn: tuple[int, bytes], event: LegacyEvent) -> None:
        self._db.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number, event.aggregate_version, event.event_id.bytes, *turn, event.event_type,
                event.event_version, event.timestamp, event.payload, event.metadata,
            ),
        )  # fmt: skip

    def _check_ids(self) -> None:
        found = self._db.execute(
            "SELECT id FROM events GROUP BY id HAVING count(*) > 1 LIMIT 1"
        ).fetchone()
        if found is None:
            return
        same = self._db.execute(f"{_SELECT} WHERE e.id = ? LIMIT 2", found)
        first, second = map(_event, same)
        text = f"it has the same id as {first}"
        raise told(InvalidEventError(text, field="event_id"), str(second))

    @property
    def events(self) -> int:
        """How many events there are."""
        (count,) = self._db.execute("SELECT count(*) FROM events").fetchone()
        return int(count)

    def note(self, aggregate_type: str, aggregate_id: str, version: int) -> None:
        """Notes that the store has a stream, up to a version."""
        self._db.execute(
            "UPDATE streams SET stored = min(events, ?) "
            "WHERE aggregate_type = ? AND aggregate_id = ?",
            (version, aggregate_type, aggregate_id),
        )

    def streams(self, *, stored: bool = False) -> Iterator[StagedStream]:
        """Yields the streams, or only those that had events in the store before."""
        select = "SELECT number, aggregate_type, aggregate_id, events, stored FROM streams"
        rows = self._db.execute(f"{select} WHERE stored >= ? ORDER BY number", (int(stored),))
        return map(StagedStream._make, rows)

    def log(self) -> Iterator[LegacyEvent]:
        """Yields the events that were not in the store before, in the order of the log."""
        return map(_event, self._db.execute(_IN_LOG))

    def stream(self, stream: StagedStream, until: int) -> Iterator[LegacyEvent]:
        """Yields the events of a stream up to a version, in their order."""
        return map(_event, self._db.execute(_OF_STREAM, (stream.number, until)))


def _stream(event: LegacyEvent) -> tuple[str, str]:
    return event.aggregate_type, event.aggregate_id


def _check_version(event: LegacyEvent, last: LegacyEvent | None) -> None:
    version, before = event.aggregate_version, last.aggregate_version if last else 0
    if version == before + 1:
        return
    if version == before:
        text = f"it has the same version as {last}"
    else:
        text = f"version {before + 1} is missing"
    raise told(InvalidEventError(text, field="aggregate_version"), str(event))


def _event(row: tuple[bytes, str, str, int, str, int, int, bytes, str]) -> LegacyEvent:
    return LegacyEvent(UUID(bytes=row[0]), *row[1:])
