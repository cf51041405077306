"""The database of a store with inline documents, looked at without the store."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg.sql import SQL, Identifier

from eventuali import sync
from reliability import server
from reliability.inlining import Document, Glance

_LATE = """
    CREATE FUNCTION late() RETURNS TRIGGER LANGUAGE plpgsql AS $$
    BEGIN
        IF random() < 0.0625 THEN
            PERFORM pg_sleep(random() * 0.1);
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER late AFTER INSERT ON events_log FOR EACH ROW EXECUTE FUNCTION late();
"""
"""Some commits are on their way for long, so that readers of the log must stop before them."""


@dataclass(frozen=True, slots=True)
class Beside:
    """The database of a store, without the store."""

    url: str
    rows: Callable[[str], list[Any]]
    begin: str
    """Begins to look at one moment."""

    def glance(self) -> Glance:
        """Returns what is stored now, events and documents."""
        self.rows(self.begin)
        try:
            (record,) = self.rows("SELECT bytes FROM records WHERE space = 'projection'") or [None]
            heads = dict(self.rows("SELECT key, version FROM heads"))
            stored = self.rows(
                "SELECT space, key, bytes FROM records"
                " WHERE space LIKE 'Contents@%/Content' AND bytes IS NOT NULL"
            )
            entries = self.rows("SELECT * FROM entries WHERE space LIKE 'Contents@%/Content'")
        finally:
            self.rows("COMMIT")
        state = json.loads(bytes(record[0])) if record else {}
        indexed: dict[tuple[str, str], set[tuple[str, int]]] = {}
        for space, key, name, value in entries:
            indexed.setdefault((space, key), set()).add((name, value))
        found: dict[str, dict[str, Document]] = {}
        for space, key, held in stored:
            entry = frozenset(indexed.get((space, key), ()))
            found.setdefault(space, {})[key] = _document(bytes(held), entry)

        def of(which: str) -> dict[str, Document]:
            number = (state.get(which) or {"number": 0})["number"]
            return found.get(f"Contents@{number}/Content", {})

        return Glance(heads, of("live"), of("building"))


def _document(held: bytes, entries: frozenset[tuple[str, int]]) -> Document:
    """Returns a document as it is stored: a line that says what it is made of, and JSON."""
    line, _, text = held.partition(b"\n")
    assert line.startswith(b"\0"), held
    fields = json.loads(text)
    state = tuple(fields[name] for name in ("count", "chain", "last", "version"))
    return Document(int(line[1:].split()[0]), state, entries)


@contextmanager
def on_a_file(path: Path) -> Iterator[Beside]:
    """Yields what is beside a new store on SQLite."""
    sync.EventStore.create(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as beside:
        beside.execute(
            "CREATE TEMP VIEW heads AS SELECT aggregate_id AS key, max(aggregate_version) AS"
            " version FROM events GROUP BY aggregate_id"
        )
        beside.execute(
            "CREATE TEMP VIEW entries AS SELECT space, key, name, value FROM record_index"
        )
        yield Beside(str(path), lambda text: beside.execute(text).fetchall(), "BEGIN")


@contextmanager
def on_a_server(folder: Path, number: int) -> Iterator[Beside]:
    """Yields what is beside a new store on PostgreSQL, which goes in the end.

    Raises:
        NoServerError: There is no server.
    """
    with server.database(folder, f"_{number}") as url:
        sync.EventStore.create(url).close()
        with server.connect(url) as beside:
            beside.execute(_LATE)
            for name, columns, table in (
                ("records", "*", "events_records"),
                ("record_index", "*", "events_record_index"),
                ("heads", "aggregate_id AS key, version", "events_streams"),
                ("entries", "space, key, name, whole AS value", "events_record_index"),
            ):
                view = SQL("CREATE TEMP VIEW {} AS SELECT {} FROM {}")
                beside.execute(view.format(Identifier(name), SQL(columns), Identifier(table)))

            def rows(statement: str) -> list[Any]:
                cursor = beside.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []

            yield Beside(url, rows, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
