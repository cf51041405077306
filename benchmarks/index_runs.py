"""What the indexes of the event log cost: an entry an event, or an entry a run of events.

    uv run python benchmarks/index_runs.py

Same rows, same settings (WAL, synchronous=FULL), the same lookups possible: by stream and version,
by event id, by type. Interleaved, medians of five rounds; docs/adr/0001 quotes the ratios.
"""

import os
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

LOG = """CREATE TABLE event_log (
    position INTEGER PRIMARY KEY, stream INTEGER, version INTEGER, kind INTEGER, event_id BLOB,
    timestamp INTEGER, recorded_at INTEGER, checksum INTEGER, metadata TEXT, payload BLOB)"""
PER_EVENT = [
    "CREATE UNIQUE INDEX by_stream ON event_log (stream, version)",
    "CREATE UNIQUE INDEX by_id ON event_log (event_id)",
    "CREATE INDEX by_kind ON event_log (kind)",
]
PER_RUN = [
    "CREATE TABLE stream_runs (stream INTEGER, first_version INTEGER, position INTEGER, "
    "count INTEGER, PRIMARY KEY (stream, first_version)) WITHOUT ROWID",
    "CREATE TABLE id_runs (first_id BLOB PRIMARY KEY, position INTEGER, count INTEGER) "
    "WITHOUT ROWID",
    "CREATE TABLE kind_blocks (kind INTEGER, block INTEGER, PRIMARY KEY (kind, block)) "
    "WITHOUT ROWID",
]
INSERT = "INSERT INTO event_log VALUES (?, ?, ?, ?, ?, 1, 1, 1, NULL, ?)"
PAYLOAD = (
    b'{"amount":"10.00","note":"a payload of the usual size, about a hundred bytes in all ..."}'
)


def fill(folder: Path, *, runs: bool, commits: int, events: int) -> tuple[float, int]:
    """Returns seconds and bytes for a database of `commits` times `events`."""
    path = folder / f"{runs}-{commits}-{events}.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 10000"):
        connection.execute(f"PRAGMA {pragma}")
    for statement in [LOG, *(PER_RUN if runs else PER_EVENT)]:
        connection.execute(statement)
    position = 0
    begun = time.perf_counter()
    for stream in range(commits):
        first = int.from_bytes(os.urandom(15))
        rows = [
            (position + i, stream, i, i % 5, (first + i).to_bytes(16), PAYLOAD)
            for i in range(1, events + 1)
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, rows)
        if runs:
            run = (position + 1, events)
            connection.execute("INSERT INTO stream_runs VALUES (?, 1, ?, ?)", (stream, *run))
            connection.execute("INSERT INTO id_runs VALUES (?, ?, ?)", (rows[0][4], *run))
            blocks = {(row[3], row[0] >> 6) for row in rows}
            connection.executemany("INSERT OR IGNORE INTO kind_blocks VALUES (?, ?)", blocks)
        connection.execute("COMMIT")
        position += events
    seconds = time.perf_counter() - begun
    connection.close()
    size = path.stat().st_size
    path.unlink()
    return seconds, size


def main() -> None:
    """Prints a line for each size of commit."""
    for commits, events in ((2000, 1), (500, 100), (100, 1000)):
        seconds: dict[bool, list[float]] = {True: [], False: []}
        sizes = {}
        for _ in range(5):
            for runs in (True, False):
                with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
                    taken, sizes[runs] = fill(
                        Path(folder), runs=runs, commits=commits, events=events
                    )
                    seconds[runs].append(taken)
        per_event, per_run = statistics.median(seconds[False]), statistics.median(seconds[True])
        print(
            f"{commits:5} commits of {events:4}: runs are {per_event / per_run:.2f}x as fast, "
            f"{sizes[True] / sizes[False]:.2f}x the size"
        )


if __name__ == "__main__":
    main()
