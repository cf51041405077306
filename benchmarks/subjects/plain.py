"""What Python can do at best: a bare Pydantic model, and `sqlite3` with our table and settings."""

from __future__ import annotations

import os
import sqlite3
from importlib.metadata import version
from pathlib import Path
from time import time_ns

from pydantic import BaseModel

from benchmarks.subjects import payload, timed

SCHEMA = Path(__file__).parents[2] / "eventuali-core/src/backend/sqlite/sql/0001_schema.sql"
INSERT = (
    "INSERT INTO event_log (position, stream, version, kind, event_id, timestamp, recorded_at, "
    "checksum, metadata, payload) VALUES (?, ?, ?, 1, ?, ?, ?, ?, NULL, ?)"
)
PAGE_BYTES = 4096


class Added(BaseModel):
    """The two fields, nothing else."""

    amount: int
    note: str


class Plain:
    """Pydantic and `sqlite3`."""

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._folder = Path()
        self._position = 0

    def about(self) -> dict[str, str]:
        """Returns the version of SQLite that Python brings."""
        return {"SQLite of Python": sqlite3.sqlite_version, "pydantic": version("pydantic")}

    def fresh(self, folder: Path) -> None:
        """Makes a database with our schema and our settings."""
        self.close()
        self._folder, self._position = folder, 0
        connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 10000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.executescript(SCHEMA.read_text(encoding="utf-8"))
        self._connection = connection

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def op_create(self, events: int, repeat: int) -> float:
        """Creates models."""

        def work() -> None:
            for number in range(repeat):
                Added(amount=number, note="account-00")

        return timed(work, repeat)

    def op_save(self, events: int, repeat: int) -> float:
        """Inserts the rows of events into the log, and commits."""
        connection = self._connection
        if connection is None:
            raise RuntimeError("there is no database yet")
        commits = [self._rows(stream + 1, events) for stream in range(repeat)]

        def work() -> None:
            for rows in commits:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(INSERT, rows)
                connection.execute("COMMIT")

        return timed(work, repeat)

    def _rows(self, stream: int, events: int) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for version_ in range(2, events + 2):
            self._position += 1
            now, event_id = time_ns() // 1000, os.urandom(16)
            row = (self._position, stream, version_, event_id, now, now, 0, payload(version_))
            rows.append(row)
        return rows

    def op_decode(self, events: int, repeat: int) -> float:
        """Validates the payloads of so many events and adds them up."""
        payloads = [payload(number) for number in range(events)]
        validate = Added.__pydantic_validator__.validate_json

        def work() -> None:
            for _ in range(repeat):
                total = 0
                for stored in payloads:
                    total += validate(stored).amount

        return timed(work, repeat)

    def op_fold(self, events: int, repeat: int) -> float:
        """Validates the payloads of so many events and adds them up by a field."""
        payloads = [payload(number) for number in range(events)]
        validate = Added.__pydantic_validator__.validate_json
        totals: dict[str, int] = {}

        def work() -> None:
            for stored in payloads:
                event = validate(stored)
                totals[event.note] = totals.get(event.note, 0) + event.amount

        return timed(work, events)

    def op_flush(self, events: int, repeat: int) -> float:
        """Writes a page behind the others of a file, and flushes it."""
        descriptor = os.open(self._folder / "flush", os.O_CREAT | os.O_RDWR)
        flush = getattr(os, "fdatasync", os.fsync)
        page = b"x" * PAGE_BYTES

        def work() -> None:
            for number in range(repeat):
                os.pwrite(descriptor, page, PAGE_BYTES * number)
                flush(descriptor)

        try:
            return timed(work, repeat)
        finally:
            os.close(descriptor)


def make() -> Plain:
    """Returns the subject."""
    return Plain()
