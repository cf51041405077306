"""`schema check --store`: real events, read with the code of today, and nothing else is done."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from postgres_server import server_url
from pydantic import create_model
from schema_shop import shop
from stores import each_kind, each_shared, schema_of, url_of

from eventuali import Event, InvalidEventError, sync
from eventuali.errors import ConfigurationError, DatabaseError
from eventuali.schema import Registry, check_stored, open_to_look
from eventuali.schema._opening import _read_only

__all__ = ["shop"]


def event(wire: str, **fields) -> type[Event]:
    declared = {name: kind if isinstance(kind, tuple) else (kind, ...)
                for name, kind in fields.items()}  # fmt: skip
    return create_model("Made", __base__=Event, __cls_kwargs__={"name": wire}, **declared)


def filled(place, *events: Event, tenant: str = "") -> None:
    with sync.EventStore.create(place, tenant=tenant) as store:
        store.append(events)


def words_of(kind, folder) -> list[str]:
    """Says to the command line where the store of a folder is."""
    if kind == "postgres":
        return ["--store", server_url(), "--pg-schema", schema_of(folder)]
    return ["--store", str(url_of(kind, folder))]


@each_kind
def test_what_can_be_read_and_what_cannot(kind, tmp_path):
    old, new = event("stored.a", x=int | str), event("stored.a", x=int)
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        store.append([old(x=1), old(x="one"), old(x=3)])
        (row,) = check_stored(store, Registry.of(new), sample=None)
        assert (row.event_type, row.version, row.read, row.failed) == ("stored.a", 1, 3, 1)
        (failure,) = row.failures
        assert (failure.position, failure.path, failure.payload) == (2, "x", '{"x": "one"}')
        assert failure.text.startswith("x: Input should be a valid integer")
        (row,) = check_stored(store, Registry.of(new))
        assert (row.event_type, row.read, row.failed) == ("stored.a", 3, 1)
        assert store.stats().last_position == 3


@each_shared
def test_with_all_events_a_type_without_a_class_is_found(kind, tmp_path):
    filled(url_of(kind, tmp_path), event("stored.a")(), event("stored.gone")())
    gc.collect()
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        new = Registry.of(event("stored.a"))
        assert [row.event_type for row in check_stored(store, new)] == ["stored.a"]
        (_, row) = check_stored(store, new, sample=None)
        assert (row.event_type, row.read, row.failed) == ("stored.gone", 1, 1)
        assert "no class is known" in row.failures[0].text


@each_kind
def test_a_sample_is_spread_from_the_first_to_the_last(kind, tmp_path):
    many, few = event("stored.many", n=int), event("stored.few", n=int)
    seen = []
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        for start in range(0, 3000, 500):
            store.append([many(n=n) for n in range(start, start + 500)] + [few(n=start)])
        rows = check_stored(store, Registry.of(many, few), sample=10,
                            progress=lambda done, total: seen.append((done, total)))  # fmt: skip
    assert {row.event_type: row.read for row in rows} == {"stored.many": 10, "stored.few": 6}
    assert seen[-1] == (16, 16)
    refusing = event("stored.many", n=(list[int]))
    with sync.EventStore.create(url_of(kind, tmp_path)) as store:
        if kind not in ("memory", "sqlite-memory"):
            (row,) = check_stored(store, Registry.of(refusing), sample=10)
            assert row.failed == 10
            places = [each.position for each in row.failures]
            assert places[0] == 1
            assert len(row.failures) == 5


@pytest.mark.parametrize("sample", [1, 0, -3])
def test_a_sample_has_a_first_and_a_last(sample):
    with sync.EventStore.create("memory://") as store:
        with pytest.raises(InvalidEventError, match="sample must be 2 or more") as refused:
            check_stored(store, Registry.of(event("stored.a")), sample=sample)
        assert refused.value.field == "sample"
        assert check_stored(store, Registry.of(event("stored.a")), sample=2) == []
        assert check_stored(store, Registry.of(event("stored.a")), sample=None) == []


@each_shared
def test_the_command_reads_a_store(kind, shop):
    placed = event("bazaar.placed", order_id=str, lines=list[dict])
    filled(url_of(kind, shop.folder), placed(order_id="a", lines=[]),
           placed(order_id="b", lines=[{"sku": "s"}]))  # fmt: skip
    words = words_of(kind, shop.folder)
    done = shop.run("check", *words)
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        "bazaar.placed 1: 2 read, ok\n2 events were read (at most 100 events a type)" in done.stdout
    )
    shop.change("    sku: str", "    sku: int")
    done = shop.run("check", *words, "--all")
    assert done.returncode == 1
    assert "bazaar.placed 1: 2 read, 1 can't be read" in done.stdout
    assert "position 2 lines[0].sku: lines[0].sku: Input should be" in done.stdout
    assert 'stored  {"order_id": "b", "lines": [{"sku": "s"}]}' in done.stdout
    done = shop.run("check", *words, "--json", "--sample", 2)
    assert done.returncode == 1
    (row,) = json.loads(done.stdout)["types"]
    assert (row["read"], row["failed"], row["failures"][0]["position"]) == (2, 1, 2)


@each_shared
def test_a_tenant_has_events_of_its_own(kind, shop):
    placed = event("bazaar.placed", order_id=str, lines=list[dict])
    filled(url_of(kind, shop.folder), placed(order_id="a", lines=[]), tenant="acme")
    words = words_of(kind, shop.folder)
    assert "0 events were read" in shop.run("check", *words).stdout
    assert "1 events were read" in shop.run("check", *words, "--tenant", "acme").stdout


@each_shared
def test_no_store_is_made(kind, shop):
    done = shop.run("check", *words_of(kind, shop.folder))
    assert (done.returncode, done.stdout) == (2, "")
    if kind == "sqlite":
        assert "there is no store at" in done.stderr
        assert list(shop.folder.glob("events.db*")) == []
    else:
        assert "migrations are off" in done.stderr
        with psycopg.connect(server_url()) as connection:
            query = "SELECT count(*) FROM pg_tables WHERE schemaname = %s"
            assert connection.execute(query, [schema_of(shop.folder)]).fetchone() == (0,)


def files(folder) -> dict[str, tuple[str, int]]:
    """Returns what a store in a folder consists of: a digest and a time for each file."""
    return {
        each.name: (hashlib.sha256(each.read_bytes()).hexdigest(), each.stat().st_mtime_ns)
        for each in folder.glob("events.db*")
    }


def looked_at(place) -> int:
    """Reads a store as the command does, and returns how many events it has."""
    with open_to_look(str(place)) as store:
        rows = check_stored(store, Registry.of(event("stored.a")), sample=None)
        return sum(row.read for row in rows)


def crashed(path) -> None:
    """Appends an event in a process that ends before anything is moved out of the WAL."""
    code = (
        "import os, sys; from eventuali import Event, sync\n"
        "class Made(Event, name='stored.a'): pass\n"
        "store = sync.EventStore.create(sys.argv[1]); store.append([Made()]); os._exit(9)"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, check=False)
    assert done.returncode == 9


def test_files_beside_a_store_that_is_open_stay(tmp_path):
    path = tmp_path / "events.db"
    with sync.EventStore.create(path) as store:
        store.append([event("stored.a")()])
        before = files(tmp_path)
        assert set(before) == {"events.db", "events.db-wal", "events.db-shm"}
        assert looked_at(path) == 1
        after = files(tmp_path)
        # The index of the WAL is memory that processes share, and no content.
        assert [after[name] for name in ("events.db", "events.db-wal")] == [
            before[name] for name in ("events.db", "events.db-wal")
        ]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_wal_that_was_left_is_read_and_stays_beside_a_read_only_file(tmp_path, read_only):
    path = tmp_path / "events.db"
    filled(path, event("stored.a")())
    crashed(path)
    if read_only:
        path.chmod(0o444)
    before = files(tmp_path)
    assert looked_at(path) == 2
    after = files(tmp_path)
    if read_only:
        assert after["events.db"] == before["events.db"]
        assert after["events.db-wal"] == before["events.db-wal"]
    else:
        assert set(after) == {"events.db"}


@pytest.fixture
def read_only_folder():
    """A folder with a store that this process can read and not write, even if it is root's."""
    folder = Path(tempfile.mkdtemp())
    filled(folder / "events.db", event("stored.a")())
    (folder / "events.db").chmod(0o644)
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_directory_is_refused_by_name(read_only_folder):
    path = read_only_folder / "events.db"
    with pytest.raises(ConfigurationError, match="its directory is read-only; check a copy"):
        open_to_look(str(path))
    assert set(files(read_only_folder)) == {"events.db"}


def test_transactions_of_postgresql_are_read_only(tmp_path):
    filled(url_of("postgres", tmp_path), event("stored.a")())
    with open_to_look(server_url(), schema=schema_of(tmp_path)) as store:
        (row,) = check_stored(store, Registry.of(event("stored.a")), sample=None)
        assert row.read == 1
        with pytest.raises(DatabaseError, match="read-only transaction"):
            store.append([event("stored.a")()])


@pytest.mark.parametrize("before", ["", " -c default_transaction_read_only=off"])
def test_other_parameters_of_a_url_stay(before):
    url = server_url()
    url += "&" if "?" in url else "?"
    url += f"options={quote(f'-c work_mem=3MB{before}')}&application_name=looking"
    with psycopg.connect(_read_only(url)) as connection:
        for name, value in (
            ("default_transaction_read_only", "on"),
            ("work_mem", "3MB"),
            ("application_name", "looking"),
        ):
            assert connection.execute(f"SHOW {name}").fetchone() == (value,)


def test_a_file_is_as_it_was(shop):
    filled(url_of("sqlite", shop.folder), event("bazaar.placed", order_id=str)(order_id="a"))
    path = shop.folder / "events.db"
    before = hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns
    shop.run("check", "--store", "events.db", "--all")
    assert (hashlib.sha256(path.read_bytes()).digest(), path.stat().st_mtime_ns) == before
    assert sorted(each.name for each in shop.folder.glob("events.db*")) == ["events.db"]


@pytest.mark.parametrize("form", [0, 4, 99])
def test_a_store_of_another_format_is_not_migrated(tmp_path, form):
    path = tmp_path / "events.db"
    sync.EventStore.create(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {form}")
    connection.commit()
    connection.close()
    before = files(tmp_path)
    with pytest.raises(ConfigurationError, match="opening it would change it"):
        open_to_look(str(path))
    assert files(tmp_path) == before  # and nothing is left beside it


@pytest.mark.parametrize("place", ["memory://", ":memory:", "sqlite://:memory:", "nope.db"])
def test_nothing_to_look_at(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"in memory|there is no store"):
        open_to_look(place)
    assert list(tmp_path.iterdir()) == []


def test_every_form_of_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "a b.db"
    sync.EventStore.create(name).close()
    for place in (name, "sqlite://a%20b.db", "sqlite:///a%20b.db", f"sqlite:////{tmp_path}/{name}",
                  str(tmp_path / name), "SQLite:///a%20b.db"):  # fmt: skip
        with open_to_look(place) as store:
            assert store.stats().last_position == 0
    (tmp_path / "no.db").write_text("this is no database, and long enough to be looked at " * 9)
    with pytest.raises(ConfigurationError, match="can't be read as a store"):
        open_to_look("no.db")


def test_a_bar_is_drawn_on_a_terminal_alone(shop):
    filled(url_of("sqlite", shop.folder), event("bazaar.placed", order_id=str)(order_id="a"))
    done = shop.run("check", "--store", "events.db", terminal=True)
    assert "check [##" in done.stderr
    assert "100% of 1 events" in done.stderr
    assert shop.run("check", "--store", "events.db").stderr == ""


def test_failures_are_counted_and_the_first_are_kept():
    old, new = event("stored.a", x=str), event("stored.a", x=int)
    with sync.EventStore.create("memory://") as store:
        store.append([old(x=f"no {n}") for n in range(2500)])
        (row,) = check_stored(store, Registry.of(new), sample=None)
    assert (row.read, row.failed, len(row.failures)) == (2500, 2500, 5)


def test_memory_holds_a_page_and_not_the_log(tmp_path):
    cls = event("stored.a", x=str)
    with sync.EventStore.create(tmp_path / "events.db") as store:
        for _ in range(20):
            store.append([cls(x="x" * 1000) for _ in range(1000)])
        tracemalloc.start()
        (row,) = check_stored(store, Registry.of(cls), sample=None)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert row.read == 20_000
    assert peak < 8_000_000, "the log has 20 MB"
