"""What PostgreSQL can do at best: our statements, prepared, with values that are bytes already.

They go through libpq, which is what pgbench does; Python only hands the bytes over.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from struct import pack
from time import time_ns
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.pq import ExecStatus, PGconn

from benchmarks.databases import Databases
from benchmarks.subjects import payload, timed

SCHEMA = Path(__file__).parents[2] / "eventuali-core/src/backend/postgres/sql/0001_schema.sql"
INT4, INT8, TEXT, BYTEA, UUID = 23, 20, 25, 17, 2950
_ENCODE: dict[int, Callable[[object], bytes]] = {
    INT4: lambda value: pack(">i", value),
    INT8: lambda value: pack(">q", value),
    TEXT: lambda value: str(value).encode(),
    BYTEA: bytes,  # type: ignore[dict-item]
    UUID: bytes,  # type: ignore[dict-item]
}
APPEND = (
    *(INT8, TEXT, TEXT, TEXT, INT8, INT4, INT4, INT8),
    *(INT4, INT4, UUID, INT4, INT8, INT8, TEXT, BYTEA),
    *(UUID, UUID, INT4, INT4, INT8, INT4, INT4, INT4, TEXT, TEXT, INT4),
)
"""The parameters of the function that appends, each an array."""
COLUMNS = (INT8, INT8, INT8, INT8, INT8, INT8, UUID, INT4, TEXT, BYTEA)
INSERT = b"""
WITH
    written AS (
        INSERT INTO events_log (
            position, stream, version, timestamp, recorded_at, checksum, event_id, kind, metadata,
            payload
        )
        SELECT * FROM unnest(
            $1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::uuid[], $8::integer[], $9::text[], $10::bytea[]
        )
    ),
    moved AS (
        UPDATE events_streams SET version = version + $11, last_position = $13 WHERE id = $14
    ),
    spanned AS (
        INSERT INTO events_kind_spans (kind, first, last) VALUES (1, $12, $13)
    )
INSERT INTO events_runs (first_id, last_id, stream, first_version, position, records, count)
VALUES ($15, $16, $14, 2, $12, 0, $17)
"""


def array(oid: int, values: Sequence[object]) -> bytes:
    """Returns an array as PostgreSQL takes it in binary."""
    encode = _ENCODE[oid]
    if not values:
        return pack(">iii", 0, 0, oid)
    parts = [pack(">iiiii", 1, int(None in values), oid, len(values), 1)]
    for value in values:
        if value is None:
            parts.append(pack(">i", -1))
        else:
            data = encode(value)
            parts.append(pack(">i", len(data)) + data)
    return b"".join(parts)


class RawPostgres:
    """The schema, and a connection."""

    def __init__(self, url: str) -> None:
        """Makes databases on the server at `url`."""
        self._databases = Databases(url, "raw", joined=False)
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._position = 0

    def about(self) -> dict[str, str]:
        """Returns the version of libpq."""
        return {"libpq": str(psycopg.pq.version() // 10_000)}

    def fresh(self, folder: Path) -> None:
        """Makes a database with our schema."""
        self._let_go()
        self._connection = psycopg.connect(self._databases.fresh(), autocommit=True)
        script = SCHEMA.read_text(encoding="utf-8").replace("{events}", "events")
        self._connection.execute(re.sub(r"\{(\w+)\}", r"events_\1", script).encode())
        self._connection.execute(
            "INSERT INTO events_kinds (event_type, event_version, codec)"
            " VALUES ('Added', 1, 'json')"
        )
        places = ", ".join(f"${number}" for number in range(1, len(APPEND) + 1))
        self._prepare(b"append", f"SELECT * FROM events_append({places})".encode())  # noqa: S608
        self._prepare(b"insert", INSERT)

    def _prepare(self, name: bytes, statement: bytes) -> None:
        result = self._pq.prepare(name, statement)
        if result.status != ExecStatus.COMMAND_OK:
            raise RuntimeError(result.error_message.decode())

    @property
    def _pq(self) -> PGconn:
        if self._connection is None:
            raise RuntimeError("there is no database yet")
        return self._connection.pgconn

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Closes the connection and drops the database."""
        self._let_go()
        self._databases.close()

    def _streams(self, repeat: int) -> list[tuple[int, str]]:
        """Returns numbers and names of streams at version 1."""
        assert self._connection is not None  # noqa: S101
        names = [str(uuid4()) for _ in range(repeat)]
        rows = self._connection.execute(
            "INSERT INTO events_streams (version, last_position, tenant, aggregate_type,"
            " aggregate_id) SELECT 1, 0, '', 'Account', unnest(%s::text[])"
            " RETURNING id, aggregate_id",
            [names],
        )
        return rows.fetchall()

    def op_append(self, events: int, repeat: int) -> float:
        """Calls the function that a save calls, with its values, on one stream after another."""
        calls = [self._call(name, events) for _, name in self._streams(repeat)]
        return self._timed(b"append", calls, repeat)

    def _call(self, name: str, events: int) -> list[bytes]:
        first = int.from_bytes(os.urandom(16)) >> 17 << 17
        keys = [(first + number).to_bytes(16) for number in range(events)]
        places, now = list(range(1, events + 1)), time_ns() // 1000
        family = int.from_bytes(os.urandom(7))
        values: tuple[Sequence[object], ...] = (
            *([family], [""], ["Account"], [name], [1], [events], [events], []),
            *([1] * events, places, keys, [1] * events, [now] * events, [0] * events),
            *([None] * events, [payload(number) for number in range(events)]),
            *([keys[0]], [keys[-1]], [1], [events], [0], [1], [1], [events], [], [], []),
        )
        return [array(oid, given) for oid, given in zip(APPEND, values, strict=True)]

    def op_insert(self, events: int, repeat: int) -> float:
        """Inserts the rows of a commit with UNNEST, and its index entries; checks nothing."""
        assert self._connection is not None  # noqa: S101
        last = "SELECT coalesce(max(position), 0) FROM events_log"
        (self._position,) = self._connection.execute(last).fetchone() or (0,)
        calls = [self._rows(number, events) for number, _ in self._streams(repeat)]
        seconds = self._timed(b"insert", calls, repeat)
        self._connection.execute("SELECT setval('events_position', %s)", [self._position])
        return seconds

    def _rows(self, stream: int, events: int) -> list[bytes]:
        first = int.from_bytes(os.urandom(16)) >> 17 << 17
        keys = [(first + number).to_bytes(16) for number in range(events)]
        begin, now = self._position + 1, time_ns() // 1000
        self._position += events
        columns: tuple[Sequence[object], ...] = (
            *(range(begin, begin + events), [stream] * events, range(2, events + 2)),
            *([now] * events, [now] * events, [0] * events, keys, [1] * events),
            *([None] * events, [payload(number) for number in range(events)]),
        )
        arrays = [array(oid, given) for oid, given in zip(COLUMNS, columns, strict=True)]
        numbers = [pack(">q", n) for n in (events, begin, self._position, stream)]
        return [*arrays, *numbers, keys[0], keys[-1], pack(">i", events)]

    def _timed(self, name: bytes, calls: Sequence[list[bytes]], repeat: int) -> float:
        connection = self._pq
        formats = [1] * len(calls[0])

        def work() -> None:
            for values in calls:
                result = connection.exec_prepared(name, values, formats, 1)
                if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
                    raise RuntimeError(result.error_message.decode())

        return timed(work, repeat)


def make(url: str) -> RawPostgres:
    """Returns the subject."""
    return RawPostgres(url)
