"""What a query is found by: no statement that answers one reads the whole log."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import plans
import pytest
from stores import administrator, url_of
from support import PROJECT

from eventuali import Query, sync

INDEXES = {
    "type and id of the aggregate": {"runs_stream_first_version_idx", "log_pkey"},
    "the same, beside others": {"runs_stream_first_version_idx"},
    "event ids": {"runs_pkey"},
    "tags": {"tags_pkey"},
    "user id": {"log_events_user_position_idx"},
    "a count": set(),
    "event types": {"kind_spans_pkey"},
    "since, until": {"log_pkey"},
    "the events found": {"log_pkey"},
    "events that are passed": {"log_pkey"},
}
"""Which index of PostgreSQL finds what is asked for; others find names."""


@pytest.fixture(scope="module")
def sqlite_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("plans") / "events.db"
    with sync.EventStore.create(file, durability="relaxed") as store:
        plans.fill(store)
    return file


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    config = url_of("postgres", tmp_path_factory.mktemp("plans"))
    with sync.EventStore.create(config, durability="relaxed") as store:
        plans.fill(store)
    return config


@pytest.fixture(scope="module")
def sqlite_documents(tmp_path_factory):
    file = tmp_path_factory.mktemp("documents") / "events.db"
    with sync.EventStore.create(file, durability="relaxed") as store:
        plans.fill_records(store)
    return file


@pytest.fixture(scope="module")
def postgres_documents(tmp_path_factory):
    config = url_of("postgres", tmp_path_factory.mktemp("documents"))
    with sync.EventStore.create(config, durability="relaxed") as store:
        plans.fill_records(store)
    return config


@pytest.mark.parametrize(
    ("backend", "known"), [("sqlite", plans.SQLITE), ("postgres", plans.POSTGRES)]
)
def test_every_statement_that_looks_for_events_is_planned_here(backend, known):
    listed = {name for statements in known.values() for name in statements}
    assert plans.statements_that_look_for_events(backend) <= listed


def test_sqlite_searches(sqlite_file):
    for kind, statements in plans.of_sqlite(sqlite_file).items():
        for name, steps in statements.items():
            tables = [step for step in steps if not step.endswith(plans.OWN)]
            scanned = [step for step in tables if step.startswith("SCAN") or "TEMP B-TREE" in step]
            assert not scanned, (kind, name, steps)
            assert any(step.startswith("SEARCH") for step in tables), (kind, name, steps)


@pytest.mark.skipif(sqlite3.sqlite_version_info < (3, 36), reason="it words its plans otherwise")
def test_the_page_shows_the_plans(sqlite_file):
    page = (PROJECT / "docs/queries.md").read_text()
    (shown,) = re.findall(r"^```text\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL)
    assert shown == plans.page(plans.of_sqlite(sqlite_file))


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize("analyzed", [False, True])
def test_postgres_uses_its_indexes(postgres, mode, analyzed):
    large = {f"{postgres.table_name}_{name}" for name in ("log", "runs", "kind_spans", "tags")}
    with administrator() as database:
        if analyzed:
            for relation in sorted(large):
                database.execute(f"ANALYZE {postgres.schema}.{relation}")
        for kind, statements in plans.of_postgres(database, postgres, mode).items():
            for name, lines in statements.items():
                text = "\n".join(lines)
                read = set(re.findall(r"Seq Scan on (\w+)", text))
                assert not read & large, f"{kind}, {name}:\n{text}"
                used = re.findall(r"(?:using|Bitmap Index Scan on) (\w+)", text)
                used = {index.removeprefix(f"{postgres.table_name}_") for index in used}
                if not name.startswith("streams_of"):  # which finds names
                    assert INDEXES[kind] <= used, f"{kind}, {name}:\n{text}"


def test_postgres_never_scans_its_log(postgres):
    """What the server counts while queries are answered, rather than what it plans."""
    with sync.EventStore.create(postgres) as store:
        (first, second) = store.read(limit=2)
        day = first.recorded_at.replace(hour=0, minute=0)
        ledger = Query(aggregate_type="Ledger", aggregate_id="s5")
        rare = Query(aggregate_type="Ledger", aggregate_id="s5", event_types=["Rare"])
        asked = [
            {"query": ledger},
            {"query": ledger, "after": 300},
            {"query": rare, "after": 300, "before": 9_000},
            {"query": rare, "before": 9_000, "backwards": True},
            {"query": Query(tags=["few"]), "limit": 20},
            {"query": Query(user_id="ada"), "limit": 20},
            {"query": Query(user_id="ada", event_types=["Rare"]), "before": 9_000},
            {"query": Query(event_types=["Rare"]), "limit": 20},
            {"query": Query(event_ids=[first.event_id, second.event_id])},
            {"query": Query(tags=["few"]) | ledger},
            {"since": first.recorded_at, "limit": 20},
            {"until": day, "limit": 20},
            {"query": Query(correlation_id="c"), "limit": 20},
            {"query": Query(aggregate_type="Other"), "limit": 20},
            {"limit": 20, "backwards": True},
        ]
        with administrator() as database:
            find = (
                "SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_all_tables "
                "WHERE schemaname = %s AND relname = ANY(%s)"
            )
            names = [
                f"{postgres.table_name}_{name}" for name in ("log", "runs", "tags", "kind_spans")
            ]
            (before,) = database.execute(find, [postgres.schema, names]).fetchone()
            for options in asked:
                found = list(store.read(**options))
                assert bool(found) != ("until" in options), options
            store.close()  # a connection that ends hands in its counts
            (after,) = database.execute(find, [postgres.schema, names]).fetchone()
    assert after == before


@pytest.mark.parametrize("name", plans.SQLITE_RECORDS)
def test_sqlite_finds_documents_by_an_index(name, sqlite_documents):
    table, values = plans.SQLITE_RECORDS[name]
    with closing(sqlite3.connect(sqlite_documents)) as database:
        steps = plans.explained_by_sqlite(database, name, values)
    first = next(step for step in steps if step.startswith(("SEARCH", "SCAN")))
    assert re.match(rf"SEARCH ({table}|i|r) USING .*\(tenant=\? AND space=\?", first), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps


@pytest.mark.parametrize("name", plans.POSTGRES_RECORDS)
def test_postgres_finds_documents_by_an_index(name, postgres_documents):
    """By the settings of our sessions, and without statistics: a table that was filled just now.

    Only a count by an index needs them; they come with the first autovacuum.
    """
    index, values = plans.POSTGRES_RECORDS[name]
    with administrator() as database:
        for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"):
            database.execute(f"SET {setting} = off")
        database.execute("SET plan_cache_mode = force_generic_plan")
        if name == "count_records_by_index":
            table = f"{postgres_documents.schema}.{postgres_documents.table_name}_record_index"
            database.execute(f"ANALYZE {table}")
        lines = plans.explained_by_postgres(database, postgres_documents, name, values)
    text = "\n".join(lines)
    assert "Seq Scan" not in text, text
    assert f"{postgres_documents.table_name}_{index}" in text, text
    passed = re.findall(r"Rows Removed by (?:Join )?Filter: (\d+)", text)
    assert sum(map(int, passed)) < 10, f"what is not asked for is not read:\n{text}"


def test_documents_are_found_in_as_many_steps_as_there_are(postgres_documents):
    """The control of what is counted above: a filter reads the whole space."""
    with administrator() as database:
        table = f"{postgres_documents.schema}.{postgres_documents.table_name}_records"
        explain = f"EXPLAIN (ANALYZE) SELECT key FROM {table} WHERE space = %s AND version = 7"
        text = "\n".join(line for (line,) in database.execute(explain, [plans.RECORDS[1]]))
    assert sum(map(int, re.findall(r"Rows Removed by Filter: (\d+)", text))) > 1_000, text
