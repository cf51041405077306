"""What queries cost in a log of a million events, and conditions beside a thousand and a million.

    target/bench/env/bin/python benchmarks/queries.py [postgresql://user@host/database]

In SQLite, or in the schema `bench_queries` of a database, which is dropped at the end. The
environment is that of `make bench`. Medians of five; docs/adr/0007 quotes the figures.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psycopg

from eventuali import AppendCondition, Event, EventStoreConfig, Query
from eventuali.sync import EventStore

EVENTS = 1_000_000
STREAM = 1_000
COMMITS = 200
ROUNDS = 5
SCHEMA = "bench_queries"
NOTE = "a payload of the usual size, about a hundred bytes in all, as in the other benchmarks"


class Added(Event):
    """What is stored."""

    amount: int
    note: str


def fill(store: EventStore, events: int) -> None:
    """Stores streams of a thousand; 1 % are of a rare type, 1 % correlated, 1,000 have a tag."""
    for first in range(0, events, STREAM):
        number = first // STREAM
        batch = [
            Added(
                amount=n,
                note=NOTE,
                correlation_id="rare" if n % 100 == 17 else None,
                tags=["few"] if n % (events // 1000) == events // 2000 else [],
            )
            for n in range(first, first + STREAM)
        ]
        kind = "Rare" if number % 100 == 3 else "Common"
        store.append(batch, stream=(kind, f"s{number}"))
    store.append([Added(amount=n, note=NOTE) for n in range(1000)], stream=("One", "one"))


def taken(work: Callable[[], int]) -> tuple[float, int]:
    """Returns the median of the seconds, and what the work counted."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times), found


def count(events: Iterable[Event]) -> int:
    """Returns how many there are."""
    return sum(1 for _ in events)


def reads(store: EventStore) -> None:
    """Prints what each kind of query takes."""
    everything, total = taken(lambda: count(store.read()))
    print(f"following all {total:,}: {everything:.2f} s, {total / everything:,.0f} a second")
    passed = {
        "correlation, 1 %": Query(correlation_id="rare"),
        "aggregate type, 1 %": Query(aggregate_type="Rare"),
        "aggregate id, 0.1 %": Query(aggregate_id="s7"),
        "a correlation of nobody": Query(correlation_id="nobody"),
    }
    for name, query in passed.items():
        seconds, found = taken(lambda query=query: count(store.read(query)))  # type: ignore[misc]
        rate = f"{total / seconds:,.0f} rows a second, {everything / seconds:.1f}x following all"
        print(f"{name}: {found:,} found in {seconds:.3f} s, {rate}")
    stream, one = taken(lambda: count(store.read(Query(aggregate_type="One", aggregate_id="one"))))
    tag, few = taken(lambda: count(store.read(Query(tags=["few"]))))
    print(f"a stream of {one:,}: {stream * 1e3:.2f} ms; a tag of {few:,}: {tag * 1e3:.2f} ms, "
          f"{tag / stream:.2f}x")  # fmt: skip
    middle = next(iter(store.read(after=EVENTS // 2, limit=1))).recorded_at
    seconds, _ = taken(lambda: count(store.read(since=middle, limit=1)))
    print(f"the first event since a time: {seconds * 1e3:.2f} ms")


def conditions(store: EventStore) -> float:
    """Returns the seconds of a commit on condition of a tag that nothing has."""
    begun = time.perf_counter()
    for number in range(COMMITS):
        condition = AppendCondition(Query(tags=[f"nobody:{number}"]))
        store.append([Added(amount=number, note=NOTE)], condition=condition)
    return (time.perf_counter() - begun) / COMMITS


def place(folder: Path, url: str | None, size: int) -> Path | EventStoreConfig:
    """Returns where a store of a size is."""
    if url is None:
        return folder / f"{size}.db"
    return EventStoreConfig.postgres(url).with_schema(SCHEMA).with_table_name(f"e{size}")


def main(url: str | None = None) -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        sizes = (1_000, EVENTS)
        for size in sizes:
            with EventStore.create(place(Path(folder), url, size), durability="relaxed") as store:
                fill(store, size)
                if size == EVENTS:
                    reads(store)
        os.sync()  # what was stored on the way is not to be flushed by those who are timed
        small, large = (EventStore.create(place(Path(folder), url, size)) for size in sizes)
        with small, large:
            rounds = [(conditions(small), conditions(large)) for _ in range(ROUNDS)]
        beside = [statistics.median(one) * 1e6 for one in zip(*rounds, strict=True)]
        ratio = statistics.median(late / early for early, late in rounds)
        print(f"a commit on condition of a tag: {beside[0]:.0f} µs beside 1,000 events, "
              f"{beside[1]:.0f} µs beside {EVENTS:,}, {ratio:.2f}x")  # fmt: skip
    if url is not None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"SET client_min_messages = warning; DROP SCHEMA {SCHEMA} CASCADE")


if __name__ == "__main__":
    main(*sys.argv[1:])
