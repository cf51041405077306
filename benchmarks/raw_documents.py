"""What documents cost at best: plain tables with an index, through `sqlite3` and psycopg."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import psycopg

from benchmarks.folding import BATCH

Document: TypeAlias = tuple[str, bytes]
"""(key, JSON)"""
SaleRow: TypeAlias = tuple[str, str, int, bytes]
"""(key, product, cents, JSON)"""


class Raw(Protocol):
    """A database without a store."""

    def fresh(self) -> None:
        """Makes an empty table of documents."""

    def upsert(self, rows: Sequence[Document]) -> None:
        """Writes documents in transactions of a thousand, each flushed."""

    def sell(self, rows: Iterable[SaleRow]) -> None:
        """Makes a table of documents with two indexes."""

    def equal(self, product: str, limit: int) -> list[Document]:
        """Returns documents by one of the indexes, in the order of their keys."""

    def between(self, low: int, high: int, limit: int) -> list[Document]:
        """Returns documents by the other index, in its order."""

    def close(self) -> None:
        """Lets go of the connection."""


class RawSqlite:
    """SQLite with our settings."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 10000"):
            self._connection.execute(f"PRAGMA {pragma}")

    def fresh(self) -> None:
        """Makes an empty table of documents."""
        self._connection.execute("DROP TABLE IF EXISTS documents")
        make = "CREATE TABLE documents (key TEXT PRIMARY KEY, bytes BLOB NOT NULL)"
        self._connection.execute(make)

    def upsert(self, rows: Sequence[Document]) -> None:
        """Writes documents in transactions of a thousand, each flushed."""
        self._write(
            "INSERT INTO documents VALUES (?, ?) "
            "ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes",
            rows,
        )

    def sell(self, rows: Iterable[SaleRow]) -> None:
        """Makes a table of documents with two indexes."""
        make = "CREATE TABLE sales (key TEXT PRIMARY KEY, product TEXT, cents INTEGER, bytes BLOB)"
        self._connection.execute(make)
        self._write("INSERT INTO sales VALUES (?, ?, ?, ?)", rows)
        self._connection.execute("CREATE INDEX by_product ON sales (product, key)")
        self._connection.execute("CREATE INDEX by_cents ON sales (cents, key)")

    def _write(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        for batch in batches(rows):
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(statement, batch)
            self._connection.execute("COMMIT")

    def equal(self, product: str, limit: int) -> list[Document]:
        """Returns documents by one of the indexes, in the order of their keys."""
        query = "SELECT key, bytes FROM sales WHERE product = ? ORDER BY key LIMIT ?"
        return self._connection.execute(query, (product, limit)).fetchall()

    def between(self, low: int, high: int, limit: int) -> list[Document]:
        """Returns documents by the other index, in its order."""
        query = (
            "SELECT key, bytes FROM sales WHERE cents >= ? AND cents <= ? "
            "ORDER BY cents, key LIMIT ?"
        )
        return self._connection.execute(query, (low, high, limit)).fetchall()

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


class RawPostgres:
    """PostgreSQL; a batch goes there in one statement, as arrays in binary."""

    def __init__(self, url: str) -> None:
        # Prepared from the first time, as ours are.
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=0)

    def fresh(self) -> None:
        """Makes an empty table of documents."""
        self._connection.execute("DROP TABLE IF EXISTS documents")
        make = 'CREATE TABLE documents (key TEXT COLLATE "C" PRIMARY KEY, bytes BYTEA NOT NULL)'
        self._connection.execute(make)

    def upsert(self, rows: Sequence[Document]) -> None:
        """Writes documents in transactions of a thousand, each flushed."""
        for batch in batches(rows):
            self._connection.execute(
                "INSERT INTO documents SELECT * FROM unnest(%b::text[], %b::bytea[]) "
                "ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes",
                [list(column) for column in zip(*batch, strict=True)],
            )

    def sell(self, rows: Iterable[SaleRow]) -> None:
        """Makes a table of documents with two indexes."""
        self._connection.execute(
            'CREATE TABLE sales (key TEXT COLLATE "C" PRIMARY KEY, product TEXT COLLATE "C", '
            "cents BIGINT, bytes BYTEA)"
        )
        with self._connection.cursor() as cursor, cursor.copy("COPY sales FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        self._connection.execute("CREATE INDEX ON sales (product, key)")
        self._connection.execute("CREATE INDEX ON sales (cents, key)")

    def equal(self, product: str, limit: int) -> list[Document]:
        """Returns documents by one of the indexes, in the order of their keys."""
        query = "SELECT key, bytes FROM sales WHERE product = %s ORDER BY key LIMIT %s"
        return self._connection.execute(query, (product, limit), binary=True).fetchall()

    def between(self, low: int, high: int, limit: int) -> list[Document]:
        """Returns documents by the other index, in its order."""
        query = (
            "SELECT key, bytes FROM sales WHERE cents >= %s AND cents <= %s "
            "ORDER BY cents, key LIMIT %s"
        )
        return self._connection.execute(query, (low, high, limit), binary=True).fetchall()

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Yields rows a thousand at a time."""
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch
