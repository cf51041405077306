"""How each kind of query finds its events: its statements, and what the databases plan for them.

python plans.py        prints what `docs/queries.md` shows
"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from support import PROJECT

from eventuali import Event, EventStoreConfig, Projection, ReadModel, sync

BACKENDS = PROJECT / "eventuali-core/src/backend"
TURNED = "/* DESC */"
"""Stands where the other direction has DESC."""
BEHIND = "> /* < */"
"""Stands where the other direction has <."""
EVENTS = 100_000
FAR = 2**63 - 2

SQLITE: dict[str, dict[str, tuple[Any, ...]]] = {
    "type and id of the aggregate": {
        "category": ("", "Ledger"),
        "stream": (1, "s5"),
        "version_at": (1, 5),
        "stream_events_forward": (1, 0, FAR),
        "stream_events_backward": (1, 0, FAR),
    },
    "the same, beside others": {
        "stream_runs_forward": (1, 0, FAR, 1024),
        "stream_runs_backward": (1, 0, FAR, 1024),
    },
    "event ids": {"id_run_before": (b"",)},
    "versions of a stream": {"position_of_version": (1, 5), "is_version": (5, 1, 5)},
    "tags": {
        "tags_forward": ("", "few", 0, 1024),
        "tags_backward": ("", "few", FAR, 1024),
        "tag_events_forward": ("", "few", 0, FAR),
        "tag_events_backward": ("", "few", 0, FAR),
        "tag_end": ("", "few"),
    },
    "event types": {
        "kinds_of_type": ("Rare",),
        "kind_blocks_forward": (1, 0, 1024),
        "kind_blocks_backward": (1, FAR, 1024),
    },
    "since, until": {"position_before": (0, EVENTS, 5)},
    "the events found": {
        "events_forward": (0, FAR),
        "events_backward": (0, FAR),
        "events_at": ("[1, 3]",),
    },
    "events that are passed": {
        "streams_of_type": ("", "Ledger", 4097),
        "streams_of_id": ("", "s5", None, 4097),
        "sift_streams": (1, 65_536, "[1, 2]"),
        "sift_events_forward": (0, 65_536, "c"),
        "sift_events_backward": (0, 65_536, "c"),
        "sift_metadata": (1, 65_536, "c"),
        "sift": (1, 65_536),
        "count_events": (1, 65_536),
        "usage": (1, 65_536),
    },
}
"""Statements by the kind of query, with values for their parameters."""

POSTGRES: dict[str, dict[str, str]] = {
    "type and id of the aggregate": {
        "stream_events_forward": "'', 'Ledger', 's5', 0, {far}, 0, {far}, 1000, 4194304",
        "stream_events_backward": "'', 'Ledger', 's5', 0, {far}, 0, {far}, 1000, 4194304",
    },
    "the same, beside others": {
        "stream_runs_forward": "'', 'Ledger', 's5', 0, {far}, 1024",
        "stream_runs_backward": "'', 'Ledger', 's5', 0, {far}, 1024",
        "runs_of_streams": "'{{1,2}}', 0, {far}, 1024",
    },
    "event ids": {"runs_of_ids": "'{{00000000-0000-0000-0000-000000000001}}'"},
    "tags": {
        "tags_forward": "'', 'few', 0, {far}, 1024",
        "tags_backward": "'', 'few', 0, {far}, 1024",
        "tag_events_forward": "'', 'few', 0, {far}, 1000, 4194304",
        "tag_events_backward": "'', 'few', 0, {far}, 1000, 4194304",
    },
    "user id": {
        "users_forward": "'ada', 0, {far}, 1024",
        "users_backward": "'ada', 0, {far}, 1024",
        "user_events_forward": "'ada', 0, {far}, 1000, 4194304",
        "user_events_backward": "'ada', 0, {far}, 1000, 4194304",
    },
    "a count": {
        "count_events": "'{{1,500}}', '{{300,900}}', NULL, false, ''",
        "count_stream": "'', 'Ledger', 's5', 5, 700, 0, {far}",
        "count_tag": "'', 'few', 0, {far}",
        "usage": "1, 900, NULL",
    },
    "event types": {
        "kind_spans_forward": "'{{Rare}}', 0, {far}, 1024",
        "kind_spans_backward": "'{{Rare}}', 0, {far}, 1024",
    },
    "since, until": {"position_before": "0, 100000, 5"},
    "the events found": {
        "events_forward": "1, 1000, NULL, 1000, 4194304",
        "events_backward": "1, 1000, NULL, 1000, 4194304",
        "events_at_forward": "'{{1,9}}', NULL, 1000, 4194304",
        "events_at_backward": "'{{1,9}}', NULL, 1000, 4194304",
        "spans_forward": "'{{1,9}}', '{{3,12}}', NULL, 1000, 4194304",
        "spans_backward": "'{{1,9}}', '{{3,12}}', NULL, 1000, 4194304",
    },
    "events that are passed": {
        "sift": "1, 4096, 'x'",
        "sift_events_forward": "'x', 0, 4096, 1000, 4194304",
        "sift_events_backward": "'x', 0, 4096, 1000, 4194304",
        "streams_of_item": "'', 'Ledger', NULL, 4097",
        "streams_of_id": "'', 's5', 4097",
        "sift_streams": "1, 4096, '{{1,2}}'",
        "sift_names": "1, 4096, '', 'Ledger'",
    },
}
NAMES_ONLY = {
    "aggregate_types", "categories_above", "categories_are_indexed", "count_streams",
    "count_streams_indexed", "categories_beside", "categories_of_tenant",
    "category_unindexed", "has_words", "kind", "kind_end", "kind_name", "kinds", "kinds_by_name",
    "kinds_of_type", "kinds_unindexed", "last_event", "last_kind", "last_position", "loose",
    "remember", "stream", "stream_head", "stream_name", "stream_names", "stream_unindexed",
    "streams_above", "streams_beside", "streams_of_category", "streams_of_type", "writers",
}  # fmt: skip
"""Statements that find names, or the end of the log, and no events."""


RECORDS = ("", "r@1/R")
"""Tenant and space of the documents."""
SQLITE_RECORDS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "record_by_key": ("records", (*RECORDS, "k7", True)),
    "record_entries": ("record_index", (*RECORDS, "k7")),
    "records_by_prefix_forward": ("records", (*RECORDS, "k", "k7", 100, True)),
    "records_by_prefix_backward": ("records", (*RECORDS, "k", "k7", 100, True)),
    "records_by_index_forward": (
        "record_index",
        (*RECORDS, "owner", 2, "a", 2, "b", -1, 0, "", 100, True),
    ),
    "records_by_index_backward": (
        "record_index",
        (*RECORDS, "owner", 2, "a", 2, "b", 9, 0, "", 100, True),
    ),
    "count_records_by_index": ("record_index", (*RECORDS, "owner", 2, "a", 2, "b")),
    "count_records_by_prefix": ("records", (*RECORDS, "k", "l")),
    "last_record_to_purge": ("records", (*RECORDS, 1000)),
    "purge_records": ("records", (*RECORDS, "k7")),
    "purge_record_index": ("record_index", (*RECORDS, "k7")),
}
"""Statements that find documents: the table whose index finds them, and values."""
_AT = "'', 'r@1/R'"
_BOUNDS = "'owner', 2::smallint, 0, 0, 'o7', 2::smallint, 0, 0, 'o8'"
POSTGRES_RECORDS: dict[str, tuple[str, str]] = {
    "records_by_keys_forward": ("records_pkey", f"{_AT}, '{{{{k7,k9}}}}', 100, true"),
    "records_by_keys_backward": ("records_pkey", f"{_AT}, '{{{{k7,k9}}}}', 100, true"),
    "records_by_prefix_forward": ("records_pkey", f"{_AT}, 'k', 'k7', 100, true"),
    "records_by_prefix_backward": ("records_pkey", f"{_AT}, 'k', 'k7', 100, true"),
    "records_by_index_forward": (
        "record_index_pkey",
        f"{_AT}, {_BOUNDS}, -1::smallint, 0, 0, '', '', 100, true",
    ),
    "records_by_index_backward": (
        "record_index_pkey",
        f"{_AT}, {_BOUNDS}, 9::smallint, 0, 0, '', 'k', 100, true",
    ),
    "count_records_by_index": ("record_index_pkey", f"{_AT}, {_BOUNDS}"),
    "count_records_by_prefix": ("records_pkey", f"{_AT}, 'k', 'l'"),
    "count_records_by_keys": ("records_pkey", f"{_AT}, '{{{{k7,k9}}}}'"),
    "record_entries": ("record_index_tenant_space_key_idx", "'{{\"\"}}', '{{r@1/R}}', '{{k7}}'"),
}
"""The same, with the index."""


OWN = (" search", " CONSTANT ROW", " VIRTUAL TABLE INDEX 1:")
"""Steps over what a statement has made itself."""


class Common(Event, name="plans.common"):
    number: int


class Rare(Event, name="Rare"):
    number: int


def fill(store: sync.EventStore, events: int = EVENTS) -> None:
    """Stores events in streams of 100, one in a hundred rare and tagged."""
    for first in range(0, events, 5_000):
        for start in range(first, first + 5_000, 100):
            batch: list[Event] = [Common(number=n) for n in range(start, start + 99)]
            rare = Rare(number=start + 99, tags=["few"], correlation_id="c", user_id="ada")
            batch.append(rare)
            kind = "Ledger" if start % 1000 else "Other"
            store.append(batch, stream=(kind, f"s{start // 100}"))


def statement(backend: str, name: str) -> str:
    """Returns a statement; one that is read in two directions has one text for both."""
    file = BACKENDS / backend / "sql" / f"{name}.sql"
    if file.exists():
        return file.read_text()
    stem, direction = name.rsplit("_", 1)
    text = file.with_stem(stem).read_text()
    if direction != "backward":
        return text
    return text.replace(TURNED, "DESC").replace(BEHIND, "<")


def statements_that_look_for_events(backend: str) -> set[str]:
    """Returns the statements of a backend that answer queries."""
    found = set()
    for path in (BACKENDS / backend / "sql").glob("*.sql"):
        text = path.read_text()
        reads = text.lstrip().upper().startswith(("SELECT", "WITH"))
        apart = "record" in path.stem or path.stem.startswith(("verify", "call_"))
        if TURNED in text and not apart:
            found |= {f"{path.stem}_forward", f"{path.stem}_backward"}
        elif reads and not apart and path.stem not in NAMES_ONLY:
            found.add(path.stem)
    return found - {"announce", "listen", "session"}


class Sheet(ReadModel, name="R", index=("owner", "size")):
    owner: str
    size: int


class Sheets(Projection[Sheet], name="r"):
    def key(self, event: Common) -> str:
        return f"k{event.number}"

    def on_common(self, event: Common, doc: Sheet | None) -> Sheet:
        return Sheet(owner=f"o{event.number % 100}", size=event.number)


def fill_records(store: sync.EventStore, documents: int = 20_000) -> None:
    """Stores documents."""
    for first in range(0, documents, 5_000):
        store.append([Common(number=n) for n in range(first, first + 5_000)])
    with store.run(Sheets()) as running:
        running.wait_for(store.stats().last_position, timeout=60)


def explained_by_sqlite(database: sqlite3.Connection, name: str, values: Any) -> list[str]:
    """Returns the steps of a statement."""
    explained = database.execute("EXPLAIN QUERY PLAN " + statement("sqlite", name), values)
    return [row[3] for row in explained]


def of_sqlite(file: Path) -> dict[str, dict[str, list[str]]]:
    """Returns the plan of each statement, by the kind of query."""
    with closing(sqlite3.connect(file)) as database:
        database.create_function("kept", 4, lambda *_: True, deterministic=True)
        return {
            kind: {
                name: explained_by_sqlite(database, name, values)
                for name, values in statements.items()
            }
            for kind, statements in SQLITE.items()
        }


def of_postgres(
    database: Any, config: EventStoreConfig, mode: str
) -> dict[str, dict[str, list[str]]]:
    """The same, for plans of a mode: `force_generic_plan` or `force_custom_plan`."""
    database.execute(f"SET plan_cache_mode = {mode}")
    plans: dict[str, dict[str, list[str]]] = {}
    for kind, statements in POSTGRES.items():
        # A count has no order that an index gives: only the settings of our sessions say so.
        counted = "off" if kind == "a count" else "on"
        for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
            database.execute(f"SET {setting} = {counted}")
        plans[kind] = {
            name: explained_by_postgres(database, config, name, values)
            for name, values in statements.items()
        }
    return plans


def explained_by_postgres(
    database: Any, config: EventStoreConfig, name: str, values: str
) -> list[str]:
    """Returns the plan of a statement that was run: only that shows the inside of recursion."""
    text = statement("postgres", name)
    for relation in re.findall(r"\{(\w+)\}", text):
        full = f"{config.schema}.{config.table_name}_{relation}"
        text = text.replace(f"{{{relation}}}", full)
    database.execute(f"PREPARE asked AS {text}")
    options = "ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF"
    explained = f"EXPLAIN ({options}) EXECUTE asked({values.format(far=FAR)})"
    lines = [line for (line,) in database.execute(explained)]
    database.execute("DEALLOCATE asked")
    return lines


def page(plans: dict[str, dict[str, list[str]]]) -> str:
    """Returns the plans of SQLite as the page shows them: forward, each step once."""
    lines = []
    for kind, statements in plans.items():
        lines.append(f"{kind}")
        steps = [
            step
            for name, steps in statements.items()
            if "backward" not in name
            for step in steps
            if step.startswith(("SEARCH", "SCAN")) and not step.endswith(OWN)
        ]
        lines += [f"    {step}" for step in dict.fromkeys(steps)]
    return "\n".join(lines)


def main() -> None:
    """Prints the plans of SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.db"
        with sync.EventStore.create(file, durability="relaxed") as store:
            fill(store)
        print(page(of_sqlite(file)))


if __name__ == "__main__":
    main()
