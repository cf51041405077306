"""The older table of events, written by another program: SQL and nothing of ours."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

from stores import administrator

from eventuali import Aggregate, Event

SQLITE = """
CREATE TABLE {table} (
    id TEXT PRIMARY KEY, aggregate_id TEXT NOT NULL, aggregate_type TEXT NOT NULL,
    event_type TEXT NOT NULL, event_version INTEGER NOT NULL, aggregate_version INTEGER NOT NULL,
    event_data TEXT NOT NULL, event_data_type TEXT NOT NULL, metadata TEXT NOT NULL,
    timestamp TEXT NOT NULL, UNIQUE (aggregate_id, aggregate_version)
);
CREATE INDEX IF NOT EXISTS by_stream ON {table} (aggregate_id);
CREATE INDEX IF NOT EXISTS by_type ON {table} (aggregate_type);
CREATE INDEX IF NOT EXISTS by_time ON {table} (timestamp);
"""
POSTGRES = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {schema}.{table} (
    id UUID PRIMARY KEY, aggregate_id VARCHAR(255) NOT NULL, aggregate_type VARCHAR(255) NOT NULL,
    event_type VARCHAR(255) NOT NULL, event_version INTEGER NOT NULL,
    aggregate_version BIGINT NOT NULL, event_data {data} NOT NULL,
    event_data_type VARCHAR(20) NOT NULL, metadata {metadata},
    timestamp TIMESTAMP WITH TIME ZONE NOT NULL, UNIQUE (aggregate_id, aggregate_version)
);
CREATE INDEX ON {schema}.{table} (aggregate_id);
CREATE INDEX ON {schema}.{table} (aggregate_type);
CREATE INDEX ON {schema}.{table} (timestamp);
"""

Row = tuple[Any, ...]


class AccountOpened(Event, name="old.AccountOpened"):
    owner: str


class Deposited(Event, name="old.Deposited", version=2):
    amount: int


class Account(Aggregate):
    owner: str = ""
    balance: int = 0

    def apply_opened(self, event: AccountOpened) -> None:
        self.owner = event.owner

    def apply_deposited(self, event: Deposited) -> None:
        self.balance += event.amount


def row(
    number: int,
    stream: str,
    version: int,
    kind: str = "old.Deposited",
    data: object = None,
    *,
    time: str = "",
    metadata: object = None,
    aggregate_type: str = "Account",
    **other: Any,
) -> Row:
    """Makes a row as the program would; `other` puts something else into a column."""
    values: dict[str, Any] = {
        "id": str(UUID(int=(7 << 76) + (2 << 62) + number)),
        "aggregate_id": stream,
        "aggregate_type": aggregate_type,
        "event_type": kind,
        "event_version": 2 if kind == "old.Deposited" else 1,
        "aggregate_version": version,
        "event_data": json.dumps({"amount": number} if data is None else data),
        "event_data_type": "json",
        "metadata": json.dumps(metadata or {}),
        "timestamp": time or f"2024-05-01T00:00:{number % 60:02}.000001+00:00",
    }
    return tuple((values | other).values())


def rows() -> list[Row]:
    """Three accounts, whose events lie between each other."""
    opened = {"owner": "Ada é \U0001f642"}
    metadata = {
        "causation_id": "0190b4c5-0000-7000-8000-000000000001",
        "correlation_id": "request 7",
        "user_id": "ada",
        "headers": {"ip": "::1", "b": "é"},
    }
    return [
        row(5, "a", 1, "old.AccountOpened", opened, metadata=metadata),
        row(6, "b", 1, "old.AccountOpened", {"owner": "Bob"}),
        row(9, "a", 2),
        row(8, "b", 2, event_data='{ "amount" : 1e2 }'),
        row(1, "a", 3, time="2024-05-01T00:00:09.000001Z"),
        # Its clock was wrong: older than what stands before it in the stream.
        row(4, "a", 4, time="1969-12-31T23:59:59.999999+00:00", metadata={"user_id": "späť"}),
        row(30, "c", 1, "old.AccountOpened", {"owner": ""}, metadata={"causation_id": None}),
    ]


IN_LOG = [("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("a", 4), ("c", 1)]
"""Of the rows above, by time; what is older than one before it in the stream follows that one."""


def write_sqlite(path: Path, written: list[Row], table: str = "events") -> None:
    with closing(sqlite3.connect(path)) as db, db:
        found = db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone()
        if not found:
            db.executescript(SQLITE.format(table=f'"{table}"'))
        db.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * 10)})', written)


def write_postgres(
    schema: str,
    written: list[Row],
    table: str = "events",
    data: str = "JSONB",
    metadata: str = "JSONB",
) -> None:
    with administrator() as connection:
        found = connection.execute("SELECT to_regclass(%s)", [f"{schema}.{table}"]).fetchone()
        if found == (None,):
            connection.execute(
                POSTGRES.format(schema=schema, table=table, data=data, metadata=metadata)
            )
        values = ", ".join(["%s"] * 10)
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {schema}.{table} VALUES ({values})", written)
