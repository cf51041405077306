"""Searching documents by their words, beside the same search in SQL, and what texts add to a fold.

python -m benchmarks.searching [sqlite | postgres] [documents]

The other side has the same texts in a table of its own, with an index of FTS5 or of `tsvector`, and
returns the same 20 documents' JSON. Both are asked in turn, in one run.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

import psycopg

from eventuali import Event, EventStoreConfig, Projection, ReadModel, sync

WORDS = 30
VOCABULARY = 20_000
SERVER = os.environ.get("EVENTUALI_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/test")
ROUNDS = 30
BATCH = 5_000


class Published(Event, name="benchmarks.published"):
    """A text."""

    body: str


class Page(ReadModel, name="Page", text=("body",)):
    """A text that is searched."""

    body: str


class Plain(ReadModel, name="Plain"):
    """The same, not searched."""

    body: str


class Pages(Projection[Page], name="Pages"):
    """A document an event."""

    def key(self, event: Published) -> str:
        """Returns the position."""
        return f"{event.meta.position:08}"

    def on_published(self, event: Published, doc: Page | None) -> Page:
        """Returns the document."""
        return Page(body=event.body)


class Plains(Projection[Plain], name="Plains"):
    """A document an event."""

    def key(self, event: Published) -> str:
        """Returns the position."""
        return f"{event.meta.position:08}"

    def on_published(self, event: Published, doc: Plain | None) -> Plain:
        """Returns the document."""
        return Plain(body=event.body)


def texts(count: int) -> list[str]:
    """Returns texts in which word `w<n>` is the rarer, the higher its number."""
    chance = Random(7)  # noqa: S311
    ranks = range(1, VOCABULARY + 1)
    words = [f"w{rank}" for rank in ranks]
    weights = [1 / rank for rank in ranks]
    return [" ".join(chance.choices(words, weights, k=WORDS)) for _ in range(count)]


QUERIES = {
    "a rare word": "w9000",
    "a word of 1 in 50": "w140",
    "a word of every other": "w3",
    "two words": "w20 w30",
    "a phrase": '"w3 w5"',
    "a beginning": "w77*",
}


def seconds(call: Callable[[], Any]) -> float:
    """Returns how long a call takes."""
    begun = perf_counter()
    call()
    return perf_counter() - begun


def folded(store: sync.EventStore, projection: Projection[Any]) -> float:
    """Returns how long a projection takes to the end of the log."""
    begun = perf_counter()
    with store.run(projection) as running:
        running.caught_up(timeout=3600)
    return perf_counter() - begun


def compare(store: sync.EventStore, raw: Callable[[str], list[Any]]) -> None:
    """Asks both in turn, and prints the medians."""
    for name, query in QUERIES.items():
        assert len(store.search(Page, query)) == len(raw(query)), name  # noqa: S101
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(seconds(lambda query=query: store.search(Page, query)))
            theirs.append(seconds(lambda query=query: raw(query)))
        one, other = median(ours) * 1000, median(theirs) * 1000
        print(f"{name:24} {one:8.2f} ms {other:8.2f} ms in SQL, ratio {one / other:.2f}")


def sqlite_search(folder: str, bodies: list[str]) -> Callable[[str], list[Any]]:
    """Returns a search in a file of its own."""
    raw = sqlite3.connect(Path(folder) / "raw.db")
    raw.executescript(
        "PRAGMA journal_mode = WAL; CREATE TABLE pages (id INTEGER PRIMARY KEY, json TEXT);"
        "CREATE VIRTUAL TABLE words USING fts5(body, content='')"
    )
    rows = [(n, body) for n, body in enumerate(bodies, 1)]
    raw.executemany("INSERT INTO pages VALUES (?, ?)", rows)
    raw.executemany("INSERT INTO words (rowid, body) VALUES (?, ?)", rows)
    raw.commit()
    sql = (
        "SELECT p.json FROM (SELECT rowid AS id, rank FROM words WHERE words MATCH ? "
        "ORDER BY rank LIMIT 20) AS w INNER JOIN pages AS p ON p.id = w.id ORDER BY w.rank"
    )
    return lambda query: raw.execute(sql, [query]).fetchall()


def postgres_search(schema: str, bodies: list[str]) -> Callable[[str], list[Any]]:
    """Returns a search in a table of its own."""
    raw = psycopg.connect(SERVER, autocommit=True)
    raw.execute(f"SET search_path = {schema}")
    raw.execute("CREATE TABLE pages (id BIGINT PRIMARY KEY, json TEXT, words TSVECTOR)")
    with raw.cursor() as cursor, cursor.copy("COPY pages (id, json) FROM STDIN") as copy:
        for row in enumerate(bodies, 1):
            copy.write_row(row)
    raw.execute("UPDATE pages SET words = to_tsvector('simple', json)")
    raw.execute("CREATE INDEX ON pages USING gin (words)")
    raw.execute("VACUUM ANALYZE pages")
    sql = (
        "SELECT json FROM pages, to_tsquery('simple', %s) AS q WHERE words @@ q "
        "ORDER BY ts_rank(words, q, 1) DESC, id LIMIT 20"
    )

    def search(query: str) -> list[Any]:
        phrase = query.startswith('"')
        words = query.strip('"').replace("*", ":*").split()
        return raw.execute(sql, [(" <-> " if phrase else " & ").join(words)]).fetchall()

    return search


def main() -> None:
    """Measures one backend."""
    kind = sys.argv[1] if len(sys.argv) > 1 else "sqlite"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    bodies = texts(count)
    schema = f"bench_searching_{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        place: Any = Path(folder) / "events.db"
        if kind == "postgres":
            place = EventStoreConfig.postgres(SERVER).with_schema(schema)
        try:
            with sync.EventStore.create(place) as store:
                for first in range(0, count, BATCH):
                    events = [Published(body=body) for body in bodies[first : first + BATCH]]
                    store.append(events)
                plain = folded(store, Plains())
                with_words = folded(store, Pages())
                print(
                    f"{kind}, {count:,} documents of {WORDS} words: folded in {plain:.2f} s, "
                    f"and in {with_words:.2f} s with text="
                )
                raw = (
                    sqlite_search(folder, bodies)
                    if kind == "sqlite"
                    else (postgres_search(schema, bodies))
                )
                compare(store, raw)
        finally:
            if kind == "postgres":
                with psycopg.connect(SERVER, autocommit=True) as connection:
                    connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


if __name__ == "__main__":
    main()
